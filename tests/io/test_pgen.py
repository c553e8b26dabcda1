"""PLINK 2 filesets: what is read, against PLINK 2 and what was written, and what is refused."""

from __future__ import annotations

import logging
import pickle
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gwas_reference import GWAS, needs_gwas_reference
from henderson.errors import DataError
from henderson.io.pgen import open_pgen
from henderson.io.plink1 import open_plink1
from henderson.io.psam import read_psam
from henderson.io.pvar import read_pvar
from plink_files import random_genotypes
from raw_dosages import FORMATS, assert_same_as_raw

pgenlib = pytest.importorskip("pgenlib")
pa = pytest.importorskip("pyarrow")

#: Four variants of four people, written by PLINK 2 from the genotypes beside them.
BY_PLINK2 = bytes.fromhex(
    "6c1b 1004 0000 0004 0000 0044 1c00 0000 0000 0000 0810 0804 0402 0501 e90f 0302 e504 a90f 0794 0a00"
)
BY_PLINK2_PVAR = "\n".join(
    [
        "##contig=<ID=1>",
        '##INFO=<ID=AF,Number=A,Type=Float,Description="x y">',
        "#CHROM\tPOS\tID\tREF\tALT\tINFO",
        "1\t10\tr1\tA\tC,G\tAF=0.1,0.2",  # 0/1 1/2 2/2 ./.
        "1\t20\tr2\tA\tC\tnot a word",  # 0|1 1|0 1|1 ./.
        "1\t30\tr3\tA\tC,G,T\t.",  # 0/1 1/2 3/2 3/3
        "1\t40\tr4\tA\t.\t.",  # 0/0 0/0 0/0 0/0
    ]
)


def write_text(prefix, n, alternatives, *, header="#CHROM\tPOS\tID\tREF\tALT"):
    """Write .psam and .pvar: people i1, ..., variants v1, ... with so many alternative alleles each."""
    prefix.with_suffix(".psam").write_text("#IID\n" + "".join(f"i{k}\n" for k in range(1, n + 1)))
    rows = [f"1\t{1000 * j}\tv{j}\tA\t{','.join('CGTNM'[:k])}\n" for j, k in enumerate(alternatives, start=1)]
    prefix.with_suffix(".pvar").write_text(header + "\n" + "".join(rows))
    return prefix


def write_calls(prefix, calls):
    """Write hard calls (m, n) of biallelic variants, -1 missing."""
    m, n = calls.shape
    with pgenlib.PgenWriter(bytes(prefix.with_suffix(".pgen")), n, variant_ct=m) as file:
        for row in calls:
            file.append_biallelic(np.where(row < 0, -9, row).astype(np.int8))
    return write_text(prefix, n, [1] * m)


def write_alleles(prefix, alleles, alternatives, *, phased=False):
    """Write allele numbers (m, n, 2), -1 missing."""
    m, n, _ = alleles.shape
    with pgenlib.PgenWriter(
        bytes(prefix.with_suffix(".pgen")), n, variant_ct=m, allele_ct_limit=max(alternatives) + 1,
        hardcall_phase_present=phased, nonref_flags=False,
    ) as file:  # fmt: skip
        for row, k in zip(alleles, alternatives, strict=True):
            codes = np.where(row < 0, -9, row).astype(np.int32).ravel()
            file.append_alleles(codes, all_phased=phased, allele_ct=k + 1)
    return write_text(prefix, n, alternatives)


def copies_of(alleles, alternatives):
    """What should be read: a row for each alternative allele."""
    return np.array([
        [-1 if -1 in pair else pair.tolist().count(counted) for pair in people]
        for people, k in zip(alleles, alternatives, strict=True)
        for counted in range(1, k + 1)
    ], dtype=np.int8)  # fmt: skip


def random_alleles(rng, alternatives, n):
    alleles = np.stack([rng.integers(0, k + 1, (n, 2)) for k in alternatives])
    alleles[rng.random(alleles.shape[:2]) < 0.1] = -1
    return alleles


@pytest.fixture
def prefix(tmp_path):
    """A fileset of 5 variants in 6 people."""
    return write_calls(tmp_path / "cohort", random_genotypes(5, 6, missing=0.2))


# What is read


