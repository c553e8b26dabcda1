"""What is said about a fit: singular ones with the direction that has no variance, and no false alarms."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from henderson.covariance import Autoregressive, CompoundSymmetric
from henderson.fit.notices import describe_optimum, search_notices, singular_notices, still_combinations
from henderson.fit.optimize import Optimum
from reference import LMER, design_arguments, load_dataset, load_model, needs_lmer_reference


def simulated(loadings, *, seed=5, groups=20, n=400):
    """One effect per group that enters intercept, x and z by its loadings; unit residual variance."""
    rng = np.random.default_rng(seed)
    g = np.arange(n) % groups
    x, z = rng.normal(size=(2, n))
    u = rng.normal(size=groups)
    y = u[g] * (np.column_stack([np.ones(n), x, z]) @ loadings) + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": g, "f": np.array(list("abc"))[rng.integers(0, 3, n)]})


def evaluated(text, modes):
    """The combination that a notice writes out, of the table of conditional modes: one number per level."""
    total = 0.0
    for sign, number, name in re.findall(r"([+-]?) ?(\d[\d.e+-]* )?([(\w)]+)", text):
        total = total + (-1.0 if sign == "-" else 1.0) * float(number or 1.0) * modes[name]
    return total


@pytest.mark.parametrize(
    ("formula", "lost"),
    [
        ("y ~ x + (x | g)", 1),
        ("y ~ x + z + (x + z | g)", 2),
        ("y ~ x + z + (0 + x + z | g)", 1),
    ],
)
def test_the_direction_without_variance_is_that_of_the_modes(formula, lost):
    fit = hd.lmer(formula, simulated([1.0, 0.5, -0.25]))
    (notice,) = fit.notices
    assert notice.startswith("boundary (singular) fit: ")
    assert "predictions can rest on this fit" in notice
    shown = re.findall(r"'([^']* [-+] [^']*)'", notice)
    assert len(shown) == lost
    modes = fit.ranef()["g"]
    for text in shown:
        # written with three digits
        assert np.abs(evaluated(text, modes)).max() < 0.01 * np.abs(modes.to_numpy()).max()


def test_two_effects_are_said_to_be_perfectly_correlated():
    for slope, sign in ((0.5, "1"), (-0.5, "-1")):
        (notice,) = hd.lmer("y ~ x + (x | g)", simulated([1.0, slope, 0.0])).notices
        assert f"(Intercept) and x by 'g' are estimated as perfectly correlated ({sign})" in notice
        assert ("(Intercept) - " in notice) == (slope > 0)


@pytest.mark.parametrize("unit", [1e-6, 1e8])
def test_the_direction_is_in_units_of_the_effects(unit):
    table = simulated([1.0, 0.5, 0.0])
    plain = hd.lmer("y ~ x + (x | g)", table).notices[0]
    other = hd.lmer("y ~ x + (x | g)", table.assign(x=unit * table["x"])).notices[0]
    first, second = (float(re.search(r"\(Intercept\) - ([\d.e+-]+) x", text)[1]) for text in (plain, other))
    assert second == pytest.approx(unit * first, rel=1e-2)


def test_effects_of_no_variance_are_told_from_those_that_move_together():
    T = np.array([[2.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]])
    (notice,) = singular_notices("g", ("(Intercept)", "x", "z"), T, np.eye(3))
    assert "(Intercept) and x by 'g' are estimated as perfectly correlated (1)" in notice
    assert "do not differ in '(Intercept) - 4 x'" in notice
    assert "and the variance of z is estimated as zero" in notice

    (notice,) = singular_notices("g", ("(Intercept)", "z"), np.diag([2.0, 0.0]), np.eye(2))
    assert "the variance of z by 'g' is estimated as zero: its levels do not differ in that" in notice
    assert "(Intercept)" not in notice

    nothing = np.zeros((2, 2))
    (notice,) = singular_notices("g", ("(Intercept)", "z"), nothing, np.eye(2))
    assert "the variances of (Intercept) and z by 'g' are estimated as zero" in notice
    assert singular_notices("g", ("(Intercept)", "z"), np.diag([2.0, 1e-9]), np.diag([1.0, 5e8])) == ()


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(
    ("T", "words"),
    [
        (
            [[0.5, 0.0, 0.0], [3e-7, 0.0, 0.0], [0.4, 0.3, 0.0]],
            "the variance of b by 'g' is estimated as zero:",
        ),
        ([[1e-6, 0.0, 0.0], [-2e-7, 0.0, 0.0], [0.4, 0.0, 0.0]], "the variances of a and b by 'g' are"),
        ([[1e-6, 0.0, 0.0], [0.8, 0.0, 0.0], [0.4, 0.0, 0.0]], "and the variance of a is estimated as zero"),
        ([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], "'a - "),
        ([[1.0, 0.0, 0.0], [-0.5, 0.75**0.5, 0.0], [-0.5, -(0.75**0.5), 0.0]], "'a + "),
    ],
)
def test_effects_next_to_zero_count_as_zero_and_rounding_changes_no_word(T, words, unit):
    back = np.diag([1.0, unit, 1.0])
    scale = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.2, 1.0]]) @ np.linalg.inv(back)
    T = back @ np.array(T)
    (notice,) = singular_notices("g", ("a", "b", "c"), T, scale)
    assert words in notice
    rng = np.random.default_rng(3)
    for _ in range(20):
        rounded = T + 1e-9 * back @ rng.normal(size=(3, 3))
        assert singular_notices("g", ("a", "b", "c"), rounded, scale) == (notice,)


def test_one_effect_is_told_from_two_that_cancel_far_from_zero():
    """Year 2000 to 2009: at its mean nothing varies, or there alone."""
    years = np.arange(2000.0, 2010.0)
    scale = np.linalg.cholesky(
        np.cov(np.vstack([np.ones(10), years]), bias=True)
        + 0.0
        + np.outer([1.0, years.mean()], [1.0, years.mean()])
    ).T
    names = ("(Intercept)", "year")
    (slope,) = singular_notices("g", names, np.array([[-200.45, 0.0], [0.1, 0.0]]), scale)
    assert "do not differ in '(Intercept) + 2e+03 year'" in slope
    (level,) = singular_notices("g", names, np.array([[0.5, 0.0], [1e-6, 0.0]]), scale)
    assert "the variance of year by 'g' is estimated as zero" in level


def test_the_same_rows_in_another_order_are_told_alike():
    rng = np.random.default_rng(19)
    table = simulated([0.0, 0.0, 0.0], seed=19, groups=12).assign(year=rng.integers(2000, 2010, 400))
    told = 0
    for formula in (
        "y ~ year + (year | g)",
        "y ~ f + (f | g)",
        "y ~ f + (0 + f | g)",
        "y ~ x + z + (x + z | g)",
    ):
        fits = [hd.lmer(formula, rows) for rows in (table, table.iloc[rng.permutation(400)])]
        assert fits[0].notices == fits[1].notices
        told += len(fits[0].notices)
    assert told > 1


def test_leaving_out_a_term_of_no_variance_changes_nothing():
    table = hd.example_data("sleepstudy").assign(block=lambda t: (t.index * 7) % 4)
    full = hd.lmer("Reaction ~ Days + (Days | Subject) + (1 | block)", table)
    less = hd.lmer("Reaction ~ Days + (Days | Subject)", table)
    assert full.varcorr["block"].sd[0] == 0.0
    assert "the variance of (Intercept) by 'block' is estimated as zero" in full.notices[0]
    np.testing.assert_allclose(full.fixef, less.fixef, rtol=1e-8)
    np.testing.assert_allclose(full.se, less.se, rtol=1e-6)
    assert full.criterion == pytest.approx(less.criterion, abs=1e-8)


@pytest.mark.parametrize(
    ("T", "lost", "expected"),
    [
        # compound symmetry at a correlation of 1, and at its lowest
        ([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], 2, ["a - b", "a - c"]),
        ([[1.0, 0.0, 0.0], [-0.5, 0.75**0.5, 0.0], [-0.5, -(0.75**0.5), 0.0]], 1, ["a + b + c"]),
        ([[2.0, 0.0], [0.5, 0.0]], 1, ["a - 4 b"]),
        ([[1e-6, 0.0], [-1e3, 0.0]], 1, ["a + 1e-09 b"]),
    ],
)
def test_combinations(T, lost, expected):
    assert still_combinations(["a", "b", "c"][: len(T)], np.array(T), lost) == expected


@pytest.mark.parametrize(
    ("structure", "rho", "expected"),
    [
        (CompoundSymmetric(3, homogeneous=True), 1.0, ["'a - b' and 'a - c'", "1 separate variance;"]),
        (CompoundSymmetric(3, homogeneous=True), -0.5, ["'a + b + c'", "2 separate variances"]),
        (Autoregressive(3, homogeneous=True), 1.0, ["'a - b' and 'a - c'", "1 separate variance;"]),
        (Autoregressive(3, homogeneous=True), -1.0, ["'a + b' and 'a - c'", "1 separate variance;"]),
    ],
)
def test_other_structures_at_their_bounds(structure, rho, expected):
    T = structure.factor(np.array([1.5, rho]))
    (notice,) = singular_notices("g", ("a", "b", "c"), T, np.eye(3))
    assert all(words in notice for words in expected)
    inside = structure.factor(np.array([1.5, 0.99 * rho]))
    assert singular_notices("g", ("a", "b", "c"), inside, np.eye(3)) == ()


def test_many_effects_are_not_listed_in_full():
    names = tuple(f"f{k}" for k in range(12))
    T = np.outer(np.ones(12), np.eye(12)[0])
    (notice,) = singular_notices("g", names, T, np.eye(12))
    assert "the 12 effects f0, f1, f2 and 9 more by 'g'" in notice
    assert "'f0 - f1', 'f0 - f2', 'f0 - f3' and 8 more" in notice
    assert len(notice) < 450


def test_long_combinations_are_cut_short():
    T = np.vstack([np.eye(5, 4), np.full(4, 0.5)])[[0, 1, 2, 3, 5]]
    (text,) = still_combinations(list("abcde"), T, 1)
    assert text.count("+") + text.count("-") == 3
    assert text.endswith(" + ...")


# -- different scales --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "shift"), list(itertools.product([1e-6, 1e-3, 1e3, 1e8], [0.0, 1e3])))
def test_predictors_of_any_size_give_the_same_fit_and_no_alarm(unit, shift):
    table = hd.example_data("sleepstudy")
    plain = hd.lmer("Reaction ~ Days + (Days | Subject)", table)
    other = hd.lmer("Reaction ~ t + (t | Subject)", table.assign(t=unit * (table["Days"] + shift)))
    # the restricted likelihood counts the unit of each fixed effect
    assert other.criterion - 2 * np.log(unit) == pytest.approx(plain.criterion, rel=1e-8)
    assert other.sigma == pytest.approx(plain.sigma, rel=1e-8)
    np.testing.assert_allclose(other.fitted, plain.fitted, rtol=1e-6)
    assert other.notices == ()


@pytest.mark.parametrize("bar", ["|", "||"])
def test_predictors_of_very_different_sizes(bar):
    table = hd.example_data("sleepstudy")
    plain = hd.lmer(f"Reaction ~ Days + I(Days^2) + (Days + I(Days^2) {bar} Subject)", table)
    table = table.assign(small=1e-6 * table["Days"], large=1e8 * table["Days"] ** 2)
    other = hd.lmer(f"Reaction ~ small + large + (small + large {bar} Subject)", table)
    assert other.criterion - 2 * np.log(1e2) == pytest.approx(plain.criterion, rel=1e-8)
    assert other.notices == ()
    np.testing.assert_allclose(other.fixef, plain.fixef * [1.0, 1e6, 1e-8], rtol=1e-6)


# -- more than one answer ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ x + (1 | g) + (1 | g)", "(1 | g) stands twice"),
        ("y ~ x + (1 | g) + (1 | again)", "(1 | g) and (1 | again) are the same term under two names"),
        ("y ~ x + (x | g) + (x | again)", "(x | g) and (x | again) are the same term under two names"),
        ("y ~ x + (1 | g) + (x | again)", "the variances of (1 | g) and (x | again) apart"),
        ("y ~ factor(g) + (1 | g)", "the variances of (1 | g) apart, from each other, from the residual"),
        ("y ~ x + (1 | g) + (0 + f | g)", "the variances of (1 | g) and (0 + f | g) apart"),
    ],
)
def test_terms_that_cannot_be_told_apart_are_named(formula, words):
    table = simulated([1.0, 0.0, 0.0]).assign(again=lambda t: 19 - t["g"])
    rng = np.random.default_rng(8)
    table["y"] += (
        rng.normal(size=20)[table["g"]] * table["x"]
        + rng.normal(size=(20, 3))[table["g"], pd.Categorical(table["f"]).codes]
    )
    notices = hd.lmer(formula, table).notices
    assert any(words in notice and "equally good answers" in notice for notice in notices), notices


def test_the_flat_directions_of_a_boundary_are_not_told_as_well():
    """With nothing between the means of the groups, T may turn in the directions that its zero row leaves."""
    table = simulated([0.0, 0.5, 0.0])
    for column in ("x", "y"):
        table[column] -= table.groupby("g")[column].transform("mean")
    (notice,) = hd.lmer("y ~ x + (x | g)", table).notices
    assert "the variance of (Intercept) by 'g' is estimated as zero" in notice


@pytest.mark.parametrize(
    ("residual", "flat"), [("us(t | u)", True), ("cs(t | u, hom = TRUE)", True), ("diag(t)", False)]
)
def test_a_residual_structure_that_repeats_a_random_term_is_named(residual, flat):
    rng = np.random.default_rng(5)
    u, t = np.repeat(np.arange(120), 3), np.tile(list("abc"), 120)
    y = rng.normal(size=120)[u] + rng.normal(size=360) * np.where(t == "b", 1.5, 1.0)
    notices = hd.lmer("y ~ 1 + (1 | u)", {"y": y, "u": u, "t": t}, residual=residual).notices
    assert len(notices) == flat
    assert all("the variances of (1 | u) and the residual " + residual[:2] in notice for notice in notices)


@pytest.mark.parametrize(("low", "words"), [(True, "'fa + fb + fc'"), (False, "'fa - fb' and 'fa - fc'")])
def test_compound_symmetry_that_is_estimated_at_a_bound(low, words):
    rng = np.random.default_rng(5)
    g, f = np.arange(600) % 20, rng.integers(0, 3, 600)
    effects = rng.normal(size=(20, 3))
    effects -= effects.mean(axis=1, keepdims=True)
    table = {"g": g, "f": np.array(list("abc"))[f], "y": effects[g, f if low else 0] + rng.normal(size=600)}
    (notice,) = hd.lmer("y ~ 1 + cs(0 + f | g, hom = TRUE)", table).notices
    assert words in notice


def test_other_terms_are_not_blamed():
    table = simulated([1.0, 0.0, 0.0]).assign(again=lambda t: 19 - t["g"], h=lambda t: t.index % 7)
    table["y"] += np.random.default_rng(8).normal(size=7)[table["h"]]
    (notice,) = hd.lmer("y ~ x + (1 | g) + (1 | h) + (1 | again)", table).notices
    assert "| h)" not in notice


def test_a_flat_direction_is_told_beside_a_singular_term():
    table = simulated([1.0, 0.0, 0.0]).assign(again=lambda t: 19 - t["g"], h=lambda t: (t.index * 3) % 8)
    notices = hd.lmer("y ~ x + (1 | g) + (1 | h) + (1 | again)", table).notices
    assert [("under two names" in n, "by 'h' is estimated as zero" in n) for n in notices] == [
        (True, False),
        (False, True),
    ]


# -- how the search ended ----------------------------------------------------------------------------------


def test_the_end_of_a_search_in_words():
    text = describe_optimum(
        hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy")).optimum
    )
    found = re.fullmatch(
        r"converged after (\d+) evaluations?: scaled gradient (\S+), smallest curvature (\S+)", text
    )
    assert found is not None, text
    assert float(found[2]) < 1e-6
    assert float(found[3]) > 1.0


@pytest.mark.parametrize(
    ("status", "curvature", "words"),
    [
        ("at rounding level", 1.0, "rounding hides further progress"),
        ("iteration limit", 1.0, "not converged"),
        ("converged", 1e-9, "flat: a variance at its bound, or more than one answer"),
    ],
)
def test_other_ends_of_a_search(status, curvature, words):
    optimum = Optimum(np.ones(1), 0.0, np.zeros(1), np.full((1, 1), curvature), 0.04, status, 7, 7, ())
    assert words in describe_optimum(optimum)
    assert "after 7 evaluations: scaled gradient 0.2" in describe_optimum(optimum)


@pytest.mark.parametrize(
    ("status", "decrement", "words"),
    [
        ("converged", 1e-13, None),
        ("at rounding level", 1e-9, None),
        (
            "at rounding level",
            0.2,
            "no further after 7 evaluations, an estimated 0.1 above the best criterion",
        ),
        (
            "iteration limit",
            0.2,
            "at its limit after 7 evaluations, an estimated 0.1 above the best criterion",
        ),
        ("iteration limit", np.inf, "at its limit after 7 evaluations; raise Control(max_iterations=...)"),
    ],
)
def test_a_search_that_did_not_arrive_is_told(status, decrement, words):
    found = search_notices(
        Optimum(np.ones(1), 0.0, np.zeros(1), np.ones((1, 1)), decrement, status, 7, 7, ())
    )
    assert found == () if words is None else words in found[0]


def test_what_is_left_of_the_criterion_is_estimated_well():
    formula, table = "Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy")
    best = hd.lmer(formula, table)
    near = hd.lmer(formula, table, start=best.theta * 1.01, control=hd.Control(max_iterations=1))
    at = hd.lmer(formula, table, start=best.theta * 1.01, control=hd.Control(max_iterations=0))
    start = at.engine.criterion(best.theta * 1.01).profiled(reml=True)
    assert near.optimum.log[0].decrement / 2 == pytest.approx(start - best.criterion, rel=0.05)


def test_curvature_is_of_the_criterion():
    """Against differences of the criterion in the one parameter of a model."""
    fit = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff"))
    step = 1e-3
    values = [fit.engine.criterion(fit.theta * (1.0 + k * step)).profiled(reml=True) for k in (-1, 0, 1)]
    second = (values[0] - 2 * values[1] + values[2]) / step**2  # per relative change of theta
    shown = float(describe_optimum(fit.optimum).split("curvature ")[1])
    assert shown == pytest.approx(
        second * max(1.0, abs(fit.optimum.x[0])) ** 2 / fit.optimum.x[0] ** 2, rel=0.05
    )


# -- beside lme4 ---------------------------------------------------------------------------------------------


@needs_lmer_reference
def test_the_same_fits_are_called_singular_or_not_unique_as_by_lme4():
    """All small reference fits; lme4's false alarm over a predictor in tiny units is the one exception."""
    index = pd.read_csv(LMER / "index.csv").query("kind == 'lmer' and nobs <= 200")
    said = {"singular": 0, "not unique": 0}
    for model in index["file"].str.removesuffix(".json"):
        stored = load_model(model)
        fit = hd.lmer(
            stored["formula"],
            load_dataset(stored["dataset"]),
            REML=stored["REML"],
            **design_arguments(stored["arguments"]),
        )
        singular = any("boundary (singular) fit" in notice for notice in fit.notices)
        several = any("equally good answers" in notice for notice in fit.notices)
        assert singular == (stored["isSingular"] and not model.startswith("sleep_bigslope")), model
        assert several == (not stored["optimum"]["identified"]), model
        said["singular"] += singular
        said["not unique"] += several
    assert min(said.values()) > 4


