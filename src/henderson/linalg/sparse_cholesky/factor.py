"""P A P' = L L' for a sparse A, solves with it, and elements of A^-1.

A factor takes three steps: an *analysis* of the pattern, which finds an order of elimination with little
fill-in and lays out L; the numbers, once for each matrix of that pattern; and what is asked of them. The
modules behind load Numba, so that they are imported when a matrix is analysed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array

    from henderson.linalg.sparse_cholesky.symbolic import Symbolic

Array = NDArray[np.float64]
Index = NDArray[np.integer[Any]]

# unit vectors that are solved for at a time
BLOCK = 32


@dataclass(frozen=True, eq=False)
class Analysis:
    """What factors of matrices with one pattern share: the order of elimination and where fill-in comes.

    Attributes
    ----------
    pattern : csc_array, shape (n, n)
        The matrix that was analysed; only its pattern counts.
    symbolic : Symbolic
        Layout of the factor.
    """

    pattern: csc_array
    symbolic: Symbolic

    @property
    def fill(self) -> int:
        """Nonzeros of L."""
        return self.symbolic.fill

    @property
    def memory(self) -> int:
        """Bytes that `factor` and then elements of the inverse will take at most, beside the analysis."""
        return self.symbolic.memory

    def factor(self, data: Array) -> SparseCholesky:
        """Factor the matrix of these elements, in the order of the pattern's ``data``.

        Raises
        ------
        numpy.linalg.LinAlgError
            The matrix is not positive definite; the message names the row at which that shows.
        """
        from henderson.linalg.sparse_cholesky.numeric import factor_panels

        return SparseCholesky(self, factor_panels(self.symbolic, data))


@dataclass(frozen=True, eq=False)
class SparseCholesky:
    """P A P' = L L'.

    Attributes
    ----------
    analysis : Analysis
        What is shared by all matrices of the pattern.
    panels : ndarray
        The numbers of L, as the analysis lays them out.
    """

    analysis: Analysis
    panels: Array

    @property
    def logdet(self) -> float:
        """log|A|."""
        return 2.0 * float(np.log(self.panels[self.analysis.symbolic.diagonal]).sum())

    def solve(self, B: Array) -> Array:
        """A^-1 B for B (n,) or (n, m)."""
        return self.solve_upper(self.solve_lower(B))

    def solve_lower(self, B: Array) -> Array:
        """L^-1 P B for B (n,) or (n, m); the rows stand in the order of elimination."""
        from henderson.linalg.sparse_cholesky.solves import solve_lower

        plan = self.analysis.symbolic
        X = np.take(np.asarray(B, dtype=np.float64), plan.order, axis=0)
        solve_lower(plan, self.panels, X if X.ndim == 2 else X[:, None])
        return X

    def solve_upper(self, B: Array) -> Array:
        """P' L^-T B for B (n,) or (n, m), so that A^-1 = (P' L^-T)(P' L^-T)'."""
        from henderson.linalg.sparse_cholesky.solves import solve_upper

        plan = self.analysis.symbolic
        X = np.array(B, dtype=np.float64, order="C")
        solve_upper(plan, self.panels, X if X.ndim == 2 else X[:, None])
        return np.take(X, plan.rank, axis=0)

    def inverse_on_pattern(self) -> Array:
        """Elements of A^-1 where A has its own, in the order of the pattern's ``data``."""
        return self._inverse[self.analysis.symbolic.place]

    def inverse_diagonal(self) -> Array:
        """Diagonal of A^-1, shape (n,)."""
        return self._inverse[self.analysis.symbolic.diagonal]

    def inverse_at(self, rows: Index, columns: Index) -> Array:
        """Elements (rows[k], columns[k]) of A^-1.

        Those on the pattern of L are at hand once one of them has been asked for; each other distinct column
        takes a solve.
        """
        from henderson.linalg.sparse_cholesky.symbolic import places_of

        places = places_of(self.analysis.symbolic, rows, columns)
        found = self._inverse[places]
        missing = np.flatnonzero(places < 0)
        distinct, group = np.unique(columns[missing], return_inverse=True)
        for first in range(0, distinct.size, BLOCK):
            some = distinct[first : first + BLOCK]
            units = np.zeros((self.analysis.symbolic.order.size, some.size))
            units[some, np.arange(some.size)] = 1.0
            here = (group >= first) & (group < first + BLOCK)
            found[missing[here]] = self.solve(units)[rows[missing[here]], group[here] - first]
        return found

    @cached_property
    def _inverse(self) -> Array:
        """A^-1 where L has elements."""
        from henderson.linalg.sparse_cholesky.inverse import inverse_panels

        return inverse_panels(self.analysis.symbolic, self.panels)


def analyse(A: csc_array) -> Analysis:
    """Choose an order of elimination for a symmetric pattern and lay out the factor.

    Parameters
    ----------
    A : csc_array, shape (n, n)
        Both triangles, indices sorted and without repeats, the whole diagonal. Zeros that are written out
        belong to the pattern.

    Raises
    ------
    ValueError
        The pattern is none of that.

    Examples
    --------
    >>> from scipy.sparse import csc_array
    >>> A = csc_array(np.array([[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 2.0]]))
    >>> factor = analyse(A).factor(A.data)
    >>> round(factor.logdet, 6)
    1.386294
    >>> factor.inverse_diagonal()
    array([0.75, 1.  , 0.75])
    """
    from henderson.linalg.sparse_cholesky.symbolic import symbolic_factor

    _check_pattern(A)
    return Analysis(A, symbolic_factor(A))


def _check_pattern(A: csc_array) -> None:
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"the pattern has {A.shape[0]} rows and {A.shape[1]} columns")
    if not A.has_canonical_format:
        raise ValueError("the indices of a pattern must be sorted and without repeats")
    flipped = A.T.tocsc()
    if not (np.array_equal(A.indptr, flipped.indptr) and np.array_equal(A.indices, flipped.indices)):
        raise ValueError("the pattern is not symmetric")
    column = np.repeat(np.arange(A.shape[1]), np.diff(A.indptr))
    if np.count_nonzero(A.indices == column) < A.shape[0]:
        raise ValueError("the pattern lacks some of the diagonal")
