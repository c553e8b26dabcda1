"""The same people and variants in every format: the same genotypes, and the same scan."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from cohorts import reference_cohort
from gwas_reference import needs_gwas_reference
from henderson.genotype import ArraySource, Samples, Variants
from henderson.io.open_genotypes import open_genotypes
from henderson.io.plink1 import open_plink1
from plink_files import random_genotypes, write_plink
from raw_dosages import FORMATS, assert_same_as_raw
from vcf_files import Line, write_vcf, write_vcf_zarr

#: The library that reads each ending.
LIBRARIES = {
    ".pgen": "pgenlib",
    ".bgen": "bgen",
    ".vcf": "cyvcf2",
    ".gz": "cyvcf2",
    ".bcf": "cyvcf2",
    ".vcz": "zarr",
}

#: PLINK 2 stores dosages as multiples of 2^-14 and prints them with four decimals.
ROUNDED = 2**-15 + 5e-5

#: File, what PLINK 2 says is in it, and by how much it may differ. The simulated dosages have three decimals,
#: which a VCF keeps and PLINK 2 prints exactly.
FILES = [
    ("hm3.bed", "hm3", 0),
    ("hm3.pgen", "hm3", 0),
    ("hm3_zs.pgen", "hm3", 0),
    ("hm3.vcf.gz", "hm3", 0),
    ("hm3.bcf", "hm3", 0),
    ("hm3_8bit.bgen", "hm3", 0),
    ("hm3_16bit.bgen", "hm3", 0),
    ("hm3_8bit_reffirst.bgen", "hm3", 0),
    ("hm3_c22_ds.pgen", "hm3_c22_ds", ROUNDED),
    ("hm3_c22_ds.vcf.gz", "hm3_c22_ds", 1e-6),
    ("hm3_c22_ds_v11.bgen", "hm3_c22_ds", ROUNDED),
    ("hm3_c22_ds_8bit.bgen", "hm3_c22_ds_8bit", ROUNDED),
    ("hm3_c22_ds_16bit.bgen", "hm3_c22_ds_16bit", ROUNDED),
]
HARD_CALLS = [name for name, truth, _ in FILES if truth == "hm3"]


def opened(path: Path):
    if path.suffix in LIBRARIES:
        pytest.importorskip(LIBRARIES[path.suffix])
    return open_genotypes(path)


# The files of the reference data


@needs_gwas_reference
@pytest.mark.parametrize(("name", "truth", "within"), FILES)
def test_genotypes_are_those_of_plink2(name, truth, within):
    assert_same_as_raw(opened(FORMATS / name), truth, within=within)


@needs_gwas_reference
def test_no_file_is_forgotten():
    endings = (".bed", ".pgen", ".bgen", ".vcf.gz", ".bcf")
    there = {path.name for path in FORMATS.iterdir() if path.name.endswith(endings)}
    assert {name for name in there if not name.startswith("bgenorg")} == {name for name, *_ in FILES}


@needs_gwas_reference
def test_the_public_bgen_example_and_its_vcf():
    # Imputed by others: probabilities of 16 bits, and six digits of them as GP of a VCF.
    vcf, bgen = (opened(FORMATS / f"bgenorg_example.16bits.{ending}") for ending in ("vcf.gz", "bgen"))
    assert vcf.samples.iid.tolist() == bgen.samples.iid.tolist()
    for name in ("chromosome", "position", "effect_allele", "other_allele"):
        assert getattr(vcf.variants, name).tolist() == getattr(bgen.variants, name).tolist()
    ours, theirs = vcf.read(slice(None)), bgen.read(slice(None))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=3e-6, equal_nan=True)
    coarse = opened(FORMATS / "bgenorg_example.8bits.bgen").read(slice(None))
    np.testing.assert_allclose(coarse, theirs, rtol=0, atol=1.01 / 255, equal_nan=True)


@lru_cache(maxsize=1)
def people_of_the_formats():
    """Trait and covariates of the people in the format files, and their relationship."""
    table = reference_cohort("hapmap3").table.drop(columns="FID")
    return table, hd.grm(open_plink1(FORMATS / "hm3.bed"))


def scanned(genotypes):
    """The scan of q1, and the effect allele of each row."""
    table, relationship = people_of_the_formats()
    # A VCF has no families: people are matched by IID, and so is the relationship.
    result = hd.scan("q1 ~ age + sex_2", table, genotypes, relationship=relationship, test="null")
    return result.table.set_index("rsid")


@needs_gwas_reference
@pytest.mark.parametrize("name", HARD_CALLS[1:])
def test_scans_are_the_same(name):
    from_bed = scanned(opened(FORMATS / HARD_CALLS[0]))
    assert_same_scan(scanned(opened(FORMATS / name)), from_bed, rtol=1e-9)
    assert (from_bed["p_value"] < 1e-3).any()


@needs_gwas_reference
def test_scans_of_dosages_are_the_same():
    names = [name for name, truth, _ in FILES if truth == "hm3_c22_ds"]
    first, *others = (scanned(opened(FORMATS / name)) for name in names)
    for other in others:
        assert_same_scan(other, first, rtol=1e-3)


def assert_same_scan(ours: pd.DataFrame, theirs: pd.DataFrame, *, rtol: float) -> None:
    """Two scans agree, whichever allele each calls the effect allele."""
    assert ours.index.tolist() == theirs.index.tolist()
    flipped = (ours["effect_allele"] != theirs["effect_allele"]).to_numpy()
    kept, other = (np.where(flipped, ours[name], ours[swap]) for name, swap in (
        ("effect_allele", "other_allele"), ("other_allele", "effect_allele")
    ))  # fmt: skip
    assert other.tolist() == theirs["effect_allele"].tolist()
    assert kept.tolist() == theirs["other_allele"].tolist()
    assert ours["n"].tolist() == theirs["n"].tolist()
    sign = np.where(flipped, -1, 1)
    frequency = ours["effect_allele_frequency"].to_numpy()
    frequency = np.where(flipped, 1 - frequency, frequency)
    errors = theirs["standard_error"].to_numpy()
    assert np.allclose(frequency, theirs["effect_allele_frequency"], rtol=0, atol=rtol)
    assert np.allclose(ours["standard_error"], errors, rtol=rtol, atol=0)
    assert (abs(sign * ours["beta"].to_numpy() - theirs["beta"].to_numpy()) <= rtol * errors).all()
    assert np.allclose(ours["neg_log_10_p_value"], theirs["neg_log_10_p_value"], rtol=rtol, atol=rtol)


# Small files of the same people, without the reference data


@pytest.fixture(scope="module")
def small():
    """Genotypes of 30 variants on two chromosomes in 40 people, ALT counted, and a trait."""
    calls = random_genotypes(30, 40, seed=8, missing=0.05, low=0.2, high=0.8)
    iid = np.array([f"i{i}" for i in range(1, 41)])
    chromosome = np.repeat(["1", "2"], 15)
    names = np.array([f"v{j}" for j in range(30)])
    variants = Variants(chromosome, np.arange(1, 31) * 1000, names, np.full(30, "C"), np.full(30, "A"))
    trait = np.random.default_rng(9).normal(size=40) + calls[4].clip(0)
    table = pd.DataFrame({"IID": iid, "y": trait})
    return ArraySource(calls, Samples(np.full(40, "0"), iid), variants), table


def write_bed(path, source):
    return write_plink(path.with_suffix(""), source.calls, samples=source.samples, variants=source.variants)


def write_pgen(path, source):
    pgenlib = pytest.importorskip("pgenlib")
    n, m = source.samples.n, source.variants.m
    with pgenlib.PgenWriter(str(path).encode(), n, m, nonref_flags=False) as writer:
        for row in source.calls:
            writer.append_biallelic(np.where(row < 0, -9, row).astype(np.int8))
    path.with_suffix(".psam").write_text("#IID\n" + "".join(f"{name}\n" for name in source.samples.iid))
    columns = [source.variants.chromosome, source.variants.position, source.variants.identifier]
    rows = zip(*(column.tolist() for column in columns), strict=True)
    text = "".join(f"{chromosome}\t{position}\t{name}\tA\tC\n" for chromosome, position, name in rows)
    path.with_suffix(".pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n" + text)
    return path


def write_bgen(path, source):
    bgen = pytest.importorskip("bgen")
    with bgen.BgenWriter(str(path), source.samples.n, samples=source.samples.iid.tolist()) as writer:
        v = source.variants
        for j, row in enumerate(source.calls):
            probabilities = (row[:, None] == np.arange(3)).astype(float)
            probabilities[row < 0] = np.nan
            name, chromosome = str(v.identifier[j]), str(v.chromosome[j])
            writer.add_variant(name, name, chromosome, int(v.position[j]), ["A", "C"], probabilities)
    return path


def lines_of(source):
    cells = np.array(["./.", "0/0", "0/1", "1|1"])
    v = source.variants
    rows = zip(source.calls, v.chromosome.tolist(), v.position.tolist(), v.identifier.tolist(), strict=True)
    return [Line(cells[row + 1].tolist(), chromosome, at, name) for row, chromosome, at, name in rows]


def write_any_vcf(path, source):
    pytest.importorskip("cyvcf2")
    return write_vcf(path, lines_of(source))


def write_zarr(path, source):
    pytest.importorskip("zarr")
    return write_vcf_zarr(path, lines_of(source), chunks=(7, 11))


WRITERS = {
    "x.bed": write_bed,
    "x.pgen": write_pgen,
    "x.bgen": write_bgen,
    "x.vcf": write_any_vcf,
    "x.vcf.gz": write_any_vcf,
    "x.bcf": write_any_vcf,
    "x.vcz": write_zarr,
}


@pytest.mark.parametrize("name", WRITERS)
def test_small_files_give_the_same_genotypes_and_the_same_scan(tmp_path, small, name):
    expected, table = small
    source = open_genotypes(WRITERS[name](tmp_path / name, expected))
    assert source.samples.iid.tolist() == expected.samples.iid.tolist()
    for field in ("chromosome", "position", "identifier", "effect_allele", "other_allele"):
        assert getattr(source.variants, field).tolist() == getattr(expected.variants, field).tolist()
    genotypes = source.read(slice(None))
    assert np.array_equal(np.where(genotypes >= 0, genotypes, -1), expected.calls)
    ours, theirs = (
        hd.scan("y ~ 1", table, each, relationship="grm").table.set_index("rsid")
        for each in (source, expected)
    )
    assert_same_scan(ours, theirs, rtol=1e-9)
    assert theirs["p_value"].idxmin() == "v4"
