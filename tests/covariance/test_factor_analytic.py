"""Factor-analytic covariances: from their definition, by complex step, and in fits."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import henderson as hd
from engine.dense import Dense
from henderson.covariance import FactorAnalytic
from henderson.covariance.factor_analytic import OWN_SHARE, n_loadings
from henderson.errors import DataError, FormulaError

STEP = 1e-30
SHAPES = [(3, 1), (5, 2), (6, 3), (2, 1)]


def covariance_of(q, k, theta):
    """S from its definition, loading by loading; complex theta is allowed."""
    L, left = np.zeros((q, k), dtype=theta.dtype), list(theta)
    for column in range(k):
        for row in range(column, q):
            L[row, column] = left.pop(0)
    return L @ L.T + np.diag(np.array(left) ** 2)


def theta_of(q, k, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=n_loadings(q, k)), rng.uniform(0.5, 1.5, q)])


@pytest.mark.parametrize(("q", "k"), SHAPES)
class TestStructure:
    def test_factor_is_lower_triangular_with_product_s(self, q, k):
        for seed in range(5):
            theta = theta_of(q, k, seed)
            T = FactorAnalytic(q, k).factor(theta)
            assert not np.triu(T, 1).any()
            assert (np.diag(T) > 0.0).all()
            np.testing.assert_allclose(T @ T.T, covariance_of(q, k, theta), atol=1e-12)

    def test_derivatives_against_complex_step(self, q, k):
        S, theta = FactorAnalytic(q, k), theta_of(q, k)
        first, second = S.derivatives(theta)
        for j, e in enumerate(np.eye(theta.size)):
            exact = covariance_of(q, k, theta + 1j * STEP * e).imag / STEP
            np.testing.assert_allclose(first[j], exact, atol=1e-12)
            # S is a quadratic, so that its second derivatives are differences of the first
            np.testing.assert_allclose(second[j], S.derivatives(theta + e)[0] - first, atol=1e-12)

    def test_nearest_finds_a_covariance_that_has_so_many_factors(self, q, k):
        S = FactorAnalytic(q, k)
        waves = np.cos(np.pi * np.outer(np.arange(q) + 0.5, np.arange(k)) / q)
        wanted = waves @ waves.T + 0.5 * np.diag(np.arange(1.0, q + 1.0))
        found = S.factor(S.nearest(np.linalg.cholesky(wanted)))
        np.testing.assert_allclose(found @ found.T, wanted, atol=2e-3)  # 6 effects of 3 factors take longest

    def test_nearest_keeps_every_effect_apart_from_the_factors(self, q, k):
        T = np.linalg.cholesky(0.999 * np.ones((q, q)) + 0.001 * np.eye(q))
        S = FactorAnalytic(q, k)
        assert (S.specific(S.nearest(T)) ** 2 > 0.99 * OWN_SHARE).all()

    def test_nearest_to_independent_effects_is_just_that(self, q, k):
        S = FactorAnalytic(q, k)
        np.testing.assert_allclose(S.factor(S.nearest(np.eye(q))), np.eye(q), atol=1e-7)

    def test_canonical_keeps_the_covariance(self, q, k):
        S, theta = FactorAnalytic(q, k), -theta_of(q, k)
        same = S.canonical(theta)
        np.testing.assert_allclose(covariance_of(q, k, same), covariance_of(q, k, theta), atol=1e-12)
        assert (np.diag(S.loadings(same)) > 0.0).all()
        assert (S.specific(same) > 0.0).all()

    def test_coordinates_lead_there_and_back_and_have_no_units(self, q, k):
        S, theta = FactorAnalytic(q, k), theta_of(q, k)
        units = np.arange(1.0, q + 1.0)
        coordinates = S.coordinates(np.diag(units))
        np.testing.assert_allclose(coordinates.theta(coordinates.phi(theta)), theta, atol=1e-12)
        phi = coordinates.phi(theta)
        in_units = covariance_of(q, k, phi)
        np.testing.assert_allclose(in_units, np.outer(units, units) * covariance_of(q, k, theta), atol=1e-12)

    def test_a_search_starts_where_loadings_have_slopes(self, q, k):
        S = FactorAnalytic(q, k)
        coordinates = S.coordinates(np.eye(q))
        zero = np.append(np.zeros(S.n_theta - q), np.ones(q))
        (start,) = coordinates.starts(zero, S.n_theta)
        assert np.linalg.matrix_rank(S.loadings(start)) == k
        (same,) = coordinates.starts(start, S.n_theta)
        np.testing.assert_array_equal(same, start)

    def test_names_say_which_effect_and_factor(self, q, k):
        names = FactorAnalytic(q, k).theta_names(tuple("abcdef"[:q]))
        assert names[0] == "a.fa1"
        assert names[-q:] == tuple(f"{name}.psi" for name in "abcdef"[:q])
        assert len(set(names)) == len(names) == FactorAnalytic(q, k).n_theta


def test_a_singular_covariance_has_a_zero_on_the_diagonal_of_t():
    S = FactorAnalytic(3, 1)
    singular = ([1.0, 2.0, 3.0, 0, 0, 0], [0, 1.0, 1.0, 0, 1.0, 1.0], [0.0, 0, 0, 0, 0, 0])
    for theta in np.array(singular):
        T = S.factor(theta)
        np.testing.assert_allclose(T @ T.T, covariance_of(3, 1, theta), atol=1e-12)
        assert (np.diag(T) == 0.0).any()
    assert (np.diag(S.factor(np.array([1.0, 2.0, 3.0, 0.0, 1.0, 1.0]))) > 0.0).all()  # one zero is no harm


@given(st.integers(0, 10**6), st.sampled_from(SHAPES), st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None)
def test_nearest_follows_the_units_of_the_effects(seed, shape, unit):
    q, k = shape
    rng = np.random.default_rng(seed)
    S, T = FactorAnalytic(q, k), np.linalg.cholesky(np.cov(rng.normal(size=(q, 4 * q))))
    units = np.ones(q)
    units[-1] = unit
    plain, scaled = (S.factor(S.nearest(root)) for root in (T, units[:, None] * T))
    np.testing.assert_allclose(
        scaled @ scaled.T, np.outer(units, units) * (plain @ plain.T), rtol=1e-6, atol=1e-12
    )


def trial(seed, *, q, k, genotypes=40, plots=2):
    """Genotypes in q environments, moved by k factors."""
    rng = np.random.default_rng(seed)
    L = rng.uniform(0.5, 1.5, (q, k)) * np.where(np.arange(k) > 0, rng.choice([-1.0, 1.0], (q, k)), 1.0)
    u = rng.normal(size=(genotypes, k)) @ L.T + rng.normal(size=(genotypes, q)) * 0.6
    g, env, _ = (index.ravel() for index in np.indices((genotypes, q, plots)))
    y = u[g, env] + env + rng.normal(size=g.size)
    return pd.DataFrame({"y": y, "g": [f"g{i:02d}" for i in g], "env": np.array(list("abcdef"))[env]})


class TestFit:
    def test_one_factor_of_three_effects_is_the_unstructured_covariance(self):
        # 3 loadings and 3 specific variances for 6 elements; these data have no Heywood case
        data = trial(5, q=3, k=1, genotypes=60)
        free, fa = (hd.lmer(f"y ~ env + {term}", data) for term in ("(0 + env | g)", "fa(0 + env | g)"))
        assert not fa.notices
        assert fa.loglik == pytest.approx(free.loglik, abs=1e-8)
        np.testing.assert_allclose(fa.varcorr["g"].covariance, free.varcorr["g"].covariance, rtol=1e-5)

    def test_the_optimum_is_that_of_a_general_search_on_the_dense_likelihood(self):
        data = trial(3, q=4, k=1, genotypes=14).sample(frac=0.9, random_state=1)
        fit = hd.lmer("y ~ env + fa(0 + env | g, k = 1)", data)
        model = fit.engine.model

        def profiled(theta):
            return Dense(model, [covariance_of(4, 1, theta), None]).profiled(reml=True)

        start = FactorAnalytic(4, 1).nearest(np.eye(4))
        start[:4] = 0.5
        found = minimize(profiled, start, method="BFGS", options={"gtol": 1e-7})
        assert profiled(fit.theta) <= found.fun + 1e-7
        assert profiled(fit.theta) == pytest.approx(found.fun, abs=1e-6)

    def test_it_is_saved_printed_and_predicts(self, tmp_path):
        data = trial(5, q=5, k=2)
        fit = hd.lmer("y ~ env + fa(0 + env | g, k = 2)", data)
        fit.save(tmp_path / "fit")
        for again in (hd.load(tmp_path / "fit"), hd.load(tmp_path / "fit", data)):
            np.testing.assert_array_equal(again.theta, fit.theta)
            np.testing.assert_array_equal(again.predict(data[:5]), fit.predict(data[:5]))
            assert repr(again.varcorr) == repr(fit.varcorr)
        term = fit.varcorr["g"]
        np.testing.assert_allclose(term.covariance, fit.sigma**2 * covariance_of(5, 2, fit.theta), rtol=1e-10)
        assert len(repr(fit.varcorr).splitlines()) == 1 + 5 + 1
        assert len(fit.varcorr.table) == 15 + 1  # correlations too, as of any covariance

    def test_a_specific_variance_of_zero_is_told(self):
        fit = hd.lmer("y ~ env + fa(0 + env | g)", trial(0, q=3, k=1, genotypes=12))
        S = FactorAnalytic(3, 1)
        zero = [name for name, psi in zip("abc", S.specific(fit.theta), strict=True) if psi == 0.0]
        assert zero
        assert all(f"env{name}" in " ".join(n for n in fit.notices if "Heywood" in n) for name in zero)


@pytest.mark.parametrize(
    ("term", "told"),
    [
        ("fa(0 + env | g, k = 2)", r"fa\(k = 1\) at most, or us\(\)"),
        ("fa(0 + env | g, k = 9)", "3 effects have 6 variances"),
        ("fa(1 + x | g)", "2 effects have 3 variances and covariances .* use us"),
        ("fa(1 | g)", "1 effect have|1 effect "),
    ],
)
def test_more_factors_than_covariances_tell_are_refused(term, told):
    data = trial(0, q=3, k=1, genotypes=8).assign(x=lambda d: np.arange(len(d)) % 5 * 1.0)
    with pytest.raises(DataError, match=told):
        hd.lmer(f"y ~ env + {term}", data)


@pytest.mark.parametrize(
    ("term", "told"),
    [
        ("fa(0 + env | g, k = 1.5)", "k is the number of common factors"),
        ("fa(0 + env | g, k = 0)", "k is the number of common factors"),
        ("fa(0 + env | g, k = two)", "k is the number of common factors"),
        ("fa(0 + env | g, hom = TRUE)", "takes k"),
        ("fa(0 + env || g)", "has no place in it"),
    ],
)
def test_what_fa_does_not_take_is_refused(term, told):
    with pytest.raises(FormulaError, match=told):
        hd.lmer(f"y ~ env + {term}", trial(0, q=3, k=1, genotypes=8))


def test_residuals_have_no_common_factors():
    with pytest.raises(FormulaError, match="no residual structure"):
        hd.lmer("y ~ env + (1 | g)", trial(0, q=3, k=1, genotypes=8), residual="fa(env | g)")
