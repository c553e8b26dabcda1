"""Series of polars and pyarrow to typed columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.io.columns import (
    Column,
    FactorColumn,
    Labels,
    logical_column,
    masked_numbers,
    unusable,
)

Mask = NDArray[np.bool_]


def column_of_series(values: Any, name: str) -> Column:
    """A polars series, or a pyarrow array, whole or in chunks; `name` is for messages.

    Raises
    ------
    DataError
        If it holds neither numbers nor categories.
    """
    import narwhals as nw

    if type(values).__module__.split(".")[0] == "pyarrow" and not hasattr(values, "combine_chunks"):
        import pyarrow as pa

        values = pa.chunked_array([values])
    series = nw.from_native(values, series_only=True)
    dtype = series.dtype
    if dtype in (nw.Enum, nw.Categorical):
        native = series.to_native()
        return _from_arrow_dictionary(native) if series.implementation.is_pyarrow() else _from_polars(native)
    if dtype == nw.String and series.implementation.is_polars():
        return _from_polars(series.cast(nw.Categorical).to_native())
    if dtype == nw.String:
        return _from_arrow_strings(series.to_native())
    missing: Mask = np.asarray(series.is_null().to_numpy(), dtype=bool)
    if dtype == nw.Boolean:
        return logical_column(np.asarray(series.fill_null(False).to_numpy(), dtype=bool), missing)
    if dtype.is_integer():
        return masked_numbers(np.asarray(series.fill_null(0).to_numpy()), missing)
    if dtype.is_numeric():
        return masked_numbers(np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64), missing)
    if dtype == nw.Unknown and missing.all():
        return masked_numbers(np.zeros(len(missing)), missing)
    raise unusable(name, f"{dtype} values")


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


def _from_arrow_strings(series: Any) -> FactorColumn:
    found = _from_arrow_dictionary(series.dictionary_encode())
    levels = tuple(sorted(found.levels))
    return FactorColumn(found.recode(levels), levels)


def _from_arrow_dictionary(series: Any) -> FactorColumn:
    import pyarrow as pa

    array = series.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    levels = Labels(np.asarray(array.dictionary.to_pylist(), dtype=object))
    return FactorColumn(codes, levels, bool(series.type.ordered))
