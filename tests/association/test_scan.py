"""Scans without a relationship matrix: against `lmer` with the variant added, and against GLS by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from cohorts import cohort, families
from henderson.genotype import ArraySource
from plink_files import random_genotypes, write_plink

FIRST = [
    "chromosome",
    "base_pair_location",
    "effect_allele",
    "other_allele",
    "beta",
    "standard_error",
    "effect_allele_frequency",
    "p_value",
    "neg_log_10_p_value",
    "rsid",
    "n",
]
PLAIN = ["beta_ols", "standard_error_ols", "p_ols", "neg_log_10_p_ols"]
LIKELIHOODS = ["log_likelihood", "p_lrt", "neg_log_10_p_lrt", "p_score", "neg_log_10_p_score"]
LAMBDAS = ["lambda_reml", "lambda_ml"]


def clustered(n=120, m=14, seed=3, missing=0.06):
    """Families of unequal sizes, not in order, and sites crossed with them; effects of both in y."""
    rng = np.random.default_rng(seed)
    calls = random_genotypes(m, n, seed=seed, missing=missing, low=0.2, high=0.8)
    family, site = rng.integers(0, 17, n), rng.integers(0, 9, n)
    age = rng.uniform(-2, 2, n)
    source = ArraySource.of(calls)
    y = 5 + 0.4 * age + rng.normal(size=17)[family] + 0.8 * rng.normal(size=9)[site]
    y += 0.7 * rng.normal(size=17)[family] * age + 0.5 * calls[2].clip(0) + rng.normal(size=n)
    table = pd.DataFrame(
        {
            "IID": source.samples.iid,
            "y": y,
            "age": age,
            "sex": np.where(rng.random(n) < 0.5, "f", "m"),
            "family": [f"f{k}" for k in family],
            "site": [f"s{k}" for k in site],
        }
    )
    return source, table


def copies(source, v, rows):
    """Copies of the effect allele in some people, missing ones at their mean."""
    x = source.calls[v, rows].astype(float)
    return np.where(x < 0, x[x >= 0].mean(), x)


def with_variant(formula, table, source, v, *, reml):
    """The same model by `lmer`, the variant in it as a number."""
    rows = np.arange(len(table))
    return hd.lmer(f"{formula} + variant", table.assign(variant=copies(source, v, rows)), REML=reml)


def lmer_variances(fit):
    """Variance of each random effect, in lme4's order, then the residual."""
    found = [v for term in fit.varcorr for v in np.diag(term.covariance)]
    return np.array([*found, fit.sigma**2])


MODELS = [
    ("y ~ age + sex + (1 | family)", ["family_variance", "residual_variance"]),
    ("y ~ 1 + (1 | family)", ["family_variance", "residual_variance"]),
    ("y ~ age + (1 | family) + (1 | site)", ["family_variance", "site_variance", "residual_variance"]),
    ("y ~ age + (age | family)", ["family_variance", "family_age_variance", "residual_variance"]),
    ("y ~ age + (0 + age | family)", ["family_age_variance", "residual_variance"]),
]


@pytest.mark.parametrize(("formula", "names"), MODELS, ids=[f for f, _ in MODELS])
def test_each_variant_is_a_model_of_lmer(formula, names):
    source, table = clustered()
    result = hd.scan(formula, table, source)
    assert [c for c in result.table.columns if c.endswith("_variance")] == names
    null = hd.lmer(formula, table, REML=False).loglik
    for v, row in result.table.iterrows():
        reml = with_variant(formula, table, source, v, reml=True)
        ml = with_variant(formula, table, source, v, reml=False)
        k = list(reml.fixef.index).index("variant")
        se = float(np.sqrt(np.asarray(reml.vcov)[k, k]))
        assert row["beta"] == pytest.approx(reml.fixef.iloc[k], abs=1e-6 * se)
        assert row["standard_error"] == pytest.approx(se, rel=1e-6)
        total = lmer_variances(reml).sum()
        assert row[names].to_numpy(float) == pytest.approx(lmer_variances(reml), rel=1e-5, abs=1e-6 * total)
        assert row["log_likelihood"] == pytest.approx(ml.loglik, abs=1e-7)
        lrt = 2 * (ml.loglik - null)
        assert row["neg_log_10_p_lrt"] == pytest.approx(_chi2_tail(lrt), rel=1e-6, abs=1e-6)
        df = len(table) - len(reml.fixef)
        assert row["neg_log_10_p_value"] == pytest.approx(_f_tail((row["beta"] / se) ** 2, df), rel=1e-6)


def _chi2_tail(x):
    from scipy import stats

    return -stats.chi2.logsf(x, 1) / np.log(10)


def _f_tail(x, df):
    from scipy import stats

    return -stats.f.logsf(x, 1, df) / np.log(10)


def gls(table, source, rows, V, X):
    """Effect and standard error of each variant with V known."""
    Vi = np.linalg.inv(V)
    out = []
    for v in range(source.variants.m):
        A = np.column_stack([X, copies(source, v, rows)])
        cov = np.linalg.inv(A.T @ Vi @ A)
        out.append(((cov @ A.T @ Vi @ table["y"].to_numpy()[rows])[-1], np.sqrt(cov[-1, -1])))
    return np.array(out).T


