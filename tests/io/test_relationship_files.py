"""Relationship matrices on disk: files made by hand, round trips, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from henderson.covariance import RelationshipMatrix
from henderson.errors import DataError
from henderson.genotype import Samples
from henderson.io.relationship_files import read_grm, write_grm
from henderson.io.whole_files import whole_files

ENDINGS = ["x.grm.bin", "x.cXX.txt", "x.sXX.txt", "x.npz"]


def people(n):
    """Names of n people."""
    numbers = np.arange(1, n + 1).astype(np.str_)
    return Samples(np.char.add("f", numbers), np.char.add("i", numbers))


def matrix(n, seed=0):
    """A positive definite matrix that single precision holds exactly."""
    half = np.random.default_rng(seed).integers(-9, 9, (n, n)) / 64
    return half @ half.T


def relationship(n, n_variants=None):
    return RelationshipMatrix(matrix(n), people(n), n_variants)


def write_gcta(prefix, G, number=None, header=""):
    """GCTA's files by NumPy's own means, not ours."""
    lower = np.tril_indices(len(G))
    G[lower].astype("<f4").tofile(f"{prefix}.grm.bin")
    if number is not None:
        number[lower].astype("<f4").tofile(f"{prefix}.grm.N.bin")
    names = "".join(f"f{i}\ti{i}\n" for i in range(1, len(G) + 1))
    prefix.with_name(f"{prefix.name}.grm.id").write_text(header + names)


@pytest.mark.parametrize("given_as", ["", ".grm", ".grm.bin", ".grm.id", ".grm.N.bin"])
@pytest.mark.parametrize("header", ["", "#FID\tIID\n"])
def test_gcta_files_made_by_hand(tmp_path, given_as, header):
    G = np.array([[1.0, 0.25, -0.125], [0.25, 2.0, 0.5], [-0.125, 0.5, 1.5]])
    number = np.array([[9.0, 8.0, 7.0], [8.0, 9.0, 6.0], [7.0, 6.0, 9.0]])
    write_gcta(tmp_path / "a.b", G, number, header)
    read = read_grm(f"{tmp_path}/a.b{given_as}")
    assert np.array_equal(read.matrix, G)
    assert read.matrix.dtype == np.float64
    assert np.array_equal(read.n_variants, number)
    assert read.samples.fid.tolist() == ["f1", "f2", "f3"]
    assert read.samples.iid.tolist() == ["i1", "i2", "i3"]


def test_gcta_numbers_that_are_all_the_same_or_not_there(tmp_path):
    write_gcta(tmp_path / "x", matrix(4), np.full((4, 4), 77.0))
    assert read_grm(tmp_path / "x").n_variants == 77.0
    (tmp_path / "x.grm.N.bin").unlink()
    assert read_grm(tmp_path / "x").n_variants is None


def test_plink2_names_without_families(tmp_path):
    write_gcta(tmp_path / "x", matrix(2))
    (tmp_path / "x.grm.id").write_text("#IID\nanna\nben\n")
    samples = read_grm(tmp_path / "x").samples
    assert (samples.fid.tolist(), samples.iid.tolist()) == (["0", "0"], ["anna", "ben"])


def test_bytes_of_the_gcta_files(tmp_path):
    G = RelationshipMatrix(np.array([[1.0, 0.5], [0.5, 2.0]]), people(2), 10.0)
    write_grm(G, tmp_path / "x.grm.bin")
    assert np.fromfile(tmp_path / "x.grm.bin", "<f4").tolist() == [1.0, 0.5, 2.0]
    assert np.fromfile(tmp_path / "x.grm.N.bin", "<f4").tolist() == [10.0, 10.0, 10.0]
    assert (tmp_path / "x.grm.id").read_bytes() == b"f1\ti1\nf2\ti2\n"


def test_gemma_text(tmp_path):
    G = RelationshipMatrix(np.array([[1 / 3, -2e-7], [-2e-7, 12345.678901]]), people(2))
    write_grm(G, tmp_path / "x.cXX.txt")
    assert (tmp_path / "x.cXX.txt").read_bytes() == b"0.3333333333\t-2e-07\n-2e-07\t12345.6789\n"
    (tmp_path / "y.sXX.txt").write_text("1 0.5\t\n\n0.5 1e0\n")  # GEMMA ends lines with a tab
    read = read_grm(tmp_path / "y.sXX.txt", samples=people(2))
    assert np.array_equal(read.matrix, [[1, 0.5], [0.5, 1]])
    assert read.samples.iid.tolist() == ["i1", "i2"]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 7), st.sampled_from(ENDINGS), st.sampled_from([None, "one", "each"]), st.integers(0, 99)
)
def test_round_trip(tmp_path_factory, n, ending, kind, seed):
    folder = tmp_path_factory.mktemp("grm")
    number = {None: None, "one": 1234.0, "each": matrix(n, seed=seed + 1) + 50}[kind]
    G = RelationshipMatrix(matrix(n, seed), people(n), number)
    write_grm(G, folder / ending)
    read = read_grm(folder / ending, samples=people(n))
    assert np.allclose(read.matrix, G.matrix, rtol=1e-9, atol=0)
    assert read.samples.fid.tolist() == G.samples.fid.tolist()
    assert read.samples.iid.tolist() == G.samples.iid.tolist()
    if ending.endswith(".txt") or kind is None:
        assert read.n_variants is None
    else:
        assert np.array_equal(np.broadcast_to(read.n_variants, (n, n)), np.broadcast_to(number, (n, n)))
    assert not [file for file in folder.iterdir() if file.name.startswith((".", "x.part"))]


def test_npz_is_exact_and_holds_no_objects(tmp_path):
    samples = Samples(np.array(["a", "b"], dtype=object), np.array(["ä", "b"], dtype=object))
    G = RelationshipMatrix(np.array([[1 / 3, 1e-300], [1e-300, np.pi]]), samples, 3.0)
    write_grm(G, tmp_path / "x.npz")
    read = read_grm(tmp_path / "x.npz")
    assert np.array_equal(read.matrix, G.matrix)
    assert read.samples.iid.tolist() == ["ä", "b"]
    with np.load(tmp_path / "x.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)


def test_only_the_lower_triangle_counts(tmp_path):
    nearly = np.array([[1.0, 0.5 + 1e-12], [0.5, 1.0]])
    for ending in ENDINGS[:2]:
        write_grm(RelationshipMatrix(nearly, people(2)), tmp_path / ending)
        read = read_grm(tmp_path / ending, samples=people(2)).matrix
        assert read[0, 1] == read[1, 0] == 0.5


def test_format_where_the_ending_does_not_say_it(tmp_path):
    write_grm(relationship(3), tmp_path / "a.b", format="gcta")
    assert np.array_equal(read_grm(tmp_path / "a.b").matrix, matrix(3))
    with pytest.raises(DataError, match="the ending does not say the format"):
        write_grm(relationship(3), tmp_path / "a.rel")
    with pytest.raises(DataError, match=r"no format 'plink'.*gcta, gemma, npz"):
        write_grm(relationship(3), tmp_path / "a", format="plink")


def test_old_numbers_do_not_stay_beside_a_new_matrix(tmp_path):
    write_grm(relationship(3, 5.0), tmp_path / "x.grm.bin")
    write_grm(relationship(3), tmp_path / "x.grm.bin")
    assert read_grm(tmp_path / "x").n_variants is None


def test_text_of_many_people(tmp_path):
    n = 700
    values = np.random.default_rng(0).normal(size=(n, n))
    G = RelationshipMatrix(values + values.T, people(n))
    write_grm(G, tmp_path / "x.cXX.txt")
    read = read_grm(tmp_path / "x.cXX.txt", samples=people(n))
    assert np.allclose(read.matrix, G.matrix, rtol=1e-9, atol=0)


# What is refused


def refused(message, *arguments, **named):
    with pytest.raises(DataError, match=message) as caught:
        read_grm(*arguments, **named)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there(tmp_path):
    write_grm(relationship(3, 5.0), tmp_path / "cohort.grm.bin")
    refused(r"There is no relationship matrix .*cohrt\b", tmp_path / "cohrt")
    refused(
        r"There is no file .*cohrt\.grm\.bin; did you mean .*cohort\.grm\.bin", tmp_path / "cohrt.grm.bin"
    )
    refused(r"There is no file .*x\.npz\.", tmp_path / "x.npz")
    (tmp_path / "note.md").write_text("hm")
    refused("the ending does not say how to read it", tmp_path / "note.md")
    (tmp_path / "cohort.grm.id").unlink()
    refused(r"There is no file .*cohort\.grm\.id beside .*cohort\.grm\.bin", tmp_path / "cohort")
    write_grm(relationship(3), tmp_path / "other.grm.bin")
    (tmp_path / "other.grm.bin").unlink()
    refused(r"There is no file .*other\.grm\.bin beside .*other\.grm\.id", tmp_path / "other.grm.bin")


def test_gcta_sizes_and_names(tmp_path):
    write_gcta(tmp_path / "x", matrix(4), matrix(4) + 9)
    values, names, numbers = (tmp_path / f"x.grm.{end}" for end in ("bin", "id", "N.bin"))
    whole = values.read_bytes()
    values.write_bytes(whole[:-3])
    refused(
        r"x\.grm\.bin has 37 bytes, but 4 people \(.grm.id\) make 40: it was probably cut", tmp_path / "x"
    )
    values.write_bytes(whole[:24])
    refused(r"has 24 bytes, but 4 people .* make 40: it holds 3 people, so that the .grm.id", tmp_path / "x")
    values.write_bytes(whole)
    numbers.write_bytes(b"")
    refused(r"x\.grm\.N\.bin has 0 bytes", tmp_path / "x")
    numbers.unlink()
    lines = names.read_text().splitlines()
    names.write_text("\n".join([*lines[:3], lines[1]]))
    refused(r"grm\.id, lines 2 and 4: two rows are called f2 i2", tmp_path / "x")
    names.write_text("\n".join([*lines[:3], "f4"]))
    refused(r"grm\.id, line 4: 1 column, but every line of a .id file has 2", tmp_path / "x")
    names.write_text("#FID IID\n")
    refused("has a header but lists no people", tmp_path / "x")


def test_elements_that_are_no_numbers(tmp_path):
    for value in (np.nan, np.inf):
        G = matrix(3)
        G[2, 1] = G[1, 2] = value
        write_gcta(tmp_path / "x", G)
        where = r"the relationship of f2 i2 and f3 i3 \(row 2, column 3\) is (nan|inf)"
        refused(rf"x\.grm\.bin: {where}", tmp_path / "x")
        for ending in ENDINGS:
            with pytest.raises(DataError, match=where):
                write_grm(RelationshipMatrix(G, people(3)), tmp_path / f"new_{ending}")
            assert not (tmp_path / f"new_{ending}").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2\n2 1\n", "has 2 rows, but the genotype file has 3 people"),
        ("1 2 3\n2 1\n3 3 1\n", "line 2: 2 numbers, but the matrix should be square, 3 x 3"),
        ("1 2 3\n2 1 3\n\n3 3 1\n1 2 3\n", "line 5: one row too many, but the matrix should be square"),
        ("1 2 3\n2 1 3\n", "ends after 2 rows of 3 numbers"),
        ("1 2 3\n2 one 3\n3 3 1\n", "line 2, column 2: 'one' is no number"),
        ("1 2 3\n2 1 4\n3 3 1\n", "not symmetric: row 3, column 2 is 3, but row 2, column 3 is 4"),
        ("1 2 3\n2 nan 3\n3 3 1\n", "relationship of f2 i2 and f2 i2"),
        (" \n", "is empty"),
    ],
)
def test_gemma_text_that_is_not_square(tmp_path, text, message):
    path = tmp_path / "x.cXX.txt"
    path.write_text(text)
    refused(message, path, samples=people(3))


def test_gemma_text_needs_names(tmp_path):
    write_grm(relationship(3), tmp_path / "x.cXX.txt")
    refused("does not say who its rows are; give samples=", tmp_path / "x.cXX.txt")


def test_npz_of_others(tmp_path):
    path = tmp_path / "x.npz"
    good = {"version": np.array(1), "matrix": matrix(2), "fid": people(2).fid, "iid": people(2).iid}
    np.savez(path, **good)
    assert read_grm(path).samples.n == 2
    for changed, message in [
        ({"K": matrix(2)}, "it has no version and no matrix and no fid and no iid; it has K"),
        (good | {"version": np.array(2)}, "is of version 2, but this henderson reads version 1"),
        (good | {"matrix": matrix(3)}, r"names 2 people, but its matrix has shape \(3, 3\)"),
        (good | {"n_variants": np.ones(2)}, r"n_variants has shape \(2,\), but the matrix \(2, 2\)"),
        (good | {"fid": people(3).fid}, "3 FIDs but 2 IIDs"),
        (good | {"matrix": np.array([[1.0, 2.0], [3.0, 1.0]])}, "not symmetric"),
        (good | {"iid": people(2).iid.astype(object)}, "damaged or foreign"),
    ]:
        np.savez(path, **changed)
        refused(message, path)
    np.savez(path, **good)
    path.write_bytes(path.read_bytes()[:-100])
    refused("damaged or foreign", path)


def test_wrong_shape_or_place(tmp_path):
    with pytest.raises(DataError, match=r"names 4 people, but its shape is \(3, 3\)"):
        write_grm(RelationshipMatrix(matrix(3), people(4)), tmp_path / "x.npz")
    with pytest.raises(DataError, match="cannot be written: there is no folder"):
        write_grm(relationship(3), tmp_path / "no" / "x.grm.bin")


def test_a_failed_write_leaves_the_old_files(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("old")

    def fail():
        with whole_files(tmp_path / "a", tmp_path / "b") as (first, _):
            first.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "old", "b": "old"}
    with whole_files(tmp_path / "a", tmp_path / "b") as (first, second):
        first.write(b"1")
        second.write(b"2")
        assert (tmp_path / "a").read_text() == "old"
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "1", "b": "2"}
