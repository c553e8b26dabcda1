"""Many traits in one scan: the numbers of a scan of each, whatever is missing where."""

import logging

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from henderson.association.scan_traits import scan_traits
from henderson.errors import DataError
from henderson.genotype import ArraySource
from plink_files import random_genotypes


def cohort(n=90, m=40, n_traits=6, seed=5, missing=0.04):
    """Two chromosomes, related people, traits with effects of the variants; some values missing."""
    rng = np.random.default_rng(seed)
    calls = random_genotypes(m, n, seed=seed, missing=missing)
    calls[3] = 0  # monomorphic
    source = ArraySource.of(calls)
    source.variants.chromosome[m // 2 :] = "2"
    g = rng.normal(size=(n_traits, m)) @ np.where(calls < 0, 0, calls) / np.sqrt(m)
    table = pd.DataFrame(
        (g + rng.normal(size=(n_traits, n))).T, columns=[f"trait {k}" for k in range(n_traits)]
    )
    table["age"] = rng.normal(40, 10, size=n)
    table["family"] = rng.integers(0, 20, size=n).astype(str)
    table.insert(0, "IID", source.samples.iid)
    table.loc[[4, 7], "trait 2"] = np.nan
    table.loc[[1], ["trait 3", "trait 5"]] = np.nan
    return source, table, [f"trait {k}" for k in range(n_traits)]


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("~ age", {"relationship": "grm", "test": "null"}),
        ("~ age", {"relationship": "loco", "test": "null"}),
        ("~ age", {"relationship": "grm", "test": "exact"}),
        ("~ age + (1 | family)", {"test": "null"}),
    ],
    ids=["grm", "loco", "exact", "groups"],
)
@pytest.mark.parametrize("p_below", [None, 0.05])
def test_each_trait_is_its_own_scan(formula, options, p_below):
    source, table, traits = cohort()
    found = scan_traits(formula, table, source, traits=traits, p_below=p_below, threads=2, **options)
    assert found["trait"].drop_duplicates().tolist() == traits
    for trait, rows in found.groupby("trait", observed=True):
        alone = hd.scan(f"`{trait}` {formula}", table, source, **options).table
        expected = alone[alone["p_value"] <= (p_below or 1.0)].reset_index(drop=True)
        ours = rows.drop(columns="trait").reset_index(drop=True)
        assert list(ours.columns) == list(expected.columns)
        pd.testing.assert_frame_equal(ours, expected, check_dtype=False, rtol=1e-8, atol=0)


def test_what_is_kept_is_what_is_below():
    source, table, traits = cohort(seed=8)
    every = scan_traits("~ age", table, source, traits=traits, relationship="grm")
    assert len(every) == len(traits) * 39
    for p in (0.3, every["p_value"].min()):  # a bound that is itself a p-value
        kept = scan_traits("~ age", table, source, traits=traits, relationship="grm", p_below=p)
        expected = every[every["p_value"] <= p].reset_index(drop=True)
        assert len(kept) >= 1
        pd.testing.assert_frame_equal(kept, expected)


def test_the_log_says_who_was_analysed_and_what_was_left_out(caplog):
    source, table, traits = cohort()
    table["flat"] = 1.0
    with caplog.at_level(logging.INFO, logger="henderson"):
        found = scan_traits("~ age", table, source, traits=[*traits, "flat"], relationship="grm", p_below=0.5)
    assert "flat" not in set(found["trait"])
    said = caplog.text
    assert "90 people analysed for trait 0, trait 1, trait 4" in said
    assert "88 people analysed for trait 2" in said
    assert "89 people analysed for trait 3, trait 5" in said
    assert "1 variants not tested: monomorphic" in said
    assert "the response is 1 in all 90 rows" in said
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert any("'flat'" in record.getMessage() for record in warnings)


@pytest.mark.parametrize(
    ("formula", "options", "words"),
    [
        ("age", {"traits": ["trait 0"]}, "does not begin with ~"),
        ("~ age", {"traits": []}, "names no column"),
        ("~ age", {"traits": ["trait 0", "trait 0"]}, "more than once"),
        ("~ age", {"traits": [3]}, "is a int"),
        ("~ age", {"traits": ["trait 0"], "p_below": 0.0}, "above 0 and at most 1"),
        ("~ age", {"traits": ["trait 0"], "test": "wald"}, "'exact' or 'null'"),
        ("~ age", {"traits": ["height"]}, "no column"),
    ],
)
def test_mistakes(formula, options, words):
    source, table, _ = cohort()
    with pytest.raises(DataError, match=words):
        scan_traits(formula, table, source, relationship="grm", **options)
