"""The ``relationship=`` of `lmer`: which rows of a named matrix the levels of a grouping factor are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import DenseRelationship, Relationship, RelationshipMatrix
from henderson.engine import Engine
from henderson.engine.spectral import SpectralEngine
from henderson.errors import DataError
from henderson.io.frame import closest

Array = NDArray[np.float64]
#: The two triangles may differ by this part of the largest diagonal element; they are averaged.
ASYMMETRY = 1e-6
#: Rows that are looked at together, so that a check needs no second matrix.
BLOCK = 256
#: Eigenvalues that differ by less than this part of the largest are the same.
ALIKE = 1e-10


def as_mapping(relationship: Any) -> Mapping[str, Any]:
    """The argument itself, if it is a mapping.

    Raises
    ------
    DataError
        For a matrix on its own, which does not say whose it is.
    """
    if relationship is None:
        return {}
    if not isinstance(relationship, Mapping) or not all(isinstance(key, str) for key in relationship):
        raise DataError(
            "relationship must be a dict of a grouping factor and its matrix, such as "
            f"relationship={{'iid': G}}; it is a {type(relationship).__name__}"
        )
    return relationship


def check_groups(relationship: Mapping[str, Any], groups: Iterable[str]) -> None:
    """Refuse a matrix for a grouping factor that the formula lacks."""
    groups = list(dict.fromkeys(groups))
    for name in relationship:
        if name not in groups:
            raise DataError(
                f"relationship has a matrix for {name!r}, which is no grouping factor of the formula"
                + closest(name, groups)
            )


@dataclass(frozen=True, slots=True, eq=False)
class RelatedLevels:
    """The levels of a grouping factor whose relationship is known, also those without records.

    Attributes
    ----------
    levels : sequence of str, length l
        Their names, in the order of the relationship.
    relationship : Relationship
        G, (l, l).
    rows : ndarray of int, shape (levels with records,)
        Where each level that has records stands in it.
    """

    levels: Sequence[str]
    relationship: Relationship
    rows: NDArray[np.intp]


def relate(given: Any, group: str, levels: Sequence[str]) -> RelatedLevels:
    """Find the levels of a grouping factor in the relationship that was given for it.

    Parameters
    ----------
    given : RelationshipMatrix, pandas DataFrame or RelatedLevels
        A square frame has the names of the people as its index and, in the same order, as its columns. What
        was found before stays as it is.
    group : str
        The grouping factor.
    levels : sequence of str
        Its levels in the data, which are names of people: the individual identifiers (IID) of a
        `RelationshipMatrix`.

    Returns
    -------
    RelatedLevels
        Everybody in the relationship, which is the caller's own matrix if that is symmetric to the last
        digit: people without records get predictions too.

    Raises
    ------
    DataError
        If the matrix is not square, symmetric and finite, has a name twice, or lacks one of the levels.

    Examples
    --------
    >>> import pandas as pd
    >>> G = pd.DataFrame([[1.0, 0.5], [0.5, 1.0]], index=["ann", "bob"], columns=["ann", "bob"])
    >>> found = relate(G, "iid", ["bob"])
    >>> found.levels, found.rows
    (['ann', 'bob'], array([1]))
    """
    if isinstance(given, RelatedLevels):
        return given
    matrix, names = _named(given, group)
    rows = _rows(names, group, levels)
    return RelatedLevels(
        names, DenseRelationship(_symmetric(np.asarray(matrix, np.float64), names, group)), rows
    )


def check_told_apart(engine: Engine, *, reml: bool) -> None:
    """Refuse a relationship with which the criterion has no maximum, or none that means anything.

    Raises
    ------
    DataError
        If all eigenvalues beside the fixed effects are alike, as with the identity: V then is the same for
        any h2. Or, for maximum likelihood, if K is zero along a fixed effect and nowhere else.
    """
    if not isinstance(engine, SpectralEngine):
        return
    values = engine.spectrum.values
    if values[-1] - values[0] <= ALIKE * values[-1]:
        raise DataError(
            f"the relationship matrix of '{engine.model.terms[0].label}' makes all {engine.model.n} people "
            "equally related beside the fixed effects, so that its variance cannot be told from the "
            "residual; it takes people of whom some are more closely related than others"
        )
    if reml or values[0] == 0.0:
        return
    spectrum = engine.spectrum
    beside = spectrum.gram - spectrum.cross.T @ (spectrum.cross / values[:, None])
    if np.linalg.eigvalsh(beside)[0] < ALIKE * values[-1]:
        raise DataError(
            f"the relationship matrix of '{engine.model.terms[0].label}' is zero along the fixed effects, as "
            "the GRM of exactly these people is along the intercept; the likelihood then has no maximum: "
            "use REML"
        )


def _named(given: Any, group: str) -> tuple[NDArray[Any], Sequence[str]]:
    """A square matrix and the names of its rows."""
    place = f"relationship[{group!r}]"
    if isinstance(given, RelationshipMatrix):
        matrix, names = np.asarray(given.matrix), np.asarray(given.samples.iid).tolist()
    elif type(given).__module__.startswith("pandas") and hasattr(given, "columns"):
        names = [_label(x) for x in given.index]
        columns = [_label(x) for x in given.columns]
        if len(names) == len(columns) and names != columns:
            i = next(i for i, (a, b) in enumerate(zip(names, columns, strict=True)) if a != b)
            raise DataError(
                f"the columns of {place} are not named as its rows: in place {i} (counted from 0) the row is "
                f"{names[i]!r} and the column {columns[i]!r}; a matrix read from a file may need index_col=0"
            )
        matrix = _numbers(given, place)
    else:
        raise DataError(
            f"{place} is a {type(given).__name__}, which does not name its people; give a "
            "RelationshipMatrix, or a pandas DataFrame with their names as index and as columns"
        )
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        shape = " x ".join(map(str, matrix.shape))
        raise DataError(f"{place} is {shape}, and a relationship matrix is square")
    if len(names) != matrix.shape[0]:
        raise DataError(f"{place} names {len(names)} people for its {matrix.shape[0]} rows")
    return matrix, names


def _numbers(frame: Any, place: str) -> NDArray[Any]:
    try:
        return np.asarray(frame.to_numpy(dtype=np.float64))
    except (TypeError, ValueError):
        bad = next((repr(name) for name, column in frame.items() if not _is_numbers(column)), "?")
        raise DataError(f"{place} must hold numbers only; column {bad} holds something else") from None


def _is_numbers(column: Any) -> bool:
    try:
        column.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _label(x: Any) -> str:
    """A name as the levels of a column of such values are written: 7 and 7.0 are both '7'."""
    return f"{x:.15g}" if isinstance(x, float | np.floating) else str(x)


def _rows(names: Sequence[str], group: str, levels: Sequence[str]) -> NDArray[np.intp]:
    """Row of the matrix for each level."""
    row = {name: i for i, name in enumerate(names)}
    if len(row) < len(names):
        twice = [name for name, count in Counter(names).items() if count > 1]
        s = "s" if len(twice) > 1 else ""
        raise DataError(
            f"relationship[{group!r}] has {len(twice)} name{s} more than once ({_some(twice)}), so that rows "
            "cannot be told apart; make the identifiers unique"
        )
    missing = [level for level in levels if level not in row]
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(levels)} levels of {group!r} are not in its relationship "
            f"matrix ({_some(missing)}), whose {len(names)} people are named like {_some(names)}; leave "
            "these rows out or mend the names"
        )
    return np.array([row[level] for level in levels], dtype=np.intp)


def _symmetric(G: Array, levels: Sequence[str], group: str) -> Array:
    """Refuse what is infinite or lopsided; average the triangles if they differ by rounding."""
    n = G.shape[0]
    worst, where = 0.0, (0, 0)
    for start in range(0, n, BLOCK):
        rows = slice(start, min(start + BLOCK, n))
        finite = np.isfinite(G[rows]).all(axis=1)
        if not finite.all():
            i = start + int(np.argmin(finite))
            # a person without genotypes spoils a row; the others have one bad element each, in its column
            i = max((i, *np.flatnonzero(~np.isfinite(G[i]))), key=lambda j: int((~np.isfinite(G[j])).sum()))
            raise DataError(
                f"relationship[{group!r}] has a missing or infinite number in the row of {levels[i]!r}: "
                "mend it or leave this person out"
            )
        gap = np.abs(G[rows] - G[:, rows].T)
        at = np.unravel_index(int(gap.argmax()), gap.shape)
        if gap[at] > worst:
            worst, where = float(gap[at]), (start + int(at[0]), int(at[1]))
    if worst > ASYMMETRY * float(np.abs(np.diag(G)).max()):
        i, j = where
        raise DataError(
            f"relationship[{group!r}] is not symmetric: it has {G[i, j]:.8g} in row {levels[i]!r}, column "
            f"{levels[j]!r} and {G[j, i]:.8g} the other way round; is it a triangle only?"
        )
    return G if worst == 0.0 else 0.5 * (G + G.T)


def _some(names: Sequence[str]) -> str:
    """The first three."""
    return ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
