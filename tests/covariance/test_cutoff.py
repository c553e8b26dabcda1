"""People of whom no pair is related, against a slow twin, and what such a set is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array

from henderson.covariance.cutoff import pairs_above, unrelated_rows


def slow(related):
    """The rule as it is written: most relatives first, the last of several; then those who can come back."""
    n = len(related)
    kept = set(range(n))
    while True:
        count = {k: sum(related[k, other] for other in kept) for k in kept}
        worst = max(kept, key=lambda k: (count[k], k))
        if not count[worst]:
            break
        kept.remove(worst)
    for k in range(n):
        if k not in kept and not any(related[k, other] for other in kept):
            kept.add(k)
    return sorted(kept)


def relatives(seed, n, share):
    rng = np.random.default_rng(seed)
    G = np.triu((rng.random((n, n)) < share) * rng.uniform(0.06, 0.6, (n, n)), 1)
    return G + G.T + np.eye(n)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 25), st.floats(0.0, 0.6))
def test_against_the_slow_twin(seed, n, share):
    G = relatives(seed, n, share)
    i, j, values = pairs_above(G, 0.05)
    assert (i > j).all()
    np.testing.assert_array_equal(values, G[i, j])
    kept = unrelated_rows(n, i, j)
    off = (G > 0.05) & ~np.eye(n, dtype=bool)
    assert kept.tolist() == slow(off)
    assert not off[np.ix_(kept, kept)].any()
    others = np.setdiff1d(np.arange(n), kept)
    assert off[np.ix_(others, kept)].any(axis=1).all()  # nobody can be added


def test_the_largest_set_of_small_families():
    """Parents with children: the child goes of a trio, the hub of a star."""
    G = np.eye(7)
    for a, b in [(0, 2), (1, 2), (3, 4), (3, 5), (3, 6)]:
        G[a, b] = G[b, a] = 0.5
    i, j, _ = pairs_above(G, 0.05)
    assert unrelated_rows(7, i, j).tolist() == [0, 1, 4, 5, 6]


@pytest.mark.parametrize("n", [5, 300, 700])
def test_sparse_and_dense_pairs_are_the_same(n):
    G = relatives(1, n, 0.05)
    dense, sparse = pairs_above(G, 0.3), pairs_above(csc_array(G), 0.3)
    places = [
        set(zip(i.tolist(), j.tolist(), values.tolist(), strict=True)) for i, j, values in (dense, sparse)
    ]
    assert places[0] == places[1]
    assert len(places[0]) == (np.tril(G, -1) > 0.3).sum()
