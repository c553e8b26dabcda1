"""Every awkward call that lme4 1.1-31 was asked: refused, told or answered at least as well here.

One table accounts for all 87 cases: what is called here, and what must come of it. The data and lme4's
numbers stand in this file; the reference file, where there is one, shows that none is forgotten or mistyped.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from reference import LMER, load_dataset, needs_lmer_reference

D = pd.DataFrame(
    {
        "y": [1.2, 3.4, 2.2, 5.1, 4.3, 6.7, 2.9, 3.3, 5.8, 4.4, 1.9, 6.1],
        "x": [1.0, 2.0, 3.0] * 4,
        "x2": [0.5, 1.5, -1.0, 2.0, 0.0, -2.0, 1.0, 0.3, -0.7, 0.9, -1.1, 0.2],
        "g": list("aaabbbcccddd"),
        "h": list("pq" * 6),
        "f": list("uvw" * 4),
        "id": range(1, 13),
        "w": [1.0, 2.0] * 6,
    }
)
PLAIN = "y ~ x + (1 | g)"
SLEEP = "Reaction ~ Days + (Days | Subject)"
FAR = [5.0, 0.0, 5.0]
#: R: predict(lmer(y ~ x + (1 | g), d))
AT_THE_MODES = [1.99476609946857, 2.89476609946857, 3.79476609946857, 3.93231341786504, 4.83231341786505]
AT_THE_MODES += [5.73231341786505, 3.07812589039993, 3.97812589039993, 4.87812589039994, 3.16146125893311]
AT_THE_MODES += [4.06146125893311, 4.96146125893312]


def lmer(formula: Any = PLAIN, data: Any = D, **arguments: Any) -> Any:
    return hd.lmer(formula, data, **arguments)


def sleep(formula: str = SLEEP, **arguments: Any) -> Any:
    return hd.lmer(formula, hd.example_data("sleepstudy").eval("DaysBig = 100000 * Days"), **arguments)


def put(column: str, row: int, value: Any) -> pd.DataFrame:
    values = D[column].tolist()
    values[row] = value
    return D.assign(**{column: values})


def predict(newdata: Any = None, *, formula: str = PLAIN, **how: Any) -> Any:
    return hd.lmer(formula, D).predict(newdata, **how)


def coefficients(summary: str) -> list[str]:
    """The rows of the table of fixed effects."""
    lines = summary.splitlines()
    return lines[lines.index("Fixed effects:") + 2 :][:2]


def machines_variance() -> Any:
    """Variance of each machine's effect between workers, which `||` splits between two terms arbitrarily."""
    fit = hd.lmer("score ~ Machine + (Machine||Worker)", load_dataset("Machines"))
    shared, own = (term.covariance for term in fit.varcorr)
    return shared[0, 0] + np.diag(own)


@dataclass(frozen=True)
class Refused:
    """An error whose sentence has all these words."""

    call: Callable[[], Any]
    words: tuple[str, ...]
    error: type[Exception] = hd.HendersonError


@dataclass(frozen=True)
class Fit:
    """A fit with lme4's numbers and exactly these notices, no more.

    ``best`` is lme4's criterion where lme4 stopped early or went astray, which is then not to be matched.
    """

    call: Callable[[], Any]
    says: tuple[str, ...] = ()
    fixef: tuple[float, ...] | None = None
    sigma: float | None = None
    criterion: float | None = None
    best: float | None = None


@dataclass(frozen=True)
class Answer:
    """Numbers that lme4 gives too."""

    call: Callable[[], Any]
    value: Any
    rtol: float = 1e-5


DROPPED = "rank deficient so dropping 1 column / coefficient: "
SINGULAR = (
    "boundary .singular. fit: the variance of .Intercept. by '{}' is estimated as zero.* leave the term out"
)
BOTH = (2.14166666666666, 0.9)
MEAN_ONLY = (3.94166666666667,)

