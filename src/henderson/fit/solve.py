"""A `MixedModel` to its optimum: the one place where engine and optimiser meet."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit, Coordinates
from henderson.engine import Criterion, Engine, InformationKind
from henderson.errors import DataError
from henderson.fit.optimize import NOISE, Control, Optimum, minimise

Array = NDArray[np.float64]
#: A search that ends this near to a bound, in its own coordinates, may have meant the bound itself.
NEAR_ZERO = 1e-3
#: and one that rounding stopped this near may have been on the way to it.
NEARBY = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The optimum of a model.

    Attributes
    ----------
    engine : Engine
        The engine, which answers further questions.
    theta : ndarray
        Relative covariance parameters, as lme4 reports them.
    factors : tuple of ndarray, (q, q) per term
        T of random-effect designs that are orthonormal: free of units.
    criterion : Criterion
        Pieces of the criterion there.
    optimum : Optimum
        How it was found, in the scale-free coordinates of the search.
    reml : bool
        Which criterion was minimised.
    """

    engine: Engine
    theta: Array
    factors: tuple[Array, ...]
    criterion: Criterion
    optimum: Optimum
    reml: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Profiled:
    """The profiled criterion in free coordinates."""

    engine: Engine
    coordinates: Coordinates
    reml: bool

    @property
    def exact_is_cheap(self) -> bool:
        return self.engine.curvature_is_cheap

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        try:
            # Far steps may leave the numbers: they are rejected, and no reason to warn
            with np.errstate(all="ignore"):
                criterion = self.engine.criterion(self.coordinates.theta(x))
                value = criterion.profiled(self.reml)
                return value, self.coordinates.jacobian(x).T @ criterion.profiled_gradient(self.reml)
        except FloatingPointError:
            return np.inf, np.zeros_like(x)

    def average_hessian(self, x: Array) -> Array:
        return self._hessian(x, "average")

    def exact_hessian(self, x: Array) -> Array:
        return self._hessian(x, "observed")

    def _hessian(self, x: Array, kind: InformationKind) -> Array:
        theta = self.coordinates.theta(x)
        gradient = self.engine.criterion(theta).profiled_gradient(self.reml)
        H = self.engine.profiled_hessian(theta, reml=self.reml, kind=kind)
        return self.coordinates.hessian(x, gradient, H)


def solve(
    engine: Engine, *, reml: bool, start: Array | None = None, control: Control | None = None
) -> Fitted:
    """Minimise the profiled criterion.

    Parameters
    ----------
    engine : Engine
        The model.
    reml : bool
        REML or maximum likelihood.
    start : ndarray, shape (n_theta,), optional
        Where to start; by default the engine's own estimate by the method of moments.
    control : Control, optional
        Tolerance and limits.

    Raises
    ------
    DataError
        If `start` has the wrong length or is not finite.
    """
    theta = engine.start(reml=reml) if start is None else _checked_start(engine, start)
    coordinates = engine.coordinates()
    objective = _Profiled(engine, coordinates, reml)
    phi = coordinates.phi(theta)
    # Residuals without variance at a position are a minimum too, and no one's answer: terms alone are moved
    starts = coordinates.starts(phi, engine.shape.residual_slice.start)
    starts = starts if start is None else starts[:1]
    optimum = min((_search(objective, at, control or Control()) for at in starts), key=_objective)
    theta = canonical(engine, coordinates.theta(_snap(objective, optimum, NEAR_ZERO)))
    return Fitted(engine, theta, engine.scaled_factors(theta), engine.criterion(theta), optimum, reml)


def _checked_start(engine: Engine, start: Array) -> Array:
    n_theta = engine.shape.n_theta
    if start.shape != (n_theta,):
        s = "" if n_theta == 1 else "s"
        raise DataError(f"start must hold {n_theta} number{s}, one per theta; it has shape {start.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        usable = np.isfinite((start**4).sum())
    if not usable:
        raise DataError(f"start must hold finite numbers of a usable size; it is {start.tolist()}")
    residual = engine.shape.residual
    if isinstance(residual, ByUnit):
        R0 = residual.matrix(start[engine.shape.residual_slice])
        if np.linalg.eigvalsh(R0)[0] <= 0.0:
            raise DataError(
                f"start gives residual='{residual.label}' a singular covariance: no standard deviation may "
                "be zero, and no correlation at its bound"
            )
    return start


def canonical(engine: Engine, theta: Array) -> Array:
    """The theta with the same covariances that is reported: no negative standard deviations."""
    shape = engine.shape
    parts = [
        term.covariance.canonical(theta[part])
        for term, part in zip(shape.terms, shape.theta_slices(), strict=True)
    ]
    if isinstance(shape.residual, ByUnit):
        parts.append(shape.residual.canonical(theta[shape.residual_slice]))
    return np.concatenate(parts)


def _search(objective: _Profiled, start: Array, control: Control) -> Optimum:
    optimum = minimise(objective, start, control)
    if optimum.status == "at rounding level":
        optimum = _from_the_bound(objective, optimum, control)
    return optimum


def _objective(optimum: Optimum) -> float:
    return optimum.objective if np.isfinite(optimum.objective) else np.inf


def _from_the_bound(objective: _Profiled, optimum: Optimum, control: Control) -> Optimum:
    """Search again from a bound nearby: the valley towards it may be too curved to be followed to its end."""
    x = _snap(objective, optimum, NEARBY)
    if np.array_equal(x, objective.coordinates.folded(optimum.x)):
        return optimum
    again = minimise(objective, x, control)
    if again.objective > optimum.objective:
        return optimum
    evaluations = optimum.evaluations + again.evaluations
    return replace(again, evaluations=evaluations, curvatures=optimum.curvatures + again.curvatures)


def _snap(objective: _Profiled, optimum: Optimum, near: float) -> Array:
    """Put parameters that the search drove near to a bound on it, where the criterion allows it.

    A variance at its bound is then exactly 0, and a correlation at its bound exactly 1 or -1. A residual
    covariance is never singular.
    """
    engine, coordinates, reml = objective.engine, objective.coordinates, objective.reml
    x = coordinates.folded(optimum.x)
    for i, link in enumerate(coordinates.links[: engine.shape.residual_slice.start]):
        for edge in link.edges:
            if abs(x[i] - edge) >= near:
                continue
            trial = x.copy()
            trial[i] = edge
            value = engine.criterion(coordinates.theta(trial)).profiled(reml)
            if value <= optimum.objective + NOISE * max(1.0, abs(optimum.objective)):
                x = trial
    return x
