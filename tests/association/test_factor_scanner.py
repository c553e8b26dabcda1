"""The null test by a Cholesky factor is the one by eigenvectors, and generalised least squares."""

import numpy as np
import pytest

import henderson as hd
from henderson.association.factor_scanner import FactorScanner, FactorTrait
from henderson.association.rules import ScanRules
from henderson.association.scanners import make_scanner
from henderson.covariance import RelationshipMatrix
from henderson.engine.dense import factor, reml
from henderson.genotype import Samples


def cohort(seed, n=80, m=12):
    """Two traits, covariates, a relationship matrix and variants, the covariates out of the latter."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(n, 2 * n))
    K = W @ W.T / (2 * n)
    people = [f"i{k}" for k in range(n)]
    age = rng.normal(40, 10, size=n)
    y = 0.05 * age[:, None] + np.linalg.cholesky(K) @ rng.normal(size=(n, 2)) + rng.normal(size=(n, 2))
    data = {"iid": people, "a": y[:, 0], "b": y[:, 1], "age": age}
    G = RelationshipMatrix(K, Samples(np.array(people), np.array(people)), float(m))
    fits = [hd.lmer(f"{trait} ~ age + (1 | iid)", data, relationship={"iid": G}) for trait in "ab"]
    X = np.column_stack([np.ones(n), age])
    Q = np.linalg.qr(X)[0]
    variants = rng.binomial(2, 0.3, size=(m, n)).astype(float)
    return K, X, y, fits, variants, variants - (variants @ Q) @ Q.T


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_null_test_by_eigenvectors(seed):
    K, X, y, fits, _, projected = cohort(seed)
    slow = make_scanner(fits, "null", ScanRules()).test(projected)
    nulls = [reml([K], X, column) for column in y.T]
    traits = [
        FactorTrait(null.factor, column, null.sigma2**0.5) for null, column in zip(nulls, y.T, strict=True)
    ]
    scanner = FactorScanner(traits)
    for found, expected in zip(scanner.test(projected), slow, strict=True):
        assert list(found) == list(expected)
        assert (found["status"] == expected["status"]).all()
        for name in ("beta", "standard_error", "p_value", "neg_log_10_p_value"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-7, err_msg=name)


def test_at_the_same_components_nothing_differs():
    """To nine digits, where the two estimates of the variances are one and the same number."""
    K, X, y, fits, _, projected = cohort(4)
    slow = make_scanner(fits, "null", ScanRules()).test(projected)
    traits = [
        FactorTrait(factor([K], fit.theta**2, X), column, fit.sigma)
        for fit, column in zip(fits, y.T, strict=True)
    ]
    for found, expected in zip(FactorScanner(traits).test(projected), slow, strict=True):
        for name in ("beta", "standard_error", "p_value", "neg_log_10_p_value"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, err_msg=name)


def test_traits_that_share_a_factor_and_traits_that_do_not():
    K, X, y, _, variants, projected = cohort(5)
    shared, other = factor([K], [0.7], X), factor([K], [2.0], X)
    scanner = FactorScanner([FactorTrait(V, y[:, k], 1.3) for V, k in ((shared, 0), (other, 0), (shared, 1))])
    found = scanner.test(projected)
    for columns, ratio, k in zip(found, (0.7, 2.0, 0.7), (0, 0, 1), strict=True):
        inverse = np.linalg.inv(np.eye(80) + ratio * K)
        for v, x in enumerate(variants):
            fixed = np.column_stack([X, x])
            A = fixed.T @ inverse @ fixed
            beta = np.linalg.solve(A, fixed.T @ inverse @ y[:, k])
            assert columns["beta"][v] == pytest.approx(beta[-1], rel=1e-9)
            assert columns["standard_error"][v] == pytest.approx(
                1.3 * np.linalg.inv(A)[-1, -1] ** 0.5, rel=1e-9
            )


def test_no_variants_left():
    K, X, y, *_ = cohort(6)
    (found,) = FactorScanner([FactorTrait(factor([K], [1.0], X), y[:, 0], 1.0)]).test(np.empty((0, 80)))
    assert all(values.size == 0 for values in found.values())
