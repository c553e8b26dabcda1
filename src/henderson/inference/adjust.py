"""p-values and critical values for several comparisons at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from henderson.errors import DataError
from henderson.inference.studentized_range import range_quantile, range_tail, tail_quantile
from henderson.linalg.tails import neg_log10_normal, neg_log10_t

Array = NDArray[np.float64]
Adjustment = Literal["tukey", "dunnettx", "holm", "bonferroni", "fdr", "none"]


def two_sided(t: Array, df: Array) -> Array:
    """P(abs(T) > abs(t)) for Student's t, normal where `df` is infinite; NaN where `t` is.

    >>> two_sided(np.array([2.228139, 1.959964]), np.array([10.0, np.inf])).round(6)
    array([0.05, 0.05])
    """
    finite = np.isfinite(df)
    log = np.where(finite, neg_log10_t(t, np.where(finite, df, 1.0)), neg_log10_normal(t))
    return np.asarray(10.0**-log)


def adjusted(t: Array, df: Array, adjust: Adjustment, *, means: int) -> Array:
    """p-values of one family of comparisons.

    Parameters
    ----------
    t, df : ndarray, (k,)
        Statistics and degrees of freedom; NaN for a comparison that cannot be estimated, which counts in the
        size of the family nevertheless, as in R's emmeans.
    adjust : str
        "tukey" for all pairs of `means` means, by the studentised range; "dunnettx" for comparisons with a
        control, by the approximation of R's emmeans; "holm" (1979, Scand. J. Stat. 6:65), "bonferroni"; "fdr"
        (Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57:289); or "none".
    means : int
        Number of means that are compared.

    Returns
    -------
    ndarray, (k,)

    Examples
    --------
    >>> adjusted(np.array([3.0, 2.0, 1.0]), np.full(3, 20.0), "tukey", means=3).round(4)
    array([0.0186, 0.1381, 0.5854])
    """
    p, k = two_sided(t, df), t.size
    if k == 1 or adjust == "none":
        return p
    if adjust == "bonferroni":
        return np.minimum(k * p, 1.0)
    if adjust in ("holm", "fdr"):
        return _stepwise(p, adjust)
    return _each(lambda t, df: _tail(t, df, adjust, k, means), np.abs(t), df)


def critical(level: float, df: Array, adjust: Adjustment, *, means: int) -> Array:
    """Half-widths of simultaneous intervals in standard errors, (k,); parameters as in `adjusted`.

    The stepwise methods have no intervals: theirs are Bonferroni's.

    >>> critical(0.95, np.full(3, 20.0), "tukey", means=3).round(4)
    array([2.53, 2.53, 2.53])
    """
    k = df.size
    if k == 1 or adjust == "none":
        return _t_quantile(level, df)
    if adjust == "tukey":
        return _each(lambda _, df: range_quantile(level, means, df) / math.sqrt(2.0), df, df)
    if adjust != "dunnettx":
        return _t_quantile(1.0 - (1.0 - level) / k, df)
    return _each(
        lambda single, df: tail_quantile(
            lambda t: _tail(t, df, adjust, k, means),
            1.0 - level,
            single,
            float(_t_quantile(1.0 - (1.0 - level) / k, df)),
        ),
        _t_quantile(level, df),
        df,
    )


def _t_quantile(level: float, df: ArrayLike) -> Array:
    return np.asarray(special.stdtrit(df, 0.5 * (1.0 + level)))


def check_adjustment(adjust: str) -> None:
    """Refuse an unknown one.

    Raises
    ------
    DataError
    """
    if adjust not in get_args(Adjustment):
        raise DataError(f"adjust is {adjust!r}; it can be {', '.join(map(repr, get_args(Adjustment)))}")


def _tail(t: float, df: float, adjust: Adjustment, k: int, means: int) -> float:
    """P(the largest of k abs(t) > t)."""
    if adjust == "tukey":
        return range_tail(math.sqrt(2.0) * t, means, df)
    # Between Tukey's for as many means as have k pairs, and Sidak's for k independent comparisons. The number
    # of means is fractional.
    apart = -math.expm1(k * math.log1p(-float(two_sided(np.array(t), np.array(df)))))
    return (k - 1) / k * range_tail(
        math.sqrt(2.0) * t, 0.5 * (1.0 + math.sqrt(1.0 + 8.0 * k)), df
    ) + apart / k


def _stepwise(p: Array, adjust: Adjustment) -> Array:
    order = np.argsort(p)  # NaN last
    ranked, k = p[order], p.size
    out = np.empty(k)
    if adjust == "holm":
        out[order] = np.maximum.accumulate(ranked * (k - np.arange(k)))
    else:
        scaled = ranked * k / (1.0 + np.arange(k))
        known = int(np.isfinite(p).sum())
        scaled[:known] = np.minimum.accumulate(scaled[:known][::-1])[::-1]
        out[order] = scaled
    return np.minimum(out, 1.0)


def _each(of: Callable[[float, float], float], t: Array, df: Array) -> Array:
    """`of` each pair, once where they are equal to ten digits; NaN where one is."""
    known: dict[tuple[float, float], float] = {}
    out = np.full(t.size, np.nan)
    for i, pair in enumerate(zip(t.tolist(), df.tolist(), strict=True)):
        if not math.isnan(pair[0] + pair[1]):
            key = (float(f"{pair[0]:.10g}"), float(f"{pair[1]:.10g}"))
            if key not in known:
                known[key] = of(*key)
            out[i] = known[key]
    return out
