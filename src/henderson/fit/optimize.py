"""Minimisation of the profiled criterion: a trust-region Newton method that ends in full Newton steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError

Array = NDArray[np.float64]
#: Relative size of rounding in the criterion.
NOISE = 1e-12
#: Below this decrement one more Newton step would change nothing.
POLISHED = 1e-16
#: A step is taken if the criterion falls by at least this part of what was predicted.
MINIMUM_RATIO = 1e-4
#: After this many evaluations the exact Hessian is used even where it is dear.
PATIENCE = 30
Status = Literal["converged", "at rounding level", "iteration limit"]


@dataclass(frozen=True, slots=True)
class Control:
    """How to optimise.

    Attributes
    ----------
    tolerance : float
        Stop when g'H^-1 g, the square of the distance to the optimum in units of the criterion, is below
        this. 1e-12 fixes theta to about 1e-6 of its standard error.
    max_iterations : int
        Accepted or rejected steps at most.

    Examples
    --------
    >>> Control(max_iterations=50)
    Control(tolerance=1e-12, max_iterations=50)
    """

    tolerance: float = 1e-12
    max_iterations: int = 200

    def __post_init__(self) -> None:
        if not self.tolerance > 0.0:
            raise DataError(f"Control(tolerance=...) must be positive; it is {self.tolerance}")
        if not self.max_iterations >= 0:
            raise DataError(f"Control(max_iterations=...) cannot be negative; it is {self.max_iterations}")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One line of the fit log: evaluations so far, criterion, g'H^-1 g and trust radius."""

    evaluations: int
    objective: float
    decrement: float
    radius: float


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """Where the optimisation ended, and how it got there.

    Attributes
    ----------
    x : ndarray
        The optimum, in the coordinates that were optimised.
    objective : float
        Criterion there.
    gradient, hessian : ndarray
        Derivatives there.
    decrement : float
        g'H^-1 g there.
    status : str
        "converged", "at rounding level" (the criterion cannot be resolved any further) or
        "iteration limit".
    evaluations, curvatures : int
        Evaluations of criterion with gradient, and of the Hessian.
    log : tuple of Step
        Every accepted step.
    average : ndarray, or None
        The average Hessian without the secant corrections that `hessian` has; None where that one is exact.
    """

    x: Array
    objective: float
    gradient: Array
    hessian: Array
    decrement: float
    status: Status
    evaluations: int
    curvatures: int
    log: tuple[Step, ...]
    average: Array | None = None


class Objective(Protocol):
    """A smooth function with derivatives, exact and approximate."""

    @property
    def exact_is_cheap(self) -> bool:
        """Whether `exact_hessian` costs about as much as a few gradients."""
        ...

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        """Criterion and its gradient."""
        ...

    def average_hessian(self, x: Array) -> Array:
        """An approximation to the second derivatives that costs less than a gradient."""
        ...

    def exact_hessian(self, x: Array) -> Array:
        """Second derivatives."""
        ...


