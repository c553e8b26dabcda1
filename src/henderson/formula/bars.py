"""Random terms: find the bars, and expand `||`, `/` and `*` as lme4 does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce

from henderson.errors import DataError, FormulaError
from henderson.formula.deparse import deparse
from henderson.formula.design import UNSTRUCTURED, Structure
from henderson.formula.dots import fill_dots
from henderson.formula.functions import PLAIN
from henderson.formula.grouping_factors import Group, grouping_factors
from henderson.formula.syntax import (
    NESTED,
    Binary,
    Call,
    Name,
    Node,
    Number,
    Paren,
    Span,
    String,
    Unary,
    addends,
    formula_error,
    parse,
    precedence,
    walk,
)
from henderson.formula.tags import KINDS, is_tagged, random_term_in, read_random_term
from henderson.formula.terms import TermSet, expand_terms
from henderson.formula.transforms import STATEFUL


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
    structure : Structure
        From the covariance tag around it.
    """

    effects: TermSet
    group: Group
    text: str
    structure: Structure = UNSTRUCTURED


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


def parse_formula(text: str, columns: Sequence[str] | None = None) -> ParsedFormula:
    """Parse an lme4 formula.

    Parameters
    ----------
    text : str
    columns : sequence of str, optional
        Of the table, for the dot in ``y ~ . + (1 | g)`` to stand for; without them it stays as it is.

    Returns
    -------
    ParsedFormula

    Raises
    ------
    FormulaError
        For a formula that cannot be read, with the spot underlined.
    DataError
        For a response of several columns, or a dot that stands for none.

    Examples
    --------
    >>> parse_formula("y ~ . + (x | g)", ("g", "x", "y", "z")).fixed.labels
    ('x', 'z')
    >>> [b.text for b in parse_formula("y ~ x + (x || g/h)").bars]
    ['(1 | h:g)', '(1 | g)', '(0 + x | h:g)', '(0 + x | g)']
    """
    if columns is None or "." not in text or Name(".") not in walk(parse(text)):
        return _without_columns(text)
    try:
        return _parsed(parse(text), text, columns)
    except RecursionError:
        raise FormulaError(NESTED) from None


@lru_cache(maxsize=256)
def _without_columns(text: str) -> ParsedFormula:
    """Pure, so that each text is parsed once."""
    try:
        return _parsed(parse(text), text, None)
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
        found: list[Binary | Call] = []
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
    return {node.name for node in walk(parse(text)) if isinstance(node, Name)}


def _checked(tree: Node, text: str) -> Binary:
    """The formula, once it is sure that it has two sides."""
    if isinstance(tree, Unary) and tree.op == "~":
        raise formula_error("the response is missing: write y ~ ...", text, tree.span)
    if not (isinstance(tree, Binary) and tree.op == "~"):
        raise formula_error("a '~' is missing between response and terms", text, tree.span)
    return tree


def _parsed(tree: Node, text: str, columns: Sequence[str] | None) -> ParsedFormula:
    tree = _checked(tree, text)
    if isinstance(tree.left, Call) and tree.left.function == "cbind":
        raise DataError(
            f"the response {deparse(tree.left)} has several columns, and a linear mixed model takes one: "
            "fit each in a formula of its own"
        )
    if isinstance(tree.left, Number | String):
        kind = "number" if isinstance(tree.left, Number) else "quoted string"
        raise formula_error(f"the response is a {kind}, not a column", text, tree.left.span)
    stray = random_term_in(tree.left)
    if stray is not None:
        raise formula_error("a random term cannot stand on the response side", text, _spot(stray))
    found: list[Binary | Call] = []
    fixed = _without_bars(tree.right, text, found)
    if not found:
        _refuse_unknown_tag(tree.right, text)
        raise FormulaError(
            f"there is no random term in {text!r}: add one such as (1 | group), "
            "or fit a plain linear model elsewhere"
        )
    if columns is not None and Name(".") in walk(tree.right):
        right = _filled(tree, found, columns, text)
        found = []
        fixed = _without_bars(right, text, found)
    bars = tuple(bar for node in found for bar in _expand_bar(node, text))
    terms = expand_terms(fixed, text)
    response = deparse(tree.left)
    if response in terms.names:
        message = f"the response {response} also stands on the right-hand side: take it out there"
        raise formula_error(message, text, terms.variables[terms.names.index(response)].span)
    return ParsedFormula(text=text, response=tree.left, fixed=terms, bars=bars)


