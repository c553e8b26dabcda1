"""Fixed matrices G[codes, codes] between coordinates: dense, or the elements that are not zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import DenseRelationship, Identity, Relationship

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]
Index = NDArray[np.integer]
#: Rows that are worked on at a time, so that products stay in the processor's cache.
ROWS = 128
#: A matrix with more than this part of its elements is kept dense.
FULL = 0.1


class Block(Protocol):
    """A fixed matrix between coordinates, G[codes, codes] for a term."""

    def add(self, V: Array, left: Array, right: Array) -> None:
        """V += (left right') o K, element by element, for left and right (N, q)."""
        ...

    def inner(self, W: Array, z: Array) -> Array:
        """z'(W o K) z, shape (q, q)."""
        ...

    def times(self, M: Array) -> Array:
        """K M for M (N, m)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class DenseBlock:
    """All elements."""

    K: Array

    def add(self, V: Array, left: Array, right: Array) -> None:
        """V += (left right') o K."""
        for start in range(0, len(V), ROWS):
            rows = slice(start, start + ROWS)
            part = left[rows] @ right.T
            part *= self.K[rows]
            V[rows] += part

    def inner(self, W: Array, z: Array) -> Array:
        """z'(W o K) z."""
        total = np.zeros((z.shape[1],) * 2)
        for start in range(0, len(W), ROWS):
            rows = slice(start, start + ROWS)
            total += z[rows].T @ ((W[rows] * self.K[rows]) @ z)
        return total

    def times(self, M: Array) -> Array:
        """K M."""
        return np.asarray(self.K @ M)


@dataclass(frozen=True, slots=True, eq=False)
class SparseBlock:
    """The elements that are not zero: unrelated levels, or families."""

    rows: Index
    columns: Index
    values: Array
    matrix: csr_array

    def add(self, V: Array, left: Array, right: Array) -> None:
        """V += (left right') o K."""
        V[self.rows, self.columns] += self.values * np.einsum(
            "kq,kq->k", left[self.rows], right[self.columns]
        )

    def inner(self, W: Array, z: Array) -> Array:
        """z'(W o K) z."""
        weights = self.values * W[self.rows, self.columns]
        return np.asarray(z[self.rows].T @ (weights[:, None] * z[self.columns]))

    def times(self, M: Array) -> Array:
        """K M."""
        return np.asarray(self.matrix @ M)


def block_of(G: Relationship, n_levels: int, rows: Index, columns: Index) -> Block:
    """G[rows, columns]; the user's own matrix where that is the same."""
    if isinstance(G, Identity):
        if _count(rows, columns) <= FULL * rows.size * columns.size:
            i, j = pairs(rows, columns)
            return _sparse(i, j, np.ones(i.size), rows.size)
    elif isinstance(G, DenseRelationship) and rows.size == n_levels:
        every = np.arange(n_levels)
        if same(rows, every) and same(columns, every):
            return DenseBlock(G.matrix)
    K = G.block(rows, columns)
    if np.count_nonzero(K) <= FULL * K.size:
        i, j = np.nonzero(K)
        return _sparse(i, j, K[i, j], rows.size)
    return DenseBlock(K)


def _sparse(i: Index, j: Index, values: Array, size: int) -> SparseBlock:
    from scipy.sparse import csr_array

    return SparseBlock(i, j, values, csr_array((values, (i, j)), shape=(size, size)))


def pairs(rows: Index, columns: Index) -> tuple[Index, Index]:
    """All i, j with rows[i] == columns[j]."""
    order = np.argsort(columns, kind="stable")
    starts, counts = _runs(rows, columns[order])
    i = np.repeat(np.arange(rows.size), counts)
    within = np.arange(i.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return i, order[np.repeat(starts, counts) + within]


def _count(rows: Index, columns: Index) -> int:
    return int(_runs(rows, np.sort(columns))[1].sum())


def _runs(rows: Index, ordered: Index) -> tuple[Index, Index]:
    """Where each value of ``rows`` begins in ordered numbers, and how often it is there."""
    starts = np.searchsorted(ordered, rows, "left")
    return starts, np.searchsorted(ordered, rows, "right") - starts


def same(a: Index, b: Index) -> bool:
    """Whether two arrays hold the same numbers."""
    return a is b or np.array_equal(a, b)
