import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from henderson.errors import DataError, HendersonError
from henderson.fit import FittedModel
from henderson.lmm.effect_curves import effect_curves
from henderson.lmm.plotting import FitPlots
from henderson.lmm.within_levels import within_levels

pytest.importorskip("matplotlib", reason="needs matplotlib")

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

DAYS = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep():
    return hd.lmer(DAYS, hd.example_data("sleepstudy"))


@pytest.fixture(scope="module")
def singular():
    return hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff2"))


@pytest.fixture(scope="module")
def grouped_sleep():
    """Sleepstudy with a factor and a number made from the subjects, as in the R code beside the numbers."""
    data = hd.example_data("sleepstudy")
    code = data["Subject"].cat.codes.to_numpy() + 1
    data["grp"] = np.where(code % 3 == 0, "low", "high")
    data["x2"] = (code * 7) % 5
    return data


def axes(n):
    return Figure(figsize=(4 * n, 4)).subplots(1, n, squeeze=False)[0]


def dots(ax):
    lines = [line for line in ax.lines if line.get_marker() == "o"]
    return np.concatenate([np.column_stack(line.get_data()) for line in lines])


def written(ax):
    return "\n".join(text.get_text() for text in ax.texts)


# -- random effects ----------------------------------------------------------------------------------------


def test_caterpillar_shows_ranef_with_its_conditional_intervals(sleep):
    panels = FitPlots(sleep).caterpillar(axes=axes(2))

    ranef = sleep.ranef()
    table, variance = ranef["Subject"], ranef.cond_var["Subject"][0]
    order = np.argsort(table["(Intercept)"].to_numpy())
    for j, (ax, name) in enumerate(zip(panels, table, strict=True)):
        assert ax.get_xlabel() == name
        assert [label.get_text() for label in ax.get_yticklabels()] == table.index[order].tolist()
        shown = dots(ax)
        np.testing.assert_array_equal(shown[np.argsort(shown[:, 1]), 0], table[name].to_numpy()[order])
        lines = np.concatenate([c.get_segments() for c in ax.collections if isinstance(c, LineCollection)])
        widths = lines[np.argsort(lines[:, 0, 1])]
        half = 1.959963985 * np.sqrt(variance[order, j, j])
        np.testing.assert_allclose(widths[:, 1, 0] - widths[:, 0, 0], 2 * half, rtol=1e-8)


def test_terms_of_one_group_are_shown_together():
    fit = hd.lmer("Reaction ~ Days + (Days || Subject)", hd.example_data("sleepstudy"))
    assert [ax.get_xlabel() for ax in FitPlots(fit).caterpillar(axes=axes(2))] == ["(Intercept)", "Days"]
    assert [len(dots(ax)) for ax in FitPlots(fit).ranef_qq(axes=axes(2))] == [18, 18]


def test_long_lists_are_sorted_effect_by_effect():
    rng = np.random.default_rng(1)
    g, x = rng.integers(0, 600, 4000), rng.normal(size=4000)
    b = rng.normal(size=(600, 2))
    data = {"y": b[g, 0] + b[g, 1] * x + rng.normal(size=4000), "x": x, "g": g}
    fit = hd.lmer("y ~ x + (x | g)", data)
    for ax in FitPlots(fit).caterpillar(axes=axes(2)):
        shown = dots(ax)
        assert (np.diff(shown[np.argsort(shown[:, 1]), 0]) >= 0).all()
        assert re.match(r"\d+ levels, sorted", ax.get_ylabel())


def test_modes_are_divided_by_their_own_standard_deviation():
    data = hd.example_data("sleepstudy").drop(index=[*range(0, 8), *range(21, 26), *range(100, 101)])
    fit = hd.lmer(DAYS, data)
    # The dense algebra of one level: b^ = S Z' V^-1 (y - X beta), so that Var b^ = S Z' V^-1 Z S.
    S = fit.varcorr["Subject"].covariance
    sds = {}
    for subject, rows in data.groupby("Subject", observed=True):
        Z = np.column_stack([np.ones(len(rows)), rows["Days"]])
        V = Z @ S @ Z.T + fit.sigma**2 * np.eye(len(rows))
        sds[subject] = np.sqrt(np.diag(S @ Z.T @ np.linalg.solve(V, Z @ S)))

    panels = FitPlots(fit).ranef_qq(axes=axes(2))

    for j, (ax, (_, b)) in enumerate(zip(panels, fit.ranef()["Subject"].items(), strict=True)):
        expected = np.sort([value / sds[subject][j] for subject, value in b.items()])
        np.testing.assert_allclose(np.sort(dots(ax)[:, 1]), expected, rtol=1e-6)


