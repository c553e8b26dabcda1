"""Genome scans: what must not change an answer, and what must change it in a known way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from cohorts import cohort, families
from henderson.association.null_models import Traits
from henderson.association.relatedness import Genomic, Given
from henderson.association.rules import ScanRules
from henderson.association.scan import results
from henderson.association.stages import Method, stages
from henderson.covariance import RelationshipMatrix
from henderson.genotype import ArraySource, Samples, Variants
from plink_files import write_plink

#: The three ways a scan works: one K, one grouping factor, and any other random part.
WAYS = {
    "grm": "y ~ age + sex",
    "family": "y ~ age + (1 | family)",
    "general": "y ~ (1 | family) + (1 | site)",
}
BOTH = [(way, test) for way in WAYS for test in ("exact", "null")]


@pytest.fixture(scope="module")
def people():
    source, table = cohort(n=90, m=24, seed=21, missing=0.03)
    table["sex"] = np.where(np.arange(90) % 2, "f", "m")
    table.loc[[7, 40], "y"] = np.nan
    return source, table


def scan(way, table, source, *, test="exact", G=None, **options):
    related = (hd.grm(source) if G is None else G) if way == "grm" else None
    formula = options.pop("formula", WAYS[way])
    return hd.scan(formula, table, source, relationship=related, test=test, **options).table


def assert_same(found, expected, *, rtol=1e-10, drop=()):
    """Numbers to rounding, everything else exactly; effects near zero to rounding of their standard error."""
    found, expected = (t.drop(columns=list(drop)).reset_index(drop=True) for t in (found, expected))
    assert list(found.columns) == list(expected.columns)
    scale = np.abs(expected["standard_error"])
    for name in expected.columns:
        a, b = found[name], expected[name]
        if b.dtype.kind != "f":
            assert a.tolist() == b.tolist(), name
            continue
        assert np.array_equal(np.isnan(a), np.isnan(b)), name
        # p-values of likelihood ratios near zero go with the square root of a difference of likelihoods
        slack = rtol * scale if name == "beta" else 1e-6 if "lrt" in name else rtol
        assert (np.abs(a - b) <= slack + 10 * rtol * np.abs(b))[~np.isnan(b)].all(), name


@pytest.mark.parametrize(("way", "test"), BOTH)
def test_order_of_the_rows_of_the_table(people, way, test):
    source, table = people
    shuffled = table.sample(frac=1, random_state=3)
    general = {"rtol": 1e-7} if way == "general" else {}
    assert_same(scan(way, shuffled, source, test=test), scan(way, table, source, test=test), **general)


@pytest.mark.parametrize(("way", "test"), BOTH)
def test_order_of_the_people_genotyped(people, way, test):
    source, table = people
    order = np.random.default_rng(4).permutation(source.samples.n)
    shuffled = ArraySource(
        np.ascontiguousarray(source.calls[:, order]), source.samples.take(order), source.variants
    )
    general = {"rtol": 1e-7} if way == "general" else {"rtol": 1e-9}
    assert_same(scan(way, table, shuffled, test=test), scan(way, table, source, test=test), **general)


@pytest.mark.parametrize(("way", "test"), BOTH)
def test_size_of_the_blocks(people, way, test, monkeypatch):
    source, table = people
    whole = scan(way, table, source, test=test)
    for size, threads in ((5, 2), (1, 4), (23, 1)):
        monkeypatch.setattr("henderson.association.passes.block_size", lambda _, size=size: size)
        assert_same(scan(way, table, source, test=test, threads=threads), whole)


@pytest.mark.parametrize("threads", [1, 4])
def test_progress(people, threads, monkeypatch):
    """After each block, in the order of the genome, up to the number of variants."""
    source, table = people
    monkeypatch.setattr("henderson.association.passes.block_size", lambda _: 5)
    rules = ScanRules()
    related = Given(hd.grm(source))
    (nulls,) = Traits(["y ~ age"], table, source.samples, related).groups()
    [stage] = stages(nulls, related, Method("exact", "chromosome", rules), source.variants.chromosome)
    scanner, _ = stage.prepare()
    seen, names, sizes = [], [], []
    for (columns,) in results(
        source, nulls, stage, scanner, rules=rules, threads=threads, progress=seen.append
    ):
        names += columns["rsid"].tolist()
        sizes.append(columns["rsid"].size)
    assert names == source.variants.identifier.tolist()
    assert sizes == [5, 5, 5, 5, 4]
    assert seen == sizes


@pytest.mark.parametrize("way", WAYS)
def test_a_fileset_in_two(people, way, tmp_path):
    source, table = people
    G = hd.grm(source)
    whole = scan(way, table, source, G=G)
    halves = []
    for k, part in enumerate((slice(0, 11), slice(11, None))):
        prefix = write_plink(
            tmp_path / f"part{k}",
            source.calls[part],
            samples=source.samples,
            variants=source.variants.take(part),
        )
        halves.append(scan(way, table, hd.open_plink1(prefix), G=G))
    assert_same(pd.concat(halves), whole)


@pytest.mark.parametrize(("way", "test"), BOTH)
def test_the_other_allele(people, way, test):
    source, table = people
    v = source.variants
    other = ArraySource(
        np.where(source.calls < 0, source.calls, 2 - source.calls),
        source.samples,
        Variants(v.chromosome, v.position, v.identifier, v.other_allele, v.effect_allele),
    )
    swapped, found = scan(way, table, other, test=test), scan(way, table, source, test=test)
    assert np.allclose(swapped["effect_allele_frequency"], 1 - found["effect_allele_frequency"], rtol=1e-14)
    assert swapped["effect_allele"].tolist() == found["other_allele"].tolist()
    swapped = swapped.assign(
        beta=-swapped["beta"],
        beta_ols=-swapped["beta_ols"],
        effect_allele=found["effect_allele"],
        other_allele=found["other_allele"],
        effect_allele_frequency=found["effect_allele_frequency"],
    )
    assert_same(swapped, found, rtol=1e-7 if way == "general" else 1e-9)


@pytest.mark.parametrize(("way", "test"), BOTH)
def test_unit_and_origin_of_the_trait(people, way, test):
    source, table = people
    found = scan(way, table, source, test=test)
    moved = scan(way, table.assign(y=1e4 - 250.0 * table["y"]), source, test=test)
    columns = {"beta": -250.0, "standard_error": 250.0, "beta_ols": -250.0, "standard_error_ols": 250.0}
    columns |= {name: 250.0**2 for name in found.columns if name.endswith("_variance")}
    moved = moved.assign(**{name: moved[name] / factor for name, factor in columns.items()})
    if test == "exact":
        analysed = table["y"].notna().sum()
        moved["log_likelihood"] += analysed * np.log(250.0)
    assert_same(moved, found, rtol=1e-6 if way == "general" else 1e-8)


@pytest.mark.parametrize("way", WAYS)
def test_a_covariate_that_says_nothing_new(people, way):
    """It is dropped: degrees of freedom and answers stay."""
    source, table = people
    table = table.assign(months=12 * table["age"] - 3, y2=table["y"])
    left, right = WAYS[way].split(" ~ ")
    formula = f"{left} ~ age + {right}"
    found = scan(way, table, source, formula=formula)
    assert_same(
        scan(way, table, source, formula=f"{left} ~ age + months + {right}"),
        found,
        rtol=1e-7 if way == "general" else 1e-9,
    )


def test_a_dropped_covariate_is_told(people):
    source, table = people
    table = table.assign(months=12 * table["age"] - 3)
    result = hd.scan("y ~ age + months", table, source, relationship="grm")
    assert any("months" in notice for notice in result.notices)


@pytest.mark.parametrize(("way", "test"), BOTH)
def test_people_on_one_side_only(people, way, test):
    """With a given matrix, people without a phenotype and phenotypes without genotypes change nothing."""
    source, table = people
    G = hd.grm(source)
    found = scan(way, table, source, test=test, G=G)
    extra = table.iloc[:9].assign(IID=[f"nobody{k}" for k in range(9)], y=1e3)
    assert_same(scan(way, pd.concat([extra, table]), source, test=test, G=G), found)
    fewer = table[table["y"].notna()]
    result = hd.scan(WAYS[way], fewer, source, relationship=G if way == "grm" else None, test=test)
    assert_same(result.table, found)
    assert any("2 people are genotyped but not in the table: 8, 41." in notice for notice in result.notices)


def test_notices_name_who_was_left_out(people):
    source, table = people
    fewer = hd.grm(source, samples=np.arange(3, 90))
    extra = pd.concat([table, table.iloc[:1].assign(IID="stranger")])
    notices = hd.scan("y ~ age", extra, source, relationship=fewer).notices
    assert "3 people are not in the relationship matrix and left out: 1, 2, 3." in notices
    assert "1 person is in the table but not genotyped: stranger." in notices
    assert any("2 of 87 rows dropped for missing values (y 2)" in notice for notice in notices)


def test_a_matrix_in_another_order(people):
    """Of more people, and of some who were not genotyped."""
    source, table = people
    G = hd.grm(source)
    found = scan("grm", table, source, G=G)
    order = np.random.default_rng(6).permutation(92)
    bigger = np.zeros((92, 92))
    bigger[:90, :90] = G.matrix
    bigger[90:, 90:] = np.eye(2)
    names = np.append(G.samples.iid, ["a", "b"])[order]
    moved = RelationshipMatrix(bigger[np.ix_(order, order)], Samples(names, names))
    assert_same(scan("grm", table, source, G=moved), found)


def test_people_with_the_same_iid():
    """Are told apart by their FID."""
    calls, family = families(30, 2, 40, seed=9)
    people = Samples(family.astype(str), np.tile(["1", "2"], 30))
    source = ArraySource(calls, people, ArraySource.of(calls).variants)
    y = np.random.default_rng(1).normal(size=60)
    table = pd.DataFrame({"FID": people.fid, "IID": people.iid, "y": y}).sample(frac=1, random_state=2)
    alone = ArraySource.of(calls)
    expected = hd.scan("y ~ 1", {"IID": alone.samples.iid, "y": y}, alone, relationship="grm").table
    assert_same(hd.scan("y ~ 1", table, source, relationship="grm").table, expected)
    assert_same(hd.scan("y ~ 1", table, source, relationship=hd.grm(source)).table, expected)


def test_the_matrix_of_all_variants(people):
    """``relationship="grm"`` is that of everybody genotyped."""
    source, table = people
    found = hd.scan("y ~ age", table, source, relationship="grm").table
    assert_same(hd.scan("y ~ age", table, source, relationship=hd.grm(source)).table, found)
    few = hd.grm(source, samples=np.flatnonzero(table["y"].notna().to_numpy()))
    other = hd.scan("y ~ age", table, source, relationship=few).table
    assert np.abs(other["neg_log_10_p_value"] - found["neg_log_10_p_value"]).max() > 1e-6


@pytest.mark.parametrize("way", WAYS)
def test_threads(people, way):
    source, table = people
    one = scan(way, table, source, threads=1)
    for threads in (2, 7, 100):
        assert_same(scan(way, table, source, threads=threads), one)


def test_unit_of_the_matrix(people):
    """K and 10 K are the same model; h2 is per unit of K."""
    source, table = people
    G = hd.grm(source)
    found = scan("grm", table, source, G=G)
    ten = scan("grm", table, source, G=RelationshipMatrix(10 * G.matrix, G.samples))
    for name in ("lambda_reml", "lambda_ml"):
        ten[name] *= 10
    ten["h2"] = ten["lambda_reml"] / (1 + ten["lambda_reml"])
    assert_same(ten, found, rtol=1e-8)


def test_rules_only_choose(people):
    """Stricter rules leave variants out and change no number of the others."""
    source, table = people
    G = hd.grm(source)
    found = scan("grm", table, source, G=G)
    strict = scan("grm", table, source, G=G, rules=ScanRules(min_maf=0.25, max_missing=0.03))
    tested = strict["p_value"].notna()
    assert 0 < tested.sum() < len(strict)
    assert_same(strict[tested], found[tested])


# -- several traits at once ----------------------------------------------------------------------------------


def together(formulas, table, source, *, grm, test="exact"):
    """Each formula's table, and how many formulas shared a decomposition."""
    rules = ScanRules()
    related = Genomic.by(source, rules) if grm else None
    method = Method(test, "chromosome", rules)
    traits = Traits(formulas, table, source.samples, related)
    tables, sizes = {}, []
    for nulls in traits.groups():
        sizes.append(len(nulls.traits))
        [stage] = stages(nulls, related, method, source.variants.chromosome)
        scanner, _ = stage.prepare()
        parts = list(results(source, nulls, stage, scanner, rules=rules, threads=1))
        for k, (name, fit) in enumerate(zip(nulls.traits, nulls.fits, strict=True)):
            random = "+".join(term.group for term in fit.varcorr)
            tables[name, random] = pd.concat([pd.DataFrame(part[k]) for part in parts])
    assert not traits.failed
    return tables, sizes


