"""What a fit answers about itself: residuals, leverage, influence, explained variance, pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.fit import FittedModel
from henderson.prediction.leverage import ResidualKind

if TYPE_CHECKING:
    from henderson.inference.influence import Covariances, Influence
    from henderson.inference.scaled_residuals import Kind, ScaledResiduals
    from henderson.inference.variance_explained import R2, PrincipalComponents
    from henderson.lmm.plotting import FitPlots

Array = NDArray[np.float64]


class Diagnosing(FittedModel):
    """Diagnostics."""

    def resid(self, kind: ResidualKind = "response") -> Array:
        """Residuals of the rows of the fit, (n,); NaN in places of excluded rows.

        Parameters
        ----------
        kind : {"response", "pearson", "scaled", "standardised", "studentised", "marginal"}
            Response less fitted values; that times root weights (over the relative standard deviation of a
            residual structure); that over sigma, as in the summary; over its own standard deviation, sigma
            sqrt(1 - leverage) (lme4's `rstudent`); the same with the sigma of the model without the row; or
            response less the fixed part alone.

        Raises
        ------
        DataError
            For another kind.
        """
        from henderson.prediction.leverage import residuals_of

        return residuals_of(self, kind)

    def hatvalues(self) -> Array:
        """Leverage of each row, (n,): how much its fitted value moves with its response; R's `hatvalues`.

        At the estimated theta. They add up to the effective number of parameters.
        """
        from henderson.prediction.leverage import leverage

        return leverage(self)

    def cooks_distance(self) -> Array:
        """Cook's distance of each row, (n,), at the estimated theta; lme4's `cooks.distance`."""
        from henderson.prediction.leverage import cooks_distance

        return cooks_distance(self)

    def influence(self, group: str, *, covariances: Covariances = "refitted") -> Influence:
        """What the estimates would be without each level of a factor.

        Parameters
        ----------
        group : str
            A grouping factor of the model, or a column of the data.
        covariances : {"refitted", "held"}
            Fit the model again to the rows that are left; or hold theta and estimate fixed effects and sigma
            alone, by algebra.

        Returns
        -------
        Influence
            Fixed effects, variance components, DFBETAS and Cook's distance for each level left out.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
        >>> found = fit.influence("Subject")
        >>> found.levels[found.cooks_distance.argmax()]
        '309'
        """
        from henderson.inference.influence import influence

        return influence(self, group, covariances=covariances)

    def r2(self) -> R2:
        """Share of the variance that the fixed effects explain (marginal), and with the random (conditional).

        Nakagawa & Schielzeth (2013), Methods Ecol. Evol. 4:133; Johnson (2014) with random slopes.
        """
        from henderson.inference.variance_explained import r2

        return r2(self)

    def re_pca(self) -> dict[str, PrincipalComponents]:
        """Principal components of the random effects of each grouping factor; lme4's `rePCA`."""
        from henderson.inference.variance_explained import re_pca

        return re_pca(self)

    def scaled_residuals(self, n: int = 250, *, kind: Kind = "conditional", seed: int = 1) -> ScaledResiduals:
        """Where each residual lies among those of simulated responses: uniform if the model is right.

        Parameters
        ----------
        n : int
            Number of simulations.
        kind : {"conditional", "marginal"}
            Residuals from the fitted values, or from the fixed effects alone.
        seed : int

        Returns
        -------
        ScaledResiduals
            The values between 0 and 1, and tests of uniformity, dispersion and outliers.
        """
        from henderson.inference.scaled_residuals import scaled_residuals

        return scaled_residuals(self, n=n, kind=kind, seed=seed)

    @property
    def plot(self) -> FitPlots:
        """Pictures: ``fit.plot.check()``, ``fit.plot.caterpillar()`` and others."""
        from henderson.lmm.plotting import FitPlots

        return FitPlots(self)
