"""Grouping factors to integer codes; interactions are combined by arithmetic, not by joining strings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.formula.deparse import deparse
from henderson.formula.grouping_factors import Group
from henderson.formula.syntax import Node
from henderson.io.columns import Column, FactorColumn, NumericColumn, as_factor, factorise

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grouping:
    """A grouping factor, as the training data taught it.

    Attributes
    ----------
    group : Group
    levels : tuple of str, length l
        Labels of the combinations that occur, the first atom varying slowest.
    atom_levels : tuple of tuple of str
        Levels of each atom.
    combinations : tuple of ndarray of int64
        For each atom after the first, the sorted keys ``code_so_far * len(atom levels) + code`` that occur.
    places : ndarray of int or None
        Where the combinations that occur stand among the levels, if those are more or in another order.
    """

    group: Group
    levels: Sequence[str]
    atom_levels: tuple[Sequence[str], ...]
    combinations: tuple[IntArray, ...]
    places: NDArray[np.intp] | None = None

    @classmethod
    def learn(cls, group: Group, columns: Sequence[Column]) -> tuple[Grouping, IntArray]:
        """Learn from the atoms' columns, free of missing values and unused levels; also code the rows."""
        factors = [_sampled(atom, column) for atom, column in zip(group.atoms, columns, strict=True)]
        codes, levels = factors[0].codes, factors[0].levels
        combinations: list[IntArray] = []
        for factor in factors[1:]:
            width = len(factor.levels)
            codes, keys = factorise(codes * width + factor.codes)
            combinations.append(keys)
            left, right = np.divmod(keys, width)
            levels = tuple(
                f"{levels[i]}:{factor.levels[j]}" for i, j in zip(left.tolist(), right.tolist(), strict=True)
            )
        return cls(group, levels, tuple(f.levels for f in factors), tuple(combinations)), codes

    def with_levels(self, levels: Sequence[str], places: NDArray[np.intp]) -> Grouping:
        """The factor with further levels, of which the present ones are those at `places`.

        New rows are known by their label, so that only a factor of a single atom can have levels that did not
        occur.
        """
        if len(self.atom_levels) == 1:
            return replace(self, levels=levels, atom_levels=(levels,))
        return replace(self, levels=levels, places=places)

    def codes(self, columns: Sequence[Column]) -> IntArray:
        """Codes of new rows: -1 for a level, or combination, that was never seen, and for missing values.

        Parameters
        ----------
        columns : sequence of Column, one for each atom

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        found = [
            as_factor(column).recode(levels) for column, levels in zip(columns, self.atom_levels, strict=True)
        ]
        codes = found[0]
        for own, levels, keys in zip(found[1:], self.atom_levels[1:], self.combinations, strict=True):
            wanted = codes * len(levels) + own
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            seen = (codes >= 0) & (own >= 0) & (keys[place] == wanted)
            codes = np.where(seen, place, -1)
        return codes if self.places is None else np.where(codes >= 0, self.places[codes], -1)


@dataclass(frozen=True, slots=True)
class PooledGrouping:
    """Columns that name the same things in different parts: an animal and its dam.

    Attributes
    ----------
    group : Group
    levels : sequence of str, length l
        Labels that occur in any column: those of the first in their order, then what the next ones add.
    """

    group: Group
    levels: Sequence[str]

    @classmethod
    def learn(cls, group: Group, columns: Sequence[Column]) -> tuple[PooledGrouping, IntArray]:
        """Learn from the columns, free of missing values and unused levels; also code the rows, (n, q)."""
        factors = [_sampled(atom, column) for atom, column in zip(group.atoms, columns, strict=True)]
        pooled = cls(group, tuple(dict.fromkeys(level for factor in factors for level in factor.levels)))
        return pooled, pooled.codes(factors)

    def with_levels(self, levels: Sequence[str], places: NDArray[np.intp]) -> PooledGrouping:
        """The factor with further levels; new rows are known by their labels."""
        return replace(self, levels=levels)

    def codes(self, columns: Sequence[Column]) -> IntArray:
        """Codes of new rows, a column for each part: -1 for levels that were never seen, or are missing.

        Parameters
        ----------
        columns : sequence of Column, one for each part

        Returns
        -------
        ndarray of int64, shape (n, q)
        """
        return np.column_stack([as_factor(column).recode(self.levels) for column in columns])


AnyGrouping = Grouping | PooledGrouping


def learn_grouping(group: Group, columns: Sequence[Column]) -> tuple[AnyGrouping, IntArray]:
    """A grouping factor from its columns, and the codes of the rows: (n,), or (n, q) if it is pooled.

    Examples
    --------
    >>> from henderson.formula.bars import parse_formula
    >>> animal, dam = (FactorColumn(np.array([0, 1]), levels) for levels in (("x", "y"), ("z", "x")))
    >>> (bar,) = parse_formula("y ~ (1 | animal & dam)").bars
    >>> grouping, codes = learn_grouping(bar.group, [animal, dam])
    >>> grouping.levels, codes.tolist()
    (('x', 'y', 'z'), [[0, 2], [1, 0]])
    """
    return PooledGrouping.learn(group, columns) if group.pooled else Grouping.learn(group, columns)


def _sampled(atom: Node, column: Column) -> FactorColumn:
    """Categories that occur; of booleans too, which keep both levels elsewhere."""
    if isinstance(column, NumericColumn) and column.values.ndim > 1:
        raise DataError(
            f"the grouping factor {deparse(atom)} is a matrix of {column.values.shape[1]} columns: "
            "group by one column"
        )
    factor = as_factor(column)
    return FactorColumn(factor.codes, factor.levels).drop_unused() if factor.logical else factor
