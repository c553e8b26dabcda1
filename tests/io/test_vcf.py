"""VCF and BCF: what is read, against the cells read by hand and against PLINK 2, and what is refused."""

from __future__ import annotations

import gzip
import logging
import sys
import tempfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from henderson.errors import DataError
from henderson.io import spool
from henderson.io.vcf import open_vcf
from vcf_files import HEADER, Line, calls_by_hand, copies_by_hand, lines_of, vcf_text, write_vcf

pytest.importorskip("cyvcf2")

ENDINGS = [".vcf", ".vcf.gz", ".bcf"]
ALLELES = st.sampled_from([".", "0", "1", "2"])
CELLS = st.one_of(ALLELES, st.tuples(ALLELES, st.sampled_from("/|"), ALLELES).map("".join))


def everything(source):
    return source.read(slice(None))


def opened(tmp_path, *lines, **others):
    return open_vcf(write_vcf(tmp_path / "x.vcf", lines, **others))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 6).flatmap(
    lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=5)
), st.sampled_from(ENDINGS))  # fmt: skip
def test_what_was_written_is_read(tmp_path_factory, rows, ending):
    lines = [Line(cells, position=j, alternative="C,G") for j, cells in enumerate(rows, start=1)]
    source = open_vcf(write_vcf(tmp_path_factory.mktemp("vcf") / f"x{ending}", lines))
    assert everything(source).dtype == np.int8
    assert not source.has_dosages
    assert np.array_equal(everything(source), calls_by_hand(lines))


def test_names_that_are_no_utf8(tmp_path):
    (tmp_path / "x.vcf").write_bytes(vcf_text(lines_of("0/1"), people=["Ünal"]).encode("latin-1"))
    refused(tmp_path / "x.vcf", "the names of people in its header are not UTF-8")


def test_names(tmp_path):
    source = opened(
        tmp_path,
        Line(["0/0", "0/1"], "X", 7, "rs1;rs2", "ACGT" * 20, "A,<DEL>,*", "q10"),
        Line(["1", "0"], "2", 5, ".", "G", "T", "."),
        people=["Ünal", "007"],
    )
    assert source.samples.iid.tolist() == ["Ünal", "007"]
    assert source.samples.fid.tolist() == ["0", "0"]
    assert source.samples.sex.tolist() == [0, 0]
    variants = source.variants
    assert variants.chromosome.tolist() == ["X", "X", "X", "2"]
    assert variants.position.tolist() == [7, 7, 7, 5]
    assert variants.identifier.tolist() == ["rs1;rs2"] * 3 + ["."]
    assert variants.other_allele.tolist() == ["ACGT" * 20] * 3 + ["G"]
    assert variants.effect_allele.tolist() == ["A", "<DEL>", "*", "T"]


