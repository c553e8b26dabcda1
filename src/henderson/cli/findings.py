"""What the commands say about a trait: the model without a variant, and what its scan found."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from henderson.linalg.inflation import lambda_gc

if TYPE_CHECKING:
    import pandas as pd

    from henderson.fit import Heritability
    from henderson.lmm import LmerResult

GENOME_WIDE = 5e-8
#: What a summary needs of a scan's table.
NEEDED = (
    "chromosome", "base_pair_location", "effect_allele", "other_allele", "beta", "standard_error",
    "effect_allele_frequency", "neg_log_10_p_value", "rsid", "status",
)  # fmt: skip
_SHOWN = 5


def null_lines(fit: LmerResult) -> list[str]:
    """The model without a variant in two lines, then what there is to note."""
    if any(term.group == "iid" for term in fit.varcorr) and len(fit.varcorr) == 1:
        first = heritability_line(fit.heritability())
    else:
        parts = [f"{term.label} {v:.4g}" for term in fit.varcorr for v in np.diag(term.covariance)]
        first = f"variances: {', '.join([*parts, f'residual {fit.sigma**2:.4g}'])}"
    return [first, f"fixed effects: {', '.join(fit.fixef.index)}", *fit.notices]


def heritability_line(h: Heritability) -> str:
    """Heritability and variances in one line."""
    return (
        f"h2 {_with_error(h.h2, h.h2_se)}, share of sample variance {_with_error(h.pve, h.pve_se)}; "
        f"vg {h.genetic_variance:.4g}, ve {h.residual_variance:.4g}; p {h.p_value:.3g} for vg = 0"
    )


def _with_error(value: float, error: float) -> str:
    return f"{value:.4f}" if isnan(error) else f"{value:.4f} (SE {error:.3g})"


def scan_lines(table: pd.DataFrame, n_people: int) -> list[str]:
    """What a scan found: how many were tested, inflation, hits; every status counted; the best variants."""
    tails = table["neg_log_10_p_value"].to_numpy(dtype=np.float64, na_value=np.nan)
    tested = ~np.isnan(tails)
    first = f"{tested.sum():,} of {len(table):,} variants tested in {n_people:,} people"
    if tested.any():
        hits = int((tails[tested] > -np.log10(GENOME_WIDE)).sum())
        first += f"; {hits:,} with p < {GENOME_WIDE:g}; lambda_GC {lambda_gc(tails):.4f}"
    lines = [first, _counted(table["status"][tested])]
    if not tested.all():
        lines.append(f"not tested: {_counted(table['status'][~tested])}")
    if tested.any():
        lines.append(f"smallest p-values\n{_best(table[tested])}")
    return [line for line in lines if line]


def _counted(status: pd.Series[str]) -> str:
    return ", ".join(f"{count:,} {words}" for words, count in status.value_counts().items())


def _best(table: pd.DataFrame) -> str:
    """The variants with the smallest p-values."""
    best = table.nlargest(_SHOWN, "neg_log_10_p_value")
    shown = {
        "rsid": best["rsid"],
        "chr": best["chromosome"],
        "position": best["base_pair_location"],
        "effect/other": best["effect_allele"] + "/" + best["other_allele"],
        "frequency": best["effect_allele_frequency"].map("{:.3f}".format),
        "beta": best["beta"].map("{:.4g}".format),
        "SE": best["standard_error"].map("{:.3g}".format),
        "p": best["neg_log_10_p_value"].map(_p_value),
    }
    frame = best[[]].assign(**shown)
    return frame.to_string(index=False)


def _p_value(tail: float) -> str:
    """A p-value, also one that a double cannot hold."""
    return f"{10.0**-tail:.3g}" if tail < 300.0 else f"1e-{tail:.0f}"
