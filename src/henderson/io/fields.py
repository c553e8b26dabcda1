"""Text without a header: the same number of columns in every line, set apart by tabs or spaces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.source import Strings

_WIDEST = 64  # letters; where a text is longer, the column holds Python strings


def read_fields(path: Path, columns: int, what: str) -> tuple[list[bytes], NDArray[np.intp]]:
    """Read all fields of a file: ``fields[j::columns]`` is its column j.

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
    content = _content(path)
    if not content.strip():
        raise DataError(f"{path} is empty: it should list the {what}, one per line.")
    characters = np.frombuffer(content, dtype=np.uint8)
    # Tab, newline and their kin are 9 to 13; below 9 unsigned arithmetic wraps round.
    space = (characters == ord(" ")) | (characters - np.uint8(9) <= 4)
    starts = np.flatnonzero(~space & np.concatenate([[True], space[:-1]]))
    ends = np.append(np.flatnonzero(characters == ord("\n")), characters.size)
    per_line = np.diff(np.searchsorted(starts, ends), prepend=0)
    lines = np.flatnonzero(per_line)
    wrong = lines[per_line[lines] != columns]
    if wrong.size:
        found = int(per_line[wrong[0]])
        raise DataError(
            f"{path}, line {wrong[0] + 1}: {found} column{'s' * (found != 1)}, but every line of a "
            f"{path.suffix} file has {columns}."
        )
    return content.split(), lines + 1


def _content(path: Path) -> bytes:
    """Give the bytes of a text file, once it is sure that they are UTF-8."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}.") from None
    if not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError as problem:
            line = content.count(b"\n", 0, problem.start) + 1
            raise DataError(
                f"{path}, line {line}: the byte 0x{content[problem.start]:02x} is not UTF-8; "
                "save the file as UTF-8 text."
            ) from None
    return content


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
