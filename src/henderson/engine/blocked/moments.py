"""Weighted cross-products of the design: the only part of `blocked` that touches the n records.

Every array here is a sum over records, so moments of row chunks add up to the moments of the whole
(`MomentStack`). Designs come in orthonormalised (see `basis`), because raw cross-products lose the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.engine.blocked.plan import Index, Plan
from henderson.linalg.levelwise import segment_sum

Array = NDArray[np.float64]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class RandomMoments:
    """Z'Z, by block.

    Attributes
    ----------
    diagonal : tuple of ndarray, one (q, q, l) per chain block
        Z_k'Z_k of each level.
    cross : dict of ndarray, (q_t, q_k, l_k)
        Z_t'Z_k of each level of chain block k with its parent in chain block t.
    places : tuple of ndarray, one (q_k, nnz_k) per chain block
        Z_k'Z_core at the places where they meet; empty when there is no core.
    core : ndarray, shape (N, N)
        Z_core'Z_core.
    """

    diagonal: tuple[NDArray[Any], ...]
    cross: dict[Pair, NDArray[Any]]
    places: tuple[NDArray[Any], ...]
    core: NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class ColumnMoments:
    """Z'M and M'M for m columns of length n, such as the fixed effects and the response.

    Attributes
    ----------
    chain : tuple of ndarray, one (m, q, l) per chain block
        Z_k'M of each level.
    core : ndarray, shape (m, N)
        M'Z_core.
    """

    chain: tuple[NDArray[Any], ...]
    core: NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """All cross-products that the criterion is made of: those of the columns [Q y] and of the effects.

    Attributes
    ----------
    random : RandomMoments
        Z'Z.
    columns : ColumnMoments
        Z'[Q y].
    gram : ndarray, (p + 1, p + 1)
        [Q y]'[Q y].
    """

    random: RandomMoments
    columns: ColumnMoments
    gram: NDArray[Any]


class MomentStack:
    """Moments of several parts of the data, and their sums with any weights.

    Parameters
    ----------
    parts : sequence of Moments
        All on the same plan.
    """

    def __init__(self, parts: Sequence[Moments]) -> None:
        self.first = parts[0]
        # Side by side, so that a weighted sum is one product; a single part is left as it is
        self._flat = None
        if len(parts) > 1:
            self._flat = np.stack([np.concatenate([a.ravel() for a in _arrays(part)]) for part in parts])

    def combine(self, weights: NDArray[Any]) -> Moments:
        """Weighted sum of the parts; complex weights carry a derivative."""
        if self._flat is None:
            if weights[0] == 1.0:
                return self.first
            return _rebuilt(self.first, [weights[0] * a for a in _arrays(self.first)])
        total = weights.real @ self._flat
        if np.iscomplexobj(weights):
            total = total + 1j * (weights.imag @ self._flat)
        arrays = _arrays(self.first)
        ends = np.cumsum([a.size for a in arrays])[:-1]
        parts = zip(np.split(total, ends), arrays, strict=True)
        return _rebuilt(self.first, [part.reshape(a.shape) for part, a in parts])


def _arrays(moments: Moments) -> list[NDArray[Any]]:
    r, c = moments.random, moments.columns
    return [*r.diagonal, *r.cross.values(), *r.places, r.core, *c.chain, c.core, moments.gram]


def _rebuilt(like: Moments, arrays: list[NDArray[Any]]) -> Moments:
    left = iter(arrays)
    r, c = like.random, like.columns
    random = RandomMoments(
        tuple(next(left) for _ in r.diagonal),
        {key: next(left) for key in r.cross},
        tuple(next(left) for _ in r.places),
        next(left),
    )
    return Moments(random, ColumnMoments(tuple(next(left) for _ in c.chain), next(left)), next(left))


def random_moments(plan: Plan, Z: tuple[Array, ...]) -> RandomMoments:
    """Accumulate Z'Z from the weighted design of each block of the plan, (n, q) each."""
    n_chain = len(plan.chain)
    diagonal = tuple(_sums(z, z, b.codes, b.l) for b, z in zip(plan.chain, Z[:n_chain], strict=True))
    cross = {(k, t): _sums(Z[t], Z[k], plan.chain[k].codes, plan.chain[k].l) for (k, t) in plan.parent}
    places = []
    for z, where in zip(Z[:n_chain], plan.places, strict=False):
        values = np.zeros((z.shape[1], where.column.size))
        for u, group in enumerate(where.group):
            sums = _sums(z, Z[n_chain + u], where.of_record[u], group.shape[1])
            values[:, group] = sums
        places.append(values)
    return RandomMoments(diagonal, cross, tuple(places), _core_moments(plan, Z[n_chain:]))


