"""A profile as a result: zeta as a smooth curve in each parameter, and the intervals read off it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.covariance.coordinates import Link, Straight
from henderson.errors import DataError
from henderson.fit.arguments import check_level

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Curve:
    """The profile of one parameter: zeta, the signed root of the rise in deviance, at its values.

    Between its points the curve is the cubic with the exact slopes at both ends, in a coordinate in which it
    is smooth up to the bounds of the parameter: Bates et al. (2015), J. Stat. Softw. 67(1), section 5.1.

    Attributes
    ----------
    name : str
    estimate : float
        Maximum-likelihood estimate.
    u, zeta, slope : ndarray, (m,)
        The coordinate, ascending; zeta there, and d zeta / d u.
    link : Link
        value = link(u).
    bounds : (float, float)
        Of the value.
    ends : (float, float)
        How large |zeta| can be on either side, up to the bounds: infinite where the end of the profile was
        reached, NaN where it is not known because the profile could not be followed.
    others : ndarray, (m, k)
        All parameters of the model along the path.
    """

    name: str
    estimate: float
    u: Array
    zeta: Array
    slope: Array
    link: Link
    bounds: tuple[float, float]
    ends: tuple[float, float]
    others: Array

    @property
    def values(self) -> Array:
        """The parameter at the points, (m,)."""
        return np.array([self.link.jet(u)[0] for u in self.u])

    def zeta_at(self, value: ArrayLike) -> Array:
        """Zeta of values of the parameter; NaN outside the points."""
        values = np.asarray(value, dtype=np.float64)
        low, high = self.values[[0, -1]]
        out = np.full(values.shape, np.nan)
        for at in np.ndindex(values.shape):
            if low <= values[at] <= high:
                straight = isinstance(self.link, Straight)
                u = float(values[at]) if straight else self.link.inverse(float(values[at]))
                out[at] = self._cubic(min(max(int(np.searchsorted(self.u, u)), 1), self.u.size - 1), u)
        return out

    def value_at(self, zeta: ArrayLike) -> Array:
        """Value of the parameter at zeta, the inverse of `zeta_at`; NaN outside the points.

        Where the curve is not monotone, the value that is nearest to the estimate.
        """
        wanted = np.asarray(zeta, dtype=np.float64)
        out = np.full(wanted.shape, np.nan)
        for at in np.ndindex(wanted.shape):
            out[at] = self._inverse(float(wanted[at]))
        return out

    def interval(self, level: float) -> tuple[float, float]:
        """Values at which zeta is the normal quantile, or the bound on a side where it cannot be so large.

        NaN where the profile could not be followed so far.
        """
        from scipy.special import ndtri

        z = float(ndtri(0.5 + 0.5 * level))
        low, high = self.value_at(np.array([-z, z])).tolist()
        if np.isnan(low) and self.ends[0] <= z:
            low = self.bounds[0]
        if np.isnan(high) and self.ends[1] <= z:
            high = self.bounds[1]
        return low, high

    def _inverse(self, zeta: float) -> float:
        from scipy.optimize import brentq

        centre = int(np.argmin(np.abs(self.zeta)))
        above = self.zeta - zeta >= 0.0 if zeta > 0.0 else self.zeta - zeta <= 0.0
        side = range(centre, self.u.size) if zeta > 0.0 else range(centre, -1, -1)
        beyond = next((i for i in side if above[i]), None)
        if beyond is None:
            return np.nan
        if beyond == centre:
            return float(self.link.jet(float(self.u[centre]))[0])
        i = beyond if zeta > 0.0 else beyond + 1
        u = brentq(lambda u: self._cubic(i, u) - zeta, self.u[i - 1], self.u[i], xtol=1e-14, rtol=1e-13)
        return float(self.link.jet(float(u))[0])

    def _cubic(self, i: int, u: float) -> float:
        """The cubic between points i - 1 and i."""
        h = self.u[i] - self.u[i - 1]
        t = (u - self.u[i - 1]) / h
        left = (1.0 + 2.0 * t) * self.zeta[i - 1] + t * h * self.slope[i - 1]
        right = (3.0 - 2.0 * t) * self.zeta[i] + (t - 1.0) * h * self.slope[i]
        return float((1.0 - t) ** 2 * left + t**2 * right)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Profile:
    """Profiles of several parameters.

    Attributes
    ----------
    curves : tuple of Curve
    names : tuple of str
        All parameters of the model: the columns of ``others`` in the curves.
    level : float
        The curves reach intervals of this coverage.
    notices : tuple of str
        What the user should know.
    """

    curves: tuple[Curve, ...]
    names: tuple[str, ...]
    level: float
    notices: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.curves)

    def __iter__(self) -> Iterator[Curve]:
        return iter(self.curves)

    def __getitem__(self, name: str) -> Curve:
        for curve in self.curves:
            if curve.name == name:
                return curve
        known = ", ".join(repr(curve.name) for curve in self.curves)
        raise KeyError(f"{name!r} was not profiled; there are {known}")

    def __repr__(self) -> str:
        return f"<Profile of {', '.join(curve.name for curve in self.curves)}>"

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Profile-likelihood intervals.

        Parameters
        ----------
        level : float
            Coverage; at most that of the profile.

        Returns
        -------
        DataFrame
            Columns lower and upper. A bound of the parameter, such as 0 for a standard deviation, where the
            data do not exclude it; NaN where the profile could not be followed, which a notice says.

        Raises
        ------
        DataError
            For a level above that of the profile.
        """
        import pandas as pd

        check_level(level)
        if level > self.level:
            raise DataError(
                f"the profile was followed to intervals of {self.level:g}, not {level:g}: make it again with "
                f"profile(level={level:g})"
            )
        rows = [curve.interval(level) for curve in self.curves]
        return pd.DataFrame(rows, index=[c.name for c in self.curves], columns=["lower", "upper"])

    def to_frame(self) -> pd.DataFrame:
        """One row per point: ``parameter``, its ``value`` and ``zeta``, and all parameters of the model."""
        import pandas as pd

        parts = []
        for c in self.curves:
            part = pd.DataFrame(c.others, columns=list(self.names))
            part.insert(0, "parameter", c.name)
            part.insert(1, "value", c.values)
            part.insert(2, "zeta", c.zeta)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)
