"""A relationship matrix and a cutoff: people who are not related, and the matrix of those who are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import NamedBlocks
from henderson.covariance.cutoff import pairs_above, unrelated_rows
from henderson.errors import DataError
from henderson.fit.named_matrix import known_matrix

Array = NDArray[np.float64]


def unrelated(G: Any, cutoff: float = 0.05) -> list[str]:
    """People of whom no two are related by more than a cutoff, as many as a greedy choice finds.

    Whoever has most relatives above the cutoff goes first (of several the last in the matrix's order) until
    no pair is left, and whoever could then stay comes back: nobody can be added to the result. GCTA's
    ``--grm-cutoff`` (Yang et al. 2011, Am. J. Hum. Genet. 88:76-82) means the same but counts relatives only
    once, at the start, so that it may keep others, and fewer.

    Parameters
    ----------
    G : RelationshipMatrix, pandas DataFrame or NamedBlocks
        The matrix.
    cutoff : float
        The largest relationship of two people that both may stay.

    Returns
    -------
    list of str
        Their names, in the order of the matrix: the individual identifiers of a `RelationshipMatrix`.

    Raises
    ------
    DataError
        If the matrix is not square, symmetric and finite, or names a person twice.

    Examples
    --------
    >>> from henderson.covariance import RelationshipMatrix
    >>> G = RelationshipMatrix.of([[1.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 1.0]], ["ann", "bob", "cleo"])
    >>> unrelated(G)
    ['ann', 'cleo']
    """
    _check(cutoff)
    matrix, names = _checked(G)
    i, j, _ = pairs_above(matrix, cutoff)
    return [names[k] for k in unrelated_rows(len(names), i, j).tolist()]


def make_sparse(G: Any, cutoff: float = 0.05) -> NamedBlocks:
    """Keep the relationships above a cutoff and each person's own, as GCTA's ``--make-bK-sparse``.

    The relationship of fastGWA (Jiang et al. 2019, Nature Genetics 51:1749-1755). A matrix that lost
    elements need not be positive semi-definite any more; `bend` mends that.

    Parameters
    ----------
    G : RelationshipMatrix, pandas DataFrame or NamedBlocks
        The matrix.
    cutoff : float
        Relationships of two people up to here are dropped.

    Returns
    -------
    NamedBlocks

    Raises
    ------
    DataError
        If the matrix is not square, symmetric and finite, or names a person twice.

    Examples
    --------
    >>> from henderson.covariance import RelationshipMatrix
    >>> G = RelationshipMatrix.of([[1.0, 0.5, 0.01], [0.5, 1.0, 0.04], [0.01, 0.04, 1.0]], ["a", "b", "c"])
    >>> make_sparse(G)
    <NamedBlocks of 3 levels, 1 related pair>
    """
    from scipy.sparse import csc_array

    _check(cutoff)
    matrix, names = _checked(G)
    i, j, values = pairs_above(matrix, cutoff)
    own = np.arange(len(names))
    place = (np.concatenate([i, j, own]), np.concatenate([j, i, own]))
    data = np.concatenate([values, values, matrix.diagonal()])
    return NamedBlocks(tuple(names), csc_array((data, place), shape=matrix.shape))


def _check(cutoff: float) -> None:
    if not isinstance(cutoff, int | float | np.number) or not 0.0 <= cutoff < np.inf:
        raise DataError(
            f"the cutoff must be 0 or more, the largest relationship of unrelated people; it is {cutoff!r}"
        )


def _checked(G: Any) -> tuple[Any, list[str]]:
    """The matrix, dense or sparse, and its names."""
    if isinstance(G, NamedBlocks):
        return G.matrix, list(G.names)
    return known_matrix(G, "the matrix")
