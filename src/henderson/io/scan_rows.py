"""The results of a genome scan as Arrow tables: types of columns, and pieces of a fixed size."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson import __version__
from henderson.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

#: How the names of the p-values of interactions begin.
_INTERACTION = ("p_gxe", "p_joint")
Block = Mapping[str, NDArray[Any]]


def rows_of(blocks: Sequence[Block]) -> "list[pa.Table]":
    """Arrow tables of blocks of a scan; an array that several of them share is converted once.

    Parameters
    ----------
    blocks : sequence of mapping of str to ndarray, each of shape (rows,)
        One array per column; NaN is missing.

    Returns
    -------
    list of pyarrow.Table
        With strings, whole numbers and doubles as columns.

    Raises
    ------
    DataError
        If pyarrow is not installed.
    ValueError
        If the columns of a block differ in length.
    """
    pa = import_pyarrow()
    arrays = {id(values): values for block in blocks for values in block.values()}
    known = {key: _column(values) for key, values in arrays.items()}
    return [
        pa.Table.from_arrays([known[id(values)] for values in block.values()], names=list(block))
        for block in blocks
    ]


def disk_type(kind: "pa.DataType") -> "pa.DataType":
    """The type of a column on disk: text, whole numbers or doubles, whatever the arrays were."""
    import pyarrow as pa

    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_boolean(kind):
        return kind
    return pa.string()


def about_scan(options: Mapping[str, Any]) -> dict[str, str]:
    """What a Parquet file says about itself: henderson's version, and the options as JSON."""
    return {
        "henderson.version": __version__,
        "henderson.options": json.dumps(dict(options), default=str),
    }


def repeated_strings(schema: "pa.Schema") -> list[str]:
    """Columns that a Parquet file keeps as a dictionary: identifiers hardly ever repeat, other strings do."""
    import pyarrow as pa

    kinds = (pa.types.is_string, pa.types.is_dictionary)
    return [f.name for f in schema if f.name != "rsid" and any(kind(f.type) for kind in kinds)]


def _column(values: NDArray[Any]) -> "pa.Array":
    """One column of a block; NaN becomes null."""
    import pyarrow as pa

    values = np.asarray(values)
    # Arrow takes Python's strings several times as fast as NumPy's fixed-width ones.
    array = pa.array(values.astype(object) if values.dtype.kind == "U" else values, from_pandas=True)
    return array.cast(disk_type(array.type))


def filled(rows: "pa.Table", schema: "pa.Schema") -> "pa.Table":
    """Rows with the columns of a schema, in its order; what they do not have is null."""
    import pyarrow as pa

    there = set(rows.column_names)
    columns = [
        rows[field.name] if field.name in there else pa.nulls(rows.num_rows, field.type) for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def filtered(rows: "pa.Table", threshold: float) -> "pa.Table":
    """Rows with a p-value of at most a threshold; with 1, all of them, also those without a test.

    With interactions, that of any of their tests counts, as that of the variant does.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if threshold >= 1.0:
        return rows
    kept = pa.array(np.zeros(rows.num_rows, dtype=bool))
    for name in rows.column_names:
        if name == "p_value" or name.startswith(_INTERACTION):
            kept = pc.or_(kept, pc.fill_null(pc.less_equal(rows[name], threshold), fill_value=False))
    return rows.filter(kept)


class RowGroups:
    """Cuts a stream of rows into pieces of a fixed size, so that how they came leaves no trace.

    Parameters
    ----------
    size : int
        Rows of each piece but the last.
    flush : callable
        Takes the pieces.
    """

    def __init__(self, size: int, flush: "Callable[[pa.Table], None]") -> None:
        self._size, self._flush = size, flush
        self._waiting: list[pa.Table] = []
        self._count = 0

    def add(self, rows: "pa.Table") -> None:
        """Take rows; all of them have the same schema."""
        import pyarrow as pa

        self._waiting.append(rows)
        self._count += rows.num_rows
        if self._count >= self._size:
            joined = pa.concat_tables(self._waiting)
            whole = self._count // self._size * self._size
            for start in range(0, whole, self._size):
                self._flush(joined.slice(start, self._size))
            # A copy, lest a slice of a few rows holds the memory of all.
            self._waiting = [pa.concat_tables([joined.slice(whole)]).combine_chunks()]
            self._count -= whole

    def finish(self) -> None:
        """Pass on what waits."""
        import pyarrow as pa

        if self._count:
            self._flush(pa.concat_tables(self._waiting))
            self._waiting, self._count = [], 0


def import_pyarrow() -> Any:
    """Import pyarrow, or name what installs it."""
    try:
        import pyarrow as pa
    except ImportError:
        raise DataError(
            'Writing the results of a scan needs pyarrow: install it with  pip install "henderson[parquet]"'
        ) from None
    return pa
