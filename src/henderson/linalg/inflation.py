"""Genomic control: how far the bulk of a scan's tests is from the null."""

import numpy as np
from numpy.typing import ArrayLike

_NULL_MEDIAN = 0.45493642311957283  # of chi-square with one degree of freedom


def lambda_gc(neg_log10_p: ArrayLike) -> float:
    """Median chi-square statistic of a scan over its median under the null.

    Parameters
    ----------
    neg_log10_p : array-like of float, shape (m,)
        -log10 of the p-values. NaN, for variants without a test, is ignored.

    Returns
    -------
    float
        The genomic control factor: about 1 if the bulk of the variants follows the null. NaN if no variant
        was tested. It is found from -log10 p, so that p may be smaller than a double can hold.

    Examples
    --------
    >>> round(lambda_gc(-np.log10((np.arange(999) + 0.5) / 999)), 12)
    1.0
    """
    from scipy.special import ndtri_exp

    x = np.asarray(neg_log10_p, dtype=np.float64).ravel()
    x = x[~np.isnan(x)]
    if not x.size:
        return float("nan")
    middle = [(x.size - 1) // 2, x.size // 2]
    x = np.partition(x, middle)[middle]
    # chi-square falls with p, so that its median needs the p-values in the middle only.
    z = ndtri_exp(-x * np.log(10.0) - np.log(2.0))
    return float(np.mean(z**2) / _NULL_MEDIAN)
