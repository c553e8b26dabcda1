"""REML with dense kernels against the spectral engine, a formed V and a search without derivatives."""

import numpy as np
import pytest
from scipy.optimize import minimize

from henderson.covariance import DenseRelationship, Unstructured
from henderson.engine.dense import factor, reml
from henderson.engine.dense.reml import _slopes
from henderson.engine.spectral import SpectralEngine
from henderson.errors import DataError
from henderson.fit.solve import solve
from henderson.model import MixedModel, RandomTerm


def kernel(rng, n, rank=None):
    """A relationship matrix of mean diagonal one; singular if the rank is below n."""
    W = rng.normal(size=(n, rank or 2 * n))
    K = W @ W.T
    return K * n / np.trace(K)


def records(seed, n, h2s, p=3):
    """Kernels, fixed effects and a response with these shares of its variance."""
    rng = np.random.default_rng(seed)
    kernels = [kernel(rng, n, rank=n // 2 if k % 2 else None) for k in range(len(h2s))]
    X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])
    y = X @ rng.normal(size=p) + np.sqrt(max(1.0 - sum(h2s), 0.0)) * rng.normal(size=n)
    for K, h2 in zip(kernels, h2s, strict=True):
        values, vectors = np.linalg.eigh(K)
        y = y + vectors @ (np.sqrt(h2 * np.maximum(values, 0.0)) * rng.normal(size=n))
    return kernels, X, y


def minus_two_loglik(kernels, ratios, X, y):
    """-2 log restricted likelihood with sigma^2 profiled out, from V as it stands; complex ratios allowed."""
    n, p = X.shape
    V = np.eye(n) + sum(r * K for r, K in zip(ratios, kernels, strict=True))
    inverse = np.linalg.inv(V)
    A = X.T @ inverse @ X
    e = y - X @ np.linalg.solve(A, X.T @ inverse @ y)
    (sign_v, logdet_v), (sign_x, logdet_x) = np.linalg.slogdet(V), np.linalg.slogdet(A)
    logdet = logdet_v + logdet_x + np.log(sign_v) + np.log(sign_x)
    return logdet + (n - p) * (1 + np.log(2 * np.pi * (e @ inverse @ e) / (n - p)))


def gradient(kernels, ratios, X, y):
    """By the complex step, exact to rounding."""
    steps = 1e-20j * np.eye(len(ratios))
    return np.array([minus_two_loglik(kernels, ratios + s, X, y).imag * 1e20 for s in steps])


def spectral(K, X, y):
    term = RandomTerm(
        "iid", np.arange(y.size), y.size, np.ones((y.size, 1)), Unstructured(1), DenseRelationship(K)
    )
    return solve(SpectralEngine(MixedModel(y, X, (term,))), reml=True)


