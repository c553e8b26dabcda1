"""Heritability by one relationship matrix, its standard error and its test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import erfc, exp, isnan, log, nan, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Homogeneous, Identity
from henderson.engine import InformationKind
from henderson.errors import DataError
from henderson.fit.engines import choose_engine
from henderson.fit.fitted_model import FittedModel
from henderson.fit.record_kinds import record_kinds
from henderson.fit.solve import solve
from henderson.fit.variance_components import variance_components
from henderson.io.frame import closest
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

    Standard errors are from the delta method with the information of the variances: observed (as GEMMA has
    it) for a model of one random term whose second derivatives are cheap, average (as GCTA has it) for any
    other. They, and those of the two shares, are NaN where the genetic or the residual variance is estimated
    as zero; a notice says so.

    Attributes
    ----------
    group : str
        Grouping factor whose levels are related.
    h2, h2_se : float
        vg / (vg + ve), as GCTA has it: of a person whose relationship to itself is one. Variances of other
        random terms are in the sum too.
    pve, pve_se : float
        vg c / (vg c + ve), as GEMMA has it: the expected share in the sample variance of the people analysed.
        Each other random term counts by its variance times a c of its own.
    centred_diagonal : float
        c: mean diagonal of their relationship matrix Z G Z', centred by rows and by columns.
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
        Log (restricted) likelihood at the estimates and at vg = 0, the other variances estimated again.
    reml : bool
        REML or maximum likelihood.
    n : int
        Number of records analysed.
    share_of_cases : float
        Share of ones in a response of zeros and ones; NaN for any other.
    notices : tuple of str
        What the user should know.
    others : tuple of (str, float, float)
        Grouping factor, variance and standard error of each other random term.
    information : {"observed", "average"}
        What the standard errors are from.

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
    others: tuple[tuple[str, float, float], ...] = ()
    information: InformationKind = "observed"

    @property
    def phenotypic_variance(self) -> float:
        """The sum of all variances."""
        of_others = sum(variance for _, variance, _ in self.others)
        return self.genetic_variance + self.residual_variance + of_others

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
            *((f"variance of '{group}'", variance, se) for group, variance, se in self.others),
            ("residual variance", self.residual_variance, self.residual_variance_se),
            (f"h2 = vg / {'(sum of all)' if self.others else '(vg + ve)'}", self.h2, self.h2_se),
            ("share of sample variance", self.pve, self.pve_se),
        ]
        lines = [f"Heritability by the relationship of '{self.group}': {kind}, {self.n} records", ""]
        wide = max(26, *(len(name) + 2 for name, _, _ in rows))
        lines.append(f"{'':{wide}}{'Estimate':>12}{'Std. Error':>12}")
        for name, value, se in rows:
            lines.append(f"{name:{wide}}{value:>12.6g}{'NA' if isnan(se) else f'{se:.4g}':>12}")
        lines += ["", f"Likelihood-ratio test of vg = 0: {self.lrt:.5g}, p = {self.p_value:.4g}"]
        return "\n".join([*lines, *self.notices])


def heritability(fit: FittedModel, group: str | None = None) -> Heritability:
    """Heritability at the estimates.

    Parameters
    ----------
    fit : FittedModel
        A model with a relationship for one of its random terms, each of which has one effect.
    group : str, optional
        Grouping factor whose relationship is meant; needed where several have one.

    Raises
    ------
    DataError
        If there is no relationship, if several are there and none is named, or if a record's variance is not
        a plain sum of variances: with several effects in a term, or random slopes beside the relationship.
    """
    fit.source.with_rows()
    fitted = fit.source.fitted
    engine, reml = fitted.engine, fitted.reml
    terms = engine.model.terms
    k = simple_term(fit, group)
    kind: InformationKind = "observed" if engine.curvature_is_cheap and len(terms) == 1 else "average"
    found = variance_components(fitted, kind=kind)
    ve, vg = float(found.values[-1]), float(found.values[k])
    notices = found.notices
    if not (found.free[k] and found.free[-1]):
        what = "residual" if found.free[k] else "genetic"
        notices = (f"the {what} variance is estimated as zero, where standard errors have no meaning",)
        found = replace(found, cov=np.full_like(found.cov, nan))
    own, one = found.unit(k, 0), np.ones(len(terms) + 1)
    centred = np.array([*(_centred_diagonal(term) for term in terms), 1.0])
    h2, h2_se = found.share(own, one)
    pve, pve_se = found.share(centred * own, centred)
    criterion, null = fitted.criterion.profiled(reml), _without(fit, k)
    lrt = max(0.0, null - criterion)
    errors = found.std_errors
    return Heritability(
        group=terms[k].label,
        h2=h2,
        h2_se=h2_se,
        pve=pve,
        pve_se=pve_se,
        centred_diagonal=float(centred[k]),
        genetic_variance=vg,
        genetic_variance_se=float(errors[k]),
        residual_variance=ve,
        residual_variance_se=float(errors[-1]),
        covariance=float(found.cov[k, -1]),
        lrt=lrt,
        p_value=0.5 * erfc(sqrt(0.5 * lrt)),
        loglik=-0.5 * criterion,
        loglik_null=-0.5 * null,
        reml=reml,
        n=engine.model.n,
        share_of_cases=_share_of_cases(engine.model.y),
        notices=notices,
        others=tuple(
            (term.label, float(found.values[i]), float(errors[i])) for i, term in enumerate(terms) if i != k
        ),
        information=kind,
    )


def related_terms(fit: FittedModel) -> list[int]:
    """Numbers of the terms with a relationship.

    Raises
    ------
    DataError
        If there are none.
    """
    terms = fit.engine.shape.terms
    found = [k for k, term in enumerate(terms) if not isinstance(term.relationship, Identity)]
    if not found:
        raise DataError(
            "heritability needs a random term with a relationship matrix, and this model has none: "
            "fit it with lmer(..., relationship={'iid': G}), or see icc for the share of a grouping factor"
        )
    return found


def related_term(fit: FittedModel, group: str | None) -> int:
    """Number of the term with the relationship that is meant.

    Raises
    ------
    DataError
        If there is none, or several.
    """
    labels = {k: fit.engine.shape.terms[k].label for k in related_terms(fit)}
    if group is not None and group not in labels.values():
        raise DataError(f"no random term on {group!r} has a relationship{closest(group, labels.values())}")
    chosen = [k for k, label in labels.items() if group in (None, label)]
    if len(chosen) > 1:
        if group is None and len(set(labels.values())) > 1:
            known = ", ".join(map(repr, dict.fromkeys(labels.values())))
            raise DataError(
                f"several random terms have a relationship: say group=, which can be {known}, or see "
                "heritabilities() for all of them"
            )
        raise DataError(
            f"several random terms on {labels[chosen[0]]!r} have a relationship: see heritabilities()"
        )
    return chosen[0]


def simple_term(fit: FittedModel, group: str | None = None) -> int:
    """The same, if the variance of every record is the sum of one variance for each term.

    Raises
    ------
    DataError
        If it is not, so that a heritability is not one number.
    """
    k = related_term(fit, group)
    shape = fit.engine.shape
    plain = all(term.q == 1 for term in shape.terms) and isinstance(shape.residual, Homogeneous)
    elements = tuple((i, 0, 0) for i in range(len(shape.terms) + 1))
    if not plain or len(record_kinds(fit, elements)) != 1:
        raise DataError(
            f"the share of {shape.terms[k].label!r} is not one number in this model, because not every "
            "random term is one variance of all records: see heritabilities() for the shares that there are, "
            "and variances() for all variances"
        )
    return k


def _without(fit: FittedModel, k: int) -> float:
    """-2 log (restricted) likelihood of the model without term k, all that is left estimated again."""
    fitted = fit.source.fitted
    model = fitted.engine.model
    left = model.terms[:k] + model.terms[k + 1 :]
    if not left:
        return fitted.engine.criterion(np.zeros_like(fitted.theta)).profiled(fitted.reml)
    smaller = choose_engine(replace(model, terms=left))
    return solve(smaller, reml=fitted.reml, control=fit.control).criterion.profiled(fitted.reml)


def _share_of_cases(y: Array) -> float:
    """Share of ones where there are zeros and ones only, NaN elsewhere."""
    ones = y == 1.0
    return float(ones.mean()) if ones.any() and bool((ones | (y == 0.0)).all()) and not ones.all() else nan


def _centred_diagonal(term: RandomTerm) -> float:
    """Mean diagonal of K = Z G Z', doubly centred."""
    z, n = term.z[:, 0], term.codes.size
    mean = float(term.relationship.diagonal(term.n_levels)[term.codes] @ z**2) / n
    w = np.bincount(term.codes, z, minlength=term.n_levels).astype(np.float64)
    total = float(w @ term.relationship.times(w[:, None])[:, 0])
    return mean - total / n**2
