"""Columns of large text tables: read piece by piece by Arrow, what is wrong named by line and column."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.io.paths import nearby
from henderson.io.sumstats_formats import LIMITS, Kind
from henderson.io.tables import check_names, readable

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]

MISSING = ("", "NA", "#NA", "N/A", "na", "NaN", "nan", "-nan", "NAN", "None", ".")
_PIECE = 1 << 25  # bytes
_LARGEST = 2.0**53  # among whole numbers that a double tells apart
_SMALLEST = 1e-300  # below it a double loses digits, then underflows
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TextTable:
    """A text file with column names in its first line; see `open_text`.

    Attributes
    ----------
    path : Path
        The file, gzipped or not.
    names : list of str
        Its columns; a ``#`` before the first is left out.
    separator : str
        A tab, a comma, or a space for any number of spaces.
    """

    path: Path
    names: list[str]
    separator: str

    def read(self, wanted: Mapping[str, Kind]) -> pa.Table:
        """Read some of the columns.

        Parameters
        ----------
        wanted : mapping of str to Kind
            Which ones, and what they hold.

        Returns
        -------
        pyarrow.Table
            Text as strings, numbers as doubles, missing ones null. Beside each column NAME of p-values is
            ``-log10 NAME``, right also where a double is not small enough for p.

        Raises
        ------
        DataError
            If a line has another number of cells, or a cell is not what it should be.
        """
        import pyarrow as pa

        with readable(self.path), _opened(self.path) as file:
            line = 1
            _, line = _header_line(self.path, file)
            tables = []
            for piece in _pieces(file):
                tables.append(self._parsed(piece, line, wanted))
                line += piece.count(b"\n")
        if not sum(table.num_rows for table in tables):
            raise DataError(f"{self.path} has column names but no rows.")
        return pa.concat_tables(tables)

    def _parsed(self, piece: bytes, line: int, wanted: Mapping[str, Kind]) -> pa.Table:
        """Some whole lines, of which the first has a known number."""
        import pyarrow as pa
        from pyarrow import csv

        if b"\r" in piece:
            piece = piece.replace(b"\r\n", b"\n")
        if b"\0" in piece or b"\r" in piece:
            self._explain(piece, line, wanted)
        piece = _single_spaced(piece) if self.separator == " " else _trimmed(piece, self.separator)
        types = {
            name: pa.string() if kind in {"text", "p"} else pa.float64() for name, kind in wanted.items()
        }
        if not piece or piece.isspace():
            return _with_logs(pa.table({name: pa.array([], kind) for name, kind in types.items()}), wanted)
        try:
            table = csv.read_csv(
                pa.BufferReader(piece),
                read_options=csv.ReadOptions(
                    column_names=self.names, block_size=max(len(piece) + 1, 1 << 16)
                ),
                parse_options=csv.ParseOptions(delimiter=self.separator, quote_char=False),
                convert_options=csv.ConvertOptions(
                    include_columns=list(wanted),
                    column_types=types,
                    null_values=list(MISSING),
                    strings_can_be_null=True,
                ),
            )
            table = _with_logs(table, wanted)
        except pa.ArrowInvalid as problem:
            self._explain(piece, line, wanted)
            raise DataError(f"{self.path} cannot be read: {str(problem).splitlines()[0]}.") from None
        for name, kind in wanted.items():
            row = first_outside(table[name], kind)
            if row is not None:
                number, fields = _row(piece, line, row, self.separator)
                cell = fields[self.names.index(name)]
                raise DataError(
                    f"{self.path}, line {number}, column {name}: {cell!r} cannot be; {rule(kind)}."
                )
        return table

    def _explain(self, piece: bytes, first: int, wanted: Mapping[str, Kind]) -> None:
        """Name the first line that is wrong, if one is."""
        for number, row in enumerate(piece.split(b"\n"), start=first):
            if not (row.strip() if self.separator == " " else row):
                continue
            place = f"{self.path}, line {number}"
            try:
                text = row.decode()
            except UnicodeDecodeError as problem:
                byte = row[problem.start]
                raise DataError(
                    f"{place}: the byte 0x{byte:02x} is not UTF-8; save it as UTF-8 text."
                ) from None
            if "\0" in text or "\r" in text:
                raise DataError(f"{place} holds binary data; copy the file again.")
            fields = _fields(text, self.separator)
            if len(fields) != len(self.names):
                found = f"{len(fields)} cell{'s' * (len(fields) != 1)}"
                raise DataError(
                    f"{place}: {found}, but there are {len(self.names)} columns; the line may be cut short."
                )
            for name, kind in wanted.items():
                cell = fields[self.names.index(name)]
                if kind != "text" and cell.strip() not in MISSING and not _NUMBER.fullmatch(cell.strip()):
                    raise DataError(
                        f"{place}, column {name}: {cell!r} is no number; write NA if it is missing."
                    )


def open_text(path: Path) -> TextTable:
    """Read the column names of a text file.

    Raises
    ------
    DataError
        If there is no such file, it is empty or no text, or its column names do not tell columns apart.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a file of summary statistics.")
    if not path.exists():
        raise DataError(f"There is no file {path}{nearby(path)}")
    with readable(path), _opened(path) as file:
        text, _ = _header_line(path, file)
    separator = next((mark for mark in "\t," if mark in text), " ")
    names = [name.strip() for name in _fields(text, separator)]
    names[0] = names[0].removeprefix("#")
    check_names(path, names)
    return TextTable(path, names, separator)


