"""The one look of all pictures of fits: colours, axes, and points that stay readable when there are many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import DataError
from henderson.io.whole_files import whole_files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

# Okabe & Ito's palette (2008): told apart by all common kinds of colour vision.
BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
ORANGE, SKY, BLACK = "#e69f00", "#56b4e9", "#000000"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
GREY, PALE = "#555555", "#d3d3d3"
MANY = 5000
"""Points from which shades of their density are drawn instead."""
SMALL = 8.5
"""Size of notes and numbers, in points of type."""
_NOTE = "note"
_DPI = 200


def axes_or_new(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The axes to draw on: those given, or some in a new figure of pyplot, which notebooks show.

    Raises
    ------
    DataError
        If matplotlib is not installed.
    """
    [panel] = panels(1, axes=None if ax is None else [ax], size=size)
    return panel


def panels(
    n: int, *, axes: Sequence[Axes] | None = None, size: tuple[float, float] = (3.6, 3.2), columns: int = 3
) -> list[Axes]:
    """The axes of a picture of `n` panels, without frames above and on the right.

    Parameters
    ----------
    n : int
    axes : sequence of matplotlib.axes.Axes, optional
        Where to draw; by default a new figure of pyplot.
    size : (float, float)
        Width and height of one panel of a new figure, in inches.
    columns : int
        Panels beside each other in a new figure, at most.

    Returns
    -------
    list of matplotlib.axes.Axes, length n

    Raises
    ------
    DataError
        For another number of axes, or if matplotlib is not installed.
    """
    if axes is None:
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise no_matplotlib() from None
        across = min(n, columns)
        down = -(-n // across)
        figure = plt.figure(figsize=(size[0] * across, size[1] * down), layout="constrained")
        found = [figure.add_subplot(down, across, k + 1) for k in range(n)]
    else:
        found = list(np.ravel(np.asarray(axes, dtype=object)))
        if len(found) != n:
            raise DataError(f"this picture has {n} panel{'s' * (n > 1)}, and {len(found)} axes were given")
    for ax in found:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=SMALL)
    return found


def no_matplotlib() -> DataError:
    """What to tell who has not installed it."""
    return DataError('Plots need matplotlib: install it with  pip install "henderson[plot]"')


def numbers(values: ArrayLike, name: str, *, like: Array | None = None) -> Array:
    """A column of numbers for a picture.

    Parameters
    ----------
    values : array-like, shape (n,)
    name : str
        For messages.
    like : ndarray, shape (n,), optional
        Another column, which it must be as long as.

    Raises
    ------
    DataError
        For another shape.
    """
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise DataError(f"{name} must be one column of numbers; it has the shape {column.shape}")
    if like is not None and column.size != like.size:
        raise DataError(f"{name} has {column.size} values where {like.size} are expected")
    return column


def titled(ax: Axes, title: str | None, x: str, y: str) -> None:
    """Write the labels of the axes, and the title on the left above."""
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if title:
        ax.set_title(title, loc="left", fontsize=10.5)


def say(ax: Axes, text: str) -> None:
    """Write why there is no picture, in lines that a small panel has room for."""
    from textwrap import fill

    lines = "\n".join(fill(line, 40) for line in text.split("\n"))
    written = ax.text(
        0.5, 0.5, lines, transform=ax.transAxes, ha="center", va="center", color=GREY, fontsize=9
    )
    written.set_in_layout(False)  # other panels keep their room
    ax.set_xticks([])
    ax.set_yticks([])


def note(ax: Axes, text: str) -> None:
    """Write a line above the plot, below its title and above earlier notes."""
    before = next((artist for artist in ax.texts if artist.get_gid() == _NOTE), None)
    if before is None:
        before = ax.annotate(
            "", (0, 1), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points", ha="left",
            va="bottom", fontsize=SMALL - 0.5, color=GREY, gid=_NOTE,
        )  # fmt: skip
    lines = [text, *filter(None, before.get_text().split("\n"))]
    before.set_text("\n".join(lines))
    ax.set_title(ax.get_title(loc="left"), loc="left", fontsize=10.5, pad=6 + 11 * len(lines))


def outlined(width: float) -> dict[str, Any]:
    """What makes a line or point stand out from points of its own colour: a white edge, `width` wide."""
    from matplotlib.patheffects import Normal, Stroke

    return {"path_effects": [Stroke(linewidth=width, foreground="white"), Normal()]}


def points(ax: Axes, x: Array, y: Array, *, colour: str = BLUE) -> None:
    """Draw points, as an image also in PDF and SVG files; more than `MANY` as shades of their density.

    Points that are not finite are left out.
    """
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if x.size <= MANY:
        alpha = float(np.clip(1.1 - 0.22 * np.log10(max(x.size, 1)), 0.3, 0.85))
        size = diameter(x.size)
        ax.plot(
            x,
            y,
            "o",
            color=colour,
            markersize=size,
            markeredgewidth=0,
            alpha=alpha,
            rasterized=True,
            zorder=2,
        )
        return
    from matplotlib.colors import LinearSegmentedColormap

    steps = np.array([lighter(colour, 0.75), lighter(colour, 0.0), darker(colour)])
    shades = LinearSegmentedColormap.from_list("density", steps)
    ax.hexbin(
        x, y, gridsize=(70, 45), bins="log", mincnt=1, cmap=shades, linewidths=0.1, rasterized=True, zorder=1
    )
    note(ax, f"darker: more of the {x.size:,} points")


def diameter(n: int) -> float:
    """Diameter of a point, in points of type: smaller where there are more."""
    return float(np.clip(7.5 - 1.2 * np.log10(max(n, 1)), 2.2, 5.5))


def lighter(colour: str, share: float) -> tuple[float, float, float]:
    """A colour mixed with white; `share` is the white's."""
    from matplotlib.colors import to_rgb

    red, green, blue = (share + (1 - share) * part for part in to_rgb(colour))
    return red, green, blue


def darker(colour: str) -> tuple[float, float, float]:
    """A colour mixed with as much black."""
    from matplotlib.colors import to_rgb

    red, green, blue = (0.5 * part for part in to_rgb(colour))
    return red, green, blue


def shown_number(value: float) -> str:
    """A number of four digits, with a true minus sign.

    >>> shown_number(-0.123456), shown_number(251.405)
    ('−0.1235', '251.4')
    """
    return f"{value:.4g}".replace("-", "−")


def own_figure(size: tuple[float, float]) -> Figure:
    """A figure of so many inches that belongs to no backend of the user's."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise no_matplotlib() from None
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_png(figure: Figure, path: Path) -> None:
    """Write a picture, which appears under its name once complete."""
    with whole_files(path) as [file]:
        figure.savefig(file, format="png", dpi=_DPI)
