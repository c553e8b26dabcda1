"""Wald intervals: from the standard errors of the fixed effects and the normal distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from henderson.fit import FittedModel
from henderson.fit.arguments import check_level
from henderson.inference.parameters import chosen, parameters

if TYPE_CHECKING:
    import pandas as pd


def wald(fit: FittedModel, which: str | Sequence[str] | None = None, *, level: float = 0.95) -> pd.DataFrame:
    """Estimate and normal quantile times standard error, as lme4's ``confint(method = "Wald")``.

    Parameters
    ----------
    fit : FittedModel
    which : str or list of str, optional
        Parameters; all by default.
    level : float
        Coverage.

    Returns
    -------
    DataFrame
        Columns lower and upper. They are NaN for standard deviations and correlations, whose estimates are
        too far from normal.

    Raises
    ------
    DataError
        For a parameter that the model does not have.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> wald(fit, ["sigma", "Days"]).round(3)
           lower   upper
    sigma    NaN     NaN
    Days   7.438  13.497
    """
    import pandas as pd
    from scipy.special import ndtri

    check_level(level)
    estimates = fit.estimates
    known = parameters(fit, estimates)
    names = chosen(known, which)
    se = dict.fromkeys(known, np.nan) | dict(zip(estimates.x_names, estimates.se.tolist(), strict=True))
    z = float(ndtri(0.5 + 0.5 * level))
    rows = [(known[name] - z * se[name], known[name] + z * se[name]) for name in names]
    return pd.DataFrame(rows, index=names, columns=["lower", "upper"])
