"""The tree of supernodes: which to merge, in which order to visit them, and which rows they have.

Importing this module loads Numba.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


class Tree(NamedTuple):
    """Supernodes and where their numbers stand: what compiled kernels need; arrays of int64 unless said.

    Attributes
    ----------
    start : ndarray, shape (s + 1,)
        First column of each supernode.
    owner : ndarray, shape (n,)
        Supernode of each column.
    parent : ndarray, shape (s,)
        Parent of each supernode; s at the roots.
    children, child_ptr : ndarray, shape (s,) and (s + 2,)
        Children of each supernode, ascending; the roots are the children of s.
    row_ptr, rows, relative : ndarray, shape (s + 1,) and (sum |R|,) of int32
        R of each supernode, ascending, and the places of R within the columns and rows of the parent.
    panel_ptr : ndarray, shape (s + 1,)
        Where the panel of each starts.
    update, built : ndarray, shape (s,)
        Where the update of each is once finished, and where it is built: behind that of the first child.
    front : ndarray, shape (s,)
        Where the inverse in the columns and rows of each waits for the children.
    """

    start: Array
    owner: Array
    parent: Array
    children: Array
    child_ptr: Array
    row_ptr: Array
    rows: Array
    relative: Array
    panel_ptr: Array
    update: Array
    built: Array
    front: Array


@njit(cache=True)
def multiplications(w: Any, r: Any) -> Any:
    """Multiplications that a supernode of w columns and r rows below takes; numbers or arrays."""
    return w * w * w / 3.0 + w * w * r + w * r * r


@njit(cache=True)
def _cost(w: Any, r: Any) -> Any:
    """Nanoseconds, roughly: the visit, the update on the stack, the panel in memory, the arithmetic."""
    return 500.0 + 2.0 * r * r + 10.0 * w * (w + r) + 0.1 * multiplications(w, r)


@njit(cache=True)
def merge(parent: Array, width: Array, border: Array) -> Array:
    """Supernode that each pivot goes into: a child joins its parent where that saves time.

    Parents have higher numbers; -1 at the roots. ``width`` is changed.
    """
    s = parent.size
    into = np.arange(s)
    first = np.full(s, -1, dtype=np.int64)
    sibling = np.full(s, -1, dtype=np.int64)
    for p in range(s):
        c = first[p]
        r = float(border[p])
        while c >= 0:
            together = _cost(float(width[p] + width[c]), r)
            if together < _cost(float(width[p]), r) + _cost(float(width[c]), float(border[c])):
                into[c] = p
                width[p] += width[c]
            c = sibling[c]
        if parent[p] >= 0:
            sibling[p] = first[parent[p]]
            first[parent[p]] = p
    for p in range(s - 1, -1, -1):
        into[p] = into[into[p]]
    return into


def children_of(parent: Array) -> tuple[Array, Array]:
    """Children of each node, ascending, and where each node's start; the roots are those of node s."""
    s = parent.size
    ptr = np.zeros(s + 2, dtype=np.int64)
    np.cumsum(np.bincount(parent, minlength=s + 1), out=ptr[1:])
    return np.argsort(parent, kind="stable"), ptr


@njit(cache=True)
def postorder(children: Array, ptr: Array, border: Array) -> Array:
    """Nodes with each subtree together, children first, and first the child that needs the highest stack.

    Children have lower numbers than their parents; ``children`` is changed.
    """
    s = border.size
    highest = np.zeros(s + 1, dtype=np.int64)
    for p in range(s + 1):
        highest[p] = border[p] ** 2 if p < s else 0
        if ptr[p] == ptr[p + 1]:
            continue
        best = ptr[p]
        for k in range(ptr[p] + 1, ptr[p + 1]):
            if highest[children[k]] > highest[children[best]]:
                best = k
        children[ptr[p]], children[best] = children[best], children[ptr[p]]
        # from the first child on, the parent's update is there too
        height = highest[p] + border[children[ptr[p]]] ** 2
        highest[p] = max(height, highest[children[ptr[p]]])
        for k in range(ptr[p] + 1, ptr[p + 1]):
            highest[p] = max(highest[p], height + highest[children[k]])
    order = np.empty(s, dtype=np.int64)
    path = np.empty(s + 1, dtype=np.int64)
    seen = ptr[:-1].copy()
    path[0] = s
    depth = 0
    count = 0
    while depth >= 0:
        p = path[depth]
        if seen[p] < ptr[p + 1]:
            depth += 1
            path[depth] = children[seen[p]]
            seen[p] += 1
        else:
            if p < s:
                order[count] = p
                count += 1
            depth -= 1
    return order


@njit(cache=True)
def rows_below(  # noqa: PLR0917
    indptr: Array,
    indices: Array,
    order: Array,
    rank: Array,
    start: Array,
    children: Array,
    child_ptr: Array,
    most: int,
) -> tuple[Array, Array]:
    """Rows of each supernode below its diagonal block, unsorted: those of A and those of the children."""
    s = start.size - 1
    row_ptr = np.zeros(s + 1, dtype=np.int64)
    rows = np.empty(most, dtype=np.int32)
    mark = np.full(order.size, -1, dtype=np.int64)
    free = 0
    for k in range(s):
        end = start[k + 1]
        for j in range(start[k], end):
            for p in range(indptr[order[j]], indptr[order[j] + 1]):
                i = rank[indices[p]]
                if i >= end and mark[i] != k:
                    mark[i] = k
                    rows[free] = i
                    free += 1
        for q in range(child_ptr[k], child_ptr[k + 1]):
            c = children[q]
            for p in range(row_ptr[c], row_ptr[c + 1]):
                i = rows[p]
                if i >= end and mark[i] != k:
                    mark[i] = k
                    rows[free] = i
                    free += 1
        row_ptr[k + 1] = free
    return row_ptr, rows[:free]


@njit(cache=True)
def relative_rows(start: Array, parent: Array, row_ptr: Array, rows: Array) -> Array:
    """Place of each row within the columns and rows of the parent; both ascend."""
    relative = np.empty_like(rows)
    for k in range(parent.size):
        p = parent[k]
        if p == parent.size:
            continue
        width = start[p + 1] - start[p]
        q = row_ptr[p]
        for t in range(row_ptr[k], row_ptr[k + 1]):
            i = rows[t]
            if i < start[p + 1]:
                relative[t] = i - start[p]
            else:
                while rows[q] < i:
                    q += 1
                relative[t] = width + q - row_ptr[p]
    return relative


@njit(cache=True)
def locate(i: Array, j: Array, tree: Tree) -> Array:
    """Where the elements (i, j), places in the order of elimination, stand in the panels; -1: nowhere."""
    found = np.empty(i.size, dtype=np.int64)
    for t in range(i.size):
        low, high = min(i[t], j[t]), max(i[t], j[t])
        k = tree.owner[low]
        first, last = tree.row_ptr[k], tree.row_ptr[k + 1]
        width = tree.start[k + 1] - tree.start[k]
        line = tree.panel_ptr[k] + (low - tree.start[k]) * (width + last - first)
        if high < tree.start[k + 1]:
            found[t] = line + high - tree.start[k]
            continue
        p, q = first, last
        while p < q:
            middle = (p + q) // 2
            if tree.rows[middle] < high:
                p = middle + 1
            else:
                q = middle
        found[t] = line + width + p - first if p < last and tree.rows[p] == high else -1
    return found
