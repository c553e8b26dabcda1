"""The numbers of a fit, gathered once at the optimum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.fit.heritability import relationship_diagonal
from henderson.fit.notices import singular_notices
from henderson.fit.optimize import Optimum
from henderson.fit.solve import Fitted
from henderson.formula import Design, ModelSpec

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TermModes:
    """One random term at the estimates.

    Attributes
    ----------
    group : str
        Grouping factor.
    names : tuple of str, length q
        Effects.
    levels : tuple of str, length l
        Levels of the factor.
    theta, theta_names : ndarray and tuple of str
        The term's relative covariance parameters.
    T : ndarray, (q, q)
        Factor of the relative covariance.
    b : ndarray, (l, q)
        Conditional modes.
    cond_var : ndarray, (l, q, q)
        Their conditional covariances.
    """

    group: str
    names: tuple[str, ...]
    levels: Sequence[str]
    theta: Array
    theta_names: tuple[str, ...]
    T: Array
    b: Array
    cond_var: Array


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """The numbers of a fit, without its data: this is what a pickle keeps.

    Attributes
    ----------
    formula : str
        As the user wrote it.
    reml : bool
        REML or maximum likelihood.
    spec : ModelSpec
        Recipe that builds the designs for new data.
    x_names, dropped : tuple of str
        Fixed effects that were estimated, and those that rank deficiency dropped.
    beta, cov_beta : ndarray, (p,) and (p, p)
        Fixed effects and their covariance.
    sigma2 : float
        Residual variance.
    terms : tuple of TermModes
        Random terms in lme4's order.
    y, fitted : ndarray, (n,)
        Response and fitted values of the rows used.
    mean : ndarray, (n,)
        Fitted values without the random effects.
    weights : ndarray, (n,), or None
        Prior weights.
    rows : ndarray, (n,)
        Position of these rows in the table.
    padded : ndarray or None
        With ``na_action="exclude"``, positions of the rows used among those that fitted values and
        residuals have places for.
    n_padded : int
        Number of those places.
    pieces : dict of float
        lme4's `devcomp`: ldL2, ldRX2, wrss, ussq, pwrss.
    deviance, reml_criterion : float
        -2 log-likelihood at these parameters, and -2 log restricted likelihood.
    mean_random_variance : float
        Mean over the rows of z'Sz sigma^2, times the level's relationship to itself; all terms together.
    optimum : Optimum
        How the optimum was found.
    notices : tuple of str
        What the user should know.
    """

    formula: str
    reml: bool
    spec: ModelSpec
    x_names: tuple[str, ...]
    dropped: tuple[str, ...]
    beta: Array
    cov_beta: Array
    sigma2: float
    terms: tuple[TermModes, ...]
    y: Array
    fitted: Array
    mean: Array
    weights: Array | None
    rows: NDArray[np.int64]
    padded: NDArray[np.int64] | None
    n_padded: int
    pieces: Mapping[str, float]
    deviance: float
    reml_criterion: float
    mean_random_variance: float
    optimum: Optimum
    notices: tuple[str, ...]


def gather(
    design: Design, kept: NDArray[np.intp], fitted: Fitted, *, pad: bool, notices: tuple[str, ...]
) -> Estimates:
    """Gather the estimates at the optimum; ``kept`` are the columns of the design that were estimated."""
    model = fitted.engine.model
    solution = fitted.engine.solution(fitted.theta, reml=fitted.reml)
    offset = 0.0 if design.offset is None else design.offset
    terms = []
    random_variance = 0.0
    for r, term, part, modes in zip(
        design.random, model.terms, model.theta_slices(), solution.terms, strict=True
    ):
        theta = fitted.theta[part]
        T = term.covariance.factor(theta)
        names = term.covariance.theta_names(r.names)
        terms.append(TermModes(r.group, r.names, r.levels, theta, names, T, modes.b, modes.cond_var))
        zT = term.z @ T
        own = relationship_diagonal(term.relationship, term.n_levels)[term.codes]
        random_variance += solution.sigma2 * float(np.einsum("nq,nq,n->", zT, zT, own)) / model.n
    criterion = fitted.criterion
    kept_set = set(kept.tolist())
    singular = tuple(
        notice
        for t, term, part in zip(terms, model.terms, model.theta_slices(), strict=True)
        for notice in singular_notices(t.group, t.names, t.T, term.covariance.factor(fitted.scaled[part]))
    )
    padded = np.setdiff1d(np.arange(design.n_rows), design.excluded) if pad and design.excluded.size else None
    found = Estimates(
        formula=design.spec.formula,
        reml=fitted.reml,
        spec=design.spec,
        x_names=tuple(design.x_names[i] for i in kept),
        dropped=tuple(n for i, n in enumerate(design.x_names) if i not in kept_set),
        beta=solution.beta,
        cov_beta=solution.cov_beta,
        sigma2=solution.sigma2,
        terms=tuple(terms),
        y=design.y,
        fitted=solution.fitted + offset,
        mean=model.X @ solution.beta + offset,
        weights=design.weights,
        rows=design.rows,
        padded=padded,
        n_padded=design.n_rows,
        pieces={
            "ldL2": criterion.logdet_v,
            "ldRX2": criterion.logdet_x,
            "wrss": solution.wrss,
            "ussq": solution.ussq,
            "pwrss": criterion.pwrss,
        },
        deviance=criterion.profiled(reml=False),
        reml_criterion=criterion.profiled(reml=True),
        mean_random_variance=random_variance,
        optimum=fitted.optimum,
        notices=(*notices, *singular),
    )
    for array in (found.beta, found.cov_beta, found.y, found.fitted, found.mean):
        array.setflags(write=False)  # they are handed out as they are
    return found
