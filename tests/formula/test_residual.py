"""Residual structures: the codes of units and positions, and refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from henderson import DataError, FormulaError
from henderson.formula import Structure, build_design

D = {
    "y": [1.2, 3.4, 2.2, 5.1, 4.3, 6.7, 2.9, 3.3, 5.8, 4.4, 1.9, 6.1],
    "x": [0.5, 1.5, -1, 2, 0, -2, 1, 0.3, -0.7, 0.9, -1.1, 0.2],
    "g": list("aabbccaabbcc"),
    "person": [3, 3, 3, 1, 1, 1, 2, 2, 2, 10, 10, 10],
    "trait": ["wt", "ht", "age"] * 4,
    "day": [1, 2, 4] * 4,
    "h": list("pppqqq") * 2,
    "w": [1.0, 2] * 6,
}


def residual(text, **columns):
    return build_design("y ~ x + (1|g)", {**D, **columns}, residual=text)


def test_without_it_there_is_none():
    assert build_design("y ~ x + (1|g)", D).residual is None


@pytest.mark.parametrize("text", ["diag(trait)", "diag(0 + trait)", "diag(trait | person)"])
def test_strata(text):
    found = residual(text).residual
    assert (found.structure, found.group, found.unit) == (Structure("diag"), None, None)
    assert (found.position_group, found.positions, found.n_units) == ("trait", ("age", "ht", "wt"), 12)
    assert [found.positions[k] for k in found.position] == D["trait"]


def test_strata_of_an_interaction():
    found = residual("diag(h:g)").residual
    assert found.position_group == "h:g"
    labels = [f"{h}:{g}" for h, g in zip(D["h"], D["g"], strict=True)]
    assert found.positions == tuple(sorted(set(labels)))
    assert [found.positions[k] for k in found.position] == labels


@pytest.mark.parametrize(
    ("text", "structure"),
    [
        ("us(trait | person)", Structure("us")),
        ("cs(trait | person)", Structure("cs")),
        ("cs(trait | person, hom = TRUE)", Structure("cs", homogeneous=True)),
        ("ar1(0 + trait|person)", Structure("ar1", homogeneous=True)),
        ("ar1(trait|person, hom=False)", Structure("ar1")),
    ],
)
def test_units(text, structure):
    found = residual(text).residual
    assert found.structure == structure
    assert (found.group, found.n_units) == ("person", 4)
    assert found.unit.dtype == found.position.dtype == np.int64
    assert found.unit.tolist() == [2, 2, 2, 0, 0, 0, 1, 1, 1, 3, 3, 3]
    assert [found.positions[k] for k in found.position] == D["trait"]


def test_a_unit_may_be_an_interaction_and_a_position_an_expression():
    found = residual("cs(factor(day) | person:h)").residual
    assert (found.group, found.position_group) == ("person:h", "factor(day)")
    assert found.positions == ("1", "2", "4")


def test_positions_keep_the_order_of_their_factor_and_only_those_that_occur():
    trait = pd.Categorical(D["trait"], categories=["wt", "never", "ht", "age"])
    assert residual("us(trait | person)", trait=trait).residual.positions == ("wt", "ht", "age")


@pytest.mark.parametrize(
    ("text", "n_notices"), [("ar1(day | person)", 1), ("cs(day | person)", 0), ("ar1(trait | person)", 0)]
)
def test_uneven_steps_matter_to_ar1_alone(text, n_notices):
    notices = residual(text).notices
    assert len(notices) == n_notices
    assert all("the levels of day, in the order 1, 2, 4, are equally spaced" in n for n in notices)


def test_a_unit_may_have_gaps():
    found = residual("ar1(day | person)", y=[None, *D["y"][1:4], None, *D["y"][5:]]).residual
    assert found.position.tolist() == [1, 2, 0, 2, 0, 1, 2, 0, 1, 2]
    assert found.unit.tolist() == [2, 2, 0, 0, 1, 1, 1, 3, 3, 3]


def test_missing_units_and_positions_are_missing_rows():
    design = residual("cs(trait|person)", person=[None, *D["person"][1:]], trait=[*D["trait"][:11], None])
    assert design.notices == ("2 of 12 rows dropped for missing values (trait 1, person 1)",)
    assert design.rows.tolist() == list(range(1, 11))
    assert len(design.residual.unit) == len(design.residual.position) == 10


def test_designs_can_be_sent_to_other_processes():
    design = residual("us(trait | person)")
    found = pickle.loads(pickle.dumps(design))
    assert found.residual.structure == design.residual.structure
    np.testing.assert_array_equal(found.residual.unit, design.residual.unit)
    assert found.residual.positions == design.residual.positions


def test_the_recipe_for_new_data_has_nothing_of_it():
    spec = residual("us(trait | person)").spec
    assert spec.fixed_matrix({"x": [2.0]})[0].tolist() == [[1.0, 2.0]]
    assert spec.group_codes({"g": ["b"]}, 0).tolist() == [1]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("diag(nope)", {}, "no column 'nope'"),
        ("us(trait | persn)", {}, "no column 'persn'; did you mean 'person'"),
        ("diag(one)", {"one": ["k"] * 12}, "one has only the level 'k'"),
        ("us(trait | h)", {}, "h 'p' has 2 rows at trait 'age', and one at most"),
        ("ar1(h | person)", {}, r"person '\d+' has 3 rows at h"),
        ("diag(id)", {"id": range(12)}, r"12 of 12 levels of id \(0, 1, 2, 3, ...\) have one row only"),
        ("us(k | person)", {"k": ["r", "s", "t"] * 3 + ["r", "s", "z"]}, r"1 of 4 levels of k \(z\)"),
        (3, {}, r"residual is of type int, and a string is needed: diag\(group\)"),
    ],
)
def test_data_that_do_not_fit_are_refused(text, columns, message):
    with pytest.raises(DataError, match=message) as caught:
        residual(text, **columns)
    assert "\n" not in str(caught.value)


def test_one_variance_for_all_needs_no_repeated_positions():
    when = np.arange(12)
    found = residual("ar1(when | person)", when=when).residual
    assert found.position.tolist() == when.tolist()


@pytest.mark.parametrize(
    ("text", "message", "underlined"),
    [
        ("trait", r"is written diag\(group\)", "trait"),
        ("dig(trait)", r"dig\(\) is no residual structure; there are us\(\), diag\(\),", "dig(trait)"),
        ("toeplitz(trait|person)", r"cs\(\) and ar1\(\)", "toeplitz(trait|person)"),
        ("us(trait)", "needs the unit", "trait"),
        ("ar1(day || person)", "has no place", "||"),
        ("diag(trait, hom = TRUE)", "plain model", "diag(trait, hom = TRUE)"),
        ("us(trait|person, hom=FALSE)", "takes no hom", "FALSE"),
        ("us(trait|a/b)", "one factor is needed", "a/b"),
        ("us(trait*h|person)", "one factor is needed", "trait*h"),
        ("us(1|person)", "not a number", "1"),
        ("us()", "starts with what", "us()"),
    ],
)
def test_texts_that_cannot_be_read_are_underlined(text, message, underlined):
    with pytest.raises(FormulaError, match=message) as caught:
        residual(text)
    _, shown, carets = str(caught.value).split("\n")
    assert shown[carets.index("^") : len(carets)] == underlined


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_permuted_rows_permute_the_codes(seed):
    order = np.random.default_rng(seed).permutation(12)
    data = pd.DataFrame(D)
    one = build_design("y ~ x + (1|g)", data, residual="us(trait | person)").residual
    other = build_design("y ~ x + (1|g)", data.iloc[order], residual="us(trait | person)").residual
    np.testing.assert_array_equal(other.unit, one.unit[order])
    np.testing.assert_array_equal(other.position, one.position[order])
