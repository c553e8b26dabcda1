"""Tables about a fit: the printed summary, and broom's tidy, glance and augment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from henderson.fit.coefficient_table import p_value_table, t_table
from henderson.fit.estimates import Estimates
from henderson.fit.summary import SummaryView
from henderson.inference.contrasts import contrast
from henderson.inference.denominator import Ddf, check_ddf
from henderson.io.frame import to_pandas

if TYPE_CHECKING:
    import pandas as pd

    from henderson.fit.fitted_model import FittedModel


METHODS: dict[Ddf, str] = {
    "satterthwaite": "Satterthwaite's method",
    "kenward-roger": "Kenward-Roger's method",
    "asymptotic": "the normal distribution",
}


def summary_view(fit: FittedModel, ddf: Ddf | None) -> SummaryView:
    """What the printed summary shows; t-values alone without `ddf`."""
    if ddf is not None:
        check_ddf(ddf)
    estimates, sd = fit.estimates, fit.estimates.se
    columns = t_table(estimates.beta.tolist(), sd.tolist())
    if ddf is not None and estimates.beta.size:
        tests = contrast(fit, np.eye(estimates.beta.size), ddf=ddf)
        shown = ("estimate", "std_error", "df", "p_value")
        columns = p_value_table(*(tests[name].tolist() for name in shown))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = estimates.cov_beta / np.outer(sd, sd)
    return SummaryView(
        formula=estimates.formula,
        reml=estimates.reml,
        criterion=fit.criterion,
        aic=fit.aic,
        bic=fit.bic,
        log_likelihood=fit.loglik,
        df_residual=fit.df_residual,
        scaled_residual_quantiles=estimates.scaled_residual_quantiles,
        terms=tuple(t.view() for t in fit.varcorr),
        residual=fit.varcorr.residual_view(),
        n_obs=estimates.nobs,
        n_groups=tuple(fit.ngroups.items()),
        fixef_names=estimates.x_names,
        fixef_columns=columns,
        fixef_correlation=tuple(tuple(row) for row in correlation.tolist()),
        tests=None if ddf is None else METHODS[ddf],
        notices=estimates.notices,
    )


def tidy(fit: FittedModel, ddf: Ddf | None) -> pd.DataFrame:
    """One row per parameter; without `ddf`, no degrees of freedom and no p-values."""
    import pandas as pd

    if ddf is not None:
        check_ddf(ddf)
    rows: list[tuple[Any, ...]] = []
    if fit.estimates.beta.size:
        tests = contrast(fit, np.eye(fit.estimates.beta.size), ddf=ddf or "asymptotic")
        if ddf is None:
            tests = tests.assign(df=np.nan, p_value=np.nan)
        numbers = tests[["estimate", "std_error", "t", "df", "p_value"]].to_numpy().tolist()
        rows += [
            ("fixed", None, name, *own) for name, own in zip(fit.estimates.x_names, numbers, strict=True)
        ]
    varcorr, nothing = fit.varcorr, (np.nan,) * 4
    for t in (*varcorr, *([] if varcorr.residual is None else [varcorr.residual])):
        found = [(f"sd__{name}", sd) for name, sd in zip(t.names, t.sd[: t.n_variances], strict=False)]
        found += [
            (f"cor__{t.names[i]}.{t.names[j]}" if t.pattern is None else "rho", t.correlation[i, j])
            for i, j in t.pairs
        ]
        rows += [("ran_pars", t.label, name, float(value), *nothing) for name, value in found]
    if varcorr.residual is None:
        rows.append(("ran_pars", "Residual", "sd__Observation", varcorr.sigma, *nothing))
    names = ["effect", "group", "term", "estimate", "std_error", "statistic", "df", "p_value"]
    return pd.DataFrame(rows, columns=names)


def glance(fit: FittedModel) -> pd.DataFrame:
    """One row about the fit as a whole."""
    import pandas as pd

    return pd.DataFrame(
        {
            "nobs": [fit.nobs],
            "sigma": [fit.sigma],
            "loglik": [fit.loglik],
            "aic": [fit.aic],
            "bic": [fit.bic],
            "criterion": [fit.criterion],
            "reml": [fit.reml],
            "df_residual": [fit.df_residual],
            "icc": [fit.icc],
            "singular": [fit.is_singular()],
        }
    )


def augment(estimates: Estimates, data: Any) -> pd.DataFrame:
    """The rows of a table that were used, with what the fit knows about them."""
    import pandas as pd

    rows = estimates.by_row("fitted values")
    out = to_pandas(data).iloc[rows.position].copy()
    extra = pd.DataFrame(
        {
            ".fitted": rows.fitted,
            ".fixed": rows.mean,
            ".resid": rows.y - rows.fitted,
            ".scaled_resid": rows.scaled_residuals / np.sqrt(estimates.sigma2),
        },
        index=out.index,
    )
    return pd.concat([out, extra], axis=1)
