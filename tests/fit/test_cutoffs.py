"""Unrelated people and sparse matrices by a cutoff."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_array

import henderson as hd
from fit.relatives import grm
from henderson.covariance import NamedBlocks
from henderson.fit.cutoffs import make_sparse, unrelated

NAMES = [f"p{i:02d}" for i in range(60)]


@pytest.fixture(scope="module")
def matrix():
    return grm(60, 150, np.random.default_rng(1))[0]


def kinds(G):
    return [
        hd.RelationshipMatrix.of(G, NAMES),
        pd.DataFrame(G, index=NAMES, columns=NAMES),
        NamedBlocks(NAMES, csc_array(G)),
    ]


@pytest.mark.parametrize("cutoff", [0.05, 0.2, 0.9])
def test_all_kinds_keep_the_same_people(matrix, cutoff):
    kept, *others = [unrelated(G, cutoff) for G in kinds(matrix)]
    assert all(other == kept for other in others)
    rows = [NAMES.index(name) for name in kept]
    assert rows == sorted(rows)
    part = matrix[np.ix_(rows, rows)]
    assert (part[~np.eye(len(rows), dtype=bool)] <= cutoff).all()
    assert 1 < len(kept) < 60


@pytest.mark.parametrize("cutoff", [0.05, 0.2])
def test_sparse_matrix(matrix, cutoff):
    expected = np.where(np.eye(60, dtype=bool) | (matrix > cutoff), matrix, 0.0)
    for G in kinds(matrix):
        sparse = make_sparse(G, cutoff)
        assert sparse.names == tuple(NAMES)
        np.testing.assert_array_equal(sparse.matrix.toarray(), expected)


def test_refusals(matrix):
    for cutoff in (float("nan"), -1.0, "a"):
        with pytest.raises(hd.DataError, match="cutoff must be 0 or more"):
            unrelated(kinds(matrix)[0], cutoff)
    with pytest.raises(hd.DataError, match="the matrix is of type list"):
        make_sparse([1.0])