@needs_gwas_reference
@pytest.mark.parametrize(
    ("name", "truth", "within"),
    [("hm3", "hm3", 0), ("hm3_zs", "hm3", 0), ("hm3_c22_ds", "hm3_c22_ds", 5e-5)],
)
def test_against_text_that_plink2_wrote(name, truth, within):
    source = open_pgen(FORMATS / name)
    assert_same_as_raw(source, truth, within=within)
    dosages = truth == "hm3_c22_ds"
    assert source.has_dosages is dosages
    assert set(source.samples.sex.tolist()) == ({0} if dosages else {1, 2})
    assert (source.samples.fid == "0").all() == dosages


@needs_gwas_reference
@pytest.mark.parametrize("pair", ["formats/hm3", "regenie_example/example"])
def test_same_as_the_bed_file(pair):
    ours, theirs = open_pgen(GWAS / "data" / pair), open_plink1(GWAS / "data" / pair)
    for name in ("fid", "iid"):
        assert getattr(ours.samples, name).tolist() == getattr(theirs.samples, name).tolist()
    calls, other = ours.read(slice(0, None)), theirs.read(slice(0, None))
    flipped = ours.variants.effect_allele != theirs.variants.effect_allele
    calls[flipped] = np.where(calls[flipped] < 0, -1, 2 - calls[flipped])
    assert np.array_equal(calls, other)


@pytest.mark.parametrize("packed", [False, True])
def test_what_plink2_wrote(tmp_path, packed, caplog):
    prefix = tmp_path / "x"
    prefix.with_suffix(".pgen").write_bytes(BY_PLINK2)
    prefix.with_suffix(".psam").write_text("#IID\tSEX\na\t1\nb\tF\nc\tNA\nd\tM\n")
    text = BY_PLINK2_PVAR.encode()
    if packed:
        (tmp_path / "x.pvar.zst").write_bytes(pa.compress(text, codec="zstd", asbytes=True))
    else:
        prefix.with_suffix(".pvar").write_bytes(text)
    with caplog.at_level(logging.WARNING, "henderson"):
        source = open_pgen(prefix)
    assert "2 of 4 variants have several alternative alleles" in caplog.text
    assert source.read(slice(0, None)).tolist() == [
        [1, 1, 0, -1], [0, 1, 2, -1],
        [1, 1, 2, -1],
        [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 2],
        [0, 0, 0, 0],
    ]  # fmt: skip
    assert source.variants.identifier.tolist() == ["r1", "r1", "r2", "r3", "r3", "r3", "r4"]
    assert source.variants.position.tolist() == [10, 10, 20, 30, 30, 30, 40]
    assert source.variants.effect_allele.tolist() == ["C", "G", "C", "C", "G", "T", "."]
    assert source.variants.other_allele.tolist() == ["A"] * 7
    assert source.samples.sex.tolist() == [1, 2, 0, 1]
    assert source.samples.fid.tolist() == ["0"] * 4


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_what_was_written_is_read(tmp_path_factory, data):
    alternatives = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    n = data.draw(st.integers(1, 9))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    phased = data.draw(st.booleans())
    alleles = random_alleles(rng, alternatives, n)
    prefix = tmp_path_factory.mktemp("pgen") / "x"
    source = open_pgen(write_alleles(prefix, alleles, alternatives, phased=phased))
    expected = copies_of(alleles, alternatives)
    m = len(expected)
    start, stop = sorted(data.draw(st.tuples(st.integers(0, m), st.integers(0, m))))
    people = rng.integers(0, n, data.draw(st.integers(0, 6)))
    assert source.read(slice(0, m)).dtype == np.int8
    assert np.array_equal(source.read(slice(0, m)), expected)
    assert np.array_equal(source.read(slice(start, stop), people), expected[start:stop, people])


def test_many_people_are_read_in_several_goes(tmp_path, monkeypatch):
    calls = random_genotypes(23, 40, missing=0.1)
    source = open_pgen(write_calls(tmp_path / "x", calls))
    monkeypatch.setattr("henderson.io.pgen._GENOTYPES_AT_ONCE", 200)
    people = np.random.default_rng(1).permutation(40)[:31]
    assert np.array_equal(source.read(slice(1, 23)), calls[1:])
    assert np.array_equal(source.read(slice(1, 23), people), calls[1:, people])


