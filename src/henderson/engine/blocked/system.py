"""Random effects eliminated from fixed effects and response: the model at one S and R_0, and its slopes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.engine.blocked.core import STEP
from henderson.engine.blocked.factor import Factor, Solved, Spread, factorise, trace
from henderson.engine.blocked.moments import Moments, MomentStack, by_blocks, of_effects, pair
from henderson.engine.blocked.plan import Plan
from henderson.engine.blocked.residual import Inverses, UnitBlocks
from henderson.engine.directions import Direction
from henderson.linalg.levelwise import Array


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Everything that is known at one S and R_0.

    Attributes
    ----------
    moments : Moments
        Cross-products in R^-1.
    R0 : ndarray, (t, t)
        Residual covariance within a unit, relative to sigma^2.
    R_inverses : tuple of ndarray
        Its inverse at the positions of each pattern of units.
    factor : Factor
        The eliminated random effects.
    reduced : tuple
        Fixed effects and response after forward elimination.
    XVX, XVX_inverse : ndarray, (p, p)
        Q'V^-1 Q and its inverse.
    beta : ndarray, (p,)
        Coefficients of Q for the least-squares residual of y.
    pwrss : float
        y'Py.
    solved : Solved
        V^-1 [Q y], seen from the random effects.
    """

    moments: Moments
    R0: Array
    R_inverses: Inverses
    factor: Factor
    reduced: tuple[tuple[Array, ...], Array]
    XVX: Array
    XVX_inverse: Array
    beta: Array
    pwrss: float
    solved: Solved

    @property
    def logdet_x(self) -> float:
        """log|Q'V^-1 Q|."""
        return float(np.linalg.slogdet(self.XVX)[1])

    def contrast(self, values: Array) -> Array:
        """Of arrays for the columns [Q y], those of y - Q beta: (p + 1, q, l) to (q, l)."""
        taken = self.beta @ values[:-1].reshape(self.beta.size, values[-1].size)
        return np.asarray(values[-1] - taken.reshape(values.shape[1:]))


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """Moments of one data set, ready to be evaluated at any S and R_0.

    Attributes
    ----------
    plan : Plan
    units : UnitBlocks
        How R_0 makes R.
    parts : MomentStack
        Moments of each part of `units`; a single one for independent residuals.
    n : int
        Number of records.
    """

    plan: Plan
    units: UnitBlocks
    parts: MomentStack
    n: int

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return int(self.parts.first.gram.shape[0]) - 1

    def moments(self, R_inverses: Inverses) -> Moments:
        """Cross-products in R^-1."""
        return self.parts.combine(self.units.coefficients(R_inverses))

    def at(
        self, T: tuple[NDArray[np.float64], ...], R0: NDArray[np.float64], direction: Direction | None = None
    ) -> Point:
        """Evaluate at S = T T' per block and R_0; with a direction, derivatives ride along (see `factor`)."""
        dS = None if direction is None else direction.S
        moved: Array = R0 if direction is None or direction.R is None else R0 + 1j * STEP * direction.R
        inverses = self.units.inverses(moved)
        moments = self.moments(inverses)
        factor = factorise(self.plan, moments.random, T, dS)
        reduced = factor.reduce(moments.columns)
        corner = moments.gram - factor.gram(reduced, reduced)
        XVX, XVy = corner[:-1, :-1], corner[:-1, -1]
        inverse = np.linalg.inv(XVX)
        beta = inverse @ XVy
        pwrss = (corner[-1, -1] - XVy @ beta).real
        solved = factor.solve(reduced)
        return Point(moments, moved, inverses, factor, reduced, XVX, inverse, beta, float(pwrss), solved)

    def slopes(self, point: Point, within: Spread) -> Slopes:
        """First derivatives at a point, given its spread."""
        return Slopes(self, point, within, *_in_blocks(point, within))


