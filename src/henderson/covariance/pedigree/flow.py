"""Gene flow: products with A = T D T' as walks up and down a pedigree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]
#: Columns of A that are worked out together, so that memory stays near that of the block that is asked for.
_TOGETHER = 64


@dataclass(frozen=True, slots=True, eq=False)
class GeneFlow:
    """A = T D T' of a pedigree, never formed: a product costs O(n) for each column.

    T adds to each animal half of what its parents have, who stand before it; D has the Mendelian variances
    (Henderson 1976, Biometrics 32:69-83; Colleau 2002, Genetics Selection Evolution 34:409-421).

    Attributes
    ----------
    sire, dam : ndarray of int64, shape (n,)
        Positions of the parents, which stand before their offspring; -1 where unknown.
    mendelian : ndarray of float64, shape (n,)
        D.
    """

    sire: Index
    dam: Index
    mendelian: Array

    def times(self, M: Array) -> Array:
        """A M for M (n,) or (n, m)."""
        from henderson.covariance.pedigree.kernels import pass_down, pass_up

        out = np.array(M, dtype=np.float64, order="C")
        columns = out.reshape(self.sire.size, -1)
        pass_up(self.sire, self.dam, columns)
        columns *= self.mendelian[:, None]
        pass_down(self.sire, self.dam, columns)
        return out

    def root_times(self, M: Array) -> Array:
        """T D^(1/2) M for M (n,) or (n, m)."""
        from henderson.covariance.pedigree.kernels import pass_down

        out = np.array(M, dtype=np.float64, order="C")
        columns = out.reshape(self.sire.size, -1)
        columns *= np.sqrt(self.mendelian)[:, None]
        pass_down(self.sire, self.dam, columns)
        return out

    def block(self, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> Array:
        """A[rows, columns], dense."""
        distinct, place = np.unique(columns, return_inverse=True)
        out = np.empty((len(rows), distinct.size))
        for start in range(0, distinct.size, _TOGETHER):
            wanted = distinct[start : start + _TOGETHER]
            units = np.zeros((self.sire.size, wanted.size))
            units[wanted, np.arange(wanted.size)] = 1.0
            out[:, start : start + wanted.size] = self.times(units)[rows]
        return np.asarray(out[:, place])
