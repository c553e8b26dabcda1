"""Effects of variants by GBLUP, against ridge regression on the variants themselves."""

import logging

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from henderson.association.effects_table import read_snp_effects
from henderson.association.snp_effects import snp_effects
from henderson.errors import DataError
from henderson.genotype import ArraySource, Samples
from henderson.genotype.selection import select
from plink_files import random_genotypes

N, M = 90, 250


def cohort(*, missing=0.03):
    source = ArraySource.of(random_genotypes(M, N, seed=4, missing=missing))
    return ArraySource(
        source.calls, Samples(source.samples.fid, np.char.add("p", source.samples.iid)), source.variants
    )


def people(source, *, seed=1, n=N):
    rng = np.random.default_rng(seed)
    calls = np.where(source.calls < 0, 1.0, source.calls)[:, :n]
    u = (calls - calls.mean(axis=1, keepdims=True)).T @ rng.normal(size=M) * 0.1
    age = rng.integers(20, 60, n)
    return pd.DataFrame({"iid": source.samples.iid[:n], "age": age, "y": 0.05 * age + u + rng.normal(size=n)})


def standardised(source, scale, variance):
    """The columns that G is made of, by hand."""
    calls = source.calls.astype(float)
    calls[source.calls < 0] = np.nan
    mean = np.nanmean(calls, axis=1, keepdims=True)
    X = np.where(np.isnan(calls), 0.0, calls - mean)
    if scale == "centered":
        return X.T
    spread = mean * (1 - mean / 2) if variance == "hwe" else (X**2).mean(axis=1, keepdims=True)
    return (X / np.sqrt(spread)).T


@pytest.mark.parametrize("scale", ["standardized", "centered"])
@pytest.mark.parametrize("variance", ["hwe", "sample"])
def test_effects_are_those_of_ridge_regression(scale, variance):
    source = cohort()
    data = people(source, n=70)
    G = hd.grm(source, scale=scale, variance=variance)
    fit = hd.lmer("y ~ age + (1 | iid)", data, relationship={"iid": G})
    found = snp_effects(fit, source, scale=scale, variance=variance)

    # (X'X X'M; M'X M'M + I m ve / vg), by hand
    M_ = standardised(source, scale, variance)
    Q = M_[:70]
    X = np.column_stack([np.ones(70), data["age"]])
    vg, ve = fit.varcorr["iid"].covariance[0, 0], fit.sigma**2
    lhs = np.block([[X.T @ X, X.T @ Q], [Q.T @ X, Q.T @ Q + M * ve / vg * np.eye(M)]])
    a = np.linalg.solve(lhs, np.concatenate([X.T @ data["y"], Q.T @ data["y"]]))[2:]
    scale_of = np.abs(a).max()
    np.testing.assert_allclose(found.effect * found.divisor, a, rtol=0, atol=1e-8 * scale_of)
    assert found.agreement < 1e-10

    # everybody in the matrix, also the twenty without a record
    blup = fit.ranef()["iid"]["(Intercept)"]
    assert len(blup) == N
    predicted = found.predict(source)
    np.testing.assert_allclose(predicted["prediction"], blup, rtol=0, atol=1e-10)
    np.testing.assert_allclose(predicted["prediction"], M_ @ a, rtol=0, atol=1e-8)
    assert predicted["n_variants_used"].tolist() == (source.calls >= 0).sum(axis=0).tolist()


def made():
    source = cohort()
    fit = hd.lmer("y ~ age + (1 | iid)", people(source), relationship={"iid": hd.grm(source)})
    return source, fit, snp_effects(fit, source)


def test_a_matrix_of_some_people_with_frequencies_of_everybody():
    source = cohort()
    G = hd.grm(source)
    some = np.arange(10, 60)
    part = hd.RelationshipMatrix(G.matrix[np.ix_(some, some)], source.samples.take(some))
    data = people(source).iloc[10:50]
    fit = hd.lmer("y ~ age + (1 | iid)", data, relationship={"iid": part})
    found = snp_effects(fit, source)
    here = found.predict(source)["prediction"].to_numpy()
    np.testing.assert_allclose(here[some], fit.ranef()["iid"]["(Intercept)"], rtol=0, atol=1e-10)


def test_frequencies_of_some_people():
    source = cohort()
    some = np.arange(N - 15)
    fit = hd.lmer(
        "y ~ 1 + (1 | iid)", people(source, n=60), relationship={"iid": hd.grm(source, samples=some)}
    )
    found = snp_effects(fit, source, samples=some)
    assert found.agreement < 1e-10
    here = found.predict(select(source, samples=some))["prediction"]
    np.testing.assert_allclose(here, fit.ranef()["iid"]["(Intercept)"], rtol=0, atol=1e-10)


def test_alleles_the_other_way_round_in_another_order(caplog):
    source, _, found = made()
    expected = found.predict(source)["prediction"].to_numpy()
    turned = np.zeros(M, dtype=bool)
    turned[::3] = True
    v = source.variants
    calls = np.where(turned[:, None] & (source.calls >= 0), 2 - source.calls, source.calls).astype(np.int8)
    variants = type(v)(
        v.chromosome, v.position, v.identifier,
        np.where(turned, v.other_allele, v.effect_allele), np.where(turned, v.effect_allele, v.other_allele),
    )  # fmt: skip
    order = np.random.default_rng(2).permutation(M)
    other = select(ArraySource(calls, source.samples, variants), variants=order)
    with caplog.at_level(logging.INFO, "henderson"):
        again = found.predict(other)["prediction"]
    np.testing.assert_allclose(again, expected, rtol=0, atol=1e-12)
    assert f"{turned.sum()} variants have the other allele counted" in caplog.text


