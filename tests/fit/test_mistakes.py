"""What people get wrong in tables and arguments: one sentence each, which names the place and the mend."""

import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import henderson as hd

N = 12
D = {
    "y": [1.2, 3.4, 2.2, 5.1, 4.3, 6.7, 2.9, 3.3, 5.8, 4.4, 1.9, 6.1],
    "x": [1.0, 2.0, 3.0] * 4,
    "z": [0.5, 1.5, -1.0, 2.0, 0.0, -2.0, 1.0, 0.3, -0.7, 0.9, -1.1, 0.2],
    "g": list("aaabbbcccddd"),
    "h": list("pq" * 6),
    "w": [1.0, 2.0] * 6,
}
FRAME = pd.DataFrame(D)
PLAIN = "y ~ x + (1 | g)"
DAYS = pd.date_range("2024-01-01", periods=N)


def refusal(formula=PLAIN, data=None, **arguments):
    """The sentence of the error: one, with no trace of what goes on inside."""
    with pytest.raises(hd.HendersonError) as caught:
        hd.lmer(formula, D if data is None else data, **arguments)
    sentence = str(caught.value)
    assert sentence.split("\n", maxsplit=1)[0].strip()
    return sentence


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ zz + (1 | g)", "no column 'zz'; did you mean 'z'?"),
        ("Y ~ x + (1 | g)", "no column 'Y'; did you mean 'y'?"),
        ("y ~ x + (X | g)", "no column 'X'; did you mean 'x'?"),
        ("y ~ x + (1 | G)", "no column 'G'; did you mean 'g'?"),
        ("y ~ x + (1 | g", "this '(' is never closed\n    y ~ x + (1 | g\n            ^"),
        ("y ~ x + 1 | g)", "this ')' closes nothing\n    y ~ x + 1 | g)\n                 ^"),
        ("y ~ x + 1 | g", "needs parentheses of its own: (1 | g)\n    y ~ x + 1 | g\n              ^"),
        ("y ~ x * 1 | g", "needs parentheses of its own: (1 | g)\n    y ~ x * 1 | g\n              ^"),
        ("g ~ x + (1 | h)", "the response g holds categories (a, b, c, d), and numbers are needed"),
    ],
)
def test_formulas(formula, words):
    assert words in refusal(formula)


@pytest.mark.parametrize("argument", ["weights", "offset", "subset"])
def test_unknown_columns_in_arguments(argument):
    assert "no column 'ww'; did you mean 'w'?" in refusal(**{argument: "ww"})


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (["1,2", "3,4", "2"] * 4, ("response y", "decimal commas", "decimal=','")),
        (["1.2", "3.4", "2"] * 4, ("response y", "numbers kept as text", "pandas.to_numeric")),
        (["-", *map(str, D["y"][1:])], ("all but '-' are numbers", "make them missing")),
        (["low", "high", "low"] * 4, ("response y holds categories (high, low), and numbers are needed",)),
        (pd.Categorical(["1", "2", "3"] * 4), ("response y", "numbers kept as text")),
        (
            [f"2024-01-{k:02}" for k in range(1, 13)],
            ("response y", "dates kept as text", "days since the first"),
        ),
        (DAYS, ("'y' holds dates or times", "(y - y.min()).dt.days", "or into strings")),
        (DAYS.tz_localize("UTC"), ("'y' holds datetime64", ".dt.days")),
        (DAYS - DAYS[0], ("'y' holds dates or times", ".dt.days")),
        (DAYS.to_period("D"), ("'y' holds period", ".dt.days")),
        ([datetime.date(2024, 1, 1 + k) for k in range(N)], ("'y' holds date values", ".dt.days")),
        (np.arange(N) * 1j, ("'y' holds complex128", "real part")),
        ([complex(k) for k in range(N)], ("'y' holds complex", "real part")),
        ([[k] * (k % 3) for k in range(N)], ("'y' holds lists of unequal lengths", "one value for each row")),
        (pd.Series([[k, k] for k in range(N)]), ("'y' holds list values", "one for each row")),
        (pd.Series([{"a": 1}] * N), ("'y' holds dict values", "one for each row")),
        (np.ones((N, 2)), ("response y has 2 columns",)),
        (np.ones((N, 2, 2)), ("'y' has 3 dimensions", "a column of each")),
        (np.full((N, 2), "a"), ("'y' has 2 dimensions", "a column of each")),
        (pd.Series([1, "a", 2.5] * 4), ("'y' mixes", "int and str", "all numbers or all strings")),
        (pd.Series([True, "a", 1] * 4), ("'y' mixes", "bool", "all numbers or all strings")),
        ([None] * N, ("12 of 12 rows dropped", "'y' is missing in all", "leave it out")),
        ([np.inf, *D["y"][1:]], ("'y' is infinite in row 0", "mend it or make it missing")),
        ([1e200, *D["y"][1:]], ("'y' is as large as 1e+200 in row 0", "rescale")),
        ([3.5] * N, ("is 3.5 in all 12 rows", "check the column 'y'")),
        ([0.0] * N, ("is 0 in all 12 rows",)),
        (3.0, ("unequal lengths: x 12, y 1", "one value for each row")),
        ("text", ("unequal lengths: x 12, y 1",)),
        ([1.0, 2.0], ("unequal lengths: x 12, y 2",)),
    ],
    ids=str,
)
def test_responses(column, words):
    sentence = refusal(data={**D, "y": column})
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (
            ["1,5", "2,5", "3"] * 4,
            "the weights column holds categories (1,5, 2,5, 3), and numbers are needed",
        ),
        (DAYS, "'w' holds dates or times"),
        (pd.Series([{"a": 1}] * N), "'w' holds dict values"),
    ],
    ids=["commas", "dates", "dicts"],
)
def test_the_same_columns_as_weights(column, words):
    assert words in refusal(data={**D, "w": column}, weights="w")


