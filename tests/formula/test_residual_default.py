"""Which residuals a model with several traits of related individuals has, if nobody says."""

import re

import numpy as np
import pandas as pd
import pytest

from henderson import DataError
from henderson.formula import build_design

TRAITS = "y ~ 0 + trait + (0 + trait | iid)"


def rows(pairs):
    """One row for each (individual, trait)."""
    iid, trait = zip(*pairs, strict=True)
    y = np.sin(np.arange(len(iid)))
    return pd.DataFrame({"y": y, "iid": iid, "trait": trait, "x": y**2})


BOTH = rows([(i, t) for i in "abcde" for t in ("fat", "milk")])
EITHER = rows([(i, "fat") for i in "abc"] + [(i, "milk") for i in "def"])
AGAIN = rows([(i, t) for i in "abcd" for t in ("fat", "milk", "milk")])
SOME = rows([(i, t) for i in "abc" for t in ("fat", "milk")] + [(i, "milk") for i in "de"])
APART = rows([(i, t) for i in "abc" for t in ("fat", "milk")] + [(i, "loin") for i in "de"])


def default(data, formula=TRAITS, related=("iid",), **arguments):
    return build_design(formula, data, related=related, **arguments)


@pytest.mark.parametrize(
    ("data", "text", "why"),
    [
        (BOTH, "us(trait | iid)", "have records at several levels"),
        (SOME, "us(trait | iid)", "have records at several levels"),
        (EITHER, "diag(trait)", "no iid has records at two levels"),
        (AGAIN, "diag(trait)", r"residual='us\(trait \| occasion\)'"),
    ],
)
def test_the_default_is_read_off_who_was_measured_for_what_and_told(data, text, why):
    found = default(data)
    assert found.residual is not None
    assert found.residual.text == text
    (notice,) = found.notices
    assert f"residual='{text}'" in notice
    assert "residual='identity'" in notice
    assert re.search(why, notice)


@pytest.mark.parametrize(
    ("formula", "related"),
    [
        (TRAITS, ()),  # lme4's models stay lme4's
        ("y ~ trait + (1 | iid)", ("iid",)),
        ("y ~ trait + (trait | iid)", ("iid",)),
        ("y ~ trait + (0 + x | iid)", ("iid",)),
        ("y ~ trait + (1 | iid) + (0 + trait | x)", ("iid",)),
    ],
)
def test_other_models_have_plain_residuals(formula, related):
    data = AGAIN.assign(x=np.arange(12.0) % 2)
    assert default(data, formula, related=related).residual is None


def test_what_is_asked_for_wins():
    assert default(BOTH, residual="identity").residual is None
    assert default(BOTH, residual="identity").notices == ()
    assert default(BOTH, residual="diag(trait)").residual.text == "diag(trait)"
    with pytest.raises(DataError, match="has 2 rows at"):
        default(AGAIN, residual="us(trait | iid)")


def test_it_is_the_structure_that_could_have_been_asked_for():
    found, asked = default(SOME), default(SOME, residual="us(trait | iid)")
    np.testing.assert_array_equal(found.residual.unit, asked.residual.unit)
    np.testing.assert_array_equal(found.residual.position, asked.residual.position)
    assert found.residual.structure == asked.residual.structure
    assert found.residual.n_units == asked.residual.n_units


def test_rows_that_are_dropped_do_not_count():
    data = BOTH.assign(y=np.where(BOTH["trait"].eq("fat") == BOTH["iid"].isin(["a", "b"]), np.nan, BOTH["y"]))
    assert default(data).residual.text == "diag(trait)"


def test_traits_that_are_never_together_are_named():
    (notice,) = default(APART).notices
    assert "never fat and loin, loin and milk" in notice


def test_effects_of_any_structure_count_but_environments_are_taken_apart():
    both = rows([(i, t) for i in "abcdefgh" for t in ("p", "q", "r")])
    tagged = {
        tag: default(both, f"y ~ trait + {tag}(0 + trait | iid)").residual.text
        for tag in ("diag", "cs", "fa")
    }
    assert tagged == {"diag": "us(trait | iid)", "cs": "us(trait | iid)", "fa": "diag(trait)"}
    split = default(both, "y ~ trait + (0 + trait || iid)")
    assert split.residual.text == "us(trait | iid)"
