"""Reading formulas: precedence, deparsing, bars, and errors that point at the spot."""

from __future__ import annotations

import pytest

from henderson import DataError, FormulaError
from henderson.formula import parse_formula
from henderson.formula.deparse import deparse
from henderson.formula.syntax import parse
from henderson.formula.terms import expand_terms, full_coding


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("poly(Days,2,raw=TRUE)", "poly(Days, 2, raw = TRUE)"),
        ("I(Days**2)", "I(Days^2)"),
        ("I(Days-xnoise)", "I(Days - xnoise)"),
        ("I(a/b*2.50)", "I(a/b * 2.5)"),
        ("I( (a+b)*c )", "I((a + b) * c)"),
        ("I(-x)", "I(-x)"),
        ("I(100000*x)", "I(1e+05 * x)"),
        ("I(x^-1)", "I(x^-1)"),
        ("I(2L*x)", "I(2L * x)"),
        ("x>=3&!b", "x >= 3 & !b"),
        ("f%in%c('a','b')", 'f %in% c("a", "b")'),
        ("I(x%%2)", "I(x%%2)"),
        ("`birth weight`", "`birth weight`"),
        ("log(my.col_1)", "log(my.col_1)"),
    ],
)
def test_deparse_prints_as_r(written, printed):
    assert deparse(parse(written)) == printed
    assert deparse(parse(printed)) == printed


@pytest.mark.parametrize(
    ("written", "labels", "intercept"),
    [
        ("a*b*c", ("a", "b", "c", "a:b", "a:c", "b:c", "a:b:c"), True),
        ("(a + b + c)^2", ("a", "b", "c", "a:b", "a:c", "b:c"), True),
        ("a/b", ("a", "a:b"), True),
        ("(a + b)/c", ("a", "b", "a:b:c"), True),
        ("age + Sex %in% age", ("age", "age:Sex"), True),
        ("a:b + b + a", ("b", "a", "a:b"), True),
        ("b:a + a", ("a", "b:a"), True),
        ("a*b - a", ("b", "a:b"), True),
        ("0 + a", ("a",), False),
        ("a - 1", ("a",), False),
        ("a + 0 + 1", ("a",), True),
        ("-1 + a + a", ("a",), False),
        ("log(x) + log( x )", ("log(x)",), True),
        ("offset(z) + x", ("x",), True),
        ("1", (), True),
    ],
)
def test_terms_expand_as_in_r(written, labels, intercept):
    terms = expand_terms(parse(written), written)
    assert terms.labels == labels
    assert terms.intercept == intercept


@pytest.mark.parametrize(
    ("written", "factors", "full"),
    [
        ("a + b", "ab", ((False,), (False,))),
        ("0 + a + b", "ab", ((True,), (False,))),
        ("a:b", "ab", ((True, True),)),
        ("a + a:b", "ab", ((False,), (True, False))),
        ("x + x:a", "a", ((False,), (False, False))),
        ("x:a", "a", ((False, True),)),
        # R's own oddity: without an intercept the first factor it meets is coded in full, redundant or not.
        ("0 + x + x:a", "a", ((False,), (False, True))),
    ],
)
def test_full_coding_is_rs_rule(written, factors, full):
    terms = expand_terms(parse(written), written)
    assert full_coding(terms, [name in factors for name in terms.names]) == full


@pytest.mark.parametrize(
    ("random", "expanded"),
    [
        ("(1|g)", ["(1 | g)"]),
        ("(x|g)", ["(x | g)"]),
        ("(0+x|g)", ["(0 + x | g)"]),
        ("(x||g)", ["(1 | g)", "(0 + x | g)"]),
        ("(0+x+z||g)", ["(0 + x | g)", "(0 + z | g)"]),
        ("(x*z||g)", ["(1 | g)", "(0 + x | g)", "(0 + z | g)", "(0 + x:z | g)"]),
        ("(1|a/b)", ["(1 | b:a)", "(1 | a)"]),
        ("(1|a/b/c)", ["(1 | c:(b:a))", "(1 | b:a)", "(1 | a)"]),
        ("(1|a:b)", ["(1 | a:b)"]),
        ("(1|a*b)", ["(1 | a)", "(1 | b)", "(1 | a:b)"]),
        ("(1|a+b)", ["(1 | a)", "(1 | b)"]),
        ("(x|a/b)", ["(x | b:a)", "(x | a)"]),
        ("(1|(a:b)/c)", ["(1 | c:(a:b))", "(1 | a:b)"]),
        ("(1|g) + x + (0+x|g)", ["(1 | g)", "(0 + x | g)"]),
        ("((1|a) + (1|b))", ["(1 | a)", "(1 | b)"]),
        ("(1|a/(b:c))", ["(1 | (b:c):a)", "(1 | a)"]),
        ("(1|a:(b:c))", ["(1 | a:(b:c))"]),
        ("(x||a/b)", ["(1 | b:a)", "(1 | a)", "(0 + x | b:a)", "(0 + x | a)"]),
    ],
)
def test_bars_expand_as_in_lme4(random, expanded):
    assert [bar.text for bar in parse_formula(f"y ~ {random}").bars] == expanded


