"""`fit.predict` against lme4's, and against X beta + Z b formed by hand."""

import dataclasses
import logging
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.api.types import is_numeric_dtype

import henderson as hd
from henderson.formula.bars import names_in
from reference import design_arguments, lmer_models, load_dataset, load_model, needs_lmer_reference

NEW = "somebody new"


def numbers(values):
    return np.array([np.nan if v is None else v for v in values], dtype=float)


@needs_lmer_reference
def test_reference(reference_fit):
    stored, data, fit = reference_fit
    predict, optimum = stored["predict"], stored["optimum"]
    regular = optimum["converged"] and optimum["identified"] and not stored["isSingular"]
    # where lme4 stopped short of the optimum its numbers are less sharp
    sharp = regular and fit.criterion > optimum["objective"] - 1e-8
    tolerance = {"rtol": 1e-6 if sharp else 0, "atol": (1e-5 if sharp else 1e-4) * fit.sigma}
    head = numbers(predict["in_sample_re_form_NA_head"])
    np.testing.assert_allclose(fit.predict(random="none")[: head.size], head, **tolerance)

    used = names_in(stored["formula"])
    seen = data[data[[name for name in data if name in used]].notna().all(axis=1)].iloc[:6]
    n = len(seen)
    # With the argument offset=, lme4 1.1-31 leaves the offset out for new data, so that predict(m, data) is
    # not predict(m); here it is added to both.
    left_out = seen["off"].to_numpy() if stored["arguments"] == {"offset": "off"} else np.zeros(n)

    def same(found, wanted, rows=None):
        expected = numbers(wanted["value"]) + left_out[np.arange(n) if rows is None else rows]
        np.testing.assert_allclose(found, expected, **tolerance)

    variables = predict["new_vars"] if isinstance(predict["new_vars"], list) else [predict["new_vars"]]
    new = seen.assign(**{v: -1 if is_numeric_dtype(seen[v]) else NEW for v in variables})
    mixed = pd.concat([seen.astype({v: new[v].dtype for v in variables})[:3], new[:3]])

    same(fit.predict(seen), predict["seen"])
    same(fit.predict(seen, random="none"), predict["seen_re_form_NA"])
    same(fit.predict(new, random="none"), predict["new_re_form_NA"])
    same(fit.predict(new, new_levels="population"), predict["new_allow"])
    same(fit.predict(mixed, new_levels="population"), predict["mixed_allow"], [0, 1, 2, 0, 1, 2])
    if predict["new_disallow"]["error"]:
        with pytest.raises(hd.DataError, match=r"level.* that the model has not seen"):
            fit.predict(new)
    else:
        same(fit.predict(new), predict["new_disallow"])
    if "partial" in predict and predict["partial"]["error"] is None:
        same(fit.predict(seen, random=[predict["partial"]["re_form"]]), predict["partial"])


@pytest.fixture(scope="module")
def sleep():
    return hd.example_data("sleepstudy")


@pytest.fixture(scope="module")
def fit(sleep):
    return hd.lmer("Reaction ~ Days + (Days | Subject)", sleep)


def test_by_hand(fit, sleep):
    new = pd.DataFrame({"Subject": ["372", "308", "372"], "Days": [0.0, 4.0, 20.0]})
    b = fit.ranef()["Subject"].loc[new["Subject"]].to_numpy()
    beta = fit.fixef.to_numpy()
    wanted = beta[0] + b[:, 0] + (beta[1] + b[:, 1]) * new["Days"]

    np.testing.assert_allclose(fit.predict(new), wanted, rtol=1e-12)
    np.testing.assert_allclose(fit.predict(new, random="none"), beta[0] + beta[1] * new["Days"], rtol=1e-12)
    # the columns that a prediction does not need may be absent
    np.testing.assert_allclose(
        fit.predict(new[["Days"]], random="none"), fit.predict(new, random="none"), rtol=0
    )


