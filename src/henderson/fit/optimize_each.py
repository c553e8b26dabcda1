"""Many searches at once: guarded Newton steps, for all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.fit.optimize import NOISE, Control

Array = NDArray[np.float64]
Which = NDArray[np.intp]
#: Eigenvalues of a Hessian below this part of the largest are no curvature.
FLAT = 1e-10


class Objectives(Protocol):
    """Smooth functions of one x each."""

    def value(self, x: Array, which: Which) -> Array:
        """Values of the functions of these numbers at the rows of x; infinite where there is none."""
        ...

    def derivatives(self, x: Array, which: Which) -> tuple[Array, Array, Array]:
        """Values, gradients and exact Hessians."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Minima:
    """Where the searches ended.

    Attributes
    ----------
    x : ndarray, (k, t)
    clean : ndarray of bool, (k,)
        Whether the search ended at a minimum with curvature in all directions. Nothing is said of the others:
        rounding or the limit of steps stopped them.
    """

    x: Array
    clean: NDArray[np.bool_]


def minimise_each(objectives: Objectives, start: Array, control: Control) -> Minima:
    """Newton's method from each row of start (k, t), within a trust radius of its own.

    Where the Hessian is indefinite its eigenvalues are replaced by their sizes, so that every step goes down
    (Nocedal & Wright 2006, Numerical Optimization, section 3.4). The last step is taken once the tolerance
    is met, and puts x at the limit of its precision.
    """
    x = np.array(start)
    clean = np.zeros(len(x), dtype=bool)
    radius = np.ones(len(x))
    left = np.arange(len(x))
    with np.errstate(all="ignore"):
        at = _Jets(*objectives.derivatives(x, left))
    for _ in range(control.max_iterations):
        sound = at.are_finite
        left, at = left[sound], at.of(sound)
        step, decrement, is_minimum = _newton(at)
        done = is_minimum & (decrement < control.tolerance)
        x[left[done]] += step[done]
        clean[left[done]] = True
        length = np.linalg.norm(step, axis=1)
        go = ~done & (length > 0.0)  # a saddle without a slope is no place to stay, but there is no way down
        if not go.any():
            break
        left, at, step, length = left[go], at.of(go), step[go], length[go]
        step *= np.minimum(1.0, radius[left] / length)[:, None]
        predicted = -np.einsum(
            "kt,kt->k", at.gradient + 0.5 * np.einsum("ktu,ku->kt", at.hessian, step), step
        )
        with np.errstate(all="ignore"):
            new = _Jets(*objectives.derivatives(x[left] + step, left))
            ratio = np.where(new.are_finite, (at.value - new.value) / predicted, -1.0)
        # Differences of the criterion are rounding here, but the gradient is still sharp
        rounding = predicted < NOISE * np.maximum(1.0, np.abs(at.value))
        ratio[rounding] = 1.0
        length = np.minimum(length, radius[left])
        radius[left] = np.where(ratio < 0.25, 0.25 * length, np.where(ratio > 0.75, 2.0, 1.0) * radius[left])
        better = ratio > 1e-4
        x[left[better]] += step[better]
        at = at.replaced(better, new)
    return Minima(x, clean)


@dataclass(frozen=True, slots=True, eq=False)
class _Jets:
    """Values (k,), gradients (k, t) and Hessians (k, t, t)."""

    value: Array
    gradient: Array
    hessian: Array

    @property
    def are_finite(self) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(self.value + self.gradient.sum(axis=1) + self.hessian.sum(axis=(1, 2))))

    def of(self, which: NDArray[np.bool_]) -> _Jets:
        return _Jets(self.value[which], self.gradient[which], self.hessian[which])

    def replaced(self, where: NDArray[np.bool_], new: _Jets) -> _Jets:
        return _Jets(
            np.where(where, new.value, self.value),
            np.where(where[:, None], new.gradient, self.gradient),
            np.where(where[:, None, None], new.hessian, self.hessian),
        )


def _newton(at: _Jets) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Newton steps, g'H^-1 g, and whether there is curvature upwards in all directions."""
    w, V = np.linalg.eigh(at.hessian)
    floor = FLAT * np.maximum(np.abs(w).max(axis=1, keepdims=True), 1e-8)
    size = np.maximum(np.abs(w), floor)
    c = np.einsum("kut,ku->kt", V, at.gradient)
    step = -np.einsum("kut,kt->ku", V, c / size)
    return step, (c**2 / size).sum(axis=1), (w > floor).all(axis=1)
