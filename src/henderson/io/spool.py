"""Genotypes on their way into an unnamed temporary file: written once in order, read in any."""

from __future__ import annotations

from tempfile import TemporaryFile, gettempdir
from types import TracebackType
from typing import IO, Self

import numpy as np

from henderson.errors import DataError
from henderson.genotype.source import Genotypes
from henderson.io.allele_calls import as_dosages

_CHUNK = 1 << 22  # genotypes that are held before they are written


class GenotypeSpool:
    """Rows of n genotypes each: hard calls, until the first dosage makes dosages of them all.

    The file has no name, so that nothing is left of it once the last array over it is gone, however the
    program ends. Use it in a ``with`` block; what `finish` gave stays readable after the block.

    Parameters
    ----------
    origin : str
        Where the genotypes come from, for the message about a full disk.
    n : int
        Number of people.
    """

    def __init__(self, origin: str, n: int) -> None:
        self._origin = origin
        self._n = n
        self._dtype: type[np.int8] | type[np.float32] = np.int8
        self._rows = 0
        self._held: list[Genotypes] = []
        self._file = self._new_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, row: Genotypes) -> None:
        """Append the genotypes of one variant, int8 or float32, shape (n,)."""
        if row.dtype != self._dtype:
            if self._dtype is np.int8:
                self._widen()
            else:
                row = as_dosages(row.view(np.int8))
        self._held.append(row)
        if len(self._held) * self._n >= _CHUNK:
            self._write()

    def finish(self) -> Genotypes:
        """Everything that was added, shape (rows, n), memory-mapped; at least one row."""
        self._write()
        return self._mapped()

    def _write(self) -> None:
        """Write what is held."""
        if self._held:
            self._append(np.stack(self._held))
            self._rows += len(self._held)
            self._held.clear()

    def _widen(self) -> None:
        """Turn the hard calls that were written so far into dosages."""
        self._write()
        calls = self._mapped() if self._rows else np.empty((0, self._n), dtype=np.int8)
        narrow, self._file = self._file, self._new_file()
        self._dtype = np.float32
        step = max(_CHUNK // self._n, 1)
        with narrow:
            for start in range(0, self._rows, step):
                self._append(as_dosages(calls[start : start + step].view(np.int8)))

    def _append(self, block: Genotypes) -> None:
        left = memoryview(np.ascontiguousarray(block).data).cast("B")
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as problem:
            raise self._no_room(problem) from None

    def _mapped(self) -> Genotypes:
        mapped: Genotypes = np.memmap(self._file, self._dtype, "r", shape=(self._rows, self._n))
        return mapped

    def _new_file(self) -> IO[bytes]:
        try:
            # Unbuffered: what cannot be written is said at once, and not again when the file is closed.
            return TemporaryFile(prefix="henderson-", buffering=0)
        except OSError as problem:
            raise self._no_room(problem) from None

    def _no_room(self, problem: OSError) -> DataError:
        written = self._rows * self._n * np.dtype(self._dtype).itemsize
        return DataError(
            f"{self._origin}: the temporary file for its genotypes in {gettempdir()} could not be written "
            f"after {written / 1e6:,.0f} MB ({problem.strerror or problem}): make room there, or set the "
            "variable TMPDIR to a folder that has more."
        )
