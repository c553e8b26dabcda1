"""What all factors of one pattern share: supernodes, where their numbers stand, and the memory they take.

A *supernode* is a run of columns J of L that have the same rows R below them. Its numbers are one dense
*panel*, |J| rows of |J| + |R| numbers each, row j holding column j of L: the diagonal block first (its part
above the diagonal unused), then R. The supernodes form a tree, in which R lies within the columns and rows of
the parent; a child is numbered before its parent, and its subtree just before it (a postorder).

The numeric phase is multifrontal (I. S. Duff and J. K. Reid 1983, ACM Trans. Math. Softw. 9:302; J. W. H. Liu
1992, SIAM Review 34:82): a supernode leaves a dense |R| x |R| *update* to its parent, on a stack. What has to
be computed and what has to be kept is known from |J| and |R| alone, so that small supernodes can be merged
with their parents where the zeros that this writes out cost less than the overhead that it saves (relaxed
supernodes), and so that the memory is known before any of it is taken. What is nearly dense at the end of the
matrix becomes one large supernode, the root.

Importing this module loads Numba.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

from henderson.linalg.sparse_cholesky.ordering import Elimination, minimum_degree
from henderson.linalg.sparse_cholesky.tree import (
    Tree,
    children_of,
    locate,
    merge,
    multiplications,
    postorder,
    relative_rows,
    rows_below,
)

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Array = NDArray[Any]

# multiplications from which a supernode is worth calls of BLAS and LAPACK, some 50 microseconds
LARGE = 2e5


@dataclass(frozen=True, slots=True, eq=False)
class Symbolic:
    """Layout of L with P A P' = L L'.

    Attributes
    ----------
    order, rank : ndarray of int64, shape (n,)
        The row of A that is eliminated at each place, and the place of each row.
    tree : Tree
        Supernodes and where their numbers stand.
    update_size, front_size : int
        Numbers in the two stacks.
    large : ndarray of int64, shape (k,)
        The supernodes that are left to BLAS and LAPACK.
    place : ndarray of int64, shape (nnz,)
        Where each element of A stands in the panels: an element and its mirror image at one place.
    diagonal : ndarray of int64, shape (n,)
        Where the diagonal of L stands in the panels, in the order of A's rows.
    fill : int
        Elements of L, all columns of a pivot being full; without the zeros that merging writes out.
    """

    order: Array
    rank: Array
    tree: Tree
    update_size: int
    front_size: int
    large: Array
    place: Array
    diagonal: Array
    fill: int

    @property
    def panel_size(self) -> int:
        """Numbers in all panels."""
        return int(self.tree.panel_ptr[-1])

    @property
    def memory(self) -> int:
        """Bytes that the factor and then the elements of the inverse take at most, together."""
        w, r = np.diff(self.tree.start), np.diff(self.tree.row_ptr)
        fronts = (w + r) ** 2
        fronts[self.large] = 0
        # what a large supernode has from its parent, and the copies that LAPACK and BLAS are given
        copies = np.where(r > 0, r * r + 3 * w * (w + r), w * w)[self.large]
        beside = int(np.max(fronts, initial=0) + np.max(copies, initial=0))
        factoring = self.panel_size + self.update_size + beside
        inverting = 2 * self.panel_size + self.front_size + beside
        return 8 * max(factoring, inverting)


def symbolic_factor(pattern: csc_array) -> Symbolic:
    """Order a symmetric pattern and lay out its factor."""
    n = int(pattern.shape[0])
    indptr = pattern.indptr.astype(np.int64)
    indices = pattern.indices.astype(np.int32)
    found = minimum_degree(indptr, indices)
    start, parent, order, border = _supernodes(found)
    children, child_ptr = children_of(parent)
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    row_ptr, rows = rows_below(indptr, indices, order, rank, start, children, child_ptr, int(border.sum()))
    # SciPy sorts the indices within each row
    by_node = csr_array((np.empty(rows.size, dtype=np.int8), rows, row_ptr), shape=(parent.size, n))
    by_node.sort_indices()
    rows = by_node.indices.astype(np.int32, copy=False)

    w, r = np.diff(start), np.diff(row_ptr)
    panel_ptr = np.concatenate([[0], np.cumsum(w * (w + r))])
    update, built, update_size = _update_places(r, parent, children, child_ptr)
    front, front_size = _front_places(w + r, parent, children, child_ptr)
    tree = Tree(
        start=start,
        owner=np.repeat(np.arange(w.size), w),
        parent=parent,
        children=children,
        child_ptr=child_ptr,
        row_ptr=row_ptr,
        rows=rows,
        relative=relative_rows(start, parent, row_ptr, rows),
        panel_ptr=panel_ptr,
        update=update,
        built=built,
        front=front,
    )
    return Symbolic(
        order=order,
        rank=rank,
        tree=tree,
        update_size=update_size,
        front_size=front_size,
        large=np.flatnonzero(multiplications.py_func(w.astype(float), r) > LARGE),
        place=locate(rank[indices], rank[np.repeat(np.arange(n), np.diff(indptr))], tree),
        diagonal=locate(rank, rank, tree),
        fill=int(np.sum(found.width * (found.width + 1) // 2 + found.width * found.border)),
    )


def places_of(plan: Symbolic, rows: Array, columns: Array) -> Array:
    """Where the elements (rows[k], columns[k]) of A stand in the panels; -1 off the pattern of L."""
    return np.asarray(locate(plan.rank[rows], plan.rank[columns], plan.tree))


def _supernodes(found: Elimination) -> tuple[Array, Array, Array, Array]:
    """First columns, parents, order of A's rows, and |R|, of supernodes in postorder."""
    into = merge(found.parent, found.width.copy(), found.border)
    kept = np.flatnonzero(into == np.arange(into.size))
    above = found.parent[kept]
    parent = np.where(above < 0, kept.size, np.searchsorted(kept, into[above]))
    post = postorder(*children_of(parent), found.border[kept])
    number = np.append(np.empty_like(post), kept.size)
    number[post] = np.arange(post.size)
    member = number[np.searchsorted(kept, into)][found.pivot]
    start = np.concatenate([[0], np.cumsum(np.bincount(member, minlength=kept.size))])
    # in a supernode, what was eliminated first comes first
    order = np.lexsort((found.pivot, member))
    return start, number[parent[post]], order, found.border[kept][post]


