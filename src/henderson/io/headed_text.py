"""Text with a header line that begins with #, as PLINK 2 writes it, or without any, as PLINK 1 did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.io.fields import locate_fields


@dataclass(frozen=True, slots=True, eq=False)
class HeadedText:
    """A table of text, its fields found but not yet taken out.

    Attributes
    ----------
    path : Path
        Where it comes from, for messages.
    names : tuple of str
        Its columns.
    lines : ndarray of int, shape (rows,)
        The line number of each row, from one.
    content : bytes
        The rows.
    starts, ends : ndarray of int, shape (rows * columns,)
        Where in ``content`` each field is, row by row.
    """

    path: Path
    names: tuple[str, ...]
    lines: NDArray[np.intp]
    content: bytes
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]

    def column(self, name: str) -> list[bytes]:
        """Take out one column.

        Raises
        ------
        DataError
            If there is none of that name, or several.
        """
        if self.names.count(name) != 1:
            number = "no column" if name not in self.names else "several columns"
            raise DataError(
                f"{self.path} has {number} {name}, but should have one; its header names "
                f"{', '.join(self.names)}."
            )
        every, place = len(self.names), self.names.index(name)
        starts, ends = self.starts[place::every].tolist(), self.ends[place::every].tolist()
        content = self.content
        return [content[start:end] for start, end in zip(starts, ends, strict=True)]


def headed_text(
    content: bytes, path: Path, *, what: str, first: str, headless: Mapping[int, Sequence[str]]
) -> HeadedText:
    """Find header, rows and fields of a text.

    Parameters
    ----------
    content : bytes
        UTF-8 text. Lines at the top that begin with ## are passed over, and so are blank ones.
    path : Path
        Where it comes from, for messages.
    what : str
        What the rows are, such as ``"people"``.
    first : str
        How the header begins, for a message, such as ``"#CHROM"``.
    headless : mapping of int to sequence of str
        What the columns are where there is no header, by their number.

    Raises
    ------
    DataError
        If there are no rows, or if a line has not as many columns as the header names.
    """
    start, number, line = 0, 1, _line(content, 0)
    while start < len(content) and (line.startswith(b"##") or not line.strip()):
        start, number = start + len(line) + 1, number + 1
        line = _line(content, start)
    names: Sequence[str]
    if line.startswith(b"#"):
        names = [name.decode() for name in line[1:].split()]
        rule = f"the header in line {number} names {len(names)}"
        start, number = start + len(line) + 1, number + 1
    else:
        names = headless.get(len(line.split()), ())
        rule = f"the first has {len(names)}"
    rows = content[start:]
    if not rows.strip():
        raise DataError(f"{path} is empty: it should list the {what}, one per line.")
    if not names:
        raise DataError(
            f"{path}, line {number}: there is no header that begins with {first}, and the first line has "
            f"{len(line.split())} columns instead of {' or '.join(map(str, headless))}."
        )
    # With tabs between the names, a space is part of a field.
    starts, ends, lines = locate_fields(
        rows, path, columns=len(names), rule=rule, first_line=number, tabs_only=b"\t" in line
    )
    return HeadedText(path, tuple(names), lines, rows, starts, ends)


def _line(content: bytes, start: int) -> bytes:
    """The line that begins there, without its end."""
    end = content.find(b"\n", start)
    return content[start:] if end < 0 else content[start:end]
