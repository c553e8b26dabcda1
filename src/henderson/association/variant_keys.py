"""The same variants in two places, told by chromosome, position and alleles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.genotype import Variants
from henderson.genotype.source import Index

_Key = tuple[str, int, str, str]
_ALIASES = {"X": "23", "Y": "24", "M": "MT"}


@dataclass(frozen=True, slots=True, eq=False)
class VariantMatch:
    """Where each of m variants is among others.

    Attributes
    ----------
    rows : ndarray of int, shape (m,)
        Its position among the others; -1 where it is not there.
    flipped : ndarray of bool, shape (m,)
        Whether the other allele is counted there.
    """

    rows: Index
    flipped: NDArray[np.bool_]


def match_variants(of: Variants, among: Variants) -> VariantMatch:
    """Find variants by chromosome, position and the two alleles, in either order.

    Where several are alike, the first of here is the first of there, the second the second, and so on; where
    there are fewer there, the last of them. Chromosomes are alike with or without ``chr``, and X and Y
    are also 23 and 24, unless one of the two sides has both names.

    Examples
    --------
    >>> from henderson.genotype import ArraySource
    >>> here = ArraySource.of([[0, 1], [1, 2]]).variants
    >>> there = Variants(*(getattr(here, name)[1:] for name in ("chromosome", "position", "identifier")),
    ...                  here.other_allele[1:], here.effect_allele[1:])
    >>> match = match_variants(here, there)
    >>> match.rows, match.flipped
    (array([-1,  0]), array([False,  True]))
    """
    names = [set(np.unique(np.asarray(side.chromosome, dtype=np.str_)).tolist()) for side in (of, among)]
    codes = _codes(*names)
    known: dict[_Key, int] = {}
    alike: dict[_Key, list[int]] = {}
    for row, key in enumerate(_keys(among, codes)):
        before = known.setdefault(key, row)
        if before != row:
            alike.setdefault(key, [before]).append(row)
    rows = np.full(of.m, -1, dtype=np.intp)
    flipped = np.zeros(of.m, dtype=bool)
    for k, (chromosome, position, first, second) in enumerate(_keys(of, codes)):
        as_here, other_way = (chromosome, position, first, second), (chromosome, position, second, first)
        flipped[k] = as_here not in known and other_way in known
        key = other_way if flipped[k] else as_here
        rows[k] = known.get(key, -1)
        if key in alike:
            left = alike[key]
            rows[k] = left.pop(0) if len(left) > 1 else left[0]
    return VariantMatch(rows, flipped)


def _keys(variants: Variants, codes: dict[str, str]) -> Iterable[_Key]:
    """What tells each variant from others."""
    chromosomes: list[Any] = [codes.get(name, name) for name in map(str, variants.chromosome)]
    first, second = variants.effect_allele.tolist(), variants.other_allele.tolist()
    return zip(chromosomes, variants.position.tolist(), first, second, strict=True)


def _codes(*sides: set[str]) -> dict[str, str]:
    """One name for each chromosome, whatever the two sides call it."""
    plain = [{name: name.removeprefix("chr").upper() for name in side} for side in sides]
    unclear = {
        alias for alias, number in _ALIASES.items() for side in plain if {alias, number} <= set(side.values())
    }
    codes: dict[str, str] = {}
    for side in plain:
        for name, short in side.items():
            codes[name] = short if short in unclear else _ALIASES.get(short, short)
    return codes
