"""Compiled sums over the pairs of columns that meet in one level: the fill of a crossed design.

Importing this module loads Numba; callers import it only when a problem is large enough to repay that.

Row i of a sparse (l, N) matrix R with q numbers in each place holds what level i shares with the N
remaining effects. Its places are ``columns[indptr[i] : indptr[i + 1]]``, ascending, and its numbers the
same part of the last axis of (q, nnz) arrays; ``row`` is the level of each place. ``by_column`` lists the
places column by column: in that order all that is done to one row of the dense matrix is done while that
row is in cache, which is ten times faster than level by level.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
Index = NDArray[np.intp]


@njit(cache=True)
def subtract_products(
    S: Array, indptr: Index, columns: Index, row: Index, by_column: Index, W: Array, R: Array
) -> None:
    """S[a, b] -= sum over levels and effects of W[:, a] R[:, b], for a >= b (lower triangle only)."""
    q = R.shape[0]
    for s in by_column:
        line = S[columns[s]]
        first = indptr[row[s]]
        for k in range(q):
            w = W[k, s]
            for t in range(first, s + 1):
                line[columns[t]] -= w * R[k, t]


@njit(cache=True)
def gather_products(C: Array, indptr: Index, columns: Index, row: Index, by_column: Index, R: Array) -> Array:
    """X[:, s] = sum over the places t of the same level of R[:, t] C[columns[t], columns[s]]."""
    X = np.zeros_like(R)
    q = R.shape[0]
    for s in by_column:
        line = C[columns[s]]
        for t in range(indptr[row[s]], indptr[row[s] + 1]):
            c = line[columns[t]]
            for k in range(q):
                X[k, s] += R[k, t] * c
    return X


@njit(cache=True)
def quadratic_forms(C: Array, indptr: Index, columns: Index, row: Index, by_column: Index, R: Array) -> Array:
    """H (q, q, l) with H_i + H_i' = sum over places s, t of level i of R[:, s] C[s, t] R[:, t]'.

    C[s, t] stands for C[columns[s], columns[t]]. Only the lower triangle of the symmetric C is read.
    """
    q = R.shape[0]
    H = np.zeros((q, q, indptr.size - 1), dtype=R.dtype)
    inner = np.zeros(q, dtype=R.dtype)
    for s in by_column:
        line = C[columns[s]]
        i = row[s]
        for k in range(q):
            inner[k] = 0.5 * line[columns[s]] * R[k, s]
        for t in range(indptr[i], s):
            c = line[columns[t]]
            for k in range(q):
                inner[k] += c * R[k, t]
        for k in range(q):
            for m in range(q):
                H[m, k, i] += R[m, s] * inner[k]
    return H


@njit(cache=True)
def mirror_lower(A: Array) -> None:
    """Copy the lower triangle to the upper one; by tiles, so that both sides stay in cache."""
    n = A.shape[0]
    for i0 in range(0, n, 32):
        for j0 in range(0, i0 + 1, 32):
            for i in range(i0, min(i0 + 32, n)):
                for j in range(j0, min(j0 + 32, i)):
                    A[j, i] = A[i, j]
