"""The sparse factor against dense NumPy."""

import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array, eye_array

from henderson.linalg.sparse_cholesky import analyse
from henderson.linalg.sparse_cholesky import symbolic as layout
from linalg.sparse_matrices import KINDS, animal_model, definite, parents, pattern

# from no supernode to all of them by LAPACK and BLAS
THRESHOLDS = (0.0, 50.0, 2e5)


def close(found, expected):
    scale = np.abs(expected).max(initial=0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * scale)


def check_against_dense(A):
    """Everything that a factor offers, on a matrix small enough to invert."""
    n = A.shape[0]
    rng = np.random.default_rng(n)
    dense = A.toarray()
    inverse = np.linalg.inv(dense)
    factor = analyse(A).factor(A.data)
    close(factor.logdet, np.linalg.slogdet(dense)[1])
    B = rng.normal(size=(n, 3))
    close(factor.solve(B), inverse @ B)
    close(factor.solve(B[:, 0]), inverse @ B[:, 0])
    root = factor.solve_upper(np.eye(n))
    close(root @ root.T, inverse)
    close(factor.solve_lower(np.eye(n)), root.T)
    column = np.repeat(np.arange(n), np.diff(A.indptr))
    close(factor.inverse_on_pattern(), inverse[A.indices, column])
    close(factor.inverse_diagonal(), np.diag(inverse))
    rows, columns = rng.integers(0, max(n, 1), (2, 4 * n))
    close(factor.inverse_at(rows, columns), inverse[rows, columns])


@settings(deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    n=st.integers(0, 60),
    seed=st.integers(0, 2**32 - 1),
    threshold=st.sampled_from(THRESHOLDS),
)
def test_against_dense(kind, n, seed, threshold):
    rng = np.random.default_rng(seed)
    with patch.object(layout, "LARGE", threshold):
        check_against_dense(definite(pattern(kind, n, rng), rng))


@pytest.mark.parametrize("sires", [5, None], ids=["selected", "random mating"])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_animal_model(sires, threshold):
    A = animal_model(*parents(5, 160, sires, 30, np.random.default_rng(1)), 2.0)
    with patch.object(layout, "LARGE", threshold):
        check_against_dense(A)
    if threshold == THRESHOLDS[-1] and sires is None:
        tree = analyse(A).symbolic
        assert 0 < tree.large.size < tree.tree.parent.size  # both kinds of code were there


def test_rows_that_meet_all_others():
    # covariates and a mean beside the animals: eliminated last
    rng = np.random.default_rng(3)
    n, p = 900, 3
    animals = animal_model(*parents(6, 150, 4, 30, rng), 1.5)
    cross = rng.normal(size=(n, p))
    dense = np.block([[animals.toarray(), cross], [cross.T, cross.T @ cross + n * np.eye(p)]])
    mixed = rng.permutation(n + p)
    A = csc_array(dense[np.ix_(mixed, mixed)])
    analysis = analyse(A)
    assert set(mixed[analysis.symbolic.order[-p:]]) == set(range(n, n + p))
    assert analysis.fill < 1.2 * (analyse(animals).fill + p * n)
    check_against_dense(A)


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_kinds_of_indices(index):
    A = animal_model(*parents(3, 20, 2, 5, np.random.default_rng(0)), 1.0)
    other = csc_array((A.data, A.indices.astype(index), A.indptr.astype(index)), shape=A.shape)
    check_against_dense(other)


def test_an_analysis_serves_many_matrices():
    rng = np.random.default_rng(5)
    A = definite(pattern("random", 50, rng), rng)
    analysis = analyse(A)
    first = analysis.factor(A.data)
    second = analysis.factor(4.0 * A.data)
    close(second.logdet - first.logdet, 50 * np.log(4.0))
    close(first.inverse_on_pattern(), 4.0 * second.inverse_on_pattern())


def test_right_hand_sides_are_left_alone():
    A = animal_model(*parents(3, 40, 2, 5, np.random.default_rng(0)), 1.0)
    factor = analyse(A).factor(A.data)
    B = np.asfortranarray(np.arange(240).reshape(120, 2))
    before = B.copy()
    close(factor.solve(B), np.linalg.solve(A.toarray(), B))
    np.testing.assert_array_equal(B, before)
    assert factor.solve(np.empty((120, 0))).shape == (120, 0)
    assert factor.inverse_at(np.array([], dtype=int), np.array([], dtype=int)).shape == (0,)


@pytest.mark.parametrize("threshold", [0.0, 2e5])
@pytest.mark.parametrize("wrong", [-1.0, 0.0, np.nan])
def test_a_matrix_that_is_not_definite_names_the_row(wrong, threshold):
    values = np.ones(7)
    values[4] = wrong
    A = csc_array(eye_array(7))
    with patch.object(layout, "LARGE", threshold):
        analysis = analyse(A)
    with pytest.raises(np.linalg.LinAlgError, match=r"not positive definite.*row 4"):
        analysis.factor(values)


@pytest.mark.parametrize("threshold", [0.0, 2e5])
def test_an_indefinite_matrix_is_refused(threshold):
    A = csc_array(np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0], [2.0, 0.0, 1.0]]))
    with patch.object(layout, "LARGE", threshold):
        analysis = analyse(A)
    with pytest.raises(np.linalg.LinAlgError, match=r"row [02]"):
        analysis.factor(A.data)


@pytest.mark.parametrize(
    ("A", "message"),
    [
        (csc_array(np.ones((2, 3))), "2 rows and 3 columns"),
        (csc_array(np.tri(3)), "not symmetric"),
        (csc_array(1.0 - np.eye(3)), "diagonal"),
        (csc_array((np.ones(5), [1, 0, 1, 0, 1], [0, 2, 4]), shape=(2, 2))[:, :2], "sorted"),
    ],
)
def test_patterns_that_are_refused(A, message):
    with pytest.raises(ValueError, match=message):
        analyse(A)


@pytest.mark.parametrize("threshold", [0.0, 2e5, np.inf])
def test_memory_is_known_beforehand(threshold):
    A = animal_model(*parents(8, 250, None, 0, np.random.default_rng(2)), 2.0)
    with patch.object(layout, "LARGE", threshold):
        analysis = analyse(A)
    analysis.factor(A.data).inverse_diagonal()  # compiled by now
    tracemalloc.start()
    analysis.factor(A.data).inverse_diagonal()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.4 * analysis.memory < peak < analysis.memory + 1e5
