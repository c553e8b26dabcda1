"""Formula text to a tree: R's tokens and R's operator precedence, with errors that underline the spot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from henderson.errors import FormulaError

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric literal; ``text`` keeps how it was written (``2L``)."""

    value: float
    text: str
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class String:
    """A quoted string."""

    value: str
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A column, or a constant such as ``TRUE``."""

    name: str
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """``-x``, ``+x`` or ``!x``."""

    op: str
    operand: Node
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """``left op right``; ``at`` is where the operator stands."""

    op: str
    left: Node
    right: Node
    span: Span = field(default=(0, 0), compare=False)
    at: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """``function(argument, name = argument)``; positional arguments have the name None."""

    function: str
    arguments: tuple[tuple[str | None, Node], ...]
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class Paren:
    """Parentheses that the user wrote; kept because R prints them."""

    inner: Node
    span: Span = field(default=(0, 0), compare=False)


Node = Number | String | Name | Unary | Binary | Call | Paren


def formula_error(message: str, text: str, span: Span) -> FormulaError:
    """Make an error that shows the formula and underlines part of it.

    >>> print(formula_error("unexpected ')'", "y ~ x)", (5, 6)))
    unexpected ')'
        y ~ x)
             ^
    """
    start, end = span
    shown = re.sub(r"\s", " ", text)
    return FormulaError(f"{message}\n    {shown}\n    {' ' * start}{'^' * max(end - start, 1)}")


NESTED = "the formula is nested too deeply: compute some of its columns in the table first"


def addends(node: Node) -> list[Node]:
    """What a chain of `+` adds up, from left to right, however long it is."""
    found: list[Node] = []
    while isinstance(node, Binary) and node.op == "+":
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, from left to right.

    >>> [each.name for each in walk(parse("log(y) + x:z")) if isinstance(each, Name)]
    ['y', 'x', 'z']
    """
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case Binary(_, left, right):
                waiting += [right, left]
            case Unary(_, inner) | Paren(inner):
                waiting.append(inner)
            case Call(_, arguments):
                waiting += [argument for _, argument in reversed(arguments)]


# R's precedences, loosest first; one number per level so that the parser is a single loop.
PRECEDENCE = {
    "~": 1,
    "|": 2,
    "||": 2,
    "&": 3,
    "&&": 3,
    "<": 5,
    ">": 5,
    "<=": 5,
    ">=": 5,
    "==": 5,
    "!=": 5,
    "+": 6,
    "-": 6,
    "*": 7,
    "/": 7,
    ":": 9,
    "^": 11,
}
PERCENT = 8
_NOT, _SIGN = 4, 10
_RIGHT_ASSOCIATIVE = {"^"}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?)
    | (?P<name>(?:[^\W\d]|\.(?!\d))[\w.]*|`[^`]+`)
    | (?P<string>"[^"]*"|'[^']*')
    | (?P<op>%[^%\s]*%|\*\*|<=|>=|==|!=|\|\||&&|[-+*/^|&!<>=(),~]|:(?!:))
    | (?P<end>$)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    span: Span


def precedence(op: str) -> int:
    """Binding strength of a binary operator in R."""
    return PERCENT if op.startswith("%") else PRECEDENCE[op]


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            at = len(text) - len(text[at:].lstrip())
            if text[at] in "\"'`":
                message = f"the quote {text[at]} is never closed"
            elif text[at] in "[$@{":
                message = f"{text[at]!r} is not understood in a formula: make a column of it first"
            elif text.startswith("::", at):
                message = "'::' is not understood in a formula: write the function without its package"
                raise formula_error(message, text, (at, at + 2))
            else:
                message = f"unexpected character {text[at]!r}"
            raise formula_error(message, text, (at, at + 1))
        kind = match.lastgroup or "end"
        written = match.group(kind)
        tokens.append(_Token(kind, "^" if written == "**" else written, match.span(kind)))
        if kind == "end":
            return tokens
        at = match.end()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.next = 0

    @property
    def peek(self) -> _Token:
        return self.tokens[self.next]

    def take(self) -> _Token:
        token = self.tokens[self.next]
        self.next += 1
        return token

    def error(self, message: str, span: Span) -> FormulaError:
        return formula_error(message, self.text, span)

    def parse(self) -> Node:
        tildes = [token for token in self.tokens if token.text == "~"]
        if len(tildes) > 1:
            raise self.error("a formula has one '~'", tildes[1].span)
        node = self.expression(0)
        token = self.peek
        if token.text == ")":
            raise self.error("this ')' closes nothing", token.span)
        if token.kind != "end":
            raise self.error(f"an operator such as '+' is missing before {token.text!r}", token.span)
        return node

    def expression(self, floor: int) -> Node:
        left = self.prefix()
        while True:
            token = self.peek
            op = token.text
            if token.kind != "op" or op in ("(", ")", ",", "=", "!"):
                return left
            strength = precedence(op)
            if strength < floor:
                return left
            self.take()
            right = self.expression(strength if op in _RIGHT_ASSOCIATIVE else strength + 1)
            left = Binary(op, left, right, (left.span[0], right.span[1]), token.span)

    def prefix(self) -> Node:
        token = self.take()
        if token.kind == "number":
            return Number(float(token.text.removesuffix("L")), token.text, token.span)
        if token.kind == "string":
            return String(token.text[1:-1], token.span)
        if token.kind == "name":
            name = token.text.strip("`")
            return self.call(name, token.span) if self.peek.text == "(" else Name(name, token.span)
        if token.text in ("+", "-", "!"):
            operand = self.expression(_NOT if token.text == "!" else _SIGN)
            return Unary(token.text, operand, (token.span[0], operand.span[1]))
        if token.text == "~":
            operand = self.expression(precedence("~") + 1)
            return Unary("~", operand, (token.span[0], operand.span[1]))
        if token.text == "(":
            inner = self.expression(0)
            return Paren(inner, (token.span[0], self.close(token)))
        if token.kind == "end":
            raise self.error("the formula ends where a term is expected", token.span)
        raise self.error(f"a term is expected before {token.text!r}", token.span)

    def call(self, function: str, span: Span) -> Node:
        opening = self.take()
        arguments: list[tuple[str | None, Node]] = []
        while self.peek.text != ")":
            name = None
            if self.peek.kind == "name" and self.tokens[self.next + 1].text == "=":
                name = self.take().text.strip("`")
                self.take()
            arguments.append((name, self.expression(0)))
            if self.peek.text != ",":
                break
            self.take()
        return Call(function, tuple(arguments), (span[0], self.close(opening)))

    def close(self, opening: _Token) -> int:
        token = self.take()
        if token.text == ")":
            return token.span[1]
        if token.kind == "end":
            raise self.error("this '(' is never closed", opening.span)
        raise self.error(f"an operator such as '+' is missing before {token.text!r}", token.span)


@lru_cache(maxsize=256)
def parse(text: str) -> Node:
    """Parse a formula, or one expression, with R's precedences; pure, so each text is parsed once.

    Parameters
    ----------
    text : str
        Such as ``"Reaction ~ Days + (Days | Subject)"`` or ``"Days > 1"``.

    Returns
    -------
    Node
        The root of the tree.

    Raises
    ------
    FormulaError
        With the spot underlined.

    Examples
    --------
    >>> parse("a + b").op
    '+'
    """
    try:
        return _Parser(text).parse()
    except RecursionError:
        raise FormulaError(NESTED) from None
