"""R's contrasts: matrices and the names of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.formula.deparse import deparse
from henderson.formula.syntax import Call, Name, Node, Number, String
from henderson.io.frame import closest

Contrast = tuple[NDArray[np.float64], tuple[str, ...]]

NAMES = ("treatment", "sum", "helmert", "poly", "SAS")


def contrast_matrix(kind: Any, levels: Sequence[str], factor: str) -> Contrast:
    """The coding of a factor's levels, and what is appended to its name for each column.

    Parameters
    ----------
    kind : str or array_like, shape (l, k)
        ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"``, ``"SAS"``, with or without R's ``"contr."``;
        or the matrix itself. A data frame has the levels as its index, and its columns name those of the
        design. As in R, a matrix of fewer than l - 1 columns is completed to l - 1.
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
            raise DataError(
                f"contrasts for {factor!r}: {kind!r} is none of {', '.join(NAMES)}, nor a matrix"
                f"{_similar(kind.removeprefix('contr.'))}"
            )


def _similar(name: str) -> str:
    hint = closest(name, NAMES)
    return hint if hint.endswith("?") else ""


def contrast_in(node: Node) -> tuple[str | None, int | None]:
    """The contrasts that a variable asks for itself, as ``C(f, contr.sum)`` does, and how many of them.

    Returns
    -------
    kind : str or None
    how_many : int or None
        None for all.

    Raises
    ------
    DataError
        For contrasts that are not given by name.

    Examples
    --------
    >>> from henderson.formula.syntax import parse
    >>> contrast_in(parse("C(f, poly, 1)")), contrast_in(parse("f"))
    (('poly', 1), (None, None))
    """
    match node:
        case Call("C", (_, (None | "contr", Name(kind) | String(kind)))):
            return kind, None
        case Call("C", (_, (None | "contr", Name(kind) | String(kind)), (None | "how.many", Number(count)))):
            return kind, int(count)
        case Call("C", (_, _, *_)):
            raise DataError(
                f"{deparse(node)}: contrasts are given by name here, such as contr.sum; "
                f"a matrix goes into the argument contrasts={{{deparse(node.arguments[0][1])!r}: ...}}"
            )
        case _:
            return None, None


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
    names: tuple[str, ...] = ()
    if isinstance(kind, pd.DataFrame):
        rows = [str(label) for label in kind.index]
        if sorted(rows) == sorted(levels):
            matrix = matrix[[rows.index(level) for level in levels]]
        elif not isinstance(kind.index, pd.RangeIndex):
            raise DataError(
                f"contrasts for {factor!r}: the rows of the matrix are labelled {', '.join(rows[:8])}, "
                f"and the levels are {', '.join(levels[:8])}"
            )
        if all(isinstance(name, str) for name in kind.columns):
            names = tuple(kind.columns)
    return matrix, names or tuple(str(k + 1) for k in range(matrix.shape[1]))


def orthogonal_polynomials(n: int) -> NDArray[np.float64]:
    """R's contr.poly: orthonormal polynomials of degree 1 to n - 1 over n equally spaced scores.

    >>> orthogonal_polynomials(2).round(3)
    array([[-0.707],
           [ 0.707]])
    """
    scores = np.arange(n) - (n - 1) / 2
    q, r = np.linalg.qr(np.vander(scores, n, increasing=True))
    return np.asarray((q * np.sign(np.diag(r)))[:, 1:])
