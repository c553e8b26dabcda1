"""Interactions of variants with covariates: the formula, each model by its own formed V, and calibration."""

import logging

import numpy as np
import pytest
from scipy.stats import chi2

from henderson.association.interaction import (
    INFLATES,
    Environment,
    environment_kernel,
    environments,
    interaction_scanner,
    split_interactions,
)
from henderson.errors import DataError, FormulaError
from henderson.formula import build_design
from henderson.linalg.inflation import lambda_gc


@pytest.mark.parametrize(
    ("formula", "rest", "interactions"),
    [
        ("height ~ age + sex + snp:age", "height ~ age + sex", ("age",)),
        ("height ~  age+sex", "height ~  age+sex", ()),
        ("h ~ age + snp", "h ~ age", ()),
        ("h ~ snp", "h ~ 1", ()),
        ("h ~ snp * (age + sex) - 1", "h ~ age + sex - 1", ("age", "sex")),
        ("h ~ age + sex + snp:(age + sex)", "h ~ age + sex", ("age", "sex")),
        ("log(h) ~ poly(age,2) + poly(age,2):snp", "log(h) ~ poly(age, 2)", ("poly(age, 2)",)),
        ("h ~ age + (1 | g) + snp:age + age:snp", "h ~ age + (1 | g)", ("age",)),
        ("h ~ `birth year` + (snp + snp:`birth year`)", "h ~ `birth year`", ("`birth year`",)),
        ("h ~ . + snp:age", "h ~ .", ("age",)),
    ],
)
def test_terms_with_the_variant_are_taken_out(formula, rest, interactions):
    assert split_interactions(formula, ["h", "age"]) == (rest, interactions)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("h ~ age + sex + snp:age:sex", "with one covariate"),
        ("h ~ log(snp)", "stand alone"),
        ("h ~ age + (snp | g)", "stand alone"),
        ("h ~ age - snp", "stand alone"),
        ("snp ~ age", "stand alone"),
        ("h ~ (snp + age)^2", "stand alone"),
        ("~ snp:age", "has a response"),
        ("h ~ age + snp:", "ends where a term"),
    ],
)
def test_a_variant_out_of_place(formula, words):
    with pytest.raises(FormulaError, match=words):
        split_interactions(formula)


def test_a_column_of_that_name():
    with pytest.raises(DataError, match="rename the column"):
        split_interactions("h ~ age + snp:age", ["h", "age", "snp"])
    assert split_interactions("h ~ age", ["h", "age", "snp"]) == ("h ~ age", ())


class TestEnvironments:
    def design(self, formula):
        rng = np.random.default_rng(1)
        data = {
            "y": rng.normal(size=30),
            "age": rng.uniform(20, 60, size=30),
            "birth year": rng.integers(1950, 1990, size=30).astype(float),
            "site": np.array(list("abc"))[rng.integers(0, 3, size=30)],
            "g": np.arange(30) % 5,
        }
        return build_design(f"{formula} + (1 | g)", data), data

    def test_numbers_and_contrasts(self):
        design, data = self.design("y ~ age + site + `birth year` + scale(age)")
        found = environments(design, ("site", "age", "`birth year`", "scale(age)"))
        assert [each.names for each in found] == [
            ("siteb", "sitec"),
            ("age",),
            ("birth_year",),
            ("scale_age",),
        ]
        np.testing.assert_array_equal(found[1].values[:, 0], data["age"])
        np.testing.assert_array_equal(found[0].values, np.stack([data["site"] == c for c in "bc"], axis=1))

    def test_a_factor_in_full_coding_loses_its_first_column(self):
        design, _ = self.design("y ~ 0 + site")
        assert environments(design, ("site",))[0].names == ("siteb", "sitec")

    def test_a_covariate_without_an_effect_of_its_own(self):
        design, _ = self.design("y ~ age + age:site")
        with pytest.raises(DataError, match=r"add it to the formula \(\.\.\. \+ site \+ snp:site\)"):
            environments(design, ("site",))


