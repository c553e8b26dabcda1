"""`anova`: fits compared by likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from henderson.fit import FittedModel
from henderson.inference.comparisons import compare

if TYPE_CHECKING:
    import pandas as pd


def anova(*fits: FittedModel, names: Sequence[str] | None = None, refit: bool = True) -> pd.DataFrame:
    """Compare fits of the same rows by likelihood, each with the next smaller one: R's ``anova(m1, m2)``.

    The chi-squared approximation is for nested models, which is not checked. Where a variance is tested
    against zero its p-values are too large; `LmerResult.ranova` has the mixture.

    Parameters
    ----------
    *fits : LmerResult
        Two or more. Tests of the terms of one fit are ``fit.anova()``.
    names : sequence of str, optional
        Their names in the table; m1, m2, ... by default.
    refit : bool
        Compare maximum likelihoods: REML fits are fitted again, and a notice says so. If False, the
        likelihoods are taken as they are.

    Returns
    -------
    DataFrame
        One row per fit, by number of parameters: npar, aic, bic, loglik, deviance; chisq, df, p_value and
        neg_log_10_p_value against the row above; formula.

    Raises
    ------
    DataError
        For fits of different rows, naming how many differ; of different responses; with ``refit=False`` for
        REML fits of different fixed effects, or REML beside ML.

    Examples
    --------
    >>> import henderson as hd
    >>> data = hd.example_data("sleepstudy")
    >>> small = hd.lmer("Reaction ~ Days + (1 | Subject)", data, REML=False)
    >>> large = hd.lmer("Reaction ~ Days + (Days | Subject)", data, REML=False)
    >>> hd.anova(large, small)[["npar", "chisq", "df"]].round(3)
        npar   chisq    df
    m2     4     NaN  <NA>
    m1     6  42.139     2
    """
    return compare(*fits, names=names, refit=refit)
