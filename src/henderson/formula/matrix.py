"""Columns to a model matrix: what is learnt from the training data, and how it is applied to any data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.formula.contrasts import contrast_in, contrast_matrix
from henderson.formula.syntax import Node
from henderson.formula.terms import TermSet, full_coding
from henderson.io.columns import Column, FactorColumn, NumericColumn, as_factor

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Variable:
    """One expression of a formula, as the training data taught it.

    Attributes
    ----------
    node : Node
    name : str
        As R prints it.
    levels : tuple of str, or None
        None for numbers.
    contrast : ndarray, shape (l, k), or None
    suffixes : tuple of str
        What each column appends to the name: R's contrast names; ``("",)`` for a plain number; ``("1", "2")``
        for the columns of a matrix such as ``poly(x, 2)``.
    """

    node: Node
    name: str
    levels: tuple[str, ...] | None
    contrast: FloatArray | None
    suffixes: tuple[str, ...]

    @classmethod
    def learn(cls, node: Node, name: str, column: Column, contrast: Any) -> Variable:
        """Note the levels and the coding of a column; `contrast` is None for the default of its type."""
        if isinstance(column, NumericColumn):
            if contrast is not None:
                raise DataError(
                    f"contrasts are given for {name!r}, which holds numbers: write factor({name})"
                )
            width = 1 if column.values.ndim == 1 else column.values.shape[1]
            return cls(
                node, name, None, None, ("",) if width == 1 else tuple(str(k + 1) for k in range(width))
            )
        if len(column.levels) < 2:
            only = f"only the level {column.levels[0]!r}" if column.levels else "no level"
            raise DataError(
                f"the factor {name!r} has {only} in the rows used, and contrasts need two or more: "
                "leave it out of the formula"
            )
        own, how_many = contrast_in(node)
        kind = contrast if contrast is not None else own or ("poly" if column.ordered else "treatment")
        matrix, suffixes = contrast_matrix(kind, column.levels, name)
        return cls(node, name, tuple(column.levels), matrix[:, :how_many], suffixes[:how_many])

    @property
    def is_factor(self) -> bool:
        """Whether it is coded by levels."""
        return self.levels is not None

    def recognise(self, column: Column) -> Column:
        """The same column of new data, with codes among the levels that were learnt.

        Raises
        ------
        DataError
            For a level that was never seen, or categories or several columns where there were numbers.
        """
        if self.levels is None:
            if isinstance(column, FactorColumn):
                raise DataError(
                    f"{self.name!r} held numbers when the model was fitted, and holds categories now"
                )
            width = 1 if column.values.ndim == 1 else column.values.shape[1]
            if width != len(self.suffixes):
                raise DataError(
                    f"{self.name!r} had {len(self.suffixes)} number(s) a row when the model was fitted, "
                    f"and has {width} now"
                )
            return column
        found = as_factor(column).drop_unused()
        codes = found.recode(self.levels)
        unseen = np.flatnonzero((codes < 0) & (found.codes >= 0))
        if unseen.size:
            level = found.levels[found.codes[unseen[0]]]
            raise DataError(
                f"the factor {self.name!r} has the level {level!r} (row {unseen[0]}, counted from 0), "
                f"which the model has not seen; it knows {', '.join(self.levels[:8])}"
            )
        return FactorColumn(codes, self.levels)

    def columns(self, column: Column, *, full: bool) -> list[FloatArray]:
        """Its columns in the matrix: indicators of all levels if `full`, else the contrasts."""
        if isinstance(column, FactorColumn):
            coding = np.eye(len(column.levels)) if full or self.contrast is None else self.contrast
            return [coding[:, j][column.codes] for j in range(coding.shape[1])]
        values = column.values.astype(np.float64, copy=False)
        return [values] if values.ndim == 1 else [values[:, j] for j in range(values.shape[1])]

    def column_names(self, *, full: bool) -> list[str]:
        """Names of `columns`."""
        suffixes = self.levels if full and self.levels is not None else self.suffixes
        return [self.name + suffix for suffix in suffixes]


@dataclass(frozen=True)
class Matrix:
    """The recipe of a model matrix.

    Attributes
    ----------
    terms : TermSet
    variables : tuple of Variable
    full : tuple of tuple of bool
        From `full_coding`.
    """

    terms: TermSet
    variables: tuple[Variable, ...]
    full: tuple[tuple[bool, ...], ...]

    @classmethod
    def learn(
        cls, terms: TermSet, column: Callable[[Node], Column], contrasts: Mapping[str, Any] | None = None
    ) -> Matrix:
        """Learn every variable of the terms; `column` looks one up, `contrasts` overrides default codings."""
        given = contrasts or {}
        variables = tuple(
            Variable.learn(node, name, column(node), given.get(name))
            for node, name in zip(terms.variables, terms.names, strict=True)
        )
        return cls(terms, variables, full_coding(terms, [v.is_factor for v in variables]))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """R's names of the columns."""
        return tuple(name for name, _ in self._labelled)

    @cached_property
    def assign(self) -> tuple[int, ...]:
        """The term of each column, counted from 1; 0 is the intercept."""
        return tuple(term for _, term in self._labelled)

    @cached_property
    def _labelled(self) -> list[tuple[str, int]]:
        labelled = [("(Intercept)", 0)] if self.terms.intercept else []
        for t, (term, full) in enumerate(zip(self.terms.terms, self.full, strict=True)):
            names = [""]
            for v, in_full in zip(term, full, strict=True):
                own = self.variables[v].column_names(full=in_full)
                names = [f"{a}:{b}" if a else b for b in own for a in names]
            labelled += [(name, t + 1) for name in names]
        return labelled

    def build(self, columns: Sequence[Column], n_rows: int) -> FloatArray:
        """Combine the variables' columns; within a term those of the first variable vary fastest, as in R.

        Parameters
        ----------
        columns : sequence of Column, one for each variable
        n_rows : int

        Returns
        -------
        ndarray, shape (n_rows, p)
        """
        coded: dict[tuple[int, bool], list[FloatArray]] = {}
        matrix = np.empty((n_rows, len(self.names)))
        filled = 0
        if self.terms.intercept:
            matrix[:, 0] = 1.0
            filled = 1
        for term, full in zip(self.terms.terms, self.full, strict=True):
            product: list[FloatArray] = []
            for v, in_full in zip(term, full, strict=True):
                if (v, in_full) not in coded:
                    coded[v, in_full] = self.variables[v].columns(columns[v], full=in_full)
                own = coded[v, in_full]
                product = [a * b for b in own for a in product] if product else own
            for values in product:
                matrix[:, filled] = values
                filled += 1
        return matrix