def test_a_response_computed_from_a_predictor():
    sentence = refusal(data={**D, "y": [2.0 * x + 1.0 for x in D["x"]]})
    assert "2 fixed effects alone fit the response 'y' exactly in all 12 rows" in sentence
    assert "leave out the predictor" in sentence


def test_numbers_of_other_kinds_are_numbers():
    plain = hd.lmer(PLAIN, D)
    for x in (
        [Decimal(v) for v in D["x"]],
        np.array(D["x"], dtype=np.int8),
        pd.Series(D["x"], dtype="Int64"),
    ):
        np.testing.assert_allclose(hd.lmer(PLAIN, {**D, "x": x}).fixef, plain.fixef, rtol=1e-10)


def test_a_boolean_response_is_0_and_1():
    yes = [True, False, False, True] * 3
    assert hd.lmer(PLAIN, {**D, "y": yes}).fixef["x"] == pytest.approx(
        hd.lmer(PLAIN, {**D, "y": np.array(yes, dtype=float)}).fixef["x"]
    )


def test_unused_levels_are_no_levels():
    spare = pd.Categorical(D["g"], categories=list("zyabcde"))
    fit = hd.lmer(PLAIN, {**D, "g": spare})
    assert fit.ngroups == {"g": 4}
    assert fit.notices == ()
    assert "more than one level" in refusal(data={**D, "g": pd.Categorical(["a"] * N, categories=["a", "b"])})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (FRAME[:0], "no rows are left to fit: the table has none"),
        ({name: [] for name in D}, "no rows are left to fit: the table has none"),
        (pd.DataFrame(), "no column 'y'; it has none"),
        ({}, "no column 'y'; it has none"),
        (pd.concat([FRAME, FRAME[["x"]]], axis=1), "several columns named 'x': rename all but one"),
        (pd.concat([FRAME, FRAME[["g"]]], axis=1), "several columns named 'g': rename all but one"),
        (FRAME.set_axis(pd.MultiIndex.from_product([["a"], FRAME.columns]), axis=1), "several levels"),
        (FRAME["y"], "data is a Series, not a pandas"),
        (FRAME.to_numpy(), "name its columns, pandas.DataFrame(data, columns=[...])"),
        (FRAME.to_dict("records"), "data is a list, ... make one of it with pandas.DataFrame"),
        ("table.csv", "there is no file or folder 'table.csv'"),
        (Path("table.csv"), "there is no file or folder 'table.csv'"),
        (Path(__file__), "test_mistakes.py cannot be read as Parquet ... pandas.read_csv"),
        (3, "data is an int, not a pandas"),
    ],
    ids=range(14),
)
def test_tables(data, words):
    assert all(word in refusal(data=data) for word in words.split(" ... "))


