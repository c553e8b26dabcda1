"""`(1 | animal & dam)`: effects of one row that point to different levels of one factor."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import henderson as hd
from henderson import DataError, FormulaError
from henderson.formula import Structure, build_design, parse_formula
from henderson.formula.deparse import deparse
from henderson.formula.syntax import parse

DATA = {
    "y": [1.0, 2.5, 3.0, 1.5, 4.0, 2.0],
    "x": [0.5, 1.0, 2.0, 1.5, 0.0, 3.0],
    "animal": list("cdefcd"),
    "dam": list("abcaab"),
    "nurse": list("bbadca"),
}


def design(random, data=None, *, related=("animal & dam",), **arguments):
    return build_design(f"y ~ x + {random}", DATA if data is None else data, related=related, **arguments)


@pytest.mark.parametrize(
    ("written", "printed", "structure"),
    [
        ("(1|animal&dam)", "(1 | animal & dam)", Structure()),
        ("(1 | (animal & dam))", "(1 | (animal & dam))", Structure()),
        ("diag(1 | animal & dam)", "diag(1 | animal & dam)", Structure("diag")),
        ("cs(1 | animal & dam, hom = TRUE)", "cs(1 | animal & dam, hom = TRUE)", Structure("cs", True)),
        ("(1 | animal & dam & nurse)", "(1 | animal & dam & nurse)", Structure()),
    ],
)
def test_it_is_parsed_and_printed(written, printed, structure):
    (bar,) = parse_formula(f"y ~ x + {written}").bars
    assert bar.text == printed.replace("(animal & dam)", "animal & dam")
    assert bar.structure == structure
    assert bar.group.pooled
    assert parse_formula(f"y ~ x + {bar.text}").bars == (bar,)
    assert deparse(parse(written)).replace(" ", "") == written.replace(" ", "")


def test_levels_are_matched_by_their_labels():
    (term,) = design("(1 | animal & dam)").random
    assert term.group == "animal & dam"
    assert term.names == ("animal", "dam")
    assert set(term.levels) == set("abcdef")
    labels = np.array(term.levels)[term.codes]
    np.testing.assert_array_equal(labels, np.column_stack([DATA["animal"], DATA["dam"]]))
    np.testing.assert_array_equal(term.z, np.ones((6, 2)))


def test_numbers_and_strings_are_the_same_labels():
    data = {**DATA, "animal": [3, 4, 5, 6, 3, 4], "dam": ["1", "2", "3", "1", "1", "2"]}
    (term,) = design("(1 | animal & dam)", data).random
    assert sorted(term.levels) == list("123456")
    assert np.array(term.levels)[term.codes][0].tolist() == ["3", "1"]


@given(st.permutations(range(6)))
def test_the_order_of_rows_changes_nothing(order):
    shuffled = {name: [values[i] for i in order] for name, values in DATA.items()}
    (one,), (other,) = design("(1 | animal & dam)").random, design("(1 | animal & dam)", shuffled).random
    assert list(one.levels) == list(other.levels)
    np.testing.assert_array_equal(one.codes[list(order)], other.codes)


def test_rows_that_miss_one_of_the_columns_are_dropped_and_counted():
    found = design("(1 | animal & dam)", {**DATA, "dam": ["a", None, "c", "a", "a", "b"]})
    assert found.rows.tolist() == [0, 2, 3, 4, 5]
    assert "dam 1" in found.notices[0]


def test_new_rows_are_coded_column_by_column():
    spec = design("(1 | animal & dam)").spec
    levels = list(spec.random[0].grouping.levels)
    codes = spec.group_codes({"animal": ["a", "new", None], "dam": ["f", "a", "b"]}, 0)
    expected = [[levels.index("a"), levels.index("f")], [-1, levels.index("a")], [-1, levels.index("b")]]
    assert codes.tolist() == expected
    z = spec.random_matrix({"animal": ["a", "b"], "dam": ["f", "a"]}, 0)
    np.testing.assert_array_equal(z, np.ones((2, 2)))


def test_a_dot_leaves_the_columns_out():
    parsed = parse_formula("y ~ . + (1 | animal & dam)", tuple(DATA))
    assert parsed.fixed.labels == ("x", "nurse")


def test_it_stands_beside_other_terms():
    found = design("(1 | animal & dam) + (x | nurse)", related=("animal & dam", "nurse"))
    assert {term.group for term in found.random} == {"animal & dam", "nurse"}


@pytest.mark.parametrize(
    ("random", "told"),
    [
        ("(x | animal & dam)", "are intercepts"),
        ("(0 + x | animal & dam)", "are intercepts"),
        ("(1 || animal & dam)", r"diag\(1 \| animal & dam\)"),
        ("(1 | animal & dam:nurse)", "joins columns"),
        ("(1 | animal & dam + nurse)", "joins columns"),
        ("(1 | animal & 3)", "joins columns"),
        ("(1 | animal & animal)", "animal stands twice"),
        ("(1 | x / (animal & dam))", "a grouping factor is a column"),
    ],
)
def test_what_has_no_meaning_is_refused(random, told):
    with pytest.raises(FormulaError, match=told):
        design(random)


def test_other_mistakes_are_told():
    with pytest.raises(DataError, match="are columns"):
        design("ar1(1 | animal & dam)")
    with pytest.raises(FormulaError, match="one unit each"):
        design("(1 | dam)", residual="us(nurse | animal & dam)")
    with pytest.raises(DataError, match="number of levels"):
        design("(1 | animal & dam)", related=())


def test_streamed_data_are_refused(tmp_path):
    pd.DataFrame(DATA).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="fits in memory"):
        hd.lmer("y ~ x + (1 | animal & dam)", tmp_path / "rows.parquet")
