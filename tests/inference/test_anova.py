"""F tests of terms: R's numbers, sums of squares of plain regressions, and cell means."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from henderson.inference.anova import anova_table
from henderson.inference.contrasts import contrast
from henderson.inference.denominator import denominator
from henderson.inference.hypotheses import hypotheses
from inference.unbalanced import table, without_cells
from reference import design_arguments, lmer_models, load_dataset, load_model, needs_lmer_reference

COLUMNS = {"num_df": "NumDF", "f": "F value", "sum_sq": "Sum Sq", "mean_sq": "Mean Sq", "den_df": "DenDF"}
#: lmerTest overlooks that Sex:age contains age where Sex has no term of its own.
OVERLOOKED = {("orth_nestsex", "II", "age"), ("orth_nestsex", "III", "age")}


def numbers(values):
    return np.array([np.nan if v is None else v for v in values], dtype=float)


@needs_lmer_reference
@pytest.mark.parametrize("model", [m for m in lmer_models() if not m.startswith(("big_", "inst_"))])
def test_as_lmertest(model):
    stored = load_model(model)
    found = stored.get("lmerTest") or {}
    arguments = design_arguments(stored["arguments"])
    fit = hd.lmer(stored["formula"], load_dataset(stored["dataset"]), REML=stored["REML"], **arguments)
    methods = {"satterthwaite": 1e-3, "kenward-roger": 1e-5}
    if "weights" in arguments:
        del methods["kenward-roger"]  # pbkrtest takes them for ones
    for ddf, df_tol in methods.items():
        tables = (found.get(ddf.replace("-", "_")) or {}).get("anova") or {}
        for kind, expected in tables.items():
            if expected["table"] is None:
                continue
            table = anova_table(fit, type=kind, ddf=ddf)
            assert set(table.index) == set(expected["table"]["rows"])
            theirs = pd.DataFrame(
                {ours: numbers(expected["table"][name]) for ours, name in COLUMNS.items()},
                index=expected["table"]["rows"],
            )
            p_values = numbers(expected["table"]["Pr(>F)"])
            for (term, row), p in zip(theirs.iterrows(), p_values, strict=True):
                if (stored["id"], kind, term) in OVERLOOKED:
                    continue
                own = table.loc[term]
                if np.isnan(row["f"]):
                    assert own["num_df"] == 0
                    assert np.isnan(own["f"])
                    continue
                assert own["num_df"] == row["num_df"]
                for name in ("f", "sum_sq", "mean_sq"):
                    assert own[name] == pytest.approx(row[name], rel=1e-5), (kind, ddf, term, name)
                if not stored["isSingular"]:
                    assert own["den_df"] == pytest.approx(row["den_df"], rel=df_tol), (kind, ddf, term)
                    if p > 0.0:  # R's may underflow
                        assert own["neg_log_10_p_value"] == pytest.approx(-np.log10(p), rel=1e-4, abs=1e-6)


@needs_lmer_reference
def test_a_slope_that_others_contain_is_averaged_over_them():
    """SAS's type III, where lmerTest gives the slope at the first level."""
    fit = hd.lmer("distance ~ age + Sex %in% age + (1 | Subject)", load_dataset("Orthodont"))
    average = contrast(fit, [0.0, 1.0, 0.5])
    row = anova_table(fit, type="III").loc["age"]
    assert row["f"] == pytest.approx(average["t"].iloc[0] ** 2, rel=1e-9)
    assert row["den_df"] == pytest.approx(average["df"].iloc[0], rel=1e-9)


