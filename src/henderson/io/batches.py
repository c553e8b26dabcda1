"""Parquet files read a batch of rows at a time: tables that need not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import PurePath
from typing import Any

import numpy as np

from henderson.errors import DataError
from henderson.io.columns import Column, FactorColumn, Labels, logical_column, masked_numbers, numeric_column
from henderson.io.frame import Table, closest, column_of

#: Bytes of each column that are fetched at once: a row group may be as long as the file.
READ_BUFFER = 1 << 20


class BatchTable(Table):
    """Some rows of a larger table, whose columns have been read already.

    Parameters
    ----------
    names : sequence of str
        All columns that there are.
    n_rows : int
    columns : mapping of str to Column
        Those that were read.
    """

    __slots__ = ("columns",)
    columns: Mapping[str, Column]

    def __init__(self, names: Sequence[str], n_rows: int, columns: Mapping[str, Column]) -> None:
        super().__init__(names, n_rows, columns.__getitem__)
        object.__setattr__(self, "columns", columns)

    def column(self, name: str) -> Column:
        """One of the columns."""
        if name not in self.names:
            raise DataError(f"the files have no column {name!r}{closest(name, self.names)}")
        return self.columns[name]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Consecutive rows of one file.

    Attributes
    ----------
    table : BatchTable
    file : str
        The file's name.
    first : int
        Where the rows begin in it.
    """

    table: BatchTable
    file: str
    first: int

    def where(self, row: int) -> str:
        """A row of the batch in words, for messages."""
        return f"row {self.first + row} (counted from 0) of {self.file}"


