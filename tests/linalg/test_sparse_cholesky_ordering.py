"""The order of elimination and what is said of it, against elimination on a dense boolean matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csc_array, eye_array, kron
from scipy.sparse.linalg import splu

from henderson.linalg.sparse_cholesky import analyse
from henderson.linalg.sparse_cholesky.ordering import _eliminate, minimum_degree
from henderson.linalg.sparse_cholesky.symbolic import symbolic_factor
from linalg.sparse_matrices import KINDS, animal_model, definite, parents, pattern


def eliminated(A, order):
    """Pattern of L, by elimination in that order."""
    full = A.toarray()[np.ix_(order, order)] != 0
    for j in range(full.shape[0]):
        below = j + 1 + np.flatnonzero(full[j + 1 :, j])
        full[np.ix_(below, below)] = True
    return np.tril(full)


def with_pattern_only(A):
    return csc_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape)


@settings(deadline=None)
@given(kind=st.sampled_from(KINDS), n=st.integers(0, 50), seed=st.integers(0, 2**32 - 1))
def test_layout_against_dense_elimination(kind, n, seed):
    rng = np.random.default_rng(seed)
    A = with_pattern_only(definite(pattern(kind, n, rng), rng))
    found = minimum_degree(A.indptr.astype(np.int64), A.indices.astype(np.int32))
    np.testing.assert_array_equal(np.bincount(found.pivot, minlength=found.width.size), found.width)
    L = eliminated(A, np.argsort(found.pivot, kind="stable"))
    below = np.sum(L, axis=0)[np.cumsum(found.width) - 1] - 1
    if np.diff(A.indptr).max(initial=0) <= 16:  # no row was put off as dense
        np.testing.assert_array_equal(found.border, below)
    assert np.all(found.border >= below)

    plan = symbolic_factor(A)
    tree = plan.tree
    np.testing.assert_array_equal(np.sort(plan.order), np.arange(n))
    np.testing.assert_array_equal(plan.order[plan.rank], np.arange(n))
    L = eliminated(A, plan.order)
    for k in range(tree.parent.size):
        first, end = tree.start[k], tree.start[k + 1]
        rows = tree.rows[tree.row_ptr[k] : tree.row_ptr[k + 1]]
        # all of L is in the panels, and R has no row that none of the columns has
        assert set(np.flatnonzero(L[end:, first:end].any(axis=1)) + end) == set(rows.tolist())
        assert np.all(np.diff(rows) > 0)
        if rows.size:
            p = tree.parent[k]
            theirs = np.append(
                np.arange(tree.start[p], tree.start[p + 1]), tree.rows[tree.row_ptr[p] : tree.row_ptr[p + 1]]
            )
            np.testing.assert_array_equal(theirs[tree.relative[tree.row_ptr[k] : tree.row_ptr[k + 1]]], rows)
            assert k < p
    assert plan.fill >= L.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_moving_lists_together_changes_nothing(kind):
    rng = np.random.default_rng(1)
    A = definite(pattern(kind, 300, rng), rng)
    indptr, indices = A.indptr.astype(np.int64), A.indices.astype(np.int32)
    none = np.zeros(300, dtype=bool)
    for tight, roomy in zip(
        _eliminate(indptr, indices, none, 0), _eliminate(indptr, indices, none, 10**5), strict=True
    ):
        np.testing.assert_array_equal(tight, roomy)


def grid(side):
    line = eye_array(side, k=1) + eye_array(side, k=-1)
    return csc_array(kron(line, eye_array(side)) + kron(eye_array(side), line) + 5.0 * eye_array(side**2))


def scattered(n, rng):
    pairs = rng.integers(0, n, (2, 2 * n))
    half = csc_array(coo_array((np.ones(2 * n), tuple(pairs)), shape=(n, n)))
    return csc_array(half + half.T + 100.0 * eye_array(n))


@pytest.mark.parametrize(
    "A",
    [
        grid(50),
        scattered(1500, np.random.default_rng(1)),
        animal_model(*parents(8, 500, 20, 100, np.random.default_rng(1)), 2.0),
        animal_model(*parents(5, 400, None, 0, np.random.default_rng(1)), 2.0),
    ],
    ids=["grid", "scattered", "selected parents", "random mating"],
)
def test_fill_against_superlu(A):
    A.sort_indices()
    peer = splu(A, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    assert analyse(A).fill < 1.1 * peer.L.nnz
