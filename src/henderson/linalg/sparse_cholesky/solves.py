"""Solves with L and L', for many right-hand sides side by side.

Importing this module loads Numba.
"""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray
from scipy.linalg.blas import dtrsm

from henderson.linalg.sparse_cholesky.numeric import panel_of, stretches
from henderson.linalg.sparse_cholesky.symbolic import Symbolic
from henderson.linalg.sparse_cholesky.tree import Tree

Array = NDArray[Any]


def solve_lower(plan: Symbolic, panels: Array, X: Array) -> None:
    """X becomes L^-1 X; (n, m), contiguous, rows in the order of elimination."""
    for first, end, large in stretches(plan):
        _lower_small(first, end, plan.tree, panels, X)
        if large >= 0:
            panel = panel_of(plan, panels, large)
            rows = plan.tree.rows[plan.tree.row_ptr[large] : plan.tree.row_ptr[large + 1]]
            w = panel.shape[0]
            own = X[plan.tree.start[large] : plan.tree.start[large + 1]]
            # X' L' = B' for the transposes, which are what BLAS sees
            own[:] = dtrsm(1.0, panel[:, :w].T, own.T, side=1, lower=1, trans_a=1).T
            X[rows] -= panel[:, w:].T @ own


def solve_upper(plan: Symbolic, panels: Array, X: Array) -> None:
    """X becomes L^-T X; (n, m), contiguous, rows in the order of elimination."""
    for first, end, large in reversed(list(stretches(plan))):
        if large >= 0:
            panel = panel_of(plan, panels, large)
            rows = plan.tree.rows[plan.tree.row_ptr[large] : plan.tree.row_ptr[large + 1]]
            w = panel.shape[0]
            own = X[plan.tree.start[large] : plan.tree.start[large + 1]]
            own -= panel[:, w:] @ X[rows]
            own[:] = dtrsm(1.0, panel[:, :w].T, own.T, side=1, lower=1).T
        _upper_small(first, end, plan.tree, panels, X)


@njit(cache=True, nogil=True)
def _lower_small(first: int, end: int, tree: Tree, panels: Array, X: Array) -> None:
    n_right = X.shape[1]
    for k in range(first, end):
        line = tree.panel_ptr[k]
        w = tree.start[k + 1] - tree.start[k]
        for j in range(tree.start[k], tree.start[k + 1]):
            own = X[j]
            d = panels[line + j - tree.start[k]]
            for t in range(n_right):
                own[t] /= d
            for i in range(j + 1, tree.start[k + 1]):
                f = panels[line + i - tree.start[k]]
                for t in range(n_right):
                    X[i, t] -= f * own[t]
            for q in range(tree.row_ptr[k], tree.row_ptr[k + 1]):
                f = panels[line + w + q - tree.row_ptr[k]]
                i = tree.rows[q]
                for t in range(n_right):
                    X[i, t] -= f * own[t]
            line += w + tree.row_ptr[k + 1] - tree.row_ptr[k]


@njit(cache=True, nogil=True)
def _upper_small(first: int, end: int, tree: Tree, panels: Array, X: Array) -> None:
    n_right = X.shape[1]
    for k in range(end - 1, first - 1, -1):
        w = tree.start[k + 1] - tree.start[k]
        for j in range(tree.start[k + 1] - 1, tree.start[k] - 1, -1):
            line = tree.panel_ptr[k] + (j - tree.start[k]) * (w + tree.row_ptr[k + 1] - tree.row_ptr[k])
            own = X[j]
            for i in range(j + 1, tree.start[k + 1]):
                f = panels[line + i - tree.start[k]]
                for t in range(n_right):
                    own[t] -= f * X[i, t]
            for q in range(tree.row_ptr[k], tree.row_ptr[k + 1]):
                f = panels[line + w + q - tree.row_ptr[k]]
                i = tree.rows[q]
                for t in range(n_right):
                    own[t] -= f * X[i, t]
            d = panels[line + j - tree.start[k]]
            for t in range(n_right):
                own[t] /= d
