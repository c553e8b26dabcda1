"""The numbers of L, supernode by supernode.

Small supernodes are compiled loops, large ones calls of LAPACK and BLAS. What is stored row by row here is
read column by column there, so that a panel's transpose is what they are given, and lower means lower.

Importing this module loads Numba.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk, dtrsm
from scipy.linalg.lapack import dpotrf

from henderson.linalg.sparse_cholesky.symbolic import Symbolic
from henderson.linalg.sparse_cholesky.tree import Tree

Array = NDArray[Any]


def stretches(plan: Symbolic) -> Iterator[tuple[int, int, int]]:
    """Small supernodes from the first number up to the second, then a large one, the third (-1: none)."""
    first = 0
    for k in plan.large.tolist():
        yield first, k, k
        first = k + 1
    yield first, plan.tree.parent.size, -1


def panel_of(plan: Symbolic, panels: Array, k: int) -> Array:
    """Panel (|J|, |J| + |R|) of a supernode, a view."""
    w = int(plan.tree.start[k + 1] - plan.tree.start[k])
    return panels[plan.tree.panel_ptr[k] : plan.tree.panel_ptr[k + 1]].reshape(w, -1)


def factor_panels(plan: Symbolic, data: Array) -> Array:
    """Panels of L for the elements of A.

    Raises
    ------
    numpy.linalg.LinAlgError
        The matrix is not positive definite; the message names the row of A at which that shows.
    """
    panels = np.zeros(plan.panel_size)
    panels[plan.place] = data
    stack = np.empty(plan.update_size)
    for first, end, large in stretches(plan):
        failed = int(_factor_small(first, end, plan.tree, panels, stack))
        if failed < 0 and large >= 0:
            failed = _factor_large(plan, large, panels, stack)
        if failed >= 0:
            raise np.linalg.LinAlgError(
                f"the matrix is not positive definite: no positive pivot for its row {plan.order[failed]}"
            )
    return panels


def _factor_large(plan: Symbolic, k: int, panels: Array, stack: Array) -> int:
    """Factor one supernode; the column whose pivot is not positive, or -1."""
    _clear_leaf(k, plan.tree, stack)
    panel = panel_of(plan, panels, k)
    w, m = panel.shape
    r = m - w
    block, info = dpotrf(panel[:, :w].T, lower=1, clean=0, overwrite_a=1)
    # LAPACK may take what is no number for a pivot
    wrong = np.flatnonzero(~np.isfinite(np.diag(block)))
    if info > 0 or wrong.size:
        return int(plan.tree.start[k] + (info - 1 if info > 0 else wrong[0]))
    panel[:, :w] = block.T
    if r:
        below = dtrsm(1.0, block, panel[:, w:].T, side=1, lower=1, trans_a=1)
        panel[:, w:] = below.T
        at = plan.tree.built[k]
        update = stack[at : at + r * r].reshape(r, r)
        dsyrk(-1.0, below, beta=1.0, c=update.T, lower=1, overwrite_c=1)
        stack[plan.tree.update[k] : plan.tree.update[k] + r * r] = stack[at : at + r * r]
    _pass_on(k, plan.tree, panels, stack)
    return -1


@njit(cache=True, nogil=True)
def _clear_leaf(k: int, tree: Tree, stack: Array) -> None:
    """Start the update of a supernode that has no children; the others' are started by the first child."""
    if tree.child_ptr[k] == tree.child_ptr[k + 1]:
        r = tree.row_ptr[k + 1] - tree.row_ptr[k]
        stack[tree.built[k] : tree.built[k] + r * r] = 0.0


@njit(cache=True, nogil=True)
def _pass_on(k: int, tree: Tree, panels: Array, stack: Array) -> None:
    """Add a finished update to the panel and to the update of the parent, and keep nothing of it."""
    p = tree.parent[k]
    if p == tree.parent.size:
        return
    w = tree.start[p + 1] - tree.start[p]
    r = tree.row_ptr[p + 1] - tree.row_ptr[p]
    if tree.children[tree.child_ptr[p]] == k:
        stack[tree.built[p] : tree.built[p] + r * r] = 0.0
    at = tree.relative[tree.row_ptr[k] : tree.row_ptr[k + 1]]
    for b in range(at.size):
        source = stack[tree.update[k] + b * at.size : tree.update[k] + (b + 1) * at.size]
        if at[b] < w:
            line = tree.panel_ptr[p] + at[b] * (w + r)
            for a in range(b, at.size):
                panels[line + at[a]] += source[a]
        else:
            line = tree.built[p] + (at[b] - w) * r - w
            for a in range(b, at.size):
                stack[line + at[a]] += source[a]


@njit(cache=True, nogil=True)
def _factor_small(first: int, end: int, tree: Tree, panels: Array, stack: Array) -> int:
    """Factor supernodes one after the other; the column whose pivot is not positive, or -1."""
    for k in range(first, end):
        _clear_leaf(k, tree, stack)
        w = tree.start[k + 1] - tree.start[k]
        r = tree.row_ptr[k + 1] - tree.row_ptr[k]
        m = w + r
        for j in range(w):
            line = panels[tree.panel_ptr[k] + j * m : tree.panel_ptr[k] + (j + 1) * m]
            if not 0.0 < line[j] < np.inf:
                return int(tree.start[k] + j)
            line[j] = np.sqrt(line[j])
            for a in range(j + 1, m):
                line[a] /= line[j]
            for i in range(j + 1, w):
                other = panels[tree.panel_ptr[k] + i * m : tree.panel_ptr[k] + (i + 1) * m]
                f = line[i]
                for a in range(i, m):
                    other[a] -= f * line[a]
            for b in range(r):
                other = stack[tree.built[k] + b * r : tree.built[k] + (b + 1) * r]
                f = line[w + b]
                for a in range(b, r):
                    other[a] -= f * line[w + a]
        if tree.update[k] != tree.built[k]:
            for p in range(r * r):
                stack[tree.update[k] + p] = stack[tree.built[k] + p]
        _pass_on(k, tree, panels, stack)
    return -1
