"""Draw primer-model.svg: the primer's third model as arrows, as lines and as a covariance matrix.

Run from anywhere, with henderson[plot] installed: python docs/tutorials/primer_model.py
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch
from numpy.typing import NDArray

import henderson as hd
from henderson.report.primer import primer_numbers, primer_people

FIXED, RANDOM, RESIDUAL, INK = "#1f5fa8", "#c4561a", "#7a7a7a", "#222222"
FAMILY_MARKER = {1: "o", 2: "s"}


def draw(target: Path) -> None:
    """Fit `height ~ variant3 + (1 | family)` and draw it to an SVG file."""
    people, numbers = primer_people(), primer_numbers(primer_people())
    fit = hd.lmer("height ~ variant3 + (1 | family)", numbers)
    shifts = fit.ranef()["family"].iloc[:, 0].to_numpy()
    family_variance = float(fit.sigma**2 * fit.theta[0] ** 2)
    residual_variance = float(fit.sigma**2)

    with mpl.rc_context({"font.size": 10, "svg.hashsalt": "henderson", "text.color": INK}):
        figure = Figure(figsize=(13.2, 4.7), layout="constrained")
        arrows, lines, matrix = figure.subplots(1, 3, width_ratios=[1.15, 1.1, 1])
        _draw_arrows(arrows, list(people["variant3"]))
        _draw_lines(lines, numbers, fit.fixef.to_numpy(), shifts)
        _draw_matrix(matrix, people["family"].to_numpy(), family_variance, residual_variance)
        figure.savefig(target, metadata={"Date": None})


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    style = {
        "arrowstyle": "-|>",
        "color": colour,
        "lw": 1.4,
        "shrinkA": 0,
        "shrinkB": 0,
        "mutation_scale": 11,
    }
    axes.annotate("", xy=end, xytext=start, arrowprops=style)


def _draw_arrows(axes: Axes, letters: list[str]) -> None:
    """Who acts on whom: one fixed effect on all, one shift per family, one residual per person."""
    axes.set(xlim=(-0.1, 5.1), ylim=(-1.15, 4.35), aspect="equal")
    axes.axis("off")
    axes.set_title("What makes the five heights", loc="left", fontweight="bold")
    box = FancyBboxPatch((1.2, 3.55), 2.6, 0.55, boxstyle="round,pad=0.06", fc="white", ec=FIXED, lw=1.6)
    axes.add_patch(box)
    axes.text(2.5, 3.825, "fixed: effect of the variant", color=FIXED, ha="center", va="center")
    for i, pair in enumerate(letters):
        x = i + 0.5
        _arrow(axes, (1.7 + 0.4 * i, 3.48), (x, 2.66), FIXED)
        axes.add_patch(
            FancyBboxPatch((x - 0.3, 1.75), 0.6, 0.8, boxstyle="round,pad=0.05", fc="#f2f2f2", ec=INK)
        )
        axes.text(x, 2.33, f"$y_{i + 1}$", ha="center", va="center", fontsize=12)
        axes.text(x, 1.95, pair, ha="center", va="center", fontsize=10, color=FIXED)
        outward = -0.24 if i in (0, 3) else 0.24
        axes.text(
            x + 1.5 * outward, 0.92, f"$e_{i + 1}$", ha="center", va="center", color=RESIDUAL, fontsize=11
        )
        _arrow(axes, (x + 1.35 * outward, 1.12), (x + 0.9 * outward, 1.66), RESIDUAL)
    for family, centre, members in ((1, 1.5, (0.5, 1.5, 2.5)), (2, 4.0, (3.5, 4.5))):
        axes.add_patch(Circle((centre, -0.25), 0.33, fc="white", ec=RANDOM, lw=1.6))
        axes.text(centre, -0.25, f"$u_{family}$", ha="center", va="center", color=RANDOM, fontsize=12)
        for member in members:
            away = np.array([member - centre, 1.9])
            start = np.array([centre, -0.25]) + 0.4 * away / np.hypot(*away)
            _arrow(axes, (float(start[0]), float(start[1])), (member, 1.66), RANDOM)
        axes.text(centre, -0.72, f"family {family}", ha="center", va="center", color=RANDOM)
    axes.text(
        2.5, -1.08, "random: shifts drawn from $N(0, \\sigma_u^2)$", color=RANDOM, ha="center", va="center"
    )


def _draw_lines(axes: Axes, numbers: pd.DataFrame, fixef: NDArray, shifts: NDArray) -> None:
    """The fixed line, the families' shifted lines, and the residuals that are left."""
    axes.set_title("What the fit says", loc="left", fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(
        xlabel="variant3, standardised", ylabel="height, standardised", xlim=(-0.95, 1.85), ylim=(-1.2, 2.05)
    )
    ends = np.array([-0.85, 1.7])
    axes.plot(ends, fixef[0] + fixef[1] * ends, color=FIXED, lw=2.2)
    for shift in shifts:
        axes.plot(ends, fixef[0] + shift + fixef[1] * ends, color=RANDOM, lw=1.3, ls="--")
    people = zip(numbers["variant3"], numbers["height"], numbers["family"], strict=True)
    for xi, yi, group in people:
        fitted = fixef[0] + fixef[1] * xi + shifts[group - 1]
        axes.plot([xi, xi], [fitted, yi], color=RESIDUAL, lw=2.2)
        axes.plot(xi, yi, FAMILY_MARKER[group], color=INK, ms=5, zorder=3)
    axes.annotate(
        f"fixed: slope {fixef[1]:.2f}",
        (0.62, fixef[0] + fixef[1] * 0.62),
        (0.75, 0.05),
        color=FIXED,
        arrowprops={"arrowstyle": "-", "color": FIXED, "lw": 0.8},
    )
    for k, (where, spot) in enumerate(((0.95, (-0.3, 1.05)), (1.3, (1.0, 0.55)))):
        axes.annotate(
            f"family {k + 1}: {shifts[k]:+.2f}",
            (where, fixef[0] + shifts[k] + fixef[1] * where),
            spot,
            color=RANDOM,
            arrowprops={"arrowstyle": "-", "color": RANDOM, "lw": 0.8},
        )
    axes.plot([], [], FAMILY_MARKER[1], color=INK, label="person of family 1")
    axes.plot([], [], FAMILY_MARKER[2], color=INK, label="person of family 2")
    axes.plot([], [], color=RESIDUAL, lw=3, label="residual")
    axes.legend(loc="upper left", frameon=False, fontsize=9)


def _draw_matrix(axes: Axes, family: NDArray, family_variance: float, residual_variance: float) -> None:
    """The covariance of the five heights: V = Z G Z' + R."""
    axes.set_title("As a covariance: $V = ZGZ' + R$", loc="left", fontweight="bold")
    n = len(family)
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n + 0.65, -0.5), aspect="equal")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(n), [f"$y_{i + 1}$" for i in range(n)])
    axes.xaxis.tick_top()
    axes.set_yticks(range(n), [f"$y_{i + 1}$" for i in range(n)])
    for i in range(n):
        for j in range(n):
            shared = family[i] == family[j]
            value = shared * family_variance + (i == j) * residual_variance
            face = "#f3cdb6" if shared else "#fafafa"
            axes.add_patch(
                FancyBboxPatch((j - 0.46, i - 0.46), 0.92, 0.92, boxstyle="square,pad=0", fc=face, ec="white")
            )
            if i == j:
                axes.add_patch(
                    FancyBboxPatch(
                        (j - 0.42, i - 0.42),
                        0.84,
                        0.84,
                        boxstyle="square,pad=0",
                        fc="none",
                        ec=RESIDUAL,
                        lw=2.4,
                    )
                )
            axes.text(j, i, f"{value:.3f}" if value else "0", ha="center", va="center", fontsize=9.5)
    axes.text(-0.45, n - 0.15, f"$ZGZ'$: same family, {family_variance:.3f}", color=RANDOM, va="center")
    axes.text(
        -0.45, n + 0.3, f"$R$: on the diagonal, {residual_variance:.3f} more", color=RESIDUAL, va="center"
    )


if __name__ == "__main__":
    draw(Path(__file__).with_name("primer-model.svg"))
