"""Relationships whose rows have names and that are not dense matrices: sparse inverses, factors, blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.covariance.relationship import Precision
from henderson.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Array = NDArray[np.float64]
#: The two triangles of a sparse matrix may differ by this part of the largest element; they are averaged.
ASYMMETRY = 1e-6
#: Tells the random numbers of this check from those of other purposes.
PURPOSE = 0x73796D
_FLOATS = (float, np.floating)


@dataclass(frozen=True, slots=True, eq=False)
class NamedPrecision:
    """The sparse inverse of the relationship of named levels: a pedigree's A^-1, a single-step H^-1.

    Attributes
    ----------
    names : tuple of str, length l
        Who the rows and columns are; given as any sequence.
    precision : Precision
        G^-1, (l, l).

    Raises
    ------
    DataError
        If a name occurs twice, there are not as many names as rows, or the inverse is not square, symmetric
        and finite.

    Examples
    --------
    >>> from scipy.sparse import csc_array
    >>> NamedPrecision(["sire", "calf"], Precision(csc_array([[4 / 3, -2 / 3], [-2 / 3, 4 / 3]])))
    <NamedPrecision of 2 levels, 4 nonzeros>
    """

    names: tuple[str, ...]
    precision: Precision

    def __post_init__(self) -> None:
        if not isinstance(self.precision, Precision):
            raise DataError(
                "a NamedPrecision takes a Precision, the sparse inverse of the relationship; it was given a "
                f"{type(self.precision).__name__}"
            )
        given = self.precision.inverse
        object.__setattr__(self, "names", checked_names(self.names, given.shape))
        inverse = _checked_sparse(given, self.names)
        own = inverse.diagonal()
        if own.size and not own.min() > 0.0:
            worst = int(np.argmin(own))
            raise DataError(
                f"the inverse of a relationship has {own[worst]:.3g} on its diagonal for "
                f"{self.names[worst]!r}, where it has to be positive"
            )
        if inverse is not given:
            object.__setattr__(self, "precision", Precision(inverse))

    def __repr__(self) -> str:
        return f"<NamedPrecision of {len(self.names):,} levels, {self.precision.inverse.nnz:,} nonzeros>"


@dataclass(frozen=True, slots=True, eq=False)
class NamedFactor:
    """A factor L of the relationship G = L L' of named levels, dense and often of low rank.

    Attributes
    ----------
    names : tuple of str, length l
        Who the rows are; given as any sequence.
    factor : ndarray of float64, shape (l, r)
        L, such as standardised genotypes over the root of their number.

    Raises
    ------
    DataError
        If a name occurs twice, there are not as many names as rows, or a number is not finite.

    Examples
    --------
    >>> NamedFactor(["ann", "bob"], [[1.0, 0.0], [0.5, 0.8]])
    <NamedFactor of 2 levels, rank at most 2>
    """

    names: tuple[str, ...]
    factor: Array

    def __init__(self, names: Sequence[str], factor: ArrayLike) -> None:
        numbers = as_numbers(factor, "the elements of a factor")
        if numbers.ndim != 2:
            raise DataError(
                f"a factor L of G = L L' is a matrix, a row per level; it has {numbers.ndim} dimensions"
            )
        object.__setattr__(self, "names", checked_names(names, (numbers.shape[0],)))
        object.__setattr__(self, "factor", numbers)
        if not np.isfinite(numbers.sum()):
            wrong = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
            if wrong.size:
                raise DataError(
                    f"{wrong.size} rows of the factor have a number that is missing or infinite, the first "
                    f"of them the row of {self.names[int(wrong[0])]!r}; leave these levels out of it"
                )

    def __repr__(self) -> str:
        return f"<NamedFactor of {len(self.names):,} levels, rank at most {min(self.factor.shape):,}>"


@dataclass(frozen=True, slots=True, eq=False)
class NamedBlocks:
    """The sparse relationship G of named levels: block-diagonal by family, or with small elements dropped.

    Attributes
    ----------
    names : tuple of str, length l
        Who the rows and columns are; given as any sequence.
    matrix : csc_array of float64, shape (l, l)
        G, symmetric, both triangles, indices sorted; given as any sparse matrix or array.

    Raises
    ------
    DataError
        If a name occurs twice, there are not as many names as rows, or the matrix is not square, symmetric
        and finite.

    Examples
    --------
    >>> from scipy.sparse import csc_array
    >>> NamedBlocks(["ann", "bob", "cleo"], csc_array([[1.0, 0.5, 0], [0.5, 1.0, 0], [0, 0, 1.0]]))
    <NamedBlocks of 3 levels, 1 related pair>
    """

    names: tuple[str, ...]
    matrix: csc_array

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", checked_names(self.names, np.shape(self.matrix)))
        object.__setattr__(self, "matrix", _checked_sparse(self.matrix, self.names))

    def __repr__(self) -> str:
        related = (self.matrix.nnz - int(np.count_nonzero(self.matrix.diagonal()))) // 2
        pairs = "1 related pair" if related == 1 else f"{related:,} related pairs"
        return f"<NamedBlocks of {len(self.names):,} levels, {pairs}>"


@runtime_checkable
class HasRelationship(Protocol):
    """Whatever has named levels and makes the sparse inverse of their relationship, as a pedigree does."""

    @property
    def ids(self) -> Sequence[str] | NDArray[np.str_]:
        """Names of the levels, in the order of the relationship."""
        ...

    def relationship(self) -> Precision:
        """Inverse of the relationship of the levels."""
        ...


def as_name(name: object) -> str:
    """A name as the levels of a column of such values are written: 7 and 7.0 are both '7'."""
    return f"{name:.15g}" if isinstance(name, _FLOATS) else str(name)


def as_numbers(values: ArrayLike, what: str) -> Array:
    """Numbers as float64.

    Raises
    ------
    DataError
        If they are something else; ``what`` says what they should be.
    """
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise DataError(f"{what} must be numbers: {problem}") from None


def checked_names(names: Sequence[str], shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names as a tuple of str, one for each row of a matrix of this shape, all different."""
    listed = tuple(map(as_name, names))
    if len(listed) != shape[0]:
        raise DataError(f"there are {len(listed):,} names, but the relationship has {shape[0]:,} rows")
    if len(set(listed)) < len(listed):
        twice = [name for name, n in Counter(listed).items() if n > 1]
        raise DataError(
            f"a relationship names {len(twice)} of its levels more than once, the first of them "
            f"{twice[0]!r}; each needs a name of its own"
        )
    return listed


