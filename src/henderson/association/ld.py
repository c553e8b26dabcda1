"""Linkage disequilibrium of one variant with others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.association.chosen import chosen_positions
from henderson.errors import DataError
from henderson.genotype.blocks import VariantBlock, blocks
from henderson.genotype.counts import is_missing
from henderson.genotype.source import Genotypes, GenotypeSource, Index

Array = NDArray[np.float64]
#: Variance below which dosages, of seven digits, are taken for equal.
_NOTHING = 1e-12


def ld_with(
    source: GenotypeSource, lead: int, variants: ArrayLike | slice, samples: Index | None = None
) -> Array:
    """Squared correlation of the copies of one variant with those of others.

    Each pair of variants is judged by the people who have calls of both, as PLINK does (``--r2``,
    ``--r2-unphased``).

    Parameters
    ----------
    source : GenotypeSource
        Where the genotypes are.
    lead : int
        Position of the one variant in the source.
    variants : array-like of int, shape (k,), or of bool, shape (m,), or slice
        Positions of the others, in any order.
    samples : ndarray of int, optional
        Positions of the people; by default everybody.

    Returns
    -------
    ndarray of float64, shape (k,)
        Between 0 and 1; NaN where one of the two does not vary among these people.

    Raises
    ------
    DataError
        If a position is not in the source.

    Examples
    --------
    >>> from henderson.genotype import ArraySource
    >>> source = ArraySource.of([[0, 1, 2, 1], [2, 1, 0, 1], [0, 1, 1, 2], [1, 1, 1, 1]])
    >>> ld_with(source, 0, [1, 2, 3]).round(3)
    array([1.  , 0.25,  nan])
    """
    m = source.variants.m
    if not 0 <= lead < m:
        raise DataError(f"the lead is variant {lead}, but the genotypes have only 0 to {m - 1}")
    if isinstance(variants, slice):
        variants = np.arange(m)[variants]
    asked = chosen_positions("variants", variants, m)
    [x] = source.read(slice(lead, lead + 1), samples)
    keep = np.zeros(m, dtype=bool)
    keep[asked] = True
    found = np.full(m, np.nan)
    for block in blocks(source, samples, keep=keep):
        found[block.variants] = _squared_correlations(block, x)
    return found[asked]


def _squared_correlations(block: VariantBlock, lead: Genotypes) -> Array:
    """Of each variant of a block with the lead, over the people with both, shape (b,)."""
    called = ~is_missing(lead)
    x = lead[called].astype(np.float64)
    both = ~is_missing(block.calls)[:, called]
    # less one, so that sums of squares lose no digits: copies lie between 0 and 2
    y = np.where(both, block.calls[:, called].astype(np.float64) - 1.0, 0.0)
    x -= 1.0
    there = both.astype(np.float64)
    n = there.sum(axis=1)
    sums_x, sums_y = there @ x, y.sum(axis=1)
    # n times each, so that hard calls give whole numbers and a variant without variance is exactly zero
    spread_x = n * (there @ x**2) - sums_x**2
    spread_y = n * np.einsum("ij,ij->i", y, y) - sums_y**2
    shared = n * (y @ x) - sums_x * sums_y
    varies = (spread_x > _NOTHING * n**2) & (spread_y > _NOTHING * n**2)
    r2 = np.full(n.size, np.nan)
    np.divide(shared**2, spread_x * spread_y, out=r2, where=varies)
    return np.minimum(r2, 1.0)
