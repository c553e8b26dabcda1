"""Linkage disequilibrium of two variants by maximum likelihood, from genotypes without phase."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from henderson.genotype.counts import HARD_CALL
from henderson.genotype.source import MISSING, Genotypes

Floats = NDArray[np.float64]
Calls = NDArray[np.int8]


def hard_calls(genotypes: Genotypes) -> Calls:
    """Hard calls of dosages: the nearest number of copies, missing where that is further than 0.1."""
    if genotypes.dtype == np.int8:
        return genotypes.view(np.int8)
    nearest = np.rint(genotypes)
    clear = np.abs(genotypes - nearest) <= HARD_CALL
    return np.where(clear, nearest, MISSING).astype(np.int8)


def joint_counts(one: Calls, others: Calls) -> Floats:
    """How many people have each pair of genotypes.

    Parameters
    ----------
    one : ndarray of int8, shape (n,)
        Copies of an allele, -1 where there is no call.
    others : ndarray of int8, shape (b, n)
        The same of b other variants.

    Returns
    -------
    ndarray of float64, shape (b, 3, 3)
        People with i copies of the first and j of the other, among those with both calls.
    """
    groups = np.stack([one == copies for copies in range(3)], axis=1).astype(np.float32)
    # Sums of zeros and ones up to 2^24 are exact in single precision.
    table = [(others == copies).astype(np.float32) @ groups for copies in range(3)]
    return np.stack(table, axis=2).astype(np.float64)


def haplotype_r2(counts: Floats) -> Floats:
    """Squared correlation of two variants' alleles in the haplotypes that are likeliest.

    In all but people who are heterozygous at both, the genotypes tell the haplotypes. With p and q the allele
    frequencies, c the frequency of haplotypes AB seen so and d that of double heterozygotes, the likelihood
    is stationary where x, the frequency of AB, solves

        (x - c) (x (1 - p - q + x) + (p - x)(q - x)) = d x (1 - p - q + x)

    (Hill 1974, Heredity 33:229-239; the cubic: Gaunt, Rodriguez & Day 2007, BMC Bioinformatics 8:428). Of its
    roots between c and c + d the likeliest is taken. PLINK 1.9 clumps by this number.

    Parameters
    ----------
    counts : ndarray of float64, shape (b, 3, 3)
        As `joint_counts` gives them.

    Returns
    -------
    ndarray of float64, shape (b,)
        NaN where one of the two does not vary among people with both calls.

    Examples
    --------
    >>> haplotype_r2(np.array([[[4.0, 0, 0], [0, 8, 0], [0, 0, 4]]]))
    array([1.])
    """
    N = 2 * counts.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        both = (2 * counts[:, 2, 2] + counts[:, 2, 1] + counts[:, 1, 2]) / N
        first = (2 * counts[:, 2, 0] + counts[:, 2, 1] + counts[:, 1, 0]) / N
        second = (2 * counts[:, 0, 2] + counts[:, 0, 1] + counts[:, 1, 2]) / N
        neither = (2 * counts[:, 0, 0] + counts[:, 0, 1] + counts[:, 1, 0]) / N
        double = counts[:, 1, 1] / N
        p, q = both + first + double, both + second + double
        spread = p * (1 - p) * q * (1 - q)
    varies = spread > 0
    r2 = np.full(len(counts), np.nan)
    if not varies.any():
        return r2
    parts = np.stack([both, first, second, neither, double])[:, varies]
    x = _likeliest(parts, _roots(parts[0], parts[4], p[varies], q[varies]))
    r2[varies] = (x - (p * q)[varies]) ** 2 / spread[varies]
    return r2


def _roots(c: Floats, d: Floats, p: Floats, q: Floats) -> Floats:
    """Candidates for x, shape (3, b): the roots of the cubic, those outside at the bound."""
    s = 1 - p - q
    square = (2 * s - 1 - 2 * c - d) / 2  # 1 - 2p - 2q = 2s - 1
    linear = (p * q - c * (2 * s - 1) - d * s) / 2
    constant = -c * p * q / 2
    companion = np.zeros((c.size, 3, 3))
    companion[:, 1, 0] = companion[:, 2, 1] = 1.0
    companion[:, 0, 2], companion[:, 1, 2], companion[:, 2, 2] = -constant, -linear, -square
    roots = np.linalg.eigvals(companion).real.T
    return np.clip(roots, c, c + d)


def _likeliest(parts: Floats, candidates: Floats) -> Floats:
    """The candidate of largest likelihood, shape (b,)."""
    both, first, second, neither, double = parts
    x = candidates - both  # double heterozygotes that are AB and ab
    AB, Ab, aB, ab = both + x, first + double - x, second + double - x, neither + x
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = sum(
            np.where(seen > 0, seen * np.log(frequency), 0.0)
            for seen, frequency in (
                (both, AB), (first, Ab), (second, aB), (neither, ab), (double, AB * ab + Ab * aB)
            )
        )  # fmt: skip
    best = np.argmax(np.nan_to_num(logs, nan=-np.inf), axis=0)
    chosen: Floats = np.take_along_axis(candidates, best[None], axis=0)[0]
    return chosen