def test_people_and_variants_by_slices(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.choice(["0/0", "0/1", "1/1", "./."], (12, 10))
    source = opened(tmp_path, *lines_of(*map(" ".join, rows)))
    calls = np.array([[copies_by_hand(cell, 1) for cell in row] for row in rows])
    people = np.array([9, 0, 0, 4])
    assert np.array_equal(source.read(slice(3, 8), people), calls[3:8, people])
    assert np.array_equal(source.read(slice(10, 99)), calls[10:])
    assert source.read(slice(4, 4)).shape == (0, 10)
    with pytest.raises(ValueError, match="contiguous"):
        source.read(slice(0, 4, 2))
    with pytest.raises(TypeError, match="not by a mask"):
        source.read(slice(0, 4), np.ones(10, dtype=bool))


def test_dosages_are_those_of_plink2(tmp_path):
    # plink2 --vcf dosage=DS --vcf-half-call missing --export A, men first: 2 minus its copies of REF.
    # DS comes before GT, GT stands in for it, and the DS of a haploid call is doubled.
    lines = [
        Line(["0/1:1", "0|1:0.9", "1/1:.", "./.:1.2"], "1", 10, format="GT:DS"),
        Line(["./1:0.7", "0/1:2", "0/0:.", "0/0:1"], "1", 12, format="GT:DS"),
        Line(["0:0.25", "1:0.9", ".:.", "0/1:0.75"], "X", 5_000_000, format="GT:DS"),
        Line(["0", "1", ".", "0/1"], "X", 5_000_001),
        Line([".:0.4", "./.:0.4", ".:0.7", "1/1:1.7"], "X", 5_000_002, format="GT:DS"),
    ]
    expected = [
        *[[1, 0.9, 2, 1.2], [0.7, 2, 0, 1], [0.5, 1.8, np.nan, 0.75], [0, 2, np.nan, 1]],
        [0.8, 0.4, 1.4, 1.7],
    ]
    for ending in ENDINGS:
        # Whichever comes first: a file of dosages only becomes one at its first dosage.
        for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0]):
            source = open_vcf(write_vcf(tmp_path / f"x{ending}", [lines[j] for j in order]))
            assert source.has_dosages
            assert everything(source).dtype == np.float32
            assert np.allclose(everything(source), np.array(expected)[order], rtol=1e-6, equal_nan=True)


def test_dosages_of_several_alleles(tmp_path):
    lines = [
        Line(["0/1:0.9,0.1", "1/2:.,0.8", "./.:.,."], alternative="C,G", format="GT:DS"),
        Line(["0/1:.", "1/2:.", "./.:."], alternative="C,G", format="GT:DS"),
    ]
    expected = [[0.9, 1, np.nan], [0.1, 0.8, np.nan], [1, 1, np.nan], [0, 1, np.nan]]
    assert np.allclose(everything(opened(tmp_path, *lines)), expected, equal_nan=True)


def test_dosages_declared_and_absent_are_hard_calls(tmp_path):
    source = opened(tmp_path, Line(["0/1:.", "1/1:."], format="GT:DS"), Line(["0/1", "0/0"]))
    assert not source.has_dosages
    assert everything(source).tolist() == [[1, 2], [1, 0]]


def test_probabilities_where_there_is_nothing_else(tmp_path):
    lines = [
        Line(["0.2,0.5,0.3", "0,0.1,0.9", ".,.,.", "0.25,0.75"], format="GP"),
        Line(["0.4,0.6", "1,0", ".", "0,1"], "X", format="GP"),
    ]
    expected = [[1.1, 1.9, np.nan, 1.5], [1.2, 0, np.nan, 2]]
    assert np.allclose(everything(opened(tmp_path, *lines)), expected, equal_nan=True)
    with_calls = Line(["0/1:0,0,1", "0/0:0,0,1"], format="GT:GP")
    assert everything(opened(tmp_path, with_calls)).tolist() == [[1, 0]]


@pytest.mark.parametrize("name", ["x.vcf", "x.vcf.gz"])
def test_a_header_without_chromosomes(tmp_path, name):
    lines = [Line(["0/1"], "1"), Line(["1/1"], "HLA:1*01")]
    text = vcf_text(lines, header="##fileformat=VCFv4.3\n")
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    source = open_vcf(path)
    assert source.variants.chromosome.tolist() == ["1", "HLA:1*01"]
    assert everything(source).tolist() == [[1], [2]]
    # The record that brings a chromosome is where cyvcf2 crashes.
    path = tmp_path / "x.vcf"
    path.write_text(text.replace("1/1", "1/}"))
    refused(path, "record behind 1:1000 cannot be read")


