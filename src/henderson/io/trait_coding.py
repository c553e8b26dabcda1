"""Codings of a trait: cases and controls, and ranks turned into normal scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import DataError

Array = NDArray[np.float64]

_BLOM = 3.0 / 8.0
_FEW_CASES = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class CaseControl:
    """A trait with two values.

    Attributes
    ----------
    values : ndarray of float64, shape (n,)
        0 for controls, 1 for cases, NaN where it is missing.
    plink : bool
        Whether it was coded as PLINK does it: 1 control, 2 case.
    n_zero : int
        Zeros of that coding, which mark missing values.
    """

    values: Array
    plink: bool
    n_zero: int

    @property
    def n_cases(self) -> int:
        """Number of cases."""
        return int((self.values == 1.0).sum())

    @property
    def n_controls(self) -> int:
        """Number of controls."""
        return int((self.values == 0.0).sum())


def case_control(values: ArrayLike, *, fam: bool = False) -> CaseControl | None:
    """Recognise a trait with two values, 0 and 1, or 1 and 2 as PLINK has it.

    Parameters
    ----------
    values : array-like, shape (n,)
        NaN where it is missing.
    fam : bool
        Whether it stands in a ``.fam`` file, where 0 marks missing values beside 1 and 2. Anywhere else a
        trait with the values 0, 1 and 2 is a number.

    Returns
    -------
    CaseControl or None
        None for any other trait, one with a single value among them.

    Examples
    --------
    >>> found = case_control([1, 2, 0, 1], fam=True)
    >>> found.values.tolist(), found.n_cases, found.n_zero
    ([0.0, 1.0, nan, 0.0], 1, 1)
    >>> case_control([1, 2, 0, 1]) is None
    True
    """
    y = np.asarray(values, dtype=np.float64)
    found = set(np.unique(y[~np.isnan(y)]).tolist())
    if found == {0.0, 1.0}:
        return CaseControl(y, plink=False, n_zero=0)
    if found == {1.0, 2.0} or (fam and found == {0.0, 1.0, 2.0}):
        return CaseControl(np.where(y == 0.0, np.nan, y - 1.0), plink=True, n_zero=int((y == 0.0).sum()))
    return None


def case_control_notice(trait: str, found: CaseControl, source: str) -> str:
    """What a user should know of a linear model of cases and controls.

    With few cases the scores of rare variants are skewed, and their p-values too small: Zhou et al. (2018),
    Nature Genetics 50:1335-1341.

    Examples
    --------
    >>> print(case_control_notice("asthma", case_control([0, 1, 1]), "pheno.txt"))
    asthma: 2 cases and 1 control in pheno.txt, analysed as the numbers 1 and 0: beta is the difference in \
risk per allele, heritability is on the observed scale (on that of liability: henderson h2 --prevalence)
    """
    cases, controls = found.n_cases, found.n_controls
    coding = ", coded 2 and 1 as in PLINK" if found.plink else ""
    if found.n_zero:
        coding += f" ({found.n_zero:,} of 0 read as missing)"
    text = (
        f"{trait}: {cases:,} case{'s' * (cases != 1)} and {controls:,} control{'s' * (controls != 1)} in "
        f"{source}{coding}, analysed as the numbers 1 and 0: beta is the difference in risk per allele, "
        "heritability is on the observed scale (on that of liability: henderson h2 --prevalence)"
    )
    share = min(cases, controls) / (cases + controls)
    if share < _FEW_CASES:
        who = "cases" if cases < controls else "controls"
        text += (
            f"; only {share:.2g} of them are {who}, where small p-values of rare variants are too small: "
            "confirm those with a logistic model"
        )
    return text


def rint(y: ArrayLike) -> Array:
    """Rank-based inverse normal transform, with Blom's offset as in REGENIE.

    The value of rank r among n becomes the standard normal quantile of (r - 3/8) / (n + 1/4); equal values
    share their mean rank. Blom (1958), Statistical Estimates and Transformed Beta-Variables.

    Parameters
    ----------
    y : array-like, shape (n,)
        NaN where it is missing.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN where it was missing; the others are ranked among themselves.

    Raises
    ------
    DataError
        If a value is infinite.

    Examples
    --------
    >>> rint([10.0, 3.0, 1000.0, 3.0]).round(3)
    array([ 0.299, -0.629,  1.049, -0.629])
    """
    from scipy.special import ndtri

    values = np.asarray(y, dtype=np.float64)
    if np.isinf(values).any():
        raise DataError("a value is infinite: mend it or make it missing")
    there = ~np.isnan(values)
    _, which, count = np.unique(values[there], return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2
    scores = np.full(values.shape, np.nan)
    scores[there] = ndtri((mean_rank[which] - _BLOM) / (there.sum() + 1 - 2 * _BLOM))
    return scores
