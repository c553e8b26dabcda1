"""Analysis of variance: an F test of each fixed term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.inference.denominator import Ddf, denominator
from henderson.inference.hypotheses import Kind, hypotheses

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
KINDS: Mapping[str | int, Kind] = {"I": "I", "II": "II", "III": "III", 1: "I", 2: "II", 3: "III"}


def anova_table(
    fit: FittedModel, *, type: Kind | int | str = "III", ddf: Ddf = "satterthwaite"
) -> pd.DataFrame:
    """F tests of the fixed terms.

    Parameters
    ----------
    fit : FittedModel
    type : {"III", "II", "I", 3, 2, 1}
        Type of the hypotheses, as `henderson.inference.hypotheses.hypotheses` explains them. Type I depends
        on the order of the terms; types II and III differ where one term contains another.
    ddf : {"satterthwaite", "kenward-roger", "asymptotic"}
        How denominator degrees of freedom are counted.

    Returns
    -------
    DataFrame, one row per term
        ``sum_sq``, ``mean_sq`` (F without Kenward-Roger's scaling times the residual variance, as lmerTest
        has them), ``num_df``, ``den_df``, ``f``, ``p_value`` and ``neg_log_10_p_value``. A term of which
        nothing can be tested has ``num_df`` 0 and NaN.

    Raises
    ------
    DataError
        For another type or `ddf`.
    HendersonError
        For types I and II, and wherever columns were dropped, if the rows are not at hand.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> anova_table(fit)[["num_df", "den_df", "f"]].round(3)
          num_df  den_df       f
    Days       1    17.0  45.853
    """
    if isinstance(type, bool) or not isinstance(type, str | int | np.integer) or type not in KINDS:
        raise DataError(f"type={type!r} is no type of hypothesis; there are 'I', 'II' and 'III'")
    return f_tests(fit, hypotheses(fit, KINDS[type]), ddf)


def f_tests(fit: FittedModel, by_term: Mapping[str, Array], ddf: Ddf) -> pd.DataFrame:
    """The table of F tests of hypotheses L beta = 0, each L (q, p)."""
    import pandas as pd

    beta, sigma2 = fit.estimates.beta, fit.estimates.sigma2
    method = denominator(fit, ddf)
    tests = [method.f_test(L, L @ beta) for L in by_term.values()]
    mean_sq = np.array([sigma2 * test.statistic / test.scaling for test in tests])
    num_df = np.array([test.ndf for test in tests], dtype=np.int64)
    return pd.DataFrame(
        {
            "sum_sq": mean_sq * num_df,
            "mean_sq": mean_sq,
            "num_df": num_df,
            "den_df": np.array([test.ddf for test in tests], dtype=np.float64),
            "f": np.array([test.statistic for test in tests], dtype=np.float64),
            "p_value": np.array([test.p_value for test in tests], dtype=np.float64),
            "neg_log_10_p_value": np.array([test.neg_log_10_p_value for test in tests], dtype=np.float64),
        },
        index=pd.Index(list(by_term), dtype=object),
    )