def column_moments(plan: Plan, Z: tuple[Array, ...], M: Array) -> ColumnMoments:
    """Accumulate Z'M for weighted columns M (n, m)."""
    return by_blocks(plan, [_sums(M, z, b.codes, b.l) for b, z in zip(plan.blocks, Z, strict=True)])


def by_blocks(plan: Plan, values: Sequence[NDArray[Any]]) -> ColumnMoments:
    """Sort (m, q, l) arrays, one per block of the plan, into chain and core."""
    n_chain, m = len(plan.chain), values[0].shape[0]
    core = [e.reshape(m, -1) for e in values[n_chain:]]
    return ColumnMoments(tuple(values[:n_chain]), np.hstack(core) if core else np.zeros((m, 0)))


def pair(columns: ColumnMoments, M: ColumnMoments) -> NDArray[Any]:
    """Inner products of effects x (m of them, as moments) with Z'[Q y]; shape (p + 1, m)."""
    total = columns.core @ M.core.T
    for a, b in zip(columns.chain, M.chain, strict=True):
        total = total + a.reshape(a.shape[0], -1) @ b.reshape(b.shape[0], -1).T
    return np.asarray(total)


def of_effects(plan: Plan, moments: RandomMoments, x: Sequence[NDArray[Any]]) -> ColumnMoments:
    """Z'(Z x) for effects x, (m, q, l) per block of the plan."""
    effects = by_blocks(plan, x)
    chain = [np.einsum("abl,mbl->mal", A, e) for A, e in zip(moments.diagonal, effects.chain, strict=True)]
    for (k, t), R in moments.cross.items():
        parent = plan.parent[k, t]
        up = np.einsum("cal,mal->mcl", R, effects.chain[k])
        chain[t] = chain[t] + segment_sum(up, parent, plan.chain[t].l)
        chain[k] = chain[k] + np.einsum("cal,mcl->mal", R, effects.chain[t][:, :, parent])
    core = effects.core @ moments.core
    for k, (where, R) in enumerate(zip(plan.places, moments.places, strict=True)):
        down = np.einsum("ap,map->mp", R, effects.chain[k][:, :, where.row])
        core = core + where.sum_by_effect(down)
        met = R[None] * effects.core[:, None, where.column]
        chain[k] = chain[k] + where.sum_by_level(met)
    return ColumnMoments(tuple(chain), core)


def _sums(a: Array, b: Array, codes: Index, size: int) -> Array:
    """Sums by code of the products of each column of a (n, p) with each of b (n, q); (p, q, size)."""
    out = np.empty((a.shape[1], b.shape[1], size))
    right = np.ascontiguousarray(b.T)
    for i, left in enumerate(np.ascontiguousarray(a.T)):
        for j in range(i + 1 if a is b else b.shape[1]):
            out[i, j] = np.bincount(codes, left * right[j], size)
            if a is b:
                out[j, i] = out[i, j]
    return out


def _core_moments(plan: Plan, Z: tuple[Array, ...]) -> Array:
    total = np.zeros((plan.n_core, plan.n_core))
    effects = [plan.core_effects(u) for u in range(len(plan.core))]
    for u, (b, z) in enumerate(zip(plan.core, Z, strict=True)):
        own = _sums(z, z, b.codes, b.l)
        rows = effects[u]
        total[rows[:, None, :], rows[None, :, :]] = own
        for v in range(u):
            where = effects[u][:, None, b.codes], effects[v][None, :, plan.core[v].codes]
            np.add.at(total, where, z.T[:, None, :] * Z[v].T[None, :, :])
    return np.tril(total) + np.tril(total, -1).T
