"""Where to start the search: variance components by the method of moments.

Every level's effects are estimated alone, b_i = (Z_i'Z_i + I)^-1 Z_i'r from the least-squares residual r of
the response; the sums of b_i b_i' over the levels of each factor and r'r are set equal to their
expectations, which are linear in the variance components. This is MINQUE (Rao 1972, J. Am. Stat. Assoc.
67:112) with the other factors left out of the weights, so that one pass over the cross-products suffices.
"""

from __future__ import annotations

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


def moment_start(
    plan: Plan, random: RandomMoments, columns: ColumnMoments, rss: float, df: int
) -> tuple[Array, ...]:
    """S~ of each block of the plan, relative to sigma^2; positive definite.

    Parameters
    ----------
    plan, random, columns
        The model; the last of the columns is the least-squares residual of the response.
    rss : float
        Its sum of squares.
    df : int
        Its degrees of freedom, n - p.
    """
    effects = [plan.core_effects(u) for u in range(len(plan.core))]
    A = [*random.diagonal, *(random.core[e[:, None], e[None, :]] for e in effects)]
    C = [*columns.chain, *(columns.core[:, e] for e in effects)]
    # the level stays the fastest axis in memory
    H = [
        np.ascontiguousarray(np.linalg.inv(a.transpose(2, 0, 1) + np.eye(len(a))).transpose(1, 2, 0))
        for a in A
    ]
    unknowns = [(k, i, j) for k, b in enumerate(plan.blocks) for j in range(b.q) for i in range(j, b.q)]
    size = len(unknowns) + 1
    M, right = np.zeros((size, size)), np.zeros(size)
    # Z_i'(I - Q Q')Z_i of each level: what is left of its design beside the fixed effects
    left = [a - np.einsum("mal,mbl->abl", c[:-1], c[:-1]) for a, c in zip(A, C, strict=True)]
    for x, (k, i, j) in enumerate(unknowns):
        b = np.einsum("abl,bl->al", H[k], C[k][-1])
        right[x] = b[i] @ b[j]
        M[x, -1] = multiply(multiply(H[k], left[k]), H[k])[i, j].sum()
        M[-1, x] = left[k][i, j].sum() * (1.0 if i == j else 2.0)
    right[-1], M[-1, -1] = rss, df
    for (k, t), W in _spreads(plan, random, A, H, [c[:-1] for c in C]).items():
        for x, (kx, i, j) in enumerate(unknowns):
            for y, (ky, c, d) in enumerate(unknowns):
                if (kx, ky) == (k, t):
                    M[x, y] += W[i, j, c, d] + (W[i, j, d, c] if c != d else 0.0)
    scale = np.sqrt(np.abs(np.diag(M)))
    scale[scale == 0.0] = 1.0
    v = np.linalg.lstsq(M / np.outer(scale, scale), right / scale, rcond=1e-8)[0] / scale
    sigma2 = max(float(v[-1]), LEAST_RESIDUAL * rss / df)
    out = tuple(np.zeros((b.q, b.q)) for b in plan.blocks)
    for value, (k, i, j) in zip(v, unknowns, strict=False):
        out[k][i, j] = out[k][j, i] = value / sigma2
    return tuple(_between(S) for S in out)


def _between(S: Array) -> Array:
    w, V = np.linalg.eigh(S)
    return np.asarray((V * np.clip(w, SMALLEST, LARGEST)) @ V.T)


def _spreads(
    plan: Plan, random: RandomMoments, A: list[Array], H: list[Array], Q: list[Array]
) -> dict[tuple[int, int], Array]:
    """W[a, b, c, d] = sum over all pairs of levels i, j of B[a, c] B[b, d], by pair of blocks.

    B = H_i Z_i'(I - Q Q')Z_j: a sparse part, where the levels meet, less one of rank p.
    """
    n_chain = len(plan.chain)
    HQ = [np.einsum("abl,mbl->mal", h, q) for h, q in zip(H, Q, strict=True)]
    every = [np.arange(b.l) for b in plan.blocks]
    out: dict[tuple[int, int], Array] = {}

    def add(k: int, t: int, R: Array, of_k: Index, of_t: Index) -> None:
        """R (q_k, q_t, pairs) is Z_i'Z_j where level of_k of block k meets level of_t of block t."""
        for x, y, Z, at_x, at_y in ((k, t, R, of_k, of_t), (t, k, R.transpose(1, 0, 2), of_t, of_k)):
            B = multiply(H[x][:, :, at_x], Z)
            N = np.zeros_like(B)
            for hq, q in zip(HQ[x], Q[y], strict=True):
                N += hq[:, None, at_x] * q[None, :, at_y]
            cross = _outer(B, N)
            G, K = _outer_columns(HQ[x]), _outer_columns(Q[y])
            full = np.einsum("manb,mcnd->abcd", G, K)
            out[x, y] = _outer(B, B) - cross - cross.transpose(1, 0, 3, 2) + full

    for k in range(len(plan.blocks)):
        add(k, k, A[k], every[k], every[k])
    for (k, t), R in random.cross.items():
        add(k, t, R.transpose(1, 0, 2), every[k], plan.parent[k, t])
    for k, where in enumerate(plan.places):
        for u, group in enumerate(where.group):
            level = (where.column[group[0]] - plan.offsets[u]) % plan.core[u].l
            add(k, n_chain + u, random.places[k][:, group], where.row[group[0]], level)
    for u, b in enumerate(plan.core):
        for v, c in enumerate(plan.core[:u]):
            own = random.core[plan.offsets[u] : plan.offsets[u + 1], plan.offsets[v] : plan.offsets[v + 1]]
            by_level = own.reshape(b.q, b.l, c.q, c.l)
            i, j = np.nonzero(by_level.any(axis=(0, 2)))
            add(n_chain + u, n_chain + v, by_level[:, i, :, j].transpose(1, 2, 0), i, j)
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
