"""Pictures that check a fit: residuals, their distribution, leverage, and data simulated from the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import DataError
from henderson.plots.bands import expected_uniform, normal_band, thinned_ranks, uniform_band
from henderson.plots.smooth import density, lowess
from henderson.plots.style import (
    BLUE,
    GREY,
    PALE,
    SMALL,
    VERMILLION,
    axes_or_new,
    diameter,
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
_SIZE = (4.8, 4.0)


def residuals_by_fitted(
    fitted: ArrayLike, residuals: ArrayLike, *, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw residuals against fitted values, with a smooth line: it should stay near zero.

    Parameters
    ----------
    fitted, residuals : array-like, shape (n,)
        Rows with NaN are left out. More than 5,000 points are drawn as shades of their density.
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

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = residuals_by_fitted([1.0, 2.0, 3.0], [0.1, -0.2, 0.1], ax=Figure().add_subplot())
    >>> ax.get_ylabel()
    'residual'
    """
    x, y = _pairs(fitted, residuals, "residuals")
    ax = axes_or_new(ax, _SIZE)
    titled(ax, title, "fitted value", "residual")
    points(ax, x, y)
    ax.axhline(0.0, color=GREY, linewidth=0.9, zorder=2)
    ax.plot(*lowess(x, y), color=VERMILLION, linewidth=1.8, zorder=4, **outlined(3.4))
    _symmetric(ax, y)
    return ax


