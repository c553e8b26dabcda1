"""PLINK 1 filesets: what is read, against a second reader, and what is refused."""

from __future__ import annotations

import gzip
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gwas_reference import GWAS, needs_gwas_reference
from henderson.errors import DataError
from henderson.genotype import Samples, Variants, count_variants
from henderson.io.plink1 import open_plink1
from plink_files import random_genotypes, write_plink


@pytest.fixture
def prefix(tmp_path):
    """A fileset of 5 variants in 6 people."""
    return write_plink(tmp_path / "cohort", random_genotypes(5, 6, missing=0.2))


@settings(deadline=None, max_examples=50)
@given(st.tuples(st.integers(1, 5), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.int8, shape, elements=st.integers(-1, 2))
))  # fmt: skip
def test_what_was_written_is_read(tmp_path_factory, calls):
    source = open_plink1(write_plink(tmp_path_factory.mktemp("plink") / "x", calls))
    assert np.array_equal(source.read(slice(0, len(calls))), calls)
    assert source.read(slice(0, 1)).dtype == np.int8


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 33])
def test_against_bed_reader(tmp_path, n):
    bed_reader = pytest.importorskip("bed_reader")
    # Written by the other program too, so that nothing of the format rests on our own writer.
    calls = random_genotypes(21, n, missing=0.2)
    path = tmp_path / "other.bed"
    bed_reader.to_bed(path, np.where(calls < 0, -127, calls).T.astype(np.int8), properties={})
    source = open_plink1(path)
    assert np.array_equal(source.read(slice(0, 21)), calls)
    with bed_reader.open_bed(write_plink(tmp_path / "mine", calls).with_suffix(".bed")) as bed:
        theirs = bed.read(dtype="int8", num_threads=1).T
    assert np.array_equal(np.where(theirs == -127, -1, theirs), calls)


@needs_gwas_reference
@pytest.mark.parametrize("name", ["hapmap3", "salmon"])
def test_real_data_against_bed_reader(name):
    bed_reader = pytest.importorskip("bed_reader")
    path = GWAS / "data" / name / f"{name}.bed"
    source = open_plink1(path)
    rng = np.random.default_rng(0)
    people = rng.permutation(source.samples.n)[:100]
    part = slice(7000, 7500)
    with bed_reader.open_bed(path) as bed:
        theirs = bed.read(np.s_[people, part], dtype="int8", num_threads=1).T
        assert bed.iid.tolist() == source.samples.iid.tolist()
        assert bed.fid.tolist() == source.samples.fid.tolist()
        assert bed.sid.tolist() == source.variants.identifier.tolist()
        assert bed.chromosome.tolist() == source.variants.chromosome.tolist()
        assert bed.bp_position.tolist() == source.variants.position.tolist()
        assert bed.allele_1.tolist() == source.variants.effect_allele.tolist()
        assert bed.allele_2.tolist() == source.variants.other_allele.tolist()
    assert np.array_equal(source.read(part, people), np.where(theirs == -127, -1, theirs))


@needs_gwas_reference
def test_frequencies_are_those_of_plink2():
    source = open_plink1(GWAS / "data" / "salmon" / "salmon")
    counts = count_variants(source)
    with gzip.open(GWAS / "expected" / "salmon" / "plink2" / "freq.afreq.gz", "rt") as file:
        header, *rows = [line.split() for line in file]
    theirs = {name: [row[k] for row in rows] for k, name in enumerate(header)}
    assert theirs["ID"] == source.variants.identifier.tolist()
    alternative = np.array(theirs["ALT"]) == source.variants.effect_allele
    assert alternative.any()
    frequency = np.where(alternative, counts.frequency, 1 - counts.frequency)
    assert np.allclose(frequency, np.array(theirs["ALT_FREQS"], dtype=float), rtol=1e-5, atol=0)
    assert (2 * counts.n_called == np.array(theirs["OBS_CT"], dtype=int)).all()


def test_people_and_variants_by_slices(tmp_path):
    calls = random_genotypes(12, 10, missing=0.2)
    source = open_plink1(write_plink(tmp_path / "x", calls))
    people = np.array([9, 0, 0, 4])
    assert np.array_equal(source.read(slice(3, 8), people), calls[3:8, people])
    assert np.array_equal(source.read(slice(10, 99)), calls[10:])
    assert source.read(slice(4, 4)).shape == (0, 10)
    assert source.read(slice(0, 2), np.array([], dtype=int)).shape == (2, 0)
    with pytest.raises(ValueError, match="contiguous"):
        source.read(slice(0, 4, 2))
    with pytest.raises(TypeError, match="not by a mask"):
        source.read(slice(0, 4), np.ones(10, dtype=bool))
    with pytest.raises(IndexError):
        source.read(slice(0, 4), np.array([10]))


