"""Heritability of a model with one relationship matrix, its standard error and its test."""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, exp, isnan, log, nan, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Identity
from henderson.engine import Engine
from henderson.errors import DataError, ModelNotSupportedError
from henderson.fit.notices import takes_all
from henderson.fit.solve import Fitted
from henderson.model import RandomTerm

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiabilityScale:
    """Heritability of a liability, of which those beyond a threshold are cases.

    Attributes
    ----------
    h2, h2_se : float
        Share of the variance of the liability, and its standard error.
    prevalence : float
        Share of cases in the population.
    share_of_cases : float
        Share of cases among the people analysed.
    """

    h2: float
    h2_se: float
    prevalence: float
    share_of_cases: float

    def __str__(self) -> str:
        se = "NA" if isnan(self.h2_se) else f"{self.h2_se:.4g}"
        return (
            f"h2 of the liability: {self.h2:.6g} (standard error {se}), for a prevalence of "
            f"{self.prevalence:g} and {self.share_of_cases:.4g} of cases among those analysed"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Heritability:
    """How much of the variance goes with the relationship of the people.

    Standard errors are from the delta method with the observed information of the two variances. They, and
    those of the two shares, are NaN where a variance is estimated as zero; a notice says so.

    Attributes
    ----------
    group : str
        Grouping factor whose levels are related.
    h2, h2_se : float
        vg / (vg + ve), as GCTA has it: of a person whose relationship to itself is one.
    pve, pve_se : float
        vg c / (vg c + ve), as GEMMA has it: the expected share in the sample variance of the people analysed.
    centred_diagonal : float
        c: mean diagonal of their relationship matrix, centred by rows and by columns.
    genetic_variance, genetic_variance_se : float
        vg, in the units of the response squared, for the relationship matrix as it was given.
    residual_variance, residual_variance_se : float
        ve.
    covariance : float
        Of the estimates of vg and ve.
    lrt, p_value : float
        2 (log L - log L at vg = 0), and its p-value from the half-and-half mixture of 0 and chi-squared with
        one degree of freedom; 0.5 where the statistic is zero, as GCTA has it.
    loglik, loglik_null : float
        Log (restricted) likelihood at the estimates and at vg = 0.
    reml : bool
        REML or maximum likelihood.
    n : int
        Number of people analysed.
    share_of_cases : float
        Share of ones in a response of zeros and ones; NaN for any other.
    notices : tuple of str
        What the user should know.

    Examples
    --------
    Three pairs of sisters, whose relationship is one half:

    >>> import henderson as hd
    >>> import pandas as pd
    >>> names = ["ann", "bea", "cleo", "dora", "eve", "fay"]
    >>> G = pd.DataFrame(np.kron(np.eye(3), [[1.0, 0.5], [0.5, 1.0]]), index=names, columns=names)
    >>> data = {"y": [1.9, 1.1, 0.3, 0.9, 1.6, 1.0], "iid": names}
    >>> found = hd.lmer("y ~ 1 + (1 | iid)", data, relationship={"iid": G}).heritability()
    >>> round(found.h2, 3), round(found.lrt, 3), round(found.p_value, 3)
    (0.653, 0.284, 0.297)
    """

    group: str
    h2: float
    h2_se: float
    pve: float
    pve_se: float
    centred_diagonal: float
    genetic_variance: float
    genetic_variance_se: float
    residual_variance: float
    residual_variance_se: float
    covariance: float
    lrt: float
    p_value: float
    loglik: float
    loglik_null: float
    reml: bool
    n: int
    share_of_cases: float = nan
    notices: tuple[str, ...] = ()

    def liability(self, prevalence: float) -> LiabilityScale:
        """Heritability on the scale of a normal liability, whose upper tail are the cases.

        With K the prevalence, P the share of cases among the people analysed, and z the standard normal
        density at the threshold, h2 and its standard error are multiplied by
        K^2 (1 - K)^2 / (z^2 P (1 - P)): Lee et al. (2011), AJHG 88:294-305, equation 23.

        Parameters
        ----------
        prevalence : float
            Share of cases in the population, which a sample of cases and controls does not tell.

        Returns
        -------
        LiabilityScale

        Raises
        ------
        DataError
            If the response is not one of zeros and ones, or the prevalence does not lie between 0 and 1.

        Examples
        --------
        >>> known = dict.fromkeys(Heritability.__dataclass_fields__, 0.0) | {"h2": 0.2, "h2_se": 0.1}
        >>> print(Heritability(**known | {"share_of_cases": 0.5}).liability(0.01))
        h2 of the liability: 0.110381 (standard error 0.05519), for a prevalence of 0.01 and 0.5 of cases \
among those analysed
        """
        from scipy.special import ndtri

        if not 0.0 < prevalence < 1.0:
            raise DataError(
                "the prevalence is the share of cases in the population, between 0 and 1; it is "
                f"{prevalence:g}"
            )
        if isnan(self.share_of_cases):
            raise DataError(
                "the scale of liability is for cases and controls, and the response has other values than 0 "
                "and 1: code controls as 0 and cases as 1, or leave the prevalence out"
            )
        k, p = prevalence, self.share_of_cases
        z = exp(-0.5 * float(ndtri(k)) ** 2) / sqrt(2.0 * pi)
        scale = (k * (1 - k) / z) ** 2 / (p * (1 - p))
        return LiabilityScale(h2=scale * self.h2, h2_se=scale * self.h2_se, prevalence=k, share_of_cases=p)

    @property
    def neg_log10_p_value(self) -> float:
        """-log10 of `p_value`, also where that is too small for a number."""
        from scipy.special import log_ndtr

        return float(-log_ndtr(-sqrt(self.lrt)) / log(10.0))

    def __str__(self) -> str:
        kind = "REML" if self.reml else "maximum likelihood"
        rows = [
            ("genetic variance", self.genetic_variance, self.genetic_variance_se),
            ("residual variance", self.residual_variance, self.residual_variance_se),
            ("h2 = vg / (vg + ve)", self.h2, self.h2_se),
            ("share of sample variance", self.pve, self.pve_se),
        ]
        lines = [f"Heritability by the relationship of '{self.group}': {kind}, {self.n} people", ""]
        lines.append(f"{'':26}{'Estimate':>12}{'Std. Error':>12}")
        for name, value, se in rows:
            lines.append(f"{name:26}{value:>12.6g}{'NA' if isnan(se) else f'{se:.4g}':>12}")
        lines += ["", f"Likelihood-ratio test of vg = 0: {self.lrt:.5g}, p = {self.p_value:.4g}"]
        return "\n".join([*lines, *self.notices])


def heritability(fitted: Fitted) -> Heritability:
    """Heritability at the estimates.

    Parameters
    ----------
    fitted : Fitted
        A model with one random term, with a relationship and one effect for each level.

    Raises
    ------
    DataError
        If there is no relationship matrix, or if there are other random terms.
    """
    engine, theta, reml = fitted.engine, fitted.theta, fitted.reml
    term = _related(engine)
    criterion = fitted.criterion
    ve = criterion.sigma2(reml)
    ratio = float(term.covariance.factor(theta)[0, 0]) ** 2
    vg = ve * ratio
    c = _centred_diagonal(term)
    null = engine.criterion(np.zeros_like(theta)).profiled(reml)
    found = criterion.profiled(reml)
    lrt = max(0.0, null - found)
    notices: tuple[str, ...] = ()
    cov = np.full((2, 2), nan)
    if vg == 0.0 or takes_all(fitted, 0):
        what = "genetic" if vg == 0.0 else "residual"
        notices = (f"the {what} variance is estimated as zero, where standard errors have no meaning",)
    else:
        information = engine.information(theta, reml=reml, kind="observed").linear
        if np.linalg.eigvalsh(information)[0] > 0.0:
            cov = np.linalg.inv(information)
        else:
            notices = ("the likelihood has no peak at the estimates, so that there are no standard errors",)
    return Heritability(
        group=term.label,
        h2=vg / (vg + ve),
        h2_se=_share_se(vg, ve, 1.0, cov),
        pve=vg * c / (vg * c + ve),
        pve_se=_share_se(vg, ve, c, cov),
        centred_diagonal=c,
        genetic_variance=vg,
        genetic_variance_se=sqrt(cov[0, 0]),
        residual_variance=ve,
        residual_variance_se=sqrt(cov[1, 1]),
        covariance=float(cov[0, 1]),
        lrt=lrt,
        p_value=0.5 * erfc(sqrt(0.5 * lrt)),
        loglik=-0.5 * found,
        loglik_null=-0.5 * null,
        reml=reml,
        n=engine.model.n,
        share_of_cases=_share_of_cases(engine.model.y),
        notices=notices,
    )


def _related(engine: Engine) -> RandomTerm:
    terms = engine.model.terms
    related = [term for term in terms if not isinstance(term.relationship, Identity)]
    if not related:
        raise DataError(
            "heritability needs a random term with a relationship matrix, and this model has none: "
            "fit it with lmer(..., relationship={'iid': G}), or see icc for the share of a grouping factor"
        )
    if len(terms) > 1:
        raise ModelNotSupportedError(
            f"heritability of a model with other random terms beside '{related[0].label}' is not "
            "supported yet"
        )
    return related[0]


def _share_of_cases(y: Array) -> float:
    """Share of ones where there are zeros and ones only, NaN elsewhere."""
    ones = y == 1.0
    return float(ones.mean()) if ones.any() and bool((ones | (y == 0.0)).all()) and not ones.all() else nan


def _share_se(vg: float, ve: float, c: float, cov: Array) -> float:
    """Standard error of vg c / (vg c + ve)."""
    slope = np.array([c * ve, -c * vg]) / (vg * c + ve) ** 2
    return sqrt(float(slope @ cov @ slope))


def _centred_diagonal(term: RandomTerm) -> float:
    """Mean diagonal of K = Z G Z', doubly centred."""
    z, n = term.z[:, 0], term.codes.size
    mean = float(term.relationship.diagonal(term.n_levels)[term.codes] @ z**2) / n
    w = np.bincount(term.codes, z, minlength=term.n_levels).astype(np.float64)
    total = float(w @ term.relationship.times(w[:, None])[:, 0])
    return mean - total / n**2
