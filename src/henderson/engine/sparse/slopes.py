"""First derivatives of the pieces of the criterion in S, from elements of the inverse on the pattern."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.engine.directions import Direction
from henderson.engine.sparse.point import Point

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Derivatives in S of each part, symmetric (q, q), at one point.

    With V linear in S, d log|V| = <G, dS> with G = sum over levels i, j of G_ij (Z'V^-1 Z)_ij, and the others
    have the same blocks of -Z'V^-1 X (X'V^-1 X)^-1 X'V^-1 Z and of -Z'Py y'PZ (Searle, Casella & McCulloch
    1992, Variance Components, section 6.6).

    Attributes
    ----------
    point : Point
    GZV : ndarray, (n_effects, p + 1)
        blockdiag(K^-1 (x) I) Z'V^-1 [Q y].
    logdet_v, logdet_x, pwrss : tuple of ndarray
    """

    point: Point
    GZV: Array
    logdet_v: tuple[Array, ...]
    logdet_x: tuple[Array, ...]
    pwrss: tuple[Array, ...]

    @classmethod
    def at(cls, point: Point) -> Slopes:
        """Take the inverse on the pattern, and one product with G for each part."""
        GZV = point.data.equations.times_prior(point.ZV)
        d_x, d_y = [], []
        ZPy, GZPy = point.contrast(point.ZV), point.contrast(GZV)
        for part in point.data.equations.parts:
            q = part.term.q
            left, right = (M[part.effects, :-1].reshape(part.r, q, -1) for M in (point.ZV, GZV))
            X = -np.einsum("lax,lbx->ab", left @ point.XVX_inverse, right, optimize=True)
            v, g = (M[part.effects].reshape(part.r, q) for M in (ZPy, GZPy))
            Y = -v.T @ g
            d_x.append(0.5 * (X + X.T))
            d_y.append(0.5 * (Y + Y.T))
        return cls(point, GZV, _of_logdet(point), tuple(d_x), tuple(d_y))

    def logdet(self, reml: bool) -> tuple[Array, ...]:
        """Of log|V| (ML), or with log|X'V^-1 X| added (REML)."""
        if not reml:
            return self.logdet_v
        return tuple(v + x for v, x in zip(self.logdet_v, self.logdet_x, strict=True))

    def along(self, directions: list[Direction]) -> Array:
        """Derivatives of the three along directions, (k, 3)."""
        return np.column_stack([along(G, directions) for G in (self.logdet_v, self.logdet_x, self.pwrss)])

    def profiled(self, nu: int, reml: bool) -> tuple[Array, ...]:
        """Derivative of the profiled criterion."""
        pairs = zip(self.logdet(reml), self.pwrss, strict=True)
        return tuple(v + nu / self.point.pwrss * y for v, y in pairs)


def along(slopes: tuple[Array, ...], directions: list[Direction]) -> Array:
    """Derivatives along directions, (k,), from those in S."""
    moves = (zip(slopes, d.S, strict=True) for d in directions)
    return np.array([sum(float((G * dS).sum()) for G, dS in m if dS is not None) for m in moves])


def gram_along(slopes: Slopes, directions: list[Direction]) -> Array:
    """-Q'V^-1 V_i V^-1 Q along directions, for those in S and in R = I; (k, p, p)."""
    point = slopes.point
    p = point.beta.size
    out = np.zeros((len(directions), p, p))
    for i, d in enumerate(directions):
        for part, dS in zip(point.data.equations.parts, d.S, strict=True):
            if dS is not None:
                left, right = (M[part.effects, :-1].reshape(part.r, -1, p) for M in (point.ZV, slopes.GZV))
                out[i] -= np.einsum("lax,ab,lby->xy", left, dS, right, optimize=True)
        if d.R is not None:
            # V^-1 Q = Q - Z b: its squared length, without a product of n rows
            b = point.effects(point.v[:, :-1])
            crossed = b.T @ point.data.ZM[:, :-1]
            out[i] -= np.eye(p) - crossed - crossed.T + b.T @ (point.data.equations.A @ b)
    return 0.5 * (out + out.swapaxes(1, 2))


def _of_logdet(point: Point) -> tuple[Array, ...]:
    """G T = sum over nodes of (Z'Z T M^-1), and G from it."""
    equations, T = point.data.equations, point.T
    inverse = point.factor.inverse_on_pattern()
    GT = [np.zeros_like(t) for t in T]
    for coupling, A in zip(equations.layout.couplings, equations.blocks, strict=True):
        k, a, b = A.shape
        products = A.reshape(k, -1).T @ inverse[coupling.places].reshape(k, -1)
        GT[coupling.row] += np.einsum("abdc,bc->ad", products.reshape(a, b, a, b), T[coupling.column])
    return tuple(root.slope(own) for root, own in zip(point.roots, GT, strict=True))
