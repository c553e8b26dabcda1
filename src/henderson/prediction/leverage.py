"""How much each row has to say: leverage, Cook's distance, and residuals over their standard deviations."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit
from henderson.engine.blocked.residual import unit_blocks
from henderson.errors import DataError, ModelNotSupportedError
from henderson.fit import FittedModel
from henderson.prediction.choice import chosen_effects
from henderson.prediction.error_covariance import error_covariance
from henderson.prediction.records import UsedRecords, finite
from henderson.prediction.rows import Rows

Array = NDArray[np.float64]
#: A share of a residual's variance that is less than this is zero but for rounding: the leverage is 1.
ROUNDING = 1e-10
#: Columns of P that are worked out together.
COLUMNS = 256
ResidualKind = Literal["response", "pearson", "scaled", "standardised", "studentised", "marginal"]


def leverage(fit: FittedModel) -> Array:
    """How much the fitted value of each row moves with its own response, theta held fixed.

    The diagonal of the matrix H with fitted = H y; it adds up to the effective number of parameters.
    Demidenko & Stukel (2005), Stat. Med. 24:893; lme4's `hatvalues`.

    Parameters
    ----------
    fit : FittedModel
        With its engine.

    Returns
    -------
    ndarray, shape (n,)
        NaN in the places of excluded rows.

    Raises
    ------
    HendersonError
        If the fit has no rows, or no engine.

    Notes
    -----
    The errors of the fitted values have covariance E = sigma^2 (R - R P R), and H = I - R P, so that
    H = E R^-1 / sigma^2: only elements of E within units of the residuals are needed. Where R has no inverse,
    P itself is taken.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> leverage(fit)[:3].round(3), float(leverage(fit).sum().round(3))
    (array([0.229, 0.17 , 0.127]), 29.022)
    """
    return fit.estimates.by_row("the rows").pad(_leverage(fit))


def cooks_distance(fit: FittedModel) -> Array:
    """Cook's distance of each row, theta held fixed: lme4's `cooks.distance`.

    Parameters
    ----------
    fit : FittedModel
        With its engine.

    Returns
    -------
    ndarray, shape (n,)
        NaN in the places of excluded rows, and for a leverage of 1.

    Raises
    ------
    ModelNotSupportedError
        If residuals are correlated, or the model has no fixed effects.
    HendersonError
        If the fit has no rows, or no engine.
    """
    rows = fit.estimates.by_row("the rows")
    if not fit.estimates.beta.size:
        raise ModelNotSupportedError(
            "Cook's distance is a change of the fixed effects, and the model has none: see hatvalues()"
        )
    _check_independent(fit, "Cook's distance of a row is")
    hat = _leverage(fit)
    p, sigma2 = fit.estimates.beta.size, fit.estimates.sigma2
    left = np.where(1.0 - hat > ROUNDING, 1.0 - hat, np.nan)
    return rows.pad((rows.scaled_residuals / left) ** 2 * hat / (sigma2 * p))


def residuals_of(fit: FittedModel, kind: ResidualKind = "response") -> Array:
    """Residuals of the rows of the fit.

    Parameters
    ----------
    fit : FittedModel
    kind : {"response", "pearson", "scaled", "standardised", "studentised", "marginal"}
        ============ ======================================================================================
        response     response less fitted values, r
        pearson      r times the root of the weight, over the relative standard deviation of a residual
                     structure
        scaled       that over sigma: the scaled residuals of the summary
        standardised r over its own standard deviation, sigma sqrt(1 - leverage) for weights of 1; this is
                     what lme4's `rstudent` gives
        studentised  the same with the sigma of the model without the row, theta held fixed (Cook & Weisberg
                     1982, section 2.2)
        marginal     response less the fixed part alone
        ============ ======================================================================================

    Returns
    -------
    ndarray, shape (n,)
        NaN in the places of excluded rows, and where a standard deviation is zero.

    Raises
    ------
    DataError
        For another kind.
    ModelNotSupportedError
        For studentised residuals, if residuals are correlated.
    HendersonError
        If the fit has no rows, or no engine and the kind needs it.
    """
    if kind not in get_args(ResidualKind):
        raise DataError(f"kind is {kind!r}; it can be {', '.join(map(repr, get_args(ResidualKind)))}")
    rows = fit.estimates.by_row("residuals")
    sigma = np.sqrt(fit.estimates.sigma2)
    match kind:
        case "response":
            out = rows.y - rows.fitted
        case "pearson":
            out = rows.scaled_residuals
        case "scaled":
            out = rows.scaled_residuals / sigma
        case "marginal":
            out = rows.y - rows.mean
        case _:
            out = _standardised(fit)
            if kind == "studentised":
                _check_independent(fit, "studentised residuals are")
                nu = fit.nobs - fit.estimates.beta.size if fit.estimates.reml else fit.nobs
                # Leaving out the row takes r^2 of y'Py / sigma^2 = nu
                with np.errstate(divide="ignore", invalid="ignore"):
                    out = finite(out * np.sqrt((nu - 1) / (nu - out**2)))
    return rows.pad(np.asarray(out))


def _used(fit: FittedModel) -> tuple[UsedRecords, Rows]:
    """The rows of the fit with all random effects."""
    records = UsedRecords(fit.estimates, fit.engine.model)
    return records, Rows.of(records, fit.estimates, chosen_effects(fit.estimates, "all"))


def _leverage(fit: FittedModel) -> Array:
    (_, rows), model, estimates = _used(fit), fit.engine.model, fit.estimates
    R0 = model.residual.matrix(estimates.theta[model.residual_slice])
    root = np.ones(model.n) if model.weights is None else np.sqrt(model.weights)
    units = unit_blocks(model.residual, model.n)
    out = np.zeros(model.n)
    if _is_singular(R0):
        for start in range(0, model.n, COLUMNS):
            some = np.arange(start, min(start + COLUMNS, model.n))
            P = fit.engine.project(estimates.theta, np.eye(model.n, some.size, -start))
            RP = units.times(R0, P / root[:, None]) / root[:, None]
            out[some] = 1.0 - RP[some, np.arange(some.size)]
        return out
    for pattern, inverse in zip(units.patterns, units.inverses(R0), strict=True):
        for a, b in zip(*np.triu_indices(pattern.positions.size), strict=True):
            own, other = pattern.rows[:, a], pattern.rows[:, b]
            left = rows.take(own)
            E = error_covariance(fit, left, left if a == b else rows.take(other))
            share = inverse[a, b] * root[own] * root[other] * E
            out[own] += share
            if a != b:
                out[other] += share
    return out / estimates.sigma2


def _is_singular(R0: Array) -> bool:
    """Whether R_0^-1 has lost its digits."""
    sd = np.sqrt(np.diag(R0))
    return not (sd > 0.0).all() or bool(np.linalg.eigvalsh(R0 / np.outer(sd, sd))[0] < ROUNDING)


def _standardised(fit: FittedModel) -> Array:
    estimates = fit.estimates
    records, rows = _used(fit)
    values = estimates.by_row("residuals")
    of_record = estimates.sigma2 * records.relative_variance()
    variance = of_record - error_covariance(fit, rows, rows)
    variance[variance <= ROUNDING * of_record] = np.nan
    return np.asarray((values.y - values.fitted) / np.sqrt(variance))


def _check_independent(fit: FittedModel, what: str) -> None:
    residual = fit.engine.model.residual
    if isinstance(residual, ByUnit) and residual.n_units < fit.nobs:
        raise ModelNotSupportedError(
            f"{what} for independent residuals, and residual='{residual.label}' lets them vary together: "
            "look at the influence of whole groups"
        )
