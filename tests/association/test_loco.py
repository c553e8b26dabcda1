"""Leave one chromosome out: against matrices formed by hand, and against the established programs."""

import json
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f as f_distribution

import henderson as hd
from cohorts import cohort, reference_cohort
from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.null_models import Traits
from henderson.association.relatedness import LeftOut
from henderson.association.result import as_table
from henderson.association.rules import ScanRules
from henderson.association.scan import results
from henderson.association.stages import Method, stages
from henderson.covariance import RelationshipMatrix
from henderson.genotype import ArraySource
from henderson.genotype.blocks import variant_filter
from henderson.genotype.selection import select
from plink_files import random_genotypes

CHROMOSOMES = np.repeat(["1", "7", "X"], [18, 15, 7])
NUMBERS = ["beta", "standard_error", "neg_log_10_p_value"]


def on_chromosomes(source, names):
    return replace(source, variants=replace(source.variants, chromosome=np.asarray(names)))


@pytest.fixture(scope="module")
def people():
    source, table = cohort(n=90, m=40, seed=4, missing=0.03)
    return on_chromosomes(source, CHROMOSOMES), table


def grm_by_hand(calls):
    """Mean-imputed, standardised by 2p(1 - p), everybody's frequencies."""
    G = np.zeros((calls.shape[1],) * 2)
    for row in calls.astype(float):
        called = row >= 0
        mean = row[called].mean()
        x = np.where(called, row - mean, 0.0)
        G += np.outer(x, x) / (mean * (1 - mean / 2))
    return G / len(calls)


@pytest.mark.parametrize("test", ["exact", "null"])
def test_each_chromosome_has_the_matrix_of_the_others(people, test):
    source, table = people
    found = hd.scan("y ~ age", table, source, relationship="loco", test=test)
    for name in ("1", "7", "X"):
        rows = name == CHROMOSOMES
        others = (name != CHROMOSOMES) & (CHROMOSOMES != "X")
        K = RelationshipMatrix(grm_by_hand(source.calls[others]), source.samples, None)
        alone = hd.scan("y ~ age", table, source, relationship=K, test=test)
        expected = alone.table[rows].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            found.table[rows].reset_index(drop=True), expected, check_exact=False, rtol=1e-7, atol=1e-9
        )
        estimates = found.components.set_index("chromosome").loc[name]
        h = alone.null.heritability()
        assert estimates["genetic_variance"] == pytest.approx(h.genetic_variance, rel=1e-6, abs=1e-9)
        assert estimates["residual_variance"] == pytest.approx(h.residual_variance, rel=1e-6)
        assert estimates["log_likelihood"] == pytest.approx(alone.null.loglik, rel=1e-10)


def test_loco_is_the_default_from_two_chromosomes_up(people):
    source, table = people
    default = hd.scan("y ~ age", table, source).table
    pd.testing.assert_frame_equal(default, hd.scan("y ~ age", table, source, relationship="loco").table)
    # one chromosome that makes up relationships, and X
    one = on_chromosomes(source, np.where(CHROMOSOMES == "X", "X", "1"))
    default = hd.scan("y ~ age", table, one).table
    pd.testing.assert_frame_equal(default, hd.scan("y ~ age", table, one, relationship="grm").table)


def test_the_whole_genome_is_the_null_model(people):
    source, table = people
    by_loco = hd.scan("y ~ age", table, source, relationship="loco").null.heritability()
    by_grm = hd.scan("y ~ age", table, source, relationship="grm").null.heritability()
    assert by_loco.h2 == pytest.approx(by_grm.h2, rel=1e-12)


