"""Genotypes told apart by their names."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from henderson.errors import DataError
from henderson.io.open_genotypes import open_genotypes
from henderson.io.plink1 import Plink1Source
from plink_files import random_genotypes, write_plink
from vcf_files import lines_of, write_vcf, write_vcf_zarr

LINES = lines_of("0/1 1/1 0/0", "0/0 ./. 1|1")
CALLS = [[1, 2, 0], [0, -1, 2]]


def refused(path, message, **others):
    with pytest.raises(DataError, match=message) as caught:
        open_genotypes(path, **others)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["", ".bed", ".bim", ".fam"])
def test_plink1(tmp_path, ending):
    calls = random_genotypes(3, 4)
    source = open_genotypes(str(write_plink(tmp_path / "chr1.v2", calls)) + ending)
    assert isinstance(source, Plink1Source)
    assert np.array_equal(source.read(slice(None)), calls)


@pytest.mark.parametrize("name", ["x.vcf", "x.VCF", "x.vcf.gz", "x.bcf", "x.vcf.bgz"])
def test_vcf(tmp_path, name):
    pytest.importorskip("cyvcf2")
    written = write_vcf(tmp_path / f"written.{name.lower().removeprefix('x.').replace('bgz', 'gz')}", LINES)
    source = open_genotypes(written.rename(tmp_path / name))
    assert source.read(slice(None)).tolist() == CALLS


@pytest.mark.parametrize("name", ["x.zarr", "x.vcz", "a folder"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_vcf_zarr(tmp_path, name, zarr_format):
    pytest.importorskip("zarr")
    path = write_vcf_zarr(tmp_path / name, LINES, zarr_format=zarr_format)
    assert open_genotypes(path).read(slice(None)).tolist() == CALLS


@pytest.mark.parametrize("ending", ["", ".pgen", ".pvar", ".psam"])
def test_plink2(tmp_path, ending):
    pgenlib = pytest.importorskip("pgenlib")
    prefix = tmp_path / "cohort"
    # Allele codes 0 and 1, two for each person.
    with pgenlib.PgenWriter(str(prefix.with_suffix(".pgen")).encode(), 3, 2, nonref_flags=False) as writer:
        for row in CALLS:
            writer.append_biallelic(np.array([-9 if call < 0 else call for call in row], dtype=np.int8))
    prefix.with_suffix(".psam").write_text("#IID\na\nb\nc\n")
    prefix.with_suffix(".pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n1\t1\tv1\tA\tC\n1\t2\tv2\tA\tC\n")
    assert open_genotypes(str(prefix) + ending).read(slice(None)).tolist() == CALLS


def test_bgen_goes_to_its_reader(tmp_path):
    pytest.importorskip("bgen")
    refused(tmp_path / "x.bgen", r"x\.bgen")
    refused(tmp_path / "x.bgen", r"x\.bgen", sample=tmp_path / "x.sample")


def test_a_sample_file_belongs_to_bgen(tmp_path):
    prefix = write_plink(tmp_path / "x", [[0, 1]])
    refused(prefix, r"\.sample file .* belongs to a \.bgen file, and .*x is none", sample="x.sample")


def test_a_prefix_of_two_filesets(tmp_path):
    prefix = write_plink(tmp_path / "x", [[0, 1]])
    for ending in (".pgen", ".pvar", ".psam"):
        prefix.with_suffix(ending).touch()
    refused(prefix, r"may be the PLINK 1 fileset \S*x\.bed or the PLINK 2 fileset \S*x\.pgen: name the one")
    assert isinstance(open_genotypes(prefix.with_suffix(".bed")), Plink1Source)
    for ending in (".bed", ".bim", ".fam"):
        prefix.with_suffix(ending).unlink()
    refused(prefix, r"x\.pgen is empty|x\.pgen|PLINK 2")


def test_incomplete_filesets(tmp_path):
    prefix = write_plink(tmp_path / "x", [[0, 1]])
    prefix.with_suffix(".fam").unlink()
    refused(prefix, r"There is no file \S*x\.fam beside \S*x\.bed")


def test_what_is_no_genotypes(tmp_path):
    write_plink(tmp_path / "cohort", [[0, 1]])
    (tmp_path / "imputed.vcf.gz").touch()
    (tmp_path / "imputed.vcz").mkdir()
    (tmp_path / "notes.txt").touch()
    refused(tmp_path / "cohrt", r"There are no genotypes \S*cohrt; did you mean \S*cohort\.bed\?")
    refused(tmp_path / "cohort.bad", r"did you mean \S*cohort\.bed\?")
    refused(tmp_path / "imputd", r"did you mean \S*imputed\.vcf\.gz or \S*imputed\.vcz\?")
    refused(tmp_path / "imputed", r"did you mean \S*imputed\.vcf\.gz or \S*imputed\.vcz\?")
    refused(tmp_path / "nothing", r"There are no genotypes \S*nothing: they are a PLINK 1 fileset \(\.bed")
    refused(tmp_path / "no" / "x", r"There are no genotypes \S*x: there is no folder \S*no either")
    refused(
        tmp_path / "notes.txt", r"notes\.txt: its ending does not say what it is; genotypes are a PLINK 1"
    )
    refused(tmp_path, "is a folder, but no VCF Zarr store; genotypes are")
    refused(tmp_path / "imputed.vcz", r"imputed\.vcz is no Zarr store")
    shutil.rmtree(tmp_path / "imputed.vcz")
    refused(tmp_path / "imputed.vcz", r"There is no folder \S*imputed\.vcz")
