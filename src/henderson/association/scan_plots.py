"""Pictures of a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from henderson.association.conditional import find_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from henderson.association.result import ScanResult


@dataclass(frozen=True, slots=True, eq=False)
class ScanPlots:
    """Pictures of a scan; each takes and gives matplotlib axes."""

    scan: ScanResult

    def manhattan(self, *, ax: Axes | None = None, **options: Any) -> Axes:
        """-log10 p along the genome. ``options`` go to `henderson.plots.genome.manhattan`."""
        from henderson.plots.genome import manhattan

        t = self.scan.table
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

        return qq(self.scan.table["neg_log_10_p_value"].to_numpy(), ax=ax, **options)

    def regional(
        self, where: str, *, window: float = 500_000, ax: Axes | None = None, **options: Any
    ) -> Axes:
        """-log10 p around a variant (its rsid), or on a stretch (``"7:1,000,000-2,500,000"``).

        Colours are r2 with the leading variant, among the people analysed. ``options`` go to
        `henderson.plots.regional.regional`.
        """
        from henderson.association.regions import regional_plot

        source, people = self.scan.source, self.scan.people
        return regional_plot(
            self.scan.table, where, source=source, samples=people, window=window, ax=ax, **options
        )

    def effect(self, variant: str, *, ax: Axes | None = None, **options: Any) -> Axes:
        """The trait by genotype at one variant (its rsid, or chrom:pos:effect:other), and the fitted effect.

        ``options`` go to `henderson.plots.variant_effect.variant_effect`.
        """
        from henderson.plots.variant_effect import variant_effect

        scan = self.scan
        place = find_named(scan.source.variants, [variant])[variant]
        variants = scan.source.variants
        columns = {
            "rsid": variants.identifier,
            "chromosome": variants.chromosome,
            "base_pair_location": variants.position,
            "effect_allele": variants.effect_allele,
            "other_allele": variants.other_allele,
        }
        t = scan.table
        same = np.logical_and.reduce(
            [(t[name] == values[place]).to_numpy() for name, values in columns.items()]
        )
        row = t.iloc[int(same.argmax())]
        [copies] = scan.source.read(slice(place, place + 1), scan.people)
        return variant_effect(
            copies,
            scan.null.engine.model.y,
            effect_allele=str(row["effect_allele"]),
            other_allele=str(row["other_allele"]),
            beta=float(row["beta"]),
            se=float(row["standard_error"]),
            ax=ax,
            **{"label": scan.trait, **options},
        )
