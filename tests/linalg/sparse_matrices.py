"""Sparse symmetric positive definite matrices of known kinds, for tests of the sparse factor."""

import numpy as np
from scipy.sparse import coo_array, csc_array, diags_array, eye_array


def definite(pattern, rng):
    """Random numbers on a pattern, made symmetric and diagonally dominant; zeros stay written out."""
    full = csc_array(abs(csc_array(pattern)) + abs(csc_array(pattern)).T + eye_array(pattern.shape[0]))
    full.sort_indices()
    n = full.shape[0]
    column = np.repeat(np.arange(n), np.diff(full.indptr))
    low, high = np.minimum(full.indices, column), np.maximum(full.indices, column)
    pairs, which = np.unique(np.stack([low, high]), axis=1, return_inverse=True)
    value = rng.normal(size=pairs.shape[1])
    value[rng.random(value.size) < 0.1] = 0.0
    full.data = value[which.ravel()]
    on_diagonal = full.indices == column
    full.data[on_diagonal] = 0.0
    full.data[on_diagonal] = np.bincount(full.indices, np.abs(full.data), n) + rng.uniform(0.5, 2.0, n)
    return full


def pattern(kind, n, rng):
    """A pattern of one of the kinds of ``KINDS``, in a random order of the rows."""
    A = np.eye(n)
    if kind == "arrow":
        A[:, -2:] = 1
    elif kind == "banded":
        A = np.tri(n, k=3) * np.tri(n, k=3).T
    elif kind == "block":
        A = np.equal.outer(np.arange(n) // 5, np.arange(n) // 5)
    elif kind == "random":
        A = rng.random((n, n)) < 3.0 / max(n, 1)
    elif kind == "dense":
        A = np.ones((n, n))
    elif kind == "pedigree":
        return animal_model(*parents(4, -(-n // 4), 2, 4, rng), rng.uniform(0.5, 3.0))[:n, :n]
    mixed = rng.permutation(n)
    return csc_array(A[np.ix_(mixed, mixed)].astype(float))


KINDS = ("diagonal", "arrow", "banded", "block", "random", "dense", "pedigree")


def parents(generations, size, sires, dams, rng):
    """Sire and dam of each animal (-1: unknown) where few are selected; None sires: any may be a parent."""
    sire, dam = np.full(size, -1), np.full(size, -1)
    for g in range(1, generations):
        if sires is None:
            males = females = np.arange(size)
        else:
            chosen = rng.permutation(size)[: sires + dams]
            males, females = chosen[:sires], chosen[-dams:]
        sire = np.append(sire, (g - 1) * size + rng.choice(males, size))
        dam = np.append(dam, (g - 1) * size + rng.choice(females, size))
    return sire, dam


def animal_model(sire, dam, ratio):
    """I + ratio A^-1 by Henderson's rules, inbreeding ignored: each animal has one record."""
    n = sire.size
    animal = np.arange(n)
    known = (sire >= 0).astype(int) + (dam >= 0)
    scale = ratio / np.array([1.0, 0.75, 0.5])[known]
    T = csc_array(eye_array(n))
    for parent in (sire, dam):
        has = parent >= 0
        T = T - csc_array(coo_array((np.full(has.sum(), 0.5), (animal[has], parent[has])), shape=(n, n)))
    A = csc_array(T.T @ diags_array(scale) @ T + eye_array(n))
    A.sort_indices()
    return A
