"""Where to start the search: variance components by the method of moments.

Every level's effects are estimated alone, b_i = (Z_i'Z_i + I)^-1 Z_i'r from the least-squares residual r of
the response; the sums of b_i b_i' over the levels of each factor and r'r are set equal to their
expectations, which are linear in the variance components. This is MINQUE (Rao 1972, J. Am. Stat. Assoc.
67:112) with the other factors left out of the weights, so that one pass over the cross-products suffices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.engine.blocked.moments import ColumnMoments, RandomMoments
from henderson.engine.blocked.plan import Index, Plan
from henderson.linalg.levelwise import multiply

Array = NDArray[np.float64]
#: Relative covariances are kept between these eigenvalues, in the orthonormal basis of the design.
SMALLEST, LARGEST = 1e-2, 1e4
#: The residual takes at least this part of the mean square.
LEAST_RESIDUAL = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class MomentEquations:
    """The equations for the variance components of one design; they serve any response.

    Attributes
    ----------
    H : tuple of ndarray, (q, q, l) per block of the plan
        (Z_i'Z_i + I)^-1 of each level.
    unknowns : tuple of (int, int, int)
        Block, row and column of each component; the residual variance comes after them.
    scale : ndarray, (k + 1,)
        Root of the diagonal of the matrix of the equations.
    solver : ndarray, (k + 1, k + 1)
        Pseudoinverse of that matrix, scaled to a unit diagonal.
    """

    H: tuple[Array, ...]
    unknowns: tuple[tuple[int, int, int], ...]
    scale: Array
    solver: Array

    @classmethod
    def of(cls, plan: Plan, random: RandomMoments, columns: ColumnMoments, df: int) -> MomentEquations:
        """Set the equations up; ``df`` is n - p."""
        A, C = _in_blocks(plan, random, columns)
        # the level stays the fastest axis in memory
        H = tuple(
            np.ascontiguousarray(np.linalg.inv(a.transpose(2, 0, 1) + np.eye(len(a))).transpose(1, 2, 0))
            for a in A
        )
        unknowns = tuple(
            (k, i, j) for k, b in enumerate(plan.blocks) for j in range(b.q) for i in range(j, b.q)
        )
        M = np.zeros((len(unknowns) + 1, len(unknowns) + 1))
        # Z_i'(I - Q Q')Z_i of each level: what is left of its design beside the fixed effects
        left = [a - np.einsum("mal,mbl->abl", c[:-1], c[:-1]) for a, c in zip(A, C, strict=True)]
        in_residual = [a.sum(axis=2) for a in left]
        of_residual = [multiply(multiply(h, a), h).sum(axis=2) for h, a in zip(H, left, strict=True)]
        for x, (k, i, j) in enumerate(unknowns):
            M[x, -1] = of_residual[k][i, j]
            M[-1, x] = in_residual[k][i, j] * (1.0 if i == j else 2.0)
        M[-1, -1] = df
        spreads = _spreads(plan, random, A, H, [c[:-1] for c in C])
        for x, (k, i, j) in enumerate(unknowns):
            for y, (t, c, d) in enumerate(unknowns):
                W = spreads[k, t]
                M[x, y] = W[i, j, c, d] + (W[i, j, d, c] if c != d else 0.0)
        scale = np.sqrt(np.abs(np.diag(M)))
        scale[scale == 0.0] = 1.0
        return cls(H, unknowns, scale, _pseudoinverse(M / np.outer(scale, scale)))

    def solve(self, ZY: Sequence[Array], rss: Array) -> tuple[Array, ...]:
        """S~ of each block of the plan for k responses, relative to sigma^2; positive definite.

        Parameters
        ----------
        ZY : sequence of ndarray, (k, q, l) per block
            Z'r of the least-squares residual r of each response.
        rss : ndarray, (k,)
            r'r.

        Returns
        -------
        tuple of ndarray, (k, q, q) per block
        """
        b = [np.einsum("abl,kbl->kal", H, r) for H, r in zip(self.H, ZY, strict=True)]
        squares = [np.einsum("kl,kl->k", b[t][:, i], b[t][:, j]) for t, i, j in self.unknowns]
        right = np.column_stack([*squares, rss])
        v = (right / self.scale) @ self.solver.T / self.scale
        sigma2 = np.maximum(v[:, -1], LEAST_RESIDUAL * rss / self.scale[-1] ** 2)
        out = tuple(np.zeros((rss.size, *H.shape[:2])) for H in self.H)
        for value, (t, i, j) in zip(v.T, self.unknowns, strict=False):
            out[t][:, i, j] = out[t][:, j, i] = value / sigma2
        return tuple(_between(S) for S in out)


def last_column(plan: Plan, columns: ColumnMoments) -> list[Array]:
    """Z'r of each block, (1, q, l), where the last of the columns is r."""
    effects = [plan.core_effects(u) for u in range(len(plan.core))]
    return [*(c[-1:] for c in columns.chain), *(columns.core[-1:, e] for e in effects)]


def _in_blocks(plan: Plan, random: RandomMoments, columns: ColumnMoments) -> tuple[list[Array], list[Array]]:
    """Z_i'Z_i (q, q, l) and Z_i'[Q y] (p + 1, q, l) of each block."""
    effects = [plan.core_effects(u) for u in range(len(plan.core))]
    A = [*random.diagonal, *(random.core[e[:, None], e[None, :]] for e in effects)]
    return A, [*columns.chain, *(columns.core[:, e] for e in effects)]


def _pseudoinverse(M: Array) -> Array:
    U, s, Vt = np.linalg.svd(M)
    rank = int((s > 1e-8 * s[0]).sum())
    return np.asarray((Vt[:rank].T / s[:rank]) @ U[:, :rank].T)


def _between(S: Array) -> Array:
    w, V = np.linalg.eigh(S)
    return np.asarray((V * np.clip(w, SMALLEST, LARGEST)[:, None]) @ V.transpose(0, 2, 1))


def _spreads(
    plan: Plan, random: RandomMoments, A: Sequence[Array], H: Sequence[Array], Q: Sequence[Array]
) -> dict[tuple[int, int], Array]:
    """W[a, b, c, d] = sum over all pairs of levels i, j of B[a, c] B[b, d], by pair of blocks.

    B = H_i Z_i'(I - Q Q')Z_j: a sparse part, where the levels meet, less one of rank p.
    """
    n_chain = len(plan.chain)
    HQ = [np.einsum("abl,mbl->mal", h, q) for h, q in zip(H, Q, strict=True)]
    G, K = [_outer_columns(hq) for hq in HQ], [_outer_columns(q) for q in Q]
    every = slice(None)
    out: dict[tuple[int, int], Array] = {}

    def add(x: int, y: int, R: Array, at_x: Index | slice, at_y: Index | slice) -> None:
        """R (q_x, q_y, pairs) is Z_i'Z_j where level at_x of block x meets level at_y of block y."""
        B = multiply(H[x][:, :, at_x], R)
        N = np.zeros_like(B)
        for hq, q in zip(HQ[x], Q[y], strict=True):
            N += hq[:, None, at_x] * q[None, :, at_y]
        cross = _outer(B, N)
        full = np.einsum("manb,mcnd->abcd", G[x], K[y])
        out[x, y] = _outer(B, B) - cross - cross.transpose(1, 0, 3, 2) + full

    def add_both(k: int, t: int, R: Array, of_k: Index | slice, of_t: Index) -> None:
        add(k, t, R, of_k, of_t)
        add(t, k, R.transpose(1, 0, 2), of_t, of_k)

    for k in range(len(plan.blocks)):
        add(k, k, A[k], every, every)
    for (k, t), R in random.cross.items():
        add_both(k, t, R.transpose(1, 0, 2), every, plan.parent[k, t])
    for k, where in enumerate(plan.places):
        for u, group in enumerate(where.group):
            level = (where.column[group[0]] - plan.offsets[u]) % plan.core[u].l
            add_both(k, n_chain + u, random.places[k][:, group], where.row[group[0]], level)
    for u, b in enumerate(plan.core):
        for v, c in enumerate(plan.core[:u]):
            own = random.core[plan.offsets[u] : plan.offsets[u + 1], plan.offsets[v] : plan.offsets[v + 1]]
            by_level = own.reshape(b.q, b.l, c.q, c.l)
            i, j = np.nonzero(by_level.any(axis=(0, 2)))
            add_both(n_chain + u, n_chain + v, by_level[:, i, :, j].transpose(1, 2, 0), i, j)
    return out


def _outer(B: Array, N: Array) -> Array:
    """Sum over pairs of B[a, c] N[b, d], as [a, b, c, d]."""
    q, p, _ = B.shape
    flat = B.reshape(q * p, -1) @ N.reshape(q * p, -1).T
    return np.asarray(flat.reshape(q, p, q, p).transpose(0, 2, 1, 3))


def _outer_columns(U: Array) -> Array:
    """Sum over levels of U[m, a] U[n, b], as [m, a, n, b]; U (p, q, l)."""
    p, q, l = U.shape
    flat = U.reshape(p * q, l)
    return np.asarray((flat @ flat.T).reshape(p, q, p, q))
