"""Which columns of a design are linearly independent, judged as R judges it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def triangular_factor(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """R of X = Q R, shape (min(n, p), p)."""
    return np.asarray(np.linalg.qr(X, mode="r"))


def independent_columns(R: NDArray[np.float64], tol: float = 1e-7) -> NDArray[np.intp]:
    """Columns that R's `qr` keeps, in their original order.

    LINPACK's dqrdc2 as modified by R: columns are taken from left to right, and one whose norm, after
    the columns before it are projected out, has fallen below ``tol`` times its original norm is moved
    to the end. The rule depends on the design only through its triangular factor, so it costs nothing
    in n.

    Parameters
    ----------
    R : ndarray, shape (k, p)
        Upper-triangular factor of an (unpivoted) QR decomposition of the design.
    tol : float
        Relative tolerance; 1e-7 in R's `lm` and lme4.

    Returns
    -------
    ndarray of int, shape (rank,)
        Indices of the columns that stay.

    Examples
    --------
    >>> X = np.column_stack([np.ones(4), np.arange(4.0), 2 * np.arange(4.0) + 3])
    >>> independent_columns(triangular_factor(X))
    array([0, 1])
    """
    work = np.array(R, dtype=np.float64)
    original = np.linalg.norm(work, axis=0)
    original[original == 0.0] = 1.0
    k = work.shape[0]
    kept: list[int] = []
    for j in range(work.shape[1]):
        row = len(kept)
        tail = work[row:, j]
        norm = float(np.linalg.norm(tail))
        if row >= k or norm < tol * original[j] or norm == 0.0:
            continue
        # Householder reflection that puts column j's remainder on its first element
        v = tail.copy()
        v[0] += np.copysign(norm, v[0])
        v /= np.linalg.norm(v)
        work[row:, j:] -= 2.0 * np.outer(v, v @ work[row:, j:])
        kept.append(j)
    return np.array(kept, dtype=np.intp)
