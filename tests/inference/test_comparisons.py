"""Likelihood-ratio tests between fits: lme4's numbers, and what must not be compared."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from henderson.inference.comparisons import compare
from inference.unbalanced import table
from reference import LMER, design_arguments, load_dataset, needs_lmer_reference

COLUMNS = {
    "npar": "npar",
    "aic": "AIC",
    "bic": "BIC",
    "loglik": "logLik",
    "deviance": "deviance",
    "chisq": "Chisq",
    "df": "Df",
}


def sleep(formula, **arguments):
    return hd.lmer(formula, hd.example_data("sleepstudy"), **arguments)


def numbers(values):
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def as_floats(column):
    return column.to_numpy(dtype=float, na_value=np.nan)


@needs_lmer_reference
@pytest.mark.parametrize("name", sorted(p.stem for p in LMER.glob("comparisons/*.json")))
def test_as_lme4(name, caplog):
    stored = json.loads((LMER / "comparisons" / f"{name}.json").read_text())
    data, arguments = load_dataset(stored["dataset"]), design_arguments(stored["arguments"])
    fits = {
        label: hd.lmer(formula, data, REML=stored["REML"], **arguments)
        for label, formula in stored["formulas"].items()
    }
    caplog.clear()
    refused = {"lrt_difflen": "3 rows", "lrt_dye2": "two fits", "lrt_sleep_fixed_norefit": "restricted"}
    if name in refused:
        with pytest.raises(hd.HendersonError, match=refused[name]):
            compare(*fits.values(), names=list(fits), refit=stored["refit"])
        return
    found = compare(*fits.values(), names=list(fits), refit=stored["refit"])
    expected = stored["table"]
    assert list(found.index) == expected["rows"]
    for ours, theirs in COLUMNS.items():
        np.testing.assert_allclose(
            as_floats(found[ours]), numbers(expected[theirs]), rtol=1e-6, atol=1e-6, err_msg=ours
        )
    log_p = -np.log10(numbers(expected["Pr(>Chisq)"]))
    np.testing.assert_allclose(found["neg_log_10_p_value"], log_p, rtol=1e-4, atol=1e-6)
    assert bool(stored["conditions"]["messages"]) == ("compared by maximum likelihood" in caplog.text)


def test_sleepstudy_in_lme4(caplog):
    """Needs no file: lme4's table of three REML fits."""
    fits = [sleep(f"Reaction ~ Days + ({re} | Subject)") for re in ("1", "Days")]
    between = sleep("Reaction ~ Days + (Days || Subject)")
    found = compare(fits[1], between, fits[0], names=["full", "no correlation", "intercepts"])
    assert list(found.index) == ["intercepts", "no correlation", "full"]
    assert found["npar"].tolist() == [4, 5, 6]
    assert found["df"].tolist()[1:] == [1, 1]
    assert found["chisq"].to_numpy()[1:] == pytest.approx([42.0753878653425, 0.0639106766845998], rel=1e-6)
    assert found["p_value"].to_numpy()[1:] == pytest.approx(
        [8.78215848529095e-11, 0.800418431977846], rel=1e-5
    )
    assert found["deviance"].iloc[0] == pytest.approx(1794.07864300523, abs=1e-7)
    assert found["bic"].iloc[0] == pytest.approx(1814.85047040879, abs=1e-7)
    assert "full, no correlation, intercepts, fitted by REML, fitted again" in caplog.text


def test_refitting_is_fitting_by_maximum_likelihood():
    formulas = ["y ~ x + (1 | g)", "y ~ x + f + (1 + z | g)", "y ~ x * f + (1 | g) + (1 | h)"]
    again = compare(*(hd.lmer(f, table()) for f in reversed(formulas)))
    by_ml = compare(*(hd.lmer(f, table(), REML=False) for f in reversed(formulas)))
    pd.testing.assert_frame_equal(again, by_ml, rtol=1e-8)
    assert again.index.tolist() == ["m3", "m2", "m1"]
    assert again["formula"].tolist() == formulas


def test_without_refitting_the_restricted_likelihoods_are_compared():
    small, large = sleep("Reaction ~ Days + (1 | Subject)"), sleep("Reaction ~ Days + (Days | Subject)")
    found = compare(small, large, refit=False)
    assert found["chisq"].iloc[1] == pytest.approx(small.reml_criterion - large.reml_criterion, rel=1e-12)


