"""Tables from disk: CSV, TSV and Parquet, with errors that name the file and the row."""

import csv
import gzip
import io
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from henderson.errors import DataError

_SEPARATOR = {".csv": ",", ".tsv": "\t"}
_MISSING = ["", "NA", "NaN"]
_KNOWN = ".csv, .tsv (each also with .gz) and .parquet"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table, its format known from the file's ending.

    Parameters
    ----------
    path : str or Path
        A ``.csv``, ``.tsv``, ``.csv.gz``, ``.tsv.gz`` or ``.parquet`` file. Text is UTF-8 with the column
        names in the first line; ``NA``, ``NaN`` and an empty field are missing. A column in which all
        else is numbers is read as numbers, any other as text.

    Returns
    -------
    pandas.DataFrame
        One column per column of the file, in its order.

    Raises
    ------
    DataError
        If the file cannot be read as a table; the message names the file and, where there is one, the line.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a table.")
    if not path.exists():
        raise DataError(f"There is no file {path}{_nearby(path)}.")
    ending = path.suffix.lower()
    zipped = ending == ".gz"
    if zipped:
        ending = Path(path.stem).suffix.lower()
    with _readable(path):
        if ending == ".parquet" and not zipped:
            table = _read_parquet(path)
        elif ending in _SEPARATOR:
            table = _read_text(path, _SEPARATOR[ending], zipped)
        else:
            raise DataError(f"{path}: the ending does not say how to read it; henderson reads {_KNOWN}.")
    return table


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading a file's bytes into one sentence."""
    try:
        yield
    except gzip.BadGzipFile:
        raise DataError(f"{path} ends in .gz but is not a gzip file; rename or compress it.") from None
    except (EOFError, zlib.error):
        raise DataError(f"{path} is a damaged or incomplete gzip file; copy it again.") from None
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}.") from None


def _nearby(path: Path) -> str:
    """Suggest a file of the same folder whose name is close."""
    from difflib import get_close_matches

    if not path.parent.is_dir():
        return f": there is no folder {path.parent} either"
    names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    close = get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f"; did you mean {path.with_name(close[0])}" if close else ""


def _read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet file, which needs pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs pyarrow; run: pip install pyarrow") from None
    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowInvalid as problem:
        reason = str(problem).splitlines()[0].rstrip(".")
        raise DataError(f"{path} is not a readable Parquet file: {reason}.") from None
    _check_names(path, table.column_names)
    frame: pd.DataFrame = table.to_pandas()
    if not len(frame):
        raise DataError(f"{path} has column names but no rows.")
    return frame.reset_index() if any(frame.index.names) else frame


def _read_text(path: Path, separator: str, zipped: bool) -> pd.DataFrame:
    """Read a CSV or TSV file."""
    text = _text(path, zipped)
    names = _header(path, text, separator)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                index_col=False,
                na_values=_MISSING,
                keep_default_na=False,
                low_memory=False,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning) as problem:
        _check_rows(path, text, separator, len(names))
        raise DataError(f"{path} cannot be read as a table: {str(problem).rstrip('.')}.") from None
    # A short row shows itself by a missing value at its end; only then are the rows counted one by one.
    if table.iloc[:, -1].isna().any():
        _check_rows(path, text, separator, len(names))
    if not len(table):
        raise DataError(f"{path} has column names but no rows.")
    table.columns = pd.Index(names)
    return table


def _text(path: Path, zipped: bool) -> str:
    """Give the file's text, once it is sure that it is text."""
    content = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
    if not content.strip():
        raise DataError(f"{path} is empty.")
    if content.startswith(_UTF16_MARKS):
        raise DataError(f"{path} is encoded as UTF-16; save it as UTF-8 text.")
    if not zipped and content.startswith(b"\x1f\x8b"):
        raise DataError(f"{path} is a gzip file; add .gz to its name.")
    zero = content.find(b"\0")
    if zero >= 0:
        raise DataError(
            f"{path} is not a text table: line {content.count(10, 0, zero) + 1} holds binary data. "
            f"henderson reads {_KNOWN}."
        )
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise DataError(
            f"{path}, line {line}: the byte 0x{content[problem.start]:02x} is not UTF-8; "
            "save the file as UTF-8 text."
        ) from None


def _records(path: Path, text: TextIO, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Give the number of each record's last line, and its fields; blank lines are left out."""
    reader = csv.reader(text, delimiter=separator)
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, fields
    except csv.Error as problem:
        raise DataError(f"{path}, line {reader.line_num}: {str(problem).rstrip('.')}.") from None


def _header(path: Path, text: str, separator: str) -> list[str]:
    """Give the column names."""
    _, names = next(_records(path, io.StringIO(text, newline=""), separator))
    names = [name.strip() for name in names]
    _check_names(path, names)
    other = {",": "\t", "\t": ","}[separator]
    if len(names) == 1 and other in names[0]:
        kind = {",": "commas (.csv)", "\t": "tabs (.tsv)"}
        raise DataError(
            f"{path}: the columns are separated by {kind[other]}, but its ending says {kind[separator]}."
        )
    return names


def _check_names(path: Path, names: list[str]) -> None:
    """Refuse column names that do not tell the columns apart."""
    if not names:
        raise DataError(f"{path} has no columns.")
    for column, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"{path}: column {column} has no name in the first line; give it one.")
    twice = [repr(name) for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"{path}: more than one column is called {', '.join(twice)}; each needs a name of its own."
        )


def _check_rows(path: Path, text: str, separator: str, width: int) -> None:
    """Refuse the first record that has more or fewer fields than there are column names."""
    if '"' in text or "\r" in text:
        records = _records(path, io.StringIO(text, newline=""), separator)
        ragged = next(((line, len(fields)) for line, fields in records if len(fields) != width), None)
    else:
        ragged = _ragged_line(text, separator, width)
    if ragged is not None:
        line, found = ragged
        number = "1 field" if found == 1 else f"{found} fields"
        raise DataError(f"{path}, line {line}: {number}, but there are {width} columns.")


def _ragged_line(text: str, separator: str, width: int) -> tuple[int, int] | None:
    """Find the first ragged line, and its number of fields, where no field is quoted: much the faster way."""
    characters = np.frombuffer(text.encode() + b"\n", dtype=np.uint8)
    ends = np.flatnonzero(characters == ord("\n"))
    before = np.searchsorted(np.flatnonzero(characters == ord(separator)), ends)
    fields = np.diff(before, prepend=0) + 1
    ragged = np.flatnonzero((fields != width) & (np.diff(ends, prepend=-1) > 1))
    return (int(ragged[0]) + 1, int(fields[ragged[0]])) if ragged.size else None
