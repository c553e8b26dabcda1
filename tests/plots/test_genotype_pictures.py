"""Regions of a scan, effects of a variant, relationships and principal components: what is drawn where."""

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from henderson.errors import DataError
from henderson.plots.pca import pca_plot
from henderson.plots.regional import BANDS, regional
from henderson.plots.relationship import clustered, relationship_histogram, relationship_map
from henderson.plots.style import BLUE, GREY, PURPLE, SERIES
from henderson.plots.variant_effect import variant_effect

pytest.importorskip("matplotlib", reason="needs matplotlib")

from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


def axes(size=(6, 4)):
    return Figure(figsize=size, layout="constrained").add_subplot()


def written(ax):
    return "\n".join(text.get_text() for text in ax.texts)


def marked(ax, marker):
    """Points of a marker: (n, 2) places, and the colour of each."""
    lines = [line for line in ax.lines if line.get_marker() == marker]
    where = np.concatenate([np.column_stack(line.get_data()) for line in lines])
    return where, np.concatenate([[to_hex(line.get_color())] * len(line.get_xdata()) for line in lines])


def xticks(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def png(ax):
    file = io.BytesIO()
    ax.figure.savefig(file, format="png")
    return file.getbuffer().nbytes


# -- regional ----------------------------------------------------------------------------------------------


def test_variants_have_the_colour_of_their_band():
    r2 = np.array([1.0, 0.8, 0.79, 0.6, 0.45, 0.2, 0.19, 0.0, np.nan])
    x = np.arange(9.0) + 50
    ax = regional(x, x / 10, r2, lead=0, ax=axes())
    where, colours = marked(ax, "o")
    found = dict(zip(where[:, 0].tolist(), colours.tolist(), strict=True))
    bands = [colour for _, colour in BANDS]
    wanted = [bands[k] for k in (0, 1, 1, 2, 3, 4, 4)]
    assert [found[place] for place in x[1:8]] == wanted
    assert found[x[8]] not in bands
    assert x[0] not in found
    np.testing.assert_allclose(where[:, 1], where[:, 0] / 10)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000))
def test_bands_begin_where_they_say(thousandths):
    r2 = thousandths / 1000
    ax = regional([1, 2], [1.0, 2.0], [r2, 1.0], lead=1, ax=axes())
    _, [colour] = marked(ax, "o")
    [name] = [name for name, c in BANDS if c == colour]
    low, high = map(float, name.split("–"))
    assert low <= r2 < high or r2 == high == 1.0


def test_the_lead_is_a_diamond_with_its_name():
    ax = regional([10, 20, 30], [1.0, 9.0, 2.0], [0.1, 1, 0.1], lead=1, name="rs7", ax=axes())
    where, [colour] = marked(ax, "D")
    assert where.tolist() == [[20.0, 9.0]]
    assert colour == PURPLE
    [label] = [text for text in ax.texts if text.get_text() == "rs7"]
    assert label.xy == (20.0, 9.0)


def test_strong_disequilibrium_lies_on_top():
    ax = regional([1, 2, 3], [1, 2, 3], [0.1, 0.9, 1], lead=2, ax=axes())
    order = {to_hex(line.get_color()): line.get_zorder() for line in ax.lines if line.get_marker() == "o"}
    heights = [order[colour] for _, colour in BANDS]
    assert all(a > b for a, b in pairwise(heights))


def test_the_region_and_its_axis():
    position = np.array([1_000_000, 1_500_000, 2_600_000, 9_000_000])
    ax = regional(position, [1, 2, 3, 99], lead=1, chromosome="7", limits=(1e6, 3e6), ax=axes())
    assert ax.get_xlabel() == "position on chromosome 7 (Mb)"
    low, high = ax.get_xlim()
    assert 0.9e6 < low < 1e6
    assert 3e6 < high < 3.1e6
    assert sorted(marked(ax, "o")[0][:, 0]) == [1_000_000, 2_600_000]
    assert ax.get_ylim()[1] < 10
    ax.figure.draw_without_rendering()
    assert "1.5" in xticks(ax)
    assert ax.get_legend() is None  # nothing is known of r2
    assert regional([1000, 90_000], [1, 2], lead=0, ax=axes()).get_xlabel() == "position (kb)"


