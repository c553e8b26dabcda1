"""Genome scans against every single-trait run of GEMMA 0.98.5 on PLINK files, and against dense GLS."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from cohorts import Cohort, reference_cohort
from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.result import ScanResult
from henderson.genotype.blocks import variant_filter

pytestmark = needs_gwas_reference

#: What GEMMA prints: the relative rounding of seven digits.
PRINTED = 0.51e-6
#: Data set, number of the trait (GEMMA's -n) and whether there are covariates (-c).
GEMMA = [
    ("mouse_hs1940", 1, False),
    ("mouse_hs1940", 1, True),
    ("mouse_hs1940", 6, False),
    ("maize_mdp", 1, False),
    ("maize_mdp", 2, False),
    ("maize_mdp", 3, False),
    ("hapmap3", 1, True),
    ("hapmap3", 2, False),
    ("salmon", 2, False),
    ("saige_example", 1, True),
]
#: Data set, fileset, trait, covariates, name of the stored result.
BY_HAND = [
    ("mouse_hs1940", "mouse_clean", "t1", False, "t1"),
    ("maize_mdp", None, "EarHT", False, "EarHT"),
    ("hapmap3", None, "q1", True, "q1_cov"),
    ("salmon", None, "amoebic_load", False, "amoebic_load"),
]


@dataclass(frozen=True)
class Run:
    """A scan, its tested variants, and GEMMA's table and log."""

    cohort: Cohort
    result: ScanResult
    ours: pd.DataFrame
    theirs: pd.DataFrame
    log: dict[str, float]


@lru_cache(maxsize=2)
def gemma_run(name: str, number: int, covariates: bool) -> Run:
    cohort = reference_cohort(name)
    trait = cohort.traits[number - 1]
    formula = cohort.formula(trait, covariates=covariates)
    # GEMMA chose the variants of its matrix by the people with the first trait and made no other matrix.
    # Only where these are the people analysed is it the one that `relationship="grm"` stands for.
    first = cohort.with_trait(cohort.traits[0])
    used = [trait, *(cohort.covariates if covariates else [])]
    analysed = cohort.table[used].notna().all(axis=1)
    relationship: hd.RelationshipMatrix | str = "grm"
    if not analysed.equals(cohort.table[cohort.traits[0]].notna()):
        rules = hd.ScanRules.like_gemma()
        keep = variant_filter(cohort.genotypes, first, min_maf=rules.min_maf, max_missing=rules.max_missing)
        relationship = hd.grm(cohort.genotypes, scale="centered", variants=keep)
    result = hd.scan(
        formula,
        cohort.table,
        cohort.genotypes,
        relationship=relationship,
        rules=hd.ScanRules.like_gemma(),
        threads=2,
    )
    tag = f"lmm4_n{number}{'_cov' if covariates else ''}"
    folder = GWAS / "expected" / name / "gemma"
    text = dict.fromkeys(["chr", "rs", "allele1", "allele0"], str)
    theirs = pd.read_csv(folder / f"{tag}.assoc.txt.gz", sep="\t", dtype=text, keep_default_na=False)
    log = dict(re.findall(r"^## (.+?) = +(\S+)$", (folder / f"{tag}.log.txt").read_text(), flags=re.M))
    ours = result.table[result.table["p_value"].notna()].reset_index(drop=True)
    return Run(cohort, result, ours, theirs, {k: float(v) for k, v in log.items() if _is_number(v)})


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?(e[-+]\d+)?", text) is not None


@pytest.fixture(params=GEMMA, ids=lambda run: f"{run[0]}-n{run[1]}{'-cov' if run[2] else ''}", scope="module")
def run(request):
    return gemma_run(*request.param)


def test_every_stored_run_is_here():
    stored = {
        (path.parents[1].name, path.name) for path in (GWAS / "expected").glob("*/gemma/lmm4_n*.assoc.txt.gz")
    }
    assert stored == {(s, f"lmm4_n{k}{'_cov' if c else ''}.assoc.txt.gz") for s, k, c in GEMMA}


def test_same_variants_in_the_same_order(run):
    for ours, theirs in [
        ("rsid", "rs"),
        ("chromosome", "chr"),
        ("base_pair_location", "ps"),
        ("effect_allele", "allele1"),
        ("other_allele", "allele0"),
    ]:
        assert run.ours[ours].tolist() == run.theirs[theirs].tolist()
    assert len(run.result.table) == run.cohort.genotypes.variants.m
    assert run.result.null.nobs == run.log["number of analyzed individuals"]