def test_a_residual_correlation_at_its_bound_is_told():
    sleep = hd.example_data("sleepstudy")
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", sleep, residual="cs(Days | Subject)")
    assert any(
        "the correlations of residual='cs(Days | Subject)' ended at a bound" in notice
        for notice in fit.notices
    )
    assert not any("rounding" in notice for notice in fit.notices)


def test_several_terms_that_leave_nothing_for_the_residual():
    """All ratios grow together, which is no sign that the terms could not be told from each other."""
    rng = np.random.default_rng(1)
    names = [f"i{k}" for k in range(40)]
    G = np.exp(-np.abs(np.subtract.outer(np.arange(40), np.arange(40))) / 8.0)
    data = pd.DataFrame({"iid": names, "pen": rng.integers(0, 6, 40)})
    data["y"] = np.linalg.cholesky(G) @ rng.normal(size=40) + rng.normal(size=6)[data["pen"]]
    G = pd.DataFrame(G, index=names, columns=names)
    fit = hd.lmer("y ~ 1 + (1 | iid) + (1 | pen)", data, relationship={"iid": G})
    assert fit.sigma**2 < 1e-4 * fit.varcorr["iid"].sd[0] ** 2
    assert [n.partition(",")[0] for n in fit.notices] == [
        "boundary fit: the residual variance is estimated as zero"
    ]
    # standard errors at a residual variance of zero, from V that is made of the other two
    variances = fit.variances().set_index("group")
    pen = np.equal.outer(data["pen"].to_numpy(), data["pen"].to_numpy()).astype(float)
    parts, X = [G.to_numpy(), pen], np.ones((40, 1))
    Vi = np.linalg.inv(sum(v * K for v, K in zip(variances["estimate"], parts, strict=False)))
    P = Vi - Vi @ X @ np.linalg.inv(X.T @ Vi @ X) @ X.T @ Vi
    moved = [K @ P @ data["y"].to_numpy() for K in parts]
    average = 0.5 * np.array([[a @ P @ b for a in moved] for b in moved])
    expected = np.sqrt(np.diag(np.linalg.inv(average)))
    np.testing.assert_allclose(variances["std_error"][["iid", "pen"]], expected, rtol=1e-3)
    assert np.isnan(variances["std_error"]["Residual"])
