"""`ScanResult`: the table of a genome scan, its pictures and its files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.linalg.inflation import lambda_gc
from henderson.lmm import LmerResult

if TYPE_CHECKING:
    import pandas as pd

    from henderson.association.columns import Columns
    from henderson.association.scan_plots import ScanPlots
    from henderson.association.stages import Estimates
    from henderson.genotype import GenotypeSource


@dataclass(frozen=True, slots=True, eq=False)
class ScanResult:
    """One trait's scan. Made by `scan`.

    Attributes
    ----------
    trait : str
        What was analysed.
    table : pandas.DataFrame
        One row per variant in the order of the genotypes; `scan` describes the columns.
    null : LmerResult
        The model without a variant, by REML; with a relationship, that of the whole genome, and
        ``null.heritability()``.
    estimates : tuple of Estimates
        Variance components behind the tests: with each relationship that was used; see `components`.
    source : GenotypeSource
        The genotypes.
    people : ndarray of int, shape (n,)
        Positions of the people analysed among those genotyped.
    notices : tuple of str
        Who was matched, what was left out and why.
    """

    trait: str
    table: pd.DataFrame
    null: LmerResult
    estimates: tuple[Estimates, ...]
    source: GenotypeSource
    people: NDArray[np.intp]
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
        ``residual_variance``, ``log_likelihood`` (restricted), and ``interaction_variance`` (of effects that
        depend on covariates).
        """
        import pandas as pd

        names = [
            "chromosome", "h2", "genetic_variance", "residual_variance", "log_likelihood",
            "interaction_variance",
        ]  # fmt: skip
        return pd.DataFrame({name: [getattr(each, name) for each in self.estimates] for name in names})

    @property
    def plot(self) -> ScanPlots:
        """Pictures: ``plot.manhattan()``, ``qq()``, ``regional(...)`` and ``effect(...)``."""
        from henderson.association.scan_plots import ScanPlots

        return ScanPlots(self)

    def top(self, n: int = 10) -> pd.DataFrame:
        """The n variants with the smallest p-values, smallest first; of those that were tested."""
        return self.table.dropna(subset="neg_log_10_p_value").nlargest(n, "neg_log_10_p_value")

    def clumps(
        self, *, p1: float = 1e-4, p2: float = 1e-2, r2: float = 0.5, kb: float = 250.0
    ) -> pd.DataFrame:
        """Associated variants gathered around those that stand for them, as `clump` does."""
        from henderson.association.clump import clump

        return clump(self.table, self.source, p1=p1, p2=p2, r2=r2, kb=kb, samples=self.people)

    def to_gwas_ssf(self, path: str | Path) -> None:
        """Write the table as GWAS-SSF, gzipped if the name ends in .gz; it appears once complete."""
        from henderson.io.scan_files import write_gwas_ssf

        write_gwas_ssf(self.table, path)


def as_table(blocks: Iterable[Columns]) -> pd.DataFrame:
    """Join the columns of all blocks."""
    import pandas as pd

    parts = list(blocks)
    return pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
