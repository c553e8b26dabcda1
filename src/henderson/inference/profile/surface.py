"""The deviance under one constraint: Newton steps along the surface of a function of the parameters.

Coordinates are x = (phi, log sigma), with phi the free coordinates of theta; fixed effects are profiled out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Coordinates
from henderson.engine import Engine
from henderson.inference.profile.jets import Jet

Array = NDArray[np.float64]
#: A point is settled when the deviance can fall by no more than about half of this, which is then taken off.
TOLERANCE = 1e-5
#: Newton steps at most.
PATIENCE = 25
#: Width of the differences that give second derivatives.
WIDTH = 1e-5
#: Second derivatives are worked out anew after a step that leaves a decrement above this,
FAR = 1e-4
#: and above this part of the one before.
SLOW = 0.2
#: How far to look, and to leave, where a coordinate is at an edge at which the deviance is even.
OFF_EDGE = 0.01
#: A step is at most this long, next to 1 + |x|.
RADIUS = 0.5
#: Rises below this are no reason to doubt a step.
NOISE = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """The deviance at one x, and the slopes in phi of the pieces that it is made of.

    Attributes
    ----------
    x : ndarray, (k + 1,)
    value : float
        -2 log-likelihood at (theta, sigma), the fixed effects profiled out.
    gradient : ndarray, (k + 1,)
    pwrss : float
        y'Py.
    d_logdet, d_pwrss : ndarray, (k,)
        Slopes of log|V| and of y'Py in phi.
    """

    x: Array
    value: float
    gradient: Array
    pwrss: float
    d_logdet: Array
    d_pwrss: Array


@dataclass(frozen=True, slots=True, eq=False)
class Deviance:
    """-2 log-likelihood of one engine as a function of x = (phi, log sigma)."""

    engine: Engine
    coordinates: Coordinates

    def at(self, x: Array) -> Spot | None:
        """Evaluate; None where it is out of the range of numbers."""
        phi, sigma2 = x[:-1], float(np.exp(2.0 * x[-1]))
        try:
            with np.errstate(all="ignore"):
                c = self.engine.criterion(self.coordinates.theta(phi))
                J = self.coordinates.jacobian(phi)
                value = c.unprofiled(sigma2, reml=False)
                slope = 2.0 * (c.n - c.pwrss / sigma2)
                d_logdet, d_pwrss = J.T @ c.d_logdet_v, J.T @ c.d_pwrss
        except (FloatingPointError, np.linalg.LinAlgError):
            return None
        if not np.isfinite(value):
            return None
        gradient = np.append(d_logdet + d_pwrss / sigma2, slope)
        return Spot(x, value, gradient, c.pwrss, d_logdet, d_pwrss)

    def hessian(self, at: Spot) -> Hessian:
        """Second derivatives in phi, by differences of the slopes."""
        k = at.x.size - 1
        logdet, pwrss = np.zeros((k, k)), np.zeros((k, k))
        for i in range(k):
            moved = at.x.copy()
            moved[i] += WIDTH
            beside = self.at(moved)
            if beside is not None:
                logdet[i] = (beside.d_logdet - at.d_logdet) / WIDTH
                pwrss[i] = (beside.d_pwrss - at.d_pwrss) / WIDTH
        return Hessian(0.5 * (logdet + logdet.T), 0.5 * (pwrss + pwrss.T))


@dataclass(frozen=True, slots=True, eq=False)
class Hessian:
    """Second derivatives in phi of log|V| and of y'Py; those that involve sigma follow from slopes."""

    logdet: Array
    pwrss: Array

    def learned(self, old: Spot, new: Spot) -> Hessian:
        """Corrected to agree with the change of the slopes between two spots.

        By symmetric rank-one updates: Nocedal & Wright (2006), Numerical Optimization, eq. (6.24).
        """
        step = new.x[:-1] - old.x[:-1]
        return Hessian(
            _secant(self.logdet, step, new.d_logdet - old.d_logdet),
            _secant(self.pwrss, step, new.d_pwrss - old.d_pwrss),
        )

    def at(self, spot: Spot) -> Array:
        """Second derivatives of the deviance in x, (k + 1, k + 1)."""
        k = spot.x.size - 1
        precision = np.exp(-2.0 * spot.x[-1])
        out = np.empty((k + 1, k + 1))
        out[:k, :k] = self.logdet + precision * self.pwrss
        out[:k, k] = out[k, :k] = -2.0 * precision * spot.d_pwrss
        out[k, k] = 4.0 * precision * spot.pwrss
        return out


def _secant(H: Array, step: Array, change: Array) -> Array:
    miss = change - H @ step
    along = float(miss @ step)
    if abs(along) <= 1e-6 * float(np.linalg.norm(miss) * np.linalg.norm(step)) + 1e-14:
        return H
    return np.asarray(H + miss[:, None] * (miss / along))


Constraint = Callable[[Array], Jet]


