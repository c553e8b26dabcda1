"""The exact test of Hardy-Weinberg equilibrium: in whole numbers, and PLINK 2's."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gwas_reference import GWAS, needs_gwas_reference
from henderson.genotype.hwe import hwe_p_values


def in_whole_numbers(copies):
    """By counting how alleles can be dealt out to people; ties are exact."""
    none, het, two = map(int, copies)
    n, rarer = none + het + two, min(2 * none + het, 2 * two + het)
    if not n:
        return 1.0
    ways = {h: comb(n, h) * comb(n - h, (rarer - h) // 2) * 2**h for h in range(rarer % 2, rarer + 1, 2)}
    return float(Fraction(sum(w for w in ways.values() if w <= ways[het]), comb(2 * n, rarer)))


def test_all_small_tables():
    tables = np.array([(a, b, c) for a in range(8) for b in range(8) for c in range(8)])
    assert hwe_p_values(tables) == pytest.approx([in_whole_numbers(t) for t in tables], rel=1e-12)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 300)] * 3), min_size=1, max_size=6))
def test_larger_tables(tables):
    expected = [in_whole_numbers(t) for t in tables]
    assert hwe_p_values(np.array(tables)) == pytest.approx(expected, rel=1e-10)
    assert hwe_p_values(np.array(tables)[:, ::-1]) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("table", "p"),
    # `plink2 --hardy`; of 500,000 people by symmetry, by hand and by a sum of all probabilities
    [
        ((240, 481, 236), 0.897217),
        ((268, 430, 259), 0.00189564),
        ((125_000, 250_000, 125_000), 1.0),
        ((499_999, 0, 1), 1.000001e-06),
        ((124_000, 252_000, 124_000), 1.567047e-08),
    ],
)
def test_known(table, p):
    assert hwe_p_values(np.array([table])) == pytest.approx([p], rel=5e-6)


def test_beyond_what_a_double_holds():
    assert hwe_p_values(np.array([[250_000, 0, 250_000], [0, 500_000, 0]])).tolist() == [0.0, 0.0]


def test_no_variants():
    assert hwe_p_values(np.empty((0, 3), dtype=np.int64)).shape == (0,)


@needs_gwas_reference
def test_plink2():
    """Six digits are printed."""
    import pandas as pd

    table = pd.read_csv(GWAS / "expected/formats/plink2/hm3.hardy.gz", sep="\t")
    found = hwe_p_values(table[["HOM_A1_CT", "HET_A1_CT", "TWO_AX_CT"]].to_numpy())
    assert found == pytest.approx(table["P"].to_numpy(), rel=5.1e-6)
