"""Genomic relationship matrices."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from henderson.association.chosen import chosen_positions
from henderson.association.sources import open_source
from henderson.covariance.matrix import RelationshipMatrix
from henderson.errors import DataError
from henderson.genotype.blocks import Mask, Scale
from henderson.genotype.chromosomes import autosomal
from henderson.genotype.counts import VarianceKind
from henderson.genotype.gram import Missing, Progress, gram
from henderson.genotype.source import GenotypeSource

_LOG = logging.getLogger(__name__)


def grm(
    genotypes: str | Path | GenotypeSource,
    *,
    scale: Scale = "standardized",
    missing: Missing = "mean",
    variance: VarianceKind = "hwe",
    variants: ArrayLike | None = None,
    samples: ArrayLike | None = None,
    progress: Progress | None = None,
) -> RelationshipMatrix:
    """Estimate from genotypes how closely people are related.

    Parameters
    ----------
    genotypes : str, Path or GenotypeSource
        The path of genotypes of any format (`open_genotypes`), or genotypes that were opened before.
    scale : {"standardized", "centered"}
        ``"standardized"``: the mean over variants of (x_i - 2p)(x_j - 2p) / variance (Yang et al. 2010,
        Nature Genetics 42:565-569, for all elements): GCTA's ``--make-grm``, PLINK 2's ``--make-grm-bin`` and
        GEMMA's ``-gk 2``. ``"centered"``: without the division, as GEMMA's ``-gk 1`` and PLINK 2's
        ``--make-rel cov``.
    missing : {"mean", "pairwise"}
        What becomes of missing calls: each takes the mean of its variant (GEMMA; the divisor is the number of
        variants), or a pair is related by the variants at which both were called (GCTA, PLINK).
    variance : {"hwe", "sample"}
        What a standardised variant is divided by: 2p(1 - p) (GCTA, PLINK), or its observed variance after
        imputation, n in the denominator (GEMMA).
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
        ``n_variants`` is the number of variants used, and for ``missing="pairwise"`` the matrix of them.

    Raises
    ------
    DataError
        If the fileset cannot be read, an argument is not one of those above, or no variant varies.

    Notes
    -----
    Variants on sex chromosomes and in mitochondria are used only if ``variants`` asks for them.
    The number left out is logged.

    Examples
    --------
    >>> from henderson.association.grm import grm
    >>> from henderson.genotype import ArraySource
    >>> G = grm(ArraySource.of([[0, 1, 2], [0, 1, 1], [2, 2, 2]]), scale="centered")
    >>> G.matrix.round(3), G.n_variants
    (array([[ 0.722, -0.111, -0.611],
           [-0.111,  0.056,  0.056],
           [-0.611,  0.056,  0.556]]), 2.0)
    """
    for name, given, known in (
        ("scale", scale, get_args(Scale)),
        ("missing", missing, get_args(Missing)),
        ("variance", variance, get_args(VarianceKind)),
    ):
        if given not in known:
            raise DataError(f"{name}={given!r} is not one of {', '.join(map(repr, known))}.")
    source = open_source(genotypes)
    rows = None if samples is None else chosen_positions("samples", samples, source.samples.n)
    if variants is None:
        keep = autosomes_told(source)
    else:
        keep = np.zeros(source.variants.m, dtype=bool)
        keep[chosen_positions("variants", variants, source.variants.m)] = True
    result = gram(source, rows, scale=scale, missing=missing, variance=variance, keep=keep, progress=progress)
    if result.n_monomorphic:
        _LOG.info(f"{result.n_monomorphic:,} variants with only one genotype were left out")
    people = source.samples if rows is None else source.samples.take(rows)
    return RelationshipMatrix(result.matrix, people, result.n_variants)


def autosomes_told(source: GenotypeSource) -> Mask:
    """Which variants are on autosomes; the others are counted in the log.

    Raises
    ------
    DataError
        If none is.
    """
    keep = autosomal(source)
    elsewhere = int(np.count_nonzero(~keep))
    if elsewhere and elsewhere == keep.size:
        raise DataError(
            f"all {elsewhere:,} variants are on sex chromosomes or in mitochondria, and relationships are "
            "estimated from autosomes: take them from other genotypes (for a scan --grm-bfile or --grm), or "
            "ask for these variants (variants=...) if that is what you want."
        )
    if elsewhere:
        _LOG.info(f"{elsewhere:,} variants on sex chromosomes or in mitochondria say nothing of relationship")
    return keep
