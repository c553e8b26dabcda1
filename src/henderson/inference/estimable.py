"""What the terms of the fixed part say about the coefficients: the over-parametrised model behind a design.

A model matrix X holds contrasts of factors; the model that a user has in mind gives every level, and every
cell of an interaction, an effect of its own: E(y) = Z gamma, with more columns than can be estimated. All of
them are sums of columns of X, Z = X B. So beta = B gamma, a function M beta of the coefficients is the
function (M B) gamma of the effects, and which terms it speaks of is read off the columns of M B. Hypotheses
defined this way depend neither on the coding of factors nor on how many rows each cell has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from henderson.fit import FittedModel
from henderson.formula.matrix import Matrix, Variable
from henderson.io.columns import Column, FactorColumn, NumericColumn

Array = NDArray[np.float64]
#: Directions that are this small beside the largest are none.
NOTHING = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Estimable:
    """The coefficients of a fit as functions of the effects of all levels and cells.

    Attributes
    ----------
    labels : tuple of str
        The fixed terms.
    contains : tuple of frozenset of int
        For each term those that contain it: all its variables and more factors, but the same numbers.
    assign : ndarray of int, (p,)
        Term of each coefficient, counted from 1; 0 for the intercept.
    B : ndarray, (p, k)
        beta = B gamma.
    owner : ndarray of int, (k,)
        Term of each effect, counted as in `assign`.
    reference : ndarray of bool, (k,)
        Whether the effect belongs to the first level of a factor.
    effects : tuple of str, length k
        R's names of the effects.
    """

    labels: tuple[str, ...]
    contains: tuple[frozenset[int], ...]
    assign: NDArray[np.int64]
    B: Array
    owner: NDArray[np.int64]
    reference: NDArray[np.bool_]
    effects: tuple[str, ...]

    def without(self, columns: NDArray[np.bool_]) -> Array:
        """All functions M beta in which these effects do not occur, (m, p)."""
        return left_null_space(self.B[:, columns])

    @property
    def gone(self) -> NDArray[np.bool_]:
        """Effects of terms that the rank rule took out of the model altogether, (k,)."""
        return ~np.isin(self.owner, [0, *self.assign])

    @property
    def empty(self) -> tuple[str, ...]:
        """Cells without data, whose effects no coefficient has a part in."""
        used = set(np.flatnonzero(self.B.any(axis=0)).tolist())
        return tuple(name for k, name in enumerate(self.effects) if k not in used)


def estimable(fit: FittedModel) -> Estimable:
    """The over-parametrised model of a fit's fixed part.

    Needs the rows of the data only where columns were dropped.

    Raises
    ------
    HendersonError
        Where the rows are needed and are not at hand.
    """
    own = fit.estimates.spec.fixed
    every = replace(own, full=tuple(tuple(_by_level(own.variables[v]) for v in t) for t in own.terms.terms))
    columns, n_rows = _any_rows(own)
    B = _as_sums(own.build(columns, n_rows), every.build(columns, n_rows))
    kept = fit.estimates.kept
    if kept.size < len(own.names):
        X = fit.source.with_rows().X
        A = _as_sums(X[:, kept], X)
        B = _without_rounding(A @ B, np.abs(A) @ np.abs(B))
    return Estimable(
        labels=own.terms.labels,
        contains=_containment(own),
        assign=np.array(own.assign, dtype=np.int64)[kept],
        B=B,
        owner=np.array(every.assign, dtype=np.int64),
        reference=_reference(own),
        effects=every.names,
    )


def marginal_terms(terms: Sequence[Sequence[int]]) -> list[int]:
    """The terms whose variables are not all part of another one, counted from 0: those that may be dropped.

    Examples
    --------
    >>> marginal_terms([(0,), (1,), (2,), (0, 1)])
    [2, 3]
    """
    sets = [set(term) for term in terms]
    return [t for t, own in enumerate(sets) if not any(own < other for other in sets)]


def left_null_space(A: Array) -> Array:
    """Orthonormal rows M with M A = 0; columns of A count whatever their length."""
    size = np.sqrt((A**2).sum(axis=0))
    U, d, _ = np.linalg.svd(A[:, size > 0.0] / size[size > 0.0])
    rank = int((d > NOTHING * d[0]).sum()) if d.size else 0
    return np.asarray(U[:, rank:].T)


def _as_sums(X: Array, Z: Array) -> Array:
    """B with Z = X B, rounding errors set to zero."""
    lengths = [np.linalg.norm(columns, axis=0) for columns in (X, Z)]
    u, v = (np.where(length > 0.0, length, 1.0) for length in lengths)
    B = np.asarray(np.linalg.lstsq(X / u, Z / v, rcond=None)[0], dtype=np.float64)
    return _without_rounding(B, np.ones_like(B)) * v / u[:, None]


def _without_rounding(values: Array, size: Array) -> Array:
    return np.where(np.abs(values) < NOTHING * size, 0.0, values)


def _by_level(variable: Variable) -> bool:
    """Whether a variable has an effect for each level: not if its contrasts leave out some differences."""
    return variable.contrast is not None and variable.contrast.shape[1] == variable.contrast.shape[0] - 1


def _containment(matrix: Matrix) -> tuple[frozenset[int], ...]:
    factor = [variable.contrast is not None for variable in matrix.variables]
    sets = [set(term) for term in matrix.terms.terms]
    return tuple(
        frozenset(t for t, other in enumerate(sets) if own < other and all(factor[v] for v in other - own))
        for own in sets
    )


def _reference(own: Matrix) -> NDArray[np.bool_]:
    """Effects of first levels, in the order of the columns that `Matrix.build` makes."""
    flags = [False] if own.terms.intercept else []
    for term in own.terms.terms:
        product = [False]
        for v in term:
            by_level = _by_level(own.variables[v])
            width = len(own.variables[v].column_names(full=by_level))
            first = [by_level and k == 0 for k in range(width)]
            product = [a or b for b in first for a in product]
        flags += product
    return np.array(flags, dtype=np.bool_)


def _any_rows(matrix: Matrix) -> tuple[list[Column], int]:
    """Rows that have every cell of every term, with numbers in general position.

    Whatever holds between columns on these rows holds on all.
    """
    rng = np.random.default_rng(np.random.SeedSequence(0))
    variables = matrix.variables
    n_levels = [len(v.levels) if v.levels is not None else 0 for v in variables]
    copies = 2 + sum(
        int(np.prod([len(variables[v].suffixes) for v in term if not n_levels[v]]))
        for term in matrix.terms.terms
    )
    parts = []
    for t in marginal_terms(matrix.terms.terms):
        shape = [n_levels[v] for v in matrix.terms.terms[t] if n_levels[v]]
        cells = dict(
            zip([v for v in matrix.terms.terms[t] if n_levels[v]], np.indices(shape or [1]), strict=False)
        )
        size = copies * int(np.prod(shape))
        parts.append(
            [
                np.tile(cells[v].ravel(), copies) if v in cells else rng.integers(max(levels, 1), size=size)
                for v, levels in enumerate(n_levels)
            ]
        )
    n_rows = sum(len(part[0]) for part in parts) if parts else 2
    columns: list[Column] = []
    for v, variable in enumerate(variables):
        if variable.levels is not None:
            columns.append(FactorColumn(np.concatenate([part[v] for part in parts]), variable.levels))
        else:
            columns.append(NumericColumn(rng.normal(size=(n_rows, len(variable.suffixes)))))
    return columns, n_rows
