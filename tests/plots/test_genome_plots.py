import sys
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from henderson.errors import DataError
from henderson.plots.genome import manhattan, qq, save_plots
from henderson.plots.genome_axis import genome_axis, natural_order, thinned

pytest.importorskip("matplotlib", reason="needs matplotlib")

from matplotlib.figure import Figure


def axes(size=(10, 4)):
    return Figure(figsize=size, layout="constrained").add_subplot()


def drawn(ax):
    """Heights of all points in a plot, sorted."""
    dots = [line.get_ydata() for line in ax.lines if line.get_marker() == "o"]
    return np.sort(np.concatenate(dots))


def ticks(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def notes(ax):
    return " ".join(text.get_text() for text in ax.texts)


def genome(m, seed=0):
    rng = np.random.default_rng(seed)
    chromosomes = np.array([*map(str, range(1, 23)), "X"])
    chromosome = np.sort(rng.integers(0, 23, m))
    return chromosomes[chromosome], rng.integers(1, 2 * 10**8, m), -np.log10(rng.random(m))


def test_chromosomes_are_in_natural_order():
    order = [*map(str, range(1, 23)), "X", "Y", "MT", "GL9", "GL10", "0"]

    shuffled = np.random.default_rng(1).permutation(order)
    assert sorted(shuffled, key=natural_order) == order
    assert sorted("chr" + name for name in shuffled)[0] == "chr0"
    assert sorted(("chr" + name for name in shuffled), key=natural_order) == ["chr" + name for name in order]


@given(st.lists(st.text(max_size=6), max_size=20))
def test_every_name_has_a_place(names):
    keys = sorted(map(natural_order, names))  # any two can be compared
    assert all(a <= b for a, b in pairwise(keys))


def test_labels_of_a_genome():
    chromosome, position, y = genome(5000)
    shuffle = np.random.default_rng(2).permutation(5000)

    ax = manhattan(chromosome[shuffle], position[shuffle], y[shuffle], ax=axes())

    assert ticks(ax) == [*map(str, range(1, 23)), "X"]
    assert ax.get_xlabel() == "Chromosome"


def test_labels_leave_room_for_each_other():
    names = [f"scaffold_{i}" for i in range(300)]

    ax = manhattan(names, np.ones(300), np.ones(300), ax=axes())
    ax.figure.draw_without_rendering()

    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert 3 < len(boxes) < 300
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_chromosomes_follow_each_other_without_overlap():
    rng = np.random.default_rng(3)
    chromosome = rng.choice(["1", "2", "0", "X", "7"], 400)
    position = np.where(chromosome == "0", 0, rng.integers(-50, 10**8, 400))

    axis = genome_axis(chromosome, position)

    assert axis.names == ["1", "2", "7", "X", "0"]
    ranges = [(axis.x[axis.code == i].min(), axis.x[axis.code == i].max()) for i in range(5)]
    assert all(a[1] < b[0] for a, b in pairwise(ranges))
    assert all(a < c < b for (a, b), c in zip(ranges, axis.centres, strict=True))
    for i, name in enumerate(axis.names[:4]):
        mine = chromosome == name
        assert (axis.code[mine] == i).all()
        assert (np.argsort(axis.x[mine]) == np.argsort(position[mine])).all()
    unplaced = axis.x[chromosome == "0"]
    assert (np.diff(unplaced) > 0).all()  # spread, in the order of the file


def test_one_chromosome_has_positions_in_megabases():
    ax = manhattan(["chr7"] * 3, [-4_000_000, 1_000_000, 9_000_000], [1, 2, 3], ax=axes())
    ax.figure.draw_without_rendering()

    assert ax.get_xlabel() == "Position on chromosome 7 (Mb)"
    assert {"−4", "0", "8"} <= set(ticks(ax))


def test_short_regions_have_positions_in_kilobases():
    ax = manhattan(["7"] * 2, [5_000, 9_000], [1, 2], ax=axes())
    assert ax.get_xlabel() == "Position on chromosome 7 (kb)"


@pytest.mark.parametrize("m", [1, 5])
def test_one_chromosome_without_positions(m):
    ax = manhattan(["0"] * m, np.zeros(m), np.ones(m), ax=axes())
    ax.figure.draw_without_rendering()

    assert ax.get_xlabel() == "Variants in the order of the file"
    assert len(drawn(ax)) == m


def test_thinning_never_loses_what_matters():
    m = 300_000
    chromosome, position, y = genome(m)
    y[::1000] += 3

    ax = manhattan(chromosome, position, y, ax=axes())

    points = drawn(ax)
    assert len(points) < 120_000
    np.testing.assert_array_equal(points[points >= 2.5], np.sort(y[y >= 2.5]))
    assert np.isin(points, y).all()


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40))
def test_thinning_leaves_one_point_in_each_cell(seed, columns, rows):
    rng = np.random.default_rng(seed)
    x, y = rng.random(500), rng.exponential(1.5, 500)

    kept = thinned(x, y, keep_above=2.5, columns=columns, rows=rows)

    assert set(np.flatnonzero(y >= 2.5)) <= set(kept)
    edges = [np.linspace(x.min(), x.max(), columns + 1), np.linspace(0, 2.5, rows + 1)]
    low, low_kept = y < 2.5, kept[y[kept] < 2.5]
    before = np.histogram2d(x[low], y[low], edges)[0]
    after = np.histogram2d(x[low_kept], y[low_kept], edges)[0]
    np.testing.assert_array_equal(after, before > 0)


