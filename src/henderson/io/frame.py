"""Tables of any kind to typed columns: the only place that knows pandas, polars and pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, cast

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
    levels : tuple of str
    ordered : bool
        Coded by polynomials, as R's ordered factors.
    logical : bool
        A column of booleans: levels FALSE and TRUE, which are kept even when only one occurs.
    """

    codes: IntArray
    levels: tuple[str, ...]
    ordered: bool = False
    logical: bool = False

    @property
    def missing(self) -> Mask | None:
        """Mask of the missing rows, None when there are none."""
        if self.codes.size and self.codes.min() >= 0:
            return None
        return cast(Mask, self.codes < 0)

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

    def recode(self, levels: tuple[str, ...]) -> IntArray:
        """Codes of the rows among other levels: -1 for those that are not there, or missing."""
        if levels == self.levels:
            return self.codes
        position = {level: k for k, level in enumerate(levels)}
        return np.array([position.get(level, -1) for level in self.levels] + [-1], dtype=np.int64)[self.codes]


Column = NumericColumn | FactorColumn


@dataclass(frozen=True, slots=True)
class Table:
    """A caller's table: columns are read one by one, when they are asked for."""

    names: Sequence[str]
    n_rows: int
    fetch: Callable[[str], Any]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def column(self, name: str) -> Column:
        """Read one column.

        Raises
        ------
        DataError
            If it does not exist (with the closest name) or holds something a model cannot use.
        """
        if name not in self.names:
            raise DataError(f"the table has no column {name!r}{closest(name, self.names)}")
        return column_of(self.fetch(name), name)


def closest(name: str, names: Iterable[str]) -> str:
    """A hint at the most similar name, for the end of a message.

    >>> closest("Dayz", ["Reaction", "Days"])
    "; did you mean 'Days'?"
    """
    names = [n for n in names if isinstance(n, str)]
    similar = get_close_matches(name, names, n=1) or [n for n in names if n.lower() == name.lower()]
    if similar:
        return f"; did you mean {similar[0]!r}?"
    shown = ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
    return f"; it has {shown}" if shown else ""


