"""The dense rest of the system, and how a level's effects are conditioned on its records."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from henderson.engine.blocked.plan import CorePlaces, Index, Plan
from henderson.linalg import levelwise
from henderson.linalg.levelwise import Array, multiply

#: Above this many multiplications the fill of the core is summed pair by pair in compiled code.
DENSE_FILL = 20_000_000
#: Above this size compiled code mirrors triangles.
DENSE_MIRROR = 300
#: Size of the imaginary part that carries a derivative.
STEP = 1e-40
#: Below this a diagonal of T is too small to divide by.
SMALL_T = 1e-3


def condition(
    A: Array, T: NDArray[np.float64], dS: NDArray[np.float64] | None
) -> tuple[Array, Array, complex]:
    """C0 = (S^-1 + A)^-1, J = I - A C0 and log|I + A S| of each level, with S = T T'.

    Parameters
    ----------
    A : ndarray, (q, q, l)
        Cross-products of each level; complex when they carry a derivative.
    T : ndarray, (q, q)
        Factor of S, possibly singular.
    dS : ndarray, (q, q), or None
        Direction in S, to be carried along.
    """
    q = T.shape[0]
    a = A.real if np.iscomplexobj(A) else A
    if q == 1:
        omega = T[0, 0] ** 2 * a + 1.0
        C0, J = T[0, 0] ** 2 / omega, 1.0 / omega
        log = float(np.log(omega).sum())
    else:
        omega = np.matmul(T.T, (T.T @ a.reshape(q, -1)).reshape(a.shape))
        omega[np.arange(q), np.arange(q)] += 1.0
        L = levelwise.cholesky(omega)
        half = levelwise.solve_lower(L, T.T[:, :, None])
        C0 = multiply(half.transpose(1, 0, 2), half)
        J = np.eye(q)[:, :, None] - multiply(a, C0)
        log = 2.0 * float(np.log(L[np.arange(q), np.arange(q)]).sum())
    if dS is None and not np.iscomplexobj(A):
        return C0, J, log
    dA = A.imag if np.iscomplexobj(A) else np.zeros_like(a)
    dC = -multiply(multiply(C0, dA), C0)
    dlog = float((C0 * dA.swapaxes(0, 1)).sum())
    if dS is not None:
        left = np.einsum("bal,bc->acl", J, STEP * dS)
        dC = dC + multiply(left, J)
        dlog += float(np.einsum("bal,abl->", left, a))
    dJ = -multiply(dA, C0) - multiply(a, dC)
    return C0 + 1j * dC, J + 1j * dJ, log + 1j * dlog


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """The dense block of all crossed factors but the chain, given its chain.

    Attributes
    ----------
    A : ndarray, (N, N)
        Z_c'V_chain^-1 Z_c.
    C : ndarray, (N, N)
        (S^-1 + A)^-1.
    T : tuple of ndarray
        Factor of S of each core block.
    logdet : complex
        log|I + A S|.
    """

    A: Array
    C: Array
    T: tuple[NDArray[np.float64], ...]
    logdet: complex

    def spread(self, plan: Plan) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Within-level blocks of C, (q, q, l), and the sum of those of A - A C A, (q, q)."""
        C_blocks, G = [], []
        for u, (block, T) in enumerate(zip(plan.core, self.T, strict=True)):
            l, q = block.l, block.q
            own = slice(plan.offsets[u], plan.offsets[u + 1])
            effect = plan.core_effects(u)
            within = self.C[effect[:, None], effect[None, :]]
            C_blocks.append(within)
            if not np.iscomplexobj(self.C) and np.abs(np.diag(T)).min() > SMALL_T:
                # T'(A - A C A)T = I - Omega^-1
                inverse = np.linalg.inv(T)
                G.append(inverse.T @ (l * np.eye(q) - inverse @ within.sum(axis=2) @ inverse.T) @ inverse)
            else:
                rows = self.A[own]
                taken = rows @ self.C
                A_sum = self.A[effect[:, None], effect[None, :]].sum(axis=2)
                G.append(A_sum - taken.reshape(q, -1) @ rows.reshape(q, -1).T)
        return tuple(C_blocks), tuple(G)


def factor_core(
    plan: Plan,
    A: Array,
    T: tuple[NDArray[np.float64], ...],
    dS: tuple[NDArray[np.float64] | None, ...],
) -> Core:
    """Condition the core on its records; only the lower triangle of A need be right; A is overwritten."""
    N = plan.n_core
    if N == 0:
        empty = np.zeros((0, 0))
        return Core(empty, empty, (), 0.0)
    a = mirror(np.ascontiguousarray(A.real))
    omega = _congruence(plan, T, a.copy())
    omega[np.diag_indices(N)] += 1.0
    inverse, log = _inverse(omega)
    C = _congruence(plan, tuple(t.T for t in T), inverse)
    if not np.iscomplexobj(A) and all(d is None for d in dS):
        return Core(a, C, T, log)
    dA = mirror(np.ascontiguousarray(A.imag)) if np.iscomplexobj(A) else np.zeros_like(a)
    J = np.eye(N) - a @ C
    dC = -C @ dA @ C
    dlog = float((C * dA).sum())
    if any(d is not None and d.any() for d in dS):
        step = np.zeros_like(J)
        for block, start, d in zip(plan.core, plan.offsets[:-1], dS, strict=True):
            if d is not None:
                own = slice(start, start + block.l * block.q)
                step[own] = (STEP * d @ J[own].reshape(block.q, -1)).reshape(-1, N)
        dC += J.T @ step
        dlog += float((step * a).sum())
    return Core(a + 1j * dA, C + 1j * dC, T, log + 1j * dlog)


