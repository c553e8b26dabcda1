"""The penalised least-squares system of the random effects, eliminated block by block.

With S = T T' per level, Omega = T'(Z'Z)T + I and V = I + Z S Z', this module gives log|V|, solves
with V, and the blocks of Z'V^-1 Z that gradients need, without ever forming V: Bates et al. (2015),
J. Stat. Softw. 67(1), eqs. (18)-(31), in the blocked order of `plan`.

Every quantity except C0 = T Omega^-1 T' = (S^-1 + A)^-1 is a rational function of S alone, so the derivative
in a direction dS follows by carrying it as the imaginary part of complex arrays (complex step):
exact to rounding, and defined where S is singular.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from henderson.engine.blocked.core import Core, condition, factor_core, fill_core, gather_core, quadratic_core
from henderson.engine.blocked.moments import ColumnMoments, RandomMoments
from henderson.engine.blocked.plan import Plan
from henderson.linalg.levelwise import Array, multiply, segment_sum

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One eliminated chain block: what its levels hold once the blocks before it are gone.

    Attributes
    ----------
    A : ndarray, (q, q, l)
        Z_k'V_{<k}^-1 Z_k of each level.
    C0 : ndarray, (q, q, l)
        (S^-1 + A)^-1, the conditional covariance of the level's effects.
    J : ndarray, (q, q, l)
        I - A C0 = (I + A S)^-1.
    up : dict of ndarray, (q_t, q, l)
        Z_t'V_{<k}^-1 Z_k for each chain block t above, at the parent level.
    fill : ndarray, (q, nnz), or None
        Z_k'V_{<k}^-1 Z_core at the places.
    """

    A: Array
    C0: Array
    J: Array
    up: dict[int, Array]
    fill: Array | None


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """V^-1 applied to m columns, seen from the random effects.

    Attributes
    ----------
    b : tuple of ndarray, (m, q, l) per block of the plan
        S Z'V^-1 M: the effects that the columns predict.
    ZVM : tuple of ndarray, (m, q, l) per block
        Z'V^-1 M.
    """

    b: tuple[Array, ...]
    ZVM: tuple[Array, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """Eliminated system at one S; see `factorise`."""

    plan: Plan
    stages: tuple[Stage, ...]
    core: Core
    logdet: complex

    def reduce(self, M: ColumnMoments) -> tuple[tuple[Array, ...], Array]:
        """Forward elimination of columns: their Z_k'V_{<k}^-1 M at each block's turn."""
        chain = list(M.chain)
        core = M.core
        for k, stage in enumerate(self.stages):
            E = chain[k]
            W = np.einsum("abl,mbl->mal", stage.C0, E)
            for t, R in stage.up.items():
                moved = np.einsum("cal,mal->mcl", R, W)
                chain[t] = chain[t] - segment_sum(moved, self.plan.parent[k, t], chain[t].shape[2])
            if stage.fill is not None:
                where = self.plan.places[k]
                moved = np.einsum("ap,map->mp", stage.fill, W[:, :, where.row])
                core = core - where.sum_by_effect(moved)
        return tuple(chain), core

    def gram(self, left: tuple[tuple[Array, ...], Array], right: tuple[tuple[Array, ...], Array]) -> Array:
        """M'Z (Z'Z + S^-1)^-1 Z'N from reduced columns: what V^-1 takes away from M'N."""
        m = left[1].shape[0], right[1].shape[0]
        total = left[1] @ self.core.C @ right[1].T if self.plan.n_core else np.zeros(m)
        for stage, a, b in zip(self.stages, left[0], right[0], strict=True):
            W = np.einsum("abl,mbl->mal", stage.C0, b)
            total = total + a.reshape(a.shape[0], -1) @ W.reshape(W.shape[0], -1).T
        return np.asarray(total)

    def solve(self, reduced: tuple[tuple[Array, ...], Array]) -> Solved:
        """Back-substitution of reduced columns."""
        chain, core_rhs = reduced
        core_b = core_rhs @ self.core.C
        b: list[Array] = [np.empty(0)] * len(chain)
        ZVM: list[Array] = [np.empty(0)] * len(chain)
        for k in reversed(range(len(chain))):
            stage, r = self.stages[k], chain[k]
            for t, R in stage.up.items():
                r = r - np.einsum("cal,mcl->mal", R, b[t][:, :, self.plan.parent[k, t]])
            if stage.fill is not None:
                where = self.plan.places[k]
                taken = stage.fill[None] * core_b[:, None, where.column]
                r = r - where.sum_by_level(taken)
            b[k] = np.einsum("abl,mbl->mal", stage.C0, r)
            ZVM[k] = np.einsum("abl,mbl->mal", stage.J, r)
        core_z = core_rhs - core_b @ self.core.A
        return Solved(
            (*b, *self._core_blocks(core_b)),
            (*ZVM, *self._core_blocks(core_z)),
        )

    def _core_blocks(self, values: Array) -> list[Array]:
        m = values.shape[0]
        return [
            values[:, s:e].reshape(m, block.q, block.l)
            for block, s, e in zip(self.plan.core, self.plan.offsets[:-1], self.plan.offsets[1:], strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Posterior covariance C = (Z'Z + S^-1)^-1 of the effects, and Z'V^-1 Z, within levels.

    Attributes
    ----------
    C : tuple of ndarray, (q, q, l) per block of the plan
        Conditional covariance of each level's effects, relative to sigma^2.
    G : tuple of ndarray, (q, q) per block
        Sum over the levels of their diagonal blocks of Z'V^-1 Z: d log|V| / d S.
    across : dict of ndarray, (q_k, q_t, l_k)
        C between each level of chain block k and its parent in chain block t.
    across_core : tuple of ndarray, (q_k, nnz_k) per chain block but the first
        C between the levels and the core effects that they meet, at the places.
    """

    C: tuple[Array, ...]
    G: tuple[Array, ...]
    across: dict[Pair, Array]
    across_core: tuple[Array, ...]


def factorise(
    plan: Plan,
    moments: RandomMoments,
    T: tuple[Array, ...],
    direction: tuple[Array | None, ...] | None = None,
) -> Factor:
    """Eliminate all blocks at the relative covariance factors T, one (q, q) per block of the plan.

    With a ``direction`` dS (one symmetric (q, q) per block) every array of the result carries its
    derivative in that direction as ``imag / STEP``.
    """
    n_chain = len(plan.chain)
    dS: tuple[Array | None, ...] = (None,) * len(T) if direction is None else direction
    A: list[Array] = list(moments.diagonal)
    up: dict[Pair, Array] = dict(moments.cross)
    fill: list[Array] = list(moments.places)
    core_A: Array = moments.core
    logdet: complex = 0.0
    stages = []
    for k in range(n_chain):
        C0, J, log = condition(A[k], T[k], dS[k])
        logdet += log
        ups = {t: up[k, t] for t in range(k + 1, n_chain)}
        stage = Stage(A[k], C0, J, ups, fill[k] if plan.core else None)
        stages.append(stage)
        for t, R in ups.items():
            parent = plan.parent[k, t]
            W = multiply(R, C0)
            A[t] = A[t] - segment_sum(np.einsum("cal,dal->cdl", W, R), parent, plan.chain[t].l)
            for u in range(t + 1, n_chain):
                moved = np.einsum("cal,dal->cdl", ups[u], W)
                up[t, u] = up[t, u] - segment_sum(moved, parent, plan.chain[t].l)
            if stage.fill is not None:
                moved = np.einsum("cap,ap->cp", W[:, :, plan.places[k].row], stage.fill)
                fill[t] = fill[t] - segment_sum(moved, plan.lifted[k, t], fill[t].shape[1])
        if stage.fill is not None:
            core_A = fill_core(core_A, plan.places[k], C0, stage.fill)
    core = factor_core(plan, core_A, T[n_chain:], dS[n_chain:])
    return Factor(plan, tuple(stages), core, logdet + core.logdet)


def spread(factor: Factor) -> Spread:
    """Backward recursion for the within-level blocks of C and Z'V^-1 Z (selected inverse).

    Takahashi's recursion on the pattern of the plan: the covariance of a level with what it meets
    follows from the covariances among what it meets.
    """
    plan, n_chain = factor.plan, len(factor.stages)
    C: list[Array] = [np.empty(0)] * n_chain
    G: list[Array] = [np.empty(0)] * n_chain
    across: dict[Pair, Array] = {}
    across_core: list[Array] = [np.empty(0)] * n_chain
    for k in reversed(range(n_chain)):
        stage = factor.stages[k]
        if not stage.up and stage.fill is None:
            C[k], G[k] = stage.C0, multiply(stage.J, stage.A).sum(axis=2)
            continue
        X_up: dict[int, Array] = {}
        for u in stage.up:
            X = _toward_parent(plan, stage, C, across, (k, u))
            if stage.fill is not None:
                where = plan.places[k]
                met = across_core[u][:, plan.lifted[k, u]]
                X = X + where.sum_by_level(stage.fill[:, None] * met[None])
            X_up[u] = X
        # Y: covariance of what the level meets, carried to the level
        Y = sum((multiply(X, stage.up[u]) for u, X in X_up.items()), start=np.zeros_like(stage.A))
        if stage.fill is not None:
            where = plan.places[k]
            if k:
                X_core = _toward_core(factor, k, across_core)
                Y = Y + where.sum_by_level(X_core[:, None] * stage.fill[None])
                across_core[k] = -np.einsum("abp,bp->ap", stage.C0[:, :, where.row], X_core)
            else:
                # Nothing lies below the first block, so that only the sum over its places is wanted
                Y = Y + quadratic_core(factor.core.C, where, stage.fill)
                for u, R in stage.up.items():
                    met = across_core[u][:, plan.lifted[k, u]]
                    X_core = np.einsum("cap,cp->ap", R[:, :, where.row], met)
                    Y = Y + where.sum_by_level(X_core[:, None] * stage.fill[None])
        for u, X in X_up.items():
            across[k, u] = -multiply(stage.C0, X)
        C[k] = stage.C0 + multiply(multiply(stage.C0, Y), stage.C0)
        K = multiply(stage.J, stage.A - multiply(Y, stage.J.transpose(1, 0, 2)))
        G[k] = K.sum(axis=2)
    core_C, core_G = factor.core.spread(plan)
    return Spread((*C, *core_C), (*G, *core_G), across, tuple(across_core[1:]))


def trace(factor: Factor, within: Spread, N: RandomMoments) -> complex:
    """tr(C N) for a symmetric N with the pattern of Z'Z, given the spread of the factor."""
    plan = factor.plan
    total: complex = sum((C * A).sum() for C, A in zip(within.C, N.diagonal, strict=False))
    for (k, t), R in N.cross.items():
        total += 2.0 * (within.across[k, t].transpose(1, 0, 2) * R).sum()
    if plan.core:
        later = list(within.across_core)
        met = _toward_core(factor, 0, [np.empty(0), *later])
        first = -np.einsum("abp,bp->ap", factor.stages[0].C0[:, :, plan.places[0].row], met)
        for crossed, R in zip([first, *later], N.places, strict=True):
            total += 2.0 * (crossed * R).sum()
        total += (factor.core.C * N.core).sum()
    return total


def _toward_core(factor: Factor, k: int, across_core: list[Array]) -> Array:
    """What each level of chain block k has to do with the core effects that it meets, (q_k, nnz_k)."""
    stage, where = factor.stages[k], factor.plan.places[k]
    assert stage.fill is not None
    X = gather_core(factor.core.C, where, stage.fill)
    for u, R in stage.up.items():
        met = across_core[u][:, factor.plan.lifted[k, u]]
        X = X + np.einsum("cap,cp->ap", R[:, :, where.row], met)
    return X


def _toward_parent(plan: Plan, stage: Stage, C: list[Array], across: dict[Pair, Array], pair: Pair) -> Array:
    """Sum over the parents t of R_t' C_tu, for each level of chain block k; shape (q_k, q_u, l_k)."""
    k, u = pair
    total = np.zeros((), dtype=stage.A.dtype)
    for t, R in stage.up.items():
        if t == u:
            met = C[u][:, :, plan.parent[k, u]]
        elif t < u:
            met = across[t, u][:, :, plan.parent[k, t]]
        else:
            met = across[u, t].transpose(1, 0, 2)[:, :, plan.parent[k, u]]
        total = total + np.einsum("cal,cdl->adl", R, met)
    return np.asarray(total)
