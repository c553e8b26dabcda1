"""The `blocked` engine for records that are seen batch by batch and never held.

Raw cross-products lose the answer, and an orthonormal basis of the designs is only known once all records
have been seen. But any basis that is roughly orthonormal keeps the digits, and everything that is summed is
linear in it. So the sums are taken in the *preliminary* basis of a sample of the records, and turned into the
basis of all records at the end, by small matrices. Where the sample was a bad guide, as the sums themselves
tell, the records are read once more in the basis that the first reading found.

Sums are kept for each *cell*: a combination of levels of all grouping factors that occurs. Plan and moments
depend on the records through the cells alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Homogeneous, Residual
from henderson.engine.blocked.basis import column_scale
from henderson.engine.blocked.moment_engine import Basis, MomentEngine
from henderson.engine.blocked.moments import ColumnMoments, Moments, RandomMoments, by_blocks
from henderson.engine.blocked.plan import Index, Plan, make_plan
from henderson.engine.blocked.residual import Pattern, UnitBlocks
from henderson.engine.blocked.system import System
from henderson.errors import ModelNotSupportedError
from henderson.linalg.pivoting import independent_columns, triangular_factor
from henderson.model import MixedModel, RandomTerm
from henderson.model.mixed_model import SharesTheta

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

    def columns(self, X: Array, y: Array, Z: Array, root_weights: Array | None) -> Array:
        """[Z H, X A, y - X b], weighted; shape (n, u + p + 1)."""
        u, p = Z.shape[1], X.shape[1]
        out = np.empty((y.size, u + p + 1))
        out[:, :u] = Z @ self.H
        out[:, u:-1] = X @ self.A
        out[:, -1] = y - X @ self.b
        if root_weights is not None:
            out *= root_weights[:, None]
        return out


class RecordSums:
    """Everything that is summed over the records, in a preliminary basis.

    Attributes
    ----------
    basis : Preliminary
    cells : CellSums
        Products of Z H with itself and with M, by cell.
    gram : ndarray, (p + 1, p + 1)
        M'M.
    z_gram : ndarray, (u, u)
        Those of Z H without weights.
    n : int
    log_weights : float
    """

    def __init__(self, basis: Preliminary) -> None:
        from henderson.linalg.cells import CellSums

        self.basis = basis
        self.u, p = len(basis.H), len(basis.A)
        self.cells: CellSums = CellSums(self.u, self.u + p + 1)
        self.gram = np.zeros((p + 1, p + 1))
        self.z_gram = np.zeros((self.u, self.u))
        self.n = 0
        self.log_weights = 0.0

    def add(self, cell: Index, X: Array, y: Array, Z: Array, weights: Array | None) -> None:
        """Add records: the cell (n,) of each, its fixed effects (n, p), response, random columns, weights."""
        root = None if weights is None else np.sqrt(weights)
        columns = self.basis.columns(X, y, Z, root)
        self.cells.add(cell, columns)
        M = columns[:, self.u :]
        self.gram += M.T @ M
        bare = columns[:, : self.u]
        if root is not None:
            bare = bare / root[:, None]
            self.log_weights += 2.0 * float(np.log(root).sum())
        self.z_gram += bare.T @ bare
        self.n += y.size

    # -- all records -----------------------------------------------------------------------------------

    def z_factor(self) -> Array:
        """A factor F (u, u) of the cross-products of the columns of Z: F'F / u is their mean product."""
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
    def of(cls, sums: RecordSums, columns: Sequence[Index]) -> RandomPart:
        """The terms whose effects multiply these columns of Z, (q,) each."""
        F = sums.z_factor()
        scales = tuple(column_scale(F[:, own]) for own in columns)
        turns = tuple(
            sums.basis.H_inverse[:, own] @ np.linalg.inv(P) for own, P in zip(columns, scales, strict=True)
        )
        size = np.sqrt(sums.n)
        return cls(scales, turns, all(_keeps_digits(sums.z_gram, t, np.array([size])) for t in turns))


@dataclass(frozen=True, slots=True, eq=False)
class StreamedShape(SharesTheta):
    """A `ModelShape` whose records are gone; the codes of its terms are those of the cells."""

    n: int
    p: int
    terms: tuple[RandomTerm, ...]
    residual: Residual


