"""A formula and a table to the arrays of a model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.formula.bars import Bar, ParsedFormula, parse_formula
from henderson.formula.deparse import deparse
from henderson.formula.design import Design, RandomDesign
from henderson.formula.evaluate import Evaluator
from henderson.formula.groups import Grouping
from henderson.formula.matrix import Matrix
from henderson.formula.spec import ModelSpec, RandomSpec, as_numbers
from henderson.formula.syntax import Name, Node, parse
from henderson.io.frame import Column, FactorColumn, NumericColumn, Table, closest, column_of, open_table

FloatArray = NDArray[np.float64]
Rows = NDArray[np.int64]
NaAction = Literal["omit", "exclude", "fail"]


def build_design(
    formula: str,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    subset: Any = None,
    na_action: NaAction = "omit",
    contrasts: Mapping[str, Any] | None = None,
    related: Collection[str] = (),
) -> Design:
    """Build the arrays of a linear mixed model from an lme4 formula.

    Parameters
    ----------
    formula : str
        Such as ``"Reaction ~ Days + (Days | Subject)"``.
    data : table or mapping
        A pandas, polars or pyarrow table, or a dict of arrays. Only the columns that the formula names are read.
    weights, offset : str or array_like, shape (n,), optional
        A column, an expression, or an array with one number for each row of `data`.
    subset : str or array_like of bool, optional
        The rows to use: ``"Days > 1"``. As in R, ``poly()`` and ``scale()`` see all rows of the table.
    na_action : {"omit", "exclude", "fail"}
        What to do about rows with missing values. The design is the same for "omit" and "exclude".
    contrasts : mapping of str, optional
        Coding of factors in the fixed part: ``{"grp": "sum"}``, or a matrix. Random terms keep the default, as in lme4.
    related : collection of str
        Grouping factors whose levels have a relationship matrix: these may have one row per level.

    Returns
    -------
    Design

    Raises
    ------
    FormulaError
        If the formula cannot be read.
    DataError
        If the table does not fit the formula.

    Examples
    --------
    >>> data = {"y": [1.0, 2, 4, 3, 5, 7], "x": [0.0, 1, 2, 0, 1, 2], "g": list("aaabbb")}
    >>> design = build_design("y ~ x + (1 | g)", data)
    >>> design.x_names, design.random[0].group, design.random[0].levels
    (('(Intercept)', 'x'), 'g', ('a', 'b'))
    """
    if not isinstance(formula, str):
        raise DataError(f"the formula is a {type(formula).__name__}, and a string is needed: 'y ~ x + (1 | g)'")
    if na_action not in get_args(NaAction):
        raise DataError(f"na_action is {na_action!r}; it can be {', '.join(map(repr, get_args(NaAction)))}")
    parsed = parse_formula(formula)
    frame = _Frame(Evaluator(open_table(data)))
    frame.read(parsed, weights, offset)
    kept = _subset(frame.table, subset)
    rows, excluded, notices = frame.complete_rows(kept, na_action)
    frame.rows = None if len(rows) == frame.table.n_rows else rows

    y = _response(parsed.response, frame)
    _check_finite(parsed, frame, rows)
    _check_contrasts(contrasts, parsed)
    fixed = Matrix.learn(parsed.fixed, frame.column, contrasts)
    random, specs = _random(parsed.bars, frame, len(rows), set(related))
    state = frame.evaluator.state
    return Design(
        y=y,
        X=fixed.build([frame.column(node) for node in parsed.fixed.variables], len(rows)),
        x_names=fixed.names,
        x_assign=fixed.assign,
        random=random,
        weights=frame.numbers("weights"),
        offset=frame.numbers("offset"),
        rows=rows,
        excluded=excluded,
        n_rows=frame.table.n_rows if kept is None else len(kept),
        notices=notices,
        spec=ModelSpec(
            formula=formula,
            response=deparse(parsed.response),
            fixed=fixed,
            random=specs,
            offsets=frame.offset_nodes,
            offset_is_array=frame.offset_is_array,
            state=state,
        ),
    )
