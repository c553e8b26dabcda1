"""The numbers of a fit, gathered once at the optimum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit, Residual
from henderson.engine import Solution
from henderson.errors import HendersonError
from henderson.fit.mean_squares import mean_squares
from henderson.fit.notices import dimensions_lost, scales, singular_notices
from henderson.fit.optimize import Optimum
from henderson.fit.solve import Fitted
from henderson.fit.structures import heywood_notices
from henderson.formula import Design, ModelSpec, RandomDesign, ResidualDesign, Structure

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
    structure : Structure
        The covariance tag.
    """

    group: str
    names: tuple[str, ...]
    levels: Sequence[str]
    theta: Array
    theta_names: tuple[str, ...]
    T: Array
    b: Array
    cond_var: Array
    structure: Structure


@dataclass(frozen=True, slots=True, eq=False)
class ResidualEstimate:
    """A residual covariance with structure.

    Attributes
    ----------
    text : str
        As a user would write it: ``"us(trait | iid)"``.
    names : tuple of str, length t
        Positions within a unit, or strata.
    theta, theta_names : ndarray and tuple of str
        Its parameters.
    R0 : ndarray, (t, t)
        Covariance within a unit relative to sigma^2, the variance at the first position.
    structure : Structure
        The covariance tag.
    """

    text: str
    names: tuple[str, ...]
    theta: Array
    theta_names: tuple[str, ...]
    R0: Array
    structure: Structure


@dataclass(frozen=True, slots=True, eq=False)
class RowValues:
    """What a fit knows about each row that it used.

    Attributes
    ----------
    y, fitted : ndarray, (n,)
        Response and fitted values.
    mean : ndarray, (n,)
        Fitted values without the random effects.
    weights, offset : ndarray, (n,), or None
        Prior weights, and the known part of the mean.
    relative_sd : ndarray, (n,), or None
        Residual standard deviations over sigma, before the weights; None where all are 1.
    position : ndarray, (n,)
        Where these rows stand in the table.
    padded : ndarray or None
        With ``na_action="exclude"``, positions of the rows used among those that fitted values and
        residuals have places for.
    n_padded : int
        Number of those places.
    """

    y: Array
    fitted: Array
    mean: Array
    weights: Array | None
    offset: Array | None
    relative_sd: Array | None
    position: NDArray[np.int64]
    padded: NDArray[np.int64] | None
    n_padded: int

    @property
    def scaled_residuals(self) -> Array:
        """Residuals times root weights over their relative standard deviations, in units of the response."""
        root = 1.0 if self.weights is None else np.sqrt(self.weights)
        sd = 1.0 if self.relative_sd is None else self.relative_sd
        return np.asarray((self.y - self.fitted) * root / sd)

    def pad(self, values: Array) -> Array:
        """Values of the rows, with NaN in the places of excluded ones (``na_action="exclude"``)."""
        if self.padded is None:
            return values
        out = np.full(self.n_padded, np.nan)
        out[self.padded] = values
        return out


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
    kept : ndarray, (p,)
        Columns of the recipe's design that were estimated.
    beta, cov_beta : ndarray, (p,) and (p, p)
        Fixed effects and their covariance.
    sigma2 : float
        Residual variance.
    terms : tuple of TermModes
        Random terms in lme4's order.
    nobs : int
        Number of rows used.
    scaled_residual_quantiles : tuple of float, or None
        Minimum, quartiles and maximum of the residuals times root weights over sigma.
    rows : RowValues or None
        None where the data were streamed.
    pieces : dict of float
        lme4's `devcomp`: ldL2, ldRX2, wrss, ussq, pwrss.
    deviance, reml_criterion : float
        -2 log-likelihood at these parameters, and -2 log restricted likelihood.
    mean_random_variance : float
        Mean over the rows of z'Sz sigma^2, times the levels' relationship; all terms together.
    mean_residual_variance : float
        Mean over the rows of the residual variance, before the weights; sigma^2 without a structure.
    residual : ResidualEstimate or None
        None for independent residuals of one variance.
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
    kept: NDArray[np.intp]
    beta: Array
    cov_beta: Array
    sigma2: float
    terms: tuple[TermModes, ...]
    nobs: int
    scaled_residual_quantiles: tuple[float, ...] | None
    rows: RowValues | None
    pieces: Mapping[str, float]
    deviance: float
    reml_criterion: float
    mean_random_variance: float
    mean_residual_variance: float
    residual: ResidualEstimate | None
    optimum: Optimum
    notices: tuple[str, ...]

    @property
    def theta(self) -> Array:
        """Relative covariance parameters of all terms, and of the residual."""
        own = () if self.residual is None else (self.residual.theta,)
        return np.concatenate([*(t.theta for t in self.terms), *own])

    @property
    def se(self) -> Array:
        """Standard errors of the fixed effects, (p,)."""
        return np.sqrt(np.diag(self.cov_beta))

    def by_row(self, what: str) -> RowValues:
        """The values by row.

        Raises
        ------
        HendersonError
            If they were not kept; `what` begins the sentence.
        """
        if self.rows is None:
            raise HendersonError(
                f"{what} were not kept because the data were streamed; use fit.predict(chunk) for the rows "
                "of a table that fits in memory"
            )
        return self.rows


class NamedDesign(Protocol):
    """The names of a design, with or without its rows."""

    @property
    def spec(self) -> ModelSpec:
        """Recipe that builds the designs for new data."""
        ...

    @property
    def x_names(self) -> tuple[str, ...]:
        """Fixed effects, whether they are estimated or not."""
        ...

    @property
    def random(self) -> tuple[RandomDesign, ...]:
        """Random terms."""
        ...


