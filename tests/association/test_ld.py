"""Linkage disequilibrium with one variant: beside np.corrcoef, pair by pair, and PLINK."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.ld import ld_with
from henderson.errors import DataError
from henderson.genotype import ArraySource
from henderson.io.plink1 import open_plink1


def pairwise(a, b):
    """r2 over the people with both, NaN where one does not vary."""
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    if not both.any() or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return np.corrcoef(a, b)[0, 1] ** 2


@given(arrays(np.int8, st.tuples(st.integers(1, 8), st.integers(1, 25)), elements=st.integers(-1, 2)))
def test_hard_calls_with_gaps(calls):
    copies = np.where(calls < 0, np.nan, calls.astype(float))
    found = ld_with(ArraySource.of(calls), 0, slice(None))
    np.testing.assert_allclose(found, [pairwise(copies[0], row) for row in copies], atol=1e-12)


def test_dosages_with_gaps():
    rng = np.random.default_rng(1)
    dosages = np.clip(rng.uniform(-0.2, 2.2, (9, 80)), 0, 2).astype(np.float32)
    dosages[rng.random(dosages.shape) < 0.1] = np.nan
    dosages[4] = np.float32(1.3)
    found = ld_with(ArraySource.of(dosages), 2, np.arange(9))
    wanted = [pairwise(dosages[2].astype(float), row.astype(float)) for row in dosages]
    assert np.isnan(found[4])
    assert found[2] == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_order_repetition_and_people():
    rng = np.random.default_rng(2)
    calls = rng.integers(0, 3, (40, 50)).astype(np.int8)
    source = ArraySource.of(calls)
    everything = ld_with(source, 7, slice(None))
    asked = [30, 2, 2, 7, 39]
    np.testing.assert_array_equal(ld_with(source, 7, asked), everything[asked])
    people = rng.permutation(50)[:20]
    np.testing.assert_allclose(
        ld_with(source, 7, asked, people), ld_with(ArraySource.of(calls[:, people]), 7, asked), atol=1e-14
    )
    assert ld_with(source, 7, np.zeros(40, dtype=bool)).size == 0


def test_a_position_that_is_not_there():
    source = ArraySource.of(np.ones((5, 3)))
    for lead in (5, -1):
        with pytest.raises(
            DataError, match=f"the lead is variant {lead}, but the genotypes have only 0 to 4"
        ):
            ld_with(source, lead, [0])
    with pytest.raises(DataError, match="reaches from 0 to 9, but there are only 0 to 4"):
        ld_with(source, 0, [0, 9])


@needs_gwas_reference
def test_plinks_numbers():
    """plink1.9 --r2 --ld-snp of variant 300 of the salmon, with 1 % of the calls missing."""
    source = open_plink1(GWAS / "data" / "salmon" / "salmon")
    printed = [2.24509e-03, 4.77359e-03, 2.83464e-03, 2.22040e-03, 7.61859e-04, 1.0, 1.24305e-03, 3.95775e-03]
    np.testing.assert_allclose(ld_with(source, 300, slice(295, 303)), printed, rtol=5e-6)  # six digits
