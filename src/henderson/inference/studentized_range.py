"""Tails and quantiles of the studentised range: the largest difference of k means over its standard error.

SciPy's own is a general adaptive quadrature, which takes tenths of a second for a quantile and loses small
tails; the integrals are of smooth functions that die out like a Gaussian, for which the trapezoidal rule
converges faster than any power of its step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

_HALF_WIDTH, _STEP = 9.0, 0.2
_NODES = np.arange(-_HALF_WIDTH, _HALF_WIDTH + _STEP / 2, _STEP)
#: Exponents of what is left out at the ends of the integral over the standard deviation.
_LEFT_OUT = 36.0
#: Beyond this many degrees of freedom the standard deviation is known to rounding.
_KNOWN = 1e10


def range_tail(q: float, k: float, df: float) -> float:
    """P(Q > q) for the studentised range Q of k means.

    Parameters
    ----------
    q : float
        Largest difference over the standard error of one mean, not negative.
    k : float
        Number of means, from 2; between whole numbers the formula is taken as it stands.
    df : float
        Degrees of freedom of the standard error, positive; it may be infinite.

    Returns
    -------
    float
        NaN where `q` or `df` is.

    Notes
    -----
    P(Q > q) = E[1 - W(q s)], nu s^2 chi-squared with nu degrees of freedom and

        1 - W(x) = k int phi(z) {Phi(z)^(k-1) - [Phi(z) - Phi(z - x)]^(k-1)} dz,

    W the distribution of the range of k standard normals (Hartley 1942, Biometrika 32:334). The difference in
    braces is taken by log1p and expm1, so that small tails keep their digits; s is integrated in log s.

    Examples
    --------
    >>> round(range_tail(3.876777, 3, 10.0), 6)
    0.05
    """
    if not (q >= 0.0 and df > 0.0):
        return math.nan
    if df > _KNOWN:
        return float(_normal_tail(np.array([q]), k)[0])
    # The integrand is highest between log s = 0, where s is likely, and where a range of q is.
    peak = 0.5 * math.log(df / (df + 0.5 * q * q))
    reach = math.sqrt(_LEFT_OUT / df)
    step = min(0.09, 0.3 / math.sqrt(df))
    u = np.arange(peak - reach - _LEFT_OUT / df, min(reach, 3.0) + step, step)
    density = np.exp(df * (u - 0.5 * np.expm1(2.0 * u)))
    return float(density @ _normal_tail(q * np.exp(u), k) / density.sum())


def _normal_tail(x: Array, k: float) -> Array:
    """1 - W(x) for each x."""
    z = 0.5 * x[:, None] + _NODES
    whole = special.log_ndtr(z)
    with np.errstate(divide="ignore", under="ignore"):
        outside = np.log1p(-np.exp(special.log_ndtr(z - x[:, None]) - whole))
        density = np.exp((k - 1) * whole - 0.5 * z * z)
        tail = -np.expm1((k - 1) * outside) * density
    return np.asarray(np.minimum(k * _STEP / math.sqrt(2.0 * math.pi) * tail.sum(axis=1), 1.0))


def range_quantile(level: float, k: float, df: float) -> float:
    """The q with P(Q <= q) = level; parameters as in `range_tail`.

    >>> round(range_quantile(0.95, 3, 10.0), 6)
    3.876777
    """
    if not df > 0.0:
        return math.nan
    # One comparison alone and Bonferroni's inequality for all pairs enclose it.
    bounds = [
        math.sqrt(2.0) * float(special.stdtrit(df, 1.0 - 0.5 * (1.0 - level) / pairs))
        for pairs in (1.0, max(0.5 * k * (k - 1.0), 1.0))
    ]
    return tail_quantile(lambda q: range_tail(q, k, df), 1.0 - level, bounds[0], bounds[1])


def tail_quantile(tail: Callable[[float], float], p: float, lower: float, upper: float) -> float:
    """The x between two bounds beyond which a decreasing tail has the probability p.

    >>> round(tail_quantile(lambda x: math.exp(-x), 0.05, 1.0, 9.0), 6)
    2.995732
    """
    from scipy.optimize import brentq

    # Rounding may put the root on a bound; in logarithms normal tails and power laws are nearly straight.
    ends = math.log(lower) - 1e-6, math.log(upper) + 1e-6
    return math.exp(brentq(lambda x: math.log(tail(math.exp(x)) / p), *ends, xtol=1e-13, rtol=1e-14))
