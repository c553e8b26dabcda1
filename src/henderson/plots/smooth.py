"""Smooth lines through points, and densities: what a picture needs to guide the eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def lowess(x: Array, y: Array, *, span: float = 2 / 3, at_most: int = 400) -> tuple[Array, Array]:
    """Smooth y by local straight lines with tricube weights.

    Cleveland (1979), J. Am. Stat. Assoc. 74:829-836, without its robustness iterations: R's
    ``lowess(x, y, iter = 0, delta = 0)``. More than `at_most` points are first averaged within as many groups
    of neighbours in x, which weigh as many points as they have.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Finite.
    span : float
        Share of the points that each straight line sees.
    at_most : int
        Points that are fitted.

    Returns
    -------
    x, y : ndarray, shape (m,)
        Where the line runs, in increasing x, each place once; empty for fewer than three places.

    Examples
    --------
    >>> x = np.arange(10.0)
    >>> lowess(x, 2 * x + 1)[1].round(6)
    array([ 1.,  3.,  5.,  7.,  9., 11., 13., 15., 17., 19.])
    """
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    starts = np.unique(np.linspace(0, x.size, min(x.size, at_most) + 1).astype(np.intp)[:-1])
    if x.size > at_most:
        # Values that are the same stay together.
        starts = np.unique(np.searchsorted(x, x[starts]))
    count = np.diff(np.append(starts, x.size)).astype(np.float64)
    if not x.size:
        return x, y
    x, y = np.add.reduceat(x, starts) / count, np.add.reduceat(y, starts) / count
    places = np.unique(x)
    if places.size < 3:
        return np.empty(0), np.empty(0)
    return places, np.array([_local_line(x, y, count, float(at), span) for at in places])


def _local_line(x: Array, y: Array, count: Array, at: float, span: float) -> float:
    """The weighted straight line around a place, there."""
    distance = np.abs(x - at)
    near = np.argsort(distance, kind="stable")
    wanted = max(np.floor(span * count.sum() + 1e-7), 2.0)
    last = min(int(np.searchsorted(np.cumsum(count[near]), wanted)), x.size - 1)
    width = float(distance[near[last]])
    if width <= 0.0:
        return float(np.average(y[distance <= 0.0], weights=count[distance <= 0.0]))
    weight = count * np.clip(1.0 - (distance / width) ** 3, 0.0, None) ** 3
    weight /= weight.sum()
    centre = float(weight @ x)
    spread = float(weight @ (x - centre) ** 2)
    mean = float(weight @ y)
    if spread <= (1e-3 * float(np.ptp(x))) ** 2:
        return mean
    return mean + (at - centre) * float(weight @ ((x - centre) * y)) / spread


def density(values: Array, at: Array) -> Array:
    """Gaussian kernel density with Silverman's (1986, eq. 3.31) bandwidth, from bins as wide as the grid.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite; those outside the grid count for its ends.
    at : ndarray, shape (m,)
        An even grid.

    Returns
    -------
    ndarray, shape (m,)
        Zeros where the values have no spread.

    Examples
    --------
    >>> grid = np.linspace(-4, 4, 9)
    >>> density(np.array([-1.0, 0.0, 1.0]), grid).argmax()
    np.int64(4)
    """
    step = float(at[1] - at[0])
    low, high = np.quantile(values, [0.25, 0.75])
    sd = float(values.std())
    width = 0.9 * min(sd, float(high - low) / 1.349 or sd) * values.size**-0.2
    if width <= 0.0:
        return np.zeros(at.size)
    bins = np.clip(np.rint((values - at[0]) / step), 0, at.size - 1).astype(np.intp)
    count = np.bincount(bins, minlength=at.size)
    reach = np.arange(-(at.size - 1), at.size) * step / width
    kernel = np.exp(-0.5 * reach**2) / (np.sqrt(2.0 * np.pi) * width * values.size)
    smooth = np.convolve(count, kernel)[at.size - 1 : 2 * at.size - 1]
    return np.asarray(smooth)