def test_the_rows_of_the_fit(fit, sleep):
    np.testing.assert_array_equal(fit.predict(), fit.fitted)
    np.testing.assert_allclose(fit.predict(sleep), fit.fitted, rtol=1e-12)
    for random in ("none", ["Subject"], ["(1 | Subject)"], ["(0 + Days | Subject)"], []):
        np.testing.assert_allclose(fit.predict(random=random), fit.predict(sleep, random=random), rtol=1e-12)


def test_random_effects_are_chosen_by_factor_or_term():
    """R: predict(lmer(Reaction ~ Days + (Days | Subject), sleepstudy), re.form = ~(1 | Subject))[1:3]."""
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    r = [253.6637, 264.1309, 274.5982]
    for text in ("(1 | Subject)", "(1|Subject)", "~(1|Subject)"):
        np.testing.assert_allclose(fit.predict(random=[text])[:3], r, atol=5e-5)
    whole = fit.predict(random=["(1 + Days | Subject)"])
    np.testing.assert_allclose(whole, fit.fitted, rtol=1e-12)
    both = fit.predict(random=["(1 | Subject)", "(0 + Days | Subject)"])
    np.testing.assert_allclose(both, fit.fitted, rtol=1e-12)


def test_uncorrelated_terms_are_found_by_their_common_text(sleep):
    fit = hd.lmer("Reaction ~ Days + (Days || Subject)", sleep)
    np.testing.assert_allclose(fit.predict(random=["(Days || Subject)"]), fit.fitted, rtol=1e-12)
    slopes = fit.predict(random=["(0 + Days | Subject)"]) - fit.predict(random="none")
    wanted = fit.ranef()["Subject"]["Days"].loc[sleep["Subject"].astype(str)] * sleep["Days"].to_numpy()
    np.testing.assert_allclose(slopes, wanted, atol=1e-10)


def test_an_effect_coded_otherwise_is_another_effect():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"f": np.tile(["a", "b"], 60), "g": np.repeat(np.arange(12).astype(str), 10)})
    data["y"] = rng.normal(size=120) + rng.normal(size=12)[data["g"].astype(int)]
    fit = hd.lmer("y ~ f + (f | g)", data)
    assert fit.predict(random=["(1 + f | g)"]) == pytest.approx(fit.fitted)
    with pytest.raises(hd.DataError, match=r"no random term \(0 \+ f \| g\); it has \(f \| g\)"):
        fit.predict(random=["(0 + f | g)"])


def test_new_levels(fit):
    new = {"Subject": ["308", "nobody", None, "nil"], "Days": [1.0, 1.0, 1.0, 1.0]}
    population = fit.fixef.to_numpy() @ [1.0, 1.0]

    with pytest.raises(hd.DataError, match=r"'Subject' is missing in 1 of 4 rows, the first of them row 2"):
        fit.predict(new)
    known = {"Subject": ["308", "nobody", "nil", "nobody"], "Days": [1.0] * 4}
    with pytest.raises(hd.DataError, match=r"2 levels .* \('nobody', 'nil'\), in 3 of 4 rows"):
        fit.predict(known)
    allowed = fit.predict(new, new_levels="population")
    np.testing.assert_allclose(allowed[1:], population)
    assert allowed[0] != pytest.approx(population)
    np.testing.assert_array_equal(np.isnan(fit.predict(new, new_levels="missing")), [False, True, True, True])
    np.testing.assert_allclose(fit.predict(new, random="none"), population)


def test_only_some_of_many_new_levels_are_named(fit):
    new = {"Subject": [f"n{k}" for k in range(100)], "Days": np.zeros(100)}
    with pytest.raises(hd.DataError, match=r"100 levels .* \('n0', 'n1', 'n2', \.\.\.\)") as caught:
        fit.predict(new)
    assert "n3" not in str(caught.value)


