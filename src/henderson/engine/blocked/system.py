"""Random effects eliminated from fixed effects and response: the model at one S, and its slopes in S."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.engine.blocked.factor import Factor, Solved, Spread, factorise
from henderson.engine.blocked.moments import ColumnMoments, RandomMoments
from henderson.engine.blocked.plan import Plan
from henderson.linalg.levelwise import Array

Direction = tuple[NDArray[np.float64] | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Everything that is known at one S.

    Attributes
    ----------
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
    """Moments of one data set, ready to be evaluated at any S."""

    plan: Plan
    random: RandomMoments
    columns: ColumnMoments
    gram: NDArray[np.float64]
    n: int

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return int(self.gram.shape[0]) - 1

    def at(self, T: tuple[NDArray[np.float64], ...], direction: Direction | None = None) -> Point:
        """Evaluate at S = T T' per block; with a direction dS, derivatives ride along (see `factor`)."""
        factor = factorise(self.plan, self.random, T, direction)
        reduced = factor.reduce(self.columns)
        corner = self.gram - factor.gram(reduced, reduced)
        XVX, XVy = corner[:-1, :-1], corner[:-1, -1]
        inverse = np.linalg.inv(XVX)
        beta = inverse @ XVy
        pwrss = (corner[-1, -1] - XVy @ beta).real
        return Point(factor, reduced, XVX, inverse, beta, float(pwrss), factor.solve(reduced))


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Derivatives of the pieces of the criterion in S of each block, symmetric (q, q) each."""

    logdet_v: tuple[Array, ...]
    logdet_x: tuple[Array, ...]
    pwrss: tuple[Array, ...]

    def logdet(self, reml: bool) -> tuple[Array, ...]:
        """Derivative of log|V|, with log|X'V^-1 X| for REML."""
        if not reml:
            return self.logdet_v
        return tuple(v + x for v, x in zip(self.logdet_v, self.logdet_x, strict=True))

    def profiled(self, nu: int, pwrss: float, reml: bool) -> tuple[Array, ...]:
        """Derivative of the profiled criterion."""
        pairs = zip(self.logdet(reml), self.pwrss, strict=True)
        return tuple(log + nu / pwrss * y for log, y in pairs)


def gradients(point: Point, within: Spread) -> Slopes:
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
    return Slopes(within.G, tuple(d_x), tuple(d_y))
