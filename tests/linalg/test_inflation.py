import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import erfinv, mpf, workdps
from scipy import stats

from henderson.linalg.inflation import lambda_gc


@given(st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=50))
def test_it_is_the_ratio_of_medians(p):
    direct = np.median(stats.chi2.isf(p, 1)) / stats.chi2.median(1)

    assert lambda_gc(-np.log10(p)) == pytest.approx(direct, rel=1e-9, abs=1e-12)


def test_it_is_one_for_uniform_p_values():
    m = 200_000
    p = np.random.default_rng(8).random(m)
    # The median of a sample has variance 1 / (4 m f^2), f the density at the median.
    error = 1 / (2 * np.sqrt(m) * stats.chi2.pdf(stats.chi2.median(1), 1)) / stats.chi2.median(1)

    assert abs(lambda_gc(-np.log10(p)) - 1) < 4 * error


@pytest.mark.parametrize("scale", [0.5, 1.3, 7.0])
def test_it_finds_the_factor_of_inflation(scale):
    p = stats.chi2.sf(scale * stats.chi2.ppf((np.arange(999) + 0.5) / 999, 1), 1)

    assert lambda_gc(-np.log10(p)) == pytest.approx(scale, rel=1e-9)


def test_p_may_be_smaller_than_a_double():
    with workdps(600):  # 1 - 1e-500 needs the digits
        exact = float(2 * erfinv(1 - mpf(10) ** -500) ** 2)

    assert lambda_gc([500.0]) == pytest.approx(exact / stats.chi2.median(1), rel=1e-12)


def test_missing_tests_are_ignored():
    x = np.array([0.1, np.nan, 0.3, 5.0, np.nan])

    assert lambda_gc(x) == lambda_gc(x[~np.isnan(x)])
    assert np.isnan(lambda_gc([np.nan]))
    assert np.isnan(lambda_gc([]))
