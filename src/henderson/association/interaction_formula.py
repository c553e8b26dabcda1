"""``snp:age`` in the formula of a scan: which covariates the effect of a variant depends on."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.formula import Design
from henderson.formula.deparse import deparse
from henderson.formula.syntax import (
    Binary,
    Name,
    Node,
    Paren,
    Unary,
    addends,
    formula_error,
    parse,
    walk,
)
from henderson.formula.terms import expand_terms

Array = NDArray[np.float64]
#: What stands for the variant in the formula of a scan.
SNP = "snp"


@dataclass(frozen=True, slots=True, eq=False)
class Environment:
    """A covariate that the effect of a variant depends on.

    Attributes
    ----------
    expression : str
        As the formula has it: ``"age"``.
    names : tuple of str
        A word for each column, fit for the name of a column of a table: ``("age",)``, ``("sexM",)``.
    values : ndarray, shape (n, q)
        The column of a number, or the contrasts of a factor, of the people analysed.
    """

    expression: str
    names: tuple[str, ...]
    values: Array


def split_interactions(formula: str, columns: Collection[str] = ()) -> tuple[str, tuple[str, ...]]:
    """Take the terms with the variant out of the formula of a scan.

    Parameters
    ----------
    formula : str
        Such as ``"height ~ age + sex + snp:age"``.
    columns : collection of str
        Those of the table.

    Returns
    -------
    formula : str
        What is left, as it stands where there is no ``snp`` in it.
    interactions : tuple of str
        What the variant is multiplied by, in the order of the formula. The variant itself always has an
        effect, whether or not the formula says so.

    Raises
    ------
    FormulaError
        If the formula cannot be read, or ``snp`` is where it has no meaning.
    DataError
        If the table has a column ``snp``.

    Examples
    --------
    >>> split_interactions("height ~ age + sex + snp:age")
    ('height ~ age + sex', ('age',))
    >>> split_interactions("height ~ sex * snp + (1 | family)")
    ('height ~ sex + (1 | family)', ('sex',))
    """
    tree = parse(formula)
    if not _has_snp(tree):
        return formula, ()
    if SNP in columns:
        raise DataError(
            f"the table has a column {SNP!r}, and in the formula of a scan {SNP} stands for the variant: "
            "rename the column"
        )
    if not (isinstance(tree, Binary) and tree.op == "~"):
        raise formula_error("a formula has a response: 'height ~ age + snp:age'", formula, tree.span)
    if _has_snp(tree.left):
        raise _misplaced(tree.left, formula)
    found: list[str] = []
    right = _without_snp(tree.right, formula, found)
    left_over = "1" if right is None else deparse(right)
    return f"{deparse(tree.left)} ~ {left_over}", tuple(dict.fromkeys(found))


def environments(design: Design, interactions: Collection[str]) -> tuple[Environment, ...]:
    """The columns that a variant is multiplied by, among the fixed effects of the model without a variant.

    A factor has the columns of its contrasts; without an intercept, where it has a column for each level, all
    but the first.

    Raises
    ------
    DataError
        If a covariate is not among the fixed effects: its own effect would pass for that of the interaction.
    """
    labels = design.spec.term_labels
    assign = np.array(design.x_assign)
    used: dict[str, str] = {}
    found: list[Environment] = []
    for expression in interactions:
        if expression not in labels:
            raise DataError(
                f"{SNP}:{expression} needs {expression} among the fixed effects, or its own effect would "
                "pass for that of the interaction: add it to the formula "
                f"(... + {expression} + {SNP}:{expression})"
            )
        t = labels.index(expression)
        own = np.flatnonzero(assign == t + 1)
        if any(design.spec.fixed.full[t]):
            own = own[1:]
        for k in own:
            name = design.x_names[k]
            word = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "x"
            while word in used.values():
                word = f"{word}_"
            used[name] = word
        names = tuple(used[design.x_names[k]] for k in own)
        found.append(Environment(expression, names, np.ascontiguousarray(design.X[:, own])))
    return tuple(found)


def _has_snp(node: Node) -> bool:
    return any(isinstance(each, Name) and each.name == SNP for each in walk(node))


def _misplaced(node: Node, text: str) -> Exception:
    spot = next(each for each in walk(node) if isinstance(each, Name) and each.name == SNP)
    message = f"{SNP} is the variant under test, and may stand alone or with one covariate: {SNP}:age"
    return formula_error(message, text, spot.span)


def _without_snp(node: Node, text: str, found: list[str]) -> Node | None:
    """A sum without its terms with the variant, whose other variables go to ``found``."""
    kept: Node | None = None
    for part in addends(node):
        rest = _part_without_snp(part, text, found)
        if rest is not None:
            kept = rest if kept is None else Binary("+", kept, rest)
    return kept


def _part_without_snp(part: Node, text: str, found: list[str]) -> Node | None:
    if not _has_snp(part):
        return part
    match part:
        case Binary("-", left, right) if not _has_snp(right):
            kept = _without_snp(left, text, found)
            return Unary("-", right) if kept is None else Binary("-", kept, right)
        case Paren(inner) if not _has_bar(inner):
            kept = _without_snp(inner, text, found)
            return None if kept is None else Paren(kept)
        case Name() | Binary(":" | "*"):
            return _expanded(part, text, found)
    raise _misplaced(part, text)


def _has_bar(node: Node) -> bool:
    return any(isinstance(each, Binary) and each.op in ("|", "||") for each in walk(node))


def _expanded(part: Node, text: str, found: list[str]) -> Node | None:
    """A product multiplied out: the terms without the variant, as a sum."""
    terms = expand_terms(part, text)
    kept: Node | None = None
    for term in terms.terms:
        own = [terms.variables[v] for v in term if terms.names[v] != SNP]
        if len(own) == len(term):
            product = own[0]
            for node in own[1:]:
                product = Binary(":", product, node)
            kept = product if kept is None else Binary("+", kept, product)
        elif any(_has_snp(node) for node in own) or len(own) > 1:
            raise _misplaced(part, text)
        elif own:
            found.append(deparse(own[0]))
    return kept
