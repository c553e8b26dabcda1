"""Relationship matrices against loops over pairs of people, and against GEMMA, PLINK 2 and GCTA."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.grm import grm
from henderson.errors import DataError
from henderson.genotype import ArraySource, variant_filter
from henderson.io.plink1 import open_plink1
from plink_files import random_genotypes, write_plink

BED = {
    "mouse_hs1940": "mouse_hs1940",
    "hapmap3": "hapmap3",
    "salmon": "salmon",
    "maize_mdp": "maize_mdp",
    "saige_example": "plinkforGRM_1000samples_10kMarkers",
}


def by_pairs(calls, scale, missing, variance):
    """The definition: for each pair of people the mean over variants."""
    n = calls.shape[1]
    total, number = np.zeros((n, n)), np.zeros((n, n))
    for row in calls:
        called = [float(x) for x in row if x >= 0]
        if len(set(called)) < 2:
            continue
        mean = sum(called) / len(called)
        divisor = 1.0
        if scale == "standardized":
            spread = sum((x - mean) ** 2 for x in called) / n
            divisor = mean * (1 - mean / 2) if variance == "hwe" else spread
        for i, j in product(range(n), repeat=2):
            both = row[i] >= 0 and row[j] >= 0
            if both:
                total[i, j] += (row[i] - mean) * (row[j] - mean) / divisor
            number[i, j] += both or missing == "mean"
    return total / number, number


@pytest.mark.parametrize("missing", ["mean", "pairwise"])
@pytest.mark.parametrize("variance", ["hwe", "sample"])
@pytest.mark.parametrize("scale", ["standardized", "centered"])
def test_definition(scale, variance, missing):
    calls = random_genotypes(60, 9, missing=0.15, low=0.0)
    calls[7] = 1
    calls[8] = -1
    G = grm(ArraySource.of(calls), scale=scale, variance=variance, missing=missing)
    matrix, number = by_pairs(calls, scale, missing, variance)
    assert np.allclose(G.matrix, matrix, rtol=0, atol=1e-13)
    assert np.array_equal(G.matrix, G.matrix.T)
    assert np.array_equal(np.broadcast_to(G.n_variants, (9, 9)), number)


def test_complete_genotypes_need_no_choice_of_missing():
    source = ArraySource.of(random_genotypes(50, 8))
    one, other = (grm(source, missing=missing) for missing in ("mean", "pairwise"))
    assert np.allclose(one.matrix, other.matrix, rtol=0, atol=1e-14)
    assert (other.n_variants == one.n_variants).all()


def test_which_allele_is_counted_does_not_matter():
    calls = random_genotypes(80, 10, missing=0.1)
    flipped = np.where(calls < 0, -1, 2 - calls)
    one, other = (grm(ArraySource.of(c), missing="pairwise").matrix for c in (calls, flipped))
    assert np.allclose(one, other, rtol=0, atol=1e-13)


def test_from_a_fileset_with_some_people_and_variants(tmp_path, caplog):
    calls = random_genotypes(70, 12, missing=0.1)
    calls[5] = 0
    path = write_plink(tmp_path / "cohort", calls)
    people, variants = np.array([11, 3, 4, 0, 7]), np.arange(70) % 3 > 0
    steps = []
    with caplog.at_level("INFO", logger="henderson"):
        G = grm(path, samples=people, variants=variants, progress=lambda done, of: steps.append((done, of)))
    matrix, number = by_pairs(calls[variants][:, people], "standardized", "mean", "hwe")
    assert np.allclose(G.matrix, matrix, rtol=0, atol=1e-13)
    assert G.n_variants == number[0, 0]
    left_out = variants.sum() - number[0, 0]
    assert f"{left_out:.0f} variants with only one genotype were left out" in caplog.text
    assert G.samples.iid.tolist() == ["i12", "i4", "i5", "i1", "i8"]
    assert steps == [(46, 46)]
    mask = np.isin(np.arange(12), people)
    again = grm(path, samples=mask, variants=np.flatnonzero(variants))
    order = np.argsort(people)
    assert np.allclose(again.matrix, G.matrix[np.ix_(order, order)], rtol=0, atol=1e-13)


def on_chromosomes(calls, names):
    source = ArraySource.of(calls)
    return replace(source, variants=replace(source.variants, chromosome=np.array(names)))


def test_only_autosomes_and_what_has_no_place_unless_asked_for(caplog):
    calls = random_genotypes(7, 10, missing=0.1, low=0.3, high=0.7)
    source = on_chromosomes(calls, ["1", "X", "chr22", "Y", "MT", "0", "XY"])
    with caplog.at_level("INFO", logger="henderson"):
        G = grm(source)
    matrix, number = by_pairs(calls[[0, 2, 5]], "standardized", "mean", "hwe")
    assert np.allclose(G.matrix, matrix, rtol=0, atol=1e-13)
    assert G.n_variants == number[0, 0] == 3
    assert "4 variants on sex chromosomes or in mitochondria say nothing of relationship" in caplog.text
    asked = grm(source, variants=[0, 1])
    assert asked.n_variants == 2


def test_no_autosomes():
    source = on_chromosomes(random_genotypes(2, 10), ["X", "23"])
    with pytest.raises(DataError, match=r"all 2 variants are on sex chromosomes .* ask for these variants"):
        grm(source)


def test_results_do_not_depend_on_the_blocks(monkeypatch):
    source = ArraySource.of(random_genotypes(500, 20, missing=0.1))
    whole = grm(source, missing="pairwise")
    monkeypatch.setattr("henderson.genotype.blocks.block_size", lambda n: 7)
    parts = grm(source, missing="pairwise")
    assert np.allclose(whole.matrix, parts.matrix, rtol=0, atol=1e-13)
    assert np.array_equal(whole.n_variants, parts.n_variants)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "standardised"}, "scale='standardised' is not one of 'standardized', 'centered'"),
        ({"missing": "drop"}, "missing='drop' is not one of"),
        ({"variance": "observed"}, "variance='observed' is not one of"),
        ({"variants": [True] * 3}, r"variants has shape \(3,\), but the genotypes have 4 variants"),
        ({"samples": [0, 9]}, "samples reaches from 0 to 9, but there are only 0 to 4"),
        ({"samples": [-1]}, "samples reaches from -1"),
        ({"samples": ["i1"]}, "samples takes truth values or whole numbers"),
        (
            {"variants": [2, 3]},
            "none of the 2 variants asked for has more than one genotype among these 5 people",
        ),
        ({"samples": []}, "samples takes truth values or whole numbers"),
        ({"samples": [False] * 5}, "none of the 4 variants asked for .* among these 0 people"),
        ({"variants": [False] * 4}, "none of the 0 variants asked for"),
        ({"missing": "pairwise"}, "1 1 and 2 2 have no variant at which both were called"),
    ],
)
def test_mistakes(arguments, message):
    calls = [[-1, 0, 1, 2, 2], [0, -1, 1, 1, 0], [1, 1, 1, 1, 1], [-1, -1, -1, -1, -1]]
    with pytest.raises(DataError, match=message):
        grm(ArraySource.of(calls), **arguments)


# Against other programs


def assert_equal(G, stem, atol):
    """Hold a matrix against its stored diagonal, rows and sums."""
    rows = np.load(f"{stem}.rows.npz")
    summary = json.loads(stem.with_name(f"{stem.name}.summary.json").read_text())
    n = summary["n"]
    assert G.matrix.shape == (n, n)
    for mine, theirs in [
        (G.matrix.diagonal(), rows["diag"]),
        (G.matrix[:40], rows["rows"]),
        (G.matrix[rows["randidx"]], rows["randrows"]),
    ]:
        assert np.abs(mine - theirs).max() < atol
    assert np.trace(G.matrix) == pytest.approx(summary["trace"], rel=3e-9)
    assert np.linalg.norm(G.matrix) == pytest.approx(summary["fro"], rel=3e-9)


def gemma_variants(source, folder):
    """The variants that GEMMA uses for the first trait: judged by who has it."""
    (file,) = folder.glob("*.pheno.gemma.txt")
    trait = [line.split()[0] for line in file.read_text().splitlines()]
    people = np.flatnonzero(np.array(trait) != "NA")
    return variant_filter(source, people, min_maf=0.01, max_missing=0.05)


@needs_gwas_reference
@pytest.mark.parametrize("name", BED)
def test_gemma(name):
    source = open_plink1(GWAS / "data" / name / BED[name])
    keep = gemma_variants(source, GWAS / "data" / name)
    expected = GWAS / "expected" / name / "gemma"
    said = (expected / "gk1.run.txt").read_text()
    assert f"number of analyzed SNPs         = {keep.sum():8d}" in said
    # GEMMA prints 10 digits: half a unit in the last place of numbers below 1 and above.
    assert_equal(grm(source, scale="centered", variants=keep), expected / "gk1", 5.1e-11)
    if (expected / "gk2.rows.npz").exists():
        assert_equal(grm(source, variance="sample", variants=keep), expected / "gk2", 5.1e-10)


@needs_gwas_reference
@pytest.mark.parametrize("name", BED)
def test_plink2_and_gcta(name):
    # Half a unit in the last place of single precision, below 2 (maize: 4).
    atol = 1.2e-7 if name == "maize_mdp" else 6e-8
    source = open_plink1(GWAS / "data" / name / BED[name].replace("mouse_hs1940", "mouse_clean"))
    keep = variant_filter(source, min_maf=0.01)
    expected = GWAS / "expected" / name
    G = grm(source, missing="pairwise", variants=keep)
    assert_equal(G, expected / "plink2" / "grm_maf01", atol)
    if (expected / "gcta" / "grm.rows.npz").exists():
        assert_equal(G, expected / "gcta" / "grm", atol)
    number = np.load(expected / "plink2" / "grm_maf01.N.npz")
    assert np.array_equal(G.n_variants[np.tril_indices(source.samples.n)][:5000], number["first"])
    assert (G.n_variants.min(), G.n_variants.max()) == (number["min"], number["max"])
    assert_equal(grm(source, variants=keep), expected / "plink2" / "grm_maf01_meanimpute", atol)
    covariance = grm(source, scale="centered", missing="pairwise", variants=keep)
    assert_equal(covariance, expected / "plink2" / "relcov_maf01", atol)
