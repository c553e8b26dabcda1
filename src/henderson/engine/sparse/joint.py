"""Conditional covariances of the effects of levels: from the inverse on the pattern, or by solves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.engine.sparse.equations import Part, transposed
from henderson.engine.sparse.pattern import Index, ranges
from henderson.engine.sparse.point import Point

Array = NDArray[np.float64]
#: Pairs of roots that are looked at together.
CHUNK = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Effects of one term that point to the same level: all of them, or one.

    ``own`` says which of the term's effects these are, and ``place`` where they stand among all.
    """

    part: int
    own: slice
    place: slice


def columns_of(parts: tuple[Part, ...]) -> list[Column]:
    """A column for each term, and one for each effect of a term whose effects point to different levels."""
    out, at = [], 0
    for k, part in enumerate(parts):
        q = part.term.q
        if part.term.codes.ndim == 1:
            out.append(Column(k, slice(0, q), slice(at, at + q)))
        else:
            out += [Column(k, slice(j, j + 1), slice(at + j, at + j + 1)) for j in range(q)]
        at += q
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """Covariances between the effects of any two levels, relative to sigma^2, given beta."""

    point: Point

    def factor(self, k: int) -> Array:
        """What makes effects of a term, in the units of the data, of those of its roots; (q, q)."""
        part, root = self.point.data.equations.parts[k], self.point.roots[k]
        return np.asarray(np.linalg.solve(part.P, root.exact))

    def own(self, k: int) -> Array:
        """Covariance of the effects of each level of a term, (l, q, q)."""
        levels = np.arange(self.point.data.equations.parts[k].term.n_levels)
        T = self.factor(k)
        return np.asarray(T @ self.between(k, levels, k, levels) @ T.T)

    def effects(self, levels: Index, R: Array) -> tuple[Array, Array]:
        """Covariance (K, Q, Q) of the effects of combinations of levels (K, columns), and their link to beta.

        The link (K, Q, p) are the effects that X = Q R predicts, S G Z'V^-1 X. A level of -1 is unseen.
        """
        point = self.point
        parts = point.data.equations.parts
        columns = columns_of(parts)
        K, Q = len(levels), columns[-1].place.stop
        C, B = np.zeros((K, Q, Q)), np.zeros((K, Q, len(R)))
        XB = point.effects(point.v[:, :-1]) @ R
        T = [self.factor(k) for k in range(len(parts))]
        for a, left in enumerate(columns):
            part = parts[left.part]
            seen = np.flatnonzero(levels[:, a] >= 0)
            mean = float(part.term.relationship.diagonal(part.term.n_levels).mean())
            C[levels[:, a] < 0, left.place, left.place] = (
                mean * (T[left.part] @ T[left.part].T)[left.own, left.own]
            )
            b = np.matmul(np.linalg.inv(part.P), part.to_levels(XB[part.effects]))
            B[seen, left.place] = b[levels[seen, a], left.own]
            for right, level in zip(columns[: a + 1], levels.T, strict=False):
                both = seen[level[seen] >= 0]
                found = self.between(left.part, levels[both, a], right.part, level[both])
                found = T[left.part][left.own] @ found @ T[right.part][right.own].T
                C[both, left.place, right.place] = found
                C[both, right.place, left.place] = found.swapaxes(1, 2)
        return C, B

    def between(self, k: int, i: Index, m: int, j: Index) -> Array:
        """L M^-1 L' between levels i of part k and levels j of part m, pair by pair; (K, q_k, q_m)."""
        left, right = (self.point.data.equations.parts[x] for x in (k, m))
        if left.L is None and right.L is None:
            return self._between_roots(k, i, m, j)
        out = np.zeros((i.size, left.term.q, right.term.q))
        for pair, a, x, b, y in _root_pairs(left, i, right, j):
            found = self._between_roots(k, a, m, b) * (x * y)[:, None, None]
            starts = np.flatnonzero(np.diff(pair, prepend=-1))
            out[pair[starts]] += np.add.reduceat(found, starts, axis=0)
        return out

    def _between_roots(self, k: int, i: Index, m: int, j: Index) -> Array:
        """Blocks of M^-1 between roots, (K, q_k, q_m)."""
        left, right = (self.point.data.equations.parts[x] for x in (k, m))
        q, s = left.term.q, right.term.q
        rows = left.effects.start + i[:, None, None] * q + np.arange(q)[:, None]
        columns = right.effects.start + j[:, None, None] * s + np.arange(s)
        rows, columns = np.broadcast_arrays(rows, columns)
        found = self.point.factor.inverse_at(rows.ravel(), columns.ravel())
        return np.asarray(found.reshape(rows.shape))


def contrasts(point: Point, A: Array) -> Array:
    """(I (x) T)'(L (x) I)' a of contrasts A of the effects of all levels, (sum l q, k): those of v."""
    equations = point.data.equations
    out = np.empty((len(point.v), A.shape[1]))
    start = 0
    for part in equations.parts:
        stop = start + part.term.n_levels * part.term.q
        own = A[start:stop].reshape(part.term.n_levels, part.term.q, -1)
        out[part.effects] = part.to_roots(np.matmul(np.linalg.inv(part.P).T, own))
        start = stop
    return equations.times(transposed([root.exact for root in point.roots]), out)


def _root_pairs(
    left: Part, i: Index, right: Part, j: Index
) -> Iterator[tuple[Index, Index, Array, Index, Array]]:
    """All pairs of roots of levels i and j: the pair of levels, root and coefficient of either; in chunks."""
    ends, roots, size = zip(*(_rows(part) for part in (left, right)), strict=True)
    many = [np.diff(e)[x] for e, x in zip(ends, (i, j), strict=True)]
    counts = many[0] * many[1]
    chunk = np.cumsum(counts) // CHUNK
    for pairs in np.split(np.arange(i.size), np.flatnonzero(np.diff(chunk)) + 1):
        pair = np.repeat(pairs, counts[pairs])
        if not pair.size:
            continue
        within = ranges(np.zeros(pairs.size, dtype=np.int64), counts[pairs])
        first, second = np.divmod(within, many[1][pair])
        a, b = ends[0][i[pair]] + first, ends[1][j[pair]] + second
        yield pair, roots[0][a], size[0][a], roots[1][b], size[1][b]


def _rows(part: Part) -> tuple[Index, Index, Array]:
    """L by rows: where each begins, its roots and their coefficients."""
    if part.L is None:
        return np.arange(part.r + 1), np.arange(part.r), np.ones(part.r)
    return part.L.indptr.astype(np.int64), part.L.indices.astype(np.int64), part.L.data
