"""Sums over records that are seen batch by batch and never held, in a basis that keeps their digits.

Raw cross-products lose the answer, and an orthonormal basis of the designs is only known once all records
have been seen. But any basis that is roughly orthonormal keeps the digits, and everything that is summed is
linear in it. So the sums are taken in the *preliminary* basis of a sample of the records, and turned into the
basis of all records at the end, by small matrices. Where the sample was a bad guide, as the sums themselves
tell, the records are read once more in the basis that the first reading found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.engine.basis import column_scale
from henderson.engine.blocked.plan import Index
from henderson.linalg.pivoting import independent_columns, triangular_factor

if TYPE_CHECKING:
    from henderson.linalg.cells import CellSums

Array = NDArray[np.float64]
#: Columns that are the difference of others this much longer than themselves have lost three digits.
CANCELLED = 30.0
#: A residual below this part of the response is rounding.
EXACT = 1e-13


@dataclass(frozen=True, slots=True, eq=False)
class Preliminary:
    """Columns in which sums are taken: M = [X A, y - X b] and Z H.

    Attributes
    ----------
    A, A_inverse : ndarray, (p, p)
    b : ndarray, (p,)
    H, H_inverse : ndarray, (u, u)
        Lower triangular.
    """

    A: Array
    A_inverse: Array
    b: Array
    H: Array
    H_inverse: Array

    @classmethod
    def learn(cls, Xy: Array, Z: Array) -> Preliminary:
        """The basis that is orthonormal for these records, or for a factor F with F'F their cross-products.

        Columns of X that depend on others here may not do so in all records: each is set beside them, less
        what they predict of it and divided by its norm.

        Parameters
        ----------
        Xy : ndarray, (m, p + 1)
            Weighted fixed effects and response.
        Z : ndarray, (m, u)
            Distinct columns of the random effects, unweighted.
        """
        R = triangular_factor(Xy)
        p = Xy.shape[1] - 1
        kept = independent_columns(R[:, :p])
        Q, RK = np.linalg.qr(R[:, kept])
        inverse = np.linalg.inv(RK)
        taken = Q.T @ R
        size = np.linalg.norm(R, axis=0)
        size[size == 0.0] = 1.0
        A, A_inverse, b = np.diag(1.0 / size[:p]), np.diag(size[:p]), np.zeros(p)
        A[kept] = -inverse @ taken[:, :p] / size[:p]
        A[np.ix_(kept, kept)] = inverse
        A_inverse[kept] = taken[:, :p]
        A_inverse[np.ix_(kept, kept)] = RK
        b[kept] = inverse @ taken[:, p]
        P = column_scale(Z)
        return cls(A, A_inverse, b, np.asarray(np.linalg.inv(P), dtype=np.float64), P)

    def turn(self, width: int, random: Index) -> Array:
        """[Z H, X A, -X b] = C turn for columns C: first those of X, and `random` those of Z."""
        u, p = len(self.H), len(self.A)
        out = np.zeros((width, u + p + 1))
        out[random, :u] = self.H
        out[:p, u:-1] = self.A
        out[:p, -1] = -self.b
        return out


class RecordSums:
    """Everything that is summed over the records, in a preliminary basis.

    Parameters
    ----------
    basis : Preliminary
    width : int
        Number of columns of the effects; those of X come first.
    random : ndarray of int, (u,)
        Which of them are those of Z.

    Attributes
    ----------
    basis : Preliminary
    random : ndarray of int, (u,)
    cells : CellSums
        Products of Z H with itself and with M, by cell.
    gram : ndarray, (p + 1, p + 1)
        M'M.
    z_gram : ndarray, (u, u)
        Those of Z H without weights.
    n : int
    log_weights : float
    """

    def __init__(self, basis: Preliminary, width: int, random: Index) -> None:
        from henderson.linalg.cells import CellSums

        self.basis, self.random = basis, random
        self._turn = basis.turn(width, random)
        self.u, p = len(basis.H), len(basis.A)
        self.cells: CellSums = CellSums(self.u, self.u + p + 1)
        self.gram = np.zeros((p + 1, p + 1))
        self.z_gram = np.zeros((self.u, self.u))
        self.n = 0
        self.log_weights = 0.0

    def add(self, cell: Index, columns: Array, y: Array, weights: Array | None) -> None:
        """Add records: the cell (n,) of each, the columns of its effects (n, width), response and weight."""
        turned = columns @ self._turn
        turned[:, -1] += y
        bare = turned[:, : self.u]
        if weights is not None:
            self.z_gram += bare.T @ bare
            turned *= np.sqrt(weights)[:, None]
            self.log_weights += float(np.log(weights).sum())
        self.cells.add(cell, turned)
        gram = turned.T @ turned
        self.gram += gram[self.u :, self.u :]
        if weights is None:
            self.z_gram += gram[: self.u, : self.u]
        self.n += y.size

    # -- all records -----------------------------------------------------------------------------------

    def z_factor(self) -> Array:
        """F (u, u) with F'F / u = Z'Z / n."""
        root, _ = _square_root(self.z_gram)
        return np.asarray(root @ self.basis.H_inverse * np.sqrt(self.u / self.n))

    def fixed(self) -> FixedPart:
        """The fixed effects and the response of all records."""
        p = len(self.basis.A)
        inner = self.gram[:p, :p]
        root, inverse = _square_root(inner)
        F = root @ self.basis.A_inverse
        kept = independent_columns(triangular_factor(F))
        U, R = np.linalg.qr(F[:, kept])
        T = inverse @ U
        h = T.T @ self.gram[:p, p]
        # once more: what rounding left in the residual
        h += T.T @ (self.gram[:p, p] - inner @ (T @ h))
        turn = np.zeros((p + 1, kept.size + 1))
        turn[:p, :-1], turn[:p, -1], turn[p, -1] = T, -T @ h, 1.0
        gram = turn.T @ self.gram @ turn
        Xb = F @ self.basis.b
        rest = np.sqrt(max(float(gram[-1, -1]), 0.0))
        response = np.append(Xb + U @ h, rest)
        factor = np.column_stack([np.vstack([F, np.zeros(p)]), response])
        is_exact = not rest > EXACT * float(np.linalg.norm(response))
        size = np.append(np.ones(kept.size), np.inf if is_exact else rest)
        straight = _keeps_digits(self.gram, turn, size)
        return FixedPart(kept, R, U.T @ Xb + h, gram, turn, factor, is_exact, straight)


@dataclass(frozen=True, slots=True, eq=False)
class FixedPart:
    """Fixed effects and response of all records, in their orthonormal basis.

    Attributes
    ----------
    kept : ndarray of int, (k,)
        Columns of X that R's rule of rank keeps.
    R, Qy : ndarray, (k, k) and (k,)
        As in `Basis`.
    gram : ndarray, (k + 1, k + 1)
        Cross-products of [Q, residual of y].
    turn : ndarray, (p + 1, k + 1)
        [Q, residual of y] = M turn.
    factor : ndarray, (p + 1, p + 1)
        F'F is the cross-product of [X y].
    is_exact : bool
        Whether the fixed effects alone give the response.
    straight : bool
        Whether the preliminary basis was near enough to the orthonormal one.
    """

    kept: Index
    R: Array
    Qy: Array
    gram: Array
    turn: Array
    factor: Array
    is_exact: bool
    straight: bool


@dataclass(frozen=True, slots=True, eq=False)
class RandomPart:
    """The bases of the random terms.

    Attributes
    ----------
    scales : tuple of ndarray, (q, q) per term
        As in `Basis`.
    turns : tuple of ndarray, (u, q) per term
        Orthonormalised columns of the term are Z H turn.
    straight : bool
        As in `FixedPart`.
    """

    scales: tuple[Array, ...]
    turns: tuple[Array, ...]
    straight: bool

    @classmethod
    def of(cls, sums: RecordSums, places: Sequence[Index]) -> RandomPart:
        """The terms whose effects multiply these columns, (q,) each."""
        F = sums.z_factor()
        columns = [np.searchsorted(sums.random, own) for own in places]
        scales = tuple(column_scale(F[:, own]) for own in columns)
        turns = tuple(
            sums.basis.H_inverse[:, own] @ np.linalg.inv(P) for own, P in zip(columns, scales, strict=True)
        )
        size = np.sqrt(sums.n)
        return cls(scales, turns, all(_keeps_digits(sums.z_gram, t, np.array([size])) for t in turns))


def _square_root(G: Array) -> tuple[Array, Array]:
    """W with W'W = G, and its inverse where there is one; columns of any size."""
    size = np.sqrt(np.diag(G))
    size[size == 0.0] = 1.0
    w, V = np.linalg.eigh(G / np.outer(size, size))
    w = np.clip(w, 0.0, None)
    inverse = np.divide(1.0, np.sqrt(w), out=np.zeros_like(w), where=w > 1e-14)
    return (np.sqrt(w)[:, None] * V.T) * size, V * inverse / size[:, None]


def _keeps_digits(G: Array, turn: Array, size: Array) -> bool:
    """Whether no column of M turn, of this size, is a difference of much longer ones; G = M'M."""
    longest = np.sqrt(np.diag(G) @ turn**2)
    return bool((longest < CANCELLED * size).all())
