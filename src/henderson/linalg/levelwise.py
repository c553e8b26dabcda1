"""Small matrices, one per level, stored with the level as the last axis: (q, q, l).

The arithmetic runs over q in Python and over the levels in NumPy, so that ten thousand 2 x 2 factors cost
a handful of vector operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def cholesky(A: Array) -> Array:
    """Lower Cholesky factor of each of the l matrices, shape (q, q, l).

    Examples
    --------
    >>> A = np.array([[4.0, 2.0], [2.0, 5.0]])[:, :, None]
    >>> cholesky(A)[:, :, 0]
    array([[2., 0.],
           [1., 2.]])
    """
    q = A.shape[0]
    L = np.zeros_like(A)
    for j in range(q):
        rest = A[j:, j] if j == 0 else A[j:, j] - np.einsum("akl,kl->al", L[j:, :j], L[j, :j])
        L[j, j] = np.sqrt(rest[0])
        if j + 1 < q:
            L[j + 1 :, j] = rest[1:] / L[j, j]
    return L


def solve_lower(L: Array, B: Array) -> Array:
    """Solve L X = B for each level; L (q, q, l), B (q, m, l) or (q, m, 1).

    Examples
    --------
    >>> L = np.array([[2.0, 0.0], [1.0, 2.0]])[:, :, None]
    >>> solve_lower(L, np.array([[2.0], [5.0]])[:, :, None])[:, 0, 0]
    array([1., 2.])
    """
    X = np.empty((*B.shape[:2], L.shape[2]), dtype=np.result_type(L, B))
    for i in range(L.shape[0]):
        rest = B[i] if i == 0 else B[i] - np.einsum("kl,kml->ml", L[i, :i], X[:i])
        X[i] = rest / L[i, i]
    return X


def multiply(A: Array, B: Array) -> Array:
    """A B for each level: (a, b, l) times (b, c, l)."""
    if A.shape[1] == 1:
        return np.asarray(A * B) if A.shape[0] == 1 else np.asarray(A * B[0])
    return np.asarray(np.einsum("abl,bcl->acl", A, B))


def segment_sum(values: Array, index: NDArray[np.intp], size: int) -> Array:
    """Sum the last axis of ``values`` into ``size`` bins; complex values are allowed.

    Examples
    --------
    >>> segment_sum(np.array([[1.0, 2.0, 3.0]]), np.array([1, 0, 1]), 2)
    array([[2., 4.]])
    """
    flat = values.reshape(-1, values.shape[-1])
    out = np.empty((flat.shape[0], size), dtype=values.dtype)
    for row, source in zip(out, flat, strict=True):
        if np.iscomplexobj(values):
            row.real = np.bincount(index, source.real, size)
            row.imag = np.bincount(index, source.imag, size)
        else:
            row[:] = np.bincount(index, source, size)
    return out.reshape(*values.shape[:-1], size)
