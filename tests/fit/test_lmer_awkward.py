"""Fits that go wrong, or look as if they did: one helpful sentence each, and nothing silent."""

import pickle

import numpy as np
import pandas as pd
import pytest

import henderson as hd


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    n = 240
    g, h = rng.integers(0, 20, n), rng.integers(0, 6, n)
    x = rng.normal(size=n)
    effects = rng.normal(size=(20, 2)) @ np.array([[1.0, 0.2], [0.0, 0.7]])
    y = 10 + 2 * x + effects[g, 0] + effects[g, 1] * x + 0.5 * rng.normal(size=6)[h] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "f": np.array(list("abc"))[rng.integers(0, 3, n)]})


def test_no_fixed_effects(data):
    fit = hd.lmer("y ~ 0 + (1 | g)", data)
    assert fit.fixef.size == 0
    assert fit.vcov.shape == (0, 0)
    assert fit.reml_criterion == pytest.approx(fit.deviance)
    assert "Random effects" in str(fit)
    assert (fit.tidy()["effect"] == "ran_pars").all()
    assert list(fit.coef()["g"].columns) == ["(Intercept)"]


@pytest.mark.parametrize("noise", [0.0, 1e-8, 1e-12])
@pytest.mark.parametrize("formula", ["y ~ 1 + (1 | g)", "y ~ x + (1 | g)", "y ~ x + (x | g)"])
def test_response_that_is_a_property_of_the_level(data, formula, noise):
    rng = np.random.default_rng(1)
    response = data["g"] + noise * rng.normal(size=len(data))
    with pytest.raises(hd.DataError, match="hardly varies within the levels of 'g'"):
        hd.lmer(formula, data.assign(y=response))


@pytest.mark.parametrize(
    "formula",
    ["y ~ factor(g) + (1 | g)", "y ~ x + (1 | g) + (1 | g)", "y ~ x + (1 | g) + (1 | again)"],
)
def test_unidentified_variances_are_not_sold_as_estimates(data, formula):
    fit = hd.lmer(formula, data.assign(again=19 - data["g"]))
    assert any("equally good answers" in notice for notice in fit.notices)


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (x | g) + (1 | h)", "y ~ f + (1 | g)"])
def test_identified_variances_bring_no_notice(data, formula):
    assert hd.lmer(formula, data).notices == ()


def test_units_and_origins_are_not_called_singular(data):
    plain = hd.lmer("y ~ x + (x | g)", data)
    large = hd.lmer("y ~ x + (x | g)", data.assign(x=1e6 * data["x"]))
    far = hd.lmer("y ~ x + (x | g)", data.assign(x=data["x"] + 1e6))
    # log|X'V^-1 X| sees the unit of x: twice log(1e6)
    assert large.criterion == pytest.approx(plain.criterion + 2 * np.log(1e6), abs=1e-5)
    assert far.criterion == pytest.approx(plain.criterion, abs=1e-5)
    for fit in (large, far):
        assert fit.notices == ()


def test_singular_fit_says_which_term_and_what_it_means(data):
    rng = np.random.default_rng(0)
    fit = hd.lmer("y ~ x + (1 | g)", data.assign(y=rng.normal(size=len(data)), g=np.arange(240) % 20))
    if not fit.is_singular():
        pytest.fail("the simulation was meant to be singular")
    assert any("(Intercept) by 'g'" in notice for notice in fit.notices)
    assert fit.theta.tolist() == [0.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": "a"}, "start must be numbers"),
        ({"start": [np.nan]}, "finite numbers"),
        ({"start": [1e300]}, "usable size"),
        ({"start": [1.0, 2.0]}, "1 number,"),
        ({"start": {"fixef": [1.0]}}, "start has 'fixef', and 'theta'"),
        ({"start": {}}, "start has nothing, and 'theta'"),
        ({"control": {"tolerance": 1e-3}}, "hd.Control"),
        ({"REML": "ML"}, "True .REML. or False"),
    ],
)
def test_arguments(data, arguments, message):
    with pytest.raises(hd.DataError, match=message):
        hd.lmer("y ~ x + (1 | g)", data, **arguments)


def test_control_is_checked():
    with pytest.raises(hd.DataError, match="negative"):
        hd.Control(max_iterations=-1)
    with pytest.raises(hd.DataError, match="positive"):
        hd.Control(tolerance=0.0)


