"""GCTA's sparse relationship matrix: files made by hand, round trips, reference files, and refusals."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array, random_array

from cohorts import reference_cohort
from gwas_reference import GWAS, needs_gwas_reference
from henderson.covariance import NamedBlocks, RelationshipMatrix
from henderson.errors import DataError
from henderson.fit.cutoffs import make_sparse
from henderson.genotype import Samples
from henderson.io.relationship_files import read_grm
from henderson.io.sparse_grm_files import read_sparse_grm, write_sparse_grm

PAIRS = "0\t0\t1.02\n1\t0\t0.5\n1\t1\t0.98\n2\t2\t1\n"
IDS = "f1\tann\nf1\tbob\nf2\tcleo\n"
MATRIX = [[1.02, 0.5, 0.0], [0.5, 0.98, 0.0], [0.0, 0.0, 1.0]]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.b.grm.sp").write_text(PAIRS)
    (tmp_path / "a.b.grm.id").write_text(IDS)
    return tmp_path


@pytest.mark.parametrize("ending", ["", ".grm", ".grm.sp", ".grm.id"])
def test_by_hand(folder, ending):
    G = read_sparse_grm(f"{folder}/a.b{ending}")
    assert G.names == ("ann", "bob", "cleo")
    np.testing.assert_array_equal(G.matrix.toarray(), MATRIX)


@pytest.mark.parametrize("ending", ["", ".grm.sp.gz", ".grm.sp"])
def test_compressed(folder, ending):
    plain = folder / "a.b.grm.sp"
    (folder / "a.b.grm.sp.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    np.testing.assert_array_equal(read_sparse_grm(f"{folder}/a.b{ending}").matrix.toarray(), MATRIX)


def test_names_from_the_genotype_file(folder):
    (folder / "a.b.grm.id").unlink()
    samples = Samples(np.array(["0"] * 3), np.array(["x", "y", "z"]))
    assert read_sparse_grm(folder / "a.b", samples=samples).names == ("x", "y", "z")
    with pytest.raises(
        DataError, match=r"no file .*a\.b\.grm\.id beside .* who its people are.*give samples="
    ):
        read_sparse_grm(folder / "a.b")


def test_either_triangle_and_any_order(folder):
    lines = PAIRS.replace("1\t0\t0.5", "0 1 5e-1").split("\n")[::-1]
    (folder / "a.b.grm.sp").write_text("\n".join(lines))
    np.testing.assert_array_equal(read_sparse_grm(folder / "a.b").matrix.toarray(), MATRIX)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.booleans())
def test_round_trip(tmp_path_factory, seed, n, zipped):
    folder = tmp_path_factory.mktemp("grm")
    half = random_array((n, n), density=0.3, rng=np.random.default_rng(seed)).toarray()
    names = [f"i{k}" for k in range(n)]
    G = NamedBlocks(names, csc_array(half + half.T + np.eye(n)))
    path = folder / f"x.grm.sp{'.gz' * zipped}"
    people = Samples(np.array([f"f{k}" for k in range(n)]), np.array(names))
    write_sparse_grm(G, path, samples=people)
    again = read_sparse_grm(path)
    assert again.names == G.names
    np.testing.assert_array_equal(again.matrix.toarray(), G.matrix.toarray())
    assert (folder / "x.grm.id").read_text().startswith("f0\ti0\n")


def test_bytes(tmp_path):
    G = NamedBlocks(["ann", "bob", "cleo"], csc_array(MATRIX))
    write_sparse_grm(G, tmp_path / "x")
    assert (tmp_path / "x.grm.sp").read_text() == "0\t0\t1.02\n1\t0\t0.5\n1\t1\t0.98\n2\t2\t1.0\n"
    assert (tmp_path / "x.grm.id").read_text() == "0\tann\n0\tbob\n0\tcleo\n"
    with pytest.raises(DataError, match="samples must be the people of the matrix"):
        write_sparse_grm(G, tmp_path / "x", samples=Samples(np.array(["0"]), np.array(["ann"])))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("", "is empty: it should list pairs of people"),
        ("0\t0\t1\n1\t0\n", "line 2: 2 columns, but every line .* two places and a relationship"),
        ("0\t0\t1\n1\t0.5\t1\n", r"line 2: '0\.5' is no whole number"),
        ("0\t0\tone\n", "line 1: 'one' is no number"),
        ("0\t0\t1\n\n1\t-1\t0.5\n", "line 3: 1 -1 0.5 is no pair of places"),
        ("0\t0\tnan\n", "line 1: 0 0 nan is no pair"),
        ("0\t0\t1\n7\t2\t0.5\n", "a person at place 7 .* but there are 3 people"),
        ("0\t0\t1\n1\t0\t0.5\n0\t1\t0.5\n", "more than one line for the places 1 and 0"),
    ],
)
def test_damaged(folder, pairs, message):
    (folder / "a.b.grm.sp").write_text(pairs)
    with pytest.raises(DataError, match=message):
        read_sparse_grm(folder / "a.b")


def test_cut_short(folder):
    (folder / "a.b.grm.sp").unlink()
    (folder / "a.b.grm.sp.gz").write_bytes(gzip.compress(PAIRS.encode() * 50)[:-12])
    with pytest.raises(DataError, match=r"a\.b\.grm\.sp\.gz cannot be read"):
        read_sparse_grm(folder / "a.b")


def test_another_name(folder):
    with pytest.raises(DataError, match=r"There is no file .*did you mean .*a\.b\.grm\.sp"):
        read_sparse_grm(folder / "a.c")


@pytest.mark.parametrize("ending", ["", ".grm.sp"])
def test_a_reader_of_dense_matrices_knows_the_other(folder, ending):
    with pytest.raises(DataError, match=r"sparse relationship matrix: read it with hd\.read_sparse_grm"):
        read_grm(f"{folder}/a.b{ending}")


@needs_gwas_reference
@pytest.mark.parametrize("name", ["hapmap3", "mouse_hs1940", "saige_example"])
def test_reference(name):
    """GCTA's sparse matrix is what its dense one has above 0.05, and the diagonal."""
    folder = GWAS / "expected" / name / "gcta"
    samples = reference_cohort(name).genotypes.samples
    G = read_sparse_grm(folder / "sparse05", samples=samples)
    assert G.names == tuple(samples.iid.tolist())
    with np.load(folder / "grm.rows.npz") as dense:
        np.testing.assert_allclose(G.matrix.diagonal(), dense["diag"], rtol=1e-6)
        for row, values in zip(dense["randidx"], dense["randrows"], strict=True):
            expected = np.where((values > 0.05) | (np.arange(samples.n) == row), values, 0.0)
            np.testing.assert_allclose(G.matrix[[row]].toarray()[0], expected, rtol=1e-6)
    again = make_sparse(RelationshipMatrix.of(G.matrix.toarray(), G.names), 0.05)
    assert (again.matrix != G.matrix).nnz == 0
