"""The printed summary of a linear mixed model, laid out as R's ``print(summary(lmer(...)))`` lays it out."""

from collections.abc import Sequence
from dataclasses import dataclass

from henderson.fit.coefficient_table import DIGITS, CoefficientColumn, format_coefficients
from henderson.fit.rformat import (
    abbreviate,
    fill_line,
    format_matrix,
    format_named,
    format_numbers,
    round_decimal,
    zap_small,
)

_MAX_CORRELATED = 12
"""The correlation of more fixed effects than this is not shown: lme4's ``lme4.summary.cor.max``."""


@dataclass(frozen=True, slots=True)
class VarCorrTerm:
    """The estimated covariance of one random-effect term.

    Attributes
    ----------
    group : str
        Label of the grouping factor (``"Subject"``, ``"Subject.1"``, ...).
    names : tuple of str, length q
        Names of the effects.
    variance, sd : tuple of float, length q
        Variances and standard deviations.
    correlation : tuple of tuples of float, shape (q, q)
        Correlation matrix; only its strict lower triangle is shown. NaN where a variance is zero.
    pattern : str, optional
        The covariance tag if it is "diag", "cs" or "ar1": no correlation is shown then, or only the first.
    """

    group: str
    names: tuple[str, ...]
    variance: tuple[float, ...]
    sd: tuple[float, ...]
    correlation: tuple[tuple[float, ...], ...]
    pattern: str | None = None


def plain_residual(variance: float, sd: float) -> VarCorrTerm:
    """Independent residuals of one variance."""
    return VarCorrTerm("Residual", ("",), (variance,), (sd,), ((1.0,),))


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryView:
    """What the printed summary of a linear mixed model shows, as plain numbers and names.

    Attributes
    ----------
    formula : str
        The model formula.
    reml : bool
        Whether the model was fitted by REML; decides which fit statistics are shown.
    criterion : float
        The REML criterion, or the deviance (-2 log-likelihood) for maximum likelihood.
    aic, bic, log_likelihood : float
        Information criteria and log-likelihood; shown for maximum likelihood.
    df_residual : int
        Observations less parameters; shown for maximum likelihood.
    scaled_residual_quantiles : tuple of float, length 5, or None
        Minimum, quartiles and maximum of the scaled residuals; not shown if they are not known.
    terms : tuple of VarCorrTerm
        The random-effect terms, in the order to show.
    residual : VarCorrTerm
        The residuals: `plain_residual`, or the positions of a structure in place of effects.
    n_obs : int
        Observations used.
    n_groups : tuple of (str, int)
        Grouping factors with their numbers of levels.
    fixef_names : tuple of str, length p
        Names of the fixed effects.
    fixef_columns : tuple of CoefficientColumn
        Columns of the table of fixed effects, as `coefficient_table` makes them.
    fixef_correlation : tuple of tuples of float, shape (p, p)
        Correlation matrix of the fixed effects.
    data_name : str, optional
        Name of the data; no data line without one.
    tests : str, optional
        Whose degrees of freedom the table has: ``"Satterthwaite's method"``.
    notices : tuple of str
        Sentences printed at the end, one per line.
    """

    formula: str
    reml: bool
    criterion: float
    aic: float
    bic: float
    log_likelihood: float
    df_residual: int
    scaled_residual_quantiles: tuple[float, ...] | None
    terms: tuple[VarCorrTerm, ...]
    residual: VarCorrTerm
    n_obs: int
    n_groups: tuple[tuple[str, int], ...]
    fixef_names: tuple[str, ...]
    fixef_columns: tuple[CoefficientColumn, ...]
    fixef_correlation: tuple[tuple[float, ...], ...]
    data_name: str | None = None
    tests: str | None = None
    notices: tuple[str, ...] = ()


def format_summary(view: SummaryView, *, width: int = 80) -> str:
    """Lay out the summary of a linear mixed model as lme4 prints it.

    Parameters
    ----------
    view : SummaryView
        What to show.
    width : int, default 80
        Columns of the page; wider tables continue below.

    Returns
    -------
    str
        The text, without a line break at its end. Trailing blanks are R's.

    Examples
    --------
    >>> from henderson.fit.coefficient_table import t_table
    >>> view = SummaryView(
    ...     formula="y ~ 1 + (1 | g)", reml=True, criterion=12.34, aic=18.34, bic=17.17, log_likelihood=-6.17,
    ...     df_residual=2, scaled_residual_quantiles=(-1.0, -0.5, 0.0, 0.5, 1.0),
    ...     terms=(VarCorrTerm("g", ("(Intercept)",), (0.25,), (0.5,), ((1.0,),)),),
    ...     residual=plain_residual(1.0, 1.0), n_obs=5, n_groups=(("g", 2),),
    ...     fixef_names=("(Intercept)",), fixef_columns=t_table([1.5], [0.6]), fixef_correlation=((1.0,),),
    ... )
    >>> for line in format_summary(view).splitlines():
    ...     print(line.rstrip())
    Linear mixed model fit by REML
    Formula: y ~ 1 + (1 | g)
    <BLANKLINE>
    REML criterion at convergence: 12.3
    <BLANKLINE>
    Scaled residuals:
       Min     1Q Median     3Q    Max
      -1.0   -0.5    0.0    0.5    1.0
    <BLANKLINE>
    Random effects:
     Groups   Name        Variance Std.Dev.
     g        (Intercept) 0.25     0.5
     Residual             1.00     1.0
    Number of obs: 5, groups:  g, 2
    <BLANKLINE>
    Fixed effects:
                Estimate Std. Error t value
    (Intercept)      1.5        0.6     2.5
    """
    groups = "; ".join(f"{label}, {count}" for label, count in view.n_groups)
    lines = [
        _title(view),
        *fill_line("Formula:", view.formula, width=width),
        *([] if view.data_name is None else fill_line("   Data:", view.data_name, width=width)),
        "",
        *_format_criterion(view, width),
        *_format_quantiles(view.scaled_residual_quantiles, width),
        "",
        "Random effects:",
        *format_varcorr([*view.terms, view.residual], width=width),
        *fill_line(f"Number of obs: {view.n_obs}, groups: ", groups, width=width),
    ]
    if view.fixef_names:
        table = format_coefficients(view.fixef_names, view.fixef_columns, width=width)
        lines += ["", "Fixed effects:", *table]
    if 1 < len(view.fixef_names) <= _MAX_CORRELATED:
        table = _format_correlation(view.fixef_names, view.fixef_correlation, width)
        lines += ["", "Correlation of Fixed Effects:", *table]
    return "\n".join([*lines, *view.notices])


