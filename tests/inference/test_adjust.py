"""The studentised range, adjustments of p-values, and families of contrasts."""

import math

import numpy as np
import pytest
from scipy import special, stats

from henderson.errors import DataError
from henderson.inference.adjust import adjusted, check_adjustment, critical, two_sided
from henderson.inference.means_families import family, whole_polynomials
from henderson.inference.studentized_range import range_quantile, range_tail


@pytest.mark.parametrize(
    ("q", "k", "df", "expected"),
    [
        # SciPy 1.15's adaptive quadrature, in agreement with R's ptukey to the 1e-9 that it gives
        (3.5, 3, 10, 0.07710331083841038),
        (1.0, 2, 5, 0.5110840804302805),
        (6.0, 20, 3, 0.24594460893604309),
        (3.3, 5, math.inf, 0.134321477410152),
        (0.1, 3, 1, 0.9972547882035919),
        (1000.0, 3, 1, 0.0013504732363021077),
        (5.0, 100, 17.3, 0.5339255275163701),
        (4.0, 3, 0.5, 0.4817496908205584),
    ],
)
def test_studentised_range(q, k, df, expected):
    assert range_tail(q, k, df) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("df", [0.7, 2.0, 9.5, 250.0, 1e7, math.inf])
@pytest.mark.parametrize("t", [0.01, 1.0, 4.0, 30.0])
def test_the_range_of_two_means_is_a_t_test(t, df):
    """Also far out, where 1 - P(Q < q) would be rounding error."""
    expected = float(two_sided(np.array(t), np.array(df)))
    assert range_tail(math.sqrt(2.0) * t, 2, df) == pytest.approx(expected, rel=1e-9, abs=1e-290)


def test_range_ends():
    assert range_tail(0.0, 4, 12.0) == pytest.approx(1.0, abs=1e-14)
    assert math.isnan(range_tail(math.nan, 4, 12.0))
    assert math.isnan(range_tail(1.0, 4, math.nan))
    assert math.isnan(range_quantile(0.95, 3, math.nan))


@pytest.mark.parametrize(
    ("level", "k", "df", "expected"),
    # R's qtukey, whose own error is about 1e-8
    [
        (0.95, 3, 10, 3.87677674919),
        (0.99, 4, 7.3, 6.428439776),
        (0.95, 6, math.inf, 4.030092087),
        (0.95, 3, 2, 8.330782551),
    ],
)
def test_range_quantiles(level, k, df, expected):
    found = range_quantile(level, k, df)
    assert found == pytest.approx(expected, rel=2e-8)
    assert range_tail(found, k, df) == pytest.approx(1.0 - level, rel=1e-9)


def test_p_values_in_both_tails():
    t, df = np.array([0.0, 2.0, -2.0, 50.0]), np.array([3.0, 3.0, 3.0, np.inf])
    expected = [1.0, 2 * stats.t.sf(2, 3), 2 * stats.t.sf(2, 3), 0.0]
    np.testing.assert_allclose(two_sided(t, df), expected, rtol=1e-12)


def test_stepwise_adjustments():
    """R's p.adjust."""
    wanted = np.array([0.01, 0.03, 0.02, 0.5])
    t, df = -special.ndtri(wanted / 2), np.full(4, np.inf)
    np.testing.assert_allclose(adjusted(t, df, "holm", means=4), [0.04, 0.06, 0.06, 0.5])
    np.testing.assert_allclose(adjusted(t, df, "fdr", means=4), [0.04, 0.04, 0.04, 0.5])
    np.testing.assert_allclose(adjusted(t, df, "bonferroni", means=4), [0.04, 0.12, 0.08, 1.0])
    t[2] = np.nan
    np.testing.assert_allclose(adjusted(t, df, "holm", means=4), [0.04, 0.09, np.nan, 1.0])
    np.testing.assert_allclose(adjusted(t, df, "fdr", means=4), [0.04, 0.06, np.nan, 2 / 3])


def test_dunnettx():
    """emmeans 1.8.4's own: .pdunnx(c(2, 3, 1), 3, 20)."""
    found = adjusted(np.array([2.0, 3.0, 1.0]), np.full(3, 20.0), "dunnettx", means=4)
    np.testing.assert_allclose(1.0 - found, [0.85210877585359, 0.98060211264074, 0.377016596615], rtol=1e-8)
    half = critical(0.95, np.full(3, 20.0), "dunnettx", means=4)
    np.testing.assert_allclose(adjusted(half, np.full(3, 20.0), "dunnettx", means=4), 0.05, rtol=1e-9)


@pytest.mark.parametrize("adjust", ["tukey", "bonferroni", "none"])
def test_intervals_match_tests(adjust):
    df = np.array([4.0, 4.0, 31.2])
    half = critical(0.9, df, adjust, means=3)
    np.testing.assert_allclose(adjusted(half, df, adjust, means=3), 0.1, rtol=1e-8)


def test_one_comparison_needs_no_adjustment():
    t, df = np.array([2.0]), np.array([8.0])
    for adjust in ("tukey", "dunnettx", "holm", "bonferroni", "fdr", "none"):
        assert adjusted(t, df, adjust, means=2) == two_sided(t, df)
        assert critical(0.95, df, adjust, means=2) == pytest.approx(stats.t.ppf(0.975, 8))


def test_unknown_adjustment():
    with pytest.raises(DataError, match="adjust is 'tuckey'; it can be 'tukey'"):
        check_adjustment("tuckey")


def test_polynomials_are_those_of_the_tables():
    """Fisher & Yates, Statistical Tables, XXIII, for 6 points."""
    expected = [
        [-5, -3, -1, 1, 3, 5],
        [5, -1, -4, -4, -1, 5],
        [-5, 7, 4, -4, -7, 5],
        [1, -3, 2, 2, -3, 1],
        [-1, 5, -10, 10, -5, 1],
    ]
    np.testing.assert_array_equal(whole_polynomials(6, 5), expected)


@pytest.mark.parametrize("m", [2, 3, 7, 12])
def test_polynomials_are_orthogonal(m):
    C = whole_polynomials(m, min(6, m - 1))
    off = C @ C.T - np.diag((C**2).sum(axis=1))
    np.testing.assert_array_equal(off, 0.0)
    np.testing.assert_array_equal(C.sum(axis=1), 0.0)


def test_names_that_look_like_arithmetic():
    assert family("pairwise", ["0-5", "6+", "x"])[0] == ("(0-5) - (6+)", "(0-5) - x", "(6+) - x")
    assert family("pairwise", ["one"])[1].shape == (0, 1)
