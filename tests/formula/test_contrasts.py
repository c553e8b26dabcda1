"""Contrasts in an unbalanced table with interactions: R 4.2's model.matrix."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from henderson import DataError
from henderson.formula import build_design
from henderson.formula.contrasts import contrast_matrix

D = {
    "y": [1.2, 3.4, 2.2, 5.1, 4.3, 6.7, 2.9, 3.3, 5.8],
    "f": list("uvwuvwuuv"),
    "h": list("ppqqpqqpq"),
    "o": pd.Categorical(
        ["lo", "mid", "hi", "hi", "lo", "mid", "mid", "lo", "lo"],
        categories=["lo", "mid", "hi"],
        ordered=True,
    ),
    "g": list("abcabcabc"),
}
L, Q = 0.5**0.5, 6**-0.5


@pytest.mark.parametrize(
    ("kind", "names", "rows"),
    [
        ("treatment", "fv fw hq fv:hq fw:hq", [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 1, 0, 1]]),
        ("sum", "f1 f2 hq f1:hq f2:hq", [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [-1, -1, 1, -1, -1]]),
        ("helmert", "f1 f2 hq f1:hq f2:hq", [[-1, -1, 0, 0, 0], [1, -1, 0, 0, 0], [0, 2, 1, 0, 2]]),
        ("poly", "f.L f.Q hq f.L:hq f.Q:hq", [[-L, Q, 0, 0, 0], [0, -2 * Q, 0, 0, 0], [L, Q, 1, L, Q]]),
        ("SAS", "fu fv hq fu:hq fv:hq", [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]),
    ],
)
def test_an_interaction(kind, names, rows):
    design = build_design("y ~ f * h + (1|g)", D, contrasts={"f": kind})
    assert design.x_names == ("(Intercept)", *names.split())
    np.testing.assert_allclose(design.X[:3, 1:], rows, atol=1e-12)


def test_contrasts_do_not_matter_where_a_factor_is_coded_in_full():
    design = build_design("y ~ f:o + (1|g)", D, contrasts={"f": "helmert"})
    assert design.x_names[1:] == tuple(f"f{f}:o{o}" for o in ("lo", "mid", "hi") for f in "uvw")
    np.testing.assert_array_equal(design.X[1, 1:], [0, 0, 0, 0, 1, 0, 0, 0, 0])


def test_ordered_factors_beside_sums():
    design = build_design("y ~ o * f + (1|g)", D, contrasts={"f": "sum"})
    assert design.x_names[1:] == ("o.L", "o.Q", "f1", "f2", "o.L:f1", "o.Q:f1", "o.L:f2", "o.Q:f2")
    np.testing.assert_allclose(design.X[2, 1:], [L, Q, -1, -1, -L, -Q, -L, -Q], atol=1e-12)
    np.testing.assert_allclose(design.X[1, 1:], [0, -2 * Q, 0, 1, 0, 0, 0, -2 * Q], atol=1e-12)


def test_a_narrow_matrix_is_taken_as_it_is():
    """As R's model.matrix does with contrasts.arg: one column, one coefficient."""
    matrix, suffixes = contrast_matrix([[1], [0], [-1], [0]], list("abcd"), "f")
    np.testing.assert_array_equal(matrix, [[1], [0], [-1], [0]])
    assert suffixes == ("1",)
    named = pd.DataFrame({"lin": [1, 0, -1, 0]}, index=list("abcd"))
    assert contrast_matrix(named, list("abcd"), "f")[1] == ("lin",)


def test_mistakes():
    with pytest.raises(DataError, match=r"'contr.treatmnt' is none of treatment.*did you mean 'treatment'"):
        contrast_matrix("contr.treatmnt", list("abc"), "f")
