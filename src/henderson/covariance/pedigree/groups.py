"""Genetic groups: unknown parents that come from populations with means of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.pedigree.precision import henderson_inverse

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class GeneticGroups:
    """The groups that unknown parents belong to (Quaas 1988, Journal of Dairy Science 71:1338-1345).

    Breeding values are Q g + u with u ~ N(0, sigma_a^2 A), where g has the means of the groups.

    Attributes
    ----------
    names : tuple of str, length g
    sire, dam : ndarray of int64, shape (n,)
        Group in place of an unknown sire or dam; -1 where the parent is known or has no group, which counts
        as a group of mean zero.
    """

    names: tuple[str, ...]
    sire: Index
    dam: Index

    def take(self, animals: NDArray[np.intp]) -> GeneticGroups:
        """The groups of those animals only; all names stay."""
        return GeneticGroups(self.names, self.sire[animals], self.dam[animals])

    def contributions(self, sire: Index, dam: Index) -> Array:
        """Q, shape (n, g): the part of each animal's genes that comes from each group.

        Parameters
        ----------
        sire, dam : ndarray of int64, shape (n,)
            Positions of the parents, which stand before their offspring; -1 where unknown.
        """
        from henderson.covariance.pedigree.kernels import pass_down

        Q = np.zeros((sire.size, len(self.names)))
        for each in (self.sire, self.dam):
            grouped = np.flatnonzero(each >= 0)
            np.add.at(Q, (grouped, each[grouped]), 0.5)
        pass_down(sire, dam, Q)
        return Q

    def extended_inverse(self, sire: Index, dam: Index, mendelian: Array) -> csc_array:
        """A*^-1, shape (n + g, n + g): the block of Q g + u and g in the mixed-model equations.

        Henderson's rules with groups as if they were parents (Westell, Quaas and Van Vleck 1988, Journal of
        Dairy Science 71:1310-1318). Its rank is n: groups are fixed effects.
        """
        n = sire.size
        places = [np.where(each >= 0, each + n, -1) for each in (self.sire, self.dam)]
        return henderson_inverse([sire, dam, *places], mendelian, n + len(self.names))