def test_more_variants_than_a_block_of_the_index(tmp_path):
    m, n = (1 << 16) + 37, 3
    calls = random_genotypes(m, n, missing=0.1)
    source = open_pgen(write_calls(tmp_path / "x", calls))
    assert np.array_equal(source.read(slice(65_000, None)), calls[65_000:])
    whole = (tmp_path / "x.pgen").read_bytes()
    (tmp_path / "x.pgen").write_bytes(whole[:-1])
    refused(tmp_path / "x", f"by its header it should have {len(whole):,}: it was cut short")


def test_a_header_that_marks_provisional_alleles(tmp_path):
    calls = random_genotypes(9, 5, missing=0.1)
    prefix = write_calls(tmp_path / "x", calls)
    whole = prefix.with_suffix(".pgen").read_bytes()
    # One bit per variant behind the index, and everything else two bytes further down.
    start = int.from_bytes(whole[12:20], "little")
    index = bytes([whole[11] | 0xC0]) + (start + 2).to_bytes(8, "little")
    marked = whole[:11] + index + whole[20:start] + bytes([0b01010101, 0b1]) + whole[start:]
    prefix.with_suffix(".pgen").write_bytes(marked)
    assert np.array_equal(open_pgen(prefix).read(slice(0, None)), calls)


def test_dosages(tmp_path):
    rng = np.random.default_rng(2)
    dosages = rng.uniform(0, 2, (7, 11)).astype(np.float32)
    dosages[rng.random(dosages.shape) < 0.2] = np.nan
    dosages[3] = [0, 1, 2, np.nan, 0, 1, 2, 0, 0, 0, 0]
    path = tmp_path / "x.pgen"
    with pgenlib.PgenWriter(bytes(path), 11, variant_ct=8, dosage_present=True) as file:
        for row in dosages:
            file.append_dosages(np.where(np.isnan(row), -9, row).astype(np.float32))
        file.append_biallelic(np.array([0, 1, 2, -9, 0, 1, 2, 0, 0, 0, 0], dtype=np.int8))
    source = open_pgen(write_text(tmp_path / "x", 11, [1] * 8))
    assert source.has_dosages
    read = source.read(slice(0, 8))
    assert read.dtype == np.float32
    # Multiples of 2^-14.
    np.testing.assert_allclose(read[:7], dosages, rtol=0, atol=2**-15 + 1e-7)
    assert np.array_equal(read[7], dosages[3], equal_nan=True)
    people = np.array([10, 0, 3])
    assert np.array_equal(source.read(slice(2, 5), people), read[2:5, people], equal_nan=True)


def test_hard_calls_alone_in_a_file_that_may_have_dosages(tmp_path):
    with pgenlib.PgenWriter(bytes(tmp_path / "x.pgen"), 3, variant_ct=1, dosage_present=True) as file:
        file.append_biallelic(np.array([0, 2, -9], dtype=np.int8))
    source = open_pgen(write_text(tmp_path / "x", 3, [1]))
    assert not source.has_dosages
    assert source.read(slice(0, 1)).tolist() == [[0, 2, -1]]


def test_people_and_variants_by_slices(prefix):
    source = open_pgen(prefix)
    calls = source.read(slice(0, 5))
    assert np.array_equal(source.read(slice(2, 99)), calls[2:])
    assert source.read(slice(4, 4)).shape == (0, 6)
    assert source.read(slice(0, 2), np.array([], dtype=int)).shape == (2, 0)
    with pytest.raises(ValueError, match="contiguous"):
        source.read(slice(0, 4, 2))
    with pytest.raises(TypeError, match="not by a mask"):
        source.read(slice(0, 4), np.ones(6, dtype=bool))
    with pytest.raises(IndexError):
        source.read(slice(0, 4), np.array([6]))


def test_pickled(tmp_path):
    rng = np.random.default_rng(3)
    alleles = random_alleles(rng, [1, 3, 2], 5)
    source = open_pgen(write_alleles(tmp_path / "x", alleles, [1, 3, 2]))
    again = pickle.loads(pickle.dumps(source))
    assert np.array_equal(again.read(slice(0, None)), copies_of(alleles, [1, 3, 2]))


