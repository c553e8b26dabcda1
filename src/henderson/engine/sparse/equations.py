"""Henderson's mixed-model equations of one design: all of them that does not depend on theta or y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_diag, coo_array, csc_array, csr_array, eye_array, hstack, kron

from henderson.covariance import Precision, SparseFactorRelationship
from henderson.engine.basis import column_scale
from henderson.engine.sparse.pattern import Index, Pattern
from henderson.errors import DataError
from henderson.linalg.memory import installed_memory
from henderson.linalg.sparse_cholesky import Analysis, SparseCholesky, analyse
from henderson.model import MixedModel, RandomTerm

Array = NDArray[np.float64]
GB = 1e9
Sparse = TypeVar("Sparse", csc_array, csr_array)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One term's part of the equations, for effects v of roots: u = (L (x) I) v, and K v's prior precision.

    Attributes
    ----------
    term : RandomTerm
    P : ndarray, (q, q)
        Z = Z~ P with Z~ of unit size, G's included: lower-triangular, diagonal where the effects point to
        different levels.
    nodes, effects : slice
        Roots of the levels among all nodes, and their effects among all effects.
    L : csr_array, (l, r), or None
        Of G = L L'; None where the roots are the levels.
    """

    term: RandomTerm
    P: Array
    nodes: slice
    effects: slice
    L: csr_array | None

    @property
    def r(self) -> int:
        """Number of roots."""
        return int(self.nodes.stop - self.nodes.start)

    def prior(self, M: Array) -> Array:
        """K^-1 M for values of roots, (r, m)."""
        relationship = self.term.relationship
        return relationship.times(M) if isinstance(relationship, Precision) else M

    @property
    def logdet_prior(self) -> float:
        """log|K^-1|."""
        relationship = self.term.relationship
        return relationship.logdet if isinstance(relationship, Precision) else 0.0

    def to_levels(self, V: Array) -> Array:
        """(L (x) I) V for effects of roots (r q, m), as (l, q, m)."""
        m = V.shape[1]
        rows = V.reshape(self.r, -1)
        out = rows if self.L is None else self.L @ rows
        return np.asarray(out).reshape(self.term.n_levels, -1, m)

    def to_roots(self, U: Array) -> Array:
        """(L' (x) I) U for values of levels (l, q, m), as (r q, m)."""
        rows = U.reshape(self.term.n_levels, -1)
        out = rows if self.L is None else self.L.T @ rows
        return np.asarray(out).reshape(-1, U.shape[2])


