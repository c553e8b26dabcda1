"""The numbers of a fit, by the names that lme4 has for them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.fit.effects import RandomEffects, level_coefficients, random_effects
from henderson.fit.estimates import Estimates
from henderson.fit.notices import SINGULAR, describe_optimum
from henderson.fit.optimize import Optimum
from henderson.fit.varcorr import TermCovariance, VarCorr, unique_labels

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


class FitNumbers:
    """What can be read off the estimates of a fit, without its data."""

    def __init__(self, estimates: Estimates) -> None:
        self._e = estimates

    # -- fixed effects ---------------------------------------------------------------------------------

    @property
    def fixef(self) -> pd.Series[float]:
        """Estimates of the fixed effects (BLUE), in units of the response per unit of the predictor."""
        return self._named(self._e.beta)

    @property
    def se(self) -> pd.Series[float]:
        """Standard errors of the fixed effects."""
        return self._named(self._e.se)

    @property
    def vcov(self) -> pd.DataFrame:
        """Covariance matrix of the fixed effects, (p, p)."""
        import pandas as pd

        return pd.DataFrame(
            self._e.cov_beta.copy(), index=list(self._e.x_names), columns=list(self._e.x_names)
        )

    @property
    def dropped(self) -> tuple[str, ...]:
        """Fixed effects left out because the design is rank deficient."""
        return self._e.dropped

    def _named(self, values: Array) -> pd.Series[float]:
        import pandas as pd

        return pd.Series(values.copy(), index=list(self._e.x_names))

    # -- covariance ------------------------------------------------------------------------------------

    @property
    def theta(self) -> Array:
        """Relative covariance parameters.

        The lower triangles of T, term by term, column by column; standard deviations and rho of terms with
        another structure; and at the end those of a residual structure.
        """
        return self._e.theta

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Names of theta, such as ``Subject.Days.(Intercept)``."""
        residual = self._e.residual
        own = () if residual is None else tuple(f"Residual.{name}" for name in residual.theta_names)
        return tuple(f"{t.group}.{name}" for t in self._e.terms for name in t.theta_names) + own

    @property
    def sigma(self) -> float:
        """Residual standard deviation; that at the first position where the residual has a structure."""
        return float(np.sqrt(self._e.sigma2))

    @cached_property
    def varcorr(self) -> VarCorr:
        """Variances, standard deviations and correlations of the random effects."""
        labels = unique_labels(tuple(t.group for t in self._e.terms))
        terms = (
            TermCovariance(t.group, label, t.names, self._e.sigma2 * t.T @ t.T.T, t.structure)
            for t, label in zip(self._e.terms, labels, strict=True)
        )
        r = self._e.residual
        residual = None
        if r is not None:
            residual = TermCovariance("Residual", "Residual", r.names, self._e.sigma2 * r.R0, r.structure)
        return VarCorr(tuple(terms), self.sigma, residual)

    def is_singular(self, tol: float = SINGULAR) -> bool:
        """Whether some random-effects covariance is singular: a diagonal of T below ``tol``."""
        return any(bool((np.diag(t.T) < tol).any()) for t in self._e.terms)

    @property
    def icc(self) -> float:
        """Intraclass correlation: the share of the random effects in the variance that fixed effects leave.

        With random slopes the variance of the random effects is averaged over the rows (Johnson 2014,
        Methods Ecol. Evol. 5:944, eq. 10): the adjusted ICC of Nakagawa, Johnson & Schielzeth (2017).
        All random effects count, whether or not a fixed effect has their name, and in all terms of a grouping
        factor; R's performance leaves some of them out (`henderson.inference.variance_explained.r2`).
        """
        random = self._e.mean_random_variance
        return float(random / (random + self._e.mean_residual_variance))

    # -- random effects --------------------------------------------------------------------------------

    def ranef(self, *, cond_var: bool = True) -> RandomEffects:
        """Conditional modes (BLUPs) of the random effects, by grouping factor.

        Parameters
        ----------
        cond_var : bool
            Also give their conditional variances, in ``.cond_var``.
        """
        return random_effects(self._e, cond_var=cond_var)

    def coef(self) -> dict[str, pd.DataFrame]:
        """Coefficients of each level: fixed effects plus that level's random effects.

        As in lme4, a random effect without a fixed one has a column in every group's table: zero where it
        belongs to another group.
        """
        return level_coefficients(self._e)

    # -- rows ------------------------------------------------------------------------------------------

    @property
    def fitted(self) -> Array:
        """Fitted values X beta + Z b + offset; NaN in places of excluded rows (``na_action="exclude"``)."""
        rows = self._e.by_row("fitted values")
        return rows.pad(rows.fitted)

    @property
    def residuals(self) -> Array:
        """Response less fitted values; NaN in places of excluded rows (``na_action="exclude"``)."""
        rows = self._e.by_row("residuals")
        return rows.pad(rows.y - rows.fitted)

    @property
    def weights(self) -> Array:
        """Prior weights of the rows used, (n,); ones if none were given."""
        weights = self._e.by_row("weights").weights
        return np.ones(self.nobs) if weights is None else weights.copy()

    @property
    def offset(self) -> Array:
        """The known part of the mean of the rows used, (n,); zeros if none was given."""
        offset = self._e.by_row("offsets").offset
        return np.zeros(self.nobs) if offset is None else offset.copy()

    # -- the fit as a whole ----------------------------------------------------------------------------

    @property
    def formula(self) -> str:
        """The formula, as it was written."""
        return self._e.formula

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self._e.reml

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return self._e.nobs

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return {t.group: len(t.levels) for t in self._e.terms}

    @property
    def reml_criterion(self) -> float:
        """-2 log restricted likelihood at the estimates."""
        return self._e.reml_criterion

    @property
    def deviance(self) -> float:
        """-2 log-likelihood at the estimates, also for REML fits (R's ``deviance(fit, REML = FALSE)``)."""
        return self._e.deviance

    @property
    def criterion(self) -> float:
        """What was minimised: `reml_criterion` or `deviance`."""
        return self._e.reml_criterion if self._e.reml else self._e.deviance

    @property
    def loglik(self) -> float:
        """Log (restricted) likelihood."""
        return -0.5 * self.criterion

    @property
    def df(self) -> int:
        """Number of parameters: fixed effects, theta and sigma."""
        return self._e.beta.size + self.theta.size + 1

    @property
    def df_residual(self) -> int:
        """Rows less parameters."""
        return self.nobs - self.df

    @property
    def aic(self) -> float:
        """Akaike's information criterion, from `loglik`."""
        return self.criterion + 2.0 * self.df

    @property
    def bic(self) -> float:
        """Schwarz's information criterion, from `loglik`."""
        return self.criterion + float(np.log(self.nobs)) * self.df

    @property
    def devcomp(self) -> dict[str, float]:
        """lme4's components: ldL2, ldRX2, wrss, ussq, pwrss.

        ``ldL2`` is log|L|^2, and log|R| with it where the residuals have a structure.
        """
        return dict(self._e.pieces)

    @property
    def optimum(self) -> Optimum:
        """How the optimum was found: criterion, derivatives, evaluations and the log of the search."""
        return self._e.optimum

    @property
    def convergence(self) -> str:
        """What the search reached, in one line: the scaled gradient, and the smallest curvature."""
        return describe_optimum(self._e.optimum)

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know: rows dropped, columns dropped, a singular fit."""
        return self._e.notices
