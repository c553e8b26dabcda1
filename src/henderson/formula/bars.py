"""Random terms: find the bars, and expand `||`, `/` and `*` as lme4 does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, reduce

from henderson.errors import DataError, FormulaError
from henderson.formula.deparse import deparse
from henderson.formula.syntax import (
    NESTED,
    Binary,
    Call,
    Name,
    Node,
    Number,
    Paren,
    String,
    Unary,
    addends,
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
    try:
        return _parsed(parse(text), text)
    except RecursionError:
        raise FormulaError(NESTED) from None


def has_random_terms(text: str) -> bool:
    """Whether a formula has a term with a bar; raises what `parse_formula` does about one without sides.

    Examples
    --------
    >>> has_random_terms("y ~ x"), has_random_terms("y ~ x + (1 | g)")
    (False, True)
    """
    try:
        found: list[Binary] = []
        _without_bars(_checked(parse(text), text).right, text, found)
    except RecursionError:
        raise FormulaError(NESTED) from None
    return bool(found)


def names_in(text: str) -> set[str]:
    """The columns that a formula names.

    Examples
    --------
    >>> sorted(names_in("log(y) ~ x:z + (1 | g)"))
    ['g', 'x', 'y', 'z']
    """
    found: set[str] = set()
    nodes: list[Node] = [parse(text)]
    while nodes:
        match nodes.pop():
            case Name(name):
                found.add(name)
            case Binary(_, left, right):
                nodes += [left, right]
            case Unary(_, inner) | Paren(inner):
                nodes.append(inner)
            case Call(_, arguments):
                nodes += [argument for _, argument in arguments]
    return found


def _checked(tree: Node, text: str) -> Binary:
    """The formula, once it is sure that it has two sides."""
    if isinstance(tree, Unary) and tree.op == "~":
        raise formula_error("the response is missing: write y ~ ...", text, tree.span)
    if not (isinstance(tree, Binary) and tree.op == "~"):
        raise formula_error("a '~' is missing between response and terms", text, tree.span)
    return tree


def _parsed(tree: Node, text: str) -> ParsedFormula:
    tree = _checked(tree, text)
    if isinstance(tree.left, Call) and tree.left.function == "cbind":
        raise DataError(
            f"the response {deparse(tree.left)} has several columns, and a linear mixed model takes one: "
            "fit each in a formula of its own"
        )
    if isinstance(tree.left, Number | String):
        kind = "number" if isinstance(tree.left, Number) else "quoted string"
        raise formula_error(f"the response is a {kind}, not a column", text, tree.left.span)
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
    terms = expand_terms(fixed, text)
    response = deparse(tree.left)
    if response in terms.names:
        message = f"the response {response} also stands on the right-hand side: take it out there"
        raise formula_error(message, text, terms.variables[terms.names.index(response)].span)
    return ParsedFormula(text=text, response=tree.left, fixed=terms, bars=bars)


def _is_bar(node: Node) -> bool:
    return isinstance(node, Binary) and node.op in ("|", "||")


def _first_bar(node: Node) -> Binary | None:
    """The first bar that is not inside a function call, where `|` means "or"."""
    waiting = [node]
    while waiting:
        match waiting.pop():
            case Binary("|" | "||") as bar:
                return bar
            case Binary(_, left, right):
                waiting += [right, left]
            case Unary(_, inner) | Paren(inner):
                waiting.append(inner)
            case _:
                pass
    return None


def _without_bars(node: Node, text: str, found: list[Binary]) -> Node | None:
    """The fixed part of a tree (None if nothing is left); its random terms are appended to `found`."""
    match node:
        case Paren(Binary("|" | "||") as bar):
            found.append(bar)
            return None
        case Paren(inner) if _first_bar(inner) is not None:
            return _without_bars(inner, text, found)
        case Binary("+"):
            parts = [_without_bars(part, text, found) for part in addends(node)]
            kept_parts = [part for part in parts if part is not None]
            return reduce(_plus, kept_parts) if kept_parts else None
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


def _plus(left: Node, right: Node) -> Node:
    return Binary("+", left, right, (left.span[0], right.span[1]))


def _expand_bar(bar: Binary, text: str) -> list[Bar]:
    nested = _first_bar(bar.left) or _first_bar(bar.right)
    if nested is not None:
        raise formula_error("one random term holds one bar", text, nested.at)
    effects = expand_terms(bar.left, text)
    if effects.offsets:
        raise formula_error("an offset belongs outside the random terms", text, bar.left.span)
    if not effects.terms and not effects.intercept:
        raise formula_error("this random term is empty: give it an effect, such as (1 | g)", text, bar.span)
    groups = [Group(_label(tree), tuple(_atoms(tree))) for tree in _expand_groups(bar.right, text)]
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


def _label(tree: Node) -> str:
    # R quotes an odd name only where it is part of an expression.
    return tree.name if isinstance(tree, Name) else deparse(tree)


def _atoms(tree: Node) -> list[Node]:
    if isinstance(tree, Binary) and tree.op == ":":
        return _atoms(tree.left) + _atoms(tree.right)
    return [tree]
