"""The results of a genome scan on disk: Parquet and GWAS-SSF, streamed block by block."""

import contextlib
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from henderson import __version__
from henderson.errors import DataError
from henderson.io.scan_rows import (
    Block,
    RowGroups,
    about_scan,
    disk_type,
    import_pyarrow,
    repeated_strings,
    rows_of,
)
from henderson.io.scan_ssf import (
    HUMAN_CHROMOSOMES,
    chromosome_codes,
    ssf_columns,
    ssf_header,
    ssf_metadata,
    ssf_rows,
)
from henderson.io.whole_files import PartialFile, whole_files, writing

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ROWS = 1 << 16  # of a row group; fixed, so that how the scan was cut into blocks leaves no trace
_LEVEL = 1  # of gzip: digits hardly compress, higher levels cost twice the time for 4 % of the size
_GZIP = 31  # zlib's word for: largest window, gzip header


@contextmanager
def scan_writer(
    prefix: str | Path,
    metadata: Mapping[str, Any],
    *,
    ssf_fields: Mapping[str, Any] | None = None,
    chromosomes: Mapping[str, str] = HUMAN_CHROMOSOMES,
) -> Iterator["ScanWriter"]:
    r"""Stream a scan's table to ``PREFIX.parquet`` and ``PREFIX.tsv.gz``.

    ``PREFIX.tsv.gz-meta.yaml`` describes the latter, as GWAS-SSF asks. The files are written under temporary
    names and renamed together when the block is left without an exception; with one they are removed. The
    same rows give the same bytes, however they come in blocks (but for the date in the metadata).

    Parameters
    ----------
    prefix : str or Path
        How the names of the files begin.
    metadata : mapping
        The scan's options: kept as JSON in the Parquet file, under the key ``henderson.options``.
    ssf_fields : mapping, optional
        Fields of the GWAS-SSF metadata that the caller knows: ``genome_assembly``, ``trait_description``, ...
    chromosomes : mapping of str to str
        What GWAS-SSF calls chromosomes; by default X, Y and MT are 23, 24 and 25, which is right for
        humans only. The Parquet file keeps the names of the genotype file.

    Yields
    ------
    ScanWriter
        Its ``write`` takes the blocks.

    Raises
    ------
    DataError
        If pyarrow is not installed, a file cannot be written, or no block came.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import pandas as pd
    >>> block = {
    ...     "chromosome": np.array(["1", "X"]), "base_pair_location": np.array([101, 202]),
    ...     "effect_allele": np.array(["A", "C"]), "other_allele": np.array(["G", "T"]),
    ...     "beta": np.array([0.5, np.nan]), "standard_error": np.array([0.1, np.nan]),
    ...     "effect_allele_frequency": np.array([0.3, 0.0]), "p_value": np.array([5e-7, np.nan]),
    ...     "status": np.array(["ok", "monomorphic"]),
    ... }
    >>> prefix = Path(tempfile.mkdtemp()) / "height"
    >>> with scan_writer(prefix, {"trait": "height"}) as writer:
    ...     writer.write(block)
    >>> sorted(path.name for path in prefix.parent.iterdir())
    ['height.parquet', 'height.tsv.gz', 'height.tsv.gz-meta.yaml']
    >>> pd.read_csv(f"{prefix}.tsv.gz", sep="\t")["chromosome"].tolist()
    [1, 23]
    """
    writer = ScanWriter(prefix, metadata, ssf_fields or {}, chromosomes)
    try:
        yield writer
        writer.complete()
    finally:
        writer.discard()


def write_gwas_ssf(
    table: "pd.DataFrame", path: str | Path, *, chromosomes: Mapping[str, str] | None = None
) -> None:
    """Write a scan's table as a GWAS-SSF file.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per variant, with the mandatory columns of GWAS-SSF among its columns.
    path : str or Path
        Where to; compressed if the name ends in ``.gz``.
    chromosomes : mapping of str to str, optional
        As for `scan_writer`; by default 23, 24 and 25 for X, Y and MT, unless there are other chromosomes
        above 22.

    Raises
    ------
    DataError
        If pyarrow is not installed, a mandatory column is absent or the file cannot be written.
    """
    pa = import_pyarrow()
    try:
        ssf_columns([str(name) for name in table.columns])
    except KeyError as problem:
        raise DataError(f"{path}: {problem.args[0]}; give the table of a genome scan.") from None
    if chromosomes is None:
        chromosomes = chromosome_codes(map(str, table["chromosome"].unique()))
    rows = pa.Table.from_pandas(table, preserve_index=False)
    rows = rows.cast(pa.schema([(field.name, disk_type(field.type)) for field in rows.schema]))
    with whole_files(path) as [file]:
        text = _TextStream(file, compress=str(path).endswith(".gz"))
        try:
            text.put(ssf_header(rows.column_names))
            for start in range(0, rows.num_rows, _ROWS):
                text.put(ssf_rows(rows.slice(start, _ROWS), chromosomes))
            text.finish()
        finally:
            text.stop()