def test_relationships_count_in_the_standard_deviation_of_modes():
    rng = np.random.default_rng(2)
    factor = rng.normal(size=(40, 60)) / np.sqrt(60) * rng.uniform(0.5, 2, 40)[:, None]
    G = factor @ factor.T + 0.05 * np.eye(40)
    y = np.linalg.cholesky(G) @ rng.normal(size=40) * 2 + rng.normal(size=40)
    ids = [f"i{k}" for k in range(40)]
    fit = hd.lmer(
        "y ~ 1 + (1 | id)", {"y": y, "id": ids}, relationship={"id": pd.DataFrame(G, index=ids, columns=ids)}
    )
    variance = fit.varcorr["id"].covariance[0, 0]
    V = variance * G + fit.sigma**2 * np.eye(40)
    order = [ids.index(level) for level in fit.ranef()["id"].index]
    sd = np.sqrt(np.diag(variance**2 * G @ np.linalg.solve(V, G)))[order]

    [ax] = FitPlots(fit).ranef_qq(axes=axes(1))

    b = fit.ranef()["id"]["(Intercept)"].to_numpy()
    np.testing.assert_allclose(np.sort(dots(ax)[:, 1]), np.sort(b / sd), rtol=1e-5)


def test_a_singular_fit_is_drawn_and_told(singular):
    plots = FitPlots(singular)
    assert "the variance is zero" in written(plots.caterpillar(axes=axes(1))[0])
    assert "the variance is zero" in written(plots.ranef_qq(axes=axes(1))[0])
    plots.shrinkage(ax=axes(1)[0])
    plots.check(axes=axes(6))[0].figure.draw_without_rendering()


@pytest.mark.filterwarnings("error")
def test_conditional_variances_of_zero_may_be_less_by_rounding(sleep):
    """The variance of a singular term is zero but for rounding errors of either sign."""
    estimates = sleep.estimates
    [term] = estimates.terms
    cond_var = term.cond_var.copy()
    cond_var[0] = -1e-30
    fit = FittedModel(replace(estimates, terms=(replace(term, cond_var=cond_var),)), None, None)
    ends = [b.get_segments() for ax in FitPlots(fit).caterpillar(axes=axes(2)) for b in ax.collections]
    assert np.isfinite(np.concatenate([np.ravel(s) for s in ends if len(s)])).all()


def test_unknown_groups_and_effects_are_named(sleep):
    plots = FitPlots(sleep)
    with pytest.raises(DataError, match="no random effects of 'subject'; did you mean 'Subject'"):
        plots.caterpillar("subject")
    with pytest.raises(DataError, match="'Subject' has no effect 'Day'; did you mean 'Days'"):
        plots.shrinkage(effects_shown=["Day"])
    with pytest.raises(DataError, match="one effect or two; 3 were named"):
        plots.shrinkage(effects_shown=["Days", "Days", "Days"])
    with pytest.raises(DataError, match="level is the coverage"):
        plots.caterpillar(level=95)
    with pytest.raises(DataError, match="level is the coverage"):
        plots.effect("Days", level=95)
    with pytest.raises(DataError, match="this picture has 2 panels, and 1 axes were given"):
        plots.caterpillar(axes=axes(1))


# -- within levels -----------------------------------------------------------------------------------------


def test_one_effect_may_be_named_without_a_list(sleep):
    drawn = FitPlots(sleep).shrinkage(effects_shown="Days", ax=axes(1)[0])
    assert drawn.get_xlabel() == "Days: the level's own estimate"


