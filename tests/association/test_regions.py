"""Which variants of a scan a regional picture shows, and their disequilibrium with its lead."""

import numpy as np
import pandas as pd
import pytest

from henderson.association.ld import ld_with
from henderson.association.regions import find_region, region_r2, regional_plot
from henderson.errors import DataError
from henderson.genotype import ArraySource, Samples, Variants


@pytest.fixture
def source():
    rng = np.random.default_rng(0)
    m, n = 60, 90
    calls = rng.integers(0, 3, (m, n)).astype(np.int8)
    calls[1::2] = np.where(rng.random((m // 2, n)) < 0.7, calls[::2], calls[1::2])
    names = np.array([f"rs{k}" for k in range(m)])
    chromosome = np.array(["1"] * 30 + ["X"] * 30)
    position = np.concatenate([np.arange(30), np.arange(30)]) * 1000 + 5000
    alleles = np.full(m, "A"), np.full(m, "G")
    people = np.arange(n).astype(str)
    return ArraySource(calls, Samples(people, people), Variants(chromosome, position, names, *alleles))


@pytest.fixture
def table(source):
    v = source.variants
    strength = np.random.default_rng(1).exponential(size=v.m)
    strength[[3, 40]] = np.nan, 12.0
    return pd.DataFrame(
        {
            "chromosome": v.chromosome, "base_pair_location": v.position, "effect_allele": v.effect_allele,
            "other_allele": v.other_allele, "rsid": v.identifier, "neg_log_10_p_value": strength,
        }
    )  # fmt: skip


def test_around_a_variant(table):
    region = find_region(table, "rs10", window=2500)
    assert region.rows.tolist() == [8, 9, 10, 11, 12]
    assert region.lead == 2
    assert region.limits == (12_500, 17_500)


def test_of_several_with_one_name_the_best(table):
    table.loc[[5, 9, 50], "rsid"] = "twice"
    table.loc[[5, 9, 50], "neg_log_10_p_value"] = [np.nan, 3.0, 2.0]
    region = find_region(table, "twice", window=1)
    assert region.rows.tolist() == [9]


@pytest.mark.parametrize("where", ["X:5,000-30,000", "chrX:5000-30000", " X:5000-30000 "])
def test_between_two_positions(table, where):
    region = find_region(table, where)
    assert region.rows.tolist() == list(range(30, 56))
    assert region.rows[region.lead] == 40


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("rs999", "no variant 'rs999'"),
        ("X:5000", "no variant 'X:5000'"),
        ("X:,-,", "no variant 'X:,-,'"),
        ("7:1-2", "no chromosome '7'; it has '1', 'X'"),
        ("1:1-2", "no variant was tested on 1:1-2"),
        ("1:8000-8000", "no variant was tested"),
    ],
)
def test_regions_that_are_not_there(table, where, said):
    with pytest.raises(DataError, match=said):
        find_region(table, where)


def test_disequilibrium_is_found_by_place_and_alleles(source, table):
    rng = np.random.default_rng(2)
    table = table.drop(index=[35, 50]).sample(frac=1.0, random_state=1).reset_index(drop=True)
    swapped = rng.random(len(table)) < 0.5
    a, b = table["effect_allele"].copy(), table["other_allele"].copy()
    table["effect_allele"], table["other_allele"] = np.where(swapped, b, a), np.where(swapped, a, b)
    unknown = table.index[table["rsid"] == "rs33"][0]
    table.loc[unknown, "other_allele"] = "T"
    people = np.arange(0, 90, 2)
    region = find_region(table, "rs40", window=10_000)
    found = region_r2(table, region, source, people)
    names = table["rsid"].iloc[region.rows].tolist()
    wanted = ld_with(source, 40, [int(name[2:]) for name in names], people)
    wanted[names.index("rs33")] = np.nan
    np.testing.assert_array_equal(found, wanted)
    assert found[region.lead] == pytest.approx(1.0)
    table.loc[region.rows[region.lead], "other_allele"] = "T"
    assert np.isnan(region_r2(table, region, source)).all()


def test_the_picture(source, table):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    from matplotlib.figure import Figure

    ax = regional_plot(table, "chrX:1-40,000", source=source, ax=Figure().add_subplot(), title="t")
    [diamond] = [line for line in ax.lines if line.get_marker() == "D"]
    assert np.column_stack(diamond.get_data()).tolist() == [[15_000.0, 12.0]]
    assert ax.get_xlabel() == "position on chromosome X (kb)"
    assert "rs40" in [text.get_text() for text in ax.texts]
    assert ax.get_legend() is not None
    grey = regional_plot(table, "rs40", ax=Figure().add_subplot())
    assert grey.get_legend() is None