def fill_core(core: Array, places: CorePlaces, C0: Array, fill: Array) -> Array:
    """Core cross-products once a chain block is eliminated; right in the lower triangle."""
    W = np.einsum("abp,bp->ap", C0[:, :, places.row], fill)
    if _is_small(core, C0.shape[0], C0.shape[2]):
        wide = _widen(places, fill, core.shape[0], C0.shape[2])
        return np.asarray(core - _widen(places, W, core.shape[0], C0.shape[2]) @ wide.T)
    from henderson.linalg.scatter import subtract_products

    out = core.astype(np.result_type(core, W))
    subtract_products(out, *_index(places), W, fill.astype(W.dtype, copy=False))
    return out


def gather_core(C: Array, places: CorePlaces, fill: Array) -> Array:
    """Sum over the places of a level of fill C, at each of its places; shape (q, nnz)."""
    levels = places.indptr.size - 1
    if _is_small(C, fill.shape[0], levels):
        wide = C @ _widen(places, fill, C.shape[0], levels)
        effect = np.arange(fill.shape[0])[:, None]
        return np.asarray(wide[places.column, effect * levels + places.row])
    from henderson.linalg.scatter import gather_products

    return np.asarray(gather_products(C, *_index(places), fill.astype(C.dtype, copy=False)))


def quadratic_core(C: Array, places: CorePlaces, fill: Array) -> Array:
    """Sum over pairs of places of a level of fill C fill', for each level; shape (q, q, l)."""
    levels = places.indptr.size - 1
    if _is_small(C, fill.shape[0], levels):
        q = fill.shape[0]
        wide = _widen(places, fill, C.shape[0], levels)
        halves = wide.reshape(-1, q, levels), (C @ wide).reshape(-1, q, levels)
        return np.asarray(np.einsum("nal,nbl->abl", *halves))
    from henderson.linalg.scatter import quadratic_forms

    half = quadratic_forms(C, *_index(places), fill.astype(C.dtype, copy=False))
    return np.asarray(half + half.transpose(1, 0, 2))


def mirror(A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Copy the lower triangle of A to the upper one, in place."""
    if A.shape[0] <= DENSE_MIRROR:
        np.copyto(A, A.T, where=_above_diagonal(A.shape[0]))
        return A
    from henderson.linalg.scatter import mirror_lower

    mirror_lower(A)
    return A


@cache
def _above_diagonal(n: int) -> NDArray[np.bool_]:
    return ~np.tri(n, dtype=np.bool_)


def _index(places: CorePlaces) -> tuple[Index, Index, Index, Index]:
    return places.indptr, places.column, places.row, places.by_column


def _is_small(core: Array, q: int, levels: int) -> bool:
    """Whether products with the widened places are cheap."""
    return bool(core.shape[0] ** 2 * q * levels <= DENSE_FILL)


def _widen(places: CorePlaces, values: Array, n_core: int, levels: int) -> Array:
    """Places as a dense (N, q l) matrix."""
    q = values.shape[0]
    wide = np.zeros((n_core, q * levels), dtype=values.dtype)
    wide[places.column, np.arange(q)[:, None] * levels + places.row] = values
    return wide


def _congruence(
    plan: Plan, T: tuple[NDArray[np.float64], ...], A: NDArray[np.float64]
) -> NDArray[np.float64]:
    """T'A T, with T repeated for each level of each core block; A is overwritten.

    T is triangular, so that each part can be overwritten once those that need it are done.
    """
    for block, start, t in zip(plan.core, plan.offsets[:-1], T, strict=True):
        parts = [slice(start + a * block.l, start + (a + 1) * block.l) for a in range(block.q)]
        order = reversed(range(block.q)) if np.triu(t, 1).any() else range(block.q)
        for a in order:
            for side in (A, A.T):
                side[parts[a]] *= t[a, a]
            for b in range(block.q):
                if b != a and t[b, a] != 0.0:
                    for side in (A, A.T):
                        side[parts[a]] += t[b, a] * side[parts[b]]
    return A


def _inverse(omega: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Inverse and log-determinant of a symmetric positive definite matrix, which is overwritten."""
    from scipy.linalg.lapack import dpotrf, dpotri

    # The transpose of a C-ordered array is Fortran-ordered: LAPACK then works in place.
    factor, info = dpotrf(omega.T, lower=0, clean=0, overwrite_a=1)
    if info:
        raise FloatingPointError(f"the penalised cross-products lost positive definiteness at effect {info}")
    log = 2.0 * float(np.log(np.diag(factor)).sum())
    inverse, _ = dpotri(factor, lower=0, overwrite_c=1)
    return mirror(inverse.T), log
