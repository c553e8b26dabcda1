"""Where the variants of a scan lie on the horizontal axis, and which of a million points to draw."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_UNPLACED = {"", "0", "-9", ".", "UN", "NA"}
_AFTER_NUMBERS = {"X": 0, "Y": 1, "XY": 2, "PAR1": 2, "PAR2": 2, "MT": 3, "M": 3}
_GAP = 0.006  # between chromosomes, of the length of the genome
_NARROWEST = 0.008  # chromosome, of the length of the genome


@dataclass(frozen=True, slots=True, eq=False)
class GenomeAxis:
    """A scan's variants on one axis, chromosome after chromosome.

    Attributes
    ----------
    x : ndarray of float64, shape (m,)
        Where each variant lies. With one chromosome the base-pair position; with several, in units of the
        genome's length, each chromosome as long as the stretch from its first variant to its last.
    code : ndarray of int, shape (m,)
        Each variant's chromosome, as an index into the others.
    names : list of str
        The chromosomes, in natural order, without ``chr``.
    centres : ndarray of float64, shape (c,)
        The middle of each chromosome.
    placed : bool
        Whether ``x`` is a base-pair position: one chromosome, and not all positions the same.
    """

    x: NDArray[np.float64]
    code: NDArray[np.intp]
    names: list[str]
    centres: NDArray[np.float64]
    placed: bool


def natural_order(name: str) -> tuple[Any, ...]:
    """Key that sorts chromosomes: 1 to 22, X, Y, MT, all others, and last what has no place.

    Parameters
    ----------
    name : str
        A chromosome, with or without ``chr``.

    Returns
    -------
    tuple
        The key.

    Examples
    --------
    >>> sorted(["0", "MT", "chr10", "X", "2", "scaffold_10", "scaffold_9", "Y"], key=natural_order)
    ['2', 'chr10', 'X', 'Y', 'MT', 'scaffold_9', 'scaffold_10', '0']
    """
    bare = _bare(name).upper()
    if bare in _UNPLACED:
        return (3,)
    if bare.isdecimal():
        return (0, int(bare))
    if bare in _AFTER_NUMBERS:
        return (1, _AFTER_NUMBERS[bare], bare)
    return (
        2,
        *((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", bare)),
    )


def genome_axis(chromosome: ArrayLike, position: ArrayLike) -> GenomeAxis:
    """Lay the chromosomes one behind the other.

    Positions may be negative. Where all of a chromosome's positions are the same (unplaced variants), its
    variants are spread evenly, in their order.

    Parameters
    ----------
    chromosome : array-like of str, shape (m,)
        Names of the chromosomes.
    position : array-like of int, shape (m,)
        Base-pair positions.

    Returns
    -------
    GenomeAxis
        The place of every variant.

    Examples
    --------
    >>> axis = genome_axis(["2", "10", "2"], [5, 7, 9])
    >>> axis.names, axis.code.tolist(), axis.placed
    (['2', '10'], [0, 1, 0], False)
    """
    import pandas as pd

    found, levels = pd.factorize(np.asarray(chromosome, dtype=object))
    names = [str(level) for level in levels]
    order = sorted(range(len(names)), key=lambda i: natural_order(names[i]))
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    code = rank[found]
    names = [_bare(names[i]) for i in order]
    x = np.asarray(position, dtype=np.float64).copy()
    counts = np.bincount(code, minlength=len(names))
    rows = np.split(np.argsort(code, kind="stable"), np.cumsum(counts)[:-1])
    low = np.array([x[r].min() for r in rows])
    span = np.array([x[r].max() for r in rows]) - low
    if len(names) == 1:
        placed = bool(span[0] > 0)
        return GenomeAxis(x if placed else np.arange(1.0, len(x) + 1), code, names, np.zeros(1), placed)
    for i in np.flatnonzero((span == 0) & (counts > 1)).tolist():
        x[rows[i]] = np.arange(counts[i])
        low[i], span[i] = 0, counts[i] - 1
        scale = _typical_spacing(span, counts, i)
        x[rows[i]] *= scale
        span[i] *= scale
    width = span / max(span.sum(), 1.0)
    width = np.maximum(width, _NARROWEST)
    start = np.concatenate([[0.0], np.cumsum(width + _GAP)[:-1]])
    inside = np.divide(x - low[code], span[code], out=np.full(len(x), 0.5), where=span[code] > 0)
    return GenomeAxis(start[code] + inside * width[code], code, names, start + width / 2, False)


def thinned(
    x: NDArray[np.float64], y: NDArray[np.float64], *, keep_above: float, columns: int, rows: int
) -> NDArray[np.intp]:
    """Choose points to draw: all that matter, and of those below one per cell of a grid.

    Parameters
    ----------
    x, y : ndarray of float64, shape (m,)
        The points; finite.
    keep_above : float
        Every point at least this high is kept.
    columns, rows : int
        Cells of the grid, along x and along y from 0 to ``keep_above``.

    Returns
    -------
    ndarray of int
        Indices of the points to draw, in increasing order; the same for the same points.

    Examples
    --------
    >>> y = np.array([0.1, 0.1, 3.0, 3.0])
    >>> thinned(np.zeros(4), y, keep_above=2.5, columns=10, rows=10).tolist()
    [1, 2, 3]
    """
    low = y < keep_above
    points = np.flatnonzero(low)
    if not points.size:
        return np.arange(len(y))
    a, b = x[points], y[points]
    extent = float(x.max() - x.min()) or 1.0
    column = np.minimum(((a - x.min()) * (columns / extent)).astype(np.intp), columns - 1)
    row = np.clip((b * (rows / keep_above)).astype(np.intp), 0, rows - 1)
    last = np.full(columns * rows, -1, dtype=np.intp)
    last[column * rows + row] = points
    kept = ~low
    kept[last[last >= 0]] = True
    return np.flatnonzero(kept)


def _bare(name: str) -> str:
    """The name without ``chr``."""
    return name[3:] if name[:3].lower() == "chr" and len(name) > 3 else name


def _typical_spacing(span: NDArray[np.float64], counts: NDArray[np.intp], i: int) -> float:
    """Base pairs between neighbours on the other chromosomes."""
    others = (np.arange(len(span)) != i) & (span > 1) & (counts > 1)
    return float(span[others].sum() / counts[others].sum()) if others.any() else 1.0
