import io
import sys

import numpy as np
import pytest

from henderson.errors import DataError
from henderson.plots import diagnostics, effects, intervals, style

pytest.importorskip("matplotlib", reason="needs matplotlib")

from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure


def axes(size=(5, 4)):
    return Figure(figsize=size, layout="constrained").add_subplot()


def dots(ax):
    """All points of a picture, (n, 2), with the colour of each."""
    lines = [line for line in ax.lines if line.get_marker() == "o"]
    where = np.concatenate([np.column_stack(line.get_data()) for line in lines])
    colours = np.concatenate([np.full(len(line.get_xdata()), to_hex(line.get_color())) for line in lines])
    return where, colours


def written(ax):
    return "\n".join(text.get_text() for text in ax.texts)


def segments(ax):
    """Horizontal lines of a picture: rows of (height, left, right), from the bottom."""
    found = np.concatenate([c.get_segments() for c in ax.collections if isinstance(c, LineCollection)])
    rows = np.column_stack([found[:, 0, 1], found[:, 0, 0], found[:, 1, 0]])
    return rows[np.argsort(rows[:, 0])]


def svg_size(ax):
    file = io.BytesIO()
    ax.figure.savefig(file, format="svg")
    return file.tell()


# -- caterpillar -------------------------------------------------------------------------------------------


def test_caterpillar_is_sorted_and_its_intervals_are_normal_ones():
    ax = effects.caterpillar([3.0, -1.0, 0.5], [1.0, 2.0, 0.1], names=list("abc"), ax=axes())

    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "c", "a"]
    b, sd = np.array([-1.0, 0.5, 3.0]), np.array([2.0, 0.1, 1.0])
    np.testing.assert_allclose(
        segments(ax), np.column_stack([[0, 1, 2], b - 1.959964 * sd, b + 1.959964 * sd]), rtol=1e-6
    )


def test_caterpillar_marks_intervals_without_zero():
    ax = effects.caterpillar([3.0, -1.0, 0.5], [1.0, 2.0, 0.1], names=list("abc"), ax=axes())

    where, colours = dots(ax)
    assert set(where[colours == style.BLUE, 0]) == {3.0, 0.5}
    assert set(where[colours == style.GREY, 0]) == {-1.0}


def test_caterpillar_follows_another_order():
    ax = effects.caterpillar([3.0, -1.0], [1.0, 1.0], names=["a", "b"], order=[0, 1], ax=axes())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_long_caterpillars_name_the_ends_and_stay_small():
    b = np.random.default_rng(1).normal(size=30_000)
    names = [f"level {i}" for i in range(b.size)]

    ax = effects.caterpillar(b, np.full(b.size, 0.3), names=names, ax=axes())

    ends = [label.get_text() for label in ax.get_yticklabels()]
    assert ends == [names[b.argmin()], names[b.argmax()]]
    assert ax.get_ylabel() == "30,000 levels, sorted; 2,000 drawn"
    heights = dots(ax)[0][:, 0]
    assert heights.size == 2000
    assert {b.min(), b.max()} <= set(heights)
    assert svg_size(ax) < 1_000_000


def test_caterpillar_of_a_zero_variance_says_so():
    ax = effects.caterpillar(np.zeros(4), np.zeros(4), names=list("abcd"), ax=axes())
    assert "the variance is zero" in written(ax)


def test_caterpillar_wants_a_name_for_each_level():
    with pytest.raises(DataError, match="there are 1 names for 2 levels"):
        effects.caterpillar([1.0, 2.0], [1.0, 1.0], names=["a"], ax=axes())


# -- residuals ---------------------------------------------------------------------------------------------


def test_residuals_leave_out_missing_rows():
    ax = diagnostics.residuals_by_fitted([1.0, 2.0, np.nan, 4.0], [0.1, np.nan, 0.2, -0.3], ax=axes())
    np.testing.assert_array_equal(dots(ax)[0], [[1.0, 0.1], [4.0, -0.3]])


def test_many_residuals_are_shades_of_their_density():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 100_000))

    ax = diagnostics.residuals_by_fitted(x, y, ax=axes())

    [cells] = [c for c in ax.collections if isinstance(c, PolyCollection)]
    assert cells.get_rasterized()
    assert cells.get_array().sum() == 100_000
    assert "100,000 points" in written(ax)
    assert svg_size(ax) < 500_000