def test_components_of_the_genome(people):
    """V is that of the chromosome, its ratio and the residual variance are the genome's: plain GLS."""
    source, table = people
    found = hd.scan("y ~ age", table, source, test="null", loco_components="genome")
    h = found.null.heritability()
    X = np.column_stack([np.ones(source.samples.n), table["age"]])
    y = table["y"].to_numpy()
    for row in (0, 20, 35):
        name = CHROMOSOMES[row]
        others = (name != CHROMOSOMES) & (CHROMOSOMES != "X")
        V = h.genetic_variance * grm_by_hand(source.calls[others])
        V += h.residual_variance * np.eye(len(y))
        calls = source.calls[row].astype(float)
        x = np.where(calls < 0, calls[calls >= 0].mean(), calls)
        W = np.column_stack([X, x])
        inverse = np.linalg.inv(W.T @ np.linalg.solve(V, W))
        beta = inverse @ W.T @ np.linalg.solve(V, y)
        assert found.table["beta"][row] == pytest.approx(beta[-1], rel=1e-8)
        assert found.table["standard_error"][row] == pytest.approx(np.sqrt(inverse[-1, -1]), rel=1e-8)
    assert (found.components["genetic_variance"] == h.genetic_variance).all()


@pytest.mark.parametrize("components", ["chromosome", "genome"])
def test_factors_and_eigenvectors_give_the_same(people, components):
    """Many traits share eigenvectors where few have Cholesky factors of their own."""
    source, table = people
    many = table.assign(**{f"t{k}": table["y"] * k + table["z"] for k in range(1, 20)})
    method = Method("null", components, ScanRules())

    def scanned(traits):
        related = LeftOut(source)
        [nulls] = Traits([f"{t} ~ age" for t in traits], many, source.samples, related, added=1).groups()
        tables = [[] for _ in traits]
        for stage in stages(nulls, related, method, source.variants.chromosome):
            scanner, _ = stage.prepare()
            for block in results(source, nulls, stage, scanner, rules=method.rules):
                for rows, columns in zip(tables, block, strict=True):
                    rows.append(np.column_stack([columns[name] for name in NUMBERS]))
        return [np.vstack(rows) for rows in tables]

    [alone] = scanned(["t3"])
    together = scanned([f"t{k}" for k in range(1, 20)])
    assert np.allclose(together[2], alone, rtol=1e-7, atol=1e-10)


def test_two_peaks_of_the_likelihood():
    """Zero with the whole genome, and without a chromosome a peak at zero that is not the higher one."""
    source = on_chromosomes(ArraySource.of(random_genotypes(90, 30, seed=2)), np.repeat(["1", "2"], 45))
    table = pd.DataFrame({"IID": source.samples.iid, "y": np.random.default_rng(715).normal(size=30)})
    found = hd.scan("y ~ 1", table, source, test="null")
    assert found.null.heritability().h2 == 0.0
    K = hd.grm(source, variants=np.repeat([True, False], 45))
    alone = hd.scan("y ~ 1", table, source, relationship=K, test="null").null
    expected = alone.heritability()
    assert expected.loglik > expected.loglik_null + 0.3
    estimates = found.components.set_index("chromosome").loc["2"]
    assert estimates["h2"] == pytest.approx(expected.h2, rel=1e-6)
    assert estimates["log_likelihood"] == pytest.approx(alone.loglik, rel=1e-10)


def test_chromosomes_in_pieces(people):
    """A file that is not sorted: the rows come chromosome by chromosome, their numbers stay."""
    source, table = people
    order = np.random.default_rng(2).permutation(40)
    mixed = replace(source, calls=source.calls[order], variants=source.variants.take(order))
    sorted_, pieces = (hd.scan("y ~ 1", table, s, test="null").table for s in (source, mixed))
    both = sorted_.merge(pieces, on="rsid", suffixes=("", "_mixed"), validate="one_to_one")
    assert len(both) == 40
    for name in NUMBERS:
        assert np.allclose(both[name], both[f"{name}_mixed"], rtol=1e-8, atol=1e-10)


def test_a_chromosome_that_does_not_vary(people):
    source, table = people
    calls = source.calls.copy()
    calls[15:18] = 2
    flat = on_chromosomes(replace(source, calls=calls), np.repeat(["1", "2", "7", "X"], [15, 3, 15, 7]))
    found = hd.scan("y ~ age", table, flat)
    assert (found.table["status"][15:18] == "monomorphic").all()
    assert found.table["p_value"].notna().sum() == 37


