"""A model without some of its rows, and its fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit, Homogeneous, Identity, Residual
from henderson.engine import Engine
from henderson.errors import DataError
from henderson.fit.engines import choose_engine
from henderson.fit.optimize import Control
from henderson.fit.rank import LOST
from henderson.fit.relationships import check_told_apart
from henderson.fit.solve import Fitted, solve
from henderson.linalg.pivoting import independent_columns, triangular_factor
from henderson.model import MixedModel, RandomTerm

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Left:
    """Estimates from the rows that are left.

    Attributes
    ----------
    beta, cov_beta : ndarray, (p,) and (p, p)
    theta : ndarray, (n_theta,)
    sigma2 : float
    status : str
        How the search for theta ended; "held" where there was none.
    """

    beta: Array
    cov_beta: Array
    theta: Array
    sigma2: float
    status: str


def refit_without(fitted: Fitted, rows: Rows, *, control: Control | None = None) -> Left | None:
    """Fit a model again without some rows; None where the rows that are left do not suffice.

    The search starts at the optimum of all rows, unless a variance is zero there or residuals determine each
    other: the criterion is flat along a standard deviation at zero, so that a search that starts there never
    leaves it.

    Parameters
    ----------
    fitted : Fitted
        The optimum from all rows.
    rows : ndarray of int
        Rows to leave out.
    control : Control, optional
        Tolerance and limits of the search.
    """
    model = fitted.engine.model
    left = model_without(model, rows)
    if left is None or not _told_apart(model, left, fitted.theta):
        return None
    engine = choose_engine(left)
    related = any(not isinstance(term.relationship, Identity) for term in model.terms)
    try:
        check_told_apart(engine, reml=fitted.reml)
    except DataError:
        return None
    again = solve(engine, reml=fitted.reml, start=_start(fitted), control=control)
    if not np.isfinite(again.optimum.objective):
        return None
    if not related and again.criterion.pwrss <= LOST * float(((left.y - left.y.mean()) ** 2).sum()):
        return None
    return left_at(engine, again.theta, reml=fitted.reml, status=again.optimum.status)


def _start(fitted: Fitted) -> Array | None:
    lost = any((np.abs(np.diag(T)) < 1e-3).any() for T in fitted.factors)
    return None if lost or has_singular_residual(fitted) else fitted.theta


def has_singular_residual(fitted: Fitted) -> bool:
    """Whether R_0 has no inverse, or nearly none; V may have one all the same."""
    shape = fitted.engine.shape
    residual, theta = shape.residual, fitted.theta[shape.residual_slice]
    if not isinstance(residual, ByUnit):
        return False
    return residual.is_dependent(theta) or bool(np.linalg.eigvalsh(residual.matrix(theta))[0] <= 0.0)


def left_at(engine: Engine, theta: Array, *, reml: bool, status: str) -> Left:
    """Estimates of a model of the rows that are left."""
    solution = engine.solution(theta, reml=reml)
    return Left(solution.beta, solution.cov_beta, theta, solution.sigma2, status)


def model_without(model: MixedModel, rows: Rows) -> MixedModel | None:
    """The model of the other rows; None where its fixed effects cannot all be estimated."""
    left = np.delete(np.arange(model.n), rows)
    X = np.ascontiguousarray(model.X[left])
    if left.size <= model.p or independent_columns(triangular_factor(X)).size < model.p:
        return None
    return MixedModel(
        y=model.y[left],
        X=X,
        terms=tuple(_term_at(term, left) for term in model.terms),
        weights=None if model.weights is None else model.weights[left],
        residual=residual_at(model.residual, left),
    )


def _term_at(term: RandomTerm, rows: Rows) -> RandomTerm:
    codes, z = term.codes[rows], np.ascontiguousarray(term.z[rows])
    if not isinstance(term.relationship, Identity):
        return replace(term, codes=codes, z=z)
    found, places = np.unique(codes, return_inverse=True)
    return replace(term, codes=places.astype(np.int64).reshape(codes.shape), n_levels=found.size, z=z)


def residual_at(residual: Residual, rows: Rows) -> Residual:
    """The residual structure of some rows; what has no parameters is R = I."""
    if not isinstance(residual, ByUnit) or residual.n_theta == 0:
        return Homogeneous()
    units, unit = np.unique(residual.unit[rows], return_inverse=True)
    return replace(
        residual,
        unit=unit.astype(np.int64).ravel(),
        position=residual.position[rows],
        n_units=int(units.size),
    )


def _told_apart(model: MixedModel, left: MixedModel, theta: Array) -> bool:
    """Whether the rows that are left tell the covariances from the residual, as all rows do."""
    for before, after in zip(model.terms, left.terms, strict=True):
        if not isinstance(after.relationship, Identity):
            continue
        if _is_confounded(after, left.n) and not _is_confounded(before, model.n):
            return False
    return not isinstance(left.residual, ByUnit) or _is_identified(left.residual, theta[left.residual_slice])


def _is_identified(residual: ByUnit, theta: Array) -> bool:
    """Whether sigma and every parameter of R_0 have slopes of their own where there are records."""
    present = np.zeros((residual.n_units, residual.covariance.q))
    present[residual.unit, residual.position] = 1.0
    together = present.T @ present > 0.0
    slopes = np.array([residual.matrix(theta), *residual.derivatives(theta)[0]])[:, together]
    size = np.linalg.norm(slopes, axis=1, keepdims=True)
    return bool((size > 0.0).all()) and np.linalg.matrix_rank(slopes / size, tol=1e-8) == len(slopes)


def _is_confounded(term: RandomTerm, n: int) -> bool:
    return term.n_levels < 2 or term.n_levels * term.q >= n
