"""Where the coefficient matrix of the mixed-model equations has elements: node by node, in dense blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A symmetric pattern made of dense blocks, one for each pair of nodes that meet.

    A node is a root of a level: all effects that one column of a root L of G = L L' carries, which for
    unrelated levels and for precisions is the level itself.

    Attributes
    ----------
    start : ndarray of int, (n_nodes + 1,)
        First effect of each node.
    pairs : csc_array, (n_nodes, n_nodes)
        Pairs of nodes that meet, both triangles and the diagonal; element by element their number.
    matrix : csc_array, (n_effects, n_effects)
        The pattern of the effects themselves; its elements are 1.
    first : ndarray of int, (n_pairs,)
        Place in the data of ``matrix`` of the first element of each pair's block.
    height : ndarray of int, (n_nodes,)
        Places from one column of a node's blocks to the next.
    """

    start: Index
    pairs: csc_array
    matrix: csc_array
    first: Index
    height: Index

    @classmethod
    def of(cls, sizes: Index, meeting: csc_array) -> Pattern:
        """The pattern for nodes of these sizes, given which of them meet (any data, symmetric)."""
        n = sizes.size
        start = np.concatenate([[0], np.cumsum(sizes)])
        indptr, rows = meeting.indptr.astype(np.int64), meeting.indices.astype(np.int64)
        pairs = csc_array((np.arange(rows.size), rows, indptr), shape=(n, n))
        # The rows of the effects in one column, block under block
        below = np.concatenate([[0], np.cumsum(sizes[rows])])
        effects = ranges(start[rows], sizes[rows])
        height = below[indptr[1:]] - below[indptr[:-1]]
        lengths = np.repeat(height, sizes)
        indices = effects[ranges(np.repeat(below[indptr[:-1]], sizes), lengths)]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        matrix = csc_array((np.ones(indices.size), indices, ends), shape=(start[-1], start[-1]))
        column = np.repeat(np.arange(n), np.diff(indptr))
        first = ends[start[column]] + below[:-1] - below[indptr[column]]
        return cls(start, pairs, matrix, first, height)

    def numbers(self, rows: Index, columns: Index) -> Index:
        """Number of the pair of each row and column of nodes; -1 where they do not meet."""
        n = self.height.size
        own = np.repeat(np.arange(n), np.diff(self.pairs.indptr)) * n + self.pairs.indices
        wanted = columns * n + rows
        found = np.minimum(np.searchsorted(own, wanted), own.size - 1)
        return np.where(own[found] == wanted, found, -1)

    def places(self, numbers: Index, columns: Index, rows_q: int, columns_q: int) -> Index:
        """Places in the data of the blocks of these pairs, (k, rows_q, columns_q), given their columns."""
        step = self.height[columns][:, None, None]
        across = np.arange(columns_q) * step
        return np.asarray(self.first[numbers][:, None, None] + np.arange(rows_q)[:, None] + across)


def ranges(first: Index, lengths: Index) -> Index:
    """Integers first, first + 1, ... of these lengths, one run after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if ends.size else 0
    return np.arange(total) + np.repeat(first - ends + lengths, lengths)
