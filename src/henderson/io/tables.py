"""Tables from disk: CSV, TSV and Parquet, with errors that name the file and the row."""

import csv
import gzip
import io
import warnings
import zlib
from collections import Counter
from collections.abc import Collection, Container, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from henderson.errors import DataError
from henderson.io.fields import refuse_other_encodings
from henderson.io.paths import nearby

_SEPARATOR = {".csv": ",", ".tsv": "\t"}
_MISSING = ["", "NA", "NaN"]
_KNOWN = ".csv, .tsv (each also with .gz) and .parquet"
_MOSTLY = 0.9  # of a column's values are numbers: then the others are slips
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_table(
    path: str | Path, numbers: Container[str] | None = None, *, labels: Collection[str] = ()
) -> pd.DataFrame:
    """Read a table, its format known from the file's ending.

    Parameters
    ----------
    path : str or Path
        A ``.csv``, ``.tsv``, ``.csv.gz``, ``.tsv.gz`` or ``.parquet`` file. Text is UTF-8 with the column
        names in the first line; ``NA``, ``NaN`` and an empty field are missing. A column in which all
        else is numbers is read as numbers, any other as text. A ``.csv`` file may have semicolons between
        its columns. Row names, as R and pandas write them (a first column without a name, or a first line
        one name short), become the column ``row``.
    numbers : container of str, optional
        The columns of a text file to check for slips: one in which nine values of ten are numbers, but not
        all, is refused. Without it, every column is checked.
    labels : collection of str, optional
        The columns of a text file to read as they are written: 007 stays 007.

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
        raise DataError(f"There is no file {path}{nearby(path)}")
    ending = path.suffix.lower()
    zipped = ending == ".gz"
    if zipped:
        ending = Path(path.stem).suffix.lower()
    with readable(path):
        if ending == ".parquet" and not zipped:
            table = _read_parquet(path)
        elif ending in _SEPARATOR:
            table = _read_text(path, _SEPARATOR[ending], zipped, numbers, labels)
        else:
            raise DataError(f"{path}: the ending does not say how to read it; henderson reads {_KNOWN}.")
    return table


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading a file's bytes into one sentence."""
    try:
        yield
    except gzip.BadGzipFile:
        raise DataError(f"{path} ends in .gz but is not a gzip file; rename or compress it.") from None
    except (EOFError, zlib.error):
        raise DataError(f"{path} is a damaged or incomplete gzip file; copy it again.") from None
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}.") from None


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
    check_names(path, table.column_names)
    frame: pd.DataFrame = table.to_pandas()
    if not len(frame):
        raise DataError(f"{path} has column names but no rows.")
    return frame.reset_index() if any(frame.index.names) else frame


def _read_text(
    path: Path, separator: str, zipped: bool, numbers: Container[str] | None, labels: Collection[str]
) -> pd.DataFrame:
    """Read a CSV or TSV file."""
    text = text_of(path, zipped)
    separator = _separator(path, text, separator)
    names, short = _header(path, text, separator)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                header=0,
                names=names,
                index_col=False,
                na_values=_MISSING,
                keep_default_na=False,
                low_memory=False,
                dtype={name: str for name in names if name in labels},
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning) as problem:
        _check_rows(path, text, separator, len(names))
        raise DataError(f"{path} cannot be read as a table: {str(problem).rstrip('.')}.") from None
    # A short row shows itself by a missing value at its end; only then are the rows counted one by one.
    if table.iloc[:, -1].isna().any():
        _check_rows(path, text, separator, len(names))
    if not len(table):
        raise DataError(f"{path} has column names but no rows.")
    if short and not _are_row_names(table):
        _check_rows(path, text, separator, len(names) - 1)
    _check_numbers(path, text, separator, table, numbers)
    return table


def text_of(path: Path, zipped: bool) -> str:
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
    refuse_other_encodings(content, path)
    return content.decode("utf-8-sig").replace("\r\n", "\n")


def _records(path: Path, text: TextIO, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Give the number of each record's last line, and its fields; blank lines are left out."""
    reader = csv.reader(text, delimiter=separator)
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, fields
    except csv.Error as problem:
        raise DataError(f"{path}, line {reader.line_num}: {str(problem).rstrip('.')}.") from None


def _separator(path: Path, text: str, separator: str) -> str:
    """Give what stands between the columns: as the file's ending says, or semicolons in a .csv file."""
    _, names = next(_records(path, io.StringIO(text, newline=""), separator))
    if len(names) > 1:
        return separator
    kinds = {",": "commas (.csv)", "\t": "tabs (.tsv)", ";": "semicolons (.csv)", " ": "spaces"}
    other = next((other for other in kinds if other in names[0].strip()), separator)
    if other != separator and (separator, other) != (",", ";"):
        raise DataError(
            f"{path}: the columns are separated by {kinds[other]}, but its ending says {kinds[separator]}."
        )
    return other


def _header(path: Path, text: str, separator: str) -> tuple[list[str], bool]:
    """Give the column names, and whether the first line leaves out the one of the row names."""
    records = _records(path, io.StringIO(text, newline=""), separator)
    names = [name.strip() for name in next(records)[1]]
    _, first = next(records, (0, []))
    short = len(first) == len(names) + 1
    if short:
        names.insert(0, "")
    if len(names) > 1 and not names[0]:
        names[0] = "row"
        while names[0] in names[1:]:
            names[0] += "_"
    check_names(path, names)
    return names, short


def _are_row_names(table: pd.DataFrame) -> bool:
    """Tell R's row names (whole numbers or text, each once) from a column that was not named by mistake."""
    first, last = table.iloc[:, 0], table.iloc[:, -1]
    return first.is_unique and not first.isna().any() and first.dtype.kind != "f" and not last.isna().all()


def check_names(path: Path, names: list[str]) -> None:
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


def _check_numbers(
    path: Path, text: str, separator: str, table: pd.DataFrame, columns: Container[str] | None
) -> None:
    """Refuse a column of numbers that a few values of another kind made text."""
    for position, name in enumerate(table.columns):
        values = table[name].dropna()
        if (columns is not None and name not in columns) or pd.api.types.infer_dtype(values) != "string":
            continue
        strays = values[pd.to_numeric(values, errors="coerce").isna()]
        without_commas = pd.to_numeric(strays.str.replace(",", ""), errors="coerce")
        if strays.empty or len(values) - without_commas.isna().sum() < _MOSTLY * len(values):
            continue
        stray = strays.iloc[0]
        records = islice(_records(path, io.StringIO(text, newline=""), separator), 1, None)
        line = next(line for line, fields in records if fields[position : position + 1] == [stray])
        if without_commas.notna().iloc[0]:
            mend = "has a comma; write numbers with a decimal point and no commas"
        else:
            mend = (
                "is no number, and almost all others are; write NA, or leave it empty "
                f"(if they are labels, write factor({name}) in the formula)"
            )
        raise DataError(f"{path}, line {line}, column {name}: {stray!r} {mend}.")


def _check_rows(path: Path, text: str, separator: str, width: int) -> None:
    """Refuse the first record below the column names that has more or fewer fields than there are columns."""
    if '"' in text or "\r" in text:
        records = islice(_records(path, io.StringIO(text, newline=""), separator), 1, None)
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
    rows = np.flatnonzero(np.diff(ends, prepend=-1) > 1)[1:]
    ragged = rows[fields[rows] != width]
    return (int(ragged[0]) + 1, int(fields[ragged[0]])) if ragged.size else None
