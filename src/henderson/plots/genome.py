"""Manhattan and quantile-quantile plots of a genome scan."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import DataError
from henderson.linalg.inflation import lambda_gc
from henderson.plots.genome_axis import GenomeAxis, genome_axis, thinned
from henderson.plots.labels import inches, leading_variants, text_width, write_label
from henderson.plots.style import GREY, VERMILLION, axes_or_new, own_figure, save_png, say

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_DARK, _LIGHT = "#1f4e79", "#5b9bd5"  # two blues: told apart by lightness, whatever the eyes
_ALWAYS = 2.5  # -log10 p from which every variant is drawn
_THRESHOLD = 5e-8
_FEW = 1000  # variants: with fewer, a genome-wide threshold would only make empty space
_MANY = 500_000  # variants: with more, Bonferroni's line falls onto the genome-wide one


def manhattan(
    chromosome: ArrayLike,
    position: ArrayLike,
    neg_log10_p: ArrayLike,
    *,
    rsid: ArrayLike | None = None,
    ax: "Axes | None" = None,
    threshold: float = _THRESHOLD,
    n_labels: int = 8,
    title: str | None = None,
) -> "Axes":
    """Draw -log10 p of every variant along the genome.

    Every variant with -log10 p of 2.5 or more is drawn; below, where a million points are a solid band, one
    per cell of a fine grid. The points are an image also in PDF and SVG files.

    Parameters
    ----------
    chromosome : array-like of str, shape (m,)
        Names of the chromosomes.
    position : array-like of int, shape (m,)
        Base-pair positions.
    neg_log10_p : array-like of float, shape (m,)
        -log10 of the p-values; NaN for variants without a test, which are counted in a note.
    rsid : array-like of str, shape (m,), optional
        Names of the variants: the best variants beyond the threshold get a label.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure of pyplot.
    threshold : float
        Genome-wide significance, a p-value. Up to 500,000 variants there is Bonferroni's line, too.
    n_labels : int
        How many labels at most; they never overlap.
    title : str, optional
        Above, on the left.

    Returns
    -------
    matplotlib.axes.Axes
        The plot.

    Raises
    ------
    DataError
        If matplotlib is not installed, or the arrays differ in length.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = manhattan(["1", "2", "X"], [10, 20, 30], [1.0, 9.0, 0.5], ax=Figure().add_subplot())
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['1', '2', 'X']
    """
    y = np.asarray(neg_log10_p, dtype=np.float64).ravel()
    chromosomes, positions = np.asarray(chromosome, dtype=object), np.asarray(position)
    names = None if rsid is None else np.asarray(rsid, dtype=object)
    lengths = {len(part) for part in (chromosomes, positions, y, names) if part is not None}
    if len(lengths) > 1:
        raise DataError(f"chromosome, position and -log10 p differ in length: {sorted(lengths)}.")
    ax = axes_or_new(ax, (10, 4))
    ax.set_ylabel(r"$-\log_{10}\,p$")
    if title:
        ax.set_title(title, loc="left", fontsize=11)
    tested = ~np.isnan(y)
    if not tested.any():
        say(ax, "no variant was tested")
        return ax
    y = y[tested]
    place = genome_axis(chromosomes[tested], positions[tested])
    y, beyond = _finite(y)
    left, right = float(place.x.min()), float(place.x.max())
    margin = 0.015 * (right - left) or 0.5
    ax.set_xlim(left - margin, right + margin)
    top = _lines(ax, y, threshold)
    ax.set_ylim(0, top * 1.12)
    ax.figure.canvas.figure.draw_without_rendering()  # the layout: how long a text is depends on it
    labels = (
        []
        if names is None
        else leading_variants(ax, place.x, y, names[tested], least=-np.log10(threshold), at_most=n_labels)
    )
    ax.set_ylim(0, top * (1.12 if labels else 1.05))
    _points(ax, place, y, top)
    for at, height, name in labels:
        write_label(ax, at, height, name)
    _genome_ticks(ax, place)
    notes = [f"{_counted((~tested).sum())} without a test not shown"] if not tested.all() else []
    notes += [f"{beyond:,} with p = 0 at the top"] if beyond else []
    if notes:
        ax.annotate(
            "; ".join(notes),
            xy=(1, 0),
            xycoords="axes fraction",
            xytext=(0, -34),
            textcoords="offset points",
            ha="right",
            va="baseline",
            fontsize=7.5,
            color=GREY,
        )
    return ax


def qq(neg_log10_p: ArrayLike, *, ax: "Axes | None" = None, title: str | None = None) -> "Axes":
    r"""Draw the ordered -log10 p against what is expected under the null.

    The band holds each order statistic of m independent uniform p-values with a probability of 95 %,
    pointwise. Linkage disequilibrium makes variants dependent, which widens the true one.

    Parameters
    ----------
    neg_log10_p : array-like of float, shape (m,)
        -log10 of the p-values; NaN for variants without a test, which are counted in the corner.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure of pyplot.
    title : str, optional
        Above, on the left.

    Returns
    -------
    matplotlib.axes.Axes
        The plot.

    Raises
    ------
    DataError
        If matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = qq([0.1, 0.5, 2.0], ax=Figure().add_subplot())
    >>> ax.get_xlabel()
    'expected $-\\log_{10}\\,p$'
    """
    from scipy.special import betaincinv

    y = np.asarray(neg_log10_p, dtype=np.float64).ravel()
    ax = axes_or_new(ax, (4.5, 4.5))
    ax.set_xlabel(r"expected $-\log_{10}\,p$")
    ax.set_ylabel(r"observed $-\log_{10}\,p$")
    if title:
        ax.set_title(title, loc="left", fontsize=11)
    dropped = int(np.isnan(y).sum())
    y = np.sort(y[~np.isnan(y)])[::-1]
    m = len(y)
    if not m:
        say(ax, "no variant was tested")
        return ax
    inflation = lambda_gc(y)
    y, beyond = _finite(y)
    expected = -np.log10((np.arange(m) + 0.5) / m)
    rank = np.unique(np.geomspace(1, m, 300).round())
    along = -np.log10((rank - 0.5) / m)
    lower, upper = (-np.log10(betaincinv(rank, m - rank + 1, q)) for q in (0.975, 0.025))
    ax.fill_between(along, lower, upper, color="#cccccc", linewidth=0, zorder=1)
    end = float(expected[0]) * 1.04 + 0.02
    ax.plot([0, end], [0, end], color=GREY, linewidth=0.8, zorder=2)
    kept = thinned(expected, y, keep_above=_ALWAYS, columns=1000, rows=1)
    _dots(ax, expected[kept], y[kept], _DARK, m)
    ax.set_xlim(0, end)
    ax.set_ylim(0, max(float(y[0]), float(upper[0])) * 1.05)
    text = rf"$\lambda_\mathrm{{GC}}$ = {inflation:.3f}" + f"\n{_counted(m)}"
    text += f"\n{dropped:,} without a test" if dropped else ""
    text += f"\n{beyond:,} with p = 0 at the top" if beyond else ""
    text += "\ngrey: 95% under the null"
    ax.text(0.04, 0.98, text, transform=ax.transAxes, ha="left", va="top", fontsize=9, linespacing=1.4)
    return ax


def save_plots(table: "pd.DataFrame", prefix: str | Path, *, title: str | None = None) -> tuple[Path, Path]:
    """Draw both plots of a scan into ``PREFIX.manhattan.png`` and ``PREFIX.qq.png``.

    Parameters
    ----------
    table : pandas.DataFrame
        A scan's table; of its columns, ``chromosome``, ``base_pair_location``, ``neg_log_10_p_value`` and,
        if it is there, ``rsid``.
    prefix : str or Path
        How the names of the files begin.
    title : str, optional
        Above the plots, such as the trait's name.

    Returns
    -------
    (Path, Path)
        The files.

    Raises
    ------
    DataError
        If matplotlib is not installed, or a file cannot be written.
    """
    logs = table["neg_log_10_p_value"].to_numpy(dtype=np.float64, na_value=np.nan)
    wide, square = own_figure((10, 4)), own_figure((4.5, 4.5))
    rsid = table["rsid"].to_numpy(dtype=object) if "rsid" in table else None
    where = table["chromosome"].to_numpy(dtype=object), table["base_pair_location"].to_numpy()
    manhattan(*where, logs, rsid=rsid, ax=wide.add_subplot(), title=title)
    qq(logs, ax=square.add_subplot(), title=title)
    paths = Path(f"{prefix}.manhattan.png"), Path(f"{prefix}.qq.png")
    for figure, path in zip((wide, square), paths, strict=True):
        save_png(figure, path)
    return paths


def _counted(m: int) -> str:
    """That many variants, in words."""
    return f"{m:,} variant" + ("" if m == 1 else "s")


def _size(m: int) -> float:
    """Diameter of a point, in points of type: smaller where there are more."""
    return float(np.clip(6.5 - 0.9 * np.log10(m), 1.8, 5.0))


def _finite(y: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Put infinite values a little above the finite ones; how many there are."""
    infinite = np.isinf(y)
    if not infinite.any():
        return y, 0
    rest = y[~infinite]
    return np.where(infinite, max(1.0, 1.05 * float(rest.max(initial=1.0))), y), int(infinite.sum())


