"""Which variants a scan tests: each condition against its definition, in loops over people."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import henderson as hd
from henderson.association.rules import OK, ScanRules
from henderson.genotype import ArraySource
from henderson.genotype.blocks import passes
from henderson.genotype.chromosomes import Kind
from henderson.genotype.counts import count_calls, count_dosages
from henderson.genotype.hwe import hwe_p_values
from henderson.genotype.ploidy import count_by_ploidy


def by_definition(calls, rules):
    """The first thing that is wrong with one variant."""
    called = [x for x in calls if x >= 0]
    missing = len(calls) - len(called)
    if not called:
        return "no calls"
    if len(set(called)) == 1:
        return "monomorphic"
    if Fraction(missing, len(calls)) > Fraction(str(rules.max_missing)):
        return f"missing rate above {rules.max_missing:g}"
    p = Fraction(sum(called), 2 * len(called))
    if min(p, 1 - p) < Fraction(str(rules.min_maf)):
        return f"allele frequency below {rules.min_maf:g}"
    if min(sum(called), 2 * len(called) - sum(called)) < rules.min_mac:
        return f"allele count below {rules.min_mac:g}"
    spread = sum((x - 2 * p) ** 2 for x in called) / len(called)
    if spread < Fraction(str(rules.min_info)) * 2 * p * (1 - p):
        return f"info below {rules.min_info:g}"
    [unlikely] = hwe_p_values(np.array([[called.count(k) for k in range(3)]]))
    return f"Hardy-Weinberg p below {rules.min_hwe:g}" if unlikely < rules.min_hwe else OK


@settings(max_examples=200, deadline=None)
@given(
    calls=st.lists(st.lists(st.integers(-1, 2), min_size=9, max_size=9), min_size=1, max_size=8),
    min_maf=st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.5]),
    max_missing=st.sampled_from([0.0, 0.05, 0.3, 0.8, 1.0]),
    min_mac=st.sampled_from([0.0, 2.0, 4.0]),
    min_info=st.sampled_from([0.0, 0.33, 1.01]),
    min_hwe=st.sampled_from([0.0, 0.05, 0.5]),
)
def test_judge(calls, **limits):
    rules = ScanRules(**limits)
    found = rules.judge(count_calls(np.array(calls, dtype=np.int8)))
    assert found.tolist() == [by_definition(row, rules) for row in calls]


@pytest.mark.parametrize("share", [k / 100 for k in range(1, 50)])
def test_limits_themselves_pass(share):
    """Whichever allele is counted: 0.29 * 100 is not 29, and 1 - 0.07 not the double next to 0.93."""
    k = round(100 * share)
    calls = np.array([[2] * k + [0] * (100 - k), [0] * k + [2] * (100 - k)], dtype=np.int8)
    assert ScanRules(min_maf=share).judge(count_calls(calls)).tolist() == [OK] * 2
    assert passes(count_calls(calls), min_maf=share).all()
    missing = np.array([[-1] * k + [0, 1] * 50], dtype=np.int8)[:, :100]
    assert ScanRules(max_missing=share).judge(count_calls(missing)).tolist() == [OK]


@pytest.mark.parametrize("maf", [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45])
def test_both_alleles_are_judged_alike(maf):
    """At the very limit too, where 1 - p is not a round number."""
    n_copies = round(maf * 40)
    calls = np.array([np.repeat([1, 0], [n_copies, 20 - n_copies]) if n_copies <= 20 else [], [0] * 20])
    calls = calls[:1].astype(np.int8)
    both = np.concatenate([calls, 2 - calls])
    status = ScanRules(min_maf=maf).judge(count_calls(both))
    assert status.tolist() == [OK, OK]


def test_defaults_test_all_that_varies():
    nothing = {"min_mac": 0.0, "min_hwe": 0.0, "min_info": 0.0}
    assert ScanRules() == ScanRules(min_maf=0.0, max_missing=1.0, gemma=False, **nothing)
    calls = np.zeros((1, 1000), dtype=np.int8)
    calls[0, 0] = 1
    calls[0, 2:] = -1
    assert ScanRules().judge(count_calls(calls)).tolist() == [OK]


def test_gemma():
    assert hd.ScanRules.like_gemma() == ScanRules(min_maf=0.01, max_missing=0.05, gemma=True)
    within = ScanRules.like_gemma().ratio_range(123.0)
    assert np.exp([within.low, within.high]) == pytest.approx([1e-5, 1e5])
    assert (within.zero, within.unbounded) == (False, True)


@pytest.mark.parametrize("mean", [1e-3, 1.0, 250.0])
def test_range_follows_the_unit_of_the_matrix(mean):
    within = ScanRules().ratio_range(mean)
    assert np.exp([within.low, within.high]) * mean == pytest.approx([1e-5, 1e5])
    assert (within.zero, within.unbounded) == (True, False)


def test_range_of_a_matrix_of_zeros():
    within = ScanRules().ratio_range(0.0)
    assert within.low < 0.0 < within.high


@pytest.mark.parametrize("gemma", [False, True])
def test_what_the_covariates_must_leave(gemma):
    """GEMMA: 0.0001 of the squares, not centred; otherwise 1e-8 of the squares about the mean."""
    X = np.random.default_rng(1).normal(1.0, 2.0, (5, 40))
    squares = (X**2).sum(axis=1) if gemma else ((X - X.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    expected = (1e-4 if gemma else 1e-8) * squares
    assert np.allclose(ScanRules(gemma=gemma).least_squares(X), expected, rtol=1e-12)


@pytest.mark.parametrize("given", [-0.01, 0.51, float("nan")])
def test_frequency_out_of_range(given):
    with pytest.raises(hd.DataError, match=f"between 0 and 0.5; it is {given}"):
        ScanRules(min_maf=given)


@pytest.mark.parametrize("given", [-0.01, 1.01, float("nan")])
def test_missing_rate_out_of_range(given):
    with pytest.raises(hd.DataError, match=f"between 0 and 1; it is {given}"):
        ScanRules(max_missing=given)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"min_mac": -1}, "allele count must be 0 or more; it is -1"),
        ({"min_mac": float("nan")}, "allele count must be 0 or more; it is nan"),
        ({"min_hwe": 1.0}, "Hardy-Weinberg equilibrium must be 0 or more and below 1; it is 1.0"),
        ({"min_info": -0.1}, "info must be 0 or more; it is -0.1"),
    ],
)
def test_limits_out_of_range(limits, words):
    with pytest.raises(hd.DataError, match=words):
        ScanRules(**limits)


def test_on_x_a_mans_allele_counts_once_and_women_are_judged_for_equilibrium():
    sex = np.repeat([1, 2], [6, 40]).astype(np.int8)
    calls = np.zeros((2, 46), dtype=np.int8)
    calls[0, :3] = 2  # three alleles, not six
    calls[1, 6:26] = 2  # no heterozygous women
    on_x = count_by_ploidy(calls, np.full(2, Kind.X, dtype=np.int8), sex)
    assert ScanRules(min_mac=3).judge(on_x).tolist() == [OK, OK]
    assert ScanRules(min_mac=3.5).judge(on_x).tolist() == ["allele count below 3.5", OK]
    assert ScanRules(min_hwe=1e-6).judge(on_x).tolist() == [OK, "Hardy-Weinberg p below 1e-06"]
    on_mt = count_by_ploidy(calls, np.full(2, Kind.MT, dtype=np.int8), sex)
    assert ScanRules(min_hwe=1e-6).judge(on_mt).tolist() == [OK, OK]


def test_info_of_dosages():
    dosages = np.float32([[0, 1, 1, 2], [0.9, 1.1, 0.9, 1.1]])
    assert ScanRules(min_info=0.3).judge(count_dosages(dosages)).tolist() == [OK, "info below 0.3"]
    ScanRules(min_info=0.3).check(ArraySource.of(dosages))
    with pytest.raises(hd.DataError, match="these genotypes are hard calls: leave it out"):
        ScanRules(min_info=0.3).check(ArraySource.of([[0, 1]]))
    ScanRules(min_mac=3).check(ArraySource.of([[0, 1]]))