@pytest.mark.parametrize("ratios", [[0.0], [0.3], [40.0], [0.5, 0.0], [2.0, 0.1, 0.7]])
def test_the_pieces_of_one_model(ratios):
    kernels, X, y = records(3, 40, [0.2] * len(ratios))
    V = np.eye(40) + sum(r * K for r, K in zip(ratios, kernels, strict=True))
    inverse = np.linalg.inv(V)
    A = X.T @ inverse @ X
    P = inverse - inverse @ X @ np.linalg.solve(A, X.T @ inverse)
    found = factor(kernels, ratios, X)
    response = found.response(y)
    M = np.random.default_rng(0).normal(size=(40, 5))
    np.testing.assert_allclose(found.lower @ found.lower.T, V, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.solve_lower(M), np.linalg.solve(np.linalg.cholesky(V), M), rtol=1e-10)
    np.testing.assert_allclose(found.project(M), P @ M, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.project(y), P @ y, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(response.beta, np.linalg.solve(A, X.T @ inverse @ y), rtol=1e-10)
    assert response.ypy == pytest.approx(y @ P @ y, rel=1e-11)
    assert -2 * response.loglik == pytest.approx(minus_two_loglik(kernels, np.array(ratios), X, y), rel=1e-12)


@pytest.mark.parametrize("ratios", [[0.0], [1e-6], [1e-3], [0.3], [40.0], [0.5, 0.0], [2.0, 0.1, 0.7]])
def test_slopes_in_the_variances(ratios):
    """The gradient by the complex step; the average information from its definition."""
    kernels, X, y = records(4, 50, [0.2] * len(ratios))
    ratios = np.array(ratios)
    V = factor(kernels, ratios, X)
    response = V.response(y)
    found, average = _slopes(kernels, ratios, V, response)
    assert found @ np.append(ratios, 1.0) == pytest.approx(0.0, abs=1e-8)  # sigma^2 is at its best
    by_ratio = response.sigma2 * found[:-1]
    np.testing.assert_allclose(by_ratio, gradient(kernels, ratios, X, y), rtol=1e-8, atol=1e-8)
    every = [*kernels, np.eye(50)]
    P = np.linalg.inv(response.sigma2 * sum(r * K for r, K in zip([*ratios, 1.0], every, strict=True)))
    P = P - P @ X @ np.linalg.solve(X.T @ P @ X, X.T @ P)
    slow = [[y @ P @ a @ P @ b @ P @ y for b in every] for a in every]
    np.testing.assert_allclose(average, slow, rtol=1e-8)


@pytest.mark.parametrize("h2", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_one_kernel_is_the_spectral_engine(seed, h2):
    (K,), X, y = records(seed, 150, [h2])
    fit, other = reml([K], X, y), spectral(K, X, y)
    assert fit.converged
    assert fit.at_zero[0] == (other.theta[0] == 0.0)
    if fit.at_upper:  # the spectral engine has no upper end
        assert other.theta[0] ** 2 > fit.ratios[0]
        return
    assert fit.ratios[0] == pytest.approx(other.theta[0] ** 2, rel=1e-8)
    assert fit.loglik == pytest.approx(-0.5 * other.criterion.profiled(True), rel=1e-13)
    assert fit.sigma2 == pytest.approx(other.criterion.sigma2(True), rel=1e-8)


def test_both_ends_are_answers():
    rng = np.random.default_rng(5)
    (K,), X, _ = records(5, 80, [0.5])
    values, vectors = np.linalg.eigh(K)
    inherited = reml([K], X, vectors @ (np.sqrt(values) * rng.normal(size=80)))
    assert inherited.at_upper or inherited.ratios[0] > 20
    opposite = reml([K], X, vectors @ (values**-0.5 * rng.normal(size=80)))
    assert opposite.at_zero[0]
    assert opposite.ratios[0] == 0.0
    assert opposite.converged
    assert opposite.sigma2 == pytest.approx(opposite.response.ypy / 77)


@pytest.mark.parametrize("seed", range(6))
def test_several_kernels_by_a_search_without_derivatives(seed):
    kernels, X, y = records(seed + 20, 90, [(0.3, 0.2), (0.4, 0.0), (0.2, 0.2, 0.3)][seed % 3])
    fit = reml(kernels, X, y)
    assert fit.converged
    slopes = gradient(kernels, fit.ratios, X, y)
    if fit.at_upper:
        mean = fit.ratios @ [np.trace(K) / 90 for K in kernels]
        assert mean == pytest.approx(1e5)
        assert minus_two_loglik(kernels, 1.001 * fit.ratios, X, y) < -2 * fit.loglik
        return
    assert (np.abs(slopes[~fit.at_zero] * fit.ratios[~fit.at_zero]) < 1e-6).all()
    assert (slopes[fit.at_zero] > 0).all()

    def criterion(log_ratios):
        return minus_two_loglik(kernels, np.exp(log_ratios), X, y)

    best = min(
        minimize(
            criterion, start * np.ones(len(kernels)), method="Nelder-Mead", options={"maxiter": 4000}
        ).fun
        for start in (-3.0, 0.0)
    )
    assert -2 * fit.loglik <= best + 1e-8
    again = reml(kernels[::-1], X, y, start=fit.ratios[::-1] * 1.5 + 0.05)
    np.testing.assert_allclose(again.ratios[::-1], fit.ratios, rtol=1e-7, atol=1e-12)


def test_from_a_good_start_a_few_factors_are_enough():
    (K,), X, y = records(31, 400, [0.4])
    fit = reml([K], X, y)
    assert reml([K], X, y, start=fit.ratios * 1.05).evaluations <= 6
    assert reml([K], X, y, start=fit.ratios).evaluations == 2
    for far in (0.0, 1e-4, 1e3):
        np.testing.assert_allclose(reml([K], X, y, start=[far]).ratios, fit.ratios, rtol=1e-8)


def test_shift_scale_and_order_change_what_they_should():
    kernels, X, y = records(32, 120, [0.3, 0.2])
    fit = reml(kernels, X, y)
    other = reml(kernels, X, 100.0 * y + X @ [1e4, 50.0, -3.0])
    np.testing.assert_allclose(other.ratios, fit.ratios, rtol=1e-6)
    assert other.sigma2 == pytest.approx(1e4 * fit.sigma2, rel=1e-6)
    np.testing.assert_allclose(other.response.beta, 100 * fit.response.beta + [1e4, 50, -3], rtol=1e-8)
    order = np.random.default_rng(0).permutation(120)
    mixed = reml([np.asfortranarray(K[np.ix_(order, order)]) for K in kernels], X[order], y[order])
    np.testing.assert_allclose(mixed.ratios, fit.ratios, rtol=1e-8)


def test_kernels_are_left_as_they_are():
    kernels, X, y = records(33, 60, [0.3, 0.2])
    copies = [K.copy() for K in kernels]
    reml(kernels, X, y)
    assert all(np.array_equal(a, b) for a, b in zip(kernels, copies, strict=True))


def test_a_search_that_is_cut_short_says_so():
    (K,), X, y = records(34, 60, [0.5])
    assert not reml([K], X, y, start=[1e-4], max_evaluations=2).converged


def test_a_response_that_the_fixed_effects_fit_exactly():
    (K,), X, _ = records(35, 30, [0.5])
    for y in (np.zeros(30), X @ [1.0, 2.0, 3.0]):
        with pytest.raises(DataError, match="fit the trait exactly"):
            reml([K], X, y)


def test_a_matrix_that_is_no_covariance_is_refused():
    with pytest.raises(DataError, match="negative eigenvalue"):
        factor([-np.eye(3)], [2.0], np.ones((3, 1)))