CASES: dict[str, Refused | Fit | Answer] = {
    # -- grouping factors
    "one_obs_per_group": Refused(lambda: lmer("y ~ x + (1|id)"), ("levels", "observations", "12", "id")),
    "one_obs_per_group_slope": Refused(lambda: lmer("y ~ x + (x|id)"), ("levels", "observations", "id")),
    "nre_ge_nobs": Refused(lambda: lmer("y ~ x + (f|g)"), ("=12", r"\(f \| g\)", "fewer effects")),
    "nre_gt_nobs": Refused(lambda: lmer("y ~ x + (x + x2 + h|g)"), ("=12", "=16", r"\(x \+ x2 \+ h \| g\)")),
    "nre_ge_nobs_second_term": Refused(
        lambda: lmer("y ~ x + (1|h) + (0 + f|g)"), ("=12", r"\(0 \+ f \| g\)", "residual")
    ),
    "one_level_group": Refused(
        lambda: lmer("y ~ x + (1|one)", D.assign(one="k")), ("more than one level", "one", "leave")
    ),
    "two_bad_groups": Refused(
        lambda: lmer("y ~ x + (1|id) + (1|id2)", D.assign(id2=D["id"].to_numpy()[::-1])), ("id, id2",)
    ),
    "no_random": Refused(lambda: lmer("y ~ x"), ("no random term", r"\(1 \| group\)")),
    "unused_levels_group": Answer(
        lambda: [
            lmer("y ~ x + (1|c)", D.assign(c=pd.Categorical(D["g"], list("zabcde")))).ngroups["c"],
        ],
        [4],
    ),
    "na_group": Answer(lambda: [lmer(data=put("g", 1, None)).nobs], [11]),
    "zero_re_term": Refused(lambda: lmer("y ~ x + (0|g)"), ("empty", r"\^\^\^", r"\(1 \| g\)")),
    "dup_terms": Fit(
        lambda: lmer("y ~ x + (1|g) + (1|g)"),
        (r"\(1 \| g\) stands twice.*equally good answers; leave one out",),
        BOTH,
        best=41.92107890113,
    ),
    "dup_group_factor": Fit(
        lambda: lmer("y ~ x + (1|g) + (1|g2)", D.assign(g2=D["g"])),
        (r"\(1 \| g\) and \(1 \| g2\) are the same term.*leave \(1 \| g2\) out",),
        BOTH,
        best=41.92107890113,
    ),
    # lme4 looks for g in the wrong place
    "expr_group": Fit(
        lambda: lmer("y ~ x + (1|factor(g))"), fixef=BOTH, sigma=1.3522468044117, best=41.9210789011281
    ),
    "expr_group_cut": Fit(
        lambda: lmer("y ~ x + (1|cut(x2, 3))"),
        (SINGULAR.format(r"cut.x2, 3."),),
        fixef=(2.14166666666667, 0.9),
    ),
    # Two equal rows in each g:f: lme4 ends at a residual variance of 1e-10 and warns of something else
    "group_interaction_numeric": Refused(
        lambda: lmer("y ~ x + (1|g:f)", pd.concat([D, D])), ("'y' hardly varies within the levels of 'g:f'",)
    ),
    # -- columns
    "missing_column": Refused(lambda: lmer("y ~ nope + (1|g)"), ("no column 'nope'", "it has 'y', 'x'")),
    "missing_group": Refused(lambda: lmer("y ~ x + (1|nope)"), ("no column 'nope'", "it has 'y', 'x'")),
    "missing_response": Refused(lambda: lmer("nope ~ x + (1|g)"), ("no column 'nope'", "it has 'y', 'x'")),
    "lhs_missing_re": Refused(lambda: lmer("y ~ x + (nope|g)"), ("no column 'nope'", "it has 'y', 'x'")),
    "no_lhs": Refused(lambda: lmer("~ x + (1|g)"), ("response is missing", r"write y ~ \.\.\.")),
    "char_response": Refused(
        lambda: lmer("g ~ x + (1|h)"), ("response g", "a, b, c, d", "numbers are needed")
    ),
    "factor_response": Refused(lambda: lmer("factor(g) ~ x + (1|h)"), (r"response factor\(g\)", "numbers")),
    "logical_response": Fit(
        lambda: lmer("y > 3 ~ x + (1|g)"),
        (SINGULAR.format("g"),),
        (0.416666666666667, 0.125),
        0.504149448741806,
        19.2454682638745,
    ),
    "matrix_response": Refused(
        lambda: lmer("cbind(y, x2) ~ x + (1|g)"), (r"cbind\(y, x2\) has several columns", "each")
    ),
    # lme4 fits it, with a residual variance of zero and a criterion of minus infinity
    "constant_response": Refused(
        lambda: lmer("k ~ x + (1|g)", D.assign(k=3.0)), ("is 3 in all 12 rows", "check the column 'k'")
    ),
    "constant_predictor": Fit(
        lambda: lmer("y ~ k + (1|g)", D.assign(k=3.0)),
        (DROPPED + r"k \(= 3 \(Intercept\)\)",),
        MEAN_ONLY,
        1.55241746124193,
        45.4917832527863,
    ),
    "zero_predictor": Fit(
        lambda: lmer("y ~ k + (1|g)", D.assign(k=0.0)),
        (DROPPED + r"k \(= 0\)",),
        MEAN_ONLY,
        1.55241746124193,
        45.4917832527863,
    ),
    "single_level_factor": Refused(
        lambda: lmer("y ~ k + (1|g)", D.assign(k="z")), ("factor 'k' has only the level 'z'", "leave it out")
    ),
    "unused_levels_fixed": Answer(
        lambda: lmer("y ~ ff + (1|g)", D.assign(ff=pd.Categorical(D["f"], list("tuvw")))).fixef,
        [3.4, -0.175, 1.8],
    ),
    # -- missing and infinite values
    "all_na": Refused(
        lambda: lmer(data=D.assign(y=np.nan)), ("no rows are left", "'y' is missing in all", "leave it out")
    ),
    "na_fail": Refused(
        lambda: lmer(data=put("y", 1, np.nan), na_action="fail"), ("1 of 12 rows", "y 1", "na_action='omit'")
    ),
    "inf_response": Refused(lambda: lmer(data=put("y", 1, np.inf)), ("'y' is infinite in row 1", "mend it")),
    "inf_predictor": Refused(lambda: lmer(data=put("x", 1, np.inf)), ("'x' is infinite in row 1", "mend it")),
    "nan_predictor": Fit(
        lambda: lmer(data=put("x", 1, np.nan)),
        (r"1 of 12 rows dropped for missing values \(x 1\)",),
        (2.07223587259924, 0.9),
        1.3651584080326,
        38.9557564349167,
    ),
    # -- rank
    "rankdef": Fit(
        lambda: lmer("y ~ x + I(2*x) + (1|g)"),
        (DROPPED + r"I\(2 \* x\) \(= 2 x\)",),
        BOTH,
        1.3522468044117,
        41.9210789011281,
    ),
    "rankdef_two": Fit(
        lambda: lmer("y ~ x + I(2*x) + I(x+1) + (1|g)"),
        (r"dropping 2 columns / coefficients: I\(2 \* x\) \(= 2 x\), I\(x \+ 1\) \(= \(Intercept\) \+ x\)",),
        BOTH,
        1.3522468044117,
        41.9210789011281,
    ),
    # lme4 stops, warns or tells as its control says; here it is always told, and `dropped` has the names
    "rankdef_stop": Answer(lambda: [lmer("y ~ x + I(2*x) + (1|g)").dropped == ("I(2 * x)",)], [True]),
    "rankdef_warn": Fit(
        lambda: lmer("y ~ x + I(2*x) + (1|g)"),
        (DROPPED + r"I\(2 \* x\)",),
        BOTH,
        1.3522468044117,
        41.9210789011281,
    ),
    "rankdef_group_fixed": Fit(
        lambda: lmer("y ~ g + gm + (1|h)", D.assign(gm=np.repeat([1, 2, 3, 4], 3))),
        (DROPPED + r"gm \(= \(Intercept\) \+ gb \+ 2 gc \+ 3 gd\)",),
        (2.41037415122485, 2.81258503088364, 1.73333333333334, 1.5792516975503),
        1.41690474035381,
        33.6298856777691,
    ),
    "more_coefs_than_rows": Refused(
        lambda: lmer("y ~ factor(id) + (1|g)"), ("12 complete rows for 12 fixed effects", "fewer")
    ),
    # -- weights and offset
    "weights_negative": Refused(lambda: lmer(weights="-w"), ("row 0", "-1", "not negative")),
    "weights_one_negative": Refused(lambda: lmer(data=put("w", 0, -1.0), weights="w"), ("row 0", "-1")),
    # lme4 keeps the row, and with it a criterion of infinity: these are its numbers without the row
    "weights_zero": Fit(
        lambda: lmer(data=put("w", 0, 0.0), weights="w"),
        ("1 of 12 rows dropped for zero weight",),
        (2.81164019490306, 0.735178946031912),
        1.63006729774941,
        best=37.5913534375497,
    ),
    "weights_na": Fit(
        lambda: lmer(data=put("w", 0, np.nan), weights="w"),
        (r"1 of 12 rows dropped for missing values \(w 1\)",),
        (2.81164019490306, 0.735178946031912),
        1.63006729774941,
        37.5913534375497,
    ),
    "weights_length": Refused(lambda: lmer(weights=[1, 2, 3, 4, 5]), ("weights", "5 values", "12 rows")),
    "weights_char": Refused(lambda: lmer(weights="g"), ("weights", "a, b, c, d", "numbers are needed")),
    "offset_length": Refused(lambda: lmer(offset=[1, 2, 3, 4, 5]), ("offset", "5 values", "12 rows")),
    # -- arguments
    "family_arg": Refused(lambda: lmer(family="gaussian"), ("unexpected.*'family'",), TypeError),
    "family_binomial": Refused(lambda: lmer(family="binomial"), ("unexpected.*'family'",), TypeError),
    "unknown_arg": Refused(lambda: lmer(foo=3), ("unexpected.*'foo'",), TypeError),
    "start_wrong_length": Refused(lambda: lmer("y ~ x + (x|g)", start=1), ("start must hold 3 numbers",)),
    "nonformula": Refused(lambda: lmer(3), ("formula", "string is needed")),
    # R reads (x + 1 | g), and the fixed effect of x is lost in silence
    "bar_unparen": Refused(
        lambda: lmer("y ~ x + 1|g"), ("parentheses of its own", r"\n +y ~ x \+ 1\|g\n {13}\^$")
    ),
    "bare_bar_slope": Refused(
        lambda: lmer("y ~ 1 | g"), ("parentheses of its own", r"\n +y ~ 1 \| g\n {10}\^$")
    ),
    # -- singular fits, and searches
    "singular_message": Fit(
        lambda: hd.lmer("Yield ~ 1 + (1|Batch)", hd.example_data("dyestuff2")),
        (SINGULAR.format("Batch"),),
        (5.6656,),
        3.71568427447573,
        161.828277812288,
    ),
    "singular_summary_note": Answer(
        lambda: ["singular" in str(hd.lmer("Yield ~ 1 + (1|Batch)", hd.example_data("dyestuff2")))], [True]
    ),
    # A false alarm of lme4, which then stops 38 units short of the best criterion
    "conv_scale_slope": Fit(
        lambda: sleep("Reaction ~ DaysBig + (DaysBig|Subject)"),
        (),
        (251.405104848493, 0.000104672859595965),
        25.5918156267237,
        best=1805.10992391528,
    ),
    "conv_scale_int": Fit(
        lambda: hd.lmer("Reaction ~ DaysBig + Days:xnoise + (1|Subject)", load_dataset("sleepstudy")),
        (),
        (251.397470127446, 0.000104710927703339, 0.0540389263210902),
        31.0847596999643,
        1808.94330051763,
    ),
    "conv_maxfun": Fit(
        lambda: sleep(start=FAR, control=hd.Control(max_iterations=1)),
        (r"stopped at its limit after \d+ evaluations, an estimated .* raise Control\(max_iterations",),
    ),
    "conv_maxeval_nlopt": Fit(sleep, (), (251.405104848484, 10.4672859595958), best=1743.76678510911),
    # lme4 stops a little early
    "dbl_bar_factor": Answer(
        machines_variance, [2.83267**2 + v**2 for v in (2.93541, 8.14644, 3.35290)], rtol=1e-4
    ),
    # -- prediction
    "predict_new_level": Refused(
        lambda: predict({"x": [1, 1], "g": ["zz", "yy"]}), ("'g'", "'zz', 'yy'", "new_levels='population'")
    ),
    "predict_missing_var": Refused(lambda: predict({"g": ["a"]}), ("no column 'x'",)),
    "predict_missing_group": Refused(lambda: predict({"x": [1]}), ("no column 'g'",)),
    "predict_bad_reform": Refused(lambda: predict(D[:2], random=["h"]), ("no random effects of 'h'", "'g'")),
    "predict_new_fixed_level": Refused(
        lambda: predict({"f": ["zz"], "g": ["a"]}, formula="y ~ f + (1|g)"), ("'f'", "level 'zz'", "u, v, w")
    ),
    "predict_na": Answer(
        lambda: predict(D[:3].assign(x=[1, np.nan, 2])), [1.99476609946857, np.nan, 2.89476609946857]
    ),
    "predict_na_group": Refused(
        lambda: predict(D[:3].assign(g=["a", None, "b"])),
        ("'g' is missing", "row 1", "new_levels='population'"),
    ),
    "predict_reform_zero": Answer(
        lambda: predict(D[:2], random="none"), [3.04166666666666, 3.94166666666667]
    ),
    # -- criteria; lme4's deviance() of a REML fit warns, and says what to write
    "deviance_on_reml": Answer(lambda: [lmer().reml_criterion], [41.9210789011281]),
    "deviance_on_reml_TRUE": Answer(lambda: [lmer().deviance], [43.0325661531997]),
    "loglik_ml_of_reml": Answer(lambda: [-lmer().deviance / 2], [-21.5162830765998]),
    # -- predictions with errors, of which lme4 1.1-31 knows nothing
    "predict_se": Answer(lambda: lmer().predict(se=True)["fit"], AT_THE_MODES, rtol=1e-6),
    "predict_interval": Answer(lambda: lmer().predict(interval="confidence")["fit"], AT_THE_MODES, rtol=1e-6),
    # -- comparisons and tests
    "anova_diff_n": Refused(lambda: hd.anova(lmer(), lmer(data=D.iloc[1:])), ("11", "12", "rows")),
    "anova_refit_msg": Answer(
        lambda: hd.anova(lmer(), lmer("y ~ x + x2 + (1 | g)")).loc["m2", ["deviance", "chisq", "p_value"]],
        [40.0700457369386, 2.93139966076559, 0.0868721476292935],
        rtol=1e-6,
    ),
    # Without its random term the model is what R's lm fits
    "anova_lm": Answer(lambda: lmer(REML=False).ranova()["lrt"].iloc[1:], [0.973482691262532], rtol=1e-6),
    "kr_on_ml": Refused(lambda: lmer(REML=False).summary(ddf="kenward-roger"), ("REML", "satterthwaite")),
    "bad_ddf": Refused(lambda: lmer().summary(ddf="foo"), ("'foo'", "'satterthwaite'", "'kenward-roger'")),
    "summary_ddf_lme4": Answer(
        lambda: [[float(word) for word in row.split()[1:]] for row in coefficients(lmer().summary(ddf=None))],
        [[2.1417, 1.1492, 1.864], [0.9000, 0.4781, 1.882]],
    ),
    "bad_type": Refused(lambda: lmer().anova(type=5), ("type", "5", "III")),
    "ranova_slope": Answer(
        lambda: sleep().ranova().loc["Days in (Days | Subject)", ["npar", "loglik", "lrt", "p_value"]],
        [4, -893.232542697461, 42.8368134349691, 4.99004143060735e-10],
        rtol=1e-6,
    ),
    "ranova_noreduce": Answer(
        lambda: sleep().ranova(reduce_terms=False).loc["(Days | Subject)", ["npar", "loglik", "lrt"]],
        [3, -946.831831736054, 150.035391512157],
        rtol=1e-6,
    ),
    # -- intervals; lme4 warns about an unknown parameter, and returns an empty table
    "confint_bad_method": Refused(
        lambda: lmer().confint(method="foo"), ("'foo'", "'profile'", "'wald'", "'bootstrap'")
    ),
    "confint_bad_parm": Refused(lambda: lmer().confint("nope", method="wald"), ("'nope'", "'x'")),
}

