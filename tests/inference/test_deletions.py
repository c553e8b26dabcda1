"""Leaving out terms, fixed and random: lmerTest's and lme4's numbers, and the same models fitted openly."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import henderson as hd
from henderson.inference.anova import anova_table
from henderson.inference.deletions import drop1, drop1_lrt, ranova
from henderson.inference.likelihoods import Maximum, deletion_table
from inference.unbalanced import table, without_cells
from reference import design_arguments, lmer_models, load_dataset, load_model, needs_lmer_reference

#: lmerTest compares a slope without an intercept with an intercept, a model that is no part of it.
NOT_NESTED = {"sleep_slopeonly", "sleep_slopeonly_m1"}


def numbers(values):
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def as_floats(frame):
    return frame.to_numpy(dtype=float, na_value=np.nan)


@needs_lmer_reference
@pytest.mark.parametrize("model", [m for m in lmer_models() if not m.startswith(("big_", "inst_"))])
def test_as_lmertest(model):
    stored = load_model(model)
    found = stored.get("lmerTest") or {}
    arguments = design_arguments(stored["arguments"])
    fit = hd.lmer(stored["formula"], load_dataset(stored["dataset"]), REML=stored["REML"], **arguments)
    expected = ((found.get("satterthwaite") or {}).get("drop1") or {}).get("table")
    if expected:
        tests = drop1(fit)
        assert list(tests.index) == expected["rows"]
        np.testing.assert_allclose(tests["num_df"], np.nan_to_num(numbers(expected["NumDF"])))
        np.testing.assert_allclose(tests["f"], numbers(expected["F value"]), rtol=1e-5)
        np.testing.assert_allclose(tests["sum_sq"], numbers(expected["Sum Sq"]), rtol=1e-5)
        if not stored["isSingular"]:
            np.testing.assert_allclose(tests["den_df"], numbers(expected["DenDF"]), rtol=1e-3)
    random = found.get("ranova")
    if random and random["table"] and random["trustworthy"] and stored["id"] not in NOT_NESTED:
        expected, tests = random["table"], ranova(fit)
        assert list(tests.index) == expected["rows"]
        for ours, theirs in {
            "npar": "npar",
            "loglik": "logLik",
            "aic": "AIC",
            "lrt": "LRT",
            "df": "Df",
        }.items():
            np.testing.assert_allclose(
                as_floats(tests[ours]), numbers(expected[theirs]), rtol=1e-6, atol=1e-5, err_msg=ours
            )
        p = numbers(expected["Pr(>Chisq)"])
        told = p > 0.0  # R's may underflow
        log_p = -np.log10(p[told])
        np.testing.assert_allclose(tests["neg_log_10_p_value"][told], log_p, rtol=1e-4, atol=1e-4)
        assert (tests["neg_log_10_p_value"][p == 0.0] > 300.0).all()


# -- fixed terms -------------------------------------------------------------------------------------------


def test_fixed_terms_in_r():
    """lmerTest's drop1 and lme4's, at lme4's optimum."""
    fit = hd.lmer("y ~ f * h + x * f + (1 | g)", table())
    tests, ratios = drop1(fit), drop1_lrt(fit)
    assert list(tests.index) == ["f:h", "f:x"]
    assert tests["num_df"].tolist() == [6, 2]
    assert tests["den_df"].to_numpy() == pytest.approx([72.0910849, 73.5663926], rel=1e-6)
    assert tests["f"].to_numpy() == pytest.approx([0.942974476, 1.191845779], rel=1e-6)
    assert ratios.index.tolist() == ["<none>", "f:h", "f:x"]
    assert ratios["aic"].to_numpy() == pytest.approx([358.378406, 352.826988, 357.107893], rel=1e-8)
    assert ratios["lrt"].to_numpy()[1:] == pytest.approx([6.44858263, 2.72948777], rel=1e-6)
    assert ratios["p_value"].to_numpy()[1:] == pytest.approx([0.374857200, 0.255446091], rel=1e-6)
    assert ratios["npar"].tolist() == [17, 11, 15]