@pytest.mark.parametrize("ending", ["", ".pgen", ".pvar", ".psam"])
@pytest.mark.parametrize("name", ["cohort", "cohort.v2", "chr1.pgen.old"])
def test_any_of_the_names(tmp_path, name, ending):
    given = write_calls(tmp_path / "x", random_genotypes(3, 4))
    for part in (".pgen", ".pvar", ".psam"):
        given.with_suffix(part).rename(tmp_path / (name + part))
    source = open_pgen(str(tmp_path / name) + ending)
    assert source.path == tmp_path / f"{name}.pgen"
    assert (source.variants.m, source.samples.n) == (3, 4)


def test_compressed_variants_where_both_are_there(prefix):
    text = prefix.with_suffix(".pvar").read_bytes().replace(b"\tv1\t", b"\tpacked\t")
    packed = prefix.parent / "cohort.pvar.zst"
    packed.write_bytes(pa.compress(text, codec="zstd", asbytes=True))
    assert open_pgen(prefix).variants.identifier[0] == "v1"
    assert open_pgen(prefix.with_suffix(".pvar")).variants.identifier[0] == "v1"
    assert open_pgen(packed).variants.identifier[0] == "packed"
    prefix.with_suffix(".pvar").unlink()
    assert open_pgen(prefix.with_suffix(".psam")).variants.identifier[0] == "packed"


@pytest.mark.parametrize(
    ("text", "fid", "iid", "sex"),
    [
        ("#FID\tIID\tSEX\nf\ta\t1\ng\tb\t2\n", "fg", "ab", [1, 2]),
        ("#IID\na\nb", "00", "ab", [0, 0]),
        ("##x\n\n#IID PHENO SEX\r\na 1.5 M\r\n\r\nb NA F\r\n", "00", "ab", [1, 2]),
        ("\ufeff#IID SEX\na 1\nb 2\n", "00", "ab", [1, 2]),
        ("#IID\tSID\tCITY\na\t1\tNew York\nb\t1\tRio\n", "00", "ab", [0, 0]),
        ("f a 0 0 1 -9\ng b 0 0 0 -9\n", "fg", "ab", [1, 0]),
        ("f\ta\t0\t0\t2\ng\tb\t0\t0\tNA\n", "fg", "ab", [2, 0]),
    ],
)
def test_people(tmp_path, text, fid, iid, sex):
    path = tmp_path / "x.psam"
    path.write_bytes(text.encode())
    samples = read_psam(path)
    assert "".join(samples.fid) == fid
    assert "".join(samples.iid) == iid
    assert samples.sex.tolist() == sex
    assert samples.sex.dtype == np.int8


@pytest.mark.parametrize(
    "text",
    [
        "#CHROM\tPOS\tID\tREF\tALT\n1\t-5\trs1\tA\tC\nX\t7\tlong\tAG\tA\n",
        "##a\n##b\n#CHROM POS ID REF ALT QUAL\n1 -5 rs1 A C .\n\nX 7 long AG A 3.5",
        "#CHROM\tID\tALT\tREF\tINFO\tPOS\r\n1\trs1\tC\tA\tx y z\t-5\r\nX\tlong\tA\tAG\tPR\t7\r\n",
        "1 rs1 0 -5 C A\nX long 0.1 7 A AG\n",
        "1\trs1\t-5\tC\tA\nX\tlong\t7\tA\tAG\n",
    ],
)
def test_variants(tmp_path, text):
    path = tmp_path / "x.pvar"
    path.write_bytes(text.encode())
    table = read_pvar(path)
    assert table.variants.chromosome.tolist() == ["1", "X"]
    assert table.variants.position.tolist() == [-5, 7]
    assert table.variants.identifier.tolist() == ["rs1", "long"]
    assert table.variants.other_allele.tolist() == ["A", "AG"]
    assert table.variants.effect_allele.tolist() == ["C", "A"]
    assert table.n_alleles.tolist() == [2, 2]


