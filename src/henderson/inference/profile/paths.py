"""Points of a profile: the optimum with one covariance parameter or fixed effect held."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.engine import Engine
from henderson.fit.solve import Fitted
from henderson.inference.profile.parameters import Layout, Parameter
from henderson.inference.profile.surface import Deviance, Hessian, Local, Spot, settle

Array = NDArray[np.float64]
#: A parameter this near to its bound counts as at it, and a path towards it ends there.
AT_BOUND = 1e-5
#: The first point off a bound costs about this much.
FIRST_RISE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Knot:
    """A point of a profile.

    Attributes
    ----------
    u : float
        The parameter, in the coordinate of its path.
    deviance, slope : float
        Least -2 log-likelihood with the parameter held there, and its derivative in u.
    spot : Spot
        The covariance parameters there.
    beta : ndarray, (p,)
        The fixed effects there.
    hessian : Hessian
        Second derivatives there.
    tangent : ndarray, (k + 1,)
        d x / d u along the profile.
    """

    u: float
    deviance: float
    slope: float
    spot: Spot
    beta: Array
    hessian: Hessian
    tangent: Array

    def ahead(self, u: float, before: Knot | None) -> Array:
        """Where x will be at another u: the parabola with this tangent that runs through the knot before."""
        d = u - self.u
        x = self.spot.x + d * self.tangent
        if before is not None:
            e = before.u - self.u
            x = x + (before.spot.x - self.spot.x - e * self.tangent) * (d / e) ** 2
        return x


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """The estimates as a point of a profile.

    Attributes
    ----------
    knot : Knot
    root_bend : float
        d zeta / d u there: the root of half the second derivative of the profile deviance. NaN at a bound.
    bounds : (float, float)
        Of u.
    """

    knot: Knot
    root_bend: float
    bounds: tuple[float, float]


class Path(Protocol):
    """The profile of one parameter."""

    def start(self) -> Start:
        """The estimates."""
        ...

    def off_bound(self, start: Knot) -> Knot | None:
        """A first point beside estimates that are at a bound of the parameter."""
        ...

    def move(self, knot: Knot, u: float, before: Knot | None) -> Knot | None:
        """The point at, or very near, another value, searched from a knot; None if the search fails.

        Another knot, best on the other side, helps to guess where it is.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """The maximum-likelihood estimates, and the second derivatives there."""

    deviance: Deviance
    spot: Spot
    hessian: Hessian
    beta: Array
    cov_beta: Array

    @classmethod
    def of(cls, fitted: Fitted) -> Estimate:
        """Those of a fit by maximum likelihood."""
        engine = fitted.engine
        deviance = Deviance(engine, engine.coordinates())
        sigma = np.sqrt(fitted.criterion.sigma2(reml=False))
        spot = deviance.at(np.append(deviance.coordinates.phi(fitted.theta), np.log(sigma)))
        assert spot is not None
        solution = engine.solution(fitted.theta, reml=False)
        return cls(deviance, spot, deviance.hessian(spot), solution.beta, solution.cov_beta)

    def with_engine(self, engine: Engine) -> Estimate:
        """The same with another engine for the same model."""
        return replace(self, deviance=replace(self.deviance, engine=engine))


class CovariancePath:
    """The profile of a function of the covariance parameters.

    Parameters
    ----------
    estimate : Estimate
    layout : Layout
    parameter : Parameter
    """

    def __init__(self, estimate: Estimate, layout: Layout, parameter: Parameter) -> None:
        self._estimate = estimate
        self._deviance = estimate.deviance
        self._jet = partial(parameter.jet, layout, estimate.deviance.coordinates)
        self._bounds = parameter.bounds

    def start(self) -> Start:
        """The estimates."""
        e = self._estimate
        u = self._jet(e.spot.x).value
        local = None
        if all(abs(u - bound) > AT_BOUND * max(1.0, abs(u)) for bound in self._bounds):
            local = Local.of(e.spot, e.hessian, self._jet)
        tangent = np.zeros_like(e.spot.x) if local is None else local.tangent
        bend = np.nan if local is None else max(local.bend, 0.0)
        knot = Knot(u, e.spot.value, 0.0, e.spot, e.beta, e.hessian, tangent)
        return Start(knot, float(np.sqrt(0.5 * bend)), self._bounds)

    def off_bound(self, start: Knot) -> Knot | None:
        """Along the first coordinate that leads off its edge, so far that the deviance rises a little."""
        coordinates, spot = self._deviance.coordinates, start.spot
        inside = coordinates.M @ spot.x[:-1]
        for i, link in enumerate(coordinates.links):
            if not any(abs(inside[i] - edge) < AT_BOUND for edge in link.edges):
                continue
            for step in 0.01 * 2.0 ** np.arange(12):
                moved = inside.copy()
                moved[i] += step
                x = np.append(np.linalg.solve(coordinates.M, moved), spot.x[-1])
                beside = self._deviance.at(x)
                u = self._jet(x).value
                if beside is None or abs(u - start.u) < AT_BOUND:
                    break
                if beside.value > spot.value + FIRST_RISE:
                    return self._knot(settle(self._deviance, start.hessian, beside, self._jet, u))
        return None

    def move(self, knot: Knot, u: float, before: Knot | None) -> Knot | None:
        """The point near another value."""
        spot = self._deviance.at(knot.ahead(u, before))
        if spot is None:
            return None
        return self._knot(settle(self._deviance, knot.hessian.learned(knot.spot, spot), spot, self._jet, u))

    def _knot(self, local: Local | None) -> Knot | None:
        if local is None:
            return None
        spot = local.spot
        theta = self._deviance.coordinates.theta(spot.x[:-1])
        beta = self._deviance.engine.solution(theta, reml=False).beta
        deviance = spot.value - 0.5 * local.decrement
        return Knot(local.level, deviance, local.slope, spot, beta, local.hessian, local.tangent)


