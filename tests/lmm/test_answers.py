"""What `LmerResult` adds to the functions that it calls: the printed tests, tables, files, refusals."""

import logging
import pickle
import textwrap

import numpy as np
import pytest

import henderson as hd
from henderson.inference.parameters import parameters

SLEEP = "Reaction ~ Days + (Days | Subject)"

#: R: print(summary(m, ddf), correlation = FALSE) of lmerTest 3.1-3.
PRINTED = {
    "a slope, Satterthwaite": (
        lambda: hd.lmer(SLEEP, hd.example_data("sleepstudy")),
        "satterthwaite",
        """\
                    Estimate Std. Error      df t value Pr(>|t|)
        (Intercept)  251.405      6.825  17.000  36.838  < 2e-16 ***
        Days          10.467      1.546  17.000   6.771 3.26e-06 ***
        ---
        Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1""",
    ),
    "rows lost, Kenward-Roger": (
        lambda: hd.lmer(SLEEP, hd.example_data("sleepstudy").iloc[7:]),
        "kenward-roger",
        """\
                    Estimate Std. Error      df t value Pr(>|t|)
        (Intercept)  251.457      7.180  16.288   35.02  < 2e-16 ***
        Days          10.345      1.524  16.890    6.79 3.26e-06 ***
        ---
        Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1""",
    ),
    "a factor, Kenward-Roger": (
        lambda: hd.lmer("diameter ~ sample + (1 | plate)", hd.example_data("penicillin")),
        "kenward-roger",
        """\
                    Estimate Std. Error       df t value Pr(>|t|)
        (Intercept)  25.1667     0.2061  39.7319 122.117   <2e-16 ***
        sampleB      -3.2083     0.1587 115.0000 -20.210   <2e-16 ***
        sampleC      -0.2500     0.1587 115.0000  -1.575    0.118
        sampleD      -2.2917     0.1587 115.0000 -14.436   <2e-16 ***
        sampleE      -2.2083     0.1587 115.0000 -13.911   <2e-16 ***
        sampleF      -5.2083     0.1587 115.0000 -32.809   <2e-16 ***
        ---
        Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1""",
    ),
    "nested, by maximum likelihood": (
        lambda: hd.lmer("strength ~ 1 + (1 | batch/cask)", hd.example_data("pastes"), REML=False),
        "satterthwaite",
        """\
                    Estimate Std. Error      df t value Pr(>|t|)
        (Intercept)  60.0533     0.6421 10.0000   93.52 4.78e-16 ***
        ---
        Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1""",
    ),
}


@pytest.fixture(scope="module")
def fit():
    return hd.lmer(SLEEP, hd.example_data("sleepstudy"))


@pytest.mark.parametrize(("make", "ddf", "printed"), PRINTED.values(), ids=PRINTED)
def test_printed_tests_of_fixed_effects(make, ddf, printed):
    lines = [line.rstrip() for line in make().summary(ddf=ddf).splitlines()]
    start = lines.index("Fixed effects:") + 1
    wanted = textwrap.dedent(printed).splitlines()
    assert lines[start : start + len(wanted)] == wanted


def test_the_title_says_whose_degrees_of_freedom(fit):
    titles = [fit.summary(ddf=ddf).splitlines()[0] for ddf in ("satterthwaite", "kenward-roger", None)]
    assert titles == [
        "Linear mixed model fit by REML. t-tests use Satterthwaite's method",
        "Linear mixed model fit by REML. t-tests use Kenward-Roger's method",
        "Linear mixed model fit by REML",
    ]


def test_without_degrees_of_freedom_the_tests_are_z_tests(fit):
    header = fit.summary(ddf="asymptotic").split("Fixed effects:\n")[1].splitlines()[0]
    assert header.split() == ["Estimate", "Std.", "Error", "z", "value", "Pr(>|z|)"]