def test_many_variants_are_listed_fast(tmp_path):
    path = tmp_path / "x.pvar"
    rows = "".join(f"1\t{j}\trs{j}\tA\tG\t.\tPASS\tAF=0.25;AC=3\n" for j in range(200_000))
    path.write_text("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + rows)
    start = time.process_time()
    table = read_pvar(path)
    assert time.process_time() - start < 6  # measured: 0.5 s
    assert table.variants.identifier[-1] == "rs199999"


# What is refused


def refused(path, message):
    with pytest.raises(DataError, match=message) as caught:
        open_pgen(path)
    assert "\n" not in str(caught.value)


def test_without_the_library(prefix, monkeypatch):
    monkeypatch.setitem(sys.modules, "pgenlib", None)
    refused(
        prefix, r'Reading PLINK 2 files needs pgenlib: install it with  pip install "henderson\[plink2\]"'
    )


def test_missing_files(prefix):
    refused(prefix.parent / "cohrt", r"no PLINK 2 fileset .*cohrt\.pgen.*did you mean .*cohort\.pgen\?")
    refused(prefix.parent / "no" / "x", "there is no folder .*no either")
    prefix.with_suffix(".psam").unlink()
    refused(prefix, r"There is no file .*cohort\.psam beside .*cohort\.pgen")


@pytest.mark.parametrize(
    ("ending", "line", "content", "message"),
    [
        (".pvar", 3, "1\t1000\trs7\tA", r"\.pvar, line 3: 4 columns, but the header in line 1 names 5"),
        (".pvar", 4, "1\t1e6\trs7\tA\tC", r"line 4: the position \(column POS\) is '1e6', which is no whole"),
        (".pvar", 4, "1\t1_0\trs7\tA\tC", r"line 4: the position \(column POS\) is '1_0', which is no whole"),
        (".pvar", 2, "1\t10\trs7\tA\tC,,G", r"line 2: one of the alleles in ALT, 'C,,G', has no letters"),
        (".pvar", 2, "1\t10\trs7\tA\t" + "C," * 254 + "C", r"line 2: 255 alternative alleles.*254 at most"),
        (".pvar", 1, "#CHROM\tPOS\tID\tREF\tALT1", r"has no column ALT, .* names CHROM, POS, ID, REF, ALT1"),
        (".pvar", 1, "#CHROM\tPOS\tID\tALT\tALT", r"has several columns ALT, but should have one"),
        (".pvar", 1, "1 2 3", r"line 1: there is no header that begins with #CHROM, .* 3 columns .* 6 or 5"),
        (".pvar", 6, "", r"has 5 variants, but .*\.pvar lists 4: one of the two belongs to another"),
        (".psam", 3, "i1", r"\.psam, lines 2 and 3: two people are called 0 i1 \(FID and IID\)"),
        (".psam", 3, "i2\t1", r"\.psam, line 3: 2 columns, but the header in line 1 names 1"),
        (".psam", 1, "#ID", r"header has to begin with #IID, or with #FID and IID, but begins with #ID"),
        (".psam", 1, "IID", r"there is no header that begins with #FID or #IID, and the first line has 1"),
        (".psam", 7, "", r"has genotypes of 6 people, but .*\.psam lists 5: one of the two belongs"),
    ],
)
def test_lines(prefix, ending, line, content, message):
    path = prefix.with_suffix(ending)
    lines = path.read_text().splitlines()
    lines[line - 1] = content
    path.write_text("\n".join(lines))
    refused(prefix, message)


@pytest.mark.parametrize("ending", [".psam", ".pvar"])
def test_files_that_are_no_text(prefix, ending):
    path = prefix.with_suffix(ending)
    for content in (b"", b" \n\n", b"##only comments\n", b"#IID\n"):
        path.write_bytes(content)
        refused(prefix, rf"cohort\{ending} is empty: it should list the (people|variants)")
    path.write_bytes(b"#IID\nan\xe9\n")
    refused(prefix, "line 2: the byte 0xe9 is not UTF-8")


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b"no Zstandard", lambda b: b + b"more bytes"])
def test_damaged_compression(prefix, damage):
    text = prefix.with_suffix(".pvar").read_bytes()
    prefix.with_suffix(".pvar").unlink()
    packed = pa.compress(text, codec="zstd", asbytes=True)
    (prefix.parent / "cohort.pvar.zst").write_bytes(damage(packed))
    refused(prefix, r"cohort\.pvar\.zst cannot be read: .*; write or copy it again")


