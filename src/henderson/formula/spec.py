"""The recipe of a fitted design: everything needed to build X and z for new data, and none of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.formula.design import UNSTRUCTURED, Structure
from henderson.formula.evaluate import Evaluator, State
from henderson.formula.groups import AnyGrouping
from henderson.formula.matrix import Matrix
from henderson.formula.syntax import Node
from henderson.io.columns import as_numbers
from henderson.io.frame import open_table

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RandomSpec:
    """One random term: the recipe of its numbers and of its codes.

    Attributes
    ----------
    text : str
        ``"(Days | Subject)"``.
    effects : Matrix
    grouping : Grouping or PooledGrouping
    structure : Structure
    """

    text: str
    effects: Matrix
    grouping: AnyGrouping
    structure: Structure = UNSTRUCTURED

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the effects: those of the left side, or the columns of a pooled factor."""
        group = self.grouping.group
        return group.parts if group.pooled else self.effects.names

    def of_effects(self, z: FloatArray) -> FloatArray:
        """The numbers of all effects, (n, q), from those of the left side: one for each column if pooled."""
        group = self.grouping.group
        return np.repeat(z, len(group.parts), axis=1) if group.pooled else z


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A formula with what the training data taught it: levels, contrasts, bases.

    Attributes
    ----------
    formula : str
    response : str
        As R prints it: ``"log(Reaction)"``.
    fixed : Matrix
    random : tuple of RandomSpec
        In the order of `Design.random`.
    offsets : tuple of Node
        Expressions whose sum is the offset.
    offset_is_array : bool
        An offset was given as an array, which new data cannot have.
    state : dict
        What the stateful transforms remember, by expression.

    Examples
    --------
    >>> from henderson.formula import build_design
    >>> data = {"y": [1.0, 2, 4, 3, 5, 7], "x": [0.0, 1, 2, 0, 1, 2], "g": list("aaabbb")}
    >>> spec = build_design("y ~ x + (1 | g)", data).spec
    >>> spec.fixed_matrix({"x": [3.0, None]})
    (array([[ 1.,  3.],
           [nan, nan]]), array([ True, False]))
    >>> spec.group_codes({"g": ["b", "new"]}, 0)
    array([ 1, -1])
    """

    formula: str
    response: str
    fixed: Matrix
    random: tuple[RandomSpec, ...]
    offsets: tuple[Node, ...]
    offset_is_array: bool
    state: State

    @property
    def term_labels(self) -> tuple[str, ...]:
        """The fixed terms, in the order that `Design.x_assign` counts them from 1."""
        return self.fixed.terms.labels

    def fixed_matrix(self, newdata: Any) -> tuple[FloatArray, NDArray[np.bool_]]:
        """X for new data.

        Parameters
        ----------
        newdata : table or mapping

        Returns
        -------
        X : ndarray, shape (n, p)
            NaN in the rows that miss a value.
        ok : ndarray of bool, shape (n,)
            Whether the row is complete.

        Raises
        ------
        DataError
            For a missing column or a level that was never seen.
        """
        return self._matrix(self.fixed, newdata)

    def random_matrix(self, newdata: Any, k: int) -> FloatArray:
        """The numbers of random term `k` for new data, shape (n, q); NaN in rows that miss a value."""
        spec = self.random[k]
        return spec.of_effects(self._matrix(spec.effects, newdata)[0])

    def group_codes(self, newdata: Any, k: int) -> NDArray[np.int64]:
        """Codes of the levels of random term `k`; -1 for a level that was never seen, or is missing.

        Of shape (n,), or (n, q) if each effect points to a level of its own.
        """
        evaluator = self._evaluator(newdata)
        grouping = self.random[k].grouping
        return grouping.codes([evaluator.column(atom) for atom in grouping.group.atoms])

    def offset(self, newdata: Any) -> FloatArray:
        """The known part of the mean for new data: zeros when the model has none.

        Raises
        ------
        DataError
            If the offset was an array, which new rows cannot have.
        """
        if self.offset_is_array:
            raise DataError(
                "the model was fitted with an array as offset, which says nothing about new rows: "
                "fit it with the name of a column instead"
            )
        evaluator = self._evaluator(newdata)
        total = np.zeros(evaluator.table.n_rows)
        for node in self.offsets:
            total += as_numbers(evaluator.column(node), "offset")
        return total

    def _evaluator(self, newdata: Any) -> Evaluator:
        # Copies, one level deep for each call: a transform may write down what it already knows.
        return Evaluator(open_table(newdata), {name: dict(calls) for name, calls in self.state.items()})

    def _matrix(self, matrix: Matrix, newdata: Any) -> tuple[FloatArray, NDArray[np.bool_]]:
        evaluator = self._evaluator(newdata)
        n_rows = evaluator.table.n_rows
        columns = [v.recognise(evaluator.column(v.node)) for v in matrix.variables]
        ok = np.ones(n_rows, dtype=bool)
        for column in columns:
            if column.missing is not None:
                ok &= ~column.missing
        values = matrix.build(columns, n_rows)
        values[~ok] = np.nan
        return values, ok
