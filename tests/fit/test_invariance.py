"""What must not change the fit: order of rows, names of levels, shifts and scales, rows given twice."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import henderson as hd

PLAIN = settings(max_examples=15, deadline=None)


def table(seed, n=90):
    rng = np.random.default_rng(seed)
    g, h = rng.integers(0, 9, n), rng.integers(0, 5, n)
    x, z = rng.normal(size=n), rng.normal(size=n) + 3
    effects = rng.normal(size=(9, 2)) @ np.array([[1.0, 0.3], [0.0, 0.6]])
    y = 2 + x + effects[g, 0] + effects[g, 1] * x + rng.normal(size=5)[h] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": g, "h": h})


FORMULA = "y ~ x + z + (x | g) + (1 | h)"
seeds = st.integers(0, 10_000)


def same_fit(a, b, *, scale=1.0, rel=1e-6):
    """Equal up to a factor in the response."""
    assert b.sigma == pytest.approx(scale * a.sigma, rel=rel)
    np.testing.assert_allclose(
        b.varcorr["h"].covariance, scale**2 * a.varcorr["h"].covariance, rtol=1e-4, atol=1e-6 * b.sigma**2
    )
    np.testing.assert_allclose(b.se.to_numpy(), scale * a.se.to_numpy(), rtol=1e-5)


@PLAIN
@given(seeds, st.randoms(use_true_random=False))
def test_row_order(seed, shuffle):
    data = table(seed)
    order = list(range(len(data)))
    shuffle.shuffle(order)
    a, b = hd.lmer(FORMULA, data), hd.lmer(FORMULA, data.iloc[order])
    assert b.criterion == pytest.approx(a.criterion, abs=1e-8)
    np.testing.assert_allclose(b.fixef, a.fixef, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(b.fitted, a.fitted[order], rtol=1e-4, atol=1e-4)


@PLAIN
@given(seeds, st.permutations(range(9)))
def test_names_of_levels(seed, names):
    data = table(seed)
    renamed = data.assign(g=np.array(names)[data["g"]])
    a, b = hd.lmer(FORMULA, data), hd.lmer(FORMULA, renamed)
    assert b.criterion == pytest.approx(a.criterion, abs=1e-8)
    before = a.ranef()["g"]
    after = b.ranef()["g"].loc[[str(names[int(level)]) for level in before.index]]
    np.testing.assert_allclose(after.to_numpy(), before.to_numpy(), rtol=0, atol=1e-4)


@PLAIN
@given(seeds, st.sampled_from([-1e6, -3.0, 40.0, 1e6]), st.sampled_from([1e-5, 0.5, 2e4]))
def test_shift_and_scale_of_y(seed, shift, scale):
    data = table(seed)
    a, b = hd.lmer(FORMULA, data), hd.lmer(FORMULA, data.assign(y=shift * scale + scale * data["y"]))
    # log|X'V^-1 X| does not see y, so REML shifts by (n - p) log(scale^2)
    moved = a.criterion + (a.nobs - 3) * np.log(scale**2)
    assert b.criterion == pytest.approx(moved, abs=1e-6)
    same_fit(a, b, scale=scale)
    slopes = b.fixef[["x", "z"]].to_numpy()
    np.testing.assert_allclose(slopes, scale * a.fixef[["x", "z"]].to_numpy(), rtol=1e-5, atol=1e-6 * scale)


@PLAIN
@given(seeds, st.sampled_from([-2000.0, 7.0]), st.sampled_from([1e-4, 3.0, 1e5]))
def test_shift_and_scale_of_x(seed, shift, scale):
    """The unstructured (x | g) spans the same model whatever the origin and unit of x."""
    data = table(seed)
    a, b = (
        hd.lmer(FORMULA, data, REML=False),
        hd.lmer(FORMULA, data.assign(x=scale * (data["x"] + shift)), REML=False),
    )
    assert b.criterion == pytest.approx(a.criterion, abs=1e-6)
    assert b.fixef["x"] == pytest.approx(a.fixef["x"] / scale, rel=1e-5, abs=1e-6 / scale)
    np.testing.assert_allclose(b.fitted, a.fitted, rtol=0, atol=1e-4)


@PLAIN
@given(seeds)
def test_rows_given_twice_with_half_the_weight(seed):
    """At a fixed theta: the same beta, effects, pwrss and log-determinants."""
    data = table(seed)
    twice = pd.concat([data, data], ignore_index=True)
    once, double = hd.lmer(FORMULA, data), hd.lmer(FORMULA, twice, weights=np.full(len(twice), 0.5))
    theta = np.array([0.8, 0.1, 0.4, 0.6])
    a, b = once.engine.criterion(theta), double.engine.criterion(theta)
    assert b.pwrss == pytest.approx(a.pwrss, rel=1e-9)
    assert b.logdet_v == pytest.approx(a.logdet_v, rel=1e-9)
    assert b.logdet_x == pytest.approx(a.logdet_x, rel=1e-9)
    one, two = once.engine.solution(theta, reml=True), double.engine.solution(theta, reml=True)
    np.testing.assert_allclose(two.beta, one.beta, rtol=1e-8, atol=1e-9)
    for t, u in zip(one.terms, two.terms, strict=True):
        np.testing.assert_allclose(u.b, t.b, rtol=0, atol=1e-8)


@PLAIN
@given(seeds)
def test_start_does_not_matter(seed):
    data = table(seed)
    a = hd.lmer(FORMULA, data)
    b = hd.lmer(FORMULA, data, start=[0.3, 0.2, 1.5, 0.1])
    assert b.criterion == pytest.approx(a.criterion, abs=1e-6)
