"""A Zarr group on disk: its arrays by name, each error one sentence."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.io.extras import load_extra
from henderson.io.paths import nearby

logger = logging.getLogger("henderson")

#: Kinds of NumPy types.
WHOLE, DECIMAL, TEXT = "iu", "f", "OTUS"
_KINDS = {WHOLE: "whole numbers", DECIMAL: "decimal numbers", TEXT: "texts"}

#: What makes a folder a Zarr group, in format 2 and in format 3.
GROUP_FILES = (".zgroup", "zarr.json")


@dataclass(frozen=True, slots=True, eq=False)
class ZarrStore:
    """The arrays of a Zarr group.

    Attributes
    ----------
    path : Path
        The folder.
    group : zarr.Group
        The group.
    """

    path: Path
    group: Any

    @classmethod
    def open(cls, path: Path) -> ZarrStore:
        """Open a folder.

        Raises
        ------
        DataError
            If zarr is not installed, or the folder is missing or no Zarr group.
        """
        zarr = load_extra("zarr", "zarr", "Reading VCF Zarr stores")
        if not path.exists():
            raise DataError(f"There is no folder {path}{nearby(path)}")
        if not any((path / name).is_file() for name in GROUP_FILES):
            raise DataError(
                f"{path} is no Zarr store: it should be a folder with a file {' or '.join(GROUP_FILES)}."
            )
        try:
            return cls(path, zarr.open_group(str(path), mode="r"))
        except Exception as problem:  # whatever a damaged description makes zarr do
            raise DataError(
                f"{path} cannot be read as a Zarr store ({_in_short(problem)}); copy it again."
            ) from None

    def has(self, name: str) -> bool:
        """Whether there is an array of that name."""
        return (self.path / name).is_dir()

    def axes(self, name: str) -> int:
        """How many axes an array has that is there."""
        try:
            return len(self.group[name].shape)
        except Exception as problem:
            raise self._damaged(name, problem) from None

    def array(self, name: str, shape: Sequence[int | None], kinds: str) -> Any:
        """An array that must be there, as a ``zarr.Array``.

        Parameters
        ----------
        name : str
            Its name.
        shape : sequence of int or None
            How long its axes are; None where any length will do.
        kinds : str
            Letters of the kinds of NumPy types that it may have.
        """
        if not self.has(name):
            raise DataError(
                f"{self.path} has no array {name}, as a VCF Zarr store (of vcf2zarr) should have."
            )
        try:
            array = self.group[name]
            found, kind = tuple(array.shape), np.dtype(array.dtype).kind
        except Exception as problem:
            raise self._damaged(name, problem) from None
        if len(found) != len(shape) or any(
            wanted not in {None, length} for wanted, length in zip(shape, found, strict=True)
        ):
            wanted = " x ".join("any" if length is None else str(length) for length in shape)
            raise DataError(
                f"{self.path}: the array {name} has the shape {' x '.join(map(str, found))} instead of "
                f"{wanted}, so that it does not fit the others; write the store again."
            )
        if kind not in kinds:
            raise DataError(
                f"{self.path}: the array {name} has the type {array.dtype} instead of {_KINDS[kinds]}; "
                "write the store again."
            )
        return array

    def load(self, name: str, array: Any, rows: slice = slice(None)) -> NDArray[Any]:
        """Decompress an array, or some of its rows."""
        try:
            return np.asarray(array[rows])
        except Exception as problem:
            raise self._damaged(name, problem) from None

    def numbers(self, name: str, *shape: int | None) -> NDArray[np.int64]:
        """All of an array of whole numbers."""
        return self.load(name, self.array(name, shape, WHOLE)).astype(np.int64)

    def texts(self, name: str, *shape: int | None) -> list[Any]:
        """All of an array of texts, as lists of str, nested for two axes."""
        found = self.load(name, self.array(name, shape, TEXT))
        try:
            texts: list[Any] = (found.astype(np.str_) if found.dtype.kind == "S" else found).tolist()
        except UnicodeDecodeError as problem:
            raise self._damaged(name, problem) from None
        return texts

    def tell_absent_chunks(self, name: str, array: Any) -> None:
        """Warn of chunks that are not there: Zarr takes each of them for the fill value, without a word."""
        absent = array.nchunks - array.nchunks_initialized
        if absent:
            logger.warning(
                f"{self.path}: {absent:,} of {array.nchunks:,} chunks of {name} are not there and are read "
                f"as {array.fill_value}, as Zarr has it; if the store was copied in part, these are wrong"
            )

    def _damaged(self, name: str, problem: Exception) -> DataError:
        return DataError(
            f"{self.path}: the array {name} cannot be read ({_in_short(problem)}); the store is damaged or "
            "was not copied completely, so copy or write it again."
        )


def _in_short(problem: Exception) -> str:
    """What another library said, on one line."""
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:200]
