"""Named variants: found or refused in one sentence, and fitted together as a formed V has it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from henderson.association.conditional import find_named, fit_variants, variant_columns
from henderson.covariance import RelationshipMatrix
from henderson.errors import DataError, FormulaError
from henderson.genotype import ArraySource


def cohort(seed=1, m=60, n=90):
    """Two chromosomes of variants with a few calls missing, and a trait that two of them shift."""
    rng = np.random.default_rng(seed)
    calls = rng.binomial(2, 0.4, size=(m, n))
    calls[5, :4] = -1
    source = ArraySource.of(calls)
    names = np.array([f"rs{1000 + k}" for k in range(m)])
    chromosome = np.repeat(["1", "2"], [m // 2, m - m // 2])
    source = replace(source, variants=replace(source.variants, identifier=names, chromosome=chromosome))
    age = rng.uniform(20, 60, size=n)
    y = 0.02 * age + 0.8 * calls[3] + 0.5 * np.maximum(calls[5], 0) + rng.normal(size=n)
    order = rng.permutation(n)
    table = pd.DataFrame({"IID": source.samples.iid[order], "height": y[order], "age": age[order]})
    return source, table.iloc[:-3]


def test_copies_by_name_and_by_place():
    source, _ = cohort()
    people = np.array([70, 2, *range(20, 30)])
    found = variant_columns(source, ["rs1005", "1:4:A:B", "chr1:5:A:B"], people)
    assert list(found) == ["rs1005", "1:4:A:B", "chr1:5:A:B"]
    np.testing.assert_array_equal(found["1:4:A:B"], source.calls[3, people])
    np.testing.assert_array_equal(found["chr1:5:A:B"], source.calls[4, people])
    others = source.calls[5, np.delete(people, 1)]
    np.testing.assert_array_equal(found["rs1005"], np.insert(others.astype(float), 1, np.nan))
    everybody = variant_columns(source, ["rs1005"])["rs1005"]
    assert everybody.dtype == np.float64
    assert np.isnan(everybody[:4]).all()
    np.testing.assert_array_equal(everybody[4:], source.calls[5, 4:])


def test_names_that_are_not_there():
    source, _ = cohort()
    for name, words in (
        ("rs103", "no variant 'rs103' .*; did you mean 'rs10[0-9]+'"),
        ("RS1003", "did you mean 'rs1003'"),
        ("1:4:B:A", "with the other allele as the effect allele"),
        ("1:4:A:C", "no variant '1:4:A:C'"),
        ("affx-77", "no variant 'affx-77' among the genotypes$"),
    ):
        with pytest.raises(DataError, match=words):
            variant_columns(source, [name])


def test_names_of_several_variants():
    source, _ = cohort()
    names = source.variants.identifier.copy()
    names[[3, 9]] = "rs7"
    source = replace(source, variants=replace(source.variants, identifier=names))
    with pytest.raises(DataError, match=r"2 variants are called 'rs7': give .* \(1:4:A:B, 1:10:A:B\)"):
        variant_columns(source, ["rs7"])
    assert find_named(source.variants, ["1:10:A:B", "rs1000", "1:10:A:B"]) == {"1:10:A:B": 9, "rs1000": 0}
    position = source.variants.position.copy()
    position[9] = position[3]
    source = replace(source, variants=replace(source.variants, position=position))
    with pytest.raises(DataError, match="1:4:A:B is there more than once"):
        variant_columns(source, ["rs7"])


def test_a_variant_that_does_not_vary():
    source, _ = cohort()
    source.calls[8] = 1
    with pytest.raises(DataError, match="'rs1008' does not vary among the 90 people"):
        variant_columns(source, ["rs1008"])


def test_variants_together_by_a_formed_v():
    source, table = cohort()
    G = hd.grm(source)
    fit = fit_variants("height ~ age", table, source, ["rs1003", "rs1005"], relationship=G)
    rows = [source.samples.iid.tolist().index(iid) for iid in table["IID"]]
    copies = variant_columns(source, ["rs1003", "rs1005"])
    mine = [copies[name][rows] for name in ("rs1003", "rs1005")]
    mine = [np.where(np.isnan(each), np.nanmean(each), each) for each in mine]
    X = np.column_stack([np.ones(len(rows)), table["age"], *mine])
    y = table["height"].to_numpy()
    V = np.eye(len(rows)) + fit.theta[0] ** 2 * G.matrix[np.ix_(rows, rows)]
    A = X.T @ np.linalg.solve(V, X)
    beta = np.linalg.solve(A, X.T @ np.linalg.solve(V, y))
    assert list(fit.fixef.index) == ["(Intercept)", "age", "rs1003", "rs1005"]
    np.testing.assert_allclose(fit.fixef, beta, rtol=1e-8)
    cov = fit.sigma**2 * np.linalg.inv(A)
    np.testing.assert_allclose(fit.se, np.sqrt(np.diag(cov)), rtol=1e-8)
    joint = fit.joint_test({name: {name: 1.0} for name in ("rs1003", "rs1005")})
    F = beta[2:] @ np.linalg.solve(cov[2:, 2:], beta[2:]) / 2
    assert joint["num_df"].item() == 2
    assert joint["f"].item() == pytest.approx(F, rel=1e-7)


@pytest.mark.parametrize("test", ["exact", "null"])
def test_a_variant_with_missing_calls_follows_from_itself(test):
    """Some of those genotyped are not analysed: their calls do not count for the missing ones of others."""
    source, table = cohort()
    found = hd.scan("height ~ age", table, source, relationship="grm", condition=["rs1005"], test=test).table
    assert found["status"][5] == "follows from the covariates"
    assert np.isnan(found["beta"][5])
    assert found["beta"].notna().sum() == 59


def test_a_named_variant_that_nobody_analysed_has_a_call_of(caplog):
    source, table = cohort()
    analysed = np.isin(source.samples.iid, table["IID"])
    source.calls[7, analysed] = -1
    source.calls[7, np.flatnonzero(~analysed)[:2]] = [0, 1]
    with caplog.at_level("INFO", logger="henderson"):
        found = hd.scan("height ~ age", table, source, relationship="grm", condition="rs1007", test="null")
    assert "rs1007" in caplog.text
    plain = hd.scan("height ~ age", table, source, relationship="grm", test="null").table
    pd.testing.assert_frame_equal(found.table, plain, rtol=1e-8)


def test_the_relationship_leaves_their_chromosomes_out():
    source, table = cohort()
    names = ["rs1003", "rs1005"]
    fit, asked, whole = (
        fit_variants("height ~ age", table, source, names, relationship=given)
        for given in (None, "loco", "grm")
    )
    second = hd.grm(source, variants=source.variants.chromosome == "2")
    by_hand = fit_variants("height ~ age", table, source, names, relationship=second)
    assert fit.loglik == asked.loglik == pytest.approx(by_hand.loglik, rel=1e-10)
    assert whole.loglik == pytest.approx(
        fit_variants("height ~ age", table, source, names, relationship=hd.grm(source)).loglik, rel=1e-10
    )
    both = ["rs1003", "rs1055"]
    assert fit_variants("height ~ 1", table, source, both).nobs == len(table)
    with pytest.raises(DataError, match="on all chromosomes between them"):
        fit_variants("height ~ 1", table, source, both, relationship="loco")


def test_random_effects_of_the_formula():
    source, table = cohort()
    table = table.assign(family=np.arange(len(table)) % 12)
    fit = fit_variants("height ~ age + (1 | family)", table, source, ["1:4:A:B"])
    copies = dict(zip(source.samples.iid.tolist(), source.calls[3].tolist(), strict=True))
    same = hd.lmer(
        "height ~ age + x + (1 | family)", table.assign(x=[float(copies[i]) for i in table["IID"]])
    )
    np.testing.assert_allclose(fit.fixef, same.fixef, rtol=1e-9)
    assert fit.fixef.index[-1] == "`1:4:A:B`"


def test_mistakes():
    source, table = cohort()
    with pytest.raises(DataError, match="no variants are named"):
        fit_variants("height ~ age", table, source, [])
    with pytest.raises(DataError, match="has a column 'rs1003'"):
        fit_variants("height ~ age", table.assign(rs1003=1.0), source, "rs1003")
    with pytest.raises(FormulaError):
        fit_variants("height ~ age +", table, source, ["rs1003"])
    with pytest.raises(DataError, match="relationship must be"):
        fit_variants("height ~ age", table, source, ["rs1003"], relationship=3)


def test_a_relationship_matrix_of_some_people_only():
    source, table = cohort()
    G = hd.grm(source)
    some = RelationshipMatrix(G.matrix[:50, :50], G.samples.take(np.arange(50)), G.n_variants)
    fit = fit_variants("height ~ age", table, source, ["rs1003"], relationship=some)
    assert fit.nobs == table["IID"].isin(some.samples.iid).sum()
