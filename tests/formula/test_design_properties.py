"""What must not matter: the names of levels and the order of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from henderson.formula import build_design

FORMULA = "y ~ x * f + poly(x, 2) + (x | g) + (1 | g:f)"


@st.composite
def tables(draw):
    n = draw(st.integers(40, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n),
            "f": np.array(["u", "v", "w"])[np.r_[:3, rng.integers(0, 3, n - 3)]],
            "g": np.r_[:5, rng.integers(0, 5, n - 5)],
        }
    )


@settings(max_examples=25, deadline=None)
@given(data=tables(), seed=st.integers(0, 1000))
def test_permuted_rows_permute_the_design(data, seed):
    order = np.random.default_rng(seed).permutation(len(data))
    design = build_design(FORMULA, data)
    permuted = build_design(FORMULA, data.iloc[order])
    np.testing.assert_allclose(permuted.X, design.X[order], rtol=1e-9, atol=1e-9)
    assert permuted.x_names == design.x_names
    for one, other in zip(design.random, permuted.random, strict=True):
        assert one.levels == other.levels
        np.testing.assert_array_equal(other.codes, one.codes[order])
        np.testing.assert_array_equal(other.z, one.z[order])


@settings(max_examples=25, deadline=None)
@given(data=tables(), seed=st.integers(0, 1000))
def test_relabelled_groups_only_permute_the_codes(data, seed):
    labels = np.random.default_rng(seed).permutation(1000)[:5]
    design = build_design(FORMULA, data)
    relabelled = build_design(FORMULA, data.assign(g=labels[data["g"]]))
    np.testing.assert_array_equal(relabelled.X, design.X)
    for one, other in zip(design.random, relabelled.random, strict=True):
        old = [one.levels[code] for code in one.codes]
        expected = [":".join([str(labels[int(level.split(":")[0])]), *level.split(":")[1:]]) for level in old]
        assert [other.levels[code] for code in other.codes] == expected
        np.testing.assert_array_equal(other.z, one.z)


@settings(max_examples=25, deadline=None)
@given(
    data=tables(), holes=st.lists(st.tuples(st.integers(0, 39), st.sampled_from(["y", "x", "f"])), max_size=6)
)
def test_dropping_rows_is_the_same_as_never_having_them(data, holes):
    holed = data.astype({"f": object})
    for row, column in holes:
        holed.loc[row, column] = None
    formula = "y ~ x * f + (x | g)"
    design = build_design(formula, holed)
    complete = build_design(formula, holed.dropna().reset_index(drop=True))
    np.testing.assert_array_equal(design.X, complete.X)
    np.testing.assert_array_equal(design.y, complete.y)
    assert design.rows.tolist() == np.flatnonzero(holed.notna().all(axis=1)).tolist()
    assert sorted([*design.rows, *design.excluded]) == list(range(len(data)))
    np.testing.assert_array_equal(design.random[0].codes, complete.random[0].codes)