def test_wrong_kinds_of_pgen(prefix):
    path = prefix.with_suffix(".pgen")
    whole = path.read_bytes()
    path.write_bytes(b"")
    refused(prefix, r"cohort\.pgen is empty")
    path.write_bytes(b"##fileformat=VCF")
    refused(prefix, r"is no \.pgen file: it begins with the bytes 23 23 instead of 6c 1b")
    path.write_bytes(whole[:2] + b"\x01" + whole[3:])
    refused(prefix, r"is a PLINK 1 \.bed file")
    path.write_bytes(whole[:2] + b"\x20" + whole[3:])
    refused(prefix, r"storage mode 0x20\); rewrite it with  plink2 --pfile \S*cohort --make-pgen")
    path.write_bytes(whole[:3] + bytes(4) + whole[7:])
    refused(prefix, r"has 0 variants of 6 people: there is nothing to read")
    path.write_bytes(whole + b"\0")
    refused(prefix, r"has \d+ bytes, but by its header it should have \d+: something was added to it")


def test_alleles_that_the_variants_do_not_have(tmp_path):
    prefix = tmp_path / "x"
    prefix.with_suffix(".pgen").write_bytes(BY_PLINK2)
    prefix.with_suffix(".psam").write_text("#IID\na\nb\nc\nd\n")
    prefix.with_suffix(".pvar").write_text(BY_PLINK2_PVAR.replace("C,G\t", "C\t"))
    refused(prefix, r"x\.pvar, line 4: 2 alleles, but .*x\.pgen has more: one of the two belongs to another")


# Damaged at random: a sentence, or genotypes that are possible


def test_cut_short_anywhere(tmp_path):
    rng = np.random.default_rng(4)
    alternatives = [1, 2, 1, 3]
    prefix = write_alleles(tmp_path / "x", random_alleles(rng, alternatives, 40), alternatives)
    whole = prefix.with_suffix(".pgen").read_bytes()
    for length in range(len(whole)):
        prefix.with_suffix(".pgen").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"x\.pgen"):
            open_pgen(prefix)


@pytest.mark.parametrize("kind", ["alleles", "dosages"])
def test_bytes_changed(tmp_path, kind):
    rng = np.random.default_rng(5)
    prefix = tmp_path / "x"
    if kind == "alleles":
        alternatives = [1, 2, 1, 3]
        write_alleles(prefix, random_alleles(rng, alternatives, 40), alternatives)
    else:
        with pgenlib.PgenWriter(bytes(tmp_path / "x.pgen"), 40, variant_ct=4, dosage_present=True) as file:
            for _ in range(4):
                file.append_dosages(rng.uniform(0, 2, 40).astype(np.float32))
        write_text(prefix, 40, [1] * 4)
    whole = np.frombuffer(prefix.with_suffix(".pgen").read_bytes(), dtype=np.uint8)
    refusals = 0
    for _ in range(300):
        changed = whole.copy()
        where = rng.integers(0, len(whole) if rng.random() < 0.5 else 30, rng.integers(1, 4))
        changed[where] = rng.integers(0, 256, len(where))
        prefix.with_suffix(".pgen").write_bytes(changed.tobytes())
        try:
            genotypes = open_pgen(prefix).read(slice(0, None))
        except DataError:
            refusals += 1
            continue
        if genotypes.dtype == np.int8:
            assert np.isin(genotypes, [-1, 0, 1, 2]).all()
        else:
            assert (np.isnan(genotypes) | ((genotypes >= 0) & (genotypes <= 2))).all()
    assert refusals > 100


@settings(deadline=None, max_examples=300)
@given(st.one_of(
    st.binary(max_size=60),
    st.text(alphabet="#IDFSEX0129aé,._-\t \r\n", max_size=80).map(str.encode),
    st.text(alphabet="#CHROMPSIDREFALT019,.-\t \n", max_size=60).map(
        lambda text: b"#CHROM\tPOS\tID\tREF\tALT\n" + text.encode()
    ),
))  # fmt: skip
def test_any_text(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("text") / "x"
    path.write_bytes(content)
    try:
        samples = read_psam(path)
        assert samples.n == len(set(zip(samples.fid.tolist(), samples.iid.tolist(), strict=True))) > 0
    except DataError:
        pass
    try:
        table = read_pvar(path)
        assert table.variants.m == (table.n_alleles - 1).sum() > 0
        assert len(table.variants.position) == len(table.variants.effect_allele) == table.variants.m
    except DataError:
        pass
