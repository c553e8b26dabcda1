"""R's functions that make factors: the order of levels and their labels are R's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.io.columns import FactorColumn, as_factor, factorise
from henderson.io.frame import closest, column_of


def to_factor(x: Any) -> FactorColumn:
    """Categories from anything that a formula can hold."""
    return x if isinstance(x, FactorColumn) else as_factor(column_of(np.asarray(x), "factor()"))


def factor(x: Any, levels: Any = None, labels: Any = None, *, ordered: bool | None = None) -> FactorColumn:
    """R's ``factor(x)``: categories from anything, in sorted order or in the order given.

    Parameters
    ----------
    x : array_like or FactorColumn
    levels : array_like, optional
        Those to keep, in their order; other values become missing.
    labels : array_like of str, optional
        New names of the levels; levels of one name become one.
    ordered : bool, optional
        By default as `x` is.

    Returns
    -------
    FactorColumn

    Raises
    ------
    DataError
        If levels and labels differ in number.

    Examples
    --------
    >>> factor(np.array([3, 1, 3])).levels
    ('1', '3')
    >>> factor(np.array([3, 1, 3]), labels=["one", "three"]).levels
    ('one', 'three')
    """
    found = to_factor(x)
    kept = found.ordered if ordered is None else bool(ordered)
    if levels is None:
        result = FactorColumn(found.codes, found.levels, kept).drop_unused()
    else:
        given = _strings(levels)
        result = FactorColumn(found.recode(given), given, kept)
    return result if labels is None else relabelled(result, _strings(labels))


def relabelled(column: FactorColumn, labels: Sequence[str]) -> FactorColumn:
    """The same categories under other names; those that share a name become one."""
    if len(labels) != len(column.levels):
        raise DataError(f"there are {len(labels)} labels for {len(column.levels)} levels")
    levels = tuple(dict.fromkeys(labels))
    place = {level: k for k, level in enumerate(levels)}
    places = np.array([*(place[label] for label in labels), -1], dtype=np.int64)
    return FactorColumn(places[column.codes], levels, column.ordered)


def ordered(x: Any, levels: Any = None, labels: Any = None) -> FactorColumn:
    """R's ``ordered(x)``."""
    return factor(x, levels, labels, ordered=True)


def relevel(x: Any, ref: str | float, *, state: dict[str, Any]) -> FactorColumn:
    """R's ``relevel(f, ref)``: the reference becomes the first level, the others keep their order.

    New data may lack it: the model knows its levels by their names.

    Examples
    --------
    >>> relevel(factor(["a", "b", "c"]), "c", state={}).levels
    ('c', 'a', 'b')
    """
    if isinstance(x, np.ndarray) and x.dtype.kind in "iuf":
        raise DataError("these are numbers: write factor() around them first")
    column = to_factor(x)
    if column.ordered:
        raise DataError("the levels are in order: write factor(..., ordered = FALSE) around them first")
    if state:
        return column
    levels = tuple(column.levels)
    if isinstance(ref, float) and 1 <= ref <= len(levels) and ref == int(ref):
        ref = levels[int(ref) - 1]
    if ref not in levels:
        raise DataError(f"there is no level {_shown(ref)}{closest(_shown(ref), levels)}")
    state["ref"] = ref
    first = (ref, *(level for level in levels if level != ref))
    return FactorColumn(column.recode(first), first)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def droplevels(x: Any) -> FactorColumn:
    """R's ``droplevels(f)``; a model does it to every factor anyway.

    >>> droplevels(FactorColumn(np.array([0, 2]), ("a", "b", "c"))).levels
    ('a', 'c')
    """
    return to_factor(x).drop_unused()


