"""From a formula, a table and a list of people to models without variants, people matched and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.association.grm import grm
from henderson.association.rules import ScanRules
from henderson.covariance import RelationshipMatrix
from henderson.errors import DataError, FormulaError, HendersonError, ModelNotSupportedError
from henderson.fit.fitting import fit_design
from henderson.formula import Design, build_design, has_random_terms, names_in
from henderson.genotype import GenotypeSource, Samples
from henderson.genotype.blocks import variant_filter
from henderson.io.alignment import align
from henderson.io.frame import closest
from henderson.io.phenotypes import PhenotypeTable, phenotypes_of
from henderson.lmm.result import LmerResult, result_of

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
            if rules.gemma or not known:
                logger.info(f"computing the relationship matrix of {source.samples.n:,} people")
            if rules.gemma:
                used = variant_filter(source, people, min_maf=rules.min_maf, max_missing=rules.max_missing)
                return _logged(grm(source, scale="centered", variants=used))
            if not known:
                known.append(_logged(grm(source)))
            return known[0]

        return cls(matrix, centred=rules.gemma)


def _logged(G: RelationshipMatrix) -> RelationshipMatrix:
    logger.info(f"relationship matrix from {G.n_variants:,.0f} variants")
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


class Traits:
    """Traits whose people are matched and whose designs are built; their models are fitted group by group.

    Traits that share people and fixed effects form a group and share one decomposition. Only one group is in
    memory at a time.

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
    added : int
        Fixed effects that will be added to each model: 1 for a scan.

    Attributes
    ----------
    failed : list of (str, HendersonError)
        Formulas whose design could not be built, or whose model could not be fitted, with the reason.
    """

    def __init__(
        self,
        formulas: Sequence[str],
        data: Any,
        samples: Samples,
        related: Related | None,
        *,
        added: int = 0,
    ) -> None:
        import pandas as pd

        for formula in formulas:
            _check_random(formula, related)
        table = data if isinstance(data, PhenotypeTable) else phenotypes_of(data)
        members = None if related is None else related.members
        self._matched = align(samples, table, also={} if members is None else {MATRIX: members})
        self._notices = (*table.notices, *self._matched.notices)
        self._frame = table.columns.iloc[self._matched.rows_in_table].reset_index(drop=True)
        if related is not None:
            for formula in formulas:
                _check_person(formula, self._frame)
            labels = person_labels(samples)[self._matched.rows_in_genotypes]
            # categories in this order, so that the levels are the rows of the matrix
            self._frame[PERSON] = pd.Categorical(labels, categories=labels)
        self._samples, self._related, self._added = samples, related, added
        self.failed: list[tuple[str, HendersonError]] = []
        self._designs: dict[str, Design] = {}
        for formula in formulas:
            try:
                self._designs[formula] = _design(formula, self._frame, related)
            except HendersonError as problem:
                self.failed.append((formula, problem))

    def groups(self) -> Iterator[NullModels]:
        """Fit the models without a variant, by REML, a group at a time."""
        groups = _alike(self._designs)
        for k, alike in enumerate(groups):
            first = self._designs[alike[0]]
            people = self._matched.rows_in_genotypes[first.rows]
            names = ", ".join(plain(self._designs[formula].spec.response) for formula in alike)
            logger.info(f"{people.size:,} people analysed for {names}")
            relationship = self._relationship(people, first.rows)
            if k == len(groups) - 1:
                self._related = None  # nobody else needs the matrix of everybody
            fits: dict[str, LmerResult] = {}
            for formula in alike:
                like = next((fit.engine for fit in fits.values()), None)
                design = self._designs[formula]
                try:
                    fit = result_of(fit_design(design, self._frame, relationship=relationship, like=like))
                    self._check_room(fit)
                    fits[formula] = fit
                except HendersonError as problem:
                    self.failed.append((formula, problem))
            if fits:
                traits = tuple(plain(self._designs[formula].spec.response) for formula in fits)
                yield NullModels(people, traits, tuple(fits.values()), (*self._notices, *first.notices))

    def _check_room(self, fit: LmerResult) -> None:
        """Refuse so few people that nothing is left to test with."""
        n, p = fit.nobs, len(fit.fixef) + self._added
        if n <= p:
            raise DataError(
                f"there are {n} people for {p} fixed effects, the variant's among them, which leaves nothing "
                "to test with; use more people or fewer covariates"
            )

    def _relationship(self, people: Index, rows: Index) -> dict[str, RelationshipMatrix]:
        """The relationship of the people analysed, in their order and with their names in the table."""
        if self._related is None:
            return {}
        G = self._related.matrix(people)
        place = self._matched.rows_in_also
        within = place[MATRIX][rows] if MATRIX in place else people
        K = G.matrix[np.ix_(within, within)]  # a copy
        if self._related.centred:
            mean = K.mean(axis=0)
            K -= mean + (mean - mean.mean())[:, None]
        labels = person_labels(self._samples)[people].astype(str)
        return {PERSON: RelationshipMatrix(K, Samples(self._samples.fid[people], labels), G.n_variants)}


def person_labels(samples: Samples) -> NDArray[np.object_]:
    """One name for each person: the IID, or FID:IID where several people share an IID."""
    if np.unique(samples.iid).size == samples.n:
        return samples.iid.astype(object)
    return np.array([f"{f}:{i}" for f, i in zip(samples.fid, samples.iid, strict=True)], dtype=object)


def plain(response: str) -> str:
    """A trait's name without the backticks that a formula needs."""
    return response[1:-1] if response.startswith("`") and response.count("`") == 2 else response


def _check_random(formula: str, related: Related | None) -> None:
    """Refuse a formula that cannot be read, and one with random effects too many or too few."""
    if not isinstance(formula, str):
        raise DataError(
            f"the formula is a {type(formula).__name__}, and a string is needed, such as 'height ~ age + sex'"
        )
    has_random = has_random_terms(formula)
    if related is None and not has_random:
        raise FormulaError(
            f"the formula {formula!r} has no random effects: give the relationship of the people "
            "(relationship='grm', or a matrix), or a grouping factor, as in '... + (1 | family)'"
        )
    if related is not None and has_random:
        raise ModelNotSupportedError(
            f"the formula {formula!r} has random effects, and a relationship matrix beside them is not "
            "supported yet: leave out one or the other"
        )


def _check_person(formula: str, frame: pd.DataFrame) -> None:
    """Refuse a formula with a column that would only be there because this module adds it."""
    if PERSON not in frame and PERSON in names_in(formula):
        raise DataError(f"the table has no column {PERSON!r}{closest(PERSON, map(str, frame.columns))}")


def _design(formula: str, frame: pd.DataFrame, related: Related | None) -> Design:
    if related is None:
        return build_design(formula, frame)
    return build_design(f"{formula} + (1 | {PERSON})", frame, related=(PERSON,))


def _alike(designs: dict[str, Design]) -> list[list[str]]:
    """Formulas whose designs share everything but the response."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for formula, design in designs.items():
        random = (
            part for r in design.random for part in (r.group, r.names, r.codes.tobytes(), r.z.tobytes())
        )
        groups.setdefault((design.rows.tobytes(), design.X.tobytes(), *random), []).append(formula)
    return list(groups.values())
