"""Square matrices as text, one row a line: GEMMA's relationship matrices."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError

Floats = NDArray[np.float64]


def read_square_text(path: Path) -> Floats:
    """Read a square matrix from text, one row a line."""
    matrix = np.empty((0, 0))
    row = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            fields = line.split()
            if not fields:
                continue
            if not row:
                matrix = np.empty((len(fields), len(fields)))
            n = len(matrix)
            if len(fields) != n or row == n:
                problem = f"{len(fields)} numbers" if row < n else "one row too many"
                raise DataError(
                    f"{path}, line {number}: {problem}, but the matrix should be square, {n} x {n}."
                )
            try:
                matrix[row] = list(map(float, fields))
            except ValueError:
                column, field = next((j, f) for j, f in enumerate(fields, start=1) if not _is_number(f))
                shown = field.decode(errors="replace")
                raise DataError(f"{path}, line {number}, column {column}: {shown!r} is no number.") from None
            row += 1
    if not row:
        raise DataError(f"{path} is empty: it should hold a square matrix, one row a line.")
    if row < len(matrix):
        raise DataError(
            f"{path} ends after {row} rows of {len(matrix)} numbers: it was cut short, or is not square."
        )
    return matrix


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def write_square_text(file: IO[bytes], matrix: Floats) -> None:
    """Write the full matrix with tabs and 10 significant digits."""
    line = "\t".join(["%.10g"] * len(matrix)) + "\n"
    for row in range(len(matrix)):
        values = np.concatenate([matrix[row, :row], matrix[row:, row]])
        file.write((line % tuple(values.tolist())).encode("ascii"))
