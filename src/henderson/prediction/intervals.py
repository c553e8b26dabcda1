"""Predictions with their standard errors and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy.special import ndtri

from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.arguments import check_level
from henderson.prediction.choice import RandomChoice, chosen_effects
from henderson.prediction.error_covariance import effect_covariance, error_covariance, inner
from henderson.prediction.records import NewLevels, NewRecords, Records, UsedRecords, check_new_levels
from henderson.prediction.rows import Rows, left_out, tell_incomplete, tell_unlimited

if TYPE_CHECKING:
    import pandas as pd

Interval = Literal["confidence", "prediction"]


def prediction_errors(
    fit: FittedModel,
    newdata: Any = None,
    random: RandomChoice = "all",
    new_levels: NewLevels = "error",
    *,
    interval: Interval = "confidence",
    level: float = 0.95,
) -> pd.DataFrame:
    """Predictions with their standard errors and intervals, from the joint covariance of (beta, b).

    The variance components count as known, and the quantiles are those of the normal distribution.

    Parameters
    ----------
    fit : FittedModel
    newdata, random, new_levels
        As in `LmerResult.predict`. A new level that is predicted for the population has effects of mean zero
        and of their prior variance, in both intervals. Where levels are related it counts as unrelated to
        all, and as related to itself as levels are on average.
    interval : {"confidence", "prediction"}
        Of the mean x'beta + z'b, effects that `random` leaves out being zero; or of a new record. This adds
        the residual variance, and the prior variance of the effects left out: its level is a new one.
        The residual variance is divided by the weight of the row if the fit named a column of weights; the
        residual is independent of all others.
    level : float
        Coverage of the interval.

    Returns
    -------
    DataFrame
        Columns fit, se, lower, upper, with the index of a pandas table `newdata`; NaN in rows that miss a
        predictor or have an infinite one, and no interval where something else is missing that it needs,
        which is logged. `se` is the standard deviation of the error of the mean, or of the record.

    Raises
    ------
    DataError
        If `newdata` lacks a column or has new levels, or an argument is none of those above.
    HendersonError
        If random effects take part, for a record also those left out, and the fit has no engine; or the rows
        of a fit without rows are asked for.

    Notes
    -----
    Henderson (1975), Biometrics 31:423-447; see `henderson.engine.EffectCovariance`.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> new = {"Days": [0, 10, 10], "Subject": ["308", "308", "somebody"]}
    >>> prediction_errors(fit, new, new_levels="population").round(1)
         fit    se  lower  upper
    0  253.7  12.3  229.6  277.7
    1  450.3  15.9  419.3  481.4
    2  356.1  67.6  223.6  488.5
    """
    import pandas as pd

    if interval not in get_args(Interval):
        raise DataError(f"interval is {interval!r}; it can be 'confidence' or 'prediction'")
    check_level(level)
    estimates = fit.estimates
    chosen = chosen_effects(estimates, random)
    records: Records
    index = None
    if newdata is None:
        check_new_levels(new_levels)
        estimates.by_row("the rows")
        records = UsedRecords(estimates, fit.engine.model)
    else:
        records = new = NewRecords.of(estimates, newdata, new_levels, fit.call)
        index = new.table.index
    rows = Rows.of(records, estimates, chosen)
    mean = rows.mean(estimates)
    variance = error_covariance(fit, rows, rows)
    if interval == "prediction":
        variance += estimates.sigma2 * records.relative_variance()
        z = left_out(records, estimates, chosen)
        if z.any():
            prior = effect_covariance(fit, np.full((1, rows.places[-1].stop), -1)).C[0]
            variance += inner(z, prior, z)
    se = np.sqrt(np.where(np.isnan(mean), np.nan, np.maximum(variance, 0.0)))
    tell_incomplete(mean)
    tell_unlimited(mean, se)
    if newdata is not None and new_levels == "missing":
        mean[rows.absent] = se[rows.absent] = np.nan
    if newdata is None:
        padded = estimates.by_row("the rows").pad
        mean, se = padded(mean), padded(se)
    half = ndtri(0.5 + 0.5 * level) * se
    return pd.DataFrame({"fit": mean, "se": se, "lower": mean - half, "upper": mean + half}, index=index)