@dataclass(frozen=True, slots=True, eq=False)
class Local:
    """The quadratic model at a spot, along the surface of the constraint and across it.

    Attributes
    ----------
    spot : Spot
    hessian : Hessian
    level : float
        Value of the constrained function; 0 without a constraint.
    multiplier : float
        Least-squares estimate of d deviance / d level.
    decrement : float
        Twice what the deviance can still fall by along the surface.
    is_minimum : bool
        Whether the deviance rises in all directions along the surface.
    """

    spot: Spot
    hessian: Hessian
    level: float
    multiplier: float
    decrement: float
    is_minimum: bool
    _across: Array
    _along: Array
    _curvature: Array
    _turn: Array
    _lagrangian: Array

    @classmethod
    def of(cls, spot: Spot, hessian: Hessian, constraint: Constraint | None) -> Local | None:
        """The model; None where the constrained function has no slope."""
        K = hessian.at(spot)
        size = spot.x.size
        level, multiplier = 0.0, 0.0
        across, along = np.zeros(size), np.eye(size)
        if constraint is not None:
            psi = constraint(spot.x)
            a = psi.gradient
            square = float(a @ a)
            if not (np.isfinite(square) and square > 0.0):
                return None
            level, multiplier = psi.value, float(a @ spot.gradient) / square
            K = K - multiplier * psi.hessian
            across = a / square
            along = _complement(a / np.sqrt(square))
        w, V = np.linalg.eigh(along.T @ K @ along)
        floor = 1e-9 * max(float(np.abs(w).max(initial=0.0)), 1e-9)
        curvature = np.maximum(np.abs(w), floor)
        slope = V.T @ (along.T @ spot.gradient)
        decrement = float((slope**2 / curvature).sum())
        is_minimum = bool((w > -floor).all())
        return cls(spot, hessian, level, multiplier, decrement, is_minimum, across, along, curvature, V, K)

    def step(self, target: float) -> Array:
        """To the lowest point of the model at another level of the constrained function."""
        return self._lowest(self.spot.gradient, target - self.level)

    @property
    def tangent(self) -> Array:
        """Slope of x in the level along the profile."""
        return self._lowest(np.zeros_like(self.spot.gradient), 1.0)

    @property
    def bend(self) -> float:
        """Second derivative of the profile deviance in the level, where the spot is settled."""
        t = self.tangent
        return float(t @ self._lagrangian @ t)

    @property
    def slope(self) -> float:
        """First derivative of the profile deviance in the level, once the rest of the way is gone."""
        rest = self._lowest(self.spot.gradient, 0.0)
        return float(self._across @ (self.spot.gradient + self._lagrangian @ rest))

    @property
    def downhill(self) -> Array:
        """The direction of lowest curvature along the surface."""
        return np.asarray(self._along @ self._turn[:, 0])

    def surprise(self, new: Spot, level: float) -> float:
        """By how much the Lagrangian is higher at a new spot, with this level, than the model has it."""
        step = new.x - self.spot.x
        expected = float(step @ (self.spot.gradient + 0.5 * self._lagrangian @ step))
        if self.multiplier:
            # both sides less the multiplier times the change of the constrained function to first order
            expected -= self.multiplier * float(self._across @ step) / float(self._across @ self._across)
        return new.value - self.spot.value - self.multiplier * (level - self.level) - expected

    def _lowest(self, gradient: Array, rise: float) -> Array:
        across = self._across * rise
        slope = self._turn.T @ (self._along.T @ (gradient + self._lagrangian @ across))
        return np.asarray(across - self._along @ (self._turn @ (slope / self._curvature)))


def _complement(unit: Array) -> Array:
    """Orthonormal basis (k, k - 1) of what is orthogonal to a unit vector, by a Householder reflection."""
    v = unit.copy()
    v[0] += np.copysign(1.0, v[0])
    return np.asarray(np.eye(v.size)[:, 1:] - v[:, None] * (v[1:] / abs(v[0])))


def settle(
    deviance: Deviance, hessian: Hessian, start: Spot, constraint: Constraint | None, target: float = 0.0
) -> Local | None:
    """The lowest point of the deviance near a level of the constrained function.

    Newton's method on the Lagrangian. Where it ends the constrained function is at its target up to the
    square of the last step, and no effort is made to bring it nearer: the point is one of the profile at its
    own level.

    Returns
    -------
    Local or None
        None where the search fails.
    """
    at = Local.of(start, hessian, constraint)
    radius = RADIUS * (1.0 + float(np.linalg.norm(start.x)))
    fresh = looked = False
    for _ in range(PATIENCE):
        if at is None:
            return None
        step = at.step(target)
        if at.decrement < TOLERANCE and np.linalg.norm(step) < 0.1 * radius:
            if not looked:
                looked, beside = True, _look_beside(deviance, at)
                if beside is not at.hessian:
                    at = Local.of(at.spot, beside, constraint)
                    continue
            if at.is_minimum:
                return at
            step = 10.0 * OFF_EDGE * at.downhill
        length = float(np.linalg.norm(step))
        if length > radius:
            step, length = step * (radius / length), radius
        spot = deviance.at(at.spot.x + step)
        if spot is None:
            radius = 0.25 * length
            continue
        new = Local.of(spot, at.hessian.learned(at.spot, spot), constraint)
        if new is None or at.surprise(spot, new.level) > NOISE + at.decrement:
            radius = 0.25 * length
            if not fresh:
                at, fresh = Local.of(at.spot, deviance.hessian(at.spot), constraint), True
            continue
        radius = max(radius, 2.0 * length)
        fresh = new.decrement > max(SLOW * at.decrement, FAR)
        at = Local.of(spot, deviance.hessian(spot), constraint) if fresh else new
    return None


def _look_beside(deviance: Deviance, at: Local) -> Hessian:
    """Learn the curvature across edges at which a coordinate stands.

    The slope there is zero by symmetry, also where the deviance falls to either side.
    """
    coordinates, hessian = deviance.coordinates, at.hessian
    inside = coordinates.M @ at.spot.x[:-1]
    for i, link in enumerate(coordinates.links):
        if any(abs(inside[i] - edge) < OFF_EDGE for edge in link.edges):
            moved = inside.copy()
            moved[i] += OFF_EDGE
            beside = deviance.at(np.append(np.linalg.solve(coordinates.M, moved), at.spot.x[-1]))
            if beside is not None:
                hessian = hessian.learned(at.spot, beside)
    return hessian
