"""The range of a spatial kernel by the criterion of the fit: profiled on a grid, then refined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import exp, inf, log, nan
from typing import Any

from henderson.covariance import SpatialKernel
from henderson.errors import DataError
from henderson.fit.fitted_model import FittedModel

#: The range is refined until its logarithm is known to this.
PRECISION = 1e-3


def best_range(
    fit_once: Callable[[Mapping[str, Any]], FittedModel], relationship: Mapping[str, Any]
) -> FittedModel:
    """Fit, with the range of a kernel at its best if it has several.

    Each range of the kernel is fitted; then the criterion, as a function of the logarithm of the range, is
    minimised between the neighbours of the best by Brent's method, golden sections and parabolas (Brent 1973,
    Algorithms for Minimization without Derivatives, ch. 5).

    Parameters
    ----------
    fit_once : callable
        Fits with given relationships.
    relationship : mapping of str
        What was given for the grouping factors.

    Returns
    -------
    FittedModel
        With a notice of the range chosen and the criterion at each range of the kernel.

    Raises
    ------
    DataError
        If two kernels have several ranges.
    """
    groups = [
        group
        for group, given in relationship.items()
        if isinstance(given, SpatialKernel) and len(given.range) > 1
    ]
    if not groups:
        return fit_once(relationship)
    if len(groups) > 1:
        raise DataError(
            f"the kernels of {' and '.join(map(repr, groups))} have several ranges each, and only one "
            "kernel's can be chosen; give the others one range"
        )
    group = groups[0]
    search = _Search(fit_once, relationship, group)
    fit = search.best()
    kept = (*fit.estimates.notices, search.told(fit))
    return FittedModel(replace(fit.estimates, notices=kept), fit.call, fit.source)


class _Search:
    """Fits at one range after another, of which the best is kept."""

    def __init__(
        self,
        fit_once: Callable[[Mapping[str, Any]], FittedModel],
        relationship: Mapping[str, Any],
        group: str,
    ) -> None:
        self._fit_once = fit_once
        self._relationship = relationship
        self._group = group
        self._kernel: SpatialKernel = relationship[group]
        self._grid: dict[float, float] = {}
        self._refused = DataError("no range of the kernel gives a fit")
        self._fit: FittedModel | None = None
        self._range = nan

    def best(self) -> FittedModel:
        from scipy.optimize import minimize_scalar

        for r in self._kernel.range:
            self._grid[r] = self._criterion(r)
        ranges = list(self._grid)
        if self._fit is None:
            raise self._refused
        k = ranges.index(self._range)
        around = (log(ranges[max(k - 1, 0)]), log(ranges[min(k + 1, len(ranges) - 1)]))
        minimize_scalar(
            lambda x: self._criterion(exp(x)), bounds=around, method="bounded", options={"xatol": PRECISION}
        )
        return self._fit

    def told(self, fit: FittedModel) -> str:
        """The notice: what was chosen, and how clearly."""
        name = "REML criterion" if fit.estimates.reml else "deviance"
        grid = ", ".join(
            f"{value:.2f} at {r:.6g}" if value < inf else f"no fit at {r:.6g}"
            for r, value in self._grid.items()
        )
        ends = {min(self._grid): "smaller", max(self._grid): "larger"}
        more = f"; it may be better at {ends[self._range]} ranges" if self._range in ends else ""
        return (
            f"the range of relationship[{self._group!r}] is {self._range:.4g} by the {name}, which is "
            f"{fit.criterion:.2f} there, {grid}{more}; standard errors take it as known"
        )

    def _criterion(self, r: float) -> float:
        kernel = SpatialKernel(self._kernel.names, self._kernel.coordinates, kind=self._kernel.kind, range=r)
        try:
            fit = self._fit_once({**self._relationship, self._group: kernel})
        except DataError as problem:
            # as where the range is so small that the levels are unrelated
            self._refused = problem
            return inf
        if self._fit is None or fit.criterion < self._fit.criterion:
            self._fit, self._range = fit, r
        return fit.criterion
