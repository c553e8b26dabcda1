"""The dot of a formula: every column of the table that has no other part in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce

from henderson.errors import DataError
from henderson.formula.syntax import Binary, Call, Name, Node, Paren, Span, Unary, formula_error, walk
from henderson.formula.tags import is_tagged


def fill_dots(right: Node, columns: Sequence[str], taken: Collection[str], text: str) -> Node:
    """Replace each dot by the sum of the columns that it stands for.

    In R these are the columns that the left side does not name, so that ``lmer(y ~ . + (1 | g))`` makes the
    grouping factor a fixed effect too, and its variance unidentifiable. Here grouping factors, and all
    columns of a computed response such as ``log(y)``, are left out.

    Parameters
    ----------
    right : Node
        The right side of the formula.
    columns : sequence of str
        Of the table, in its order.
    taken : collection of str
        Those that the dot leaves out.
    text : str
        The whole formula, for messages.

    Returns
    -------
    Node

    Raises
    ------
    FormulaError
        For a dot within a function or a grouping factor.
    DataError
        If no columns are left, or one has no name.

    Examples
    --------
    >>> from henderson.formula.deparse import deparse
    >>> from henderson.formula.syntax import parse
    >>> deparse(fill_dots(parse("x * ."), ["y", "x", "z"], {"y"}, ""))
    'x * (x + z)'
    """
    rest = [name for name in columns if name not in taken]
    unnamed = [name for name in rest if not isinstance(name, str)]
    if unnamed:
        raise DataError(f"'.' stands for column {unnamed[0]!r} too, whose name is no string: rename it")
    if not rest:
        raise DataError(
            "'.' stands for the other columns of the table, and there are none besides "
            f"{', '.join(sorted(taken))}: write 1 for an intercept alone"
        )

    def total(span: Span) -> Node:
        names: list[Node] = [Name(name, span) for name in rest]
        return reduce(lambda a, b: Binary("+", a, b, span, span), names)

    def fill(node: Node) -> Node:
        match node:
            case Name(".", span):
                return Paren(total(span), span)
            case Paren(inner, span):
                return Paren(fill(inner), span)
            case Unary(op, operand, span):
                return Unary(op, fill(operand), span)
            case Binary("|" | "||" as op, left, group, span, at):
                _refuse(group, "a grouping factor is named, and '.' stands for many columns", text)
                effects = total(left.span) if left == Name(".") else fill(left)
                return Binary(op, effects, group, span, at)
            case Binary(op, left, other, span, at):
                return Binary(op, fill(left), fill(other), span, at)
            case Call(function, arguments, span) if is_tagged(node):
                return Call(function, tuple((name, fill(each)) for name, each in arguments), span)
            case _:
                _refuse(node, "a function takes single columns, and '.' stands for many: name them", text)
                return node

    return fill(right)


def _refuse(node: Node, message: str, text: str) -> None:
    for each in walk(node):
        if each == Name("."):
            raise formula_error(message, text, each.span)
