"""`ScanResult`: the table of a genome scan, its pictures and its files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from henderson.linalg.inflation import lambda_gc
from henderson.lmm import LmerResult

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from henderson.association.scanners import Columns
    from henderson.association.stages import Estimates


@dataclass(frozen=True, slots=True, eq=False)
class ScanResult:
    """One trait's scan. Made by `scan`.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per variant in the order of the genotypes; `scan` describes the columns.
    null : LmerResult
        The model without a variant, by REML; with a relationship, ``null.heritability()`` of the whole genome.
    estimates : tuple of Estimates
        Variance components behind the tests: with each relationship that was used; see `components`.
    notices : tuple of str
        Who was matched, what was left out and why.
    """

    table: pd.DataFrame
    null: LmerResult
    estimates: tuple[Estimates, ...]
    notices: tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"<ScanResult of {self.null.nobs} people: {self.n_tested} of {len(self.table)} variants tested>"
        )

    @property
    def n_tested(self) -> int:
        """Number of variants that were tested."""
        return int(self.table["p_value"].notna().sum())

    @property
    def lambda_gc(self) -> float:
        """Genomic inflation: median chi-squared of the Wald p-values over its median under the null."""
        return lambda_gc(self.table["neg_log_10_p_value"].to_numpy())

    @property
    def components(self) -> pd.DataFrame:
        """REML estimates without a variant, a row for each relationship that was used.

        Columns ``chromosome`` (left out; empty where none was), ``h2``, ``genetic_variance``,
        ``residual_variance``, ``log_likelihood`` (restricted).
        """
        import pandas as pd

        names = ("chromosome", "h2", "genetic_variance", "residual_variance", "log_likelihood")
        return pd.DataFrame({name: [getattr(each, name) for each in self.estimates] for name in names})

    @property
    def plot(self) -> ScanPlots:
        """Pictures: ``plot.manhattan()`` and ``plot.qq()``."""
        return ScanPlots(self.table)

    def top(self, n: int = 10) -> pd.DataFrame:
        """The n variants with the smallest p-values, smallest first; of those that were tested."""
        return self.table.dropna(subset="neg_log_10_p_value").nlargest(n, "neg_log_10_p_value")

    def to_gwas_ssf(self, path: str | Path) -> None:
        """Write the table as GWAS-SSF, gzipped if the name ends in .gz; it appears once complete."""
        from henderson.io.scan_files import write_gwas_ssf

        write_gwas_ssf(self.table, path)


@dataclass(frozen=True, slots=True, eq=False)
class ScanPlots:
    """Pictures of a scan's table; each takes and gives matplotlib axes."""

    table: pd.DataFrame

    def manhattan(self, *, ax: Axes | None = None, **options: Any) -> Axes:
        """-log10 p along the genome. ``options`` go to `henderson.plots.genome.manhattan`."""
        from henderson.plots.genome import manhattan

        t = self.table
        return manhattan(
            t["chromosome"].to_numpy(),
            t["base_pair_location"].to_numpy(),
            t["neg_log_10_p_value"].to_numpy(),
            rsid=t["rsid"].to_numpy(),
            ax=ax,
            **options,
        )

    def qq(self, *, ax: Axes | None = None, **options: Any) -> Axes:
        """Observed against expected -log10 p. ``options`` go to `henderson.plots.genome.qq`."""
        from henderson.plots.genome import qq

        return qq(self.table["neg_log_10_p_value"].to_numpy(), ax=ax, **options)


def as_table(blocks: Iterable[Columns]) -> pd.DataFrame:
    """Join the columns of all blocks."""
    import pandas as pd

    parts = list(blocks)
    return pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