def test_few_points_are_all_drawn():
    rng = np.random.default_rng(4)
    ax = manhattan(rng.choice(["1", "2"], 30), rng.integers(1, 10**7, 30), rng.random(30), ax=axes())
    assert len(drawn(ax)) == 30


@pytest.mark.parametrize(
    ("m", "highest", "expected"),
    [
        (30, 1.0, ["0.05 / 30 variants"]),
        (30, 9.0, [r"$5 \times 10^{-8}$", "0.05 / 30 variants"]),
        (2000, 1.0, [r"$5 \times 10^{-8}$", "0.05 / 2,000 variants"]),
        (600_000, 1.0, [r"$5 \times 10^{-8}$"]),
    ],
)
def test_thresholds(m, highest, expected):
    y = np.full(m, highest)
    ax = manhattan(np.where(np.arange(m) % 2, "1", "2"), np.arange(m), y, ax=axes())

    assert [text.get_text() for text in ax.get_legend().get_texts()] == expected
    lines = {line.get_ydata()[0] for line in ax.lines if line.get_marker() != "o"}
    assert (-np.log10(5e-8) in lines) == (len(expected) == 2 or m > 1000)
    assert all(0 < height < ax.get_ylim()[1] for height in lines)


def test_the_best_variants_have_labels_that_do_not_overlap():
    chromosome, position, y = genome(3000, seed=5)
    names = np.array([f"rs{i}" for i in range(3000)])
    strong = np.array([0, 1, 700, 1500, 2998, 2999])
    y[strong] = [300, 20, 12, 40, 50, 51]

    ax = manhattan(chromosome, position, y, rsid=names, ax=axes())
    ax.figure.draw_without_rendering()

    labels = {text.get_text() for text in ax.texts}
    assert {"rs0", "rs1500", "rs2999"} <= labels <= {f"rs{i}" for i in strong}
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    frame = ax.get_window_extent()
    assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and b.y1 <= frame.y1 for b in boxes)
    fewer = manhattan(chromosome, position, y, rsid=names, ax=axes(), n_labels=1)
    assert [text.get_text() for text in fewer.texts] == ["rs0"]


def test_p_values_far_below_the_smallest_double():
    chromosome, position, y = genome(100)
    y[7] = 400.0

    assert manhattan(chromosome, position, y, ax=axes()).get_ylim()[1] > 400
    assert drawn(qq(y, ax=axes()))[-1] == 400