@njit(cache=True)
def _update_places(r: Array, parent: Array, children: Array, child_ptr: Array) -> tuple[Array, Array, int]:
    """Where each update is kept and built on their stack, and how high that grows."""
    update = np.empty_like(r)
    built = np.empty_like(r)
    top = 0
    highest = 0
    for k in range(r.size):
        if child_ptr[k] == child_ptr[k + 1]:
            built[k] = top
            highest = max(highest, top + r[k] ** 2)
            update[k] = top
        else:
            update[k] = update[children[child_ptr[k]]]
        # the first child starts the parent's, so that the others are done with once they have been added
        top = update[k]
        p = parent[k]
        if p < r.size and children[child_ptr[p]] == k:
            built[p] = top + r[k] ** 2
            top = built[p] + r[p] ** 2
            highest = max(highest, top)
    return update, built, highest


@njit(cache=True)
def _front_places(m: Array, parent: Array, children: Array, child_ptr: Array) -> tuple[Array, int]:
    """Where the inverse of each front is kept from the parent to the last child, and how high that grows."""
    front = np.zeros_like(m)
    highest = 0
    for k in range(m.size - 1, -1, -1):
        p = parent[k]
        if p < m.size:
            # the child visited last takes the parent's room
            front[k] = front[p] if children[child_ptr[p]] == k else front[p] + m[p] ** 2
        if child_ptr[k] < child_ptr[k + 1]:
            highest = max(highest, front[k] + m[k] ** 2)
    return front, highest
