"""Estimated marginal means and slopes, and contrasts among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.arguments import check_level
from henderson.formula.syntax import Name, parse
from henderson.inference.adjust import Adjustment, critical
from henderson.inference.denominator import Ddf
from henderson.inference.means_cells import Cells, Weights, find_nesting, marginal
from henderson.inference.means_contrasts import compare_cells
from henderson.inference.means_estimates import FixedEffects
from henderson.inference.reference_grid import ReferenceGrid, reference_grid

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MarginalMeans:
    """Marginal means, or marginal slopes.

    Attributes
    ----------
    kind : {"emmean", "trend"}
        Name of the column of estimates.
    cells : Cells
        The combinations of levels that the rows of the table stand for, with their linear functions.
    by : tuple of str
        Predictors at each combination of which contrasts are made on their own.
    offset : float
        Known part of every mean.
    fixed : FixedEffects
        The fixed effects.
    level : float
        Of the confidence intervals.
    notices : tuple of str
        What the user should know: what is averaged over, what cannot be estimated.
    """

    kind: Literal["emmean", "trend"]
    cells: Cells
    by: tuple[str, ...]
    offset: float
    fixed: FixedEffects
    level: float
    notices: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row for each mean: its levels, emmean (or trend), std_error, df, lower, upper.

        NaN where the data do not tell a mean.
        """
        import pandas as pd

        estimate, se, df = self.fixed.estimates(self.cells.L)
        estimate = estimate + self.offset
        half = critical(self.level, df, "none", means=1) * se
        numbers = {
            self.kind: estimate,
            "std_error": se,
            "df": df,
            "lower": estimate - half,
            "upper": estimate + half,
        }
        labels = {name: self.cells.column(name) for name in self.cells.names}
        return pd.concat([pd.DataFrame(labels, index=range(len(se))), pd.DataFrame(numbers)], axis=1)

    def contrast(
        self, method: Any = "pairwise", *, adjust: Adjustment | None = None, control: str | None = None
    ) -> pd.DataFrame:
        """Compare the means; at each combination of `by` on their own.

        Parameters
        ----------
        method : str, mapping or array_like
            "pairwise", each mean less each later one; "trt.vs.ctrl", each other less the control; "poly",
            polynomials over means at equal distances, in whole numbers. Or the coefficients, one for each
            mean: a mapping of names to them, or an array with one row for each contrast. A mapping of *all*
            predictors of the means to such methods multiplies these: the contrasts of interactions.
        adjust : str, optional
            For several comparisons at a time: "tukey", by the studentised range (only for "pairwise", where
            it is the default); "dunnettx", emmeans' approximation of Dunnett's (the default for
            "trt.vs.ctrl"); "holm", "bonferroni", "fdr", or "none" (the default elsewhere). Each combination
            of `by` is a family of its own.
        control : str, optional
            The mean that "trt.vs.ctrl" compares with: by default the first.

        Returns
        -------
        pandas.DataFrame
            contrast, the levels of `by`, estimate, std_error, df, t, p_value, lower, upper. The intervals
            hold together, as the p-values do; those of "holm" and "fdr" are Bonferroni's.

        Raises
        ------
        DataError
            For an unknown method or adjustment, or coefficients that do not fit the means.

        Notes
        -----
        The numbers are those of R's emmeans 1.8, with two exceptions: families within the groups of a nested
        predictor keep Tukey's adjustment, where emmeans changes to Sidak's over all groups; and the slopes of
        curves are derivatives, where emmeans takes forward differences.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("diameter ~ sample + (1 | plate)", hd.example_data("penicillin"))
        >>> pairs = emmeans(fit, "sample").contrast("pairwise")
        >>> pairs[["contrast", "estimate", "df", "t", "p_value"]].round(4).head(2)
          contrast  estimate     df        t  p_value
        0    A - B    3.2083  115.0  20.2101   0.0000
        1    A - C    0.2500  115.0   1.5748   0.6167
        """
        return compare_cells(
            self.cells,
            self.by,
            self.fixed,
            offset=self.offset,
            method=method,
            adjust=adjust,
            control=control,
            level=self.level,
        )

    def __repr__(self) -> str:
        return "\n".join([self.table.to_string(index=False), *self.notices])


def emmeans(
    fit: FittedModel,
    specs: str | Sequence[str],
    *,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    weights: Weights = "equal",
    ddf: Ddf = "satterthwaite",
    level: float = 0.95,
) -> MarginalMeans:
    """Estimated marginal means (least-squares means): predictions on a grid, averaged over other predictors.

    Parameters
    ----------
    fit : FittedModel
        With its data.
    specs : str or sequence of str
        Predictors whose levels get a mean each, all combinations of them; ``[]`` for one overall mean.
    by : str or sequence of str, optional
        More of these, which contrasts do not cross.
    at : mapping of str to value or sequence of values, optional
        Levels or numbers for the grid, instead of all levels and of the mean: ``{"Days": [0, 9]}``.
    weights : {"equal", "proportional", "cells"}
        Of the levels that are averaged over: all the same; by the rows they have in all; or by the rows they
        have in the cell, which gives the means of what was observed.
    ddf : {"satterthwaite", "kenward-roger", "asymptotic"}
        Degrees of freedom.
    level : float
        Of the confidence intervals.

    Returns
    -------
    MarginalMeans

    Raises
    ------
    DataError
        For unknown predictors, levels or options, or a fit without its rows.

    Notes
    -----
    Searle, Speed & Milliken (1980), Am. Stat. 34:216; the rules are those of R's emmeans 1.8 (Lenth).
    Numbers stand at their mean over the rows of the fit; where they have two distinct values, at both, as
    booleans and categories do. Functions of the formula are taken of the mean, not averaged. An offset
    counts with its mean over the rows. A predictor that is nested in others has means within these, and is
    averaged over within these. Means are of the response as the formula writes it, ``log(y)`` for instance.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("diameter ~ sample + (1 | plate)", hd.example_data("penicillin"))
    >>> emmeans(fit, "sample").table.round(3).head(2)
      sample  emmean  std_error      df   lower   upper
    0      A  25.167      0.206  39.732  24.750  25.583
    1      B  21.958      0.206  39.732  21.542  22.375
    """
    grid = reference_grid(fit, at)
    rows = fit.estimates.by_row("marginal means")
    offset = 0.0 if rows.offset is None else float(rows.offset.mean())
    return _means(
        fit,
        grid,
        grid.design(),
        offset=offset,
        specs=specs,
        by=by,
        weights=weights,
        ddf=ddf,
        level=level,
    )


