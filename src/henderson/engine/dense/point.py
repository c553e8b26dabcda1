"""The model at one theta: the factor of V, and first derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit
from henderson.engine.chart import Chart, ResidualChart, TermChart
from henderson.engine.dense.factor import Factor, factorise, inverse
from henderson.engine.dense.system import Slopes, System
from henderson.engine.directions import Direction
from henderson.model import ModelShape

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Point:
    """Everything that is known at one theta, in the coordinates of the reduction.

    Attributes
    ----------
    system : System
    theta : ndarray
    chart : Chart
        S and R_0 with their derivatives.
    factor : Factor
        V = L L', and L^-1 Q.
    whitened : ndarray, shape (m,)
        L^-1 y less its part along the fixed effects.
    beta : ndarray, shape (p,)
        Coefficients of Q for what least squares leave of y.
    """

    system: System
    theta: Array
    chart: Chart
    factor: Factor
    whitened: Array
    beta: Array

    @property
    def pwrss(self) -> float:
        """Y'Py."""
        return float(self.whitened @ self.whitened)

    @cached_property
    def solved(self) -> Array:
        """V^-1 Q R^-1, R of the factor, and P y last; (m, p + 1)."""
        both = np.column_stack([self.factor.Q, self.whitened])
        return self.factor.solve_lower(both, transposed=True)

    @property
    def Py(self) -> Array:
        """P y, (m, 1)."""
        return self.solved[:, -1:]

    @property
    def VQ(self) -> Array:
        """V^-1 Q, (m, p)."""
        return np.asarray(self.solved[:, :-1] @ self.factor.R)

    @cached_property
    def slopes(self) -> tuple[Slopes, Slopes, Slopes]:
        """Slopes of log|V|, log|X'V^-1 X| and y'Py in S of each term and in R_0."""
        in_logdet = self.system.inner(inverse(self.factor.lower))
        x, y = self.system.squares(self.solved[:, :-1]), self.system.squares(self.Py)
        return in_logdet, tuple(-own for own in x), tuple(-own for own in y)

    def along(self, directions: list[Direction]) -> Array:
        """Slopes of the same three along directions, (k, 3)."""
        return np.column_stack([along(own, directions) for own in self.slopes])

    def profiled(self, nu: int, reml: bool) -> Slopes:
        """Slopes of the profiled criterion."""
        triples = zip(*self.slopes, strict=True)
        return tuple(v + (x if reml else 0.0) + nu / self.pwrss * y for v, x, y in triples)

    def bend(self, nu: int, reml: bool) -> Array:
        """The part of the profiled criterion's Hessian that comes from the curvature of S and R_0."""
        slopes, residual = self.profiled(nu, reml), self.chart.residual
        H = np.zeros((self.theta.size, self.theta.size))
        for part, second, own in (
            *((t.part, t.second, own) for t, own in zip(self.chart.terms, slopes, strict=False)),
            (residual.part, residual.second, slopes[-1]),
        ):
            H[part, part] = np.tensordot(second, own, axes=2)
        return H


def along(slopes: Slopes, directions: list[Direction]) -> Array:
    """Derivatives along directions, (k,)."""
    return np.array(
        [
            sum(
                float(np.vdot(own, d))
                for own, d in zip(slopes, (*way.S, way.R), strict=True)
                if d is not None
            )
            for way in directions
        ]
    )


def evaluate(shape: ModelShape, system: System, columns: Array, theta: Array) -> Point:
    """The model at theta, for [Q y] in the coordinates of the system, (m, p + 1).

    Raises
    ------
    FloatingPointError
        If V is not positive definite.
    """
    chart = chart_at(shape, theta)
    V = system.covariance(tuple(t.S for t in chart.terms), chart.residual.R0)
    factor = factorise(V.T, columns[:, :-1])
    if not np.isfinite(factor.logdet_v + factor.logdet_x):
        raise FloatingPointError("V is not a finite matrix")
    y = columns[:, -1]
    beta = np.asarray(np.linalg.solve(factor.R, factor.Q.T @ factor.solve_lower(y)), dtype=np.float64)
    return Point(system, theta.copy(), chart, factor, factor.whiten(y), beta)


def chart_at(shape: ModelShape, theta: Array) -> Chart:
    """S of each term and R_0 with their derivatives, every term a block of its own in the data's units."""
    terms = []
    for k, (term, part) in enumerate(zip(shape.terms, shape.theta_slices(), strict=True)):
        q, own = term.covariance.q, theta[part]
        T = term.covariance.factor(own)
        derivatives = term.covariance.derivatives(own)
        terms.append(TermChart(k, slice(0, q), part, np.eye(q), T, T @ T.T, *derivatives))
    part, residual = shape.residual_slice, shape.residual
    if isinstance(residual, ByUnit):
        at = ResidualChart(part, residual.matrix(theta[part]), *residual.derivatives(theta[part]))
    else:
        at = ResidualChart(part, np.ones((1, 1)), np.empty((0, 1, 1)), np.empty((0, 0, 1, 1)))
    return Chart(tuple(terms), at, tuple(term.covariance.q for term in shape.terms))


def in_elements(chart: Chart, directions: list[Direction]) -> Array:
    """Directions as combinations of those along single elements, as `Chart.linear_directions` has them."""
    sizes = [*(len(t.S) for t in chart.terms), len(chart.residual.R0)]
    triangles = [np.triu_indices(size) for size in sizes]
    out = []
    for way in directions:
        parts = zip((*way.S, way.R), triangles, strict=True)
        elements = [np.zeros(at[0].size) if d is None else d.T[at] for d, at in parts]
        elements[-1] = elements[-1][1:]
        out.append(np.concatenate(elements))
    return np.array(out).reshape(len(directions), -1)
