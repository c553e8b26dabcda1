"""How X'V^-1 X moves with the covariance parameters, from moments: neither n x n nor q x q matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from henderson.engine.blocked.curvature import projected_products
from henderson.engine.blocked.plan import Plan
from henderson.engine.blocked.system import Point, Slopes
from henderson.engine.directions import Direction, by_direction

Array = NDArray[np.float64]


def gram_slopes(slopes: Slopes, directions: list[Direction]) -> Array:
    """-Q'V^-1 V_i V^-1 Q, the derivative of Q'V^-1 Q along each direction; (k, p, p)."""
    p = slopes.system.p
    return np.array([slopes.gram_along(d)[:p, :p] for d in directions]).reshape(len(directions), p, p)


def moved_products(plan: Plan, point: Point, directions: list[Direction]) -> Array:
    """Q'V^-1 V_i P V_j V^-1 Q for directions i, j in S and in R = I; (k, k, p, p).

    V_i V^-1 Q is Z x with x = dS Z'V^-1 Q for a direction in S. For one in R it is V^-1 Q = Q - Z b, of which
    P leaves the part -Z b. So all of them are effects, and nothing is subtracted that could cancel.
    """
    k, p = len(directions), point.beta.size
    if p == 0:
        return np.zeros((k, k, 0, 0))
    x = []
    for at, (ZV, b) in enumerate(zip(point.solved.ZVM, point.solved.b, strict=True)):
        moved = np.zeros((k, *b[:-1].shape))
        for i, d in enumerate(directions):
            dS = d.S[at]
            if dS is not None:
                moved[i] = dS @ ZV[:-1]
            if d.R is not None:
                moved[i] -= d.R[0, 0] * b[:-1]
        x.append(moved.reshape(k * p, *b.shape[1:]))
    return by_direction(projected_products(plan, point, x), k)
