"""The upper tail of F against a series of positive terms, summed in long arithmetic."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from henderson.linalg.f_tail import neg_log10_f
from henderson.linalg.tails import neg_log10_chi2, neg_log10_f1


def exact_f(F, df1, df2):
    """-log10 of I_x(a, b) = x^a y^b / (a B(a, b)) 2F1(a + b, 1; a + 1; x)."""
    with mp.workdps(50):
        F, a, b = mp.mpf(float(F)), mp.mpf(float(df2)) / 2, mp.mpf(float(df1)) / 2
        x = a / (a + b * F)
        total = term = mp.mpf(1)
        k = 0
        while term > total * mp.mpf(10) ** -30:
            term *= (a + b + k) * x / (a + 1 + k)
            total += term
            k += 1
        log_beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
        return float(-(a * mp.log(x) + b * mp.log1p(-x) - mp.log(a) - log_beta + mp.log(total)) / mp.log(10))


@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 3.0), st.floats(0.0, 3.5), st.floats(0.0, 5.0))
def test_anywhere(log_df1, log_df2, log_size):
    df1, df2, F = 10.0**log_df1, 10.0**log_df2, 10.0**log_size
    assert neg_log10_f(F, df1, df2) == pytest.approx(exact_f(F, df1, df2), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(
    ("F", "df1", "df2"), [(50.0, 3, 2e4), (3.0, 700, 1e4), (1e12, 2, 3.7), (2e5, 4, 500)]
)
def test_many_degrees_of_freedom_and_far_out(F, df1, df2):
    assert neg_log10_f(F, df1, df2) == pytest.approx(exact_f(F, df1, df2), rel=1e-12)


def test_two_numerator_degrees_of_freedom_in_closed_form():
    F = np.geomspace(1e-6, 1e9, 100)
    np.testing.assert_allclose(neg_log10_f(F, 2, 11), 5.5 * np.log1p(2 * F / 11) / np.log(10), rtol=1e-13)


def test_ends_and_special_cases():
    F = np.array([0.3, 4.0, 90.0])
    np.testing.assert_array_equal(neg_log10_f(F, 1, 8.5), neg_log10_f1(F, 8.5))
    np.testing.assert_allclose(neg_log10_f(F, 3, np.inf), neg_log10_chi2(3 * F, 3), rtol=1e-15)
    np.testing.assert_array_equal(neg_log10_f([0.0, -1e-9, np.inf], 3, 4), [0.0, 0.0, np.inf])
    assert np.isnan(neg_log10_f([np.nan, 1.0, 1.0, 1.0], [2, 0, 2, np.nan], [5, 5, -1, 5])).all()