@dataclass(frozen=True, eq=False)
class Slopes:
    """Derivatives of the pieces of the criterion: in S of each block, (q, q) each, and along R_0."""

    system: System
    point: Point
    within: Spread
    logdet_v: tuple[Array, ...]
    logdet_x: tuple[Array, ...]
    pwrss: tuple[Array, ...]

    def profiled(self, nu: int, reml: bool) -> tuple[Array, ...]:
        """Derivative of the profiled criterion in S of each block."""
        triples = zip(self.logdet_v, self.logdet_x, self.pwrss, strict=True)
        return tuple(v + (x if reml else 0.0) + nu / self.point.pwrss * y for v, x, y in triples)

    def gram_along(self, direction: Direction) -> NDArray[Any]:
        """Derivative of [Q y]'V^-1 [Q y] along a direction, (p + 1, p + 1)."""
        total = np.zeros_like(self.point.moments.gram)
        for ZV, d in zip(self.point.solved.ZVM, direction.S, strict=True):
            if d is not None:
                total = total - np.einsum("maq,naq->mn", d @ ZV, ZV, optimize=True)
        return total if direction.R is None else total + self._gram(self._moved_moments(direction.R))

    def along(self, direction: Direction) -> NDArray[Any]:
        """Derivatives of log|V|, log|X'V^-1 X| and y'Py along a direction."""
        total = np.zeros(3, dtype=self.point.XVX.dtype)
        for k, d in enumerate(direction.S):
            if d is not None:
                total += [(G[k] * d).sum() for G in (self.logdet_v, self.logdet_x, self.pwrss)]
        return total if direction.R is None else total + self._along_residual(direction.R)

    @cached_property
    def in_residual(self) -> NDArray[Any]:
        """Slopes in R_0 of the same three, (3, t, t), symmetric: those along E are sums of their products."""
        t = len(self.point.R0)
        out = np.empty((3, t, t), dtype=self.point.XVX.dtype)
        for i, j in zip(*np.triu_indices(t), strict=True):
            E = np.zeros((t, t))
            E[i, j] = E[j, i] = 1.0 if i == j else 0.5
            out[:, i, j] = out[:, j, i] = self._along_residual(E)
        return out

    def _along_residual(self, E: NDArray[np.float64]) -> NDArray[Any]:
        system, point = self.system, self.point
        N = self._moved_moments(E)
        D = self._gram(N)
        logdet_v = system.units.logdet_slope(point.R_inverses, E) + trace(point.factor, self.within, N.random)
        logdet_x = (point.XVX_inverse * D[:-1, :-1]).sum()
        y = np.append(-point.beta, 1.0)
        return np.array([logdet_v, logdet_x, y @ D @ y])

    def _moved_moments(self, E: NDArray[np.float64]) -> Moments:
        """Moments in the derivative of R^-1 along E."""
        units = self.system.units
        return self.system.parts.combine(units.slopes(self.point.R_inverses, E))

    def _gram(self, N: Moments) -> NDArray[Any]:
        """Derivative of [Q y]'V^-1 [Q y] for moments N in that of R^-1."""
        # V^-1 M = R^-1 (M - Z b), b the effects that M predicts: d M'V^-1 M = (M - Z b)' dR^-1 (M - Z b)
        plan, b = self.system.plan, self.point.solved.b
        effects = by_blocks(plan, b)
        crossed = pair(N.columns, effects)
        squared = pair(of_effects(plan, N.random, b), effects)
        return np.asarray(N.gram - crossed - crossed.T + squared)


def _in_blocks(point: Point, within: Spread) -> tuple[tuple[Array, ...], ...]:
    """Slopes in S: d log|V| = <Z'V^-1 Z, dS>, d log|X'V^-1 X| and d y'Py by the same blocks of P.

    Sums over the levels of a block of the diagonal blocks of Z'V^-1 Z, of
    -Z'V^-1 X (X'V^-1 X)^-1 X'V^-1 Z and of -Z'Py y'PZ. ``within`` is the spread at the point.
    """
    d_x, d_y = [], []
    for ZV in point.solved.ZVM:
        x, v = ZV[:-1], point.contrast(ZV)
        p, q, l = x.shape
        inner = (point.XVX_inverse @ x.reshape(p, q * l)).reshape(p, q, l)
        d_x.append(-sum((a @ b.T for a, b in zip(x, inner, strict=True)), start=np.zeros((q, q))))
        d_y.append(-(v @ v.T))
    return within.G, tuple(d_x), tuple(d_y)