def _checked_sparse(given: Any, names: tuple[str, ...]) -> csc_array:
    """A square, finite and symmetric matrix, the given one if its indices are sorted."""
    from scipy.sparse import csc_array

    matrix = given if isinstance(given, csc_array) else csc_array(given, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise DataError(f"a sparse relationship is a square matrix; its shape is {matrix.shape}")
    if not matrix.has_canonical_format or matrix.dtype != np.float64:
        matrix = csc_array(matrix, dtype=np.float64, copy=True)
        matrix.sum_duplicates()
    wrong = np.flatnonzero(~np.isfinite(matrix.data))
    if wrong.size:
        column = int(np.searchsorted(matrix.indptr, wrong[0], side="right")) - 1
        raise DataError(
            f"{wrong.size} elements of a sparse relationship are missing or infinite, the first of them of "
            f"{names[int(matrix.indices[wrong[0]])]!r} and {names[column]!r}"
        )
    return _symmetric(matrix, names)


def _has_symmetric_pattern(matrix: csc_array) -> bool:
    """Whether an element that is there, if it is zero or nearly, is also there the other way round."""
    from scipy.sparse import csc_array

    ones = csc_array((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)
    rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(PURPOSE, 1)))
    v = rng.integers(1, 2**20, size=matrix.shape[0]).astype(np.float64)  # whose sums are exact
    return bool(np.array_equal(ones @ v, v @ ones))


def _symmetric(matrix: csc_array, names: tuple[str, ...]) -> csc_array:
    """The matrix itself, or the mean of its two triangles if they differ by rounding."""
    # A v = A'v for a random v tells almost surely, and without a second matrix
    rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(PURPOSE, 0)))
    v = rng.normal(size=matrix.shape[0])
    size = float(np.max(abs(matrix) @ np.abs(v), initial=0.0))
    if np.abs(matrix @ v - v @ matrix).max(initial=0.0) <= 1e-13 * size and _has_symmetric_pattern(matrix):
        return matrix
    difference = abs(matrix - matrix.T).tocoo()
    largest = int(np.argmax(difference.data)) if difference.nnz else -1
    if difference.nnz and difference.data[largest] > ASYMMETRY * np.abs(matrix.data).max():
        i, j = int(difference.row[largest]), int(difference.col[largest])
        raise DataError(
            f"a sparse relationship is not symmetric: it has {matrix[i, j]:.6g} for {names[i]!r} and "
            f"{names[j]!r}, but {matrix[j, i]:.6g} the other way round; give both triangles"
        )
    mean = (0.5 * (matrix + matrix.T)).tocsc()
    mean.sort_indices()
    return mean
