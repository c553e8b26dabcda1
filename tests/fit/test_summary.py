"""The printed summary against the texts that R's ``print(summary(lmer(...)))`` writes."""

import math
from dataclasses import replace
from typing import Any

import pytest

import henderson as hd
from henderson.fit.coefficient_table import CoefficientColumn, format_coefficients, t_table
from henderson.fit.rformat import (
    abbreviate,
    fill_line,
    format_matrix,
    format_numbers,
    format_p_values,
    zap_small,
)
from henderson.fit.summary import (
    SummaryView,
    VarCorrTerm,
    format_summary,
    format_varcorr,
    plain_residual,
)
from reference import lmer_models, load_model, needs_lmer_reference

ONE = ((1.0,),)

# A tie at the last decimal shown: R's own number lay just below its 15 stored digits, and was rounded down.
TIES = {"orth_c_uncorr.ml": 0.784375}


def correlation_of(covariance: list[list[float]]) -> tuple[tuple[float, ...], ...]:
    size = range(len(covariance))
    sd = [math.sqrt(covariance[i][i]) for i in size]
    return tuple(tuple(covariance[i][j] / (sd[i] * sd[j]) for j in size) for i in size)


def nan_for_null(rows: list[list[float | None]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(math.nan if value is None else value for value in row) for row in rows)


def view_of(stored: dict[str, Any]) -> SummaryView:
    """The view that the stored numbers of a reference fit make."""
    fixef, varcorr, reml = stored["fixef"], stored["varcorr"], stored["REML"]
    tie = TIES.get(f"{stored['id']}.{stored['suffix']}")
    estimates = [math.nextafter(b, 0.0) if b == tie else b for b in fixef["estimate"]]
    return SummaryView(
        formula=stored["formula"],
        reml=reml,
        criterion=stored["REMLcrit" if reml else "deviance"],
        aic=stored["AIC"],
        bic=stored["BIC"],
        log_likelihood=stored["logLik"],
        df_residual=stored["n"]["df_residual"],
        scaled_residual_quantiles=tuple(stored["scaled_residual_quantiles"]),
        terms=tuple(
            VarCorrTerm(
                group=term["label"],
                names=tuple(term["names"]),
                variance=tuple(term["variance"]),
                sd=tuple(term["sd"]),
                correlation=nan_for_null(term["correlation"]),
            )
            for term in varcorr["terms"]
        ),
        residual=plain_residual(varcorr["residual_variance"], varcorr["residual_sd"]),
        n_obs=stored["n"]["nobs"],
        n_groups=tuple(stored["n"]["ngrps"].items()),
        fixef_names=tuple(fixef["names"]),
        fixef_columns=t_table(estimates, fixef["se"]),
        fixef_correlation=correlation_of(stored["vcov"]),
    )


def block(lines: list[str]) -> list[str]:
    """The lines from the fit statistics on, without what R says about the fit at the end."""
    start = next(i for i, line in enumerate(lines) if line.startswith("REML criterion") or "df.resid" in line)
    ends = (i for i, line in enumerate(lines) if line.startswith(("optimizer (", "fit warnings:")))
    return lines[start : next(ends, len(lines))]


@needs_lmer_reference
@pytest.mark.parametrize("model", lmer_models())
def test_same_lines_as_r(model: str) -> None:
    stored = load_model(model)
    assert block(format_summary(view_of(stored)).splitlines()) == block(stored["print_text"])


def lines_of(text: str) -> list[str]:
    """The lines without R's trailing blanks."""
    return [line.rstrip() for line in text.strip("\n").splitlines()]


SLEEP = SummaryView(
    formula="Reaction ~ Days + (Days | Subject)",
    reml=False,
    criterion=1751.9393444632,
    aic=1763.9393444632,
    bic=1783.09708556854,
    log_likelihood=-875.969672231599,
    df_residual=174,
    scaled_residual_quantiles=(-3.94156979910, -0.46559308892, 0.02894590324, 0.46360964432, 5.17934131054),
    terms=(
        VarCorrTerm(
            group="Subject",
            names=("(Intercept)", "Days"),
            variance=(565.515366798927, 32.6821971859092),
            sd=(23.7805669991051, 5.71683454246397),
            correlation=((1.0, 0.0813200753848), (0.0813200753848, 1.0)),
        ),
    ),
    residual=plain_residual(654.94102707333, 25.5918156267454),
    n_obs=180,
    n_groups=(("Subject", 18),),
    fixef_names=("(Intercept)", "Days"),
    fixef_columns=t_table([251.405104848482, 10.4672859595957], [6.63227680700841, 1.50223678230441]),
    fixef_correlation=((1.0, -0.137552), (-0.137552, 1.0)),
)

SLEEP_TEXT = """
Linear mixed model fit by maximum likelihood
Formula: Reaction ~ Days + (Days | Subject)

     AIC      BIC   logLik deviance df.resid
  1763.9   1783.1   -876.0   1751.9      174

Scaled residuals:
    Min      1Q  Median      3Q     Max
-3.9416 -0.4656  0.0289  0.4636  5.1793

Random effects:
 Groups   Name        Variance Std.Dev. Corr
 Subject  (Intercept) 565.52   23.781
          Days         32.68    5.717   0.08
 Residual             654.94   25.592
Number of obs: 180, groups:  Subject, 18

Fixed effects:
            Estimate Std. Error t value
(Intercept)  251.405      6.632  37.906
Days          10.467      1.502   6.968

Correlation of Fixed Effects:
     (Intr)
Days -0.138
"""

FAMILY = SummaryView(
    formula="height ~ variant3 + (1 | family)",
    reml=True,
    criterion=-0.721564189369793,
    aic=7.27843581063021,
    bic=5.71618746036661,
    log_likelihood=0.360782094684897,
    df_residual=1,
    scaled_residual_quantiles=(-0.98994949366, -0.42426406871, 0.14142135624, 0.42426406871, 0.84852813742),
    terms=(VarCorrTerm("family", ("(Intercept)",), (0.0420168067226922,), (0.204980015422705,), ONE),),
    residual=plain_residual(0.00730727073438044, 0.0854825756185461),
    n_obs=5,
    n_groups=(("family", 2),),
    fixef_names=("(Intercept)", "variant3"),
    fixef_columns=t_table([-0.0278048420908565, 1.04884020014329], [0.150123563769911, 0.0465075492514561]),
    fixef_correlation=((1.0, -0.021530), (-0.021530, 1.0)),
    data_name="people",
    notices=("fixed-effect model matrix is rank deficient so dropping 1 column / coefficient: variant4",),
)

FAMILY_TEXT = """
Linear mixed model fit by REML
Formula: height ~ variant3 + (1 | family)
   Data: people

REML criterion at convergence: -0.7

Scaled residuals:
    Min      1Q  Median      3Q     Max
-0.9899 -0.4243  0.1414  0.4243  0.8485

Random effects:
 Groups   Name        Variance Std.Dev.
 family   (Intercept) 0.042017 0.20498
 Residual             0.007307 0.08548
Number of obs: 5, groups:  family, 2

Fixed effects:
            Estimate Std. Error t value
(Intercept) -0.02780    0.15012  -0.185
variant3     1.04884    0.04651  22.552

Correlation of Fixed Effects:
         (Intr)
variant3 -0.022
fixed-effect model matrix is rank deficient so dropping 1 column / coefficient: variant4
"""


@pytest.mark.parametrize(
    ("view", "text"), [pytest.param(SLEEP, SLEEP_TEXT, id="ML"), pytest.param(FAMILY, FAMILY_TEXT, id="REML")]
)
def test_whole_summary(view: SummaryView, text: str) -> None:
    assert lines_of(format_summary(view)) == lines_of(text)


@pytest.mark.parametrize(("p", "shown"), [(0, False), (1, False), (2, True), (12, True), (13, False)])
def test_correlation_is_shown_for_two_to_twelve_fixed_effects(p: int, shown: bool) -> None:
    view = replace(
        SLEEP,
        fixef_names=tuple(f"x{i}" for i in range(p)),
        fixef_columns=t_table([1.0] * p, [0.5] * p),
        fixef_correlation=tuple(tuple(float(i == j) for j in range(p)) for i in range(p)),
    )
    lines = format_summary(view).splitlines()
    assert ("Correlation of Fixed Effects:" in lines) is shown
    assert ("Fixed effects:" in lines) is (p > 0)


def test_narrow_page_continues_tables_below() -> None:
    lines = lines_of(format_summary(SLEEP, width=32))
    assert lines[1:6] == [
        "Formula:",
        "Reaction ~ Days + (Days | Subject)",
        "",
        "     AIC      BIC   logLik",
        "  1763.9   1783.1   -876.0",
    ]
    assert lines[-9:-3] == [
        "(Intercept)  251.405      6.632",
        "Days          10.467      1.502",
        "            t value",
        "(Intercept)  37.906",
        "Days          6.968",
        "",
    ]


def test_variances_far_apart_go_to_scientific_notation_and_zero_ones_have_no_correlation() -> None:
    nan = math.nan
    terms = (
        VarCorrTerm(
            group="primary",
            names=("(Intercept)", "verbal"),
            variance=(0.29088513586721, 2.50681136218172e-05),
            sd=(0.539337682595245, 0.00500680672902572),
            correlation=((1.0, -0.004), (-0.004, 1.0)),
        ),
        VarCorrTerm("second", ("(Intercept)", "z"), (0.0, 4.0), (0.0, 2.0), ((nan, nan), (nan, 1.0))),
    )
    expected = """
 Groups   Name        Variance  Std.Dev. Corr
 primary  (Intercept) 2.909e-01 0.539338
          verbal      2.507e-05 0.005007 0.00
 second   (Intercept) 0.000e+00 0.000000
          z           4.000e+00 2.000000  NaN
 Residual             4.247e+00 2.060940
"""
    assert [
        line.rstrip() for line in format_varcorr([*terms, plain_residual(4.24747211158813, 2.06093961861771)])
    ] == (expected.strip("\n").splitlines())


def test_coefficients_with_degrees_of_freedom_and_p_values() -> None:
    estimate, error, t = t_table([251.405104848485, 10.4672859595959], [6.82459699493127, 1.54578964519204])
    columns = (
        estimate,
        error,
        CoefficientColumn("df", (16.9997290813083, 16.9999835811373), "estimate"),
        t,
        CoefficientColumn("Pr(>|t|)", (1.171558e-17, 3.263824e-06), "p_value"),
    )
    expected = """
            Estimate Std. Error      df t value Pr(>|t|)
(Intercept)  251.405      6.825  17.000  36.838  < 2e-16 ***
Days          10.467      1.546  17.000   6.771 3.26e-06 ***
---
Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1
"""
    assert lines_of("\n".join(format_coefficients(("(Intercept)", "Days"), columns))) == lines_of(expected)


def test_no_stars_and_no_legend_without_a_small_p_value() -> None:
    columns = (*t_table([1.0, 2.0], [2.0, 0.0]), CoefficientColumn("Pr(>|t|)", (0.6667, math.nan), "p_value"))
    assert format_coefficients(("a", "b"), columns) == [
        "  Estimate Std. Error t value Pr(>|t|)",
        "a        1          2     0.5    0.667",
        "b        2          0     NaN      NaN",
    ]


def test_an_estimate_that_is_not_zero_does_not_look_like_zero() -> None:
    lines = format_coefficients(("a", "b"), t_table([1e-30, 2e10], [1e-30, 1.0]))
    assert [line.split()[1] for line in lines[1:]] == ["1e-30", "2e+10"]


@pytest.mark.parametrize(
    ("values", "digits", "expected"),
    [
        ((1.0, 10.0, 100.0), 7, ("  1", " 10", "100")),
        ((0.1 + 0.2,), 7, ("0.3",)),
        ((123456.0, 0.001), 4, ("1.235e+05", "1.000e-03")),
        ((100000.0,), 7, ("1e+05",)),
        ((123456.0,), 3, ("123456",)),
        ((1e-300, 1.0), 7, ("1e-300", " 1e+00")),
        ((-1.5, math.nan, math.inf), 4, ("-1.5", " NaN", " Inf")),
        ((-0.0, 2.5), 4, ("0.0", "2.5")),
        ((9996.0,), 3, ("9996",)),
        ((99.996, 0.25201211867711676), 3, (" 99.996", "  0.252")),
        ((math.nan,), 4, ("NaN",)),
        ((), 4, ()),
    ],
)
def test_format_numbers(values: tuple[float, ...], digits: int, expected: tuple[str, ...]) -> None:
    assert format_numbers(values, digits) == expected


def test_format_numbers_with_a_least_number_of_decimals() -> None:
    assert format_numbers([1.0, 0.5], min_decimals=3) == ("1.000", "0.500")


@pytest.mark.parametrize(
    ("values", "digits", "expected"),
    [
        ((0.05, 1e-20), 3, ("0.05", "<2e-16")),
        ((1e-20,), 3, ("<2e-16",)),
        ((0.2072412, 1e-17, 1.76e-07), 3, ("0.207", "< 2e-16", "1.76e-07")),
        ((1e-20,), 5, ("< 2.22e-16",)),
    ],
)
def test_format_p_values(values: tuple[float, ...], digits: int, expected: tuple[str, ...]) -> None:
    assert format_p_values(values, digits) == expected


@pytest.mark.parametrize(
    ("names", "min_length", "expected"),
    [
        (("(Intercept)", "Days"), 6, ("(Intr)", "Days")),
        (("factor(nitro)0.2", "factor(nitro)0.4", "VarietyMarvellous"), 6, ("f()0.2", "f()0.4", "VrtyMr")),
        (("factor(nitro)0.2", "VarietyMarvellous"), 11, ("fctr(nt)0.2", "VartyMrvlls")),
        (("I(age - 11)", "I(age - 11):SexFemale"), 6, ("I(g-11)", "I(-11):")),
        (("I(age - 11)",), 11, ("I(age - 11)",)),
        (("a", "a", " a"), 6, ("a", "a", "a")),
        ((), 6, ()),
    ],
)
def test_abbreviate(names: tuple[str, ...], min_length: int, expected: tuple[str, ...]) -> None:
    assert abbreviate(names, min_length) == expected


def test_zap_small_keeps_what_is_not_a_number() -> None:
    zapped = zap_small([0.0, math.nan], 5)
    assert zapped[0] == 0.0
    assert math.isnan(zapped[1])


def test_a_column_wider_than_the_page_still_stands() -> None:
    assert format_matrix(["a", "b"], [["x" * 50, "y"]], ["r"], width=20) == [
        "  a" + " " * 49,
        "r " + "x" * 50,
        "  b",
        "r y",
    ]


def test_fill_line_needs_one_column_to_spare() -> None:
    assert fill_line("aa", "b" * 76) == ["aa " + "b" * 76]
    assert fill_line("aa", "b" * 77) == ["aa ", "b" * 77]


def test_a_variance_of_all_positions_stands_without_the_name_of_one() -> None:
    table = hd.example_data("sleepstudy")
    rows = {}
    for tag in ("ar1(Days | Subject)", "ar1(Days | Subject, hom = FALSE)"):
        varcorr = hd.lmer("Reaction ~ Days + (1 | Subject)", table, residual=tag).varcorr
        rows[tag] = [line.split() for line in repr(varcorr).splitlines()[2:]]
    homogeneous, own = rows.values()
    assert [row[:1] for row in homogeneous] == [["Residual"]]
    assert homogeneous[0][3:] == ["0.65", "(ar1)"]
    assert own[0][:2] == ["Residual", "0"]
    assert [row[0] for row in own[1:]] == [str(day) for day in range(1, 10)]