def test_own_estimates_are_those_of_lmlist(sleep):
    found = within_levels(sleep, "Subject")
    # R 4.2.2, lme4 1.1-31: coef(lmList(Reaction ~ Days | Subject, sleepstudy))
    r = [[244.192669, 21.76470242], [205.054945, 2.26178545], [203.484225, 6.11489879]]
    np.testing.assert_allclose(found.estimates[:3] + sleep.fixef.to_numpy(), r, rtol=1e-8)
    np.testing.assert_array_equal(found.n_records, np.full(18, 10))


def test_own_estimates_by_dense_algebra():
    rng = np.random.default_rng(3)
    n = 300
    data = {
        "x": rng.normal(size=n), "g": rng.integers(0, 40, n), "h": rng.integers(0, 12, n),
        "w": rng.uniform(0.2, 3, n), "o": rng.normal(size=n), "s": rng.choice(["a", "b"], n),
    }  # fmt: skip
    data["y"] = (
        data["x"] + rng.normal(size=40)[data["g"]] + rng.normal(size=12)[data["h"]] + rng.normal(size=n)
    )
    fit = hd.lmer(
        "y ~ x + offset(o) + (1 | g) + (0 + x | g) + (1 | h)", data, weights="w", residual="diag(s)"
    )

    found = within_levels(fit, "g")

    tables = fit.ranef()
    of_h = dict(tables["h"]["(Intercept)"])
    residual = fit.varcorr.residual
    variance = dict(zip(residual.names, np.diag(residual.covariance), strict=True))
    beta = fit.fixef.to_numpy()
    for level, own in zip(tables["g"].index, found.estimates, strict=True):
        rows = np.flatnonzero(data["g"] == int(level))
        left = data["y"][rows] - beta[0] - beta[1] * data["x"][rows] - data["o"][rows]
        left -= [of_h[str(h)] for h in data["h"][rows]]
        root = np.sqrt(data["w"][rows] / [variance[s] for s in data["s"][rows]])
        Z = np.column_stack([np.ones(rows.size), data["x"][rows]])
        Z = Z[:, [list(tables["g"]).index(name) for name in ("(Intercept)", "x")]]
        if rows.size < 2:
            assert np.isnan(own).all()
            continue
        expected = np.linalg.lstsq(Z * root[:, None], left * root, rcond=None)[0]
        np.testing.assert_allclose(own, expected, rtol=1e-6, atol=1e-8)


def test_levels_without_enough_records_have_no_estimate():
    data = hd.example_data("sleepstudy").drop(index=range(1, 10))
    fit = hd.lmer(DAYS, data)
    found = within_levels(fit, "Subject")
    assert np.isnan(found.estimates[0]).all()
    assert np.isfinite(found.estimates[1:]).all()
    assert "1 level without an estimate" in written(FitPlots(fit).shrinkage(ax=axes(1)[0]))


# -- effects -----------------------------------------------------------------------------------------------


def test_effects_are_those_of_emmeans(grouped_sleep):
    fit = hd.lmer("Reaction ~ Days * grp + x2 + (Days | Subject)", grouped_sleep)
    # R 4.2.2, emmeans(m, ~ Days | grp, at = list(Days = c(0, 4.5, 9)), lmer.df = "satterthwaite"); the
    # degrees of freedom of lmerTest are from numerical derivatives.
    r = {
        "grp high": [[254.4375, 236.0224, 272.8525], [354.5327, 316.7372, 392.3282]],
        "grp low": [[245.3404, 219.2448, 271.4359], [327.7666, 274.2964, 381.2368]],
    }
    curves = effect_curves(fit, "Days", by="grp")
    assert [curve.label for curve in curves] == list(r)
    for curve in curves:
        found = np.column_stack([curve.mean, curve.lower, curve.upper])[[0, -1]]
        np.testing.assert_allclose(found, r[curve.label], rtol=2e-6)