#: What is not there.
ABSENT = {"step": "selection of terms by their p-values"}

#: Cases whose data are in no example table.
NEEDS_DATA = {"conv_scale_int", "dbl_bar_factor"}
#: lme4 refuses, and there is an answer; or lme4 answers with numbers that are no estimates.
KINDER = {"expr_group", "expr_group_cut", "rankdef_stop"}
STRICTER = {"bar_unparen", "bare_bar_slope", "confint_bad_parm", "constant_response"}
STRICTER |= {"group_interaction_numeric"}


def of_kind(kind: type) -> list[Any]:
    """The cases of one kind, for `parametrize`."""
    chosen = [(name, case) for name, case in CASES.items() if isinstance(case, kind)]
    marks = {name: [needs_lmer_reference] if name in NEEDS_DATA else [] for name, _ in chosen}
    return [pytest.param(case, id=name, marks=marks[name]) for name, case in chosen]


@pytest.mark.parametrize("case", of_kind(Refused))
def test_refused_in_a_sentence_that_helps(case):
    with pytest.raises(case.error) as caught:
        case.call()
    for word in case.words:
        assert caught.match(word)


@pytest.mark.parametrize("case", of_kind(Fit))
def test_fitted_with_the_notices_it_deserves(case):
    fit = case.call()
    assert len(fit.notices) == len(case.says), fit.notices
    for notice, said in zip(fit.notices, case.says, strict=True):
        assert re.search(said, notice), notice
    if case.fixef is not None:
        assert (fit.fixef.to_numpy() - case.fixef) / fit.se.to_numpy() == pytest.approx(0.0, abs=1e-5)
    if case.sigma is not None:
        assert fit.sigma == pytest.approx(case.sigma, rel=1e-5)
    if case.criterion is not None:
        assert fit.criterion == pytest.approx(case.criterion, abs=1e-8)
    if case.best is not None:
        assert fit.criterion <= case.best + 1e-8