def minimise(objective: Objective, start: Array, control: Control) -> Optimum:
    """Trust-region Newton method with the subproblem solved exactly.

    The Hessian is the average information plus a secant correction of rank one (as in Dennis, Gay & Welsch
    1981, ACM TOMS 7:348). Where the search was not smooth and the exact Hessian is cheap, that one takes
    over, and the optimum is confirmed with it. Steps: Nocedal & Wright (2006), Numerical Optimization,
    algorithms 4.1 and 4.3. Negative curvature is followed, so that a saddle is left.
    """
    x = np.asarray(start, dtype=np.float64)
    f, g = objective.value_and_gradient(x)
    average = H = objective.average_hessian(x)
    correction = np.zeros_like(H)
    exact, smooth = False, True
    evaluations = curvatures = 1
    radius = 1.0
    log: list[Step] = []
    status: Status = "iteration limit"
    decrement = np.inf
    for _ in range(control.max_iterations):
        w, V = np.linalg.eigh(H)
        decrement, is_minimum = _decrement(w, V.T @ g)
        log.append(Step(evaluations, f, decrement, radius))
        done = is_minimum and decrement < control.tolerance
        if not done:
            step = _trust_step(w, V, g, radius)
            predicted = -float(g @ step + 0.5 * step @ H @ step)
            f_new, g_new = objective.value_and_gradient(x + step)
            evaluations += 1
            if predicted < NOISE * max(1.0, abs(f)):
                # Differences of the criterion are rounding here, but the gradient is still sharp.
                better = is_minimum and _decrement(w, V.T @ g_new)[0] < 0.5 * decrement
                done = not better
                ratio = 1.0 if better else -1.0
            else:
                ratio = (f - f_new) / predicted if np.isfinite(f_new) else -1.0
        if done:
            if exact or smooth or not objective.exact_is_cheap:
                status = "converged" if decrement < control.tolerance else "at rounding level"
                break
            exact = True
            H = objective.exact_hessian(x)
            curvatures += 1
            continue
        if not exact and ((ratio < 0.1 and objective.exact_is_cheap) or evaluations >= PATIENCE):
            # A curved valley (often a correlation at its bound) that the average information does not see
            exact = True
            if ratio <= MINIMUM_RATIO:
                H = objective.exact_hessian(x)
                curvatures += 1
        length = float(np.linalg.norm(step))
        smooth = smooth and ratio > 0.25
        if ratio < 0.25:
            radius = 0.25 * length
        elif ratio > 0.75 and length > 0.9 * radius:
            radius = 2.0 * radius
        if ratio > MINIMUM_RATIO:
            x, f, change, g = x + step, f_new, g_new - g, g_new
            curvatures += 1
            if exact:
                H = objective.exact_hessian(x)
            else:
                average = H = objective.average_hessian(x)
                if decrement < 1.0:
                    correction = _secant(H, correction, step, change)
                    H = H + correction
    if objective.exact_is_cheap and status == "converged" and decrement > POLISHED:
        # One Newton step more puts theta at the limit of its precision.
        w, V = np.linalg.eigh(H)
        polished = x + _trust_step(w, V, g, radius)
        f_new, g_new = objective.value_and_gradient(polished)
        evaluations += 1
        last, _ = _decrement(w, V.T @ g_new)
        if last < decrement:
            x, f, g, decrement = polished, f_new, g_new, last
    uncorrected = None if exact else average
    return Optimum(x, f, g, H, decrement, status, evaluations, curvatures, tuple(log), uncorrected)


def _secant(H: Array, correction: Array, step: Array, change: Array) -> Array:
    """Symmetric rank-one update so that (H + correction) step = change of the gradient."""
    miss = change - (H + correction) @ step
    along = float(miss @ step)
    if abs(along) < 1e-8 * float(np.linalg.norm(miss) * np.linalg.norm(step)):
        return correction
    return np.asarray(correction + np.outer(miss, miss) / along)


def _decrement(w: Array, g: Array) -> tuple[float, bool]:
    """g'H^-1 g over the directions of positive curvature, and whether there is no other direction down."""
    floor = 1e-10 * max(float(np.abs(w).max()), 1e-8)
    positive = w > floor
    flat = np.abs(w) <= floor
    value = float((g[positive] ** 2 / w[positive]).sum()) + float((np.abs(g[flat])).sum() * 1e-6)
    return value, bool((w > -floor).all())


def _trust_step(w: Array, V: Array, g: Array, radius: float) -> Array:
    """Minimise g's + s'Hs/2 over |s| <= radius, given H = V diag(w) V'."""
    c = V.T @ g
    floor = 1e-10 * max(float(np.abs(w).max()), 1e-8)
    if w[0] > floor:
        s = -c / w
        if np.linalg.norm(s) <= radius:
            return np.asarray(V @ s)
    low = max(0.0, -float(w[0]))

    def length(shift: float) -> float:
        return float(np.linalg.norm(c / (w + shift)))

    if length(low + floor) <= radius:
        # Hard case (or a flat direction): the gradient has no part along the lowest curvature
        s = -c / (w + low + floor)
        if w[0] < -floor:
            s[0] += np.copysign(np.sqrt(max(radius**2 - float(s @ s), 0.0)), s[0] if s[0] else 1.0)
        return np.asarray(V @ s)
    high = low + float(np.linalg.norm(c)) / radius + floor
    low = low + floor
    for _ in range(60):
        middle = np.sqrt(low * high) if low > 0.0 else 0.5 * high
        if length(middle) > radius:
            low = middle
        else:
            high = middle
        if high - low <= 1e-3 * high:
            break
    return np.asarray(V @ (-c / (w + high)))