@pytest.mark.parametrize(("highest", "drawn"), [(3.0, False), (6.5, True), (30.0, True)])
def test_the_genome_wide_line_where_it_matters(highest, drawn):
    ax = regional([1, 2], [0.5, highest], lead=1, ax=axes())
    lines = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert lines == ([pytest.approx(-np.log10(5e-8))] if drawn else [])


def test_variants_without_a_test_are_left_out():
    ax = regional([1, 2, 3], [np.nan, 2, np.nan], lead=1, ax=axes())
    assert marked(ax, "D")[0].tolist() == [[2.0, 2.0]]
    assert len(marked(ax, "o")[0]) == 0
    assert "no variant was tested" in written(regional([1, 2], [np.nan] * 2, lead=0, ax=axes()))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lead": 3}, "no such variant"),
        ({"lead": 0, "r2": [0.1, 1.2, 0]}, "squared correlation"),
        ({"lead": 0, "r2": [0.1]}, "1 values where 3"),
        ({"lead": 0, "limits": (5, 2)}, "ends before"),
    ],
)
def test_regions_that_cannot_be_drawn(options, said):
    with pytest.raises(DataError, match=said):
        regional([1, 2, 3], [1, 2, 3], ax=axes(), **options)


# -- effect of a variant -----------------------------------------------------------------------------------


def test_means_intervals_boxes_and_counts():
    rng = np.random.default_rng(0)
    copies = rng.choice([0, 1, 2], 300, p=[0.5, 0.4, 0.1])
    y = rng.normal(size=300) + copies
    ax = variant_effect(copies, y, effect_allele="A", other_allele="G", label="height", ax=axes())
    groups = [y[copies == k] for k in range(3)]
    assert xticks(ax) == [
        f"{name}\n{len(group)}" for name, group in zip(["GG", "AG", "AA"], groups, strict=True)
    ]
    where, colours = marked(ax, "o")
    means = where[colours == "#000000"]
    np.testing.assert_allclose(means, [[k, group.mean()] for k, group in enumerate(groups)])
    people = where[colours == BLUE]
    assert len(people) == 300
    for k, group in enumerate(groups):
        mine = np.abs(people[:, 0] - k) < 0.45
        np.testing.assert_allclose(np.sort(people[mine, 1]), np.sort(group))
    bars = [c.get_segments()[0] for c in ax.collections if isinstance(c, LineCollection)]
    upright = sorted((bar for bar in bars if bar[0, 0] == bar[1, 0]), key=lambda bar: bar[0, 0])
    for bar, group in zip(upright, groups, strict=True):
        wanted = stats.t.interval(0.95, len(group) - 1, group.mean(), stats.sem(group))
        np.testing.assert_allclose(bar[:, 1], wanted)
    boxes = [box for box in ax.patches if isinstance(box, Rectangle)]
    for box, group in zip(boxes, groups, strict=True):
        low, high = np.quantile(group, [0.25, 0.75])
        assert (box.get_y(), box.get_y() + box.get_height()) == pytest.approx((low, high))
    flat = [bar for bar in bars if bar[0, 1] == bar[1, 1]]
    np.testing.assert_allclose(sorted(bar[0, 1] for bar in flat), sorted(map(np.median, groups)))
    assert ax.get_ylabel() == "height"


def test_the_line_runs_through_the_means_and_the_band_is_one_standard_error():
    copies, y = np.array([0, 0, 1, 2]), np.array([1.0, 2.0, 2.5, 4.0])
    ax = variant_effect(copies, y, effect_allele="A", other_allele="G", beta=1.25, se=0.2, ax=axes())
    [line] = [line for line in ax.lines if line.get_marker() == "None"]
    x, height = line.get_data()
    np.testing.assert_allclose(height, y.mean() + 1.25 * (x - copies.mean()))
    [band] = [c for c in ax.collections if isinstance(c, PolyCollection)]
    corners = band.get_paths()[0].vertices
    gap = np.abs(corners[:, 1] - y.mean() - 1.25 * (corners[:, 0] - copies.mean()))
    np.testing.assert_allclose(gap, 0.2 * np.abs(corners[:, 0] - copies.mean()), atol=1e-12)
    assert r"$\beta$ = 1.25 ± 0.2" in written(ax)


