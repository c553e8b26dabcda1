"""What a fit answers about its fixed effects and random terms: tests, comparisons, marginal means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from henderson.fit import FittedModel
from henderson.inference.denominator import Ddf

if TYPE_CHECKING:
    import pandas as pd

    from henderson.inference.means import MarginalMeans
    from henderson.inference.means_cells import Weights


class Testing(FittedModel):
    """Tests; ``ddf`` is whose denominator degrees of freedom they have.

    "satterthwaite" (the default, as in lmerTest), "kenward-roger" (with its adjusted covariance; for fits by
    REML) or "asymptotic" (infinitely many: normal and chi-squared tests).
    """

    def contrast(
        self, L: Any, *, rhs: float | Any = 0.0, ddf: Ddf = "satterthwaite", level: float = 0.95
    ) -> pd.DataFrame:
        """Estimate and test linear combinations of the fixed effects, one by one.

        Parameters
        ----------
        L : array (p,) or (k, p), dict, or DataFrame
            Weights of the fixed effects: ``{"Days": 10}``, ``{"after ten days": {"(Intercept)": 1, "Days":
            10}}`` with names for the rows, or a matrix in the order of `fixef`.
        rhs : float or array of shape (k,)
            What they are tested against.
        ddf : {"satterthwaite", "kenward-roger", "asymptotic"}
        level : float
            Coverage of the intervals.

        Returns
        -------
        DataFrame
            One row per contrast: estimate, std_error, df, t, p_value, neg_log_10_p_value, lower, upper.

        Raises
        ------
        DataError
            If L has another number of columns than there are fixed effects, or names one that is not there.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
        >>> day_10 = {"day 10": {"(Intercept)": 1, "Days": 10}}
        >>> fit.contrast(day_10)[["estimate", "std_error", "df"]].round(2)
                estimate  std_error    df
        day 10    356.08      16.02  17.0
        """
        from henderson.inference.contrasts import contrast

        return contrast(self, L, rhs=rhs, ddf=ddf, level=level)

    def joint_test(self, L: Any, *, rhs: float | Any = 0.0, ddf: Ddf = "satterthwaite") -> pd.DataFrame:
        """Test several linear combinations of the fixed effects at once: one F-test.

        Parameters
        ----------
        L, rhs, ddf
            As in `contrast`.

        Returns
        -------
        DataFrame
            One row: num_df, den_df, f, p_value, neg_log_10_p_value.
        """
        from henderson.inference.contrasts import joint_test

        return joint_test(self, L, rhs=rhs, ddf=ddf)

    def anova(
        self, *, type: Literal["I", "II", "III"] | int = "III", ddf: Ddf = "satterthwaite"
    ) -> pd.DataFrame:
        """F-tests of the terms of the fixed part, as lmerTest's `anova`. Fits are compared by `hd.anova`.

        Parameters
        ----------
        type : {"I", "II", "III"}
            Sequential; each term after all that do not contain it; or each as if it were the last, averaged
            over the levels of other factors with equal weights (SAS's type III, whatever the contrasts).
        ddf : {"satterthwaite", "kenward-roger", "asymptotic"}

        Returns
        -------
        DataFrame
            One row per term: sum_sq, mean_sq, num_df, den_df, f, p_value, neg_log_10_p_value.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
        >>> fit.anova()[["num_df", "den_df", "f"]].round(3)
              num_df  den_df       f
        Days       1    17.0  45.853
        """
        from henderson.inference.anova import anova_table

        return anova_table(self, type=type, ddf=ddf)

    def drop1(self, *, ddf: Ddf = "satterthwaite") -> pd.DataFrame:
        """F-tests of each term of the fixed part that may be dropped: that no other term contains.

        `drop1_lrt` refits the model without it instead.

        Returns
        -------
        DataFrame
            As that of `anova`.
        """
        from henderson.inference.deletions import drop1

        return drop1(self, ddf=ddf)

    def drop1_lrt(self) -> pd.DataFrame:
        """Likelihood-ratio tests, by ML, of each term of the fixed part that may be dropped: lme4's `drop1`.

        Returns
        -------
        DataFrame
            One row per term, and ``<none>``: npar, loglik, aic, lrt, df, p_value, neg_log_10_p_value.
        """
        from henderson.inference.deletions import drop1_lrt

        return drop1_lrt(self)

    def ranova(self, *, reduce_terms: bool = True) -> pd.DataFrame:
        """Likelihood-ratio tests of the random terms, each left out in turn.

        Parameters
        ----------
        reduce_terms : bool
            Take ``(1 + x | g)`` to ``(1 | g)`` instead of leaving it out at once.

        Returns
        -------
        DataFrame
            npar, loglik, aic, lrt, df, p_value, and p_value_boundary: a variance cannot be negative, so that
            the naive p-value is too large; the mixture of chi-squared distributions is taken where it is
            known (Self & Liang 1987; Stram & Lee 1994, Biometrics 50:1171) and NaN stands where it is not.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
        >>> fit.ranova()[["npar", "lrt", "df"]].round(2)
                                  npar    lrt    df
        <none>                       6    NaN  <NA>
        Days in (Days | Subject)     4  42.84     2
        """
        from henderson.inference.deletions import ranova

        return ranova(self, reduce_terms=reduce_terms)

    def emmeans(
        self,
        specs: str | Sequence[str],
        *,
        by: str | Sequence[str] | None = None,
        at: Mapping[str, Any] | None = None,
        weights: Weights = "equal",
        ddf: Ddf = "satterthwaite",
        level: float = 0.95,
    ) -> MarginalMeans:
        """Estimated marginal means (least-squares means): predictions averaged over a grid, as R's emmeans.

        Parameters
        ----------
        specs : str or list of str
            Predictors whose combinations have a mean each; ``[]`` for one overall mean.
        by : str or list of str, optional
            Predictors within whose levels contrasts are made.
        at : dict, optional
            Values of predictors in the grid, ``{"Days": [0, 9]}``; by default all levels of a factor, and the
            mean of a number (both of a number that takes two values).
        weights : {"equal", "proportional", "cells"}
            How the levels of the other factors are averaged: equally; as often as they are in the data; or as
            often as they are in each cell.
        ddf : {"satterthwaite", "kenward-roger", "asymptotic"}
        level : float
            Coverage of the intervals.

        Returns
        -------
        MarginalMeans
            With a ``table``, and ``contrast()`` for pairwise and other comparisons.
        """
        from henderson.inference.means import emmeans

        return emmeans(self, specs, by=by, at=at, weights=weights, ddf=ddf, level=level)

    def emtrends(
        self,
        specs: str | Sequence[str],
        var: str,
        *,
        by: str | Sequence[str] | None = None,
        at: Mapping[str, Any] | None = None,
        weights: Weights = "equal",
        ddf: Ddf = "satterthwaite",
        level: float = 0.95,
    ) -> MarginalMeans:
        """Slopes of a numeric predictor, averaged over a grid as `emmeans` averages means.

        Parameters
        ----------
        specs, by, at, weights, ddf, level
            As in `emmeans`.
        var : str
            The predictor whose slope is wanted.

        Returns
        -------
        MarginalMeans
        """
        from henderson.inference.means import emtrends

        return emtrends(self, specs, var, by=by, at=at, weights=weights, ddf=ddf, level=level)
