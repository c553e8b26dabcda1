"""A^-1 by Henderson's rules, and products with A that need no factor of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.pedigree.flow import GeneFlow
from henderson.covariance.relationship import Precision

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PedigreePrecision(Precision):
    """A^-1 of a pedigree, whose products with A need no factor: they are walks through the pedigree.

    Attributes
    ----------
    flow : GeneFlow
        A.
    own : ndarray of float64, shape (n,)
        The diagonal of A, 1 + F.

    Examples
    --------
    >>> from henderson.covariance.pedigree import Pedigree
    >>> A = Pedigree.of(["sire", "dam", "calf"], [None, None, "sire"], [None, None, "dam"]).relationship()
    >>> A.inverse.toarray()
    array([[ 1.5,  0.5, -1. ],
           [ 0.5,  1.5, -1. ],
           [-1. , -1. ,  2. ]])
    >>> A.times(np.eye(3)), round(A.logdet, 6)
    (array([[1. , 0. , 0.5],
           [0. , 1. , 0.5],
           [0.5, 0.5, 1. ]]), -0.693147)
    """

    flow: GeneFlow
    own: Array

    @property
    def logdet(self) -> float:
        """log|A|, since |T| = 1."""
        return float(np.log(self.flow.mendelian).sum())

    def times(self, M: Array) -> Array:
        """A M for M (n,) or (n, m)."""
        return self.flow.times(M)

    def root_times(self, M: Array) -> Array:
        """T D^(1/2) M for M (n,) or (n, m)."""
        return self.flow.root_times(M)

    def diagonal(self, n_levels: int) -> Array:
        """1 + F, shape (n,)."""
        return self.own.copy()

    def block(self, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> Array:
        """A[rows, columns], dense."""
        return self.flow.block(rows, columns)


def henderson_inverse(parents: Sequence[Index], mendelian: Array, n_columns: int) -> csc_array:
    """(I - P)' D^-1 (I - P), where P has a half for each parent: A^-1 by Henderson's rules.

    Parameters
    ----------
    parents : sequence of ndarray of int64, each of shape (n,)
        Columns of the parents; -1 where unknown.
    mendelian : ndarray of float64, shape (n,)
        D.
    n_columns : int
        n, or more where parents are not animals but genetic groups, whose columns come behind theirs (Quaas
        1988, Journal of Dairy Science 71:1338-1345).

    Returns
    -------
    csc_array, shape (n_columns, n_columns)
        Both triangles, indices sorted.
    """
    from scipy.sparse import coo_array, dia_array

    n = mendelian.size
    animals = np.arange(n, dtype=np.int32)
    rows, columns, values = [animals], [animals], [np.ones(n)]
    for each in parents:
        known = np.flatnonzero(each >= 0).astype(np.int32)
        rows.append(known)
        columns.append(each[known].astype(np.int32))
        values.append(np.full(known.size, -0.5))
    shape = (n, n_columns)
    flow = coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape).tocsc()
    weights = dia_array(((1.0 / mendelian)[None, :], [0]), shape=(n, n))
    inverse = (flow.T @ (weights @ flow)).tocsc()
    inverse.sort_indices()
    return inverse
