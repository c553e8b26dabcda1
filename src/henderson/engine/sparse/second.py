"""Second derivatives of the pieces of the criterion in S."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from henderson.covariance import Precision
from henderson.engine.directions import Curvature, Direction
from henderson.engine.protocol import InformationKind
from henderson.engine.sparse.equations import Part
from henderson.engine.sparse.point import Point
from henderson.engine.sparse.roots import Root
from henderson.engine.sparse.slopes import Slopes, along

Array = NDArray[np.float64]
#: Up to so many effects, traces come from dense matrices of them.
DENSE = 2_000
#: Steps of the differences that stand in for them beyond, where the nearest pole of what is differentiated is
#: at a distance of one; and the weights of the values at 0, 1, ... steps.
STEP = 1e-3
FORWARD = np.array([-25.0, 48.0, -36.0, 16.0, -3.0]) / 12.0
POWERS = 20
PURPOSE = 0x5C


def curvature(
    slopes: Slopes, directions: list[Direction], kind: InformationKind, nu: int, *, reml: bool
) -> Curvature:
    """Second derivatives along directions in S, exact or with one part replaced by its expectation.

    As `henderson.engine.blocked.curvature.curvature`: "average" takes solves only.
    """
    sigma2 = slopes.point.pwrss / nu
    if kind == "average":
        pwrss = scores(slopes, directions)
        return Curvature(-0.5 / sigma2 * pwrss, pwrss)
    logdet = -traces(slopes, directions, reml=reml)
    return Curvature(logdet, -2.0 * sigma2 * logdet if kind == "expected" else scores(slopes, directions))


def scores(slopes: Slopes, directions: list[Direction]) -> Array:
    """2 y'P V_i P V_j P y for directions in S, by one solve with k columns; (k, k)."""
    x = moved(slopes, directions, slopes.point.contrast(slopes.GZV)[:, None])
    total = projected_products(slopes.point, x)
    return total + total.T


def moved(slopes: Slopes, directions: list[Direction], GZV: Array) -> Array:
    """Effects x with V_i V^-1 M = Z x along each direction in S, from G Z'V^-1 M; (n_effects, k m)."""
    m = GZV.shape[1]
    out = np.zeros((len(GZV), len(directions), m))
    for i, d in enumerate(directions):
        for part, dS in zip(slopes.point.data.equations.parts, d.S, strict=True):
            if dS is not None:
                own = GZV[part.effects].reshape(part.r, -1, m)
                out[part.effects, i] = np.matmul(dS, own).reshape(-1, m)
    return out.reshape(len(GZV), -1)


def projected_products(point: Point, x: Array) -> Array:
    """Inner products x'Z'PZ x of effects x (n_effects, k), (k, k)."""
    _, _, ZPM = point.projected(np.asarray(point.data.equations.A @ x), point.data.ZM[:, :-1].T @ x)
    return np.asarray(x.T @ ZPM)


def moved_products(slopes: Slopes, directions: list[Direction]) -> Array:
    """Q'V^-1 V_i P V_j V^-1 Q for directions in S and, the last of them, in R = I; (k, k, p, p).

    V_i V^-1 Q is Z x for a direction in S. For R it is V^-1 Q = Q - Z b, of which P leaves the part -Z b.
    """
    point, k, p = slopes.point, len(directions), slopes.point.beta.size
    in_S = moved(slopes, directions[:-1], slopes.GZV[:, :-1])
    x = np.hstack([in_S, -point.effects(point.v[:, :-1])])
    return np.ascontiguousarray(projected_products(point, x).reshape(k, p, k, p).swapaxes(1, 2))


def traces(slopes: Slopes, directions: list[Direction], *, reml: bool) -> Array:
    """tr(Q V_i Q V_j) for directions in S, Q = P (REML) or V^-1 (ML); (k, k)."""
    if len(slopes.GZV) <= DENSE:
        return _by_dense_matrices(slopes, directions, reml)
    return _by_differences(slopes, directions, reml)


def traces_with_residual(slopes: Slopes, directions: list[Direction]) -> Array:
    """tr(P V_i P V_j) for directions in S and, as the last of them, in R; (k + 1, k + 1).

    P V P = P, and V = R + sum of S's own directions: so those in R follow from those in S.
    """
    point = slopes.point
    own = [root.S for root in point.roots]
    along_S = [
        Direction(tuple(S if k == j else None for j in range(len(own)))) for k, S in enumerate(own) if S.any()
    ]
    k, m = len(directions), len(along_S)
    inner = traces(slopes, [*directions, *along_S], reml=True)
    first = along(slopes.logdet(True), [*directions, *along_S])
    out = np.empty((k + 1, k + 1))
    out[:k, :k] = inner[:k, :k]
    out[:k, k] = out[k, :k] = first[:k] - inner[:k, k:].sum(axis=1)
    n, p = point.data.fixed.columns.shape[0], point.beta.size
    out[k, k] = n - p - 2.0 * first[k:].sum() + inner[k:, k:].sum() if m else n - p
    return out


