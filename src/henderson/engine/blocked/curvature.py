"""Second derivatives of the criterion in S, and the information matrices made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.engine.blocked.core import STEP
from henderson.engine.blocked.factor import spread
from henderson.engine.blocked.moments import ColumnMoments, by_blocks, of_effects
from henderson.engine.blocked.system import Direction, Point, System, gradients
from henderson.engine.protocol import InformationKind

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curvature:
    """Second derivatives along given directions in S, with V linear in them.

    Attributes
    ----------
    logdet : ndarray, (k, k)
        Of log|V| (ML) or log|V| + log|X'V^-1 X| (REML): -tr(P V_i P V_j).
    pwrss : ndarray, (k, k)
        Of y'Py: 2 y'P V_i P V_j P y.
    """

    logdet: Array
    pwrss: Array

    def unprofiled(self, slope: Array, pwrss: float, nu: int) -> Array:
        """Second derivatives of the criterion in the directions and sigma^2, at sigma^2 = pwrss / nu.

        ``slope`` is the derivative of y'Py along the directions.
        """
        k = self.logdet.shape[0]
        sigma2 = pwrss / nu
        H = np.empty((k + 1, k + 1))
        H[:k, :k] = self.logdet + self.pwrss / sigma2
        H[:k, k] = H[k, :k] = -slope / sigma2**2
        H[k, k] = nu / sigma2**2
        return H


def curvature(
    system: System,
    T: tuple[Array, ...],
    point: Point,
    directions: list[Direction],
    kind: InformationKind,
    *,
    reml: bool,
) -> Curvature:
    """Exact second derivatives, or with one of their parts replaced by its expectation.

    "observed" is exact. "expected" replaces y'P V_i P V_j P y by its mean sigma^2 tr(P V_i P V_j);
    "average" replaces the trace by the quadratic form over sigma^2 instead (Gilmour, Thompson & Cullis
    1995, Biometrics 51:1440, eq. 7), which costs one solve and no trace.
    """
    nu = system.n - system.p if reml else system.n
    sigma2 = point.pwrss / nu
    if kind == "average":
        pwrss = score_curvature(system, point, directions)
        return Curvature(-0.5 / sigma2 * pwrss, pwrss)
    k = len(directions)
    logdet, pwrss = np.empty((k, k)), np.empty((k, k))
    for j, direction in enumerate(directions):
        moved = system.at(T, direction)
        slopes = gradients(moved, spread(moved.factor))
        for i, d in enumerate(directions):
            logdet[i, j] = along(slopes.logdet(reml), d).imag / STEP
            pwrss[i, j] = along(slopes.pwrss, d).imag / STEP
    logdet, pwrss = 0.5 * (logdet + logdet.T), 0.5 * (pwrss + pwrss.T)
    return Curvature(logdet, -2.0 * sigma2 * logdet if kind == "expected" else pwrss)


def score_curvature(system: System, point: Point, directions: list[Direction]) -> Array:
    """2 y'P V_i P V_j P y by one solve with k columns, shape (k, k)."""
    plan = system.plan
    v = [point.contrast(ZV) for ZV in point.solved.ZVM]
    x = [
        np.stack([np.zeros_like(own) if d[b] is None else d[b] @ own for d in directions])
        for b, own in enumerate(v)
    ]
    M = of_effects(plan, system.random, x)
    reduced = point.factor.reduce(M)
    QZx = _pair(system.columns, by_blocks(plan, x))[:-1]
    XVM = QZx - point.factor.gram(point.reduced, reduced)[:-1]
    beta = point.XVX_inverse @ XVM
    ZVM = point.factor.solve(reduced).ZVM
    k = len(directions)
    total = np.zeros((k, k))
    for own, ZV, ZVX in zip(x, ZVM, point.solved.ZVM, strict=True):
        ZPM = ZV - np.tensordot(beta.T, ZVX[:-1], axes=1)
        total += own.reshape(k, -1) @ ZPM.reshape(k, -1).T
    return total + total.T


def along(by_block: tuple[NDArray[Any], ...], direction: Direction) -> Any:
    """Derivative along a direction from the slopes in S of each block."""
    return sum((G * d).sum() for G, d in zip(by_block, direction, strict=True) if d is not None)


def to_absolute(H: Array, S: Array, slope: Array, sigma2: float) -> Array:
    """Second derivatives in (sigma^2 S, sigma^2) from those in (S, sigma^2).

    ``slope`` is the derivative of the criterion in S, zero where an expectation is taken.
    """
    k = S.size
    J = np.eye(k + 1)
    J[:k, :k] /= sigma2
    J[:k, k] = -S / sigma2
    out = J.T @ H @ J
    out[:k, k] -= slope / sigma2**2
    out[k, :k] -= slope / sigma2**2
    out[k, k] += 2.0 * (slope @ S) / sigma2**2
    return np.asarray(out)


def _pair(columns: ColumnMoments, M: ColumnMoments) -> Array:
    """Inner products of effects x (m of them, as moments) with Z'[Q y]; shape (p + 1, m)."""
    total = columns.core @ M.core.T
    for a, b in zip(columns.chain, M.chain, strict=True):
        total = total + a.reshape(a.shape[0], -1) @ b.reshape(b.shape[0], -1).T
    return np.asarray(total)
