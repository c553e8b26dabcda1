"""Fewer coordinates than records: what repeated records say of the random effects, and what they leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Homogeneous
from henderson.model import MixedModel, RandomTerm

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Records that are alike in the levels and the designs of all random terms.

    Attributes
    ----------
    first : ndarray of int, shape (cells,)
        The first record of each cell; cells are numbered as they appear.
    cell : ndarray of int, shape (n,)
        Cell of each record.
    root : ndarray, shape (cells,)
        Root of the sum of the cell's weights.
    """

    first: Index
    cell: Index
    root: Array

    @property
    def size(self) -> int:
        """Number of cells."""
        return int(self.first.size)


@dataclass(frozen=True, slots=True, eq=False)
class TermDesign:
    """One random term, seen from the cells.

    Attributes
    ----------
    term : RandomTerm
    codes : ndarray of int, shape (cells, q)
        Level that each effect points to.
    z : ndarray, shape (cells, q)
        What multiplies the effects, times the root of the cell's weight.
    used : ndarray of int
        Levels that have a record.
    """

    term: RandomTerm
    codes: Index
    z: Array
    used: Index

    @property
    def by_roots(self) -> bool:
        """Whether G = L L' has fewer columns in L than there are levels with a record."""
        return self.term.relationship.n_roots(self.term.n_levels) < self.used.size

    @property
    def width(self) -> int:
        """Columns of the design of one effect: levels with a record, or roots."""
        return min(self.used.size, self.term.relationship.n_roots(self.term.n_levels))

    def columns(self) -> Array:
        """The design of each effect in these columns, (q, cells, width)."""
        out = np.zeros((self.term.q, len(self.z), self.width))
        L: Array | None = None
        if self.by_roots:
            L = self.term.relationship.root_times(np.eye(self.width))
        for own, codes, z in zip(out, self.codes.T, self.z.T, strict=True):
            if L is None:
                own[np.arange(len(z)), np.searchsorted(self.used, codes)] = z
            else:
                np.multiply(L[codes], z[:, None], out=own)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """Orthonormal rows B (N, n) that hold all of Z: V = I + B'K B for a K of N coordinates.

    So V^-1 M = B'(I + K)^-1 B M + (M - B'B M). Records of one cell become one coordinate, their mean times
    the root of its weight; and where there are more cells than random effects, an orthonormal basis of the
    cells' design takes their place.

    Attributes
    ----------
    cells : Cells
    share : ndarray, shape (n,)
        What B has of each record, before the basis.
    order, starts : ndarray of int
        Records sorted by cell, and where each cell begins.
    basis : ndarray, shape (cells, N), or None
        Orthonormal columns.
    """

    cells: Cells
    share: Array
    order: Index
    starts: Index
    basis: Array | None

    @property
    def n(self) -> int:
        """Number of records."""
        return int(self.share.size)

    @property
    def size(self) -> int:
        """Number of coordinates N."""
        return self.cells.size if self.basis is None else int(self.basis.shape[1])

    def down(self, M: Array) -> Array:
        """B M for M (n, m)."""
        summed = np.add.reduceat((self.share[:, None] * M)[self.order], self.starts, axis=0)
        return np.asarray(summed if self.basis is None else self.basis.T @ summed)

    def up(self, M: Array) -> Array:
        """B'M for M (N, m)."""
        of_cells = M if self.basis is None else self.basis @ M
        return np.asarray(self.share[:, None] * of_cells[self.cells.cell])

    def rest(self, M: Array) -> Array:
        """M - B'B M, in which the records are independent of all random effects."""
        return np.zeros_like(M) if self.size == self.n else M - self.up(self.down(M))

    def coordinates(self, columns: Array) -> Array:
        """B M, and under it M in an orthonormal basis of what B leaves of it, for M (n, k)."""
        first = self.down(columns)
        if self.size == self.n:
            return first
        return np.vstack([first, np.linalg.qr(self.rest(columns), mode="r")])

    def from_cells(self, M: Array) -> Array:
        """Rows over the cells (k, cells) in the coordinates, (k, N)."""
        return M if self.basis is None else np.asarray(M @ self.basis)


def find_cells(model: MixedModel) -> Cells:
    """Cells of a model; with a residual structure every record is one."""
    n = model.n
    weights = np.ones(n) if model.weights is None else model.weights
    cell = np.arange(n)
    if isinstance(model.residual, Homogeneous):
        cell = np.zeros(n, dtype=np.intp)
        for term in model.terms:
            for column in (*term.codes.reshape(n, -1).T, *term.z.T):
                found, own = np.unique(column, return_inverse=True)
                if found.size > 1:
                    cell = np.unique(cell * found.size + own, return_inverse=True)[1]
    first, cell = np.unique(cell, return_index=True, return_inverse=True)[1:]
    place = np.empty(first.size, dtype=np.intp)
    place[np.argsort(first)] = np.arange(first.size)
    return Cells(np.sort(first), place[cell], np.sqrt(np.bincount(cell, weights)[np.argsort(first)]))


def term_designs(model: MixedModel, cells: Cells) -> tuple[TermDesign, ...]:
    """All random terms, seen from the cells."""
    out = []
    for term in model.terms:
        codes = term.codes.reshape(model.n, -1)[cells.first]
        every = np.broadcast_to(codes, (cells.size, term.q))
        z = term.z[cells.first] * cells.root[:, None]
        out.append(TermDesign(term, every, z, np.unique(codes)))
    return tuple(out)


def coordinates_needed(cells: Cells, designs: tuple[TermDesign, ...], *, reducible: bool) -> int:
    """The N that `reduce` arrives at."""
    effects = sum(design.term.q * design.width for design in designs)
    return effects if reducible and effects < cells.size else cells.size


def reduce(
    model: MixedModel, cells: Cells, designs: tuple[TermDesign, ...]
) -> tuple[Reduction, tuple[Array, ...] | None]:
    """The reduction, and in it the design of each term's effects, (q, N, width), if there is a basis."""
    order = np.argsort(cells.cell, kind="stable")
    starts = np.searchsorted(cells.cell[order], np.arange(cells.size))
    root = np.ones(model.n) if model.weights is None else np.sqrt(model.weights)
    share = root / cells.root[cells.cell]
    reducible = isinstance(model.residual, Homogeneous)
    if not designs or coordinates_needed(cells, designs, reducible=reducible) == cells.size:
        return Reduction(cells, share, order, starts, None), None
    stacked = np.hstack([own for design in designs for own in design.columns()])
    Q, R = np.linalg.qr(stacked)
    ends = np.cumsum([design.width for design in designs for _ in range(design.term.q)])
    parts = iter(np.split(R, ends[:-1], axis=1))
    turned = tuple(np.stack([next(parts) for _ in range(design.term.q)]) for design in designs)
    return Reduction(cells, share, order, starts, Q), turned