def test_fixed_terms_in_r_with_empty_cells():
    fit = hd.lmer("y ~ f * h + x + (1 | g)", without_cells(table()))
    tests, ratios = drop1(fit), drop1_lrt(fit)
    assert tests["den_df"].to_numpy() == pytest.approx([63.7781807, 67.7229963], rel=1e-6)
    assert ratios["lrt"].to_numpy()[1:] == pytest.approx([11.00646204, 2.58056796], rel=1e-6)
    assert ratios["df"].tolist()[1:] == [1, 4]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    ("formula", "arguments"),
    [
        ("y ~ f + h + x + (1 + z | g)", {}),
        ("y ~ 0 + f + h + (1 | g)", {"weights": "x^2 + 1"}),
        ("y ~ f + x + offset(z) + (1 | g)", {"residual": "diag(h)"}),
        ("y ~ poly(x, 2) + f + (1 | g) + (1 | h)", {"contrasts": {"f": "sum"}}),
    ],
)
def test_fixed_terms_left_out_of_the_formula(formula, arguments, reml):
    fit = hd.lmer(formula, table(), REML=reml, **arguments)
    ratios = drop1_lrt(fit)
    for term in ratios.index[1:]:
        less = fit.update(f". ~ . - {term}", REML=False, contrasts=None)
        assert ratios.loc[term, "loglik"] == pytest.approx(less.loglik, abs=1e-7)
        assert ratios.loc[term, "npar"] == less.df


def test_the_last_fixed_effect():
    ratios = drop1_lrt(hd.lmer("y ~ 0 + x + (1 | g)", table()))
    y, g = table()["y"].to_numpy(), table()["g"].to_numpy()
    same = (g[:, None] == g).astype(float)
    best = max(
        stats.multivariate_normal(np.zeros(90), a * np.eye(90) + b * same).logpdf(y)
        for a in np.linspace(2.5, 3.5, 21)
        for b in np.linspace(0.0, 0.5, 21)
    )
    assert ratios.loc["x", "npar"] == 2
    assert best <= ratios.loc["x", "loglik"] <= best + 2e-3


def test_rows_with_missing_values_elsewhere_stay_out():
    data = table()
    data.loc[[3, 5], "z"] = np.nan
    ratios = drop1_lrt(hd.lmer("y ~ x + z + (1 | g)", data))
    without = hd.lmer("y ~ x + (1 | g)", data.dropna(), REML=False)
    assert ratios.loc["z", "loglik"] == pytest.approx(without.loglik, abs=1e-8)


def test_a_term_that_others_make_up_for_is_not_tested():
    fit = hd.lmer("y ~ x + twice + (1 | g)", table().assign(twice=lambda d: 2 * d["x"]))
    assert drop1(fit)["num_df"].tolist() == [0, 0]
    ratios = drop1_lrt(fit)
    assert ratios["df"].tolist()[1:] == [0, 0]
    assert ratios["p_value"].isna().all()


def test_single_terms_agree_with_the_analysis_of_variance():
    fit = hd.lmer("y ~ f + h + x + (1 | g)", table())
    pd.testing.assert_frame_equal(drop1(fit), anova_table(fit), rtol=1e-9)
    kr = {"ddf": "kenward-roger"}
    pd.testing.assert_frame_equal(drop1(fit, **kr), anova_table(fit, **kr), rtol=1e-9)


# -- random terms ------------------------------------------------------------------------------------------