@dataclass(frozen=True, slots=True, eq=False)
class Coupling:
    """The blocks of Z'Z between the nodes of two parts.

    Attributes
    ----------
    row, column : int
        Parts.
    source : ndarray of int
        Which elements of Z'Z these are,
    target : ndarray of int
        and where they stand in the flattened blocks.
    places : ndarray of int, (k, q_row, q_column)
        Where the blocks stand in the data of the pattern.
    """

    row: int
    column: int
    source: Index
    target: Index
    places: Index


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What does not depend on the prior weights either: parts, designs, pattern and its analysis.

    Attributes
    ----------
    parts : tuple of Part
    Z : csr_array, (n, n_effects)
        Designs of all parts side by side, Z~ (L (x) I), without weights.
    pattern : Pattern
    analysis : Analysis
        Of the pattern.
    couplings : tuple of Coupling
    prior : ndarray
        blockdiag(K (x) I) in the data of the pattern.
    logdet_prior : float
        log|blockdiag(K^-1 (x) I)|.
    """

    parts: tuple[Part, ...]
    Z: csr_array
    pattern: Pattern
    analysis: Analysis
    couplings: tuple[Coupling, ...]
    prior: Array
    logdet_prior: float

    @classmethod
    def of(cls, model: MixedModel) -> Self:
        """Set up the equations of a model and analyse their pattern."""
        parts = _parts(model.terms)
        Z = csr_array(hstack([_design(part) for part in parts], format="csr"))
        A = gram(Z)
        sizes = np.concatenate([np.full(part.r, part.term.q) for part in parts])
        pattern = Pattern.of(sizes, _meeting(parts, _between_nodes(A, sizes)))
        analysis = analyse(pattern.matrix)
        _check_memory(analysis)
        # Only now, since this factors the precisions
        units = [_unit(part.term) for part in parts]
        scale = np.concatenate(
            [np.full(part.r * part.term.q, u) for part, u in zip(parts, units, strict=True)]
        )
        Z = csr_array((Z.data / scale[Z.indices], Z.indices, Z.indptr), shape=Z.shape)
        parts = tuple(replace(part, P=part.P * u) for part, u in zip(parts, units, strict=True))
        logdet = sum(part.term.q * part.logdet_prior for part in parts)
        couplings = _couplings(parts, pattern, A)
        return cls(parts, Z, pattern, analysis, couplings, _prior(parts, pattern), logdet)


@dataclass(frozen=True, slots=True, eq=False)
class Equations:
    """The layout with prior weights.

    Attributes
    ----------
    layout : Layout
    root_weights : ndarray, (n,), or None
    Z : csr_array, (n, n_effects)
        W^1/2 times the designs.
    A : csc_array, (n_effects, n_effects)
        Z'Z.
    blocks : tuple of ndarray, (k, q_row, q_column)
        Its blocks, one array for each coupling of the layout.
    """

    layout: Layout
    root_weights: Array | None
    Z: csr_array
    A: csc_array
    blocks: tuple[Array, ...]

    @classmethod
    def of(cls, layout: Layout, weights: Array | None) -> Self:
        """The equations for prior weights."""
        root = None if weights is None else np.sqrt(weights)
        Z = layout.Z
        if root is not None:
            scaled = Z.data * np.repeat(root, np.diff(Z.indptr))
            Z = csr_array((scaled, Z.indices, Z.indptr), shape=Z.shape)
        A = gram(Z)
        blocks = []
        for coupling in layout.couplings:
            block = np.zeros(coupling.places.shape)
            block.ravel()[coupling.target] = A.data[coupling.source]
            blocks.append(block)
        return cls(layout, root, Z, A, tuple(blocks))

    @property
    def parts(self) -> tuple[Part, ...]:
        """One for each random term."""
        return self.layout.parts

    @property
    def n_effects(self) -> int:
        """Effects of the roots of all parts."""
        return int(self.A.shape[0])

    @property
    def log_weights(self) -> float:
        """Sum of the logarithms of the prior weights."""
        return 0.0 if self.root_weights is None else 2.0 * float(np.log(self.root_weights).sum())

    def weighted(self, M: Array) -> Array:
        """W^1/2 M for M (n, m)."""
        return M if self.root_weights is None else M * self.root_weights[:, None]

    def factor(self, T: Sequence[Array]) -> SparseCholesky:
        """Factor of blockdiag(K (x) I) + T'Z'Z T, T (q, q) for each part."""
        data = self.layout.prior.copy()
        for coupling, block in zip(self.layout.couplings, self.blocks, strict=True):
            data[coupling.places] += T[coupling.row].T @ block @ T[coupling.column]
        return self.layout.analysis.factor(data)

    def times(self, T: Sequence[Array], V: Array) -> Array:
        """(I (x) T) V for effects V (n_effects, m)."""
        out = np.empty_like(V)
        for part, t in zip(self.parts, T, strict=True):
            own = V[part.effects].reshape(part.r, len(t), -1)
            out[part.effects] = np.matmul(t, own).reshape(-1, V.shape[1])
        return out

    def times_prior(self, V: Array) -> Array:
        """blockdiag(K^-1 (x) I) V for effects V (n_effects, m)."""
        out = np.empty_like(V)
        for part in self.parts:
            own = V[part.effects].reshape(part.r, -1)
            out[part.effects] = part.prior(own).reshape(-1, V.shape[1])
        return out


def transposed(T: Sequence[Array]) -> tuple[Array, ...]:
    """T' of each part."""
    return tuple(t.T for t in T)


def gram(Z: csr_array) -> csc_array:
    """Z'Z with sorted indices; sums that happen to be zero are kept: its pattern depends on no data."""
    A, full = csc_array(Z.T @ Z), csc_array(_ones(Z).T @ _ones(Z))
    A.sort_indices()
    full.sort_indices()
    if A.nnz == full.nnz:
        return A
    # SciPy leaves out what cancels, which rounding and weights decide
    n = A.shape[0]
    there, wanted = (np.repeat(np.arange(n), np.diff(M.indptr)) * n + M.indices for M in (A, full))
    full.data = np.zeros(full.nnz)
    full.data[np.searchsorted(wanted, there)] = A.data
    return full


def _parts(terms: Sequence[RandomTerm]) -> tuple[Part, ...]:
    """The parts, in the units of the designs alone."""
    parts = []
    node = effect = 0
    for term in terms:
        relationship, q = term.relationship, term.q
        L = csr_array(relationship.factor) if isinstance(relationship, SparseFactorRelationship) else None
        r = relationship.n_roots(term.n_levels)
        P = column_scale(term.z) if term.codes.ndim == 1 else _root_mean_squares(term.z)
        parts.append(Part(term, P, slice(node, node + r), slice(effect, effect + r * q), L))
        node, effect = node + r, effect + r * q
    return tuple(parts)