@pytest.mark.parametrize("case", of_kind(Answer))
def test_the_same_answer(case):
    np.testing.assert_allclose(np.asarray(case.call(), dtype=float), case.value, rtol=case.rtol)


@needs_lmer_reference
def test_no_case_is_forgotten():
    asked = {case["id"]: case for case in json.loads((LMER / "conditions.json").read_text())["cases"]}
    assert len(asked) == 87
    assert CASES.keys() | ABSENT.keys() == asked.keys()
    assert not CASES.keys() & ABSENT.keys()
    for name, case in CASES.items():
        lme4 = asked[name]
        refused = isinstance(case, Refused)
        if name not in KINDER | STRICTER:
            assert refused == (lme4["error"] is not None), name
        if isinstance(case, Fit) and case.criterion is not None:
            result = lme4["result"]
            assert result["fixef"] == pytest.approx(case.fixef, rel=1e-12)
            assert result["sigma"] == pytest.approx(case.sigma, rel=1e-12)
            assert result["objective"] == pytest.approx(case.criterion, rel=1e-12)
        if isinstance(case, Answer) and lme4["result"] and lme4["result"]["kind"] == "vector":
            value = [np.nan if v is None else v for v in lme4["result"]["value"]]
            assert value == pytest.approx(case.value, rel=1e-12, nan_ok=True), name
