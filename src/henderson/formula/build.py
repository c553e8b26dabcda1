"""A formula and a table to the arrays of a model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.factor_analytic import n_loadings
from henderson.errors import DataError
from henderson.formula.bars import Bar, ParsedFormula, parse_formula
from henderson.formula.deparse import deparse
from henderson.formula.design import Design, RandomDesign, Structure
from henderson.formula.matrix import Matrix
from henderson.formula.modelframe import ModelFrame, NaAction, model_frame
from henderson.formula.positions import check_steps, spacing_notices
from henderson.formula.residual import FORMS, INDEPENDENT, Residual, parse_residual, residual_design
from henderson.formula.residual_default import default_residual
from henderson.formula.spec import ModelSpec, RandomSpec
from henderson.formula.terms import TermSet
from henderson.io.columns import NumericColumn, as_numbers
from henderson.io.frame import closest, open_table

FloatArray = NDArray[np.float64]

LARGEST = 1e150
"""Sums of squares of larger numbers overflow."""


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
    residual: str | None = None,
) -> Design:
    """Build the arrays of a linear mixed model from an lme4 formula.

    Parameters
    ----------
    formula : str
        Such as ``"Reaction ~ Days + (Days | Subject)"``.
    data : table or mapping
        A pandas, polars or pyarrow table, or a dict of arrays; only the columns that are named are read.
    weights, offset : str or array_like, shape (n,), optional
        A column, an expression, or an array with one number for each row of `data`.
    subset : str or array_like of bool, optional
        The rows to use: ``"Days > 1"``. As in R, ``poly()`` and ``scale()`` see all rows of the table.
    na_action : {"omit", "exclude", "fail"}
        What to do about rows with missing values. The design is the same for "omit" and "exclude".
    contrasts : mapping of str, optional
        Coding of factors in the fixed part: ``{"grp": "sum"}``, or a matrix. Random terms keep the
        default, as in lme4.
    related : collection of str
        Grouping factors whose levels have a relationship matrix: these may have one row for each level.
    residual : str, optional
        How residuals vary: ``"diag(group)"`` gives each level a variance of its own; ``"us(trait | unit)"``,
        ``"cs(trait | unit)"`` and ``"ar1(time | unit)"`` let those of one unit vary together;
        ``"identity"`` makes them independent and of one variance.

    Returns
    -------
    Design

    Raises
    ------
    FormulaError
        If the formula cannot be read.
    DataError
        If the table does not fit the formula.

    Notes
    -----
    Traits of related individuals, as in ``(0 + trait | iid)``, have residuals that `default_residual` chooses
    where `residual` is left out.

    Examples
    --------
    >>> data = {"y": [1.0, 2, 4, 3, 5, 7], "x": [0.0, 1, 2, 0, 1, 2], "g": list("aaabbb")}
    >>> design = build_design("y ~ x + (1 | g)", data)
    >>> design.x_names, design.random[0].group, design.random[0].levels
    (('(Intercept)', 'x'), 'g', ('a', 'b'))
    """
    if not isinstance(formula, str):
        raise DataError(
            f"the formula is of type {type(formula).__name__}, and a string is needed: 'y ~ x + (1 | g)'"
        )
    table = open_table(data)
    parsed = parse_formula(formula, table.names)
    errors = _residual(residual)
    frame = model_frame(
        parsed,
        table,
        weights=weights,
        offset=offset,
        subset=subset,
        na_action=na_action,
        residual=() if errors is None else errors.variables,
    )
    y = _response(parsed, frame)
    _check_finite(parsed, frame)
    check_contrasts(contrasts, parsed.fixed)
    try:
        fixed = Matrix.learn(parsed.fixed, frame.column, contrasts)
        terms = sorted_by_levels([_random_term(bar, frame) for bar in parsed.bars])
        check_groups([design for design, _ in terms], [spec for _, spec in terms], len(y), related)
        chosen: tuple[str, ...] = ()
        if residual is None:
            errors, chosen = default_residual(parsed.bars, frame, related)
        structure, uneven = (None, ()) if errors is None else residual_design(errors, frame)
    except DataError as error:
        # Levels and rows may be too few only because of those that were dropped.
        raise DataError("; note: ".join([str(error), *frame.notices])) from None
    return Design(
        y=y,
        X=_matrix(fixed, frame),
        x_names=fixed.names,
        x_assign=fixed.assign,
        random=tuple(design for design, _ in terms),
        weights=frame.weights,
        offset=frame.offset,
        rows=frame.rows,
        excluded=frame.excluded,
        n_rows=frame.n_rows,
        notices=(*frame.notices, *uneven_spacing(terms), *uneven, *chosen),
        spec=ModelSpec(
            formula=formula,
            response=deparse(parsed.response),
            fixed=fixed,
            random=tuple(spec for _, spec in terms),
            offsets=frame.offset_nodes,
            offset_is_array=not (offset is None or isinstance(offset, str)),
            state=frame.evaluator.state,
        ),
        residual=structure,
    )


def _residual(text: Any) -> Residual | None:
    """The structure that was asked for; None for residuals of one variance, or for the default."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise DataError(f"residual is of type {type(text).__name__}, and a string is needed: {FORMS}")
    return None if text == INDEPENDENT else parse_residual(text)


def _response(parsed: ParsedFormula, frame: ModelFrame) -> FloatArray:
    return as_numbers(frame.column(parsed.response), f"response {deparse(parsed.response)}")


