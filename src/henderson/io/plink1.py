"""PLINK 1 filesets: .bed, .bim and .fam, the genotypes memory-mapped at two bits each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.source import MISSING, Index, Samples, Variants
from henderson.io.fields import position_column, read_fields, text_column
from henderson.io.paths import beside, nearby
from henderson.io.people import people
from henderson.io.requests import people_positions, row_range

_ENDINGS = (".bed", ".bim", ".fam")
#: Endings of other formats, with the option that takes them.
_OTHER_FORMATS = {
    ".pgen": "--pfile", ".pvar": "--pfile", ".pvar.zst": "--pfile", ".psam": "--pfile", ".bgen": "--bgen",
    ".vcf": "--vcf", ".vcf.gz": "--vcf", ".bcf": "--vcf", ".zarr": "--zarr", ".vcz": "--zarr",
}  # fmt: skip
_MAGIC = b"\x6c\x1b\x01"
_INDIVIDUAL_MAJOR = b"\x6c\x1b\x00"
_COLUMNS = 6

#: Copies of the effect allele (the first of the .bim) by the two bits of a call.
_COPIES = np.array([2, MISSING, 1, 0], dtype=np.int8)
#: The four calls of every byte, lowest bits first, as one 32-bit word: one look-up decodes a byte.
_CALLS_OF_BYTE = _COPIES[np.arange(256)[:, None] >> np.array([0, 2, 4, 6]) & 3].view(np.uint32).ravel()


@dataclass(frozen=True, slots=True, eq=False)
class Plink1Source:
    """The genotypes of a PLINK 1 fileset; see `open_plink1`.

    Attributes
    ----------
    path : Path
        The .bed file.
    samples : Samples
        Who was genotyped, from the .fam file.
    variants : Variants
        What was genotyped, from the .bim file. The effect allele is its column 5 (PLINK's A1), the one that
        the .bed file counts.
    packed : ndarray of uint8, shape (m, ceil(n / 4))
        The .bed file itself, memory-mapped.
    """

    path: Path
    samples: Samples
    variants: Variants
    packed: NDArray[np.uint8]

    @property
    def has_dosages(self) -> bool:
        """Whether `read` gives dosages: never."""
        return False

    def read(self, variants: slice, samples: Index | None = None) -> NDArray[np.int8]:
        """Copies of the effect allele, int8 (variants, people); -1 is missing. See `GenotypeSource.read`."""
        start, stop = row_range(variants, self.variants.m)
        calls = np.take(_CALLS_OF_BYTE, self.packed[start:stop]).view(np.int8)[:, : self.samples.n]
        return calls if samples is None else np.take(calls, people_positions(samples), axis=1)


def open_plink1(path: str | Path) -> Plink1Source:
    """Open a PLINK 1 fileset.

    Parameters
    ----------
    path : str or Path
        Any one of the .bed, .bim and .fam files, or their common name without the ending. The .bed file must
        be variant-major, as every PLINK since 2009 writes it. Columns of the other two are separated by tabs
        or spaces. Negative positions (PLINK's "unplaced") and repeated variant names are allowed.

    Returns
    -------
    Plink1Source
        People, variants and the memory-mapped genotypes.

    Raises
    ------
    DataError
        If a file is missing or malformed, if their sizes disagree, or if two people share FID and IID; the
        message names the file and, where there is one, the line.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     prefix = Path(folder) / "two"
    ...     _ = prefix.with_suffix(".fam").write_text("f1 anna 0 0 2 -9" + chr(10) + "f2 ben 0 0 1 -9")
    ...     _ = prefix.with_suffix(".bim").write_text("1 rs1 0 1000 A G")
    ...     _ = prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 0x01, 0b1000]))
    ...     open_plink1(prefix).read(slice(0, 1))
    array([[2, 1]], dtype=int8)
    """
    bed, bim, fam = _fileset(Path(path))
    samples = read_fam(fam)
    variants = _read_bim(bim)
    return Plink1Source(bed, samples, variants, _map_bed(bed, variants.m, samples.n))


def _fileset(path: Path) -> list[Path]:
    """Find the three files."""
    prefix = path
    name = path.name.lower()
    if name.endswith(_ENDINGS):
        prefix = path.with_suffix("")
    for ending, flag in _OTHER_FORMATS.items():
        if name.endswith(ending):
            given = path.parent / path.name[: -len(ending)] if flag == "--pfile" else path
            raise DataError(
                f"{path} is no PLINK 1 fileset (.bed, .bim, .fam); henderson.open_genotypes opens it, and on "
                f"the command line {flag} {given}."
            )
    files = [beside(prefix, ending) for ending in _ENDINGS]
    missing = [file for file in files if not file.is_file()]
    if len(missing) == len(files):
        raise DataError(
            f"There is no PLINK fileset {prefix}.bed, .bim and .fam{nearby(beside(prefix, '.bed'))}"
        )
    if missing:
        there = next(file for file in files if file.is_file())
        raise DataError(f"There is no file {missing[0]} beside {there}{nearby(missing[0])}")
    return files


def read_fam(path: Path) -> Samples:
    """Read who was genotyped."""
    fields, lines = read_fields(path, _COLUMNS, "people")
    fid, iid, sex = (fields[column::_COLUMNS] for column in (0, 1, 4))
    return people(fid, iid, sex, path=path, lines=lines)


def _read_bim(path: Path) -> Variants:
    """Read what was genotyped."""
    fields, lines = read_fields(path, _COLUMNS, "variants")
    positions = position_column(fields[3::_COLUMNS], lines, path, "column 4")
    chromosome, identifier, effect, other = (text_column(fields[column::_COLUMNS]) for column in (0, 1, 4, 5))
    return Variants(chromosome, positions, identifier, effect, other)


def _map_bed(path: Path, m: int, n: int) -> NDArray[np.uint8]:
    """Map the genotypes, once it is sure that there are as many as there should be."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
        actual = path.stat().st_size
        if actual == 0:
            raise DataError(
                f"{path} is empty: it should hold {m} variants of {n} people; write or copy it again."
            )
        if magic == _INDIVIDUAL_MAJOR:
            prefix = path.with_suffix("")
            raise DataError(
                f"{path} is individual-major, an order that PLINK no longer writes; convert it with "
                f"plink2 --bfile {prefix} --make-bed --out {prefix}_variant_major."
            )
        if magic != _MAGIC:
            shown = magic.hex(" ")
            raise DataError(
                f"{path} is no PLINK 1 .bed file: it begins with the bytes {shown} instead of 6c 1b 01 "
                "(a .bed file of genome intervals is something else)."
            )
        width = (n + 3) // 4
        expected = len(_MAGIC) + m * width
        if actual != expected:
            raise DataError(_wrong_size(path, actual, expected, m, n))
        mapped: NDArray[np.uint8] = np.memmap(path, np.uint8, "r", offset=len(_MAGIC), shape=(m, width))
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}.") from None
    return mapped


def _wrong_size(path: Path, actual: int, expected: int, m: int, n: int) -> str:
    """Say what is wrong with a .bed file that is too short or too long, and the likely cause."""
    whole, rest = divmod(actual - len(_MAGIC), (n + 3) // 4)
    if whole and not rest:
        cause = (
            f"it would fit {whole:,} variants, so that the .bim or .fam file probably belongs to another .bed"
        )
    elif actual < expected:
        cause = "it was probably cut short; write or copy it again"
    else:
        cause = "the .bim or .fam file probably belongs to another .bed"
    return (
        f"{path} has {actual:,} bytes, but {m:,} variants (.bim) of {n:,} people (.fam) make {expected:,}: "
        f"{cause}."
    )