@dataclass(frozen=True, slots=True, eq=False)
class _File:
    """One Parquet file.

    Attributes
    ----------
    name : str
        For messages.
    open : callable
        Opens it as a ``pyarrow.parquet.ParquetFile``.
    types : dict of str
        Types of its columns, and of those in the names of its folders.
    constants : dict of str
        Values that all rows share, from the names of its folders.
    group_rows : tuple of int
        Rows of each row group.
    """

    name: str
    open: Callable[..., Any]
    types: dict[str, Any]
    constants: dict[str, Any]
    group_rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ParquetRows:
    """The rows of one or more Parquet files, in order. Made by `open_rows`.

    Attributes
    ----------
    files : tuple
        In the order in which they are read.

    Examples
    --------
    >>> import tempfile, pyarrow, pyarrow.parquet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = pyarrow.table({"x": [1.5, None, 3.0], "g": ["b", "a", "b"]})
    ...     pyarrow.parquet.write_table(table, folder + "/records.parquet")
    ...     rows = open_rows(folder)
    ...     [batch.table.column("x").values.tolist() for batch in rows.batches(["x"], 2)]
    [[1.5, nan], [3.0]]
    """

    files: tuple[_File, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns."""
        return tuple(self.files[0].types)

    @property
    def n_rows(self) -> int:
        """Number of rows, all files together."""
        return sum(sum(file.group_rows) for file in self.files)

    def kind(self, name: str) -> str:
        """What a column holds: "number", "string", "category", "logical", or the name of another type."""
        return _kind(self.files[0].types[name])

    def check(self, names: Iterable[str]) -> None:
        """Refuse columns that a file lacks, or that hold different things in different files.

        Raises
        ------
        DataError
            Naming the column and the file.
        """
        first = self.files[0]
        for name in names:
            if name not in first.types:
                raise DataError(f"the files have no column {name!r}{closest(name, self.names)}")
            for file in self.files[1:]:
                if name not in file.types:
                    raise DataError(f"{file.name} has no column {name!r}, and {first.name} has one")
                if _kind(file.types[name]) != _kind(first.types[name]):
                    raise DataError(
                        f"column {name!r} is {file.types[name]} in {file.name} and {first.types[name]} in "
                        f"{first.name}: write it with one type"
                    )

    def batches(self, names: Sequence[str], size: int) -> Iterator[Batch]:
        """All rows with these columns, up to `size` at a time.

        Raises
        ------
        DataError
            For a file that cannot be read to its end, and as `check` does.
        """
        self.check(names)
        for file in self.files:
            yield from self._read(file, range(len(file.group_rows)), names, size)

    def sample(self, names: Sequence[str], pieces: int, size: int) -> Iterator[Batch]:
        """The first rows, up to `size`, of up to `pieces` row groups spread evenly over the files."""
        self.check(names)
        groups = [(file, k) for file in self.files for k, n in enumerate(file.group_rows) if n]
        for i in np.unique(np.linspace(0, len(groups) - 1, min(pieces, len(groups))).round().astype(int)):
            file, group = groups[i]
            yield next(self._read(file, range(group, group + 1), names, size))

    def _read(self, file: _File, groups: range, names: Sequence[str], size: int) -> Iterator[Batch]:
        """Some row groups of a file."""
        import pyarrow as pa

        n_rows = sum(file.group_rows[groups.start : groups.stop])
        stored = [name for name in names if name not in file.constants]
        first = sum(file.group_rows[: groups.start])
        try:
            # as codes: no string is made for every row
            coded = [name for name in stored if _kind(file.types[name]) == "string"]
            with file.open(read_dictionary=coded, pre_buffer=False, buffer_size=READ_BUFFER) as opened:
                pieces: Iterator[Any] = (
                    opened.iter_batches(size, row_groups=list(groups), columns=stored, use_threads=False)
                    if stored
                    else (range(min(size, n_rows - start)) for start in range(0, n_rows, size))
                )
                for piece in pieces:
                    columns = {
                        name: _column(piece.column(name), name, self._is_whole(name))
                        if name in stored
                        else _constant(file.constants[name], len(piece), name)
                        for name in names
                    }
                    yield Batch(BatchTable(self.names, len(piece), columns), file.name, first)
                    first += len(piece)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(file.name, error) from None

    def _is_whole(self, name: str) -> bool:
        import pyarrow as pa

        return all(pa.types.is_integer(file.types[name]) for file in self.files)


def open_rows(source: Any) -> ParquetRows:
    """Open a Parquet file, a folder of them, or a pyarrow dataset of them; no rows are read yet.

    Parameters
    ----------
    source : str, Path or pyarrow.dataset.Dataset
        In a folder, names such as ``year=2020`` of folders in it are columns too.

    Returns
    -------
    ParquetRows

    Raises
    ------
    DataError
        If there are no such files, or one is not Parquet.
    """
    import pyarrow as pa
    import pyarrow.dataset

    try:
        if isinstance(source, str | PathLike):
            source = pa.dataset.dataset(source, format="parquet", partitioning="hive")
        schema, fragments = source.schema, list(source.get_fragments())
    except FileNotFoundError:
        raise DataError(f"there is no file or folder {str(source)!r}") from None
    except (OSError, pa.ArrowException) as error:
        if isinstance(source, str | PathLike):
            # which of the files it is
            for fragment in pa.dataset.dataset(
                source, format="parquet", schema=pa.schema([])
            ).get_fragments():
                _opened(fragment, pa.schema([]))
        raise _unreadable(str(source), error) from None
    except ValueError:
        raise DataError(
            "the dataset has a filter, which is not read here: give the whole dataset, and the condition as "
            "subset"
        ) from None
    if not fragments:
        raise DataError("there are no Parquet files to read: the folder or dataset is empty")
    return ParquetRows(tuple(_opened(fragment, schema) for fragment in fragments))


def _opened(fragment: Any, schema: Any) -> _File:
    import pyarrow as pa
    from pyarrow.dataset import ParquetFileFragment, get_partition_keys
    from pyarrow.parquet import ParquetFile

    if not isinstance(fragment, ParquetFileFragment):
        raise DataError(
            "the dataset does not consist of Parquet files: write it with pyarrow.dataset.write_dataset first"
        )
    name = PurePath(fragment.path).name

    def opened(**options: Any) -> Any:
        return ParquetFile(fragment.path, filesystem=fragment.filesystem, **options)

    try:
        with opened() as file:
            types = {field.name: field.type for field in file.schema_arrow}
            groups = [file.metadata.row_group(k).num_rows for k in range(file.metadata.num_row_groups)]
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(name, error) from None
    constants = get_partition_keys(fragment.partition_expression)
    types |= {column: schema.field(column).type for column in constants}
    return _File(name, opened, types, constants, tuple(groups))


def _unreadable(name: str, error: Exception) -> DataError:
    reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    return DataError(
        f"{name} cannot be read as Parquet ({reason}): is it complete? A file of another kind is read first, "
        "with pandas.read_csv or its like"
    )


def _kind(type_: Any) -> str:
    import pyarrow as pa

    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return "number"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return "string"
    if pa.types.is_dictionary(type_):
        return "category"
    return "logical" if pa.types.is_boolean(type_) else str(type_)


def _column(array: Any, name: str, whole: bool) -> Column:
    kind = _kind(array.type)
    if kind == "string":
        array, kind = array.dictionary_encode(), "category"
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if kind == "category":
        codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        labels = Labels(np.asarray(array.dictionary.to_pylist(), dtype=object))
        return FactorColumn(codes, labels, bool(array.type.ordered))
    if kind == "logical":
        return logical_column(array.fill_null(False).to_numpy(zero_copy_only=False), missing)
    if kind != "number":
        return column_of(array, name)
    if missing is not None:
        array = array.fill_null(0)
    values = array.to_numpy(zero_copy_only=False)
    if not whole:
        values = values.astype(np.float64, copy=False)
    return numeric_column(values) if missing is None else masked_numbers(values, missing)


def _constant(value: Any, n_rows: int, name: str) -> Column:
    if isinstance(value, str):
        return FactorColumn(np.zeros(n_rows, dtype=np.int64), (value,))
    return column_of(np.full(n_rows, value), name)
