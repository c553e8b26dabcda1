"""R's contrasts: matrices and the names of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError

Contrast = tuple[NDArray[np.float64], tuple[str, ...]]

NAMES = ("treatment", "sum", "helmert", "poly", "SAS")


def contrast_matrix(kind: Any, levels: Sequence[str], factor: str) -> Contrast:
    """The coding of a factor's levels, and what is appended to its name for each column.

    Parameters
    ----------
    kind : str or array_like, shape (l, k)
        ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"``, ``"SAS"``, with or without R's ``"contr."``;
        or the matrix itself. A data frame has the levels as its index, and its columns name those of the
        design.
    levels : sequence of str, length l
    factor : str
        Its name, for messages.

    Returns
    -------
    matrix : ndarray, shape (l, k)
    suffixes : tuple of str, length k

    Raises
    ------
    DataError
        For an unknown kind or a matrix that does not fit the levels.

    Examples
    --------
    >>> contrast_matrix("sum", ["a", "b", "c"], "f")
    (array([[ 1.,  0.],
           [ 0.,  1.],
           [-1., -1.]]), ('1', '2'))
    """
    n = len(levels)
    if not isinstance(kind, str):
        return _given(kind, levels, factor)
    identity = np.eye(n)
    numbers = tuple(str(k) for k in range(1, n))
    match kind.removeprefix("contr."):
        case "treatment":
            return identity[:, 1:], tuple(levels[1:])
        case "SAS":
            return identity[:, :-1], tuple(levels[:-1])
        case "sum":
            return np.vstack([np.eye(n - 1), -np.ones(n - 1)]), numbers
        case "helmert":
            rows = np.arange(n)[:, None]
            steps = np.arange(1, n)[None, :]
            return np.where(rows < steps, -1.0, np.where(rows == steps, steps, 0.0)), numbers
        case "poly":
            return orthogonal_polynomials(n), (".L", ".Q", ".C", *(f"^{k}" for k in range(4, n)))[: n - 1]
        case _:
            raise DataError(f"contrasts for {factor!r}: {kind!r} is none of {', '.join(NAMES)}, nor a matrix")


def _given(kind: Any, levels: Sequence[str], factor: str) -> Contrast:
    import pandas as pd

    try:
        matrix = np.asarray(kind, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"contrasts for {factor!r}: give one of {', '.join(NAMES)}, or a matrix of numbers ({error})"
        ) from None
    if matrix.ndim != 2 or matrix.shape[0] != len(levels) or matrix.shape[1] >= len(levels):
        raise DataError(
            f"contrasts for {factor!r}: the matrix has shape {matrix.shape}, but {len(levels)} levels "
            f"({', '.join(levels[:8])}) occur in the rows used: give it one row per level and fewer columns"
        )
    if not np.isfinite(matrix).all():
        raise DataError(f"contrasts for {factor!r}: the matrix has missing or infinite entries")
    suffixes = tuple(str(k + 1) for k in range(matrix.shape[1]))
    if not isinstance(kind, pd.DataFrame):
        return matrix, suffixes
    if all(isinstance(name, str) for name in kind.columns):
        suffixes = tuple(kind.columns)
    rows = [str(label) for label in kind.index]
    if sorted(rows) == sorted(levels):
        return matrix[[rows.index(level) for level in levels]], suffixes
    if not isinstance(kind.index, pd.RangeIndex):
        raise DataError(
            f"contrasts for {factor!r}: the rows of the matrix are labelled {', '.join(rows[:8])}, "
            f"and the levels are {', '.join(levels[:8])}"
        )
    return matrix, suffixes


def orthogonal_polynomials(n: int) -> NDArray[np.float64]:
    """R's contr.poly: orthonormal polynomials of degree 1 to n - 1 over n equally spaced scores.

    >>> orthogonal_polynomials(2).round(3)
    array([[-0.707],
           [ 0.707]])
    """
    scores = np.arange(n) - (n - 1) / 2
    q, r = np.linalg.qr(np.vander(scores, n, increasing=True))
    return np.asarray((q * np.sign(np.diag(r)))[:, 1:])
