"""What is told or refused about a relationship before it goes into a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import (
    DenseRelationship,
    NamedBlocks,
    NamedFactor,
    Relationship,
    SparseFactorRelationship,
)
from henderson.covariance.blocks import NotSemidefiniteError, families, sparse_root
from henderson.covariance.psd import NegativePart, negative_part
from henderson.errors import DataError
from henderson.fit.named_matrix import BLOCK, some, unknown_in_row, unknown_numbers
from henderson.linalg.memory import installed_memory

Array = NDArray[np.float64]
Index = NDArray[np.intp]
#: Eigenvalues below zero by less than this part of the mean diagonal are those of incomplete genotypes.
SLIGHT = 0.01
#: Two people are one where the variance of their difference is this part of the sum of their variances.
TWINS = 1e-6
#: A family of more people is no longer taken as a block of a sparse matrix.
LARGEST_FAMILY = 5_000
#: A factor by families with more than this part of l^2 elements is slower than dense matrices.
SPARSE = 0.1


def known_levels(
    G: Array, names: Sequence[str], rows: Index, place: str
) -> tuple[Index | None, tuple[str, ...]]:
    """Leave out levels without records whose relationship to someone is not known.

    Parameters
    ----------
    G : ndarray, shape (l, l)
    names : sequence of str, length l
    rows : ndarray of int
        Levels that have records.
    place : str
        What to call G in messages.

    Returns
    -------
    ndarray of int or None
        The levels that stay, ascending; None where all do.
    tuple of str
        Notices.

    Raises
    ------
    DataError
        If an element is missing or infinite between two levels that have records.
    """
    i, j = unknown_numbers(G)
    if not i.size:
        return None, ()
    recorded = np.zeros(len(names), dtype=bool)
    recorded[rows] = True
    both = recorded[i] & recorded[j]
    if both.any():
        raise unknown_in_row(names[int(np.argmax(np.bincount(i[both])))], place)
    kept = np.ones(len(names), dtype=bool)
    while i.size:
        # whoever spoils most goes first, since a person without genotypes spoils everybody's row
        spoilt = np.bincount(i, minlength=kept.size) + np.bincount(j, minlength=kept.size)
        worst = int(np.argmax(np.where(recorded, 0, spoilt)))
        kept[worst] = False
        others = (i != worst) & (j != worst)
        i, j = i[others], j[others]
    out = [names[k] for k in np.flatnonzero(~kept).tolist()]
    return np.flatnonzero(kept), (
        f"{len(out)} of the {len(names)} in {place} are left out ({some(out)}): they have a missing or "
        "infinite number in their row of it and no row in the data",
    )


def check_semidefinite(relationship: Relationship, place: str) -> tuple[str, ...]:
    """Refuse a dense matrix that has clearly negative eigenvalues, and say how many and how far.

    Slightly negative ones, as of a matrix made pair by pair from incomplete genotypes (GCTA's default), are
    counted in a notice: the covariance of the records is positive definite all the same.
    """
    if not isinstance(relationship, DenseRelationship):
        return ()
    part = negative_part(relationship.matrix)
    if part is None:
        return ()
    if part.smallest < -SLIGHT * float(np.trace(relationship.matrix)) / part.n:
        raise _refusal(part, place)
    return (
        f"{place} is not quite positive semi-definite: {part}; this is usual where pairs of people miss "
        "different genotypes, and the matrix is taken as it is (hd.bend(G), or --bend, gives one that is)",
    )


def sparse_relationship(G: Any, place: str) -> Relationship:
    """The relationship of a sparse matrix, by families; dense where it is hardly sparse.

    Parameters
    ----------
    G : csc_array, shape (l, l)
    place : str
        What to call it in messages.

    Raises
    ------
    DataError
        If a family has negative eigenvalues, or the matrix is hardly sparse and too large to be dense.
    """
    n = G.shape[0]
    by_size = families(G)
    largest = by_size[-1].shape[1]
    filled = sum(members.size * (members.shape[1] + 1) / 2 for members in by_size)
    needed = 3 * 8.0 * n**2
    room = needed <= installed_memory()
    if largest <= LARGEST_FAMILY and (filled <= SPARSE * n**2 or not room):
        try:
            return SparseFactorRelationship(sparse_root(G))
        except NotSemidefiniteError as problem:
            raise _refusal(problem.part, place) from None
    if not room:
        raise DataError(
            f"{place} has a group of {largest:,} people who are all related through one another, and is no "
            f"longer sparse: as a dense matrix its {n:,} people take about {needed / 1e9:.0f} GB, which this "
            "machine lacks; drop more of the small relationships, as with a higher cutoff"
        )
    return DenseRelationship(G.toarray())


def _refusal(part: NegativePart, place: str) -> DataError:
    return DataError(
        f"{place} is not positive semi-definite: {part}; check that it is a relationship and not a distance "
        "matrix, and if it is, take hd.bend(G) (on the command line --bend), a matrix nearby without them"
    )


def twins(given: Any, names: Sequence[str], place: str) -> tuple[str, ...]:
    """A notice that counts the levels that have the relationships of another, to rounding.

    Parameters
    ----------
    given : ndarray, NamedBlocks, NamedFactor or anything else
        A dense symmetric matrix, or a relationship that may be singular; others have no twins.
    names : sequence of str
    place : str
        What to call it in the notice.
    """
    match given:
        case np.ndarray():
            first, second = _dense_twins(given)
        case NamedBlocks(matrix=matrix):
            part = matrix.tocoo()
            own = matrix.diagonal()
            alike = (part.row < part.col) & _same(own[part.row], own[part.col], part.data)
            first, second = part.row[alike], part.col[alike]
        case NamedFactor(factor=factor):
            first, second = _equal_rows(factor)
        case _:
            return ()
    if not first.size:
        return ()
    order = np.lexsort((second, first))
    pairs = [
        f"{names[i]!r} and {names[j]!r}" for i, j in zip(first[order[:3]], second[order[:3]], strict=True)
    ]
    more = ", ..." if first.size > 3 else ""
    return (
        f"{np.unique(np.append(first, second)).size} of the {len(names)} in {place} have the same "
        f"relationships as another ({', '.join(pairs)}{more}), as identical twins have, or one person twice: "
        "their effects are predicted alike",
    )


def _same(a: Array, b: Array, between: Array) -> NDArray[np.bool_]:
    return np.asarray((a + b - 2.0 * between <= TWINS * (a + b)) & (a + b > 0.0))


def _dense_twins(G: Array) -> tuple[Index, Index]:
    own = np.diag(G)
    first, second = [], []
    for start in range(0, own.size, BLOCK):
        i, j = np.nonzero(_same(own[start : start + BLOCK, None], own, G[start : start + BLOCK]))
        above = i + start < j
        first.append(i[above] + start)
        second.append(j[above])
    return np.concatenate(first), np.concatenate(second)


def _equal_rows(L: Array) -> tuple[Index, Index]:
    seen: dict[bytes, int] = {}
    pairs = [(first, i) for i, row in enumerate(L) if (first := seen.setdefault(row.tobytes(), i)) != i]
    out = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return out[:, 0], out[:, 1]
