"""Columns of a scan's table that every test fills in the same way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from henderson.linalg.tails import neg_log10_chi2, neg_log10_f1

Array = NDArray[np.float64]
Columns = dict[str, NDArray[np.generic]]


def wald(beta: Array, standard_error: Array, df: int | None, ending: str = "") -> Columns:
    """Effect and p-value: of F(1, df), or of chi-squared where the variances are taken as known.

    Parameters
    ----------
    beta, standard_error : ndarray, shape (b,)
        Effects, one for each variant.
    df : int or None
        Denominator degrees of freedom.
    ending : str
        Stands behind each column's name where it is not the effect of the variant alone.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # a trait that is fitted exactly
        statistic = (beta / standard_error) ** 2
    tail = neg_log10_chi2(statistic) if df is None else neg_log10_f1(statistic, df)
    effect = {f"beta{ending}": beta, f"standard_error{ending}": standard_error}
    return {**effect, **p_columns(ending or "_value", tail)}


def p_columns(ending: str, tail: Array) -> Columns:
    """A p-value and its -log10, which ``tail`` is: exact also where p is zero in float64."""
    return {f"p{ending}": 10.0**-tail, f"neg_log_10_p{ending}": tail}