def test_what_is_told(tmp_path, caplog):
    lines = [
        Line(["0/0", "./1", "1|."], filter="q10"),
        Line(["0/0", "./.", "."], filter="."),
        Line(["0", "1", "0/1"], alternative="C,G"),
        Line(["0/0", "0/0", "0/0"], alternative="."),
        Line(["3", "4", "5"], format="DP"),
        Line([".", ".", "."], format="."),
    ]
    header = HEADER + '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
    with caplog.at_level(logging.INFO, "henderson"):
        source = opened(tmp_path, *lines, header=header)
    assert everything(source).tolist() == [
        *[[0, -1, -1], [0, -1, -1], [0, 2, 1], [0, 0, 0]],
        *[[-1, -1, -1]] * 2,
    ]
    for part in [
        "reading the genotypes of 3 people",
        "1 of 6 records have not passed their FILTER; they are kept",
        "2 of 6 records have neither GT nor DS nor GP",
        "2 half-calls, such as ./1, are read as missing",
        "1 of 6 variants have several alternative alleles",
        "1 of 6 variants have one allele only; they are left out",
        "6 variants take 0.0 MB of",
        "--make-pgen",
    ]:
        assert part in caplog.text


@pytest.mark.parametrize(("name", "monomorphic", "cells"), [
    ("DS", ["0", "0"], ["0.5", "1"]),
    ("GP", ["1", "1"], ["0.5,0.5,0", "0,1,0"]),
    ("GT:DS", ["0/0:0", "0/0:0"], ["0/1:0.5", "0/1:1"]),
])  # fmt: skip
def test_records_without_alternative_are_left_out_whatever_they_have(tmp_path, name, monomorphic, cells):
    lines = [Line(monomorphic, alternative=".", format=name), Line(cells, format=name)]
    assert np.allclose(everything(opened(tmp_path, *lines)), [[0.5, 1]])


def test_dosages_of_which_nothing_says_the_scale_are_told(tmp_path, caplog):
    lines = [
        Line(["0.5", "2"], format="DS"),
        Line(["0/1:1", "1:1"], "X", format="GT:DS"),
        Line(["0.5", "0.7"], "X", format="DS"),
    ]
    assert np.allclose(everything(opened(tmp_path, *lines[:2])), [[0.5, 2], [1, 2]])
    assert "have DS but no GT" not in caplog.text
    assert np.allclose(everything(opened(tmp_path, *lines)), [[0.5, 2], [1, 2], [0.5, 0.7]])
    assert "DS but no GT that says who has one copy (1 in all)" in caplog.text


def test_half_calls_with_a_dosage_are_not_told(tmp_path, caplog):
    source = opened(tmp_path, Line(["./1:0.5", "0/1:1"], format="GT:DS"))
    assert np.allclose(everything(source), [[0.5, 1]])
    assert "half" not in caplog.text


def test_nothing_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    source = opened(tmp_path, *lines_of("0/1 1/1", "0/0 0/1"))
    assert not list(folder.iterdir())
    assert everything(source).tolist() == [[1, 2], [0, 1]]


def test_large_files_go_through_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "_CHUNK", 7)
    rows = np.random.default_rng(1).choice(["0/0", "0/1", "1|1", "./."], (23, 3))
    lines = lines_of(*map(" ".join, rows))
    assert np.array_equal(everything(opened(tmp_path, *lines)), calls_by_hand(lines))
    source = opened(tmp_path, *lines, Line(["0/0:0.5", "0/0:0.25", "0/0:."], format="GT:DS"))
    assert np.allclose(everything(source)[-1], [0.5, 0.25, 0])
    calls = calls_by_hand(lines)
    assert np.array_equal(everything(source)[:-1], np.where(calls < 0, np.nan, calls), equal_nan=True)


# What is refused


def refused(path, message):
    with pytest.raises(DataError, match=message) as caught:
        open_vcf(path)
    assert "\n" not in str(caught.value)