def first_outside(column: pa.ChunkedArray, kind: Kind) -> int | None:
    """The first row whose number cannot be of its kind, or none."""
    import pyarrow.compute as pc

    if kind in {"text", "number"}:
        return None
    values = column if kind != "p" else pc.cast(column, "double")
    numbers: Floats = values.to_numpy(zero_copy_only=False) if len(values) else np.empty(0)
    numbers = numbers.astype(np.float64, copy=False)
    if kind == "position":
        wrong = (np.abs(numbers) > _LARGEST) | (numbers != np.rint(numbers)) & ~np.isnan(numbers)
    else:
        low, high, _ = LIMITS[kind]
        wrong = (numbers < low) | (numbers > high)
    return int(np.argmax(wrong)) if wrong.any() else None


def rule(kind: Kind) -> str:
    """What the numbers of a kind obey."""
    return LIMITS[kind][2] if kind in LIMITS else "a position is a whole number"


def _with_logs(table: pa.Table, wanted: Mapping[str, Kind]) -> pa.Table:
    """The table with p-values as numbers, and -log10 p beside them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in [name for name, kind in wanted.items() if kind == "p"]:
        text = table[name]
        p = pc.cast(text, pa.float64())
        values: Floats = np.asarray(p.to_numpy(), dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = -np.log10(values)
        for row in np.flatnonzero(np.abs(values) < _SMALLEST).tolist():
            logs[row] = _log_of_text(text[row].as_py())
        table = table.set_column(table.column_names.index(name), name, p)
        table = table.append_column(f"-log10 {name}", pa.array(logs + 0.0, from_pandas=True))
    return table


def _log_of_text(text: str) -> float:
    """-log10 of a number too small for a double, from its text; infinite for a zero.

    Examples
    --------
    >>> _log_of_text("1e-400"), _log_of_text("0.0")
    (400.0, inf)
    """
    mantissa, _, exponent = text.strip().lower().partition("e")
    digits = float(mantissa)
    return -math.log10(digits) - int(exponent or 0) if digits > 0 else math.inf


def _opened(path: Path) -> Any:
    """The file's bytes, decompressed if they are gzipped, whatever its name."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    if not zipped and path.suffix == ".gz":
        raise gzip.BadGzipFile
    return gzip.open(path) if zipped else path.open("rb")


def _header_line(path: Path, file: BinaryIO) -> tuple[str, int]:
    """The line with the column names, and the number of the next line; lines beginning with ## are passed."""
    line = b"##"
    number = 1
    while line.startswith(b"##"):
        line = file.readline(_PIECE)
        number += 1
    if not line.strip():
        raise DataError(f"{path} is empty, or its first line is: it should name the columns.")
    try:
        text = line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or "\r" in text:
        raise DataError(f"{path} is no text: it is of another format, or not encoded as UTF-8.")
    return text, number


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Some whole lines at a time; a piece without its end is the last one."""
    rest = b""
    while content := file.read(_PIECE):
        content = rest + content
        cut = content.rfind(b"\n") + 1
        rest = content[cut:]
        if cut:
            yield content[:cut]
    if rest:
        yield rest


def _trimmed(piece: bytes, separator: str) -> bytes:
    """The lines without blanks at the beginning and the end of their cells."""
    edges = separator.encode(), b"\n"
    if not any(pair in piece for edge in edges for pair in (b" " + edge, edge + b" ")):
        return piece  # as nearly always, and the rest is slow
    between = b"[" + b"".join(edges) + b"]"
    return re.sub(b" +(?=" + between + b")|(?<=" + between + b") +", b"", piece).strip(b" ")


def _single_spaced(piece: bytes) -> bytes:
    """One space between cells, none before the first and behind the last of a line."""
    characters = np.frombuffer(piece, dtype=np.uint8)
    space = (characters == ord(" ")) | (characters == ord("\t"))
    edge = space | (characters == ord("\n"))
    after, before = np.ones_like(edge), np.ones_like(edge)
    after[1:], before[:-1] = edge[:-1], characters[1:] == ord("\n")
    kept = characters[~(space & (after | _run_to(space, before)))].copy()
    kept[kept == ord("\t")] = ord(" ")
    return bytes(kept)


def _run_to(space: NDArray[np.bool_], before_end: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Spaces of which a whole run leads to the end of a line."""
    # Of a run the caller keeps the first: it goes too if the last one is before an end.
    starts = np.flatnonzero(space & np.concatenate([[True], ~space[:-1]]))
    ends = np.flatnonzero(space & np.concatenate([~space[1:], [True]]))
    trailing = np.zeros_like(space)
    trailing[starts[before_end[ends]]] = True
    return trailing


def _fields(text: str, separator: str) -> list[str]:
    """The cells of a line."""
    return text.split() if separator == " " else text.split(separator)


def _row(piece: bytes, first: int, row: int, separator: str) -> tuple[int, Sequence[str]]:
    """The number of the line that holds a row, and its cells."""
    lines = ((number, line) for number, line in enumerate(piece.split(b"\n"), start=first) if line)
    number, line = next(found for at, found in enumerate(lines) if at == row)
    return number, _fields(line.decode(), separator)
