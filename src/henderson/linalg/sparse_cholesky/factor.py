"""P A P' = L L' for a sparse A."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Analysis:
    """What factors of matrices with one pattern share: the order of elimination and where fill-in comes."""

    pattern: csc_array

    @property
    def fill(self) -> int:
        """Nonzeros of L."""
        n = int(self.pattern.shape[0])
        return n * (n + 1) // 2

    def factor(self, data: Array) -> SparseCholesky:
        """Factor the matrix of these elements, in the order of the pattern's ``data``."""
        from scipy.sparse import csc_array

        A = csc_array((data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape)
        return SparseCholesky(self, np.linalg.cholesky(A.toarray()))


@dataclass(frozen=True, eq=False)
class SparseCholesky:
    """P A P' = L L'."""

    analysis: Analysis
    lower: Array

    @property
    def logdet(self) -> float:
        """log|A|."""
        return 2.0 * float(np.log(np.diag(self.lower)).sum())

    def solve(self, B: Array) -> Array:
        """A^-1 B for B (l,) or (l, m)."""
        return self.solve_upper(self.solve_lower(B))

    def solve_lower(self, B: Array) -> Array:
        """L^-1 P B; the rows stand in the order of elimination."""
        return np.asarray(np.linalg.solve(self.lower, B))

    def solve_upper(self, B: Array) -> Array:
        """P' L^-T B, so that A^-1 = (P' L^-T)(P' L^-T)'."""
        return np.asarray(np.linalg.solve(self.lower.T, B))

    def inverse_on_pattern(self) -> Array:
        """Elements of A^-1 where A has its own, in the order of the pattern's ``data``."""
        pattern = self.analysis.pattern
        columns = np.repeat(np.arange(pattern.shape[1]), np.diff(pattern.indptr))
        return np.asarray(np.linalg.inv(self.lower @ self.lower.T)[pattern.indices, columns])

    def inverse_diagonal(self) -> Array:
        """Diagonal of A^-1."""
        return np.asarray(np.diag(np.linalg.inv(self.lower @ self.lower.T)).copy())


def analyse(A: csc_array) -> Analysis:
    """Choose an order of elimination for a symmetric pattern: both triangles, sorted, a full diagonal."""
    return Analysis(A)