@pytest.mark.parametrize("n", [0, 1, 2, 3])
@pytest.mark.parametrize("draw", [diagnostics.residuals_by_fitted, diagnostics.scaled_by_fitted])
def test_few_rows_are_drawn(draw, n):
    ax = draw(np.arange(n), np.full(n, 0.5), ax=axes())
    ax.figure.draw_without_rendering()


def test_spread_is_the_root_of_the_size():
    ax = diagnostics.spread_by_fitted([1.0, 2.0], [-4.0, 9.0], ax=axes())
    np.testing.assert_array_equal(dots(ax)[0], [[1.0, 2.0], [2.0, 3.0]])


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(DataError, match="residuals has 3 values where 2 are expected"):
        diagnostics.residuals_by_fitted([1.0, 2.0], [1.0, 2.0, 3.0], ax=axes())
    with pytest.raises(DataError, match=r"one column of numbers; it has the shape \(1, 2\)"):
        diagnostics.residuals_by_fitted([[1.0, 2.0]], [1.0, 2.0], ax=axes())


# -- quantiles ---------------------------------------------------------------------------------------------


def test_normal_values_lie_on_the_line():
    from scipy.special import ndtri

    values = 10 + 3 * ndtri((np.arange(50) + 2 / 3) / (50 + 1 / 3))

    ax = diagnostics.qq_normal(values, ax=axes())

    where, colours = dots(ax)
    np.testing.assert_allclose(where[:, 1], 10 + 3 * where[:, 0], rtol=1e-12)
    assert set(colours) == {style.BLUE}


def test_an_outlier_leaves_the_band():
    values = np.random.default_rng(3).normal(size=200)
    values[17] = 9.0
    where, colours = dots(diagnostics.qq_normal(values, ax=axes()))
    assert 9.0 in where[colours == style.VERMILLION, 1]


def test_thinned_quantiles_are_still_the_values():
    values = np.random.default_rng(4).normal(size=50_000)
    where, _ = dots(diagnostics.qq_normal(values, ax=axes()))
    assert where.shape[0] <= 600
    assert set(where[:, 1]) <= set(values)
    assert {values.min(), values.max()} <= set(where[:, 1])


@pytest.mark.parametrize(
    ("values", "said"),
    [([], "too few"), ([1.0, 2.0], "too few"), ([3.0] * 9, "the same"), ([0.0] * 9, "the same")],
)
def test_values_without_a_distribution_are_told(values, said):
    assert said in written(diagnostics.qq_normal(values, ax=axes()))


def test_values_that_are_not_uniform_leave_the_band():
    u = np.random.default_rng(5).random(500)
    assert set(dots(diagnostics.qq_uniform(u, ax=axes()))[1]) == {style.BLUE}
    assert style.VERMILLION in dots(diagnostics.qq_uniform(u**1.5, ax=axes()))[1]


def test_quartiles_of_scaled_residuals():
    x = np.arange(2000.0)
    u = np.tile([0.125, 0.375, 0.625, 0.875], 500)

    ax = diagnostics.scaled_by_fitted(x, u, ax=axes())

    curves = [line for line in ax.lines if to_hex(line.get_color()) == style.VERMILLION]
    for line, share in zip(curves, (0.25, 0.5, 0.75), strict=True):
        np.testing.assert_allclose(line.get_ydata(), np.quantile(u[:100], share))


# -- influence and simulations -----------------------------------------------------------------------------


def test_lines_of_equal_distance():
    h = np.array([0.05, 0.3, 0.5])
    r = np.array([0.5, -4.0, 3.0])
    cook = r**2 * h / (2 * (1 - h))

    ax = diagnostics.residuals_by_leverage(h, r, cook, n_fixed=2, names=["p", "q", "s"], ax=axes())

    dotted = [line.get_data() for line in ax.lines if line.get_linestyle() == ":"]
    found = [y**2 * x / (2 * (1 - x)) for x, y in dotted]
    assert len(found) == 4
    for distances, expected in zip(found, (0.5, 0.5, 1.0, 1.0), strict=True):
        np.testing.assert_allclose(distances, expected)
    assert {"p", "q", "s", "0.5", "1"} <= set(written(ax).split("\n"))


