"""Tail probabilities against series summed in arithmetic of as many digits as they need."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from henderson.linalg.tails import neg_log10_chi2, neg_log10_f1, neg_log10_normal, neg_log10_t

RTOL = 3e-14


def exact_t(t, df):
    """-log10 of I_x(df/2, 1/2) by its power series in x, or one minus that in y: not the fraction in use."""
    spread = float(t) ** 2 / df
    magnitude = 0.5 * df * np.log10(1.0 + spread)
    in_y = spread < 1.0 and magnitude < 1500.0
    with mp.workdps(int(65 + (magnitude if in_y else 0))):
        t, a, half = mp.mpf(float(t)), mp.mpf(float(df)) / 2, mp.mpf(1) / 2
        x, y = 2 * a / (2 * a + t * t), t * t / (2 * a + t * t)
        log_lead = a * mp.log(x) + mp.log(y) / 2 - mp.loggamma(a) - mp.loggamma(half) + mp.loggamma(a + half)
        if in_y:
            total = mp.exp(log_lead) / half * series((a + half, y), half + 1)
            return float(-mp.log1p(-total) / mp.log(10))
        total = log_lead + mp.log(series((a + half, x), a + 1)) - mp.log(a)
        return float(-total / mp.log(10))


def series(rising, falling):
    """2F1(c, 1; f; z) for ((c, z), f), all terms positive."""
    (c, z), k = rising, 0
    total = term = mp.mpf(1)
    while term > total * mp.eps:
        term *= (c + k) * z / (falling + k)
        total += term
        k += 1
    return total


def exact_chi2(x, df):
    with mp.workdps(60 + int(max(0.0, x - df) / 4 if x < 3000 else 0)):
        a, x = mp.mpf(float(df)) / 2, mp.mpf(float(x)) / 2
        if x < 1500:
            lower = mp.exp(a * mp.log(x) - x - mp.loggamma(a)) / a
            total, term, k = mp.mpf(1), mp.mpf(1), 0
            while term > total * mp.eps:
                k += 1
                term *= x / (a + k)
                total += term
            return float(-mp.log1p(-lower * total) / mp.log(10))
        # repeated integration by parts; it stops by itself for whole a, and is asymptotic otherwise
        total, term, k = mp.mpf(1), mp.mpf(1), 0
        while abs(term) > mp.eps:
            k += 1
            term *= (a - k) / x
            total += term
        return float((x - (a - 1) * mp.log(x) + mp.loggamma(a) - mp.log(total)) / mp.log(10))


def exact_normal(z):
    with mp.workdps(60):
        s = abs(mp.mpf(z)) / mp.sqrt(2)
        return float(-(mp.log1p(-mp.erf(s)) if s < 1 else mp.log(mp.erfc(s))) / mp.log(10))


DF = [1, 1.5, 2, 3, 7.5, 30, 39.9, 40.1, 100, 1000, 1e4, 1e5, 1e6, 1e7]
T = [1e-300, 1e-160, 1e-12, 9e-11, 1.1e-10, 1e-6, 1e-3, 0.1, 0.5, 1, 2, 3, 3.2, 3.28, 3.3, 3.35, 3.5]
T += [4, 5, 7, 10, 20, 40, 55]
FAR = [60, 100, 300, 636, 1e3, 1e4, 1e6, 1e8]


@pytest.mark.parametrize("df", DF)
def test_t_against_exact_series(df):
    t = np.array(T + [t for t in FAR if t * t / df > 1e-2])
    np.testing.assert_allclose(neg_log10_t(t, df), [exact_t(each, df) for each in t], rtol=RTOL)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 7.0), st.floats(0.0, 5.0), st.booleans())
def test_t_anywhere(log_df, log_size, negative):
    df = 10.0**log_df
    # a size of 5 reaches -log10 p of about 1500 at many degrees of freedom, and t = 1e5 at one
    t = 10.0**log_size if df < 50.0 else 0.8 * 10.0 ** (0.4 * log_size)
    assert neg_log10_t(-t if negative else t, df) == pytest.approx(exact_t(t, df), rel=RTOL, abs=0.0)


def test_one_and_two_degrees_of_freedom_in_closed_form():
    t = np.geomspace(1e-12, 1e12, 200)
    np.testing.assert_allclose(
        neg_log10_t(t[t > 1], 1), -np.log10(2 / np.pi * np.arctan(1 / t[t > 1])), 3e-14
    )
    # p = 1 - t / sqrt(2 + t^2) = 2 / (r (r + t)), r = sqrt(2 + t^2)
    r = np.sqrt(2 + t[t > 1] ** 2)
    np.testing.assert_allclose(neg_log10_t(t[t > 1], 2), -np.log10(2 / (r * (r + t[t > 1]))), rtol=3e-14)


@pytest.mark.parametrize("df", [1, 2, 30, 5000, 1e7])
def test_f_is_the_square_of_t(df):
    F = np.geomspace(1e-20, 1e8, 500)
    np.testing.assert_allclose(neg_log10_f1(F, df), neg_log10_t(np.sqrt(F), df), rtol=1e-15)


def test_t_far_beyond_the_largest_square():
    assert neg_log10_t(1e200, 1) == pytest.approx(200 + np.log10(np.pi / 2), rel=1e-15)
    assert neg_log10_t(1e-200, 1) == pytest.approx(2 / np.pi * 1e-200 / np.log(10), rel=1e-14, abs=0.0)


def test_many_degrees_of_freedom_approach_the_normal():
    z = np.geomspace(1e-3, 10, 50)
    np.testing.assert_allclose(neg_log10_t(z, 1e7), neg_log10_normal(z), rtol=2e-5)


def test_normal_against_exact():
    z = np.concatenate([[1e-300, 1e-12], np.linspace(0.001, 40, 400), np.geomspace(41, 1e8, 60), [1e153]])
    exact = [exact_normal(float(each)) for each in z]
    np.testing.assert_allclose(neg_log10_normal(z), exact, rtol=2e-15)
    np.testing.assert_array_equal(neg_log10_normal(-z), neg_log10_normal(z))


def test_chi2_with_one_degree_is_the_squared_normal():
    x = np.concatenate([[1e-300], np.geomspace(1e-10, 1e8, 300)])
    exact = [exact_normal(mp.sqrt(mp.mpf(float(each)))) for each in x]
    np.testing.assert_allclose(neg_log10_chi2(x), exact, rtol=1e-14)
    assert neg_log10_chi2(1e308) == pytest.approx(0.5e308 / np.log(10))


def test_chi2_with_two_degrees_is_exponential():
    x = np.geomspace(1e-8, 1e8, 300)
    np.testing.assert_allclose(neg_log10_chi2(x, 2), x / 2 / np.log(10), rtol=1e-14)


@pytest.mark.parametrize("df", [0.7, 1, 3, 10, 39, 41, 100, 400])
def test_chi2_against_exact(df):
    x = np.concatenate([np.array([0.3, 0.5, 0.9, 1.0, 1.1, 1.5]) * df, [900, 1000, 1200, 2500, 1e5, 1e8]])
    np.testing.assert_allclose(neg_log10_chi2(x, df), [exact_chi2(each, df) for each in x], rtol=1e-12)


TAILS = {
    "normal": lambda s: neg_log10_normal(np.sqrt(s)),
    "chi2": neg_log10_chi2,
    "chi2 of 2": lambda s: neg_log10_chi2(s, 2),
    "chi2 of 30": lambda s: neg_log10_chi2(s, 30),
    **{f"F(1, {df})": lambda s, df=df: neg_log10_f1(s, df) for df in (1, 2, 30, 1000, 1e7)},
}


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_rises_everywhere_and_has_no_step(tail):
    s = np.geomspace(1e-10, 1e8, 200_000)
    value = tail(s)
    assert (np.isfinite(value) & (value >= 0)).all()
    seen = value > 1e-30  # a chi-squared of 30 leaves nothing of 1 - p below
    step = np.diff(np.log(value[seen]))
    assert (step > 0).all()
    # second differences of a smooth curve on so fine a grid are far below those of a step of 1e-6
    assert np.abs(np.diff(step)).max() < 1e-6


@pytest.mark.parametrize("df", [1, 2, 5.5, 30, 1000, 1e6])
def test_continuous_where_the_method_changes(df):
    def crosses(t):
        return np.diff(neg_log10_t(t, df)) / np.diff(t)

    low, high = 0.5, 5000.0
    target = 3.0  # where p is one in a thousand
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if neg_log10_t(middle, df) < target else (low, middle)
    around = low * (1 + np.linspace(-1e-6, 1e-6, 41))
    slope = crosses(around)
    # a relative step of 1e-13 would show as 2e-6 here
    np.testing.assert_allclose(slope, np.median(slope), rtol=1e-5)


def test_the_ends():
    for tail in (neg_log10_normal, neg_log10_chi2, lambda s: neg_log10_f1(s, 9), lambda s: neg_log10_t(s, 9)):
        np.testing.assert_array_equal(tail(np.array([0.0, np.inf, np.nan])), [0.0, np.inf, np.nan])
        assert not np.signbit(tail(0.0))
    np.testing.assert_array_equal(neg_log10_chi2([0.0, np.inf, np.nan], 3), [0.0, np.inf, np.nan])
    assert neg_log10_normal(-np.inf) == np.inf
    assert neg_log10_chi2(-1e-9) == neg_log10_chi2(-1e-9, 4) == neg_log10_f1(-1e-9, 4) == 0.0
    assert np.isfinite(neg_log10_normal(1e300))


@pytest.mark.parametrize("df", [0.0, -1.0, np.inf, np.nan])
def test_no_such_degrees_of_freedom(df):
    assert np.isnan(neg_log10_t([1.0, np.inf], df)).all()
    assert np.isnan(neg_log10_f1(1.0, df))
    assert np.isnan(neg_log10_chi2([1.0, np.inf], df)).all()


def test_shapes_and_types():
    statistic, df = np.float32([[1.0, 400.0, 5000.0]]), np.array([[10], [1000]])
    for tail in (neg_log10_t, neg_log10_f1, neg_log10_chi2):
        value = tail(statistic, df)
        assert value.shape == (2, 3)
        assert value.dtype == np.float64
        each = [[float(tail(s, d)) for s in statistic[0]] for d in df[:, 0]]
        np.testing.assert_array_equal(value, each)
        assert tail(np.empty(0), 5.0).shape == (0,)
    assert neg_log10_normal(3).shape == ()