def _lines(ax: "Axes", y: NDArray[np.float64], threshold: float) -> float:
    """Draw the thresholds that fit, with a legend above the plot; how far up the plot must reach."""
    m = len(y)
    power = f"{threshold:.0e}".split("e")
    lines = [(-np.log10(threshold), "--", rf"${power[0]} \times 10^{{{int(power[1])}}}$", m >= _FEW)]
    if m <= _MANY:
        lines.append((-np.log10(0.05 / m), ":", f"0.05 / {_counted(m)}", True))
    top = max([float(y.max()), *(height for height, _, _, wanted in lines if wanted)])
    for height, style, name, _ in lines:
        if height <= top:
            ax.axhline(height, color=VERMILLION, linewidth=1.0, linestyle=style, label=name, zorder=1)
    ax.legend(
        loc="lower right", bbox_to_anchor=(1, 1.0), ncols=2, frameon=False, fontsize=8.5, borderaxespad=0.1
    )
    return float(top)


def _points(ax: "Axes", place: GenomeAxis, y: NDArray[np.float64], top: float) -> None:
    """Draw the variants, in two colours that take turns."""
    # Cells of about half a point's diameter, at the resolution of print.
    width, height = inches(ax)
    cells, rows = max(int(width * 150), 100), max(int(height * 150 * min(_ALWAYS / top, 1)), 3)
    kept = thinned(place.x, y, keep_above=_ALWAYS, columns=cells, rows=rows)
    for parity, colour in enumerate((_DARK, _LIGHT)):
        mine = kept[place.code[kept] % 2 == parity]
        _dots(ax, place.x[mine], y[mine], colour, len(y))


