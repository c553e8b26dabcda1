"""Pairs of a relationship matrix above a cutoff, and people of whom no pair is."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Array = NDArray[np.float64]
Index = NDArray[np.intp]
#: Rows that are looked at together, so that no second matrix is needed.
_BLOCK = 256


def pairs_above(G: Array | csc_array, cutoff: float) -> tuple[Index, Index, Array]:
    """Row i, column j < i and value of the pairs whose relationship is above a cutoff.

    Parameters
    ----------
    G : ndarray or csc_array, shape (l, l)
        Symmetric; the lower triangle counts.
    cutoff : float
    """
    if not isinstance(G, np.ndarray):
        part = G.tocoo()
        wanted = (part.row > part.col) & (part.data > cutoff)
        return part.row[wanted].astype(np.intp), part.col[wanted].astype(np.intp), part.data[wanted]
    rows, columns = [], []
    for start in range(0, G.shape[0], _BLOCK):
        stop = min(start + _BLOCK, G.shape[0])
        i, j = np.nonzero(G[start:stop, :stop] > cutoff)
        below = i + start > j
        rows.append(i[below] + start)
        columns.append(j[below])
    i, j = np.concatenate(rows), np.concatenate(columns)
    return i, j, G[i, j]


def unrelated_rows(n: int, i: Index, j: Index) -> Index:
    """A greedy maximal set of n people without a pair of relatives, ascending.

    Whoever has most relatives left goes first, of several the last; then everybody whose relatives have all
    gone comes back, the first of them first.

    Parameters
    ----------
    n : int
        Number of people.
    i, j : ndarray of int
        The pairs of relatives, each once.
    """
    from scipy.sparse import coo_array

    ends = (np.append(i, j), np.append(j, i))
    relatives = coo_array((np.ones(ends[0].size, dtype=np.int8), ends), shape=(n, n)).tocsr()
    start, other = relatives.indptr, relatives.indices
    left = np.diff(start).astype(np.intp)
    kept = np.ones(n, dtype=bool)
    queue = [(-int(left[k]), -k) for k in np.flatnonzero(left).tolist()]
    heapify(queue)
    while queue:
        count, k = (-number for number in heappop(queue))
        if count == left[k]:
            kept[k] = False
            left[other[start[k] : start[k + 1]]] -= 1
        elif left[k]:  # counts only fall, so that nobody in the queue has more relatives than it says
            heappush(queue, (-int(left[k]), -k))
    for k in np.flatnonzero(~kept).tolist():
        kept[k] = not kept[other[start[k] : start[k + 1]]].any()
    return np.flatnonzero(kept)