def gather(
    design: NamedDesign,
    kept: NDArray[np.intp],
    fitted: Fitted,
    solution: Solution,
    *,
    squares: Sequence[Array],
    notices: tuple[str, ...],
    rows: RowValues | None = None,
    residual: ResidualEstimate | None = None,
) -> Estimates:
    """Gather the estimates at the optimum.

    Parameters
    ----------
    design : Design or StreamedDesign
    kept : ndarray of int
        The columns of the design that were estimated.
    fitted, solution : Fitted, Solution
        The optimum.
    squares : sequence of ndarray, (q, q) per term
        From `mean_squares`: mean over the rows of z z', times the levels' relationship.
    notices : tuple of str
    rows, residual : RowValues and ResidualEstimate, if there are any
    """
    shape, criterion = fitted.engine.shape, fitted.criterion
    terms = []
    for r, term, part, modes in zip(
        design.random, shape.terms, shape.theta_slices(), solution.terms, strict=True
    ):
        theta = fitted.theta[part]
        T = term.covariance.factor(theta)
        names = term.covariance.theta_names(r.names)
        terms.append(
            TermModes(r.group, r.names, r.levels, theta, names, T, modes.b, modes.cond_var, r.structure)
        )
    singular: list[str] = []
    if any(map(dimensions_lost, fitted.factors)):
        for t, scale in zip(terms, scales(fitted.engine), strict=True):
            singular += singular_notices(t.group, t.names, t.T, scale)
    for t, term, spec in zip(terms, shape.terms, design.spec.random, strict=True):
        singular += heywood_notices(spec.text, t.names, term.covariance, t.theta)
    random_variance = sum(float(((t.T @ t.T.T) * zz).sum()) for t, zz in zip(terms, squares, strict=True))
    relative = 1.0
    quantiles = None
    if rows is not None:
        relative = 1.0 if rows.relative_sd is None else float((rows.relative_sd**2).mean())
        scaled = rows.scaled_residuals / np.sqrt(solution.sigma2)
        quantiles = tuple(_quartiles(scaled).tolist())
    kept_set = set(kept.tolist())
    for array in (solution.beta, solution.cov_beta):
        array.setflags(write=False)  # they are handed out as they are
    return Estimates(
        formula=design.spec.formula,
        reml=fitted.reml,
        spec=design.spec,
        x_names=tuple(design.x_names[i] for i in kept),
        dropped=tuple(n for i, n in enumerate(design.x_names) if i not in kept_set),
        kept=kept,
        beta=solution.beta,
        cov_beta=solution.cov_beta,
        sigma2=solution.sigma2,
        terms=tuple(terms),
        nobs=shape.n,
        scaled_residual_quantiles=quantiles,
        rows=rows,
        pieces={
            "ldL2": criterion.logdet_v,
            "ldRX2": criterion.logdet_x,
            "wrss": solution.wrss,
            "ussq": solution.ussq,
            "pwrss": criterion.pwrss,
        },
        deviance=criterion.profiled(reml=False),
        reml_criterion=criterion.profiled(reml=True),
        mean_random_variance=solution.sigma2 * random_variance,
        mean_residual_variance=solution.sigma2 * relative,
        residual=residual,
        optimum=fitted.optimum,
        notices=(*notices, *singular),
    )


def _quartiles(values: Array) -> Array:
    """Minimum, quartiles and maximum, between neighbours by linear interpolation, (5,)."""
    quarters = np.arange(5) * (values.size - 1)
    low, high = quarters // 4, -(-quarters // 4)
    ranked = np.partition(values, np.concatenate([low, high]))
    return np.asarray(ranked[low] + 0.25 * (quarters % 4) * (ranked[high] - ranked[low]))


def gather_rows(
    design: Design, kept: NDArray[np.intp], fitted: Fitted, *, pad: bool, notices: tuple[str, ...]
) -> Estimates:
    """`gather` for a design that has its rows, with what is known about each of them."""
    model = fitted.engine.model
    solution = fitted.engine.solution(fitted.theta, reml=fitted.reml)
    offset = 0.0 if design.offset is None else design.offset
    squares = mean_squares(model)
    residual = _residual(design.residual, model.residual, fitted.theta[model.residual_slice])
    relative_sd = None
    if residual is not None and design.residual is not None:
        relative_sd = np.sqrt(np.diag(residual.R0)[design.residual.position])
    padded = np.setdiff1d(np.arange(design.n_rows), design.excluded) if pad and design.excluded.size else None
    rows = RowValues(
        y=design.y,
        fitted=model.mean(solution.beta, [t.b for t in solution.terms]) + offset,
        mean=model.X @ solution.beta + offset,
        weights=design.weights,
        offset=design.offset,
        relative_sd=relative_sd,
        position=design.rows,
        padded=padded,
        n_padded=design.n_rows,
    )
    for array in (rows.y, rows.fitted, rows.mean):
        array.setflags(write=False)
    return gather(
        design, kept, fitted, solution, squares=squares, notices=notices, rows=rows, residual=residual
    )


def _residual(design: ResidualDesign | None, residual: Residual, theta: Array) -> ResidualEstimate | None:
    if design is None or not isinstance(residual, ByUnit):
        return None
    names = tuple(design.positions)
    return ResidualEstimate(
        text=design.text,
        names=names,
        theta=theta,
        theta_names=residual.covariance.theta_names(names)[1:],
        R0=residual.matrix(theta),
        structure=design.structure,
    )