def cohort(seed, n=120):
    """Related people, a year, a site of three, covariates, a trait and variants."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(n, 2 * n))
    K = W @ W.T / (2 * n)
    year, site = rng.normal(1990.0, 5.0, size=n), rng.integers(0, 3, size=n)
    S = np.stack([site == 1, site == 2], axis=1).astype(float)
    X = np.column_stack([np.ones(n), year, S])
    y = 0.1 * (year - 1990) + np.linalg.cholesky(K) @ rng.normal(size=n) + rng.normal(size=n)
    both = [Environment("year", ("year",), year[:, None]), Environment("site", ("siteb", "sitec"), S)]
    return K, X, y, both, rng.binomial(2, 0.3, size=(6, n)).astype(float)


def by_hand(V, X, y, x, E):
    """Effects of x and x e, their covariance, by the formed V."""
    inverse = np.linalg.inv(V)
    mean = E.mean(axis=0)
    centred = np.column_stack([X[:, :1], X[:, 1:] - X[:, 1:].mean(axis=0)])  # for the sake of the digits
    fixed = np.column_stack([centred, x, x[:, None] * (E - mean)])
    A = fixed.T @ inverse @ fixed
    k = E.shape[1] + 1
    T = np.eye(k)
    T[0, 1:] = -mean
    return T @ np.linalg.solve(A, fixed.T @ inverse @ y)[-k:], T @ np.linalg.inv(A)[-k:, -k:] @ T.T


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("which", [slice(0, 1), slice(1, 2), slice(0, 2)])
def test_each_variant_by_its_own_model(which, kernel):
    K, X, y, both, variants = cohort(1)
    chosen = both[which]
    scanner, (fit,) = interaction_scanner(K, X, [y], chosen, kernel=kernel)
    (found,) = scanner.test(variants)
    kernels = [K, *(environment_kernel(K, each.values) for each in chosen)] if kernel else [K]
    V = np.eye(len(y)) + sum(r * each for r, each in zip(fit.ratios, kernels, strict=True))
    E = np.hstack([each.values for each in chosen])
    words = ["", *(f"_gxe_{word}" for each in chosen for word in each.names)]
    for v, x in enumerate(variants):
        beta, cov = by_hand(fit.sigma2 * V, X, y, x, E)
        for j, word in enumerate(words):
            assert found[f"beta{word}"][v] == pytest.approx(beta[j], rel=1e-8)
            assert found[f"standard_error{word}"][v] == pytest.approx(cov[j, j] ** 0.5, rel=1e-8)
            p = chi2.sf(beta[j] ** 2 / cov[j, j], 1)
            assert found[f"p{word or '_value'}"][v] == pytest.approx(p, rel=1e-7)
        joint = chi2.sf(beta @ np.linalg.solve(cov, beta), beta.size)
        assert found["p_joint"][v] == pytest.approx(joint, rel=1e-5)
        assert found["neg_log_10_p_joint"][v] == pytest.approx(-np.log10(joint), rel=1e-5)
        if beta.size > 2:
            gxe = chi2.sf(beta[1:] @ np.linalg.solve(cov[1:, 1:], beta[1:]), beta.size - 1)
            assert found["p_gxe"][v] == pytest.approx(gxe, rel=1e-7)
    assert ("p_gxe" in found) == (E.shape[1] > 1)
    assert (found["status"] == "ok").all()
    assert all(name.replace("_", "").isalnum() for name in found)


def test_units_and_origin_of_a_covariate():
    """gamma has its units; its test, the joint test and the kernel know nothing of them."""
    K, X, y, (year, _), variants = cohort(2)
    moved = Environment("year", ("year",), 12.0 * (year.values - 1900.0))
    (scanner, (fit,)), (other, (again,)) = (
        interaction_scanner(K, X, [y], [each], kernel=True) for each in (year, moved)
    )
    np.testing.assert_allclose(again.ratios, fit.ratios, rtol=1e-6, atol=1e-9)
    (found,), (expected,) = other.test(variants), scanner.test(variants)
    np.testing.assert_allclose(12.0 * found["beta_gxe_year"], expected["beta_gxe_year"], rtol=1e-6)
    for name in ("p_gxe_year", "p_joint"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)


def test_interactions_that_follow_from_the_covariates():
    K, X, y, both, variants = cohort(3)
    S = both[1].values
    variants[0][S[:, 1] == 1] = 0.0  # constant at one site
    variants[1][S[:, 1] == 1] = 2.0
    variants[2][S.sum(axis=1) == 1] = 1.0  # at two
    variants[3] = S[:, 0]  # is a covariate
    (found,) = interaction_scanner(K, X, [y], both, kernel=True)[0].test(variants)
    assert found["status"].tolist() == [
        "snp:sitec follows from the covariates",
        "snp:sitec follows from the covariates",
        "snp:siteb, snp:sitec follow from the covariates",
        "snp, snp:siteb, snp:sitec follow from the covariates",
        "ok",
        "ok",
    ]
    assert np.isnan(found["beta_gxe_sitec"]).tolist() == [True] * 4 + [False] * 2
    assert np.isfinite(found["beta_gxe_year"]).all()
    assert np.isnan(found["beta"]).tolist() == [False] * 3 + [True] + [False] * 2
    assert found["p_joint"][3] == pytest.approx(found["p_gxe_year"][3], rel=1e-9)  # all that is left
    one = interaction_scanner(K, X, [y], [both[0], Environment("b", ("b",), S[:, :1])], kernel=True)[0]
    np.testing.assert_array_equal(np.isnan(one.test(variants)[0]["beta_gxe_b"][:2]), [False, False])


def test_what_is_left_out_leaves_the_rest_as_if_it_had_not_been_there():
    K, X, y, (_, site), variants = cohort(4)
    variants[0][site.values[:, 1] == 1] = 0.0
    scanner, (fit,) = interaction_scanner(K, X, [y], [site], kernel=True)
    (found,) = scanner.test(variants)
    V = np.eye(len(y)) + fit.ratios[0] * K + fit.ratios[1] * environment_kernel(K, site.values)
    beta, cov = by_hand(fit.sigma2 * V, X, y, variants[0], site.values[:, :1])
    assert found["beta"][0] == pytest.approx(beta[0], rel=1e-8)
    assert found["beta_gxe_siteb"][0] == pytest.approx(beta[1], rel=1e-8)
    assert found["p_joint"][0] == pytest.approx(chi2.sf(beta @ np.linalg.solve(cov, beta), 2), rel=1e-7)
    assert found["p_gxe"][0] == pytest.approx(found["p_gxe_siteb"][0], rel=1e-7)


def test_several_traits_and_no_variants():
    K, X, y, both, variants = cohort(5)
    ys = [y, y[::-1].copy()]
    together, _ = interaction_scanner(K, X, ys, both, kernel=True)
    for columns, each in zip(together.test(variants), ys, strict=True):
        (alone,) = interaction_scanner(K, X, [each], both, kernel=True)[0].test(variants)
        for name in ("beta", "p_joint", "p_gxe_year"):
            np.testing.assert_allclose(columns[name], alone[name], rtol=1e-9)
    assert all(values.size == 0 for values in together.test(variants[:0])[0].values())


def test_a_covariate_that_does_not_vary():
    K, X, y, _, _ = cohort(6)
    with pytest.raises(DataError, match="one has one value in all people analysed"):
        interaction_scanner(K, X, [y], [Environment("one", ("one",), np.ones((len(y), 1)))], kernel=True)


def test_the_kernel_knows_neither_contrasts_nor_units():
    K, _, _, (year, site), _ = cohort(7)
    own = environment_kernel(K, site.values)
    other = environment_kernel(K, site.values @ [[1.0, 2.0], [-1.0, 5.0]] + 3.0)
    np.testing.assert_allclose(own, other, atol=1e-10)
    e = (year.values[:, 0] - year.values.mean()) / year.values.std()
    np.testing.assert_allclose(environment_kernel(K, year.values), K * np.outer(e, e), atol=1e-9)
    assert np.linalg.eigvalsh(own)[0] > -1e-10


def sibships(rng, families, m):
    """Genotypes of families of four, each child's gametes drawn from its parents, (people, m)."""
    p = rng.uniform(0.2, 0.5, size=m)
    parents = rng.random((families, 1, 2, 2, m)) < p
    gamete = rng.integers(0, 2, size=(families, 4, 2, m))
    inherited = np.where(gamete == 0, parents[:, :, :, 0], parents[:, :, :, 1])
    return inherited.sum(axis=2).reshape(-1, m).astype(float)


