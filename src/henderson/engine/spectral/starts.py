"""Where the search for the variance ratio begins: the best of a grid, of which responses share most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from henderson.engine.spectral.point import evaluate
from henderson.engine.spectral.spectrum import Spectrum

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """What criteria at some variance ratios have in common, whatever the response.

    Attributes
    ----------
    ratios : ndarray, shape (g,)
        lambda.
    shrink : ndarray, shape (g, r)
        1 / (1 + lambda values) at each.
    logdet : dict of bool to ndarray, shape (g,)
        The log-determinants of REML (True) and of maximum likelihood (False), up to constants.
    """

    ratios: Array
    shrink: Array
    logdet: dict[bool, Array]

    @classmethod
    def of(cls, spectrum: Spectrum, ratios: Array) -> Self:
        """Evaluate them once for all responses."""
        none = np.zeros_like(spectrum.values)
        points = [evaluate(spectrum, none, ratio) for ratio in ratios.tolist()]
        logdet = {reml: np.array([point.logdet(reml).value for point in points]) for reml in (True, False)}
        return cls(ratios, np.stack([point.shrink for point in points]), logdet)

    def best(self, eta: Array, nu: int, *, reml: bool) -> float:
        """The ratio of the smallest profiled criterion, for the response A'y = eta (r,)."""
        pwrss = self.shrink @ (eta * eta)
        with np.errstate(divide="ignore"):
            value = self.logdet[reml] + nu * np.log(pwrss)
        value[pwrss <= 0.0] = np.inf  # rounding has eaten the residual: not a point to start at
        return float(self.ratios[np.argmin(value)])
