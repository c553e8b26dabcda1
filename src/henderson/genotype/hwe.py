"""The exact test of Hardy-Weinberg equilibrium."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from henderson.genotype.counts import Floats

_NEGLIGIBLE = 1e-17
_ROUNDING = 1e-15


def hwe_p_values(copies: NDArray[np.integer]) -> Floats:
    """How probable so many heterozygotes or less probable numbers of them are, given the allele counts.

    Wigginton, Cutler & Abecasis (2005, American Journal of Human Genetics 76:887-893), without the mid-p
    correction, as PLINK's ``--hardy``.

    Parameters
    ----------
    copies : ndarray of int, shape (m, 3)
        For each variant, the number of people with 0, 1 and 2 copies of an allele.

    Returns
    -------
    ndarray of float64, shape (m,)
        One where there is nobody, or one allele only.

    Notes
    -----
    The probabilities of all possible numbers of heterozygotes have a single peak. Its two tails, from the
    observed number outwards and from the first on the other side that is no more probable, are sums of
    products of ratios that decay, so that only a few standard deviations' worth of terms count.

    Examples
    --------
    >>> hwe_p_values(np.array([[236, 481, 240], [0, 3, 0], [0, 0, 9]])).round(6)
    array([0.897217, 0.4     , 1.      ])
    """
    counts = copies.astype(np.float64)
    n = counts.sum(axis=1)
    observed = counts[:, 1]
    first = 2 * counts[:, 0] + observed
    rarer = np.minimum(first, 2 * n - first)

    # With h heterozygotes there are (rarer - h) / 2 and n - (rarer + h) / 2 homozygotes.
    def log_probability(h: Floats) -> Floats:
        result: Floats = constant + h * np.log(2) - gammaln((rarer - h) / 2 + 1)
        result -= gammaln(h + 1) + gammaln(n - (rarer + h) / 2 + 1)
        return result

    constant = gammaln(n + 1) + gammaln(rarer + 1) + gammaln(2 * n - rarer + 1) - gammaln(2 * n + 1)
    lowest = np.mod(rarer, 2)
    peak = _peak(n, rarer)
    limit = log_probability(observed) + _ROUNDING * gammaln(2 * n + 1) + 8 * _ROUNDING
    below = observed < peak
    # Bisection for the first on the other side of the peak that is no more probable than the observed
    inner, outer = peak.copy(), np.where(below, rarer + 2, lowest - 2)
    while True:
        middle = inner + 2 * np.trunc((outer - inner) / 4)
        if np.array_equal(middle, inner):
            break
        likelier = log_probability(middle) > limit
        inner, outer = np.where(likelier, middle, inner), np.where(likelier, outer, middle)
    outwards = np.where(below, -2.0, 2.0)
    p = np.exp(log_probability(observed)) * _decay(n, rarer, observed, outwards)
    there = (outer >= lowest) & (outer <= rarer)
    first_there = np.exp(log_probability(np.where(there, outer, observed)))[there]
    p[there] += first_there * _decay(n[there], rarer[there], outer[there], -outwards[there])
    return np.where(log_probability(peak) <= limit, 1.0, np.minimum(p, 1.0))


def _peak(n: Floats, rarer: Floats) -> Floats:
    """The most probable number of heterozygotes."""
    common = 2 * n - rarer
    # h + 2 is likelier than h as long as (rarer - h)(common - h) >= (h + 1)(h + 2)
    edge = (rarer * common - 2) / np.maximum(2 * n + 3, 1)
    lowest = np.mod(rarer, 2)
    steps = np.floor((edge - lowest) / 2) + 1
    peak: Floats = np.clip(lowest + 2 * np.maximum(steps, 0), lowest, rarer)
    return peak


def _decay(n: Floats, rarer: Floats, start: Floats, step: Floats) -> Floats:
    """The sum of the probabilities from a number of heterozygotes outwards, by that of the first."""
    h = start.copy()
    term, total = np.ones_like(h), np.ones_like(h)
    while (term > _NEGLIGIBLE * total).any():
        few, many = (rarer - h) / 2, n - (rarer + h) / 2
        up, down = 4 * few * many / ((h + 2) * (h + 1)), h * (h - 1) / (4 * (few + 1) * (many + 1))
        term *= np.where(step > 0, up, down)  # zero beyond the last possible number
        total += term
        h = np.where(term > 0, h + step, h)
    return total