def test_other_genotypes_make_the_matrices(people):
    """Tested variants need not be those that relationships are estimated from."""
    source, table = people
    thinned = np.arange(40) % 2 == 0
    by_mask = hd.scan(
        "y ~ age", table, source, relationship=hd.loco(source, variants=thinned & (CHROMOSOMES != "X"))
    )
    by_source = hd.scan("y ~ age", table, source, relationship=hd.loco(select(source, variants=thinned)))
    pd.testing.assert_frame_equal(by_mask.table, by_source.table, check_exact=False, rtol=1e-9)


def test_chromosomes_of_other_genotypes_may_be_named_in_another_way(people, caplog):
    source, table = people
    named = on_chromosomes(source, np.char.add("chr", CHROMOSOMES))
    alike = hd.scan("y ~ age", table, source, relationship="loco")
    found = hd.scan("y ~ age", table, named, relationship=hd.loco(source))
    assert found.components["log_likelihood"].tolist() == alike.components["log_likelihood"].tolist()
    pd.testing.assert_frame_equal(found.table[NUMBERS], alike.table[NUMBERS])
    assert "name them alike" not in caplog.text


def test_chromosomes_that_are_not_in_the_matrix_are_said(people, caplog):
    """Nothing can be left out for them; X never is in it, and needs no word."""
    source, table = people
    named = on_chromosomes(source, np.where(CHROMOSOMES == "7", "NC_000007.14", CHROMOSOMES))
    hd.scan("y ~ age", table, named, relationship=hd.loco(source))
    told = "no variants on chromosome NC_000007.14: it is used as it is"
    assert caplog.text.count(told) == 1
    assert "other names (1, 7, X), name them alike" in caplog.text


def test_pairwise_missing_calls(people):
    source, _ = people
    related = hd.loco(source, missing="pairwise")
    everybody = np.arange(source.samples.n)
    for part in related.parts(everybody, source.variants.chromosome):
        if part.name == "X":
            assert part.without is None
            continue
        left = (part.name != CHROMOSOMES) & (CHROMOSOMES != "X")
        expected = hd.grm(source, missing="pairwise", variants=left)
        G = part.without()
        assert np.allclose(G.matrix, expected.matrix, rtol=1e-10, atol=1e-12)
        assert np.allclose(G.n_variants, expected.n_variants)


def test_refusals(people):
    source, table = people
    one = on_chromosomes(source, ["1"] * 40)
    with pytest.raises(hd.DataError, match=r"without chromosome 1 .*relationship='grm'"):
        hd.scan("y ~ 1", table, one, relationship="loco")
    with pytest.raises(hd.DataError, match="test='null'"):
        hd.scan("y ~ 1", table, source, loco_components="genome")
    with pytest.raises(hd.DataError, match="loco_components"):
        hd.scan("y ~ 1", table, source, test="null", loco_components="genomes")
    with pytest.raises(hd.DataError, match="one truth value for each of the 40"):
        hd.loco(source, variants=[1, 2])


# name, other .bed, trait, covariates, file of the hand-made results
BY_HAND = [
    ("hapmap3", None, "q1", True, "q1_cov"),
    ("maize_mdp", None, "EarHT", False, "EarHT"),
]