def test_sleepstudy_in_lmertest():
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    slopes, whole = ranova(fit), ranova(fit, reduce_terms=False)
    assert slopes.index.tolist() == ["<none>", "Days in (Days | Subject)"]
    assert whole.index.tolist() == ["<none>", "(Days | Subject)"]
    assert slopes["loglik"].to_numpy() == pytest.approx([-871.814135979976, -893.232542697461], rel=1e-9)
    assert slopes["lrt"].iloc[1] == pytest.approx(42.8368134349691, rel=1e-6)
    assert slopes["p_value"].iloc[1] == pytest.approx(4.99004143060735e-10, rel=1e-5)
    assert whole["lrt"].iloc[1] == pytest.approx(150.035391512157, rel=1e-7)
    assert (whole["npar"].iloc[1], whole["df"].iloc[1]) == (3, 3)
    assert whole["p_value"].iloc[1] == pytest.approx(2.58899864254367e-32, rel=1e-5)
    # one slope and its covariance: half of chi-squared with 1 and with 2 degrees of freedom
    lrt = slopes["lrt"].iloc[1]
    mixture = 0.5 * stats.chi2.sf(lrt, 1) + 0.5 * stats.chi2.sf(lrt, 2)
    assert slopes["p_value_boundary"].iloc[1] == pytest.approx(mixture, rel=1e-10)
    assert slopes["neg_log_10_p_value_boundary"].iloc[1] == pytest.approx(-np.log10(mixture), rel=1e-10)
    # two variances at once: unknown
    assert np.isnan(whole["p_value_boundary"].iloc[1])


@pytest.mark.parametrize("reml", [True, False])
def test_the_only_random_term_leaves_a_linear_model(reml):
    data, w = table(), 1.0 + np.arange(90) % 3
    fit = hd.lmer("y ~ f + x + offset(0.1 * z) + (1 | g)", data, weights=w, REML=reml)
    X, y = fit.source.design.X, data["y"].to_numpy() - 0.1 * data["z"].to_numpy()
    (n, p), root = X.shape, np.sqrt(w)
    rss = np.linalg.lstsq(X * root[:, None], y * root, rcond=None)[1][0]
    nu = n - p if reml else n
    loglik = -0.5 * (nu * (1 + np.log(2 * np.pi * rss / nu)) - np.log(w).sum())
    if reml:
        loglik -= 0.5 * np.linalg.slogdet((X * w[:, None]).T @ X)[1]
    tests = ranova(fit)
    assert tests.loc["(1 | g)", "loglik"] == pytest.approx(loglik, rel=1e-12)
    assert tests.loc["(1 | g)", "npar"] == p + 1
    lrt = 2 * (fit.loglik - loglik)
    assert tests.loc["(1 | g)", "p_value_boundary"] == pytest.approx(0.5 * stats.chi2.sf(lrt, 1), rel=1e-6)


@pytest.mark.parametrize(
    ("random", "smaller"),
    [
        ("(x + z | g)", {"x in (x + z | g)": "(z | g)", "z in (x + z | g)": "(x | g)"}),
        ("(x * z | g)", {"x:z in (x * z | g)": "(x + z | g)"}),
        ("(x || g)", {"(1 | g)": "(0 + x | g)", "x in (0 + x | g)": "(1 | g)"}),
        ("(1 | h/g)", {"(1 | g:h)": "(1 | h)", "(1 | h)": "(1 | g:h)"}),
        ("(0 + f | g)", {"f in (0 + f | g)": "(1 | g)"}),
        (
            "diag(1 + x + z | g)",
            {"x in diag(1 + x + z | g)": "(z || g)", "z in diag(1 + x + z | g)": "(x || g)"},
        ),
        ("cs(1 + x | g) + (1 | h)", {"cs(1 + x | g)": "(1 | h)", "(1 | h)": "cs(1 + x | g)"}),
    ],
)
def test_the_smaller_models(random, smaller):
    data = table()
    tests = ranova(hd.lmer(f"y ~ f + {random}", data))
    assert tests.index.tolist() == ["<none>", *smaller]
    for name, terms in smaller.items():
        fit = hd.lmer(f"y ~ f + {terms}", data)
        assert tests.loc[name, "loglik"] == pytest.approx(fit.loglik, abs=1e-6), name
        assert tests.loc[name, "npar"] == fit.df


def test_the_arguments_of_the_call_are_kept():
    data = table().rename(columns={"g": "my group", "f": "the f"})
    w, rows = 1.0 + np.arange(90) % 3, np.arange(90) % 7 > 0
    arguments = {"weights": w, "subset": rows, "contrasts": {"`the f`": "sum"}, "REML": False}
    fit = hd.lmer("y ~ `the f` + offset(0.1 * z) + (1 + x | `my group`) + (1 | h)", data, **arguments)
    tests = ranova(fit)
    less = hd.lmer("y ~ `the f` + offset(0.1 * z) + (1 | `my group`) + (1 | h)", data, **arguments)
    assert tests["loglik"].iloc[1] == pytest.approx(less.loglik, abs=1e-8)


