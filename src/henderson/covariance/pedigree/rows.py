"""Rows of animal, sire and dam to positions, each animal once and parents first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.named import as_name
from henderson.covariance.pedigree.checks import check_births, check_roles, check_sexes, parents_first, some
from henderson.errors import DataError

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Names = Sequence[str | None]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Animals and their parents, parents first.

    Attributes
    ----------
    ids : list of str, length n
    sire, dam : ndarray of int64, shape (n,)
        Positions of the parents; -1 where unknown.
    sire_group, dam_group : ndarray of int64, shape (n,)
        Genetic groups in their place; -1 where there is none.
    notices : tuple of str
        What was done about rows that were there twice, and parents that had no row or no group.
    """

    ids: list[str]
    sire: Index
    dam: Index
    sire_group: Index
    dam_group: Index
    notices: tuple[str, ...]


def resolve(
    ids: Names,
    sire: Names,
    dam: Names,
    *,
    sex: NDArray[np.integer] | None,
    birth: Array | None,
    genetic_groups: Sequence[str],
    hermaphrodite: bool,
) -> Rows:
    """Check the rows of a pedigree and put parents first; see `Pedigree.of`."""
    _check_lengths(ids, sire, dam, sex, birth)
    animals = [as_name(name) for name in ids]
    sire, dam = ([None if _missing(name) else as_name(name) for name in column] for column in (sire, dam))
    keep, notices = _once(animals, sire, dam, sex, birth)
    if keep is not None:
        animals = [animals[i] for i in keep]
        sire, dam = ([column[i] for i in keep] for column in (sire, dam))
        sex = None if sex is None else sex[keep]
        birth = None if birth is None else birth[keep]
    groups = {str(name): k for k, name in enumerate(genetic_groups)}
    _check_groups(groups, genetic_groups, animals, (sire, dam))
    founders = _unlisted(animals, sire, dam, groups)
    if founders:
        s = "s" * (len(founders) > 1)
        notices += (f"{len(founders):,} founder{s} added for parents without a row: {some(founders)}",)
    animals += founders
    position = {name: i for i, name in enumerate(animals)}
    father, mother = (_codes(column, position, len(animals)) for column in (sire, dam))
    order = parents_first(animals, father, mother)
    if not hermaphrodite:
        check_roles(animals, father, mother)
    if sex is not None:
        check_sexes(animals, father, mother, np.append(sex, np.zeros(len(founders), dtype=np.int64)))
    if birth is not None:
        check_births(animals, father, mother, np.append(birth, np.full(len(founders), np.nan)))
    sire_group, dam_group = (_codes(column, groups, len(animals)) for column in (sire, dam))
    without = sum(
        int(np.count_nonzero((parent < 0) & (group < 0)))
        for parent, group in ((father, sire_group), (mother, dam_group))
    )
    if groups and without:
        notices += (f"{without:,} unknown parents have no genetic group: theirs is one of mean zero",)
    rank = np.empty(order.size + 1, dtype=np.int64)
    rank[order], rank[-1] = np.arange(order.size), -1
    return Rows(
        [animals[i] for i in order.tolist()],
        rank[father][order],
        rank[mother][order],
        sire_group[order],
        dam_group[order],
        notices,
    )


def _check_lengths(ids: Names, *others: Sequence[object] | NDArray[np.generic] | None) -> None:
    if not len(ids):
        raise DataError("the pedigree has no animals: give it a row of animal, sire and dam for each")
    names = ("sire", "dam", "sex", "birth")
    for name, column in zip(names, others, strict=True):
        if column is not None and len(column) != len(ids):
            raise DataError(
                f"the pedigree has {len(ids):,} animals and {len(column):,} values of {name}; "
                "give one for each animal"
            )
    nameless = next((i for i, name in enumerate(ids) if _missing(name)), None)
    if nameless is not None:
        raise DataError(
            f"row {nameless + 1} of the pedigree (counted from 1) does not say which animal it is about: "
            "fill in its identifier or leave the row out"
        )


def _once(
    animals: list[str], sire: Names, dam: Names, sex: NDArray[np.integer] | None, birth: Array | None
) -> tuple[list[int] | None, tuple[str, ...]]:
    """The first row of each animal, if some have several that say the same."""
    if len(set(animals)) == len(animals):
        return None, ()
    first: dict[str, int] = {}
    keep: list[int] = []
    for i, name in enumerate(animals):
        k = first.setdefault(name, i)
        if k == i:
            keep.append(i)
            continue
        if (sire[k], dam[k]) != (sire[i], dam[i]):
            parents = " and then ".join(f"{_said(sire[j])} and {_said(dam[j])}" for j in (k, i))
            raise DataError(
                f"the pedigree has {name!r} in rows {k + 1} and {i + 1} with different parents ({parents}): "
                "keep the right row, or make the identifiers of different animals unique"
            )
        if (sex is not None and sex[k] != sex[i]) or (
            birth is not None and not np.array_equal(birth[k], birth[i], equal_nan=True)
        ):
            raise DataError(
                f"the pedigree has {name!r} in rows {k + 1} and {i + 1} with another sex or date of birth: "
                "keep the right row, or make the identifiers of different animals unique"
            )
    extra = len(animals) - len(keep)
    row = "1 row repeats an animal" if extra == 1 else f"{extra:,} rows repeat animals"
    return keep, (f"{row} with the same parents and counts once",)


def _missing(name: object) -> bool:
    """None, or what pandas has in its place."""
    return name is None or (not isinstance(name, str) and str(name) in {"nan", "<NA>", "NaT"})


def _said(name: str | None) -> str:
    return "unknown" if name is None else repr(name)


def _check_groups(
    groups: dict[str, int], given: Sequence[str], animals: list[str], parents: tuple[Names, Names]
) -> None:
    if isinstance(given, str) or len(groups) < len(given):
        raise DataError(f"genetic_groups={given!r}: give a list of different names, such as ('G1', 'G2')")
    both = sorted(groups.keys() & set(animals)) if groups else []
    if both:
        raise DataError(
            f"{both[0]!r} is a genetic group and also an animal of the pedigree: leave out its row, since a "
            "group has no parents, or rename one of the two"
        )
    for name in groups:
        if not any(name in column for column in parents):
            raise DataError(
                f"the genetic group {name!r} is no animal's unknown parent: write it in place of unknown "
                "sires or dams, or leave it out of genetic_groups"
            )


def _unlisted(animals: list[str], sire: Names, dam: Names, groups: dict[str, int]) -> list[str]:
    """Parents without a row."""
    known = {*animals, *groups, None}
    found = dict.fromkeys(name for column in (sire, dam) for name in column if name not in known)
    return [str(name) for name in found]


def _codes(column: Names, position: dict[str, int], n: int) -> Index:
    """Position of each name, -1 where it has none; as long as there are animals."""
    out = np.full(n, -1, dtype=np.int64)
    found = position.get
    out[: len(column)] = [-1 if name is None else found(name, -1) for name in column]
    return out