@needs_gwas_reference
@pytest.mark.parametrize(("name", "bed", "trait", "covariates", "tag"), BY_HAND)
def test_by_hand(name, bed, trait, covariates, tag):
    people = reference_cohort(name, bed)
    common = variant_filter(people.genotypes, min_maf=0.01)
    related = hd.loco(people.genotypes, missing="pairwise", variants=common)
    formula = people.formula(trait, covariates=covariates)
    found = hd.scan(formula, people.table, people.genotypes, relationship=related, test="null")
    folder = GWAS / "expected" / name / "hand"
    theirs = pd.read_csv(folder / f"{tag}.assoc.gz", sep="\t", keep_default_na=False)
    ours = found.table[common].reset_index(drop=True)
    assert ours["rsid"].tolist() == theirs["snp"].tolist()
    chi2 = (ours["beta"] / ours["standard_error"]) ** 2
    assert (np.abs(chi2 - (theirs["b_loco"] / theirs["se_loco"]) ** 2) < 1e-5 * (1 + chi2)).all()
    assert np.allclose(ours["neg_log_10_p_value"], -np.log10(theirs["p_loco"]), rtol=1e-6, atol=1e-6)
    stored = json.loads((folder / f"{tag}.json").read_text())["loco"]
    components = found.components.set_index("chromosome")
    assert set(stored) == set(components.index)
    for chromosome, expected in stored.items():
        assert components.loc[chromosome, "genetic_variance"] == pytest.approx(expected["vg"], rel=1e-6)
        assert components.loc[chromosome, "residual_variance"] == pytest.approx(expected["ve"], rel=1e-6)


@lru_cache(maxsize=3)
def beside_fastlmm(name, bed, trait, covariates, tag):
    """Our scan by FaST-LMM's conventions: people analysed alone, variances observed among the called.

    Its residual variance is that of the model with the variant, at the ratio of the model without: an F test.
    """
    people = reference_cohort(name, bed)
    wanted = [trait, *(people.covariates if covariates else [])]
    table = people.table.dropna(subset=wanted)
    known = set(table[["FID", "IID"]].itertuples(index=False, name=None))
    samples = people.genotypes.samples
    pairs = zip(samples.fid.tolist(), samples.iid.tolist(), strict=True)
    rows = np.array([row for row, pair in enumerate(pairs) if pair in known])
    source = select(people.genotypes, samples=rows)
    calls = source.read(slice(0, source.variants.m)).astype(float)
    calls[calls < 0] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        calls /= np.nanstd(calls, axis=1)[:, None]
    calls[~np.isfinite(calls).any(axis=1)] = 0.0  # variants with one genotype only
    related = hd.loco(
        replace(ArraySource.of(calls), samples=source.samples, variants=source.variants), scale="centered"
    )
    formula = people.formula(trait, covariates=covariates)
    found = hd.scan(formula, table, source, relationship=related, test="null")
    theirs = pd.read_csv(
        GWAS / "expected" / name / "fastlmm" / f"single_snp_loco_{tag}.txt.gz",
        sep="\t",
        keep_default_na=False,
    )
    ours = found.table.set_index("rsid").loc[theirs["SNP"]].reset_index()
    nu = rows.size - len(found.null.fixef)
    share = (ours["beta"] / ours["standard_error"]) ** 2 / nu
    ours["F"] = (nu - 1) * share / (1 - share)
    ours["p"] = f_distribution.sf(ours["F"], 1, nu - 1)
    # h2 is on the scale of a matrix whose mean diagonal is 1; a person without a call adds nothing to it
    h2 = found.components.set_index("chromosome")["h2"].loc[ours["chromosome"]].to_numpy()
    varies = np.nanmax(calls, axis=1) > np.nanmin(calls, axis=1)
    called = pd.Series(np.isfinite(calls[varies]).mean(axis=1))
    by_chromosome = called.groupby(source.variants.chromosome[varies]).agg(["sum", "count"])
    others = by_chromosome.sum() - by_chromosome
    ratio = h2 / (1 - h2) * (others["sum"] / others["count"]).loc[ours["chromosome"]].to_numpy()
    ours["h2"] = ratio / (1 + ratio)
    return ours, theirs


FASTLMM = [
    ("maize_mdp", None, "EarHT", False, "EarHT"),
    ("mouse_hs1940", "mouse_clean", "t1", False, "t1"),
    ("hapmap3", None, "q1", True, "q1_cov"),
]


