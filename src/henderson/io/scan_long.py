"""The results of many traits in one Parquet file, a row for each variant and trait."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from henderson.io.scan_rows import RowGroups, about_scan, filled, repeated_strings
from henderson.io.whole_files import whole_files, writing

if TYPE_CHECKING:
    import pyarrow as pa

TRAIT = "trait"
_ROWS = 1 << 18


def with_trait(rows: "pa.Table", trait: str) -> "pa.Table":
    """Rows with the trait's name, dictionary-encoded, in a column before the others."""
    import numpy as np
    import pyarrow as pa

    codes = pa.array(np.zeros(rows.num_rows, dtype=np.int32))
    return rows.add_column(0, TRAIT, pa.DictionaryArray.from_arrays(codes, pa.array([trait], pa.string())))


@contextmanager
def long_writer(path: Path, schema: "pa.Schema", metadata: Mapping[str, Any]) -> "Iterator[LongWriter]":
    """Stream rows of many traits to one Parquet file, which gets its name once it is complete.

    Parameters
    ----------
    path : Path
        The final name.
    schema : pyarrow.Schema
        Its columns.
    metadata : mapping
        The scan's options: kept as JSON in the file, under the key ``henderson.options``.

    Yields
    ------
    LongWriter
        Its ``write`` takes the rows.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    import pyarrow.parquet as pq

    schema = schema.with_metadata(about_scan(metadata))
    repeated = repeated_strings(schema)
    with whole_files(path) as [file]:
        stream = pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=repeated)
        writer = LongWriter(path, schema, stream)
        try:
            yield writer
            writer.finish()
        finally:
            stream.close()


class LongWriter:
    """Takes rows; made by `long_writer`."""

    def __init__(self, path: Path, schema: "pa.Schema", stream: Any) -> None:
        self._path, self._schema, self._stream = path, schema, stream
        self._groups = RowGroups(_ROWS, self._flush)

    def write(self, rows: "pa.Table") -> None:
        """Add rows; columns that they lack are null."""
        self._groups.add(filled(rows, self._schema))

    def finish(self) -> None:
        """Write what waits."""
        self._groups.finish()

    def _flush(self, rows: "pa.Table") -> None:
        with writing(self._path):
            # one dictionary for all pieces: Arrow has one for each, with the traits that occur there
            self._stream.write_table(rows.unify_dictionaries(), row_group_size=_ROWS)
