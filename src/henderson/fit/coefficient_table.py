"""The table of fixed effects, laid out as R's ``printCoefmat`` lays it out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from henderson.fit.rformat import (
    fill_line,
    format_matrix,
    format_numbers,
    format_p_values,
    pad,
    round_decimal,
)

DIGITS = 4
"""Significant digits: R's ``max(3, getOption("digits") - 3)``."""

_SIGNIFICANCE = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))
_LEGEND = "0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1"

ColumnKind = Literal["estimate", "test", "p_value"]
"""How a column of the coefficient table is formatted; see `CoefficientColumn`."""


@dataclass(frozen=True, slots=True)
class CoefficientColumn:
    """One column of the table of fixed effects.

    Attributes
    ----------
    header : str
        What stands above the column.
    values : tuple of float, length p
        The numbers; NaN is allowed.
    kind : {"estimate", "test", "p_value"}
        ``"estimate"`` columns (estimates, standard errors, degrees of freedom) share one format, a ``"test"``
        column is rounded to three decimals, a ``"p_value"`` column is followed by significance stars.
    """

    header: str
    values: tuple[float, ...]
    kind: ColumnKind


def t_table(estimates: Sequence[float], standard_errors: Sequence[float]) -> tuple[CoefficientColumn, ...]:
    """Make the columns Estimate, Std. Error and t value.

    Parameters
    ----------
    estimates, standard_errors : sequence of float, length p
        The fixed effects and their standard errors.

    Returns
    -------
    tuple of CoefficientColumn
        The three columns; the t value is NaN where the standard error is zero.

    Examples
    --------
    >>> [column.values for column in t_table([3.0], [2.0])]
    [(3.0,), (2.0,), (1.5,)]
    """
    pairs = [(float(b), float(se)) for b, se in zip(estimates, standard_errors, strict=True)]
    return (
        CoefficientColumn("Estimate", tuple(b for b, _ in pairs), "estimate"),
        CoefficientColumn("Std. Error", tuple(se for _, se in pairs), "estimate"),
        CoefficientColumn("t value", tuple(b / se if se else math.nan for b, se in pairs), "test"),
    )


def p_value_table(
    estimates: Sequence[float],
    standard_errors: Sequence[float],
    df: Sequence[float],
    p_values: Sequence[float],
) -> tuple[CoefficientColumn, ...]:
    """Make the columns Estimate, Std. Error, df, t value and Pr(>|t|).

    Parameters
    ----------
    estimates, standard_errors : sequence of float, length p
        The fixed effects and their standard errors.
    df, p_values : sequence of float, length p
        Degrees of freedom and p-values of their t-tests; without degrees of freedom (all infinite) the
        columns are z value and Pr(>|z|).

    Returns
    -------
    tuple of CoefficientColumn

    Examples
    --------
    >>> [column.header for column in p_value_table([3.0], [2.0], [17.0], [0.15])]
    ['Estimate', 'Std. Error', 'df', 't value', 'Pr(>|t|)']
    """
    estimate, error, t = t_table(estimates, standard_errors)
    if all(math.isinf(number) for number in df):
        z = CoefficientColumn("z value", t.values, "test")
        return estimate, error, z, CoefficientColumn("Pr(>|z|)", tuple(p_values), "p_value")
    degrees = CoefficientColumn("df", tuple(df), "estimate")
    return estimate, error, degrees, t, CoefficientColumn("Pr(>|t|)", tuple(p_values), "p_value")


def format_coefficients(
    names: Sequence[str], columns: Sequence[CoefficientColumn], *, width: int = 80
) -> list[str]:
    """Lay out the table of fixed effects, as R's ``printCoefmat`` does.

    Parameters
    ----------
    names : sequence of str, length p
        Names of the fixed effects.
    columns : sequence of CoefficientColumn
        The columns, from left to right.
    width : int, default 80
        Columns of the page.

    Returns
    -------
    list of str
        The lines; with p-values below 0.1, stars at the right and their legend below.

    Examples
    --------
    >>> columns = (*t_table([251.4051], [6.8238]), CoefficientColumn("Pr(>|t|)", (1e-17,), "p_value"))
    >>> for line in format_coefficients(["(Intercept)"], columns):
    ...     print(line.rstrip())
                Estimate Std. Error t value Pr(>|t|)
    (Intercept)  251.405      6.824   36.84   <2e-16 ***
    ---
    Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1
    """
    estimates = iter(_format_estimates([column.values for column in columns if column.kind == "estimate"]))
    header: list[str] = []
    cells: list[Sequence[str]] = []
    starred = False
    for column in columns:
        if column.kind == "estimate":
            texts = next(estimates)
        elif column.kind == "test":
            texts = format_numbers([round_decimal(t, DIGITS - 1) for t in column.values], DIGITS)
        else:
            texts = format_p_values(column.values, DIGITS - 1)
        header.append(column.header)
        # NaN does not take part in the common width.
        cells.append(
            [text.strip() if math.isnan(x) else text for x, text in zip(column.values, texts, strict=True)]
        )
        if column.kind == "p_value" and any(p < _SIGNIFICANCE[-1][0] for p in column.values):
            header.append("")
            cells.append(pad([_stars(p) for p in column.values]))
            starred = True
    lines = format_matrix(header, list(zip(*cells, strict=True)), names, right=True, width=width)
    return [*lines, "---", *fill_line("Signif. codes: ", _LEGEND, width=width)] if starred else lines


def _format_estimates(columns: Sequence[tuple[float, ...]]) -> list[tuple[str, ...]]:
    """Format the columns of kind "estimate" alike, to the decimals that their smallest number needs."""
    values = [value for column in columns for value in column]
    sizes = [abs(value) for value in values if value != 0 and math.isfinite(value)]
    smallest = math.floor(math.log10(min(sizes))) if sizes else -1
    decimals = max(1, DIGITS - 1 - smallest)
    texts = format_numbers([round_decimal(value, decimals) for value in values], DIGITS)
    shown = iter(texts)
    return [tuple(islice(shown, len(column))) for column in columns]


def _stars(p_value: float) -> str:
    """Return the significance code of a p-value; a limit belongs to the stronger code."""
    return next((code for limit, code in _SIGNIFICANCE if p_value <= limit), "")
