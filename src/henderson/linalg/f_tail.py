"""The upper tail of the F distribution as -log10 p; see `tails`, which has the special cases."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from henderson.linalg.tails import neg_log10_chi2, neg_log10_f1

Float = NDArray[np.float64]
#: Below this tail the logarithm is taken of the parts.
FAR = 1e-200
#: Depth of the continued fraction, which far out needs a few terms only.
TERMS = 60


def neg_log10_f(F: ArrayLike, df1: ArrayLike, df2: ArrayLike) -> Float:
    """-log10 of the upper tail of the F distribution, P(X > F).

    Parameters
    ----------
    F : array_like of float
        Statistics; a negative one counts as 0.
    df1, df2 : array_like of float
        Degrees of freedom of numerator and denominator, positive; `df2` may be infinite.

    Returns
    -------
    ndarray of float64, broadcast shape
        0 at F = 0, inf where F is infinite, NaN where an argument is NaN or not positive.

    Notes
    -----
    I_x(df2 / 2, df1 / 2) at x = df2 / (df2 + df1 F); far out by the continued fraction DLMF 8.17.22.

    Examples
    --------
    >>> neg_log10_f([4.102821, 1e9], [2, 3], [10, 200]).round(5)
    array([  1.30103, 716.55505])
    """
    F, df1, df2 = (a.astype(np.float64) for a in np.broadcast_arrays(F, df1, df2))
    F = np.maximum(F, 0.0)
    answer = np.full(F.shape, np.nan)
    valid = (df1 > 0.0) & (df2 > 0.0) & ~np.isnan(F)
    endless = valid & (df2 == np.inf)
    answer[endless] = neg_log10_chi2((df1 * F)[endless], df1[endless])
    one = valid & ~endless & (df1 == 1.0)
    answer[one] = neg_log10_f1(F[one], df2[one])
    other = valid & ~endless & ~one
    answer[other] = _general(F[other], df1[other], df2[other])
    return answer


def _general(F: Float, df1: Float, df2: Float) -> Float:
    lower, upper = special.fdtr(df1, df2, F), special.fdtrc(df1, df2, F)
    with np.errstate(divide="ignore"):
        answer = np.where(lower < 0.5, -np.log1p(-lower), -np.log(upper))
    far = (upper < FAR) & np.isfinite(F)
    answer[far] = _beta_tail(0.5 * df2[far], 0.5 * df1[far], df1[far] * F[far] / df2[far])
    return np.asarray(answer / math.log(10.0))


def _beta_tail(a: Float, b: Float, ratio: Float) -> Float:
    """-ln I_x(a, b) at x = 1 / (1 + ratio)."""
    x = 1.0 / (1.0 + ratio)
    fraction = np.ones_like(x)
    for k in range(TERMS, 0, -1):
        m = k // 2
        if k % 2:
            numerator = -(a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            numerator = m * (b - m) / ((a + 2 * m - 1) * (a + 2 * m))
        fraction = 1.0 + numerator * x / fraction
    power = (a + b) * np.log1p(ratio) - b * np.log(ratio)
    return np.asarray(power + np.log(a) + special.betaln(a, b) + np.log(fraction))
