"""Pictures of effects: random ones level by level, their shrinkage, and fixed ones with the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import DataError
from henderson.plots.style import (
    BLUE,
    GREY,
    VERMILLION,
    axes_or_new,
    diameter,
    lighter,
    note,
    numbers,
    outlined,
    points,
    say,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
NAMED = 45
"""Levels up to which each has its name on the axis."""
_DRAWN = 2000
_WIDE = (5.2, 4.0)
_GOLDEN = 0.6180339887498949


def caterpillar(
    value: ArrayLike,
    sd: ArrayLike,
    *,
    names: Sequence[str],
    order: ArrayLike | None = None,
    level: float = 0.95,
    label: str = "effect",
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the effect of each level with its interval, sorted; intervals that leave out zero stand out.

    Up to 45 levels have their names on the axis; of more, the first and the last. Of more than
    2,000 levels, as many are drawn, evenly spread over the order.

    Parameters
    ----------
    value, sd : array-like, shape (l,)
        Effects and their standard deviations.
    names : sequence of str, length l
        The levels.
    order : array-like of int, shape (l,), optional
        Levels from the bottom to the top; by default from the smallest effect to the largest.
    level : float
        Of the intervals, which are value +- normal quantile x sd.
    label : str
        What the effects are.
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
        If the arguments differ in length, or matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = caterpillar([1.0, -2.0], [0.5, 0.5], names=["a", "b"], ax=Figure().add_subplot())
    >>> [name.get_text() for name in ax.get_yticklabels()]
    ['b', 'a']
    """
    from scipy.special import ndtri

    b = numbers(value, "the effects")
    half = float(ndtri(0.5 + 0.5 * level)) * numbers(sd, "the standard deviations", like=b)
    if len(names) != b.size:
        raise DataError(f"there are {len(names)} names for {b.size} levels")
    rows = np.argsort(b, kind="stable") if order is None else np.asarray(order, dtype=np.intp)
    ax = axes_or_new(ax, (4.6, caterpillar_height(b.size)))
    titled(ax, title, label, "")
    place = np.arange(b.size)
    drawn = _spread_over(b.size)
    rows_drawn = rows[drawn]
    apart = np.abs(b[rows_drawn]) > half[rows_drawn]
    width = float(np.clip(40 / b.size, 0.5, 1.6))
    for chosen, colour, edge in ((~apart, GREY, lighter(GREY, 0.55)), (apart, BLUE, lighter(BLUE, 0.45))):
        at, who = drawn[chosen], rows_drawn[chosen]
        ax.hlines(
            at, b[who] - half[who], b[who] + half[who], color=edge, linewidth=width, zorder=1,
            rasterized=b.size > NAMED,
        )  # fmt: skip
        ax.plot(
            b[who], at, "o", color=colour, markersize=float(np.clip(160 / b.size, 1.2, 4.5)),
            markeredgewidth=0, rasterized=b.size > NAMED, zorder=2,
        )  # fmt: skip
    ax.axvline(0.0, color=GREY, linewidth=0.9, zorder=3)
    ax.set_ylim(-0.02 * b.size - 0.6, 1.02 * b.size - 0.4)
    if not b.any():
        note(ax, "all effects are zero: the variance is zero")
    if b.size <= NAMED:
        ax.set_yticks(place, [str(names[i]) for i in rows.tolist()])
        return ax
    ax.set_yticks([0, b.size - 1], [str(names[rows[0]]), str(names[rows[-1]])])
    ax.set_ylabel(f"{b.size:,} levels, sorted" + ("" if drawn.size == b.size else f"; {drawn.size:,} drawn"))
    return ax


def caterpillar_height(n: int) -> float:
    """Height of a caterpillar plot of n levels, in inches."""
    return float(np.clip(1.1 + 0.17 * n, 2.4, 7.5))


