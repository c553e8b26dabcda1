"""The hypotheses of an analysis of variance: which combinations of coefficients a term stands for."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from henderson.fit import FittedModel
from henderson.inference.estimable import Estimable, estimable, left_null_space, marginal_terms
from henderson.linalg.pivoting import independent_columns, triangular_factor

Array = NDArray[np.float64]
Kind = Literal["I", "II", "III"]

log = logging.getLogger("henderson")


def hypotheses(fit: FittedModel, kind: Kind) -> dict[str, Array]:
    """The hypotheses L beta = 0 of all fixed terms.

    Type I: each term given those before it. Type II: each given all terms that do not contain it. Type III:
    the functions of the effects of a term and of those that contain it, orthogonal to the functions of the
    latter alone; in a model of factors with data in all cells, equality of unweighted means. These are SAS's
    (*The four types of estimable functions*, SAS/STAT User's Guide).

    The rows within a hypothesis are those of lmerTest, because Fai and Cornelius' degrees of freedom of
    several rows depend on how the rows are chosen (Kenward and Roger's do not).

    Parameters
    ----------
    fit : FittedModel
    kind : {"I", "II", "III"}

    Returns
    -------
    dict of str
        L of each term, (q, p); q = 0 for a term of which nothing is left to test.

    Raises
    ------
    HendersonError
        For types I and II, and wherever columns were dropped, if the rows are not at hand.

    Examples
    --------
    >>> import henderson as hd
    >>> data = hd.example_data("sleepstudy").eval("late = Days > 4")
    >>> fit = hd.lmer("Reaction ~ Days * late + (1 | Subject)", data)
    >>> abs(hypotheses(fit, "III")["Days"].round(3))
    array([[0. , 1. , 0. , 0.5]])
    """
    model = estimable(fit)
    if kind == "III" and model.empty:
        log.warning(
            "there are no data in %s: type III hypotheses compare the cells that there are, so read them "
            "with care",
            ", ".join(model.empty[:8]) + (", ..." if len(model.empty) > 8 else ""),
        )
    make = {"I": _sequential, "II": _type2, "III": _type3}[kind]
    if _is_single_factor(model):
        make = _sequential
    return dict(zip(model.labels, make(fit, model), strict=True))


def deletions(fit: FittedModel) -> dict[str, Array]:
    """The hypotheses that the mean needs no such term, for terms whose variables are not all part of another.

    L beta = 0 says that the mean is a sum of the columns of the other terms, dropped ones included.
    """
    model = estimable(fit)
    if _is_single_factor(model):
        return dict(zip(model.labels, _sequential(fit, model), strict=True))
    found = {}
    for t in marginal_terms(fit.estimates.spec.fixed.terms.terms):
        L = model.without(model.owner != t + 1)
        found[model.labels[t]] = _in_units_of(L, L[:, model.assign == t + 1])
    return found


def _is_single_factor(model: Estimable) -> bool:
    """Whether all types are one hypothesis of several rows, which lmerTest then writes as those of type I."""
    return len(model.labels) == 1 and model.assign.size > 1 and model.assign[-2] == 1


def _sequential(fit: FittedModel, model: Estimable) -> list[Array]:
    R = _unit_rows(triangular_factor(_columns(fit)))
    return [R[model.assign == t] for t in range(1, len(model.labels) + 1)]


def _type2(fit: FittedModel, model: Estimable) -> list[Array]:
    """Of a term that no other contains, what the others do not make up for; else a part of X'X after them."""
    R = triangular_factor(_columns(fit)) if any(model.contains) else np.empty((0, model.assign.size))
    found = []
    for t, containing in enumerate(model.contains):
        own = model.assign == t + 1
        if not containing:
            L = model.without((model.owner != t + 1) & ~model.gone)
            found.append(_in_units_of(L, L[:, own]))
            continue
        last = np.isin(model.assign, [c + 1 for c in containing])
        order = np.concatenate([np.flatnonzero(part) for part in (~own & ~last, own, last)])
        L = np.zeros((int(own.sum()), own.size))
        L[:, order] = _unit_rows(triangular_factor(R[:, order]))[own[order]]
        found.append(L)
    return found


def _type3(fit: FittedModel, model: Estimable) -> list[Array]:
    found = []
    for t, containing in enumerate(model.contains):
        own = model.owner == t + 1
        outside = ~own & ~np.isin(model.owner, [c + 1 for c in containing]) & ~model.gone
        L = model.without(outside)
        latter = model.without(outside | own)
        if len(latter):
            L = left_null_space(L @ model.B @ (latter @ model.B).T) @ L
        # differences from the first level, where it has data
        first = np.concatenate(
            [np.flatnonzero(own & ~model.reference), np.flatnonzero(own & model.reference)]
        )
        found.append(_in_units_of(L, L @ model.B[:, first]))
    return found


def _in_units_of(L: Array, seen: Array) -> Array:
    """The same hypothesis in rows that are 1 in one column of `seen` (q, k) and 0 in the others' ones."""
    if not len(L):
        return L
    chosen = independent_columns(triangular_factor(seen))[: len(L)]
    return np.asarray(np.linalg.solve(seen[:, chosen], L)) if chosen.size == len(L) else L


def _unit_rows(R: Array) -> Array:
    return np.asarray(R / np.diag(R)[:, None])


def _columns(fit: FittedModel) -> Array:
    return np.asarray(fit.source.with_rows().X[:, fit.estimates.kept])