def open_table(data: Any) -> Table:
    """Wrap a pandas, polars or pyarrow table, or a mapping of names to arrays.

    Parameters
    ----------
    data : table or mapping

    Returns
    -------
    Table

    Raises
    ------
    DataError
        For anything else, or columns of unequal length.

    Examples
    --------
    >>> table = open_table({"x": [1.5, None], "g": ["b", "a"]})
    >>> table.column("x").missing
    array([False,  True])
    >>> table.column("g")
    FactorColumn(codes=array([1, 0]), levels=('a', 'b'), ordered=False, logical=False)
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, Mapping):
        return _open_mapping(data)
    if _comes_from(data, "pandas") and hasattr(data, "columns"):
        return Table(names=data.columns.tolist(), n_rows=len(data), fetch=data.__getitem__)
    import narwhals as nw

    try:
        frame = nw.from_native(data, eager_only=True)
    except TypeError:
        lazy = ": collect() the lazy frame first" if hasattr(data, "collect") else ""
        raise DataError(
            f"data is a {type(data).__name__}, not a pandas, polars or pyarrow table or a dict of arrays{lazy}"
        ) from None
    return Table(names=frame.columns, n_rows=len(frame), fetch=frame.get_column)


def _open_mapping(data: Mapping[str, Any]) -> Table:
    lengths = {name: len(v) if hasattr(v, "__len__") and not isinstance(v, str) else 1 for name, v in data.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in list(lengths.items())[:8])
        raise DataError(f"the columns of the table have unequal lengths: {shown}")
    return Table(names=list(data), n_rows=next(iter(lengths.values()), 0), fetch=data.__getitem__)


def _comes_from(value: Any, package: str) -> bool:
    return type(value).__module__.split(".")[0] == package


def column_of(values: Any, name: str) -> Column:
    """One column, of whatever library, as numbers or categories.

    Parameters
    ----------
    values : array-like
        NumPy array, list, or a pandas, polars, pyarrow or narwhals series.
    name : str
        For messages.

    Returns
    -------
    NumericColumn or FactorColumn

    Examples
    --------
    >>> column_of([True, False], "early").levels
    ('FALSE', 'TRUE')
    """
    if isinstance(values, np.ndarray):
        return _from_numpy(values, name)
    if _comes_from(values, "pandas"):
        return _from_pandas(values, name)
    if _comes_from(values, "polars") or _comes_from(values, "pyarrow") or _comes_from(values, "narwhals"):
        return _from_narwhals(values, name)
    array = np.asarray(values) if np.ndim(values) != 1 else np.array(list(values))
    if array.dtype.kind not in "biuf":
        array = np.array([values] if np.ndim(values) == 0 else list(values), dtype=object)
    return _from_numpy(np.atleast_1d(array), name)


def _from_numpy(values: NDArray[Any], name: str) -> Column:
    if values.ndim != 1:
        if values.ndim == 2 and values.dtype.kind in "iuf":
            return numeric_column(values)
        raise DataError(f"column {name!r} has {values.ndim} dimensions where one is expected")
    kind = values.dtype.kind
    if kind in "iuf":
        return numeric_column(values)
    if kind == "b":
        return logical_column(values)
    if kind in "US":
        return string_column(values.astype(str).astype(object))
    if kind == "O":
        return _from_objects(values, name)
    raise DataError(
        f"column {name!r} holds {'dates or times' if kind in 'mM' else values.dtype}: "
        "turn it into numbers (such as days since a start), or into strings for categories"
    )


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


def _from_objects(values: NDArray[Any], name: str) -> Column:
    import pandas as pd

    missing: Mask = np.asarray(pd.isna(values), dtype=bool)
    present = values[~missing]
    types = set(map(type, present))
    if types and all(issubclass(t, str) for t in types):
        return string_column(values)
    if types and all(issubclass(t, bool | np.bool_) for t in types):
        filled = np.zeros(len(values), dtype=bool)
        filled[~missing] = present.astype(bool)
        return logical_column(filled, missing)
    if any(issubclass(t, bool | np.bool_ | str) for t in types):
        mixed = " and ".join(sorted(t.__name__ for t in types))
        raise DataError(f"column {name!r} mixes {mixed}: make it all numbers or all strings")
    integers = bool(types) and all(issubclass(t, int | np.integer) for t in types)
    filled = np.zeros(len(values), dtype=np.int64 if integers else np.float64)
    try:
        filled[~missing] = present.astype(filled.dtype)
    except (TypeError, ValueError):
        held = " and ".join(sorted(t.__name__ for t in types))
        raise DataError(f"column {name!r} holds {held} values, which are no numbers or strings") from None
    return _masked(filled, missing)


def _masked(values: NDArray[Any], missing: Mask) -> NumericColumn:
    """Numbers with the missing ones marked; as NaN too where the type has one."""
    if not missing.any():
        return numeric_column(values)
    if values.dtype.kind == "f":
        values = values.copy()
        values[missing] = np.nan
        missing = np.isnan(values)
    return NumericColumn(values, missing)


def _from_pandas(values: Any, name: str) -> Column:
    import pandas as pd

    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        return _from_numpy(values.to_numpy(), name)
    if isinstance(dtype, pd.CategoricalDtype):
        held = values.array if isinstance(values, pd.Series | pd.Index) else values
        levels = level_labels(held.categories.to_numpy())
        return FactorColumn(held.codes.astype(np.int64), levels, bool(held.ordered))
    if isinstance(dtype, pd.StringDtype):
        return string_column(values)
    kind = pd.api.types
    missing: Mask = np.asarray(values.isna(), dtype=bool)
    if kind.is_bool_dtype(dtype):
        return logical_column(values.to_numpy(dtype=bool, na_value=False), missing)
    if kind.is_integer_dtype(dtype):
        return _masked(values.to_numpy(dtype=np.int64, na_value=0), missing)
    if kind.is_float_dtype(dtype):
        return _masked(values.to_numpy(dtype=np.float64, na_value=np.nan), missing)
    if kind.is_string_dtype(dtype):
        return string_column(values)
    if "dictionary" in str(dtype):
        return _from_pandas(values.astype("category"), name)
    raise DataError(f"column {name!r} has type {dtype}: turn it into numbers, or into strings for categories")


def _from_narwhals(values: Any, name: str) -> Column:
    import narwhals as nw

    if _comes_from(values, "pyarrow") and not hasattr(values, "combine_chunks"):
        import pyarrow as pa

        values = pa.chunked_array([values])
    series = nw.from_native(values, series_only=True)
    if series.implementation.is_pandas():
        return _from_pandas(series.to_native(), name)
    dtype = series.dtype
    if dtype == nw.Enum or dtype == nw.Categorical:
        native = series.to_native()
        return _from_arrow_dictionary(native) if series.implementation.is_pyarrow() else _from_polars(native)
    if dtype == nw.String:
        return string_column(np.asarray(series.to_numpy(), dtype=object))
    missing: Mask = np.asarray(series.is_null().to_numpy(), dtype=bool)
    if dtype == nw.Boolean:
        return logical_column(np.asarray(series.fill_null(False).to_numpy(), dtype=bool), missing)
    if dtype.is_integer():
        return _masked(np.asarray(series.fill_null(0).to_numpy()), missing)
    if dtype.is_numeric():
        return _masked(np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64), missing)
    raise DataError(f"column {name!r} has type {dtype}: turn it into numbers, or into strings for categories")


def _from_polars(series: Any) -> FactorColumn:
    """A polars Enum, in its own order, or Categorical, which polars itself orders by label."""
    import polars as pl

    physical = series.to_physical()
    if isinstance(series.dtype, pl.Enum):
        codes = physical.cast(pl.Int64).fill_null(-1).to_numpy()
        return FactorColumn(codes, tuple(series.dtype.categories.to_list()))
    distinct = series.drop_nulls().unique()
    found = sorted(zip(distinct.cast(pl.String).to_list(), distinct.to_physical().to_list(), strict=True))
    rank = np.full(max((code for _, code in found), default=-1) + 2, -1, dtype=np.int64)
    rank[[code for _, code in found]] = np.arange(len(found))
    return FactorColumn(
        rank[physical.cast(pl.Int64).fill_null(-1).to_numpy()], tuple(label for label, _ in found)
    )


def _from_arrow_dictionary(series: Any) -> FactorColumn:
    import pyarrow as pa

    array = series.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    levels = level_labels(np.asarray(array.dictionary.to_pylist(), dtype=object))
    return FactorColumn(codes, levels, bool(series.type.ordered))


def level_labels(values: NDArray[Any]) -> tuple[str, ...]:
    """Labels of levels: whole numbers without a decimal point, others with up to 15 digits.

    >>> level_labels(np.array([1.0, 2.5]))
    ('1', '2.5')
    """
    return tuple(_label(v) for v in values.tolist())


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
        return FactorColumn(codes, level_labels(found))
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[~column.missing], found = factorise(values[~column.missing])
    return FactorColumn(codes, level_labels(found))


def factorise(values: NDArray[Any]) -> tuple[IntArray, NDArray[Any]]:
    """Codes and sorted distinct values of an array without missing values.

    >>> factorise(np.array([7, 3, 7]))
    (array([1, 0, 1]), array([3, 7]))
    """
    if values.size and values.dtype.kind in "iu":
        low = values.min()
        span = int(values.max()) - int(low)
        # Identifiers are often dense: a counting sort then beats hashing.
        if span < 4 * values.size + 1000:
            shifted = (values - low).astype(np.int64)
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
