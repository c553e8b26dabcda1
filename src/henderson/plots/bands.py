"""Simultaneous bands for quantile-quantile plots: all of a sample lies inside with a probability of 95 %.

The i-th smallest of n uniform numbers has the distribution Beta(i, n - i + 1). The band takes the same tail
from each of them, and the table says how small this tail has to be, for the whole sample to stay inside with
a probability of 95 %: Aldor-Noiman, Brown, Buja, Rolke & Stine (2013), Am. Stat. 67:249-260.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Both tails of one order statistic together, by sample size: 5 % quantiles of the smallest one in up to
# 400,000 simulated samples; from size 10,000 on, where fewer were drawn, by a parabola in log-log scale.
_UNIFORM: Mapping[int, float] = {
    3: 0.0186, 4: 0.0147, 5: 0.0122, 7: 0.00945, 10: 0.0074, 20: 0.0048, 50: 0.00296, 100: 0.00216,
    200: 0.00167, 500: 0.00127, 1000: 0.00106, 2000: 0.00088, 5000: 0.00075, 10_000: 0.00065,
    30_000: 0.00056, 100_000: 0.0005,
}  # fmt: skip
_NORMAL: Mapping[int, float] = {
    3: 0.409, 4: 0.303, 5: 0.252, 7: 0.197, 10: 0.145, 20: 0.0816, 50: 0.0422, 100: 0.026, 200: 0.0173,
    500: 0.0104, 1000: 0.0071, 2000: 0.0053, 5000: 0.00353, 10_000: 0.0027, 30_000: 0.00187, 100_000: 0.00134,
}  # fmt: skip


def expected_uniform(n: int) -> Array:
    """Medians of the order statistics of n uniform numbers, nearly: (i - 1/3) / (n + 1/3), shape (n,).

    >>> expected_uniform(3)
    array([0.2, 0.5, 0.8])
    """
    return np.asarray((np.arange(n) + 2 / 3) / (n + 1 / 3))


def uniform_band(n: int, ranks: NDArray[np.intp]) -> tuple[Array, Array]:
    """The band of n independent uniform numbers.

    Parameters
    ----------
    n : int
    ranks : ndarray of int
        Which of the sorted numbers, counted from 0.

    Returns
    -------
    lower, upper : ndarray

    Examples
    --------
    >>> lower, upper = uniform_band(20, np.array([0, 10]))
    >>> lower.round(3), upper.round(3)
    (array([0.   , 0.236]), array([0.26 , 0.802]))
    """
    return _band(n, ranks, _UNIFORM)


def normal_band(n: int, ranks: NDArray[np.intp]) -> tuple[Array, Array]:
    """The band of n independent normal numbers, once their own mean and standard deviation are taken out.

    Parameters
    ----------
    n : int
    ranks : ndarray of int
        Which of the sorted numbers, counted from 0.

    Returns
    -------
    lower, upper : ndarray
        In standard deviations.

    Examples
    --------
    >>> lower, upper = normal_band(20, np.array([0, 10]))
    >>> lower.round(2), upper.round(2)
    (array([-2.87, -0.42]), array([-1.05,  0.55]))
    """
    from scipy.special import ndtri

    lower, upper = _band(n, ranks, _NORMAL)
    return np.asarray(ndtri(lower)), np.asarray(ndtri(upper))


def _band(n: int, ranks: NDArray[np.intp], table: Mapping[int, float]) -> tuple[Array, Array]:
    from scipy.special import betaincinv

    sizes, tails = np.array(list(table)), np.array(list(table.values()))
    tail = float(np.exp(np.interp(np.log(n), np.log(sizes), np.log(tails)))) / 2
    i = np.asarray(ranks) + 1.0
    return np.asarray(betaincinv(i, n - i + 1, tail)), np.asarray(1.0 - betaincinv(n - i + 1, i, tail))


def thinned_ranks(n: int, *, at_most: int = 600) -> NDArray[np.intp]:
    """Ranks that show a sorted sample: every one near both ends, fewer towards the middle.

    >>> thinned_ranks(4)
    array([0, 1, 2, 3])
    >>> thinned_ranks(1_000_000).size <= 600
    True
    """
    if n <= at_most:
        return np.arange(n)
    half = np.rint(np.geomspace(1, (n + 1) / 2, at_most // 2)).astype(np.intp) - 1
    return np.unique(np.concatenate([half, n - 1 - half]))
