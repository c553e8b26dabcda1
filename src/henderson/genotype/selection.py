"""Some variants and people of a source of genotypes, as a source of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.genotype.source import Genotypes, GenotypeSource, Index, Samples, Variants

#: Genotypes that are sooner read and dropped than skipped by another call.
_READ_THROUGH = 1 << 13


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Some variants and people of a source; see `select`.

    Attributes
    ----------
    source : GenotypeSource
        Where the genotypes are.
    rows : ndarray of int, shape (m,)
        Positions of the variants in the source.
    people : ndarray of int, shape (n,), or None
        Positions of the people in the source; None is everybody.
    samples : Samples
    variants : Variants
    """

    source: GenotypeSource
    rows: Index
    people: Index | None
    samples: Samples
    variants: Variants

    @property
    def has_dosages(self) -> bool:
        """Whether `read` gives dosages."""
        return self.source.has_dosages

    def read(self, variants: slice, samples: Index | None = None) -> Genotypes:
        """Copies of the effect allele, shape (variants, people); see `GenotypeSource.read`.

        Of the source no more is read than the stretches that hold these variants; stretches are joined where
        less lies between them than another call would cost.
        """
        rows = self.rows[variants]
        people = self.people
        if samples is not None:
            people = samples if people is None else people[samples]
        if not rows.size:
            return self.source.read(slice(0, 0), people)
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        gaps = np.diff(ascending)
        cuts = np.flatnonzero(gaps > 1 + _READ_THROUGH // max(self.source.samples.n, 1)) + 1
        parts = [self._stretch(part, people) for part in np.split(ascending, cuts)]
        found = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if np.array_equal(rows, ascending):
            return found
        result = np.empty_like(found)
        result[order] = found
        return result

    def _stretch(self, rows: Index, people: Index | None) -> Genotypes:
        """Read ascending positions in one call."""
        first, last = int(rows[0]), int(rows[-1])
        found = self.source.read(slice(first, last + 1), people)
        return found if (np.diff(rows) == 1).all() else found[rows - first]


def select(
    source: GenotypeSource,
    *,
    variants: NDArray[np.bool_] | Index | None = None,
    samples: Index | None = None,
) -> GenotypeSource:
    """Some variants and people of a source, as a source of their own.

    Parameters
    ----------
    source : GenotypeSource
        Where the genotypes are.
    variants : ndarray of bool or int, optional
        One truth value for each variant of the source, or the positions of those wanted, in the order wanted;
        by default all.
    samples : ndarray of int, optional
        Positions of the people wanted, in the order wanted; by default everybody.

    Returns
    -------
    GenotypeSource
        The source itself, where everything is wanted in its own order.

    Examples
    --------
    >>> from henderson.genotype import ArraySource
    >>> source = ArraySource.of([[0, 1, 2], [1, 1, 0], [2, 0, 1]])
    >>> select(source, variants=np.array([2, 0]), samples=np.array([1, 2])).read(slice(0, 2))
    array([[0, 1],
           [1, 2]], dtype=int8)
    """
    rows = np.arange(source.variants.m) if variants is None else _positions(variants)
    people = None if samples is None else _positions(samples)
    if people is not None and np.array_equal(people, np.arange(source.samples.n)):
        people = None
    if people is None and np.array_equal(rows, np.arange(source.variants.m)):
        return source
    taken = source.variants.take(rows)
    whose = source.samples if people is None else source.samples.take(people)
    if not isinstance(source, Selection):
        return Selection(source, rows, people, whose, taken)
    if people is None:
        people = source.people
    elif source.people is not None:
        people = source.people[people]
    return Selection(source.source, source.rows[rows], people, whose, taken)


def _positions(chosen: NDArray[np.bool_] | Index) -> Index:
    """Positions out of positions or truth values."""
    return np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.intp, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class Renamed:
    """A source whose people are described anew; see `with_samples`."""

    source: GenotypeSource
    samples: Samples

    @property
    def variants(self) -> Variants:
        """What was genotyped."""
        return self.source.variants

    @property
    def has_dosages(self) -> bool:
        """Whether `read` gives dosages."""
        return self.source.has_dosages

    def read(self, variants: slice, samples: Index | None = None) -> Genotypes:
        """Copies of the effect allele, shape (variants, people); see `GenotypeSource.read`."""
        return self.source.read(variants, samples)


def with_samples(source: GenotypeSource, samples: Samples) -> GenotypeSource:
    """The same genotypes of people of whom something else is known, such as their sex.

    Parameters
    ----------
    source : GenotypeSource
        Where the genotypes are.
    samples : Samples
        Its n people, in the same order.
    """
    assert samples.n == source.samples.n
    return Renamed(source, samples)