def test_missing_predictors_give_nan_and_are_counted(fit, caplog):
    new = {"Subject": ["308", "309"], "Days": [np.nan, 1.0]}
    with caplog.at_level(logging.WARNING, "henderson"):
        found = fit.predict(new)
    np.testing.assert_array_equal(np.isnan(found), [True, False])
    assert "1 of 2 rows miss a value of a predictor" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"newdata": {"days": [1], "Subject": ["308"]}}, "no column 'Days'; did you mean 'days'"),
        ({"random": "Subject"}, "random is 'Subject'; it can be 'all', 'none', or a list"),
        ({"random": ["Subjekt"]}, "no random effects of 'Subjekt'; did you mean 'Subject'"),
        ({"random": ["(Reaction | Subject)"]}, r"no random term \(Reaction \| Subject\)"),
        ({"random": ["(1 | Days)"]}, r"no random term \(1 \| Days\); it has \(Days \| Subject\)"),
        ({"newdata": {"Days": [1], "Subject": ["308"]}, "new_levels": "allow"}, "it can be 'error', "),
        ({"new_levels": "allow"}, "it can be 'error', "),
    ],
)
def test_mistakes_are_named(fit, arguments, message):
    with pytest.raises(hd.DataError, match=message):
        fit.predict(**arguments)


def test_offsets_come_from_the_new_data(sleep):
    data = sleep.assign(off=5.0 + 2.0 * sleep["Days"])
    by_argument = hd.lmer("Reaction ~ Days + (1 | Subject)", data, offset="off")
    in_formula = hd.lmer("Reaction ~ Days + offset(off) + (1 | Subject)", data)
    for fit in (by_argument, in_formula):
        np.testing.assert_allclose(fit.predict(data), fit.fitted, rtol=1e-12)
        with pytest.raises(hd.DataError, match="no column 'off'"):
            fit.predict(sleep)
    array = hd.lmer("Reaction ~ Days + (1 | Subject)", sleep, offset=data["off"].to_numpy())
    np.testing.assert_allclose(array.predict(), by_argument.fitted, rtol=1e-10)
    with pytest.raises(hd.DataError, match="array as offset, which says nothing about new rows"):
        array.predict(sleep)


def test_dropped_columns_are_left_out(sleep):
    data = sleep.assign(twice=2.0 * sleep["Days"], square=sleep["Days"] ** 2.0)
    fit = hd.lmer("Reaction ~ Days + twice + square + (1 | Subject)", data)
    assert fit.dropped == ("twice",)
    np.testing.assert_allclose(fit.predict(data), fit.fitted, rtol=1e-10)


@pytest.mark.parametrize("term", ["poly(Days, 2)", "scale(Days)", "bs(Days, df = 4)", "factor(Days)"])
def test_bases_are_those_of_the_fit(sleep, term):
    fit = hd.lmer(f"Reaction ~ {term} + (1 | Subject)", sleep)
    part = sleep.iloc[[3, 70, 12]]
    np.testing.assert_allclose(fit.predict(part), fit.fitted[[3, 70, 12]], rtol=1e-10)


def test_nested_and_crossed_factors():
    rng = np.random.default_rng(8)
    data = pd.DataFrame(
        {"a": rng.integers(0, 6, 300), "b": rng.integers(0, 4, 300), "c": rng.integers(0, 9, 300)}
    )
    data["y"] = rng.normal(size=300) + rng.normal(size=6)[data["a"]] + rng.normal(size=9)[data["c"]]
    fit = hd.lmer("y ~ 1 + (1 | a/b) + (1 | c)", data)
    np.testing.assert_allclose(fit.predict(data), fit.fitted, atol=1e-12)
    parts = [fit.predict(data, random=[g]) - fit.fixef.iloc[0] for g in ("b:a", "a", "c")]
    np.testing.assert_allclose(fit.fixef.iloc[0] + sum(parts), fit.fitted, atol=1e-12)
    # a new b within a known a: the effect of a stays
    new = data.iloc[[0]].assign(b=99)
    np.testing.assert_allclose(
        fit.predict(new, new_levels="population"), fit.predict(new, random=["a", "c"]), rtol=1e-12
    )
    with pytest.raises(hd.DataError, match=rf"'b:a' has 1 level .*\('99:{data['a'][0]}'\)"):
        fit.predict(new)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.integers(0, 179), min_size=0, max_size=30))
