"""Genome scans: what is said of variants that cannot be tested and of variances at a bound; calibration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import henderson as hd
from cohorts import cohort, families
from henderson.association.rules import ScanRules
from henderson.covariance import RelationshipMatrix
from henderson.genotype import ArraySource
from plink_files import random_genotypes

WAYS = {
    "grm": "y ~ age",
    "family": "y ~ age + (1 | family)",
    "general": "y ~ age + (1 | family) + (1 | site)",
}


def scan(way, table, source, *, formula=None, **options):
    G = hd.grm(ArraySource.of(random_genotypes(300, source.samples.n, seed=99)))
    G = RelationshipMatrix(G.matrix, source.samples)
    relationship = G if way == "grm" else None
    return hd.scan(formula or WAYS[way], table, source, relationship=relationship, **options)


def troubled():
    """Twelve variants, of which seven cannot be tested, and what is said of these."""
    source, table = cohort(n=100, m=12, seed=31)
    calls = source.calls.copy()
    table["carrier"] = calls[9].astype(float)
    table["opposite"] = 7.0 - 3.0 * calls[10]
    said = {}
    calls[1], said[1] = 2, "monomorphic"
    calls[2], said[2] = -1, "no calls"
    calls[3, :6], said[3] = -1, "missing rate above 0.05"
    calls[4], said[4] = 0, "allele frequency below 0.01"
    calls[4, 50] = 1
    calls[5], said[5] = 1, "monomorphic"  # heterozygous all
    calls[6], said[6] = 0, "monomorphic"
    calls[6, :5] = -1
    said[9] = said[10] = "follows from the covariates"
    source = ArraySource(calls, source.samples, source.variants)
    return source, table, said


@pytest.mark.parametrize("test", ["exact", "null"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("gemma", [False, True])
def test_variants_that_cannot_be_tested(way, test, gemma):
    source, table, said = troubled()
    left, right = WAYS[way].split(" ~ ")
    rules = ScanRules(min_maf=0.01, max_missing=0.05, gemma=gemma)
    formula = f"{left} ~ carrier + opposite + {right}"
    found = scan(way, table, source, formula=formula, test=test, rules=rules).table
    assert found["rsid"].tolist() == source.variants.identifier.tolist()
    numbers = [
        name
        for name in found.select_dtypes("number")
        if name not in ("n", "base_pair_location", "effect_allele_frequency")
    ]
    for v, row in found.iterrows():
        if v in said:
            assert row["status"] == said[v], v
            assert np.isnan(row[numbers].to_numpy(float)).all(), v
        else:
            assert row["status"] not in set(said.values())
            assert np.isfinite(row[numbers].to_numpy(float)).all(), v
    assert found["n"].tolist() == (source.calls >= 0).sum(axis=1).tolist()
    assert np.isnan(found.loc[2, "effect_allele_frequency"])


@pytest.mark.parametrize("way", WAYS)
def test_a_variant_that_cannot_be_tested_changes_no_other(way):
    source, table, said = troubled()
    rules = ScanRules(min_maf=0.01, max_missing=0.05)
    left, right = WAYS[way].split(" ~ ")
    formula = f"{left} ~ carrier + opposite + {right}"
    found = scan(way, table, source, formula=formula, rules=rules).table
    good = np.array([v for v in range(12) if v not in said])
    alone = ArraySource(source.calls[good], source.samples, source.variants.take(good))
    expected = scan(way, table, alone, formula=formula, rules=rules).table
    pd.testing.assert_frame_equal(
        found.iloc[good].reset_index(drop=True), expected, check_dtype=False, rtol=1e-9
    )


@pytest.mark.parametrize("test", ["exact", "null"])
@pytest.mark.parametrize("way", ["grm", "family", "general"])
def test_nothing_to_test(way, test):
    """All rows are there, with the reason; lambda_gc is none. So it is of any block of a genome."""
    source, table = cohort(n=60, m=5, seed=2)
    nothing = ArraySource(np.full((5, 60), -1, np.int8), source.samples, source.variants)
    result = scan(way, table, nothing, test=test)
    assert result.table["status"].tolist() == ["no calls"] * 5
    assert result.table["n"].tolist() == [0] * 5
    assert result.n_tested == 0
    assert np.isnan(result.lambda_gc)


def test_missing_rate_and_frequency_are_of_the_people_analysed():
    source, table = cohort(n=100, m=3, seed=5)
    calls = source.calls.copy()
    calls[0, :50] = -1
    calls[1] = 0
    calls[1, :50] = 1
    table.loc[:49, "y"] = np.nan
    source = ArraySource(calls, source.samples, source.variants)
    found = scan("grm", table, source, rules=ScanRules(max_missing=0.0)).table
    assert np.isfinite(found.loc[0, "p_value"])
    assert found.loc[1, "status"] == "monomorphic"
    assert found["n"].tolist() == [50] * 3
    assert found["effect_allele_frequency"].tolist() == (calls[:, 50:].mean(axis=1) / 2).tolist()


def test_limits_are_included():
    """A variant exactly at a limit is tested."""
    calls = random_genotypes(3, 100, seed=1, low=0.4, high=0.6)
    calls[0] = np.repeat([0, 1], [80, 20])  # frequency 0.1
    calls[1, :20] = -1
    calls[2] = np.repeat([2, 1], [80, 20])
    source = ArraySource.of(calls)
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"IID": source.samples.iid, "y": rng.normal(size=100), "age": rng.normal(size=100)})
    found = scan("grm", table, source, rules=ScanRules(min_maf=0.1, max_missing=0.2)).table
    assert found["p_value"].notna().all()
    stricter = scan("grm", table, source, rules=ScanRules(min_maf=0.1001, max_missing=0.1999)).table
    assert stricter["status"].tolist() == [
        "allele frequency below 0.1001",
        "missing rate above 0.1999",
        "allele frequency below 0.1001",
    ]


# -- variances at a bound ------------------------------------------------------------------------------------


def test_no_heritability_is_plain_regression():
    """Where h2 is estimated as zero, the answer is that of least squares."""
    source, table = cohort(n=120, m=80, seed=3)
    table["y"] = np.random.default_rng(3).normal(size=120)
    found = scan("grm", table, source).table
    zero = found[found["status"] == "h2 at 0"]
    assert len(zero) > 5
    assert (zero["h2"] == 0).all()
    assert (zero["lambda_reml"] == 0).all()
    for v, row in zero.iterrows():
        A = np.column_stack([np.ones(120), table["age"], source.calls[v]])
        beta, rss, *_ = np.linalg.lstsq(A, table["y"].to_numpy(), rcond=None)
        se = np.sqrt(rss[0] / 117 * np.linalg.inv(A.T @ A)[2, 2])
        assert row["beta"] == pytest.approx(beta[2], rel=1e-10)
        assert row["standard_error"] == pytest.approx(se, rel=1e-10)
        p = 2 * stats.t.sf(abs(beta[2] / se), 117)
        assert row["p_value"] == pytest.approx(p, rel=1e-9)


def test_nothing_but_heritability():
    """A trait without residual variance: h2 at its upper end, said so, and numbers are finite."""
    source, table = cohort(n=100, m=30, seed=3)
    G = hd.grm(ArraySource.of(random_genotypes(300, 100, seed=99)))
    L = np.linalg.cholesky(G.matrix + 1e-9 * np.eye(100))
    table["y"] = L @ np.random.default_rng(2).normal(size=100)
    found = scan("grm", table, source, formula="y ~ 1").table
    assert (found["h2"] > 0.9).all()
    assert np.isfinite(found.select_dtypes("number").to_numpy()).all()
    end = found["lambda_reml"] == found["lambda_reml"].max()
    at_end = found["status"].str.startswith("h2 at its upper bound") & ~found["status"].str.contains(
        "ML only"
    )
    assert at_end.equals(end)
    assert end.sum() > 5


def test_variance_of_a_group_at_zero():
    source, table = cohort(n=100, m=60, seed=4)
    table["y"] = np.random.default_rng(8).normal(size=100)
    for way, words in (("family", "variance at 0"), ("general", "singular")):
        found = scan(way, table, source).table
        zero = found["status"] == words
        variances = found.filter(regex="(family|site)_variance")
        assert zero.any()
        assert ((variances == 0).any(axis=1) == zero).all()


def test_gemma_has_ends_where_others_have_zero():
    source, table = cohort(n=120, m=80, seed=3)
    table["y"] = np.random.default_rng(3).normal(size=120)
    found = scan("grm", table, source, rules=ScanRules.like_gemma()).table
    low = found["status"] == "lambda at its lower bound"
    assert low.any()
    assert np.allclose(found.loc[low, "lambda_reml"], 1e-5, rtol=1e-12)
    assert found["lambda_reml"].min() >= 1e-5 * (1 - 1e-12)


# -- calibration and power -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def polygenic():
    """300 people in families of five; 500 variants make the trait, 5,000 others do not, and one is large."""
    rng = np.random.default_rng(42)
    calls, family = families(60, 5, 5501, seed=77)
    z = calls - calls.mean(axis=1, keepdims=True)
    z /= z.std(axis=1, keepdims=True)
    genetic = rng.normal(size=500) @ z[:500]
    y = genetic / genetic.std() * np.sqrt(0.6) + rng.normal(size=300) * np.sqrt(0.4) + 0.6 * z[5500]
    source = ArraySource.of(calls)
    table = pd.DataFrame({"IID": source.samples.iid, "y": y, "family": family})
    kinship = np.equal.outer(family, family) * 0.5 + 0.5 * np.eye(300)
    return source, table, {"grm": hd.grm(source), "pedigree": RelationshipMatrix(kinship, source.samples)}


@pytest.mark.parametrize("test", ["exact", "null"])
@pytest.mark.parametrize("which", ["pedigree", "grm", "family"])
def test_null_variants_are_uniform(polygenic, which, test):
    """The GRM holds the variant itself, which costs some power; pedigree and families do not."""
    source, table, matrices = polygenic
    formula = "y ~ 1 + (1 | family)" if which == "family" else "y ~ 1"
    found = hd.scan(formula, table, source, relationship=matrices.get(which), test=test).table
    assert found["neg_log_10_p_value"].argmax() == 5500
    assert found["p_value"].iloc[5500] < 5e-8
    for name in [c for c in found.columns if c.startswith("p_") and c != "p_ols"]:
        null = found[name].iloc[500:5500]
        inflation = np.median(stats.chi2.isf(null, 1)) / stats.chi2.ppf(0.5, 1)
        # standard error of a median of 5,000 chi-squared is 0.024 of it; families are shared by all variants
        assert 0.85 < inflation < 1.15, name
        for level in (0.05, 0.01):
            rate = (null < level).mean()
            assert abs(rate - level) < 5 * np.sqrt(level / 5000), (name, level, rate)
    if which == "pedigree":
        assert stats.kstest(found["p_value"].iloc[500:5500], "uniform").pvalue > 1e-3


def test_without_relationship_it_would_be_inflated(polygenic):
    """The test above can fail: by least squares the p-values of the same variants are too small."""
    source, table, _ = polygenic
    x = source.calls[500:5500].astype(float)
    x -= x.mean(axis=1, keepdims=True)
    y = table["y"].to_numpy() - table["y"].mean()
    r2 = (x @ y) ** 2 / ((x * x).sum(axis=1) * (y @ y))
    p = stats.f.sf(298 * r2 / (1 - r2), 1, 298)
    assert np.median(stats.chi2.isf(p, 1)) / stats.chi2.ppf(0.5, 1) > 1.2


@pytest.mark.parametrize("test", ["p_lrt", "p_score"])
def test_uniform_where_all_is_heritable(polygenic, test):
    """The Wald test is: by REML h2 is 0.98."""
    source, table, _ = polygenic
    z = source.calls[:500] - source.calls[:500].mean(axis=1, keepdims=True)
    z = z / z.std(axis=1, keepdims=True)
    table = table.assign(y=np.random.default_rng(6).normal(size=500) @ z)
    K = hd.grm(ArraySource(source.calls[:500], source.samples, source.variants.take(slice(0, 500))))
    found = hd.scan("y ~ 1", table, source, relationship=K).table.iloc[500:2500]
    inflation = {
        name: np.median(stats.chi2.isf(found[name], 1)) / stats.chi2.ppf(0.5, 1) for name in ("p_value", test)
    }
    if not 0.85 < inflation["p_value"] < 1.15:
        pytest.fail("the Wald test is not calibrated")
    assert inflation[test] < 1.15


def test_a_variant_that_is_the_trait():
    """Others are tested as ever, and nothing is written to standard error."""
    source, table = cohort(n=60, m=30, seed=1)
    found = scan("family", table.assign(y=source.calls[3].astype(float)), source, formula="y ~ (1 | family)")
    others = found.table.drop(index=3)
    assert np.isfinite(others.select_dtypes("number").to_numpy()).all()
    assert found.table.loc[3, "status"] != "ok"


def test_relationship_that_is_the_residual():
    """Unrelated people with K = I: h2 cannot be told, and must not be invented."""
    source, table = cohort(n=60, m=30, seed=1)
    with pytest.raises(hd.DataError, match="residual"):
        hd.scan("y ~ age", table, source, relationship=RelationshipMatrix(np.eye(60), source.samples))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_relationship_that_says_nothing(value):
    """All zeros, or all ones beside an intercept: positive semi-definite, and of no use."""
    source, table = cohort(n=60, m=30, seed=1)
    K = RelationshipMatrix(np.full((60, 60), value), source.samples)
    with pytest.raises(hd.DataError) as caught:
        hd.scan("y ~ age", table, source, relationship=K)
    assert "not positive semi-definite" not in str(caught.value)


@pytest.mark.parametrize("h2", [0.0, 0.4, 0.95])
def test_the_three_tests_agree_where_everybody_genotyped_is_analysed(h2):
    """Their matrix is zero along the intercept; the likelihood must not run away along it."""
    source, table = cohort(60, 300, seed=9, h2=h2)
    K = hd.grm(source)
    assert np.abs(K.matrix.sum(axis=0)).max() < 1e-10
    rng = np.random.default_rng(10)
    for _ in range(8):
        y = table["y"].sample(frac=1.0, random_state=rng).to_numpy() if h2 == 0.0 else table["y"]
        found = hd.scan("y ~ 1", table.assign(y=y), source, relationship=K).table
        tails = [found[f"neg_log_10_p_{name}"] for name in ("value", "lrt", "score")]
        assert all((np.abs(tail - tails[0]) < 0.5 + 0.4 * tails[0]).all() for tail in tails)
        assert min(np.corrcoef(tail, tails[0])[0, 1] for tail in tails) > 0.97
        assert not (found["p_lrt"] == 1.0).any()
