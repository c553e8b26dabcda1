"""The columns of fixed and random effects side by side, those that they share only once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.formula.bars import ParsedFormula
from henderson.formula.matrix import Matrix, Variable
from henderson.formula.syntax import Node
from henderson.formula.terms import TermSet
from henderson.io.columns import Column, FactorColumn

FloatArray = NDArray[np.float64]
Index = NDArray[np.intp]
#: Most columns of one term: their cross-products are held densely.
MOST_COLUMNS = 5000


@dataclass(frozen=True, slots=True, eq=False)
class EffectColumns:
    """How to make the distinct columns of all effects.

    Attributes
    ----------
    fixed : Matrix
        Its columns come first.
    effects : tuple of Matrix, one per random term
    places : tuple of ndarray, one (q,) per random term
        Which of the columns are the term's.
    extra : tuple of (Matrix, list of int)
        Which columns of which matrix come after those of `fixed`.
    """

    fixed: Matrix
    effects: tuple[Matrix, ...]
    places: tuple[Index, ...]
    extra: tuple[tuple[Matrix, list[int]], ...]

    @classmethod
    def learn(
        cls, parsed: ParsedFormula, column: Callable[[Node], Column], contrasts: Mapping[str, Any] | None
    ) -> EffectColumns:
        """Learn the effects of a formula; `column` gives each variable with its levels.

        Raises
        ------
        DataError
            For a factor with too many levels.
        """
        for terms in (parsed.fixed, *(bar.effects for bar in parsed.bars)):
            _check_width(terms, column)
        fixed = Matrix.learn(parsed.fixed, column, contrasts)
        effects = tuple(Matrix.learn(bar.effects, column) for bar in parsed.bars)
        # Where factors of the fixed effects have contrasts of their own, only numbers are shared with them.
        known = {key: k for k, key in enumerate(_columns(fixed)) if key[1] or not contrasts}
        width = len(fixed.names)
        places, extra = [], []
        for matrix in effects:
            new: list[int] = []
            for k, key in enumerate(_columns(matrix)):
                if key not in known:
                    known[key] = width + len(new)
                    new.append(k)
            width += len(new)
            if new:
                extra.append((matrix, new))
            places.append(np.array([known[key] for key in _columns(matrix)], dtype=np.intp))
        return cls(fixed, effects, tuple(places), tuple(extra))

    @property
    def variables(self) -> dict[str, Variable]:
        """All variables, by name."""
        return {v.name: v for matrix in (self.fixed, *self.effects) for v in matrix.variables}

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.fixed.names) + sum(len(columns) for _, columns in self.extra)

    @property
    def random(self) -> Index:
        """Columns that some random term has, ascending."""
        return np.unique(np.concatenate(self.places))

    def build(self, columns: Mapping[str, Column], n_rows: int) -> FloatArray:
        """Make the columns from those of the variables, by name; shape (n_rows, width)."""

        def built(matrix: Matrix) -> FloatArray:
            return matrix.build([columns[variable.name] for variable in matrix.variables], n_rows)

        parts = [built(self.fixed), *(built(matrix)[:, own] for matrix, own in self.extra)]
        return parts[0] if len(parts) == 1 else np.hstack(parts)


def _columns(matrix: Matrix) -> list[tuple[str, bool]]:
    """Name of each column, and whether it is made of numbers alone."""
    plain = [True, *(not any(matrix.variables[v].is_factor for v in term) for term in matrix.terms.terms)]
    return [(name, plain[term]) for name, term in zip(matrix.names, matrix.assign, strict=True)]


def _check_width(terms: TermSet, column: Callable[[Node], Column]) -> None:
    for term, label in zip(terms.terms, terms.labels, strict=True):
        columns = [column(terms.variables[v]) for v in term]
        width = math.prod(len(c.levels) for c in columns if isinstance(c, FactorColumn))
        if width > MOST_COLUMNS:
            raise DataError(
                f"{label} has {width} columns, one for each level, and {MOST_COLUMNS} are taken at most: "
                f"make it a grouping factor, (1 | {label}), or leave it out"
            )
