"""A BGEN file opened by the package bgen: where its variants are, and what people have of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from pathlib import Path
from sqlite3 import Error as SqliteError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.io.extras import load_extra
from henderson.io.paths import beside

#: What the package bgen raises for a file that is damaged.
FAILURES = (ValueError, IndexError, MemoryError, RuntimeError, OSError, ArithmeticError, TypeError)
_SHORTEST = 24  # bytes of the offset and the shortest header
_MAGIC = {b"bgen", bytes(4)}
#: Probabilities are rounded: so much a dosage may be below 0 or above 2.
_ROUNDING = 0.01
_DIPLOID = 2

Dosages = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class BgenSites:
    """The variants of a BGEN file, in its order.

    Attributes
    ----------
    chromosome, identifier : list of bytes
        As the file has them; where a variant has no rsid, the identifier is its other name.
    position : ndarray of int64
        Base-pair position.
    alleles : list of list of bytes
        At least one each.
    offsets : ndarray of int64
        Where in the file each begins.
    """

    chromosome: list[bytes]
    identifier: list[bytes]
    position: NDArray[np.int64]
    alleles: list[list[bytes]]
    offsets: NDArray[np.int64]


class BgenFile:
    """A file opened by the package bgen, once every variant has been found; pickled by its name."""

    def __init__(self, path: Path, offsets: NDArray[np.int64]) -> None:
        self._given = path, offsets
        self._path, self._offsets = path, offsets
        self._reader = open_reader(path)

    def __reduce__(self) -> tuple[type[BgenFile], tuple[Path, NDArray[np.int64]]]:
        return type(self), self._given

    def dosages(self, site: int, alleles: NDArray[np.intp]) -> Dosages:
        """Expected copies of some alleles of one variant, shape (alleles, people)."""
        variant = self._variant(site)
        try:
            ploidy: NDArray[np.uint8] = variant.ploidy
            if ploidy.max() > _DIPLOID:
                raise DataError(
                    f"{self._path}: at the variant {variant.rsid or variant.varid} somebody has "
                    f"{ploidy.max()} chromosomes, but at most two are understood; leave the variant out of "
                    "the file."
                )
            dosages = _expected_copies(variant, ploidy, alleles)
        except DataError:
            raise
        except FAILURES as problem:
            raise damaged(self._path, f"variant {site + 1:,}: {problem}") from None
        lowest, highest = np.fmin.reduce(dosages, axis=None), np.fmax.reduce(dosages, axis=None)
        if lowest < -_ROUNDING or highest > _DIPLOID + _ROUNDING:
            raise damaged(self._path, f"variant {site + 1:,}: the probabilities add up to more than one")
        return dosages

    def _variant(self, site: int) -> Any:
        """Find a variant; where there is a .bgi file, bgen looks it up there."""
        index = beside(self._path, ".bgi")
        try:
            variant = self._reader[site]
            fits = variant.fileoffset == self._offsets[site]
        except (SqliteError, *FAILURES) as problem:
            if not index.exists():
                raise damaged(self._path, f"variant {site + 1:,}: {problem}") from None
            fits = False
        if not fits:
            raise DataError(
                f"{index} is damaged, or the index of another file; delete it (it is not needed) or make it "
                "again with bgenix."
            )
        return variant


def open_reader(path: Path) -> Any:
    """Open the file without reading more than its header."""
    bgen = load_extra("bgen", "bgen", "Reading BGEN files")
    try:
        return bgen.BgenReader(str(path), delay_parsing=True)
    except FAILURES as problem:
        raise damaged(path, problem) from None


def damaged(path: Path, problem: object) -> DataError:
    """Put the package's own words into one sentence."""
    return DataError(f"{path} is damaged or was cut short ({problem}); write or copy it again.")


def _expected_copies(variant: Any, ploidy: NDArray[np.uint8], alleles: NDArray[np.intp]) -> Dosages:
    """Expected copies of some alleles, shape (alleles, people), as if everybody had two chromosomes."""
    n_alleles = len(variant.alleles)
    dosages: Dosages
    if n_alleles == 2:
        dosages = variant.alt_dosage[None]
    else:
        probabilities = variant.probabilities
        dosages = np.full((alleles.size, ploidy.size), np.nan, dtype=np.float32)
        for chromosomes in (1, 2):
            copies = _copies(n_alleles, chromosomes, phased=bool(variant.is_phased))
            who = ploidy == chromosomes
            if who.any():
                # Of all alleles: the last digit of a product hangs on its width.
                dosages[:, who] = (probabilities[who, : len(copies)] @ copies).T[alleles]
    if (ploidy != _DIPLOID).any():
        dosages[:, ploidy == 1] *= 2
        dosages[:, ploidy == 0] = np.nan
    return dosages


@cache
def _copies(n_alleles: int, chromosomes: int, *, phased: bool) -> Dosages:
    """Copies of each allele behind each probability of a person, shape (probabilities, alleles).

    Phased probabilities are those of each allele, chromosome by chromosome; others are those of the
    genotypes, sorted by their last allele first: 00 01 11 02 12 22 (BGEN specification 1.3, "Per-sample order
    of stored probabilities").
    """
    one = np.eye(n_alleles, dtype=np.float32)
    if phased:
        return np.tile(one, (chromosomes, 1))
    genotypes = combinations_with_replacement(range(n_alleles), chromosomes)
    return np.array([one[list(pair)].sum(axis=0) for pair in sorted(genotypes, key=lambda pair: pair[::-1])])


def check_bgen(path: Path) -> None:
    """Refuse a file that is not a BGEN file at all."""
    try:
        with path.open("rb") as file:
            start = file.read(_SHORTEST)
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}.") from None
    if not start:
        raise DataError(f"{path} is empty; write or copy it again.")
    if len(start) < _SHORTEST:
        raise damaged(path, f"it has {len(start)} bytes, fewer than the shortest header")
    if start[16:20] not in _MAGIC:
        raise DataError(
            f"{path} is no BGEN file: its bytes 17 to 20 are {start[16:20].hex(' ')} instead of "
            "62 67 65 6e (bgen)."
        )


def find_variants(reader: Any, path: Path) -> BgenSites:
    """Find every variant, without reading what the people have.

    Raises
    ------
    DataError
        If the file is damaged, or has more or fewer variants than its header says.
    """
    chromosome, identifier, position, alleles, offsets = [], [], [], [], []
    end = reader.header.offset + 4
    try:
        for variant in reader:
            chromosome.append(variant.chrom.encode())
            identifier.append((variant.rsid or variant.varid).encode())
            position.append(variant.pos)
            alleles.append([allele.encode() for allele in variant.alleles])
            offsets.append(variant.fileoffset)
            end = variant.next_variant_offset
    except FAILURES as problem:
        raise damaged(path, f"after {len(offsets):,} variants: {problem}") from None
    listed, size = reader.header.nvariants, path.stat().st_size
    if len(offsets) != listed or end != size:
        raise damaged(
            path,
            f"its header says {listed:,} variants; it has {len(offsets):,}, and the last one ends at byte "
            f"{end:,} of {size:,}",
        )
    return BgenSites(
        chromosome, identifier, np.array(position, np.int64), alleles, np.array(offsets, np.int64)
    )
