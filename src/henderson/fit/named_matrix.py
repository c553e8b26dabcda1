"""A dense relationship matrix and the names of its rows, out of what a user has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import RelationshipMatrix
from henderson.covariance.named import as_name
from henderson.errors import DataError

Array = NDArray[np.float64]
#: The two triangles may differ by this part of the largest diagonal element; they are averaged.
ASYMMETRY = 1e-6
#: Rows that are looked at together, so that a check needs no second matrix.
BLOCK = 256


def named_matrix(given: Any, place: str) -> tuple[Array, list[str]]:
    """The matrix, which is square, and the names of its rows.

    Parameters
    ----------
    given : RelationshipMatrix or pandas DataFrame
        A frame has the names as its index and, in the same order, as its columns.
    place : str
        What to call it in messages.

    Raises
    ------
    DataError
        If it is something else, is not square, holds something that is no number or names a row twice.
    """
    if isinstance(given, RelationshipMatrix):
        matrix, names = np.asarray(given.matrix), np.asarray(given.samples.iid).tolist()
    elif is_frame(given):
        names = [as_name(x) for x in given.index]
        columns = [as_name(x) for x in given.columns]
        if len(names) == len(columns) and names != columns:
            i = next(i for i, (a, b) in enumerate(zip(names, columns, strict=True)) if a != b)
            raise DataError(
                f"the columns of {place} are not named as its rows: in place {i} (counted from 0) the row is "
                f"{names[i]!r} and the column {columns[i]!r}; a matrix read from a file may need index_col=0"
            )
        matrix = _numbers(given, place)
    else:
        raise DataError(
            f"{place} is of type {type(given).__name__}, which does not name its people; give "
            "hd.RelationshipMatrix.of(matrix, names), a pandas DataFrame with their names as index and as "
            "columns, a pedigree, or a sparse relationship with names"
        )
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        shape = " x ".join(map(str, matrix.shape))
        raise DataError(f"{place} is {shape}, and a relationship matrix is square")
    check_unique(names, place)
    return np.asarray(matrix, np.float64), names


def known_matrix(given: Any, place: str) -> tuple[Array, list[str]]:
    """The matrix and its names, once it is sure that it is finite and symmetric; see `named_matrix`."""
    matrix, names = named_matrix(given, place)
    i, _ = unknown_numbers(matrix)
    if i.size:
        raise unknown_in_row(names[int(np.argmax(np.bincount(i)))], place)
    return symmetric(matrix, names, place), names


def is_frame(given: Any) -> bool:
    """Whether something is a pandas DataFrame; pandas need not be there."""
    return type(given).__module__.startswith("pandas") and hasattr(given, "columns")


def check_unique(names: Sequence[str], place: str) -> None:
    """Refuse a name that occurs twice."""
    if len(set(names)) == len(names):
        return
    twice = [name for name, count in Counter(names).items() if count > 1]
    s = "s" if len(twice) > 1 else ""
    raise DataError(
        f"{place} has {len(twice)} name{s} more than once ({some(twice)}), so that rows cannot be told "
        "apart; make the identifiers unique"
    )


def symmetric(G: Array, names: Sequence[str], place: str) -> Array:
    """The matrix itself, or the mean of its two triangles where they differ by rounding.

    Raises
    ------
    DataError
        If they differ by more; the message names the place where they do most.
    """
    worst, where = 0.0, (0, 0)
    for start in range(0, G.shape[0], BLOCK):
        rows = slice(start, min(start + BLOCK, G.shape[0]))
        gap = np.abs(G[rows] - G[:, rows].T)
        at = np.unravel_index(int(gap.argmax()), gap.shape)
        if gap[at] > worst:
            worst, where = float(gap[at]), (start + int(at[0]), int(at[1]))
    if worst > ASYMMETRY * float(np.abs(np.diag(G)).max()):
        i, j = where
        raise DataError(
            f"{place} is not symmetric: it has {G[i, j]:.8g} in row {names[i]!r}, column {names[j]!r} and "
            f"{G[j, i]:.8g} the other way round; is it a triangle only?"
        )
    return G if worst == 0.0 else 0.5 * (G + G.T)


def unknown_numbers(G: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the elements that are missing or infinite."""
    rows, columns = [], []
    for start in range(0, G.shape[0], BLOCK):
        i, j = np.nonzero(~np.isfinite(G[start : start + BLOCK]))
        rows.append(i + start)
        columns.append(j)
    return np.concatenate(rows), np.concatenate(columns)


def unknown_in_row(name: str, place: str) -> DataError:
    """The refusal of an element that is missing or infinite."""
    return DataError(
        f"{place} has a missing or infinite number in the row of {name!r}: mend it or leave this person out"
    )


def some(names: Sequence[str]) -> str:
    """The first three, in quotes."""
    return ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")


def _numbers(frame: Any, place: str) -> NDArray[Any]:
    try:
        return np.asarray(frame.to_numpy(dtype=np.float64))
    except (TypeError, ValueError):
        bad = next((repr(name) for name, column in frame.items() if not _is_numbers(column)), "?")
        raise DataError(f"{place} must hold numbers only; column {bad} holds something else") from None


def _is_numbers(column: Any) -> bool:
    try:
        column.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True
