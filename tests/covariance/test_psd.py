"""Definiteness, bending, and roots of sparse matrices by families."""

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.sparse import csc_array

from henderson.covariance.blocks import NotSemidefiniteError, families, sparse_root
from henderson.covariance.psd import lifted, negative_part


def with_eigenvalues(values, seed=0):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    G = (Q * values) @ Q.T
    return 0.5 * (G + G.T)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_what_is_below_zero_is_counted(scale):
    part = negative_part(scale * with_eigenvalues([-0.5, -0.1, -1e-9, 0.0, 1.0, 3.0]))
    assert (part.n_below, part.n) == (2, 6)
    assert part.smallest == pytest.approx(-0.5 * scale)
    assert part.largest == pytest.approx(3.0 * scale)


@pytest.mark.parametrize("values", [[0.0, 0.0, 1.0], [-1e-7, 1.0, 2.0], [1e-3, 1.0, 5.0]])
def test_zero_to_rounding_is_no_refusal(values):
    G = with_eigenvalues(values)
    before = G.copy()
    assert negative_part(G) is None
    np.testing.assert_array_equal(G, before)


def test_rounding_is_measured_by_the_largest_eigenvalue():
    """Families of clones in 32 bits: the largest eigenvalue, and so its rounding, is far above the mean."""
    values = np.full(300, 1e-2)
    values[-1], values[0] = 1e4, -1e-3
    assert negative_part(with_eigenvalues(values)) is None


def test_the_sentence_of_one_and_of_several():
    assert str(negative_part(np.diag([-1.0, 2.0]))).startswith("1 of its 2 eigenvalues lies below zero")
    assert str(negative_part(np.diag([-1.0, -2.0, 2.0]))).startswith("2 of its 3 eigenvalues lie below zero")


@pytest.mark.parametrize("seed", range(3))
def test_lifting_keeps_trace_and_eigenvectors(seed):
    G = with_eigenvalues([-0.4, -0.01, 0.3, 1.0, 4.0], seed)
    bent, n_lifted = lifted(G, 0.05)
    values, vectors = np.linalg.eigh(G)
    up = np.maximum(values, 0.05)
    up *= values.sum() / up.sum()
    assert n_lifted == 2
    np.testing.assert_allclose(bent, vectors @ np.diag(up) @ vectors.T, atol=1e-13)
    assert np.trace(bent) == pytest.approx(np.trace(G), rel=1e-13)


def test_lifting_leaves_a_matrix_without_low_eigenvalues():
    stack = np.stack([with_eigenvalues([-0.4, 1.0, 1.0]), with_eigenvalues([0.4, 1.0, 1.0], 1)])
    bent, n_lifted = lifted(stack, 0.1)
    assert n_lifted == 1
    np.testing.assert_array_equal(bent[1], stack[1])
    np.testing.assert_allclose(bent[0], lifted(stack[0], 0.1)[0], atol=1e-14)


def family(rng, size, *, twins=False):
    L = rng.normal(size=(size, size + 2))
    if twins:
        L[-1] = L[0]
    return L @ L.T


def shuffled(rng, blocks):
    G = block_diag(*blocks)
    order = rng.permutation(len(G))
    return G[np.ix_(order, order)]


@pytest.mark.parametrize("seed", range(5))
def test_root_of_families(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, 12)
    G = shuffled(rng, [family(rng, k, twins=k > 1 and rng.random() < 0.4) for k in sizes])
    L = sparse_root(csc_array(G))
    np.testing.assert_allclose((L @ L.T).toarray(), G, atol=1e-12)
    assert L.has_sorted_indices
    assert L.nnz <= (sizes**2).sum()


def test_families_are_the_connected_components():
    rng = np.random.default_rng(3)
    G = shuffled(rng, [family(rng, k) for k in (1, 3, 1, 2, 3)])
    found = families(csc_array(G))
    assert [members.shape for members in found] == [(2, 1), (1, 2), (2, 3)]
    assert sorted(np.concatenate([members.ravel() for members in found])) == list(range(10))
    for members in found:
        for people in members:
            outside = np.setdiff1d(np.arange(10), people)
            assert not G[np.ix_(people, outside)].any()


def test_a_chain_of_relatives_is_one_family():
    G = np.eye(4) + 0.1 * (np.eye(4, k=1) + np.eye(4, k=-1))
    (members,) = families(csc_array(G))
    assert members.tolist() == [[0, 1, 2, 3]]


def test_negative_families_are_counted_together():
    bad = np.array([[1.0, 2.0], [2.0, 1.0]])
    G = csc_array(block_diag(bad, np.eye(2), 2 * bad, family(np.random.default_rng(0), 3)))
    with pytest.raises(NotSemidefiniteError) as caught:
        sparse_root(G)
    part = caught.value.part
    assert (part.n_below, part.n) == (2, 9)
    assert part.smallest == pytest.approx(-2.0)
