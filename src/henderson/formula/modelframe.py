"""R's model frame: every variable of a formula, on the rows that are used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.formula.bars import ParsedFormula
from henderson.formula.deparse import deparse
from henderson.formula.evaluate import Evaluator
from henderson.formula.grouping_factors import Group
from henderson.formula.groups import AnyGrouping, learn_grouping
from henderson.formula.syntax import Call, Name, Node, parse, walk
from henderson.formula.terms import TermSet
from henderson.formula.transforms import OF_ROWS_USED
from henderson.io.columns import Column, FactorColumn, NumericColumn, as_numbers
from henderson.io.frame import Table, column_of

FloatArray = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
#: Factors with more levels than this are refused as fixed or random effects (not as grouping factors) where
MANY_LEVELS = 1000
#: their columns, one for each level, take more memory than this, in GB, or there is a row for each.
LARGEST_GB = 8.0
NaAction = Literal["omit", "exclude", "fail"]


@dataclass(frozen=True, slots=True)
class ModelFrame:
    """The variables of a formula on the rows that are used.

    Attributes
    ----------
    evaluator : Evaluator
        Over all rows of the table.
    rows, excluded, n_rows, notices
        As in `Design`.
    weights, offset : ndarray, shape (n,), or None
    offset_nodes : tuple of Node
        The expressions whose sum is the offset.
    """

    evaluator: Evaluator
    rows: Rows
    excluded: Rows
    n_rows: int
    notices: tuple[str, ...]
    weights: FloatArray | None
    offset: FloatArray | None
    offset_nodes: tuple[Node, ...]
    _taken: dict[Node, Column] = field(default_factory=dict)
    _groupings: dict[Group, tuple[AnyGrouping, NDArray[np.int64]]] = field(default_factory=dict)

    def column(self, node: Node) -> Column:
        """A variable on the rows that are used, without the levels that no longer occur."""
        if node not in self._taken:
            column = self._on_rows(node)
            if isinstance(column, FactorColumn):
                column = column.drop_unused()
            self._taken[node] = column
        return self._taken[node]

    def _on_rows(self, node: Node) -> Column:
        if len(self.rows) == self.evaluator.table.n_rows:
            return self.evaluator.column(node)
        if any(isinstance(each, Call) and each.function in OF_ROWS_USED for each in walk(node)):
            return self.evaluator.among(node, self.rows)
        return self.evaluator.column(node).take(self.rows)

    def grouping(self, group: Group) -> tuple[AnyGrouping, NDArray[np.int64]]:
        """A grouping factor and the code of each row; several terms may share it."""
        if group not in self._groupings:
            self._groupings[group] = learn_grouping(group, [self.column(atom) for atom in group.atoms])
        return self._groupings[group]


def model_frame(
    parsed: ParsedFormula,
    table: Table,
    *,
    weights: Any,
    offset: Any,
    subset: Any,
    na_action: NaAction,
    residual: Sequence[Node] = (),
) -> ModelFrame:
    """Evaluate the variables of a formula and settle which rows are used.

    As in R the variables, and so the bases of ``poly()`` and ``scale()``, are computed on all rows of the
    table; then `subset` is taken, then rows with missing values are dropped. ``rint()``, which R lacks, ranks
    the rows that are left.

    Parameters
    ----------
    parsed : ParsedFormula
    table : Table
    weights, offset, subset, na_action
        As in `build_design`.
    residual : sequence of Node
        The variables of a residual structure.

    Returns
    -------
    ModelFrame

    Raises
    ------
    DataError
        If no rows are left, weights are negative, or `na_action` is "fail" and values are missing.
    """
    if na_action not in get_args(NaAction):
        raise DataError(f"na_action is {na_action!r}; it can be {', '.join(map(repr, get_args(NaAction)))}")
    evaluator = Evaluator(table)
    nodes = [parsed.response, *parsed.fixed.variables]
    for bar in parsed.bars:
        nodes += [*bar.effects.variables, *bar.group.atoms]
    nodes += residual
    offset_nodes = parsed.fixed.offsets
    if isinstance(offset, str):
        offset_nodes = (*offset_nodes, parse(offset))
    total_offset: FloatArray | None = None
    for node in offset_nodes:
        values = as_numbers(evaluator.column(node), "offset")
        total_offset = values if total_offset is None else total_offset + values
    extra: dict[str, Column] = {}
    if offset is not None and not isinstance(offset, str):
        values = _numbers_given(offset, "offset", table)
        total_offset = values if total_offset is None else total_offset + values
        extra["offset"] = NumericColumn(values, _nan(values))
    prior: FloatArray | None = None
    if isinstance(weights, str):
        nodes.append(parse(weights))
        prior = as_numbers(evaluator.column(nodes[-1]), "weights column")
    elif weights is not None:
        prior = _numbers_given(weights, "weights", table)
        extra["weights"] = NumericColumn(prior, _nan(prior))

    missing = missing_rows(evaluator, [*nodes, *offset_nodes], extra)
    kept = subset_rows(table, subset)
    rows, notices = _complete(missing, table.n_rows, kept, na_action)
    if prior is not None:
        rows, weightless = _weighted(prior, rows)
        notices += weightless
    if not len(rows):
        raise DataError(f"no rows are left to fit: {'; '.join(notices) or _why_empty(table, subset)}")
    frame = ModelFrame(
        evaluator=evaluator,
        rows=rows,
        excluded=_positions_out(rows, kept, table.n_rows),
        n_rows=table.n_rows if kept is None else len(kept),
        notices=tuple(notices),
        weights=None if prior is None else prior[rows],
        offset=None if total_offset is None else total_offset[rows],
        offset_nodes=offset_nodes,
    )
    _check_width(parsed.fixed, frame, "the fixed part")
    for bar in parsed.bars:
        _check_width(bar.effects, frame, bar.text)
    return frame


def _why_empty(table: Table, subset: Any) -> str:
    if not table.n_rows:
        return "the table has none"
    shown = f"{subset!r}" if isinstance(subset, str) else "given"
    return f"the subset {shown} holds for none of the {table.n_rows} rows of the table"


def _check_width(terms: TermSet, frame: ModelFrame, where: str) -> None:
    """Refuse a factor with so many levels that its columns would fill the memory, before they are made."""
    for term in terms.terms:
        columns = [frame.column(terms.variables[v]) for v in term]
        levels = [len(c.levels) if isinstance(c, FactorColumn) else 1 for c in columns]
        gigabytes = 8e-9 * len(frame.rows) * math.prod(levels)
        k = levels.index(max(levels))
        if levels[k] <= MANY_LEVELS or (gigabytes <= LARGEST_GB and levels[k] < len(frame.rows)):
            continue
        name, node = terms.names[term[k]], terms.variables[term[k]]
        mend = "leave it out"
        if levels[k] < len(frame.rows):
            mend = f"make it a grouping factor, (1 | {name}), or {mend}"
        elif any(
            isinstance(frame.evaluator.column(Name(c)), NumericColumn) for c in frame.evaluator.inputs(node)
        ):
            mend += ", or use it as the number it is"
        raise DataError(
            f"the factor {name!r} has {levels[k]} levels in {len(frame.rows)} rows, and in {where} each "
            f"would be a column, {gigabytes:,.0f} GB in all: {mend}"
        )


def _numbers_given(values: Any, role: str, table: Table) -> FloatArray:
    numbers = as_numbers(column_of(table.aligned(values, role), role), f"{role} array")
    if len(numbers) != table.n_rows:
        raise DataError(
            f"the {role} array has {len(numbers)} values and the table {table.n_rows} rows: "
            "give one value for each row of the table, before any subset"
        )
    return numbers


def _nan(values: FloatArray) -> Mask | None:
    nan = np.isnan(values)
    return nan if nan.any() else None


def missing_rows(evaluator: Evaluator, nodes: list[Node], extra: dict[str, Column]) -> dict[str, Mask]:
    """Missing rows by column of the table; those that an expression makes, as log(-1), by its own name."""
    found: dict[str, Mask] = {}
    for node in nodes:
        computed = evaluator.column(node).missing
        for name in evaluator.inputs(node):
            mask = evaluator.column(Name(name)).missing
            if mask is not None:
                found[name] = mask
                computed = None if computed is None else computed & ~mask
        if computed is not None and computed.any():
            found[deparse(node)] = computed
    for name, column in extra.items():
        if column.missing is not None:
            found[name] = column.missing
    return found


def subset_rows(table: Table, subset: Any) -> Rows | None:
    """Rows that the subset keeps, None for all; a missing condition counts as False, as in R."""
    if subset is None:
        return None
    if isinstance(subset, str):
        column = Evaluator(table).column(parse(subset))
    else:
        column = column_of(table.aligned(subset, "subset"), "subset")
    if not (isinstance(column, FactorColumn) and column.logical):
        raise DataError(
            "subset holds no True/False values: give a condition such as 'Days > 1', or a boolean array"
        )
    if len(column.codes) != table.n_rows:
        raise DataError(
            f"subset has {len(column.codes)} values and the table {table.n_rows} rows: give one for each row"
        )
    return np.flatnonzero(column.codes == 1)


def _complete(
    missing: dict[str, Mask], n_rows: int, kept: Rows | None, na_action: NaAction
) -> tuple[Rows, list[str]]:
    rows = np.arange(n_rows) if kept is None else kept
    if kept is not None:
        missing = {name: mask[kept] for name, mask in missing.items()}
    counts = {name: int(mask.sum()) for name, mask in missing.items()}
    shown = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    if not shown:
        return rows, []
    incomplete = np.logical_or.reduce(list(missing.values()))
    dropped = int(incomplete.sum())
    if na_action == "fail":
        raise DataError(
            f"{dropped} of {len(rows)} rows have missing values ({shown}), and na_action is 'fail': "
            "fill them in, or leave these rows out with na_action='omit'"
        )
    empty = [name for name, count in counts.items() if count == len(rows)]
    if empty:
        raise DataError(
            f"no rows are left to fit: {dropped} of {len(rows)} rows dropped for missing values ({shown}); "
            f"{empty[0]!r} is missing in all of them, so leave it out of the formula or mend the column"
        )
    return rows[~incomplete], [f"{dropped} of {len(rows)} rows dropped for missing values ({shown})"]


def _weighted(prior: FloatArray, rows: Rows) -> tuple[Rows, list[str]]:
    used = prior[rows]
    bad = np.flatnonzero((used < 0) | np.isinf(used))
    if bad.size:
        row = rows[bad[0]]
        raise DataError(
            f"the weight of row {row} (counted from 0) is {prior[row]:g}: weights must be finite and not "
            "negative; a row of weight 0 is left out"
        )
    zero = used == 0
    if not zero.any():
        return rows, []
    return rows[~zero], [f"{int(zero.sum())} of {len(rows)} rows dropped for zero weight"]


def _positions_out(rows: Rows, kept: Rows | None, n_rows: int) -> Rows:
    """Positions, among the rows of the subset, of those that are not used."""
    n_kept = n_rows if kept is None else len(kept)
    if len(rows) == n_kept:
        return np.empty(0, dtype=np.int64)
    used = np.zeros(n_rows, dtype=bool)
    used[rows] = True
    return np.flatnonzero(~(used if kept is None else used[kept]))