def test_dots_residual_structures_and_files(tmp_path):
    data = table()
    everything = ranova(hd.lmer("y ~ . + (1 | g)", data[["y", "x", "z", "g"]]))
    written = ranova(hd.lmer("y ~ x + z + (1 | g)", data))
    pd.testing.assert_frame_equal(everything, written, rtol=1e-9)
    own_variances = hd.lmer("y ~ x + (1 | g) + (1 | h)", data, residual="diag(f)")
    less = hd.lmer("y ~ x + (1 | h)", data, residual="diag(f)")
    assert ranova(own_variances).loc["(1 | g)", "loglik"] == pytest.approx(less.loglik, abs=1e-7)
    data.to_parquet(tmp_path / "rows.parquet")
    formula = "y ~ x + (1 + z | g)"
    streamed, kept = (ranova(hd.lmer(formula, d)) for d in (tmp_path / "rows.parquet", data))
    np.testing.assert_allclose(as_floats(streamed), as_floats(kept), rtol=1e-5)


def test_relationship_of_a_group_that_is_left_out():
    data = table().assign(id=[f"i{k}" for k in range(90)])
    A = np.random.default_rng(3).normal(size=(90, 150))
    G = hd.RelationshipMatrix.of(A @ A.T / 150, data["id"].tolist())
    fit = hd.lmer("y ~ x + (1 | id)", data, relationship={"id": G})
    tests = ranova(fit)
    assert tests.loc["(1 | id)", "npar"] == 3
    assert tests.loc["(1 | id)", "lrt"] >= 0.0


def test_no_mixture_where_another_variance_is_at_its_bound():
    data = hd.example_data("sleepstudy").assign(part=lambda d: (d["Days"] % 3).astype(str))
    fit = hd.lmer("Reaction ~ Days + (1 | Subject) + (1 | part)", data)
    assert fit.is_singular()
    tests = ranova(fit)
    assert np.isnan(tests.loc["(1 | Subject)", "p_value_boundary"])
    assert tests.loc["(1 | part)", "p_value_boundary"] == 1.0


def test_searches_that_did_not_arrive_are_told(caplog):
    data, one_step = hd.example_data("sleepstudy"), hd.Control(max_iterations=1)
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", data, start=[5.0, 0.0, 5.0], control=one_step)
    caplog.clear()
    drop1_lrt(fit)
    assert "the best fit of the full model stopped at its limit" in caplog.text
    assert "the best fit of the model without Days stopped at its limit" in caplog.text
    caplog.clear()
    table = deletion_table(Maximum(6, -900.0), {"(1 | g)": Maximum(5, -899.0)})
    assert "reduced by (1 | g) has a higher likelihood than the full one, by 1, so" in caplog.text
    assert (table["lrt"].iloc[1], table["p_value"].iloc[1]) == (0.0, 1.0)


def test_other_rows_are_refused_and_counted():
    data = table()
    data.loc[[3, 5], "z"] = np.nan
    fit = hd.lmer("y ~ x + (1 + z | g)", data)
    with pytest.raises(hd.HendersonError, match=r"88 rows .* to 90, 2 rows being used by only one"):
        ranova(fit)


def test_what_ranova_cannot_do_is_said():
    fit = hd.lmer("y ~ x + (1 | g)", table())
    with pytest.raises(hd.HendersonError, match="read back from a pickle or file"):
        ranova(pickle.loads(pickle.dumps(fit)))
    with pytest.raises(hd.HendersonError, match="given to refit"):
        ranova(fit.refit(table()["y"].to_numpy() + 1.0))
    with pytest.raises(hd.HendersonError, match="residual structure"):
        ranova(hd.lmer("y ~ x + (1 | g)", table(), residual="diag(f)"))
