"""Genotypes block by block: the one loop that scans, filters and relationship matrices are written on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from henderson.genotype.counts import (
    Floats,
    VarianceKind,
    VariantCounts,
    is_missing,
)
from henderson.genotype.ploidy import count_by_ploidy
from henderson.genotype.source import Genotypes, GenotypeSource, Index

#: Whether variants are only centred, or also divided by a standard deviation.
Scale = Literal["standardized", "centered"]
Mask = NDArray[np.bool_]

_GENOTYPES_PER_BLOCK = 1 << 19  # 4 MB as float64
_WIDE, _MOST_GENOTYPES = 256, 1 << 24  # so many variants keep BLAS busy, but in 128 MB at most
_SMALLEST_BLOCK = 64
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class VariantBlock:
    """The genotypes of b variants in n people.

    Attributes
    ----------
    variants : ndarray of int, shape (b,)
        Positions of the variants in the source, ascending.
    calls : ndarray of int8 or float32, shape (b, n)
        Copies of the effect allele, -1 where there is no call; or dosages, NaN where there is none.
    counts : VariantCounts
        How many of these n people have each genotype.
    """

    variants: Index
    calls: Genotypes
    counts: VariantCounts

    @property
    def n_missing(self) -> NDArray[np.int64]:
        """People without a call, shape (b,)."""
        return self.counts.n_missing

    @property
    def frequency(self) -> Floats:
        """Frequency of the effect allele among these people, shape (b,); NaN where nobody is called."""
        return self.counts.frequency

    def take(self, rows: Mask) -> VariantBlock:
        """Those of the b variants only."""
        if rows.all():
            return self
        return VariantBlock(self.variants[rows], self.calls[rows], self.counts.take(rows))


def block_size(n: int) -> int:
    """Variants read at a time for n people: enough to keep BLAS busy, few beside a matrix of n x n."""
    n = max(n, 1)
    return max(_GENOTYPES_PER_BLOCK // n, min(_WIDE, _MOST_GENOTYPES // n), _SMALLEST_BLOCK)


def blocks(
    source: GenotypeSource,
    samples: Index | None = None,
    size: int | None = None,
    *,
    keep: Mask | None = None,
) -> Iterator[VariantBlock]:
    """Read genotypes a block of variants at a time.

    Parameters
    ----------
    source : GenotypeSource
        Where the genotypes are.
    samples : ndarray of int, shape (n,), optional
        Positions of the people, in the order wanted; by default everybody.
    size : int, optional
        Variants to read at a time; see `block_size`.
    keep : ndarray of bool, shape (m,), optional
        The variants wanted; by default all. Stretches without any are not read.

    Yields
    ------
    VariantBlock
        At most ``size`` variants and at least one.
    """
    m = source.variants.m
    sex = source.samples.sex if samples is None else source.samples.sex[samples]
    if size is None:
        n = source.samples.n if samples is None else len(samples)
        size = block_size(n)
    for start in range(0, m, size):
        positions = np.arange(start, min(start + size, m))
        if keep is not None:
            positions = positions[keep[positions]]
        if not positions.size:
            continue
        first, last = int(positions[0]), int(positions[-1])
        calls = source.read(slice(first, last + 1), samples)
        if len(calls) > len(positions):
            calls = calls[positions - first]
        counts = count_by_ploidy(calls, source.variants.kind[positions], sex)
        yield VariantBlock(positions, calls, counts)


def impute(block: VariantBlock) -> Floats:
    """Copies of the effect allele, not centred, each missing one at the mean of its variant.

    Returns
    -------
    ndarray of float64, shape (b, n)
        A new array. A variant without any call is NaN throughout.
    """
    copies = block.calls.astype(np.float64, order="C")
    if block.n_missing.any():
        missing = np.flatnonzero(is_missing(block.calls))
        copies.ravel()[missing] = block.counts.mean[missing // copies.shape[1]]
    return copies


def standardise_block(
    block: VariantBlock, *, scale: Scale = "standardized", variance: VarianceKind = "hwe"
) -> Floats:
    """Mean-imputed copies, centred, and for ``scale="standardized"`` divided by the standard deviation.

    Parameters
    ----------
    block : VariantBlock
        The calls.
    scale : {"standardized", "centered"}
        Whether to divide by the standard deviation.
    variance : {"hwe", "sample"}
        Which one: the root of 2p(1 - p), or the observed one after imputation.

    Returns
    -------
    ndarray of float64, shape (b, n)
        A new array; a variant with only one genotype is zero throughout.
    """
    mean = block.counts.mean
    factor = inverse_spread(block.counts, scale, variance)
    varies = factor > 0
    copies = impute(block)
    copies -= mean[:, None]
    if scale == "standardized":
        copies *= factor[:, None]
    copies[~varies] = 0.0
    return copies


def inverse_spread(counts: VariantCounts, scale: Scale, variance: VarianceKind) -> Floats:
    """What each variant is multiplied by once centred, shape (m,); zero where there is only one genotype."""
    if scale == "centered":
        return counts.varies.astype(np.float64)
    spread = np.sqrt(counts.variance(variance))
    inverse: Floats = np.divide(1.0, spread, out=np.zeros_like(spread), where=counts.varies)
    return inverse


def count_variants(source: GenotypeSource, samples: Index | None = None) -> VariantCounts:
    """Count the genotypes of every variant among the given people (by default all), in one pass."""
    n = source.samples.n if samples is None else len(samples)
    return VariantCounts.joined([block.counts for block in blocks(source, samples)], n)


def variant_filter(
    source: GenotypeSource,
    samples: Index | None = None,
    *,
    min_maf: float = 0.0,
    max_missing: float = 1.0,
) -> Mask:
    """Which variants to use, judged by the given people alone.

    Parameters
    ----------
    source : GenotypeSource
        Where the genotypes are.
    samples : ndarray of int, optional
        Positions of the people who are analysed; by default everybody.
    min_maf : float
        Least frequency of the rarer allele among the called.
    max_missing : float
        Largest proportion of people without a call.

    Returns
    -------
    ndarray of bool, shape (m,)
        False also where only one genotype occurs.
    """
    return passes(count_variants(source, samples), min_maf=min_maf, max_missing=max_missing)


def passes(counts: VariantCounts, *, min_maf: float = 0.0, max_missing: float = 1.0) -> Mask:
    """`variant_filter` for counts that are at hand."""
    p = counts.frequency
    common = np.minimum(p, 1 - p) >= min_maf - _ROUNDING
    called = counts.n_missing / max(counts.n_people, 1) <= max_missing
    result: Mask = common & called & counts.varies
    return result