class FixedPath:
    """The profile of one fixed effect: its column is subtracted from the response, times a number.

    Parameters
    ----------
    estimate : Estimate
    j : int
        Which one.
    """

    def __init__(self, estimate: Estimate, j: int) -> None:
        engine = estimate.deviance.engine
        model = engine.model
        self._estimate = estimate
        self._engine = engine
        self._j = j
        self._x = np.ascontiguousarray(model.X[:, j])
        self._without = engine.with_fixed(np.delete(model.X, j, axis=1))

    def start(self) -> Start:
        """The estimates, and how theta moves with the fixed effect."""
        e, k = self._estimate, self._estimate.spot.x.size - 1
        u, variance = float(e.beta[self._j]), float(e.cov_beta[self._j, self._j])
        # y'Py is quadratic in the fixed effect, so that this difference is exact
        h = np.sqrt(variance)
        up, down = self._held(u + h).at(e.spot.x), self._held(u - h).at(e.spot.x)
        cross = np.zeros(k + 1) if up is None or down is None else (up.gradient - down.gradient) / (2.0 * h)
        turned = 0.5 * variance * np.exp(2.0 * e.spot.x[-1]) * np.outer(cross[:k], cross[:k])
        hessian = replace(e.hessian, pwrss=e.hessian.pwrss + turned)
        tangent = -np.linalg.lstsq(hessian.at(e.spot), cross, rcond=1e-12)[0]
        bend = 2.0 / variance + float(cross @ tangent)
        knot = Knot(u, e.spot.value, 0.0, e.spot, e.beta, hessian, tangent)
        return Start(knot, float(np.sqrt(0.5 * bend)), (-np.inf, np.inf))

    def off_bound(self, start: Knot) -> Knot | None:
        """A fixed effect has no bound."""
        return None

    def move(self, knot: Knot, u: float, before: Knot | None) -> Knot | None:
        """The point at another value."""
        deviance = self._held(u)
        spot = deviance.at(knot.ahead(u, before))
        local = None if spot is None else settle(deviance, knot.hessian, spot, None)
        if local is None:
            return None
        # The model with all fixed effects, at the same theta, has the slope and the other ones
        theta = deviance.coordinates.theta(local.spot.x[:-1])
        free = self._engine.solution(theta, reml=False)
        own = free.cov_beta[:, self._j]
        miss = (u - free.beta[self._j]) / own[self._j]
        sigma2 = float(np.exp(2.0 * local.spot.x[-1]))
        slope = 2.0 * miss * free.sigma2 / sigma2
        beta = free.beta + own * miss
        deviance_here = local.spot.value - 0.5 * local.decrement
        tangent = _tangent(knot, before, u, local.spot.x)
        return Knot(u, deviance_here, slope, local.spot, beta, local.hessian, tangent)

    def _held(self, u: float) -> Deviance:
        engine = self._without.with_response(self._engine.model.y - u * self._x)
        return replace(self._estimate.deviance, engine=engine)


def _tangent(knot: Knot, before: Knot | None, u: float, x: Array) -> Array:
    """Slope, at its end, of the parabola through three knots, or two and the tangent at the first."""
    d = u - knot.u
    chord = (x - knot.spot.x) / d
    if before is None:
        return np.asarray(2.0 * chord - knot.tangent)
    e = u - before.u
    return np.asarray(chord + d / (e - d) * (chord - (x - before.spot.x) / e))


def path_of(estimate: Estimate, layout: Layout, what: Parameter | int) -> Path:
    """The path of a covariance parameter, or of the fixed effect with this number."""
    return FixedPath(estimate, what) if isinstance(what, int) else CovariancePath(estimate, layout, what)