@pytest.mark.parametrize(
    "formula", ["y ~ age + (1 | family)", "y ~ age + (1 | family) + (1 | site)", "y ~ age + (age | family)"]
)
def test_null_components_are_kept(formula):
    """``test="null"``: generalised least squares at the REML estimates of the model without a variant."""
    source, table = clustered()
    table.loc[[4, 9], "y"] = np.nan
    rows = np.flatnonzero(table["y"].notna())
    result = hd.scan(formula, table, source, test="null")
    null = hd.lmer(formula, table)
    X = np.column_stack([np.ones(rows.size), table["age"].to_numpy()[rows]])
    V = null.sigma**2 * np.eye(rows.size)
    for term in null.varcorr:
        label = table[term.group].to_numpy()[rows]
        Z = X[:, : len(term.names)]
        V += np.equal.outer(label, label) * (Z @ term.covariance @ Z.T)
    beta, se = gls(table, source, rows, V, X)
    assert np.abs((result.table["beta"] - beta) / se).max() < 1e-6
    assert np.allclose(result.table["standard_error"], se, rtol=1e-6, atol=0)
    assert np.allclose(result.table["neg_log_10_p_value"], _chi2_tail((beta / se) ** 2), rtol=1e-5)
    assert list(result.table.columns) == [*FIRST, *PLAIN, "status"]


def test_score_of_several_random_terms():
    """At the ML estimates without the variant, as the models with one variance ratio have it."""
    source, table = clustered(missing=0.0)
    formula = "y ~ age + (1 | family) + (1 | site)"
    result = hd.scan(formula, table, source)
    ml = hd.lmer(formula, table, REML=False)
    V = np.eye(len(table))
    for term in ml.varcorr:
        label = table[term.group].to_numpy()
        V += np.equal.outer(label, label) * float(term.covariance[0, 0]) / ml.sigma**2
    Vi, n = np.linalg.inv(V), len(table)
    X, y = np.column_stack([np.ones(n), table["age"]]), table["y"].to_numpy()
    P = Vi - Vi @ X @ np.linalg.solve(X.T @ Vi @ X, X.T @ Vi)
    x = source.calls.astype(float)
    score = n * (x @ P @ y) ** 2 / (y @ P @ y * np.einsum("vi,ij,vj->v", x, P, x))
    assert np.allclose(result.table["neg_log_10_p_score"], _f_tail(score, n - 3), rtol=1e-5, atol=1e-7)


# -- the table -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "options", "rest"),
    [
        ("y ~ age", {"relationship": "grm"}, ["h2", *LAMBDAS, *LIKELIHOODS]),
        (
            "y ~ age + (1 | family)",
            {},
            ["family_variance", "residual_variance", *LAMBDAS, *LIKELIHOODS],
        ),
        ("y ~ age", {"relationship": "grm", "test": "null"}, []),
    ],
    ids=["exact", "groups", "null"],
)
def test_columns(formula, options, rest):
    source, table = cohort(missing=0.02)
    found = hd.scan(formula, table, source, **options).table
    assert list(found.columns) == [*FIRST, *rest, *PLAIN, "status"]
    text = {"chromosome", "effect_allele", "other_allele", "rsid", "status"}
    for name in found.columns:
        if name in text:
            assert all(isinstance(value, str) for value in found[name]), name
        elif name in ("base_pair_location", "n"):
            assert found[name].dtype == np.int64, name
        else:
            assert found[name].dtype == np.float64, name
    assert found["rsid"].tolist() == source.variants.identifier.tolist()
    assert found["base_pair_location"].tolist() == source.variants.position.tolist()
    assert found["n"].tolist() == (source.calls >= 0).sum(axis=1).tolist()
    called = np.where(source.calls < 0, np.nan, source.calls)
    assert np.allclose(found["effect_allele_frequency"], np.nanmean(called, axis=1) / 2, rtol=1e-14)


def test_from_files(tmp_path):
    """A path to a fileset, and FID and IID in the table."""
    calls, family = families(20, 4, 25, seed=2, missing=0.01)
    people = [(f"fam{f}", f"child{i}") for i, f in enumerate(family)]
    prefix = write_plink(tmp_path / "kids", calls, samples=people)
    rng = np.random.default_rng(5)
    table = pd.DataFrame(people, columns=["FID", "IID"]).assign(y=rng.normal(size=80), family=family)
    by_path = hd.scan("y ~ 1 + (1 | family)", table, prefix).table
    opened = hd.scan("y ~ 1 + (1 | family)", table, hd.open_plink1(prefix)).table
    pd.testing.assert_frame_equal(by_path, opened)
    in_memory = hd.scan(
        "y ~ 1 + (1 | family)", table.assign(IID=np.arange(1, 81)).drop(columns="FID"), ArraySource.of(calls)
    ).table
    numbers = by_path.select_dtypes("number").columns.drop("base_pair_location")
    assert np.allclose(by_path[numbers], in_memory[numbers], rtol=1e-12, atol=0)


def test_result():
    source, table = cohort(n=100, m=60, seed=8)
    table["y"] += 2.0 * source.calls[33]
    result = hd.scan("y ~ age", table, source, relationship="grm")
    assert result.n_tested == 60
    assert "100 people: 60 of 60" in repr(result)
    assert result.top(3).index[0] == 33
    assert result.top(3)["p_value"].is_monotonic_increasing
    assert result.null.nobs == 100
    chi2 = np.median((result.table["beta"] / result.table["standard_error"]) ** 2) / 0.4549364
    assert result.lambda_gc == pytest.approx(chi2, rel=0.05)  # F and chi-squared differ a little
