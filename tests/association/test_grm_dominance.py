"""Dominance relationships from genotypes against the formula of Vitezica, Varona and Legarra (2013)."""

import numpy as np
import pytest

from henderson.association.grm_dominance import dominance_grm
from henderson.errors import DataError
from henderson.genotype import ArraySource


def by_formula(calls):
    """Products of codings of variants that vary, missing calls at 0, for a mean diagonal of 1."""
    total = 0.0
    for row in calls:
        if len(set(row[row >= 0])) < 2:
            continue
        p = row[row >= 0].mean() / 2
        q = 1 - p
        codes = {0: -2 * p * p, 1: 2 * p * q, 2: -2 * q * q, -1: 0.0}
        w = np.array([codes[int(copies)] for copies in row])
        total = total + np.outer(w, w)
    return total / np.mean(np.diag(total))


def genotypes(m=300, n=25, missing=0.1):
    rng = np.random.default_rng(2)
    calls = rng.binomial(2, rng.uniform(0.05, 0.95, (m, 1)), (m, n)).astype(np.int8)
    calls[rng.random((m, n)) < missing] = -1
    calls[7] = 2
    return calls


def test_the_formula():
    calls = genotypes()
    found = dominance_grm(ArraySource.of(calls))
    np.testing.assert_allclose(found.matrix, by_formula(calls), atol=1e-12)
    assert found.n_variants == np.count_nonzero([len(set(row[row >= 0])) > 1 for row in calls])
    np.testing.assert_array_equal(found.matrix, found.matrix.T)
    some = np.array([3, 1, 20, 8])
    here = dominance_grm(ArraySource.of(calls), samples=some, variants=np.arange(300) < 100)
    np.testing.assert_allclose(here.matrix, by_formula(calls[:100][:, some]), atol=1e-12)
    assert here.samples.iid.tolist() == ["4", "2", "21", "9"]


def test_which_allele_is_counted_does_not_matter():
    calls = genotypes()
    other = np.where(calls < 0, calls, 2 - calls)
    expected = dominance_grm(ArraySource.of(calls)).matrix
    np.testing.assert_allclose(dominance_grm(ArraySource.of(other)).matrix, expected, atol=1e-12)


def test_dosages():
    calls = genotypes()
    dosages = np.where(calls < 0, np.nan, calls).astype(np.float32)
    expected = dominance_grm(ArraySource.of(calls)).matrix
    np.testing.assert_allclose(dominance_grm(ArraySource.of(dosages)).matrix, expected, atol=1e-6)


def test_the_matrix_is_the_same_in_blocks_of_any_size(monkeypatch):
    calls = genotypes()
    expected = dominance_grm(ArraySource.of(calls)).matrix
    steps = []
    monkeypatch.setattr("henderson.association.grm_dominance.block_size", lambda n: 32)
    found = dominance_grm(ArraySource.of(calls), progress=lambda *read: steps.append(read))
    np.testing.assert_allclose(found.matrix, expected, atol=1e-12)
    assert steps == [(64, 300), (128, 300), (192, 300), (256, 300), (300, 300)]


def test_nothing_varies():
    with pytest.raises(DataError, match="none of the 2 variants asked for"):
        dominance_grm(ArraySource.of([[0, 0, 0], [2, 2, -1]]))
