"""Blocks of genotypes, their counts and their imputed values against plain loops over the calls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from henderson.genotype import (
    ArraySource,
    VariantBlock,
    count_variants,
    impute,
    standardise_block,
    variant_filter,
)
from henderson.genotype.blocks import blocks
from henderson.genotype.counts import count_calls, count_dosages
from plink_files import random_genotypes

CALLS = st.tuples(st.integers(1, 6), st.integers(1, 21)).flatmap(
    lambda shape: arrays(np.int8, shape, elements=st.integers(-1, 2))
)


def one_block(calls):
    """The calls as one block."""
    calls = np.asarray(calls, dtype=np.int8)
    return VariantBlock(np.arange(len(calls)), calls, count_calls(calls))


@settings(deadline=None)
@given(CALLS)
def test_counts_are_those_of_a_loop(calls):
    counts = count_calls(calls)
    for j, row in enumerate(calls.tolist()):
        called = [x for x in row if x >= 0]
        assert counts.copies[j].tolist() == [row.count(0), row.count(1), row.count(2)]
        assert counts.n_missing[j] == row.count(-1)
        assert bool(counts.varies[j]) == (len(set(called)) > 1)
        if not called:
            assert np.isnan(counts.frequency[j])
            continue
        p = sum(called) / (2 * len(called))
        assert counts.frequency[j] == pytest.approx(p, abs=1e-15)
        assert counts.variance("hwe")[j] == pytest.approx(2 * p * (1 - p), abs=1e-15)
        filled = [2 * p if x < 0 else x for x in row]
        assert counts.variance("sample")[j] == pytest.approx(np.var(filled), abs=1e-14)


def test_counts_of_calls_that_are_not_contiguous():
    calls = random_genotypes(40, 61, missing=0.2)
    assert np.array_equal(count_calls(calls[::2, :50]).copies, count_calls(calls[::2, :50].copy()).copies)


@settings(deadline=None)
@given(CALLS)
def test_imputed_and_standardised(calls):
    block = one_block(calls)
    imputed = impute(block)
    called = (calls >= 0).any(axis=1)
    filled = np.where(calls < 0, np.nan, calls)[called]
    filled = np.where(np.isnan(filled), np.nanmean(filled, axis=1, keepdims=True), filled)
    assert np.allclose(imputed[called], filled, rtol=0, atol=1e-15)
    assert np.isnan(imputed[~called]).all()
    varies = np.array([len(set(row) - {-1}) > 1 for row in calls.tolist()])
    centred = standardise_block(block, scale="centered")
    assert np.allclose(
        centred[called & varies], (filled - filled.mean(axis=1, keepdims=True))[varies[called]]
    )
    assert (centred[~varies] == 0).all()
    sample = standardise_block(block, variance="sample")
    assert np.allclose((sample[varies] ** 2).mean(axis=1), 1)
    hwe = standardise_block(block)
    assert (hwe[~varies] == 0).all()
    assert (hwe[calls < 0] == 0).all()
    p = filled.mean(axis=1, keepdims=True)[varies[called]] / 2
    assert np.allclose(hwe[varies], (filled[varies[called]] - 2 * p) / np.sqrt(2 * p * (1 - p)))


def test_hard_calls_among_dosages_are_those_of_plink2():
    """`plink2 --vcf FILE dosage=DS --geno-counts`: a dosage printed as 0.1 off is a hard call."""
    dosages = np.float32([[0, 0.1, 0.9, 1, 1.1, 1.9, 2], [0.101, 0.2, 0.899, 1.101, 1.5, 1.899, np.nan]])
    assert count_dosages(dosages).copies.tolist() == [[2, 3, 2], [0, 0, 0]]


def test_calls_are_left_as_they_were():
    calls = random_genotypes(5, 9, missing=0.3)
    before = calls.copy()
    block = one_block(calls)
    impute(block)
    standardise_block(block)
    assert np.array_equal(calls, before)


@pytest.mark.parametrize("size", [1, 3, 7, 100, None])
def test_blocks_make_up_the_source(size):
    calls = random_genotypes(7, 11, missing=0.1)
    people = np.array([4, 0, 9, 9])
    seen = list(blocks(ArraySource.of(calls), people, size))
    assert np.array_equal(np.concatenate([b.variants for b in seen]), np.arange(7))
    assert np.array_equal(np.concatenate([b.calls for b in seen]), calls[:, people])
    assert all(len(b.calls) <= (size or 7) for b in seen)
    for b in seen:
        assert np.array_equal(b.counts.copies, count_calls(np.ascontiguousarray(b.calls)).copies)


def test_only_stretches_with_wanted_variants_are_read():
    calls = random_genotypes(20, 5)
    read = []

    class Watched(ArraySource):
        def read(self, variants, samples=None):
            read.append((variants.start, variants.stop))
            return ArraySource.read(self, variants, samples)

    keep = np.zeros(20, dtype=bool)
    keep[[6, 8, 17]] = True
    seen = list(blocks(Watched.of(calls), size=5, keep=keep))
    assert [b.variants.tolist() for b in seen] == [[6, 8], [17]]
    assert np.array_equal(np.concatenate([b.calls for b in seen]), calls[[6, 8, 17]])
    assert read == [(6, 9), (17, 18)]


def test_filter_judges_the_given_people_by_strict_bounds():
    # 50 people: allele frequency 0.01 exactly is kept, below is not; likewise the missing rate.
    calls = np.zeros((8, 60), dtype=np.int8)
    calls[0, 0] = 1  # frequency 1/100
    calls[1, :] = 2
    calls[1, 0] = 1  # 99/100
    calls[2, 55] = 1  # does not vary among the first fifty
    calls[3, :25] = 1
    calls[3, 40:42] = -1  # missing rate 0.04
    calls[4, :25] = 1
    calls[4, 40:43] = -1  # 0.06
    calls[5, :] = 1  # heterozygotes only
    calls[6, :] = -1
    calls[7, :25] = 1
    calls[7, 50:] = -1  # missing elsewhere
    source = ArraySource.of(calls)
    people = np.arange(50)
    keep = variant_filter(source, people, min_maf=0.01, max_missing=0.05)
    assert keep.tolist() == [True, True, False, True, False, False, False, True]
    assert variant_filter(source, people, min_maf=0.011).tolist() == [False] * 3 + [True] * 2 + [
        False
    ] * 2 + [True]
    assert variant_filter(source).tolist() == [True, True, True, True, True, False, False, True]


def test_counts_of_a_source_do_not_depend_on_who_is_left_out():
    calls = random_genotypes(300, 31, missing=0.1)
    people = np.array([30, 2, 7])
    counts = count_variants(ArraySource.of(calls), people)
    assert counts.n_people == 3
    assert np.array_equal(counts.copies, count_calls(calls[:, people].copy()).copies)