def test_the_file_cannot_be_written_to(prefix):
    packed = open_plink1(prefix).packed
    with pytest.raises(ValueError, match="read-only"):
        packed[0, 0] = 1


@pytest.mark.parametrize("ending", ["", ".bed", ".bim", ".fam"])
@pytest.mark.parametrize("name", ["cohort", "cohort.v2", "chr1.bed.old"])
def test_any_of_the_names(tmp_path, name, ending):
    write_plink(tmp_path / name, random_genotypes(3, 4))
    source = open_plink1(str(tmp_path / name) + ending)
    assert source.path == tmp_path / f"{name}.bed"
    assert (source.variants.m, source.samples.n) == (3, 4)


def test_names_and_positions(tmp_path):
    samples = Samples(np.array(["1", "0", "fämily"]), np.array(["007", "1", "Ünal"]))
    variants = Variants(
        np.array(["X", "01"]),
        np.array([-205, 2**40]),
        np.array(["rs1", "rs1"]),
        np.array(["ACGT", "0"]),
        np.array(["T", "<DEL>"]),
    )
    source = open_plink1(write_plink(tmp_path / "x", [[0, 1, 2]] * 2, samples=samples, variants=variants))
    assert source.samples.fid.tolist() == samples.fid.tolist()
    assert source.samples.iid.tolist() == samples.iid.tolist()
    for name in ("chromosome", "position", "identifier", "effect_allele", "other_allele"):
        assert getattr(source.variants, name).tolist() == getattr(variants, name).tolist()
    assert source.variants.position.dtype == np.int64


def test_spaces_tabs_blank_lines_and_line_ends(prefix):
    lines = prefix.with_suffix(".bim").read_text().splitlines()
    before = open_plink1(prefix)
    messy = "\n".join([" " + lines[0].replace("\t", "  "), "", *lines[1:], "  ", ""]).replace("\n", "\r\n")
    prefix.with_suffix(".bim").write_bytes(messy.encode())
    prefix.with_suffix(".fam").write_text(prefix.with_suffix(".fam").read_text().rstrip("\n"))
    after = open_plink1(prefix)
    assert after.variants.identifier.tolist() == before.variants.identifier.tolist()
    assert after.variants.other_allele.tolist() == before.variants.other_allele.tolist()
    assert after.samples.iid.tolist() == before.samples.iid.tolist()


def test_a_long_allele_does_not_widen_all(tmp_path):
    variants = [("1", f"v{j}", j, "A", "G") for j in range(2000)]
    variants[7] = ("1", "v7", 7, "ACGT" * 2500, "G")
    source = open_plink1(write_plink(tmp_path / "x", np.zeros((2000, 1)), variants=variants))
    assert source.variants.effect_allele[7] == "ACGT" * 2500
    assert (source.variants.effect_allele == "A").sum() == 1999
    assert source.variants.effect_allele.nbytes < 10 * 2000


def test_many_variants_are_listed_fast(tmp_path):
    m = 200_000
    prefix = tmp_path / "many"
    prefix.with_suffix(".fam").write_text("f i 0 0 0 -9\n")
    prefix.with_suffix(".bim").write_text("".join(f"1\trs{j}\t0\t{j}\tA\tG\n" for j in range(m)))
    prefix.with_suffix(".bed").write_bytes(b"\x6c\x1b\x01" + bytes(m))
    start = time.process_time()
    source = open_plink1(prefix)
    assert time.process_time() - start < 4  # measured: 0.2 s
    assert source.variants.identifier[-1] == f"rs{m - 1}"
    assert source.variants.position[-1] == m - 1


# What is refused


def refused(path, message):
    with pytest.raises(DataError, match=message) as caught:
        open_plink1(path)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_a_name(prefix):
    expected = open_plink1(prefix)
    for ending in (".fam", ".bim"):
        file = prefix.with_suffix(ending)
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    found = open_plink1(prefix)
    assert found.samples.fid.tolist() == expected.samples.fid.tolist()
    assert found.variants.chromosome.tolist() == expected.variants.chromosome.tolist()


