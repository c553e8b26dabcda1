"""Variants that are named: as covariates of a scan, and together in one model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from henderson.association.null_models import Traits
from henderson.association.relatedness import Genomic, related_of
from henderson.association.rules import ScanRules
from henderson.association.sources import open_source
from henderson.covariance import RelationshipMatrix
from henderson.errors import DataError
from henderson.formula import has_random_terms
from henderson.genotype import GenotypeSource, Variants
from henderson.genotype.blocks import blocks
from henderson.genotype.chromosomes import autosomal, count_autosomes, plain_names
from henderson.genotype.counts import is_missing
from henderson.genotype.source import Index
from henderson.io.frame import closest
from henderson.lmm import LmerResult

Array = NDArray[np.float64]
logger = logging.getLogger("henderson")
_SHOWN = 4


def fit_variants(
    formula: str,
    data: Any,
    genotypes: str | Path | GenotypeSource,
    variants: Sequence[str],
    *,
    relationship: RelationshipMatrix | Genomic | Literal["loco", "grm"] | None = None,
) -> LmerResult:
    """Fit named variants together, as fixed effects of one mixed model.

    Their effects are joint: each is that of one copy of its effect allele while the others stay as they are.

    Parameters
    ----------
    formula : str
        The model without the variants, as for `scan`: ``"height ~ age + sex"``.
    data : pandas, polars or pyarrow table, or dict of arrays
        One row per person; columns FID and IID, or IID alone, say who it is.
    genotypes : str, Path or GenotypeSource
        The path of genotypes of any format (`open_genotypes`), or genotypes that were opened before.
    variants : sequence of str
        Their names, or chrom:pos:effect:other. A missing copy counts as the mean of the people analysed.
    relationship : "loco", "grm", RelationshipMatrix or square pandas DataFrame, optional
        Relationship of the people: ``"loco"``, of the variants on chromosomes that none of the named ones is
        on; or else as for `scan`. By default ``"loco"``, or ``"grm"`` where that leaves no variants; and none
        where the formula names random effects.

    Returns
    -------
    LmerResult
        By REML. The effects go by the names that were asked for; ``fit.joint_test(["rs1", "rs2"])`` tests
        several at once.

    Raises
    ------
    DataError
        If a variant is not there, or several have its name; or as for `scan`.
    FormulaError
        If the formula cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import henderson as hd
    >>> rng = np.random.default_rng(1)
    >>> genotypes = hd.ArraySource.of(rng.integers(0, 3, size=(200, 60)))
    >>> height = rng.normal(size=60) + genotypes.calls[7] + genotypes.calls[20]
    >>> people = {"IID": genotypes.samples.iid, "height": height}
    >>> fit = hd.fit_variants("height ~ 1", people, genotypes, ["8", "21"])
    >>> fit.fixef.round(1).to_dict()
    {'(Intercept)': 0.2, '`8`': 0.8, '`21`': 1.0}
    """
    source = open_source(genotypes)
    found = find_named(source.variants, _listed(variants))
    columns = _copies(source, found, None)
    rest = autosomal(source)
    rest &= ~np.isin(source.variants.chromosome, source.variants.chromosome[list(found.values())])
    given: Any = relationship
    if given is None and isinstance(formula, str) and not has_random_terms(formula):
        given = "loco" if rest.any() else "grm"
    if isinstance(given, str) and given == "loco":
        if not rest.any():
            raise DataError(
                "the named variants are on all chromosomes between them, and leaving these out leaves "
                "nothing for the relationship matrix: use relationship='grm'"
            )
        given = Genomic(source, variants=rest)
    related = related_of(given, formula, source, ScanRules())
    traits = Traits([formula], data, source.samples, related, covariates=columns)
    nulls = next(traits.groups(), None)
    if nulls is None:
        raise traits.failed[0][1]
    (fit,) = nulls.fits
    for notice in dict.fromkeys((*nulls.notices, *fit.notices)):
        logger.info(notice)
    return fit


def variant_columns(
    source: GenotypeSource, ids: Sequence[str], samples: Index | None = None
) -> dict[str, Array]:
    """Copies of named variants, for use as covariates.

    Parameters
    ----------
    source : GenotypeSource
        The variants.
    ids : sequence of str
        Their names, or chrom:pos:effect:other where a name is not unique or there is none.
    samples : ndarray of int, shape (n,), optional
        Positions of the people, in the order wanted; by default everybody.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Copies of the effect allele under the name that was asked for, NaN where there is no call.

    Raises
    ------
    DataError
        If a variant is not there, several have its name, or it does not vary among these people.

    Examples
    --------
    >>> from henderson.genotype import ArraySource
    >>> source = ArraySource.of([[0, 1, 2], [1, -1, 2]])
    >>> variant_columns(source, ["2", "1:1:A:B"])
    {'2': array([ 1., nan,  2.]), '1:1:A:B': array([0., 1., 2.])}
    """
    return _copies(source, find_named(source.variants, ids), samples)


def find_named(variants: Variants, ids: Sequence[str]) -> dict[str, int]:
    """The position of each named variant.

    Raises
    ------
    DataError
        If one is not there, or several have its name.
    """
    asked = list(dict.fromkeys(map(str, ids)))
    names: NDArray[np.str_] = np.asarray(variants.identifier, dtype=np.str_)
    places: dict[str, list[int]] = {name: [] for name in asked}
    for place in np.flatnonzero(np.isin(names, np.array(asked, dtype=np.str_))).tolist():
        places[str(names[place])].append(place)
    found: dict[str, int] = {}
    for name in asked:
        rows = places[name] or _at(variants, name)
        if not rows:
            raise DataError(f"there is no variant {name!r} among the genotypes{_hint(variants, name, names)}")
        if len(rows) > 1:
            raise DataError(_ambiguous(variants, name, rows))
        found[name] = rows[0]
    return found


def _listed(variants: Sequence[str]) -> list[str]:
    listed = [variants] if isinstance(variants, str) else list(variants)
    if not listed:
        raise DataError("no variants are named: give at least one, such as variants=['rs1421085']")
    return listed


def _copies(source: GenotypeSource, found: dict[str, int], samples: Index | None) -> dict[str, Array]:
    columns: dict[str, Array] = {}
    for name, place in found.items():
        keep = np.zeros(source.variants.m, dtype=bool)
        keep[place] = True
        (block,) = blocks(source, samples, keep=keep)
        if not block.counts.varies[0]:
            raise DataError(
                f"the variant {name!r} does not vary among the {block.counts.n_people:,} people, and has no "
                "effect to estimate: leave it out"
            )
        columns[name] = np.where(is_missing(block.calls[0]), np.nan, block.calls[0].astype(np.float64))
    return columns


def _at(variants: Variants, name: str, *, swapped: bool = False) -> list[int]:
    """Positions of variants that are called chrom:pos:effect:other."""
    parts = name.split(":", 3)
    if len(parts) < 4 or not (parts[1].isascii() and parts[1].isdigit()):
        return []
    chromosome, position, effect, other = parts
    if swapped:
        effect, other = other, effect
    rows = np.flatnonzero(variants.position == int(position))
    n_autosomes = count_autosomes(variants.chromosome)
    (wanted,) = plain_names(np.array([chromosome]), n_autosomes).tolist()
    alike = (
        (plain_names(variants.chromosome[rows], n_autosomes) == wanted)
        & (variants.effect_allele[rows] == effect)
        & (variants.other_allele[rows] == other)
    )
    return [int(row) for row in rows[alike]]


def _key(variants: Variants, row: int) -> str:
    return (
        f"{variants.chromosome[row]}:{variants.position[row]}:"
        f"{variants.effect_allele[row]}:{variants.other_allele[row]}"
    )


def _ambiguous(variants: Variants, name: str, rows: list[int]) -> str:
    keys = list(dict.fromkeys(_key(variants, row) for row in rows))
    if len(keys) < len(rows):
        return (
            f"{len(rows)} variants are called {name!r}, and {keys[0]} is there more than once: remove all "
            "but one of them from the genotypes"
        )
    shown = ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")
    return f"{len(rows)} variants are called {name!r}: give the one you mean by place and alleles ({shown})"


def _hint(variants: Variants, name: str, names: NDArray[np.str_]) -> str:
    """What may have been meant. Names that share a half are looked through, not millions of them."""
    if _at(variants, name, swapped=True):
        return ", but with the other allele as the effect allele: swap the two"
    folded, wanted = np.char.lower(names), name.lower()
    half = max(len(wanted) // 2, 1)
    like = np.char.startswith(folded, wanted[:half]) | np.char.endswith(folded, wanted[-half:])
    return closest(name, names[like][:2000].tolist()) if like.any() else ""
