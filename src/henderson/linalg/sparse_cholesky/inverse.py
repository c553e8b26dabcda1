"""Elements of A^-1 on the pattern of L, from the last supernode to the first.

With J the columns of a supernode and R the rows below, and Y = L_RJ L_JJ^-1,

    Z_RJ = -Z_RR Y,    Z_JJ = (L_JJ L_JJ')^-1 + Y' Z_RR Y,

where Z_RR is part of what the parent has (K. Takahashi, J. Fagan and M.-S. Chin 1973, 8th PICA Conference
Proceedings, 63-69; A. M. Erisman and W. F. Tinney 1975, Comm. ACM 18:177). The inverse in the columns and
rows of a supernode, its *front*, waits on a stack for the children.

Importing this module loads Numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.linalg.blas import dsymm, dtrsm
from scipy.linalg.lapack import dpotri

from henderson.linalg.scatter import mirror_lower
from henderson.linalg.sparse_cholesky.numeric import panel_of, stretches
from henderson.linalg.sparse_cholesky.symbolic import Symbolic
from henderson.linalg.sparse_cholesky.tree import Tree

Array = NDArray[Any]


def inverse_panels(plan: Symbolic, panels: Array) -> Array:
    """A^-1 where L has its elements, in panels like those of L."""
    inverse = np.zeros_like(panels)
    stack = np.empty(plan.front_size)
    m = np.diff(plan.tree.start) + np.diff(plan.tree.row_ptr)
    scratch = np.empty(int(np.max(np.delete(m, plan.large), initial=0)) ** 2)
    for first, end, large in reversed(list(stretches(plan))):
        if large >= 0:
            _invert_large(plan, large, panels, inverse, stack)
        _invert_small(first, end, plan.tree, panels, inverse, stack, scratch)
    return inverse


def _invert_large(plan: Symbolic, k: int, panels: Array, inverse: Array, stack: Array) -> None:
    panel = panel_of(plan, panels, k)
    w, m = panel.shape
    r = m - w
    block = np.asfortranarray(panel[:, :w].T)
    rest = np.empty((r, r))
    _gather(k, plan.tree, stack, rest.reshape(-1), 0)
    own, _ = dpotri(block, lower=1)
    out = panel_of(plan, inverse, k)
    mirror_lower(own)
    if r:
        Y = dtrsm(1.0, block, panel[:, w:].T, side=1, lower=1)
        below = dsymm(-1.0, rest.T, Y, lower=1)
        own -= Y.T @ below
        out[:, w:] = below.T
    out[:, :w] = own.T
    if plan.tree.child_ptr[k] < plan.tree.child_ptr[k + 1]:
        front = stack[plan.tree.front[k] : plan.tree.front[k] + m * m].reshape(m, m)
        front[:w] = out
        front[w:, :w] = out[:, w:].T
        front[w:, w:] = rest


@njit(cache=True, nogil=True)
def _gather(k: int, tree: Tree, stack: Array, to: Array, skip: int) -> None:
    """Copy A^-1 in the rows R of a supernode from the parent's front, skipping so many rows and columns."""
    p = tree.parent[k]
    at = tree.relative[tree.row_ptr[k] : tree.row_ptr[k + 1]]
    if at.size == 0:
        return
    m = tree.start[p + 1] - tree.start[p] + tree.row_ptr[p + 1] - tree.row_ptr[p]
    for b in range(at.size):
        line = stack[tree.front[p] + at[b] * m : tree.front[p] + (at[b] + 1) * m]
        target = (b + skip) * (at.size + skip) + skip
        for a in range(at.size):
            to[target + a] = line[at[a]]


@njit(cache=True, nogil=True)
def _invert_small(  # noqa: PLR0917
    first: int, end: int, tree: Tree, panels: Array, inverse: Array, stack: Array, scratch: Array
) -> None:
    for k in range(end - 1, first - 1, -1):
        w = tree.start[k + 1] - tree.start[k]
        m = w + tree.row_ptr[k + 1] - tree.row_ptr[k]
        # one column of the supernode at a time
        _gather(k, tree, stack, scratch, w)
        for j in range(w - 1, -1, -1):
            line = panels[tree.panel_ptr[k] + j * m : tree.panel_ptr[k] + (j + 1) * m]
            z = scratch[j * m : (j + 1) * m]
            z[j + 1 :] = 0.0
            for b in range(j + 1, m):
                y = line[b] / line[j]
                other = scratch[b * m : (b + 1) * m]
                for a in range(j + 1, m):
                    z[a] -= y * other[a]
            own = 1.0 / line[j] ** 2
            for b in range(j + 1, m):
                own -= line[b] / line[j] * z[b]
                scratch[b * m + j] = z[b]
            z[j] = own
            for a in range(j, m):
                inverse[tree.panel_ptr[k] + j * m + a] = z[a]
        if tree.child_ptr[k] < tree.child_ptr[k + 1]:
            for p in range(m * m):
                stack[tree.front[k] + p] = scratch[p]
