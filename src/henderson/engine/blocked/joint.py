"""Posterior covariance of the effects of any levels together, which predictions of rows need.

Given all that comes after it in the order of elimination, the effects of a level i of chain block k are

    b = -C0 (sum over its parents of R'b_parent + sum over its places of fill b_core) + independent noise,

with C0, R and fill as `factor.Stage` has them. So its covariance with any effect that is not of itself or of
a level within it is that of the right-hand side: a recursion that ends in the dense core. Own covariances and
those with a level's own parents are known (`factor.Spread`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from henderson.engine.blocked.factor import Factor, Spread
from henderson.engine.blocked.plan import CorePlaces, Index
from henderson.engine.blocked.system import Point
from henderson.engine.chart import Chart
from henderson.linalg.levelwise import Array

#: Places of levels that are looked at together.
CHUNK = 2_000_000


def effect_covariance(
    point: Point, within: Spread, chart: Chart, R: Array, levels: Index
) -> tuple[Array, Array]:
    """Covariance of the effects of combinations of levels, relative to sigma^2, and their link to beta.

    Parameters
    ----------
    point, within, chart : Point, Spread, Chart
        The model at one theta.
    R : ndarray, (p, p)
        The fixed effects are X = Q R.
    levels : ndarray of int, (K, n_terms)
        Level of each term; -1 for one that nobody has seen.

    Returns
    -------
    C : ndarray, (K, Q, Q)
        Of the Q effects of all terms, given beta.
    B : ndarray, (K, Q, p)
        The effects that X predicts, S Z'V^-1 X.
    """
    joint = Joint(point.factor, within)
    ends = np.cumsum([0, *(len(t.S) for t in chart.terms)])
    K, Q = len(levels), int(ends[-1])
    C, B = np.zeros((K, Q, Q)), np.zeros((K, Q, len(R)))
    spans = [slice(a, b) for a, b in pairwise(ends)]
    backs = [np.linalg.inv(t.P) for t in chart.terms]
    for a, (term, own, back) in enumerate(zip(chart.terms, spans, backs, strict=True)):
        seen = np.flatnonzero(levels[:, a] >= 0)
        C[levels[:, a] < 0, own, own] = term.S
        b = point.solved.b[term.block][:-1, term.columns][:, :, levels[seen, a]]
        B[seen, own] = np.einsum("xc,xbk,ab->kac", R, b, back, optimize=True)
        for other, span, back_other, level in zip(chart.terms[: a + 1], spans, backs, levels.T, strict=False):
            both = seen[level[seen] >= 0]
            found = joint.between(term.block, levels[both, a], other.block, level[both])
            found = found[term.columns, other.columns]
            C[both, own, span] = np.einsum("ab,bck,dc->kad", back, found, back_other, optimize=True)
            if other is not term:
                C[both, span, own] = C[both, own, span].transpose(0, 2, 1)
    return C, B


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """Covariances between the effects of any two levels, relative to sigma^2, given beta."""

    factor: Factor
    within: Spread

    def between(self, k: int, i: Index, t: int, j: Index) -> Array:
        """Between levels i of block k and levels j of block t of the plan, (q_k, q_t, K) for K pairs."""
        plan, n_chain = self.factor.plan, len(self.factor.stages)
        if k > t:
            return self.between(t, j, k, i).transpose(1, 0, 2)
        if t >= n_chain:
            effects = plan.core_effects(t - n_chain)[:, j]
            return np.stack([self._with_effect(k, i, e) for e in effects], axis=1)
        own = i == j if k == t else plan.parent[k, t][i] == j
        known = self.within.C[k] if k == t else self.within.across[k, t]
        if own.all():
            return known[:, :, i]
        out = np.empty((*known.shape[:2], i.size))
        out[:, :, own] = known[:, :, i[own]]
        out[:, :, ~own] = self._by_recursion(k, i[~own], t, j[~own])
        return out

    def _by_recursion(self, k: int, i: Index, t: int, j: Index) -> Array:
        """`between` for chain blocks, where j is neither i nor above it or below it."""
        plan, stage = self.factor.plan, self.factor.stages[k]
        met = np.zeros((stage.A.shape[0], plan.chain[t].q, i.size))
        for u, R in stage.up.items():
            above = self.between(u, plan.parent[k, u][i], t, j)
            met += np.einsum("cam,cdm->adm", R[:, :, i], above)
        if stage.fill is not None:
            column = plan.places[k].column
            met += self._over_places(k, i, lambda pair, place: self._with_effect(t, j[pair], column[place]))
        return np.asarray(-np.einsum("abm,bdm->adm", stage.C0[:, :, i], met))

    def _with_effect(self, k: int, i: Index, effect: Index) -> Array:
        """Between levels i of block k and single effects of the core, (q_k, K)."""
        plan, n_chain, C = self.factor.plan, len(self.factor.stages), self.factor.core.C
        if k >= n_chain:
            return np.asarray(C[plan.core_effects(k - n_chain)[:, i], effect])
        stage, column = self.factor.stages[k], plan.places[k].column
        met = self._over_places(k, i, lambda pair, place: C[column[place], effect[pair]][None])[:, 0]
        for u, R in stage.up.items():
            met += np.einsum("cam,cm->am", R[:, :, i], self._with_effect(u, plan.parent[k, u][i], effect))
        return np.asarray(-np.einsum("abm,bm->am", stage.C0[:, :, i], met))

    def _over_places(self, k: int, i: Index, value: Callable[[Index, Index], Array]) -> Array:
        """Sum over the places of levels i of chain block k of fill times a value, (q_k, d, K).

        `value` gives it, (d, m), for m pairs of a position in i and a place.
        """
        fill = self.factor.stages[k].fill
        assert fill is not None
        parts = []
        for pair, place, starts in _places_of(self.factor.plan.places[k], i):
            terms = fill[:, None, place] * value(pair, place)[None]
            parts.append(np.add.reduceat(terms, starts, axis=2))
        return np.concatenate(parts, axis=2)


def _places_of(places: CorePlaces, i: Index) -> Iterator[tuple[Index, Index, Index]]:
    """Positions in i and places of these levels, pair by pair, and where each level's begin; in chunks."""
    counts = np.diff(places.indptr)[i]
    chunk = np.cumsum(counts) // CHUNK
    for part in np.split(np.arange(i.size), np.flatnonzero(np.diff(chunk)) + 1):
        ends = np.cumsum(counts[part])
        starts = ends - counts[part]
        pair = np.repeat(part, counts[part])
        place = np.arange(pair.size) + np.repeat(places.indptr[i[part]] - starts, counts[part])
        yield pair, place, starts
