"""A tree back to text with R's spacing, because R's column names are deparsed expressions."""

from __future__ import annotations

import re
from math import floor, isfinite, log10

from henderson.formula.syntax import Binary, Call, Name, Node, Number, Paren, String, Unary, precedence

_TIGHT = {"/", "^", ":"}
_SYNTACTIC = re.compile(r"(?:[^\W\d]|\.(?!\d))[\w.]*\Z")


def format_number(value: float) -> str:
    """Write a number as R does: 15 significant digits, the shorter of fixed and scientific.

    >>> [format_number(v) for v in (2.0, 0.5, 1e5, 123456.0, 1 / 3)]
    ['2', '0.5', '1e+05', '123456', '0.333333333333333']
    """
    if not isfinite(value):
        return {"nan": "NaN", "inf": "Inf", "-inf": "-Inf"}[str(value)]
    if value == 0.0:
        return "0"
    mantissa, exponent = f"{value:.14e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    scientific = f"{mantissa}e{int(exponent):+03d}"
    digits = sum(c.isdigit() for c in mantissa)
    fixed = f"{value:.{max(0, digits - 1 - floor(log10(abs(value))))}f}"
    return fixed if len(fixed) <= len(scientific) else scientific


def deparse(node: Node) -> str:
    """The text R would print for an expression.

    Parameters
    ----------
    node : Node
        A tree from `parse`.

    Returns
    -------
    str

    Examples
    --------
    >>> from henderson.formula.syntax import parse
    >>> deparse(parse("poly(Days,2,raw=TRUE)"))
    'poly(Days, 2, raw = TRUE)'
    >>> deparse(parse("I( Days**2-1 )"))
    'I(Days^2 - 1)'
    """
    match node:
        case Number(value, text):
            return text if text.endswith("L") else format_number(value)
        case String(value):
            return f'"{value}"'
        case Name(name):
            return quote(name)
        case Unary(op, operand):
            return f"{op}{deparse(operand)}"
        case Paren(inner):
            return f"({deparse(inner)})"
        case Call(function, arguments):
            inside = (deparse(a) if name is None else f"{name} = {deparse(a)}" for name, a in arguments)
            return f"{function}({', '.join(inside)})"
        case Binary(op, left, right):
            space = "" if op in _TIGHT or op in ("%%", "%/%") else " "
            # Trees that the user wrote carry their Paren; only the labels of nested factors need new ones.
            return f"{_operand(left, precedence(op))}{space}{op}{space}{_operand(right, precedence(op) + 1)}"


def _operand(node: Node, strength: int) -> str:
    text = deparse(node)
    if isinstance(node, Binary) and precedence(node.op) < strength and node.op != "^":
        return f"({text})"
    return text


def quote(name: str) -> str:
    """A column name as R prints it, in backquotes when it is no plain word.

    >>> quote("birth weight")
    '`birth weight`'
    """
    return name if _SYNTACTIC.match(name) else f"`{name}`"
