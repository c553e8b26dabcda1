"""Tables of any kind to typed columns; `arrow_columns` has what is special to polars and pyarrow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.io.arrow_columns import column_of_series
from henderson.io.columns import (
    Column,
    FactorColumn,
    Labels,
    logical_column,
    masked_numbers,
    numeric_column,
    string_column,
    unusable,
)

if TYPE_CHECKING:
    import pandas as pd

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Table:
    """A caller's table: columns are read one by one, when they are asked for.

    Attributes
    ----------
    names : sequence of str
    n_rows : int
    fetch : callable
        A column as it came.
    index : pandas.Index or None
        Labels of the rows, where the table is of pandas.
    """

    names: Sequence[str]
    n_rows: int
    fetch: Callable[[str], Any]
    index: Any = None

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
            raise DataError(f"the table has no column {name!r}{closest(name, self.names) or '; it has none'}")
        return column_of(self.fetch(name), name)

    def aligned(self, values: Any, name: str) -> Any:
        """Values for the rows of the table: a pandas Series is matched by its index, all else by place.

        Parameters
        ----------
        values : array-like
        name : str
            For messages.

        Raises
        ------
        DataError
            For a Series of the right length whose index is not that of the table in some order.
        """
        if self.index is None or not _is_indexed(values) or len(values) != self.n_rows:
            return values
        if values.index.equals(self.index):
            return values
        unique = values.index.is_unique and self.index.is_unique
        if not (unique and self.index.isin(values.index).all()):
            raise DataError(
                f"the index of {name} is not the index of the table: reindex it, "
                "or give its to_numpy() if its values stand in the order of the rows"
            )
        return values.reindex(self.index)


def closest(name: str, names: Iterable[str]) -> str:
    """A hint at the most similar name, for the end of a message.

    >>> closest("Dayz", ["Reaction", "Days"])
    "; did you mean 'Days'?"
    """
    names = [n for n in names if isinstance(n, str)]
    folded = {n.casefold(): n for n in reversed(names)}
    similar = get_close_matches(name, names, n=1) or [
        folded[n] for n in get_close_matches(name.casefold(), folded, n=1)
    ]
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
    if _comes_from(data, "pandas") and getattr(data, "ndim", 0) == 2 and hasattr(data, "columns"):
        if data.columns.nlevels > 1:
            raise DataError(
                "the columns of the table have names of several levels, and a formula has names of one: join "
                "them first, such as data.columns = ['_'.join(name) for name in data.columns]"
            )
        return Table(data.columns.tolist(), len(data), data.__getitem__, data.index)
    import narwhals as nw

    try:
        frame = nw.from_native(data, eager_only=True)
    except TypeError:
        kind = type(data).__name__
        raise DataError(
            f"data is a{'n' if kind[0] in 'aeiou' else ''} {kind}, not a pandas, polars or pyarrow table, or "
            f"dict of arrays{_how_to_tabulate(data)}"
        ) from None
    return Table(frame.columns, len(frame), frame.get_column, nw.maybe_get_index(frame))


def _how_to_tabulate(data: Any) -> str:
    """How to make a table of something that is none, for the end of a message."""
    if hasattr(data, "collect"):
        return ": collect() the lazy frame first"
    if isinstance(data, str | os.PathLike):
        return ": read the file first, with pandas.read_csv or its like"
    if isinstance(data, np.ndarray):
        return ": name its columns, pandas.DataFrame(data, columns=[...])"
    if hasattr(data, "to_frame"):
        return ": a model needs several columns"
    if isinstance(data, Sequence):
        return ": make one of it with pandas.DataFrame(data)"
    return ""


def to_pandas(data: Any) -> pd.DataFrame:
    """A caller's table as a pandas frame, with the columns it came with.

    >>> to_pandas({"x": [1, 2]}).shape
    (2, 1)
    """
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        table = _open_mapping(data)
        return pd.DataFrame({name: table.fetch(name) for name in table.names})
    import narwhals as nw

    frame: pd.DataFrame = nw.from_native(data, eager_only=True).to_pandas()
    return frame


def _open_mapping(data: Mapping[str, Any]) -> Table:
    lengths = {name: 1 if _is_single(values) else len(values) for name, values in data.items()}
    if len(set(lengths.values())) > 1:
        common = max(lengths.values(), key=list(lengths.values()).count)
        odd = [name for name, length in lengths.items() if length != common]
        first = next(name for name, length in lengths.items() if length == common)
        shown = ", ".join(f"{name} {lengths[name]}" for name in [first, *odd[:7]])
        raise DataError(
            f"the columns of the table have unequal lengths: {shown}; give each one value for each row"
        )
    index = next((v.index for v in data.values() if _is_indexed(v)), None)
    table = Table(list(data), next(iter(lengths.values()), 0), data.__getitem__, index)
    return replace(table, fetch=lambda name: table.aligned(data[name], f"column {name!r}"))


def _is_single(values: Any) -> bool:
    """Whether this is one value rather than a column of them."""
    if isinstance(values, np.ndarray):
        return values.ndim == 0
    return isinstance(values, str | bytes) or not hasattr(values, "__len__")


def _is_indexed(values: Any) -> bool:
    return _comes_from(values, "pandas") and hasattr(values, "index")


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
    if isinstance(values, np.ma.MaskedArray):
        return _from_masked(values, name)
    if isinstance(values, np.ndarray):
        return _from_numpy(values, name)
    if _comes_from(values, "pandas"):
        return _from_pandas(values, name)
    if _comes_from(values, "narwhals"):
        return column_of(values.to_native(), name)
    if _comes_from(values, "polars") or _comes_from(values, "pyarrow"):
        return column_of_series(values, name)
    held = [values] if _is_single(values) else list(values)
    try:
        array = np.array(held)
    except ValueError:
        raise DataError(
            f"column {name!r} holds lists of unequal lengths: a column has one value for each row"
        ) from None
    if array.dtype.kind not in "biuf" and array.ndim == 1:
        array = np.array(held, dtype=object)
    return _from_numpy(array, name)


def _from_masked(values: np.ma.MaskedArray[Any, Any], name: str) -> Column:
    mask, held = np.ma.getmaskarray(values), np.ma.getdata(values)
    if held.dtype.kind in "iu" and held.ndim == 1:
        return masked_numbers(held, mask)
    if held.dtype.kind in "iuf":
        return _from_numpy(np.where(mask, np.nan, held), name)
    objects = held.astype(object)
    objects[mask] = None
    return _from_numpy(objects, name)


def _from_numpy(values: NDArray[Any], name: str) -> Column:
    if values.ndim != 1:
        if values.ndim == 2 and values.dtype.kind in "iuf":
            return numeric_column(values)
        raise DataError(
            f"column {name!r} has {values.ndim} dimensions where one is expected: "
            "make a column of each of its own, with a name of its own"
        )
    kind = values.dtype.kind
    if kind in "iuf":
        return numeric_column(values)
    if kind == "b":
        return logical_column(values)
    if kind in "US":
        return string_column(values.astype(str).astype(object))
    if kind == "O":
        return _from_objects(values, name)
    raise unusable(name, "dates or times" if kind in "mM" else f"{values.dtype} values")


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
        raise unusable(name, f"{' and '.join(sorted(t.__name__ for t in types))} values") from None
    return masked_numbers(filled, missing)


def _from_pandas(values: Any, name: str) -> Column:
    import pandas as pd

    if isinstance(values, pd.DataFrame):
        raise DataError(f"the table has several columns named {name!r}: rename all but one")
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        return _from_numpy(values.to_numpy(), name)
    if isinstance(dtype, pd.CategoricalDtype):
        held: Any = values.array if isinstance(values, pd.Series | pd.Index) else values
        levels = Labels(held.categories.to_numpy())
        return FactorColumn(held.codes.astype(np.int64), levels, bool(held.ordered))
    if isinstance(dtype, pd.StringDtype):
        return string_column(values)
    kind = pd.api.types
    missing: Mask = np.asarray(values.isna(), dtype=bool)
    if kind.is_bool_dtype(dtype):
        return logical_column(values.to_numpy(dtype=bool, na_value=False), missing)
    if kind.is_integer_dtype(dtype):
        return masked_numbers(values.to_numpy(dtype=np.int64, na_value=0), missing)
    if kind.is_float_dtype(dtype):
        return masked_numbers(values.to_numpy(dtype=np.float64, na_value=np.nan), missing)
    if kind.is_string_dtype(dtype):
        return string_column(values)
    if "dictionary" in str(dtype):
        return _from_pandas(values.astype("category"), name)
    raise unusable(name, f"{dtype} values")