class ScanWriter:
    """Takes the blocks of a scan; made by `scan_writer`, which also completes or removes the files."""

    def __init__(
        self,
        prefix: str | Path,
        metadata: Mapping[str, Any],
        ssf_fields: Mapping[str, Any],
        chromosomes: Mapping[str, str],
    ) -> None:
        import_pyarrow()
        self._options = metadata
        self._ssf_fields = ssf_fields
        self._chromosomes = chromosomes
        self._groups = RowGroups(_ROWS, self._flush)
        self._schema: Any = None
        self._parquet_writer: Any = None
        self._parquet = PartialFile(Path(f"{prefix}.parquet"))
        try:
            self._ssf = PartialFile(Path(f"{prefix}.tsv.gz"))
        except DataError:
            self._parquet.discard()
            raise
        self._text = _TextStream(self._ssf.file, compress=True)

    def write(self, block: Block) -> None:
        """Add rows.

        Parameters
        ----------
        block : mapping of str to ndarray, each of shape (rows,)
            One array per column: the same columns, of the same types, in every block. NaN is missing.

        Raises
        ------
        DataError
            If the disk is full or the like.
        ValueError
            If the columns differ in length, or are not those of the first block.
        """
        self.write_rows(rows_of([block])[0])

    def write_rows(self, rows: "pa.Table") -> None:
        """Add rows that are an Arrow table already; see `write`."""
        if self._schema is None:
            self._start(rows.schema)
        if rows.column_names != self._schema.names:
            raise ValueError(f"the columns {rows.column_names} are not those of the first block")
        self._groups.add(rows.cast(self._schema))

    def complete(self) -> None:
        """Write what waits and give the files their names."""
        if self._schema is None:
            raise DataError(f"The scan has no variants: {self._parquet.path} was not written.")
        self._groups.finish()
        with writing(self._parquet.path):
            self._parquet_writer.close()
        with writing(self._ssf.path):
            self._text.finish()
        self._parquet.finish()
        self._ssf.finish()
        described = ssf_metadata(self._ssf.path.name, self._text.md5, self._ssf_fields, __version__)
        # The metadata come first and the data last: who sees the data sees all.
        with whole_files(f"{self._ssf.path}-meta.yaml") as [file]:
            file.write(described.encode())
        self._ssf.publish()
        self._parquet.publish()

    def discard(self) -> None:
        """Stop, and remove what is not complete."""
        self._text.stop()
        if self._parquet_writer is not None:
            with contextlib.suppress(Exception):  # a footer for the file that goes away
                self._parquet_writer.close()
        self._parquet.discard()
        self._ssf.discard()

    def _start(self, columns: "pa.Schema") -> None:
        """Fix the columns and their types by the first rows."""
        import pyarrow.parquet as pq

        ssf_columns(columns.names)
        schema = columns.with_metadata(about_scan(self._options))
        with writing(self._parquet.path):
            self._parquet_writer = pq.ParquetWriter(
                self._parquet.file, schema, compression="zstd", use_dictionary=repeated_strings(schema)
            )
        self._text.put(ssf_header(schema.names))
        self._schema = schema

    def _flush(self, rows: "pa.Table") -> None:
        """Write one row group to both files."""
        with writing(self._parquet.path):
            self._parquet_writer.write_table(rows, row_group_size=_ROWS)
        text = ssf_rows(rows, self._chromosomes)
        with writing(self._ssf.path):
            self._text.put(text)


class _TextStream:
    """Compresses and writes text in a thread of its own, at most one piece behind.

    Compression takes about as long as formatting, and both leave Python's lock alone.
    """

    def __init__(self, file: Any, *, compress: bool) -> None:
        self._file = file
        self._gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP) if compress else None
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._behind: Future[None] | None = None

    @property
    def md5(self) -> str:
        """MD5 sum of the file, in hexadecimal."""
        return self._md5.hexdigest()

    def put(self, text: bytes | memoryview) -> None:
        """Add text; raises what went wrong with the piece before."""
        self._wait()
        self._behind = self._thread.submit(self._compress, text)

    def finish(self) -> None:
        """Write the end of the stream."""
        self._wait()
        if self._gzip:
            self._out(self._gzip.flush())

    def stop(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _wait(self) -> None:
        if self._behind is not None:
            self._behind.result()
            self._behind = None

    def _compress(self, text: bytes | memoryview) -> None:
        self._out(self._gzip.compress(text) if self._gzip else bytes(text))

    def _out(self, data: bytes) -> None:
        self._md5.update(data)
        self._file.write(data)