def test_people_without_genotype_or_trait_are_counted():
    ax = variant_effect(
        [0, 1, -1, np.nan, 2], [1, 2, 3, 4, np.nan], effect_allele="A", other_allele="G", ax=axes()
    )
    assert xticks(ax) == ["GG\n1", "AG\n1", "AA\n0"]
    assert "3 people without genotype or trait not shown" in written(ax)
    nobody = variant_effect([-1], [1.0], effect_allele="A", other_allele="G", ax=axes())
    assert "nobody has both" in written(nobody)


def test_long_alleles_are_shortened():
    ax = variant_effect([0, 1, 2], [1, 2, 3], effect_allele="GTTACAGATA", other_allele="G", ax=axes())
    assert xticks(ax) == ["G/G\n1", "GTTA…/G\n1", "GTTA…/GTTA…\n1"]


def test_cases_and_controls_have_no_box():
    ax = variant_effect(
        [0, 0, 1, 1, 2] * 9, [0, 1, 0, 1, 1] * 9, effect_allele="A", other_allele="G", ax=axes()
    )
    assert not [box for box in ax.patches if isinstance(box, Rectangle)]
    where, colours = marked(ax, "o")
    np.testing.assert_allclose(where[colours == "#000000"], [[0, 0.5], [1, 0.5], [2, 1]])


def test_dosages_are_a_cloud():
    x, y = np.array([0.1, 0.9, 1.95]), np.array([1.0, 2.0, 3.0])
    ax = variant_effect(x, y, effect_allele="A", other_allele="G", ax=axes())
    np.testing.assert_allclose(marked(ax, "o")[0], np.column_stack([x, y]))
    assert ax.get_xlabel() == "copies of A"
    assert xticks(ax) == ["0\nGG", "1\nAG", "2\nAA"]


@pytest.mark.parametrize("dosages", [False, True])
def test_half_a_million_people_are_few_marks(dosages):
    rng = np.random.default_rng(1)
    copies = rng.binomial(2, 0.3, 500_000).astype(float)
    if dosages:
        copies = np.clip(copies + 0.05 * rng.normal(size=copies.size), 0, 2)
    y = rng.gamma(2.0, size=copies.size)
    ax = variant_effect(copies, y, effect_allele="A", other_allele="G", beta=0.1, se=0.01, ax=axes())
    png(ax)
    drawn = [line for line in ax.lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in drawn) <= 3


def test_densities_are_as_wide_as_the_share_of_people():
    rng = np.random.default_rng(2)
    y = np.concatenate([rng.normal(-3, 1, 20_000), rng.normal(3, 1, 20_000)])
    ax = variant_effect(np.zeros(y.size), y, effect_allele="A", other_allele="G", ax=axes())
    [violin] = [c for c in ax.collections if isinstance(c, PolyCollection)]
    corners = violin.get_paths()[0].vertices

    def width(height):
        near = np.abs(corners[:, 1] - height) < 0.2
        return np.ptp(corners[near, 0])

    assert width(3.0) == pytest.approx(width(-3.0), rel=0.06)
    assert width(0.0) < 0.1 * width(3.0)


def test_three_copies_are_refused():
    with pytest.raises(DataError, match="two at most"):
        variant_effect([0, 3], [1, 2], effect_allele="A", other_allele="G", ax=axes())


