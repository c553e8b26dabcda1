"""`FitPlots`: the pictures of a fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.errors import ModelNotSupportedError
from henderson.fit import FittedModel
from henderson.lmm.plotting_effects import EffectPlots
from henderson.lmm.plotting_residuals import ResidualPlots
from henderson.plots import intervals, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from henderson.inference.bootstrap import Bootstrap, Method
    from henderson.inference.profile.curve import Curve, Profile

Array = NDArray[np.float64]


class FitPlots(EffectPlots, ResidualPlots):
    """The pictures of a fit: matplotlib axes in, axes out.

    A picture of one panel takes `ax` and returns it; one of several takes `axes`, as many as it has panels,
    and returns a list. Without them it makes a figure of pyplot's, which notebooks show.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> [ax.get_xlabel() for ax in FitPlots(fit).caterpillar()]
    ['(Intercept)', 'Days']
    """

    def __init__(self, fit: FittedModel) -> None:
        self._fit = fit

    def profile(
        self, found: Profile | None = None, *, level: float = 0.95, axes: Sequence[Axes] | None = None
    ) -> list[Axes]:
        """Draw zeta along each parameter, with its interval, one panel for each.

        Parameters
        ----------
        found : Profile, optional
            Of this fit; by default that of all its parameters.
        level : float
            Of the intervals.
        axes : sequence of matplotlib.axes.Axes, optional
            Where to draw, one for each parameter.

        Returns
        -------
        list of matplotlib.axes.Axes

        Raises
        ------
        DataError
            For a level beyond that of the profile.
        """
        from henderson.inference.profile import profile

        shown = profile(self._fit) if found is None else found
        limits = shown.confint(level).to_numpy().tolist()
        panels = style.panels(len(shown), axes=axes)
        for ax, curve, (low, high) in zip(panels, shown, limits, strict=True):
            value = _between(curve)
            intervals.profile_zeta(
                value,
                curve.zeta_at(value),
                estimate=curve.estimate,
                limits=(low, high),
                level=level,
                label=curve.name,
                ax=ax,
            )
        return panels

    def bootstrap(
        self,
        found: Bootstrap,
        *,
        level: float = 0.95,
        method: Method = "percentile",
        axes: Sequence[Axes] | None = None,
    ) -> list[Axes]:
        """Draw the replicates of a bootstrap with estimate and interval, one panel for each number.

        Parameters
        ----------
        found : Bootstrap
            What `bootstrap` returned.
        level : float
            Of the intervals.
        method : {"percentile", "basic", "normal"}
            How the intervals are made.
        axes : sequence of matplotlib.axes.Axes, optional
            Where to draw, one for each number.

        Returns
        -------
        list of matplotlib.axes.Axes

        Raises
        ------
        DataError
            For another method, or replicates too few for the level.
        """
        names = list(found.replicates.columns)
        limits = found.confint(level, method=method).to_numpy().tolist()
        panels = style.panels(len(names), axes=axes)
        for ax, name, (low, high) in zip(panels, names, limits, strict=True):
            intervals.replicates(
                found.replicates[name].to_numpy(),
                estimate=float(found.estimate[name]),
                limits=(low, high),
                level=level,
                label=str(name),
                ax=ax,
            )
        return panels

    def check(self, *, axes: Sequence[Axes] | None = None) -> list[Axes]:
        """Draw six checks of the fit on one page.

        Residuals and their spread against fitted values; residuals, and the first random effect, against
        normal quantiles; residuals against leverage; and the data among simulated ones. A panel that the
        model does not allow says so.

        Parameters
        ----------
        axes : sequence of six matplotlib.axes.Axes, optional
            Where to draw.

        Returns
        -------
        list of matplotlib.axes.Axes

        Raises
        ------
        HendersonError
            If the fit has no rows, or no engine.
        """
        self._rows()
        panels = style.panels(6, axes=axes, size=(4.3, 3.6))
        first = partial(self._qq_of_effect, term=self._fit.estimates.terms[0], j=0)
        draws: tuple[Callable[..., object], ...]
        draws = (self.residuals, self.spread, self.qq, first, self.leverage, self.simulated)
        for draw, ax in zip(draws, panels, strict=True):
            try:
                draw(ax=ax)
            except ModelNotSupportedError as refusal:
                style.say(ax, str(refusal))
        return panels


def _between(curve: Curve) -> Array:
    """Values at and between the points of a profile."""
    u = np.concatenate([np.linspace(a, b, 12, endpoint=False) for a, b in pairwise(curve.u)] + [curve.u[-1:]])
    values: Array = np.array([curve.link.jet(float(at))[0] for at in u])
    # The first and last may differ in the last digit from the points themselves, and be outside.
    low, high = np.sort(curve.values[[0, -1]])
    return np.asarray(np.clip(values, low, high))
