"""People, variants and where their genotypes come from: what every file format is read as."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Strings = NDArray[np.str_]
Index = NDArray[np.intp]
Genotypes = NDArray[np.int8 | np.float32]
#: How a hard call that is missing is marked; dosages are NaN.
MISSING = -1


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Who is in a genotype file or a relationship matrix, in its order.

    Attributes
    ----------
    fid, iid : ndarray of str, shape (n,)
        Family and individual identifiers, as PLINK has them: the pair names a person.
    sex : ndarray of int8, shape (n,)
        1 male, 2 female, 0 not known; left out, nobody's is known.
    """

    fid: Strings
    iid: Strings
    sex: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, dtype=np.int8))

    def __post_init__(self) -> None:
        if not self.sex.size:
            object.__setattr__(self, "sex", np.zeros(self.iid.shape[0], dtype=np.int8))

    @property
    def n(self) -> int:
        """Number of people."""
        return int(self.iid.shape[0])

    def take(self, rows: Index) -> Samples:
        """Those people only."""
        return Samples(self.fid[rows], self.iid[rows], self.sex[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Variants:
    """The variants of a genotype file, in its order; every array has shape (m,).

    Attributes
    ----------
    chromosome : ndarray of str
        As the file writes it.
    position : ndarray of int64
        Base-pair position.
    identifier : ndarray of str
        Name, such as an rsid; it need not be unique.
    effect_allele, other_allele : ndarray of str
        The allele whose copies are counted, and the other one. (Of Python strings, dtype object, where some
        are so long that an array with as much room for each would be huge.)
    kind : ndarray of int8
        What kind of chromosome each is on (`henderson.genotype.chromosomes.Kind`), which says who has only
        one copy of it; left out, nothing is said, and everybody counts as having two.
    """

    chromosome: Strings
    position: NDArray[np.int64]
    identifier: Strings
    effect_allele: Strings
    other_allele: Strings
    kind: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, dtype=np.int8))

    def __post_init__(self) -> None:
        if not self.kind.size:
            object.__setattr__(self, "kind", np.zeros(self.position.shape[0], dtype=np.int8))

    @property
    def m(self) -> int:
        """Number of variants."""
        return int(self.position.shape[0])

    def take(self, rows: Index | slice) -> Variants:
        """Those variants only."""
        return Variants(
            self.chromosome[rows],
            self.position[rows],
            self.identifier[rows],
            self.effect_allele[rows],
            self.other_allele[rows],
            self.kind[rows],
        )


class GenotypeSource(Protocol):
    """Genotypes of m variants in n people, read a block of variants at a time."""

    @property
    def samples(self) -> Samples:
        """Who was genotyped."""
        ...

    @property
    def variants(self) -> Variants:
        """What was genotyped."""
        ...

    @property
    def has_dosages(self) -> bool:
        """Whether `read` gives dosages."""
        ...

    def read(self, variants: slice, samples: Index | None = None) -> Genotypes:
        """Copies of the effect allele, shape (variants, people).

        Hard calls are int8, `MISSING` where there is none; dosages are float32, NaN where there is none.

        Parameters
        ----------
        variants : slice
            Which variants, with a step of one.
        samples : ndarray of int, optional
            Which people, in this order; by default everybody.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ArraySource:
    """Genotypes that are in memory already, one byte each: small data, examples and tests.

    Attributes
    ----------
    calls : ndarray of int8 or float32, shape (m, n)
        Copies of the effect allele, `MISSING` where there is no call; or dosages, NaN where there is none.
    samples : Samples
        The n people.
    variants : Variants
        The m variants.
    """

    calls: Genotypes
    samples: Samples
    variants: Variants

    @classmethod
    def of(cls, calls: ArrayLike) -> ArraySource:
        """A source with made-up names: people 1 to n, variants 1 to m on chromosome 1.

        Examples
        --------
        >>> source = ArraySource.of([[0, 1, 2], [1, 1, -1]])
        >>> source.samples.n, source.variants.m
        (3, 2)
        """
        given = np.ascontiguousarray(calls)
        array: Genotypes = given.astype(np.float32) if given.dtype.kind == "f" else given.astype(np.int8)
        m, n = array.shape
        people = np.arange(1, n + 1).astype(np.str_)
        names = np.arange(1, m + 1).astype(np.str_)
        one, first, second = (np.full(m, text) for text in ("1", "A", "B"))
        variants = Variants(one, np.arange(1, m + 1), names, first, second)
        return cls(array, Samples(people, people), variants)

    @property
    def has_dosages(self) -> bool:
        """Whether these are dosages."""
        return self.calls.dtype != np.int8

    def read(self, variants: slice, samples: Index | None = None) -> Genotypes:
        """Copies of the effect allele, shape (variants, people); see `GenotypeSource.read`."""
        calls: Genotypes = self.calls[variants]
        return calls if samples is None else np.take(calls, samples, axis=1)