def test_tidy_has_the_tests_of_the_summary(fit):
    table = fit.tidy(ddf="kenward-roger")
    tests = fit.contrast(np.eye(2), ddf="kenward-roger")
    fixed = table[table["effect"] == "fixed"]
    pairs = {"estimate": "estimate", "std_error": "std_error", "statistic": "t", "df": "df"}
    for column, source in {**pairs, "p_value": "p_value"}.items():
        np.testing.assert_array_equal(fixed[column], tests[source])
    assert table.loc[table["effect"] == "ran_pars", ["df", "p_value"]].isna().all(axis=None)
    plain = fit.tidy(ddf=None)
    assert plain[["df", "p_value"]].isna().all(axis=None)
    np.testing.assert_array_equal(plain["std_error"][:2], fit.se)


def test_a_model_without_fixed_effects_has_a_summary_and_tables(tmp_path):
    fit = hd.lmer("Reaction ~ 0 + (1 | Subject)", hd.example_data("sleepstudy"))
    fit.save(tmp_path / "none.fit")
    for one in (fit, hd.load(tmp_path / "none.fit"), pickle.loads(pickle.dumps(fit))):
        assert "Fixed effects" not in one.summary()
        assert one.tidy()["effect"].tolist() == ["ran_pars", "ran_pars"]
    for ddf in ("satterthwaite", "kenward-roger", "asymptotic"):
        assert fit.anova(ddf=ddf).empty
    for answer in (fit.summary, fit.tidy, fit.anova):
        with pytest.raises(hd.DataError, match="ddf='who' is no way"):
            answer(ddf="who")


def test_tests_survive_pickles_and_files(fit, tmp_path):
    fit.save(tmp_path / "sleep.fit")
    for again in (pickle.loads(pickle.dumps(fit)), hd.load(tmp_path / "sleep.fit")):
        assert not again.has_source
        assert again.summary() == fit.summary()
        assert again.anova().equals(fit.anova())
        with pytest.raises(hd.HendersonError, match="which leaves out the data"):
            again.summary(ddf="kenward-roger")
        twice = pickle.loads(pickle.dumps(again))
        assert twice.summary() == fit.summary()


def test_three_kinds_of_intervals_name_the_same_parameters(fit):
    names = list(parameters(fit, fit.estimates))
    tables = [
        fit.confint(method="profile"),
        fit.confint(method="wald"),
        fit.confint(method="bootstrap", n=60, seed=1),
    ]
    for table in tables:
        assert table.index.tolist() == names
        assert list(table.columns) == ["lower", "upper"]
    for method in ("profile", "wald", "bootstrap"):
        few = fit.confint(["Days", "sigma"], method=method, n=30, seed=1, level=0.8)
        assert few.index.tolist() == ["Days", "sigma"]


@pytest.mark.parametrize("method", ["profile", "wald", "bootstrap"])
@pytest.mark.parametrize("level", [0.0, 1.0, 95, "0.9", True])
def test_a_coverage_that_is_none(fit, method, level):
    with pytest.raises(hd.DataError, match=rf"level .* it is {level!r}"):
        fit.confint(method=method, level=level, n=20, seed=1)


def test_wald_intervals(fit):
    z = 1.959963984540054
    table = fit.confint(["Days"], method="wald")
    assert table.loc["Days", "upper"] == pytest.approx(fit.fixef["Days"] + z * fit.se["Days"], rel=1e-14)


def test_what_anova_compares(fit):
    with pytest.raises(hd.DataError, match=r"one fit are fit\.anova\(\)"):
        hd.anova(fit)
    with pytest.raises(hd.DataError, match="argument 2 of anova is a str"):
        hd.anova(fit, "Days")


def test_a_refit_by_ml_is_told(fit, caplog):
    with caplog.at_level(logging.WARNING, logger="henderson"):
        hd.anova(fit, fit.update(". ~ . - Days"))
    assert any("maximum likelihood" in record.message for record in caplog.records)