def _refuse_unknown_tag(right: Node, text: str) -> None:
    """Say so if what should be a random term is written as a function that is none of the tags."""
    for node in walk(right):
        if not isinstance(node, Call) or node.function in PLAIN or node.function in STATEFUL:
            continue
        if any(isinstance(a, Binary) and a.op in ("|", "||") for _, a in node.arguments):
            known = " and ".join(f"{kind}()" for kind in KINDS)
            message = f"{node.function}() is no covariance structure of a random term; there are {known}"
            raise formula_error(message, text, node.span)


def without_dots(text: str, columns: Sequence[str]) -> str:
    """The formula with its dots replaced by the columns that they stand for.

    Parameters
    ----------
    text : str
    columns : sequence of str
        Of the table, in its order.

    Examples
    --------
    >>> without_dots("y ~ . + (1 | g)", ["g", "x", "y", "z"])
    'y ~ (x + z) + (1 | g)'
    """
    tree = _checked(parse(text), text)
    if Name(".") not in walk(tree.right):
        return text
    found: list[Binary | Call] = []
    _without_bars(tree.right, text, found)
    return f"{deparse(tree.left)} ~ {deparse(_filled(tree, found, columns, text))}"


def _filled(tree: Binary, found: list[Binary | Call], columns: Sequence[str], text: str) -> Node:
    """The right side without dots, which leave out the response and the groups of the random terms."""
    groups = [read_random_term(term, text)[1].right for term in found]
    named = [node for part in (tree.left, *groups) for node in walk(part)]
    taken = {node.name for node in named if isinstance(node, Name)}
    return fill_dots(tree.right, columns, taken, text)


def _without_bars(node: Node, text: str, found: list[Binary | Call]) -> Node | None:
    """The fixed part of a tree (None if nothing is left); its random terms are appended to `found`."""
    match node:
        case Paren(Binary("|" | "||") as bar):
            found.append(bar)
            return None
        case Call() if is_tagged(node):
            found.append(node)
            return None
        case Paren(inner) if random_term_in(inner) is not None:
            return _without_bars(inner, text, found)
        case Binary("+"):
            parts = [_without_bars(part, text, found) for part in addends(node)]
            kept_parts = [part for part in parts if part is not None]
            return reduce(_plus, kept_parts) if kept_parts else None
        case Binary("-", left, right, span, at) if random_term_in(right) is None:
            kept = _without_bars(left, text, found)
            return Unary("-", right, span) if kept is None else Binary("-", kept, right, span, at)
        case _:
            stray = random_term_in(node)
            if stray is None:
                return node
            if isinstance(node, Binary) and node.op in ("|", "||"):
                raise formula_error("a random term needs parentheses of its own: (1 | g)", text, node.at)
            if isinstance(node, Binary) and precedence(node.op) < precedence("+"):
                message = f"{node.op!r} binds more loosely than '+': put what it compares in I(...)"
                raise formula_error(message, text, node.at)
            raise formula_error("a random term is added with '+', nothing else", text, stray.span)


def _plus(left: Node, right: Node) -> Node:
    return Binary("+", left, right, (left.span[0], right.span[1]))


def _expand_bar(term: Binary | Call, text: str) -> list[Bar]:
    structure, bar = read_random_term(term, text)
    nested = random_term_in(bar.left) or random_term_in(bar.right)
    if nested is not None:
        raise formula_error("one random term holds one bar", text, _spot(nested))
    effects = expand_terms(bar.left, text)
    if effects.offsets:
        raise formula_error("an offset belongs outside the random terms", text, bar.left.span)
    if not effects.terms and not effects.intercept:
        raise formula_error("this random term is empty: give it an effect, such as (1 | g)", text, bar.span)
    groups = grouping_factors(bar.right, text)
    if any(group.pooled for group in groups):
        _check_pooled(effects, bar, text)
    if bar.op == "|":
        written = deparse(bar.left)
        return [Bar(effects, group, structure.around(written, group.label), structure) for group in groups]
    parts = [
        (effects.single(term), f"0 + {label}")
        for term, label in zip(effects.terms, effects.labels, strict=True)
    ]
    if effects.intercept:
        parts.insert(0, (TermSet((), (), (), True, ()), "1"))
    return [Bar(part, group, f"({label} | {group.label})") for part, label in parts for group in groups]


def _check_pooled(effects: TermSet, bar: Binary, text: str) -> None:
    """Refuse slopes of effects that point to levels of different columns."""
    if effects.terms:
        message = "effects of levels joined by '&' are intercepts: write (1 | animal & dam)"
        raise formula_error(message, text, bar.left.span)
    if bar.op == "||":
        message = "effects of levels joined by '&' are made independent by diag(1 | animal & dam)"
        raise formula_error(message, text, bar.at)


def _spot(term: Binary | Call) -> Span:
    """What to underline of a random term: its bar, or its tag."""
    return term.at if isinstance(term, Binary) else term.span
