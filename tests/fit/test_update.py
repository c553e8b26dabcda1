"""`fit.update` and the algebra of R's update.formula."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import henderson as hd
from henderson.fit.update import updated_formula
from henderson.formula.bars import parse_formula


def parts(formula):
    """Response, terms, intercept, offsets and bars of a formula, whatever their order."""
    parsed = parse_formula(formula)
    terms = {frozenset(label.split(":")) for label in parsed.fixed.labels}
    return parsed.text.split("~")[0].strip(), terms, parsed.fixed.intercept, {b.text for b in parsed.bars}


@pytest.mark.parametrize(
    ("old", "new", "r"),
    [
        # R 4.2.2: update.formula(old, new)
        ("y ~ x + (1 | g)", ". ~ . + z", "y ~ x + (1 | g) + z"),
        ("y ~ x + (1 | g)", ". ~ . - x", "y ~ (1 | g)"),
        ("y ~ x * z + (1 | g)", ". ~ . - x:z", "y ~ x + z + (1 | g)"),
        ("y ~ x * z + (x | g)", ". ~ . - x", "y ~ z + (x | g) + x:z"),
        ("y ~ x + (1 | g)", "log(.) ~ .", "log(y) ~ x + (1 | g)"),
        ("y ~ x + (1 | g) + (1 | h)", ". ~ . - (1 | g)", "y ~ x + (1 | h)"),
        ("y ~ x + (1 | g)", "~ . - 1", "y ~ x + (1 | g) - 1"),
        ("y ~ x + (1 | g)", ". ~ z + (z | g)", "y ~ z + (z | g)"),
        ("y ~ (a + b + c)^2 + (1 | g)", ". ~ . - a:b", "y ~ a + b + c + (1 | g) + a:c + b:c"),
        ("y ~ x + (1 | g)", ". ~ . + offset(o)", "y ~ x + (1 | g) + offset(o)"),
        ("y ~ x + (x || g)", ". ~ . - (x || g) + (1 | g)", "y ~ x + (1 | g)"),
        ("log(y) ~ x - 1 + (1 | g)", "sqrt(.) ~ . + 1", "sqrt(log(y)) ~ x + (1 | g)"),
        ("a + b ~ x + (1 | g)", ".^2 ~ .", "(a + b)^2 ~ x + (1 | g)"),
        ("y ~ 0 + x + (1 | g)", ". ~ .", "y ~ x + (1 | g) - 1"),
        ("y ~ x + (1 | g)", ". ~ . - (1 | g) + (x | g)", "y ~ x + (x | g)"),
        ("y ~ 1 + (1 | g)", ". ~ (.)^2 + x", "y ~ (1 | g) + x"),
    ],
)
def test_as_r(old, new, r):
    assert parts(updated_formula(old, new)) == parts(r)


def test_an_offset_can_be_taken_out():
    assert updated_formula("y ~ x + offset(o) + (1 | g)", ". ~ . - offset(o)") == "y ~ x + (1 | g)"


def test_odd_names_and_tags_stay():
    assert updated_formula("`birth weight` ~ x + (1 | `the group`)", ". ~ . + z") == (
        "`birth weight` ~ x + (1 | `the group`) + z"
    )
    assert updated_formula("y ~ x + cs(x | g)", ". ~ . - cs(x | g) + (x | g)") == "y ~ x + (x | g)"


def test_a_dot_for_all_columns_is_kept():
    assert updated_formula("y ~ . + (1 | g)", ". ~ . - (1 | g) + (1 | h)") == "y ~ . + (1 | h)"


VARIABLES = st.lists(st.sampled_from(["a", "b", "c", "a:b", "b:c", "(1 | g)", "(a | h)"]), unique=True)


@given(VARIABLES.filter(bool), VARIABLES)
def test_adding_and_taking_away(kept, others):
    others = [term for term in others if term not in kept]
    old = f"y ~ {' + '.join(kept)} + (1 | k)"
    more = updated_formula(old, " + ".join([". ~ .", *others]))
    assert parts(more) == parts(" + ".join([old, *others]))
    assert parts(updated_formula(more, " - ".join([". ~ .", *others]))) == parts(old)


@pytest.mark.parametrize("new", ["x + z", "y ~ . ~ x", ". ~ . +", ". ~ . + 1 | g"])
def test_unreadable_formulas(new):
    with pytest.raises(hd.FormulaError):
        updated_formula("y ~ x + (1 | g)", new)


@pytest.fixture(scope="module")
def data():
    data = hd.example_data("sleepstudy")
    return data.assign(w=np.linspace(1.0, 2.0, len(data)))


@pytest.fixture(scope="module")
def fit(data):
    return hd.lmer("Reaction ~ Days + (Days | Subject)", data, weights="w", na_action="exclude")


def same(a, b):
    assert a.formula.replace(" ", "") == b.formula.replace(" ", "")
    np.testing.assert_array_equal(a.theta, b.theta)
    np.testing.assert_array_equal(a.fixef, b.fixef)
    assert a.reml is b.reml


def test_changes(fit, data):
    same(fit.update(), fit)
    same(fit.update(REML=False), hd.lmer(fit.formula, data, weights="w", REML=False))
    same(fit.update(weights=None), hd.lmer(fit.formula, data))
    same(fit.update(REML=False).update(REML=True), fit)
    same(
        fit.update(". ~ . - (Days | Subject) + (1 | Subject)"),
        hd.lmer("Reaction ~ Days + (1 | Subject)", data, weights="w"),
    )
    half = data.iloc[:90]
    same(fit.update(data=half), hd.lmer(fit.formula, half, weights="w"))
    same(fit.update(subset="Days > 1"), hd.lmer(fit.formula, data, weights="w", subset="Days > 1"))


def test_the_call(fit):
    assert repr(fit.call) == (
        "lmer('Reaction ~ Days + (Days | Subject)', data, weights='w', na_action='exclude')"
    )
    assert fit.call.arguments == {"weights": "w", "na_action": "exclude"}


def test_defaults_are_not_noted(data):
    assert repr(hd.lmer("Reaction ~ Days + (1 | Subject)", data, REML=True, na_action="omit").call) == (
        "lmer('Reaction ~ Days + (1 | Subject)', data)"
    )


def test_a_start_goes_with_its_formula(data):
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", data, start=[1.0, 0.0, 0.2])
    assert "start" in fit.update(REML=False).call.arguments
    assert "start" not in fit.update(". ~ . - (Days | Subject) + (1 | Subject)").call.arguments


def test_data_changed_in_place_do_not_reach_an_update(data):
    own = data.copy()
    fit = hd.lmer("Reaction ~ Days + (1 | Subject)", own)
    own["Reaction"] = 0.0
    same(fit.update(), fit)


def test_a_series_is_matched_once(data):
    shuffled = data["w"].sample(frac=1.0, random_state=3)
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", data, weights=shuffled)
    np.testing.assert_array_equal(fit.call.arguments["weights"], data["w"])
    same(fit.update(), fit)


def test_an_unknown_argument_is_named(fit):
    with pytest.raises(hd.DataError, match="no argument 'weight'; did you mean 'weights'"):
        fit.update(weight="w")


def test_a_pickled_fit_needs_the_data(fit, data):
    again = pickle.loads(pickle.dumps(fit))
    with pytest.raises(hd.HendersonError, match=r"give update\(data=...\)"):
        again.update(REML=False)
    same(again.update(REML=False, data=data), fit.update(REML=False))


def test_a_relationship_matrix_is_not_pickled():
    names = [f"p{k}" for k in range(12)]
    G = pd.DataFrame(np.kron(np.eye(6), [[1.0, 0.5], [0.5, 1.0]]), index=names, columns=names)
    data = {"y": np.sin(np.arange(12.0)), "iid": names}
    fit = hd.lmer("y ~ 1 + (1 | iid)", data, relationship={"iid": G})
    same(fit.update(REML=False), hd.lmer("y ~ 1 + (1 | iid)", data, relationship={"iid": G}, REML=False))
    again = pickle.loads(pickle.dumps(fit))
    with pytest.raises(
        hd.HendersonError, match="fitted with relationship=, which a file or pickle leaves out"
    ):
        again.update(data=data)
    same(again.update(data=data, relationship={"iid": G}), fit)
