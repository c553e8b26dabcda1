"""relevel, cut, interaction, droplevels, C: levels and labels as in R 4.2."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from henderson import DataError
from henderson.formula import build_design
from henderson.formula.factors import cut, factor, interaction, relevel

INF = np.inf

D = {
    "y": [1.2, 3.4, 2.2, 5.1, 4.3, 6.7, 2.9, 3.3, 5.8, 4.4, 1.9, 6.1],
    "x": [0.5, 1.5, -1, 2, 0, -2, 1, 0.3, -0.7, 0.9, -1.1, 0.2],
    "f": list("uvw") * 4,
    "h": list("pq") * 6,
    "g": list("aaabbbcccddd"),
}


def design(fixed, **columns):
    return build_design(f"y ~ {fixed} + (1|g)", {**D, **columns})


# -- cut -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "breaks", "options", "labels"),
    [
        ([1, 70, 3000], [0, 65, INF], {}, "(0,65] (65,Inf]"),
        ([1, 70, 3000], [-INF, 2, 100], {}, "(-Inf,2] (2,100]"),
        ([1, 70, 3000], [-INF, 0, 2, 100, INF], {"right": False}, "[-Inf,0) [0,2) [2,100) [100,_Inf)"),
        ([1, 1, 1], 3, {}, "(0.999,0.9997] (0.9997,1] (1,1.001]"),
        ([0, 0], 2, {}, "(-0.001,0] (0,0.001]"),
        ([1.00001, 1.00002, 1.00003], 2, {}, "(1.00001,1.00002] (1.00002,1.00003]"),
        ([1, 5, 10], [10, 1, 5], {"include_lowest": True}, "[1,5] (5,10]"),
        ([1, 5, 10], [1, 5, 10], {"include_lowest": True, "right": False}, "[1,5) [5,10]"),
        (np.arange(11) / 1e5, 4, {}, "(-1e-07,2.5e-05] (2.5e-05,5e-05] (5e-05,7.5e-05] (7.5e-05,0.0001]"),
        ([123456, 234567], 3, {}, "(1.23e+05,1.6e+05] (1.6e+05,1.98e+05] (1.98e+05,2.35e+05]"),
        ([-5, 5], [-5, -0.0, 5], {}, "(-5,0] (0,5]"),
        ([1, 5, 10], 3, {"labels": ["a", "b", "a"]}, "a b"),
        (D["x"], 3, {}, "(-2,-0.667] (-0.667,0.667] (0.667,2]"),
        (D["x"], 3, {"dig_lab": 5}, "(-2.004,-0.66667] (-0.66667,0.66667] (0.66667,2.004]"),
    ],
)
def test_intervals_are_labelled_as_in_r(x, breaks, options, labels):
    found = cut(np.array(x, dtype=float), breaks, **options, state={})
    assert list(found.levels) == [label.replace("_", " ") for label in labels.split()]


@given(
    x=st.lists(st.integers(-20, 20), min_size=1, max_size=30),
    breaks=st.lists(st.integers(-20, 20), min_size=2, max_size=6, unique=True),
    right=st.booleans(),
)
def test_intervals_hold_what_numpy_counts(x, breaks, right):
    values, ends = np.array(x, dtype=float), np.sort(breaks)
    found = cut(values, breaks, right=right, state={})
    expected = np.digitize(values, ends, right=right) - 1
    expected[expected == len(ends) - 1] = -1
    np.testing.assert_array_equal(found.codes, expected)
    closed = cut(values, breaks, right=right, include_lowest=True, state={})
    at_end = values == (ends[0] if right else ends[-1])
    np.testing.assert_array_equal(closed.codes[~at_end], expected[~at_end])
    assert (closed.codes[at_end] == (0 if right else len(ends) - 2)).all()


@given(
    x=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30),
    n=st.integers(2, 9),
)
@example(x=[0.0, 5e-324], n=2)
@example(x=[1.0, 1.0 + 2.3e-16], n=9)
@example(x=[-1e6, -1e6 + 1.2e-10], n=3)
def test_a_number_of_breaks_leaves_no_value_out(x, n):
    state = {}
    found = cut(np.array(x), float(n), labels=[str(k) for k in range(n)], state=state)
    assert found.codes.min() >= 0
    assert len(state["breaks"]) == n + 1


def test_values_outside_the_intervals_are_missing_rows():
    found = design("cut(x, c(-1, 0, 1))")
    assert found.notices == ("5 of 12 rows dropped for missing values (cut(x, c(-1, 0, 1)) 5)",)
    assert found.x_names == ("(Intercept)", "cut(x, c(-1, 0, 1))(0,1]")


def test_cut_remembers_its_breaks():
    spec = pickle.loads(pickle.dumps(design("cut(x, 3)").spec))
    X, ok = spec.fixed_matrix({"x": [1.99, -0.7, 0.0, 9.0]})
    np.testing.assert_array_equal(X[:3], [[1, 0, 1], [1, 0, 0], [1, 1, 0]])
    assert ok.tolist() == [True, True, True, False]


def test_interval_numbers_in_place_of_labels():
    found = design("cut(x, c(-3, 0, 3), labels = FALSE)")
    assert found.X[:, 1].tolist() == [2, 2, 1, 2, 1, 1, 2, 2, 1, 2, 1, 2]


# -- relevel, interaction, factor --------------------------------------------------------------------------


@given(codes=st.lists(st.integers(0, 4), min_size=1, max_size=30), ref=st.integers(0, 4))
def test_relevel_only_permutes_levels(codes, ref):
    labels = [*"abcde", *(list("abcde")[k] for k in codes)]
    before = factor(np.array(labels, dtype=object))
    after = relevel(before, "abcde"[ref], state={})
    assert after.levels[0] == "abcde"[ref]
    assert list(after.levels[1:]) == [level for level in before.levels if level != "abcde"[ref]]
    assert after.labels().tolist() == before.labels().tolist() == labels


def test_relevel_moves_the_reference():
    assert design("relevel(f, ref = 'w')").x_names[1:] == ('relevel(f, ref = "w")u', 'relevel(f, ref = "w")v')
    assert design("relevel(f, 2)").x_names[1:] == ("relevel(f, 2)u", "relevel(f, 2)w")
    assert design("relevel(cut(x, 3), ref = '(0.667,2]')").x_names[1].endswith("(-2,-0.667]")


def test_new_data_need_not_have_the_reference():
    spec = design("relevel(f, ref = 'w')").spec
    np.testing.assert_array_equal(
        spec.fixed_matrix({"f": ["v", "v", "u"]})[0], [[1, 0, 1], [1, 0, 1], [1, 1, 0]]
    )
    with pytest.raises(DataError, match="has the level 'z'"):
        spec.fixed_matrix({"f": ["z"]})


def test_levels_of_an_interaction_are_in_rs_order():
    f, h = np.array(D["f"]), np.array(D["h"])
    assert interaction(f, h).levels == ("u.p", "v.p", "w.p", "u.q", "v.q", "w.q")
    assert interaction(f, h, sep="_", lex_order=True).levels == ("u_p", "u_q", "v_p", "v_q", "w_p", "w_q")
    three = interaction(f, h, np.array(list("KKKLLL") * 2))
    assert three.levels == ("u.p.K", "w.p.K", "v.q.K", "v.p.L", "u.q.L", "w.q.L")
    assert [three.levels[k] for k in three.codes[:4]] == ["u.p.K", "v.q.K", "w.p.K", "u.q.L"]


@given(
    a=st.lists(st.sampled_from("abc"), min_size=1, max_size=20),
    b=st.lists(st.sampled_from(["", "p", "q"]), min_size=20, max_size=20),
)
def test_an_interaction_labels_each_row_by_its_parts(a, b):
    b = b[: len(a)]
    found = interaction(np.array(a, dtype=object), np.array(b, dtype=object))
    assert found.labels().tolist() == [f"{i}.{j}" for i, j in zip(a, b, strict=True)]
    assert list(found.levels) == sorted(set(found.labels()), key=lambda s: (s.split(".")[1], s))


@pytest.mark.parametrize(
    "group", ["interaction(f, h)", "relevel(f, ref = 'v')", "cut(x, 3)", "droplevels(f)"]
)
def test_made_factors_group(group):
    found = build_design(f"y ~ x + (1|{group})", D)
    (term,) = found.random
    assert term.group == group.replace("'", '"')
    np.testing.assert_array_equal(found.spec.group_codes(pd.DataFrame(D)[5:9], 0), term.codes[5:9])
    assert found.spec.group_codes({"x": [99.0], "f": ["?"], "h": ["?"]}, 0).tolist() == [-1]


def test_factor_takes_labels():
    assert design("factor(f, labels = c('A', 'B', 'B'))").x_names[1:] == (
        'factor(f, labels = c("A", "B", "B"))B',
    )
    assert factor(np.array([3, 1, 2]), levels=[3, 2, 1], labels=["c", "b", "a"]).codes.tolist() == [0, 2, 1]
    assert factor(pd.Series([1, 2]), ordered=True).ordered


# -- C ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "suffixes", "coding"),
    [
        ("C(f, contr.sum)", ["1", "2"], [[1, 0], [0, 1], [-1, -1]]),
        ("C(f, sum)", ["1", "2"], [[1, 0], [0, 1], [-1, -1]]),
        ('C(f, "contr.SAS")', ["u", "v"], [[1, 0], [0, 1], [0, 0]]),
        ("C(f, helmert, 1)", ["1"], [[-1], [1], [0]]),
        ("C(f, poly, how.many = 1)", [".L"], [[-(0.5**0.5)], [0], [0.5**0.5]]),
        ("C(f)", ["v", "w"], [[0, 0], [1, 0], [0, 1]]),
    ],
)
def test_a_factor_may_bring_its_contrasts(written, suffixes, coding):
    found = design(written)
    assert list(found.x_names[1:]) == [written + suffix for suffix in suffixes]
    np.testing.assert_allclose(found.X[:3, 1:], coding, atol=1e-15)
    np.testing.assert_array_equal(found.spec.fixed_matrix({"f": list("wu")})[0], found.X[[2, 0]])


def test_contrasts_of_its_own_work_in_random_terms_and_give_way_to_the_argument():
    found = build_design("y ~ 1 + (C(f, sum)|h)", D)
    assert found.random[0].names == ("(Intercept)", "C(f, sum)1", "C(f, sum)2")
    given_ = build_design("y ~ C(f, sum) + (1|g)", D, contrasts={"C(f, sum)": "SAS"})
    assert given_.x_names[1:] == ("C(f, sum)u", "C(f, sum)v")


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ("relevel(f, ref = 'vv')", r"relevel\(f, ref = \"vv\"\): there is no level vv; did you mean 'v'"),
        ("relevel(f, ref = 7)", "there is no level 7"),
        ("relevel(x, ref = 2)", r"these are numbers: write factor\(\)"),
        ("relevel(ordered(f), ref = 'v')", "the levels are in order"),
        ("cut(x, 1)", r"cut\(x, 1\): breaks must be a number of intervals from 2"),
        ("cut(x, c(0, 0, 1))", "the breaks must be different"),
        ("cut(x, 3, labels = c('a', 'b'))", "there are 2 labels for 3 levels"),
        ("cut(f, 3)", r"cut\(f, 3\): a column of numbers is needed"),
        ("cut(x)", r"cut\(x\) cannot be computed"),
        ("interaction()", "at least one factor is needed"),
        ("C(f, odd)", r"contrasts for 'C\(f, odd\)': 'odd' is none of treatment"),
        ("C(f, helmer)", "did you mean 'helmert'"),
        ("C(f, c(1, 2, 3))", r"given by name here.* contrasts=\{'f': ...\}"),
        ("cut(z, 3)", r"cut\(z, 3\): no row has all the values"),
    ],
)
def test_mistakes(fixed, message):
    with pytest.raises(DataError, match=message):
        design(fixed, z=[np.nan] * 12)