def test_rows_of_leverage_one_are_left_out():
    ax = diagnostics.residuals_by_leverage([0.2, 1.0], [1.0, np.nan], [0.1, np.nan], n_fixed=1, ax=axes())
    assert dots(ax)[0].shape == (1, 2)
    assert "\n0" in "\n" + written(ax)
    assert "1 row of leverage 1 not shown" in written(ax)


def test_a_refusal_leaves_the_other_panels_their_room():
    """One long sentence in a panel of six."""
    figure = Figure(figsize=(12, 7), layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    figure.draw_without_rendering()
    before = [ax.get_position().width for ax in panels]
    style.say(panels[4], "words that say at length why there is no picture " * 4)
    figure.draw_without_rendering()
    np.testing.assert_allclose([ax.get_position().width for ax in panels], before, rtol=0.05)
    [text] = panels[4].texts
    assert text.get_window_extent().width < panels[4].get_window_extent().width


def test_simulations_are_needed():
    with pytest.raises(DataError, match="there is no simulated response to draw"):
        diagnostics.simulated_densities(np.arange(5.0), np.empty((5, 0)), ax=axes())


def test_simulations_lie_behind_the_data():
    rng = np.random.default_rng(6)
    ax = diagnostics.simulated_densities(rng.normal(size=80), rng.normal(size=(80, 7)), ax=axes())
    assert len(ax.lines) == 8
    heights = np.array([line.get_ydata() for line in ax.lines])
    step = np.diff(ax.lines[0].get_xdata()[:2])
    np.testing.assert_allclose(heights.sum(axis=1) * step, 1.0, rtol=0.02)
    assert ax.lines[-1].get_linewidth() > ax.lines[0].get_linewidth()


# -- shrinkage and effects ---------------------------------------------------------------------------------


def test_arrows_lead_from_own_estimates_to_modes():
    within = np.array([[1.0, 2.0], [np.nan, np.nan], [-3.0, 1.0]])
    shrunk = 0.5 * np.nan_to_num(within)

    ax = effects.shrinkage_of_two(within, shrunk, labels=("a", "b"), ax=axes())

    [arrows] = [c for c in ax.collections if hasattr(c, "U")]
    np.testing.assert_array_equal(arrows.XY, within[[0, 2]])
    np.testing.assert_array_equal(np.column_stack([arrows.U, arrows.V]), (shrunk - within)[[0, 2]])
    assert "1 level without an estimate" in written(ax)


def test_shrinkage_of_one_effect():
    ax = effects.shrinkage_of_one([2.0, -2.0, np.nan], [1.0, -1.0, 0.0], size=[4, 16, 1], ax=axes())
    [points] = [c for c in ax.collections if len(c.get_offsets())]
    np.testing.assert_array_equal(points.get_offsets(), [[2.0, 1.0], [-2.0, -1.0]])
    small, large = points.get_sizes()
    assert large == pytest.approx(4 * small)
    assert "1 level without an estimate" in written(ax)


def test_of_very_many_levels_some_are_drawn():
    within = np.random.default_rng(8).normal(size=(50_000, 2))
    ax = effects.shrinkage_of_two(within, within / 2, labels=("a", "b"), ax=axes())
    assert len(dots(ax)[0]) == 2 * 2000
    assert "2,000 of 50,000 levels drawn" in written(ax)
    ax = effects.shrinkage_of_one(within[:, 0], within[:, 0] / 2, size=np.ones(50_000), ax=axes())
    assert len(ax.collections[0].get_offsets()) == 2000


def test_shrinkage_without_any_estimate_is_told():
    nothing = np.full((3, 2), np.nan)
    assert "no level" in written(
        effects.shrinkage_of_two(nothing, np.zeros((3, 2)), labels=("a", "b"), ax=axes())
    )
    assert "no level" in written(
        effects.shrinkage_of_one(nothing[:, 0], np.zeros(3), size=np.ones(3), ax=axes())
    )
    with pytest.raises(DataError, match="must both have the shape"):
        effects.shrinkage_of_two(nothing, np.zeros((2, 2)), labels=("a", "b"), ax=axes())


def test_levels_of_a_category_stand_where_their_data_do():
    code = np.repeat([0, 1, 2], 100)
    ax = effects.effect_levels(
        ["lo", "mid", "hi"], [1.0, 2.0, 3.0], [0.5, 1.5, 2.5], [1.5, 2.5, 3.5], data=(code, code + 1.0),
        shift=0.1, spread=0.2, ax=axes(),
    )  # fmt: skip
    assert [label.get_text() for label in ax.get_xticklabels()] == ["lo", "mid", "hi"]
    cloud = np.column_stack(ax.lines[0].get_data())
    assert (np.abs(cloud[:, 0] - (code + 0.1)) <= 0.2).all()
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), [0.1, 1.1, 2.1])