def test_counts_and_frequencies(run):
    assert np.array_equal(run.result.null.nobs - run.ours["n"], run.theirs["n_miss"])
    assert np.abs(run.ours["effect_allele_frequency"] - run.theirs["af"]).max() < 0.5e-3 + 1e-12


def test_effects(run):
    assert (np.abs(run.ours["beta"] - run.theirs["beta"]) < 2e-5 * run.theirs["se"]).all()
    assert np.allclose(run.ours["standard_error"], run.theirs["se"], rtol=5e-6, atol=0)


@pytest.mark.parametrize("test", ["value", "lrt", "score"])
def test_p_values(run, test):
    theirs = run.theirs["p_wald" if test == "value" else f"p_{test}"]
    ours = run.ours[f"neg_log_10_p_{test}"]
    expected = -np.log10(theirs)
    assert (np.abs(ours - expected) < np.maximum(1e-4, 1e-5 * expected)).all()
    assert np.allclose(run.ours[f"p_{test}"], 10.0**-ours, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("ours", "theirs"), [("lambda_reml", "l_remle"), ("lambda_ml", "l_mle")])
def test_the_same_maximum(run, ours, theirs):
    """GEMMA stops at a relative change of 1e-5; at the ends of its range lambda is the end."""
    assert np.allclose(run.ours[ours], run.theirs[theirs], rtol=3e-5, atol=0)


def test_likelihood(run):
    theirs = run.theirs["logl_H1"]
    precision = PRINTED * 10.0 ** np.ceil(np.log10(np.abs(theirs)))
    assert (run.ours["log_likelihood"] > theirs - precision - 1e-6).all()
    assert (run.ours["log_likelihood"] < theirs + precision + 1e-5).all()


def test_null_model(run):
    found, log = run.result.null.heritability(), run.log
    X = run.result.null.engine.model.X
    loglik = found.loglik + 0.5 * np.linalg.slogdet(X.T @ X)[1]  # a constant that GEMMA adds
    for ours, theirs in [
        (found.pve, "pve estimate in the null model"),
        (found.pve_se, "se(pve) in the null model"),
        (found.genetic_variance, "vg estimate in the null model"),
        (found.residual_variance, "ve estimate in the null model"),
        (loglik, "REMLE log-likelihood in the null model"),
    ]:
        assert ours == pytest.approx(log[theirs], rel=2e-5)


@lru_cache(maxsize=1)
def hand_run(name, bed, trait, covariates, tag):
    cohort = reference_cohort(name, bed)
    common = variant_filter(cohort.genotypes, min_maf=0.01)
    K = hd.grm(cohort.genotypes, missing="pairwise", variants=common)
    formula = cohort.formula(trait, covariates=covariates)
    result = hd.scan(formula, cohort.table, cohort.genotypes, relationship=K, test="null")
    folder = GWAS / "expected" / name / "hand"
    theirs = pd.read_csv(folder / f"{tag}.assoc.gz", sep="\t", keep_default_na=False)
    ours = result.table[common].reset_index(drop=True)
    return result, ours, theirs, json.loads((folder / f"{tag}.json").read_text())


@pytest.fixture(params=BY_HAND, ids=lambda case: case[0], scope="module")
def hand(request):
    return hand_run(*request.param)


def test_null_model_by_hand(hand):
    result, _, _, stored = hand
    found = result.null.heritability()
    assert found.n == stored["n"]
    assert found.genetic_variance == pytest.approx(stored["vg"], rel=1e-6)
    assert found.residual_variance == pytest.approx(stored["ve"], rel=1e-6)
    assert found.h2 == pytest.approx(stored["h2"], rel=1e-6)
    assert found.lrt == pytest.approx(stored["LRT"], rel=1e-9)


def test_variants_at_the_null_components_by_hand(hand):
    _, ours, theirs, _ = hand
    assert ours["rsid"].tolist() == theirs["snp"].tolist()
    assert ours["effect_allele"].tolist() == theirs["A1"].astype(str).tolist()
    assert np.allclose(ours["effect_allele_frequency"], theirs["freq_A1_in_analysed"], rtol=0, atol=1e-8)
    assert (np.abs(ours["beta"] - theirs["b_mlma"]) < 1e-6 * theirs["se_mlma"]).all()
    assert np.allclose(ours["standard_error"], theirs["se_mlma"], rtol=1e-6, atol=0)
    assert np.allclose(ours["neg_log_10_p_value"], -np.log10(theirs["p_mlma"]), rtol=1e-6, atol=1e-7)
    chi2, expected = (
        (table[b] / table[se]) ** 2
        for table, b, se in [(ours, "beta", "standard_error"), (theirs, "b_mlma", "se_mlma")]
    )
    assert np.allclose(chi2, expected, rtol=1e-4, atol=1e-9)
