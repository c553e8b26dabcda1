"""Relationships with names that are not dense: what they hold, and what is refused."""

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array, random_array

from henderson.covariance import (
    HasRelationship,
    NamedBlocks,
    NamedFactor,
    NamedPrecision,
    Precision,
    RelationshipMatrix,
)
from henderson.errors import DataError

NAMES = ["ann", "bob", "cleo"]
MATRIX = np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 1.0]])


def precision(names, matrix):
    return NamedPrecision(names, Precision(csc_array(matrix)))


def blocks(names, matrix):
    return NamedBlocks(names, csc_array(matrix))


SPARSE = pytest.mark.parametrize("make", [precision, blocks])


def held(made):
    return (made.matrix if isinstance(made, NamedBlocks) else made.precision.inverse).toarray()


@SPARSE
def test_names_and_numbers(make):
    made = make(NAMES, MATRIX)
    assert made.names == tuple(NAMES)
    assert make([7, 8.0, np.float64(9)], MATRIX).names == ("7", "8", "9")
    np.testing.assert_array_equal(held(made), MATRIX)
    assert "3 levels" in repr(made)


def test_any_sparse_format_becomes_sorted_columns():
    mixed = csr_array(MATRIX)
    mixed.indices[2:5] = mixed.indices[2:5][::-1]
    mixed.data[2:5] = mixed.data[2:5][::-1]
    mixed.has_sorted_indices = False
    made = NamedBlocks(NAMES, mixed)
    assert isinstance(made.matrix, csc_array)
    assert made.matrix.has_canonical_format


@SPARSE
def test_a_twin_name_is_refused(make):
    with pytest.raises(DataError, match="names 1 of its levels more than once, the first of them 'ann'"):
        make(["ann", "bob", "ann"], MATRIX)


@SPARSE
def test_too_few_names(make):
    with pytest.raises(DataError, match="there are 2 names, but the relationship has 3 rows"):
        make(NAMES[:2], MATRIX)


@SPARSE
def test_not_square(make):
    with pytest.raises(DataError, match=r"square matrix; its shape is \(3, 2\)"):
        make(NAMES, MATRIX[:, :2])


@SPARSE
def test_one_triangle(make):
    with pytest.raises(DataError, match=r"0\.5 for 'bob' and 'ann', but 0 the other way round; give both"):
        make(NAMES, np.tril(MATRIX))


@SPARSE
def test_one_element_of_a_large_matrix_is_lopsided(make):
    rng = np.random.default_rng(0)
    A = random_array((400, 400), density=0.02, rng=rng).toarray()
    A = A + A.T + np.eye(400)
    A[17, 203] += 0.01
    with pytest.raises(DataError, match=r"'(17|203)' and '(17|203)'"):
        make(range(400), A)


@SPARSE
def test_rounding_of_the_triangles_is_averaged(make):
    off = MATRIX.copy()
    off[0, 1] += 2e-9
    found = held(make(NAMES, off))
    np.testing.assert_array_equal(found, found.T)
    assert found[0, 1] == pytest.approx(0.5 + 1e-9, abs=1e-15)


@SPARSE
def test_missing_number(make):
    off = MATRIX.copy()
    off[1, 2] = off[2, 1] = np.nan
    with pytest.raises(
        DataError, match=r"2 elements .* missing or infinite, the first of them of 'cleo' and 'bob'"
    ):
        make(NAMES, off)


def test_a_precision_takes_a_precision():
    with pytest.raises(DataError, match=r"takes a Precision, .* given a ndarray"):
        NamedPrecision(NAMES, MATRIX)


def test_factor():
    made = NamedFactor(NAMES, [[1, 0], [1, 1], [0, 2]])
    assert made.factor.dtype == np.float64
    assert repr(made) == "<NamedFactor of 3 levels, rank at most 2>"
    with pytest.raises(DataError, match=r"1 rows of the factor .* the row of 'bob'"):
        NamedFactor(NAMES, [[1, 0], [np.inf, 1], [0, 2]])
    with pytest.raises(DataError, match="a row per level; it has 1 dimensions"):
        NamedFactor(NAMES, [1, 2, 3])
    with pytest.raises(DataError, match="more than once"):
        NamedFactor(["a", "a"], np.eye(2))


def test_a_pedigree_is_known_by_what_it_has():
    class Family:
        ids = ("sire", "calf")

        def relationship(self):
            return Precision(csc_array(np.eye(2)))

    assert isinstance(Family(), HasRelationship)
    assert not isinstance(NamedFactor(NAMES, np.eye(3)), HasRelationship)


def test_a_factor_of_words_is_refused():
    with pytest.raises(DataError, match="the elements of a factor must be numbers"):
        NamedFactor(NAMES, [["a"], ["b"], ["c"]])


def test_an_inverse_that_is_not_definite_is_refused():
    with pytest.raises(DataError, match="is not positive definite: see that it is the inverse"):
        _ = Precision(csc_array(np.array([[1.0, 2.0], [2.0, 1.0]]))).factor


@pytest.mark.parametrize("ids", [[7, 8, 9], [7.0, 8.0, 9.0], np.array([7, 8, 9], dtype=np.float32)])
def test_people_of_a_dense_matrix_may_have_numbers(ids):
    assert RelationshipMatrix.of(MATRIX, ids).samples.iid.tolist() == ["7", "8", "9"]


@SPARSE
def test_a_tiny_number_on_one_side_alone(make):
    # as np.linalg.inv leaves it
    matrix = MATRIX.copy()
    matrix[0, 2] = 1e-18
    made = held(make(NAMES, matrix))
    np.testing.assert_array_equal(made != 0, (made != 0).T)
    np.testing.assert_allclose(made, MATRIX, atol=1e-17)
    if make is precision:
        found = make(NAMES, matrix).precision.times(np.eye(3))
        np.testing.assert_allclose(found, np.linalg.inv(MATRIX), rtol=1e-12)


@SPARSE
def test_a_zero_on_one_side_alone(make):
    place = ([0, 1, 2, 0], [0, 1, 2, 2])
    matrix = csc_array((np.array([1.0, 1.0, 1.0, 0.0]), place), shape=(3, 3))
    np.testing.assert_array_equal(held(make(NAMES, matrix)), np.eye(3))


def test_an_inverse_without_a_diagonal_is_refused():
    with pytest.raises(DataError, match="has 0 on its diagonal for 'bob', where it has to be positive"):
        precision(NAMES, np.diag([1.0, 0.0, 1.0]))
