"""The pictures of a fit's effects, random and fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.arguments import check_level
from henderson.fit.estimates import TermModes
from henderson.inference.denominator import Ddf
from henderson.io.frame import closest
from henderson.lmm.effect_curves import EffectCurve, effect_curves
from henderson.lmm.within_levels import within_levels
from henderson.plots import diagnostics, effects, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


class EffectPlots:
    """Pictures of effects."""

    _fit: FittedModel

    def caterpillar(
        self, group: str | None = None, *, level: float = 0.95, axes: Sequence[Axes] | None = None
    ) -> list[Axes]:
        """Draw the random effects of one grouping factor with intervals, one panel for each effect.

        Up to 45 levels are sorted by the first effect, so that a row is one level; more by each effect. The
        intervals are mode +- normal quantile x conditional standard deviation, given the fixed effects and
        the variances, as in lme4.

        Parameters
        ----------
        group : str, optional
            Grouping factor; by default the first.
        level : float
            Of the intervals.
        axes : sequence of matplotlib.axes.Axes, optional
            Where to draw, one for each effect.

        Returns
        -------
        list of matplotlib.axes.Axes

        Raises
        ------
        DataError
            If the model has no such grouping factor, or the level is not between 0 and 1.
        """
        check_level(level)
        terms = self._terms(group)
        columns = [
            (name, t.b[:, j], np.sqrt(np.maximum(t.cond_var[:, j, j], 0.0)))  # zero may be less by rounding
            for t in terms
            for j, name in enumerate(t.names)
        ]
        names = terms[0].levels
        size = (4.2, effects.caterpillar_height(len(names)))
        # Rows that are named are read across the panels; unnamed ones have nothing to be found by.
        order = np.argsort(columns[0][1], kind="stable") if len(names) <= effects.NAMED else None
        panels = style.panels(len(columns), axes=axes, size=size)
        for k, (ax, (name, b, sd)) in enumerate(zip(panels, columns, strict=True)):
            title = terms[0].group if k == 0 else None
            effects.caterpillar(b, sd, names=names, order=order, level=level, label=name, ax=ax, title=title)
        return panels

    def ranef_qq(self, group: str | None = None, *, axes: Sequence[Axes] | None = None) -> list[Axes]:
        """Draw the random effects of one grouping factor against normal quantiles, one panel for each effect.

        Every mode is divided by its own standard deviation under the model, the root of the effect's variance
        less its conditional one: levels with few records are drawn further to the mean than others.

        Parameters
        ----------
        group : str, optional
            Grouping factor; by default the first.
        axes : sequence of matplotlib.axes.Axes, optional
            Where to draw, one for each effect.

        Returns
        -------
        list of matplotlib.axes.Axes

        Raises
        ------
        DataError
            If the model has no such grouping factor.
        """
        columns = [(t, j) for t in self._terms(group) for j in range(len(t.names))]
        panels = style.panels(len(columns), axes=axes, size=(4.2, 4.2))
        for ax, (term, j) in zip(panels, columns, strict=True):
            self._qq_of_effect(ax, term, j)
        return panels

    def shrinkage(
        self,
        group: str | None = None,
        *,
        effects_shown: str | Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw what each level's own records say against its conditional modes.

        Two effects are drawn against each other, with arrows from the level's own least-squares estimates to
        the modes; one effect is drawn as modes against own estimates.

        Parameters
        ----------
        group : str, optional
            Grouping factor; by default the first.
        effects_shown : str or list of str, optional
            One or two of its effects; by default the first two, or the only one.
        ax : matplotlib.axes.Axes, optional
            Where to draw.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        DataError
            If the model has no such grouping factor or effect.
        HendersonError
            If the fit has no rows, or no engine.
        """
        terms = self._terms(group)
        names = [name for t in terms for name in t.names]
        wanted = [effects_shown] if isinstance(effects_shown, str) else effects_shown
        shown = names[:2] if wanted is None else list(wanted)
        if not 1 <= len(shown) <= 2:
            raise DataError(f"a picture of shrinkage shows one effect or two; {len(shown)} were named")
        for name in shown:
            if name not in names:
                raise DataError(f"{terms[0].group!r} has no effect {name!r}{closest(str(name), names)}")
        columns = [names.index(name) for name in shown]
        within = within_levels(self._fit, terms[0].group)
        modes = np.hstack([t.b for t in terms])[:, columns]
        own = within.estimates[:, columns]
        title = terms[0].group
        if len(shown) == 2:
            return effects.shrinkage_of_two(own, modes, labels=(shown[0], shown[1]), ax=ax, title=title)
        return effects.shrinkage_of_one(
            own[:, 0], modes[:, 0], size=within.n_records, label=shown[0], ax=ax, title=title
        )

    def effect(
        self,
        predictor: str,
        *,
        by: str | None = None,
        at: Mapping[str, Any] | None = None,
        level: float = 0.95,
        ddf: Ddf = "satterthwaite",
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the fixed-effects mean over one predictor, with its confidence band and partial residuals.

        Other predictors are at their mean, or at their first level. The band is pointwise, from
        x'Cov(beta)x. A point is the line at its record's value plus the record's residual.

        Parameters
        ----------
        predictor : str
            A column of the table in the fixed part of the formula.
        by : str, optional
            Another such column: one line for each of its values, seven at most.
        at : dict, optional
            Values of other columns.
        level : float
            Of the band.
        ddf : {"satterthwaite", "kenward-roger", "asymptotic"}
            Degrees of freedom of the band's t quantiles.
        ax : matplotlib.axes.Axes, optional
            Where to draw.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        DataError
            If a column is not in the fixed part of the model, or `by` has too many values.
        HendersonError
            If the fit has no data.
        """
        curves = effect_curves(self._fit, predictor, by=by, at=at, level=level, ddf=ddf)
        ax = style.axes_or_new(ax, (5.4, 4.0))
        n_points = sum(curve.data_x.size for curve in curves)
        if len(curves) > 1 and n_points > style.MANY:
            # Shades of several colours would cover each other.
            curves = tuple(_with_fewer_points(curve, style.MANY / n_points) for curve in curves)
            style.note(ax, f"{sum(curve.data_x.size for curve in curves):,} of {n_points:,} points")
        for k, curve in enumerate(curves):
            _draw_curve(ax, curve, k, len(curves))
        style.titled(ax, None, predictor, self._fit.estimates.spec.response)
        style.note(ax, f"mean and {level:.0%} limits; points: mean plus residual")
        if by is not None:
            ax.legend(frameon=False, fontsize=style.SMALL)
        undetermined = sum(int(np.isnan(curve.mean).sum()) for curve in curves)
        if undetermined:
            style.note(ax, "what the records do not determine is not shown")
        return ax

    def _terms(self, group: str | None) -> list[TermModes]:
        terms = self._fit.estimates.terms
        groups = list(dict.fromkeys(t.group for t in terms))
        wanted = groups[0] if group is None else group
        if wanted not in groups:
            raise DataError(f"the model has no random effects of {group!r}{closest(str(group), groups)}")
        return [t for t in terms if t.group == wanted]

    def _relationship_diagonal(self, term: TermModes) -> Array:
        """The relationship of each level to itself; ones where the engine is not at hand."""
        if not self._fit.has_source:
            return np.ones(len(term.levels))
        k = [t is term for t in self._fit.estimates.terms].index(True)
        known = self._fit.engine.shape.terms[k]
        return np.asarray(known.relationship.diagonal(known.n_levels))

    def _qq_of_effect(self, ax: Axes, term: TermModes, j: int) -> None:
        """Standardised modes of one effect against normal quantiles."""
        prior = self._fit.estimates.sigma2 * float(term.T[j] @ term.T[j]) * self._relationship_diagonal(term)
        variance = prior - term.cond_var[:, j, j]
        known = variance > 1e-8 * prior
        standardised = np.full(variance.size, np.nan)
        standardised[known] = term.b[known, j] / np.sqrt(variance[known])
        if not known.any():
            style.titled(ax, f"{term.group}: {term.names[j]}", "normal quantile", "standardised mode")
            style.say(
                ax, "the modes do not vary:\nthe variance is zero, or the records\nsay nothing about it"
            )
            return
        diagnostics.qq_normal(
            standardised, of="standardised mode", ax=ax, title=f"{term.group}: {term.names[j]}"
        )


def _with_fewer_points(curve: EffectCurve, share: float) -> EffectCurve:
    """The curve with a share of its points, evenly spread over the records."""
    n = curve.data_x.size
    kept = np.linspace(0, n - 1, max(round(share * n), 1)).astype(np.intp)
    return replace(curve, data_x=curve.data_x[kept], data_y=curve.data_y[kept])


def _draw_curve(ax: Axes, curve: EffectCurve, k: int, n: int) -> None:
    """One of n curves, in a colour of its own."""
    colour = style.SERIES[k % len(style.SERIES)]
    data = (curve.data_x, curve.data_y)
    if curve.names is None:
        effects.effect_line(
            curve.x, curve.mean, curve.lower, curve.upper, data=data, colour=colour, label=curve.label, ax=ax
        )
        return
    room = 0.8 / n
    effects.effect_levels(
        curve.names, curve.mean, curve.lower, curve.upper, data=data, shift=room * (k - (n - 1) / 2),
        spread=0.4 * room, colour=colour, label=curve.label, ax=ax,
    )  # fmt: skip