#: lmerTest 3.1-3 at lme4's optimum (bobyqa, rhoend 1e-10): NumDF, DenDF, F.
IN_R = {
    ("y ~ f * h + x * f + (1 | g)", "I"): {
        "f": (2, 70.27761368, 0.4876542010),
        "h": (3, 73.48594088, 2.8406125094),
        "x": (1, 67.92904743, 12.6866551354),
        "f:h": (6, 72.08694366, 0.9800454733),
        "f:x": (2, 72.53008007, 1.1918457792),
    },
    ("y ~ f * h + x * f + (1 | g)", "II"): {
        "f": (2, 71.52140569, 0.2057976766),
        "h": (3, 73.26510873, 3.1800367099),
        "x": (1, 67.24812490, 12.4297879824),
        "f:h": (6, 72.09108489, 0.9429744764),
        "f:x": (2, 73.56639263, 1.1918457792),
    },
    ("y ~ f * h + x * f + (1 | g)", "III"): {
        "f": (2, 71.12124129, 0.3452271407),
        "h": (3, 74.00140475, 1.5137944509),
        "x": (1, 69.47701766, 10.3341913608),
        "f:h": (6, 72.09108489, 0.9429744764),
        "f:x": (2, 73.56639263, 1.1918457792),
    },
}
#: The same without two cells.
EMPTY_IN_R = {
    "I": {"f": (2, 66.29359030, 0.3556813026), "h": (3, 67.29460727, 4.0926808451)},
    "II": {"f": (2, 66.94182516, 0.9676730421), "h": (3, 67.26152116, 4.3180362894)},
    "III": {
        "f": (2, 66.53158738, 1.2525878352),
        "h": (3, 68.01389054, 2.3733486855),
        "x": (1, 63.77818067, 10.5124665960),
        "f:h": (4, 67.72299630, 0.5651510775),
    },
}


def check(table, expected):
    for term, (num_df, den_df, f) in expected.items():
        assert table.loc[term, "num_df"] == num_df
        assert table.loc[term, "den_df"] == pytest.approx(den_df, rel=1e-6)
        assert table.loc[term, "f"] == pytest.approx(f, rel=1e-6)


@pytest.mark.parametrize(("formula", "kind"), IN_R)
def test_unbalanced_factors_as_in_r(formula, kind):
    check(anova_table(hd.lmer(formula, table()), type=kind), IN_R[formula, kind])


@pytest.mark.parametrize("kind", EMPTY_IN_R)
def test_empty_cells_as_in_r(kind):
    fit = hd.lmer("y ~ f * h + x + (1 | g)", without_cells(table()))
    check(anova_table(fit, type=kind), EMPTY_IN_R[kind])


def test_empty_cells_are_told(caplog):
    fit = hd.lmer("y ~ f * h + x + (1 | g)", without_cells(table()))
    anova_table(fit, type="III")
    assert "there are no data in fb:hq, fc:hs" in caplog.text


CODINGS = [
    {"f": "sum", "h": "helmert"},
    {"f": "helmert", "h": "treatment"},
    {"f": np.array([[1.0, 0.3], [5.0, -2.0], [0.1, 7.0]]), "h": "poly"},
]


@pytest.mark.parametrize("data", [table(), without_cells(table())], ids=["all cells", "empty cells"])
@pytest.mark.parametrize("coding", CODINGS)
def test_type_three_does_not_depend_on_the_coding(data, coding):
    plain = anova_table(hd.lmer("y ~ f * h + x + (1 | g)", data))
    coded = anova_table(hd.lmer("y ~ f * h + x + (1 | g)", data, contrasts=coding))
    np.testing.assert_allclose(coded.to_numpy(), plain.to_numpy(), rtol=1e-6)


@pytest.mark.parametrize("kind", ["I", "II", "III"])
@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_what_does_not_change_the_model_does_not_change_its_tests(kind, ddf):
    data = table()
    rng = np.random.default_rng(4)
    other = data.sample(frac=1.0, random_state=rng).assign(
        y=lambda d: 3.0 - 20.0 * d["y"], x=lambda d: 7.0 * d["x"], g=lambda d: "q" + d["g"].str[::-1]
    )
    formula = "y ~ f * h + x + (1 + z | g)"
    one, two = (anova_table(hd.lmer(formula, d), type=kind, ddf=ddf) for d in (data, other))
    columns = ["num_df", "den_df", "f", "neg_log_10_p_value"]
    np.testing.assert_allclose(two[columns].to_numpy(), one[columns].to_numpy(), rtol=1e-5)