@pytest.mark.parametrize("start", [{"theta": [0.3]}, {"theta": 0.3}, 0.3])
def test_start_as_lme4_writes_it(data, start):
    a = hd.lmer("y ~ x + (1 | g)", data, start=start)
    assert a.criterion == pytest.approx(hd.lmer("y ~ x + (1 | g)", data).criterion, abs=1e-8)


def test_iteration_limit_is_told(data):
    fit = hd.lmer("y ~ x + (x | g)", data, start=[5.0, 0.0, 5.0], control=hd.Control(max_iterations=1))
    assert any("stopped at its limit" in notice for notice in fit.notices)
    assert fit.optimum.status == "iteration limit"


def test_later_changes_of_the_table_do_not_reach_the_fit(data):
    mine = data.copy()
    fit = hd.lmer("y ~ x + (1 | g)", mine)
    mine["x"] = 0.0
    mine["y"] = -1.0
    out = fit.augment()
    np.testing.assert_allclose(out["y"], out[".fitted"] + out[".resid"])
    np.testing.assert_array_equal(out["x"], data["x"])


def test_what_is_handed_out_cannot_change_the_fit(data):
    fit = hd.lmer("y ~ x + (1 | g)", data)
    before = fit.tidy()
    with pytest.raises(ValueError, match="read-only"):
        fit.fitted[0] = 99.0
    fixef, theta = fit.fixef, fit.theta
    fixef["x"] = 7.0
    theta[0] = 5.0
    pd.testing.assert_frame_equal(fit.tidy(), before)


def test_pickle_is_slim_and_answers(data):
    big = pd.concat([data] * 50, ignore_index=True)
    fit = hd.lmer("y ~ x + (x | g)", big)
    text = pickle.dumps(fit)
    assert len(text) < 4 * 8 * len(big) + 60_000  # response, fitted values, their fixed part and row numbers
    back = pickle.loads(text)
    assert str(back) == str(fit)
    assert repr(back) == repr(fit)
    assert len(repr(fit)) < 120
    pd.testing.assert_frame_equal(back.ranef()["g"], fit.ranef()["g"])
    with pytest.raises(hd.HendersonError, match="read back from a pickle"):
        _ = back.engine
    with pytest.raises(hd.HendersonError, match="read back from a pickle"):
        back.augment()


def test_exclude_pads(data):
    holed = data.copy()
    holed.loc[[3, 17], "x"] = np.nan
    omitted = hd.lmer("y ~ x + (1 | g)", holed)
    excluded = hd.lmer("y ~ x + (1 | g)", holed, na_action="exclude")
    assert omitted.fitted.size == 238
    assert excluded.fitted.size == 240
    assert np.flatnonzero(np.isnan(excluded.residuals)).tolist() == [3, 17]
    assert any("2 of 240 rows dropped" in notice for notice in omitted.notices)
    with pytest.raises(hd.DataError, match="x"):
        hd.lmer("y ~ x + (1 | g)", holed, na_action="fail")


def test_rank_deficiency_is_told(data):
    fit = hd.lmer("y ~ x + I(2 * x) + (1 | g)", data)
    assert fit.dropped == ("I(2 * x)",)
    assert any("dropping 1 column / coefficient: I(2 * x)" in notice for notice in fit.notices)


def test_notices_are_logged(data, caplog):
    hd.lmer("y ~ x + I(2 * x) + (1 | g)", data)
    assert "rank deficient" in caplog.text


@pytest.mark.parametrize("size", [1e-13, 1e9])
def test_the_unit_of_the_weights_does_not_matter(data, size):
    w = np.linspace(0.5, 2.0, len(data))
    a = hd.lmer("y ~ x + (1 | g)", data, weights=w)
    b = hd.lmer("y ~ x + (1 | g)", data, weights=size * w)
    np.testing.assert_allclose(b.fixef, a.fixef, rtol=1e-6)
    np.testing.assert_allclose(b.sigma, np.sqrt(size) * a.sigma, rtol=1e-6)
    np.testing.assert_allclose(b.theta * np.sqrt(size), a.theta, rtol=1e-5)


def test_coef_has_the_same_columns_in_every_group(data):
    fit = hd.lmer("y ~ 1 + (x | g) + (1 | h)", data)
    coefficients = fit.coef()
    assert list(coefficients["g"].columns) == ["x", "(Intercept)"] == list(coefficients["h"].columns)
    assert (coefficients["h"]["x"] == 0).all()
    modes = fit.ranef()["g"]
    np.testing.assert_allclose(
        coefficients["g"]["(Intercept)"], fit.fixef["(Intercept)"] + modes["(Intercept)"]
    )
