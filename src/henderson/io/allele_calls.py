"""Genotypes written as allele numbers, as VCF and VCF Zarr have them, turned into copies of one allele."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.chromosomes import count_autosomes, plain_names
from henderson.genotype.source import MISSING, Index, Strings

logger = logging.getLogger("henderson")

Alleles = NDArray[np.signedinteger[Any]]
Dosages = NDArray[np.float32]

#: What stands behind the last allele of a call that has fewer than others; a missing allele is `MISSING`.
FILL = -2

_DIPLOID = 2
_SINGLE = ("X", "Y", "MT")  # chromosomes of which somebody has one copy
_ROUNDING = 0.005  # by how much a printed dosage may be off


@dataclass(frozen=True, slots=True, eq=False)
class AlleleCalls:
    """Calls of one or two alleles each; all arrays have one shape.

    Attributes
    ----------
    first, second : ndarray of int
        Allele numbers: 0 is REF, k the k-th ALT.
    missing : ndarray of bool
        Where an allele is missing, or both are.
    haploid : ndarray of bool
        Where there is no second allele, be the first one known or not.
    """

    first: Alleles
    second: Alleles
    missing: NDArray[np.bool_]
    haploid: NDArray[np.bool_]

    @property
    def half(self) -> NDArray[np.bool_]:
        """Where one of two alleles is missing, as in ``./1``."""
        half: NDArray[np.bool_] = self.missing & ((self.first >= 0) | (self.second >= 0))
        return half

    def copies(self, allele: int | NDArray[np.intp]) -> NDArray[np.int8]:
        """Copies of an allele against all others, -1 where it is missing; a haploid call has 0 or 2."""
        copies: NDArray[np.int8] = (self.first == allele).astype(np.int8)
        copies += self.second == allele
        copies += copies * self.haploid
        copies[self.missing] = MISSING
        return copies

    def take(self, rows: Index) -> AlleleCalls:
        """Those rows only, which may be repeated."""
        return AlleleCalls(self.first[rows], self.second[rows], self.missing[rows], self.haploid[rows])


def allele_calls(
    alleles: Alleles, n_alternative: NDArray[np.intp], *, where: Callable[[int], str], people: Strings
) -> AlleleCalls:
    """Take apart calls, once it is sure that they can be understood.

    Parameters
    ----------
    alleles : ndarray of int, shape (m, n, ploidy)
        Allele numbers, `MISSING` where one is not known, `FILL` behind the last one.
    n_alternative : ndarray of int, shape (m,)
        ALT alleles of each variant.
    where : callable
        Names the place of a variant, by its number among these, for messages.
    people : ndarray of str, shape (n,)
        Names, for messages.

    Raises
    ------
    DataError
        If somebody has three alleles or more, or an allele that the variant does not have.
    """
    beyond = alleles[..., _DIPLOID:] != FILL
    if beyond.any():
        row, column = np.argwhere(beyond)[0][:2]
        raise DataError(
            f"{where(row)}: {people[column]} has a genotype of more than two alleles; henderson reads "
            "haploid and diploid genotypes only, so leave such variants or people out (bcftools view)."
        )
    wrong = (alleles > n_alternative[:, None, None]) | (alleles < FILL)
    if wrong.any():
        row, column, place = np.argwhere(wrong)[0]
        raise DataError(
            f"{where(row)}: {people[column]} has the allele {alleles[row, column, place]}, but the "
            f"variant has {n_alternative[row]} besides allele 0; write the file again."
        )
    first = alleles[..., 0]
    second = alleles[..., 1] if alleles.shape[-1] > 1 else np.full_like(first, FILL)
    known = first >= 0
    return AlleleCalls(first, second, ~known | (second == MISSING), second == FILL)


def as_dosages(copies: NDArray[np.int8]) -> Dosages:
    """Hard calls among dosages: a missing one is NaN."""
    dosages = copies.astype(np.float32)
    dosages[copies == MISSING] = np.nan
    return dosages


def complete_dosages(
    dosages: Dosages,
    calls: AlleleCalls | None,
    allele: int | NDArray[np.intp],
    *,
    where: Callable[[int], str],
    people: Strings,
) -> Dosages:
    """Dosages of an allele as copies: those of haploid calls doubled, missing ones from the hard call.

    Parameters
    ----------
    dosages : ndarray of float32, shape (m, n)
        As the file has them (DS), NaN where there is none.
    calls : AlleleCalls or None
        The hard calls of the same variants, shape (m, n), if there are any.
    allele : int or ndarray of int, shape (m, 1)
        Which allele these are dosages of.
    where : callable
        Names the place of a variant, by its number among these, for messages.
    people : ndarray of str, shape (n,)
        Names, for messages.

    Raises
    ------
    DataError
        If a dosage is not between 0 and 2, or 0 and 1 where the call is haploid.
    """
    copies = dosages if calls is None else dosages * np.where(calls.haploid, np.float32(2), np.float32(1))
    wrong = (copies < -_ROUNDING) | (copies > _DIPLOID + _ROUNDING)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        haploid = calls is not None and bool(calls.haploid[row, column])
        rule = (
            "haploid genotype is between 0 and 1 (a diploid one that is not known is ./.)"
            if haploid
            else "diploid genotype is between 0 and 2"
        )
        raise DataError(
            f"{where(row)}: the dosage (DS) of {people[column]} is {dosages[row, column]:g}, but that of a "
            f"{rule}."
        )
    copies = copies.clip(0, _DIPLOID)
    unknown = np.isnan(copies)
    if calls is not None and unknown.any():
        copies[unknown] = as_dosages(calls.copies(allele))[unknown]
    return copies


def tell_scale(path: Path, chromosomes: Strings) -> None:
    """Warn of dosages whose scale nothing says: on X, Y and in mitochondria, without calls beside them.

    Parameters
    ----------
    path : Path
        The file.
    chromosomes : ndarray of str
        Those of all variants that have dosages and no calls.
    """
    count = int(np.isin(plain_names(chromosomes, count_autosomes(chromosomes)), _SINGLE).sum())
    if count:
        logger.warning(
            f"{path}: variants on X, Y or in mitochondria have DS but no GT that says who has one copy "
            f"({count:,} in all): DS is read as copies, between 0 and 2 for everybody; where it is between 0 "
            "and 1 for men, give the file GT"
        )
