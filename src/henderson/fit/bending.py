"""A relationship matrix that is not positive semi-definite, and the one nearby that is."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import NamedBlocks, RelationshipMatrix
from henderson.covariance.blocks import family_blocks, of_blocks
from henderson.covariance.psd import lifted
from henderson.errors import DataError
from henderson.fit.named_matrix import known_matrix

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("henderson")
Array = NDArray[np.float64]
Named = TypeVar("Named", bound="RelationshipMatrix | NamedBlocks | pd.DataFrame")


def bend(G: Named, *, smallest: float = 1e-6) -> Named:
    """Make a relationship matrix positive definite by lifting its lowest eigenvalues.

    Eigenvalues below ``smallest`` times their mean become that, and all are then scaled so that the trace,
    the sum of the people's relationships to themselves, stays what it was: the bending of Jorjani et al.
    (2003), J. Dairy Sci. 86:677-679, without weights. A sparse matrix is bent family by family, so that
    families without low eigenvalues stay as they are; within a family that is bent all are related then. What
    it changes is told in a warning of the logger "henderson".

    Parameters
    ----------
    G : RelationshipMatrix, NamedBlocks or pandas DataFrame
        The matrix; not changed.
    smallest : float
        The lowest eigenvalue over the mean eigenvalue, between 0 and 1.

    Returns
    -------
    RelationshipMatrix, NamedBlocks or pandas DataFrame
        Of the same kind as ``G``; ``G`` itself if no eigenvalue is as low.

    Raises
    ------
    DataError
        If the matrix is not square, symmetric and finite, or its diagonal is not positive.

    Examples
    --------
    >>> from henderson.covariance import RelationshipMatrix
    >>> G = RelationshipMatrix.of([[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.0]], ["a", "b", "c"])
    >>> bend(G).matrix.round(3)
    array([[0.979, 0.737, 0.063],
           [0.737, 1.042, 0.737],
           [0.063, 0.737, 0.979]])
    """
    if not 0.0 < smallest < 1.0:
        raise DataError(
            f"smallest must be between 0 and 1, a part of the mean eigenvalue; it is {smallest!r}"
        )
    bent: Any = _bent_blocks(G, smallest) if isinstance(G, NamedBlocks) else _bent_dense(G, smallest)
    return G if bent is None else bent


def _bent_blocks(G: NamedBlocks, smallest: float) -> NamedBlocks | None:
    floor = smallest * _mean_eigenvalue(G.matrix.diagonal(), G.names)
    n_lifted = 0

    def bent() -> Iterator[tuple[NDArray[np.intp], Array]]:
        nonlocal n_lifted
        for members, stack in family_blocks(G.matrix):
            new, below = lifted(stack, floor)
            n_lifted += below
            yield members, new

    matrix = of_blocks(bent(), len(G.names))
    if not n_lifted:
        return None
    change, old = (matrix - G.matrix).tocoo(), G.matrix.data
    at = int(np.argmax(np.abs(change.data)))
    part = float(np.linalg.norm(change.data) / np.linalg.norm(old))
    place = (int(change.row[at]), int(change.col[at]))
    _tell(n_lifted, G.names, part=part, largest=float(change.data[at]), place=place)
    return NamedBlocks(G.names, matrix)


def _bent_dense(G: Any, smallest: float) -> Any:
    old, names = known_matrix(G, "the matrix")
    new, n_lifted = lifted(old, smallest * _mean_eigenvalue(np.diag(old), names))
    if not n_lifted:
        return None
    change = new - old
    i, j = (int(k) for k in np.unravel_index(np.abs(change).argmax(), change.shape))
    part = float(np.linalg.norm(change) / np.linalg.norm(old))
    _tell(n_lifted, names, part=part, largest=float(change[i, j]), place=(i, j))
    if isinstance(G, RelationshipMatrix):
        return replace(G, matrix=new)
    return type(G)(new, index=G.index, columns=G.columns)


def _mean_eigenvalue(own: Array, names: Sequence[str]) -> float:
    if not own.min() > 0.0:
        k = int(np.argmin(own))
        raise DataError(
            f"the relationship of {names[k]!r} to itself is {own[k]:.3g}, where a relationship matrix has a "
            "positive number on its diagonal; leave it out"
        )
    return float(own.mean())


def _tell(
    n_lifted: int, names: Sequence[str], *, part: float, largest: float, place: tuple[int, int]
) -> None:
    first, second = (names[k] for k in sorted(place))
    logger.warning(
        f"relationship matrix bent: {n_lifted} of {len(names)} eigenvalues lifted; it changes by {part:.3g} "
        f"of its Frobenius norm, and most, by {largest:+.3g}, for {first!r} and {second!r}"
    )
