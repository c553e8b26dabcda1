"""How much each variant weighs in principal components, and other people placed by these weights."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.association.chosen import chosen_positions
from henderson.association.sources import open_source
from henderson.association.variant_keys import match_variants
from henderson.errors import DataError
from henderson.genotype import GenotypeSource, Variants
from henderson.genotype.blocks import blocks
from henderson.genotype.counts import is_missing
from henderson.io.whole_files import whole_files

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

logger = logging.getLogger("henderson")


@dataclass(frozen=True, slots=True, eq=False)
class PcaLoadings:
    """How much each variant weighs in each component. Made by `henderson.association.pca.PcaResult.loadings`.

    Attributes
    ----------
    variants : Variants
        The m variants used.
    frequency : ndarray of float64, shape (m,)
        Of the effect allele, among the people of the analysis.
    weights : ndarray of float64, shape (m, k)
        Columns of length one: right singular vectors of the standardised genotypes.
    eigenvalues : ndarray of float64, shape (k,)
        As in `PcaResult`.
    """

    variants: Variants
    frequency: Floats
    weights: Floats
    eigenvalues: Floats

    def project(self, genotypes: str | Path | GenotypeSource, *, samples: ArrayLike | None = None) -> Floats:
        """Place other people among those of the analysis.

        Parameters
        ----------
        genotypes : str, Path or GenotypeSource
            Their genotypes. Variants are matched by chromosome, position and alleles, whichever of the two is
            counted; one that is absent, like a missing call, counts at the mean.
        samples : array_like of int or bool, optional
            Positions of the people, or one truth value for each; by default everybody.

        Returns
        -------
        ndarray of float64, shape (people, k)
            On the scale of `PcaResult.scores`, which this gives for the people of the analysis themselves.
            Others come out somewhat closer to the origin than they would if they had been among them, the
            more so the fewer variants there are for each person (Dey & Lee 2019, arXiv:1801.05542).

        Raises
        ------
        DataError
            If no variant is shared.
        """
        source = open_source(genotypes)
        rows = None if samples is None else chosen_positions("samples", samples, source.samples.n)
        found = match_variants(self.variants, source.variants)
        wanted = np.flatnonzero(found.rows >= 0)
        home = np.full(source.variants.m, -1, dtype=np.intp)
        home[found.rows[wanted]] = wanted
        shared = int(np.count_nonzero(home >= 0))
        if not shared:
            raise DataError(
                f"None of the {self.variants.m:,} variants of the components is among these genotypes; "
                "chromosomes, positions and alleles must be those of the same genome build."
            )
        if shared < self.variants.m:
            logger.warning(
                f"{self.variants.m - shared:,} of the {self.variants.m:,} variants of the components are not "
                "among these genotypes; they count at their mean."
            )
        n = source.samples.n if rows is None else rows.size
        total: Floats = np.zeros((n, self.eigenvalues.size))
        for block in blocks(source, rows, keep=home >= 0):
            here = home[block.variants]
            copies = block.calls.astype(np.float64)
            copies = np.where(found.flipped[here, None], 2 - copies, copies)
            p = self.frequency[here, None]
            z = np.where(is_missing(block.calls), 0.0, copies - 2 * p) / np.sqrt(2 * p * (1 - p))
            total += z.T @ self.weights[here]
        return total / np.sqrt(self.variants.m * self.eigenvalues)

    def to_frame(self) -> pd.DataFrame:
        """One row per variant: which it is, the frequency of the effect allele, and PC1, PC2, ..."""
        import pandas as pd

        v = self.variants
        about = {
            "chromosome": v.chromosome,
            "base_pair_location": v.position,
            "rsid": v.identifier,
            "effect_allele": v.effect_allele,
            "other_allele": v.other_allele,
            "effect_allele_frequency": self.frequency,
        }
        return pd.DataFrame({**about, **named_components(self.weights)})

    def write(self, path: str | Path) -> None:
        """Write `to_frame` as a table with tabs; the file appears once complete."""
        write_tabbed(self.to_frame(), path)


def named_components(columns: Floats) -> dict[str, Floats]:
    """Columns called PC1, PC2, ..."""
    return {f"PC{k + 1}": column for k, column in enumerate(columns.T)}


def write_tabbed(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table with tabs, numbers with ten digits."""
    text = table.to_csv(sep="\t", index=False, float_format="%.10g", na_rep="NA", lineterminator="\n")
    with whole_files(path) as [file]:
        file.write(text.encode())
