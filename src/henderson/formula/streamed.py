"""A formula and files that need not fit in memory: the arrays of a model, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.formula.bars import ParsedFormula
from henderson.formula.build import (
    LARGEST,
    check_groups,
    check_structure,
    sorted_by_levels,
    uneven_spacing,
)
from henderson.formula.deparse import deparse
from henderson.formula.design import RandomDesign
from henderson.formula.evaluate import Evaluator, State
from henderson.formula.groups import Grouping
from henderson.formula.modelframe import NaAction, missing_rows, subset_rows
from henderson.formula.spec import ModelSpec, RandomSpec
from henderson.formula.streamed_columns import EffectColumns
from henderson.formula.streamed_levels import Atom, CellBook
from henderson.formula.syntax import Name, Node
from henderson.io.batches import Batch, BatchTable, ParquetRows
from henderson.io.columns import Column, FactorColumn, as_numbers

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
#: Numbers that one batch may hold in each of its arrays.
BATCH_NUMBERS = 1 << 21
#: Rows of a batch: the arrays of a small model stay in a processor's cache.
BATCH_ROWS = 1 << 17
#: Row groups that a sample takes its rows from.
SAMPLE_GROUPS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """The rows of a batch that are used.

    Attributes
    ----------
    columns : ndarray, shape (n, k)
        Those of the fixed effects, and after them those that only random terms have.
    y : ndarray, shape (n,)
        Less the offset.
    weights : ndarray, shape (n,), or None
    atoms : tuple of Column
        The columns that the grouping factors are made of.
    """

    columns: FloatArray
    y: FloatArray
    weights: FloatArray | None
    atoms: tuple[Column, ...]


@dataclass(slots=True, eq=False)
class Tally:
    """What is counted while rows are read.

    Attributes
    ----------
    n_rows, n_complete : int
        Rows of the subset, and those of them without missing values.
    missing : Counter
        Missing values by column.
    weightless : int
        Complete rows with a weight of zero.
    levels : dict
        For each factor among the effects, how many rows that are used have each of its levels.
    """

    n_rows: int = 0
    n_complete: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    weightless: int = 0
    levels: dict[str, IntArray] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Rows that are used."""
        return self.n_complete - self.weightless

    def notices(self) -> tuple[str, ...]:
        """Which rows were dropped, in words."""
        found = []
        if self.n_complete < self.n_rows:
            shown = ", ".join(f"{name} {count}" for name, count in self.missing.items() if count)
            dropped = self.n_rows - self.n_complete
            found.append(f"{dropped} of {self.n_rows} rows dropped for missing values ({shown})")
        if self.weightless:
            found.append(f"{self.weightless} of {self.n_complete} rows dropped for zero weight")
        return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class StreamedFrame:
    """A formula that has learnt the levels of its factors, ready to be applied to batches of rows.

    Attributes
    ----------
    rows : ParquetRows
    parsed : ParsedFormula
    weights : Node or None
    offsets : tuple of Node
        Expressions whose sum is the offset.
    subset : str or None
    na_action : {"omit", "exclude", "fail"}
    names : tuple of str
        Columns that are read.
    known : dict of FactorColumn
        For each expression that is a factor, one row for each level that occurs.
    first : dict of Column
        The effects' other variables in some rows: what they are shows in any.
    state : dict
        What the functions remember, by expression.
    contrasts : mapping of str, optional
    columns : EffectColumns
        Of the random terms in the order of `parsed`.
    """

    rows: ParquetRows
    parsed: ParsedFormula
    weights: Node | None
    offsets: tuple[Node, ...]
    subset: str | None
    na_action: NaAction
    contrasts: Mapping[str, Any] | None
    names: tuple[str, ...]
    known: Mapping[str, FactorColumn]
    first: Mapping[Node, Column]
    state: State
    columns: EffectColumns

    @property
    def nodes(self) -> list[Node]:
        """All expressions that a row needs."""
        variables = [
            *self.parsed.fixed.variables,
            *(v for bar in self.parsed.bars for v in bar.effects.variables),
        ]
        extra = [] if self.weights is None else [self.weights]
        return [self.parsed.response, *variables, *self.atoms, *self.offsets, *extra]

    @property
    def atoms(self) -> tuple[Node, ...]:
        """Distinct expressions that the grouping factors are made of."""
        return tuple(dict.fromkeys(atom for bar in self.parsed.bars for atom in bar.group.atoms))

    @property
    def batch_rows(self) -> int:
        """How many rows are read at once."""
        return min(BATCH_ROWS, max(BATCH_NUMBERS // self.columns.width, 1000))

    def cell_book(self) -> CellBook:
        """An empty book of the combinations of the grouping factors' columns."""
        return CellBook([self._atom(node) for node in self.atoms])

    def _atom(self, node: Node) -> Atom:
        if isinstance(node, Name):
            return Atom(None, is_sorted=self.rows.kind(node.name) == "string")
        known = self.known.get(deparse(node))
        return Atom(None if known is None else known.levels, is_sorted=False)

    # -- rows ------------------------------------------------------------------------------------------

    def tally(self) -> Tally:
        """Nothing counted yet; missing values are told in the order in which the formula needs them."""
        evaluator = Evaluator(BatchTable(self.rows.names, 0, {}))
        names = [name for node in self.nodes for name in (*evaluator.inputs(node), deparse(node))]
        return Tally(missing=Counter(dict.fromkeys(names, 0)))

    def records(self, tally: Tally) -> Iterator[Records]:
        """All rows that are used, batch by batch."""
        return self._records(self.rows.batches(self.names, self.batch_rows), tally)

    def sample(self) -> Iterator[Records]:
        """Rows from all over the files."""
        return self._records(self.rows.sample(self.names, SAMPLE_GROUPS, self.batch_rows // 4), Tally())

    def _records(self, batches: Iterable[Batch], tally: Tally) -> Iterator[Records]:
        for batch in batches:
            records = self.of_batch(batch, tally)
            if records.y.size:
                yield records

    def of_batch(self, batch: Batch, tally: Tally) -> Records:
        """The rows of one batch that are used."""
        evaluator = Evaluator(recoded(batch.table, self.known), self.state)
        used = _used(self, evaluator, batch, tally)

        def column(node: Node) -> Column:
            found = evaluator.column(node)
            return found if used is None else found.take(used)

        numbers: dict[str, FloatArray] = {}
        y = as_numbers(column(self.parsed.response), f"response {deparse(self.parsed.response)}")
        for node in self.offsets:
            offset = as_numbers(column(node), "offset")
            numbers["the offset"] = offset
            y = y - offset
        weights = None if self.weights is None else as_numbers(column(self.weights), "weights column")
        recognised: dict[str, Column] = {}
        for name, variable in self.columns.variables.items():
            found = recognised[name] = variable.recognise(column(variable.node))
            if isinstance(found, FactorColumn):
                counts = np.bincount(found.codes, minlength=len(found.levels))
                tally.levels[name] = tally.levels.get(name, 0) + counts
            else:
                numbers[repr(name)] = found.values
        numbers[repr(deparse(self.parsed.response))] = y
        _check_finite(numbers, batch, used)
        columns = self.columns.build(recognised, y.size)
        return Records(columns, y, weights, tuple(map(column, self.atoms)))

    # -- what was read ---------------------------------------------------------------------------------

    def without_unused(self, tally: Tally) -> StreamedFrame | None:
        """The same without the levels of factors that no row has; None where all occur.

        Levels are gathered from all rows, also from those that turn out to miss another value.
        """
        unused = {
            name: {
                level
                for level, count in zip(variable.levels or (), tally.levels[name], strict=True)
                if not count
            }
            for name, variable in self.columns.variables.items()
            if name in self.known and name in tally.levels and not tally.levels[name].all()
        }
        if not unused:
            return None
        known = dict(self.known)
        for name, levels in unused.items():
            column = known[name]
            kept = [k for k in column.codes.tolist() if column.levels[k] not in levels]
            known[name] = replace(column, codes=np.array(kept, dtype=np.int64))
        columns = EffectColumns.learn(self.parsed, lookup(known, self.first), self.contrasts)
        return replace(self, known=known, columns=columns)

    def design(self, book: CellBook, tally: Tally) -> StreamedDesign:
        """Names, levels and the codes of all cells.

        Raises
        ------
        DataError
            If no rows are left, or a grouping factor cannot be told from the residual.
        """
        notices = tally.notices()
        if not tally.n:
            raise DataError(f"no rows are left to fit: {'; '.join(notices) or 'the files have none'}")
        atoms = dict(zip(self.atoms, book.columns(), strict=True))
        found: dict[Any, tuple[Grouping, IntArray]] = {}
        terms = []
        for bar, effects, places in zip(
            self.parsed.bars, self.columns.effects, self.columns.places, strict=True
        ):
            if bar.group not in found:
                found[bar.group] = Grouping.learn(bar.group, [atoms[atom] for atom in bar.group.atoms])
            grouping, codes = found[bar.group]
            # no numbers: which columns they are tells terms apart
            z = np.broadcast_to(places.astype(np.float64), (codes.size, places.size))
            random = RandomDesign(bar.group.label, effects.names, codes, grouping.levels, z, bar.structure)
            spec = RandomSpec(bar.text, effects, grouping, bar.structure)
            check_structure(bar, spec)
            terms.append((random, spec))
        terms = sorted_by_levels(terms)
        try:
            check_groups([r for r, _ in terms], [spec for _, spec in terms], tally.n, ())
        except DataError as error:
            raise DataError("; note: ".join([str(error), *notices])) from None
        return StreamedDesign(
            x_names=self.columns.fixed.names,
            random=tuple(r for r, _ in terms),
            places=tuple(r.z[0].astype(np.intp) for r, _ in terms),
            notices=(*notices, *uneven_spacing(terms)),
            spec=ModelSpec(
                formula=self.parsed.text,
                response=deparse(self.parsed.response),
                fixed=self.columns.fixed,
                random=tuple(spec for _, spec in terms),
                offsets=self.offsets,
                offset_is_array=False,
                state=self.state,
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class StreamedDesign:
    """What is known of a model once all its rows were read.

    Attributes
    ----------
    x_names : tuple of str, length p
    random : tuple of RandomDesign
        In lme4's order; the codes are those of the cells, and ``z`` says for each effect which of the columns
        it multiplies.
    places : tuple of ndarray of int, (q,) each
        The same, as an index.
    notices : tuple of str
    spec : ModelSpec
    """

    x_names: tuple[str, ...]
    random: tuple[RandomDesign, ...]
    places: tuple[NDArray[np.intp], ...]
    notices: tuple[str, ...]
    spec: ModelSpec


def lookup(known: Mapping[str, FactorColumn], first: Mapping[Node, Column]) -> Callable[[Node], Column]:
    """Variables of the effects, with the levels that occur."""

    def column(node: Node) -> Column:
        name = node.name if isinstance(node, Name) else deparse(node)
        return known[name].drop_unused() if name in known else first[node]

    return column


def recoded(table: BatchTable, known: Mapping[str, FactorColumn]) -> BatchTable:
    """The table with the levels of all batches in its factors."""
    columns = dict(table.columns)
    for name, column in table.columns.items():
        if name in known and isinstance(column, FactorColumn):
            levels = known[name].levels
            columns[name] = FactorColumn(column.recode(levels), levels, column.ordered)
    return BatchTable(table.names, table.n_rows, columns)


def _used(frame: StreamedFrame, evaluator: Evaluator, batch: Batch, tally: Tally) -> IntArray | None:
    """Rows of the batch that are used, None for all."""
    missing = missing_rows(evaluator, frame.nodes, {})
    rows = None if frame.subset is None else subset_rows(evaluator.table, frame.subset)
    n_rows = batch.table.n_rows if rows is None else rows.size
    tally.n_rows += n_rows
    if missing:
        rows = np.arange(n_rows) if rows is None else rows
        masks = {name: mask[rows] for name, mask in missing.items()}
        incomplete = np.logical_or.reduce(list(masks.values()))
        tally.missing.update({name: int(mask.sum()) for name, mask in masks.items()})
        if incomplete.any() and frame.na_action == "fail":
            k = int(np.argmax(incomplete))
            name = next(name for name, mask in masks.items() if mask[k])
            raise DataError(f"{name} is missing in {batch.where(int(rows[k]))}, and na_action is 'fail'")
        rows = rows[~incomplete]
    tally.n_complete += n_rows if rows is None else rows.size
    if frame.weights is not None:
        prior = as_numbers(evaluator.column(frame.weights), "weights column")
        rows = np.arange(n_rows) if rows is None else rows
        used = prior[rows]
        bad = np.flatnonzero((used < 0) | np.isinf(used))
        if bad.size:
            row = int(rows[bad[0]])
            raise DataError(
                f"the weight of {batch.where(row)} is {prior[row]:g}: weights must be finite and not negative"
            )
        tally.weightless += int((used == 0).sum())
        rows = rows[used > 0]
    return rows


def _check_finite(numbers: Mapping[str, FloatArray], batch: Batch, used: IntArray | None) -> None:
    for name, values in numbers.items():
        if not values.size or max(float(values.max()), -float(values.min())) <= LARGEST:
            continue
        size = np.abs(values).reshape(len(values), -1).max(axis=1)
        k = int(np.argmax(size))
        where = f"in {batch.where(k if used is None else int(used[k]))}"
        if np.isinf(size[k]):
            raise DataError(f"{name} is infinite {where}: mend it or make it missing")
        raise DataError(f"{name} is as large as {size[k]:g} {where}, and its square overflows: rescale it")
