"""Designs that lose the answer in raw cross-products."""

import mpmath
import numpy as np
import pandas as pd
import pytest

import henderson as hd
from engine.dense import at_theta


def balanced(groups, size, between, rng):
    """Balanced one-way data, whose REML estimates have a closed form: the ANOVA estimates."""
    y = np.repeat(rng.normal(size=groups) * between, size) + rng.normal(size=groups * size)
    g = np.repeat(np.arange(groups), size)
    y = y.reshape(groups, size)
    within = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum() / (groups * (size - 1))
    among = size * ((y.mean(axis=1) - y.mean()) ** 2).sum() / (groups - 1)
    return pd.DataFrame({"y": y.ravel(), "g": g}), within, (among - within) / size


@pytest.mark.parametrize("shift", [0.0, 1e6, -1e9])
def test_far_from_zero(shift):
    data, within, among = balanced(40, 5, 1.5, np.random.default_rng(1))
    fit = hd.lmer("y ~ 1 + (1 | g)", data.assign(y=data["y"] + shift))
    rel = 1e-7 if abs(shift) < 1e8 else 1e-5  # y itself keeps only 7 decimals at 1e9
    assert fit.sigma**2 == pytest.approx(within, rel=rel)
    assert fit.varcorr["g"].covariance[0, 0] == pytest.approx(among, rel=rel)


def test_icc_of_almost_one():
    data, within, among = balanced(200, 4, 1000.0, np.random.default_rng(2))
    fit = hd.lmer("y ~ 1 + (1 | g)", data)
    assert fit.icc > 0.999998
    assert fit.sigma**2 == pytest.approx(within, rel=1e-7)
    assert fit.varcorr["g"].covariance[0, 0] == pytest.approx(among, rel=1e-7)


def test_hundred_thousand_groups_of_two():
    data, within, among = balanced(100_000, 2, 1.0, np.random.default_rng(3))
    fit = hd.lmer("y ~ 1 + (1 | g)", data)
    assert fit.sigma**2 == pytest.approx(within, rel=1e-8)
    assert fit.varcorr["g"].covariance[0, 0] == pytest.approx(among, rel=1e-7)


def test_calendar_years_and_their_squares():
    """Raw years give the same model as centred ones: fixed effects and random slopes."""
    rng = np.random.default_rng(4)
    year = np.tile(np.arange(1990.0, 2020.0), 20)
    g = np.repeat(np.arange(20), 30)
    t = year - 2005
    y = (
        3
        + 0.2 * t
        - 0.01 * t**2
        + rng.normal(size=20)[g]
        + 0.1 * rng.normal(size=20)[g] * t
        + rng.normal(size=600)
    )
    data = pd.DataFrame({"y": y, "year": year, "t": t, "g": g})
    raw = hd.lmer("y ~ year + I(year^2) + (year | g)", data, REML=False)
    centred = hd.lmer("y ~ t + I(t^2) + (t | g)", data, REML=False)
    assert raw.criterion == pytest.approx(centred.criterion, abs=1e-6)
    np.testing.assert_allclose(raw.fitted, centred.fitted, rtol=0, atol=1e-6)
    assert raw.fixef["I(year^2)"] == pytest.approx(centred.fixef["I(t^2)"], rel=1e-6)
    assert raw.varcorr["g"].sd[1] == pytest.approx(centred.varcorr["g"].sd[1], rel=1e-5)


def test_criterion_against_fifty_digits():
    """A crossed model, ICC near one, at a fixed theta, against mpmath."""
    rng = np.random.default_rng(5)
    a, b = np.divmod(np.arange(30), 5)
    x = rng.normal(size=30)
    y = 1e5 + 300 * rng.normal(size=6)[a] + 5 * rng.normal(size=5)[b] + rng.normal(size=30)
    fit = hd.lmer("y ~ x + (1 | a) + (1 | b)", {"y": y, "x": x, "a": a, "b": b})
    model = fit.engine.model
    with mpmath.workdps(50):
        V = mpmath.matrix(30)
        for term, theta in zip(model.terms, fit.theta, strict=True):
            for i in range(30):
                for j in range(30):
                    if term.codes[i] == term.codes[j]:
                        V[i, j] += mpmath.mpf(float(theta)) ** 2
        for i in range(30):
            V[i, i] += 1
        X, yy = mpmath.matrix(model.X.tolist()), mpmath.matrix(y.tolist())
        Vi = V**-1
        XVX = X.T * Vi * X
        beta = XVX**-1 * (X.T * Vi * yy)
        r = yy - X * beta
        q = (r.T * Vi * r)[0]
        exact = (
            mpmath.log(mpmath.det(V))
            + mpmath.log(mpmath.det(XVX))
            + 28 * (1 + mpmath.log(2 * mpmath.pi * q / 28))
        )
    assert fit.criterion == pytest.approx(float(exact), abs=1e-8)
    assert at_theta(model, fit.theta).profiled(True) == pytest.approx(float(exact), abs=1e-4)
