"""The designs of rows to be predicted, with the random effects that were asked for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from henderson.fit.estimates import Estimates
from henderson.prediction.choice import Effects
from henderson.prediction.records import Records

Array = NDArray[np.float64]
Index = NDArray[np.int64]

logger = logging.getLogger("henderson")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The designs of rows, with the random effects that were asked for.

    Attributes
    ----------
    X : ndarray, (n, p)
    offset : ndarray, (n,)
    z : ndarray, (n, Q)
        For the effects of all terms side by side; zero for those left out.
    levels : ndarray of int, (n, columns)
        As `Engine.effect_cov` takes them: a column for each term, or for each effect of a term whose effects
        point to different levels. -1 for a level that nobody has seen, and for terms left out.
    absent : ndarray of bool, (n,)
        Rows with a level, of a term that was asked for, that nobody has seen.
    spans, places : tuple of slice
        The columns of z, and of the levels, that belong to each term.
    """

    X: Array
    offset: Array
    z: Array
    levels: Index
    absent: NDArray[np.bool_]
    spans: tuple[slice, ...]
    places: tuple[slice, ...]

    @classmethod
    def of(cls, records: Records, estimates: Estimates, chosen: Mapping[int, Effects]) -> Rows:
        """Read what is needed, and nothing of the terms that are left out."""
        spans, places = spans_of(estimates), places_of(estimates)
        X, offset = records.fixed(), records.offset()
        z = np.zeros((records.n, spans[-1].stop))
        levels = np.full((records.n, places[-1].stop), -1, dtype=np.int64)
        absent = np.zeros(records.n, dtype=bool)
        for k, effects in chosen.items():
            own = levels[:, places[k]]
            own[:] = records.levels(k).reshape(own.shape)
            absent |= (own < 0).any(axis=1)
            z[:, spans[k].start + effects] = records.effects(k)[:, effects]
        return cls(X, offset, z, levels, absent, spans, places)

    def take(self, index: NDArray[np.intp]) -> Rows:
        """Some of the rows, in any order."""
        return Rows(
            self.X[index],
            self.offset[index],
            self.z[index],
            self.levels[index],
            self.absent[index],
            self.spans,
            self.places,
        )

    def mean(self, estimates: Estimates) -> Array:
        """X beta + offset + Z b, (n,)."""
        out = self.X @ estimates.beta + self.offset
        for term, span, place in zip(estimates.terms, self.spans, self.places, strict=True):
            if self.z[:, span].any():
                # The level -1 is the last row: its effects are zero
                b = np.vstack([term.b, np.zeros(term.b.shape[1])])
                effects = b[self.levels[:, place], np.arange(b.shape[1])]
                out += np.einsum("nq,nq->n", self.z[:, span], effects)
        return np.asarray(out)


def spans_of(estimates: Estimates) -> tuple[slice, ...]:
    """The places of each term's effects among those of all terms."""
    return _side_by_side([len(term.names) for term in estimates.terms])


def places_of(estimates: Estimates) -> tuple[slice, ...]:
    """The columns of each term among the levels of a row: one, or one for each effect of a pooled factor."""
    groups = [spec.grouping.group for spec in estimates.spec.random]
    return _side_by_side([len(group.atoms) if group.pooled else 1 for group in groups])


def _side_by_side(widths: list[int]) -> tuple[slice, ...]:
    ends = np.cumsum([0, *widths]).tolist()
    return tuple(slice(a, b) for a, b in pairwise(ends))


def left_out(records: Records, estimates: Estimates, chosen: Mapping[int, Effects]) -> Array:
    """Numbers z of the effects that were not asked for, (n, Q); zero for the others."""
    spans = spans_of(estimates)
    z = np.zeros((records.n, spans[-1].stop))
    for k, span in enumerate(spans):
        taken = chosen.get(k, np.empty(0, dtype=np.intp))
        others = np.setdiff1d(np.arange(span.stop - span.start), taken)
        if others.size:
            z[:, span.start + others] = records.effects(k)[:, others]
    return z


def tell_incomplete(values: Array) -> None:
    """Count the rows whose prediction is missing."""
    incomplete = int(np.isnan(values).sum())
    if incomplete:
        logger.warning(
            f"{incomplete} of {values.size} rows miss a value of a predictor, or have an infinite one: their "
            "predictions are NaN"
        )


def tell_unlimited(values: Array, se: Array) -> None:
    """Count the rows that have a prediction, and no standard error of it."""
    unlimited = int((np.isnan(se) & ~np.isnan(values)).sum())
    if unlimited:
        logger.warning(
            f"{unlimited} of {values.size} rows miss their weight, their place in the residual structure or "
            "a value of a random effect that is left out: their intervals are NaN"
        )
