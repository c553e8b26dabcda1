"""From a formula, a table and a list of people to models without variants, people matched and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.association.grm import grm
from henderson.association.rules import ScanRules
from henderson.covariance import RelationshipMatrix
from henderson.errors import FormulaError, HendersonError
from henderson.fit import LmerResult
from henderson.fit.lmer import fit_design
from henderson.formula import Design, build_design, has_random_terms
from henderson.genotype import GenotypeSource, Samples
from henderson.genotype.blocks import variant_filter
from henderson.io.alignment import align
from henderson.io.phenotypes import PhenotypeTable, phenotypes_of

if TYPE_CHECKING:
    import pandas as pd

Index = NDArray[np.intp]
logger = logging.getLogger("henderson")
#: The grouping factor that stands for a person where people are related.
PERSON = "iid"
MATRIX = "the relationship matrix"


@dataclass(frozen=True, slots=True, eq=False)
class Related:
    """Where the relationship of the people comes from.

    Attributes
    ----------
    matrix : callable
        Takes the positions of the people analysed and gives a matrix that has them, and perhaps others.
    members : Samples or None
        Who is in the matrix, where not everybody may be.
    centred : bool
        Whether rows and columns of the people analysed are centred, as GEMMA does.
    """

    matrix: Callable[[Index], RelationshipMatrix]
    members: Samples | None = None
    centred: bool = False

    @classmethod
    def given(cls, G: RelationshipMatrix, *, centred: bool = False) -> Related:
        """A matrix that is at hand."""
        return cls(lambda _: G, G.samples, centred)

    @classmethod
    def genomic(cls, source: GenotypeSource, rules: ScanRules) -> Related:
        """The GRM of everybody in the source; with GEMMA's rules, from the variants it would test."""
        known: list[RelationshipMatrix] = []

        def matrix(people: Index) -> RelationshipMatrix:
            if rules.gemma:
                used = variant_filter(source, people, min_maf=rules.min_maf, max_missing=rules.max_missing)
                return _logged(grm(source, scale="centered", variants=used))
            if not known:
                known.append(_logged(grm(source)))
            return known[0]

        return cls(matrix, centred=rules.gemma)


def _logged(G: RelationshipMatrix) -> RelationshipMatrix:
    logger.info(f"relationship matrix of {G.samples.n:,} people from {G.n_variants:,.0f} variants")
    return G


@dataclass(frozen=True, slots=True, eq=False)
class NullModels:
    """Models of one or more traits that share people, fixed effects and relationship.

    Attributes
    ----------
    people : ndarray of int, shape (n,)
        Positions of the people analysed in the list they were matched to, in its order.
    traits : tuple of str
        Names of the responses.
    fits : tuple of LmerResult
        The models, by REML.
    notices : tuple of str
        Who was matched, and who was left out and why.
    """

    people: Index
    traits: tuple[str, ...]
    fits: tuple[LmerResult, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Everything that could be fitted, and the traits that could not, with the reason."""

    groups: tuple[NullModels, ...]
    failed: tuple[tuple[str, HendersonError], ...]

    def raise_if_failed(self) -> None:
        """Raise the first reason."""
        for _, problem in self.failed:
            raise problem


def null_models(formulas: Sequence[str], data: Any, samples: Samples, related: Related | None) -> Prepared:
    """Match people by their identifiers, and fit each trait without a variant.

    Traits that share people and fixed effects share one decomposition.

    Parameters
    ----------
    formulas : sequence of str
        One for each trait.
    data : table
        One row per person, with their identifiers in columns FID and IID, or IID alone.
    samples : Samples
        The people to match them to.
    related : Related or None
        Their relationship; none where the formulas name random effects.
    """
    import pandas as pd

    if related is None:
        for formula in formulas:
            _check_random(formula)
    table = data if isinstance(data, PhenotypeTable) else phenotypes_of(data)
    members = None if related is None else related.members
    matched = align(samples, table, also={} if members is None else {MATRIX: members})
    frame = table.columns.iloc[matched.rows_in_table].reset_index(drop=True)
    if related is not None:
        labels = person_labels(samples)[matched.rows_in_genotypes]
        # categories in this order, so that the levels are the rows of the matrix
        frame[PERSON] = pd.Categorical(labels, categories=labels)
    failed: list[tuple[str, HendersonError]] = []
    designs: dict[str, Design] = {}
    for formula in formulas:
        try:
            designs[formula] = _design(formula, frame, related)
        except HendersonError as problem:
            failed.append((formula, problem))
    groups = []
    for alike in _alike(designs):
        first = designs[alike[0]]
        people = matched.rows_in_genotypes[first.rows]
        logger.info(
            f"{people.size:,} people analysed for {', '.join(designs[f].spec.response for f in alike)}"
        )
        K = None
        if related is not None:
            rows = matched.rows_in_also.get(MATRIX)
            K = _matrix(related, people, samples, None if rows is None else rows[first.rows])
        fits: dict[str, LmerResult] = {}
        for formula in alike:
            like = next((fit.engine for fit in fits.values()), None)
            matrices = {} if K is None else {PERSON: K}
            try:
                fits[formula] = fit_design(designs[formula], frame, relationship=matrices, like=like)
            except HendersonError as problem:
                failed.append((formula, problem))
        if fits:
            names = tuple(designs[formula].spec.response for formula in fits)
            notices = (*table.notices, *matched.notices, *first.notices)
            groups.append(NullModels(people, names, tuple(fits.values()), notices))
    return Prepared(tuple(groups), tuple(failed))


def person_labels(samples: Samples) -> NDArray[np.object_]:
    """One name for each person: the IID, or FID:IID where several people share an IID."""
    if np.unique(samples.iid).size == samples.n:
        return samples.iid.astype(object)
    return np.array([f"{f}:{i}" for f, i in zip(samples.fid, samples.iid, strict=True)], dtype=object)


def _check_random(formula: str) -> None:
    if not has_random_terms(formula):
        raise FormulaError(
            f"the formula {formula!r} has no random effects: give the relationship of the people "
            "(relationship='grm', or a matrix), or a grouping factor, as in '... + (1 | family)'"
        )


def _design(formula: str, frame: pd.DataFrame, related: Related | None) -> Design:
    if related is None:
        return build_design(formula, frame)
    return build_design(f"{formula} + (1 | {PERSON})", frame, related=(PERSON,))


def _matrix(related: Related, people: Index, samples: Samples, rows: Index | None) -> RelationshipMatrix:
    """The relationship of the people analysed, in their order and with the names they have in the table."""
    G = related.matrix(people)
    rows = people if rows is None else rows
    labels = person_labels(samples)[people].astype(str)
    K = G.matrix[np.ix_(rows, rows)]  # a copy
    if related.centred:
        mean = K.mean(axis=0)
        K -= mean + (mean - mean.mean())[:, None]
    return RelationshipMatrix(K, Samples(samples.fid[people], labels), G.n_variants)


def _alike(designs: dict[str, Design]) -> list[list[str]]:
    """Formulas whose designs share rows and fixed effects."""
    groups: dict[bytes, list[str]] = {}
    for formula, design in designs.items():
        groups.setdefault(design.rows.tobytes() + design.X.tobytes(), []).append(formula)
    return list(groups.values())
