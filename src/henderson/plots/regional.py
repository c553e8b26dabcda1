"""A stretch of a genome scan: association around a lead variant, coloured by linkage disequilibrium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import DataError
from henderson.plots.labels import write_label
from henderson.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    VERMILLION,
    axes_or_new,
    lighter,
    numbers,
    say,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

BANDS = (
    ("0.8–1", VERMILLION),
    ("0.6–0.8", ORANGE),
    ("0.4–0.6", GREEN),
    ("0.2–0.4", SKY),
    ("0–0.2", BLUE),
)
"""Bands of r2, from the highest, and their colours."""
_UNKNOWN = "#9a9a9a"
_KB = 2e5  # base pairs up to which positions are in kb
_LINE = 6.0  # -log10 p from which a peak is high enough for the genome-wide line to be in the picture


def regional(
    position: ArrayLike,
    neg_log10_p: ArrayLike,
    r2: ArrayLike | None = None,
    *,
    lead: int,
    name: str | None = None,
    chromosome: str | None = None,
    limits: tuple[float, float] | None = None,
    threshold: float = 5e-8,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw -log10 p of the variants around a lead, in five colours by their r2 with it.

    Parameters
    ----------
    position : array-like of int, shape (m,)
        Base-pair positions, on one chromosome.
    neg_log10_p : array-like of float, shape (m,)
        -log10 of the p-values; variants without a test (NaN) are left out.
    r2 : array-like of float, shape (m,), optional
        Squared correlation of each with the lead; grey where it is NaN. Without it all are grey.
    lead : int
        Which of the m variants is the lead: the diamond.
    name : str, optional
        Of the lead.
    chromosome : str, optional
        For the axis.
    limits : (float, float), optional
        First and last base pair of the picture; by default the first and last of the variants.
    threshold : float
        Genome-wide significance, a p-value. The line is drawn where a variant comes near it.
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
        If the columns differ in length, an r2 does not lie between 0 and 1, there is no such lead, or
        matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = regional([10, 20, 30], [1.0, 9.0, 4.0], [0.1, 1.0, 0.7], lead=1, ax=Figure().add_subplot())
    >>> [entry.get_text() for entry in ax.get_legend().get_texts()]
    ['$r^2$ 0.8–1', '0.6–0.8', '0.4–0.6', '0.2–0.4', '0–0.2']
    """
    x = numbers(position, "the positions")
    y = numbers(neg_log10_p, "-log10 p", like=x)
    r = np.full(x.size, np.nan) if r2 is None else numbers(r2, "r2", like=x)
    if not 0 <= lead < x.size:
        raise DataError(f"the lead is variant {lead} of {x.size}, counted from 0: there is no such variant")
    if ((r < 0) | (r > 1)).any():
        raise DataError("r2 has values beyond 0 and 1; it is a squared correlation")
    low, high = limits if limits is not None else (float(x.min()), float(x.max()))
    if not low <= high:
        raise DataError(f"the region begins at {low:,.0f} and ends before that, at {high:,.0f}")
    ax = axes_or_new(ax, (7.0, 3.8))
    ax.set_ylabel(r"$-\log_{10}\,p$")
    if title:
        ax.set_title(title, loc="left", fontsize=10.5)
    _position_axis(ax, low, high, chromosome)
    shown = np.isfinite(y) & (x >= low) & (x <= high)
    if not shown.any():
        say(ax, "no variant was tested here")
        return ax
    line = -np.log10(threshold)
    most = float(y[shown].max())
    top = max(most, line if most > _LINE else 0.0)
    ax.set_ylim(0, 1.14 * top or 1.0)
    if line <= top:
        ax.axhline(line, color=GREY, linewidth=0.9, linestyle="--", zorder=1)
    _points(ax, x, y, r, np.flatnonzero(shown & (np.arange(x.size) != lead)))
    if shown[lead]:
        ax.plot(
            x[lead], y[lead], "D", color=PURPLE, markersize=8, markeredgecolor="black", markeredgewidth=0.8,
            clip_on=False, zorder=6,
        )  # fmt: skip
        if name:
            write_label(ax, float(x[lead]), float(y[lead]), name, above=6.5)
    if not np.isnan(r).all():
        _legend(ax)
    return ax


def _points(ax: Axes, x: Array, y: Array, r: Array, rows: NDArray[np.intp]) -> None:
    """Draw the variants, those in the strongest linkage disequilibrium on top."""
    band = np.where(np.isnan(r), -1, np.minimum(np.floor(np.nan_to_num(r) * 5 + 1e-9), 4)).astype(int)
    colours = {-1: _UNKNOWN} | {4 - k: colour for k, (_, colour) in enumerate(BANDS)}
    size = float(np.clip(8.5 - 1.4 * np.log10(max(rows.size, 1)), 3.2, 6.5))
    for level, colour in sorted(colours.items()):
        mine = rows[band[rows] == level]
        (dots,) = ax.plot(
            x[mine], y[mine], "o", color=colour, markersize=size, markeredgecolor=lighter("black", 0.15),
            markeredgewidth=0.35, rasterized=True, clip_on=False, zorder=3 + 0.1 * level,
        )  # fmt: skip
        dots.set_in_layout(False)


def _position_axis(ax: Axes, low: float, high: float, chromosome: str | None) -> None:
    """Positions in Mb or kb; with little room beside the outermost."""
    unit, shown = (1e6, "Mb") if high - low > _KB else (1e3, "kb")
    margin = 0.015 * (high - low) or 500.0
    ax.set_xlim(low - margin, high + margin)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value / unit:,.8g}".replace("-", "−"))
    ax.set_xlabel(f"position{f' on chromosome {chromosome}' if chromosome else ''} ({shown})")


def _legend(ax: Axes) -> None:
    """The five colours, from the highest r2, in a line above the picture."""
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], marker="o", linestyle="none", color=colour, markersize=6, label=name)
        for name, colour in BANDS
    ]
    marks[0].set_label(f"$r^2$ {BANDS[0][0]}")
    ax.legend(
        handles=marks, ncols=5, loc="lower right", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=SMALL,
        handletextpad=0.0, columnspacing=0.7, borderaxespad=0.1,
    )  # fmt: skip
