"""Marginal means, slopes and their contrasts, against R's emmeans and against first principles."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from henderson.errors import DataError, HendersonError
from henderson.inference.means import emmeans, emtrends
from reference import design_arguments, load_dataset, load_model, needs_lmer_reference

STORED = Path(__file__).parent / "emmeans"
CASES = {case["id"]: case for case in json.loads((STORED / "cases.json").read_text(encoding="utf-8"))}
RESULTS = json.loads((STORED / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def trial():
    """144 made-up rows: unbalanced, with schools in cities, an ordered factor, booleans and numbers."""
    table = pd.read_csv(STORED / "trial.csv", dtype={"g": str})
    return table.assign(
        A=pd.Categorical(table.A),
        B=pd.Categorical(table.B, categories=["lo", "hi"]),
        grade=pd.Categorical(table.grade, categories=["low", "mid", "high", "top"], ordered=True),
    )


def floats(values, missing=np.nan):
    return np.array([missing if v is None else v for v in values], dtype=float)


def answer(case, trial):
    """Ask what a stored case asks."""
    rows = trial
    if "without" in case:
        A, B = case["without"]
        rows = trial[(trial.A != A) | (trial.B != B)]
    arguments = {"contrasts": case.get("coding"), "weights": case.get("prior")}
    fit = hd.lmer(case["formula"], rows, **arguments)
    options = {name: case[name] for name in ("by", "at", "weights", "ddf") if name in case}
    if "trend" in case:
        return emtrends(fit, case["specs"], case["trend"], **options)
    return emmeans(fit, case["specs"], **options)


@pytest.mark.parametrize("name", CASES)
def test_r_emmeans(name, trial):
    case, expected = CASES[name], RESULTS[name]
    means = answer(case, trial)
    table = means.table
    missing = np.inf if case["ddf"] == "asymptotic" else np.nan

    labels = list(expected["labels"])
    rows = [tuple(map(plain, row)) for row in table[labels].itertuples(index=False)] if labels else []
    wanted = [tuple(map(plain, row)) for row in zip(*expected["labels"].values(), strict=True)]
    assert sorted(rows) == sorted(wanted)
    if name != "nested_by2":  # where R has the nested predictor of `by` before the others
        assert rows == wanted
    table = table.iloc[[rows.index(row) for row in wanted]] if labels else table
    same(table, expected["means"], (means.kind, "emmean"), missing)

    if "contrasts" not in expected:
        return
    found = means.contrast(case.get("interaction", case.get("method", "pairwise")), adjust=case.get("adjust"))
    columns = list(case.get("interaction", ["contrast"]))
    assert [found[column].tolist() for column in columns] == expected["names"]
    same(found, expected["contrasts"], ("estimate", "estimate"), missing)
    # R rounds the degrees of freedom to whole numbers here, where some are missing
    if name != "empty":
        np.testing.assert_allclose(
            found.p_value, floats(expected["contrasts"]["p.value"]), rtol=1e-6, atol=1e-8
        )


def plain(label):
    return str(label).upper().removesuffix(".0")


def same(table, expected, estimates, missing):
    """Estimates to 1e-6 standard errors, these and degrees of freedom to 1e-6, limits to 1e-4."""
    se = floats(expected["SE"])
    np.testing.assert_allclose(table.std_error, se, rtol=1e-6)
    np.testing.assert_allclose(table.df, floats(expected["df"], missing), rtol=1e-6)
    ours, theirs = estimates
    # R solves for Dunnett's quantile to 5e-4
    for own, their, tolerance in (
        (ours, theirs, 1e-6),
        ("lower", "lower.CL", 1e-4),
        ("upper", "upper.CL", 1e-4),
    ):
        np.testing.assert_allclose(table[own] / se, floats(expected[their]) / se, rtol=0, atol=tolerance)


# The reference fits that have an `emmeans` block
REFERENCES = [
    f"{name}.{criterion}"
    for name in (
        *("cake_int", "cbpp_lin", "ergo", "mach_int", "mach_nested", "machu_nested", "oats_nested"),
        *("orth_sex_int", "pen_sample_fixed", "sleep_grp"),
    )
    for criterion in ("reml", "ml")
]


@needs_lmer_reference
@pytest.mark.parametrize("model", REFERENCES)
def test_reference(model):
    stored = load_model(model)
    data = load_dataset(stored["dataset"])
    fit = hd.lmer(stored["formula"], data, REML=stored["REML"], **design_arguments(stored["arguments"]))
    for block in stored["emmeans"]:
        specs = block["specs"].removeprefix("~")
        for ddf in ("satterthwaite", "kenward-roger", "asymptotic"):
            if ddf not in block:
                continue
            means = emmeans(fit, specs, ddf=ddf)
            table, expected = means.table, block[ddf]["means"]
            assert table[specs].tolist() == expected[specs]
            np.testing.assert_allclose(table.emmean, expected["emmean"], rtol=1e-9)
            np.testing.assert_allclose(table.std_error, expected["SE"], rtol=1e-8)
            np.testing.assert_allclose(table.df, floats(expected["df"], np.inf), rtol=1e-6)
            limits = [k for k in expected if k in ("lower.CL", "asymp.LCL", "upper.CL", "asymp.UCL")]
            np.testing.assert_allclose(table.lower, expected[limits[0]], rtol=1e-7)
            np.testing.assert_allclose(table.upper, expected[limits[1]], rtol=1e-7)
            pairs, expected = means.contrast(), block[ddf]["pairs"]
            assert pairs.contrast.tolist() == expected["contrast"]
            np.testing.assert_allclose(pairs.p_value, expected["p.value"], rtol=1e-6, atol=1e-8)


# -- what must hold by itself -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crossed(trial):
    return hd.lmer("y ~ A*B + x + late + (1 | g)", trial)


def test_mean_is_the_average_prediction(crossed, trial):
    grid = pd.MultiIndex.from_product(
        [["a1", "a2", "a3"], ["lo", "hi"], [False, True]], names=["A", "B", "late"]
    )
    grid = grid.to_frame(index=False).assign(x=trial.x.mean())
    predicted = crossed.predict(grid, random="none")
    expected = pd.Series(predicted).groupby(grid.A.to_numpy()).mean()
    np.testing.assert_allclose(emmeans(crossed, "A").table.emmean, expected, rtol=1e-12)


def test_cell_weights_are_average_predictions_of_the_rows(crossed, trial):
    predicted = crossed.predict(trial.assign(x=trial.x.mean()), random="none")
    expected = pd.Series(predicted).groupby(trial.A.to_numpy()).mean()
    np.testing.assert_allclose(emmeans(crossed, "A", weights="cells").table.emmean, expected, rtol=1e-12)


@pytest.mark.parametrize("coding", ["sum", "helmert", "SAS"])
def test_coding_changes_nothing(crossed, trial, coding):
    other = hd.lmer("y ~ A*B + x + late + (1 | g)", trial, contrasts={"A": coding, "B": coding})
    one, two = (emmeans(fit, ["A", "B"]).contrast("trt.vs.ctrl") for fit in (crossed, other))
    pd.testing.assert_frame_equal(one, two, rtol=1e-6)


def test_order_of_the_rows_and_names_of_the_levels_change_nothing(crossed, trial):
    shuffled = trial.sample(frac=1.0, random_state=1).assign(
        A=lambda d: d.A.cat.rename_categories(["p", "q", "r"])
    )
    other = hd.lmer("y ~ A*B + x + late + (1 | g)", shuffled)
    one, two = (emmeans(fit, "A", weights="proportional").table for fit in (crossed, other))
    assert two.A.tolist() == ["p", "q", "r"]
    pd.testing.assert_frame_equal(one.drop(columns="A"), two.drop(columns="A"), rtol=1e-6)


def test_slope_of_a_curve_is_its_derivative(trial):
    curve = emtrends(hd.lmer("y ~ A*poly(x, 2) + (1 | g)", trial), ["A", "x"], "x", at={"x": [1.5, 4.0]})
    raw = hd.lmer("y ~ A*x + A*I(x^2) + (1 | g)", trial)
    beta = raw.fixef
    slopes = []
    for x in (1.5, 4.0):
        for extra in ("", "Aa2:", "Aa3:"):
            own = 0.0 if not extra else beta[f"{extra}x"] + 2 * x * beta[f"{extra}I(x^2)"]
            slopes.append(beta["x"] + 2 * x * beta["I(x^2)"] + own)
    np.testing.assert_allclose(curve.table.trend, slopes, rtol=1e-8)
    L = np.zeros(len(beta))
    L[[list(beta.index).index("x"), list(beta.index).index("I(x^2)")]] = 1.0, 2 * 1.5
    assert curve.table.std_error[0] == pytest.approx(np.sqrt(L @ raw.vcov.to_numpy() @ L), rel=1e-8)


@pytest.mark.parametrize(("largest", "error"), [(8.0, 1e-10), (8000.0, 1e-7)])
def test_slope_of_a_logarithm(trial, largest, error):
    """Also where the numbers span orders of magnitude."""
    dose = np.array([0.5, 2.0, largest])
    data = trial.assign(dose=np.where(trial.dose == trial.dose.max(), largest, trial.dose))
    fit = hd.lmer("y ~ log(dose) + (1 | g)", data)
    slope = emtrends(fit, "dose", "dose", at={"dose": dose}).table
    np.testing.assert_allclose(slope.trend, fit.fixef["log(dose)"] / dose, rtol=error)
    np.testing.assert_allclose(slope.std_error, fit.se["log(dose)"] / dose, rtol=error)


def test_numbers_without_a_mean_are_refused(trial):
    fit = hd.lmer("y ~ log(dose) + (1 | g)", trial)
    for dose in (0.0, -1.0):
        with pytest.raises(DataError, match=f"no mean at dose = {dose}"):
            emmeans(fit, [], at={"dose": dose})


def test_booleans_in_at(crossed):
    both = emmeans(crossed, "late").table
    for value in (False, 0, "FALSE", "false", np.False_, [False], np.array(False)):
        pd.testing.assert_frame_equal(emmeans(crossed, "late", at={"late": value}).table, both[:1])
    assert emmeans(crossed, "late", at={"late": ["TRUE", "FALSE"]}).table.late.tolist() == [True, False]


def test_contrasts_by_hand(crossed):
    means = emmeans(crossed, "A")
    rest = means.contrast({"rest": [1, -0.5, -0.5]}).iloc[0]
    e = means.table.emmean
    assert rest.contrast == "rest"
    assert rest.estimate == pytest.approx(e[0] - 0.5 * (e[1] + e[2]), rel=1e-12)
    rows = means.contrast(np.array([[1, -1, 0], [1, 0, -1]]), adjust="none")
    pairs = means.contrast("pairwise", adjust="none")
    assert rows.contrast.tolist() == ["c1", "c2"]
    np.testing.assert_allclose(rows.p_value, pairs.p_value[:2])
    alone = means.contrast({"A": "pairwise"})
    assert alone.columns[0] == "A"
    np.testing.assert_allclose(alone.p_value, pairs.p_value)


def test_control_and_adjustments(crossed):
    means = emmeans(crossed, "A")
    against = means.contrast("trt.vs.ctrl", control="a2", adjust="none")
    assert against.contrast.tolist() == ["a1 - a2", "a3 - a2"]
    pairs = {how: means.contrast(adjust=how) for how in ("none", "holm", "bonferroni", "tukey", "fdr")}
    p = pairs["none"].p_value
    np.testing.assert_allclose(pairs["bonferroni"].p_value, np.minimum(3 * p, 1))
    assert (pairs["holm"].p_value <= pairs["bonferroni"].p_value).all()
    assert (pairs["tukey"].p_value >= p).all()
    width = {how: (table.upper - table.lower)[0] for how, table in pairs.items()}
    assert width["none"] < width["tukey"] < width["bonferroni"] == width["holm"]


def test_two_levels_need_no_adjustment(crossed):
    means = emmeans(crossed, "late")
    tukey, none = means.contrast(adjust="tukey"), means.contrast(adjust="none")
    pd.testing.assert_frame_equal(tukey, none)


def test_each_group_is_a_family(crossed):
    together = emmeans(crossed, ["A", "B"]).contrast()
    apart = emmeans(crossed, "A", by="B").contrast()
    assert apart.columns[:2].tolist() == ["contrast", "B"]
    assert apart.B.tolist() == ["lo"] * 3 + ["hi"] * 3
    assert len(together) == 15
    first = together[together.contrast == "a1 lo - a2 lo"].iloc[0]
    assert first.estimate == pytest.approx(apart.estimate[0])
    assert first.p_value > apart.p_value[0]


def test_what_is_not_estimable_is_said(trial):
    rows = trial[~((trial.A == "a2") & (trial.B == "hi"))]
    fit = hd.lmer("y ~ A*B + (1 | g)", rows)
    means = emmeans(fit, "A")
    assert np.isnan(means.table.emmean).tolist() == [False, True, False]
    assert means.table.iloc[1, 1:].isna().all()
    assert "1 of 3 cannot be estimated" in "; ".join(means.notices)
    pairs = means.contrast()
    assert np.isnan(pairs.p_value).tolist() == [True, False, True]
    # a2 and the empty cell: the contrast within B = "lo" does not need it
    within = emmeans(fit, "A", by="B").contrast()
    assert np.isnan(within.estimate).tolist() == [False, False, False, True, False, True]


@pytest.mark.parametrize(("scale", "shift"), [(1e8, 0.0), (1e-8, 0.0), (1.0, 2e6)])
def test_units_of_a_covariate_do_not_make_a_mean_estimable(trial, scale, shift):
    rows = trial[~((trial.A == "a2") & (trial.B == "hi"))]
    one, two = (
        emmeans(hd.lmer("y ~ A*B + x + (1 | g)", data), ["A", "B"]).table.emmean
        for data in (rows, rows.assign(x=shift + scale * rows.x))
    )
    assert one.isna().sum() == 1
    np.testing.assert_allclose(two, one, rtol=1e-7)


def test_combinations_that_a_function_has_not_seen(trial):
    rows = trial[~((trial.A == "a2") & (trial.B == "hi"))]
    means = emmeans(hd.lmer("y ~ interaction(A, B) + (1 | g)", rows), ["A", "B"])
    plain_fit = emmeans(hd.lmer("y ~ A*B + (1 | g)", rows), ["A", "B"])
    pd.testing.assert_frame_equal(means.table, plain_fit.table, rtol=1e-6)
    assert means.table.emmean.isna().sum() == 1


def test_notices(crossed):
    notices = emmeans(crossed, "A").notices
    assert notices[0] == "averaged over the levels of B, late"
    assert notices[1].startswith("held at x = 3.27")
    assert notices[2] == "A interacts with B: what holds on average may hold nowhere"
    assert "emmean" in repr(emmeans(crossed, "A"))


def test_numbers_within_factor_are_categories(trial):
    fit = hd.lmer("y ~ factor(dose) + (1 | g)", trial)
    assert emmeans(fit, "dose", at={"dose": [4, 1]}).table.dose.tolist() == [4.0, 1.0]
    for at in (3, [1, 3]):
        with pytest.raises(DataError, match=r"'factor\(dose\)' has the level '3'"):
            emmeans(fit, "dose", at={"dose": at})
    with pytest.raises(DataError, match=r"'factor\(dose\)' has the level"):
        emtrends(fit, [], "dose")


def test_several_numbers_in_one_column_stay_at_their_means(trial):
    rng = np.random.default_rng(3)
    data = {name: trial[name].to_numpy() for name in ("y", "A", "g")} | {"pcs": rng.normal(size=(144, 2))}
    fit = hd.lmer("y ~ A + pcs + (1 | g)", data)
    first = emmeans(fit, "A").table.emmean[0]
    beta = fit.fixef.to_numpy()
    assert first == pytest.approx(beta[0] + beta[-2:] @ data["pcs"].mean(axis=0), rel=1e-12)
    with pytest.raises(DataError, match="'pcs', which holds several numbers for each row"):
        emmeans(fit, "A", at={"pcs": 0})


def test_scale_of_the_response_is_said(trial):
    assert emmeans(hd.lmer("log(y) ~ A + (1 | g)", trial), "A").notices == ("on the scale of log(y)",)


def test_missing_rows_and_subsets_do_not_count(trial):
    table = trial.assign(x=trial.x.where(np.arange(144) % 9 > 0))
    fit = hd.lmer("y ~ A + x + (1 | g)", table, subset="late")
    used = table[table.late & table.x.notna()]
    assert emmeans(fit, "A").notices == (f"held at x = {used.x.mean():.6g}",)
    again = hd.lmer("y ~ A + x + (1 | g)", used)
    pd.testing.assert_frame_equal(emmeans(fit, "A").table, emmeans(again, "A").table, rtol=1e-6)


def test_offset_given_as_an_array(trial):
    column = emmeans(hd.lmer("y ~ A + (1 | g)", trial, offset="log(dose)"), "A").table
    array = emmeans(hd.lmer("y ~ A + (1 | g)", trial, offset=np.log(trial.dose.to_numpy())), "A").table
    pd.testing.assert_frame_equal(column, array)


def test_engines_and_structures(trial):
    """Whatever the covariance, a mean is a contrast of the fixed effects."""
    for fit in (
        hd.lmer("y ~ A*B + ar1(0 + factor(dose) | g)", trial),
        hd.lmer("y ~ A*B + (1 | g)", trial, residual="diag(late)"),
        hd.lmer("y ~ A*B + (1 | g) + (1 | school)", trial, REML=False),
    ):
        table = emmeans(fit, "B", by="A").table
        L = np.array([1.0, 0, 0, 1, 0, 0])
        assert table.emmean[1] == pytest.approx(L @ fit.fixef, rel=1e-12)
        assert table.std_error[1] == pytest.approx(np.sqrt(L @ fit.vcov.to_numpy() @ L), rel=1e-12)


def test_shift_and_scale_of_the_response(crossed, trial):
    other = hd.lmer("y ~ A*B + x + late + (1 | g)", trial.assign(y=3.0 - 2.0 * trial.y))
    one, two = emmeans(crossed, "A"), emmeans(other, "A")
    np.testing.assert_allclose(two.table.emmean, 3.0 - 2.0 * one.table.emmean, rtol=1e-9)
    np.testing.assert_allclose(two.table.std_error, 2.0 * one.table.std_error, rtol=1e-6)
    np.testing.assert_allclose(two.contrast().p_value, one.contrast().p_value, rtol=1e-5)


def test_a_predictor_may_be_called_as_a_column_of_the_table(trial):
    table = emmeans(hd.lmer("y ~ df + (1 | g)", trial.rename(columns={"A": "df"})), "df").table
    assert table.columns.tolist() == ["df", "emmean", "std_error", "df", "lower", "upper"]
    fit = hd.lmer("y ~ A*contrast + (1 | g)", trial.rename(columns={"B": "contrast"}))
    pairs = emmeans(fit, "A", by="contrast").contrast()
    assert pairs.columns[:3].tolist() == ["contrast", "contrast", "estimate"]
    assert pairs.iloc[0, :2].tolist() == ["a1 - a2", "lo"]


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda fit: emmeans(fit, "Z"), "do not depend on 'Z'; it has 'A', 'B', 'x', 'late'"),
        (lambda fit: emmeans(fit, "A", by="b"), "do not depend on 'b'; did you mean 'B'"),
        (lambda fit: emmeans(fit, "A", at={"A": "a9"}), "level 'a9' of 'A', which no row of the fit has"),
        (lambda fit: emmeans(fit, "A", at={"y": 1}), "at has 'y', which the fixed effects lack"),
        (lambda fit: emmeans(fit, "A", at={"x": "much"}), "'x', which holds numbers"),
        (lambda fit: emmeans(fit, "A", at={"x": []}), "no level for 'x'"),
        (lambda fit: emmeans(fit, "A", weights="outer"), "weights is 'outer'"),
        (lambda fit: emmeans(fit, None), "specs is None; give the name of a predictor"),
        (lambda fit: emmeans(fit, "A", by=5), "by is 5; give the name of a predictor"),
        (lambda fit: emmeans(fit, "A", at=["x"]), r"at is \['x'\]; it is a mapping"),
        (lambda fit: emmeans(fit, "A", at={"x": [[1, 2]]}), "lists within a list for 'x'"),
        (lambda fit: emmeans(fit, "A", at={"x": np.ones((2, 2))}), "lists within a list for 'x'"),
        (lambda fit: emmeans(fit, "A", at={"x": [{"a": 1}]}), "lists within a list for 'x'"),
        (lambda fit: emmeans(fit, "A", at={"late": "maybe"}), "level 'MAYBE' of 'late'"),
        (lambda fit: emmeans(fit, "A").contrast("trt.vs.ctrl", control=1), "no mean 1 to compare"),
        (lambda fit: emmeans(fit, "A").contrast({"A": "trt.vs.ctrl"}, control="a2"), "control names"),
        (lambda fit: emmeans(fit, []).contrast({}), "coefficients of a contrast"),
        (lambda fit: emmeans(fit, "A", level=95), "level .* it is 95"),
        (lambda fit: emmeans(fit, "A", ddf="kr"), "ddf='kr'"),
        (lambda fit: emtrends(fit, "A", "B"), "'B' holds no varying numbers"),
        (lambda fit: emtrends(fit, "A", "late"), "'late' holds no varying numbers"),
        (lambda fit: emmeans(fit, "A").contrast("pairs"), "method is 'pairs'; it can be 'pairwise'"),
        (lambda fit: emmeans(fit, "A").contrast([1, -1]), "must be 3 numbers"),
        (lambda fit: emmeans(fit, "A").contrast({"d": ["a", "b", "c"]}), "must be 3 numbers"),
        (lambda fit: emmeans(fit, "A").contrast(adjust="scheffe"), "adjust is 'scheffe'"),
        (lambda fit: emmeans(fit, "A").contrast("poly", adjust="tukey"), "adjust='tukey' is for"),
        (lambda fit: emmeans(fit, "A").contrast("pairwise", control="a1"), "control names the mean"),
        (lambda fit: emmeans(fit, "A").contrast(np.eye(3), control="a1"), "control names the mean"),
        (lambda fit: emmeans(fit, "A").contrast(np.eye(3), adjust="tukey"), "adjust='tukey' is for"),
        (lambda fit: emmeans(fit, "A").contrast("trt.vs.ctrl", control="b1"), "no mean 'b1' to compare"),
        (lambda fit: emmeans(fit, []).contrast(), "only one mean"),
    ],
)
def test_mistakes_are_named(crossed, ask, sentence):
    with pytest.raises(DataError, match=sentence):
        ask(crossed)


def test_fits_without_rows_are_refused(crossed, trial, tmp_path):
    crossed.save(tmp_path / "fit.henderson")
    loaded = hd.load(tmp_path / "fit.henderson")
    with pytest.raises(HendersonError, match="leaves out the data"):
        emmeans(loaded, "A")
    trial.to_parquet(tmp_path / "trial.parquet")
    with pytest.raises(DataError, match="the data were streamed"):
        emmeans(hd.lmer("y ~ A + (1 | g)", tmp_path / "trial.parquet"), "A")
    with pytest.raises(DataError, match=r"given to refit\(\)"):
        emmeans(crossed.refit(trial.y.to_numpy() + 1.0), "A")


def test_grid_that_no_memory_holds_is_refused(trial):
    row = np.arange(144)
    wide = trial.assign(h=(row % 48).astype(str), k=(row * 5 % 47).astype(str))
    fit = hd.lmer("y ~ A + B + late + grade + city + h + k + (1 | g)", wide)
    with pytest.raises(DataError, match=r"the reference grid would have [\d,]+ combinations .*h 48, k 47"):
        emmeans(fit, "A")
