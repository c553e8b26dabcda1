"""What a formula has to know before rows are read in batches: the levels of the factors among its effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np

from henderson.errors import DataError
from henderson.formula.bars import parse_formula
from henderson.formula.build import check_contrasts
from henderson.formula.deparse import deparse
from henderson.formula.evaluate import Evaluator, State
from henderson.formula.modelframe import NaAction
from henderson.formula.streamed import BATCH_ROWS, StreamedFrame, lookup, recoded
from henderson.formula.streamed_columns import EffectColumns
from henderson.formula.streamed_levels import Examples, LevelBook
from henderson.formula.syntax import Call, Name, Node, Number, parse, walk
from henderson.formula.transforms import STATEFUL
from henderson.io.batches import BatchTable, ParquetRows
from henderson.io.columns import Column, FactorColumn


def stream_frame(
    formula: str,
    rows: ParquetRows,
    *,
    weights: str | None = None,
    offset: str | None = None,
    subset: str | None = None,
    na_action: NaAction = "omit",
    contrasts: Mapping[str, Any] | None = None,
) -> StreamedFrame:
    """Read a formula, and learn the levels of the factors among its effects from all rows.

    Parameters
    ----------
    formula, weights, offset, subset, na_action, contrasts
        As in `build_design`, except that arrays are not taken.
    rows : ParquetRows

    Returns
    -------
    StreamedFrame

    Raises
    ------
    FormulaError
        If the formula cannot be read.
    DataError
        If the files do not fit it, or an expression needs all rows at once.
    """
    if not isinstance(formula, str):
        raise DataError(
            f"the formula is a {type(formula).__name__}, and a string is needed: 'y ~ x + (1 | g)'"
        )
    if na_action not in get_args(NaAction):
        raise DataError(f"na_action is {na_action!r}; it can be {', '.join(map(repr, get_args(NaAction)))}")
    for role, given in {"weights": weights, "offset": offset, "subset": subset}.items():
        if not (given is None or isinstance(given, str)):
            raise DataError(
                f"{role} is a {type(given).__name__}, and streamed data take the name of a column, or an "
                "expression: write it into the files"
            )
    parsed = parse_formula(formula, rows.names)
    pooled = [bar.text for bar in parsed.bars if bar.group.pooled]
    if pooled:
        raise DataError(
            f"{pooled[0]} joins the levels of columns, and streamed data are read in batches: give a table "
            "that fits in memory"
        )
    check_contrasts(contrasts, parsed.fixed)
    atoms = [atom for bar in parsed.bars for atom in bar.group.atoms]
    variables = [*parsed.fixed.variables, *(v for bar in parsed.bars for v in bar.effects.variables)]
    offsets = (*parsed.fixed.offsets, *([] if offset is None else [parse(offset)]))
    extra = [parse(text) for text in (weights, subset) if text is not None]
    nodes = [parsed.response, *variables, *atoms, *offsets, *extra]
    _refuse_whole_columns(nodes)
    names = _inputs(nodes, rows)
    rows.check(names)
    made_of = [node for node in [*variables, *atoms] if not isinstance(node, Name)]
    known = _levels_of_columns(
        [*_inputs(made_of, rows), *(v.name for v in variables if isinstance(v, Name))], rows
    )
    head = next(rows.sample(names, 1, 1000), None)
    if head is None:
        raise DataError("no rows are left to fit: the files have none")
    evaluator = Evaluator(recoded(head.table, known))
    first = {node: evaluator.column(_unordered(node)) for node in dict.fromkeys([*variables, *atoms])}
    computed = [n for n, c in first.items() if not isinstance(n, Name) and _has_levels(c)]
    state: State = {}
    if computed:
        state = _levels_of_expressions(computed, rows, known)
    return StreamedFrame(
        rows=rows,
        parsed=parsed,
        weights=None if weights is None else parse(weights),
        offsets=offsets,
        subset=subset,
        na_action=na_action,
        contrasts=contrasts,
        names=tuple(names),
        known=known,
        first=first,
        state=state,
        columns=EffectColumns.learn(parsed, lookup(known, first), contrasts),
    )


def _inputs(nodes: Sequence[Node], rows: ParquetRows) -> list[str]:
    """The columns that expressions are computed from, also where they only ask what is missing."""
    evaluator = Evaluator(BatchTable(rows.names, 0, {}))
    inner = [argument for node in nodes for argument in _asked_for_missing(node)]
    return list(dict.fromkeys(name for node in [*nodes, *inner] for name in evaluator.inputs(node)))


def _asked_for_missing(node: Node) -> list[Node]:
    calls = [call for call in walk(node) if isinstance(call, Call) and call.function == "is.na"]
    return [argument for call in calls for _, argument in call.arguments]


def _has_levels(column: Column) -> bool:
    return isinstance(column, FactorColumn) and not column.logical


def _unordered(node: Node) -> Node:
    """The same factor before `relevel`, whose level a batch need not have."""
    while isinstance(node, Call) and node.function == "relevel" and node.arguments:
        node = dict(node.arguments).get("x", node.arguments[0][1])
    return node


def _refuse_whole_columns(nodes: list[Node]) -> None:
    """Refuse what depends on other rows than its own, which may be in another batch."""
    for node in nodes:
        for call in walk(node):
            if not isinstance(call, Call):
                continue
            given = dict(call.arguments)
            match call.function:
                case "cut":
                    breaks = given.get("breaks", call.arguments[1][1] if len(call.arguments) > 1 else None)
                    whole = isinstance(breaks, Number)
                case "relevel":
                    whole = False
                case "factor" | "ordered":
                    whole = "labels" in given and "levels" not in given
                case function:
                    whole = function in STATEFUL
            if whole:
                raise DataError(
                    f"{deparse(call)} needs all rows at once, and streamed data are read in batches: compute "
                    "the column first and write it into the files"
                )


def _levels_of_columns(names: list[str], rows: ParquetRows) -> dict[str, FactorColumn]:
    """Levels of those columns that hold strings or categories."""
    books = {name: LevelBook() for name in names if rows.kind(name) in ("string", "category")}
    if not books:
        return {}
    counts = {name: np.zeros(0, dtype=np.int64) for name in books}
    for batch in rows.batches(list(books), BATCH_ROWS):
        for name, book in books.items():
            column = batch.table.column(name)
            assert isinstance(column, FactorColumn)
            codes = book.codes(column)
            own = np.bincount(codes[codes >= 0], minlength=len(book.levels))
            own[: counts[name].size] += counts[name]
            counts[name] = own
    found = {}
    for name, book in books.items():
        column = book.sorted_column() if rows.kind(name) == "string" else book.column()
        found[name] = replace(column, codes=np.sort(column.codes[np.flatnonzero(counts[name])]))
    return found


def _levels_of_expressions(nodes: Sequence[Node], rows: ParquetRows, known: dict[str, FactorColumn]) -> State:
    """Add the levels of computed factors to those known; what their functions remember is returned."""
    inputs = {node: _inputs([node], rows) for node in nodes}
    examples = {node: Examples(names) for node, names in inputs.items()}
    state: State = {}
    for batch in rows.batches(_inputs(nodes, rows), BATCH_ROWS):
        table = recoded(batch.table, known)
        evaluator = Evaluator(table, state)
        for node, names in inputs.items():
            column = evaluator.column(_unordered(node))
            assert isinstance(column, FactorColumn)
            examples[node].see(column, {name: table.column(name) for name in names})
    learnt: State = {}
    for node, found in examples.items():
        evaluator = Evaluator(found.table(rows.names), learnt)
        column = evaluator.column(node)
        assert isinstance(column, FactorColumn)
        known[deparse(node)] = replace(column, codes=np.unique(column.codes))
    return learnt