def interaction(*factors: Any, drop: bool = False, sep: str = ".", lex_order: bool = False) -> FactorColumn:
    """R's ``interaction(a, b)``: the levels of the first factor vary fastest, unless `lex_order`.

    Only combinations that occur are made, since a model drops the others, whatever `drop` says.

    Examples
    --------
    >>> interaction(np.array(["a", "a", "b"]), np.array(["p", "q", "p"])).levels
    ('a.p', 'b.p', 'a.q')
    """
    if not factors:
        raise DataError("at least one factor is needed")
    columns = [to_factor(x) for x in factors]
    slowest = columns if lex_order else columns[::-1]
    codes, parts = slowest[0].codes, [(level,) for level in slowest[0].levels]
    for column in slowest[1:]:
        width = len(column.levels)
        codes, keys = factorise(codes * width + column.codes)
        parts = [(*parts[key // width], column.levels[key % width]) for key in keys.tolist()]
    labels = [sep.join(part if lex_order else part[::-1]) for part in parts]
    return relabelled(FactorColumn(codes, labels), labels)


def cut(
    x: NDArray[np.float64],
    breaks: Any,
    labels: Any = None,
    include_lowest: bool = False,
    right: bool = True,
    *,
    dig_lab: float = 3,
    ordered_result: bool = False,
    state: dict[str, Any],
) -> FactorColumn | NDArray[np.float64]:
    """R's ``cut(x, breaks)``: intervals, with R's labels. Values outside of all are missing.

    Parameters
    ----------
    x : ndarray, shape (n,)
    breaks : float or array_like
        The number of intervals of equal width, or their ends.
    labels : array_like of str, or False, optional
        Names of the intervals; False for their numbers instead of a factor.
    include_lowest : bool
        Whether the outermost end that is open belongs to its interval.
    right : bool
        Whether intervals are closed at their right, as ``(a,b]``.
    dig_lab : int
        Digits in labels; more where they would coincide.
    ordered_result : bool
    state : dict
        The breaks, filled at the first call.

    Returns
    -------
    FactorColumn or ndarray

    Raises
    ------
    DataError
        For breaks that make no intervals, or another number of labels.

    Examples
    --------
    >>> cut(np.array([1.0, 2.0, 5.0]), [0.0, 2.0, 5.0], state={}).levels
    ('(0,2]', '(2,5]')
    """
    if not state:
        state["breaks"] = _breaks(x, breaks)
    ends: NDArray[np.float64] = state["breaks"]
    n = len(ends) - 1
    codes = np.searchsorted(ends, x, side="left" if right else "right") - 1
    codes[(codes < 0) | (codes >= n)] = -1
    if include_lowest:
        codes[x == (ends[0] if right else ends[-1])] = 0 if right else n - 1
    if labels is False:
        return np.where(codes < 0, np.nan, codes + 1.0)
    if labels is not None:
        names: Sequence[str] = _strings(labels)
    else:
        names = _intervals(ends, int(dig_lab), right=right, closed=include_lowest)
    return relabelled(FactorColumn(codes, tuple(map(str, range(n))), bool(ordered_result)), names)


def _breaks(x: NDArray[np.float64], breaks: Any) -> NDArray[np.float64]:
    ends = np.sort(np.ravel(breaks).astype(np.float64))
    if len(ends) > 1:
        if np.isnan(ends).any() or (np.diff(ends) == 0).any():
            raise DataError("the breaks must be different numbers")
        return ends
    if not (len(ends) and ends[0] >= 2):
        raise DataError("breaks must be a number of intervals from 2, or the ends c(a, b, ...)")
    if not len(x):
        raise DataError("there are no values to divide into intervals")
    low, high, n = float(x.min()), float(x.max()), int(ends[0])
    if low == high:
        margin = (abs(low) or 1.0) / 1000
        return np.linspace(low - margin, high + margin, n + 1)
    margin = (high - low) / 1000
    ends = np.linspace(low, high, n + 1)
    # Where the margin is lost to rounding, the neighbours of the extremes: no value is left out
    ends[0] = min(low - margin, np.nextafter(low, -np.inf))
    ends[-1] = max(high + margin, np.nextafter(high, np.inf))
    return ends


def _intervals(ends: NDArray[np.float64], digits: int, *, right: bool, closed: bool) -> Sequence[str]:
    """R's labels: as few digits as tell the breaks apart, at least `digits`."""
    for places in range(digits, max(12, digits) + 1):
        shown = [f"{end:.{places}g}" for end in (ends + 0.0).tolist()]
        if len(set(shown)) == len(shown):
            break
    else:
        return [f"Range_{k + 1}" for k in range(len(ends) - 1)]
    # R pads the infinite ends to one width.
    shown = [
        end.replace("-inf", "-Inf").replace("inf", " Inf" if "-inf" in shown else "Inf") for end in shown
    ]
    opening, closing = ("(", "]") if right else ("[", ")")
    labels = [f"{opening}{a},{b}{closing}" for a, b in pairwise(shown)]
    if closed and right:
        labels[0] = "[" + labels[0][1:]
    elif closed:
        labels[-1] = labels[-1][:-1] + "]"
    return labels


def _strings(values: Any) -> tuple[str, ...]:
    """Labels in the order given, numbers as R writes them."""
    found = to_factor(values)
    return tuple(found.levels[k] for k in found.codes)
