"""Where the relationship of the people of a scan comes from, and what of it each variant is tested with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.association.grm import autosomes_told, grm
from henderson.association.rules import OK, ScanRules
from henderson.association.sources import open_source
from henderson.covariance import RelationshipMatrix
from henderson.errors import DataError
from henderson.formula import has_random_terms
from henderson.genotype import GenotypeSource, Samples
from henderson.genotype.blocks import Mask, Scale, count_variants
from henderson.genotype.chromosomes import NOT_AUTOSOMES, alike_names, autosomal
from henderson.genotype.counts import VarianceKind
from henderson.genotype.gram import Missing, products
from henderson.genotype.source import Strings

Index = NDArray[np.intp]
logger = logging.getLogger("henderson")
_SHOWN = 5  # chromosomes that a notice names


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
    share : float
        The part of the whole genome's relationship that this leaves out, by the number of variants.
    """

    name: str
    variants: Mask | None
    without: Callable[[], RelationshipMatrix] | None
    share: float = 0.0


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


class _Conventions(TypedDict):
    """What relationship matrices of one kind have in common."""

    scale: Scale
    missing: Missing
    variance: VarianceKind


def loco(
    genotypes: str | Path | GenotypeSource,
    *,
    scale: Scale = "standardized",
    missing: Missing = "mean",
    variance: VarianceKind = "hwe",
    variants: ArrayLike | None = None,
) -> LeftOut:
    """Relationship matrices that each leave a chromosome out, for `scan`.

    Wanted where `scan`'s own (``relationship="loco"``) will not do: for other conventions, or where the
    matrices are to be made of other genotypes than those tested, such as a thinned set.

    Parameters
    ----------
    genotypes : str, Path or GenotypeSource
        Whose people include those analysed. Chromosomes are named as among the variants tested.
    scale, missing, variance
        As for `grm`: GCTA's ``--mlma-loco`` has ``missing="pairwise"``, FaST-LMM ``variance="sample"``.
    variants : array_like of bool, shape (m,), optional
        The variants to use; by default those on autosomes, and unplaced ones.

    Returns
    -------
    LeftOut
        What ``hd.scan(..., relationship=)`` takes. Nothing is computed yet.

    Raises
    ------
    DataError
        If the genotypes cannot be read, or ``variants`` has another length.

    Examples
    --------
    >>> import numpy as np
    >>> import henderson as hd
    >>> rng = np.random.default_rng(1)
    >>> cohort = hd.ArraySource.of(rng.integers(0, 3, size=(200, 60)))
    >>> cohort.variants.chromosome[100:] = "2"
    >>> people = {"IID": cohort.samples.iid, "height": rng.normal(size=60)}
    >>> K = hd.loco(cohort, variance="sample")
    >>> hd.scan("height ~ 1", people, cohort, relationship=K).components["chromosome"].tolist()
    ['1', '2']
    """
    source = open_source(genotypes)
    keep: Mask | None = None
    if variants is not None:
        keep = np.asarray(variants)
        if keep.dtype != bool or keep.shape != (source.variants.m,):
            raise DataError(
                f"variants must be one truth value for each of the {source.variants.m:,} variants, not "
                f"{keep.dtype} of shape {keep.shape}"
            )
    return LeftOut(source, scale=scale, missing=missing, variance=variance, variants=keep)


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
        self._conventions: _Conventions = {"scale": scale, "missing": missing, "variance": variance}
        self._variants = autosomes_told(source) if variants is None else variants
        self._known: tuple[Index, RelationshipMatrix] | None = None
        self._told = False

    @classmethod
    def by(cls, source: GenotypeSource, rules: ScanRules) -> Self:
        """As the rules of a scan have it: with GEMMA's, from the variants that it would test."""
        if not rules.gemma:
            return cls(source)

        def tested(people: Index) -> Mask:
            passed: Mask = rules.judge(count_variants(source, people)) == OK
            return passed

        return cls(source, scale="centered", variants=tested, centred=True)

    def matrix(self, people: Index) -> RelationshipMatrix:
        """The GRM of the whole genome."""
        known = self._known
        if known is None or (callable(self._variants) and not np.array_equal(people, known[0])):
            logger.info(f"computing the relationship matrix of {self._source.samples.n:,} people")
            G = grm(self._source, variants=self._used(people), **self._conventions)
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
        plain, there = alike_names(names, self._source.variants.chromosome)
        self._tell_absent(np.setdiff1d(plain, (*there, *NOT_AUTOSOMES)), there)
        for name in names[np.argsort(first)]:
            own = used & (there == plain[names == name])
            without = partial(self._without, whole, own, name) if own.any() else None
            share = float(own[used].mean()) if own.any() else 0.0
            yield Part(str(name), chromosome == name, without, share)

    def _tell_absent(self, absent: Strings, there: Strings) -> None:
        """Warn of chromosomes that cannot be left out, since the matrix is made of others."""
        if absent.size and not self._told:
            self._told = True
            unknown, known = (", ".join(np.unique(each)[:_SHOWN].tolist()) for each in (absent, there))
            logger.warning(
                f"the relationship matrix has no variants on chromosome {unknown}: it is used as it is; "
                f"if it is made of the same chromosomes by other names ({known}), name them alike"
            )

    def _without(self, whole: RelationshipMatrix, own: Mask, name: str) -> RelationshipMatrix:
        part = products(self._source, keep=own, **self._conventions)
        G, m, m_own = part.matrix, np.asarray(whole.n_variants), np.asarray(part.n_variants)
        left = np.broadcast_to(m - m_own, G.shape)
        if left.min() < 1:
            raise DataError(
                f"without chromosome {name} there is no variant left that varies, or at which two people "
                "were both called, so that it cannot be left out: use relationship='grm' (--no-loco)"
            )
        total = np.broadcast_to(m, G.shape)
        for row in range(len(G)):  # row by row, so that there is no third matrix
            G[row] = (total[row] * whole.matrix[row] - G[row]) / left[row]
        return RelationshipMatrix(G, whole.samples, left if m.ndim else float(left[0, 0]))


