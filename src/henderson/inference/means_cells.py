"""Averages over cells: linear functions of the coefficients, one for each combination of levels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Label = str | float | bool
Weights = Literal["equal", "proportional", "cells"]
Nesting = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Combinations of levels, each with a linear function of the coefficients.

    Attributes
    ----------
    names : tuple of str, length d
        Predictors.
    labels : tuple of tuple
        The levels of each.
    codes : ndarray of int64, (m, d)
        Level of each predictor in each cell.
    L : ndarray, (m, p)
        The linear functions; rows of NaN where the model knows none.
    count : ndarray of int64, (m,)
        Rows of the data in each cell.
    """

    names: tuple[str, ...]
    labels: tuple[tuple[Label, ...], ...]
    codes: Codes
    L: Array
    count: Codes

    def key(self, names: Collection[str]) -> Codes:
        """A number for each combination of these predictors; the first varies fastest."""
        key, size = np.zeros(len(self.codes), dtype=np.int64), 1
        for name in names:
            j = self.names.index(name)
            key += size * self.codes[:, j]
            size *= len(self.labels[j])
        return key

    def column(self, name: str) -> list[Label]:
        """The level of one predictor in each cell."""
        j = self.names.index(name)
        return [self.labels[j][code] for code in self.codes[:, j].tolist()]

    def where(self, mask: NDArray[np.bool_]) -> Cells:
        """Some of the cells."""
        return Cells(self.names, self.labels, self.codes[mask], self.L[mask], self.count[mask])

    def averaged(self, keep: Sequence[str], weights: Weights, *, within: Collection[str] = ()) -> Cells:
        """Average over all predictors but `keep`.

        Parameters
        ----------
        keep : sequence of str
            Order of the predictors of the result, whose cells are sorted with the first varying fastest.
        weights : {"equal", "proportional", "cells"}
            Of each combination of the levels that are averaged over: the same, or the number of rows it has
            at all levels of what is kept, or the number of rows in the cell.
        within : collection of str
            Proportions are taken at each combination of these.

        Returns
        -------
        Cells
            NaN where all weights are zero.
        """
        over = [name for name in self.names if name not in keep]
        w = np.ones(len(self.codes)) if weights == "equal" else self.count.astype(np.float64)
        if weights == "proportional":
            group = np.unique(self.key([*within, *over]), return_inverse=True)[1]
            w = np.asarray(np.bincount(group, w)[group])
        _, first, place = np.unique(self.key(keep), return_index=True, return_inverse=True)
        k, counted = len(first), w > 0.0
        L = np.zeros((k, self.L.shape[1]))
        np.add.at(L, place[counted], w[counted, None] * self.L[counted])
        with np.errstate(invalid="ignore"):
            L /= np.bincount(place, w, minlength=k)[:, None]
        columns = [self.names.index(name) for name in keep]
        return Cells(
            names=tuple(keep),
            labels=tuple(self.labels[j] for j in columns),
            codes=self.codes[first][:, columns],
            L=L,
            count=np.bincount(place, self.count, minlength=k).astype(np.int64),
        )


def marginal(cells: Cells, keep: Sequence[str], weights: Weights, nesting: Nesting) -> Cells:
    """Average over all predictors but `keep`, those that are nested first and within their groups.

    Parameters
    ----------
    cells : Cells
        A full grid.
    keep : sequence of str
        With each nested predictor those that it is nested in.
    weights : {"equal", "proportional", "cells"}
    nesting : mapping of str to tuple of str
        What each nested predictor is nested in.

    Returns
    -------
    Cells
        Without combinations of nested predictors that no row has.
    """
    inner = sorted((n for n in nesting if n not in keep), key=lambda n: -len(nesting[n]))
    while inner:
        name, *inner = inner
        group = list(dict.fromkeys([*nesting[name], *inner]))
        pairs = cells.key([*group, name])
        cells = cells.where(np.isin(pairs, pairs[cells.count > 0]))
        cells = cells.averaged([*keep, *(g for g in group if g not in keep)], weights, within=group)
    cells = cells.averaged(keep, weights)
    for name in keep:
        if name in nesting:
            key = cells.key([name, *nesting[name]])
            cells = cells.where(np.isin(key, key[cells.count > 0]))
    return cells


def find_nesting(
    cells: Cells, terms: Sequence[tuple[frozenset[str], Mapping[str, bool]]]
) -> dict[str, tuple[str, ...]]:
    """Which predictors are nested in which others, by the rules of R's emmeans.

    A predictor is nested in another if each of its levels occurs together with one level of the other alone;
    and one without a term of its own in those that its terms have coded by all levels, as B in ``A / B``.

    Parameters
    ----------
    cells : Cells
        A full grid.
    terms : sequence of (frozenset of str, mapping of str to bool)
        For each term of the model the predictors in it, and of each whether it is coded by all levels, the
        term without it not being in the model.

    Returns
    -------
    dict of str to tuple of str
        Nothing for a predictor that is nested in none.
    """
    several = [name for name, labels in zip(cells.names, cells.labels, strict=True) if len(labels) > 1]
    found: dict[str, tuple[str, ...]] = {}
    occurring = cells.where(cells.count > 0)
    for name in several:
        n_own = len(np.unique(occurring.key([name])))
        others = [o for o in several if o != name and name not in found.get(o, ())]
        nests = tuple(o for o in others if len(np.unique(occurring.key([name, o]))) == n_own)
        if nests:
            found[name] = nests
    for name in several:
        own = [(members, full) for members, full in terms if name in members]
        if not own or any(members == {name} for members, _ in own):
            continue
        by_contrasts = [(members, full) for members, full in own if not full[name]]
        groups = [
            frozenset(o for o in members if o != name and o in several and full[o])
            for members, full in (by_contrasts or own)
        ]
        smallest = [g for g in groups if not any(other < g for other in groups)]
        if any(smallest):
            found[name] = tuple(dict.fromkeys([*found.get(name, ()), *sorted(frozenset().union(*smallest))]))
    for name, nests in list(found.items()):
        found[name] = tuple(dict.fromkeys([*(o for n in nests for o in found.get(n, ())), *nests]))
    return {name: nests for name, nests in found.items() if name not in nests}
