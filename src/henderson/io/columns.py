"""The two kinds of column that a model knows: numbers and categories."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError

IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]

LOGICAL_LEVELS = ("FALSE", "TRUE")


@dataclass(frozen=True, slots=True)
class NumericColumn:
    """Numbers.

    Attributes
    ----------
    values : ndarray, shape (n,) or (n, k)
        Integers stay integers, so that long identifiers keep every digit.
    missing : ndarray of bool, shape (n,), or None
        None when nothing is missing.
    """

    values: NDArray[Any]
    missing: Mask | None = None

    def take(self, rows: NDArray[Any]) -> NumericColumn:
        """The column at these rows."""
        return NumericColumn(self.values[rows], None if self.missing is None else self.missing[rows])


@dataclass(frozen=True, slots=True)
class FactorColumn:
    """Categories.

    Attributes
    ----------
    codes : ndarray of int64, shape (n,)
        Position in `levels`; -1 where missing.
    levels : sequence of str
    ordered : bool
        Coded by polynomials, as R's ordered factors.
    logical : bool
        A column of booleans: levels FALSE and TRUE, which are kept even when only one occurs.
    """

    codes: IntArray
    levels: Sequence[str]
    ordered: bool = False
    logical: bool = False

    @property
    def missing(self) -> Mask | None:
        """Mask of the missing rows, None when there are none."""
        if self.codes.size and self.codes.min() >= 0:
            return None
        return self.codes < 0

    def take(self, rows: NDArray[Any]) -> FactorColumn:
        """The column at these rows, with the same levels."""
        return FactorColumn(self.codes[rows], self.levels, self.ordered, self.logical)

    def drop_unused(self) -> FactorColumn:
        """The same column without the levels that no row has."""
        if self.logical:
            return self
        counts = np.bincount(self.codes[self.codes >= 0] if self.missing is not None else self.codes)
        used = np.flatnonzero(counts)
        if len(used) == len(self.levels):
            return self
        rank = np.full(len(self.levels) + 1, -1, dtype=np.int64)
        rank[used] = np.arange(len(used))
        return FactorColumn(rank[self.codes], tuple(self.levels[k] for k in used.tolist()), self.ordered)

    def labels(self) -> NDArray[np.object_]:
        """The label of every row, None where missing."""
        return np.array([*self.levels, None], dtype=object)[self.codes]

    def recode(self, levels: Sequence[str]) -> IntArray:
        """Codes of the rows among other levels: -1 for those that are not there, or missing."""
        if levels == self.levels:
            return self.codes
        position = {level: k for k, level in enumerate(levels)}
        return np.array([position.get(level, -1) for level in self.levels] + [-1], dtype=np.int64)[self.codes]


Column = NumericColumn | FactorColumn


def numeric_column(values: NDArray[Any]) -> NumericColumn:
    """Wrap numbers; NaN is missing."""
    if values.dtype.kind != "f":
        return NumericColumn(values)
    if not np.isnan(values).any():
        return NumericColumn(values)
    nan = np.isnan(values)
    return NumericColumn(values, nan if values.ndim == 1 else nan.any(axis=1))


def logical_column(values: NDArray[Any], missing: Mask | None = None) -> FactorColumn:
    """Wrap booleans."""
    codes = values.astype(np.int64)
    if missing is not None:
        codes[missing] = -1
    return FactorColumn(codes, LOGICAL_LEVELS, logical=True)


def string_column(values: Any) -> FactorColumn:
    """Factor of strings, with the levels sorted."""
    import pandas as pd

    codes, found = pd.factorize(values)
    labels = [str(v) for v in found]
    order = np.array(sorted(range(len(labels)), key=labels.__getitem__), dtype=np.int64)
    rank = np.full(len(labels) + 1, -1, dtype=np.int64)
    rank[order] = np.arange(len(labels))
    return FactorColumn(rank[codes], tuple(labels[k] for k in order.tolist()))


def masked_numbers(values: NDArray[Any], missing: Mask) -> NumericColumn:
    """Numbers with the missing ones marked; as NaN too where the type has one."""
    if not missing.any():
        return numeric_column(values)
    if values.dtype.kind == "f":
        values = values.copy()
        values[missing] = np.nan
        missing = np.isnan(values)
    return NumericColumn(values, missing)


class Labels(Sequence[str]):
    """Labels of levels that were numbers, made when they are first read.

    Whole numbers stand without a decimal point, others with up to 15 digits. A factor with 100,000 levels
    is fitted without one of them.

    Examples
    --------
    >>> Labels(np.array([1.0, 2.5]))
    ('1', '2.5')
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values

    @property
    def values(self) -> NDArray[Any]:
        """What the labels are made from."""
        return self._values

    @cached_property
    def _strings(self) -> tuple[str, ...]:
        listed = self._values.tolist()
        plain = set(map(type, listed)) <= {str, int}
        return tuple(map(str if plain else _label, listed))

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self._strings[index]

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and self._strings == tuple(other)

    def __hash__(self) -> int:
        return hash(self._strings)

    def __repr__(self) -> str:
        return repr(self._strings)

    def __getstate__(self) -> dict[str, Any]:
        return {"_values": self._values}


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return LOGICAL_LEVELS[value]
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    return str(value)


