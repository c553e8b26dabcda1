"""VCF Zarr stores, written array by array as the specification says: what is read, and what is refused."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from henderson.errors import DataError
from henderson.genotype import count_variants
from henderson.io import vcf_zarr
from henderson.io.vcf_zarr import open_vcf_zarr
from vcf_files import Line, calls_by_hand, lines_of, write_vcf_zarr

zarr = pytest.importorskip("zarr")

ALLELES = st.sampled_from([".", "0", "1", "2"])
CELLS = st.one_of(ALLELES, st.tuples(ALLELES, ALLELES).map("/".join))


def everything(source):
    return source.read(slice(None))


def random_lines(m, n, *, seed=0, several=False):
    """Records of haploid and diploid calls, some with three alleles."""
    rng = np.random.default_rng(seed)
    cells = ["0/0", "0/1", "1|1", "./.", "1", "0", "."]
    return [
        Line(
            rng.choice([*cells, "0/2", "2/1"] if several and j % 3 == 0 else cells, n).tolist(),
            "12X"[j % 3],
            j + 1,
            f"v{j}",
            alternative="C,<DEL>" if several and j % 3 == 0 else "T",
        )
        for j in range(m)
    ]


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 6).flatmap(
        lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=9)
    ),
    st.sampled_from([2, 3]),
    st.integers(1, 4),
)
def test_what_was_written_is_read(tmp_path_factory, rows, zarr_format, chunk):
    lines = [Line(cells, position=j, alternative="C,G") for j, cells in enumerate(rows, start=1)]
    path = tmp_path_factory.mktemp("zarr") / "x.vcz"
    source = open_vcf_zarr(write_vcf_zarr(path, lines, zarr_format=zarr_format, chunks=(chunk, chunk)))
    calls = calls_by_hand(lines)
    assert everything(source).dtype == np.int8
    assert not source.has_dosages
    # Blocks begin and end anywhere in a chunk.
    for start in range(0, len(calls), 3):
        assert np.array_equal(source.read(slice(start, start + 3)), calls[start : start + 3])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_names(tmp_path, zarr_format):
    lines = [
        Line(["0", "0/1"], "X", 7, "rs1", "ACGT" * 20, "A,<DEL>,*"),
        Line(["1", "0"], "2", 5, ".", "G", "T"),
    ]
    source = open_vcf_zarr(write_vcf_zarr(tmp_path / "x.zarr", lines, zarr_format=zarr_format))
    assert source.samples.iid.tolist() == ["i1", "i2"]
    assert source.samples.fid.tolist() == ["0", "0"]
    variants = source.variants
    assert variants.chromosome.tolist() == ["X", "X", "X", "2"]
    assert variants.position.tolist() == [7, 7, 7, 5]
    assert variants.identifier.tolist() == ["rs1"] * 3 + ["."]
    assert variants.other_allele.tolist() == ["ACGT" * 20] * 3 + ["G"]
    assert variants.effect_allele.tolist() == ["A", "<DEL>", "*", "T"]


def test_people_and_variants_by_slices(tmp_path):
    lines = random_lines(30, 10, several=True)
    source = open_vcf_zarr(write_vcf_zarr(tmp_path / "x.vcz", lines))
    calls = calls_by_hand(lines)
    people = np.array([9, 0, 0, 4])
    assert np.array_equal(source.read(slice(3, 28), people), calls[3:28, people])
    assert np.array_equal(source.read(slice(35, 99)), calls[35:])
    assert source.read(slice(4, 4)).shape == (0, 10)
    with pytest.raises(ValueError, match="contiguous"):
        source.read(slice(0, 4, 2))
    with pytest.raises(TypeError, match="not by a mask"):
        source.read(slice(0, 4), np.ones(10, dtype=bool))


def test_records_without_alternative_are_left_out(tmp_path, caplog):
    lines = [Line(["0/0", "0/0"], alternative="."), Line(["0/1", "1/1"]), Line(["0/0", "."], alternative=".")]
    source = open_vcf_zarr(write_vcf_zarr(tmp_path / "x.vcz", lines, chunks=(1, 1)))
    assert everything(source).tolist() == [[1, 2]]
    assert "2 of 3 variants have one allele only; they are left out" in caplog.text


@pytest.mark.parametrize("alternative", [".,G", "G,."])
def test_an_alternative_without_a_name_is_counted_as_in_vcf(tmp_path, alternative):
    lines = [Line(["0/1", "0/2", "2/2"], alternative=alternative), Line(["0/1", "0/0", "1/1"])]
    source = open_vcf_zarr(write_vcf_zarr(tmp_path / "x.vcz", lines))
    assert source.variants.effect_allele.tolist() == [*alternative.split(","), "C"]
    assert np.array_equal(everything(source), calls_by_hand(lines))


def test_a_chunk_is_decompressed_once(tmp_path, monkeypatch):
    source = open_vcf_zarr(write_vcf_zarr(tmp_path / "x.vcz", random_lines(40, 5), chunks=(10, 2)))
    reads = []
    load = type(source.store).load
    monkeypatch.setattr(type(source.store), "load", lambda *given: (reads.append(given), load(*given))[1])
    for start in range(0, 40, 3):
        source.read(slice(start, start + 3))
    assert len(reads) == 4
    # A chunk that is too large to be kept is taken in pieces.
    monkeypatch.setattr(vcf_zarr, "_MOST_HELD", 5 * 4)
    again = open_vcf_zarr(tmp_path / "x.vcz")
    assert np.array_equal(everything(again), everything(source))


def test_dosages(tmp_path):
    lines = lines_of("0/1 0|1 1/1 ./.", "0 1 . 0/1", "./1 0/1 0/0 0/0", ". ./. . 1/1")
    nan = np.nan
    given = np.array([[1, 0.9, nan, 1.2], [0.25, 0.9, nan, 0.75], [0.7, 2, nan, 1], [0.4, 0.4, 0.7, 1.7]])
    # As for VCF, where the same numbers come from PLINK 2.
    expected = [[1, 0.9, 2, 1.2], [0.5, 1.8, nan, 0.75], [0.7, 2, 0, 1], [0.8, 0.4, 1.4, 1.7]]
    for dosages in (given, given[:, :, None]):
        source = open_vcf_zarr(write_vcf_zarr(tmp_path / "x.vcz", lines, dosages=dosages, chunks=(2, 3)))
        assert source.has_dosages
        assert everything(source).dtype == np.float32
        assert np.allclose(everything(source), expected, equal_nan=True)


def test_dosages_alone_and_of_several_alleles(tmp_path, caplog):
    lines = [Line(["0/0", "0/0"], "X", alternative="C,G"), Line(["0/0", "0/0"])]
    dosages = np.array([[[0.5, 0.25], [0, 2]], [[1.5, np.nan], [np.nan, np.nan]]])
    path = write_vcf_zarr(tmp_path / "x.vcz", lines, dosages=dosages, zarr_format=2)
    shutil.rmtree(path / "call_genotype")
    source = open_vcf_zarr(path)
    assert np.allclose(everything(source), [[0.5, 0], [0.25, 2], [1.5, np.nan]], equal_nan=True)
    assert "DS but no GT that says who has one copy (2 in all)" in caplog.text


def test_half_calls_are_told_once(tmp_path, caplog):
    lines = lines_of("0/1 0/0", "./1 1/1", "1/. ./.")
    source = open_vcf_zarr(write_vcf_zarr(tmp_path / "x.vcz", lines, chunks=(1, 1)))
    count_variants(source)
    count_variants(source)
    assert everything(source)[1:].tolist() == [[-1, 2], [-1, -1]]
    assert caplog.text.count("half-calls") == 1
    assert "1:2000: half-calls, such as ./1, here and further on, are read as missing" in caplog.text


# What is refused


def refused(path, message, *, read=False):
    with pytest.raises(DataError, match=message) as caught:
        everything(open_vcf_zarr(path)) if read else open_vcf_zarr(path)
    assert "\n" not in str(caught.value)


@pytest.fixture(params=[2, 3])
def store(tmp_path, request):
    """A store of 9 variants in 5 people."""
    return write_vcf_zarr(tmp_path / "x.vcz", random_lines(9, 5), zarr_format=request.param)


def replaced(path, name, values):
    """Write an array of a store again."""
    group = zarr.open_group(str(path), mode="r+")
    values = np.asarray(values)
    kind = str if values.dtype.kind == "U" else values.dtype
    group.create_array(name, shape=values.shape, dtype=kind, overwrite=True)[...] = values


def test_zarr_is_asked_for(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    refused(store, r'needs zarr: install it with  pip install "henderson\[zarr\]"')


def test_folders_that_are_none(tmp_path, store):
    refused(tmp_path / "y.vcz", "There is no folder .*y.vcz")
    refused(tmp_path, r"is no Zarr store: it should be a folder with a file \.zgroup or zarr\.json")
    for name in (".zgroup", "zarr.json"):
        if (store / name).is_file():
            (store / name).write_text("{")
    refused(store, "cannot be read as a Zarr store")


@pytest.mark.parametrize(
    "name",
    [
        "sample_id",
        "contig_id",
        "variant_contig",
        "variant_position",
        "variant_id",
        "variant_allele",
        "call_genotype",
    ],
)
def test_arrays(store, name):
    shutil.move(store / name, store.parent / "elsewhere")
    refused(store, rf"has no array {name}, as a VCF Zarr store \(of vcf2zarr\) should have")
    shutil.move(store.parent / "elsewhere", store / name)
    for description in (".zarray", "zarr.json"):
        if (store / name / description).is_file():
            (store / name / description).write_text("{}")
    refused(store, rf"the array {name} cannot be read .*damaged")


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("sample_id", np.array([], dtype=np.str_), "has nobody in it"),
        ("sample_id", ["a", "b", "c", "d", "b"], "samples 2 and 5: two people are called 0 b"),
        ("sample_id", ["a", "b"], r"call_genotype has the shape 9 x 5 x 2 instead of 9 x 2 x any"),
        ("sample_id", np.arange(5), "sample_id has the type int64 instead of texts"),
        (
            "variant_contig",
            np.full(9, 3),
            "has the number 3, but contig_id names 3 chromosomes",
        ),
        ("variant_contig", np.full(9, -1), "variant_contig has the number -1"),
        ("variant_position", np.ones(9), "variant_position has the type float64 instead of whole numbers"),
        ("variant_position", np.ones(8, dtype=int), "variant_position has the shape 8 instead of 9"),
        ("variant_allele", np.full((9, 1), "A"), "has no variants, or none with an ALT allele"),
        ("variant_allele", np.full(9, "A"), "variant_allele has the shape 9 instead of any x any"),
        ("call_genotype", np.ones((9, 5), dtype=int), "call_genotype has the shape 9 x 5 instead of"),
        ("call_genotype", np.ones((9, 5, 2)), "call_genotype has the type float64 instead of whole numbers"),
        ("call_DS", np.ones((9, 5), dtype=int), "call_DS has the type int64 instead of decimal numbers"),
        (
            "call_DS",
            np.ones((9, 5, 0)),
            "call_DS has 0 dosages per person, but .* with 1 ALT",
        ),
    ],
)
def test_contradictions(store, name, values, message):
    replaced(store, name, values)
    refused(store, message)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("call_genotype", np.full((9, 5, 2), 2), r"1:1: i1 has the allele 2, but the variant has 1 besides"),
        ("call_genotype", np.full((9, 5, 2), -3), "i1 has the allele -3"),
        ("call_genotype", np.full((9, 5, 3), 1), "1:1: i1 has a genotype of more than two alleles"),
        ("call_DS", np.full((9, 5), 2.5), r"the dosage \(DS\) of i1 is 2.5"),
        ("call_DS", np.full((9, 5), -1.0), r"the dosage \(DS\) of i1 is -1"),
    ],
)
def test_genotypes_that_are_none(store, name, values, message):
    replaced(store, name, values)
    refused(store, message, read=True)


def chunks_of(path, name):
    """The files of an array's chunks."""
    described = {".zarray", ".zattrs", "zarr.json"}
    return [
        file for file in sorted((path / name).rglob("*")) if file.is_file() and file.name not in described
    ]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_damaged_chunks(tmp_path, zarr_format):
    lines = random_lines(120, 60)
    path = write_vcf_zarr(tmp_path / "x.vcz", lines, chunks=(60, 60), zarr_format=zarr_format)
    chunks = chunks_of(path, "call_genotype")
    assert len(chunks) == 2
    for chunk in chunks:
        content = chunk.read_bytes()
        for end in (0, len(content) // 3, len(content) // 2):
            chunk.write_bytes(content[:end])
            refused(path, "the array call_genotype cannot be read .*damaged", read=True)
        chunk.write_bytes(content)
    assert np.array_equal(everything(open_vcf_zarr(path)), calls_by_hand(lines))


def test_absent_chunks_are_told(store, caplog):
    open_vcf_zarr(store)
    assert not caplog.text
    chunks_of(store, "call_genotype")[0].unlink()
    source = open_vcf_zarr(store)
    assert "1 of 6 chunks of call_genotype are not there and are read as -1" in caplog.text
    assert (everything(source)[:4, :3] == -1).all()
