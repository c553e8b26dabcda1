"""One variance ratio per variant: against V formed and inverted, one variant at a time."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import close
from henderson.engine.ratio import kernel
from henderson.engine.ratio.rotation import GroupRotation, SpectralRotation
from henderson.engine.ratio.variants import (
    AT_LOWER,
    AT_UPPER,
    AT_ZERO,
    INTERIOR,
    Grid,
    Range,
    VariantModel,
)
from henderson.engine.spectral.spectrum import decompose

WIDE = Range(np.log(1e-5), np.log(1e5))


def minus_two_loglik(ratio, K, X, y, reml):
    """-2 log (restricted) likelihood at lambda, sigma^2 profiled out, from the textbook."""
    n, p = X.shape
    V = np.eye(n) + ratio * K
    Vi = np.linalg.inv(V)
    A = X.T @ Vi @ X
    r = y @ Vi @ y - y @ Vi @ X @ np.linalg.solve(A, X.T @ Vi @ y)
    nu = n - p if reml else n
    value = np.linalg.slogdet(V)[1] + nu * (1 + np.log(2 * np.pi * r / nu))
    return value + np.linalg.slogdet(A)[1] if reml else value


def by_force(K, X, y, *, reml):
    """Global minimum over log lambda: a fine grid, each dip refined by golden section, and lambda = 0."""
    grid = np.linspace(WIDE.low, WIDE.high, 600)
    value = np.array([minus_two_loglik(np.exp(t), K, X, y, reml) for t in grid])
    best = (minus_two_loglik(0.0, K, X, y, reml), 0.0)
    for j in np.flatnonzero((value[1:-1] <= value[:-2]) & (value[1:-1] <= value[2:])) + 1:
        a, b = grid[j - 1], grid[j + 1]
        for _ in range(60):
            c, d = b - 0.618034 * (b - a), a + 0.618034 * (b - a)
            if minus_two_loglik(np.exp(c), K, X, y, reml) < minus_two_loglik(np.exp(d), K, X, y, reml):
                b = d
            else:
                a = c
        ratio = np.exp(0.5 * (a + b))
        best = min(best, (minus_two_loglik(ratio, K, X, y, reml), ratio))
    return best


@dataclass
class Case:
    rotation: object
    K: np.ndarray
    X: np.ndarray
    y: np.ndarray
    variants: np.ndarray


def genomic(seed, *, n=60, h2=0.5, rank=40):
    rng = np.random.default_rng(seed)
    G = rng.normal(size=(n, rank))
    K = G @ G.T / rank
    return assemble(rng, n, K, h2, lambda basis: SpectralRotation(decompose(K.copy(), basis)))


def families(seed, *, n=60, h2=0.5):
    rng = np.random.default_rng(seed)
    codes = np.unique(rng.integers(0, n // 3, n), return_inverse=True)[1]
    Z = np.eye(codes.max() + 1)[codes]
    return assemble(rng, n, Z @ Z.T, h2, lambda basis: GroupRotation(codes, basis))


def assemble(rng, n, K, h2, rotate):
    X = np.column_stack([np.ones(n), rng.normal(size=(n, int(rng.integers(0, 3)))) * 3 + 1])
    variants = rng.binomial(2, rng.uniform(0.1, 0.9, 8)[:, None], size=(8, n)).astype(float)
    V = h2 * K + (1 - h2) * np.eye(n)
    y = np.linalg.cholesky(V + 1e-9 * np.eye(n)) @ rng.normal(size=n) + X @ rng.normal(size=X.shape[1])
    return Case(rotate(np.linalg.qr(X)[0]), K, X, y + 0.3 * variants[0], variants)


@pytest.mark.parametrize("make", [genomic, families])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("h2", [0.0, 0.5, 0.9])
def test_each_variant_has_the_global_optimum(make, seed, h2):
    case = make(seed, h2=h2)
    model = VariantModel(Grid.of(case.rotation, WIDE), case.y)
    fits = model.refit(model.products(case.rotation.rotate(case.variants.copy())))
    for v, x in enumerate(case.variants[:3]):
        X = np.column_stack([case.X, x])
        for reml, optimum in ((True, fits.reml), (False, fits.ml)):
            expected, ratio = by_force(case.K, X, case.y, reml=reml)
            found = minus_two_loglik(optimum.ratio[v], case.K, X, case.y, reml)
            assert found == pytest.approx(expected, abs=1e-8)
            assert optimum.where[v] == (AT_ZERO if ratio == 0.0 else INTERIOR)
            if ratio == 0.0:
                assert optimum.ratio[v] == 0.0
        assert fits.loglik[v] == pytest.approx(
            -0.5 * minus_two_loglik(fits.ml.ratio[v], case.K, X, case.y, False), abs=1e-9
        )
        V = np.eye(len(x)) + fits.reml.ratio[v] * case.K
        Vi = np.linalg.inv(V)
        A = np.linalg.inv(X.T @ Vi @ X)
        beta = A @ X.T @ Vi @ case.y
        sigma2 = (case.y - X @ beta) @ Vi @ (case.y - X @ beta) / (len(x) - X.shape[1])
        assert fits.beta[v] == pytest.approx(beta[-1], rel=1e-9, abs=1e-11)
        assert fits.sigma2[v] == pytest.approx(sigma2, rel=1e-9)
        assert fits.standard_error[v] == pytest.approx(np.sqrt(sigma2 * A[-1, -1]), rel=1e-9)


@pytest.mark.parametrize("make", [genomic, families])
def test_null_model_and_score(make):
    case = make(11)
    model = VariantModel(Grid.of(case.rotation, WIDE), case.y)
    for reml, optimum in ((True, model.null_reml), (False, model.null_ml)):
        expected, _ = by_force(case.K, case.X, case.y, reml=reml)
        found = minus_two_loglik(optimum.ratio[0], case.K, case.X, case.y, reml)
        assert found == pytest.approx(expected, abs=1e-8)
    assert model.null_loglik == pytest.approx(
        -0.5 * minus_two_loglik(model.null_ml.ratio[0], case.K, case.X, case.y, False), abs=1e-9
    )
    for ratio in (0.0, 0.7, 1e4):
        Vi = np.linalg.inv(np.eye(len(case.y)) + ratio * case.K)
        P = Vi - Vi @ case.X @ np.linalg.solve(case.X.T @ Vi @ case.X, case.X.T @ Vi)
        products = model.products(case.rotation.rotate(case.variants.copy()))
        xpy, xpx, ypy = model.score(products, ratio)
        close(xpy, case.variants @ P @ case.y, rel=1e-9)
        close(xpx, np.einsum("bi,ij,bj->b", case.variants, P, case.variants), rel=1e-9)
        assert ypy == pytest.approx(case.y @ P @ case.y, rel=1e-9)


def test_derivatives_of_the_kernel():
    """The kernel's own first and second derivatives against differences of the textbook formula."""
    case = genomic(3)
    model = VariantModel(Grid.of(case.rotation, WIDE), case.y)
    products = model.products(case.rotation.rotate(case.variants.copy()))
    X = np.column_stack([case.X, case.variants[0]])
    for reml in (True, False):
        extra = model._grid.extra[:, :0] if reml else model._grid.extra
        for t in (-6.0, -0.5, 2.0, 7.0):
            arguments = (
                case.rotation.values,
                case.rotation.counts,
                model._response.shared,
                products[0],
                extra,
            )
            span = np.array([WIDE.low, WIDE.high])
            n, p = X.shape
            w, M = np.empty((3, case.rotation.values.size)), np.zeros((2, 2, 3))
            tail = (span, float(n - p if reml else n), reml, w, M, True, True)
            _, slope, bend = kernel._criterion(t, *arguments, *tail)
            h = 1e-4
            f = [minus_two_loglik(np.exp(t + s * h), case.K, X, case.y, reml) for s in (-1, 0, 1)]
            assert slope == pytest.approx((f[2] - f[0]) / (2 * h), abs=1e-5)
            assert bend == pytest.approx((f[2] - 2 * f[1] + f[0]) / h**2, abs=1e-3)