def _matrix(matrix: Matrix, frame: ModelFrame) -> FloatArray:
    return matrix.build([frame.column(node) for node in matrix.terms.variables], len(frame.rows))


def _random_term(bar: Bar, frame: ModelFrame) -> tuple[RandomDesign, RandomSpec]:
    effects = Matrix.learn(bar.effects, frame.column)
    grouping, codes = frame.grouping(bar.group)
    spec = RandomSpec(bar.text, effects, grouping, bar.structure)
    check_structure(bar, spec)
    design = RandomDesign(
        group=bar.group.label,
        names=spec.names,
        codes=codes,
        levels=grouping.levels,
        z=spec.of_effects(_matrix(effects, frame)),
        structure=bar.structure,
    )
    return design, spec


def check_structure(bar: Bar, spec: RandomSpec) -> None:
    """Refuse effects that a covariance tag has no meaning for."""
    q = len(spec.names)
    if bar.structure.kind == "ar1":
        check_steps(bar, spec.effects)
    elif bar.structure == Structure("cs") and q < 2:
        raise DataError(
            f"{bar.text}: compound symmetry needs two effects or more, and there is only "
            f"{spec.names[0]}; leave cs() out"
        )
    elif bar.structure.kind == "fa":
        _check_factors(bar, q)


def _check_factors(bar: Bar, q: int) -> None:
    """Refuse more common factors than the covariance of q effects can tell apart."""
    k, free = bar.structure.k, q * (q + 1) // 2
    most = max((j for j in range(1, q) if n_loadings(q, j) + q <= free), default=0)
    if k > most:
        instead = f"fa(k = {most}) at most, or us()" if most else "us()"
        raise DataError(
            f"{bar.text}: {_counted(q, 'effect')} have {_counted(free, 'variance')} and covariances between "
            f"them, too few for the loadings on {_counted(k, 'common factor')}; use {instead}"
        )


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def uneven_spacing(terms: list[tuple[RandomDesign, RandomSpec]]) -> tuple[str, ...]:
    """What to say about positions of ar1() terms that are taken as equally spaced and are not."""
    notices: tuple[str, ...] = ()
    for design, spec in terms:
        if design.structure.kind == "ar1":
            time = spec.effects.variables[0]
            notices += spacing_notices(spec.text, time.name, time.levels or ())
    return notices


def sorted_by_levels(
    terms: list[tuple[RandomDesign, RandomSpec]],
) -> list[tuple[RandomDesign, RandomSpec]]:
    """Random terms in lme4's order: by number of levels, most first.

    They stay as written if the numbers never increase. Otherwise lme4 takes R's rev(order(.)), which reverses
    the order among terms with equal numbers.
    """
    counts = [len(design.levels) for design, _ in terms]
    if all(a >= b for a, b in pairwise(counts)):
        return terms
    order = np.argsort(counts, kind="stable")[::-1]
    return [terms[k] for k in order.tolist()]


def _check_finite(parsed: ParsedFormula, frame: ModelFrame) -> None:
    nodes = [parsed.response, *parsed.fixed.variables]
    for bar in parsed.bars:
        nodes += bar.effects.variables
    found = {node: frame.column(node) for node in nodes}
    numbers = {repr(deparse(n)): c.values for n, c in found.items() if isinstance(c, NumericColumn)}
    if frame.offset is not None:
        numbers["the offset"] = frame.offset
    for name, values in numbers.items():
        size = np.abs(values).reshape(len(values), -1).max(axis=1)
        row = int(np.argmax(size))
        where = f"in row {frame.rows[row]} (counted from 0)"
        if np.isinf(size[row]):
            raise DataError(f"{name} is infinite {where}: mend it or make it missing")
        if float(size[row]) > LARGEST:
            raise DataError(
                f"{name} is as large as {size[row]:g} {where}, and its square overflows: rescale it"
            )


def check_contrasts(contrasts: Mapping[str, Any] | None, fixed: TermSet) -> None:
    """Refuse codings of factors that the fixed part lacks."""
    for name in contrasts or {}:
        if name not in fixed.names:
            raise DataError(
                f"contrasts are given for {name!r}, which the fixed part lacks{closest(name, fixed.names)}"
            )


def check_groups(
    terms: list[RandomDesign], specs: list[RandomSpec], n_rows: int, related: Collection[str]
) -> None:
    """Refuse, as lme4 does, grouping factors and terms that cannot be told from the residual."""
    single = [t.group for t in terms if len(t.levels) < 2 and t.group not in related and not _serial(t)]
    if single:
        raise DataError(
            f"grouping factors must have more than one level in the rows used (problems: {_listed(single)}): "
            "leave their terms out"
        )
    saturated = [t.group for t in terms if len(t.levels) >= n_rows and t.group not in related]
    if saturated:
        raise DataError(
            f"number of levels of each grouping factor must be < number of observations, which is {n_rows} "
            f"(problems: {_listed(saturated)}): one row per level cannot be told from the residual"
        )
    for term, spec in zip(terms, specs, strict=True):
        n_effects = term.z.shape[1] * len(term.levels)
        if n_effects >= n_rows and term.group not in related and not _serial(term):
            raise DataError(
                f"number of observations (={n_rows}) <= number of random effects (={n_effects}) "
                f"for term {spec.text}: its variances cannot be told from the residual; give it fewer effects"
            )


def _serial(term: RandomDesign) -> bool:
    """Whether neighbouring effects tell a term from the residual, so that one record each is enough."""
    return term.structure.kind == "ar1"


def _listed(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))
