"""How many people have each genotype: the numbers that frequencies, filters and scales are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from henderson.genotype.source import Genotypes

Calls = NDArray[np.int8]
Floats = NDArray[np.float64]
#: Which variance a standardised variant has been divided by; see `VariantCounts.variance`.
VarianceKind = Literal["hwe", "sample"]

#: A dosage so close to a whole number is a hard call, as PLINK 2 has it: 0.1, give or take half of the
#: 16,384th of a copy that it counts in. One printed as 0.9 is 0.10000002 away from 1 in single precision.
HARD_CALL = 0.1 + 0.5 / 16_384

_WORD = 8  # calls that are looked at together
_LOWEST_BITS = np.uint64(0x0101_0101_0101_0101)


@dataclass(frozen=True, slots=True, eq=False)
class VariantCounts:
    """What n people have of each of m variants: the numbers that filters, means and scales come from.

    Attributes
    ----------
    copies : ndarray of int64, shape (m, 3)
        Number of people with 0, 1 and 2 copies of the effect allele; those without a call are in none of the
        three, nor are dosages further than `HARD_CALL` from all of them.
    n_called : ndarray of int64, shape (m,)
        People with a call or a dosage.
    mean : ndarray of float64, shape (m,)
        Mean copies of the effect allele among the called; NaN where nobody is called.
    squares : ndarray of float64, shape (m,)
        Sum of the squared deviations from the mean, among the called.
    varies : ndarray of bool, shape (m,)
        Whether there is more than one genotype among the called; a variant that does not vary says nothing.
    frequency : ndarray of float64, shape (m,)
        Frequency of the effect allele among the called; NaN where nobody is called.
    diploid : ndarray of int64, shape (m, 3)
        ``copies`` among the people known to have two of the chromosome, whom Hardy-Weinberg equilibrium is
        about.
    n_alleles : ndarray of int64, shape (m,)
        Alleles among the called: two of each person, but one where the chromosome is there once.
    n_people : int
        Number of people, with or without a call.
    """

    copies: NDArray[np.int64]
    n_called: NDArray[np.int64]
    mean: Floats
    squares: Floats
    varies: NDArray[np.bool_]
    frequency: Floats
    diploid: NDArray[np.int64]
    n_alleles: NDArray[np.int64]
    n_people: int

    @property
    def n_missing(self) -> NDArray[np.int64]:
        """People without a call, shape (m,)."""
        return self.n_people - self.n_called

    def variance(self, kind: VarianceKind) -> Floats:
        """The variance of the copies, shape (m,).

        ``"hwe"`` is 2p(1 - p), the one under Hardy-Weinberg equilibrium. ``"sample"`` is the observed one
        after imputation by the mean, with the number of people in its denominator.
        """
        if kind == "hwe":
            return self.mean * (1 - self.mean / 2)
        return self.squares / self.n_people

    @property
    def minor_alleles(self) -> Floats:
        """Copies of the rarer allele among the called, shape (m,); NaN where nobody is called."""
        rarer: Floats = np.minimum(self.frequency, 1 - self.frequency) * self.n_alleles
        return rarer

    @property
    def info(self) -> Floats:
        """How much of their variance imputed dosages have, shape (m,); NaN where there is one allele.

        MaCH's r-squared (Li et al. 2010, Genetic Epidemiology 34:816-834): the observed variance of the
        dosages by 2p(1 - p), the one of genotypes that are known; whoever has one copy of the chromosome,
        counted as 0 or 2, has twice that.
        """
        expected = self.frequency * (1 - self.frequency) * (6 * self.n_called - 2 * self.n_alleles)
        unknown = np.full(expected.shape, np.nan)
        found: Floats = np.divide(self.squares, expected, out=unknown, where=expected > 0)
        return found

    def with_single(self, single: VariantCounts, diploid: NDArray[np.int64]) -> VariantCounts:
        """The same, where some of the people have one copy of the chromosome, counted as 0 or 2.

        Parameters
        ----------
        single : VariantCounts
            The counts of those people, for the same variants.
        diploid : ndarray of int64, shape (m, 3)
            ``copies`` among the people of whom it is known that they have two.
        """
        n_alleles = self.n_alleles - single.n_called
        total = np.where(self.n_called > 0, self.mean, 0.0) * self.n_called
        once = np.where(single.n_called > 0, single.mean, 0.0) * single.n_called / 2
        unknown = np.full(total.shape, np.nan)
        frequency = np.divide(total - once, n_alleles, out=unknown, where=n_alleles > 0)
        return replace(self, frequency=frequency, diploid=diploid, n_alleles=n_alleles)

    def with_rows(self, rows: NDArray[np.intp], other: VariantCounts) -> VariantCounts:
        """The same, with the counts of some variants replaced."""
        names = [each.name for each in fields(self) if each.name != "n_people"]
        changed = {name: getattr(self, name).copy() for name in names}
        for name, values in changed.items():
            values[rows] = getattr(other, name)
        return replace(self, **changed)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> VariantCounts:
        """The counts of those variants only."""
        return VariantCounts(
            self.copies[rows],
            self.n_called[rows],
            self.mean[rows],
            self.squares[rows],
            self.varies[rows],
            self.frequency[rows],
            self.diploid[rows],
            self.n_alleles[rows],
            self.n_people,
        )

    @classmethod
    def joined(cls, parts: Sequence[VariantCounts], n_people: int) -> VariantCounts:
        """The counts of several blocks of variants, one behind the other."""
        if not parts:
            return count_calls(np.empty((0, n_people), dtype=np.int8))
        return cls(
            np.concatenate([part.copies for part in parts]),
            np.concatenate([part.n_called for part in parts]),
            np.concatenate([part.mean for part in parts]),
            np.concatenate([part.squares for part in parts]),
            np.concatenate([part.varies for part in parts]),
            np.concatenate([part.frequency for part in parts]),
            np.concatenate([part.diploid for part in parts]),
            np.concatenate([part.n_alleles for part in parts]),
            n_people,
        )


def is_missing(genotypes: Genotypes) -> NDArray[np.bool_]:
    """Where there is no call (-1) or no dosage (NaN)."""
    missing: NDArray[np.bool_] = genotypes < 0 if genotypes.dtype == np.int8 else np.isnan(genotypes)
    return missing


def count_genotypes(genotypes: Genotypes) -> VariantCounts:
    """Count hard calls (int8) or dosages (float32) of a block of variants, shape (m, n)."""
    if genotypes.dtype == np.int8:
        return count_calls(genotypes.view(np.int8))
    return count_dosages(genotypes.view(np.float32))


def count_dosages(dosages: NDArray[np.float32]) -> VariantCounts:
    """Count the dosages of a block of variants.

    Parameters
    ----------
    dosages : ndarray of float32, shape (m, n)
        Expected copies of the effect allele, 0 to 2; NaN where there is none.
    """
    m, n = dosages.shape
    if n == 0:
        return count_calls(np.empty((m, 0), dtype=np.int8))
    called = ~np.isnan(dosages)
    n_called = called.sum(axis=1)
    total = np.where(called, dosages, 0).sum(axis=1, dtype=np.float64)
    mean = np.divide(total, n_called, out=np.full(m, np.nan), where=n_called > 0)
    deviations = np.where(called, dosages - mean[:, None], 0.0)
    copies = np.column_stack([(np.abs(dosages - count) <= HARD_CALL).sum(axis=1) for count in range(3)])
    highest = np.where(called, dosages, -np.inf).max(axis=1)
    lowest = np.where(called, dosages, np.inf).min(axis=1)
    squares = np.einsum("mn,mn->m", deviations, deviations)
    varies = highest > lowest
    return VariantCounts(copies, n_called, mean, squares, varies, mean / 2, copies, 2 * n_called, n)


def count_calls(calls: Calls) -> VariantCounts:
    """Count the genotypes of a block of variants.

    Parameters
    ----------
    calls : ndarray of int8, shape (m, n)
        0, 1 or 2 copies of the effect allele; -1 where there is no call.
    """
    # In two's complement -1 has every bit set: the lowest bit of a byte says "1 or missing", the next one
    # "2 or missing", the highest one "missing". Eight calls are looked at in one go, three times faster than
    # to compare and sum.
    n = calls.shape[1]
    whole = n - n % _WORD
    words = calls[:, :whole].view(np.uint64)
    rest = calls[:, whole:].view(np.uint8)

    def with_bit(bit: int) -> NDArray[np.int64]:
        in_words = np.bitwise_count(words & (_LOWEST_BITS << np.uint64(bit)))
        total: NDArray[np.int64] = in_words.sum(axis=1, dtype=np.int64)
        total += (rest >> bit & 1).sum(axis=1, dtype=np.int64)
        return total

    missing = with_bit(7)
    one = with_bit(0) - missing
    two = with_bit(1) - missing
    return from_copies(np.column_stack([n - missing - one - two, one, two]), n)


def from_copies(copies: NDArray[np.int64], n_people: int) -> VariantCounts:
    """Everything that follows from how many people have 0, 1 and 2 copies, shape (m, 3)."""
    n_called: NDArray[np.int64] = copies.sum(axis=1)
    unknown = np.full(n_called.shape, np.nan)
    mean: Floats = np.divide(copies @ np.array([0, 1, 2]), n_called, out=unknown, where=n_called > 0)
    deviations = np.arange(3) - np.where(n_called > 0, mean, 0.0)[:, None]
    squares: Floats = (copies * deviations**2).sum(axis=1)
    varies = (copies > 0).sum(axis=1) > 1
    return VariantCounts(copies, n_called, mean, squares, varies, mean / 2, copies, 2 * n_called, n_people)