def _number(G: RelationshipMatrix) -> float:
    """How many variants a matrix is made of, over all pairs."""
    return float(np.max(np.asarray(G.n_variants, dtype=np.float64)))


def has_chromosomes(source: GenotypeSource) -> bool:
    """Whether one chromosome can be left out: at least two have variants that make up a GRM."""
    return np.unique(source.variants.chromosome[autosomal(source)]).size > 1


def related_of(relationship: Any, formula: str, source: GenotypeSource, rules: ScanRules) -> Related | None:
    """The relationship of the people from what the caller of a scan gave.

    By default none where the formula names random effects, LOCO from two chromosomes up, or else the GRM.
    """
    if relationship is None:
        if isinstance(formula, str) and has_random_terms(formula):
            return None
        return (LeftOut if has_chromosomes(source) else Genomic).by(source, rules)
    if isinstance(relationship, str) and relationship == "loco":
        return LeftOut.by(source, rules)
    if isinstance(relationship, str) and relationship == "grm":
        return Genomic.by(source, rules)
    if isinstance(relationship, Genomic):
        return relationship
    if type(relationship).__module__.startswith("pandas") and hasattr(relationship, "columns"):
        if list(relationship.index) != list(relationship.columns):
            raise DataError("the columns of the relationship matrix are not named as its rows")
        relationship = RelationshipMatrix.of(relationship.to_numpy(), list(relationship.index))
    if isinstance(relationship, RelationshipMatrix):
        return Given(relationship, centred=rules.gemma)
    raise DataError(
        "relationship must be a RelationshipMatrix (hd.grm, hd.read_grm), 'loco' or 'grm'; it is a "
        f"{type(relationship).__name__}"
    )
