"""From a formula, a table and a list of people to models without variants, people matched and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.association.relatedness import Related
from henderson.covariance import RelationshipMatrix
from henderson.engine import Engine
from henderson.errors import DataError, HendersonError, ModelNotSupportedError
from henderson.fit.fitting import fit_design
from henderson.fit.relationships import RelatedLevels, relate
from henderson.formula import Design, build_design, has_random_terms, names_in
from henderson.genotype import Samples
from henderson.io.alignment import align
from henderson.io.frame import closest
from henderson.io.phenotypes import PhenotypeTable, phenotypes_of
from henderson.lmm.result import LmerResult, result_of

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
logger = logging.getLogger("henderson")
#: The grouping factor that stands for a person where people are related.
PERSON = "iid"
MATRIX = "the relationship matrix"
_SHOWN = 20  # traits of a group that the log names


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
    design : Design
        Of the first; the others differ in the response alone.
    notices : tuple of str
        Who was matched, and who was left out and why.
    cut : callable
        Makes of a relationship of everybody that of the people analysed, a copy in their order.
    refit : callable
        Fits the models again with another relationship of the people analysed.
    """

    people: Index
    traits: tuple[str, ...]
    fits: tuple[LmerResult, ...]
    design: Design
    notices: tuple[str, ...]
    cut: Callable[[RelationshipMatrix], RelationshipMatrix]
    refit: Callable[[RelationshipMatrix], tuple[LmerResult, ...]]


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
    covariates : mapping of str to ndarray, shape (samples.n,), optional
        More fixed effects, of everybody in ``samples``: copies of variants that a scan is conditioned on. NaN
        counts as the mean of the people analysed, like a missing call of a variant that is tested.

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
        covariates: Mapping[str, Array] | None = None,
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
        uncalled: dict[str, Mask] = {}
        for name, values in (covariates or {}).items():
            if name in self._frame:
                raise DataError(f"the table has a column {name!r}, as a variant is called: rename the column")
            filled = np.where(np.isnan(values), np.nanmean(values), values)
            self._frame[name] = filled[self._matched.rows_in_genotypes]
            uncalled[name] = np.isnan(values[self._matched.rows_in_genotypes])
        more = "".join(f" + `{name}`" for name in covariates or {})
        self._samples, self._related, self._added = samples, related, added
        self._centred = related is not None and related.centred
        self.failed: list[tuple[str, HendersonError]] = []
        self._designs: dict[str, Design] = {}
        for formula in formulas:
            try:
                design = _design(formula + more, self._frame, related)
                self._designs[formula] = _at_means(design, uncalled)
            except HendersonError as problem:
                self.failed.append((formula, problem))

    def groups(self) -> Iterator[NullModels]:
        """Fit the models without a variant, by REML, a group at a time."""
        groups = _alike(self._designs)
        for k, alike in enumerate(groups):
            first = self._designs[alike[0]]
            people = self._matched.rows_in_genotypes[first.rows]
            names = [plain(self._designs[formula].spec.response) for formula in alike]
            logger.info(f"{people.size:,} people analysed for {_some(names)}")

            def cut(G: RelationshipMatrix, people: Index = people, rows: Index = first.rows) -> Any:
                return self._cut(G, people, rows)

            relationship: dict[str, RelatedLevels] = {}
            if self._related is not None:
                relationship = self._looked_at(cut(self._related.matrix(people)), alike[0])
            if k == len(groups) - 1:
                self._related = None  # nobody else needs the matrix of everybody
            fits: dict[str, LmerResult] = {}
            for formula in alike:
                like = next((fit.engine for fit in fits.values()), None)
                try:
                    fit = self._fitted(formula, relationship, like)
                    self._check_room(fit)
                    fits[formula] = fit
                except HendersonError as problem:
                    self.failed.append((formula, problem))
            if fits:
                traits = tuple(plain(self._designs[formula].spec.response) for formula in fits)
                notices = (*self._notices, *first.notices)
                refit = partial(self._refit, tuple(fits))
                yield NullModels(people, traits, tuple(fits.values()), first, notices, cut, refit)

    def _fitted(
        self, formula: str, relationship: Mapping[str, RelatedLevels], like: Engine | None
    ) -> LmerResult:
        return result_of(
            fit_design(self._designs[formula], self._frame, relationship=relationship, like=like)
        )

    def _looked_at(self, K: RelationshipMatrix, formula: str) -> dict[str, RelatedLevels]:
        """The relationship of the people analysed, checked once for all their traits."""
        (term,) = self._designs[formula].random
        return {PERSON: relate(K, PERSON, term.levels)}

    def _refit(self, formulas: tuple[str, ...], K: RelationshipMatrix) -> tuple[LmerResult, ...]:
        """The models of those formulas with another relationship of their people, which they share."""
        relationship, fits = self._looked_at(K, formulas[0]), list[LmerResult]()
        for formula in formulas:
            fits.append(self._fitted(formula, relationship, fits[0].engine if fits else None))
        return tuple(fits)

    def _check_room(self, fit: LmerResult) -> None:
        """Refuse so few people that nothing is left to test with."""
        n, p = fit.nobs, fit.engine.model.p + self._added
        if n <= p:
            raise DataError(
                f"there are {n} people for {p} fixed effects, the variant's among them, which leaves nothing "
                "to test with; use more people or fewer covariates"
            )

    def _cut(self, G: RelationshipMatrix, people: Index, rows: Index) -> RelationshipMatrix:
        """The relationship of the people analysed, in their order and with their names in the table."""
        place = self._matched.rows_in_also
        within = place[MATRIX][rows] if MATRIX in place else people
        K = G.matrix[np.ix_(within, within)]  # a copy
        if self._centred:
            mean = K.mean(axis=0)
            K -= mean + (mean - mean.mean())[:, None]
        labels = person_labels(self._samples)[people].astype(str)
        return RelationshipMatrix(K, Samples(self._samples.fid[people], labels), G.n_variants)


