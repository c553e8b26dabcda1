"""Labels in a plot that touch neither each other nor the frame.

How long a text is gets estimated from its number of letters: measuring it needs a renderer, which not every
backend of matplotlib has.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = 7.5  # of a label, in points
_LETTER = 0.62  # width of a letter, of the size


def leading_variants(
    ax: "Axes",
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    names: NDArray[Any],
    *,
    least: float,
    at_most: int,
) -> list[tuple[float, float, str]]:
    """The best variants beyond a threshold whose labels touch neither each other nor a better one's peak."""
    candidates = np.flatnonzero(y >= least)
    line = 13 / (inches(ax)[1] * 72) * float(np.ptp(ax.get_ylim()))
    chosen: list[tuple[float, float, str]] = []
    taken: list[tuple[float, float]] = []
    for i in candidates[np.argsort(-y[candidates], kind="stable")].tolist():
        if len(chosen) == at_most:
            break
        name = str(names[i])
        left, right, _ = _extent(ax, float(x[i]), name)
        free = all(
            (right < start or end < left or height - float(y[i]) > line) and not left <= at <= right
            for (at, height, _), (start, end) in zip(chosen, taken, strict=True)
        )
        if free:
            chosen.append((float(x[i]), float(y[i]), name))
            taken.append((left, right))
    return chosen


def write_label(ax: "Axes", at: float, height: float, name: str, *, above: float = 4.0) -> None:
    """Write a variant's name so many points of type above its own, inside the plot."""
    _, _, side = _extent(ax, at, name)
    ax.annotate(
        name, (at, height), xytext=(0, above), textcoords="offset points", ha=side, va="bottom",
        fontsize=_SIZE, zorder=4,
    )  # fmt: skip


def _extent(ax: "Axes", at: float, name: str) -> tuple[float, float, str]:
    """From where to where a label reaches, and its alignment: centred unless that leaves the plot."""
    left, right = ax.get_xlim()
    width = text_width(ax, name, _SIZE)
    if at - width / 2 < left:
        return at, at + width, "left"
    if at + width / 2 > right:
        return at - width, at, "right"
    return at - width / 2, at + width / 2, "center"


def text_width(ax: "Axes", text: str, size: float) -> float:
    """About how wide a text is, in units of the horizontal axis."""
    left, right = ax.get_xlim()
    return float(len(text) * _LETTER * size / (inches(ax)[0] * 72) * (right - left))


def inches(ax: "Axes") -> tuple[float, float]:
    """Width and height of the plot."""
    box = ax.get_window_extent()
    dpi = float(ax.figure.dpi)
    return float(box.width) / dpi, float(box.height) / dpi
