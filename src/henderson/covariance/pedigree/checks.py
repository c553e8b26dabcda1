"""What cannot be true of a pedigree: circles, parents of both sexes or of the wrong one, younger parents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError

Array = NDArray[np.float64]
Index = NDArray[np.int64]
MALE, FEMALE = 1, 2
_SHOWN = 3
_LONGEST = 20  # offspring and parents of a circle that are named


def parents_first(animals: Sequence[str], sire: Index, dam: Index) -> Index:
    """An order in which parents stand before their offspring, and otherwise that of the rows.

    Raises
    ------
    DataError
        If an animal is its own ancestor; the whole circle is named.
    """
    from henderson.covariance.pedigree import kernels

    order, loop = kernels.parents_first(sire, dam)
    if not loop.size:
        return np.asarray(order)
    names = [repr(animals[i]) for i in loop.tolist()]
    if len(names) == 1:
        raise DataError(f"the pedigree has {names[0]} as a parent of itself: mend the parents in its row")
    pairs = [f"{child} of {parent}" for child, parent in zip(names, [*names[1:], names[0]], strict=True)]
    line = ", ".join(pairs[:_LONGEST]) + (f" and {len(pairs) - _LONGEST:,} more" if pairs[_LONGEST:] else "")
    raise DataError(
        f"the pedigree goes round in a circle, in which {names[0]} is its own ancestor (offspring of parent: "
        f"{line}): mend the parents of one of them"
    )


def check_roles(animals: Sequence[str], sire: Index, dam: Index) -> None:
    """Refuse whoever is a sire here and a dam there.

    Raises
    ------
    DataError
    """
    both = np.intersect1d(sire[sire >= 0], dam[dam >= 0]).tolist()
    if not both:
        return
    of, also = (animals[int(np.argmax(column == both[0]))] for column in (sire, dam))
    offspring = (
        f"the sire and the dam of {of!r}" if of == also else f"the sire of {of!r} and the dam of {also!r}"
    )
    raise DataError(
        f"{animals[both[0]]!r} is {offspring}{_and_more(len(both), 'animal', 'both')}: mend one of the two "
        "columns; for plants and others of both sexes, hd.read_pedigree takes hermaphrodite=True"
    )


def check_sexes(animals: Sequence[str], sire: Index, dam: Index, sex: NDArray[np.integer]) -> None:
    """Refuse sires that are female and dams that are male.

    Raises
    ------
    DataError
    """
    for parent, wrong, role, said in ((sire, FEMALE, "sire", "female"), (dam, MALE, "dam", "male")):
        at = np.flatnonzero((parent >= 0) & (sex[parent] == wrong))
        if at.size:
            more = _and_more(np.unique(parent[at]).size, role, said)
            raise DataError(
                f"{animals[parent[at[0]]]!r} is the {role} of {animals[at[0]]!r}, but its sex is "
                f"{said}{more}: mend the sex or the parent"
            )


def check_births(animals: Sequence[str], sire: Index, dam: Index, birth: Array) -> None:
    """Refuse parents that are younger than their offspring; births are NaN where not known.

    Raises
    ------
    DataError
    """
    for parent, role in ((sire, "sire"), (dam, "dam")):
        at = np.flatnonzero((parent >= 0) & (birth[parent] > birth))
        if at.size:
            more = _and_more(at.size, "animal", f"older than its {role}")
            raise DataError(
                f"{animals[at[0]]!r} is older than its {role} {animals[parent[at[0]]]!r}{more}: mend the "
                "birth of one of them or the parent"
            )


def _and_more(count: int, what: str, said: str) -> str:
    """How many are wrong beside the one that is named."""
    others = count - 1
    return f" ({others:,} more {what}{'s' * (others > 1)}: {said})" if others else ""


def some(names: Sequence[str]) -> str:
    """The first three names."""
    return ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