def test_both_rotations_agree_on_groups():
    case = families(5)
    spectral = SpectralRotation(decompose(case.K.copy(), np.linalg.qr(case.X)[0]))
    found = []
    for rotation in (case.rotation, spectral):
        model = VariantModel(Grid.of(rotation, WIDE), case.y)
        found.append(model.refit(model.products(rotation.rotate(case.variants.copy()))))
    a, b = found
    close(a.beta, b.beta, rel=1e-9)
    close(a.standard_error, b.standard_error, rel=1e-9)
    close(a.loglik, b.loglik, rel=1e-10)
    close(np.log1p(a.ml.ratio), np.log1p(b.ml.ratio), rel=1e-6)


def test_bounds():
    """GEMMA answers with either end; else lambda = 0 is one, and an unbounded likelihood is not followed."""
    case = genomic(2, h2=0.0)
    ends = Range(np.log(1e-5), np.log(1e5), zero=False, unbounded=True)
    model = VariantModel(Grid.of(case.rotation, ends), case.y)
    fits = model.refit(model.products(case.rotation.rotate(case.variants.copy())))
    lower = fits.reml.where == AT_LOWER
    assert lower.any()
    np.testing.assert_allclose(fits.reml.ratio[lower], 1e-5, rtol=1e-12)
    centred = case.K - case.K.mean(0) - case.K.mean(1)[:, None] + case.K.mean()
    rng = np.random.default_rng(0)
    genetic = np.linalg.cholesky(centred + 1e-8 * np.eye(60)) @ rng.normal(size=60)
    rotation = SpectralRotation(decompose(centred.copy(), np.ones((60, 1)) / np.sqrt(60)))
    assert VariantModel(Grid.of(rotation, ends), genetic).null_ml.where[0] == AT_UPPER
    y = genetic + rng.normal(size=60)
    model = VariantModel(Grid.of(rotation, WIDE), y)
    assert model.null_ml.where[0] == INTERIOR


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_shift_and_scale_of_the_response(seed, shift, scale):
    case = genomic(seed, n=40)
    before = VariantModel(Grid.of(case.rotation, WIDE), case.y)
    after = VariantModel(Grid.of(case.rotation, WIDE), scale * case.y + shift)
    products = [m.products(case.rotation.rotate(case.variants.copy())) for m in (before, after)]
    a, b = before.refit(products[0]), after.refit(products[1])
    tolerance = 1e-9 * (1.0 + abs(shift) / scale)
    np.testing.assert_allclose(b.beta / scale, a.beta, rtol=1e-6, atol=tolerance)
    np.testing.assert_allclose(b.standard_error / scale, a.standard_error, rtol=1e-6, atol=tolerance)


def test_empty_block():
    case = families(4)
    model = VariantModel(Grid.of(case.rotation, WIDE), case.y)
    fits = model.refit(model.products(case.rotation.rotate(np.empty((0, 60)))))
    assert fits.beta.shape == fits.ml.ratio.shape == (0,)
