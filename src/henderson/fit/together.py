"""One model fitted to many responses at once, where the engine can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.engine import Engine
from henderson.engine.blocked import BlockedEngine
from henderson.engine.blocked.replicates import Replicates
from henderson.fit.optimize import NOISE, Control
from henderson.fit.optimize_each import minimise_each
from henderson.fit.solve import NEAR_ZERO, canonical, solve

Array = NDArray[np.float64]
Index = NDArray[np.intp]
#: Levels, or pairs of fixed effects, of all responses of a batch together: few enough for arrays of them to
#: stay in a processor's cache.
TOGETHER = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Estimates for some of the responses, one row for each.

    Attributes
    ----------
    columns : ndarray of int, (k,)
        Which responses these are.
    beta, se : ndarray, (k, p)
    theta : ndarray, (k, n_theta)
    sigma2, criterion : ndarray, (k,)
    status : str
        How the searches ended.
    """

    columns: Index
    beta: Array
    se: Array
    theta: Array
    sigma2: Array
    criterion: Array
    status: str


def fit_each(engine: Engine, Y: Array, columns: Index, *, reml: bool, control: Control) -> Iterator[Found]:
    """Fit the model of an engine to these columns of Y (n, k).

    Models with one grouping factor are fitted many at a time. A search that meets with any trouble there is
    done again alone, with the care that `solve` takes.
    """
    if isinstance(engine, BlockedEngine) and engine.takes_replicates:
        step = max(1, TOGETHER // max(engine.model.terms[0].n_levels, engine.model.p**2))
        left = []
        for part in np.split(columns, range(step, columns.size, step)):
            found = _together(engine, Y, part, reml, control)
            left.append(np.setdiff1d(part, found.columns, assume_unique=True))
            yield found
        columns = np.concatenate(left)
    for j in columns:
        yield _alone(engine, Y, int(j), reml, control)


def _together(engine: BlockedEngine, Y: Array, columns: Index, reml: bool, control: Control) -> Found:
    objectives = _Profiled(engine.replicates(Y[:, columns]), reml)
    minima = minimise_each(objectives, objectives.replicates.start(), control)
    which = np.flatnonzero(minima.clean)
    x = _snapped(objectives, minima.x[which], which)
    solution = objectives.replicates.solution(x, which, reml=reml)
    coordinates = engine.coordinates()
    theta = np.array([canonical(engine, coordinates.theta(phi)) for phi in x])
    return Found(
        columns=columns[which],
        beta=solution.beta,
        se=np.sqrt(np.einsum("kpp->kp", solution.cov_beta)),
        theta=theta.reshape(which.size, engine.model.n_theta),
        sigma2=solution.sigma2,
        criterion=solution.criterion,
        status="converged",
    )


def _alone(engine: Engine, Y: Array, j: int, reml: bool, control: Control) -> Found:
    fitted = solve(engine.with_response(np.ascontiguousarray(Y[:, j])), reml=reml, control=control)
    solution = fitted.engine.solution(fitted.theta, reml=reml)
    return Found(
        columns=np.array([j]),
        beta=solution.beta[None],
        se=np.sqrt(np.diag(solution.cov_beta))[None],
        theta=fitted.theta[None],
        sigma2=np.array([solution.sigma2]),
        criterion=np.array([fitted.criterion.profiled(reml)]),
        status=fitted.optimum.status,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Profiled:
    """The profiled criterion of each response in free coordinates."""

    replicates: Replicates
    reml: bool

    def value(self, x: Array, which: Index) -> Array:
        return self.replicates.criterion(x, which, reml=self.reml)

    def derivatives(self, x: Array, which: Index) -> tuple[Array, Array, Array]:
        return self.replicates.derivatives(x, which, reml=self.reml)


def _snapped(objectives: _Profiled, x: Array, which: Index) -> Array:
    """Put standard deviations that a search drove near to zero on it, as `solve` does for one response."""
    x = x.copy()
    found = objectives.value(x, which)
    allowed = found + NOISE * np.maximum(1.0, np.abs(found))
    for i in objectives.replicates.bounded:
        near = np.flatnonzero(np.abs(x[:, i]) < NEAR_ZERO)
        trial = x[near]
        trial[:, i] = 0.0
        fits = objectives.value(trial, which[near]) <= allowed[near]
        x[near[fits]] = trial[fits]
    return x
