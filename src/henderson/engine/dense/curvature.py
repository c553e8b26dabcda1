"""Second derivatives along directions in S and R_0, in which V is linear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from henderson.engine.dense.factor import inverse
from henderson.engine.dense.point import Point, along
from henderson.engine.directions import Curvature, Direction, by_direction
from henderson.engine.protocol import InformationKind

Array = NDArray[np.float64]


def curvature(
    point: Point, directions: list[Direction], kind: InformationKind, *, nu: int, reml: bool
) -> Curvature:
    """Exact second derivatives, or with one of their parts replaced by its expectation.

    "average" (Gilmour, Thompson & Cullis 1995, Biometrics 51:1440, eq. 7) takes one solve with a column per
    direction; the others take two products of N x N matrices for each direction.
    """
    sigma2 = point.pwrss / nu
    if kind == "average":
        pwrss = scores(point, directions)
        return Curvature(-0.5 / sigma2 * pwrss, pwrss)
    logdet = -traces(point, directions, reml=reml)
    return Curvature(logdet, -2.0 * sigma2 * logdet if kind == "expected" else scores(point, directions))


def scores(point: Point, directions: list[Direction]) -> Array:
    """2 y'P V_i P V_j P y, (k, k)."""
    moved = _all_moved(point, directions, point.Py)
    whitened = point.factor.whiten(moved)
    return np.asarray(2.0 * whitened.T @ whitened)


def gram_slopes(point: Point, directions: list[Direction]) -> Array:
    """-Q'V^-1 V_i V^-1 Q, the derivative of Q'V^-1 Q along each direction; (k, p, p)."""
    VQ = point.VQ
    p = VQ.shape[1]
    moved = [-VQ.T @ point.system.moved(way, VQ) for way in directions]
    return np.array(moved).reshape(len(directions), p, p)


def moved_products(point: Point, directions: list[Direction]) -> Array:
    """Q'V^-1 V_i P V_j V^-1 Q, (k, k, p, p)."""
    VQ = point.VQ
    k, p = len(directions), VQ.shape[1]
    if p == 0:
        return np.zeros((k, k, 0, 0))
    whitened = point.factor.whiten(_all_moved(point, directions, VQ))
    return by_direction(whitened.T @ whitened, k)


def traces(point: Point, directions: list[Direction], *, reml: bool) -> Array:
    """tr(P V_i P V_j), or with V^-1 for P in maximum likelihood; (k, k).

    V_i of each direction alone takes an N x N matrix besides P.
    """
    P = projection(point, reml=reml)
    out = [along(point.system.inner(P @ point.system.moved(way, P)), directions) for way in directions]
    return _symmetric(np.array(out).reshape(len(directions), len(directions)))


def projection(point: Point, *, reml: bool) -> Array:
    """P, or V^-1, of all coordinates (m, m)."""
    factor = point.factor
    m, N = factor.n, len(factor.lower)
    own = inverse(factor.lower)
    if m > N:
        full = np.eye(m)
        full[:N, :N] = own
        own = full
    if reml:
        H = point.solved[:, :-1]
        own -= H @ H.T
    return own


def _all_moved(point: Point, directions: list[Direction], M: Array) -> Array:
    moved = [point.system.moved(way, M) for way in directions]
    return np.hstack(moved) if moved else np.empty((len(M), 0))


def _symmetric(M: Array) -> Array:
    return np.asarray(0.5 * (M + M.T))