def _dots(ax: "Axes", x: NDArray[np.float64], y: NDArray[np.float64], colour: str, m: int) -> None:
    """Draw points: as an image, and whole where they touch the axes."""
    (dots,) = ax.plot(
        x,
        y,
        "o",
        color=colour,
        markersize=_size(m),
        markeredgewidth=0,
        rasterized=True,
        zorder=3,
        clip_on=False,
    )
    dots.set_in_layout(False)


def _genome_ticks(ax: "Axes", place: GenomeAxis) -> None:
    """Name the chromosomes where there is room, or the positions on the only one."""
    if len(place.names) == 1:
        name = place.names[0]
        if not place.placed:
            ax.set_xlabel("Variants in the order of the file")
            return
        wide = np.ptp(place.x) >= 2e6
        unit, name_of_unit = (1e6, "Mb") if wide else (1e3, "kb")
        ax.xaxis.set_major_formatter(lambda value, _: f"{value / unit:,.6g}".replace("-", "−"))
        ax.set_xlabel(f"Position on chromosome {name} ({name_of_unit})")
        return
    ax.set_xlabel("Chromosome")
    shown, end = [], -np.inf
    for centre, name in zip(place.centres, place.names, strict=True):
        half = text_width(ax, name, 8) / 2
        if centre - half > end:
            shown.append((centre, name))
            end = centre + half * 1.15
    ax.set_xticks([centre for centre, _ in shown], [name for _, name in shown])
    ax.tick_params(axis="x", length=0, labelsize=8)