@needs_gwas_reference
@pytest.mark.parametrize("case", FASTLMM, ids=[case[0] for case in FASTLMM])
def test_fastlmm(case):
    ours, theirs = beside_fastlmm(*case)
    assert np.abs(ours["h2"] - theirs["Nullh2"]).max() < 1e-5
    tested = ours["F"].notna()
    assert (theirs["SnpWeight"][~tested] == 0.0).all()
    ours, theirs = ours[tested], theirs[tested]
    chi2 = (theirs["SnpWeight"] / theirs["SnpWeightSE"]) ** 2
    assert (np.abs(ours["F"] - chi2) < 1e-5 * (1 + chi2)).all()
    assert np.allclose(-np.log10(ours["p"]), -np.log10(theirs["PValue"]), rtol=1e-5, atol=1e-5)


@needs_gwas_reference
def test_gemma():
    """GEMMA's -loco 19 on fractional genotypes (BIMBAM), by its rules."""
    folder = GWAS / "data" / "mouse_hs1940"
    geno = pd.read_csv(folder / "mouse_hs1940.geno.txt.gz", header=None, skipinitialspace=True)
    placed = pd.read_csv(folder / "mouse_hs1940.anno.txt.gz", header=None, sep="\t")
    chromosome = placed.set_index(0)[2].loc[geno[0]].astype(str).to_numpy()
    people = reference_cohort("mouse_hs1940")
    source = ArraySource.of(geno.iloc[:, 3:].to_numpy(dtype=float))
    variants = replace(source.variants, chromosome=chromosome, identifier=geno[0].to_numpy(dtype=str))
    source = replace(source, samples=people.genotypes.samples, variants=variants)
    rules = ScanRules.like_gemma()
    related = LeftOut.by(source, rules)
    [nulls] = Traits(["t1 ~ 1"], people.table, source.samples, related, added=1).groups()
    method = Method("exact", "chromosome", rules)
    stage = next(s for s in stages(nulls, related, method, chromosome) if s.name == "19")
    scanner, [estimates] = stage.prepare()
    assert estimates.genetic_variance == pytest.approx(1.45885, rel=1e-5)
    assert estimates.residual_variance == pytest.approx(0.345388, rel=1e-5)
    ours = as_table(block for (block,) in results(source, nulls, stage, scanner, rules=rules))
    theirs = pd.read_csv(
        GWAS / "expected" / "mouse_hs1940" / "gemma" / "lmm1_loco19_n1.assoc.txt.gz", sep="\t"
    )
    ours = ours[ours["p_value"].notna()].reset_index(drop=True)
    assert ours["rsid"].tolist() == theirs["rs"].tolist()
    # by six printed digits; the second allele of a BIMBAM file is the one counted
    assert np.allclose(np.abs(ours["beta"]), np.abs(theirs["beta"]), rtol=2e-5, atol=1e-9)
    assert np.allclose(ours["standard_error"], theirs["se"], rtol=1e-5)
    assert np.allclose(ours["lambda_reml"], theirs["l_remle"], rtol=2e-5)
    assert np.allclose(ours["neg_log_10_p_value"], -np.log10(theirs["p_wald"]), rtol=2e-5, atol=1e-5)


GCTA = [("hapmap3", "q1"), ("hapmap3", "q2"), ("saige_example", "y_quantitative")]


@needs_gwas_reference
@pytest.mark.parametrize(("name", "trait"), GCTA)
def test_gcta(name, trait):
    """GCTA's --mlma-loco subtracts the covariates' effects from the trait first: close, and no more."""
    people = reference_cohort(name)
    common = variant_filter(people.genotypes, min_maf=0.01)
    related = hd.loco(people.genotypes, missing="pairwise", variants=common)
    formula = people.formula(trait, covariates=True)
    found = hd.scan(formula, people.table, people.genotypes, relationship=related, test="null")
    theirs = pd.read_csv(GWAS / "expected" / name / "gcta" / f"mlmaloco_{trait}.loco.mlma.gz", sep=r"\s+")
    ours = found.table.set_index("rsid").loc[theirs["SNP"]]
    tails = ours["neg_log_10_p_value"].to_numpy(), -np.log10(theirs["p"].to_numpy())
    assert np.corrcoef(*tails)[0, 1] > 0.99999
    assert np.abs(np.subtract(*tails)).max() < 0.05