def _by_dense_matrices(slopes: Slopes, directions: list[Direction], reml: bool) -> Array:
    """From W = L'Z'QZ L with G = L L': (I + A S)^-1 A in V^-1, which loses nothing where S is singular."""
    point = slopes.point
    equations = point.data.equations
    L = block_diag(*(_root(part) for part in equations.parts))
    A = L.T @ (equations.A @ L)
    S = block_diag(
        *(np.kron(np.eye(p.r), root.S) for p, root in zip(equations.parts, point.roots, strict=True))
    )
    W = np.linalg.solve(np.eye(len(A)) + A @ S, A)
    if reml:
        LZV = L.T @ point.ZV[:, :-1]
        W = W - LZV @ point.XVX_inverse @ LZV.T
    k = len(directions)
    out = np.zeros((k, k))
    for a, left in enumerate(equations.parts):
        for b, right in enumerate(equations.parts):
            q, s = left.term.q, right.term.q
            own = W[left.effects, right.effects].reshape(left.r, q, right.r, s)
            flat = own.transpose(1, 3, 0, 2).reshape(q * s, -1)
            F = (flat @ flat.T).reshape(q, s, q, s)
            D, E = (
                [np.zeros((w, w)) if (dS := d.S[i]) is None else dS for d in directions]
                for i, w in ((a, q), (b, s))
            )
            out += np.einsum("iab,acbd,jcd->ij", np.array(D), F, np.array(E), optimize=True)
    return np.asarray(0.5 * (out + out.T))


def _root(part: Part) -> Array:
    relationship, q = part.term.relationship, part.term.q
    L = np.eye(part.r)
    own = relationship.root_times(L) if isinstance(relationship, Precision) else L
    return np.asarray(np.kron(own, np.eye(q)))


def _by_differences(slopes: Slopes, directions: list[Direction], reml: bool) -> Array:
    """Minus the derivatives of exact slopes along v v', on which V may also move where S is singular.

    Those with v = e_i and v = e_i + e_j span all directions. One-sided, to the fourth order.
    """
    point = slopes.point
    k = len(directions)
    D = np.zeros((k, k))
    for a, (part, root) in enumerate(zip(point.data.equations.parts, point.roots, strict=True)):
        moves = np.array([np.zeros_like(root.S) if (dS := d.S[a]) is None else dS for d in directions])
        if not moves.any():
            continue
        nearest_pole = 1.0 / _largest_eigenvalue(point, part)
        inverse = np.linalg.pinv(root.S)
        for i, j in zip(*np.triu_indices(part.term.q), strict=True):
            v = np.zeros(part.term.q)
            v[[i, j]] = 1.0
            regular = bool(root.sizes.all())
            h = STEP * (nearest_pole + (1.0 / (v @ inverse @ v) if regular else 0.0)) / (v @ v)
            values = [along(slopes.logdet(reml), directions)]
            for step in h * np.arange(1.0, len(FORWARD)):
                roots = list(point.roots)
                roots[a] = Root.of(np.column_stack([root.exact, np.sqrt(step) * v]))
                moved = Slopes.at(Point.at(point.data, roots))
                values.append(along(moved.logdet(reml), directions))
            slope = FORWARD @ np.array(values) / h
            weight = moves[:, i, j] if i != j else 2.0 * moves[:, i, i] - moves[:, i].sum(axis=1)
            D -= np.outer(weight, slope)
    return np.asarray(0.5 * (D + D.T))


def _largest_eigenvalue(point: Point, part: Part) -> float:
    """Of G Z'Z of one part, roughly, by the power method; the slopes have poles at minus its inverse."""
    equations = point.data.equations
    A = equations.A[part.effects, part.effects]
    x = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(PURPOSE, 0))).normal(size=(A.shape[0], 1))
    size = 1.0
    for _ in range(POWERS):
        x = part.prior(np.asarray(A @ x).reshape(part.r, -1)).reshape(-1, 1)
        size = float(np.linalg.norm(x)) or 1.0
        x /= size
    return size