def test_missing_files(prefix):
    refused(prefix.parent / "cohrt", r"There is no PLINK fileset .*cohrt\.bed.*did you mean .*cohort\.bed\?")
    refused(prefix.parent / "no" / "x", "there is no folder .*no either")
    prefix.with_suffix(".fam").unlink()
    refused(prefix, r"There is no file .*cohort\.fam beside .*cohort\.bed")
    prefix.with_suffix(".bed").rename(prefix.with_name("cohort.BED"))
    refused(prefix.with_suffix(".bim"), r"There is no file .*cohort\.bed beside .*cohort\.bim")


@pytest.mark.parametrize("name", ["x.pgen", "x.pvar.zst", "x.psam", "x.bgen", "x.vcf.gz", "x.bcf", "x.zarr"])
def test_other_formats(tmp_path, name):
    refused(tmp_path / name, rf"{name} is no PLINK 1 fileset .*open_genotypes opens it")


def test_sizes(prefix):
    bed = prefix.with_suffix(".bed")
    whole = bed.read_bytes()
    bed.write_bytes(whole[:-1])
    refused(
        prefix, r"has 12 bytes, but 5 variants \(.bim\) of 6 people \(.fam\) make 13: it was probably cut"
    )
    bed.write_bytes(whole[:-2])
    refused(prefix, r"has 11 bytes.*make 13: it would fit 4 variants, so that the .bim or .fam file")
    bed.write_bytes(whole + b"\0")
    refused(prefix, r"has 14 bytes.*make 13: the .bim or .fam file probably belongs to another")
    bed.write_bytes(whole[:2])
    refused(prefix, "begins with the bytes 6c 1b instead of 6c 1b 01")
    bed.write_bytes(b"")
    refused(prefix, r"cohort\.bed is empty: it should hold 5 variants of 6 people")


def test_wrong_kinds_of_bed(prefix):
    bed = prefix.with_suffix(".bed")
    whole = bed.read_bytes()
    bed.write_bytes(b"\x6c\x1b\x00" + whole[3:])
    refused(prefix, r"individual-major.*plink2 --bfile \S*cohort --make-bed")
    bed.write_bytes(b"chr1\t10\t20\n")
    refused(prefix, "no PLINK 1 .bed file: it begins with the bytes 63 68 72")


@pytest.mark.parametrize(
    ("ending", "line", "content", "message"),
    [
        (".bim", 3, "1 rs7 0 100 A", r"\.bim, line 3: 5 columns, but every line of a \.bim file has 6"),
        (".bim", 5, "1", r"\.bim, line 5: 1 column, but"),
        (".fam", 2, "f2 i2 0 0 0 -9 3", r"\.fam, line 2: 7 columns, but every line of a \.fam file has 6"),
        (
            ".bim",
            4,
            "1 rs7 0 1e6 A G",
            r"\.bim, line 4: the position \(column 4\) is '1e6', which is no whole",
        ),
        (".bim", 1, "1 rs7 0 9999999999999999999 A G", r"line 1: the position \(column 4\) is '9999999"),
        (".fam", 4, "f1 i1 0 0 0 -9", r"\.fam, lines 1 and 4: two people are called f1 i1 \(FID and IID\)"),
    ],
)
def test_lines(prefix, ending, line, content, message):
    path = prefix.with_suffix(ending)
    lines = path.read_text().splitlines()
    lines[line - 1] = content
    path.write_text("\n".join(lines))
    refused(prefix, message)
    # A blank line above moves the numbers.
    path.write_text("\n" + "\n".join(lines))
    with pytest.raises(DataError, match=rf"line.*\b{line + 1}: "):
        open_plink1(prefix)


def test_same_iid_in_another_family(tmp_path):
    write_plink(tmp_path / "x", [[0, 1]], samples=[("a", "1"), ("b", "1")])
    assert open_plink1(tmp_path / "x").samples.fid.tolist() == ["a", "b"]


@pytest.mark.parametrize("ending", [".fam", ".bim"])
def test_files_that_are_no_text(prefix, ending):
    path = prefix.with_suffix(ending)
    path.write_text(" \n")
    refused(prefix, rf"cohort\{ending} is empty: it should list the (people|variants)")
    path.write_bytes(b"a b c d e f\ng h i \xe9 k l\n")
    refused(prefix, r"line 2: the byte 0xe9 is not UTF-8")