@settings(deadline=None, max_examples=12)
@given(
    st.lists(
        st.tuples(st.sampled_from([-1, 0, 1, 2, np.nan]), st.sampled_from([0.0, 1.0, 5.5, np.nan])),
        max_size=12,
    ),
    st.sampled_from([None, 0.3, np.nan]),
)
def test_whatever_the_people(people, beta):
    copies, trait = [c for c, _ in people], [y for _, y in people]
    png(variant_effect(copies, trait, effect_allele="A", other_allele="G", beta=beta, se=beta, ax=axes()))


# -- relationships -----------------------------------------------------------------------------------------


def families(n, size, seed=0):
    """Unrelated families of full siblings, in a random order: matrix and family of each person."""
    family = np.random.default_rng(seed).permutation(np.arange(n) // size)
    return np.where(family[:, None] == family, 0.5, 0.0) + 0.5 * np.eye(n), family


@pytest.mark.parametrize(("n", "size"), [(60, 4), (2600, 13)])
def test_relatives_become_neighbours(n, size):
    matrix, family = families(n, size)
    order = clustered(matrix)
    assert sorted(order.tolist()) == list(range(n))
    changes = np.count_nonzero(np.diff(family[order]))
    assert changes == n // size - 1


def test_how_people_are_related_to_themselves_is_no_matter():
    matrix, _ = families(60, 4)
    np.testing.assert_array_equal(clustered(matrix - 0.9 * np.eye(60)), clustered(matrix))


def image(ax):
    [drawn] = ax.images
    return np.asarray(drawn.get_array())


def test_the_map_as_given():
    matrix, _ = families(12, 3)
    ax = relationship_map(matrix, order="given", names=[f"p{k}" for k in range(12)], ax=axes())
    np.testing.assert_array_equal(image(ax), matrix)
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"p{k}" for k in range(12)]
    low, high = ax.images[0].get_clim()
    assert (low, high) == (-0.5, 0.5)  # of pairs, not of people with themselves


def test_the_sorted_map_has_the_same_relationships():
    matrix, family = families(40, 4)
    names = [str(k) for k in family]
    ax = relationship_map(matrix, names=names, ax=axes())
    shown = np.array([label.get_text() for label in ax.get_yticklabels()])
    np.testing.assert_array_equal(image(ax) >= 0.5, shown[:, None] == shown)


def test_large_maps_are_means_over_people():
    rng = np.random.default_rng(3)
    n = 2500
    half = rng.normal(size=(n, 3))
    matrix = half @ half.T
    ax = relationship_map(matrix, order="given", ax=axes())
    edges = np.linspace(0, n, 1001).astype(int)
    weight = np.zeros((1000, n))
    for k, (a, b) in enumerate(pairwise(edges)):
        weight[k, a:b] = 1 / (b - a)
    np.testing.assert_allclose(image(ax), weight @ matrix @ weight.T, atol=1e-10)
    assert "2,500 people, each cell the mean of 2.5 x 2.5" in written(ax)
    assert not ax.get_yticklabels()


def test_white_is_zero():
    ax = relationship_map(families(12, 3)[0], ax=axes())
    drawn = ax.images[0]
    np.testing.assert_allclose(drawn.cmap(drawn.norm(0.0)), 1.0, atol=0.01)
    assert drawn.cmap(drawn.norm(-0.3))[2] > 0.8  # blue
    assert drawn.cmap(drawn.norm(0.3))[2] < 0.5


def test_the_histogram_counts_each_pair_once():
    rng = np.random.default_rng(4)
    n = 700  # of more than one piece
    matrix = rng.normal(0, 0.02, (n, n))
    matrix = np.tril(matrix, -1) + np.tril(matrix, -1).T + np.eye(n)
    for k, value in enumerate([1.0, 0.5, 0.5, 0.25, 0.12, 0.13, 0.12]):
        matrix[2 * k, 2 * k + 1] = matrix[2 * k + 1, 2 * k] = value
    ax = relationship_histogram(matrix, ax=axes())
    [steps] = ax.patches
    count, edges, _ = steps.get_data()
    assert count.sum() == n * (n - 1) // 2
    np.testing.assert_array_equal(count, np.histogram(matrix[np.tril_indices(n, -1)], edges)[0])
    texts = written(ax)
    for text in ("duplicate, twin: 1", "1st degree: 2", "2nd: 1", "3rd: 3", "244,650 pairs of 700 people"):
        assert text in texts
    marks = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]
    assert marks == [1.0, 0.5, 0.25, 0.125]
    assert ax.get_yscale() == "log"