def test_rows_are_predicted_one_by_one(rows):
    data = hd.example_data("sleepstudy")
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", data)
    np.testing.assert_allclose(fit.predict(data.iloc[rows]), fit.fitted[rows], rtol=1e-12)


def test_a_pickled_fit_predicts(fit, sleep):
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(again.predict(sleep), fit.predict(sleep))
    np.testing.assert_array_equal(again.predict(), fit.fitted)
    with pytest.raises(hd.HendersonError, match="give newdata"):
        again.predict(random=["Subject"])


class TestExclude:
    """R: sleepstudy with Reaction[4] and Days[7] missing, na.action = na.exclude."""

    @pytest.fixture
    def data(self):
        data = hd.example_data("sleepstudy")
        data.loc[3, "Reaction"] = np.nan
        data.loc[6, "Days"] = np.nan
        return data

    def test_padded(self, data):
        fit = hd.lmer("Reaction ~ Days + (Days | Subject)", data, na_action="exclude")
        plain = hd.lmer("Reaction ~ Days + (Days | Subject)", data)
        kept = np.delete(np.arange(180), [3, 6])
        for padded, short in (
            (fit.fitted, plain.fitted),
            (fit.residuals, plain.residuals),
            (fit.predict(), plain.predict()),
            (fit.predict(random="none"), plain.predict(random="none")),
            (fit.predict(random=["Subject"]), plain.fitted),
        ):
            assert padded.shape == (180,)
            assert np.isnan(padded[[3, 6]]).all()
            np.testing.assert_allclose(padded[kept], short, rtol=1e-12)

    @needs_lmer_reference
    @pytest.mark.parametrize(
        "model", [m for m in lmer_models() if m.startswith(("sleep_naexc", "sleep_naw"))]
    )
    def test_reference(self, model):
        stored = load_model(model)
        data = load_dataset(stored["dataset"])
        arguments = design_arguments(stored["arguments"])
        assert arguments["na_action"] == "exclude"
        fit = hd.lmer(stored["formula"], data, REML=stored["REML"], **arguments)
        for found, wanted in (
            (fit.fitted, stored["fitted_head"]),
            (fit.residuals, stored["residual_head"]),
            (fit.predict(), stored["fitted_head"]),
        ):
            assert found.shape == (stored["n"]["nrow_data"],)
            assert None in wanted
            np.testing.assert_allclose(found[: len(wanted)], numbers(wanted), atol=1e-4 * fit.sigma)


def test_streamed_fits_say_what_they_have_not(fit, sleep):
    """A fit whose rows were not kept: everything else is answered."""
    estimates = dataclasses.replace(fit._e, rows=None, scaled_residual_quantiles=None)
    source = dataclasses.replace(fit.source, design=None, data=None)
    streamed = hd.LmerResult(estimates, None, source)
    for ask in (
        lambda: streamed.fitted,
        lambda: streamed.residuals,
        lambda: streamed.weights,
        lambda: streamed.offset,
        lambda: streamed.get_me("y"),
        streamed.predict,
        streamed.augment,
    ):
        with pytest.raises(hd.HendersonError, match=r"not kept because .* streamed; use fit\.predict"):
            ask()
    for ask in (lambda: streamed.get_me("Z"), streamed.model_matrix, lambda: streamed.refit(np.zeros(180))):
        with pytest.raises(hd.HendersonError, match="not kept because the data were streamed"):
            ask()
    np.testing.assert_array_equal(streamed.predict(sleep), fit.predict(sleep))
    assert streamed.nobs == 180
    before, _, after = str(fit).partition("\nScaled residuals: \n")
    assert str(streamed) == before + "".join(after.partition("\nRandom effects:")[1:])
