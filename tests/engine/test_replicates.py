"""Many responses at once against the dense twin, one response after the other."""

from dataclasses import replace

import numpy as np
import pytest

from engine.contract import close, complex_gradient, differences
from engine.dense import at_theta
from henderson.covariance import Autoregressive, ByUnit, Diagonal, Unstructured
from henderson.engine.blocked import BlockedEngine
from henderson.model import MixedModel, RandomTerm

K = 4


def one_factor(covariances, *, n=40, l=12, p=2, weights=False, seed=0):
    """A model with one grouping factor, of which some levels have a single record, and K responses for it."""
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(l), rng.integers(0, l // 2, n - l)])
    terms = tuple(RandomTerm("g", codes, l, rng.normal(1.0, 2.0, (n, c.q)), c) for c in covariances)
    Y = rng.normal(0.0, 2.0, (n, K)) + 3.0 * rng.normal(size=(l, K))[codes] + 100.0
    w = rng.uniform(0.3, 3.0, n) if weights else None
    return MixedModel(Y[:, 0], rng.normal(2.0, 1.0, (n, p)), terms, w), Y


MODELS = {
    "intercept": ([Unstructured(1)], {}),
    "slope": ([Unstructured(2)], {"weights": True}),
    "three effects": ([Unstructured(3)], {"p": 5}),
    "apart": ([Unstructured(1), Unstructured(1)], {}),
    "mixed": ([Unstructured(2), Diagonal(2)], {"weights": True}),
    "homogeneous": ([Diagonal(2, homogeneous=True)], {}),
    "no fixed effects": ([Unstructured(2)], {"p": 0}),
    "as many effects as records": ([Unstructured(4)], {"n": 24}),
}


@pytest.fixture(params=MODELS, scope="module")
def case(request):
    covariances, options = MODELS[request.param]
    model, Y = one_factor(covariances, **options)
    engine = BlockedEngine(model)
    phi = np.random.default_rng(1).normal(size=(K, model.n_theta))
    phi[1, 0] = 0.0  # singular
    phi[2] = 0.0
    phi[3] *= 30.0  # and far out
    return model, Y, engine, phi


def twin(model, y, theta):
    return at_theta(replace(model, y=y), theta)


@pytest.mark.parametrize("reml", [True, False])
def test_criterion_and_derivatives(case, reml):
    model, Y, engine, phi = case
    coordinates, replicates = engine.coordinates(), engine.replicates(Y)
    every = np.arange(K)
    value, gradient, hessian = replicates.derivatives(phi, every, reml=reml)
    np.testing.assert_array_equal(replicates.criterion(phi, every, reml=reml), value)
    for j in every:

        def dense(x, y=Y[:, j]):
            return twin(model, y, coordinates.M @ x).profiled(reml)

        assert value[j] == pytest.approx(dense(phi[j]), rel=1e-9)
        close(gradient[j], complex_gradient(dense, phi[j]))
        slopes = differences(lambda x, f=dense: complex_gradient(f, x), phi[j], np.ones(model.n_theta))
        close(hessian[j], slopes, rel=1e-6)


@pytest.mark.parametrize("reml", [True, False])
def test_estimates(case, reml):
    model, Y, engine, phi = case
    found = engine.replicates(Y).solution(phi, np.arange(K), reml=reml)
    for j in range(K):
        dense = twin(model, Y[:, j], engine.coordinates().theta(phi[j]))
        close(found.beta[j], np.linalg.solve(dense.XVX, model.X.T @ dense.Vi @ Y[:, j]))
        close(found.cov_beta[j], dense.sigma2(reml) * np.linalg.inv(dense.XVX))
        assert found.sigma2[j] == pytest.approx(dense.sigma2(reml), rel=1e-8)
        assert found.criterion[j] == pytest.approx(dense.profiled(reml), rel=1e-9)


def test_some_of_the_responses(case):
    _, Y, engine, phi = case
    replicates = engine.replicates(Y)
    assert len(replicates) == K
    some = np.array([3, 1])
    for all_of_them, of_some in zip(
        replicates.derivatives(phi, np.arange(K), reml=True),
        replicates.derivatives(phi[some], some, reml=True),
        strict=True,
    ):
        np.testing.assert_allclose(of_some, all_of_them[some], rtol=1e-12)
    assert replicates.criterion(phi[:0], some[:0], reml=True).shape == (0,)


def test_each_search_starts_where_it_does_alone(case):
    _, Y, engine, _ = case
    together = engine.replicates(Y).start()
    for phi, y in zip(together, Y.T, strict=True):
        alone = engine.with_response(np.ascontiguousarray(y)).start(reml=True)
        np.testing.assert_allclose(engine.coordinates().theta(phi), alone, rtol=1e-8, atol=1e-10)


def test_coordinates_with_a_bound_are_the_standard_deviations():
    model, Y = one_factor([Unstructured(2), Diagonal(2)])
    assert BlockedEngine(model).replicates(Y).bounded == (0, 2, 3, 4)


def test_which_models_are_taken():
    slope, _ = one_factor([Unstructured(2)])
    bent, _ = one_factor([Autoregressive(2)])
    other = RandomTerm("h", np.arange(slope.n) % 7, 7, np.ones((slope.n, 1)), Unstructured(1))
    crossed = replace(slope, terms=(*slope.terms, other))
    strata = ByUnit.strata("diag(s)", ("a", "b"), np.arange(slope.n) % 2, Diagonal(2))
    unequal = replace(slope, residual=strata)
    for model, taken in ((slope, True), (bent, False), (crossed, False), (unequal, False)):
        assert BlockedEngine(model).takes_replicates == taken
