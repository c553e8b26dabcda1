import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from henderson.plots.bands import expected_uniform, normal_band, thinned_ranks, uniform_band
from henderson.plots.smooth import density, lowess

X = np.array([1, 2, 2, 3, 5, 8, 8.5, 9, 12, 13, 14, 20])
Y = np.array([2.0, 1, 4, 3, 8, 6, 9, 7, 1, 3, 5, 2])
# R 4.2.2: lowess(x, y, f = span, iter = 0, delta = 0), each x once.
R_LOWESS = {
    2 / 3: [
        1.36670151358895, 2.70008517721899, 4.00614687699396, 6.29714594519987, 6.87070853501478,
        6.73354391970074, 6.24130859247562, 4.17117677513131, 3.52829937088194, 3.38784259493213,
        1.74616823020675,
    ],
    0.4: [
        2.0, 2.5, 3.0, 8.0, 6.809591609163660, 7.338206599944433, 7.809591609163661, 1.0, 3.0, 5.0,
        2.011946183145214,
    ],
}  # fmt: skip


@pytest.mark.parametrize("span", R_LOWESS)
def test_lowess_is_that_of_r(span):
    shuffle = np.random.default_rng(1).permutation(X.size)

    x, y = lowess(X[shuffle], Y[shuffle], span=span)

    np.testing.assert_array_equal(x, np.unique(X))
    np.testing.assert_allclose(y, R_LOWESS[span], rtol=1e-12)


def test_many_points_are_smoothed_as_their_averages():
    rng = np.random.default_rng(2)
    x = rng.normal(size=20_000)
    y = np.sin(x) + rng.normal(0, 0.3, x.size)

    coarse_x, coarse_y = lowess(x, y, span=0.3)
    fine_x, fine_y = lowess(x, y, span=0.3, at_most=4000)

    assert coarse_x.size == 400
    inside = (coarse_x > -2) & (coarse_x < 2)
    # Averaging costs less than the standard error of the line itself.
    standard_error = 0.3 / np.sqrt(0.3 * x.size)
    apart = np.abs(coarse_y - np.interp(coarse_x, fine_x, fine_y))
    assert apart[inside].max() < standard_error


def test_values_that_are_the_same_stay_together():
    x = np.repeat([1.0, 2.0, 3.0, 4.0], 1000)
    y = np.random.default_rng(3).normal(size=4000) + x**2

    places, heights = lowess(x, y, span=0.2)

    np.testing.assert_array_equal(places, [1, 2, 3, 4])
    np.testing.assert_allclose(heights, [y[x == at].mean() for at in places])


@pytest.mark.parametrize("x", [[], [1.0], [2.0, 2.0, 2.0], [1.0, 2.0]])
def test_too_few_places_have_no_smooth_line(x):
    places, heights = lowess(np.array(x), np.zeros(len(x)))
    assert places.size == heights.size == 0


@given(st.integers(0, 10_000), st.floats(-5, 5), st.floats(0.1, 10))
def test_lowess_follows_shift_and_scale(seed, shift, scale):
    rng = np.random.default_rng(seed)
    x, y = rng.random(30), rng.normal(size=30)

    moved_x, moved_y = lowess(scale * x + shift, scale * y + shift)
    own_x, own_y = lowess(x, y)

    np.testing.assert_allclose(moved_x, scale * own_x + shift, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(moved_y, scale * own_y + shift, rtol=1e-6, atol=1e-8)


def test_density_is_the_sum_of_the_kernels():
    values = np.random.default_rng(4).normal(2.0, 3.0, 500)
    grid = np.linspace(-10, 14, 600)
    quartiles = np.quantile(values, [0.25, 0.75])
    width = 0.9 * min(values.std(), np.ptp(quartiles) / 1.349) * 500**-0.2

    found = density(values, grid)

    kernels = np.exp(-0.5 * ((grid[:, None] - values) / width) ** 2) / np.sqrt(2 * np.pi) / width
    np.testing.assert_allclose(found, kernels.mean(axis=1), atol=2e-3 * found.max())
    assert found.sum() * (grid[1] - grid[0]) == pytest.approx(1.0, rel=1e-3)


def test_density_without_spread_is_zero():
    np.testing.assert_array_equal(density(np.ones(5), np.linspace(0, 2, 9)), np.zeros(9))


@pytest.mark.parametrize(("n", "replicates"), [(3, 20_000), (8, 20_000), (40, 10_000), (700, 2000)])
@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_of_all_samples_one_in_twenty_leaves_the_band(n, replicates, kind):
    rng = np.random.default_rng(n)
    if kind == "uniform":
        samples = rng.random((replicates, n))
        lower, upper = uniform_band(n, np.arange(n))
    else:
        samples = 5.0 + 3.0 * rng.standard_normal((replicates, n))
        samples -= samples.mean(axis=1, keepdims=True)
        samples /= samples.std(axis=1, ddof=1, keepdims=True)
        lower, upper = normal_band(n, np.arange(n))
    samples.sort(axis=1)

    left = ((samples < lower) | (samples > upper)).any(axis=1).mean()

    assert abs(left - 0.05) < 3 * np.sqrt(0.05 * 0.95 / replicates)


@pytest.mark.parametrize("n", [1, 2, 5, 1001])
def test_bands_hold_the_expected_values_and_are_symmetric(n):
    ranks = np.arange(n)
    lower, upper = uniform_band(n, ranks)
    assert (lower < expected_uniform(n)).all()
    assert (expected_uniform(n) < upper).all()
    np.testing.assert_allclose(lower, 1 - upper[::-1], rtol=1e-9, atol=1e-15)


@given(st.integers(1, 100_000))
def test_thinned_ranks_keep_both_ends(n):
    ranks = thinned_ranks(n)
    assert ranks.size <= 600
    assert (np.diff(ranks) > 0).all()
    few = min(n, 20)
    assert set(range(few)) <= set(ranks)
    assert set(range(n - few, n)) <= set(ranks)
