"""Random terms: find the bars, and expand `||`, `/` and `*` as lme4 does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from henderson.errors import DataError, FormulaError
from henderson.formula.deparse import deparse
from henderson.formula.syntax import (
    Binary,
    Call,
    Name,
    Node,
    Number,
    Paren,
    Unary,
    formula_error,
    parse,
    precedence,
)
from henderson.formula.terms import TermSet, expand_terms


@dataclass(frozen=True, slots=True)
class Group:
    """A grouping factor: the interaction of its atoms.

    Attributes
    ----------
    label : str
        As lme4 prints it: ``"Subject"``, ``"cask:batch"``, ``"class:(school:region)"``.
    atoms : tuple of Node
        The factors that are crossed, the slowest varying first.
    """

    label: str
    atoms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One random term ``(effects | group)`` after all expansion.

    Attributes
    ----------
    effects : TermSet
        The left side.
    group : Group
        The right side.
    text : str
        As the user would write it, for messages.
    """

    effects: TermSet
    group: Group
    text: str


@dataclass(frozen=True, slots=True)
class ParsedFormula:
    """A formula without data.

    Attributes
    ----------
    text : str
        As given.
    response : Node
    fixed : TermSet
    bars : tuple of Bar
        In order of appearance.
    """

    text: str
    response: Node
    fixed: TermSet
    bars: tuple[Bar, ...]


@lru_cache(maxsize=256)
def parse_formula(text: str) -> ParsedFormula:
    """Parse an lme4 formula; pure, so each text is parsed once.

    Parameters
    ----------
    text : str

    Returns
    -------
    ParsedFormula

    Raises
    ------
    FormulaError
        For a formula that cannot be read, with the spot underlined.

    Examples
    --------
    >>> [b.text for b in parse_formula("y ~ x + (x || g/h)").bars]
    ['(1 | h:g)', '(1 | g)', '(0 + x | h:g)', '(0 + x | g)']
    """
    tree = parse(text)
    if isinstance(tree, Unary) and tree.op == "~":
        raise formula_error("the response is missing: write y ~ ...", text, tree.span)
    if not (isinstance(tree, Binary) and tree.op == "~"):
        raise formula_error("a '~' is missing between response and terms", text, tree.span)
    if isinstance(tree.left, Call) and tree.left.function == "cbind":
        raise DataError(
            f"the response {deparse(tree.left)} has several columns, and a linear mixed model takes one: "
            "fit each in a formula of its own"
        )
    stray = _first_bar(tree.left)
    if stray is not None:
        raise formula_error("a random term cannot stand on the response side", text, stray.at)
    found: list[Binary] = []
    fixed = _without_bars(tree.right, text, found)
    if not found:
        raise FormulaError(
            f"there is no random term in {text!r}: add one such as (1 | group), "
            "or fit a plain linear model elsewhere"
        )
    bars = tuple(bar for node in found for bar in _expand_bar(node, text))
    return ParsedFormula(text=text, response=tree.left, fixed=expand_terms(fixed, text), bars=bars)


def _is_bar(node: Node) -> bool:
    return isinstance(node, Binary) and node.op in ("|", "||")


def _first_bar(node: Node) -> Binary | None:
    """The first bar that is not inside a function call, where `|` means "or"."""
    match node:
        case Binary(op, left, right):
            return node if op in ("|", "||") else _first_bar(left) or _first_bar(right)
        case Unary(_, inner) | Paren(inner):
            return _first_bar(inner)
        case _:
            return None


def _without_bars(node: Node, text: str, found: list[Binary]) -> Node | None:
    """The fixed part of a tree (None if nothing is left); its random terms are appended to `found`."""
    match node:
        case Paren(Binary("|" | "||") as bar):
            found.append(bar)
            return None
        case Paren(inner) if _first_bar(inner) is not None:
            return _without_bars(inner, text, found)
        case Binary("+", left, right, span, at):
            kept_left = _without_bars(left, text, found)
            kept_right = _without_bars(right, text, found)
            if kept_left is None or kept_right is None:
                return kept_right if kept_left is None else kept_left
            return Binary("+", kept_left, kept_right, span, at)
        case Binary("-", left, right, span, at) if _first_bar(right) is None:
            kept = _without_bars(left, text, found)
            return Unary("-", right, span) if kept is None else Binary("-", kept, right, span, at)
        case _:
            stray = _first_bar(node)
            if stray is None:
                return node
            if _is_bar(node):
                raise formula_error("a random term needs parentheses of its own: (1 | g)", text, stray.at)
            if isinstance(node, Binary) and precedence(node.op) < precedence("+"):
                message = f"{node.op!r} binds more loosely than '+': put what it compares in I(...)"
                raise formula_error(message, text, node.at)
            raise formula_error("a random term is added with '+', nothing else", text, stray.span)


def _expand_bar(bar: Binary, text: str) -> list[Bar]:
    nested = _first_bar(bar.left) or _first_bar(bar.right)
    if nested is not None:
        raise formula_error("one random term holds one bar", text, nested.at)
    effects = expand_terms(bar.left, text)
    if effects.offsets:
        raise formula_error("an offset belongs outside the random terms", text, bar.left.span)
    if not effects.terms and not effects.intercept:
        raise formula_error("this random term is empty: give it an effect, such as (1 | g)", text, bar.span)
    groups = [Group(deparse(tree), tuple(_atoms(tree))) for tree in _expand_groups(bar.right, text)]
    if bar.op == "|":
        return [Bar(effects, group, f"({deparse(bar.left)} | {group.label})") for group in groups]
    parts = [
        (effects.single(term), f"0 + {label}")
        for term, label in zip(effects.terms, effects.labels, strict=True)
    ]
    if effects.intercept:
        parts.insert(0, (TermSet((), (), (), True, ()), "1"))
    return [Bar(part, group, f"({label} | {group.label})") for part, label in parts for group in groups]


def _expand_groups(node: Node, text: str) -> list[Node]:
    """The grouping factors that a right side stands for, as trees of `:` only."""
    match node:
        case Paren(inner):
            return _expand_groups(inner, text)
        case Name() | Call():
            return [node]
        case Binary("/", left, right):
            outer = _expand_groups(left, text)
            inner_groups = _expand_groups(right, text)
            return [Binary(":", inner, outer[0]) for inner in inner_groups] + outer
        case Binary("+", left, right):
            return _expand_groups(left, text) + _expand_groups(right, text)
        case Binary(":" | "*" as op, left, right):
            first, second = _expand_groups(left, text), _expand_groups(right, text)
            crossed: list[Node] = [Binary(":", a, b) for a in first for b in second]
            return crossed if op == ":" else [*first, *second, *crossed]
        case Number():
            raise formula_error("a grouping factor is a column, not a number", text, node.span)
        case _:
            message = "a grouping factor is a column or columns joined by ':', '/', '*' or '+'"
            raise formula_error(message, text, node.span)


def _atoms(tree: Node) -> list[Node]:
    if isinstance(tree, Binary) and tree.op == ":":
        return _atoms(tree.left) + _atoms(tree.right)
    return [tree]
