"""Expressions to columns: plain names are looked up, everything else is computed row by row."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError, HendersonError
from henderson.formula.deparse import deparse
from henderson.formula.functions import PLAIN
from henderson.formula.syntax import Binary, Call, Name, Node, Number, Paren, String, Unary
from henderson.formula.tags import KINDS
from henderson.formula.transforms import OF_FACTORS, STATEFUL
from henderson.io.columns import Column, FactorColumn, NumericColumn, logical_column, numeric_column
from henderson.io.frame import Table, closest, column_of

State = dict[str, dict[str, Any]]

_CONSTANTS: dict[str, Any] = {
    "TRUE": True,
    "FALSE": False,
    "NULL": None,
    "T": True,
    "F": False,
    "pi": np.pi,
    "Inf": np.inf,
}

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    "%%": operator.mod,
    "%/%": operator.floordiv,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "&": np.logical_and,
    "|": np.logical_or,
    "&&": np.logical_and,
    "||": np.logical_or,
}
_ON_LABELS = {"==", "!=", "%in%"}


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Columns of one table, each expression computed once.

    Attributes
    ----------
    table : Table
    state : dict
        What the stateful transforms remember, by expression: filled when empty, obeyed when not.
    """

    table: Table
    state: State = field(default_factory=dict)
    _done: dict[str, Column] = field(default_factory=dict)

    def column(self, node: Node) -> Column:
        """The values of an expression on every row of the table.

        Parameters
        ----------
        node : Node

        Returns
        -------
        NumericColumn or FactorColumn
            Missing wherever one of the columns it needs is.

        Raises
        ------
        DataError
            For an unknown column or function, or an operation that the columns do not allow.
        """
        name = node.name if isinstance(node, Name) else deparse(node)
        if name not in self._done:
            match node:
                case Name():
                    self._done[name] = self.table.column(name)
                case Call("is.na", ((None, argument),)):
                    missing = self.column(argument).missing
                    none = np.zeros(self.table.n_rows, dtype=bool)
                    self._done[name] = logical_column(none if missing is None else missing)
                case _:
                    columns = {leaf: self.column(leaf) for leaf in self._leaves(node)}
                    self._done[name] = self._compute(node, name, columns, self.table.n_rows)
        return self._done[name]

    def among(self, node: Node, rows: NDArray[np.int64]) -> Column:
        """The values of an expression that is computed, and learns what it remembers, from some rows alone.

        Parameters
        ----------
        node : Node
        rows : ndarray of int, shape (k,)

        Returns
        -------
        NumericColumn or FactorColumn
            For those k rows.

        Raises
        ------
        DataError
            As `column`.
        """
        name = deparse(node)
        self.state.pop(name, None)
        columns = {leaf: self.column(leaf).take(rows) for leaf in self._leaves(node)}
        return self._compute(node, name, columns, len(rows))

    def inputs(self, node: Node) -> list[str]:
        """The columns of the table whose missing values an expression has too."""
        return [leaf.name for leaf in self._leaves(node) if isinstance(leaf, Name)]

    def _leaves(self, node: Node) -> list[Node]:
        leaves = dict.fromkeys(_leaves(node))
        return [leaf for leaf in leaves if not isinstance(leaf, Name) or self._is_column(leaf.name)]

    def _is_column(self, name: str) -> bool:
        return name in self.table or name not in _CONSTANTS

    def _compute(self, node: Node, name: str, columns: dict[Node, Column], n_rows: int) -> Column:
        missing = np.zeros(n_rows, dtype=bool)
        for column in columns.values():
            if column.missing is not None:
                missing |= column.missing
        # R's poly() refuses missing values and its scale() skips them: both see the complete rows only.
        some = bool(missing.any())
        complete = np.flatnonzero(~missing)
        values = {leaf: _operand(c.take(complete) if some else c) for leaf, c in columns.items()}
        state = self.state.setdefault(name, {})
        try:
            with np.errstate(all="ignore"):
                result = _Walk(values, state).value(node)
        except HendersonError:
            raise
        except (TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
            labels = [deparse(leaf) for leaf, column in columns.items() if isinstance(column, FactorColumn)]
            if labels and isinstance(error, TypeError):
                held = " and ".join(labels)
                raise DataError(f"{name} cannot be computed: {held} holds categories, not numbers") from None
            raise DataError(f"{name} cannot be computed: {error}") from None
        if not state:
            del self.state[name]
        return _scatter(_as_column(result, len(complete), name), complete if some else None, n_rows)


def _leaves(node: Node) -> list[Node]:
    """What an expression is computed from: columns, and is.na(...), which sees the incomplete rows too."""
    match node:
        case Name() | Call("is.na"):
            return [node]
        case Call("C", ((_, coded), *_)):
            # What follows is the name of contrasts, which is no column.
            return _leaves(coded)
        case Binary(_, left, right):
            return _leaves(left) + _leaves(right)
        case Unary(_, inner) | Paren(inner):
            return _leaves(inner)
        case Call(_, arguments):
            return [leaf for _, argument in arguments for leaf in _leaves(argument)]
        case _:
            return []


def _operand(column: Column) -> Any:
    """What arithmetic sees of a column: floats, booleans, or the factor itself."""
    if isinstance(column, NumericColumn):
        return column.values.astype(np.float64)
    return column.codes.astype(bool) if column.logical else column


@dataclass(slots=True)
class _Walk:
    """One evaluation of an expression, innermost first."""

    values: dict[Node, Any]
    state: dict[str, Any]

    def value(self, node: Node) -> Any:
        if node in self.values:
            return self.values[node]
        match node:
            case Number(value):
                return value
            case String(value):
                return value
            case Name(name):
                return _CONSTANTS[name]
            case Paren(inner):
                return self.value(inner)
            case Unary(op, inner):
                operand = _numbers(self.value(inner), op)
                return (
                    np.logical_not(operand) if op == "!" else np.negative(operand) if op == "-" else operand
                )
            case Binary(op, left, right):
                return _apply(op, self.value(left), self.value(right))
            case Call():
                return self.call(node)

    def call(self, node: Call) -> Any:
        function = node.function.removeprefix("np.").removeprefix("numpy.")
        if function not in PLAIN and function not in STATEFUL:
            raise DataError(
                f"the function {node.function}() is not known here: compute the column in the table first, "
                f"or {_known(function)}"
            )
        taken = node.arguments[:1] if function == "C" else node.arguments
        positional = [self.value(argument) for name, argument in taken if name is None]
        named = {name.replace(".", "_"): self.value(a) for name, a in taken if name is not None}
        try:
            if function in PLAIN:
                return PLAIN[function](*positional, **named)
            return self.transform(function, deparse(node), positional, named)
        except DataError as error:
            raise DataError(f"{deparse(node)}: {error}") from None

    def transform(self, function: str, call: str, positional: list[Any], named: dict[str, Any]) -> Any:
        """Apply a function that remembers the training data."""
        x = positional[0] if positional else named.get("x")
        if x is None or (isinstance(x, FactorColumn) and function not in OF_FACTORS):
            raise DataError("a column of numbers is needed")
        remembered = self.state.setdefault(call, {})
        if not remembered and isinstance(x, np.ndarray) and not x.size:
            raise DataError("no row has all the values that it needs")
        return STATEFUL[function](*positional, **named, state=remembered)


def _known(function: str) -> str:
    hint = closest(function, [*PLAIN, *STATEFUL, *KINDS])
    if hint.endswith("?"):
        return hint.removeprefix("; ")
    return f"use one of {', '.join(sorted([*PLAIN, *STATEFUL, 'is.na']))}"


def _numbers(value: Any, op: str) -> Any:
    if isinstance(value, FactorColumn) or (isinstance(value, np.ndarray) and value.dtype.kind == "O"):
        raise DataError(
            f"{op!r} needs numbers, not categories: compare with == or %in%, or convert the column"
        )
    return value


def _apply(op: str, left: Any, right: Any) -> Any:
    if op in _ON_LABELS:
        left, right = (v.labels() if isinstance(v, FactorColumn) else v for v in (left, right))
        if op == "%in%":
            return np.isin(left, right)
    else:
        left, right = _numbers(left, op), _numbers(right, op)
    if op not in _OPERATORS:
        raise DataError(f"the operator {op!r} is not known here")
    return _OPERATORS[op](left, right)


def _as_column(result: Any, n_rows: int, name: str) -> Column:
    if isinstance(result, FactorColumn):
        return result
    array = np.asarray(result)
    if array.ndim == 0:
        array = np.full(n_rows, result)
    if len(array) != n_rows:
        raise DataError(f"{name} gives {len(array)} values for {n_rows} rows")
    return column_of(array, name)


def _scatter(column: Column, rows: NDArray[np.int64] | None, n_rows: int) -> Column:
    """Put values that were computed on some rows back in their places; the others are missing."""
    if rows is None:
        return column
    if isinstance(column, FactorColumn):
        codes = np.full(n_rows, -1, dtype=np.int64)
        codes[rows] = column.codes
        return FactorColumn(codes, column.levels, column.ordered, column.logical)
    values = np.full((n_rows, *column.values.shape[1:]), np.nan)
    values[rows] = column.values
    return numeric_column(values)