def emtrends(
    fit: FittedModel,
    specs: str | Sequence[str],
    var: str,
    *,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    weights: Weights = "equal",
    ddf: Ddf = "satterthwaite",
    level: float = 0.95,
) -> MarginalMeans:
    """Marginal slopes: the derivative of the mean by a numeric predictor, on the grid of `emmeans`.

    Parameters
    ----------
    fit, specs, by, at, weights, ddf, level
        As in `emmeans`.
    var : str
        A column of numbers among the fixed effects. Where its effect is no straight line, the slope is that
        at the mean, or at the numbers of `at`.

    Returns
    -------
    MarginalMeans
        Its column of estimates is called trend, in units of the response per unit of `var`.

    Raises
    ------
    DataError
        As in `emmeans`, and for a predictor that is no number.

    Notes
    -----
    The derivative of the design is a five-point difference, of relative error 1e-10 for smooth terms.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ poly(Days, 2) + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> emtrends(fit, "Days", "Days", at={"Days": [0, 9]}).table.round(3)
       Days   trend  std_error       df  lower   upper
    0   0.0   7.434      2.819  114.431  1.850  13.018
    1   9.0  13.500      2.819  114.431  7.917  19.084
    """
    grid = reference_grid(fit, at)
    axis = grid.axis(var)
    if not axis.span > 0.0:
        raise DataError(f"{var!r} holds no varying numbers, and has no slope: give a numeric predictor")
    L = grid.derivative(axis)
    return _means(fit, grid, L, slope_of=var, specs=specs, by=by, weights=weights, ddf=ddf, level=level)


def _means(
    fit: FittedModel,
    grid: ReferenceGrid,
    L: Array,
    *,
    slope_of: str | None = None,
    offset: float = 0.0,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None,
    weights: Weights,
    ddf: Ddf,
    level: float,
) -> MarginalMeans:
    """Average the linear functions L (cells, p) of the grid."""
    if weights not in get_args(Weights):
        raise DataError(f"weights is {weights!r}; it can be {', '.join(map(repr, get_args(Weights)))}")
    check_level(level)
    cells = grid.cells(L)
    nesting = find_nesting(cells, grid.terms())
    wanted = _names(grid, specs, "specs")
    groups = [name for name in _names(grid, by or (), "by") if name not in wanted]
    for names in (groups, wanted):
        for name in list(names):
            names += [outer for outer in nesting.get(name, ()) if outer not in [*wanted, *groups]]
    cells = marginal(cells, [*wanted, *groups], weights, nesting)
    fixed = FixedEffects.of(fit, ddf)
    notices = [f"{name} is nested in {' and '.join(outer)}" for name, outer in nesting.items()]
    notices += _averages(grid, {*wanted, *groups}, slope_of)
    unknown = int(np.isnan(fixed.estimates(cells.L)[0]).sum())
    if unknown:
        notices.append(
            f"{unknown} of {len(cells.L)} cannot be estimated: no row has some of the combinations of levels "
            "that they average over"
        )
    return MarginalMeans(
        kind="emmean" if slope_of is None else "trend",
        cells=cells,
        by=tuple(groups),
        offset=offset,
        fixed=fixed,
        level=level,
        notices=tuple(notices),
    )


def _names(grid: ReferenceGrid, given: str | Sequence[str], argument: str) -> list[str]:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, Iterable):
        raise DataError(f"{argument} is {given!r}; give the name of a predictor, or a list of names")
    return list(dict.fromkeys(grid.axis(name).name for name in names))


def _averages(grid: ReferenceGrid, shown: set[str], slope_of: str | None) -> list[str]:
    """What to say about the scale, and about the predictors that do not stand in the table."""
    rest = [axis for axis in grid.axes if axis.name not in shown]
    over = [axis.name for axis in rest if len(axis.labels) > 1]
    held = [axis for axis in rest if len(axis.labels) == 1 and axis.span > 0.0]
    asked = shown if slope_of is None else shown | {slope_of}
    crossed = {n for members, _ in grid.terms() if asked < members for n in members - asked}
    found = []
    if not isinstance(parse(grid.spec.response), Name):
        found.append(f"on the scale of {grid.spec.response}")
    if over:
        found.append(f"averaged over the levels of {', '.join(over)}")
    if held:
        found.append(f"held at {', '.join(f'{a.name} = {a.labels[0]:.6g}' for a in held)}")
    if asked and crossed:
        found.append(
            f"{' and '.join(sorted(asked))} interact{'s' if len(asked) == 1 else ''} with "
            f"{', '.join(sorted(crossed))}: what holds on average may hold nowhere"
        )
    return found
