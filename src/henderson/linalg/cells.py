"""Compiled sums over rows that come in any order, cell by cell; the cells are numbered as they appear.

Importing this module loads Numba; callers import it only when there are many rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]
#: Rows whose sums are fetched together in `_add`.
AHEAD = 16
#: Numbers in what a processor fetches at once.
LINE = 8


class KeyNumbers:
    """Numbers 0, 1, 2, ... for distinct 64-bit keys, in the order in which they first appear.

    Examples
    --------
    >>> numbers = KeyNumbers()
    >>> numbers.of(np.array([70, 30, 70]))
    array([0, 1, 0])
    >>> numbers.of(np.array([30, -1]))
    array([1, 2])
    >>> numbers.keys
    array([70, 30, -1])
    """

    def __init__(self) -> None:
        self.size = 0
        self._known: Index = np.empty(0, dtype=np.int64)
        self._make_room(1024)

    @property
    def keys(self) -> Index:
        """The key of each number, shape (n_keys,)."""
        return self._known[: self.size]

    def of(self, keys: Index) -> Index:
        """Numbers of keys (n,); new keys get the next ones."""
        out = np.empty(keys.size, dtype=np.int64)
        done = 0
        while True:
            read, self.size = _number(keys[done:], self._slots, self._known, self.size, out[done:])
            done += read
            if done == keys.size:
                return out
            self._make_room(2 * len(self._slots))

    def _make_room(self, n_slots: int) -> None:
        """Move to a table of more slots, of which half at most are ever in use."""
        known = self.keys.copy()
        # the key in a slot, and its number plus one
        self._slots: Index = _zeros(2 * n_slots, np.int64).reshape(n_slots, 2)
        self._known = np.empty(n_slots // 2, dtype=np.int64)
        _number(known, self._slots, self._known, 0, np.empty_like(known))


class CellSums:
    """Sums, over the rows of each cell, of the products of the first columns of a table with all of them.

    Parameters
    ----------
    u : int
        Number of first columns.
    k : int
        Number of columns.

    Examples
    --------
    >>> sums = CellSums(1, 2)
    >>> sums.add(np.array([0, 1, 0]), np.array([[1.0, 5.0], [1.0, 6.0], [1.0, 7.0]]))
    >>> sums.product(0, 1)
    array([12.,  6.])
    """

    def __init__(self, u: int, k: int) -> None:
        self._place: dict[tuple[int, int], int] = {}
        for a in range(u):
            for b in range(a, k):
                self._place[a, b] = len(self._place)
        self._u = u
        self._sums = _aligned(1024, len(self._place))
        self._n_cells = 0

    def add(self, cell: Index, columns: Array) -> None:
        """Add rows: the cell of each, (n,), and its numbers, (n, k)."""
        if not cell.size:
            return
        self._n_cells = max(self._n_cells, int(cell.max()) + 1)
        known = len(self._sums)
        if self._n_cells > known:
            old, self._sums = self._sums, _aligned(max(self._n_cells, 2 * known), len(self._place))
            self._sums[:known] = old
        _add(cell, columns, self._u, self._sums)

    def product(self, a: int, b: int) -> Array:
        """The sums of column a times column b, one of which is among the first; shape (n_cells,)."""
        return self._sums[: self._n_cells, self._place[min(a, b), max(a, b)]]


def _zeros(size: int, dtype: type[Any]) -> NDArray[Any]:
    """NumPy asks for large pages for what it does not clear itself, and random access is faster in those."""
    out = np.empty(size, dtype=dtype)
    out.fill(0)
    return out


def _aligned(n: int, width: int) -> Array:
    """Zeros whose rows begin where fetched lines do; the last columns are not used."""
    width = -(-width // LINE) * LINE
    held = _zeros(n * width + LINE, np.float64)
    start = -(held.ctypes.data // 8) % LINE
    return held[start : start + n * width].reshape(n, width)


@njit(cache=True, nogil=True)
def _number(keys: Index, slots: Index, known: Index, size: int, out: Index) -> tuple[int, int]:
    """Number the keys until no room is left; how many were read, and how many are known then."""
    last = slots.shape[0] - 1
    shift = 64
    while last >> (64 - shift):
        shift -= 1
    for i in range(keys.size):
        key = keys[i]
        place = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))
        while slots[place, 1] != 0 and slots[place, 0] != key:
            place = (place + 1) & last
        if slots[place, 1] == 0:
            if size == known.size:
                return i, size
            known[size] = key
            size += 1
            slots[place, 0] = key
            slots[place, 1] = size
        out[i] = slots[place, 1] - 1
    return keys.size, size


@njit(cache=True, nogil=True)
def _add(cell: Index, columns: Array, u: int, sums: Array) -> float:
    """Add the products of each row to those of its cell; what is returned is of no use."""
    n, k = columns.shape
    width = sums.shape[1]
    touched = 0.0
    for start in range(0, n, AHEAD):
        stop = min(start + AHEAD, n)
        # The sums of several rows are asked for at once: waiting for memory row by row takes twice as long.
        for i in range(start, stop):
            for t in range(0, width, LINE):
                touched += sums[cell[i], t]
        for i in range(start, stop):
            into = sums[cell[i]]
            row = columns[i]
            t = 0
            for a in range(u):
                for b in range(a, k):
                    into[t] += row[a] * row[b]
                    t += 1
    return touched
