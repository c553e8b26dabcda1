"""Pictures of a relationship matrix: all of it, and how closely pairs are related."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import DataError
from henderson.plots.style import (
    BLUE,
    GREY,
    SMALL,
    VERMILLION,
    axes_or_new,
    note,
    own_figure,
    save_png,
    say,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

Array = NDArray[np.float64]
Index = NDArray[np.intp]

CLUSTERED = 2000
"""People up to which all are clustered; of more, as many, and the others stand beside their closest."""
BINNED = 2000
"""People up to which each has a row of the picture."""
_CELLS = 1000
_NAMED = 45
_BINS = 240
_ROWS = 512  # at a time
DEGREES = (("duplicate, twin", 1.0), ("1st degree", 0.5), ("2nd", 0.25), ("3rd", 0.125))
"""Expected relationships, twice the kinship coefficient. The limits between them are the geometric means."""


def relationship_map(
    matrix: ArrayLike,
    *,
    order: Literal["cluster", "given"] = "cluster",
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a relationship matrix as colours; the people sorted so that relatives are neighbours.

    They are sorted by average linkage of their relationships. Of more than 2,000 people, as many, evenly
    spread, are sorted, and each other person stands beside the one of these most related to them; each cell
    of the picture then is the mean over several people. Colours end at the 99.9th percentile of the
    relationships between two people.

    Parameters
    ----------
    matrix : array-like, shape (n, n)
        Relationships; symmetric.
    order : {"cluster", "given"}
        Sorted, or as the rows are.
    names : sequence of str, length n, optional
        Of the people; up to 45 are written at the side.
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
        If the matrix is not square or not finite, for another order, or if matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> G = [[1, 0, 0.5], [0, 1, 0], [0.5, 0, 1]]
    >>> ax = relationship_map(G, names=["ann", "bob", "cleo"], ax=Figure().add_subplot())
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['bob', 'ann', 'cleo']
    """
    G = _square(matrix)
    n = len(G)
    if order not in ("cluster", "given"):
        raise DataError(f"order is {order!r}; it can be 'cluster' or 'given'")
    if names is not None and len(names) != n:
        raise DataError(f"there are {len(names)} names for {n} people")
    ax = axes_or_new(ax, (5.4, 4.6))
    titled(ax, title, "", "")
    if n < 2:
        say(ax, "there are no two people")
        return ax
    rows = np.arange(n) if order == "given" else clustered(G)
    if n > BINNED:
        edges = np.linspace(0, n, _CELLS + 1).astype(np.intp)
        image = _binned(G, rows, edges)
        note(ax, f"{n:,} people, each cell the mean of {n / _CELLS:.3g} x {n / _CELLS:.3g}")
    else:
        image = G[np.ix_(rows, rows)]
        note(ax, f"{n:,} people")
    top = _scale(G)
    drawn = ax.imshow(
        image, cmap=_colours(), vmin=-top, vmax=top, extent=(0, n, n, 0), aspect="equal", interpolation="none"
    )
    ax.spines[["top", "right"]].set_visible(True)
    bar = ax.figure.colorbar(drawn, ax=ax, extend="both", shrink=0.85, pad=0.02)
    bar.set_label("relationship", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    if names is not None and n <= _NAMED:
        ax.set_yticks(np.arange(n) + 0.5, [str(names[i]) for i in rows.tolist()])
        ax.set_xticks([])
    else:
        ax.set_xticks([])
        ax.set_yticks([])
    return ax


def relationship_histogram(matrix: ArrayLike, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw how many pairs of people are how closely related, the counts on a logarithmic axis.

    Lines mark what is expected of relatives of the first, second and third degree: 1/2, 1/4 and 1/8 (twice
    the kinship coefficient). Above stands how many pairs lie nearest to each on a logarithmic scale:
    relationships beyond 0.71, 0.35, 0.18 and 0.088, as in Manichaikul et al. (2010), Bioinformatics
    26:2867-2873.

    Parameters
    ----------
    matrix : array-like, shape (n, n)
        Relationships; symmetric. Only those of two different people count.
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
        If the matrix is not square or not finite, or matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = relationship_histogram([[1, 0.5], [0.5, 1]], ax=Figure().add_subplot())
    >>> ax.get_ylabel(), ax.get_yscale()
    ('pairs of people', 'log')
    """
    G = _square(matrix)
    n = len(G)
    ax = axes_or_new(ax, (5.6, 3.6))
    titled(ax, title, "relationship", "pairs of people")
    if n < 2:
        say(ax, "there are no two people")
        return ax
    low = min(float(pairs.min()) for pairs in _pairs(G))
    high = max(float(pairs.max()) for pairs in _pairs(G))
    low, high = min(low, 0.0), max(high, 0.55)
    edges = np.linspace(low, high, _BINS + 1)
    limits = [expected / np.sqrt(2.0) for _, expected in DEGREES]
    count, beyond = np.zeros(_BINS, dtype=np.int64), np.zeros(len(limits), dtype=np.int64)
    for pairs in _pairs(G):
        count += np.histogram(pairs, edges)[0]
        beyond += [np.count_nonzero(pairs > limit) for limit in limits]
    ax.stairs(count, edges, fill=True, color=BLUE, baseline=0.5)
    ax.set_yscale("log")
    ax.set_ylim(0.5, 2.0 * float(count.max()))
    ax.set_xlim(low - 0.01 * (high - low), high + 0.01 * (high - low))
    each = np.diff(np.concatenate([[0], beyond]))
    for (name, expected), pairs_of in zip(DEGREES, each.tolist(), strict=True):
        if expected > high:
            continue
        ax.axvline(expected, color=VERMILLION, linewidth=1.0, linestyle=":", zorder=3)
        text = f"{name}: {pairs_of:,}"
        ax.annotate(
            text, (expected, 1), xycoords=("data", "axes fraction"), xytext=(3, -3), rotation=90,
            textcoords="offset points", ha="left", va="top", fontsize=SMALL, color=GREY,
        )  # fmt: skip
    note(ax, "dotted: expected of relatives, and how many pairs are nearest to it")
    note(ax, f"{n * (n - 1) // 2:,} pairs of {n:,} people")
    return ax


def clustered(matrix: Array) -> Index:
    """An order of the people in which relatives are neighbours, shape (n,).

    Average linkage (UPGMA) of the relationships, which need not be distances: the most related first.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)

    Examples
    --------
    >>> clustered(np.array([[1, 0, 0.5], [0, 1, 0], [0.5, 0, 1.0]])).tolist()
    [1, 0, 2]
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    n = len(matrix)
    chosen = np.unique(np.linspace(0, n - 1, min(n, CLUSTERED)).round().astype(np.intp))
    near = matrix[np.ix_(chosen, chosen)]
    far = float(near.max()) - near
    np.fill_diagonal(far, 0.0)
    place = np.empty(chosen.size, dtype=np.intp)
    place[leaves_list(linkage(squareform(far, checks=False), method="average"))] = np.arange(chosen.size)
    beside = np.concatenate([matrix[k : k + _ROWS][:, chosen].argmax(axis=1) for k in range(0, n, _ROWS)])
    beside[chosen] = np.arange(chosen.size)
    return np.argsort(place[beside], kind="stable")


def _square(matrix: ArrayLike) -> Array:
    G = np.asarray(matrix, dtype=np.float64)
    if G.ndim != 2 or G.shape[0] != G.shape[1]:
        raise DataError(f"a relationship matrix is square; its shape is {G.shape}")
    if not np.isfinite(G.sum()) and not np.isfinite(G).all():
        raise DataError("the relationship matrix has values that are missing or infinite")
    return G


def _pairs(G: Array) -> Iterator[Array]:
    """The relationships of all pairs of different people, in pieces."""
    for start in range(0, len(G), _ROWS):
        piece = G[start : start + _ROWS, : start + _ROWS]
        rows, columns = np.arange(start, start + len(piece)), np.arange(piece.shape[1])
        pairs = piece[rows[:, None] > columns]
        if pairs.size:
            yield pairs


def _scale(G: Array) -> float:
    """Where the colours end: a high percentile of the relationships of pairs, from some of the rows."""
    n = len(G)
    rows = np.unique(np.linspace(0, n - 1, min(n, _CELLS)).round().astype(np.intp))
    others = np.abs(G[rows])
    others[np.arange(rows.size), rows] = 0.0
    return float(np.quantile(others, 0.999)) or 1.0


def _binned(G: Array, rows: Index, edges: Index) -> Array:
    """Means over squares of people, sorted by `rows`, between the edges."""
    across = np.diff(edges).astype(np.float64)
    cells = np.empty((across.size, across.size))
    for k, (first, last) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        total = G[rows[first:last]].sum(axis=0)[rows]
        cells[k] = np.add.reduceat(total, edges[:-1]) / (across[k] * across)
    return cells


def _colours() -> Colormap:
    """Less related than average blue, more so red, white between."""
    from matplotlib.colors import LinearSegmentedColormap

    steps = [(0.0, BLUE), (0.5, "white"), (0.8, VERMILLION), (1.0, "#5a2700")]
    return LinearSegmentedColormap.from_list("relationship", steps)


def save_plots(matrix: ArrayLike, prefix: str | Path) -> tuple[Path, Path]:
    """Draw both pictures of a relationship matrix into ``PREFIX.map.png`` and ``PREFIX.histogram.png``.

    Parameters
    ----------
    matrix : array-like, shape (n, n)
        Relationships; symmetric.
    prefix : str or Path
        How the names of the files begin.

    Returns
    -------
    (Path, Path)
        The files.

    Raises
    ------
    DataError
        If matplotlib is not installed, or a file cannot be written.
    """
    paths = Path(f"{prefix}.map.png"), Path(f"{prefix}.histogram.png")
    for draw, size, path in zip(
        (relationship_map, relationship_histogram), ((6.0, 5.0), (6.0, 4.0)), paths, strict=True
    ):
        figure = own_figure(size)
        draw(matrix, ax=figure.add_subplot())
        save_png(figure, path)
    return paths