def as_factor(column: Column) -> FactorColumn:
    """Categories from any column; numbers are sorted as numbers.

    Parameters
    ----------
    column : NumericColumn or FactorColumn

    Returns
    -------
    FactorColumn

    Examples
    --------
    >>> as_factor(NumericColumn(np.array([10, 9, 10]))).levels
    ('9', '10')
    """
    if isinstance(column, FactorColumn):
        return column
    values = column.values
    if column.missing is None:
        codes, found = factorise(values)
        return FactorColumn(codes, Labels(found))
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[~column.missing], found = factorise(values[~column.missing])
    return FactorColumn(codes, Labels(found))


def factorise(values: NDArray[Any]) -> tuple[IntArray, NDArray[Any]]:
    """Codes and sorted distinct values of an array without missing values.

    >>> factorise(np.array([7, 3, 7]))
    (array([1, 0, 1]), array([3, 7]))
    """
    if values.size and values.dtype.kind in "iu" and values.dtype != np.uint64:
        values = values.astype(np.int64, copy=False)
        low = values.min()
        span = int(values.max()) - int(low)
        # Identifiers are often dense: a counting sort then beats hashing.
        if span < 4 * values.size + 1000:
            shifted = values - low
            found = np.flatnonzero(np.bincount(shifted))
            if len(found) == span + 1:
                return shifted, found + low
            rank = np.empty(span + 1, dtype=np.int64)
            rank[found] = np.arange(len(found))
            return rank[shifted], found + low
    import pandas as pd

    first, distinct = pd.factorize(values)
    order = np.argsort(distinct)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[first], np.asarray(distinct)[order]


def as_numbers(column: Column, role: str) -> NDArray[np.float64]:
    """A column as one float per row, NaN where missing.

    Raises
    ------
    DataError
        If it holds categories or several numbers per row.
    """
    if isinstance(column, NumericColumn):
        values = column.values
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim == 1:
            values = values.astype(np.float64)
            if column.missing is not None:
                values[column.missing] = np.nan
            return values
        raise DataError(f"the {role} has {values.shape[1]} columns, and one is needed")
    if column.logical:
        values = column.codes.astype(np.float64)
        values[column.codes < 0] = np.nan
        return values
    shown = ", ".join(column.levels[:4]) + (", ..." if len(column.levels) > 4 else "")
    raise DataError(
        f"the {role} holds categories ({shown}), and numbers are needed{_how_to_convert(column.levels)}"
    )


def _how_to_convert(levels: Sequence[str]) -> str:
    """What stands in the way of reading text as numbers, for the end of a message; nothing for other text."""
    if not levels:
        return ""
    stray = [level for level in levels if not _is_number(level)]
    if not stray:
        return ": they are numbers kept as text, convert the column first (pandas.to_numeric)"
    if all(re.match(r"\d{4}-\d\d-\d\d", level) for level in stray):
        return ": they are dates kept as text, make numbers of them, such as days since the first"
    if all(_is_number(level.replace(",", ".", 1)) for level in stray):
        return ": they have decimal commas, read the file with decimal=',' or replace each by a point"
    if len(stray) <= max(3, len(levels) // 10) and len(stray) < len(levels) / 2:
        words = ", ".join(map(repr, stray[:3])) + (", ..." if len(stray) > 3 else "")
        return f": all but {words} are numbers, so mend those or make them missing"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def unusable(name: str, held: str) -> DataError:
    """The error for a column of neither numbers nor categories; ``held`` says of what.

    >>> print(unusable("t", "complex values"))
    column 't' holds complex values, which are no numbers or strings: take their real part or modulus
    """
    kind = held.lower()
    if "complex" in kind:
        mend = "take their real part or modulus"
    elif any(word in kind for word in ("date", "time", "period", "duration")):
        days = f"({name} - {name}.min()).dt.days"
        mend = f"turn them into numbers, such as the days {days}, or into strings for categories"
    else:
        mend = "turn them into numbers, one for each row, or into strings for categories"
    return DataError(f"column {name!r} holds {held}, which are no numbers or strings: {mend}")
