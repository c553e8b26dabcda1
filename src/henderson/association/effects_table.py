"""Effects of variants as a table, in a file, and added up in people."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.association.sources import open_source
from henderson.association.variant_keys import VariantMatch, match_variants
from henderson.errors import DataError
from henderson.genotype import GenotypeSource, Variants
from henderson.genotype.blocks import blocks
from henderson.genotype.counts import is_missing
from henderson.io.paths import nearby
from henderson.io.whole_files import whole_files

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
logger = logging.getLogger("henderson")
_TEXT = ("chromosome", "rsid", "effect_allele", "other_allele")
_NUMBERS = ("effect_allele_frequency", "mean_copies", "divisor", "effect")
_COLUMNS = (
    "chromosome", "base_pair_location", "rsid", "effect_allele", "other_allele", *_NUMBERS
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SnpEffects:
    """What each variant adds to the breeding values of a fit. Made by `henderson.snp_effects`.

    Attributes
    ----------
    variants : Variants
        The m variants.
    frequency, mean_copies : ndarray of float64, shape (m,)
        Of the effect allele, among the people of the relationship matrix: its frequency, and the copies that
        a person has in the mean, which a missing call counts as.
    divisor : ndarray of float64, shape (m,)
        What centred copies were divided by in the matrix: the root of 2p(1 - p), say. The effects of these
        standardised variants, ``effect * divisor``, are those that have one variance.
    effect : ndarray of float64, shape (m,)
        BLUP of what a copy of the effect allele adds, in units of the response.
    group : str
        Grouping factor whose breeding values these are.
    agreement : float
        Largest difference between the breeding values of the fit and those that the effects give, relative to
        the largest of them; NaN where the effects were read from a file.

    Examples
    --------
    >>> import numpy as np
    >>> import henderson as hd
    >>> rng = np.random.default_rng(1)
    >>> cohort = hd.ArraySource.of(rng.integers(0, 3, size=(200, 60)))
    >>> people = {"iid": list(cohort.samples.iid), "y": rng.normal(size=60)}
    >>> fit = hd.lmer("y ~ 1 + (1 | iid)", people, relationship={"iid": hd.grm(cohort)})
    >>> effects = hd.snp_effects(fit, cohort)
    >>> effects
    <SnpEffects of 200 variants, by 'iid'>
    >>> effects.predict(cohort)["n_variants_used"].unique().tolist()
    [200]
    """

    variants: Variants
    frequency: Floats
    mean_copies: Floats
    divisor: Floats
    effect: Floats
    group: str
    agreement: float

    def __repr__(self) -> str:
        return f"<SnpEffects of {self.variants.m:,} variants, by {self.group!r}>"

    @property
    def table(self) -> pd.DataFrame:
        """One row per variant: what is known of it, under a scan's names, and ``effect``.

        Columns chromosome, base_pair_location, rsid, effect_allele, other_allele, effect_allele_frequency,
        mean_copies, divisor, effect.
        """
        import pandas as pd

        v = self.variants
        columns = (v.chromosome, v.position, v.identifier, v.effect_allele, v.other_allele)
        numbers = (self.frequency, self.mean_copies, self.divisor, self.effect)
        return pd.DataFrame(dict(zip(_COLUMNS, (*columns, *numbers), strict=True)))

    def predict(self, genotypes: str | Path | GenotypeSource) -> pd.DataFrame:
        """Breeding values of genotyped people, whether they are in the relationship matrix or not.

        Parameters
        ----------
        genotypes : str, Path or GenotypeSource
            Variants are matched by chromosome, position and alleles, whichever of the two is counted; those
            without a position by identifier and alleles. One that is absent, like a missing call, counts at
            ``mean_copies``. How many were absent, and how many had the other allele counted, is logged.

        Returns
        -------
        pandas.DataFrame
            One row per person: FID, IID, prediction (in units of the response, relative to the mean of the
            people of the matrix) and n_variants_used (variants at which this person has a call).

        Raises
        ------
        DataError
            If no variant is shared.
        """
        import pandas as pd

        source = open_source(genotypes)
        found = _matched(self.variants, source.variants)
        home = np.full(source.variants.m, -1, dtype=np.intp)
        wanted = np.flatnonzero(found.rows >= 0)
        home[found.rows[wanted]] = wanted
        self._tell(home[home >= 0], found)
        total, used = np.zeros(source.samples.n), np.zeros(source.samples.n, dtype=np.int64)
        for block in blocks(source, keep=home >= 0):
            here = home[block.variants]
            copies = block.calls.astype(np.float64)
            copies = np.where(found.flipped[here, None], 2.0 - copies, copies)
            missing = is_missing(block.calls)
            total += self.effect[here] @ np.where(missing, 0.0, copies - self.mean_copies[here, None])
            used += (~missing).sum(axis=0)
        people = source.samples
        return pd.DataFrame(
            {"FID": people.fid, "IID": people.iid, "prediction": total, "n_variants_used": used}
        )

    def _tell(self, shared: NDArray[np.intp], found: VariantMatch) -> None:
        """Log how many variants are there, and in which way; refuse none."""
        m = self.variants.m
        if not shared.size:
            raise DataError(
                f"none of the {m:,} variants that have effects is among these genotypes: chromosomes, "
                "positions and alleles must be those of the same genome build"
            )
        flipped = int(found.flipped[shared].sum())
        if flipped:
            logger.info(
                f"{flipped:,} variants have the other allele counted in these genotypes, and are turned"
            )
        if shared.size < m:
            logger.warning(
                f"{m - shared.size:,} of the {m:,} variants that have effects are not among these genotypes; "
                "they count at their mean"
            )

    def save(self, path: str | Path) -> None:
        """Write `table` with tabs, every number in full; the file appears once complete."""
        text = self.table.to_csv(sep="\t", index=False, lineterminator="\n")
        with whole_files(path) as [file]:
            file.write(text.encode())


def read_snp_effects(path: str | Path) -> SnpEffects:
    """Read the effects that `SnpEffects.save` wrote.

    Parameters
    ----------
    path : str or Path
        A table with tabs; gzipped if the name ends in .gz.

    Returns
    -------
    SnpEffects
        Its ``group`` is the name of the file.

    Raises
    ------
    DataError
        If it is no such table; the message names the column, and the variant where there is one.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from henderson.genotype import ArraySource
    >>> cohort = ArraySource.of([[0, 1, 2], [1, 1, 0]])
    >>> one = np.ones(2)
    >>> effects = SnpEffects(cohort.variants, one / 2, one, one, np.array([0.1, -0.3]), "iid", 0.0)
    >>> with TemporaryDirectory() as folder:
    ...     effects.save(Path(folder) / "height.snp.blup.tsv")
    ...     again = read_snp_effects(Path(folder) / "height.snp.blup.tsv")
    >>> again.predict(cohort)["prediction"].tolist()
    [-0.1, 0.0, 0.4]
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise DataError(f"There is no file of effects {path}{nearby(path)}")
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as problem:
        raise DataError(f"{path} is no table with tabs: {str(problem).strip()}.") from None
    lacking = [name for name in _COLUMNS if name not in table.columns]
    if lacking:
        raise DataError(
            f"{path} is no file of effects that henderson h2 --snp-blup wrote: it lacks the "
            f"column{'s' * (len(lacking) > 1)} {', '.join(lacking)}."
        )
    if not len(table):
        raise DataError(f"{path} has no variant.")
    text = [np.array(table[name], dtype=np.str_) for name in _TEXT]
    position = _numbers(table, "base_pair_location", path).astype(np.int64)
    frequency, mean, divisor, effect = (_numbers(table, name, path) for name in _NUMBERS)
    chromosome, identifier, counted, other = text
    variants = Variants(chromosome, position, identifier, counted, other)
    return SnpEffects(variants, frequency, mean, divisor, effect, path.name, np.nan)


def _numbers(table: pd.DataFrame, name: str, path: Path) -> Floats:
    import pandas as pd

    values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            f"{path}, line {row + 2}: the {name} of {table['rsid'].iloc[row]!r} is "
            f"{table[name].iloc[row]!r}, which is no number."
        )
    return values


def _matched(of: Variants, among: Variants) -> VariantMatch:
    """Variants by place and alleles, or by name and alleles where they have no place."""
    return match_variants(_placed(of), _placed(among))


def _placed(variants: Variants) -> Variants:
    """The same, where a variant without a position stands on a chromosome of its own name."""
    somewhere = variants.position > 0
    if somewhere.all():
        return variants
    names = np.where(somewhere, variants.chromosome, variants.identifier)
    return replace(variants, chromosome=names, position=np.maximum(variants.position, 0))
