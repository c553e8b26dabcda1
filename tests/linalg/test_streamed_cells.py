"""Compiled numbering and sums beside their NumPy and pandas twins."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from henderson.linalg.cells import CellSums, KeyNumbers

keys = st.lists(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), max_size=40), max_size=5)


@settings(deadline=None)
@given(keys)
def test_numbers_in_order_of_appearance(batches):
    numbers = KeyNumbers()
    found = [numbers.of(np.array(batch, dtype=np.int64)) for batch in batches]
    together = np.array([key for batch in batches for key in batch], dtype=np.int64)
    codes, distinct = pd.factorize(together)
    assert np.concatenate([*found, np.empty(0, dtype=int)]).tolist() == codes.tolist()
    assert numbers.keys.tolist() == distinct.tolist()


def test_more_keys_than_fit_at_first():
    rng = np.random.default_rng(0)
    values = rng.integers(-(10**15), 10**15, 200_000)
    numbers = KeyNumbers()
    codes = np.concatenate([numbers.of(part) for part in np.array_split(np.tile(values, 2), 7)])
    assert (codes == np.tile(pd.factorize(values)[0], 2)).all()
    assert (numbers.keys[codes] == np.tile(values, 2)).all()


@pytest.mark.parametrize(("u", "k"), [(1, 1), (1, 4), (3, 3), (2, 5)])
@pytest.mark.parametrize("n_cells", [1, 30, 3000])
def test_sums_of_products(u, k, n_cells):
    rng = np.random.default_rng(k)
    sums = CellSums(u, k)
    expected = np.zeros((n_cells, u, k))
    for n in (5, 0, 1003):
        cell, columns = rng.integers(0, n_cells, n), rng.normal(size=(n, k))
        sums.add(cell, columns)
        np.add.at(expected, cell, columns[:, :u, None] * columns[:, None, :])
    for a in range(u):
        for b in range(k):
            found = sums.product(a, b)
            np.testing.assert_allclose(found, expected[: found.size, a, b], atol=1e-12)
            assert not expected[found.size :].any()
            assert (sums.product(b, a) == found).all()