def test_a_full_disk(tmp_path, monkeypatch):
    path = write_vcf(tmp_path / "x.vcf", lines_of("0/1 1/1"))
    if sys.platform != "linux":
        pytest.skip("there is no /dev/full")
    monkeypatch.setattr(spool, "TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))  # noqa: SIM115
    refused(
        path, r"temporary file .* after 0 MB \(No space left on device\): make room there, or set .*TMPDIR"
    )


def test_cyvcf2_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cyvcf2", None)
    refused(tmp_path / "x.vcf", r'needs cyvcf2: install it with  pip install "henderson\[vcf\]"')


def test_files_that_are_none(tmp_path):
    write_vcf(tmp_path / "cohort.vcf.gz", lines_of("0/1"))
    refused(tmp_path / "cohrt.vcf.gz", r"There is no file .*cohrt.*did you mean .*cohort\.vcf\.gz\?")
    refused(tmp_path, "cannot be read: Is a directory")
    (tmp_path / "empty.vcf").touch()
    refused(tmp_path / "empty.vcf", "is empty: it should be a VCF")
    (tmp_path / "text.vcf").write_text("FID IID\n1 2\n")
    refused(tmp_path / "text.vcf", "is no VCF or BCF file")
    sites = "#CHROM POS ID REF ALT QUAL FILTER INFO".replace(" ", "\t")
    (tmp_path / "header.vcf").write_text(f"{HEADER}{sites}\n")
    refused(tmp_path / "header.vcf", "has nobody in it")
    (tmp_path / "header.vcf").write_text(vcf_text(lines_of("0/1")).rsplit("\n", 2)[0] + "\n")
    refused(tmp_path / "header.vcf", "has no variants")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (Line(["0/1/1", "0/1"]), "1:1000: i1 has a genotype of more than two alleles"),
        (Line(["0/1", "0/2"]), "1:1000: i2 has the allele 2, but the variant has 1 besides"),
        (Line(["0/1:2.1", "0/1:1"], format="GT:DS"), r"dosage \(DS\) of i1 is 2.1, .* diploid .* 0 and 2"),
        (Line(["0/1:2", "1:1.8"], format="GT:DS"), r"dosage \(DS\) of i2 is 1.8, .* haploid .* 0 and 1"),
        (Line(["-0.5", "1"], format="DS"), r"dosage \(DS\) of i1 is -0.5"),
        (
            Line(["0/1:1", "1/1:2"], alternative="C,G", format="GT:DS"),
            r"has 1 dosage \(DS\) per person for 2 ALT",
        ),
        (Line(["0,3,20", "5,0,9"], format="GP"), r"probabilities \(GP\) of i1 are not between 0 and 1"),
        (
            Line(["0,0,1,0,0,0", "1,0,0,0,0,0"], alternative="C,G", format="GP"),
            r"6 genotype probabilities \(GP\)",
        ),
        (Line(["0/1"]), "record behind the header cannot be read; the file is malformed or cut short"),
        (Line(["0/1", "a"]), "record behind the header cannot be read"),
    ],
)
def test_records(tmp_path, line, message):
    (tmp_path / "x.vcf").write_text(vcf_text([line], people=["i1", "i2"]))
    refused(tmp_path / "x.vcf", message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "ID=DS,Number=A,Type=Float",
            "ID=DS,Number=1,Type=String",
            "DS is not declared as a number with decimals",
        ),
        (
            "ID=DS,Number=A,Type=Float",
            "ID=D2,Number=A,Type=Float",
            "DS is not declared as a number with decimals",
        ),
        ("\ti2\n", "\ti1\n", "two people have the same name"),
        ("\nX\t", "\n\nX\t", "has a line that begins with '' instead of a chromosome"),
        ("\nX\t", "\njunk\nX\t", "record behind 1:1000 cannot be read"),
        ("\nX\t", "\nX\nX\t", "record behind 1:1000 cannot be read"),
        ("\nX\t", "\n##junk\nX\t", "has a line that begins with '##junk' instead of a chromosome"),
        ("\nX\t", "\n=\t", "has a line that begins with '=' instead of a chromosome"),
        ("\nX\t", "\nX\t3\nX\t", "record behind 1:1000 cannot be read"),
        ("\nX\t1000", "\nX\tten", "record behind 1:1000 cannot be read"),
    ],
)
def test_broken_texts(tmp_path, old, new, message):
    lines = [Line(["0/1:1", "0/0:0"], format="GT:DS"), Line(["0/1", "1/1"], "X", identifier="rsX")]
    text = vcf_text(lines)
    assert old in text
    (tmp_path / "x.vcf").write_text(text.replace(old, new, 1), errors="surrogateescape")
    refused(tmp_path / "x.vcf", message)


