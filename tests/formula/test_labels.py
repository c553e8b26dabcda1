"""Grouping factors and effects of odd formulas, named and ordered as lme4 1.1-31 does."""

from __future__ import annotations

from itertools import product

import pandas as pd
import pytest

from henderson.formula import build_design


def crossed() -> pd.DataFrame:
    """Every combination of six factors once, with a few numbers beside them."""
    rows = product("uvwz", "pq", ["lo", "mid", "hi"], [1, 2, 3], "AB", [9, 10, 11])
    data = pd.DataFrame(rows, columns=list("fhoabc"))
    number = pd.Series(range(len(data)), dtype=float)
    o = pd.Categorical(data["o"], categories=["lo", "mid", "hi"], ordered=True)
    made = {"y": number % 7, "x": number % 11 - 4, "odd name": number % 13, "g": 1 + number % 5}
    return data.assign(o=o, **made, **{"g one": 1 + number % 8})


ONE = ("(Intercept)",)
F, FX = ("fu", "fv", "fw", "fz"), ("fu:x", "fv:x", "fw:x", "fz:x")


@pytest.mark.parametrize(
    ("random", "terms"),
    [
        ("(1|a/b/c)", [("c:(b:a)", ONE), ("b:a", ONE), ("a", ONE)]),
        ("(x|a:b)", [("a:b", ("(Intercept)", "x"))]),
        ("(1|a/(b:c))", [("(b:c):a", ONE), ("a", ONE)]),
        ("(1|a:(b:c))", [("a:(b:c)", ONE)]),
        ("(x||a/b)", [("b:a", ("x",)), ("b:a", ONE), ("a", ("x",)), ("a", ONE)]),
        ("(1|b)+(1|a:b)+(1|a)", [("a:b", ONE), ("a", ONE), ("b", ONE)]),
        ("(1|`g one`)", [("g one", ONE)]),
        ("(1|`g one`/a)", [("a:`g one`", ONE), ("g one", ONE)]),
        ("(`odd name`|g)", [("g", ("(Intercept)", "`odd name`"))]),
        ("(0+f:x|g)", [("g", FX)]),
        ("(1|a)+(0+x|a)", [("a", ONE), ("a", ("x",))]),
        ("(f||g)", [("g", ONE), ("g", F)]),
        ("(f*x||g)", [("g", ONE), ("g", F), ("g", ("x",)), ("g", FX)]),
        ("(1+x+x:f|g)", [("g", ("(Intercept)", "x", "x:fv", "x:fw", "x:fz"))]),
        ("(x-1|g)", [("g", ("x",))]),
        ("(poly(x,2)|g)", [("g", ("(Intercept)", "poly(x, 2)1", "poly(x, 2)2"))]),
        ("(I(x>0)|g)", [("g", ("(Intercept)", "I(x > 0)TRUE"))]),
        ("(scale(x)||g)", [("g", ONE), ("g", ("scale(x)",))]),
        ("(log(x+10)|g)+(1|a)", [("g", ("(Intercept)", "log(x + 10)")), ("a", ONE)]),
        ("(C(f,sum)|g)", [("g", ("(Intercept)", "C(f, sum)1", "C(f, sum)2", "C(f, sum)3"))]),
        ("(o|g)", [("g", ("(Intercept)", "o.L", "o.Q"))]),
        (
            "(f:h|g)",
            [("g", ("(Intercept)", *(f"{f}:h{h}" for h in "pq" for f in F)))],
        ),
    ],
)
def test_names(random, terms):
    design = build_design(f"y ~ 1 + {random}", crossed())
    assert [(term.group, term.names) for term in design.random] == terms


@pytest.mark.parametrize(
    ("group", "n_levels", "first"),
    [
        ("a/b/c", 18, ("9:A:1", "9:A:2", "9:A:3", "9:B:1")),
        ("a/(b:c)", 18, ("A:9:1", "A:9:2", "A:9:3", "A:10:1")),
        ("o:h", 6, ("lo:p", "lo:q", "mid:p", "mid:q")),
    ],
)
def test_levels_vary_slowest_in_the_first_factor(group, n_levels, first):
    levels = build_design(f"y ~ 1 + (1|{group})", crossed()).random[0].levels
    assert len(levels) == n_levels
    assert tuple(levels[:4]) == first
