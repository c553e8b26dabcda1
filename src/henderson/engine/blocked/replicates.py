"""One model for many responses at once, where one grouping factor has all random effects.

A loop over responses spends its time on calls, not on numbers. Here each of them has its own theta, and NumPy
runs over all responses and levels together. With the root P_i of a level's Z_i'Z_i = P_i P_i' and the effects
x_i = P_i^-1 Z_i'M that a column M has there alone, everything follows from the small M_i = I + P_i'S P_i:

    log|V| = sum log|M_i|,   Z_i'V^-1 Z_i = P_i M_i^-1 P_i',
    A'V^-1 B = A'B - sum x_i'x_i + sum x_i'M_i^-1 x_i

by Woodbury's identity, and no digits are lost where S is large or singular. The derivatives are those of
`system.Slopes` and, in closed form, of `curvature`: -tr(P V_i P V_j) and 2 y'P V_i P V_j P y with
P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1 (Searle, Casella & McCulloch 1992, Variance Components, section 6.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Diagonal, Unstructured
from henderson.engine.blocked.moment_engine import Basis
from henderson.engine.blocked.start import MomentEquations
from henderson.linalg.levelwise import cholesky, solve_lower
from henderson.model import ModelShape

Array = NDArray[np.float64]
#: Eigenvalues of a level's Z'Z below this part of the largest are rounding.
ROUNDING = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Estimates for k responses, each at its own theta.

    Attributes
    ----------
    beta : ndarray, (k, p)
    cov_beta : ndarray, (k, p, p)
    sigma2 : ndarray, (k,)
    criterion : ndarray, (k,)
        `Criterion.profiled`.
    """

    beta: Array
    cov_beta: Array
    sigma2: Array
    criterion: Array


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """What the levels of the grouping factor hold, each in a basis of its own.

    Attributes
    ----------
    P : ndarray, (q, q, l)
        Root of each level's Z'Z.
    x : ndarray, (q, p, l)
        P^-1 Z'Q, with Q the basis of the fixed effects.
    XX : ndarray, (p, p)
        Q'Q less the sum of x'x.
    """

    P: Array
    x: Array
    XX: Array

    @classmethod
    def of(cls, A: Array, ZQ: Array) -> Levels:
        """From Z'Z of each level (q, q, l) and Z'Q (p, q, l)."""
        values, vectors = np.linalg.eigh(A.transpose(2, 0, 1))
        root = np.sqrt(np.where(values > ROUNDING * values[:, -1:], values, 0.0))
        P = np.ascontiguousarray((vectors * root[:, None, :]).transpose(1, 2, 0))
        x = np.ascontiguousarray(_alone(P, ZQ).transpose(1, 0, 2))
        return cls(P, x, np.eye(x.shape[1]) - np.tensordot(x, x, axes=([0, 2], [0, 2])))


def _alone(P: Array, ZM: Array) -> Array:
    """P^-1 Z'M for Z'M (m, q, l): zero along directions that the level has no records in; (m, q, l)."""
    squares = np.einsum("qrl,qrl->rl", P, P)
    inverse = np.divide(1.0, squares, out=np.zeros_like(squares), where=squares > 0.0)
    return np.asarray(np.einsum("qrl,mql->mrl", P, ZM) * inverse)


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """k responses, each at its own T~; the second axis but one of large arrays is the response."""

    T: Array  # (k, q, q)
    F: Array  # (q, q, k, l): L^-1 P', with M = L L'
    columns: Array  # (q, p + 1, k, l): L^-1 [x, y]
    half: Array  # (k, p, p): L^-1, with Q'V^-1 Q = L L'
    beta: Array  # (k, p)
    logdet_v: Array  # (k,)
    logdet_x: Array  # (k,)
    pwrss: Array  # (k,)


