"""The dot: all columns that have no other part in the formula."""

from __future__ import annotations

import pickle

import pandas as pd
import pytest

from henderson import DataError, FormulaError
from henderson.formula import build_design, parse_formula

COLUMNS = ("y", "x", "z", "f", "g")

DATA = pd.DataFrame(
    {
        "y": [1.2, 3.4, 2.2, 5.1, 4.3, 6.7, 2.9, 3.3, 5.8, 4.4, 1.9, 6.1],
        "x": [1.0, 2, 3, 5] * 3,
        "z": [0.5, 1.5, -1, 2, 0, -2, 1, 0.3, -0.7, 0.9, -1.1, 0.2],
        "f": list("uvw") * 4,
        "g": list("aaabbbcccddd"),
    }
)


@pytest.mark.parametrize(
    ("formula", "labels"),
    [
        # As R, but for the grouping factor, which R would make a fixed effect as well.
        ("y ~ . + (1|g)", ("x", "z", "f")),
        ("y ~ . - x + (1|g)", ("z", "f")),
        ("y ~ . - g + (1|g)", ("x", "z", "f")),
        ("y ~ . - 1 + (1|g)", ("x", "z", "f")),
        ("y ~ .^2 - x:z + (1|g)", ("x", "z", "f", "x:f", "z:f")),
        ("y ~ z * . + (1|g)", ("z", "x", "f", "z:x", "z:f")),
        ("y ~ . + log(x) + (1|g)", ("x", "z", "f", "log(x)")),
        ("log(y + z) ~ . + (1|g)", ("x", "f")),
        ("y ~ . + (1|g:f)", ("x", "z")),
        ("y ~ . + (1|g/f)", ("x", "z")),
        ("y ~ . + diag(x|g) + (1|factor(f))", ("x", "z")),
        ("y ~ . + offset(z) + (1|g)", ("x", "z", "f")),
    ],
)
def test_fixed_terms(formula, labels):
    assert parse_formula(formula, COLUMNS).fixed.labels == labels


def test_random_effects():
    bars = parse_formula("y ~ x + cs(0 + .|g) + (.|f)", COLUMNS).bars
    assert [bar.text for bar in bars] == ["cs(0 + (x + z) | g)", "(x + z | f)"]
    assert bars[0].effects.labels == ("x", "z")


def test_the_design_is_that_of_the_columns_written_out():
    dotted = build_design("y ~ . + (1|g)", DATA)
    written = build_design("y ~ x + z + f + (1|g)", DATA)
    assert dotted.x_names == written.x_names
    assert (dotted.X == written.X).all()
    assert dotted.spec.formula == "y ~ . + (1|g)"
    spec = pickle.loads(pickle.dumps(dotted.spec))
    new = DATA.drop(columns=["y", "g"]).assign(more=1.0)
    assert (spec.fixed_matrix(new)[0] == dotted.X).all()


def test_another_table_has_other_columns():
    assert build_design("y ~ . + (1|g)", DATA[["y", "g", "z"]]).spec.term_labels == ("z",)
    assert build_design("y ~ . + (1|g)", DATA[["y", "g", "x"]]).spec.term_labels == ("x",)


def test_odd_names_are_columns_too():
    data = DATA.rename(columns={"x": "body mass"})
    assert build_design("y ~ . + (1|g)", data).x_names[1] == "`body mass`"


def test_hundreds_of_columns():
    columns = [f"x{k}" for k in range(1500)]
    assert parse_formula("y ~ . + (1|g)", ["y", "g", *columns]).fixed.labels == tuple(columns)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ log(.) + (1|g)", "a function takes single columns"),
        ("y ~ poly(x + ., 2) + (1|g)", "a function takes single columns"),
        ("y ~ x + (1|.)", "a grouping factor is named"),
        ("y ~ x + diag(x|g:.)", "a grouping factor is named"),
    ],
)
def test_misplaced_dots_are_underlined(formula, message):
    with pytest.raises(FormulaError, match=message) as caught:
        build_design(formula, DATA)
    _, shown, carets = str(caught.value).split("\n")
    assert shown[carets.index("^") : len(carets)] == "."


def test_a_dot_that_stands_for_nothing_is_refused():
    with pytest.raises(DataError, match="none besides g, y: write 1"):
        build_design("y ~ . + (1|g)", DATA[["y", "g"]])
    with pytest.raises(DataError, match="stands for column 3 too, whose name is no string"):
        build_design("y ~ . + (1|g)", DATA.rename(columns={"x": 3}))
