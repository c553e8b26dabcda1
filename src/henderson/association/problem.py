"""From a formula, a table and genotypes to null models whose people are matched and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from henderson.association.grm import grm
from henderson.association.rules import ScanRules
from henderson.covariance import RelationshipMatrix
from henderson.fit import LmerResult
from henderson.fit.lmer import fit_design
from henderson.formula import Design, build_design
from henderson.genotype import GenotypeSource, Samples
from henderson.genotype.blocks import variant_filter
from henderson.io.alignment import align
from henderson.io.phenotypes import PhenotypeTable, phenotypes_of

if TYPE_CHECKING:
    import pandas as pd

Index = NDArray[np.intp]
#: The grouping factor that stands for a person where people are related.
PERSON = "iid"
MATRIX = "the relationship matrix"


@dataclass(frozen=True, slots=True, eq=False)
class ScanProblem:
    """Null models of one or more traits that share people, fixed effects and relationship.

    Attributes
    ----------
    source : GenotypeSource
        Where the variants are.
    people : ndarray of int, shape (n,)
        Positions in the source of the people analysed, in its order.
    traits : tuple of str
        Names of the responses.
    nulls : tuple of LmerResult
        The models without a variant, by REML.
    notices : tuple of str
        Who was matched, and who was left out and why.
    """

    source: GenotypeSource
    people: Index
    traits: tuple[str, ...]
    nulls: tuple[LmerResult, ...]
    notices: tuple[str, ...]


def prepare(
    formulas: Sequence[str],
    data: Any,
    source: GenotypeSource,
    *,
    relationship: RelationshipMatrix | Literal["grm"] | None,
    rules: ScanRules,
) -> list[ScanProblem]:
    """Match people by their identifiers, fit the null models, and group the traits that share everything.

    Parameters
    ----------
    formulas : sequence of str
        One for each trait.
    data : table
        One row per person, with their identifiers in columns FID and IID, or IID alone.
    source : GenotypeSource
        Genotypes.
    relationship : RelationshipMatrix, "grm" or None
        Relationship of the people: a matrix; the GRM of all people in the source; or none, where the
        formula names a grouping factor.
    rules : ScanRules
        Which variants make the GRM.
    """
    table = data if isinstance(data, PhenotypeTable) else phenotypes_of(data)
    G = relationship if isinstance(relationship, RelationshipMatrix) else None
    matched = align(source.samples, table, also={} if G is None else {MATRIX: G.samples})
    people = matched.rows_in_genotypes
    frame = table.columns.iloc[matched.rows_in_table].reset_index(drop=True)
    notices = (*table.notices, *matched.notices)
    if relationship is not None:
        labels = person_labels(source.samples)[people]
        frame[PERSON] = labels
        if G is not None:
            G = _relabelled(G, matched.rows_in_also[MATRIX], labels)
    designs = [_design(formula, frame, related=relationship is not None) for formula in formulas]
    problems = []
    for group in _alike(designs):
        first = designs[group[0]]
        own = people[first.rows]
        if relationship == "grm" and (G is None or rules.gemma):
            G = _genomic(source, own, rules)
        K = G
        if K is not None and rules.gemma:
            K = _centred(K, np.asarray(first.random[0].levels))
        matrices = {} if K is None else {PERSON: K}
        fits: list[LmerResult] = []
        for k in group:
            like = fits[0].engine if fits else None
            fits.append(fit_design(designs[k], frame, relationship=matrices, like=like))
        names = tuple(designs[k].spec.response for k in group)
        problems.append(ScanProblem(source, own, names, tuple(fits), (*notices, *first.notices)))
    return problems


def person_labels(samples: Samples) -> NDArray[np.str_]:
    """One name for each person: the IID, or FID:IID where several people share an IID."""
    if np.unique(samples.iid).size == samples.n:
        return samples.iid
    return np.char.add(np.char.add(samples.fid, ":"), samples.iid)


def _design(formula: str, frame: pd.DataFrame, *, related: bool) -> Design:
    if related:
        return build_design(f"{formula} + (1 | {PERSON})", frame, related=(PERSON,))
    return build_design(formula, frame)


def _genomic(source: GenotypeSource, people: Index, rules: ScanRules) -> RelationshipMatrix:
    """The GRM of everybody in the source."""
    if not rules.gemma:
        G = grm(source)
    else:
        used = variant_filter(source, people, min_maf=rules.min_maf, max_missing=rules.max_missing)
        G = grm(source, scale="centered", variants=used)
    return RelationshipMatrix(G.matrix, Samples(G.samples.fid, person_labels(G.samples)), G.n_variants)


def _relabelled(G: RelationshipMatrix, rows: Index, labels: NDArray[np.str_]) -> RelationshipMatrix:
    """The matrix with the names that its rows have among the people genotyped."""
    iid = person_labels(G.samples).astype(object)
    iid[rows] = labels
    return RelationshipMatrix(G.matrix, Samples(G.samples.fid, iid.astype(str)), G.n_variants)


def _centred(G: RelationshipMatrix, people: NDArray[np.str_]) -> RelationshipMatrix:
    """The rows and columns of some people, each of mean zero, as GEMMA has it."""
    place = {name: row for row, name in enumerate(G.samples.iid.tolist())}
    rows = np.array([place[name] for name in people.tolist()], dtype=np.intp)
    K = G.matrix[np.ix_(rows, rows)]
    mean = K.mean(axis=0)
    K -= mean + (mean - mean.mean())[:, None]
    return RelationshipMatrix(K, G.samples.take(rows), None)


def _alike(designs: Sequence[Design]) -> list[list[int]]:
    """Positions of the designs that share rows and fixed effects."""
    groups: dict[bytes, list[int]] = {}
    for k, design in enumerate(designs):
        key = design.rows.tobytes() + design.X.tobytes()
        groups.setdefault(key, []).append(k)
    return list(groups.values())