# -- intervals ---------------------------------------------------------------------------------------------


def test_a_profile_shows_curve_tangent_and_interval():
    from scipy.special import ndtri

    x = np.linspace(0.5, 4.0, 400)
    z = float(ndtri(0.975))
    limits = (float(np.exp(-z / 3)), float(np.exp(z / 3)))

    ax = intervals.profile_zeta(x, 3 * np.log(x), estimate=1.0, limits=limits, label="sd", ax=axes())

    tangent = next(line for line in ax.lines if line.get_linestyle() == "--")
    np.testing.assert_allclose(tangent.get_ydata(), 3 * (x - 1.0), atol=0.01)
    marks = np.concatenate([c.get_segments() for c in ax.collections if isinstance(c, LineCollection)])
    np.testing.assert_allclose(marks[:, 0, 0], limits)
    np.testing.assert_allclose(marks[:, 1, 1], [-z, z], rtol=1e-3)
    assert written(ax) == "95%: 0.5203 to 1.922"


def test_a_profile_that_ends_at_a_bound():
    x = np.linspace(0.0, 2.0, 50)
    ax = intervals.profile_zeta(x, 2 * x, estimate=0.0, limits=(0.0, 0.98), ax=axes())
    assert written(ax) == "95%: 0 to 0.98"
    ax = intervals.profile_zeta(x, 2 * x, estimate=0.0, limits=(np.nan, 0.98), ax=axes())
    assert written(ax) == "95%: … to 0.98"
    assert "no curve" in written(intervals.profile_zeta([1.0], [0.0], estimate=1.0, limits=(0, 2), ax=axes()))


def test_replicates_are_counted():
    values = np.append(np.random.default_rng(7).normal(size=1000), [np.nan, np.nan])

    ax = intervals.replicates(values, estimate=0.1, limits=(-2.0, 2.0), ax=axes())

    heights, edges, _ = ax.patches[0].get_data()
    assert heights.sum() == 1000
    assert 15 <= heights.size <= 60
    np.testing.assert_allclose([edges[0], edges[-1]], [np.nanmin(values), np.nanmax(values)])
    assert written(ax).split("\n") == ["2 of 1,002 replicates gave no number", "95%: −2 to 2"]
    assert 0.1 in [line.get_xdata()[0] for line in ax.lines]


@pytest.mark.parametrize("value", [0.0, 1e-12, 5.0, -1e9])
def test_replicates_that_are_all_the_same(value):
    ax = intervals.replicates(np.full(20, value), estimate=value, limits=(value, value), ax=axes())
    assert ax.patches[0].get_data().values.sum() == 20


def test_replicates_without_a_number_are_told():
    ax = intervals.replicates([np.nan], estimate=1.0, limits=(np.nan, np.nan), ax=axes())
    assert "no replicate gave a number" in written(ax)


# -- axes --------------------------------------------------------------------------------------------------


def test_another_number_of_axes_is_refused():
    with pytest.raises(DataError, match="this picture has 2 panels, and 1 axes were given"):
        style.panels(2, axes=[axes()])


def test_axes_may_be_a_grid():
    grid = Figure().subplots(2, 3)
    assert style.panels(6, axes=grid) == list(grid.ravel())


def test_notes_stand_above_each_other():
    ax = axes()
    style.titled(ax, "title", "x", "y")
    style.note(ax, "first")
    style.note(ax, "second")
    assert written(ax) == "second\nfirst"
    ax.figure.draw_without_rendering()
    top = ax.texts[0].get_window_extent().y1
    assert ax._left_title.get_window_extent().y0 >= top - 2


def test_without_matplotlib_the_error_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(DataError, match=r"pip install .henderson\[plot\]."):
        diagnostics.qq_normal([1.0, 2.0, 3.0])