@pytest.mark.parametrize("test", ["exact", "null"])
@pytest.mark.parametrize(("way", "right"), [(way, f.split(" ~ ")[1]) for way, f in WAYS.items()])
def test_traits_at_once_are_traits_one_by_one(people, way, right, test):
    source, table = people
    rng = np.random.default_rng(2)
    table = table.assign(
        same=table["y"] + rng.normal(size=90),  # missing where y is
        other=table["z"].mask(np.arange(90) == 5),
        complete=table["z"],
        offset=table["y"] * 3,
    )
    names = ["y", "complete", "same", "other"]
    tables, sizes = together([f"{n} ~ {right}" for n in names], table, source, grm=way == "grm", test=test)
    assert sorted(sizes) == [1, 1, 2]
    for (name, _), found in tables.items():
        relationship = "grm" if way == "grm" else None
        alone = hd.scan(f"{name} ~ {right}", table, source, relationship=relationship, test=test).table
        assert_same(found, alone, rtol=1e-7 if way == "general" else 1e-10)


def test_traits_with_other_random_effects_at_once(people):
    """They share people and fixed effects, but no model."""
    source, table = people
    formulas = ["y ~ age + (1 | family)", "y ~ age + (1 | site)"]
    tables, _ = together(formulas, table, source, grm=False)
    assert {random for _, random in tables} == {"family", "site"}
    for formula, group in zip(formulas, ("family", "site"), strict=True):
        assert_same(tables["y", group], hd.scan(formula, table, source).table)


def test_a_trait_that_fails_does_not_stop_the_others(people):
    source, table = people
    table = table.assign(flat=table["z"] * 0 + 2.0)
    traits = Traits(
        ["flat ~ age", "nothing ~ age", "z ~ age"],
        table,
        source.samples,
        Genomic(source),
    )
    assert [nulls.traits for nulls in traits.groups()] == [("z",)]
    assert {formula for formula, _ in traits.failed} == {"flat ~ age", "nothing ~ age"}