# -- sums of squares of a plain regression on the same columns ---------------------------------------------


def columns_of(fit):
    return fit.source.design.X[:, fit.estimates.kept]


def sum_of_squares(fit, L):
    """Of the hypothesis L beta = 0 in ordinary least squares."""
    X, y = columns_of(fit), fit.source.design.y
    L_beta = L @ np.linalg.lstsq(X, y, rcond=None)[0]
    return L_beta @ np.linalg.solve(L @ np.linalg.solve(X.T @ X, L.T), L_beta)


def left_over(X, y):
    return np.sum((y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2)


def indicators(data, *names):
    keys = data[list(names)].agg("".join, axis=1)
    return (keys.to_numpy()[:, None] == np.unique(keys)).astype(float)


@pytest.mark.parametrize("data", [table(), without_cells(table())], ids=["all cells", "empty cells"])
def test_types_one_and_two_are_differences_of_regressions(data):
    fit = hd.lmer("y ~ f * h + x + (1 | g)", data)
    x = data[["x"]].to_numpy()
    f, h, cells = indicators(data, "f"), indicators(data, "h"), indicators(data, "f", "h")
    y = data["y"].to_numpy()

    def rss(*parts):
        return left_over(np.column_stack([np.ones(len(y)), *parts]), y)

    expected = {
        "I": {
            "f": rss() - rss(f),
            "h": rss(f) - rss(f, h),
            "x": rss(f, h) - rss(f, h, x),
            "f:h": rss(f, h, x) - rss(cells, x),
        },
        "II": {
            "f": rss(h, x) - rss(f, h, x),
            "h": rss(f, x) - rss(f, h, x),
            "x": rss(cells) - rss(cells, x),
            "f:h": rss(f, h, x) - rss(cells, x),
        },
    }
    for kind, squares in expected.items():
        for term, L in hypotheses(fit, kind).items():
            assert sum_of_squares(fit, L) == pytest.approx(squares[term], rel=1e-9), (kind, term)


def test_type_three_compares_unweighted_means_of_cells():
    data = table()
    fit = hd.lmer("y ~ f * h + x + (1 | g)", data)
    grid = pd.DataFrame([{"f": f, "h": h, "x": 0.0} for f, h in itertools.product("abc", "pqrs")])
    cells = fit.estimates.spec.fixed_matrix(grid)[0].reshape(3, 4, -1)
    method = denominator(fit)
    beta = fit.fixef.to_numpy()
    tests = anova_table(fit)
    for term, means in {"f": cells.mean(axis=1), "h": cells.mean(axis=0)}.items():
        L = means[1:] - means[0]
        test = method.f_test(L, L @ beta)
        assert tests.loc[term, "f"] == pytest.approx(test.statistic, rel=1e-9)
        assert tests.loc[term, "den_df"] == pytest.approx(test.ddf, rel=1e-9)


def test_all_types_agree_in_balanced_data():
    rng = np.random.default_rng(8)
    cells = itertools.product("abc", "pqrs", range(6))
    data = pd.DataFrame(cells, columns=["f", "h", "g"]).assign(y=rng.normal(size=72))
    data["y"] += rng.normal(size=6)[data["g"]]
    fit = hd.lmer("y ~ f * h + (1 | g)", data)
    one, two, three = (anova_table(fit, type=k).to_numpy() for k in (1, 2, 3))
    np.testing.assert_allclose(one, three, rtol=1e-9)
    np.testing.assert_allclose(two, three, rtol=1e-9)


# -- special models ----------------------------------------------------------------------------------------


def test_terms_that_rank_takes_out_are_not_tested():
    data = table().assign(twice=lambda d: 2 * d["x"] + 1)
    fit = hd.lmer("y ~ x + twice + f + (1 | g)", data)
    plain = anova_table(hd.lmer("y ~ x + f + (1 | g)", data))
    for kind in (1, 2, 3):
        tests = anova_table(fit, type=kind)
        assert tests.loc["twice", "num_df"] == 0
        assert np.isnan(tests.loc["twice", "p_value"])
        if kind == 3:
            pd.testing.assert_frame_equal(tests.drop(index="twice"), plain, rtol=1e-9)


def test_an_aliased_factor_keeps_the_differences_that_are_its_own():
    """Of a factor beside a covariate that is constant within its levels; as SAS has it."""
    data = table().assign(score=lambda d: d["h"].map({"p": 0.0, "q": 1.0, "r": 2.0, "s": 4.0}))
    for formula in ("y ~ h + score + (1 | g)", "y ~ score + h + (1 | g)"):
        tests = anova_table(hd.lmer(formula, data))
        assert tests.loc["h", "num_df"] == (3 if formula.startswith("y ~ h") else 2)
        assert tests.loc["score", "num_df"] == 0


def test_without_intercept_levels_are_compared_given_another_factor():
    both = anova_table(hd.lmer("y ~ 0 + f + h + (1 | g)", table()))
    usual = anova_table(hd.lmer("y ~ f + h + (1 | g)", table()))
    np.testing.assert_allclose(both.to_numpy(), usual.to_numpy(), rtol=1e-6)
    alone = anova_table(hd.lmer("y ~ 0 + f + (1 | g)", table()))
    assert alone.loc["f", "num_df"] == 3  # all means are zero


def test_no_terms_no_rows():
    tests = anova_table(hd.lmer("y ~ 1 + (1 | g)", table()))
    assert len(tests) == 0
    assert list(tests.columns)[:3] == ["sum_sq", "mean_sq", "num_df"]


def test_asymptotic_is_chi_squared():
    from scipy import stats

    tests = anova_table(hd.lmer("y ~ f * h + (1 | g)", table()), ddf="asymptotic")
    assert np.isinf(tests["den_df"]).all()
    expected = stats.chi2.sf(tests["f"] * tests["num_df"], tests["num_df"])
    np.testing.assert_allclose(tests["p_value"], expected, rtol=1e-10)


# -- where rows are missing --------------------------------------------------------------------------------


def test_a_fit_without_its_data_still_has_type_three():
    fit = hd.lmer("y ~ f * h + x + (1 | g)", table())
    kept = pickle.loads(pickle.dumps(fit))
    np.testing.assert_allclose(hypotheses(kept, "III")["f"], hypotheses(fit, "III")["f"], atol=1e-12)
    with pytest.raises(hd.HendersonError, match="read back from a pickle or file"):
        anova_table(kept, type="I")


def test_streamed_rows(tmp_path):
    table().to_parquet(tmp_path / "rows.parquet")
    streamed, fit = (hd.lmer("y ~ f * h + x + (1 | g)", d) for d in (tmp_path / "rows.parquet", table()))
    np.testing.assert_allclose(anova_table(streamed).to_numpy(), anova_table(fit).to_numpy(), rtol=1e-6)
    with pytest.raises(hd.HendersonError, match="the rows were not kept because the data were streamed"):
        anova_table(streamed, type="II")


@pytest.mark.parametrize("kind", [5, "yates", True, None, ["I"], np.array([1, 2])])
def test_unknown_types_are_refused(kind):
    with pytest.raises(hd.HendersonError, match="is no type of hypothesis; there are 'I', 'II' and 'III'"):
        anova_table(hd.lmer("y ~ x + (1 | g)", table()), type=kind)


def test_unknown_methods_are_refused():
    with pytest.raises(hd.HendersonError, match="ddf='foo'"):
        anova_table(hd.lmer("y ~ x + (1 | g)", table()), ddf="foo")
    with pytest.raises(hd.HendersonError, match="REML"):
        anova_table(hd.lmer("y ~ x + (1 | g)", table(), REML=False), ddf="kenward-roger")
