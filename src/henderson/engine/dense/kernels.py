"""What a random term gives V: K(S) = Z (G (x) S) Z', linear in S."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Identity, Relationship
from henderson.engine.dense.blocks import Block, DenseBlock, block_of, same
from henderson.engine.dense.reduction import TermDesign

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A block, and the elements of S (q, q) that it belongs to: ones and zeros."""

    block: Block
    mask: Array


@dataclass(frozen=True, slots=True, eq=False)
class TermKernel:
    """K(S) = sum over parts of (z (S o mask) z') o block; all effects of a level share one block.

    Attributes
    ----------
    z : ndarray, shape (N, q)
    parts : tuple of Part
    """

    z: Array
    parts: tuple[Part, ...]

    def add(self, V: Array, S: Array) -> None:
        """V += K(S)."""
        for part in self.parts:
            own = S * part.mask
            if own.any():
                part.block.add(V, self.z @ own, self.z)

    def inner(self, W: Array) -> Array:
        """The G with <W, K(S)> = <G, S>, for a symmetric W (N, N)."""
        own = np.zeros((self.z.shape[1],) * 2)
        for part in self.parts:
            own += part.mask * part.block.inner(W, self.z)
        return 0.5 * (own + own.T)

    def times(self, S: Array, M: Array) -> Array:
        """K(S) M for a symmetric S and M (N, m)."""
        out = np.zeros_like(M)
        for part in self.parts:
            for a, row in enumerate(S * part.mask):
                if row.any():
                    out += self.z[:, a, None] * part.block.times((self.z @ row)[:, None] * M)
        return out

    def squares(self, M: Array) -> Array:
        """The G with sum over columns m of m'K(S) m = <G, S>."""
        q = self.z.shape[1]
        total = np.zeros((q, q))
        for part in self.parts:
            for b in np.flatnonzero(part.mask.any(axis=0)):
                moved = part.block.times(self.z[:, b, None] * M)
                total[:, b] += part.mask[:, b] * (self.z.T @ np.einsum("nm,nm->n", M, moved))
        return 0.5 * (total + total.T)


def coded_kernels(designs: tuple[TermDesign, ...]) -> tuple[TermKernel, ...]:
    """Kernels over the cells; G[codes, codes] is kept once for all terms and effects that have the same."""
    known: list[tuple[Relationship, Index, Index, Block]] = []

    def between(G: Relationship, n_levels: int, rows: Index, columns: Index) -> Block:
        for other, r, c, block in known:
            if (other is G or other == G == Identity()) and same(r, rows) and same(c, columns):
                return block
        known.append((G, rows, columns, block_of(G, n_levels, rows, columns)))
        return known[-1][-1]

    out = []
    for design in designs:
        q, n_levels, G = design.term.q, design.term.n_levels, design.term.relationship
        if design.term.codes.ndim == 1:
            codes = design.codes[:, 0]
            parts = [Part(between(G, n_levels, codes, codes), np.ones((q, q)))]
        else:
            parts = [
                Part(between(G, n_levels, design.codes[:, a], design.codes[:, b]), _single(q, a, b))
                for a in range(q)
                for b in range(q)
            ]
        out.append(TermKernel(design.z, tuple(parts)))
    return tuple(out)


def turned_kernels(designs: tuple[TermDesign, ...], turned: tuple[Array, ...]) -> tuple[TermKernel, ...]:
    """Kernels in an orthonormal basis of the cells' design, from each term's design in it, (q, N, width)."""
    out = []
    for design, D in zip(designs, turned, strict=True):
        G, used = design.term.relationship, design.used
        plain = design.by_roots or isinstance(G, Identity)
        moved = D if plain else D @ G.block(used, used)
        q, N = D.shape[:2]
        parts = []
        for a in range(q):
            for b in range(a + 1):
                K = moved[a] @ D[b].T
                parts.append(Part(DenseBlock(K), _single(q, a, b)))
                if a != b:
                    parts.append(Part(DenseBlock(K.T), _single(q, b, a)))
        out.append(TermKernel(np.ones((N, q)), tuple(parts)))
    return tuple(out)


def _single(q: int, a: int, b: int) -> Array:
    mask = np.zeros((q, q))
    mask[a, b] = 1.0
    return mask
