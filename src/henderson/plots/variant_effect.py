"""A trait by the genotype at one variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import DataError
from henderson.plots.smooth import density
from henderson.plots.style import (
    BLUE,
    GREY,
    SMALL,
    VERMILLION,
    axes_or_new,
    lighter,
    note,
    numbers,
    outlined,
    points,
    say,
    shown_number,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

FEW = 1500
"""People of one genotype up to which each is a point; more are drawn as a density."""
_SPREAD = 0.36  # half the width of a genotype
_GOLDEN = 0.6180339887498949
_LONG = 6  # letters of an allele, beyond which it is shortened


def variant_effect(
    copies: ArrayLike,
    trait: ArrayLike,
    *,
    effect_allele: str,
    other_allele: str,
    beta: float | None = None,
    se: float | None = None,
    label: str = "trait",
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    r"""Draw the trait of the people with 0, 1 and 2 copies of an allele, with the fitted line.

    Of each genotype: the people (the density of more than 1,500), a box from quartile to quartile with the
    median (not of a trait with two values), the mean with its 95 % interval by Student's t, and how many
    there are. Dosages are drawn as a cloud instead. The line has the slope `beta` and runs through the means
    of copies and trait; the band around it has the slopes within one standard error.

    Parameters
    ----------
    copies : array-like, shape (n,)
        Copies of the effect allele, 0 to 2; people with NaN or a negative value, which marks a missing call,
        are left out and counted, as are those without the trait.
    trait : array-like, shape (n,)
        Its values, or what a model without the variant leaves of them.
    effect_allele, other_allele : str
        Names of the alleles.
    beta, se : float, optional
        Estimated effect of a copy and its standard error.
    label : str
        What the trait is, for the axis.
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
        If the columns differ in length, there are more than two copies, or matplotlib is not installed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axes = Figure().add_subplot()
    >>> ax = variant_effect([0, 1, 1, 2], [1, 2, 4, 5], effect_allele="A", other_allele="G", ax=axes)
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['GG\n1', 'AG\n2', 'AA\n1']
    """
    x = numbers(copies, "the copies")
    y = numbers(trait, "the trait", like=x)
    if (x > 2).any():
        raise DataError(f"a person has {float(np.nanmax(x)):g} copies of an allele; there can be two at most")
    there = np.isfinite(x) & (x >= 0) & np.isfinite(y)
    missing = int(x.size - there.sum())
    x, y = x[there], y[there]
    ax = axes_or_new(ax, (4.6, 4.0))
    counted = bool((x == np.floor(x)).all())
    titled(ax, title, "genotype" if counted else f"copies of {_short(effect_allele)}", label)
    if not x.size:
        say(ax, "nobody has both a genotype and the trait")
        return ax
    ax.set_xlim(-0.5, 2.5)
    names = _genotypes(effect_allele, other_allele)
    if counted:
        several = np.unique(y).size > 2
        for k in range(3):
            _genotype(ax, k, y[x == k], boxed=several)
        count = np.bincount(x.astype(np.intp), minlength=3).tolist()
        ax.set_xticks([0, 1, 2], [f"{name}\n{n:,}" for name, n in zip(names, count, strict=True)])
    else:
        points(ax, x, y)
        ax.set_xticks([0, 1, 2], [f"{k}\n{name}" for k, name in enumerate(names)])
    if beta is not None and np.isfinite(beta):
        _line(ax, float(x.mean()), float(y.mean()), beta, se)
    if missing:
        note(ax, f"{missing:,} {'person' if missing == 1 else 'people'} without genotype or trait not shown")
    return ax


def _short(allele: str) -> str:
    """An allele that the axis has room for."""
    return allele if len(allele) <= _LONG else f"{allele[: _LONG - 2]}…"


def _genotypes(effect: str, other: str) -> list[str]:
    """Names of the genotypes with 0, 1 and 2 copies of the effect allele."""
    between = "" if len(effect) == len(other) == 1 else "/"
    a, b = _short(effect), _short(other)
    return [f"{b}{between}{b}", f"{a}{between}{b}", f"{a}{between}{a}"]


def _genotype(ax: Axes, at: int, y: Array, *, boxed: bool) -> None:
    """Draw the people of one genotype; the box only where there are values enough for quartiles to tell."""
    if not y.size:
        return
    if y.size > FEW:
        grid = np.linspace(float(y.min()), float(y.max()), 200)
        found = density(y, grid) if grid[-1] > grid[0] else np.ones(1)
        width = _SPREAD * found / (float(found.max()) or 1.0)
        if grid[-1] > grid[0]:
            ax.fill_betweenx(
                grid, at - width, at + width, color=lighter(BLUE, 0.6), linewidth=0, rasterized=True, zorder=1
            )
    else:
        # Multiples of the golden ratio are spread evenly, however many there are.
        aside: Array = (np.arange(float(y.size)) * _GOLDEN) % 1.0 - 0.5
        points(ax, at + 2 * _SPREAD * aside * min(1.0, y.size / 40), y)
    low, middle, high = np.quantile(y, [0.25, 0.5, 0.75])
    half = 0.42 * _SPREAD
    if boxed and y.size > 3:
        from matplotlib.patches import Rectangle

        ax.add_patch(
            Rectangle(
                (at - half, low), 2 * half, high - low, facecolor=(1, 1, 1, 0.45), edgecolor="black",
                linewidth=1.0, zorder=3,
            )
        )  # fmt: skip
        ax.hlines(middle, at - half, at + half, color="black", linewidth=1.0, zorder=3)
    _mean(ax, at, y)


def _mean(ax: Axes, at: int, y: Array) -> None:
    """The mean with its interval, where there is one."""
    mean = float(y.mean())
    if y.size > 1:
        from scipy.special import stdtrit

        reach = float(stdtrit(y.size - 1, 0.975)) * float(y.std(ddof=1)) / np.sqrt(y.size)
        ax.vlines(at, mean - reach, mean + reach, color="black", linewidth=2.2, zorder=5, **outlined(4.5))
    ax.plot(at, mean, "o", color="black", markersize=6.5, markeredgecolor="white", zorder=6)


def _line(ax: Axes, x: float, y: float, beta: float, se: float | None) -> None:
    """The fitted line through (x, y), and the lines whose slope differs by a standard error."""
    along = np.linspace(-0.3, 2.3, 53)
    if se is not None and np.isfinite(se):
        reach = se * np.abs(along - x)
        middle = y + beta * (along - x)
        ax.fill_between(
            along, middle - reach, middle + reach, color=VERMILLION, alpha=0.22, linewidth=0, zorder=3.5
        )
    ax.plot(along, y + beta * (along - x), color=VERMILLION, linewidth=1.8, zorder=4, **outlined(3.4))
    text = rf"$\beta$ = {shown_number(beta)}"
    if se is not None and np.isfinite(se):
        text += f" ± {shown_number(se)}"
    ax.annotate(
        text, (1, 1), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points", ha="right",
        va="bottom", fontsize=SMALL, color=GREY,
    )  # fmt: skip
