"""Relationship matrices from genotypes, block by block at the speed of BLAS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from henderson.errors import DataError
from henderson.genotype.blocks import (
    Mask,
    Scale,
    VariantBlock,
    block_size,
    blocks,
    inverse_spread,
    standardise_block,
)
from henderson.genotype.counts import Floats, VarianceKind, is_missing
from henderson.genotype.source import GenotypeSource, Index

#: Missing calls take the mean of their variant, or the pair of people is left out of the variant.
Missing = Literal["mean", "pairwise"]
#: Called after each block with the number of variants read so far and of those wanted.
Progress = Callable[[int, int], None]

_TILE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Gram:
    """A relationship matrix, and what it rests on.

    Attributes
    ----------
    matrix : ndarray of float64, shape (n, n)
        Relationships, in full.
    n_variants : float or ndarray of float64, shape (n, n)
        Variants that each element is the mean of: one number unless pairs were left out.
    n_monomorphic : int
        Variants that were asked for but left out, because only one genotype occurs.
    """

    matrix: Floats
    n_variants: Floats | float
    n_monomorphic: int


def gram(
    source: GenotypeSource,
    samples: Index | None = None,
    *,
    scale: Scale = "standardized",
    missing: Missing = "mean",
    variance: VarianceKind = "hwe",
    keep: Mask | None = None,
    progress: Progress | None = None,
) -> Gram:
    """Mean over the variants of x x', for centred (and standardised) copies x of the effect allele.

    Parameters
    ----------
    source : GenotypeSource
        Where the genotypes are.
    samples : ndarray of int, shape (n,), optional
        Positions of the people; by default everybody. Frequencies and variances are theirs.
    scale, missing, variance
        See `henderson.association.grm.grm`.
    keep : ndarray of bool, optional
        The variants wanted, one entry per variant of the source; by default all.
    progress : callable, optional
        Called as each block is read with the number of variants read so far and of those wanted.

    Raises
    ------
    DataError
        If no variant with more than one genotype is left, or a pair of people shares no called variant.
    """
    found = products(
        source,
        samples,
        scale=scale,
        missing=missing,
        variance=variance,
        keep=keep,
        progress=progress,
    )
    if not np.max(found.n_variants):
        raise DataError(
            f"none of the {found.n_monomorphic} variants asked for has more than one genotype among these "
            f"{len(found.matrix)} people; a relationship matrix needs some that vary."
        )
    shared = found.n_variants
    if np.min(shared) < 1:
        first, second = np.unravel_index(np.argmin(shared), found.matrix.shape)
        raise DataError(
            f"{_name(source, samples, first)} and {_name(source, samples, second)} have no variant at which "
            'both were called; leave one out, or use missing="mean".'
        )
    matrix = found.matrix
    matrix /= shared
    return found


def products(
    source: GenotypeSource,
    samples: Index | None = None,
    *,
    scale: Scale,
    missing: Missing,
    variance: VarianceKind,
    keep: Mask | None = None,
    progress: Progress | None = None,
) -> Gram:
    """As `gram`, but sums over the variants in place of means: they add up over chromosomes."""
    n = source.samples.n if samples is None else len(samples)
    total = np.zeros((n, n), order="F")
    # BLAS fills Fortran's order; the transpose of a symmetric matrix in it is the same matrix in C's.
    both_missing = np.zeros((n, n), order="F") if missing == "pairwise" else None
    n_missing = np.zeros(n)
    wanted = source.variants.m if keep is None else int(np.count_nonzero(keep))
    used = n_monomorphic = 0
    # twice as many variants as elsewhere: each block passes over the whole matrix
    for block in blocks(source, samples, 2 * block_size(n), keep=keep):
        varying = block.take(inverse_spread(block.counts, scale, variance) > 0)
        n_monomorphic += len(block.calls) - len(varying.calls)
        used += len(varying.calls)
        if progress is not None:
            progress(used + n_monomorphic, wanted)
        if not len(varying.calls):
            continue
        total = add_products(total, standardise_block(varying, scale=scale, variance=variance))
        if both_missing is not None:
            uncalled = _uncalled(varying)
            n_missing += uncalled.sum(axis=0)
            both_missing = add_products(both_missing, uncalled)
    matrix = mirror_lower(total).T
    if both_missing is None:
        return Gram(matrix, float(used), n_monomorphic)
    shared = mirror_lower(both_missing).T
    shared += used - n_missing
    shared -= n_missing[:, None]
    return Gram(matrix, shared, n_monomorphic)


def add_products(total: Floats, X: Floats) -> Floats:
    """Add X'X to the lower triangle of the F-ordered total, in place, for X of shape (b, n)."""
    from scipy.linalg.blas import dsyrk

    # X in C order is X' in Fortran's, so that nothing is copied.
    result: Floats = dsyrk(1.0, X.T, beta=1.0, c=total, lower=1, overwrite_c=1)
    return result


def _uncalled(block: VariantBlock) -> Floats:
    """One for each missing call, shape (b, n), of those variants that have any."""
    return is_missing(block.take(block.n_missing > 0).calls).astype(np.float64)


def mirror_lower(matrix: Floats) -> Floats:
    """Copy a square matrix's lower triangle to the upper one, in place, tile by tile; give it back."""
    n = len(matrix)
    for start in range(0, n, _TILE):
        stop = min(start + _TILE, n)
        matrix[:start, start:stop] = matrix[start:stop, :start].T
        corner = matrix[start:stop, start:stop]
        corner[...] = np.tril(corner) + np.tril(corner, -1).T
    return matrix


def _name(source: GenotypeSource, samples: Index | None, row: np.intp) -> str:
    """Name the person of a row."""
    position = row if samples is None else samples[row]
    return f"{source.samples.fid[position]} {source.samples.iid[position]}"
