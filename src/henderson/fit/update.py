"""A fit again: with another formula, data or arguments, or with another response."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from henderson.errors import DataError, FormulaError, HendersonError
from henderson.fit.files import column_names
from henderson.formula.bars import without_dots
from henderson.formula.deparse import deparse, quote
from henderson.formula.syntax import (
    NESTED,
    Binary,
    Call,
    Name,
    Node,
    Paren,
    Unary,
    formula_error,
    parse,
)
from henderson.formula.terms import expand_terms
from henderson.io.frame import closest

if TYPE_CHECKING:
    from henderson.fit.fitted_model import FittedModel

DOT = Name(".")


def updated_formula(old: str, new: str) -> str:
    """Write `new` with its dots replaced by the sides of `old`, simplified to a sum of terms.

    On the left a dot stands for the response, on the right for all terms; a side that is missing is taken
    from `old`. Random terms and offsets are terms like others: they are removed by writing them after a minus
    as they stand in `old`.

    Parameters
    ----------
    old, new : str

    Returns
    -------
    str

    Raises
    ------
    FormulaError
        If a formula cannot be read.

    Examples
    --------
    >>> updated_formula("y ~ x + (1 | g)", ". ~ . + z")
    'y ~ x + (1 | g) + z'
    >>> updated_formula("y ~ a * b + (1 | g)", "log(.) ~ . - a:b - (1 | g) + (a | g)")
    'log(y) ~ a + b + (a | g)'
    """
    try:
        response, terms = _sides(parse(old), old)
        merged = "{} ~ {}".format(*map(deparse, _sides(parse(new), new, response, terms)))
        return _simplified(merged)
    except RecursionError:
        raise FormulaError(NESTED) from None


def _sides(
    tree: Node, text: str, response: Node | None = None, terms: Node | None = None
) -> tuple[Node, Node]:
    """Both sides of a formula, the dots in them replaced."""
    match tree:
        case Binary("~", left, right):
            pass
        case Unary("~", right) if response is not None:
            left = DOT
        case _:
            raise formula_error("a '~' is missing between response and terms", text, tree.span)
    if response is None or terms is None:
        return left, right
    return _replaced(left, response), _replaced(right, terms)


def _replaced(node: Node, dot: Node) -> Node:
    """A tree with its dots replaced, in parentheses where an operator would tear the new part apart."""
    match node:
        case Name("."):
            return dot
        case Paren(inner):
            return Paren(_replaced(inner, dot))
        case Unary(op, inner):
            return Unary(op, _whole(_replaced(inner, dot), inner))
        case Binary(op, left, right):
            return Binary(op, _whole(_replaced(left, dot), left), _whole(_replaced(right, dot), right))
        case Call(function, arguments):
            return Call(function, tuple((name, _replaced(value, dot)) for name, value in arguments))
        case _:
            return node


def _whole(new: Node, old: Node) -> Node:
    return Paren(new) if old == DOT and isinstance(new, Binary | Unary) else new


def _simplified(text: str) -> str:
    """The formula with the terms of its right-hand side added up, in R's order."""
    response, node = _sides(parse(text), text)
    written: dict[str, str] = {}
    terms = expand_terms(_atomic(node, written), text)
    labels = [":".join(written.get(terms.names[v], terms.names[v]) for v in term) for term in terms.terms]
    if not terms.intercept:
        labels.insert(0, "0")
    return f"{deparse(response)} ~ {' + '.join(labels) or '1'}"


def _atomic(node: Node, written: dict[str, str]) -> Node:
    """The tree with random terms, offsets and dots as plain names, which the algebra of terms takes whole.

    What each of them was is noted in `written`, by the name as the algebra will print it.
    """
    match node:
        case Paren(Binary("|" | "||")) | Call("offset") | Name("."):
            label = deparse(node)
            written[quote(f" {label}")] = label
            return Name(f" {label}", node.span)
        case Paren(inner):
            return Paren(_atomic(inner, written), node.span)
        case Unary(op, inner):
            return Unary(op, _atomic(inner, written), node.span)
        case Binary(op, left, right, span, at):
            return Binary(op, _atomic(left, written), _atomic(right, written), span, at)
        case _:
            return node


def fit_again(
    fit: FittedModel, formula: str | None = None, data: Any = None, changes: Mapping[str, Any] | None = None
) -> FittedModel:
    """Repeat the call of a fit with changes."""
    from henderson.fit.fitting import fit_formula

    call, changes = fit.call, changes or {}
    if call is None:
        raise HendersonError("this fit was not made by lmer(), and has no call to repeat with changes")
    known = list(inspect.signature(fit_formula).parameters)[2:]
    for name in changes:
        if name not in known:
            raise DataError(f"lmer has no argument {name!r}{closest(name, known)}")
    if data is None:
        if not fit.has_source:
            raise HendersonError(
                "this result was read back from a pickle or file, which leaves out the data: "
                "give update(data=...)"
            )
        if fit.source.data is None:
            raise HendersonError(
                "the response of this fit was given to refit(), and is in no table: give update(data=...)"
            )
        data = fit.source.data
    written = call.formula
    if formula is not None:
        # What a dot of the old formula stands for is settled first, so that the new one can take it out
        written = updated_formula(without_dots(written, column_names(data)), formula)
    changed = call.changed(written, changes)
    changed.check_complete()
    return fit_formula(changed.formula, data, **changed.arguments)


def fit_response(fit: FittedModel, y: ArrayLike) -> FittedModel:
    """Fit the model of a result to another response."""
    from henderson.fit.fitting import fit_design

    source = fit.source
    y = source.responses(y)
    if y.ndim != 1:
        raise DataError(f"refit takes one response; for the columns of an array {y.shape} there is refits")
    rows = fit.estimates.by_row("fitted values")
    return fit_design(
        replace(source.with_rows(), y=y),
        None,
        call=fit.call,
        REML=fit.reml,
        control=fit.control,
        pad=rows.padded is not None,
        like=source.fitted.engine,
    )
