"""Dominance relationship matrices from genotypes."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from henderson.association.chosen import chosen_positions
from henderson.association.grm import autosomes_told
from henderson.association.sources import open_source
from henderson.covariance.matrix import RelationshipMatrix
from henderson.errors import DataError
from henderson.genotype.blocks import VariantBlock, block_size, blocks
from henderson.genotype.counts import Floats
from henderson.genotype.gram import Progress, add_products, mirror_lower
from henderson.genotype.source import GenotypeSource

_LOG = logging.getLogger(__name__)


def dominance_grm(
    genotypes: str | Path | GenotypeSource,
    *,
    variants: ArrayLike | None = None,
    samples: ArrayLike | None = None,
    progress: Progress | None = None,
) -> RelationshipMatrix:
    """Estimate from genotypes how much of their dominance deviations people share.

    With p the frequency of the effect allele and q = 1 - p, whoever has 0, 1 or 2 copies of it has the
    dominance coding -2p^2, 2pq or -2q^2, which in Hardy-Weinberg equilibrium is uncorrelated with the number
    of copies. The products of these codings are summed over the variants (Vitezica, Varona and Legarra 2013,
    Genetics 195:1223-1230) and divided by the mean of the diagonal, which thereby is 1.

    Parameters
    ----------
    genotypes : str, Path or GenotypeSource
        The path of genotypes of any format (`open_genotypes`), or genotypes that were opened before. A dosage
        between two numbers of copies is coded between both.
    variants : array_like of bool, shape (m,), optional
        The variants to use; by default those on autosomes and those that have no place. Those with one
        genotype only are left out in any case.
    samples : array_like of int or bool, optional
        Positions of the people, or one truth value for each; by default everybody. Frequencies are theirs.
    progress : callable, optional
        Called as each block of variants is read, with the number read so far and the number wanted.

    Returns
    -------
    RelationshipMatrix
        Missing calls are coded 0, the mean; ``n_variants`` is the number of variants used.

    Raises
    ------
    DataError
        If the fileset cannot be read, or no variant varies.

    Examples
    --------
    >>> from henderson.association.grm_dominance import dominance_grm
    >>> from henderson.genotype import ArraySource
    >>> dominance_grm(ArraySource.of([[0, 1, 1, 2], [0, 1, 0, 1]])).matrix.round(3)
    array([[ 0.81 , -0.905, -0.714,  0.619],
           [-0.905,  1.19 ,  0.619, -0.333],
           [-0.714,  0.619,  0.81 , -0.905],
           [ 0.619, -0.333, -0.905,  1.19 ]])
    """
    source = open_source(genotypes)
    rows = None if samples is None else chosen_positions("samples", samples, source.samples.n)
    if variants is None:
        keep = autosomes_told(source)
    else:
        keep = np.zeros(source.variants.m, dtype=bool)
        keep[chosen_positions("variants", variants, source.variants.m)] = True
    people = source.samples if rows is None else source.samples.take(rows)
    total = np.zeros((people.n, people.n), order="F")
    wanted = int(np.count_nonzero(keep))
    used = read = 0
    for block in blocks(source, rows, 2 * block_size(people.n), keep=keep):
        read += len(block.calls)
        varying = block.take(block.counts.varies)
        used += len(varying.calls)
        if len(varying.calls):
            total = add_products(total, dominance_codes(varying))
        if progress is not None:
            progress(read, wanted)
    mean = float(np.trace(total)) / people.n
    if not mean > 0:
        raise DataError(
            f"none of the {wanted:,} variants asked for has more than one genotype among these {people.n:,} "
            "people; a dominance relationship matrix needs some that vary."
        )
    if read > used:
        _LOG.info(f"{read - used:,} variants with only one genotype were left out")
    matrix = mirror_lower(total).T
    matrix /= mean
    return RelationshipMatrix(matrix, people, float(used))


def dominance_codes(block: VariantBlock) -> Floats:
    """Dominance codings of a block of variants, shape (b, n); 0 where there is no call or dosage."""
    p = block.frequency[:, None]
    q = 1.0 - p
    copies = np.where(np.isnan(block.calls), -1.0, block.calls).astype(np.float64)
    # straight lines from 0 to 1 copy, and from there to 2
    first, second = np.minimum(copies, 1.0), np.maximum(copies - 1.0, 0.0)
    codes: Floats = -2.0 * p * p + 2.0 * p * first - 2.0 * q * second
    codes[copies < 0] = 0.0
    return codes
