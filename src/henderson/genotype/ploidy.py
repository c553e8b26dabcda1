"""Who has one copy of a chromosome only: men of X and Y, everybody of the mitochondria's."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from henderson.genotype.chromosomes import HUMAN, Kind, chromosome_kinds, count_autosomes
from henderson.genotype.counts import VariantCounts, count_genotypes, is_missing
from henderson.genotype.selection import select
from henderson.genotype.source import Genotypes, GenotypeSource, Index, Samples, Variants

logger = logging.getLogger("henderson")
Mask = NDArray[np.bool_]
Sexes = NDArray[np.int8]
MALE, FEMALE, UNKNOWN = 1, 2, 0
_SINGLE = (Kind.X, Kind.Y, Kind.MT)
_GENOTYPES_READ = 1 << 24


@dataclass(frozen=True, slots=True, eq=False)
class SexAware:
    """A source without calls that cannot be; see `sex_aware`.

    Attributes
    ----------
    source : GenotypeSource
        Where the genotypes are.
    variants : Variants
        Its variants, with what kind of chromosome each is on.
    """

    source: GenotypeSource
    variants: Variants

    @property
    def samples(self) -> Samples:
        """Who was genotyped."""
        return self.source.samples

    @property
    def has_dosages(self) -> bool:
        """Whether `read` gives dosages."""
        return self.source.has_dosages

    def read(self, variants: slice, samples: Index | None = None) -> Genotypes:
        """Copies of the effect allele, shape (variants, people); see `GenotypeSource.read`.

        What cannot be is missing.
        """
        genotypes = self.source.read(variants, samples)
        kinds = self.variants.kind[variants]
        if not (kinds >= Kind.X).any():
            return genotypes
        sex = self.samples.sex if samples is None else self.samples.sex[samples]
        if (kinds == kinds[0]).all():
            return _without(genotypes, impossible(genotypes, Kind(kinds[0]), sex))
        genotypes = genotypes.copy()
        for kind in _SINGLE:
            rows = np.flatnonzero(kinds == kind)
            if rows.size:
                gone = impossible(genotypes[rows], kind, sex)
                genotypes[rows] = _without(genotypes[rows], gone)
        return genotypes


def sex_aware(
    source: GenotypeSource, *, build: str | None = None, autosome_num: int | None = None
) -> GenotypeSource:
    """Genotypes of which people have one copy only where they do: on X, Y and in mitochondria.

    Whoever has one copy of a chromosome has 0 or 2 of its effect allele, as PLINK counts: a man's X weighs
    as much as both of a woman's. What cannot be becomes missing: heterozygous calls of men on X outside of
    the pseudo-autosomal regions, heterozygous calls on Y and in mitochondria, and whatever women have on Y.
    Other dosages stay, since they may lie anywhere between 0 and 2. People of unknown sex count as women.
    Frequencies count one allele for one copy; Hardy-Weinberg equilibrium is judged by those known to be
    women on X, and by nobody on Y and in mitochondria (`VariantCounts`).

    Parameters
    ----------
    source : GenotypeSource
        Where the genotypes are.
    build, autosome_num : optional
        See `henderson.genotype.chromosomes.chromosome_kinds`.

    Returns
    -------
    GenotypeSource
        The same people and variants; these say what kind of chromosome they are on. What becomes missing is
        counted and logged; this reads the variants on X, Y and in mitochondria once.

    Raises
    ------
    DataError
        If the build is not known, or the number of autosomes is not positive.

    Examples
    --------
    >>> from henderson.genotype import ArraySource, count_variants
    >>> calls = ArraySource.of([[0, 2, 1, 1]])
    >>> people = replace(calls.samples, sex=np.array([1, 1, 1, 2], dtype=np.int8))
    >>> on_x = replace(calls, samples=people, variants=replace(calls.variants, chromosome=np.array(["X"])))
    >>> aware = sex_aware(on_x)
    >>> aware.read(slice(0, 1)), count_variants(aware).frequency
    (array([[ 0,  2, -1,  1]], dtype=int8), array([0.5]))
    """
    n_autosomes = autosomes_said(source.variants, autosome_num)
    kinds = chromosome_kinds(source.variants, build=build, autosome_num=n_autosomes)
    for notice in _notices(source, kinds, build):
        logger.warning(notice)
    return SexAware(source, replace(source.variants, kind=kinds))


def autosomes_said(variants: Variants, autosome_num: int | None = None) -> int:
    """The number of autosomes, as `count_autosomes` has it; it is logged where numbers of chromosomes say it.

    To be asked before variants are chosen: of 29 autosomes, the 23rd by itself would pass for a human X.
    """
    n_autosomes = count_autosomes(variants.chromosome, autosome_num)
    if autosome_num is None and n_autosomes > HUMAN:
        logger.info(
            f"there is a chromosome {n_autosomes}, so that every chromosome with a number counts as an "
            "autosome; say how many there are (autosome_num, --autosome-num) if X has a number too"
        )
    return n_autosomes


def impossible(genotypes: Genotypes, kind: Kind, sex: Sexes) -> Mask:
    """Where there is a genotype that cannot be, for variants on one kind of chromosome.

    Parameters
    ----------
    genotypes : ndarray of int8 or float32, shape (b, n)
        Hard calls, or dosages, of which those of women on Y alone cannot be.
    kind : Kind
    sex : ndarray of int8, shape (n,)
        1 male, 2 female, 0 unknown, which counts as female.
    """
    found: Mask = genotypes == 1 if genotypes.dtype == np.int8 else np.zeros(genotypes.shape, dtype=bool)
    if kind == Kind.X:
        found &= sex == MALE
    elif kind == Kind.Y:
        found |= (sex != MALE) & ~is_missing(genotypes)
    elif kind != Kind.MT:
        found[:] = False
    return found


def _without(genotypes: Genotypes, gone: Mask) -> Genotypes:
    """The genotypes, some of them missing."""
    if genotypes.dtype == np.int8:
        return genotypes.view(np.int8) | -gone.view(np.int8)  # MISSING has every bit set
    return np.where(gone, np.float32(np.nan), genotypes)


def count_by_ploidy(genotypes: Genotypes, kinds: NDArray[np.int8], sex: Sexes) -> VariantCounts:
    """Count the genotypes of a block of variants, one allele for whoever has one copy of a chromosome.

    Parameters
    ----------
    genotypes : ndarray of int8 or float32, shape (b, n)
        Copies of the effect allele.
    kinds : ndarray of int8, shape (b,)
        The `Kind` of the chromosome of each variant.
    sex : ndarray of int8, shape (n,)
        Of each of the people.
    """
    counts = count_genotypes(genotypes)
    if kinds.size and kinds.max() >= Kind.X:
        for kind in _SINGLE:
            rows = np.flatnonzero(kinds == kind)
            if rows.size:
                once = np.ones(sex.shape, dtype=bool) if kind != Kind.X else sex == MALE
                twice = ~once & (sex == FEMALE)
                single, diploid = (count_genotypes(_without(genotypes[rows], ~who)) for who in (once, twice))
                counts = counts.with_rows(rows, counts.take(rows).with_single(single, diploid.copies))
    return counts


def _notices(source: GenotypeSource, kinds: NDArray[np.int8], build: str | None) -> list[str]:
    """What becomes missing, and who counts as a woman."""
    notices = []
    sex = source.samples.sex
    n_unknown = int((sex == UNKNOWN).sum())
    if n_unknown and np.isin(kinds, (Kind.X, Kind.Y)).any():
        who = "everybody" if n_unknown == sex.size else f"{n_unknown:,} of {sex.size:,} people"
        notices.append(f"the sex of {who} is not known: they count as women on X and Y")
    for kind, what in (
        (Kind.X, "heterozygous calls of men on X"),
        (Kind.Y, "calls of women, or heterozygous ones, on Y"),
        (Kind.MT, "heterozygous calls in mitochondria"),
    ):
        n_calls, n_variants = _count_impossible(source, np.flatnonzero(kinds == kind), kind)
        if n_calls:
            where = "1 variant" if n_variants == 1 else f"{n_variants:,} variants"
            notices.append(f"missing from now on: {n_calls:,} {what}, at {where}")
            if kind == Kind.X and build is None:
                notices[-1] += (
                    "; all of X counts as outside of the pseudo-autosomal regions, since the build is not "
                    "said (build, --build: hg19 or hg38)"
                )
    return notices


def _count_impossible(source: GenotypeSource, rows: Index, kind: Kind) -> tuple[int, int]:
    """How many genotypes cannot be, and of how many variants, where all are on one kind of chromosome."""
    if not rows.size or (source.has_dosages and kind != Kind.Y):
        return 0, 0
    there = select(source, variants=rows)
    size = max(1, _GENOTYPES_READ // max(source.samples.n, 1))
    found = [
        impossible(there.read(slice(start, start + size)), kind, source.samples.sex).sum(axis=1)
        for start in range(0, rows.size, size)
    ]
    counts = np.concatenate(found)
    return int(counts.sum()), int((counts > 0).sum())
