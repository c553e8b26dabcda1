"""How many people have each genotype: the numbers that frequencies, filters and scales are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Calls = NDArray[np.int8]
Floats = NDArray[np.float64]
#: Which variance a standardised variant has been divided by; see `VariantCounts.variance`.
VarianceKind = Literal["hwe", "sample"]

_WORD = 8  # calls that are looked at together
_LOWEST_BITS = np.uint64(0x0101_0101_0101_0101)


@dataclass(frozen=True, slots=True, eq=False)
class VariantCounts:
    """How many of n people have 0, 1 and 2 copies of the effect allele of each of m variants.

    Attributes
    ----------
    copies : ndarray of int64, shape (m, 3)
        Number of people by number of copies; those without a call are in none of the three.
    n_people : int
        Number of people, with or without a call.
    """

    copies: NDArray[np.int64]
    n_people: int

    @property
    def n_called(self) -> NDArray[np.int64]:
        """People with a call, shape (m,)."""
        called: NDArray[np.int64] = self.copies.sum(axis=1)
        return called

    @property
    def n_missing(self) -> NDArray[np.int64]:
        """People without a call, shape (m,)."""
        return self.n_people - self.n_called

    @property
    def n_classes(self) -> NDArray[np.int64]:
        """How many of the three genotypes occur, shape (m,); a variant with fewer than two says nothing."""
        classes: NDArray[np.int64] = (self.copies > 0).sum(axis=1)
        return classes

    @property
    def mean(self) -> Floats:
        """Mean copies of the effect allele among the called, shape (m,); NaN where nobody is called."""
        n_called = self.n_called
        unknown = np.full(n_called.shape, np.nan)
        mean: Floats = np.divide(self.copies @ np.array([0, 1, 2]), n_called, out=unknown, where=n_called > 0)
        return mean

    @property
    def frequency(self) -> Floats:
        """Frequency of the effect allele among the called, shape (m,); NaN where nobody is called."""
        return self.mean / 2

    def variance(self, kind: VarianceKind) -> Floats:
        """The variance of the copies, shape (m,).

        ``"hwe"`` is 2p(1 - p), the one under Hardy-Weinberg equilibrium. ``"sample"`` is the observed one
        after imputation by the mean, with the number of people in its denominator.
        """
        if kind == "hwe":
            return 2 * self.frequency * (1 - self.frequency)
        deviations = np.arange(3) - self.mean[:, None]
        variance: Floats = (self.copies * deviations**2).sum(axis=1) / self.n_people
        return variance

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> VariantCounts:
        """The counts of those variants only."""
        return VariantCounts(self.copies[rows], self.n_people)


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
    return VariantCounts(np.column_stack([n - missing - one - two, one, two]), n)
