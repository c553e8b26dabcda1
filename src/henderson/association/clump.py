"""Clumps: the variants of a scan gathered around those that stand for them."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.association.chosen import chosen_positions
from henderson.association.haplotypes import Calls, haplotype_r2, hard_calls, joint_counts
from henderson.association.sources import open_source
from henderson.association.variant_keys import match_variants
from henderson.errors import DataError
from henderson.genotype import GenotypeSource, Variants
from henderson.genotype.source import Index
from henderson.io.frame import to_pandas
from henderson.io.sumstats_formats import refuse_several_traits

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

logger = logging.getLogger("henderson")

#: Bounds of p, and what the number of clumped variants below each (but not the next) is called.
BANDS = (("nsig", 1.0), ("s05", 0.05), ("s01", 0.01), ("s001", 0.001), ("s0001", 0.0001))
_PLACE = ("chromosome", "base_pair_location", "effect_allele", "other_allele")
_TILE = 256  # variants that are read in one go
_REMEMBERED = 1 << 28  # bytes of such pieces that are kept, in case that neighbours need them


def clump(
    table: Any,
    genotypes: str | Path | GenotypeSource,
    *,
    p1: float = 1e-4,
    p2: float = 1e-2,
    r2: float = 0.5,
    kb: float = 250.0,
    samples: ArrayLike | None = None,
) -> pd.DataFrame:
    """Gather associated variants into clumps, as PLINK 1.9's ``--clump`` does.

    Variants with p <= ``p1`` are taken in order of p. Each that is not in a clump yet starts one, of all
    variants not in a clump yet that lie closer than ``kb`` and have at least ``r2`` with it.

    Parameters
    ----------
    table : pandas, polars or pyarrow table, or mapping of names to arrays
        Summary statistics: a scan's table, or what `read_sumstats` gives.
    genotypes : str, Path or GenotypeSource
        The genotypes of the people analysed, or of others like them.
    p1, p2 : float
        Largest p of a variant that starts a clump, and the p that those listed as its members stay below.
    r2 : float
        Least squared correlation with the variant that starts the clump: of alleles in the haplotypes that
        maximum likelihood finds (`haplotype_r2`), among people with both calls.
    kb : float
        Distance, in thousands of base pairs, that is too far; as in PLINK, exactly this is.
    samples : array_like of int or bool, optional
        Positions of the people, or one truth value for each; by default everybody. (PLINK takes founders.)

    Returns
    -------
    pandas.DataFrame
        One row per clump, by p: ``chromosome``, ``base_pair_location``, ``rsid``, ``p_value``,
        ``neg_log_10_p_value`` of the variant that starts it; ``total``, how many others it has, and of these
        ``nsig`` (p >= 0.05), ``s05`` (below 0.05, from 0.01), ``s01``, ``s001`` and ``s0001`` (p < 0.0001);
        ``members``, the identifiers of those with p < ``p2``, with commas between.

    Raises
    ------
    DataError
        If columns are absent, the rows are those of several traits, a threshold makes no sense, or no variant
        of the table is among the genotypes.

    Notes
    -----
    Variants are found by chromosome, position and alleles where the table has them, otherwise by ``rsid``.
    Those of the table that are not among the genotypes are left out and counted, with a warning if they would
    have started a clump; of several rows of a variant the one with the smallest p-value counts. Dosages count
    as the hard calls they are within 0.1 of, otherwise as missing. A man's X chromosome counts as two like
    ones, whereas PLINK counts it once.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from henderson.association.clump import clump
    >>> from henderson.genotype import ArraySource
    >>> first = np.random.default_rng(1).integers(0, 3, 50)
    >>> genotypes = ArraySource.of([first, first, first[::-1]])
    >>> table = pd.DataFrame({"rsid": ["1", "2", "3"], "p_value": [1e-6, 1e-9, 1e-5]})
    >>> clump(table, genotypes)[["rsid", "neg_log_10_p_value", "total", "members"]].to_numpy().tolist()
    [['2', 9.0, 1, '1'], ['3', 5.0, 0, '']]
    """
    _check(p1=p1, p2=p2, r2=r2, kb=kb)
    source = open_source(genotypes)
    rows = None if samples is None else chosen_positions("samples", samples, source.samples.n)
    table = to_pandas(table)
    if "trait" in table:
        refuse_several_traits(table["trait"].unique().tolist(), "the table")
    logs = _logs(table)
    in_source = _located(table, source.variants)
    first, second = -np.log10(p1), -np.log10(p2)
    known = np.isfinite(logs) | np.isposinf(logs)
    _tell_absent(table, known & (in_source < 0), logs >= first)
    used = np.flatnonzero(known & (in_source >= 0))
    if not used.size:
        raise DataError(
            f"None of the {np.count_nonzero(known):,} variants with a p-value is among the genotypes; "
            "identifiers, or positions and alleles, must be those of the same file or genome build."
        )
    used = _once(used, in_source, logs)
    logs, in_source = logs[used], in_source[used]
    neighbours = _Neighbours(source.variants.take(in_source), kb)
    calls = _Calls(source, rows)
    free = np.ones(used.size, dtype=bool)
    clumps: list[tuple[int, Index]] = []
    for k in np.argsort(-logs, kind="stable"):
        if logs[k] < first:
            break
        if not free[k]:
            continue
        free[k] = False
        near = neighbours.of(int(k))
        near = near[free[near]]
        near = near[_r2(calls, int(in_source[k]), in_source[near]) >= r2]
        free[near] = False
        clumps.append((int(k), near))
    return _table(source.variants, in_source, logs, clumps, second)


def _r2(calls: _Calls, one: int, others: Index) -> Floats:
    """Squared correlation of one variant with each of some others."""
    lead = calls.of(np.array([one]))[0]
    parts = [others[start : start + _TILE] for start in range(0, others.size, _TILE)]
    found = [haplotype_r2(joint_counts(lead, calls.of(part))) for part in parts]
    return np.concatenate([*found, np.empty(0)])


class _Neighbours:
    """Which variants lie near one."""

    def __init__(self, variants: Variants, kb: float) -> None:
        self._position = variants.position
        self._reach = kb * 1000
        _, self._chromosome = np.unique(np.asarray(variants.chromosome, dtype=np.str_), return_inverse=True)
        self._order = np.lexsort((variants.position, self._chromosome))
        self._starts = np.searchsorted(self._chromosome[self._order], np.arange(self._chromosome.max() + 2))
        self._sorted = variants.position[self._order]

    def of(self, k: int) -> Index:
        """The others within reach on its chromosome, in their order."""
        chromosome = self._chromosome[k]
        start, stop = self._starts[chromosome], self._starts[chromosome + 1]
        along = self._sorted[start:stop]
        low = start + np.searchsorted(along, self._position[k] - self._reach, side="right")
        high = start + np.searchsorted(along, self._position[k] + self._reach, side="left")
        near = np.sort(self._order[low:high])
        others: Index = near[near != k]
        return others


class _Calls:
    """Hard calls of single variants, read piece by piece; the pieces used last are remembered."""

    def __init__(self, source: GenotypeSource, rows: Index | None) -> None:
        self._source, self._rows = source, rows
        self._tiles: OrderedDict[int, Calls] = OrderedDict()

    def of(self, variants: Index) -> Calls:
        """Calls (variants, people)."""
        tiles = variants // _TILE
        parts = {int(tile): self._tile(int(tile)) for tile in np.unique(tiles)}
        return np.stack(
            [parts[tile][at] for tile, at in zip(tiles.tolist(), (variants % _TILE).tolist(), strict=True)]
        )

    def _tile(self, tile: int) -> Calls:
        if tile not in self._tiles:
            stop = min((tile + 1) * _TILE, self._source.variants.m)
            self._tiles[tile] = hard_calls(self._source.read(slice(tile * _TILE, stop), self._rows))
            if len(self._tiles) * self._tiles[tile].nbytes > _REMEMBERED and len(self._tiles) > 2:
                self._tiles.popitem(last=False)
        self._tiles.move_to_end(tile)
        return self._tiles[tile]


def _once(used: Index, in_source: Index, logs: Floats) -> Index:
    """Rows in the order of the genotypes; of those of one variant, the one with the smallest p-value."""
    used = used[np.lexsort((-logs[used], in_source[used]))]
    places = in_source[used]
    first = np.append(True, places[1:] != places[:-1])
    again = int(np.count_nonzero(~first))
    if again:
        logger.warning(
            f"the table has several rows of a variant; {again:,} are left out, those with the larger p-value"
        )
    once: Index = used[first]
    return once


def _logs(table: pd.DataFrame) -> Floats:
    """-log10 p of each row."""
    if "neg_log_10_p_value" in table:
        return _numbers(table, "neg_log_10_p_value", np.inf)
    if "p_value" in table:
        with np.errstate(divide="ignore"):
            made: Floats = -np.log10(_numbers(table, "p_value", 1.0))
        return made
    raise DataError(
        "The table has neither a column neg_log_10_p_value nor p_value; give a scan's table, or what "
        "read_sumstats gives."
    )


def _numbers(table: pd.DataFrame, name: str, most: float) -> Floats:
    """A column of numbers from 0 up, NaN where they are missing."""
    try:
        values: Floats = table[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(f"The column {name} of the table holds text; make it numbers.") from None
    wrong = (values < 0) | (values > most)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"The column {name} of the table has {values[row]:g} in row {row + 1}, which cannot be."
        )
    return values


def _located(table: pd.DataFrame, variants: Variants) -> Index:
    """Where each row's variant is among the genotypes, -1 where it is not."""
    import pandas as pd

    located: Index = np.full(len(table), -1, dtype=np.intp)
    if all(name in table for name in _PLACE):
        placed = np.flatnonzero(table[list(_PLACE)].notna().all(axis=1))
        at = table.iloc[placed]
        chromosome, first, second = (at[name].to_numpy(dtype=np.str_) for name in _PLACE[::2] + _PLACE[3:])
        position = at["base_pair_location"].to_numpy(dtype=np.int64)
        here = Variants(chromosome, position, np.zeros(len(at), dtype=np.str_), first, second)
        located[placed] = match_variants(here, variants).rows
        if (located >= 0).any():
            return located
    elif "rsid" not in table:
        raise DataError(f"The table must say which variants it is about: by {', '.join(_PLACE)}, or by rsid.")
    if "rsid" in table:
        index = pd.Index(variants.identifier.astype(object))
        twice = index.duplicated(keep=False)
        rsid = table["rsid"].astype(object)
        unclear = int(rsid.isin(index[twice]).sum())
        if unclear:
            logger.warning(
                f"{unclear:,} variants are left out: several of the genotypes have their identifier."
            )
        located = np.flatnonzero(~twice)[index[~twice].get_indexer(rsid)]
        located[~rsid.isin(index[~twice]).to_numpy()] = -1
    return located