def test_without_its_kernel_the_interaction_is_inflated(caplog):
    """500 people in families, 400 variants whose effects depend on e; 5,000 others are tested, none of which
    has any. Measured: 4.8 % of p-values below 0.05 with the kernel, 16 % without."""
    below, tails = {True: [], False: []}, {True: [], False: []}
    for repeat in range(10):
        rng = np.random.default_rng(np.random.SeedSequence(7, spawn_key=(0, repeat)))
        causal = sibships(rng, 125, 400)
        causal = (causal - causal.mean(axis=0)) / causal.std(axis=0)
        K, e = causal @ causal.T / 400, rng.normal(size=500)
        g, g_e = (causal @ rng.normal(size=(400, 2)) / 20.0).T
        y = np.sqrt(0.3) * g + np.sqrt(0.3) * g_e * e + np.sqrt(0.4) * rng.normal(size=500)
        X, env = np.column_stack([np.ones(500), e]), [Environment("e", ("e",), e[:, None])]
        null = sibships(rng, 125, 500).T
        for kernel in (True, False):
            with caplog.at_level(logging.WARNING, logger="henderson"):
                scanner, _ = interaction_scanner(K, X, [y], env, kernel=kernel)
            assert (INFLATES in caplog.text) != kernel
            caplog.clear()
            (found,) = scanner.test(null)
            below[kernel].append((found["p_gxe_e"] < 0.05).mean())
            tails[kernel].append(found["neg_log_10_p_gxe_e"])
    se = np.std(below[True], ddof=1) / np.sqrt(10)
    assert abs(np.mean(below[True]) - 0.05) < 3 * max(se, 0.003)
    assert np.mean(below[False]) > 0.12
    assert abs(lambda_gc(np.concatenate(tails[True])) - 1.0) < 0.15
    assert lambda_gc(np.concatenate(tails[False])) > 1.6
