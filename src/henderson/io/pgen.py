"""PLINK 2 filesets: .pgen, .pvar and .psam, the genotypes read by Pgenlib."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.source import Genotypes, Index, Samples, Variants
from henderson.io.extras import load_extra
from henderson.io.paths import beside, nearby
from henderson.io.pgen_header import PgenHeader, read_pgen_header
from henderson.io.psam import read_psam
from henderson.io.pvar import PvarTable, read_pvar
from henderson.io.requests import people_positions, row_range

_ENDINGS = (".pgen", ".pvar", ".pvar.zst", ".psam")
_GENOTYPES_AT_ONCE = 1 << 18  # they stay in the cache


@dataclass(frozen=True, slots=True, eq=False)
class PgenSource:
    """The genotypes of a PLINK 2 fileset; see `open_pgen`.

    It can be pickled: what comes out reads the same files. Two threads must not read at the same time.

    Attributes
    ----------
    path : Path
        The .pgen file.
    samples : Samples
        Who was genotyped, from the .psam file.
    variants : Variants
        What was genotyped, from the .pvar file: a row for each alternative allele. The effect allele is ALT.
    has_dosages : bool
        Whether the file has any dosages; `read` then gives dosages of all variants.
    site, allele : ndarray of int, shape (m,)
        The variant of the file that a row comes from, from zero, and which of its alternative alleles is
        counted, from one.
    file : PgenFile
        The open file.
    """

    path: Path
    samples: Samples
    variants: Variants
    has_dosages: bool
    site: NDArray[np.uint32]
    allele: NDArray[np.intp]
    file: PgenFile

    def read(self, variants: slice, samples: Index | None = None) -> Genotypes:
        """Copies of the effect allele, shape (variants, people); see `GenotypeSource.read`.

        Raises
        ------
        DataError
            If the file is damaged.
        """
        start, stop = row_range(variants, self.variants.m)
        chosen = None if samples is None else people_positions(samples)
        n = self.samples.n
        kind = np.float32 if self.has_dosages else np.int8
        genotypes = np.empty((stop - start, n if chosen is None else chosen.size), dtype=kind)
        # Everybody is read, and people picked afterwards: Pgenlib takes longer to leave most of them out.
        step = max(_GENOTYPES_AT_ONCE // n, 1)
        scratch = np.empty((min(step, stop - start), n), dtype=kind) if chosen is not None else genotypes[:0]
        for first in range(start, stop, step):
            last = min(first + step, stop)
            part = genotypes[first - start : last - start]
            everybody = part if chosen is None else scratch[: last - first]
            self._fill(everybody, first, last)
            if chosen is not None:
                np.take(everybody, chosen, axis=1, out=part)
        return genotypes

    def _fill(self, genotypes: Genotypes, first: int, last: int) -> None:
        """Read rows of everybody, with missing ones marked as here."""
        site, allele = self.site[first:last], self.allele[first:last]
        if (allele == 1).all():
            self.file.read_range(int(site[0]), int(site[-1]) + 1, genotypes)
        else:
            for counted in np.unique(allele).tolist():
                rows = np.flatnonzero(allele == counted)
                part = np.empty((rows.size, self.samples.n), dtype=genotypes.dtype)
                self.file.read_list(site[rows], part, counted)
                genotypes[rows] = part
        # Pgenlib marks them by -9: the sign alone makes -1 of it, seven times faster than a comparison.
        if genotypes.dtype == np.int8:
            calls = genotypes.view(np.int8)
            np.bitwise_or(calls, calls >> 7, out=calls)
        else:
            genotypes[genotypes < 0] = np.nan


class PgenFile:
    """A .pgen file opened by Pgenlib; pickled by its name."""

    def __init__(self, path: Path, n_people: int, n_alleles: NDArray[np.intp]) -> None:
        self._given = path, n_people, n_alleles
        self._path = path
        pgenlib = load_extra("pgenlib", "plink2", "Reading PLINK 2 files")
        offsets = np.concatenate([[0], np.cumsum(n_alleles)]).astype(np.uintp)
        try:
            self._reader: Any = pgenlib.PgenReader(
                os.fsencode(path),
                raw_sample_ct=n_people,
                variant_ct=len(n_alleles),
                allele_idx_offsets=offsets,
            )
        except RuntimeError as problem:
            raise _damaged(path, problem) from None

    def __reduce__(self) -> tuple[type[PgenFile], tuple[Path, int, NDArray[np.intp]]]:
        return type(self), self._given

    def read_range(self, first: int, last: int, out: Genotypes) -> None:
        """Copies of the first alternative allele of variants that are adjacent in the file."""
        read = self._reader.read_range if out.dtype == np.int8 else self._reader.read_dosages_range
        try:
            read(first, last, out)
        except RuntimeError as problem:
            raise _damaged(self._path, problem) from None

    def read_list(self, sites: NDArray[np.uint32], out: Genotypes, allele: int) -> None:
        """Copies of one of the alternative alleles of several variants."""
        read = self._reader.read_list if out.dtype == np.int8 else self._reader.read_dosages_list
        try:
            read(sites, out, allele)
        except RuntimeError as problem:
            raise _damaged(self._path, problem) from None


def _damaged(path: Path, problem: RuntimeError) -> DataError:
    """Put Pgenlib's own words (bytes of C, or text) into one sentence."""
    words = problem.args[0] if problem.args else ""
    text = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
    return DataError(
        f"{path} is damaged, or of a kind that Pgenlib does not read ({text.strip().rstrip('.')}); "
        "write or copy it again."
    )