def test_models_of_one_size_have_no_test():
    found = compare(sleep("Reaction ~ Days + (1 | Subject)"), sleep("Reaction ~ I(Days^2) + (1 | Subject)"))
    assert found["df"].iloc[1] == 0
    assert np.isnan(found["p_value"].iloc[1])


def test_a_larger_model_that_fits_worse_has_a_chi_squared_of_zero():
    data = table().assign(noise=lambda d: np.cos(7 * np.arange(len(d)) ** 2))
    good, bad = (hd.lmer(f, data, REML=False) for f in ("y ~ x + (1 | g)", "y ~ noise + (z | g)"))
    assert bad.deviance > good.deviance
    found = compare(good, bad)
    assert found["chisq"].iloc[1] == 0.0
    assert found["p_value"].iloc[1] == 1.0


def test_relationship_and_streamed_fits(tmp_path):
    data = table()
    data.to_parquet(tmp_path / "rows.parquet")
    formulas = ["y ~ x + (1 | g)", "y ~ x + f + (1 + z | g)"]
    streamed = compare(*(hd.lmer(f, tmp_path / "rows.parquet") for f in formulas))
    pd.testing.assert_frame_equal(streamed, compare(*(hd.lmer(f, data) for f in formulas)), rtol=1e-6)


# -- what must not be compared -----------------------------------------------------------------------------


def refused(match, *fits, **how):
    with pytest.raises(hd.HendersonError, match=match):
        compare(*fits, **how)


def test_different_rows_are_counted():
    data = table()
    data.loc[[3, 40, 41], "z"] = np.nan
    whole, less = (hd.lmer(f, data) for f in ("y ~ x + (1 | g)", "y ~ x + z + (1 | g)"))
    refused("m1 was fitted to 90 rows and m2 to 87, 3 rows being used by only one", whole, less)
    shifted = hd.lmer("y ~ x + (1 | g)", data, subset=np.arange(90) > 0)
    other = hd.lmer("y ~ x + (1 | g)", data, subset=np.arange(90) < 89)
    refused("89 rows and m2 to 89, 2 rows being used by only one", shifted, other)
    refused("1 row being used by only one", whole, hd.lmer("y ~ x + (1 | g)", data[1:]))


def test_different_responses():
    fit = hd.lmer("y ~ x + (1 | g)", table())
    refused("y and m2 log", fit, hd.lmer("log(y + 10) ~ x + (1 | g)", table()))
    y = table()["y"].to_numpy().copy()
    y[:4] += 1.0
    refused("4 of 90 rows differ", fit, fit.refit(y))


def test_restricted_likelihoods_of_different_fixed_effects():
    fits = [hd.lmer(f, table()) for f in ("y ~ x + (1 | g)", "y ~ z + (1 | g)")]
    refused("m1 and m2 are REML fits of different fixed effects", *fits, refit=False)
    recoded = [hd.lmer("y ~ f + (1 | g)", table(), contrasts=c) for c in ({"f": "sum"}, None)]
    refused("different fixed effects", *recoded, refit=False)
    rescaled = [hd.lmer("y ~ x + (1 | g)", table().assign(x=lambda d, c=c: c * d["x"])) for c in (1, 2)]
    refused("different fixed effects", *rescaled, refit=False)
    mixed = [hd.lmer("y ~ x + (1 | g)", table(), REML=reml) for reml in (True, False)]
    refused("one was fitted by REML and the other by maximum likelihood", *mixed, refit=False)


def test_calls_that_make_no_sense():
    fit = sleep("Reaction ~ Days + (1 | Subject)")
    refused("two fits or more", fit)
    refused("argument 2 of anova is a DataFrame; it compares fits of", fit, table())
    refused("argument 1 of anova is a list", [fit, fit])
    refused("2 different names", fit, fit, names=["a", "a"])
    refused("2 different names", fit, fit, names=["a", "b", "c"])
    refused("2 different names", fit, fit, names=5)


def test_a_fit_without_its_data_is_compared_as_it_is(caplog):
    fits = [sleep(f"Reaction ~ Days + ({re} | Subject)", REML=False) for re in ("1", "Days")]
    kept = [pickle.loads(pickle.dumps(fit)) for fit in fits]
    pd.testing.assert_frame_equal(compare(*kept), compare(*fits))
    refused(
        "read back from a pickle or file",
        pickle.loads(pickle.dumps(sleep("Reaction ~ 1 + (1 | Subject)"))),
        *fits,
    )
    assert "fitted again" not in caplog.text
