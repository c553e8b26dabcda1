"""A relationship matrix whose rows have names: what files hold and users hand over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from henderson.covariance.named import as_name
from henderson.errors import DataError
from henderson.genotype.source import Samples
from henderson.linalg.memory import installed_memory


@dataclass(frozen=True, slots=True, eq=False)
class RelationshipMatrix:
    """A symmetric (n, n) relationship matrix of named people.

    Attributes
    ----------
    matrix : ndarray of float64, shape (n, n)
        Relationships.
    samples : Samples
        Who the rows and columns are.
    n_variants : ndarray of float64, shape (n, n), float or None
        Number of variants that each element rests on, one number where it is the same for all, or None where
        it is not known.

    Raises
    ------
    DataError
        If the matrix is not square, or has not as many rows as there are people.

    Examples
    --------
    >>> RelationshipMatrix.of([[1.0, 0.5], [0.5, 1.0]], ["ann", "bob"])
    <RelationshipMatrix of 2 people>
    """

    matrix: NDArray[np.float64]
    samples: Samples
    n_variants: NDArray[np.float64] | float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.samples, Samples):
            raise DataError(
                "the people of a relationship matrix must be Samples; with identifiers alone, use "
                "RelationshipMatrix.of(matrix, iids)"
            )
        shape = np.shape(self.matrix)
        if shape != (self.samples.n, self.samples.n):
            raise DataError(
                f"the relationship matrix names {self.samples.n} people, but its shape is {shape}"
            )

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """The relationships alone, for functions that take arrays."""
        return np.array(self.matrix, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"<RelationshipMatrix of {self.samples.n} people>"

    @classmethod
    def of(cls, matrix: ArrayLike, iids: Sequence[str]) -> RelationshipMatrix:
        """A matrix whose people are known by one identifier each.

        Parameters
        ----------
        matrix : array_like of float, shape (n, n)
            Relationships.
        iids : sequence of str, n long
            Individual identifiers of its rows; numbers count as a column of them does, 7.0 as '7'.
        """
        names = np.array([as_name(iid) for iid in iids], dtype=np.str_)
        return cls(np.asarray(matrix, dtype=np.float64), Samples(np.full(names.size, "0"), names))


def check_room(n: int, *, matrices: int, what: str, instead: str) -> None:
    """Refuse dense matrices of n levels that this machine cannot hold, before it tries.

    Parameters
    ----------
    n : int
    matrices : int
        How many there are at once.
    what, instead : str
        Whose they are, and what to do.
    """
    needed, there = 8.0 * matrices * n * n, installed_memory()
    if needed > there:
        raise DataError(
            f"dense relationships of {n:,} {what} take {needed / 1e9:.3g} GB of memory while they are made, "
            f"and this machine has {there / 1e9:.3g} GB: {instead}"
        )


def check_is_matrix(G: object) -> None:
    """Refuse what is no `RelationshipMatrix`, as a table of numbers."""
    if not isinstance(G, RelationshipMatrix):
        raise DataError(
            f"the relationships are of type {type(G).__name__}: give a RelationshipMatrix, as "
            "hd.RelationshipMatrix.of(matrix, names)"
        )
