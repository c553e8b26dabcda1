"""Heritability of a model with one relationship matrix, its standard error and its test."""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, isnan, log, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import DenseRelationship, FactorRelationship, Identity, Relationship
from henderson.engine import Engine
from henderson.errors import DataError, ModelNotSupportedError
from henderson.fit.notices import takes_all
from henderson.fit.solve import Fitted
from henderson.model import RandomTerm

Array = NDArray[np.float64]


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
    notices: tuple[str, ...] = ()

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


def _share_se(vg: float, ve: float, c: float, cov: Array) -> float:
    """Standard error of vg c / (vg c + ve)."""
    slope = np.array([c * ve, -c * vg]) / (vg * c + ve) ** 2
    return sqrt(float(slope @ cov @ slope))


def _centred_diagonal(term: RandomTerm) -> float:
    """Mean diagonal of K = Z G Z', doubly centred."""
    z, n = term.z[:, 0], term.codes.size
    mean = float(relationship_diagonal(term.relationship, term.n_levels)[term.codes] @ z**2) / n
    w = np.bincount(term.codes, z, minlength=term.n_levels).astype(np.float64)
    match term.relationship:
        case DenseRelationship(matrix=G):
            total = float(w @ (G @ w))
        case FactorRelationship(factor=L):
            total = float(((w @ L) ** 2).sum())
        case other:
            raise ModelNotSupportedError(f"heritability with a {type(other).__name__} is not supported yet")
    return mean - total / n**2


def relationship_diagonal(relationship: Relationship, n_levels: int) -> Array:
    """Relationship of each level to itself, shape (l,).

    Examples
    --------
    >>> relationship_diagonal(Identity(), 2)
    array([1., 1.])
    """
    match relationship:
        case Identity():
            return np.ones(n_levels)
        case DenseRelationship(matrix=G):
            return np.array(np.diag(G))
        case FactorRelationship(factor=L):
            return np.asarray(np.einsum("ij,ij->i", L, L))
    raise ModelNotSupportedError(f"the diagonal of a {type(relationship).__name__} is not supported yet")