def person_labels(samples: Samples) -> NDArray[np.object_]:
    """One name for each person: the IID, or FID:IID where several people share an IID."""
    if np.unique(samples.iid).size == samples.n:
        return samples.iid.astype(object)
    return np.array([f"{f}:{i}" for f, i in zip(samples.fid, samples.iid, strict=True)], dtype=object)


def _some(names: Sequence[str]) -> str:
    """Names in a row; of very many the first ones."""
    shown = names if len(names) <= _SHOWN else names[: _SHOWN - 1]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "")


def plain(response: str) -> str:
    """A trait's name without the backticks that a formula needs."""
    return response[1:-1] if response.startswith("`") and response.count("`") == 2 else response


def _check_random(formula: str, related: Related | None) -> None:
    """Refuse a formula that cannot be read, and random effects beside a relationship."""
    if not isinstance(formula, str):
        raise DataError(
            f"the formula is a {type(formula).__name__}, and a string is needed, such as 'height ~ age + sex'"
        )
    if related is not None and has_random_terms(formula):
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


def _at_means(design: Design, uncalled: Mapping[str, Mask]) -> Design:
    """The design with covariates that are not known, in these rows of the table, at their means."""
    X, names = design.X.copy(), [plain(name) for name in design.x_names]
    for name, rows in uncalled.items():
        lost = rows[design.rows]
        if not lost.all():
            column = names.index(name)
            X[lost, column] = X[~lost, column].mean()
    return replace(design, X=X)


def _alike(designs: dict[str, Design]) -> list[list[str]]:
    """Formulas whose designs share everything but the response."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for formula, design in designs.items():
        random = (
            part for r in design.random for part in (r.group, r.names, r.codes.tobytes(), r.z.tobytes())
        )
        groups.setdefault((design.rows.tobytes(), design.X.tobytes(), *random), []).append(formula)
    return list(groups.values())