def _title(view: SummaryView) -> str:
    title = f"Linear mixed model fit by {'REML' if view.reml else 'maximum likelihood'}"
    return title if view.tests is None else f"{title}. t-tests use {view.tests}"


def _format_criterion(view: SummaryView, width: int) -> list[str]:
    """Lay out the REML criterion, or the fit statistics of maximum likelihood."""
    if view.reml:
        criterion = format_numbers([round_decimal(view.criterion, 1)])[0]
        return fill_line("REML criterion at convergence:", criterion, width=width)
    names = ("AIC", "BIC", "logLik", "deviance", "df.resid")
    values = (view.aic, view.bic, view.log_likelihood, view.criterion, float(view.df_residual))
    texts = format_numbers([round_decimal(value, 1) for value in values])
    return format_named(names, (*texts[:-1], str(view.df_residual)), width=width)


def _format_quantiles(quantiles: tuple[float, ...] | None, width: int) -> list[str]:
    """Lay out the five quantiles of the scaled residuals, if they are known."""
    if quantiles is None:
        return []
    texts = format_numbers(zap_small(quantiles, DIGITS + 1), DIGITS)
    names = ("Min", "1Q", "Median", "3Q", "Max")
    return ["", "Scaled residuals: ", *format_named(names, texts, width=width)]


def format_varcorr(terms: Sequence[VarCorrTerm], *, width: int = 80) -> list[str]:
    """Lay out variances, standard deviations and correlations of the random effects and the residual.

    Parameters
    ----------
    terms : sequence of VarCorrTerm
        The random-effect terms, and the residual.
    width : int, default 80
        Columns of the page.

    Returns
    -------
    list of str
        The lines.

    Examples
    --------
    >>> term = VarCorrTerm("g", ("(Intercept)", "x"), (4.0, 1.0), (2.0, 1.0), ((1.0, -0.5), (-0.5, 1.0)))
    >>> for line in format_varcorr([term, plain_residual(9.0, 3.0)]):
    ...     print(line.rstrip())
     Groups   Name        Variance Std.Dev. Corr
     g        (Intercept) 4        2
              x           1        1        -0.50
     Residual             9        3
    """
    groups = [label for term in terms for label in (term.group, *[""] * (len(term.names) - 1))]
    names = [name for term in terms for name in term.names]
    variances = format_numbers([v for term in terms for v in term.variance], DIGITS)
    sds = format_numbers([s for term in terms for s in term.sd], DIGITS)
    n_columns = max(_n_correlations(term) for term in terms)
    correlations = [row for term in terms for row in _correlations(term, n_columns)]
    rows = [
        (group, name, variance, sd, *correlation)
        for group, name, variance, sd, correlation in zip(
            groups, names, variances, sds, correlations, strict=True
        )
    ]
    header = ("Groups", "Name", "Variance", "Std.Dev.", *["Corr", *[""] * n_columns][:n_columns])
    return format_matrix(header, rows, [""] * len(rows), width=width)


def _n_correlations(term: VarCorrTerm) -> int:
    """How many columns of correlations a term needs."""
    if term.pattern is None:
        return len(term.names) - 1
    return 0 if term.pattern == "diag" else 1


def _correlations(term: VarCorrTerm, n_columns: int) -> list[list[str]]:
    """What stands in these columns, row by row: the first correlation alone, with its tag, if it says all."""
    if term.pattern is None:
        return _lower_triangle(term.correlation, 2, n_columns)
    rows = [[""] * n_columns for _ in term.names]
    if term.pattern != "diag":
        rho = format_numbers([round_decimal(term.correlation[0][1], 2)], min_decimals=2)[0]
        rows[0][0] = f"{rho} ({term.pattern})"
    return rows


def _lower_triangle(
    correlation: tuple[tuple[float, ...], ...], decimals: int, n_columns: int
) -> list[list[str]]:
    """Format a correlation matrix as a whole and blank all but `n_columns` of its strict lower triangle."""
    size = len(correlation)
    rounded = [round_decimal(value, decimals) for row in correlation for value in row]
    texts = format_numbers(rounded, min_decimals=decimals)
    return [[texts[i * size + j] if j < i else "" for j in range(n_columns)] for i in range(size)]


def _format_correlation(
    names: tuple[str, ...], correlation: tuple[tuple[float, ...], ...], width: int
) -> list[str]:
    """Lay out the lower triangle of the correlation of the fixed effects, the names abbreviated."""
    rows = _lower_triangle(correlation, 3, len(names) - 1)
    return format_matrix(abbreviate(names, 6)[:-1], rows[1:], abbreviate(names, 11)[1:], width=width)