def _tell_absent(table: pd.DataFrame, absent: NDArray[np.bool_], top: NDArray[np.bool_]) -> None:
    """Say how many variants are not among the genotypes."""
    if not absent.any():
        return
    text = f"{np.count_nonzero(absent):,} variants with a p-value are not among the genotypes"
    leading = np.flatnonzero(absent & top)
    if leading.size:
        name = table["rsid"].iloc[leading[0]] if "rsid" in table else f"in row {leading[0] + 1}"
        text += f"; {leading.size:,} of them could have started a clump, such as {name}"
        logger.warning(text)
    else:
        logger.info(text)


def _table(
    variants: Variants,
    in_source: Index,
    logs: Floats,
    clumps: Sequence[tuple[int, Index]],
    second: float,
) -> pd.DataFrame:
    """One row for each clump."""
    import pandas as pd

    names = np.asarray(variants.identifier[in_source], dtype=np.str_)
    leads = np.array([lead for lead, _ in clumps], dtype=np.intp)
    at = in_source[leads]
    edges = -np.log10([bound for _, bound in BANDS])
    columns: dict[str, Any] = {
        "chromosome": np.asarray(variants.chromosome[at], dtype=object),
        "base_pair_location": variants.position[at],
        "rsid": names[leads].astype(object),
        "p_value": 10.0 ** -logs[leads],
        "neg_log_10_p_value": logs[leads],
        "total": np.array([near.size for _, near in clumps], dtype=np.int64),
    }
    counts = np.zeros((len(clumps), len(BANDS)), dtype=np.int64)
    for row, (_, near) in enumerate(clumps):
        bands = np.searchsorted(edges, logs[near], side="left") - 1
        counts[row] = np.bincount(np.maximum(bands, 0), minlength=len(BANDS))
    columns.update({name: counts[:, band] for band, (name, _) in enumerate(BANDS)})
    columns["members"] = np.array(
        [",".join(names[near[logs[near] > second]]) for _, near in clumps], dtype=object
    )
    return pd.DataFrame(columns)


def _check(*, p1: float, p2: float, r2: float, kb: float) -> None:
    """Refuse thresholds that make no sense."""
    for name, value in (("p1", p1), ("p2", p2)):
        if not 0 < value <= 1:
            raise DataError(f"{name} must lie between 0 and 1, a p-value; it is {value!r}.")
    if not 0 <= r2 <= 1:
        raise DataError(f"r2 must lie between 0 and 1, a squared correlation; it is {r2!r}.")
    if not kb > 0:
        raise DataError(f"kb must be positive, a distance in thousands of base pairs; it is {kb!r}.")
