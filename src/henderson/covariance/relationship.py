"""Relationship G of the levels of a grouping factor, and the products with it that engines need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csc_array

    from henderson.linalg.sparse_cholesky import SparseCholesky

Array = NDArray[np.float64]
Index = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Identity:
    """Unrelated levels, G = I: families, schools, batches."""

    def times(self, M: Array) -> Array:
        """G M for M (l, m)."""
        return M

    def block(self, rows: Index, columns: Index) -> Array:
        """G[rows, columns], dense."""
        return np.asarray(rows[:, None] == columns, dtype=np.float64)

    def diagonal(self, n_levels: int) -> Array:
        """Relationship of each level to itself, shape (l,)."""
        return np.ones(n_levels)

    def n_roots(self, n_levels: int) -> int:
        """Columns r of a root L (l, r) of G = L L'."""
        return n_levels

    def root_times(self, M: Array) -> Array:
        """L M for M (r, m)."""
        return M


@dataclass(frozen=True, eq=False)
class Precision:
    """A sparse inverse of G: a pedigree's A^-1 or the single-step H^-1.

    Attributes
    ----------
    inverse : csc_array, shape (l, l)
        G^-1, symmetric and positive definite, both triangles, indices sorted.
    """

    inverse: csc_array

    @cached_property
    def factor(self) -> SparseCholesky:
        """Sparse Cholesky factor of G^-1.

        Raises
        ------
        DataError
            If G^-1 is not positive definite.
        """
        from henderson.linalg.sparse_cholesky import analyse

        try:
            return analyse(self.inverse).factor(self.inverse.data)
        except np.linalg.LinAlgError:
            raise DataError(
                "a relationship is given by an inverse that is not positive definite: see that it is the "
                "inverse and not the relationship itself; if it is of single-step, give the pedigree a "
                "larger weight beta"
            ) from None

    @property
    def logdet(self) -> float:
        """log|G|."""
        return -self.factor.logdet

    def times(self, M: Array) -> Array:
        """G M for M (l, m)."""
        return self.factor.solve(M)

    def block(self, rows: Index, columns: Index) -> Array:
        """G[rows, columns], dense; one solve for each distinct column."""
        distinct, place = np.unique(columns, return_inverse=True)
        units = np.zeros((self.inverse.shape[0], distinct.size))
        units[distinct, np.arange(distinct.size)] = 1.0
        return np.asarray(self.times(units)[np.ix_(rows, place)])

    def diagonal(self, n_levels: int) -> Array:
        """Relationship of each level to itself, shape (l,)."""
        return self._own

    @cached_property
    def _own(self) -> Array:
        return self.factor.inverse_diagonal()

    def n_roots(self, n_levels: int) -> int:
        """Columns r of a root L (l, r) of G = L L'."""
        return n_levels

    def root_times(self, M: Array) -> Array:
        """L M for M (r, m)."""
        return self.factor.solve_upper(M)


@dataclass(frozen=True, eq=False)
class DenseRelationship:
    """A dense symmetric G (l, l), positive semi-definite: a genomic relationship matrix."""

    matrix: Array

    def times(self, M: Array) -> Array:
        """G M for M (l, m)."""
        return np.asarray(self.matrix @ M)

    def block(self, rows: Index, columns: Index) -> Array:
        """G[rows, columns], a copy."""
        return np.asarray(self.matrix[np.ix_(rows, columns)])

    def diagonal(self, n_levels: int) -> Array:
        """Relationship of each level to itself, shape (l,)."""
        return np.array(np.diag(self.matrix))

    def n_roots(self, n_levels: int) -> int:
        """Columns r of a root L (l, r) of G = L L'."""
        return n_levels

    def root_times(self, M: Array) -> Array:
        """L M for M (r, m); the first time O(l^3)."""
        return np.asarray(self._root @ M)

    @cached_property
    def _root(self) -> Array:
        # by eigenvalues, since G may be singular
        values, vectors = np.linalg.eigh(self.matrix)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


@dataclass(frozen=True, slots=True, eq=False)
class FactorRelationship:
    """G = L L' with L (l, r), dense and often of low rank; G may be singular (twins, centred GRMs)."""

    factor: Array

    def times(self, M: Array) -> Array:
        """G M for M (l, m)."""
        return np.asarray(self.factor @ (self.factor.T @ M))

    def block(self, rows: Index, columns: Index) -> Array:
        """G[rows, columns]."""
        return np.asarray(self.factor[rows] @ self.factor[columns].T)

    def diagonal(self, n_levels: int) -> Array:
        """Relationship of each level to itself, shape (l,)."""
        return np.asarray(np.einsum("ij,ij->i", self.factor, self.factor))

    def n_roots(self, n_levels: int) -> int:
        """Columns r of L."""
        return int(self.factor.shape[1])

    def root_times(self, M: Array) -> Array:
        """L M for M (r, m)."""
        return np.asarray(self.factor @ M)


@dataclass(frozen=True, slots=True, eq=False)
class SparseFactorRelationship:
    """G = L L' with a sparse L (l, r): block-diagonal by family; G may be singular (twins)."""

    factor: csc_array

    def times(self, M: Array) -> Array:
        """G M for M (l, m)."""
        return np.asarray(self.factor @ (self.factor.T @ M))

    def block(self, rows: Index, columns: Index) -> Array:
        """G[rows, columns], dense."""
        by_row = self.factor.tocsr()
        return np.asarray((by_row[rows] @ by_row[columns].T).toarray())

    def diagonal(self, n_levels: int) -> Array:
        """Relationship of each level to itself, shape (l,)."""
        return np.asarray(self.factor.multiply(self.factor).sum(axis=1)).ravel()

    def n_roots(self, n_levels: int) -> int:
        """Columns r of L."""
        return int(self.factor.shape[1])

    def root_times(self, M: Array) -> Array:
        """L M for M (r, m)."""
        return np.asarray(self.factor @ M)


Relationship = Identity | Precision | DenseRelationship | FactorRelationship | SparseFactorRelationship
"""All have the same methods."""
