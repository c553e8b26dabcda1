"""Levels of factors, and combinations of them, gathered from batches of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.io.batches import BatchTable
from henderson.io.columns import Column, FactorColumn, NumericColumn

IntArray = NDArray[np.int64]


class LevelBook:
    """The levels of one factor, numbered in the order in which batches bring them.

    Examples
    --------
    >>> book = LevelBook()
    >>> book.codes(FactorColumn(np.array([0, 1]), ("b", "a")))
    array([0, 1])
    >>> book.codes(FactorColumn(np.array([0, 1, -1]), ("a", "c")))
    array([ 1,  2, -1])
    >>> book.levels
    ('b', 'a', 'c')
    """

    def __init__(self) -> None:
        self._position: dict[str, int] = {}
        self.ordered = False

    def codes(self, column: FactorColumn) -> IntArray:
        """Codes of the rows among the levels so far, which those of this column join; -1 where missing."""
        self.ordered = column.ordered
        position = self._position
        table = [position.setdefault(level, len(position)) for level in column.levels[:]]
        return np.array([*table, -1], dtype=np.int64)[column.codes]

    @property
    def levels(self) -> tuple[str, ...]:
        """All levels so far."""
        return tuple(self._position)

    def sorted_column(self) -> FactorColumn:
        """One row for each level, in the order in which they came; the levels sorted."""
        levels = tuple(sorted(self._position))
        return FactorColumn(FactorColumn(np.arange(len(levels)), self.levels).recode(levels), levels)

    def column(self) -> FactorColumn:
        """One row for each level; the levels in the order in which they came."""
        return FactorColumn(np.arange(len(self._position)), self.levels, self.ordered)


class Examples:
    """For each level of a computed factor, the first row that has it: from these all levels can be computed.

    The order of levels depends on which values occur and not on how often, so that an expression has the same
    levels on its examples as on all rows.

    Parameters
    ----------
    inputs : sequence of str
        Columns that the expression is computed from.
    """

    def __init__(self, inputs: Sequence[str]) -> None:
        self._rows: dict[str, list[Column]] = {name: [] for name in inputs}
        self._seen: set[str] = set()

    def see(self, column: FactorColumn, inputs: Mapping[str, Column]) -> None:
        """Take note of the levels of a batch, given the columns that they come from."""
        first = np.full(len(column.levels) + 1, -1, dtype=np.int64)
        # of several rows with one level the last assignment stays: the first row
        first[column.codes[::-1]] = np.arange(len(column.codes) - 1, -1, -1)
        new = [k for k, level in enumerate(column.levels[:]) if first[k] >= 0 and level not in self._seen]
        if new:
            self._seen.update(column.levels[k] for k in new)
            for name, rows in self._rows.items():
                rows.append(inputs[name].take(first[new]))

    def table(self, names: Sequence[str]) -> BatchTable:
        """The examples, as rows of a table of these names."""
        columns = {name: _joined(rows) for name, rows in self._rows.items() if rows}
        return BatchTable(names, len(self._seen), columns)


def _joined(columns: Sequence[Column]) -> Column:
    """The rows of several columns that are alike in type, and in their levels."""
    first = columns[0]
    missing = [np.zeros(len(_held(c)), dtype=bool) if c.missing is None else c.missing for c in columns]
    held = np.concatenate([_held(c) for c in columns])
    if isinstance(first, NumericColumn):
        return NumericColumn(held, np.concatenate(missing) if np.any(np.concatenate(missing)) else None)
    return replace(first, codes=held)


def _held(column: Column) -> NDArray[Any]:
    return column.values if isinstance(column, NumericColumn) else column.codes


class Atom:
    """One column of the grouping factors, whose values are numbered as they come.

    Parameters
    ----------
    levels : sequence of str, or None
        Of a computed factor; None for a column of the files.
    is_sorted : bool
        Levels of strings are sorted, those of categories keep the order in which they come.
    """

    def __init__(self, levels: Sequence[str] | None, *, is_sorted: bool) -> None:
        from henderson.linalg.cells import KeyNumbers

        self._levels, self._is_sorted = levels, is_sorted
        self._numbers = KeyNumbers()
        self._book = LevelBook()
        self._kind: FactorColumn | np.dtype[Any] = np.dtype(np.int64)

    def numbers(self, column: Column) -> IntArray:
        """Numbers of the values, of which none is missing."""
        if isinstance(column, FactorColumn):
            self._kind = column
            return self._numbers.of(self._book.codes(column))
        values = column.values
        # as bits, in which minus zero is not zero
        if values.dtype.kind == "f":
            values = values.astype(np.float64) + 0.0
        elif values.dtype != np.uint64:
            values = values.astype(np.int64)
        self._kind = values.dtype
        return self._numbers.of(np.ascontiguousarray(values).view(np.int64))

    def column(self) -> Column:
        """One row for each number."""
        if not isinstance(self._kind, FactorColumn):
            return NumericColumn(self._numbers.keys.view(self._kind))
        column = self._book.sorted_column() if self._is_sorted else self._book.column()
        if self._levels is not None:
            column = FactorColumn(column.recode(self._levels), self._levels, column.ordered)
        return replace(
            column, codes=column.codes[self._numbers.keys], logical=self._kind.logical
        ).drop_unused()


class CellBook:
    """The combinations of values of several columns that occur, numbered as they come.

    Examples
    --------
    >>> book = CellBook([Atom(None, is_sorted=False), Atom(None, is_sorted=False)])
    >>> a, b = NumericColumn(np.array([7, 7, 9])), NumericColumn(np.array([1, 2, 1]))
    >>> book.cells((a, b)), book.cells((b, b))
    (array([0, 1, 2]), array([3, 4, 3]))
    >>> [column.values.tolist() for column in book.columns()]
    [[7, 7, 9, 1, 2], [1, 2, 1, 1, 2]]
    """

    def __init__(self, atoms: Sequence[Atom]) -> None:
        from henderson.linalg.cells import KeyNumbers

        self._atoms = atoms
        # of the first two columns, of these and the third, ...
        self._pairs = [KeyNumbers() for _ in atoms[1:]]

    def cells(self, columns: Sequence[Column]) -> IntArray:
        """The cell of each row, (n,); the columns have no missing values."""
        cell = self._atoms[0].numbers(columns[0])
        for atom, column, pairs in zip(self._atoms[1:], columns[1:], self._pairs, strict=True):
            cell = pairs.of((cell << 32) | atom.numbers(column))
        return cell

    def columns(self) -> list[Column]:
        """The columns, with one row for each cell."""
        own = [atom.column() for atom in self._atoms]
        found: list[Column] = []
        row: IntArray | slice = slice(None)
        for column, pairs in zip(own[:0:-1], self._pairs[::-1], strict=True):
            keys = pairs.keys[row]
            found.append(column.take(keys & 0xFFFFFFFF))
            row = keys >> 32
        return [own[0] if isinstance(row, slice) else own[0].take(row), *found[::-1]]