def shrinkage_of_one(
    within: ArrayLike,
    shrunk: ArrayLike,
    *,
    size: ArrayLike,
    label: str = "effect",
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the modes of one random effect against what each level's own records say.

    On the diagonal there is no shrinkage; on the level line all levels have the mean.

    Parameters
    ----------
    within, shrunk : array-like, shape (l,)
        The level's least-squares estimate, NaN where its records do not give one, and the mode.
    size : array-like, shape (l,)
        Records of each level: larger points have more.
    label : str
        What the effect is.
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
    x = numbers(within, "the estimates within levels")
    y, n = numbers(shrunk, "the modes", like=x), numbers(size, "the sizes", like=x)
    ax = axes_or_new(ax, (4.2, 4.2))
    titled(ax, title, f"{label}: the level's own estimate", f"{label}: conditional mode")
    found = np.flatnonzero(np.isfinite(x))
    if not found.size:
        say(ax, "no level has enough records\nfor an estimate of its own")
        return ax
    ends = np.array([x[found].min(), x[found].max()])
    ax.plot(ends, ends, color=GREY, linewidth=0.9, linestyle="--", zorder=2)
    ax.axhline(0.0, color=GREY, linewidth=0.9, zorder=2)
    relative = np.clip(n / n[found].mean(), 0.15, 4.0)
    drawn = found[_spread_over(found.size)]
    area = 1.6 * diameter(drawn.size) ** 2 * relative[drawn]
    ax.scatter(x[drawn], y[drawn], s=area, color=BLUE, alpha=0.6, linewidths=0, rasterized=True, zorder=3)
    _tell_drawn(ax, "dashed: no shrinkage", n_levels=x.size, n_found=found.size, n_drawn=drawn.size)
    return ax


def shrinkage_of_two(
    within: ArrayLike,
    shrunk: ArrayLike,
    *,
    labels: tuple[str, str],
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw how two random effects of each level are drawn from its own records' estimates to the modes.

    Parameters
    ----------
    within, shrunk : array-like, shape (l, 2)
        The level's least-squares estimates, NaN where its records do not give them, and the modes.
    labels : (str, str)
        What the effects are.
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
        If the shapes differ, or matplotlib is not installed.
    """
    start, end = np.asarray(within, dtype=np.float64), np.asarray(shrunk, dtype=np.float64)
    if start.ndim != 2 or start.shape[1] != 2 or start.shape != end.shape:
        raise DataError(
            f"estimates and modes must both have the shape (levels, 2): {start.shape}, {end.shape}"
        )
    ax = axes_or_new(ax, (4.8, 4.4))
    titled(ax, title, labels[0], labels[1])
    found = np.flatnonzero(np.isfinite(start).all(axis=1))
    if not found.size:
        say(ax, "no level has enough records\nfor estimates of its own")
        return ax
    drawn = found[_spread_over(found.size)]
    told = "circles: the level's own estimates; blue: modes"
    _tell_drawn(ax, told, n_levels=start.shape[0], n_found=found.size, n_drawn=drawn.size)
    start, end = start[drawn], end[drawn]
    wide = diameter(start.shape[0])
    ax.quiver(
        *start.T, *(end - start).T, angles="xy", scale_units="xy", scale=1.0, units="dots",
        width=float(np.clip(20 / start.shape[0], 0.6, 1.3)), headwidth=5, headlength=6, headaxislength=5,
        minlength=0.0, color=lighter(GREY, 0.35), rasterized=True, zorder=1,
    )  # fmt: skip
    ax.plot(
        *start.T, "o", color=VERMILLION, markersize=wide, markerfacecolor="none", rasterized=True, zorder=2
    )
    ax.plot(*end.T, "o", color=BLUE, markersize=wide, markeredgewidth=0, rasterized=True, zorder=3)
    for line in (ax.axhline, ax.axvline):
        line(0.0, color=GREY, linewidth=0.7, zorder=0)
    return ax


def effect_line(
    x: ArrayLike,
    mean: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    data: tuple[ArrayLike, ArrayLike] | None = None,
    colour: str = BLUE,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a mean over a number, with its band and the data.

    Parameters
    ----------
    x, mean, lower, upper : array-like, shape (m,)
        The line, and the edges of its band.
    data : (array-like, array-like), optional
        Places and heights of the data, (n,) each.
    colour : str
        Of line, band and data.
    label : str, optional
        Name of the line, for a legend.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure of pyplot.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        If the columns differ in length, or matplotlib is not installed.
    """
    at = numbers(x, "the places")
    line, low, high = (numbers(v, "the line", like=at) for v in (mean, lower, upper))
    ax = axes_or_new(ax, _WIDE)
    if data is not None:
        points(ax, *_placed(data), colour=colour)
    ax.fill_between(at, low, high, color=colour, alpha=0.25, linewidth=0, zorder=3)
    ax.plot(at, line, color=colour, linewidth=2.0, label=label, zorder=4, **outlined(3.6))
    return ax


def effect_levels(
    names: Sequence[str],
    mean: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    data: tuple[ArrayLike, ArrayLike] | None = None,
    shift: float = 0.0,
    spread: float = 0.3,
    colour: str = BLUE,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean of each category, with its interval and the data.

    Parameters
    ----------
    names : sequence of str, length m
        The categories, from the left to the right.
    mean, lower, upper : array-like, shape (m,)
        Means, and the ends of their intervals.
    data : (array-like of int, array-like), optional
        Categories and heights of the data, (n,) each.
    shift : float
        How far right of the categories' places to draw, in distances between categories.
    spread : float
        How far the data are spread to either side.
    colour : str
        Of means, intervals and data.
    label : str, optional
        Name of the means, for a legend.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure of pyplot.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        If the columns differ in length, or matplotlib is not installed.
    """
    y = numbers(mean, "the means")
    low, high = numbers(lower, "the lower ends", like=y), numbers(upper, "the upper ends", like=y)
    ax = axes_or_new(ax, _WIDE)
    at = np.arange(y.size) + shift
    if data is not None:
        place, height = _placed(data)
        # Multiples of the golden ratio are spread evenly, however many there are.
        aside = (np.arange(place.size) * _GOLDEN) % 1.0 - 0.5
        points(ax, place + shift + 2 * spread * aside, height, colour=colour)
    ax.vlines(at, low, high, color=colour, linewidth=2.2, zorder=5, **outlined(4.5))
    ax.plot(at, y, "o", color=colour, markersize=7.5, markeredgecolor="white", label=label, zorder=6)
    ax.set_xticks(np.arange(y.size), list(names))
    ax.set_xlim(-0.6, y.size - 0.4)
    return ax


def _placed(data: tuple[ArrayLike, ArrayLike]) -> tuple[Array, Array]:
    place = numbers(data[0], "the places of the data")
    return place, numbers(data[1], "the heights of the data", like=place)


def _spread_over(n: int) -> NDArray[np.intp]:
    """Which of n places to draw: all, or 2,000 evenly spread over them."""
    return np.unique(np.linspace(0, n - 1, min(n, _DRAWN)).astype(np.intp))


def _tell_drawn(ax: Axes, text: str, *, n_levels: int, n_found: int, n_drawn: int) -> None:
    """A note, and others with the number of levels that are not shown."""
    note(ax, text)
    missing = n_levels - n_found
    if missing:
        note(ax, f"{missing:,} level{'s' * (missing > 1)} without an estimate")
    if n_drawn < n_found:
        note(ax, f"{n_drawn:,} of {n_found:,} levels drawn")
