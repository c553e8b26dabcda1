"""Covariance tags around random terms: us(), diag(), cs(), ar1(), fa()."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from henderson import DataError, FormulaError
from henderson.formula import Structure, build_design, parse_formula

D = {
    "y": [1.2, 3.4, 2.2, 5.1, 4.3, 6.7, 2.9, 3.3, 5.8, 4.4, 1.9, 6.1],
    "x": [1.0, 2, 3] * 4,
    "g": list("aaabbbcccddd"),
    "h": list("pq") * 6,
    "day": [1, 2, 4] * 4,
    "wave": ["w1", "w2", "w3"] * 4,
    "diag": [0.5, 1.5, -1, 2, 0, -2, 1, 0.3, -0.7, 0.9, -1.1, 0.2],
}


def design(random, **columns):
    return build_design(f"y ~ x + {random}", {**D, **columns})


@pytest.mark.parametrize(
    ("written", "structure", "printed"),
    [
        ("(x|g)", Structure("us", False), "(x | g)"),
        ("us(x|g)", Structure("us", False), "(x | g)"),
        ("diag(x|g)", Structure("diag", False), "diag(x | g)"),
        ("diag(x | g, hom = TRUE)", Structure("diag", True), "diag(x | g, hom = TRUE)"),
        ("diag(x | g, hom=False)", Structure("diag", False), "diag(x | g)"),
        ("cs(1 + x|g)", Structure("cs", False), "cs(1 + x | g)"),
        ("cs(x | g, hom=True)", Structure("cs", True), "cs(x | g, hom = TRUE)"),
        ("cs(1 | g, hom=T)", Structure("cs", True), "cs(1 | g, hom = TRUE)"),
        ("diag(1|g)", Structure("diag", False), "diag(1 | g)"),
        ("ar1(0 + wave|g)", Structure("ar1", True), "ar1(0 + wave | g)"),
        ("ar1(0 + wave|g, hom = FALSE)", Structure("ar1", False), "ar1(0 + wave | g, hom = FALSE)"),
        ("(diag(x|g))", Structure("diag", False), "diag(x | g)"),
        ("fa(0 + wave|h)", Structure("fa", k=1), "fa(0 + wave | h, k = 1)"),
        ("fa(0 + wave|h, k=1)", Structure("fa", k=1), "fa(0 + wave | h, k = 1)"),
    ],
)
def test_a_tag_gives_its_structure_and_is_printed(written, structure, printed):
    (bar,) = parse_formula(f"y ~ x + {written}").bars
    assert (bar.structure, bar.text) == (structure, printed)
    found = design(written)
    assert found.random[0].structure == structure
    spec = pickle.loads(pickle.dumps(found.spec))
    assert (spec.random[0].structure, spec.random[0].text) == (structure, printed)
    assert parse_formula(f"y ~ {printed}").bars[0].structure == structure


def test_a_tag_changes_nothing_but_the_structure():
    tagged, plain = design("diag(x|g)"), design("(x|g)")
    np.testing.assert_array_equal(tagged.X, plain.X)
    np.testing.assert_array_equal(tagged.random[0].z, plain.random[0].z)
    np.testing.assert_array_equal(tagged.random[0].codes, plain.random[0].codes)
    assert tagged.random[0].names == plain.random[0].names


@pytest.mark.parametrize(
    ("written", "expanded"),
    [
        ("x + diag(x|a/b) + (1|c)", ["diag(x | b:a)", "diag(x | a)", "(1 | c)"]),
        ("cs(x|a*b)", ["cs(x | a)", "cs(x | b)", "cs(x | a:b)"]),
        ("diag(x|a:b) + ar1(0+t|c)", ["diag(x | a:b)", "ar1(0 + t | c)"]),
        ("(diag(x|a) + cs(x|b))", ["diag(x | a)", "cs(x | b)"]),
        ("us(0 + x|a)", ["(0 + x | a)"]),
    ],
)
def test_tagged_terms_expand_as_naked_ones_do(written, expanded):
    assert [bar.text for bar in parse_formula(f"y ~ {written}").bars] == expanded


def test_what_is_no_tag_stays_what_it_was():
    assert design("diag + (1|g)").x_names == ("(Intercept)", "x", "diag")
    assert parse_formula("y ~ I(a | b) + (1|g)").fixed.labels == ("I(a | b)",)
    with pytest.raises(DataError, match=r"the function diag\(\) is not known here"):
        design("diag(x) + (1|g)")
    with pytest.raises(DataError, match=r"the function dig\(\) is not known here.* did you mean 'diag'\?"):
        design("dig(x|g) + (1|g)")


@pytest.mark.parametrize(
    ("written", "message", "underlined"),
    [
        ("diag(x||g)", "'||' has no place in it", "||"),
        ("us(x|g, hom=TRUE)", "it takes no hom", "TRUE"),
        ("diag(x|g, hom=3)", "hom is TRUE or FALSE", "3"),
        ("diag(x|g, TRUE)", "takes hom = TRUE or FALSE and nothing else", "TRUE"),
        ("cs(x|g, hom=TRUE, 2)", "takes hom = TRUE or FALSE and nothing else", "TRUE"),
        ("diag((x|g))", "takes one random term", "(x|g)"),
        ("diag(hom=TRUE, x|g)", "starts with what it is put around", "diag(hom=TRUE, x|g)"),
        ("x:diag(x|g)", "added with '+'", "diag(x|g)"),
        ("cs(us(x|g)|h)", "one random term holds one bar", "us(x|g)"),
        ("diag(0|g)", "empty", "0|g"),
        ("diag(x|3)", "not a number", "3"),
    ],
)
def test_mistakes_in_tags_are_underlined(written, message, underlined):
    with pytest.raises(FormulaError) as caught:
        parse_formula(f"y ~ x + {written}")
    sentence, shown, carets = str(caught.value).split("\n")
    assert message in sentence
    assert shown[carets.index("^") : len(carets)] == underlined


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("cs(1|g)", r"cs\(1 \| g\): compound symmetry needs two effects .* only \(Intercept\)"),
        ("ar1(0+day|g)", r"day holds numbers; write ar1\(0 \+ factor\(day\) \| g\)"),
        ("ar1(wave|g)", r"without an intercept; write ar1\(0 \+ wave \| g\)"),
        ("ar1(day|g, hom=FALSE)", r"write ar1\(0 \+ factor\(day\) \| g, hom = FALSE\)"),
        ("ar1(1|g)", r"write ar1\(0 \+ factor\(time\) \| g\)"),
        ("ar1(0 + wave + h|g)", r"write ar1\(0 \+ factor\(time\) \| g\)"),
        ("ar1(0 + wave:h|g)", r"write ar1\(0 \+ factor\(time\) \| g\)"),
    ],
)
def test_effects_that_do_not_suit_a_tag_are_refused(written, message):
    with pytest.raises(DataError, match=message):
        design(written)


def test_ar1_has_the_indicators_of_its_factor_in_order():
    wave = pd.Categorical(D["wave"], categories=["w3", "w1", "never", "w2"], ordered=True)
    found = design("ar1(0 + wave|g)", wave=wave)
    assert found.random[0].names == ("wavew3", "wavew1", "wavew2")
    np.testing.assert_array_equal(found.random[0].z[:3], [[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    assert found.notices == ()


def test_only_ar1_may_have_an_effect_for_each_record_or_one_level():
    assert design("ar1(0 + wave|g)").random[0].z.shape == (12, 3)
    for tag in ("", "us", "diag", "cs"):
        with pytest.raises(DataError, match=r"observations \(=12\) <= number of random effects \(=12\)"):
            design(f"{tag}(0 + wave|g)")
    one = ["all"] * 12
    when = [f"t{k:02}" for k in range(12)]
    assert design("ar1(0 + when|one)", one=one, when=when).random[0].levels == ("all",)
    with pytest.raises(DataError, match="more than one level"):
        design("diag(1|one)", one=one)


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        ([1, 2, 3], None),
        ([0.1, 0.2, 0.3], None),
        (["jan", "feb", "mar"], None),
        ([1e-9, 2e-9, 4e-9], "1e-09, 2e-09, 4e-09"),
        ([1, 2, 4], "1, 2, 4"),
    ],
)
def test_uneven_steps_are_told(time, shown):
    notices = design("ar1(0 + factor(t)|g)", t=time * 4).notices
    assert len(notices) == (shown is not None)
    if shown is not None:
        assert (
            f"ar1(0 + factor(t) | g): the levels of factor(t), in the order {shown}, are equally"
            in notices[0]
        )


@pytest.mark.parametrize("residual", [False, True])
def test_numbers_out_of_order_are_told_with_the_mend(residual):
    t = ["1", "2", "10"] * 4
    ordered = pd.Categorical(t, categories=["1", "2", "10"])
    notices = []
    for column in (t, ordered):
        data = {**D, "t": column, "unit": np.repeat(np.arange(4), 3)}
        if residual:
            found = build_design("y ~ x + (1 | g)", data, residual="ar1(t | unit)")
        else:
            found = build_design("y ~ x + ar1(0 + t | g)", data)
        notices.append(found.notices[0])
    name = "ar1(t | unit)" if residual else "ar1(0 + t | g)"
    assert notices[0].startswith(f"{name}: the levels of t are numbers out of order")
    assert "this order: 1, 10, 2; make the column numeric, or a categorical" in notices[0]
    assert "in the order 1, 2, 10, are equally spaced" in notices[1]


def test_steps_down_are_as_good_as_steps_up():
    wave = pd.Categorical([1, 2, 3] * 4, categories=[3, 2, 1])
    assert design("ar1(0 + wave|g)", wave=wave).notices == ()


def test_steps_that_do_not_occur_do_not_count():
    t = [1, 2, 3, 9] * 3
    assert design("ar1(0 + factor(t)|g)", t=t).notices != ()
    used = build_design("y ~ x + ar1(0 + factor(t)|g)", {**D, "t": t}, subset="t < 9")
    assert used.notices == ()
    assert len(used.random[0].names) == 3


def test_an_unknown_tag_is_named():
    with pytest.raises(FormulaError, match=r"toep\(\) is no covariance structure.*us\(\) and diag\(\)"):
        parse_formula("y ~ x + toep(0 + t | g)")
    with pytest.raises(FormulaError, match="no random term"):
        parse_formula("y ~ I(a | b)")
