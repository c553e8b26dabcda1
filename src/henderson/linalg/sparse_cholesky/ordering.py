"""An order of elimination with little fill-in: approximate minimum degree.

The matrix is a graph of *variables*. Eliminating one joins all its neighbours, which is not written out but
kept as an *element*: the list of variables that it joins. A variable then has a list of elements and of the
variables that it still meets directly, so that the graph never takes more room than the matrix. The next
pivot is a variable with the smallest bound on its degree.

Written after P. R. Amestoy, T. A. Davis and I. S. Duff (1996), SIAM J. Matrix Anal. Appl. 17:886-905: the
approximate external degree is their equation (4.1), the cheap counts of L_e without L_me their algorithm 2.

Importing this module loads Numba.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


class Elimination(NamedTuple):
    """Pivots in their order; those eliminated together make one.

    Attributes
    ----------
    pivot : ndarray of int64, shape (n,)
        The pivot that each variable is eliminated in.
    parent : ndarray of int64, shape (s,)
        The pivot by which the element of each is absorbed, a later one; -1 at the roots.
    width : ndarray of int64, shape (s,)
        Variables in each pivot.
    border : ndarray of int64, shape (s,)
        Later variables that each pivot joins: the rows of L below its diagonal block.
    """

    pivot: Array
    parent: Array
    width: Array
    border: Array


def minimum_degree(indptr: Array, indices: Array) -> Elimination:
    """Order a symmetric pattern: int64 ``indptr`` and int32 ``indices``, both triangles.

    Variables that meet more than 10 sqrt(n) others (a mean that all records share) are eliminated last, all
    together. ``border`` then counts all of them in every pivot, which may be too many.
    """
    n = indptr.size - 1
    dense = np.diff(indptr) > max(16.0, 10.0 * np.sqrt(n))
    n_dense = int(np.count_nonzero(dense))
    # new elements need room; with half as much again, lists are seldom moved together
    room = indices.size // 2 + n
    pivot, parent, width, border = _eliminate(indptr, indices, dense, room)
    if n_dense:
        last = width.size
        parent[parent < 0] = last
        pivot[dense] = last
        parent = np.append(parent, -1)
        width = np.append(width, n_dense)
        border = np.append(border + n_dense, 0)
    return Elimination(pivot, parent, width, border)


@njit(cache=True)
def _link(i: int, degree: int, head: Array, after: Array, before: Array) -> None:
    """Put a variable first among those of its degree."""
    first = head[degree]
    after[i] = first
    before[i] = -1
    if first >= 0:
        before[first] = i
    head[degree] = i


@njit(cache=True)
def _unlink(i: int, degree: int, head: Array, after: Array, before: Array) -> None:
    """Take a variable out of the list of its degree."""
    if before[i] >= 0:
        after[before[i]] = after[i]
    else:
        head[degree] = after[i]
    if after[i] >= 0:
        before[after[i]] = before[i]


@njit(cache=True)
def _compact(graph: Array, start: Array, length: Array, room: int) -> tuple[Array, int]:
    """Copy all lists that are alive to a new array with that much room behind them."""
    fresh = np.empty(length.sum() + room, dtype=graph.dtype)
    free = 0
    for i in range(start.size):
        for p in range(start[i], start[i] + length[i]):
            fresh[free + p - start[i]] = graph[p]
        start[i] = free
        free += length[i]
    return fresh, free


@njit(cache=True)
def _same(  # noqa: PLR0917
    i: int, j: int, graph: Array, start: Array, length: Array, n_elements: Array, mark: Array, tag: int
) -> bool:
    """Whether two variables have the same lists; those of i carry the tag. The first element is common."""
    if length[i] != length[j] or n_elements[i] != n_elements[j]:
        return False
    for p in range(start[j] + 1, start[j] + length[j]):  # noqa: SIM110
        if mark[graph[p]] != tag:
            return False
    return True


@njit(cache=True)
def _eliminate(indptr: Array, indices: Array, dense: Array, room: int) -> tuple[Array, Array, Array, Array]:
    n = indptr.size - 1
    start = np.zeros(n, dtype=np.int64)  # each node's list in `graph`: elements first, then variables
    length = np.zeros(n, dtype=np.int64)
    n_elements = np.zeros(n, dtype=np.int64)
    size = np.ones(n, dtype=np.int64)  # variables that this one stands for; 0 once it is gone
    degree = np.zeros(n, dtype=np.int64)
    into = np.full(n, -1, dtype=np.int64)  # what absorbed a variable or an element
    number = np.full(n, -1, dtype=np.int64)  # of pivots, in the order of elimination
    mark = np.ones(n, dtype=np.int64)  # 0: an element that is gone
    head = np.full(n + 1, -1, dtype=np.int64)
    after = np.full(n, -1, dtype=np.int64)
    before = np.full(n, -1, dtype=np.int64)
    bucket = np.full(n, -1, dtype=np.int64)  # variables by a hash of their lists
    beside = np.full(n, -1, dtype=np.int64)
    hashed = np.zeros(n, dtype=np.int64)
    width = np.zeros(n, dtype=np.int64)

    graph = np.empty(indices.size + room, dtype=np.int32)
    free = 0
    total = 0
    for j in range(n):
        start[j] = free
        if dense[j]:
            size[j] = 0
            continue
        total += 1
        for p in range(indptr[j], indptr[j + 1]):
            i = indices[p]
            if i != j and not dense[i]:
                graph[free] = i
                free += 1
        length[j] = free - start[j]
        degree[j] = length[j]
    for j in range(n - 1, -1, -1):
        if size[j]:
            _link(j, degree[j], head, after, before)

    done = 0
    count = 0
    tag = 2
    least = 0
    while done < total:
        while head[least] < 0:
            least += 1
        me = head[least]
        _unlink(me, least, head, after, before)
        number[me] = count
        count += 1
        pivots = size[me]
        done += pivots
        size[me] = 0

        # the new element: the variables of all elements of the pivot, and its own; size < 0 while in it
        weight = 0
        if n_elements[me] == 0:
            first = start[me]
            end = first
            for p in range(start[me], start[me] + length[me]):
                i = graph[p]
                if size[i] > 0:
                    weight += size[i]
                    size[i] = -size[i]
                    graph[end] = i
                    end += 1
                    _unlink(i, degree[i], head, after, before)
        else:
            needed = length[me]
            for p in range(start[me], start[me] + n_elements[me]):
                needed += length[graph[p]]
            needed = min(needed, total - done)
            if free + needed > graph.size:
                graph, free = _compact(graph, start, length, needed + room)
            first = free
            end = free
            for k in range(n_elements[me] + 1):
                if k < n_elements[me]:
                    e = graph[start[me] + k]
                    p0, p1 = start[e], start[e] + length[e]
                else:
                    e = me
                    p0, p1 = start[me] + n_elements[me], start[me] + length[me]
                for p in range(p0, p1):
                    i = graph[p]
                    if size[i] > 0:
                        weight += size[i]
                        size[i] = -size[i]
                        graph[end] = i
                        end += 1
                        _unlink(i, degree[i], head, after, before)
                if e != me:
                    into[e] = me
                    mark[e] = 0
                    length[e] = 0
            free = end
        start[me] = first
        length[me] = end - first

        # mark[e] - tag becomes the number of variables of e outside the new element
        for p in range(first, end):
            i = graph[p]
            own = -size[i]
            for q in range(start[i], start[i] + n_elements[i]):
                e = graph[q]
                if mark[e] >= tag:
                    mark[e] -= own
                elif mark[e] != 0:
                    mark[e] = degree[e] + tag - own

        for p in range(first, end):
            i = graph[p]
            own = -size[i]
            p1 = start[i]
            to = p1
            outside = 0
            key = 0
            for q in range(p1, p1 + n_elements[i]):
                e = graph[q]
                if mark[e] == 0:
                    continue
                if mark[e] > tag:
                    outside += mark[e] - tag
                    graph[to] = e
                    to += 1
                    key += e
                else:  # all of e is in the new element (aggressive absorption)
                    into[e] = me
                    mark[e] = 0
                    length[e] = 0
            p3 = to
            for q in range(p1 + n_elements[i], p1 + length[i]):
                j = graph[q]
                if size[j] > 0:
                    outside += size[j]
                    graph[to] = j
                    to += 1
                    key += j
            if (
                outside == 0
            ):  # nothing but the new element: it can go at once, without fill (mass elimination)
                into[i] = me
                size[i] = 0
                length[i] = 0
                pivots += own
                weight -= own
                done += own
                continue
            degree[i] = min(degree[i], outside)
            # the list has lost the pivot, or an element of it, so that there is room for the new element
            graph[to] = graph[p3]
            graph[p3] = graph[p1]
            graph[p1] = me
            n_elements[i] = p3 - p1 + 1
            length[i] = to - p1 + 1
            key %= n
            hashed[i] = key
            beside[i] = bucket[key]
            bucket[key] = i
        tag += n + 1

        # variables with the same lists are one from now on
        for p in range(first, end):
            i = graph[p]
            if size[i] == 0:
                continue
            i = bucket[hashed[i]]
            if i < 0:
                continue
            bucket[hashed[i]] = -1
            while i >= 0 and beside[i] >= 0:
                for q in range(start[i] + 1, start[i] + length[i]):
                    mark[graph[q]] = tag
                last = i
                j = beside[i]
                while j >= 0:
                    if _same(i, j, graph, start, length, n_elements, mark, tag):
                        into[j] = i
                        size[i] += size[j]
                        size[j] = 0
                        length[j] = 0
                        beside[last] = beside[j]
                    else:
                        last = j
                    j = beside[j]
                tag += 1
                i = beside[i]

        to = first
        for p in range(first, end):
            i = graph[p]
            if size[i] == 0:
                continue
            size[i] = -size[i]
            degree[i] = max(min(degree[i] + weight - size[i], total - done - size[i]), 0)
            _link(i, degree[i], head, after, before)
            least = min(least, degree[i])
            graph[to] = i
            to += 1
        length[me] = to - first
        if end == free:
            free = to
        if to == first:
            mark[me] = 0
        n_elements[me] = 0
        degree[me] = weight
        width[me] = pivots

    pivot = np.full(n, -1, dtype=np.int64)
    parent = np.full(count, -1, dtype=np.int64)
    widths = np.zeros(count, dtype=np.int64)
    border = np.zeros(count, dtype=np.int64)
    for i in range(n):
        if dense[i]:
            continue
        top = i
        while number[top] < 0:
            top = into[top]
        pivot[i] = number[top]
        j = i
        while number[j] < 0:  # paths are shortened, so that long ones are walked once
            into[j], j = top, into[j]
        if number[i] >= 0:
            widths[number[i]] = width[i]
            border[number[i]] = degree[i]
            if into[i] >= 0:
                parent[number[i]] = number[into[i]]
    return pivot, parent, widths, border
