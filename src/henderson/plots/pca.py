"""People along principal components."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import DataError
from henderson.plots.style import GREY, SERIES, SMALL, axes_or_new, note, numbers, points, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

Array = NDArray[np.float64]

_SHAPES = "osD^vP*X<>"
_LARGEST = len(SERIES) * len(_SHAPES)
_BESIDE = 7  # groups from which the legend stands beside the picture


def pca_plot(
    scores: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    components: tuple[int, int] = (1, 2),
    share: ArrayLike | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw people along two principal components, groups in colours and shapes of their own.

    Parameters
    ----------
    scores : array-like, shape (n, k)
        One component in each column.
    groups : array-like of str, shape (n,), optional
        To which group each person belongs; grey where it is missing (None, NaN or an empty name).
    components : (int, int)
        Along and up, counted from 1.
    share : array-like, shape (k,), optional
        Share of the variance that goes with each component, for the axes.
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
        If there is no such component, the lengths differ, there are too many groups to tell apart, or
        matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axes = Figure().add_subplot()
    >>> ax = pca_plot([[0, 1], [1, 0], [2, 2]], groups=["a", "b", "b"], share=[0.5, 0.25], ax=axes)
    >>> ax.get_xlabel(), [entry.get_text() for entry in ax.get_legend().get_texts()]
    ('PC1 (50%)', ['a', 'b'])
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2:
        raise DataError(f"the scores must have one column for each component; their shape is {table.shape}")
    wrong = [k for k in components if not 1 <= k <= table.shape[1]]
    if wrong:
        raise DataError(f"there is no component {wrong[0]}: the scores have 1 to {table.shape[1]}")
    x, y = (table[:, k - 1] for k in components)
    shares = None if share is None else numbers(share, "the shares")
    if shares is not None and shares.size < max(components):
        raise DataError(f"there are {shares.size} shares, and component {max(components)} is drawn")
    ax = axes_or_new(ax, (5.0, 4.4))
    titled(ax, title, *(_axis(k, shares) for k in components))
    if groups is None:
        points(ax, x, y)
    else:
        _groups(ax, x, y, groups)
    left_out = int((~np.isfinite(x) | ~np.isfinite(y)).sum())
    if left_out:
        note(ax, f"{left_out:,} {'person' if left_out == 1 else 'people'} without scores not shown")
    return ax


def _axis(component: int, shares: Array | None) -> str:
    """What stands on an axis."""
    return f"PC{component}" + ("" if shares is None else f" ({100 * shares[component - 1]:.3g}%)")


def _groups(ax: Axes, x: Array, y: Array, groups: ArrayLike) -> None:
    """Draw each group, in a mixed order, so that none covers the others."""
    from matplotlib.colors import to_rgba_array

    given = np.asarray(groups, dtype=object).ravel().tolist()
    labels = ["" if g is None or (isinstance(g, float) and isnan(g)) else str(g) for g in given]
    if len(labels) != x.size:
        raise DataError(f"there are {len(labels)} groups for {x.size} people: give one for each")
    names = sorted(set(labels) - {""})
    if len(names) > _LARGEST:
        raise DataError(
            f"there are {len(names)} groups, and {_LARGEST} can be told apart at most: merge some of them"
        )
    places = {name: k for k, name in enumerate(names)} | {"": -1}
    code = np.array([places[label] for label in labels], dtype=np.intp)
    size = float(np.clip(46 - 10 * np.log10(max(x.size, 1)), 5, 30))
    colours = to_rgba_array([SERIES[k % len(SERIES)] for k in range(len(names))] + [GREY])
    for turn, shape in enumerate(_SHAPES):
        mine = np.flatnonzero(np.maximum(code, 0) // len(SERIES) == turn)
        # neighbours in a file are often of one group: a fixed shuffle mixes who lies on top
        mine = mine[np.random.default_rng(turn).permutation(mine.size)]
        if mine.size:
            ax.scatter(
                x[mine], y[mine], s=size, c=colours[code[mine]], marker=shape, alpha=0.75, linewidths=0,
                rasterized=True, zorder=2,
            )  # fmt: skip
    marks = [_mark(name, SERIES[k % len(SERIES)], _SHAPES[k // len(SERIES)]) for k, name in enumerate(names)]
    if (code < 0).any():
        marks.append(_mark("unknown", GREY, _SHAPES[0]))
    beside = len(marks) >= _BESIDE
    ax.legend(
        handles=marks, frameon=False, fontsize=SMALL, handletextpad=0.2, ncols=1 + (len(marks) - 1) // 24,
        loc="upper left" if beside else "best", bbox_to_anchor=(1.0, 1.0) if beside else None,
    )  # fmt: skip


def _mark(name: str, colour: str, shape: str) -> Line2D:
    """A group in the legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none", markersize=5.5, label=name, color=colour, marker=shape)
