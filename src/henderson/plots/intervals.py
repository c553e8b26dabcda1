"""Pictures of uncertainty: a profile's signed root, and the replicates of a bootstrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.plots.style import (
    BLUE,
    GREY,
    PALE,
    VERMILLION,
    axes_or_new,
    lighter,
    note,
    numbers,
    say,
    shown_number,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
_SIZE = (4.0, 3.4)


def profile_zeta(
    value: ArrayLike,
    zeta: ArrayLike,
    *,
    estimate: float,
    limits: tuple[float, float],
    level: float = 0.95,
    label: str = "value",
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the signed root of the likelihood ratio along one parameter, with its interval.

    The straight line touches the curve at the estimate: where the two part, a Wald interval is a bad one.
    Bates & Watts (1988), Nonlinear Regression Analysis, section 6.1.

    Parameters
    ----------
    value, zeta : array-like, shape (m,)
        The curve, in increasing order of the values.
    estimate : float
        Where the curve is zero.
    limits : (float, float)
        The interval's ends; NaN where there is none.
    level : float
        Of the interval.
    label : str
        The parameter.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure of pyplot.
    title : str, optional
        Above, on the left.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        If the columns differ in length, or matplotlib is not installed.
    """
    from scipy.special import ndtri

    x = numbers(value, "the values")
    y = numbers(zeta, "zeta", like=x)
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    ax = axes_or_new(ax, _SIZE)
    titled(ax, title, label, r"$\zeta$")
    if x.size < 2:
        say(ax, "the profile has no curve")
        return ax
    top = float(ndtri(0.5 + 0.5 * level))
    height = 1.05 * max(float(np.abs(y).max()), top)
    near = np.argsort(np.abs(x - estimate), kind="stable")[:3]
    slope = float(np.polyfit(x[near] - estimate, y[near], 1)[0])
    ax.plot(x, slope * (x - estimate), "--", color=GREY, linewidth=0.9, zorder=1)
    ax.axhline(0.0, color=GREY, linewidth=0.7, zorder=0)
    ax.plot(x, y, color=BLUE, linewidth=2.0, zorder=3)
    for end, sign in zip(limits, (-1, 1), strict=True):
        ax.axhline(sign * top, color=PALE, linewidth=0.9, zorder=0)
        if np.isfinite(end):
            ax.vlines(end, 0.0, float(np.interp(end, x, y)), color=VERMILLION, linewidth=1.2, zorder=2)
    ax.plot(np.clip(limits, x[0], x[-1]), [0.0, 0.0], color=VERMILLION, linewidth=2.2, zorder=4)
    ax.plot([estimate], [0.0], "o", color=VERMILLION, markersize=5, zorder=5)
    ax.set_ylim(-height, height)
    note(ax, f"{level:.0%}: {_range(limits)}")
    return ax


def replicates(
    values: ArrayLike,
    *,
    estimate: float,
    limits: tuple[float, float],
    level: float = 0.95,
    label: str = "value",
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the distribution of a bootstrap's replicates of one number, with its estimate and interval.

    Parameters
    ----------
    values : array-like, shape (n,)
        The replicates; NaN are left out and counted.
    estimate : float
        The number of the fit itself.
    limits : (float, float)
        The interval's ends.
    level : float
        Of the interval.
    label : str
        What the number is.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure of pyplot.
    title : str, optional
        Above, on the left.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        If matplotlib is not installed.
    """
    x = numbers(values, "the replicates")
    found = x[np.isfinite(x)]
    ax = axes_or_new(ax, _SIZE)
    titled(ax, title, label, "replicates")
    if not found.size:
        say(ax, "no replicate gave a number")
        return ax
    heights, edges = np.histogram(found, bins=_bins(found))
    ax.stairs(heights, edges, fill=True, color=lighter(BLUE, 0.55), zorder=1)
    ax.stairs(heights, edges, color=BLUE, linewidth=1.0, zorder=2)
    ax.axvline(estimate, color=VERMILLION, linewidth=1.6, zorder=3)
    foot = -0.05 * float(heights.max())
    ax.plot(limits, [foot, foot], color=VERMILLION, linewidth=3.0, solid_capstyle="butt", zorder=3)
    ax.set_ylim(2 * foot, 1.22 * float(heights.max()))
    ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= 1.22 * heights.max()])
    note(ax, f"{level:.0%}: {_range(limits)}")
    if found.size < x.size:
        note(ax, f"{x.size - found.size:,} of {x.size:,} replicates gave no number")
    return ax


def _bins(values: Array) -> Array:
    """Edges of 15 to 60 bins, about as wide as Freedman & Diaconis (1981) say."""
    low, high = float(values.min()), float(values.max())
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        half = 0.5 * max(abs(low), 1.0)
        return np.linspace(low - half, low + half, 16)
    quarter, three = np.quantile(values, [0.25, 0.75])
    width = 2.0 * float(three - quarter) * values.size ** (-1 / 3)
    n = 60.0 if width <= 0 else (high - low) / width
    return np.linspace(low, high, int(np.clip(n, 15, 60)) + 1)


def _range(limits: tuple[float, float]) -> str:
    """An interval in words."""
    low, high = (shown_number(float(end)) if np.isfinite(end) else "…" for end in limits)
    return f"{low} to {high}"