def test_absent_variants_and_calls_count_at_the_mean(caplog):
    source, _, found = made()
    there = np.arange(M) % 4 != 1
    X = standardised(source, "standardized", "hwe")
    by_hand = X[:, there] @ (found.effect * found.divisor)[there]
    with caplog.at_level(logging.WARNING, "henderson"):
        again = found.predict(select(source, variants=there))
    np.testing.assert_allclose(again["prediction"], by_hand, rtol=0, atol=1e-12)
    assert f"{(~there).sum()} of the {M} variants that have effects are not among" in caplog.text
    assert again["n_variants_used"].tolist() == (source.calls[there] >= 0).sum(axis=0).tolist()


def test_variants_without_a_place_are_matched_by_name():
    source, _, found = made()
    v = source.variants

    def unplaced(order):
        names = np.char.add("rs", v.identifier)
        u = type(v)(v.chromosome, np.zeros(M, dtype=np.int64), names, v.effect_allele, v.other_allele)
        return select(ArraySource(source.calls, source.samples, u), variants=order)

    effects = type(found)(
        unplaced(np.arange(M)).variants,
        found.frequency,
        found.mean_copies,
        found.divisor,
        found.effect,
        "iid",
        0.0,
    )
    shuffled = unplaced(np.random.default_rng(5).permutation(M))
    np.testing.assert_allclose(
        effects.predict(shuffled)["prediction"], found.predict(source)["prediction"], rtol=0, atol=1e-12
    )


def test_a_file_gives_the_same_predictions(tmp_path):
    source, _, found = made()
    found.save(tmp_path / "y.tsv")
    again = read_snp_effects(tmp_path / "y.tsv")
    pd.testing.assert_frame_equal(again.table, found.table, check_dtype=False)
    pd.testing.assert_frame_equal(again.predict(source), found.predict(source))


def test_a_matrix_by_pairs_comes_close_and_is_told(caplog):
    source = cohort()
    fit = hd.lmer(
        "y ~ age + (1 | iid)", people(source), relationship={"iid": hd.grm(source, missing="pairwise")}
    )
    with caplog.at_level(logging.WARNING, "henderson"):
        found = snp_effects(fit, source)
    assert 1e-4 < found.agreement < 0.2
    assert "differ from those of the fit by up to" in caplog.text


def test_no_genetic_variance_gives_no_effects(caplog):
    source = cohort()
    # a response that goes against the relationship: relatives differ more than others
    _, vectors = np.linalg.eigh(hd.grm(source).matrix)
    data = people(source).assign(y=vectors[:, 1:20] @ np.ones(19))
    fit = hd.lmer("y ~ age + (1 | iid)", data, relationship={"iid": hd.grm(source)})
    assert fit.varcorr["iid"].covariance[0, 0] == 0.0
    with caplog.at_level(logging.WARNING, "henderson"):
        assert not snp_effects(fit, source).effect.any()
    assert "is zero" in caplog.text


def test_mistakes(tmp_path):
    source, fit, found = made()

    def refuses(words, **options):
        options = {"fit": fit, "genotypes": source} | options
        with pytest.raises(DataError, match=words):
            snp_effects(options.pop("fit"), options.pop("genotypes"), **options)

    refuses("not among the people genotyped, the first of them 'p1'", genotypes=ArraySource.of(source.calls))
    refuses("was not made from these genotypes", genotypes=ArraySource(
        random_genotypes(M, N, seed=9), source.samples, source.variants
    ))  # fmt: skip
    refuses("by up to .* % of the largest, with a correlation of 0.9", scale="centered")
    refuses("scale='both' is not one of", scale="both")
    refuses("group='family' has no relationship in this model; iid has one", group="family")
    plain = hd.lmer("y ~ 1 + (1 | family)", people(source).assign(family=np.arange(N) // 3))
    refuses("this model has none", fit=plain)
    refuses("none of the variants asked for", variants=np.array([], dtype=np.intp))
    with pytest.raises(DataError, match="none of the 250 variants that have effects is among"):
        found.predict(elsewhere(source))

    found.table.drop(columns="effect").to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    found.table.assign(effect="big").to_csv(tmp_path / "b.tsv", sep="\t", index=False)
    found.table.iloc[:0].to_csv(tmp_path / "c.tsv", sep="\t", index=False)
    (tmp_path / "d.tsv").write_bytes(b"")
    for name, words in (
        ("a", "lacks the column"), ("b", "line 2: the effect of '1' is 'big'"), ("c", "has no variant"),
        ("d", "is no table with tabs"), ("e", "There is no file of effects"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            read_snp_effects(tmp_path / f"{name}.tsv")


def elsewhere(source):
    v = source.variants
    moved = type(v)(v.chromosome, v.position + 10_000, v.identifier, v.effect_allele, v.other_allele)
    return ArraySource(source.calls, source.samples, moved)