def test_points_are_the_mean_plus_the_residual(grouped_sleep):
    fit = hd.lmer("Reaction ~ log(Days + 1) * grp + x2 + (Days | Subject)", grouped_sleep)
    for curve, group in zip(effect_curves(fit, "Days", by="grp"), ("high", "low"), strict=True):
        rows = grouped_sleep["grp"].to_numpy() == group
        at_mean = grouped_sleep[rows].assign(x2=grouped_sleep["x2"].mean())
        np.testing.assert_array_equal(curve.data_x, at_mean["Days"])
        np.testing.assert_allclose(
            curve.data_y, fit.predict(at_mean, random="none") + fit.residuals[rows], rtol=1e-12
        )


def test_other_columns_can_be_held_anywhere(grouped_sleep):
    fit = hd.lmer("Reaction ~ Days * grp + x2 + (Days | Subject)", grouped_sleep)
    [curve] = effect_curves(fit, "Days", at={"grp": "low", "x2": 4})
    new = {"Days": curve.x, "grp": ["low"] * curve.x.size, "x2": np.full(curve.x.size, 4)}
    np.testing.assert_allclose(curve.mean, fit.predict(new, random="none"), rtol=1e-12)


@pytest.mark.parametrize(
    "formula", ["y ~ early + (1 | g)", "y ~ factor(dose) + (1 | g)", "y ~ kind + (1 | g)"]
)
def test_categories_have_a_place_each(formula):
    rng = np.random.default_rng(4)
    data = {
        "early": rng.random(80) < 0.4, "dose": rng.choice([5, 10, 20], 80),
        "kind": rng.choice(["u", "v", "w"], 80), "g": rng.integers(0, 8, 80), "y": rng.normal(size=80),
    }  # fmt: skip
    name = next(column for column in ("early", "dose", "kind") if column in formula)
    fit = hd.lmer(formula, data)

    [curve] = effect_curves(fit, name)

    values = np.unique(data[name])
    expected = [{"True": "TRUE", "False": "FALSE"}.get(str(value), str(value)) for value in values]
    assert list(curve.names) == expected
    np.testing.assert_allclose(curve.mean, fit.predict({name: values}, random="none"), rtol=1e-12)
    np.testing.assert_array_equal(values[curve.data_x.astype(int)], data[name])
    ax = FitPlots(fit).effect(name, ax=axes(1)[0])
    assert [label.get_text() for label in ax.get_xticklabels()] == expected


def test_many_codes_of_a_factor_have_no_values_between_them():
    rng = np.random.default_rng(4)
    code = np.arange(600) % 130
    data = {"code": code, "g": rng.integers(0, 9, 600), "y": rng.normal(size=600)}
    [curve] = effect_curves(hd.lmer("y ~ factor(code) + (1 | g)", data), "code")
    np.testing.assert_array_equal(curve.x, np.arange(130))


def test_the_offset_is_at_its_mean():
    rng = np.random.default_rng(5)
    data = {
        "x": rng.normal(size=60),
        "o": rng.normal(5, 1, 60),
        "g": rng.integers(0, 6, 60),
        "y": rng.normal(size=60),
    }
    fit = hd.lmer("y ~ x + (1 | g)", data, offset="o")
    [curve] = effect_curves(fit, "x")
    intercept, slope = fit.fixef
    np.testing.assert_allclose(curve.mean, intercept + slope * curve.x + data["o"].mean(), rtol=1e-12)


def test_what_the_records_do_not_determine_is_not_drawn():
    rng = np.random.default_rng(6)
    a, b = rng.choice(["p", "q"], 90), rng.choice(["u", "v"], 90)
    b[a == "q"] = "u"  # no record of q and v
    data = {"a": a, "b": b, "g": rng.integers(0, 9, 90), "y": rng.normal(size=90)}
    fit = hd.lmer("y ~ a * b + (1 | g)", data)
    assert fit.dropped
    by_level = {curve.label: curve for curve in effect_curves(fit, "b", by="a")}
    assert np.isfinite(by_level["a p"].mean).all()
    np.testing.assert_array_equal(np.isnan(by_level["a q"].mean), [False, True])
    assert "do not determine" in written(FitPlots(fit).effect("b", by="a", ax=axes(1)[0]))