@pytest.fixture(scope="module")
def large():
    """Records enough for several blocks of bgzip's."""
    rows = np.random.default_rng(2).choice(["0/0", "0/1", "1|1", "./."], (1500, 100))
    return lines_of(*map(" ".join, rows))


@pytest.mark.parametrize("ending", [".vcf.gz", ".bcf"])
def test_a_compressed_file_that_was_cut_is_refused_wherever_that_is(tmp_path, large, ending):
    path = write_vcf(tmp_path / f"x{ending}", large)
    whole = path.read_bytes()
    assert len(open_vcf(path).genotypes) == len(large)
    starts = [at for at in range(len(whole)) if whole.startswith(b"\x1f\x8b\x08\x04", at)]
    assert len(starts) > 3
    # At the ends of blocks the rest is a valid file, in which htslib finds nothing wrong.
    for end in [*starts[1:], *np.random.default_rng(3).integers(1, len(whole), 20).tolist(), len(whole) - 1]:
        path.write_bytes(whole[:end])
        refused(path, "cut short|no VCF or BCF file|header cannot be understood|cannot be read")


def test_a_gzipped_text_that_was_cut_is_refused(tmp_path, large):
    path = tmp_path / "x.vcf.gz"
    whole = gzip.compress(vcf_text(large).encode())
    path.write_bytes(whole)
    assert np.array_equal(everything(open_vcf(path)), calls_by_hand(large))
    for end in [len(whole) - 1, len(whole) - 8, len(whole) - 9, len(whole) // 2]:
        path.write_bytes(whole[:end])
        refused(path, "record behind .* cannot be read")


def test_a_text_that_was_cut_within_its_last_line_is_refused(tmp_path):
    path = tmp_path / "x.vcf"
    whole = vcf_text(lines_of("0/1 1/1", "0/0 0/1"))
    for end in range(whole.rindex("\n", 0, -1) + 2, len(whole)):
        path.write_text(whole[:end])
        refused(path, "does not end with a newline, so that it was probably cut short")


@pytest.mark.parametrize("ending", [".vcf.gz", ".bcf"])
def test_damaged_bytes_are_refused(tmp_path, large, ending):
    path = write_vcf(tmp_path / f"x{ending}", large)
    whole = path.read_bytes()
    for at in np.random.default_rng(4).integers(0, len(whole) - 28, 25).tolist():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            source = open_vcf(path)
        except DataError:
            continue
        # The time and the system in a block's header say nothing about its content.
        assert np.array_equal(everything(source), calls_by_hand(large))


TEXT = vcf_text([
    Line(["0/1:1", "1|1:1.9", ".:."], "1", 5, "rs1", format="GT:DS"),
    Line(["0", "1/2", "./1"], "X", 9, "rs2", alternative="C,<DEL>"),
]).encode()  # fmt: skip


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, len(TEXT) - 1), st.integers(0, 3), st.binary(max_size=3)), max_size=4)
)
def test_mutated_texts_are_read_or_refused(tmp_path, changes):
    content = bytearray(TEXT)
    for at, length, instead in changes:
        content[at : at + length] = instead
    path = tmp_path / "x.vcf"
    path.write_bytes(bytes(content))
    try:
        source = open_vcf(path)
    except DataError:
        pass
    else:
        genotypes = everything(source)
        assert genotypes.shape == (source.variants.m, source.samples.n)
        missing = np.isnan(genotypes) if source.has_dosages else genotypes == -1
        assert ((genotypes >= 0) & (genotypes <= 2) | missing).all()
