"""Text of the same number of columns in every line, set apart by tabs or spaces."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.source import Strings

_WIDEST = 64  # letters; where a text is longer, the column holds Python strings


def read_fields(path: Path, columns: int, what: str) -> tuple[list[bytes], NDArray[np.intp]]:
    """Read all fields of a file without a header: ``fields[j::columns]`` is its column j.

    Parameters
    ----------
    path : Path
        A UTF-8 text file. Blank lines are passed over.
    columns : int
        How many there are in every line.
    what : str
        What the lines are, for the message about an empty file, such as ``"people"``.

    Returns
    -------
    fields : list of bytes
        Row by row.
    lines : ndarray of int
        The line number of each row, from one.

    Raises
    ------
    DataError
        If the file is empty, is not UTF-8, or a line has another number of columns.
    """
    content = read_text(path)
    if not content.strip():
        raise DataError(f"{path} is empty: it should list the {what}, one per line.")
    rule = f"every line of a {path.suffix} file has {columns}"
    _, _, lines = locate_fields(content, path, columns=columns, rule=rule)
    return content.split(), lines


def locate_fields(
    content: bytes, path: Path, *, columns: int, rule: str, first_line: int = 1, tabs_only: bool = False
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Find the fields of a text, once it is sure that every line has as many as it should.

    Parameters
    ----------
    content : bytes
        The lines. Blank ones are passed over.
    path : Path
        Where they come from, for messages.
    columns : int
        How many there are in every line.
    rule : str
        Why, to end the message about a line that has another number.
    first_line : int
        The number of the first line.
    tabs_only : bool
        Whether a space is part of a field.

    Returns
    -------
    starts, ends : ndarray of int, shape (rows * columns,)
        Row by row, where each field begins and ends.
    lines : ndarray of int, shape (rows,)
        The line number of each row.
    """
    characters = np.frombuffer(content, dtype=np.uint8)
    # Tab, newline and their kin are 9 to 13; below 9 unsigned arithmetic wraps round.
    space = characters - np.uint8(9) <= 4
    if not tabs_only:
        space |= characters == ord(" ")
    edge = np.concatenate([[True], space, [True]])
    starts = np.flatnonzero(edge[:-2] & ~space)
    ends = np.flatnonzero(~space & edge[2:]) + 1
    line_ends = np.append(np.flatnonzero(characters == ord("\n")), characters.size)
    per_line = np.diff(np.searchsorted(starts, line_ends), prepend=0)
    lines = np.flatnonzero(per_line)
    wrong = lines[per_line[lines] != columns]
    if wrong.size:
        found = int(per_line[wrong[0]])
        raise DataError(
            f"{path}, line {wrong[0] + first_line}: {found} column{'s' * (found != 1)}, but {rule}."
        )
    return starts, ends, lines + first_line


def read_text(path: Path) -> bytes:
    """Give the bytes of a text file, once it is sure that they are UTF-8; a byte-order mark is left out."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}.") from None
    refuse_other_encodings(content, path)
    return content.removeprefix(BOM_UTF8)


def refuse_other_encodings(content: bytes, path: Path) -> None:
    """Raise a `DataError` that names the line where a text is not UTF-8."""
    if content.isascii():
        return
    try:
        content.decode()
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise DataError(
            f"{path}, line {line}: the byte 0x{content[problem.start]:02x} is not UTF-8; "
            "save the file as UTF-8 text."
        ) from None


def text_column(fields: Sequence[bytes]) -> Strings:
    """Give a column as an array of text."""
    widest = max(map(len, fields))
    if widest > _WIDEST:
        return np.array([field.decode() for field in fields], dtype=object)
    column = np.array(fields, dtype=f"S{widest}")
    try:
        return column.astype(np.str_)
    except UnicodeDecodeError:
        return np.array([field.decode() for field in fields])


def position_column(
    fields: Sequence[bytes], lines: Sequence[int] | NDArray[np.intp], path: Path, name: str
) -> NDArray[np.int64]:
    """Give a column of base-pair positions as numbers; a `DataError` names the line of one that is none."""
    try:
        if b"_" in b"".join(fields):  # which Python takes for a number
            raise ValueError
        return np.array(list(map(int, fields)), dtype=np.int64)
    except (ValueError, OverflowError):
        row = next(row for row, text in enumerate(fields) if not _is_position(text))
        raise DataError(
            f"{path}, line {lines[row]}: the position ({name}) is {fields[row].decode()!r}, "
            "which is no whole number of base pairs."
        ) from None


def _is_position(text: bytes) -> bool:
    """Whether a field is a whole number that 64 bits hold."""
    try:
        return b"_" not in text and -(1 << 63) <= int(text) < 1 << 63
    except ValueError:
        return False