class StreamedEngine(MomentEngine):
    """Penalised least squares from the sums over records that were not kept."""

    def __init__(
        self, terms: tuple[RandomTerm, ...], sums: RecordSums, fixed: FixedPart, random: RandomPart
    ) -> None:
        plan = make_plan(terms)
        columns = _Cells(sums, fixed.turn, plan, random.turns)
        moments = Moments(columns.random(), columns.columns(), fixed.gram)
        shape = StreamedShape(sums.n, fixed.kept.size, terms, Homogeneous())
        basis = Basis(random.scales, fixed.R, fixed.Qy, sums.log_weights)
        every = np.broadcast_to(np.intp(0), (sums.n, 1))
        units = UnitBlocks((Pattern(np.zeros(1, dtype=np.intp), every),), sums.n)
        super().__init__(shape, basis, System(plan, units, (moments,), sums.n))

    @property
    def model(self) -> MixedModel:
        """Refused: the records are gone."""
        raise _gone("the arrays of the model")

    def with_response(self, y: Array) -> NoReturn:
        """Refused: the records are gone."""
        raise _gone("another response")

    def with_fixed(self, X: Array) -> NoReturn:
        """Refused: the records are gone."""
        raise _gone("other fixed effects")

    def with_weights(self, weights: Array | None) -> NoReturn:
        """Refused: the records are gone."""
        raise _gone("other weights")

    def project(self, theta: Array, M: Array) -> NoReturn:
        """Refused: the records are gone."""
        raise _gone("residuals of further columns")


def _gone(what: str) -> ModelNotSupportedError:
    return ModelNotSupportedError(
        f"{what} would need the rows, which were not kept because the data were streamed: fit again "
        "from the files"
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Sums by cell to sums by level, in the final basis."""

    sums: RecordSums
    turn: Array
    plan: Plan
    turns: tuple[Array, ...]

    def _of_block(self, k: int) -> Array:
        return np.hstack([self.turns[i] for i in self.plan.blocks[k].terms])

    def random(self) -> RandomMoments:
        """Z'Z."""
        plan, n_chain = self.plan, len(self.plan.chain)
        diagonal = tuple(self._between(k, k, b.codes, b.l) for k, b in enumerate(plan.chain))
        cross = {(k, t): self._between(t, k, plan.chain[k].codes, plan.chain[k].l) for k, t in plan.parent}
        places = []
        for k, where in enumerate(plan.places):
            values = np.zeros((plan.chain[k].q, where.column.size))
            for u, group in enumerate(where.group):
                values[:, group] = self._between(k, n_chain + u, where.of_record[u], group.shape[1])
            places.append(values)
        return RandomMoments(diagonal, cross, tuple(places), self._core())

    def columns(self) -> ColumnMoments:
        """Z'[Q y]."""
        u, m = self.sums.u, len(self.turn)
        out = []
        for k, block in enumerate(self.plan.blocks):
            products = np.empty((u, m, block.l))
            for a in range(u):
                for j in range(m):
                    products[a, j] = np.bincount(block.codes, self.sums.cells.product(a, u + j), block.l)
            turned = np.einsum("jm,ajl->aml", self.turn, products, optimize=True)
            out.append(np.einsum("aq,aml->mql", self._of_block(k), turned, optimize=True))
        return by_blocks(self.plan, out)

    def _between(self, k: int, t: int, codes: Index, size: int) -> Array:
        """Z_k'Z_t by code, shape (q_k, q_t, size)."""
        u = self.sums.u
        products = np.empty((u, u, size))
        for a in range(u):
            for b in range(a + 1):
                products[a, b] = products[b, a] = np.bincount(codes, self.sums.cells.product(a, b), size)
        half = np.einsum("aq,abl->qbl", self._of_block(k), products, optimize=True)
        return np.asarray(np.einsum("bt,qbl->qtl", self._of_block(t), half, optimize=True))

    def _core(self) -> Array:
        plan, n_chain = self.plan, len(self.plan.chain)
        total = np.zeros((plan.n_core, plan.n_core))
        effects = [plan.core_effects(u) for u in range(len(plan.core))]
        for u, b in enumerate(plan.core):
            rows = effects[u]
            total[rows[:, None, :], rows[None, :, :]] = self._between(n_chain + u, n_chain + u, b.codes, b.l)
            for v in range(u):
                each = self._between(n_chain + u, n_chain + v, np.arange(b.codes.size), b.codes.size)
                where = effects[u][:, None, b.codes], effects[v][None, :, plan.core[v].codes]
                np.add.at(total, where, each)
        return np.tril(total) + np.tril(total, -1).T


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
