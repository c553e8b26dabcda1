"""Relationships that fall with distance: plots in a field, places on a map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.covariance.matrix import RelationshipMatrix, check_room
from henderson.covariance.named import as_numbers, checked_names
from henderson.errors import DataError

Array = NDArray[np.float64]
Kind = Literal["exponential", "matern32", "matern52", "gaussian"]


def _matern32(t: Array) -> Array:
    a = sqrt(3.0) * t
    return np.asarray((1.0 + a) * np.exp(-a))


def _matern52(t: Array) -> Array:
    a = sqrt(5.0) * t
    return np.asarray((1.0 + a + a**2 / 3.0) * np.exp(-a))


_CORRELATION: dict[Kind, Callable[[Array], Array]] = {
    "exponential": lambda t: np.asarray(np.exp(-t)),
    "matern32": _matern32,
    "matern52": _matern52,
    "gaussian": lambda t: np.asarray(np.exp(-0.5 * t**2)),
}


@dataclass(frozen=True, slots=True, eq=False)
class SpatialKernel:
    """Levels at places, the more alike the nearer they are.

    With t the distance over the range, the correlation is exp(-t) (exponential), exp(-t^2 / 2) (gaussian),
    (1 + a) exp(-a) with a = sqrt(3) t (matern32) or (1 + a + a^2 / 3) exp(-a) with a = sqrt(5) t (matern52):
    Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, eqs. (4.9), (4.17) and (4.18).

    Attributes
    ----------
    names : tuple of str, length l
        Levels, such as plots; given as any sequence.
    coordinates : ndarray of float64, shape (l, d)
        Where they are; distances are Euclidean. A single column may be given as a vector.
    kind : {"exponential", "matern32", "matern52", "gaussian"}
        How the correlation falls.
    range : tuple of float
        The range, in the unit of the coordinates; given as a number, or as several from which a fit takes the
        best, refined between its neighbours.

    Raises
    ------
    DataError
        If a name occurs twice, there are not as many names as places, a coordinate is not finite, the kind is
        not known or a range is not positive.

    Examples
    --------
    >>> field = SpatialKernel(["a", "b", "c"], [0.0, 1.0, 3.0], range=2.0)
    >>> field
    <SpatialKernel of 3 levels: exponential, range 2>
    >>> field.at(2.0).matrix.round(3)
    array([[1.   , 0.607, 0.223],
           [0.607, 1.   , 0.368],
           [0.223, 0.368, 1.   ]])
    """

    names: tuple[str, ...]
    coordinates: Array
    kind: Kind
    range: tuple[float, ...]

    def __init__(
        self,
        names: Sequence[str],
        coordinates: ArrayLike,
        *,
        range: float | Sequence[float],
        kind: Kind = "exponential",
    ) -> None:
        places = as_numbers(coordinates, "coordinates")
        places = places[:, None] if places.ndim == 1 else places
        if places.ndim != 2:
            raise DataError(f"coordinates are a row per level; these have {places.ndim} dimensions")
        listed = checked_names(names, places.shape)
        wrong = np.flatnonzero(~np.isfinite(places).all(axis=1))
        if wrong.size:
            raise DataError(
                f"{wrong.size} levels have a coordinate that is missing or infinite, the first of them "
                f"{listed[int(wrong[0])]!r}; leave them out or mend it"
            )
        if kind not in get_args(Kind):
            raise DataError(f"there is no kernel {kind!r}; there are {', '.join(map(repr, get_args(Kind)))}")
        ranges = np.atleast_1d(as_numbers(range, "ranges"))
        if ranges.ndim != 1 or not ranges.size or not np.all((ranges > 0.0) & np.isfinite(ranges)):
            raise DataError(f"range must be a positive number, or several of them; it is {range!r}")
        object.__setattr__(self, "names", listed)
        object.__setattr__(self, "coordinates", places)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "range", tuple(np.unique(ranges).tolist()))

    def __repr__(self) -> str:
        ranges = ", ".join(f"{r:.6g}" for r in self.range)
        s = "s" if len(self.range) > 1 else ""
        return f"<SpatialKernel of {len(self.names):,} levels: {self.kind}, range{s} {ranges}>"

    def at(self, range: float) -> RelationshipMatrix:
        """The correlations at a range.

        Parameters
        ----------
        range : float
            In the unit of the coordinates.

        Raises
        ------
        DataError
            If memory will not do.
        """
        instead = "take fewer levels, such as the means of neighbouring places"
        check_room(len(self.names), matrices=3, what="levels", instead=instead)
        from scipy.spatial.distance import cdist

        t = cdist(self.coordinates, self.coordinates) / range
        return RelationshipMatrix.of(_CORRELATION[self.kind](t), self.names)

    @property
    def only_range(self) -> float:
        """The range.

        Raises
        ------
        DataError
            If there are several, of which a fit would have to choose.
        """
        if len(self.range) > 1:
            raise DataError(
                f"a kernel has {len(self.range)} ranges, from which only hd.lmer chooses; give "
                "SpatialKernel one range here"
            )
        return self.range[0]
