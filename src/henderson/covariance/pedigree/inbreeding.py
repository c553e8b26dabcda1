"""Inbreeding coefficients, and the Mendelian variances that follow from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def inbreeding_coefficients(sire: Index, dam: Index) -> Array:
    """F of every animal.

    F is half of the relationship of the parents, so that it is one number for all offspring of a mating. The
    relationships of one animal to all it mates with are a column of A = T D T' (Quaas 1976, Biometrics
    32:949-953), of which only the rows of the mates and their ancestors are worked out (Colleau 2002,
    Genetics Selection Evolution 34:409-421). D of an animal rests on F of its parents, so that matings are
    taken by generation. The work is that of the ancestors of all mates, once for each animal whose column it
    is: these are the sex of which there are fewer.

    Parameters
    ----------
    sire, dam : ndarray of int64, shape (n,)
        Positions of the parents, which stand before their offspring; -1 where unknown.

    Returns
    -------
    ndarray of float64, shape (n,)

    Examples
    --------
    >>> inbreeding_coefficients(np.array([-1, -1, 0, 2]), np.array([-1, -1, 1, 1]))
    array([0.  , 0.  , 0.  , 0.25])
    """
    from henderson.covariance.pedigree.kernels import generations, inbreeding_by_mating

    F = np.zeros(sire.size)
    born = np.flatnonzero((sire >= 0) & (dam >= 0))
    if not born.size:
        return F
    generation = generations(sire, dam)
    first, second = _fewer_first(sire[born], dam[born], generation[born])
    order = np.lexsort((second, first, generation[born]))
    born, first, second = born[order], first[order], second[order]
    new_run = _differs(first) | _differs(generation[born])
    new_mating = new_run | _differs(second)
    mating = np.cumsum(new_mating) - 1
    born_of = np.full(sire.size, -1)
    born_of[born] = mating
    # parents alone are ancestors: they are few, and lie closely together
    parents = np.unique(np.concatenate([sire, dam]))
    parents = parents[parents >= 0]
    parents = parents[np.argsort(generation[parents], kind="stable")]
    place = np.full(sire.size + 1, -1)
    place[parents] = np.arange(parents.size)
    by_mating = inbreeding_by_mating(
        place[sire[parents]],
        place[dam[parents]],
        born_of[parents],
        place[first[new_mating]],
        place[second[new_mating]],
        np.append(mating[new_run], mating[-1] + 1),
    )
    F[born] = by_mating[mating]
    return F


def mendelian_variances(sire: Index, dam: Index, F: Array) -> Array:
    """D of A = T D T', shape (n,): what of each animal's variance does not come from its known parents.

    1 less (1 + F) / 4 of each known parent (Quaas 1976).
    """
    # position -1, an unknown parent, takes away nothing
    quarter = np.append(0.25 * (1.0 + F), 0.0)
    explained: Array = quarter[sire] + quarter[dam]
    return 1.0 - explained


def _fewer_first(sire: Index, dam: Index, generation: Index) -> tuple[Index, Index]:
    """Sires and dams, or dams and sires where these are fewer."""
    n_sires, n_dams = (_count_distinct(each, generation) for each in (sire, dam))
    return (sire, dam) if n_sires <= n_dams else (dam, sire)


def _count_distinct(parent: Index, generation: Index) -> int:
    return np.unique(parent * (int(generation.max()) + 1) + generation).size


def _differs(sorted_values: Index) -> NDArray[np.bool_]:
    """Where a value is not that before it."""
    return np.append(True, sorted_values[1:] != sorted_values[:-1])
