"""The ``relationship=`` of `lmer`: which rows of a named matrix the levels of a grouping factor are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import (
    DenseRelationship,
    FactorRelationship,
    HasRelationship,
    Homogeneous,
    Identity,
    NamedBlocks,
    NamedFactor,
    NamedPrecision,
    Relationship,
    SpatialKernel,
)
from henderson.engine import Engine
from henderson.engine.spectral import SpectralEngine
from henderson.errors import DataError
from henderson.fit.named_matrix import check_unique, named_matrix, some, symmetric
from henderson.fit.relationship_checks import check_semidefinite, known_levels, sparse_relationship, twins
from henderson.io.frame import closest
from henderson.model import MixedModel, RandomTerm

#: Eigenvalues that differ by less than this part of the largest are the same.
ALIKE = 1e-10
#: Tells the random numbers of these checks from those of other purposes, and of data.
PURPOSE = 0x6B696E


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
    notices : tuple of str
        What the user should know about it.
    """

    levels: Sequence[str]
    relationship: Relationship
    rows: NDArray[np.intp]
    notices: tuple[str, ...] = ()


def relate(given: Any, group: str, levels: Sequence[str]) -> RelatedLevels:
    """Find the levels of a grouping factor in the relationship that was given for it.

    Parameters
    ----------
    given : RelationshipMatrix, pandas DataFrame, NamedPrecision, NamedFactor, NamedBlocks, SpatialKernel
        Or a pedigree, or any `HasRelationship`. A square frame has the names of the people as its index and,
        in the same order, as its columns; of a `RelationshipMatrix` the individual identifiers (IID) count.
        `RelatedLevels`, found before, stay as they are.
    group : str
        The grouping factor.
    levels : sequence of str
        Its levels in the data, which are names of people.

    Returns
    -------
    RelatedLevels
        Everybody in the relationship, since people without records get predictions too; but for those who
        have no record and whose relationship to someone is not known. A dense matrix is the caller's own if
        it is symmetric to the last digit.

    Raises
    ------
    DataError
        If the relationship is not square, symmetric and finite, has a name twice, or lacks one of the levels.

    Examples
    --------
    >>> import pandas as pd
    >>> G = pd.DataFrame([[1.0, 0.5], [0.5, 1.0]], index=["ann", "bob"], columns=["ann", "bob"])
    >>> found = relate(G, "iid", ["bob"])
    >>> found.levels, found.rows
    (['ann', 'bob'], array([1]))
    """
    place = f"relationship[{group!r}]"
    names: Sequence[str]
    match given:
        case RelatedLevels():
            return given
        case SpatialKernel():
            return relate(given.at(given.only_range), group, levels)
        case NamedPrecision() | NamedFactor() | NamedBlocks():
            names = given.names
        case HasRelationship():
            names = [str(name) for name in given.ids]
            check_unique(names, place)
        case _:
            return _dense(given, group, levels)
    rows = _rows(names, group, levels)
    return RelatedLevels(names, _with_structure(given, place), rows, twins(given, names, place))


def _with_structure(
    given: NamedPrecision | NamedFactor | NamedBlocks | HasRelationship, place: str
) -> Relationship:
    match given:
        case NamedPrecision():
            return given.precision
        case NamedFactor():
            return FactorRelationship(given.factor)
        case NamedBlocks():
            return sparse_relationship(given.matrix, place)
        case _:
            return given.relationship()


def check_told_apart(engine: Engine, *, reml: bool) -> tuple[str, ...]:
    """Refuse a relationship with which the criterion has no maximum, or none that means anything.

    Returns
    -------
    tuple of str
        What the user should know about the relationships that pass.

    Raises
    ------
    DataError
        If a term has the covariance of the residuals beside the fixed effects, as the identity has where each
        level has one record: V then is the same for any h2. If a dense matrix is not positive semi-definite;
        the spectral engine looks after that itself, beside the fixed effects, where REML needs it. Or, for
        maximum likelihood, if K is zero along a fixed effect and nowhere else.
    """
    related = [term for term in engine.shape.terms if not isinstance(term.relationship, Identity)]
    for term in related:
        if _is_residual(engine.model, term):
            raise DataError(
                f"the relationship matrix of '{term.label}' makes all {engine.model.n} people equally "
                "related beside the fixed effects, so that its variance cannot be told from the residual; it "
                "takes people of whom some are more closely related than others"
            )
    if not isinstance(engine, SpectralEngine):
        found = {term.label: term.relationship for term in related}
        return tuple(
            text
            for label, relationship in found.items()
            for text in check_semidefinite(relationship, f"relationship[{label!r}]")
        )
    spectrum = engine.spectrum
    if reml or spectrum.values[0] == 0.0:
        return ()
    beside = spectrum.gram - spectrum.cross.T @ (spectrum.cross / spectrum.values[:, None])
    if np.linalg.eigvalsh(beside)[0] < ALIKE * spectrum.values[-1]:
        raise DataError(
            f"the relationship matrix of '{related[0].label}' is zero along the fixed effects, as the GRM of "
            "exactly these people is along the intercept; the likelihood then has no maximum: use REML"
        )
    return ()


def _is_residual(model: MixedModel, term: RandomTerm) -> bool:
    """Whether M K M is a multiple of M, K = W^1/2 Z G Z' W^1/2 and M the projector beside W^1/2 X."""
    if term.q > 1 or not isinstance(model.residual, Homogeneous):
        return False
    root = np.ones(model.n) if model.weights is None else np.sqrt(model.weights)
    fixed = np.linalg.qr(root[:, None] * model.X)[0]
    # one random vector tells almost surely, with any kind of relationship and without K
    v = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(PURPOSE, 0))).normal(size=model.n)
    beside = v - fixed @ (fixed.T @ v)
    z = root * term.z[:, 0]
    codes = term.codes.reshape(model.n)
    by_level = np.zeros((term.n_levels, 2))
    np.add.at(by_level, codes, z[:, None] * np.column_stack([v, beside]))
    whole, Kv = (z[:, None] * term.relationship.times(by_level)[codes]).T
    Kv = Kv - fixed @ (fixed.T @ Kv)
    share = (beside @ Kv) / (beside @ beside)
    return bool(np.linalg.norm(Kv - share * beside) <= ALIKE * np.linalg.norm(whole))


def _dense(given: Any, group: str, levels: Sequence[str]) -> RelatedLevels:
    place = f"relationship[{group!r}]"
    G, names = named_matrix(given, place)
    rows = _rows(names, group, levels)
    kept, notices = known_levels(G, names, rows, place)
    if kept is not None:
        G, names = G[np.ix_(kept, kept)], [names[k] for k in kept.tolist()]
        rows = np.searchsorted(kept, rows)
    G = symmetric(G, names, place)
    return RelatedLevels(names, DenseRelationship(G), rows, (*notices, *twins(G, names, place)))


def _rows(names: Sequence[str], group: str, levels: Sequence[str]) -> NDArray[np.intp]:
    """Row of the relationship for each level."""
    row = {name: i for i, name in enumerate(names)}
    missing = [level for level in levels if level not in row]
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(levels)} levels of {group!r} are not in its relationship "
            f"matrix ({some(missing)}), whose {len(names)} people are named like {some(names)}; leave "
            "these rows out or mend the names"
        )
    return np.array([row[level] for level in levels], dtype=np.intp)
