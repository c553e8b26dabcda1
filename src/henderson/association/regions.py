"""Stretches of a scan: around a variant, or between two positions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.association.chosen import chosen_positions
from henderson.association.ld import ld_with
from henderson.association.variant_keys import match_variants
from henderson.errors import DataError
from henderson.genotype import GenotypeSource, Variants
from henderson.io.frame import closest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
_STRETCH = re.compile(r"(?P<chromosome>[^:]+):(?P<start>\d[\d,]*)-(?P<stop>\d[\d,]*)", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Variants of a scan's table on one stretch of a chromosome.

    Attributes
    ----------
    rows : ndarray of int, shape (k,)
        Their rows in the table.
    lead : int
        Which of the k is the lead.
    limits : (int, int)
        First and last base pair.
    """

    rows: NDArray[np.intp]
    lead: int
    limits: tuple[int, int]


def find_region(table: pd.DataFrame, where: str, *, window: float = 500_000) -> Region:
    """Variants around one, or between two positions.

    Parameters
    ----------
    table : pandas.DataFrame
        A scan's table.
    where : str
        The rsid of the lead; or a stretch, such as ``"7:1,000,000-2,500,000"`` (``chr7`` is the same), whose
        lead is the variant with the smallest p-value.
    window : float
        Base pairs to either side of an rsid.

    Raises
    ------
    DataError
        If the table has no such variant, or none that was tested on the stretch.

    Examples
    --------
    >>> import pandas as pd
    >>> scan = pd.DataFrame({"chromosome": ["1", "1", "2"], "base_pair_location": [5, 90, 7],
    ...                      "rsid": ["a", "b", "c"], "neg_log_10_p_value": [1.0, 3.0, 9.0]})
    >>> find_region(scan, "chr1:1-100").lead, find_region(scan, "a", window=50).rows
    (1, array([0]))
    """
    names = table["chromosome"].to_numpy(dtype=object)
    position = table["base_pair_location"].to_numpy()
    strength = table["neg_log_10_p_value"].to_numpy(dtype=np.float64, na_value=np.nan)
    if "rsid" in table:
        called = np.flatnonzero(table["rsid"].to_numpy(dtype=object) == where)
        if called.size:
            lead = int(called[_best(strength[called])])
            limits = int(position[lead] - window), int(position[lead] + window)
            rows = _between(names == names[lead], position, limits)
            return Region(rows, int(np.flatnonzero(rows == lead)[0]), limits)
    found = _STRETCH.fullmatch(where.strip())
    if found is None:
        raise DataError(
            f"the scan has no variant {where!r}; give the rsid of one of its variants, or a stretch such as "
            "7:1,000,000-2,500,000"
        )
    limits = int(found["start"].replace(",", "")), int(found["stop"].replace(",", ""))
    wanted = _bare(found["chromosome"])
    levels = list(dict.fromkeys(names.tolist()))
    alike = [level for level in levels if _bare(str(level)) == wanted]
    if not alike:
        raise DataError(f"the scan has no chromosome {wanted!r}{closest(wanted, map(str, levels))}")
    rows = _between(np.isin(names, alike), position, limits)
    if np.isnan(strength[rows]).all():
        raise DataError(f"no variant was tested on {where}: give a longer stretch")
    return Region(rows, _best(strength[rows]), limits)


def region_r2(
    table: pd.DataFrame, region: Region, source: GenotypeSource, samples: ArrayLike | None = None
) -> Array:
    """Squared correlation of each variant of a region with its lead.

    Variants are found by chromosome, position and alleles.

    Parameters
    ----------
    table : pandas.DataFrame
        The scan's table.
    region : Region
    source : GenotypeSource
        The genotypes of the scan, or of a panel of reference.
    samples : array-like of int or bool, optional
        The people; by default everybody.

    Returns
    -------
    ndarray of float64, shape (k,)
        NaN for variants that the source lacks, and for all if it lacks the lead.
    """
    at = table.iloc[region.rows]
    names = [at[name].to_numpy(dtype=np.str_) for name in ("chromosome", "effect_allele", "other_allele")]
    position = at["base_pair_location"].to_numpy(dtype=np.int64)
    here = Variants(names[0], position, np.zeros(len(at), dtype=np.str_), *names[1:])
    there = source.variants
    near = np.flatnonzero((there.position >= position.min()) & (there.position <= position.max()))
    rows = match_variants(here, there.take(near)).rows
    r2 = np.full(len(at), np.nan)
    if rows[region.lead] >= 0:
        known = rows >= 0
        people = None if samples is None else chosen_positions("samples", samples, source.samples.n)
        r2[known] = ld_with(source, int(near[rows[region.lead]]), near[rows[known]], people)
    return r2


def regional_plot(
    table: pd.DataFrame,
    where: str,
    *,
    source: GenotypeSource | None = None,
    samples: ArrayLike | None = None,
    window: float = 500_000,
    ax: Axes | None = None,
    **options: Any,
) -> Axes:
    """Draw a stretch of a scan, coloured by linkage disequilibrium with its lead.

    Parameters
    ----------
    table : pandas.DataFrame
        A scan's table.
    where : str
        An rsid, or a stretch such as ``"7:1,000,000-2,500,000"``; see `find_region`.
    source : GenotypeSource, optional
        Genotypes to take r2 from; without them the variants are grey.
    samples : array-like of int or bool, optional
        The people for r2; by default everybody.
    window : float
        Base pairs to either side of an rsid.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure of pyplot.
    **options
        Go to `henderson.plots.regional.regional`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        As `find_region`, or if matplotlib is not installed.
    """
    from henderson.plots.regional import regional

    region = find_region(table, where, window=window)
    at = table.iloc[region.rows]
    lead = at.iloc[region.lead]
    return regional(
        at["base_pair_location"].to_numpy(),
        at["neg_log_10_p_value"].to_numpy(dtype=np.float64, na_value=np.nan),
        None if source is None else region_r2(table, region, source, samples),
        lead=region.lead,
        name=str(lead["rsid"]) if "rsid" in at else None,
        chromosome=_bare(str(lead["chromosome"])),
        limits=region.limits,
        ax=ax,
        **options,
    )


def _bare(chromosome: str) -> str:
    """The name without ``chr``."""
    return re.sub("^chr", "", chromosome, flags=re.IGNORECASE)


def _between(
    mine: NDArray[np.bool_], position: NDArray[np.int64], limits: tuple[int, int]
) -> NDArray[np.intp]:
    return np.flatnonzero(mine & (position >= limits[0]) & (position <= limits[1]))


def _best(strength: Array) -> int:
    """The first of the smallest p-values; the first of all where none was tested."""
    return int(np.argmax(np.where(np.isnan(strength), -np.inf, strength)))
