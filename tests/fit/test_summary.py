"""The printed summary against the texts that R's ``print(summary(lmer(...)))`` writes."""

import math
from dataclasses import replace
from typing import Any

import pytest
from reference import lmer_models, load_model, needs_lmer_reference

from henderson.fit.rformat import (
    abbreviate,
    fill_line,
    format_matrix,
    format_named,
    format_numbers,
    format_p_values,
    round_decimal,
    zap_small,
)
from henderson.fit.summary import (
    CoefficientColumn,
    SummaryView,
    VarCorrTerm,
    format_coefficients,
    format_summary,
    format_varcorr,
    t_table,
)


def correlation_of(covariance: list[list[float]]) -> tuple[tuple[float, ...], ...]:
    size = range(len(covariance))
    sd = [math.sqrt(covariance[i][i]) for i in size]
    return tuple(tuple(covariance[i][j] / (sd[i] * sd[j]) for j in size) for i in size)


def nan_for_null(rows: list[list[float | None]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(math.nan if value is None else value for value in row) for row in rows)


def view_of(stored: dict[str, Any]) -> SummaryView:
    """The view that the stored numbers of a reference fit make."""
    fixef, varcorr, reml = stored["fixef"], stored["varcorr"], stored["REML"]
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
        residual_variance=varcorr["residual_variance"],
        residual_sd=varcorr["residual_sd"],
        n_obs=stored["n"]["nobs"],
        n_groups=tuple(stored["n"]["ngrps"].items()),
        fixef_names=tuple(fixef["names"]),
        fixef_columns=t_table(fixef["estimate"], fixef["se"]),
        fixef_correlation=correlation_of(stored["vcov"]),
    )


def block(lines: list[str]) -> list[str]:
    """The lines from the fit statistics on, without what R says about the fit at the end."""
    start = next(
        i for i, line in enumerate(lines) if line.startswith(("REML criterion", "     AIC", "      AIC"))
    )
    end = next(
        (i for i, line in enumerate(lines) if line.startswith(("optimizer (", "fit warnings:"))), len(lines)
    )
    return lines[start:end]


@needs_lmer_reference
@pytest.mark.parametrize("model", lmer_models())
def test_same_lines_as_r(model: str) -> None:
    stored = load_model(model)
    assert block(format_summary(view_of(stored)).splitlines()) == block(stored["print_text"])
