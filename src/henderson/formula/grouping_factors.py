"""Grouping factors: what the right side of a bar stands for."""

from __future__ import annotations

from dataclasses import dataclass

from henderson.formula.deparse import deparse
from henderson.formula.syntax import Binary, Call, Name, Node, Number, Paren, formula_error


@dataclass(frozen=True, slots=True)
class Group:
    """A grouping factor: the interaction of its atoms, or their levels in one pool.

    Attributes
    ----------
    label : str
        As lme4 prints it: ``"Subject"``, ``"cask:batch"``, ``"class:(school:region)"``; ``"animal & dam"``.
    atoms : tuple of Node
        The factors that are crossed, the slowest varying first; or those whose levels are pooled.
    pooled : bool
        The atoms name the same things in different parts, animals and their dams: a row has an effect of the
        level that each of them names.
    """

    label: str
    atoms: tuple[Node, ...]
    pooled: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the effects of a pooled factor: its columns."""
        return tuple(_label(atom) for atom in self.atoms)


def grouping_factors(node: Node, text: str) -> list[Group]:
    """The grouping factors that the right side of a bar stands for.

    >>> from henderson.formula.syntax import parse
    >>> [group.label for group in grouping_factors(parse("a/b"), "a/b")]
    ['b:a', 'a']
    >>> grouping_factors(parse("animal & dam"), "")[0].parts
    ('animal', 'dam')
    """
    pool = _pooled(node)
    if len(pool) > 1:
        return [_pool(pool, text)]
    trees = (tree.inner if isinstance(tree, Paren) else tree for tree in _expand_groups(node, text))
    return [Group(_label(tree), tuple(_atoms(tree))) for tree in trees]


def _pooled(node: Node) -> list[Node]:
    """What a chain of `&` joins, from left to right."""
    match node:
        case Paren(Binary("&") as inner):
            return _pooled(inner)
        case Binary("&", left, right):
            return [*_pooled(left), *_pooled(right)]
        case _:
            return [node]


def _pool(columns: list[Node], text: str) -> Group:
    for k, column in enumerate(columns):
        if not isinstance(column, Name | Call):
            message = "'&' joins columns whose levels are the same things, as in (1 | animal & dam)"
            raise formula_error(message, text, column.span)
        if column in columns[:k]:
            raise formula_error(f"{_label(column)} stands twice", text, column.span)
    return Group(" & ".join(map(deparse, columns)), tuple(columns), pooled=True)


def _expand_groups(node: Node, text: str) -> list[Node]:
    """The grouping factors that a right side stands for, as trees of `:` only."""
    match node:
        case Paren(inner, span):
            groups = _expand_groups(inner, text)
            # Kept around an interaction, because they are part of the label: (b:c):a.
            return [Paren(groups[0], span)] if len(groups) == 1 and isinstance(groups[0], Binary) else groups
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
            message = "a grouping factor is a column or columns joined by ':', '/', '*', '+' or '&'"
            raise formula_error(message, text, node.span)


def _label(tree: Node) -> str:
    # R quotes an odd name only where it is part of an expression.
    return tree.name if isinstance(tree, Name) else deparse(tree)


def _atoms(tree: Node) -> list[Node]:
    if isinstance(tree, Paren):
        return _atoms(tree.inner)
    if isinstance(tree, Binary) and tree.op == ":":
        return _atoms(tree.left) + _atoms(tree.right)
    return [tree]