def test_a_doubled_column_that_no_formula_names_is_no_matter():
    assert hd.lmer(PLAIN, pd.concat([FRAME, FRAME[["z"]]], axis=1)).fixef.equals(hd.lmer(PLAIN, FRAME).fixef)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"weights": [-1.0] + [1.0] * 11}, ("row 0", "is -1", "not negative", "weight 0 is left out")),
        ({"weights": [np.inf] + [1.0] * 11}, ("row 0", "is inf", "finite")),
        ({"weights": [0.0] * N}, ("12 of 12 rows dropped for zero weight",)),
        ({"weights": ["a"] * N}, ("weights array", "numbers are needed")),
        ({"weights": np.ones((N, 2))}, ("weights array", "2 columns")),
        ({"weights": [1.0]}, ("weights array has 1 values", "12 rows", "before any subset")),
        ({"offset": "g"}, ("offset", "numbers are needed")),
        ({"offset": [np.inf] + [0.0] * 11}, ("offset is infinite in row 0",)),
        ({"subset": [1, 2, 3]}, ("subset", "True/False", "'Days > 1'")),
        ({"subset": [True]}, ("subset has 1 values", "12 rows")),
        ({"subset": "x > 5"}, ("the subset 'x > 5' holds for none of the 12 rows",)),
        ({"subset": [False] * N}, ("the subset given holds for none of the 12 rows",)),
        ({"subset": "g == 'a'"}, ("more than one level", "g")),
        ({"na_action": "na.omit"}, ("na_action", "'omit', 'exclude', 'fail'")),
        ({"contrasts": {"gg": "sum"}}, ("'gg'",)),
    ],
    ids=str,
)
def test_arguments(arguments, words):
    sentence = refusal("y ~ x + h + (1 | g)", **arguments)
    for word in words:
        assert word in sentence


def test_zero_weights_are_rows_left_out_and_told():
    fit = hd.lmer(PLAIN, D, weights=[1.0] * 10 + [0.0, 0.0])
    rest = hd.lmer(PLAIN, FRAME[:10])
    assert fit.notices == ("2 of 12 rows dropped for zero weight",)
    assert fit.criterion == pytest.approx(rest.criterion, abs=1e-9)


def test_as_many_levels_as_rows_and_fewer_rows_than_effects():
    assert "levels of each grouping factor" in refusal("y ~ x + (1 | z)")
    assert "12 complete rows for 12 fixed effects" in refusal("y ~ factor(z) + (1 | g)")
    assert "number of observations (=12) <= number of random effects (=16)" in refusal("y ~ (x + z + w | g)")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(4)
    rows = rng.permutation(1_000_000)
    return {"y": rng.normal(size=rows.size), "z": rows / 8.0, "half": rows // 2, "g": rows % 50}


def test_a_name_of_its_own_for_each_row_is_no_predictor():
    table = {"y": np.arange(2000.0) % 7, "who": [f"p{k}" for k in range(2000)], "g": np.arange(2000) % 9}
    sentence = refusal("y ~ who + (1 | g)", table)
    assert "'who' has 2000 levels in 2000 rows" in sentence
    assert sentence.endswith("leave it out")


class TestManyLevels:
    """A million distinct numbers as a factor: refused before 8 TB are asked for, and quick as a group."""

    def test_in_the_fixed_part(self, table):
        sentence = refusal("y ~ factor(z) + (1 | g)", table)
        assert "'factor(z)' has 1000000 levels in 1000000 rows" in sentence
        assert "8,000 GB" in sentence
        assert "use it as the number it is" in sentence

    def test_with_another_coding(self, table):
        assert "1000000 levels" in refusal("y ~ factor(z) + (1 | g)", table, contrasts={"factor(z)": "sum"})
        assert "1000000 levels" in refusal("y ~ ordered(z) + (1 | g)", table)

    def test_levels_that_repeat_may_be_a_group(self, table):
        sentence = refusal("y ~ g + factor(half) + (1 | g)", table)
        assert "'factor(half)' has 500000 levels" in sentence
        assert "make it a grouping factor, (1 | factor(half))" in sentence

    def test_within_an_interaction_and_a_random_term(self, table):
        assert "500000 levels" in refusal("y ~ g:factor(half) + (1 | g)", table)
        assert "in (factor(half) | g) each would be a column" in refusal("y ~ (factor(half) | g)", table)

    def test_as_a_group(self, table):
        assert "levels of each grouping factor" in refusal("y ~ 1 + (1 | z)", table)
        assert hd.lmer("y ~ 1 + (1 | half)", table).ngroups == {"half": 500_000}

    def test_as_a_number(self, table):
        assert hd.lmer("y ~ z + (1 | g)", table).nobs == 1_000_000
