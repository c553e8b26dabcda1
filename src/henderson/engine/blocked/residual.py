"""R(theta) within units, as the blocked engine sees it: R^-1 is a sum of fixed matrices.

Units that have records at the same positions share a pattern. With A = R_0[positions, positions]^-1, the
cross-product of two designs over the units of a pattern is

    sum_a (A_aa - sum_{b != a} A_ab) X_a'Y_a + sum_{a < b} A_ab (X_a + X_b)'(Y_a + Y_b),

X_a the records at position a. So every moment of the data in R^-1 is a combination, linear in numbers that
depend on theta, of the plain moments of *parts*: records, or sums of two records of one unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit, Residual
from henderson.engine.blocked.plan import Index
from henderson.errors import ModelNotSupportedError

Array = NDArray[np.float64]
Inverses = tuple[NDArray[Any], ...]
#: Most parts: each holds moments of all levels.
MAX_PARTS = 3000


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """Units with records at the same positions.

    Attributes
    ----------
    positions : ndarray, shape (m,)
        Ascending.
    rows : ndarray, shape (units, m)
        Record of each unit at each of these positions.
    """

    positions: Index
    rows: Index

    @property
    def block(self) -> tuple[Index, Index]:
        """Index of R_0[positions, positions]."""
        return np.ix_(self.positions, self.positions)  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class UnitBlocks:
    """The patterns of all records; R_0 (t, t) may be complex, to carry a derivative."""

    patterns: tuple[Pattern, ...]
    n: int

    @property
    def independent(self) -> bool:
        """Whether every record is a unit of its own, all at one position: R = R_0 I."""
        return len(self.patterns) == 1 and self.patterns[0].rows.shape[1] == 1

    @cached_property
    def parts(self) -> tuple[tuple[Index, Index | None], ...]:
        """Records of each part: one row, or two whose sum is meant."""
        out: list[tuple[Index, Index | None]] = []
        for pattern in self.patterns:
            out += [(rows, None) for rows in pattern.rows.T]
            out += combinations(pattern.rows.T, 2)
        return tuple(out)

    def inverses(self, R0: NDArray[Any]) -> Inverses:
        """R_0[positions, positions]^-1 of each pattern; NaN where that is singular."""
        if self.independent:
            return (1.0 / R0[self.patterns[0].block],)
        try:
            return tuple(np.linalg.inv(R0[p.block]) for p in self.patterns)
        except np.linalg.LinAlgError:
            return tuple(np.full((p.positions.size,) * 2, np.nan) for p in self.patterns)

    def coefficients(self, inverses: Inverses) -> NDArray[Any]:
        """How much of each part makes R^-1."""
        if self.independent:
            return np.asarray(inverses[0][0])
        out: list[NDArray[Any]] = []
        for A in inverses:
            out += [2.0 * np.diag(A) - A.sum(axis=1), A[np.triu_indices(len(A), 1)]]
        return np.concatenate(out)

    def slopes(self, inverses: Inverses, E: Array) -> NDArray[Any]:
        """Derivative of `coefficients` along a symmetric E (t, t): R^-1 moves by -R^-1 E R^-1."""
        pairs = zip(inverses, self.patterns, strict=True)
        return self.coefficients(tuple(-A @ E[p.block] @ A for A, p in pairs))

    def logdet(self, R0: Array) -> float:
        """log|R|."""
        if self.independent:
            return self.n * float(np.log(R0[self.patterns[0].block][0, 0]))
        return float(sum(p.rows.shape[0] * np.linalg.slogdet(R0[p.block])[1] for p in self.patterns))

    def logdet_slope(self, inverses: Inverses, E: Array) -> Any:
        """Derivative of log|R| along E, tr(R^-1 E)."""
        pairs = zip(inverses, self.patterns, strict=True)
        return sum(p.rows.shape[0] * (A * E[p.block]).sum() for A, p in pairs)

    def times(self, R0: Array, M: Array) -> Array:
        """R M for M (n, m)."""
        return self._by_unit([R0[p.block] for p in self.patterns], M)

    def times_inverse(self, inverses: Inverses, M: Array) -> Array:
        """R^-1 M for M (n, m)."""
        return self._by_unit(inverses, M)

    def _by_unit(self, blocks: Iterable[Array], M: Array) -> Array:
        out = np.empty_like(M)
        for block, pattern in zip(blocks, self.patterns, strict=True):
            out[pattern.rows] = np.einsum("ab,ubm->uam", block, M[pattern.rows])
        return out


def unit_blocks(residual: Residual, n: int) -> UnitBlocks:
    """Sort the records by unit and position; independent records are units with one position.

    Raises
    ------
    ModelNotSupportedError
        If the units stand at too many different sets of positions.
    """
    if not isinstance(residual, ByUnit):
        return UnitBlocks((Pattern(np.zeros(1, dtype=np.intp), np.arange(n)[:, None]),), n)
    t = residual.covariance.q
    present = np.zeros((residual.n_units, t), dtype=bool)
    present[residual.unit, residual.position] = True
    found, pattern_of = np.unique(np.packbits(present, axis=1), axis=0, return_inverse=True)
    pattern_of = pattern_of.ravel()
    size = present[np.unique(pattern_of, return_index=True)[1]].sum(axis=1)
    n_parts = int((size * (size + 1) // 2).sum())
    if n_parts > MAX_PARTS:
        raise ModelNotSupportedError(
            f"residual='{residual.label}' has {t} positions, and its units have records at {len(found)} "
            f"sets of them, for which {n_parts} sums of moments would have to be kept (at most {MAX_PARTS} "
            "are); use fewer positions, or units that have records at more of the same ones"
        )
    order = np.lexsort((residual.position, residual.unit))
    ends = np.cumsum(present.sum(axis=1))
    patterns = []
    for k, m in enumerate(size.tolist()):
        units = np.flatnonzero(pattern_of == k)
        rows = order[(ends[units] - m)[:, None] + np.arange(m)]
        patterns.append(Pattern(np.flatnonzero(present[units[0]]), rows))
    return UnitBlocks(tuple(patterns), n)