class Replicates:
    """The model of an engine for k responses.

    Points are given in the free coordinates phi of the engine, one row for each response, together with the
    numbers of these responses.

    Parameters
    ----------
    shape : ModelShape
        A model with one grouping factor, terms that are unstructured or diagonal, and independent residuals.
    basis : Basis
        The bases of its designs; of the response only the log-weights are used.
    levels : Levels
    equations : MomentEquations
        Where the searches start from.
    ZY : ndarray, (k, q, l)
        Z'r with the least-squares residual r of each response.
    Qy : ndarray, (k, p)
        What the residual leaves out.
    rss : ndarray, (k,)
        r'r.
    """

    def __init__(
        self,
        shape: ModelShape,
        basis: Basis,
        levels: Levels,
        equations: MomentEquations,
        *,
        ZY: Array,
        Qy: Array,
        rss: Array,
    ) -> None:
        self._shape, self._basis, self._levels, self._equations = shape, basis, levels, equations
        self._ZY, self._Qy, self._rss = ZY, Qy, rss
        self._y = _alone(levels.P, ZY)
        self._Xy = -np.tensordot(self._y, levels.x, axes=([1, 2], [0, 2]))
        self._yy = rss - np.einsum("krl,krl->k", self._y, self._y)
        self._logdet_basis = 2.0 * float(np.log(np.abs(np.diag(basis.R))).sum())
        self._slopes = _slopes(shape, basis)

    def __len__(self) -> int:
        return self._rss.size

    @property
    def bounded(self) -> tuple[int, ...]:
        """Which of the coordinates have a bound, which is at zero."""
        pairs = zip(self._shape.terms, self._basis.scales, strict=True)
        links = [link for term, P in pairs for link in term.covariance.coordinates(P).links]
        return tuple(i for i, link in enumerate(links) if link.edges)

    def start(self) -> Array:
        """Where the search of each response starts, as `MomentEngine.start` has it; (k, n_theta)."""
        (S,) = self._equations.solve([self._ZY], self._rss)
        shape = self._shape
        out = np.empty((len(self), shape.n_theta))
        first = 0
        for term, P, part in zip(shape.terms, self._basis.scales, shape.theta_slices(), strict=True):
            own = slice(first, first + term.q)
            to_phi = np.linalg.inv(term.covariance.coordinates(P).M)
            factors = np.linalg.solve(P, np.linalg.cholesky(S[:, own, own]))
            out[:, part] = np.array([term.covariance.nearest(T) for T in factors]) @ to_phi.T
            first += term.q
        return out

    def criterion(self, phi: Array, which: NDArray[np.intp], *, reml: bool) -> Array:
        """`Criterion.profiled` of each response, (k,)."""
        return self._profiled(self._at(phi, which), reml)

    def derivatives(self, phi: Array, which: NDArray[np.intp], *, reml: bool) -> tuple[Array, Array, Array]:
        """`Criterion.profiled`, its gradient and its exact Hessian in phi: (k,), (k, t), (k, t, t)."""
        at = self._at(phi, which)
        scale = self._nu(reml) / at.pwrss
        k = which.size
        G = np.einsum("rakl,rckl->ackl", at.F, at.F)
        ZV = np.einsum("rakl,rmkl->amkl", at.F, at.columns)
        v = ZV[:, -1] - np.einsum("kp,apkl->akl", at.beta, ZV[:, :-1])
        # Z'V^-1 X in a basis in which X'V^-1 X is I
        X = np.matmul(at.half, ZV[:, :-1].transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
        N = np.einsum("apkl,cpkl->ackl", X, X)
        vv = v[:, None] * v[None]
        in_S = (G - reml * N - scale[:, None] * vv).sum(axis=3).transpose(2, 0, 1)
        pair = 2.0 * reml * N + 2.0 * scale[:, None] * vv - G
        # of dS: all of the Hessian is made of sums over levels of products of these
        crossed = _sums(G, pair).reshape((k, *G.shape[:2] * 2))
        joint = np.concatenate([X, v[:, None]], axis=1)
        joint = _sums(joint, joint).reshape((k, *joint.shape[:2] * 2))
        E, T = self._slopes, at.T
        dS = np.einsum("tab,kcb->ktac", E, T)
        dS = dS + dS.transpose(0, 1, 3, 2)
        turned = np.einsum("ktij,kjmni->ktmn", dS, crossed)
        H = np.einsum("ktmn,kumn->ktu", turned, dS)
        moved = np.einsum("ktij,kiajb->ktab", dS, joint)
        in_y = moved[:, :, :-1, -1]
        if reml:
            H -= np.einsum("ktab,kuab->ktu", moved[:, :, :-1, :-1], moved[:, :, :-1, :-1])
        H -= 2.0 * scale[:, None, None] * (in_y @ in_y.transpose(0, 2, 1))
        of_pwrss = moved[:, :, -1, -1] / at.pwrss[:, None]
        H -= self._nu(reml) * of_pwrss[:, :, None] * of_pwrss[:, None, :]
        H += 2.0 * np.tensordot(np.tensordot(in_S, E, axes=(2, 1)), E, axes=([1, 3], [1, 2]))
        gradient = np.einsum("ktab,kab->kt", dS, in_S)
        return self._profiled(at, reml), gradient, H

    def solution(self, phi: Array, which: NDArray[np.intp], *, reml: bool) -> Estimates:
        """Estimates of the fixed effects and of the residual variance."""
        at = self._at(phi, which)
        R_inverse = np.linalg.inv(self._basis.R)
        sigma2 = at.pwrss / self._nu(reml)
        cov_beta = R_inverse @ (at.half.transpose(0, 2, 1) @ at.half) @ R_inverse.T
        return Estimates(
            beta=(self._Qy[which] + at.beta) @ R_inverse.T,
            cov_beta=sigma2[:, None, None] * cov_beta,
            sigma2=sigma2,
            criterion=self._profiled(at, reml),
        )

    def _nu(self, reml: bool) -> int:
        return self._shape.n - self._shape.p if reml else self._shape.n

    def _profiled(self, at: _Point, reml: bool) -> Array:
        nu = self._nu(reml)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_sigma2 = np.log(2.0 * np.pi * at.pwrss / nu)
        value = at.logdet_v + reml * at.logdet_x + nu * (1.0 + log_sigma2) - self._basis.log_weights
        return np.where(at.pwrss > 0.0, value, np.inf)

    def _at(self, phi: Array, which: NDArray[np.intp]) -> _Point:
        P, x = self._levels.P, self._levels.x
        k, (q, p, l) = which.size, x.shape
        T = np.tensordot(phi, self._slopes, axes=1)
        TP = (T.transpose(2, 0, 1).reshape(q * k, q) @ P.reshape(q, q * l)).reshape(q, k, q, l)
        M = np.einsum("jkrl,jksl->rskl", TP, TP)
        M[np.arange(q), np.arange(q)] += 1.0
        right = np.empty((q, q + p + 1, k, l))
        right[:, :q] = P.transpose(1, 0, 2)[:, :, None]
        right[:, q:-1] = x[:, :, None]
        right[:, -1] = self._y[which].transpose(1, 0, 2)
        L = cholesky(M.reshape(q, q, k * l))
        done = solve_lower(L, right.reshape(q, q + p + 1, k * l)).reshape(right.shape)
        columns = done[:, q:]
        gram = np.empty((k, p + 1, p + 1))
        gram[:, :p, :p] = self._levels.XX
        gram[:, :p, p] = gram[:, p, :p] = self._Xy[which]
        gram[:, p, p] = self._yy[which]
        for c in columns:
            gram += _sums(c[None], c[None])
        half = _inverse_roots(gram[:, :p, :p])
        y = np.einsum("kab,kb->ka", half, gram[:, :p, p])
        return _Point(
            T=T,
            F=done[:, :q],
            columns=columns,
            half=half,
            beta=np.einsum("kba,kb->ka", half, y),
            logdet_v=2.0 * np.log(L[np.arange(q), np.arange(q)]).reshape(q, k, l).sum(axis=(0, 2)),
            logdet_x=self._logdet_basis - 2.0 * np.log(np.einsum("kpp->kp", half)).sum(axis=1),
            pwrss=gram[:, p, p] - np.einsum("kp,kp->k", y, y),
        )


def _inverse_roots(A: Array) -> Array:
    """L^-1 with A = L L' of each matrix (k, p, p); NaN where rounding has left one that is not positive."""
    try:
        return np.asarray(np.linalg.inv(np.linalg.cholesky(A)))
    except np.linalg.LinAlgError:
        if len(A) > 1:
            return np.concatenate([_inverse_roots(a[None]) for a in A])
        return np.full_like(A, np.nan)


def _sums(a: Array, b: Array) -> Array:
    """Sums over levels of the products of all elements of a (i, j, k, l) and b: (k, i j, i j)."""
    k, l = a.shape[2:]
    left, right = (m.reshape(m.shape[0] * m.shape[1], k, l).transpose(1, 0, 2) for m in (a, b))
    return np.asarray(left @ right.transpose(0, 2, 1))


def has_linear_factors(shape: ModelShape) -> bool:
    """Whether T is linear in theta."""
    return all(isinstance(term.covariance, Unstructured | Diagonal) for term in shape.terms)


def _slopes(shape: ModelShape, basis: Basis) -> Array:
    """Slopes of the T~ of all terms in phi, (n_theta, q, q)."""
    parts: Sequence[Array] = [
        P @ np.array([term.covariance.factor(theta) for theta in term.covariance.coordinates(P).M.T])
        for term, P in zip(shape.terms, basis.scales, strict=True)
    ]
    out = np.zeros((sum(len(p) for p in parts), *[sum(p.shape[1] for p in parts)] * 2))
    row = at = 0
    for part in parts:
        k, q, _ = part.shape
        out[row : row + k, at : at + q, at : at + q] = part
        row, at = row + k, at + q
    return out
