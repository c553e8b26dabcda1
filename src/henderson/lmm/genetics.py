"""What a fit answers about variances: components, heritability, correlations, predicted effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.correlations import Correlation, IntervalKind, correlation, find_pair, wald_limits
from henderson.fit.heritability import Heritability, heritability
from henderson.fit.shares import Repeatability

if TYPE_CHECKING:
    import pandas as pd


class Genetics(FittedModel):
    """Variances, their shares and correlations, and the effects themselves."""

    def variances(self) -> pd.DataFrame:
        """All variances and covariances with standard errors, and shares of the phenotypic variance.

        Returns
        -------
        DataFrame
            Columns group, effect_1, effect_2 (empty for a variance), estimate, std_error (from the average
            information; NaN for a variance of zero), share, share_se (GCTA's V(G)/Vp; NaN where there is no
            one sum of variances, as beside random slopes). The residual is last.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff"))
        >>> fit.variances()[["group", "estimate", "std_error", "share"]].round(2)
              group  estimate  std_error  share
        0     Batch   1764.05    1432.75   0.42
        1  Residual   2451.25     707.61   0.58
        """
        from henderson.fit.variances import variances

        return variances(self)

    def heritability(self, group: str | None = None) -> Heritability:
        """Share of the variance that goes with a relationship, with its standard error and test.

        See `Heritability` for what each number is. Other random terms count in the total, and the test
        estimates them again without the relationship.

        Parameters
        ----------
        group : str, optional
            Grouping factor, needed where several have a relationship.

        Raises
        ------
        DataError
            If the model has no relationship matrix, or the share is not one number (several traits, maternal
            effects, random slopes): see `heritabilities`.
        """
        return heritability(self, group)

    def heritabilities(self) -> pd.DataFrame:
        """Shares of all effects with a relationship: of each trait, direct and maternal, and all together.

        Returns
        -------
        DataFrame
            Columns group, effect, record (the trait, where there are several), variance, variance_se,
            phenotypic_variance, phenotypic_variance_se, share, share_se. Where several terms have a
            relationship, a last row for each trait has the sum of them.

        Raises
        ------
        DataError
            If no term has a relationship, or the variance depends on a predictor with random slopes.
        """
        from henderson.fit.shares import heritabilities

        return heritabilities(self)

    def repeatability(self, groups: str | Sequence[str] | None = None) -> Repeatability:
        """Correlation of two records of the same unit: (genetic + permanent environment) / all.

        Parameters
        ----------
        groups : str or list of str, optional
            Grouping factors of the unit; by default those with a relationship, and all others that put the
            same records together (the same people under another column name).

        Raises
        ------
        DataError
            If a group is not there, or the records have not one variance.
        """
        from henderson.fit.shares import repeatability

        return repeatability(self, groups)

    def genetic_correlation(
        self,
        effect_a: str,
        effect_b: str,
        group: str | None = None,
        *,
        interval: IntervalKind | None = "profile",
        level: float = 0.95,
    ) -> Correlation:
        """Correlation of two effects within a level: of two traits, of direct and maternal effects.

        Parameters
        ----------
        effect_a, effect_b : str
            Names of the effects, as in `varcorr`.
        group : str, optional
            Grouping factor, where several terms have both effects and not just one has a relationship;
            ``"Residual"`` for the environmental correlation.
        interval : {"profile", "wald"} or None
            From the profile likelihood, which is that of maximum likelihood; from the standard error, normal
            in atanh r; or none.
        level : float
            Coverage of the interval.

        Returns
        -------
        Correlation

        Raises
        ------
        DataError
            If no term, or more than one, has both effects.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
        >>> print(fit.genetic_correlation("(Intercept)", "Days"))
        correlation of '(Intercept)' and 'Days' (Subject): 0.06555, standard error 0.325, \
95 % from -0.4815 to 0.685 (profile)
        """
        if interval not in (None, *get_args(IntervalKind)):
            kinds = ", ".join(map(repr, get_args(IntervalKind)))
            raise DataError(f"interval is {interval!r}; it can be {kinds} or None")
        pair = find_pair(self, effect_a, effect_b, group)
        found = correlation(self, pair)
        if interval is None:
            return found
        if interval == "wald":
            limits = wald_limits(found.estimate, found.std_error, level)
        else:
            from henderson.inference.profile.correlations import correlation_limits

            limits = correlation_limits(self, pair, level)
        return replace(found, lower=limits[0], upper=limits[1], interval=interval, level=level)

    def genetic_correlations(self) -> pd.DataFrame:
        """Correlations of all pairs of effects in all terms; environmental ones (the residual's) last.

        Returns
        -------
        DataFrame
            Columns group, effect_1, effect_2, estimate, std_error.
        """
        from henderson.fit.correlations import correlations

        return correlations(self)

    def blup(self, group: str | None = None) -> pd.DataFrame:
        """Predicted effects of each level, with prediction error variance and reliability.

        Parameters
        ----------
        group : str, optional
            Grouping factor; without it the one with a relationship, or the only one.

        Returns
        -------
        DataFrame
            Columns level, effect, blup, std_error, pev, reliability, n_records. Also levels without records.

        Raises
        ------
        DataError
            If the group is not there or not clear, or the data were streamed.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff"))
        >>> fit.blup().drop(columns="pev").round(2).head(2)
          level       effect   blup  std_error  reliability  n_records
        0     A  (Intercept) -17.61      24.77         0.65          5
        1     B  (Intercept)   0.39      24.77         0.65          5
        """
        from henderson.fit.blups import blup

        return blup(self, group)