def open_pgen(path: str | Path) -> PgenSource:
    """Open a PLINK 2 fileset.

    Parameters
    ----------
    path : str or Path
        Any one of the .pgen, .pvar (or .pvar.zst) and .psam files, or their common name without the ending.
        A variant with several alternative alleles is a row for each of them, copies of that allele against
        all others; a notice counts these. Without FID in the .psam everybody's is "0".

    Returns
    -------
    PgenSource
        People, variants and the open genotypes.

    Raises
    ------
    DataError
        If Pgenlib is not installed, if a file is missing or malformed, if their sizes disagree, or if two
        people share FID and IID; the message names the file and, where there is one, the line.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np, pgenlib
    >>> with TemporaryDirectory() as folder:
    ...     prefix = Path(folder) / "two"
    ...     _ = prefix.with_suffix(".psam").write_text(chr(10).join(["#IID SEX", "anna 2", "ben 1"]))
    ...     _ = prefix.with_suffix(".pvar").write_text(chr(10).join(["#CHROM POS ID REF ALT", "1 9 rs1 G A"]))
    ...     with pgenlib.PgenWriter(bytes(prefix) + b".pgen", 2, variant_ct=1) as file:
    ...         file.append_biallelic(np.array([2, 1], dtype=np.int8))
    ...     open_pgen(prefix).read(slice(0, 1))
    array([[2, 1]], dtype=int8)
    """
    pgen, pvar, psam = _fileset(Path(path))
    header = read_pgen_header(pgen)
    samples = read_psam(psam)
    if samples.n != header.n_people:
        raise DataError(
            f"{pgen} has genotypes of {header.n_people:,} people, but {psam} lists {samples.n:,}: one of the "
            "two belongs to another fileset."
        )
    table = read_pvar(pvar)
    _check_variants(header, table, pgen, pvar)
    site = table.site.astype(np.uint32)
    file = PgenFile(pgen, samples.n, table.n_alleles)
    return PgenSource(pgen, samples, table.variants, header.has_dosages, site, table.allele, file)


def _fileset(path: Path) -> tuple[Path, Path, Path]:
    """Find the three files."""
    prefix = path
    ending = max((e for e in _ENDINGS if path.name.lower().endswith(e)), key=len, default="")
    if ending:
        prefix = path.parent / path.name[: -len(ending)]
    pgen, pvar, packed, psam = (beside(prefix, each) for each in _ENDINGS)
    if ending == ".pvar.zst" or (ending != ".pvar" and not pvar.is_file() and packed.is_file()):
        pvar = packed
    files = (pgen, pvar, psam)
    missing = [file for file in files if not file.is_file()]
    if len(missing) == len(files):
        raise DataError(f"There is no PLINK 2 fileset {prefix}.pgen, .pvar and .psam{nearby(pgen)}")
    if missing:
        there = next(file for file in files if file.is_file())
        raise DataError(f"There is no file {missing[0]} beside {there}{nearby(missing[0])}")
    return files


def _check_variants(header: PgenHeader, table: PvarTable, pgen: Path, pvar: Path) -> None:
    """Refuse a .pvar file that does not fit the .pgen file."""
    m = len(table.n_alleles)
    if m != header.n_variants:
        raise DataError(
            f"{pgen} has {header.n_variants:,} variants, but {pvar} lists {m:,}: one of the two belongs to "
            "another fileset."
        )
    wrong = header.multiallelic & (table.n_alleles == 2)
    if header.n_alleles is not None:
        wrong |= header.n_alleles != table.n_alleles
    if wrong.any():
        row = int(np.argmax(wrong))
        actual = "more" if header.n_alleles is None else header.n_alleles[row]
        raise DataError(
            f"{pvar}, line {table.lines[row]}: {table.n_alleles[row]} alleles, but {pgen} has {actual}: "
            "one of the two belongs to another fileset."
        )
