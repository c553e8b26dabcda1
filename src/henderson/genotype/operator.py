"""Standardised genotypes as a linear operator: products with a matrix that is never formed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.blocks import (
    Mask,
    Scale,
    blocks,
    count_variants,
    inverse_spread,
    standardise_block,
)
from henderson.genotype.counts import Floats, VarianceKind
from henderson.genotype.source import GenotypeSource, Index


class GenotypeOperator:
    """The (n, m) matrix X of centred, mean-imputed and, unless asked otherwise, standardised genotypes.

    Only packed genotypes are held, by the source; every product decodes them once, block by block. Its
    columns are the variants asked for that have more than one genotype among the given people.

    Parameters
    ----------
    source : GenotypeSource
        Where the genotypes are.
    samples : ndarray of int, shape (n,), optional
        Positions of the people, in the order of the rows of X; by default everybody.
    scale : {"standardized", "centered"}
        Whether columns are divided by their standard deviation.
    variance : {"hwe", "sample"}
        Which one: the root of 2p(1 - p), or the observed one.
    mask : ndarray of bool, optional
        The variants wanted, one entry per variant of the source; by default all.

    Attributes
    ----------
    shape : tuple of int
        (n, m): people, and variants used.
    variants : ndarray of int, shape (m,)
        Positions in the source of the variants used.

    Raises
    ------
    DataError
        If no such variant is left.

    Examples
    --------
    >>> import numpy as np
    >>> from henderson.genotype import ArraySource
    >>> X = GenotypeOperator(ArraySource.of([[0, 1, 1, 2], [0, 0, 0, 0]]), scale="centered")
    >>> X.shape, X.matvec(np.array([2.0])), X.rmatvec(np.array([1.0, 0.0, 0.0, 3.0]))
    ((4, 1), array([-2.,  0.,  0.,  2.]), array([2.]))
    """

    def __init__(
        self,
        source: GenotypeSource,
        samples: Index | None = None,
        *,
        scale: Scale = "standardized",
        variance: VarianceKind = "hwe",
        mask: Mask | None = None,
    ) -> None:
        self._source = source
        self._samples = samples
        self._scale: Scale = scale
        self._variance: VarianceKind = variance
        counts = count_variants(source, samples)
        self._keep: Mask = inverse_spread(counts, scale, variance) > 0
        if mask is not None:
            self._keep &= mask
        self.variants: Index = np.flatnonzero(self._keep)
        self.shape: tuple[int, int] = (counts.n_people, self.variants.size)
        if not self.variants.size:
            raise DataError(
                "none of the variants asked for has more than one genotype among these "
                f"{counts.n_people} people."
            )

    def apply(self, V: NDArray[np.floating]) -> Floats:
        """X X' V / m: the relationship matrix times the columns of V (n, k), which is never formed."""
        product = np.zeros(V.shape)
        for _, X in self._standardised():
            product += X.T @ (X @ V)
        return product / self.shape[1]

    def matvec(self, u: NDArray[np.floating]) -> Floats:
        """X u, shape (n,) or (n, k), for effects u of shape (m,) or (m, k)."""
        product = np.zeros(self.shape[:1] + u.shape[1:])
        for columns, X in self._standardised():
            product += X.T @ u[columns]
        return product

    def rmatvec(self, v: NDArray[np.floating]) -> Floats:
        """X' v, shape (m,) or (m, k), for v of shape (n,) or (n, k)."""
        product = np.empty(self.shape[1:] + v.shape[1:])
        for columns, X in self._standardised():
            product[columns] = X @ v
        return product

    def _standardised(self) -> Iterator[tuple[slice, Floats]]:
        """Give block after block which columns of X it holds, and those columns as (b, n)."""
        done = 0
        for block in blocks(self._source, self._samples, keep=self._keep):
            columns = slice(done, done + block.variants.size)
            done = columns.stop
            yield columns, standardise_block(block, scale=self._scale, variance=self._variance)
