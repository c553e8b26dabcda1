"""Contrasts: the same numbers in every way of writing them, R's numbers, and mistakes."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats

import henderson as hd
from henderson.errors import DataError
from henderson.inference.contrasts import contrast, describe, joint_test
from henderson.inference.denominator import denominator
from inference.test_denominator import SLOPES, sleep, unbalanced

#: `contest(m, L, joint = FALSE, confint = TRUE, level = 0.9, rhs = 8)` of lmerTest 3.1-3
ROWS = {"start": {"(Intercept)": 1, "Days": 3}, "slope": {"Days": 1, "Days:grpb": 0.5}}
SATTERTHWAITE = {
    "estimate": [301.0759112987709, 10.325889063899304],
    "std_error": [13.117803194164793, 2.0918828412964094],
    "df": [14.951648956429789, 15.976470852554849],
    "t": [22.341843901815832, 1.1118639237261838],
    "lower": [278.07485735940281, 6.6733750435475176],
    "upper": [324.076965238139, 13.97840308425109],
    "p_value": [6.7201073736127095e-13, 0.28264866044552495],
}
KENWARD_ROGER = {
    "estimate": [301.0759112987709, 10.325889063899304],
    "std_error": [13.206068928560141, 2.1122494040888422],
    "df": [15.325667910311077, 15.307430868834064],
    "t": [22.192517158906348, 1.1011431980508093],
    "lower": [277.95726955368519, 6.6278868629305725],
    "upper": [324.19455304385662, 14.023891264868034],
    "p_value": [4.5520483277040722e-13, 0.28784859224998349],
}


@pytest.fixture(scope="module")
def fit():
    return hd.lmer(SLOPES, unbalanced())


@pytest.mark.parametrize(
    ("ddf", "expected"), [("satterthwaite", SATTERTHWAITE), ("kenward-roger", KENWARD_ROGER)]
)
def test_numbers_of_r(fit, ddf, expected):
    table = contrast(fit, ROWS, rhs=8.0, ddf=ddf, level=0.9)
    assert list(table.index) == ["start", "slope"]
    for column, values in expected.items():
        np.testing.assert_allclose(table[column], values, rtol=1e-5, err_msg=column)
    np.testing.assert_allclose(table["neg_log_10_p_value"], -np.log10(expected["p_value"]), rtol=1e-5)


def test_every_way_of_writing_it(fit):
    L = np.array([[1.0, 3, 0, 0, 0, 0], [0, 1, 0, 0, 0.5, 0]])
    table = contrast(fit, ROWS)
    frame = pd.DataFrame([[1, 3, 0], [0, 1, 0.5]], list(ROWS), ["(Intercept)", "Days", "Days:grpb"])
    pd.testing.assert_frame_equal(contrast(fit, frame), table)
    array = contrast(fit, L)
    assert list(array.index) == ["(Intercept) + 3 Days", "Days + 0.5 Days:grpb"]
    np.testing.assert_array_equal(array, table)
    for single in (L[0], L[0].tolist(), ROWS["start"], pd.Series(ROWS["start"])):
        pd.testing.assert_frame_equal(contrast(fit, single), array.iloc[:1])


def test_columns_of_any_table_are_matched_by_name(fit):
    names = list(reversed(fit.fixef.index))
    L = np.array([[0.0, 1, 0, 0, 2, 0], [1, 0, 0, 0, 0, 3]])
    columns = {name: L[:, k] for name, k in zip(names, reversed(range(6)), strict=True)}
    expected = contrast(fit, L)
    for table in (pl.DataFrame(columns), pa.table(columns)):
        pd.testing.assert_frame_equal(contrast(fit, table), expected)
    pd.testing.assert_frame_equal(contrast(fit, pl.Series(L[0])), expected.iloc[:1])


def test_rows_of_one_name_are_all_there(fit):
    found = contrast(fit, pd.DataFrame({"Days": [1.0, 2.0]}, index=["a", "a"]))
    assert found.index.tolist() == ["a", "a"]
    np.testing.assert_allclose(found["estimate"], fit.fixef["Days"] * np.array([1.0, 2.0]))


def test_asymptotic_is_normal(fit):
    table = contrast(fit, ROWS, rhs=[300.0, 0.0], ddf="asymptotic")
    z = (table["estimate"] - [300.0, 0.0]) / table["std_error"]
    assert (table["df"] == np.inf).all()
    np.testing.assert_allclose(table["p_value"], 2 * stats.norm.sf(np.abs(z)), rtol=1e-10)
    np.testing.assert_allclose(table["upper"] - table["estimate"], 1.959963984540054 * table["std_error"])


def test_p_values_that_underflow():
    data = sleep()
    fit = hd.lmer(
        "Reaction ~ Days + (1 | Subject)", data.assign(Reaction=1e6 * data["Days"] + data["Reaction"])
    )
    row = contrast(fit, {"Days": 1}, ddf="asymptotic").iloc[0]
    assert row["p_value"] == 0.0
    assert row["neg_log_10_p_value"] == pytest.approx(row["t"] ** 2 / (2 * np.log(10)), rel=1e-6)


def test_joint_test(fit):
    L, rhs = np.eye(6)[2:4], [10.0, -5.0]
    for ddf in ("satterthwaite", "kenward-roger", "asymptotic"):
        row = joint_test(fit, L, rhs=rhs, ddf=ddf).iloc[0]
        test = denominator(fit, ddf).f_test(L, L @ fit.estimates.beta - rhs)
        assert list(row) == [2, test.ddf, test.statistic, test.p_value, test.neg_log_10_p_value]
        tail = (
            stats.chi2.sf(2 * test.statistic, 2)
            if ddf == "asymptotic"
            else stats.f.sf(test.statistic, 2, test.ddf)
        )
        assert row["p_value"] == pytest.approx(tail, rel=1e-10)


def test_descriptions():
    names = ["(Intercept)", "a", "b"]
    rows = [[1, 0, 0], [-1, 2, 0], [0, 0.5, -0.5], [0, -1 / 3, 0], [0, 0, 0]]
    found = [describe(np.array(row, float), names) for row in rows]
    assert found == ["(Intercept)", "-(Intercept) + 2 a", "0.5 a - 0.5 b", "-0.333333 a", "0"]


@pytest.mark.parametrize(
    ("L", "options", "message"),
    [
        (
            [1, 0],
            {},
            r"shape \(2,\), and the model has 6 fixed effects \('\(Intercept\)', 'Days', .*one weight",
        ),
        (np.zeros((0, 6)), {}, "give one weight for each"),
        (np.zeros((1, 1, 6)), {}, "give one weight for each"),
        ({"days": 1}, {}, "'days' is no fixed effect of this model; there are .*'Days'"),
        ({"a": {"Days": 1, "grpz": 1}}, {}, "'grpz' is no fixed effect"),
        ({"a": {"Days": 1}, "Days": 2}, {}, "some rows .* are mappings and some are numbers"),
        ({}, {}, "no weights"),
        ({"Days": np.nan}, {}, "weight of 'Days' in the contrast is missing or infinite"),
        ([0, 1, np.inf, 0, 0, 0], {}, "weight of 'grpb'"),
        ({"Days": "one"}, {}, "must be numbers"),
        (np.zeros(6), {}, "'0' are all zero"),
        ({"nothing": {"Days": 0}}, {}, "contrast 'nothing' are all zero"),
        ({"Days": "1"}, {}, "must be numbers"),
        (np.eye(6) * 1j, {}, "must be numbers"),
        ({"Days": [1, 2]}, {}, r"weight of 'Days' in the contrast is \[1, 2\]: give one number"),
        (pd.DataFrame([[1.0, 2.0]], columns=["Days", "Days"]), {}, "weighs 'Days' more than once"),
        (pd.Series([1.0, 2.0], ["Days", "Days"]), {}, "weighs 'Days' more than once"),
        (pd.DataFrame({"Days": []}), {}, "no weights"),
        (pd.DataFrame({"Days": [1.0, None]}), {}, "weight of 'Days' in the contrast is missing"),
        ({"Days": 1}, {"level": 95}, "level .* it is 95"),
        ({"Days": 1}, {"rhs": "five"}, "rhs must be a number"),
        ({"Days": 1}, {"rhs": {"Days": 5}}, "rhs must be a number"),
        ({"Days": 1}, {"rhs": [1, 2]}, r"rhs has shape \(2,\) and the contrast 1 row:"),
        ({"Days": 1}, {"rhs": np.nan}, "rhs must be finite"),
        ({"Days": 1}, {"ddf": "kr"}, "ddf='kr' is no way"),
    ],
)
def test_mistakes(fit, L, options, message):
    with pytest.raises(DataError, match=message):
        contrast(fit, L, **options)


def test_joint_tests_of_nothing(fit):
    with pytest.raises(DataError, match="all zero"):
        joint_test(fit, np.zeros((2, 6)))


def test_a_model_without_fixed_effects():
    with pytest.raises(DataError, match="'Days' is no fixed effect of this model; there are none"):
        contrast(hd.lmer("Reaction ~ 0 + (1 | Subject)", sleep()), {"Days": 1})


def test_a_coefficient_that_was_dropped():
    fit = hd.lmer("Reaction ~ Days + twice + (1 | Subject)", sleep(twice=2.0 * np.tile(np.arange(10.0), 18)))
    with pytest.raises(DataError, match="'twice' was not estimated"):
        contrast(fit, {"twice": 1})
    assert contrast(fit, [0, 1]).index[0] == "Days"


def test_coefficients_by_name():
    """A list of names is each of them alone; backticks of a formula may be left out."""
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(8), 6)
    data = {
        "y": rng.normal(size=48) + rng.normal(size=8)[g],
        "1:5:A:G": rng.normal(size=48),
        "x": g % 3,
        "g": g,
    }
    fit = hd.lmer("y ~ `1:5:A:G` + x + (1 | g)", data)
    named = fit.joint_test(["1:5:A:G", "x"])
    weighed = fit.joint_test([[0, 1, 0], [0, 0, 1]])
    assert named.equals(weighed)
    assert fit.contrast(["x"])["estimate"].tolist() == [fit.fixef["x"]]
    with pytest.raises(hd.DataError, match="'z' is no fixed effect"):
        fit.joint_test(["x", "z"])