def spread_by_fitted(
    fitted: ArrayLike, scaled_residuals: ArrayLike, *, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw the root of the residuals' size against fitted values: a level line means one variance for all.

    Parameters
    ----------
    fitted, scaled_residuals : array-like, shape (n,)
        Residuals in standard deviations; rows with NaN are left out.
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
    x, y = _pairs(fitted, scaled_residuals, "residuals")
    y = np.sqrt(np.abs(y))
    ax = axes_or_new(ax, _SIZE)
    titled(ax, title, "fitted value", "√|scaled residual|")
    points(ax, x, y)
    ax.plot(*lowess(x, y), color=VERMILLION, linewidth=1.8, zorder=4, **outlined(3.4))
    ax.set_ylim(bottom=0.0)
    return ax


def qq_normal(
    values: ArrayLike, *, of: str = "value", ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw sorted values against what is expected of normal ones, with a band for all of them at once.

    The line has the values' own mean and standard deviation. Of samples of independent normal numbers, 95 %
    lie inside the band everywhere: Aldor-Noiman et al. (2013), Am. Stat. 67:249-260, with the band's levels
    found anew for samples whose mean and standard deviation are estimated.

    Parameters
    ----------
    values : array-like, shape (n,)
        NaN are left out.
    of : str
        What they are, for the label.
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
    from scipy.special import ndtri

    y = numbers(values, "the values")
    y = np.sort(y[np.isfinite(y)])
    ax = axes_or_new(ax, (4.2, 4.2))
    titled(ax, title, "normal quantile", of)
    if y.size < 3 or not np.ptp(y) > 1e-12 * np.abs(y).max():
        say(
            ax,
            "too few values"
            if y.size < 3
            else "all values are the same:\nthere is no distribution to look at",
        )
        return ax
    mean, sd = float(y.mean()), float(y.std(ddof=1))
    expected = np.asarray(ndtri(expected_uniform(y.size)))
    ranks = thinned_ranks(y.size)
    lower, upper = (mean + sd * edge for edge in normal_band(y.size, ranks))
    ax.plot(expected[[0, -1]], mean + sd * expected[[0, -1]], color=GREY, linewidth=0.9, zorder=2)
    _ordered_points(ax, expected[ranks], y[ranks], lower, upper, n=y.size)
    margin = 0.06 * float(np.ptp(y))
    ax.set_ylim(float(y[0]) - margin, float(y[-1]) + margin)
    note(ax, "grey: 95% of normal samples are in it throughout")
    return ax


def qq_uniform(scaled: ArrayLike, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw sorted scaled residuals, uniform under the model, against what is expected of them.

    Parameters
    ----------
    scaled : array-like, shape (n,)
        Between 0 and 1; NaN are left out. Of samples of independent uniform numbers, 95 % lie inside the band
        everywhere.
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
    y = numbers(scaled, "the scaled residuals")
    y = np.sort(y[np.isfinite(y)])
    ax = axes_or_new(ax, (4.2, 4.2))
    titled(ax, title, "expected", "scaled residual")
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.01, 1.01)
    if y.size < 3:
        say(ax, "too few values")
        return ax
    ranks = np.unique(np.linspace(0, y.size - 1, 600).astype(np.intp))
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, zorder=2)
    _ordered_points(ax, expected_uniform(y.size)[ranks], y[ranks], *uniform_band(y.size, ranks), n=y.size)
    note(ax, "grey: 95% of independent samples are in it throughout")
    return ax


def scaled_by_fitted(
    fitted: ArrayLike, scaled: ArrayLike, *, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw scaled residuals against the ranks of the fitted values, with lines through their quartiles.

    The lines join quartiles of up to 20 groups of neighbours; under the model they stay near the dashed ones.

    Parameters
    ----------
    fitted, scaled : array-like, shape (n,)
        Rows with NaN are left out.
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
    x, y = _pairs(fitted, scaled, "scaled residuals")
    ax = axes_or_new(ax, _SIZE)
    titled(ax, title, "fitted value (rank, from 0 to 1)", "scaled residual")
    order = np.argsort(x, kind="stable")
    rank, y = expected_uniform(x.size), y[order]
    points(ax, rank, y)
    groups = np.array_split(np.arange(x.size), int(np.clip(x.size // 20, 1, 20)))
    centres = [rank[rows].mean() for rows in groups if rows.size]
    for share in (0.25, 0.5, 0.75):
        ax.axhline(share, color=GREY, linewidth=0.9, linestyle="--", zorder=3)
        heights = [np.quantile(y[rows], share) for rows in groups if rows.size]
        ax.plot(centres, heights, color=VERMILLION, linewidth=1.6, zorder=4, **outlined(3.2))
    ax.set_ylim(-0.02, 1.02)
    return ax


def residuals_by_leverage(
    leverage: ArrayLike,
    standardised: ArrayLike,
    distance: ArrayLike,
    *,
    n_fixed: int,
    names: ArrayLike | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw standardised residuals against leverage, with lines of equal Cook's distance.

    Cook's distance is D = r^2 h / (p (1 - h)), for a leverage h, p fixed effects, and a residual r divided by
    its own standard deviation, sigma sqrt(1 - h): Cook (1977), Technometrics 19:15-18.

    Parameters
    ----------
    leverage, standardised, distance : array-like, shape (n,)
        h, r and D; rows with NaN, which have a leverage of 1, are left out and counted.
    n_fixed : int
        Number of fixed effects p.
    names : array-like, shape (n,), optional
        Names of the rows; the three with the largest distances are written down. By default their positions.
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
    h = numbers(leverage, "the leverages")
    r, cook = numbers(standardised, "the residuals", like=h), numbers(distance, "the distances", like=h)
    rows = np.flatnonzero(np.isfinite(h) & np.isfinite(r) & np.isfinite(cook))
    labels = rows if names is None else np.asarray(names, dtype=object)[rows]
    missing = h.size - rows.size
    h, r, cook = h[rows], r[rows], cook[rows]
    ax = axes_or_new(ax, _SIZE)
    titled(ax, title, "leverage", "standardised residual")
    points(ax, h, r)
    ax.axhline(0.0, color=GREY, linewidth=0.9, zorder=2)
    _symmetric(ax, r)
    end = min(1.05 * float(h.max(initial=1e-3)), 1.0)
    top = ax.get_ylim()[1]
    ax.set_xlim(0.0, end)
    along = np.linspace(end / 200, min(end, 1 - 1e-6), 300)
    for equal in (0.5, 1.0):
        height = np.sqrt(equal * n_fixed * (1 - along) / along)
        shown = height <= top
        if shown.any():
            for sign in (1, -1):
                ax.plot(along[shown], sign * height[shown], ":", color=VERMILLION, linewidth=1.1, zorder=3)
            ax.annotate(
                f"{equal:g}", (along[shown][0], height[shown][0]), xytext=(3, -3), textcoords="offset points",
                fontsize=SMALL, color=VERMILLION, ha="left", va="top",
            )  # fmt: skip
    largest = np.argsort(-cook, kind="stable")[:3]
    for i in largest.tolist():
        left = h[i] > 0.8 * end
        ax.annotate(
            str(labels[i]), (h[i], r[i]), xytext=(-4 if left else 4, 3), textcoords="offset points",
            ha="right" if left else "left", fontsize=SMALL, color=GREY,
        )  # fmt: skip
    note(ax, "dotted: Cook's distance of 0.5 and 1")
    if missing:
        note(ax, f"{missing:,} row{'s' * (missing > 1)} of leverage 1 not shown")
    return ax


def simulated_densities(
    observed: ArrayLike,
    simulated: ArrayLike,
    *,
    of: str = "response",
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the density of the response over those of responses simulated from the model.

    Parameters
    ----------
    observed : array-like, shape (n,)
        The response.
    simulated : array-like, shape (n, k)
        One simulated response in each column.
    of : str
        What the response is, for the label.
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
        If there is no simulated response, or matplotlib is not installed.
    """
    y = numbers(observed, "the response")
    Y = np.asarray(simulated, dtype=np.float64)
    if not Y.size:
        raise DataError("there is no simulated response to draw: simulate one or more")
    ax = axes_or_new(ax, _SIZE)
    titled(ax, title, of, "density")
    low, high = float(min(y.min(), Y.min())), float(max(y.max(), Y.max()))
    margin = 0.05 * (high - low) or 1.0
    grid = np.linspace(low - margin, high + margin, 256)
    for column in Y.T:
        ax.plot(grid, density(column, grid), color=GREY, linewidth=0.6, alpha=0.35, zorder=1)
    ax.plot(grid, density(y, grid), color=BLUE, linewidth=2.2, zorder=3)
    ax.set_ylim(bottom=0.0)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    note(ax, f"blue: the data; grey: {Y.shape[1]} simulations")
    return ax


def _pairs(x: ArrayLike, y: ArrayLike, name: str) -> tuple[Array, Array]:
    """Two columns of numbers, without the rows in which one of them is missing."""
    a = numbers(x, "the horizontal positions")
    b = numbers(y, name, like=a)
    finite = np.isfinite(a) & np.isfinite(b)
    return a[finite], b[finite]


def _symmetric(ax: Axes, y: Array) -> None:
    """Zero in the middle of the vertical axis."""
    most = 1.12 * float(np.abs(y).max(initial=0.0)) or 1.0
    ax.set_ylim(-most, most)


def _ordered_points(ax: Axes, x: Array, y: Array, lower: Array, upper: Array, *, n: int) -> None:
    """Draw sorted values over their band, those outside of it in another colour."""
    ax.fill_between(x, lower, upper, color=PALE, linewidth=0, zorder=1)
    outside = (y < lower) | (y > upper)
    for rows, colour in ((~outside, BLUE), (outside, VERMILLION)):
        ax.plot(
            x[rows], y[rows], "o", color=colour, markersize=diameter(n), markeredgewidth=0, rasterized=True,
            zorder=3,
        )  # fmt: skip
