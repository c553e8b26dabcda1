"""Principal components against dense eigenvectors and PLINK 2's."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.grm import grm
from henderson.association.leading import leading_krylov, leading_of_matrix
from henderson.association.pca import pca
from henderson.errors import DataError
from henderson.genotype import ArraySource, Variants, variant_filter
from henderson.io.plink1 import open_plink1
from plink_files import random_genotypes

#: PLINK 2.00a3.5, --pca 3 meanimpute on `cohort`: eigenvalues, and the first three people.
EIGENVALUES = [12.1814, 9.63872, 7.44247]
EIGENVECTORS = [
    [-0.0836589, 0.169412, -0.0389521],
    [-0.0871046, -0.0650524, -0.280141],
    [-0.149271, -0.00377724, 0.0918274],
]


def cohort():
    """Sixty correlated variants in eighty people, calls missing."""
    rng = np.random.default_rng(11)
    m, n = 60, 80
    calls = np.zeros((m, n), np.int8)
    for _ in range(2):
        haplotype = rng.random(n) < 0.4
        for v in range(m):
            fresh = rng.random(n) < 0.18
            haplotype = np.where(fresh, rng.random(n) < 0.35, haplotype)
            calls[v] += haplotype
    calls[rng.random((m, n)) < 0.05] = -1
    return ArraySource.of(calls)


def up_to_signs(found, expected):
    """The largest difference, columns turned to agree."""
    return np.abs(found - expected * np.sign((found * expected).sum(axis=0))).max()


@pytest.mark.parametrize("method", ["exact", "krylov"])
def test_components_of_plink(method):
    found = pca(cohort(), 3, method=method)
    assert np.allclose(found.eigenvalues, EIGENVALUES, rtol=5e-6)
    scores = found.scores[:3] * np.sign(found.scores[0] * EIGENVECTORS[0])
    assert np.abs(scores - EIGENVECTORS).max() < 1e-6


@pytest.mark.parametrize("method", ["exact", "krylov"])
def test_components_are_eigenvectors_of_the_relationship_matrix(method):
    calls = random_genotypes(300, 70, seed=4, missing=0.03)
    calls[5] = 1
    source = ArraySource.of(calls)
    people, variants = np.arange(69, 9, -1), np.arange(0, 280)
    found = pca(source, 5, samples=people, variants=variants, method=method, tolerance=1e-9)
    G = grm(source, samples=people, variants=variants)
    values, vectors = np.linalg.eigh(G.matrix)
    assert np.allclose(found.eigenvalues, values[::-1][:5], rtol=1e-12)
    assert up_to_signs(found.scores, vectors[:, ::-1][:, :5]) < 1e-7
    assert np.allclose(found.share, found.eigenvalues / np.trace(G.matrix), rtol=1e-12)
    assert found.n_variants == G.n_variants == 279
    assert found.samples.iid.tolist() == source.samples.iid[people].tolist()
    assert found.residual < 1e-9
    assert found.method == method
    largest = np.abs(found.scores).argmax(axis=0)
    assert (found.scores[largest, np.arange(5)] > 0).all()


def test_which_allele_is_counted_does_not_matter():
    source = cohort()
    other = np.where(source.calls < 0, -1, 2 - source.calls).astype(np.int8)
    found = pca(ArraySource(other, source.samples, source.variants), 3)
    assert np.allclose(found.scores, pca(source, 3).scores, atol=1e-12)


def on(chromosomes):
    """`cohort`, its variants on these chromosomes in turn."""
    source = cohort()
    v = source.variants
    names = np.resize(np.array(chromosomes), v.m)
    placed = Variants(names, v.position, v.identifier, v.effect_allele, v.other_allele)
    return ArraySource(source.calls, source.samples, placed)


@pytest.mark.parametrize("method", ["exact", "krylov"])
def test_sex_chromosomes_are_left_out_unless_they_are_asked_for(method, caplog):
    source = on(["1", "X", "2", "MT", "0"])
    with caplog.at_level(logging.INFO, logger="henderson"):
        found = pca(source, 2, method=method)
    assert "24 variants on sex chromosomes or in mitochondria say nothing of relationship" in caplog.text
    assert found.n_variants == 36
    values = np.linalg.eigvalsh(grm(source).matrix)[:-3:-1]
    assert np.allclose(found.eigenvalues, values, rtol=1e-9)
    assert pca(source, 2, method=method, variants=np.ones(60, dtype=bool)).n_variants == 60
    with pytest.raises(DataError, match="all 60 variants are on sex chromosomes or in mitochondria"):
        pca(on(["X"]), 2)


def test_dosages():
    source = cohort()
    dosages = np.where(source.calls < 0, np.nan, source.calls).astype(np.float32)
    found = pca(ArraySource(dosages, source.samples, source.variants), 3)
    assert np.allclose(found.scores, pca(source, 3).scores, atol=1e-6)


def matrix_of(values, seed=1):
    """A symmetric matrix with these eigenvalues, and its eigenvectors."""
    vectors = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values), len(values))))[0]
    return (vectors * values) @ vectors.T, vectors


def test_close_eigenvalues_and_restarts():
    values = np.concatenate([[5.0, 4.99, 4.98], np.linspace(4.9, 0.01, 397)])
    A, vectors = matrix_of(values)
    found = leading_krylov(lambda V: A @ V, 400, 3, tolerance=1e-9, seed=0)
    assert found.passes > 14  # beyond the first restart
    assert found.residual <= 1e-9
    assert np.allclose(found.values, values[:3], rtol=1e-14)
    assert up_to_signs(found.vectors, vectors[:, :3]) < 1e-6
    assert up_to_signs(leading_of_matrix(A, 3).vectors, vectors[:, :3]) < 1e-10


def test_a_matrix_of_low_rank():
    values = np.zeros(50)
    values[:4] = [4, 3, 2, 1]
    A, vectors = matrix_of(values)
    found = leading_krylov(lambda V: A @ V, 50, 4, tolerance=1e-12, seed=0)
    assert np.allclose(found.values, values[:4])
    assert up_to_signs(found.vectors, vectors[:, :4]) < 1e-10


def test_what_does_not_settle_says_so(caplog, monkeypatch):
    values = np.linspace(2.0, 1.0, 300)
    A, _ = matrix_of(values)
    found = leading_krylov(lambda V: A @ V, 300, 5, tolerance=1e-14, seed=0, most_passes=3)
    assert found.passes == 3
    assert found.residual > 1e-14
    with caplog.at_level(logging.WARNING, "henderson"):
        result = pca(cohort(), 5, method="krylov", tolerance=1e-18)
    assert "did not settle" in result.notices[0]
    assert "did not settle" in caplog.text


def test_the_seed_changes_nothing_but_rounding():
    first, second = (pca(cohort(), 3, method="krylov", seed=seed, tolerance=1e-9) for seed in (0, 1))
    assert np.abs(first.scores - second.scores).max() < 1e-7
    again = pca(cohort(), 3, method="krylov", tolerance=1e-9)
    assert np.array_equal(first.scores, again.scores)


def test_loadings_and_the_places_of_other_people():
    source = ArraySource.of(random_genotypes(400, 60, seed=2, missing=0.02))
    found = pca(source, 4)
    loadings = found.loadings()
    assert np.allclose(loadings.weights.T @ loadings.weights, np.eye(4), atol=1e-10)
    assert loadings.variants.m == found.n_variants == 400
    assert np.allclose(found.project(source), found.scores, atol=1e-12)
    # some of them, in another order; variants in another order, and alleles the other way round
    v = source.variants.take(np.arange(399, -1, -1))
    turned = Variants(v.chromosome, v.position, v.identifier, v.other_allele, v.effect_allele)
    calls = np.where(source.calls < 0, -1, 2 - source.calls)[::-1].astype(np.int8)
    placed = found.project(ArraySource(calls, source.samples, turned), samples=[7, 3])
    assert np.allclose(placed, found.scores[[7, 3]], atol=1e-12)


def test_projection_where_variants_are_alike(caplog):
    """Five variants at each place, with the same alleles: each is its own, and what is lost is counted."""
    source = cohort()
    v = source.variants
    alike = Variants(v.chromosome, v.position // 5, v.identifier, v.effect_allele, v.other_allele)
    source = ArraySource(source.calls, source.samples, alike)
    found = pca(source, 2)
    assert np.allclose(found.project(source), found.scores, atol=1e-12)
    fewer = ArraySource(source.calls[::5], source.samples, alike.take(np.arange(0, 60, 5)))
    found.project(fewer)
    assert "48 of the 60 variants of the components are not among these genotypes" in caplog.text


def test_projection_without_some_variants_or_with_none(caplog):
    source = ArraySource.of(random_genotypes(50, 30, seed=2))
    found = pca(source, 2)
    part = ArraySource(source.calls[:20], source.samples, source.variants.take(np.arange(20)))
    with caplog.at_level(logging.WARNING, "henderson"):
        placed = found.project(part)
    assert "30 of the 50 variants" in caplog.text
    weights = found.loadings()
    p = weights.frequency[:20, None]
    z = (source.calls[:20] - 2 * p) / np.sqrt(2 * p * (1 - p))
    assert np.allclose(placed, z.T @ weights.weights[:20] / np.sqrt(50 * found.eigenvalues))
    elsewhere = Variants(
        np.full(50, "9"), *(getattr(source.variants, name) for name in ("position", "identifier")),
        source.variants.effect_allele, source.variants.other_allele,
    )  # fmt: skip
    with pytest.raises(DataError, match="None of the 50 variants"):
        found.project(ArraySource(source.calls, source.samples, elsewhere))


def test_files_as_plink_writes_them(tmp_path):
    found = pca(cohort(), 3)
    found.write(tmp_path / "small")
    lines = (tmp_path / "small.eigenvec").read_text().splitlines()
    assert lines[0] == "#FID\tIID\tPC1\tPC2\tPC3"
    again = pd.read_csv(tmp_path / "small.eigenvec", sep="\t")
    assert np.allclose(again[["PC1", "PC2", "PC3"]], found.scores, atol=1e-9)
    assert np.allclose(np.loadtxt(tmp_path / "small.eigenval"), found.eigenvalues, rtol=1e-9)
    found.loadings().write(tmp_path / "small.loadings.tsv")
    weights = pd.read_csv(tmp_path / "small.loadings.tsv", sep="\t")
    assert list(weights)[:6] == [
        "chromosome", "base_pair_location", "rsid", "effect_allele", "other_allele", "effect_allele_frequency"
    ]  # fmt: skip
    assert np.allclose(weights[["PC1", "PC2", "PC3"]], found.loadings().weights, atol=1e-9)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "small.eigenval", "small.eigenvec", "small.loadings.tsv"
    ]  # fmt: skip


def test_a_pair_of_twins_makes_a_component_of_its_own():
    calls = random_genotypes(2000, 150, seed=8)
    calls[:, 1] = calls[:, 0]
    found = pca(ArraySource.of(calls), 2)
    assert np.abs(found.scores[:2, 0]).min() > 0.6
    assert found.notices[0].startswith("PC1: fewer than 10 people make up it, PC1 foremost")
    assert not pca(ArraySource.of(calls[:, 1:]), 2).notices


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_components": 0}, "n_components must be"),
        ({"n_components": True}, "n_components must be"),
        ({"n_components": 80}, "80 components were asked for, but 80 people and 60 variants have 60"),
        ({"method": "fast"}, "method='fast' is not one of"),
        ({"tolerance": 0.0}, "tolerance must"),
        ({"samples": [0, 99]}, "samples reaches from 0 to 99"),
        ({"variants": [True]}, "variants has shape"),
    ],
)
def test_arguments_that_make_no_sense(arguments, said):
    with pytest.raises(DataError, match=said):
        pca(cohort(), **arguments)


def test_people_who_do_not_differ_enough():
    calls = np.repeat(random_genotypes(50, 3, seed=1), 10, axis=1)
    calls = calls[(calls.max(axis=1) > calls.min(axis=1))]
    with pytest.raises(DataError, match="differ in 2 directions only"):
        pca(ArraySource.of(calls), 4)


@needs_gwas_reference
@pytest.mark.parametrize("method", ["exact", "krylov"])
@pytest.mark.parametrize(
    ("name", "fileset"),
    [
        ("mouse_hs1940", "mouse_clean"),
        ("maize_mdp", "maize_mdp"),
        ("saige_example", "plinkforGRM_1000samples_10kMarkers"),
    ],
)
def test_components_of_cohorts_without_missing_calls(name, fileset, method):
    # PLINK's default takes people pair by pair, which is the same where nothing is missing
    source = open_plink1(GWAS / "data" / name / fileset)
    found = pca(source, 10, variants=variant_filter(source, min_maf=0.01), method=method)
    folder = GWAS / "expected" / name / "plink2"
    expected = pd.read_csv(folder / "pca.eigenvec.gz", sep="\t", dtype={"#FID": str, "IID": str})
    assert found.samples.iid.tolist() == expected["IID"].tolist()
    # six digits, of eigenvectors of eigenvalues of which some are close
    assert np.allclose(found.eigenvalues, np.loadtxt(folder / "pca.eigenval"), rtol=3e-6)
    assert up_to_signs(found.scores, expected.iloc[:, 2:].to_numpy()) < (2e-4 if name[0] == "s" else 2e-6)


@needs_gwas_reference
def test_components_of_a_cohort_with_missing_calls():
    # PLINK 2.00a3.5, --maf 0.01 --pca 10 meanimpute: eigenvalues and the first person
    source = open_plink1(GWAS / "data/hapmap3/hapmap3")
    found = pca(source, 10, variants=variant_filter(source, min_maf=0.01))
    expected = [26.2009, 23.3941, 6.93249, 6.09046, 4.39083, 2.65758, 2.46448, 2.31036, 2.26413, 2.20947]
    assert np.allclose(found.eigenvalues, expected, rtol=3e-6)
    first = [-0.0360657, -0.0136713, 0.000473733, -0.0368824, 0.00281793, 0.00525571]
    assert np.allclose(np.abs(found.scores[0, :6]), np.abs(first), atol=2e-6)
