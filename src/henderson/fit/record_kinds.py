"""Kinds of records, whose variances are sums of components: one kind, or one for each trait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit, Homogeneous
from henderson.fit.fitted_model import FittedModel
from henderson.fit.mean_squares import elements as related
from henderson.fit.variance_components import Element
from henderson.model import MixedModel, RandomTerm

Array = NDArray[np.float64]
#: A model with more kinds of records than this has no traits: its designs are made of dummy variables.
MOST = 60
INTERCEPT = ("(Intercept)",)
#: A mean relationship this close to that of parent and offspring is theirs: with inbreeding it is a little
#: more, and that of genotypes varies.
PARENTS = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class RecordKind:
    """Records that the same effects enter, each once.

    Attributes
    ----------
    label : str
        The effects or the position that tell it from other kinds; empty for the only one.
    present : frozenset of (int, int)
        Effects that enter: number of the term, and of the effect in it. The residual stands after the last
        term.
    weights : ndarray, shape (m,)
        How often each element of `VarianceComponents` counts in the variance of such a record. Relationships
        of a level to itself are taken as one, as are the prior weights, so that this is a plain sum of
        variances. Of two effects that point to different levels the covariance counts twice their mean
        relationship: once for an animal and its dam, 2 x 1/2 (Willham 1972, J. Anim. Sci. 35:1288-1293),
        and not at all for unrelated parents.
    own : frozenset of (int, int)
        Those of `present` whose variance is a part of its own: no other effect enters at the same level.
    """

    label: str
    present: frozenset[tuple[int, int]]
    weights: Array
    own: frozenset[tuple[int, int]]

    def part(self, elements: tuple[Element, ...], terms: set[int]) -> Array:
        """The weights of some terms, zero elsewhere."""
        return np.where([k in terms for k, _, _ in elements], self.weights, 0.0)


def record_kinds(fit: FittedModel, elements: tuple[Element, ...]) -> tuple[RecordKind, ...]:
    """All kinds of records of a model; none where records differ by more than which effects enter them.

    Random slopes make the variance depend on their predictor, so that there is no phenotypic variance.
    """
    shape = fit.engine.shape
    last = len(shape.terms)
    if fit.source.design is None:
        if any(t.names != INTERCEPT for t in fit.estimates.terms) or not isinstance(
            shape.residual, Homogeneous
        ):
            return ()
        patterns = np.ones((1, last + 1), dtype=bool)
        columns = [(k, 0) for k in range(last + 1)]
    else:
        found = _patterns(fit.engine.model)
        if found is None:
            return ()
        patterns, columns = found
    kinds = []
    counts = [_count(shape.terms, e) for e in elements]
    for row, label in zip(patterns, _labels(fit, patterns, columns), strict=True):
        present = frozenset(at for at, entered in zip(columns, row, strict=True) if entered)
        enters = [(k, i) in present and (k, j) in present for k, i, j in elements]
        weights = np.where(enters, counts, 0.0)
        kinds.append(RecordKind(label, present, weights, _own(shape.terms, present)))
    return tuple(kinds)


def _patterns(model: MixedModel) -> tuple[NDArray[np.bool_], list[tuple[int, int]]] | None:
    """Which effects enter together, a row for each kind; None where z are other numbers than 0 and 1."""
    columns: list[tuple[int, int]] = []
    entered = []
    for k, term in enumerate(model.terms):
        if not ((term.z == 0.0) | (term.z == 1.0)).all():
            return None
        # a record without a known dam is of the same kind as the others
        entered.append(np.ones_like(term.z, dtype=bool) if term.codes.ndim == 2 else term.z == 1.0)
        columns += [(k, i) for i in range(term.q)]
    position = np.zeros(model.n, dtype=np.int64)
    size = 1
    if isinstance(model.residual, ByUnit) and not getattr(model.residual.covariance, "homogeneous", False):
        position, size = model.residual.position, model.residual.covariance.q
    entered.append(position[:, None] == np.arange(size))
    columns += [(len(model.terms), i) for i in range(size)]
    if len(columns) > MOST:
        return None
    bits = 1 << np.arange(len(columns), dtype=np.int64)
    code = np.hstack(entered) @ bits
    kinds = np.unique(code)
    return (kinds[:, None] & bits > 0, columns) if kinds.size <= MOST else None


def _count(terms: tuple[RandomTerm, ...], element: Element) -> float:
    """How often an element counts in the variance of a record that both of its effects enter."""
    k, i, j = element
    if i == j:
        return 1.0
    if k == len(terms) or terms[k].codes.ndim == 1:
        return 2.0
    term = terms[k]
    a, b = term.codes_of(i), term.codes_of(j)
    own = term.relationship.diagonal(term.n_levels)
    mean = float(np.mean(related(term.relationship, a, b) / np.sqrt(own[a] * own[b])))
    return 1.0 if abs(mean - 0.5) < PARENTS else 2.0 * mean


def _own(terms: tuple[RandomTerm, ...], present: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    count = {k: sum(at == k for at, _ in present) for k, _ in present}
    return frozenset(
        (k, i) for k, i in present if count[k] == 1 or (k < len(terms) and terms[k].codes.ndim == 2)
    )


def _labels(fit: FittedModel, patterns: NDArray[np.bool_], columns: list[tuple[int, int]]) -> list[str]:
    """The effects of the first term that tells all kinds apart, else all that differ."""
    if len(patterns) == 1:
        return [""]
    names = [t.names for t in fit.estimates.terms]
    names.append(("",) if fit.estimates.residual is None else fit.estimates.residual.names)
    differ = [c for c in range(len(columns)) if len(np.unique(patterns[:, c])) > 1]
    for k in dict.fromkeys(columns[c][0] for c in differ):
        within = [c for c in differ if columns[c][0] == k]
        if len(np.unique(patterns[:, within], axis=0)) == len(patterns):
            differ = within
            break
    texts = [names[k][i] for k, i in columns]
    return [" + ".join(texts[c] for c in differ if row[c]) for row in patterns]
