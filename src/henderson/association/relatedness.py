"""Where the relationship of the people of a scan comes from, and what of it each variant is tested with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from henderson.association.grm import grm
from henderson.association.rules import ScanRules
from henderson.covariance import RelationshipMatrix
from henderson.errors import DataError
from henderson.genotype import GenotypeSource, Samples
from henderson.genotype.blocks import Mask, Scale, variant_filter
from henderson.genotype.counts import VarianceKind
from henderson.genotype.gram import Missing
from henderson.genotype.source import Strings

Index = NDArray[np.intp]


def autosomal(source: GenotypeSource) -> Mask:
    return np.ones(source.variants.m, dtype=bool)


logger = logging.getLogger("henderson")


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Variants that are tested with the same relationship.

    Attributes
    ----------
    name : str
        The chromosome; empty for the whole genome.
    variants : ndarray of bool, shape (m,), or None
        Which; by default all.
    without : callable or None
        Computes the relationship without their chromosome; none where it is that of the whole genome.
    """

    name: str
    variants: Mask | None
    without: Callable[[], RelationshipMatrix] | None


class Related(Protocol):
    """The relationship of the people.

    ``members`` is none where everybody is in it; GEMMA centres the matrix of the people analysed.
    """

    @property
    def members(self) -> Samples | None:
        """Who is in it."""
        ...

    @property
    def centred(self) -> bool:
        """Whether the matrix of the people analysed is centred."""
        ...

    def matrix(self, people: Index) -> RelationshipMatrix:
        """A matrix that has the people analysed (their positions), and perhaps others."""
        ...

    def parts(self, people: Index, chromosome: Strings) -> Iterator[Part]:
        """The variants tested, on these chromosomes, by the relationship that each is tested with."""
        ...


class Given:
    """A matrix that is at hand, for all variants."""

    def __init__(self, G: RelationshipMatrix, *, centred: bool = False) -> None:
        self._G, self.centred = G, centred
        self.members: Samples | None = G.samples

    def matrix(self, people: Index) -> RelationshipMatrix:
        """That matrix."""
        return self._G

    def parts(self, people: Index, chromosome: Strings) -> Iterator[Part]:
        """All variants at once."""
        yield Part("", None, None)


class Genomic:
    """A GRM of everybody in a source. Computed once, or once for each set of people.

    Parameters
    ----------
    source : GenotypeSource
        Whose genotypes; all of its people are members.
    scale, missing, variance
        As for `grm`.
    variants : ndarray of bool, shape (m,), or callable, optional
        Which variants; by default those on autosomes. A callable gives them for the people analysed.
    centred : bool
        As for `Related`.
    """

    def __init__(
        self,
        source: GenotypeSource,
        *,
        scale: Scale = "standardized",
        missing: Missing = "mean",
        variance: VarianceKind = "hwe",
        variants: Mask | Callable[[Index], Mask] | None = None,
        centred: bool = False,
    ) -> None:
        self._source, self.members, self.centred = source, source.samples, centred
        self._grm = partial(grm, source, scale=scale, missing=missing, variance=variance)
        self._variants = autosomal(source) if variants is None else variants
        self._known: tuple[Index, RelationshipMatrix] | None = None

    @classmethod
    def by(cls, source: GenotypeSource, rules: ScanRules) -> Self:
        """As the rules of a scan have it: with GEMMA's, from the variants that it would test."""
        if not rules.gemma:
            return cls(source)

        def tested(people: Index) -> Mask:
            return variant_filter(source, people, min_maf=rules.min_maf, max_missing=rules.max_missing)

        return cls(source, scale="centered", variants=tested, centred=True)

    def matrix(self, people: Index) -> RelationshipMatrix:
        """The GRM of the whole genome."""
        known = self._known
        if known is None or (callable(self._variants) and not np.array_equal(people, known[0])):
            logger.info(f"computing the relationship matrix of {self._source.samples.n:,} people")
            G = self._grm(variants=self._used(people))
            logger.info(f"relationship matrix from {_number(G):,.0f} variants")
            self._known = known = (people, G)
        return known[1]

    def parts(self, people: Index, chromosome: Strings) -> Iterator[Part]:
        """All variants at once."""
        yield Part("", None, None)

    def _used(self, people: Index) -> Mask:
        """The variants that the matrix is made of, monomorphic ones perhaps among them."""
        return self._variants(people) if callable(self._variants) else self._variants


class LeftOut(Genomic):
    """Each chromosome's variants with the GRM of all others (LOCO).

    A variant's own chromosome in the relationship would take part of its effect away (Listgarten et al. 2012,
    Nature Methods 9:525; Yang et al. 2014, Nature Genetics 46:100). With m variants in all and m_c on the
    chromosome, G without it is (m G - m_c G_c) / (m - m_c): two passes over the genotypes, whatever the
    number of chromosomes. Variants that are not in the matrix (chromosome X) are tested with all of it.
    """

    def parts(self, people: Index, chromosome: Strings) -> Iterator[Part]:
        """One chromosome after the other, in the order in which they first occur."""
        whole, used = self.matrix(people), self._used(people)
        names, first = np.unique(chromosome, return_index=True)
        for name in names[np.argsort(first)]:
            on_it = self._source.variants.chromosome == name
            if not (used & ~on_it).any():
                raise DataError(
                    f"all variants of the relationship matrix are on chromosome {name}, and leaving it out "
                    "leaves nothing: use relationship='grm' (--no-loco)"
                )
            own = used & on_it
            without = partial(self._without, whole, own) if own.any() else None
            yield Part(str(name), chromosome == name, without)

    def _without(self, whole: RelationshipMatrix, own: Mask) -> RelationshipMatrix:
        part = self._grm(variants=own)
        m, m_own = whole.n_variants, part.n_variants
        assert m is not None
        assert m_own is not None
        left = np.broadcast_to(np.asarray(m - m_own), part.matrix.shape)
        m, m_own = (np.broadcast_to(np.asarray(count), left.shape) for count in (m, m_own))
        if left.min() < 1:
            raise DataError(
                "two people share no called variant outside one chromosome, so that it cannot be left out: "
                "use missing='mean'"
            )
        G = part.matrix
        for row in range(len(G)):  # row by row, so that there is no third matrix
            G[row] = (m[row] * whole.matrix[row] - m_own[row] * G[row]) / left[row]
        return RelationshipMatrix(G, whole.samples, m - m_own if m.strides[0] else float(left[0, 0]))


def _number(G: RelationshipMatrix) -> float:
    """How many variants a matrix is made of, over all pairs."""
    return float(np.max(np.asarray(G.n_variants, dtype=np.float64)))


def has_chromosomes(source: GenotypeSource) -> bool:
    """Whether one chromosome can be left out: at least two have variants that make up a GRM."""
    return np.unique(source.variants.chromosome[autosomal(source)]).size > 1
