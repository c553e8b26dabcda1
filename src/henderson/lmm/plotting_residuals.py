"""The pictures of a fit's residuals, and of responses simulated from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.fit import FittedModel
from henderson.fit.estimates import RowValues
from henderson.plots import diagnostics, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from henderson.inference.scaled_residuals import ScaledResiduals

Array = NDArray[np.float64]


class ResidualPlots:
    """Pictures of residuals."""

    _fit: FittedModel

    def residuals(self, *, ax: Axes | None = None) -> Axes:
        """Draw residuals against fitted values, with a smooth line.

        Residuals count by the roots of their weights, and the variances of a residual structure.
        """
        rows = self._rows()
        return diagnostics.residuals_by_fitted(
            rows.fitted, rows.scaled_residuals, ax=ax, title="Residuals: no pattern wanted"
        )

    def spread(self, *, ax: Axes | None = None) -> Axes:
        """Draw the size of the scaled residuals against fitted values, with a smooth line."""
        return diagnostics.spread_by_fitted(
            self._rows().fitted, self._scaled(), ax=ax, title="Spread: a level line wanted"
        )

    def qq(self, *, ax: Axes | None = None) -> Axes:
        """Draw the scaled residuals against normal quantiles, with a simultaneous 95 % band."""
        return diagnostics.qq_normal(self._scaled(), of="scaled residual", ax=ax, title="Residuals")

    def leverage(self, *, ax: Axes | None = None) -> Axes:
        """Draw standardised residuals against leverage, with lines of equal Cook's distance.

        Rows are named by their positions in the table, counted from 0.

        Raises
        ------
        ModelNotSupportedError
            If residuals are correlated.
        HendersonError
            If the fit has no rows, or no engine.
        """
        from henderson.prediction.leverage import cooks_distance, leverage

        rows = self._rows()
        used = slice(None) if rows.padded is None else rows.padded
        distance, h = cooks_distance(self._fit)[used], leverage(self._fit)[used]
        with np.errstate(divide="ignore", invalid="ignore"):
            standardised = self._scaled() / np.sqrt(1.0 - h)
        return diagnostics.residuals_by_leverage(
            h,
            standardised,
            distance,
            n_fixed=self._fit.estimates.beta.size,
            names=rows.position,
            ax=ax,
            title="Influence of single rows",
        )

    def simulated(self, n: int | None = None, *, seed: int = 1, ax: Axes | None = None) -> Axes:
        """Draw the density of the response over those of responses simulated from the fit.

        Parameters
        ----------
        n : int, optional
            Number of simulated responses; by default 50, fewer for more than 200,000 rows.
        seed : int
        ax : matplotlib.axes.Axes, optional
            Where to draw.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        HendersonError
            If the fit has no rows, or no engine.
        """
        from henderson.prediction.simulate import simulate

        rows = self._rows()
        wanted = int(np.clip(10**7 // rows.y.size, 5, 50)) if n is None else n
        drawn = simulate(self._fit, wanted, seed=seed)
        of = self._fit.estimates.spec.response
        return diagnostics.simulated_densities(rows.y, drawn, of=of, ax=ax, title="Data and simulations")

    def scaled_residuals(
        self, found: ScaledResiduals | None = None, *, axes: Sequence[Axes] | None = None
    ) -> list[Axes]:
        """Draw residuals on the scale of probabilities: against uniform quantiles, and against fitted values.

        Parameters
        ----------
        found : ScaledResiduals, optional
            Of this fit; by default from 250 simulated responses.
        axes : sequence of two matplotlib.axes.Axes, optional
            Where to draw.

        Returns
        -------
        list of matplotlib.axes.Axes
        """
        from henderson.inference.scaled_residuals import scaled_residuals

        shown = scaled_residuals(self._fit) if found is None else found
        left, right = style.panels(2, axes=axes, size=(4.4, 4.0))
        p = shown.uniformity.p_value
        diagnostics.qq_uniform(shown.values, ax=left, title=f"Uniformity: p = {p:.2g}")
        diagnostics.scaled_by_fitted(
            shown.predicted, shown.values, ax=right, title=f"Dispersion: p = {shown.dispersion.p_value:.2g}"
        )
        return [left, right]

    def _scaled(self) -> Array:
        """Residuals of the rows used in standard deviations."""
        return self._rows().scaled_residuals / self._fit.sigma

    def _rows(self) -> RowValues:
        return self._fit.estimates.by_row("residuals")
