"""Who descends from whom: `Pedigree`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.covariance.matrix import RelationshipMatrix, check_room
from henderson.covariance.named import as_name
from henderson.covariance.pedigree.checks import some
from henderson.covariance.pedigree.flow import GeneFlow
from henderson.covariance.pedigree.groups import GeneticGroups
from henderson.covariance.pedigree.inbreeding import inbreeding_coefficients, mendelian_variances
from henderson.covariance.pedigree.precision import PedigreePrecision, henderson_inverse
from henderson.covariance.pedigree.rows import Names, resolve
from henderson.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csc_array

logger = logging.getLogger("henderson")
Array = NDArray[np.float64]
Index = NDArray[np.int64]
_WIDEST = 64  # letters; where a name is longer, the names are Python strings


@dataclass(frozen=True, eq=False, repr=False)
class Pedigree:
    """Animals and their parents, checked; parents stand before their offspring. Made by `Pedigree.of`.

    Attributes
    ----------
    ids : ndarray of str, shape (n,)
        Names of the animals.
    sire, dam : ndarray of int64, shape (n,)
        Positions of the parents; -1 where unknown.
    inbreeding : ndarray of float64, shape (n,)
        F: the probability that both alleles of the animal are copies of one allele of a founder.
    groups : GeneticGroups or None
        The genetic groups of unknown parents.
    notices : tuple of str
        What a user should be told: rows that were there twice, parents that had no row or no group.

    Examples
    --------
    >>> pedigree = Pedigree.of(["calf", "cow"], ["bull", "bull"], ["cow", None])
    >>> pedigree
    <Pedigree of 3 animals: 1 founder, 1 inbred with a mean F of 0.25>
    >>> pedigree.ids.tolist(), pedigree.inbreeding
    (['bull', 'cow', 'calf'], array([0.  , 0.  , 0.25]))
    >>> pedigree.additive(["calf", "bull"]).matrix
    array([[1.25, 0.75],
           [0.75, 1.  ]])
    """

    ids: NDArray[np.str_]
    sire: Index
    dam: Index
    inbreeding: Array
    groups: GeneticGroups | None = None
    notices: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        ids: Names,
        sire: Names,
        dam: Names,
        *,
        sex: ArrayLike | None = None,
        birth: ArrayLike | None = None,
        genetic_groups: Sequence[str] = (),
        hermaphrodite: bool = False,
    ) -> Pedigree:
        """A pedigree from one row per animal, in any order.

        Parameters
        ----------
        ids : sequence of str, length n
            The animals. Rows that repeat another are left out, and parents without a row become founders;
            both are counted in `notices`.
        sire, dam : sequence of str or None, length n
            Their fathers and mothers; None or NaN where unknown.
        sex : array_like of int, shape (n,), optional
            1 male, 2 female, 0 not known.
        birth : array_like of float, shape (n,), optional
            Dates or years of birth on any scale; NaN where not known.
        genetic_groups : sequence of str, optional
            Names in ``sire`` and ``dam`` that stand for a group of unknown parents.
        hermaphrodite : bool
            Whether one animal may be both a sire and a dam, of different animals or of one (selfing).

        Returns
        -------
        Pedigree

        Raises
        ------
        DataError
            If an animal has rows that differ, is its own ancestor, is a sire here and a dam there, has a role
            that is not that of its sex, or is older than a parent; the message names the animals.
        """
        rows = resolve(
            ids,
            sire,
            dam,
            sex=None if sex is None else np.asarray(sex, dtype=np.int64),
            birth=None if birth is None else np.asarray(birth, dtype=np.float64),
            genetic_groups=genetic_groups,
            hermaphrodite=hermaphrodite,
        )
        groups = None
        if len(genetic_groups):
            groups = GeneticGroups(tuple(map(str, genetic_groups)), rows.sire_group, rows.dam_group)
        names = np.array(rows.ids, dtype=object if max(map(len, rows.ids)) > _WIDEST else np.str_)
        inbreeding = inbreeding_coefficients(rows.sire, rows.dam)
        return cls(names, rows.sire, rows.dam, inbreeding, groups, rows.notices)

    def __repr__(self) -> str:
        founders = int(np.count_nonzero((self.sire < 0) & (self.dam < 0)))
        inbred = self.inbreeding[self.inbreeding > 0]
        about = f"{founders:,} founder{'s' * (founders != 1)}"
        if inbred.size:
            about += f", {inbred.size:,} inbred with a mean F of {inbred.mean():.3g}"
        return f"<Pedigree of {self.n:,} animal{'s' * (self.n != 1)}: {about}>"

    @property
    def n(self) -> int:
        """Number of animals."""
        return int(self.sire.size)

    @cached_property
    def flow(self) -> GeneFlow:
        """A as products, O(n) each; `relationship` has A^-1."""
        return GeneFlow(self.sire, self.dam, mendelian_variances(self.sire, self.dam, self.inbreeding))

    def positions(self, ids: Iterable[str]) -> NDArray[np.intp]:
        """Where animals stand in `ids`.

        Raises
        ------
        DataError
            If one is not in the pedigree.
        """
        wanted = [as_name(name) for name in ids]
        found = [self._place.get(name, -1) for name in wanted]
        absent = [name for name, place in zip(wanted, found, strict=True) if place < 0]
        if absent:
            verb = "is" if len(absent) == 1 else "are"
            raise DataError(
                f"{len(absent):,} of {len(wanted):,} animals {verb} not in the pedigree ({some(absent)}): "
                "add rows for them, if need be without parents, or leave them out"
            )
        return np.array(found, dtype=np.intp)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.ids.tolist())}

    def ancestors(self, ids: Iterable[str]) -> Pedigree:
        """The pedigree of these animals alone: they and all their ancestors, with the same relationships.

        Raises
        ------
        DataError
            If one is not in the pedigree.
        """
        from henderson.covariance.pedigree.kernels import mark_ancestors

        wanted = np.zeros(self.n, dtype=bool)
        wanted[self.positions(ids)] = True
        mark_ancestors(self.sire, self.dam, wanted)
        keep = np.flatnonzero(wanted)
        place = np.append(np.cumsum(wanted) - 1, -1)
        return Pedigree(
            self.ids[keep],
            place[self.sire[keep]],
            place[self.dam[keep]],
            self.inbreeding[keep],
            None if self.groups is None else self.groups.take(keep),
            self.notices,
        )

    def relationship(self) -> PedigreePrecision:
        """A^-1, sparse, by Henderson's rules with inbreeding (Henderson 1976; Quaas 1976).

        Genetic groups are fixed effects, which A does not hold; a warning says so where there are any.
        """
        if self.groups is not None:
            logger.warning(
                "the genetic groups of the pedigree are not part of its relationships: for their means, add "
                "the columns of group_contributions() to the data and to the fixed effects"
            )
        inverse = henderson_inverse([self.sire, self.dam], self.flow.mendelian, self.n)
        return PedigreePrecision(inverse, self.flow, 1.0 + self.inbreeding)

    def additive(self, ids: Iterable[str] | None = None) -> RelationshipMatrix:
        """A, dense, of all animals or of some, in the order of their names.

        Twice the coefficients of kinship, with 1 + F on the diagonal, by Colleau's (2002) products with A.

        Raises
        ------
        DataError
            If one is not in the pedigree, or memory will not do.
        """
        names = self.ids.tolist() if ids is None else [as_name(name) for name in ids]
        _check_room(len(names), matrices=2)
        lines = self if ids is None else self.ancestors(names)
        rows = lines.positions(names)
        return RelationshipMatrix.of(lines.flow.block(rows, rows), names)

    def dominance(self, ids: Iterable[str] | None = None) -> RelationshipMatrix:
        """D, dense, of all animals or of some: the probability that two share both alleles by descent.

        D_ij = (A_ss A_dd + A_sd A_ds) / 4 for the sires s and dams d of i and j, 1 on the diagonal and 0
        where a parent is unknown (Cockerham 1954, Genetics 39:859-882; Mrode 2014, chapter 12). This leaves
        inbreeding aside; a warning says so where there is any.

        Raises
        ------
        DataError
            If one is not in the pedigree, or memory will not do.
        """
        names = self.ids.tolist() if ids is None else [as_name(name) for name in ids]
        _check_room(len(names), matrices=5)
        rows = self.positions(names)
        sire, dam = self.sire[rows], self.dam[rows]
        born = np.flatnonzero((sire >= 0) & (dam >= 0))
        parents, place = np.unique(np.append(sire[born], dam[born]), return_inverse=True)
        A = self.additive(self.ids[parents]).matrix if parents.size else np.zeros((0, 0))
        s, d = place[: born.size], place[born.size :]
        shared = 0.25 * (A[np.ix_(s, s)] * A[np.ix_(d, d)] + A[np.ix_(s, d)] * A[np.ix_(d, s)])
        inbred = int(np.count_nonzero(self.inbreeding[rows] > 0))
        if inbred:
            logger.warning(
                f"{inbred:,} of the {rows.size:,} animals are inbred, and the dominance relationships are "
                "those of a population without inbreeding"
            )
        D = np.zeros((rows.size, rows.size))
        D[np.ix_(born, born)] = shared
        np.fill_diagonal(D, 1.0)
        return RelationshipMatrix.of(D, names)

    def group_contributions(self) -> Array:
        """Q, shape (n, groups): the part of each animal's genes that comes from each genetic group.

        Raises
        ------
        DataError
            If the pedigree has no genetic groups.
        """
        return self._grouped().contributions(self.sire, self.dam)

    def group_inverse(self) -> csc_array:
        """A*^-1, shape (n + groups, n + groups), by Quaas' rules; see `GeneticGroups.extended_inverse`.

        Raises
        ------
        DataError
            If the pedigree has no genetic groups.
        """
        return self._grouped().extended_inverse(self.sire, self.dam, self.flow.mendelian)

    def _grouped(self) -> GeneticGroups:
        if self.groups is None:
            raise DataError(
                "the pedigree has no genetic groups: write their names in place of unknown parents, and give "
                "them as genetic_groups=('G1', 'G2')"
            )
        return self.groups


def _check_room(n: int, *, matrices: int) -> None:
    instead = "name fewer animals, or use relationship(), which is the sparse inverse"
    check_room(n, matrices=matrices, what="animals", instead=instead)
