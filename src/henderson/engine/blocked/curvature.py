"""Second derivatives of the criterion in S and R_0, and the information matrices made from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from henderson.engine.blocked.core import STEP
from henderson.engine.blocked.factor import spread
from henderson.engine.blocked.moments import by_blocks, of_effects, pair
from henderson.engine.blocked.plan import Plan
from henderson.engine.blocked.system import Point, System
from henderson.engine.directions import Curvature, Direction
from henderson.engine.protocol import InformationKind

Array = NDArray[np.float64]
#: 2 y'P V_i P V_j P y for directions i, j.
Scores = Callable[[list[Direction]], Array]


def curvature(
    system: System,
    T: tuple[Array, ...],
    point: Point,
    directions: list[Direction],
    kind: InformationKind,
    *,
    reml: bool,
    scores: Scores,
) -> Curvature:
    """Exact second derivatives, or with one of their parts replaced by its expectation.

    "observed" is exact. "expected" replaces y'P V_i P V_j P y by its mean sigma^2 tr(P V_i P V_j);
    "average" replaces the trace by the quadratic form over sigma^2 instead (Gilmour, Thompson & Cullis
    1995, Biometrics 51:1440, eq. 7), which costs one solve and no trace: ``scores`` gives
    2 y'P V_i P V_j P y.
    """
    nu = system.n - system.p if reml else system.n
    sigma2 = point.pwrss / nu
    if kind == "average":
        pwrss = scores(directions)
        return Curvature(-0.5 / sigma2 * pwrss, pwrss)
    k = len(directions)
    logdet, pwrss = np.empty((k, k)), np.empty((k, k))
    for j, direction in enumerate(directions):
        moved = system.at(T, point.R0, direction)
        slopes = system.slopes(moved, spread(moved.factor))
        for i, d in enumerate(directions):
            v, x, y = slopes.along(d).imag / STEP
            logdet[i, j], pwrss[i, j] = v + x if reml else v, y
    logdet, pwrss = 0.5 * (logdet + logdet.T), 0.5 * (pwrss + pwrss.T)
    return Curvature(logdet, -2.0 * sigma2 * logdet if kind == "expected" else pwrss)


def score_curvature(plan: Plan, point: Point, directions: list[Direction]) -> Array:
    """2 y'P V_i P V_j P y for directions in S, by one solve with k columns, shape (k, k)."""
    v = [point.contrast(ZV) for ZV in point.solved.ZVM]
    x = [
        np.array([np.zeros_like(own) if d.S[b] is None else d.S[b] @ own for d in directions])
        for b, own in enumerate(v)
    ]
    total = projected_products(plan, point, x)
    return total + total.T


def projected_products(plan: Plan, point: Point, x: list[Array]) -> Array:
    """Inner products x'Z'PZ x of effects x, (k, q, l) per block of the plan; shape (k, k)."""
    M = of_effects(plan, point.moments.random, x)
    reduced = point.factor.reduce(M)
    QZx = pair(point.moments.columns, by_blocks(plan, x))[:-1]
    XVM = QZx - point.factor.gram(point.reduced, reduced)[:-1]
    beta = point.XVX_inverse @ XVM
    ZVM = point.factor.solve(reduced).ZVM
    p, k = beta.shape
    total = np.zeros((k, k))
    for own, ZV, ZVX in zip(x, ZVM, point.solved.ZVM, strict=True):
        ZPM = ZV.reshape(k, -1) - beta.T @ ZVX[:-1].reshape(p, ZVX[-1].size)
        total += own.reshape(k, -1) @ ZPM.T
    return total