def test_without_close_relatives_twins_have_no_mark():
    ax = relationship_histogram(np.eye(5), ax=axes())
    assert "twin" not in written(ax)
    assert "1st degree: 0" in written(ax)
    png(ax)


@pytest.mark.parametrize("draw", [relationship_map, relationship_histogram])
def test_matrices_that_are_none(draw):
    with pytest.raises(DataError, match=r"square; its shape is \(2, 3\)"):
        draw(np.zeros((2, 3)), ax=axes())
    with pytest.raises(DataError, match="missing or infinite"):
        draw([[1, np.nan], [np.nan, 1]], ax=axes())
    assert "no two people" in written(draw([[1.0]], ax=axes()))
    png(draw([[1.0, 0.0], [0.0, 1.0]], ax=axes()))


def test_orders_and_names_that_are_none():
    with pytest.raises(DataError, match="'cluster' or 'given'"):
        relationship_map(np.eye(3), order="size", ax=axes())
    with pytest.raises(DataError, match="2 names for 3 people"):
        relationship_map(np.eye(3), names=["a", "b"], ax=axes())


# -- principal components ----------------------------------------------------------------------------------


def test_components_and_their_shares():
    scores = np.arange(12.0).reshape(4, 3)
    ax = pca_plot(scores, components=(3, 1), share=[0.5, 0.3, 0.0123], ax=axes())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("PC3 (1.23%)", "PC1 (50%)")
    np.testing.assert_array_equal(marked(ax, "o")[0], scores[:, [2, 0]])
    assert ax.get_legend() is None
    assert pca_plot(scores, ax=axes()).get_ylabel() == "PC2"


def test_groups_have_colours_and_shapes_of_their_own():
    rng = np.random.default_rng(5)
    groups = rng.choice([f"g{k:02d}" for k in range(20)], 500).astype(object)
    groups[:3] = None, np.nan, ""
    scores = rng.normal(size=(500, 2))
    ax = pca_plot(scores, groups=groups, ax=axes())
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == [f"g{k:02d}" for k in range(20)] + ["unknown"]
    found = {}
    for k, each in enumerate(c for c in ax.collections if isinstance(c, PathCollection)):
        for place, colour in zip(each.get_offsets().tolist(), each.get_facecolor(), strict=True):
            found[tuple(place)] = (k, to_hex(colour))
    assert len(found) == 500
    for place, group in zip(scores[3:].tolist(), groups[3:].tolist(), strict=True):
        number = int(group[1:])
        assert found[tuple(place)] == (number // len(SERIES), SERIES[number % len(SERIES)])
    assert all(found[tuple(place)] == (0, GREY) for place in scores[:3].tolist())


def test_people_without_scores_are_counted():
    ax = pca_plot([[0, 1], [np.nan, 2], [3, 3]], ax=axes())
    assert "1 person without scores not shown" in written(ax)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"components": (1, 3)}, "no component 3: the scores have 1 to 2"),
        ({"components": (0, 1)}, "no component 0"),
        ({"groups": ["a"]}, "1 groups for 3 people"),
        ({"share": [0.5]}, "1 shares, and component 2"),
    ],
)
def test_components_that_cannot_be_drawn(options, said):
    with pytest.raises(DataError, match=said):
        pca_plot(np.zeros((3, 2)), ax=axes(), **options)


def test_more_groups_than_can_be_told_apart():
    with pytest.raises(DataError, match="merge some"):
        pca_plot(np.zeros((200, 2)), groups=[f"{k}" for k in range(200)], ax=axes())
    with pytest.raises(DataError, match=r"their shape is \(3,\)"):
        pca_plot(np.zeros(3), ax=axes())
