"""R's term algebra (`+ - : * / ^ %in%`) and R's rule for coding factors within terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from henderson.formula.deparse import deparse
from henderson.formula.syntax import (
    Binary,
    Call,
    Node,
    Number,
    Paren,
    String,
    Unary,
    addends,
    formula_error,
)


@dataclass(frozen=True, slots=True)
class TermSet:
    """The terms on one side of a formula, in R's order.

    Attributes
    ----------
    variables : tuple of Node
        The distinct expressions, in order of appearance.
    names : tuple of str
        Their R names.
    terms : tuple of tuple of int
        For each term the variables that it multiplies, by degree and then by appearance. As in R, a term has
        its variables in the order in which the *formula* first names them: ``age + Sex:age`` has ``age:Sex``.
    intercept : bool
    offsets : tuple of Node
        The arguments of ``offset()`` terms.
    """

    variables: tuple[Node, ...]
    names: tuple[str, ...]
    terms: tuple[tuple[int, ...], ...]
    intercept: bool
    offsets: tuple[Node, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the terms: ``("Days", "grp", "Days:grp")``."""
        return tuple(":".join(self.names[v] for v in term) for term in self.terms)

    def single(self, term: tuple[int, ...]) -> TermSet:
        """The set that holds just this term and no intercept: ``0 + term``."""
        return TermSet(
            variables=tuple(self.variables[v] for v in term),
            names=tuple(self.names[v] for v in term),
            terms=(tuple(range(len(term))),),
            intercept=False,
            offsets=(),
        )


def expand_terms(node: Node | None, text: str) -> TermSet:
    """Expand one side of a formula to its terms.

    Parameters
    ----------
    node : Node or None
        The tree without its random terms; None stands for ``1``.
    text : str
        The whole formula, for error messages.

    Returns
    -------
    TermSet

    Examples
    --------
    >>> from henderson.formula.syntax import parse
    >>> expand_terms(parse("(a + b + c)^2 - a:b"), "").labels
    ('a', 'b', 'c', 'a:c', 'b:c')
    """
    algebra = _Algebra(text)
    masks = algebra.expand(node) if node is not None else []
    terms = [tuple(v for v in range(len(algebra.names)) if mask >> v & 1) for mask in masks]
    return TermSet(
        variables=tuple(algebra.variables),
        names=tuple(algebra.names),
        terms=tuple(sorted(terms, key=len)),
        intercept=algebra.intercept,
        offsets=tuple(algebra.offsets),
    )


class _Algebra:
    """Terms as bit masks over the variables, exactly as R's terms.formula computes with them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.variables: list[Node] = []
        self.names: list[str] = []
        self.offsets: list[Node] = []
        self.intercept = True
        self.adding = True

    def expand(self, node: Node) -> list[int]:
        match node:
            case Paren(inner):
                return self.expand(inner)
            case Number(value):
                if value not in (0.0, 1.0):
                    message = (
                        f"the number {deparse(node)} is no term: write I({deparse(node)} * x) for arithmetic"
                    )
                    raise formula_error(message, self.text, node.span)
                self.intercept = (value == 1.0) == self.adding
                return []
            case Unary("+", operand):
                return self.expand(operand)
            case Unary("-", operand):
                self.subtract(operand)
                return []
            case Binary("-", left, right):
                kept = self.expand(left)
                removed = self.subtract(right)
                return [mask for mask in kept if mask not in removed]
            case Binary("^", left, right):
                return self.power(left, right)
            case Binary("*" | ":" | "/" | "%in%" as op, left, right) if _is_number(left) or _is_number(right):
                message = f"a number is no part of an interaction: write I(x {op} y) for arithmetic"
                raise formula_error(message, self.text, (left if _is_number(left) else right).span)
            case Binary("+"):
                return _distinct([mask for part in addends(node) for mask in self.expand(part)])
            case Binary("*" | ":" | "/" | "%in%" as op, left, right):
                return _distinct(_combine(op, self.expand(left), self.expand(right)))
            case Call("offset", arguments):
                if len(arguments) != 1:
                    raise formula_error("offset() takes one expression", self.text, node.span)
                if self.adding:
                    self.offsets.append(arguments[0][1])
                return []
            case Binary("|" | "||"):
                raise formula_error("a random term needs parentheses of its own: (1 | g)", self.text, node.at)
            case String():
                raise formula_error(
                    "a quoted string is no term: give the column's name", self.text, node.span
                )
            case _:
                return [1 << self.variable(node)]

    def variable(self, node: Node) -> int:
        name = deparse(node)
        if name not in self.names:
            self.names.append(name)
            self.variables.append(node)
        return self.names.index(name)

    def subtract(self, node: Node) -> list[int]:
        self.adding = not self.adding
        removed = self.expand(node)
        self.adding = not self.adding
        return removed

    def power(self, left: Node, right: Node) -> list[int]:
        if not (isinstance(right, Number) and right.value >= 1 and right.value == int(right.value)):
            message = "the power of a term is a whole number: write I(x^y) for arithmetic"
            raise formula_error(message, self.text, right.span)
        base = self.expand(left)
        result = base
        for _ in range(int(right.value) - 1):
            result = _distinct([a | b for a in result for b in base])
        return result


def _combine(op: str, left: list[int], right: list[int]) -> list[int]:
    match op:
        case ":":
            return [a | b for a in left for b in right]
        case "*":
            return left + right + [a | b for a in left for b in right]
        case "/":
            return left + [b | _union(left) for b in right]
        case _:
            return [a | _union(right) for a in left]


def _is_number(node: Node) -> bool:
    return isinstance(node, Number)


def _union(masks: list[int]) -> int:
    joined = 0
    for mask in masks:
        joined |= mask
    return joined


def _distinct(masks: list[int]) -> list[int]:
    return list(dict.fromkeys(masks))


def full_coding(terms: TermSet, is_factor: Sequence[bool]) -> tuple[tuple[bool, ...], ...]:
    """For each variable of each term, whether a factor there gets a column for *every* level.

    R's rule (Chambers & Hastie, *Statistical Models in S*, p. 38, as in R's `TermCode`): a factor is coded by
    contrasts if the rest of the term is contained in an earlier term, or is empty; by indicators of all
    levels otherwise. Without an intercept the first factor of the first term that has one is coded in full.

    Parameters
    ----------
    terms : TermSet
    is_factor : sequence of bool
        For each variable.

    Returns
    -------
    tuple of tuple of bool
        In the shape of ``terms.terms``.

    Examples
    --------
    >>> from henderson.formula.syntax import parse
    >>> full_coding(expand_terms(parse("x:f"), ""), [False, True])
    ((False, True),)
    """
    full = [[False] * len(term) for term in terms.terms]
    for t, term in enumerate(terms.terms):
        for k, v in enumerate(term):
            rest = set(term) - {v}
            known = not rest or any(rest <= set(earlier) for earlier in terms.terms[:t])
            full[t][k] = is_factor[v] and not known
    if not terms.intercept:
        first = next(
            ((t, k) for t, term in enumerate(terms.terms) for k, v in enumerate(term) if is_factor[v]), None
        )
        if first is not None:
            full[first[0]][first[1]] = True
    return tuple(map(tuple, full))
