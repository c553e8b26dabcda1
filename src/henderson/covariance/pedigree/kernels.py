"""Compiled walks through a pedigree; parents are positions, -1 where unknown.

Importing this module loads Numba.
"""

# ruff: noqa: PLR0917 (compiled functions take arrays by position)

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]

UNSEEN, OPEN, DONE = 0, 1, 2
#: To climb to an ancestor takes as long as to pass over so many.
MANY = 4


@njit(cache=True, nogil=True)
def parents_first(sire: Index, dam: Index) -> tuple[Index, Index]:
    """An order in which parents stand before their offspring, and otherwise that of the rows.

    Returns
    -------
    order : ndarray of int64, shape (n,)
        Positions; incomplete where there is a loop.
    loop : ndarray of int64
        Animals of a loop, each a parent of the one before it and the first a parent of the last; empty
        where there is none.
    """
    n = sire.size
    state = np.zeros(n, dtype=np.int8)
    order = np.empty(n, dtype=np.int64)
    path = np.empty(n, dtype=np.int64)
    done = 0
    for i in range(n):
        if state[i] != UNSEEN:
            continue
        path[0] = i
        state[i] = OPEN
        depth = 1
        while depth:
            x = path[depth - 1]
            ahead = np.int64(-1)
            for p in (sire[x], dam[x]):
                if p < 0 or state[p] == DONE:
                    continue
                if state[p] == OPEN:
                    first = depth - 1
                    while path[first] != p:
                        first -= 1
                    return order[:done], path[first:depth].copy()
                ahead = p
                break
            if ahead >= 0:
                path[depth] = ahead
                state[ahead] = OPEN
                depth += 1
            else:
                state[x] = DONE
                order[done] = x
                done += 1
                depth -= 1
    return order, path[:0].copy()


@njit(cache=True, nogil=True)
def generations(sire: Index, dam: Index) -> Index:
    """Length of the longest line of descent to each animal; 0 for founders. Parents stand first."""
    out = np.zeros(sire.size, dtype=np.int64)
    for i in range(sire.size):
        for p in (sire[i], dam[i]):
            if p >= 0 and out[p] >= out[i]:
                out[i] = out[p] + 1
    return out


@njit(cache=True, nogil=True)
def mark_ancestors(sire: Index, dam: Index, wanted: NDArray[np.bool_]) -> None:
    """Mark the ancestors of all that are marked. Parents stand first."""
    for i in range(sire.size - 1, -1, -1):
        if wanted[i]:
            if sire[i] >= 0:
                wanted[sire[i]] = True
            if dam[i] >= 0:
                wanted[dam[i]] = True


@njit(cache=True, nogil=True)
def pass_down(sire: Index, dam: Index, M: Array) -> None:
    """M <- T M in place, for M (n, m): each animal adds half of what each of its parents has."""
    for i in range(sire.size):
        for p in (sire[i], dam[i]):
            if p >= 0:
                for j in range(M.shape[1]):
                    M[i, j] += 0.5 * M[p, j]


@njit(cache=True, nogil=True)
def pass_up(sire: Index, dam: Index, M: Array) -> None:
    """M <- T'M in place, for M (n, m): each animal adds half of itself to each of its parents."""
    for i in range(sire.size - 1, -1, -1):
        for p in (sire[i], dam[i]):
            if p >= 0:
                for j in range(M.shape[1]):
                    M[p, j] += 0.5 * M[i, j]


@njit(cache=True, nogil=True)
def climb(
    start: int, sire: Index, dam: Index, seen: Index, mark: int, path: Index, found: Index, k: int
) -> int:
    """Append an animal and those of its ancestors that have not been seen to `found`, parents first.

    Returns
    -------
    int
        How many are in `found`.
    """
    if seen[start] == mark:
        return k
    seen[start] = mark
    path[0] = start
    depth = 1
    while depth:
        x = path[depth - 1]
        s, d = sire[x], dam[x]
        if s >= 0 and seen[s] != mark:
            ahead = s
        elif d >= 0 and seen[d] != mark:
            ahead = d
        else:
            found[k] = x
            k += 1
            depth -= 1
            continue
        seen[ahead] = mark
        path[depth] = ahead
        depth += 1
    return k


@njit(cache=True, nogil=True)
def inbreeding_by_mating(
    sire: Index, dam: Index, born_of: Index, first: Index, second: Index, runs: Index
) -> Array:
    """Inbreeding of the offspring of each mating; see `henderson.covariance.pedigree.inbreeding`.

    A column of A is T (D T'e). Where the last climb met many of all parents, the next column is worked out
    for all of them in turn, since that needs no record of who has been seen.

    Parameters
    ----------
    sire, dam : ndarray of int64, shape (p,)
        Parents of the animals that are parents, by generation.
    born_of : ndarray of int64, shape (p,)
        The mating that each was born of; -1 where a parent is unknown.
    first, second : ndarray of int64, shape (m,)
        Who mated, by generation of the offspring.
    runs : ndarray of int64, shape (r + 1,)
        Where runs of matings of one ``first`` in one generation begin.
    """
    p = sire.size
    F = np.zeros(first.size)
    variance = np.full(p, -1.0)
    # the place behind the last, which is position -1, belongs to unknown parents
    part, shared = np.zeros(p + 1), np.zeros(p + 1)
    seen = np.full(p, -1, dtype=np.int64)
    path, met = np.empty(p, np.int64), np.empty(p, np.int64)
    everybody = np.arange(p)
    n_met = 0
    for r in range(runs.size - 1):
        start, stop = runs[r], runs[r + 1]
        one, n_below = first[start], 1 + max(first[start], second[start:stop].max())
        if n_met * MANY < n_below:
            n_met = climb(one, sire, dam, seen, r, path, met, 0)
            for m in range(start, stop):
                n_met = climb(second[m], sire, dam, seen, r, path, met, n_met)
            _one_column(one, sire, dam, born_of, F, variance, part, shared, met[:n_met])
        else:
            _one_column(one, sire, dam, born_of, F, variance, part, shared, everybody[:n_below])
        for m in range(start, stop):
            F[m] = 0.5 * shared[second[m]]
    return F


@njit(cache=True, nogil=True)
def _one_column(
    one: int,
    sire: Index,
    dam: Index,
    born_of: Index,
    F: Array,
    variance: Array,
    part: Array,
    shared: Array,
    rows: Index,
) -> None:
    """Relationship of an animal to others, into `shared`; their ancestors and its own stand before them."""
    part[one] = 1.0
    for j in range(rows.size - 1, -1, -1):
        x = rows[j]
        if part[x] == 0.0:
            shared[x] = 0.0
            continue
        s, d = sire[x], dam[x]
        part[s] += 0.5 * part[x]
        part[d] += 0.5 * part[x]
        if variance[x] < 0:
            variance[x] = 1.0
            for a in (s, d):
                if a >= 0:
                    variance[x] -= 0.25 * (1.0 + (F[born_of[a]] if born_of[a] >= 0 else 0.0))
        shared[x] = part[x] * variance[x]
        part[x] = 0.0
    part[-1] = 0.0
    for x in rows:
        shared[x] += 0.5 * (shared[sire[x]] + shared[dam[x]])
