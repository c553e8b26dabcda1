"""Covariance tags: `us()`, `diag()`, `cs()`, `ar1()` and `fa()` around a random term, or for residuals."""

from __future__ import annotations

from typing import cast, get_args

from henderson.formula.design import UNSTRUCTURED, Kind, Structure
from henderson.formula.syntax import Binary, Call, Name, Node, Number, Paren, Unary, formula_error

KINDS: tuple[Kind, ...] = get_args(Kind)

_TRUTH = {"TRUE": True, "True": True, "T": True, "FALSE": False, "False": False, "F": False}


def random_term_in(node: Node) -> Binary | Call | None:
    """The first random term of a tree: a bar, or a tag with a bar inside.

    In other function calls `|` means "or".

    >>> from henderson.formula.syntax import parse
    >>> random_term_in(parse("I(a | b) + diag(x | g)")).function
    'diag'
    """
    waiting = [node]
    while waiting:
        match waiting.pop():
            case Binary("|" | "||") as bar:
                return bar
            case Binary(_, left, right):
                waiting += [right, left]
            case Unary(_, inner) | Paren(inner):
                waiting.append(inner)
            case Call() as call if is_tagged(call):
                return call
            case _:
                pass
    return None


def is_tagged(node: Node) -> bool:
    """Whether a node is a tag around a random term; ``diag(x)`` is a function like any other."""
    return (
        isinstance(node, Call)
        and node.function in KINDS
        and any(random_term_in(argument) is not None for _, argument in node.arguments)
    )


def read_tag(call: Call, text: str) -> tuple[Structure, Node]:
    """The structure that a tag asks for, and what it is put around.

    Parameters
    ----------
    call : Call
        Of one of `KINDS`.
    text : str
        The whole formula, for messages.

    Returns
    -------
    Structure
    Node
        The tag's first argument.

    Raises
    ------
    FormulaError
        For arguments that the tag does not take.

    Examples
    --------
    >>> from henderson.formula.syntax import parse
    >>> read_tag(parse("ar1(0 + time | g)"), "")[0]
    Structure(kind='ar1', homogeneous=True, k=0)
    """
    kind = cast(Kind, call.function)
    if not call.arguments or call.arguments[0][0] is not None:
        raise formula_error(f"{kind}() starts with what it is put around: {kind}(x | g)", text, call.span)
    (_, inner), *options = call.arguments
    if isinstance(inner, Binary) and inner.op == "||":
        message = f"{kind}() says how effects vary together, so that '||' has no place in it: write '|'"
        raise formula_error(message, text, inner.at)
    if kind == "fa":
        return Structure(kind, k=_number_of_factors(options, text)), inner
    homogeneous = kind == "ar1"
    for name, value in options:
        if name != "hom" or len(options) > 1:
            raise formula_error(f"{kind}() takes hom = TRUE or FALSE and nothing else", text, value.span)
        if kind == "us":
            raise formula_error(
                "us() leaves every variance and correlation free, so that it takes no hom", text, value.span
            )
        if not (isinstance(value, Name) and value.name in _TRUTH):
            raise formula_error("hom is TRUE or FALSE", text, value.span)
        homogeneous = _TRUTH[value.name]
    return Structure(kind, homogeneous), inner


def _number_of_factors(options: list[tuple[str | None, Node]], text: str) -> int:
    """The k of ``fa(0 + env | g, k = 2)``; 1 where it is left out."""
    k = 1
    for name, value in options:
        if name != "k" or len(options) > 1:
            raise formula_error(
                "fa() takes k, the number of common factors, and nothing else", text, value.span
            )
        if not (isinstance(value, Number) and value.value.is_integer() and value.value >= 1.0):
            raise formula_error("k is the number of common factors: 1, 2, ...", text, value.span)
        k = int(value.value)
    return k


def read_random_term(term: Binary | Call, text: str) -> tuple[Structure, Binary]:
    """The structure and the bar of a random term, tagged or not."""
    if isinstance(term, Binary):
        return UNSTRUCTURED, term
    structure, bar = read_tag(term, text)
    if not (isinstance(bar, Binary) and bar.op == "|"):
        raise formula_error(
            f"{structure.kind}() takes one random term: {structure.kind}(x | g)", text, bar.span
        )
    return structure, bar