def test_records_are_not_drawn_where_nothing_determines_the_mean():
    data = hd.example_data("sleepstudy")
    data["part"] = np.array(["a", "b", "c"])[data["Days"] // 4]
    data["late"] = data["part"] == "c"
    [curve] = effect_curves(hd.lmer("Reaction ~ part + late + (1 | Subject)", data), "part")
    np.testing.assert_array_equal(np.isnan(curve.mean), [False, False, True])
    np.testing.assert_array_equal(np.isnan(curve.data_y), curve.data_x == 2)


def test_effects_refuse_what_they_cannot_show(grouped_sleep):
    fit = hd.lmer("Reaction ~ Days * grp + x2 + (Days | Subject)", grouped_sleep)
    plots = FitPlots(fit)
    with pytest.raises(
        DataError, match="'day' is no column of the fixed part of the model; did you mean 'Days'"
    ):
        plots.effect("day")
    with pytest.raises(DataError, match="'Subject' is no column of the fixed part"):
        plots.effect("Days", by="Subject")
    with pytest.raises(DataError, match=r"'Days' has 10 values, and a picture can show 7 curves: hold it"):
        plots.effect("x2", by="Days")
    with pytest.raises(DataError, match="is the predictor itself"):
        plots.effect("Days", by="Days")
    with pytest.raises(DataError, match="'gpr' is no column"):
        plots.effect("Days", at={"gpr": "low"})
    with pytest.raises(DataError, match="'middle'"):
        plots.effect("Days", at={"grp": "middle"})
    with pytest.raises(
        DataError, match=r"at holds one value of each column, and 'grp' has \['low', 'high'\]"
    ):
        plots.effect("Days", at={"grp": ["low", "high"]})
    with pytest.raises(DataError, match=r"at is \['grp'\]; it is a dict"):
        plots.effect("Days", at=["grp"])
    for drawn in ("Days", "grp"):
        with pytest.raises(DataError, match=f"at holds '{drawn}' at one value, and the picture is to show"):
            plots.effect("Days", by="grp", at={drawn: 0})
    with pytest.raises(
        DataError, match="the mean over 'Days' cannot be computed at grp = high, x2 = nan: hold"
    ):
        plots.effect("Days", at={"x2": np.nan})
    with pytest.raises(HendersonError, match="in no table"):
        FitPlots(fit.refit(fit.fitted + fit.residuals[::-1])).effect("Days")


# -- residuals and the page of checks ----------------------------------------------------------------------


def test_residuals_are_those_of_the_fit(sleep):
    found = dots(FitPlots(sleep).residuals(ax=axes(1)[0]))
    np.testing.assert_array_equal(found, np.column_stack([sleep.fitted, sleep.residuals]))


def test_check_of_weights_and_excluded_rows():
    data = hd.example_data("sleepstudy")
    data.loc[[3, 50], "Reaction"] = np.nan
    data["w"] = np.linspace(0.5, 2, 180)
    fit = hd.lmer(DAYS, data, weights="w", na_action="exclude")

    panels = FitPlots(fit).check(axes=axes(6))

    assert len(dots(panels[0])) == 178
    scaled = np.sort((fit.residuals * np.sqrt(data["w"]) / fit.sigma).dropna())
    np.testing.assert_allclose(np.sort(dots(panels[2])[:, 1]), scaled, rtol=1e-10)
    names = {text for text in written(panels[4]).split("\n") if text.isdigit()} - {"1"}
    expected = np.argsort(-np.nan_to_num(fit.cooks_distance()))[:3]
    assert names == set(map(str, expected.tolist()))


@pytest.mark.parametrize(
    "arguments",
    [
        {"formula": "Reaction ~ Days + cs(Days | Subject)"},
        {"formula": "Reaction ~ Days + (1 | Subject)", "residual": "ar1(0 + factor(Days) | Subject)"},
        {"formula": "Reaction ~ Days + (1 | Subject)", "residual": "diag(late)"},
    ],
    ids=["cs", "ar1 residuals", "diag residuals"],
)
def test_check_of_other_models(arguments):
    data = hd.example_data("sleepstudy").assign(late=lambda d: d["Days"] > 4)
    panels = FitPlots(hd.lmer(data=data, **arguments)).check(axes=axes(6))
    panels[0].figure.draw_without_rendering()
    correlated = "ar1" in arguments.get("residual", "")
    assert ("is for independent residuals" in written(panels[4]).replace("\n", " ")) == correlated


def test_many_rows_are_quick_to_draw():
    rng = np.random.default_rng(7)
    n = 20_000
    g, x = rng.integers(0, 300, n), rng.gamma(2, 2, n)
    data = {
        "y": np.log(x) + rng.normal(size=300)[g] + rng.normal(size=n),
        "x": x,
        "g": g,
        "k": rng.choice(list("abc"), n),
    }
    plots = FitPlots(hd.lmer("y ~ log(x) + k + (1 | g)", data))
    plots.check(axes=axes(6))
    ax = plots.effect("x", by="k", ax=axes(1)[0])
    assert len(dots(ax)) == pytest.approx(5000, abs=3)
    assert "of 20,000 points" in written(ax)
    assert len(ax.lines[1].get_xdata()) <= 120


def test_scaled_residuals_are_those_given(sleep):
    found = sleep.scaled_residuals(100, seed=3)
    left, right = FitPlots(sleep).scaled_residuals(found, axes=axes(2))
    np.testing.assert_array_equal(np.sort(dots(left)[:, 1]), np.sort(found.values))
    assert len(dots(right)) == 180


def test_profiles_have_a_panel_for_each_parameter(sleep):
    profile = sleep.profile(["sigma", "Days"])
    panels = FitPlots(sleep).profile(profile, level=0.9, axes=axes(2))
    for ax, curve in zip(panels, profile, strict=True):
        assert ax.get_xlabel() == curve.name
        low, high = curve.interval(0.9)
        marks = np.concatenate([c.get_segments() for c in ax.collections if isinstance(c, LineCollection)])
        np.testing.assert_allclose(marks[:, 0, 0], [low, high])
        np.testing.assert_allclose(marks[:, 1, 1], [-1.644854, 1.644854], rtol=1e-3)


def test_a_singular_profile_is_drawn(singular):
    panels = FitPlots(singular).profile(axes=axes(3))
    assert written(panels[0]).startswith("95%: 0 to 2.08")


def test_bootstraps_have_a_panel_for_each_number(sleep):
    found = sleep.bootstrap(n=60, seed=2)
    panels = FitPlots(sleep).bootstrap(found, level=0.9, method="basic", axes=axes(len(found.estimate)))
    limits = found.confint(0.9, method="basic")
    for ax, (name, estimate) in zip(panels, found.estimate.items(), strict=True):
        assert ax.get_xlabel() == name
        assert ax.patches[0].get_data().values.sum() == 60
        places = [line.get_xdata() for line in ax.lines]
        np.testing.assert_allclose(places[0], estimate)
        np.testing.assert_allclose(places[1], limits.loc[name])


# -- fits without rows -------------------------------------------------------------------------------------


def test_a_saved_fit_shows_what_it_kept(sleep, tmp_path):
    sleep.save(tmp_path / "sleep.fit")
    plots = FitPlots(hd.load(tmp_path / "sleep.fit"))
    plots.caterpillar(axes=axes(2))
    plots.residuals(ax=axes(1)[0])
    for draw in (plots.shrinkage, plots.check, plots.simulated, lambda: plots.effect("Days")):
        with pytest.raises(HendersonError, match="read back from a pickle or file"):
            draw()


def test_streamed_rows_are_not_at_hand(tmp_path):
    data = hd.example_data("sleepstudy").astype({"Subject": str})
    data.to_parquet(tmp_path / "sleep.parquet")
    plots = FitPlots(hd.lmer(DAYS, tmp_path / "sleep.parquet"))
    plots.caterpillar(axes=axes(2))
    plots.ranef_qq(axes=axes(2))
    for draw in (plots.residuals, plots.qq, plots.check, plots.shrinkage, lambda: plots.effect("Days")):
        with pytest.raises(HendersonError, match="streamed"):
            draw()


def test_figures_are_made_where_none_are_given(sleep, monkeypatch):
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "figure", Figure)
    panels = FitPlots(sleep).check()
    assert len({id(ax.figure) for ax in panels}) == 1
