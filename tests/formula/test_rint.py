"""rint() in a formula: it ranks the rows that a model uses."""

import numpy as np
import pytest

import henderson as hd
from henderson.formula import build_design
from henderson.io.trait_coding import rint


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    y, x = np.round(rng.gamma(2, size=60), 1), rng.normal(size=60)
    y[3], x[5:9] = np.nan, np.nan
    return {"y": y, "x": x, "g": np.repeat(list("abcdef"), 10)}


def used(data):
    return ~np.isnan(data["x"]) & ~np.isnan(data["y"])


def test_the_response_is_ranked_among_the_rows_used(data):
    design = build_design("rint(y) ~ x + (1 | g)", data)
    rows = used(data)
    np.testing.assert_array_equal(design.y, rint(data["y"][rows]))
    assert np.abs(design.y - rint(data["y"])[rows]).max() > 1e-3
    assert design.spec.response == "rint(y)"


def test_a_subset_is_ranked_among_itself(data):
    design = build_design("rint(y) ~ x + (1 | g)", data, subset="x > 0")
    np.testing.assert_array_equal(design.y, rint(data["y"][used(data) & (data["x"] > 0)]))


def test_without_missing_values_all_rows_are_ranked(data):
    data = {**data, "y": np.arange(60.0)}
    np.testing.assert_array_equal(build_design("rint(y) ~ 1 + (1 | g)", data).y, rint(np.arange(60.0)))


def test_within_an_expression(data):
    design = build_design("I(2 * rint(y) + x) ~ rint(x):y + (1 | g)", data)
    rows = used(data)
    y, x = data["y"][rows], data["x"][rows]
    np.testing.assert_allclose(design.y, 2 * rint(y) + x, rtol=1e-12)
    np.testing.assert_allclose(design.X[:, 1], rint(x) * y, rtol=1e-12)


def test_new_data_lie_between_the_old(data):
    fit = hd.lmer("y ~ rint(x) + (1 | g)", data)
    x = np.sort(data["x"][used(data)])
    new = np.array([x[0] - 9, x[7], (x[7] + x[8]) / 2, x[-1] + 9])
    scores = rint(x)
    expected = np.array([scores[0], scores[7], (scores[7] + scores[8]) / 2, scores[-1]])
    found = fit.predict({"x": new, "g": ["a"] * 4}, random="none")
    np.testing.assert_allclose(found, fit.fixef.iloc[0] + fit.fixef.iloc[1] * expected, rtol=1e-10)


def test_a_saved_fit_finds_its_rows_again(data, tmp_path):
    fit = hd.lmer("rint(y) ~ x + (1 | g)", data)
    fit.save(tmp_path / "fit.henderson")
    again = hd.load(tmp_path / "fit.henderson", data=data)
    smaller = again.update(". ~ . - x")
    np.testing.assert_allclose(
        smaller.fixef, hd.lmer("rint(y) ~ 1 + (1 | g)", data).fixef, rtol=1e-8
    )  # without x more rows are used, and ranked


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ("rint(g)", "a column of numbers is needed"),
        ("rint()", "a column of numbers is needed"),
        ("rint(poly(x, 2))", "one column of numbers is needed"),
        ("rint(log(y - y))", "infinite"),
    ],
)
def test_what_cannot_be_ranked(data, response, said):
    with pytest.raises(hd.DataError, match=said):
        build_design(f"{response} ~ 1 + (1 | g)", data)
