"""VCF Zarr stores: the fields of a VCF as compressed arrays in chunks of variants and people."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.counts import is_missing
from henderson.genotype.source import Genotypes, Index, Samples, Strings, Variants
from henderson.io.allele_calls import AlleleCalls, allele_calls, complete_dosages, tell_scale
from henderson.io.fields import text_column
from henderson.io.people import people
from henderson.io.requests import people_positions, row_range
from henderson.io.several_alleles import rows_per_allele
from henderson.io.zarr_store import DECIMAL, WHOLE, ZarrStore

logger = logging.getLogger("henderson")

_CALLS, _DOSAGES = "call_genotype", "call_DS"
_MOST_HELD = 1 << 26  # genotypes that are kept for the next read
_BY_ALLELE = 3  # axes of an array of genotypes that has one for alleles


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    """Rows ``first`` to ``behind`` (exclusive), decompressed."""

    first: int
    behind: int
    genotypes: Genotypes


@dataclass(slots=True)
class _Memory:
    """What one read leaves to the next: blocks are smaller than chunks, and a notice is given once."""

    last: _Stretch | None = None
    told_half_calls: bool = False
    lock: Lock = field(default_factory=Lock)


@dataclass(frozen=True, slots=True, eq=False)
class ZarrSource:
    """The genotypes of a VCF Zarr store; see `open_vcf_zarr`.

    Attributes
    ----------
    store : ZarrStore
        The folder.
    samples : Samples
        Who was genotyped. A store has neither families (FID is "0") nor sexes.
    variants : Variants
        What was genotyped, one row per ALT allele, which is the effect allele; the other one is REF.
    record, allele : ndarray of int, shape (m,)
        Which record of the store each row is of, from zero, and which ALT allele it counts, from one.
    n_alternative : ndarray of int, shape (records,)
        ALT alleles of each record.
    calls : zarr.Array, shape (records, n, ploidy), or None
        Allele numbers.
    dosages : zarr.Array, shape (records, n) or (records, n, alleles), or None
        Dosages of the ALT alleles; there are calls or dosages, or both.
    """

    store: ZarrStore
    samples: Samples
    variants: Variants
    record: Index
    allele: Index
    n_alternative: NDArray[np.intp]
    calls: Any
    dosages: Any
    _memory: _Memory = field(default_factory=_Memory)

    @property
    def has_dosages(self) -> bool:
        """Whether `read` gives dosages: the store has an array ``call_DS``."""
        return self.dosages is not None

    def read(self, variants: slice, samples: Index | None = None) -> Genotypes:
        """Copies of the effect allele, shape (variants, people); see `GenotypeSource.read`.

        The store is decompressed by whole chunks of variants, and the last one is kept for the next call.

        Raises
        ------
        DataError
            If a chunk is damaged, somebody has three alleles or more, or a dosage is none.
        """
        row, behind = row_range(variants, self.variants.m)
        parts: list[Genotypes] = []
        while row < behind:
            # Whoever wants the chunk that is being decompressed waits for it.
            with self._memory.lock:
                stretch = self._stretch(row)
            parts.append(stretch.genotypes[row - stretch.first : behind - stretch.first])
            row = stretch.behind
        found = np.concatenate(parts) if parts else np.empty((0, self.samples.n), self._dtype)
        return found if samples is None else np.take(found, people_positions(samples), axis=1)

    @property
    def _dtype(self) -> type[np.int8] | type[np.float32]:
        return np.float32 if self.has_dosages else np.int8

    def _stretch(self, row: int) -> _Stretch:
        """The rows around one that are decompressed together."""
        last = self._memory.last
        if last is not None and last.first <= row < last.behind:
            return last
        self._memory.last = None  # room for the new one
        chunk = (self.dosages if self.calls is None else self.calls).chunks[0]
        size = min(chunk, max(_MOST_HELD // self.samples.n, 1))
        start = int(self.record[row]) // size * size
        records = slice(start, start + size)
        first, behind = np.searchsorted(self.record, [records.start, records.stop]).tolist()
        stretch = _Stretch(first, behind, self._decoded(records, slice(first, behind)))
        self._memory.last = stretch
        return stretch

    def _decoded(self, records: slice, rows: slice) -> Genotypes:
        """Decompress records, and give the copies of the ALT alleles that are rows of their own."""
        record, allele = self.record[rows] - records.start, self.allele[rows]
        calls = None if self.calls is None else self._calls_of(records).take(record)
        if calls is not None and self.dosages is None:
            found: Genotypes = calls.copies(allele[:, None])
        else:
            given = self.store.load(_DOSAGES, self.dosages, records)
            given = given[record, :, allele - 1] if given.ndim == _BY_ALLELE else given[record]
            found = complete_dosages(
                given.astype(np.float32),
                calls,
                allele[:, None],
                where=lambda row: self._where(rows.start + row),
                people=self.samples.iid,
            )
        if calls is not None:
            self._tell_half_calls(calls.half & is_missing(found), rows.start)
        return found

    def _calls_of(self, records: slice) -> AlleleCalls:
        def where(record: int) -> str:
            return self._where(int(np.searchsorted(self.record, records.start + record)))

        alleles = self.store.load(_CALLS, self.calls, records)
        return allele_calls(alleles, self.n_alternative[records], where=where, people=self.samples.iid)

    def _where(self, row: int) -> str:
        """Name a variant in messages."""
        row = min(row, self.variants.m - 1)
        return f"{self.store.path}, {self.variants.chromosome[row]}:{self.variants.position[row]}"

    def _tell_half_calls(self, half: NDArray[np.bool_], start: int) -> None:
        """Say once that there are half-calls: how many there are is not known before all is read."""
        if half.any() and not self._memory.told_half_calls:
            self._memory.told_half_calls = True
            place = self._where(start + int(np.argwhere(half)[0][0]))
            logger.warning(f"{place}: half-calls, such as ./1, here and further on, are read as missing")


def open_vcf_zarr(path: str | Path) -> ZarrSource:
    """Open a VCF Zarr store, as vcf2zarr writes it, in Zarr format 2 or 3.

    Parameters
    ----------
    path : str or Path
        The folder of the store, usually called .zarr or .vcz.

    Returns
    -------
    ZarrSource
        People, variants and the genotypes, which stay on disk.

    Raises
    ------
    DataError
        If zarr is not installed, the store is missing, is no VCF Zarr or contradicts itself, nobody is in it,
        or two people have the same name.

    Notes
    -----
    Dosages (``call_DS``) are taken where they are there, else calls (``call_genotype``); what both mean, and
    what becomes of haploid calls, half-calls and several ALT alleles, is as in `open_vcf`. Zarr does not
    write chunks in which every value is the array's fill value, so that a store that was copied in part looks
    like a complete one; how many chunks of the genotypes are not there is said in the log. Unless the store
    was written with checksums, a chunk in which bytes have changed may not be told from a sound one.

    References
    ----------
    The VCF Zarr specification, https://github.com/sgkit-dev/vcf-zarr-spec.
    """
    store = ZarrStore.open(Path(path))
    path = store.path
    names = [name.encode() for name in store.texts("sample_id", None)]
    if not names:
        raise DataError(f"{path} has nobody in it: its array sample_id is empty.")
    samples = people(
        [b"0"] * len(names), names, (), path=path, lines=range(1, len(names) + 1), what="samples"
    )
    alleles = store.texts("variant_allele", None, None)
    alternatives = [_alternatives(row) for row in alleles]
    n_alternative = np.array([len(row) for row in alternatives], dtype=np.intp)
    record, allele = rows_per_allele(n_alternative, path)
    if not record.size:
        raise DataError(f"{path} has no variants, or none with an ALT allele.")
    m = len(alleles)
    variants = Variants(
        _chromosomes(store, m)[record],
        store.numbers("variant_position", m)[record],
        _column(store.texts("variant_id", m))[record],
        _column(name for row in alternatives for name in row),
        _column(row[0] for row in alleles)[record],
    )
    calls, dosages = _genotypes(store, n_alternative, samples.n)
    if calls is None:
        tell_scale(path, variants.chromosome)
    return ZarrSource(store, samples, variants, record, allele, n_alternative, calls, dosages)


def _alternatives(alleles: list[str]) -> list[str]:
    """The ALT alleles of a record, without what fills up the row; allele k of a call is the k-th of them."""
    named = [name for name in alleles[1:] if name]
    return [] if named == ["."] else named


def _column(texts: Iterable[str]) -> Strings:
    return text_column([text.encode() for text in texts])


def _chromosomes(store: ZarrStore, m: int) -> Strings:
    """The chromosome of each record."""
    names = _column(store.texts("contig_id", None))
    number = store.numbers("variant_contig", m)
    if (number < 0).any() or (number >= names.size).any():
        wrong = number[(number < 0) | (number >= names.size)][0]
        raise DataError(
            f"{store.path}: variant_contig has the number {wrong}, but contig_id names {names.size} "
            "chromosomes, counted from 0; write the store again."
        )
    chromosomes: Strings = names[number]
    return chromosomes


def _genotypes(store: ZarrStore, n_alternative: NDArray[np.intp], n: int) -> tuple[Any, Any]:
    """The arrays of calls and of dosages, None where there is none."""
    m = n_alternative.size
    calls = dosages = None
    if store.has(_CALLS) or not store.has(_DOSAGES):
        calls = store.array(_CALLS, (m, n, None), WHOLE)
        store.tell_absent_chunks(_CALLS, calls)
    if store.has(_DOSAGES):
        several = store.axes(_DOSAGES) == _BY_ALLELE
        dosages = store.array(_DOSAGES, (m, n, None) if several else (m, n), DECIMAL)
        store.tell_absent_chunks(_DOSAGES, dosages)
        most, kept = int(n_alternative.max()), dosages.shape[2] if several else 1
        if kept < most:
            raise DataError(
                f"{store.path}: {_DOSAGES} has {kept} dosage{'s' * (kept != 1)} per person, but there are "
                f"variants with {most} ALT alleles; split such records before imputation, or leave DS out."
            )
    return calls, dosages