def test_only_the_fixed_part_remains():
    parsed = parse_formula("log(y) ~ x + (1 | g) + offset(off) + z - 1 + I(a | b)")
    assert parsed.fixed.labels == ("x", "z", "I(a | b)")
    assert not parsed.fixed.intercept
    assert [deparse(node) for node in parsed.fixed.offsets] == ["off"]
    assert deparse(parsed.response) == "log(y)"


@pytest.mark.parametrize(
    ("formula", "message", "underlined"),
    [
        ("y ~ x + (1|g", "never closed", "("),
        ("y ~ x) + (1|g)", "closes nothing", ")"),
        ("y ~ x + 1|g", "parentheses of its own", "|"),
        ("y ~ x * (1|g)", "added with '+'", "1|g"),
        ("y ~ x - (1|g)", "added with '+'", "1|g"),
        ("y ~ (0|g)", "empty", "0|g"),
        ("y ~ x + (|g)", "a term is expected before '|'", "|"),
        ("y ~ x z + (1|g)", "missing before 'z'", "z"),
        ("y ~ x + ", "ends where a term", None),
        ("~ x + (1|g)", "response is missing", "~ x + (1|g)"),
        ("y + (1|g)", "a '~' is missing", "y + (1|g)"),
        ("y ~ x$a + (1|g)", "make a column of it", "$"),
        ("y ~ x ? z + (1|g)", "unexpected character '?'", "?"),
        ("y ~ 'x' + (1|g)", "quoted string", "'x'"),
        ("y ~ 'x + (1|g)", "never closed", "'"),
        ("y ~ 2*x + (1|g)", "no part of an interaction", "2"),
        ("y ~ x:1 + (1|g)", "no part of an interaction", "1"),
        ("y ~ x + 2 + (1|g)", "the number 2 is no term", "2"),
        ("y ~ x ~ z + (1|g)", "one '~'", "~"),
        ("y ~ x > 3 + (1|g)", "binds more loosely", ">"),
        ("y ~ (a+b)^z + (1|g)", "whole number", "z"),
        ("y ~ (1|3)", "not a number", "3"),
        ("y ~ (1|g-h)", "joined by", "g-h"),
        ("y ~ (1|g|h)", "one bar", "|"),
        ("(1|y) ~ x", "response side", "|"),
        ("y ~ x + y + (1|g)", "also stands on the right-hand side", "y"),
        ("log(y) ~ x * log(y) + (1|g)", "response log(y) also stands", "log(y)"),
        ("1 ~ x + (1|g)", "the response is a number, not a column", "1"),
        ("'y' ~ x + (1|g)", "the response is a quoted string", "'y'"),
        ("y ~ splines::ns(x) + (1|g)", "'::' is not understood", "::"),
        ("y ~ (x + offset(z)|g)", "outside the random terms", "x + offset(z)"),
    ],
)
def test_errors_underline_the_spot(formula, message, underlined):
    with pytest.raises(FormulaError) as caught:
        parse_formula(formula)
    sentence, shown, carets = str(caught.value).split("\n")
    assert message in sentence
    assert shown == "    " + formula
    if underlined is not None:
        start, end = carets.index("^"), len(carets)
        assert shown[start:end] == underlined
        assert set(carets[start:]) == {"^"}


def test_a_formula_without_random_term_is_refused():
    with pytest.raises(FormulaError, match=r"no random term in 'y ~ x'"):
        parse_formula("y ~ x")


@pytest.mark.parametrize("deep", ["(" * 2000 + "x" + ")" * 2000, f"I({'+'.join(['x'] * 3000)})"])
def test_a_formula_that_is_nested_too_deeply_is_refused(deep):
    with pytest.raises(FormulaError, match="nested too deeply"):
        parse_formula(f"y ~ {deep} + (1|g)")


def test_several_responses_are_refused():
    with pytest.raises(DataError, match=r"cbind\(y, z\) has several columns"):
        parse_formula("cbind(y,z) ~ x + (1|g)")
