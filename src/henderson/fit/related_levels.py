"""A design whose grouping factors have all the levels of their relationships, also those without records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from henderson.covariance import Relationship
from henderson.fit.relationships import RelatedLevels, relate
from henderson.formula import Design, RandomDesign, RandomSpec


def with_related_levels(
    design: Design, relationship: Mapping[str, Any]
) -> tuple[Design, dict[str, Relationship]]:
    """Widen the grouping factors that have a relationship, and count who has no records.

    Parameters
    ----------
    design : Design
    relationship : mapping of str
        What was given for the grouping factors.

    Returns
    -------
    Design
        The same records; levels stand in the order of their relationship.
    dict of str to Relationship

    Raises
    ------
    DataError
        As `relate`.
    """
    related = {group: relate(given, group, _levels(design, group)) for group, given in relationship.items()}
    if not related:
        return design, {}
    terms = [
        _widened(term, spec, related[term.group]) if term.group in related else (term, spec)
        for term, spec in zip(design.random, design.spec.random, strict=True)
    ]
    widened = replace(
        design,
        random=tuple(term for term, _ in terms),
        spec=replace(design.spec, random=tuple(spec for _, spec in terms)),
        notices=(
            *design.notices,
            *(text for group, found in related.items() for text in _told(group, found)),
        ),
    )
    return widened, {group: found.relationship for group, found in related.items()}


def _levels(design: Design, group: str) -> Sequence[str]:
    return next(term.levels for term in design.random if term.group == group)


def _widened(term: RandomDesign, spec: RandomSpec, related: RelatedLevels) -> tuple[RandomDesign, RandomSpec]:
    grouping = spec.grouping.with_levels(related.levels, related.rows)
    codes = related.rows[term.codes]
    return replace(term, codes=codes, levels=related.levels), replace(spec, grouping=grouping)


def _told(group: str, related: RelatedLevels) -> tuple[str, ...]:
    without = len(related.levels) - related.rows.size
    if not without:
        return related.notices
    return (
        *related.notices,
        f"{without} of the {len(related.levels)} in relationship[{group!r}] have no row in the data: their "
        "effects are predicted from their relatives",
    )