def test_variants_without_a_test_are_counted():
    chromosome, position, y = genome(1200)
    y[:1050] = np.nan
    y[1100] = np.inf

    across, quantiles = manhattan(chromosome, position, y, ax=axes()), qq(y, ax=axes((4.5, 4.5)))

    assert "1,050 variants without a test" in notes(across)
    assert "1 with p = 0 at the top" in notes(across)
    assert "1,050 without a test" in notes(quantiles)
    assert "\n150 variants" in notes(quantiles)
    for ax in (across, quantiles):
        assert len(drawn(ax)) == 150
        assert np.isfinite(drawn(ax)).all()


@pytest.mark.parametrize("m", [0, 3])
def test_a_scan_without_any_test(m):
    y = np.full(m, np.nan)
    assert "no variant was tested" in notes(manhattan(["1"] * m, [1] * m, y, ax=axes()))
    assert "no variant was tested" in notes(qq(y, ax=axes()))


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="differ in length"):
        manhattan(["1", "1"], [1, 2, 3], [1.0, 2.0, 3.0], ax=axes())


def test_the_band_holds_95_percent_of_order_statistics():
    m, rank = 40, np.array([1, 2, 20, 40])
    ax = qq(np.random.default_rng(6).exponential(0.4, m), ax=axes())
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices

    for i in rank:
        at = -np.log10((i - 0.5) / m)
        found = np.unique(corners[np.isclose(corners[:, 0], at), 1].round(12))
        exact = -np.log10(stats.beta.ppf([0.975, 0.025], i, m - i + 1))
        np.testing.assert_allclose(found, exact, rtol=1e-8)


def test_quantiles_are_in_order_and_keep_the_top():
    y = np.random.default_rng(7).exponential(0.6, 200_000)
    ax = qq(y, ax=axes())
    (dots,) = [line for line in ax.lines if line.get_marker() == "o"]

    x, height = dots.get_data()
    assert len(x) < 10_000
    assert (np.diff(x) < 0).all()
    assert (np.diff(height) <= 0).all()
    np.testing.assert_array_equal(height[height >= 2.5], np.sort(y[y >= 2.5])[::-1])
    ordered = np.sort(y)[::-1]
    ranks = np.round(10.0**-x * 200_000 + 0.5).astype(int)
    np.testing.assert_array_equal(height, ordered[ranks - 1])
    assert x.min() < 0.01
    assert np.max(-np.diff(x)[x[1:] < 2]) < 0.02


def test_plots_are_saved_without_pyplot(tmp_path):
    chromosome, position, y = genome(500)
    table = pd.DataFrame(
        {
            "chromosome": chromosome,
            "base_pair_location": position,
            "neg_log_10_p_value": y,
            "rsid": [f"rs{i}" for i in range(500)],
        }
    )
    had_pyplot = "matplotlib.pyplot" in sys.modules

    paths = save_plots(table, tmp_path / "a", title="height")

    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot
    assert [path.name for path in paths] == ["a.manhattan.png", "a.qq.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.manhattan.png", "a.qq.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    save_plots(table.drop(columns="rsid").iloc[:0], tmp_path / "empty")
    with pytest.raises(DataError, match="cannot be written"):
        save_plots(table, tmp_path / "nowhere" / "a")


def test_a_million_points_take_seconds_at_most():
    chromosome, position, y = genome(1_000_000)
    began = time.process_time()

    ax = manhattan(chromosome.astype(object), position, y, ax=axes())

    assert time.process_time() - began < 5  # about 0.4 s alone on a core
    assert len(drawn(ax)) < 250_000


def test_without_matplotlib_the_error_says_what_installs_it(tmp_path, monkeypatch):
    for name in ["matplotlib.figure", "matplotlib.pyplot", "matplotlib.backends.backend_agg"]:
        monkeypatch.setitem(sys.modules, name, None)
    table = pd.DataFrame({"chromosome": ["1"], "base_pair_location": [1], "neg_log_10_p_value": [1.0]})

    for call in (
        lambda: save_plots(table, tmp_path / "a"),
        lambda: qq([1.0]),
        lambda: manhattan(["1"], [1], [1.0]),
    ):
        with pytest.raises(DataError, match=r'pip install "henderson\[plot\]"'):
            call()
