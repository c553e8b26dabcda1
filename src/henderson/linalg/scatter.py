"""Compiled sums over the pairs of columns that meet in one level: the fill of a crossed design.

Importing this module loads Numba; callers import it only when a problem is large enough to repay that.

Row i of a sparse (l, N) matrix R with q numbers in each place holds what level i shares with the N
remaining effects. Its places are ``columns[indptr[i] : indptr[i + 1]]``, ascending, and its numbers the
same part of the last axis of (q, nnz) arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
Index = NDArray[np.intp]


@njit(cache=True)
def subtract_products(S: Array, indptr: Index, columns: Index, W: Array, R: Array) -> None:
    """S[a, b] -= sum over levels and effects of W[:, a] R[:, b], for a >= b (lower triangle only)."""
    q = R.shape[0]
    for i in range(indptr.size - 1):
        for s in range(indptr[i], indptr[i + 1]):
            row = S[columns[s]]
            for k in range(q):
                w = W[k, s]
                for t in range(indptr[i], s + 1):
                    row[columns[t]] -= w * R[k, t]


@njit(cache=True)
def gather_products(C: Array, indptr: Index, columns: Index, R: Array) -> Array:
    """X[:, s] = sum over the places t of the same level of R[:, t] C[columns[t], columns[s]].

    Only the lower triangle of the symmetric C is read.
    """
    X = np.zeros_like(R)
    q = R.shape[0]
    for i in range(indptr.size - 1):
        for s in range(indptr[i], indptr[i + 1]):
            row = C[columns[s]]
            for t in range(indptr[i], s):
                c = row[columns[t]]
                for k in range(q):
                    X[k, s] += R[k, t] * c
                    X[k, t] += R[k, s] * c
            for k in range(q):
                X[k, s] += R[k, s] * row[columns[s]]
    return X


@njit(cache=True)
def quadratic_forms(C: Array, indptr: Index, columns: Index, R: Array) -> Array:
    """H (q, q, l) with H_i + H_i' = sum over places s, t of level i of R[:, s] C[s, t] R[:, t]'.

    C[s, t] stands for C[columns[s], columns[t]]. Only the lower triangle of the symmetric C is read.
    """
    q = R.shape[0]
    H = np.zeros((q, q, indptr.size - 1), dtype=R.dtype)
    inner = np.zeros(q, dtype=R.dtype)
    for i in range(indptr.size - 1):
        for s in range(indptr[i], indptr[i + 1]):
            row = C[columns[s]]
            for k in range(q):
                inner[k] = 0.5 * row[columns[s]] * R[k, s]
            for t in range(indptr[i], s):
                c = row[columns[t]]
                for k in range(q):
                    inner[k] += c * R[k, t]
            for k in range(q):
                for m in range(q):
                    H[m, k, i] += R[m, s] * inner[k]
    return H


@njit(cache=True)
def mirrored(A: Array) -> Array:
    """The symmetric matrix whose lower triangle is A's; by tiles, so that both sides stay in cache."""
    n = A.shape[0]
    out = np.empty_like(A)
    for i0 in range(0, n, 32):
        for j0 in range(0, i0 + 1, 32):
            for i in range(i0, min(i0 + 32, n)):
                for j in range(j0, min(j0 + 32, i + 1)):
                    out[i, j] = A[i, j]
                    out[j, i] = A[i, j]
    return out