def _unit(term: RandomTerm) -> float:
    """Root of the mean relationship of a level to itself."""
    mean = float(term.relationship.diagonal(term.n_levels).mean())
    return float(np.sqrt(mean)) if mean > 0.0 else 1.0


def _root_mean_squares(z: Array) -> Array:
    size = np.sqrt(np.mean(z * z, axis=0))
    return np.diag(np.where(size > 0.0, size, 1.0))


def _design(part: Part) -> csr_array:
    """Z~ (L (x) I) of one term, (n, r q)."""
    term, q = part.term, part.term.q
    n = len(term.z)
    z = term.z @ np.linalg.inv(part.P)
    levels = np.column_stack([term.codes_of(j) for j in range(q)])
    columns = levels * q + np.arange(q)
    shape = (n, term.n_levels * q)
    own = csr_array((z.ravel(), columns.ravel(), np.arange(0, n * q + 1, q)), shape=shape)
    return own if part.L is None else csr_array(own @ kron(part.L, eye_array(q), format="csr"))


def _between_nodes(A: csc_array, sizes: Index) -> csc_array:
    """Which nodes meet in a matrix of their effects."""
    node = np.repeat(np.arange(sizes.size), sizes)
    column = np.repeat(node, np.diff(A.indptr))
    ones = np.ones(A.nnz)
    return csc_array(coo_array((ones, (node[A.indices], column)), shape=(sizes.size, sizes.size)))


def _meeting(parts: Sequence[Part], in_records: csc_array) -> csc_array:
    """Which nodes meet: in a record, in a prior precision, or as roots of one level."""
    own = []
    for part in parts:
        relationship = part.term.relationship
        if isinstance(relationship, Precision):
            own.append(_ones(relationship.inverse))
        elif part.L is not None:
            roots = _ones(part.L)
            own.append(roots.T @ roots + eye_array(part.r))
        else:
            own.append(eye_array(part.r))
    out = csc_array(block_diag(own, format="csc") + in_records)
    out.sort_indices()
    return out


def _ones(matrix: Sparse) -> Sparse:
    """The same pattern with ones, of which no sum is zero."""
    return type(matrix)((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)


def _prior(parts: Sequence[Part], pattern: Pattern) -> Array:
    """blockdiag(K (x) I) in the data of the pattern."""
    data = np.zeros(pattern.matrix.nnz)
    for part in parts:
        relationship = part.term.relationship
        K = relationship.inverse if isinstance(relationship, Precision) else csc_array(eye_array(part.r))
        column = np.repeat(np.arange(part.r), np.diff(K.indptr)) + part.nodes.start
        numbers = pattern.numbers(K.indices + part.nodes.start, column)
        q = part.term.q
        diagonal = pattern.places(numbers, column, q, q)[:, np.arange(q), np.arange(q)]
        data[diagonal] += K.data[:, None]
    return data


def _couplings(parts: Sequence[Part], pattern: Pattern, A: csc_array) -> tuple[Coupling, ...]:
    n_nodes = pattern.height.size
    node = np.repeat(np.arange(n_nodes), np.diff(pattern.start))
    effect = np.repeat(np.arange(A.shape[1]), np.diff(A.indptr))
    column, row = node[effect], node[A.indices]
    part_of = np.repeat(np.arange(len(parts)), [part.r for part in parts])
    within_row, within_column = A.indices - pattern.start[row], effect - pattern.start[column]
    out = []
    for i in range(len(parts)):
        for j in range(len(parts)):
            source = np.flatnonzero((part_of[row] == i) & (part_of[column] == j))
            if not source.size:
                continue
            key = column[source] * n_nodes + row[source]
            distinct, block = np.unique(key, return_inverse=True)
            columns, rows = np.divmod(distinct, n_nodes)
            a, b = parts[i].term.q, parts[j].term.q
            places = pattern.places(pattern.numbers(rows, columns), columns, a, b)
            target = (block * a + within_row[source]) * b + within_column[source]
            out.append(Coupling(i, j, source, target, places))
    return tuple(out)


def _check_memory(analysis: Analysis) -> None:
    needed, there = analysis.memory, installed_memory()
    if needed > there:
        raise DataError(
            f"the mixed-model equations fill in to {analysis.fill:,} numbers, which take about "
            f"{needed / GB:.3g} GB of memory, and this machine has {there / GB:.3g} GB: fit fewer levels (in "
            "a pedigree, prune ancestors that have neither records nor two relatives with records), leave a "
            "crossed term out, or use a larger machine"
        )
