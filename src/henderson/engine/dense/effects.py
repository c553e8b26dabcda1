"""The random effects themselves: predictions and their covariances, from V over the coordinates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.engine.dense.point import Point
from henderson.engine.dense.reduction import Reduction, TermDesign
from henderson.model import MixedModel, RandomTerm

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]
Index = NDArray[np.intp]
#: Numbers that are worked on at a time.
CHUNK = 20_000_000


@dataclass(frozen=True, eq=False)
class Effects:
    """All random effects of a model, those of a term level by level.

    Attributes
    ----------
    model : MixedModel
    reduction : Reduction
    designs : tuple of TermDesign
        The terms over the cells of the reduction.
    """

    model: MixedModel
    reduction: Reduction
    designs: tuple[TermDesign, ...]

    @cached_property
    def Z(self) -> csr_array:
        """W^1/2 Z of the records, (n, sum l q)."""
        from scipy.sparse import csr_array

        n, terms = self.model.n, self.model.terms
        root = np.ones(n) if self.model.weights is None else np.sqrt(self.model.weights)
        rows, columns, values = [], [], []
        for term, start in zip(terms, self._ends, strict=False):
            codes = np.broadcast_to(term.codes.reshape(n, -1), (n, term.q))
            columns.append((start + codes * term.q + np.arange(term.q)).ravel())
            rows.append(np.repeat(np.arange(n), term.q))
            values.append((root[:, None] * term.z).ravel())
        where = (np.concatenate([[], *rows]).astype(int), np.concatenate([[], *columns]).astype(int))
        return csr_array((np.concatenate([[], *values]), where), shape=(n, int(self._ends[-1])))

    @property
    def _ends(self) -> Index:
        return np.cumsum([0, *(term.n_levels * term.q for term in self.model.terms)])

    def split(self, M: Array) -> list[Array]:
        """Rows of all effects as (l, q, m) of each term."""
        parts = zip(self.model.terms, pairwise(self._ends), strict=True)
        return [M[a:b].reshape(term.n_levels, term.q, -1) for term, (a, b) in parts]

    def of_coordinates(self, M: Array) -> list[Array]:
        """Z'M of each term, (l, q, m), for M over the coordinates of which the first are the reduction's."""
        return self.split(self.Z.T @ self.reduction.up(M[: self.reduction.size]))

    def times_prior(self, point: Point, M: list[Array]) -> list[Array]:
        """(G (x) S) M of each term."""
        out = []
        for term, at, own in zip(self.model.terms, point.chart.terms, M, strict=True):
            moved = np.einsum("ab,lbm->lam", at.S, own)
            out.append(term.relationship.times(moved.reshape(len(own), -1)).reshape(own.shape))
        return out

    def to_coordinates(self, M: list[Array]) -> Array:
        """Z M over the reduction's coordinates, (N, m), for (l, q, m) of each term."""
        return self.reduction.down(self.Z @ np.concatenate([own.reshape(-1, own.shape[-1]) for own in M]))

    def _with_coordinates(self, k: int, levels: Index) -> Array:
        """Covariance of the effects of levels of term k with Z u of the coordinates, for S = I; (q, L, N)."""
        design = self.designs[k]
        G = design.term.relationship
        if design.term.codes.ndim == 1:
            known = G.block(design.codes[:, 0], levels).T
            over_cells = [known * z for z in design.z.T]
        else:
            pairs = zip(design.codes.T, design.z.T, strict=True)
            over_cells = [G.block(codes, levels).T * z for codes, z in pairs]
        return np.stack([self.reduction.from_cells(own) for own in over_cells])

    def _whitened(self, point: Point, k: int, levels: Index) -> Array:
        """The same for S as it is, times L'^-1: (L, q, N)."""
        if not levels.size:
            return np.empty((0, len(point.chart.terms[k].S), self.reduction.size))
        H = np.einsum("ab,bln->lan", point.chart.terms[k].S, self._with_coordinates(k, levels))
        L, q, N = H.shape
        return point.factor.solve_lower(H.reshape(L * q, N).T).T.reshape(L, q, N)

    def conditional(self, point: Point, k: int) -> Array:
        """Covariance of the effects within each level of term k, given beta, over sigma^2; (l, q, q)."""
        term, S = self.model.terms[k], point.chart.terms[k].S
        out = term.relationship.diagonal(term.n_levels)[:, None, None] * S
        width = max(self.reduction.cells.size, term.n_levels) * term.q
        for levels in _chunks(term.n_levels, width):
            known = self._whitened(point, k, levels)
            out[levels] -= known @ known.transpose(0, 2, 1)
        every = np.arange(term.q)
        out[:, every, every] = np.maximum(out[:, every, every], 0.0)  # rounding, where all is known
        return out

    def joint(self, point: Point, levels: Index) -> Array:
        """Covariance of the effects of combinations of levels, given beta, over sigma^2; (K, Q, Q).

        ``levels`` (K, columns) has a column per term, or per effect of a term that points to several levels;
        -1 is an unseen level.
        """
        at = list(self._by_effect(levels))
        ends = np.cumsum([0, *(term.q for term in self.model.terms)])
        K, Q = len(levels), int(ends[-1])
        C = np.zeros((K, Q, Q))
        # an unseen level is the last of each, about which nothing is known
        known, places, start = [], [], 0
        for k, (term, own) in enumerate(zip(self.model.terms, at, strict=True)):
            distinct, place = np.unique(own[own >= 0], return_inverse=True)
            where = np.full(own.shape, distinct.size)
            where[own >= 0] = place
            found = self._whitened(point, k, distinct).reshape(-1, self.reduction.size)
            known.append(np.vstack([found, np.zeros((term.q, self.reduction.size))]))
            places.append(where * term.q + np.arange(term.q) + start)
            start += len(known[-1])
            span = slice(ends[k], ends[k + 1])
            C[:, span, span] = point.chart.terms[k].S * _relationships(term, own, distinct, where)
        if not K:
            return C
        rows, place = np.concatenate(known), np.hstack(places)
        for some in _chunks(K, Q * self.reduction.size):
            F = rows[place[some]]
            C[some] -= F @ F.transpose(0, 2, 1)
        return C

    def link(self, point: Point, R: Array, levels: Index) -> Array:
        """Effects of the combinations that the columns of X = Q R predict, S Z'V^-1 X; (K, Q, p)."""
        predicted = self.times_prior(point, self.of_coordinates(point.VQ @ R))
        out = []
        for term, own, effects in zip(self.model.terms, self._by_effect(levels), predicted, strict=True):
            with_unseen = np.concatenate([effects, np.zeros((1, *effects.shape[1:]))])
            out.append(with_unseen[own, np.arange(term.q)])
        return np.concatenate(out, axis=1)

    def _by_effect(self, levels: Index) -> Iterator[Index]:
        """The level of each effect of each term, (K, q)."""
        start = 0
        for term in self.model.terms:
            stop = start + (1 if term.codes.ndim == 1 else term.q)
            yield np.broadcast_to(levels[:, start:stop], (len(levels), term.q))
            start = stop


def _relationships(term: RandomTerm, levels: Index, distinct: Index, place: Index) -> Array:
    """Relationship of the levels that the effects of a combination point to, (K, q, q)."""
    unseen = levels < 0
    mean = term.relationship.diagonal(term.n_levels).mean()
    if term.codes.ndim == 1:
        own = np.append(term.relationship.diagonal(term.n_levels)[distinct], mean)
        return np.asarray(own[place[:, :1]][:, :, None])
    G = np.zeros((distinct.size + 1,) * 2)
    if distinct.size:
        G[:-1, :-1] = term.relationship.block(distinct, distinct)
    out = G[place[:, :, None], place[:, None, :]]
    # two effects of unseen levels are of different ones
    every = np.arange(term.q)
    out[:, every, every] = np.where(unseen, mean, out[:, every, every])
    return np.asarray(out)


def _chunks(size: int, width: int) -> Iterator[Index]:
    """Rows, so many at a time that no more than `CHUNK` numbers are held."""
    step = max(1, CHUNK // max(width, 1))
    for start in range(0, size, step):
        yield np.arange(start, min(start + step, size))
