"""Formula and table to a fitted linear mixed model, without a word."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.covariance import Identity, Relationship
from henderson.engine import Engine
from henderson.errors import DataError
from henderson.fit.call import Call
from henderson.fit.engines import choose_engine
from henderson.fit.estimates import gather_rows
from henderson.fit.files import is_streamed
from henderson.fit.fitted_model import FittedModel
from henderson.fit.notices import optimum_notices
from henderson.fit.optimize import Control
from henderson.fit.ranges import best_range
from henderson.fit.rank import check_rank, check_residual, rank_notice
from henderson.fit.related_levels import with_related_levels
from henderson.fit.relationships import as_mapping, check_groups, check_told_apart
from henderson.fit.solve import Fitted, solve
from henderson.fit.source import Source
from henderson.fit.structures import covariance_of, residual_of
from henderson.formula import Design, build_design
from henderson.formula.bars import parse_formula
from henderson.formula.grouping_factors import Group
from henderson.linalg.pivoting import independent_columns, triangular_factor
from henderson.model import MixedModel, RandomTerm


def fit_formula(
    formula: str,
    data: Any,
    *,
    REML: bool = True,
    weights: str | ArrayLike | None = None,
    offset: str | ArrayLike | None = None,
    subset: str | ArrayLike | None = None,
    na_action: Literal["omit", "exclude", "fail"] = "omit",
    contrasts: Mapping[str, Any] | None = None,
    relationship: Mapping[str, Any] | None = None,
    residual: str | None = None,
    start: ArrayLike | Mapping[str, ArrayLike] | None = None,
    control: Control | None = None,
) -> FittedModel:
    """`henderson.lmer` without a word: what should be said is left in ``notices``."""
    if not isinstance(REML, bool | np.bool_):
        raise DataError(f"REML must be True (REML) or False (maximum likelihood); it is {REML!r}")
    theta = None if start is None else _start(start)
    related = as_mapping(relationship)
    if related and isinstance(formula, str):
        related = _by_group(related, [bar.group for bar in parse_formula(formula).bars])
    columns: dict[str, Any] = {
        "weights": weights,
        "offset": offset,
        "subset": subset,
        "na_action": na_action,
        "contrasts": contrasts,
        "residual": residual,
    }
    given = {"start": theta, "control": _control(control), "relationship": related or None, **columns}
    if is_streamed(data):
        from henderson.fit.streamed import fit_streamed

        return fit_streamed(formula, data, REML=bool(REML), **given)
    fit_once = partial(
        fit_design,
        build_design(formula, data, related=tuple(related), **columns),
        data,
        REML=bool(REML),
        start=theta,
        control=control,
        pad=na_action == "exclude",
        call=Call.of(formula, data, {"REML": bool(REML), **given}),
    )
    return best_range(lambda relationship: fit_once(relationship=relationship), related)


def fit_design(
    design: Design,
    data: Any,
    *,
    REML: bool = True,
    start: NDArray[np.float64] | None = None,
    control: Control | None = None,
    relationship: Mapping[str, Any] | None = None,
    pad: bool = False,
    like: Engine | None = None,
    call: Call | None = None,
) -> FittedModel:
    """Fit a design. ``like`` is the engine of a model that has another response and is otherwise the same."""
    kept = _full_rank(design)
    design, related = with_related_levels(design, relationship or {})
    told: tuple[str, ...] = ()
    if like is None:
        engine = choose_engine(_model(design, kept, related))
        told = check_told_apart(engine, reml=REML)
    else:
        engine = like.with_response(_response(design))
    fitted = solve(engine, reml=REML, start=start, control=control)
    _check_residual(design, fitted)
    notices = (
        *design.notices,
        *told,
        *rank_notice(design.x_names, design.X, kept),
        *optimum_notices(fitted, [r.text for r in design.spec.random]),
    )
    estimates = gather_rows(design, kept, fitted, pad=pad, notices=notices)
    engine.forget()
    return FittedModel(estimates, call, Source.of(fitted, design, data))


def _by_group(related: Mapping[str, Any], groups: list[Group]) -> Mapping[str, Any]:
    """The relationships by the labels of their grouping factors; ``animal`` may mean ``animal & dam``."""
    labels = list(dict.fromkeys(group.label for group in groups))
    pooled = {group.parts[0]: group.label for group in reversed(groups) if group.pooled}
    named = {
        name if name in labels else pooled.get(name, name): relationship
        for name, relationship in related.items()
    }
    if len(named) < len(related):
        twice = next(label for part, label in pooled.items() if {part, label} <= set(related))
        raise DataError(f"relationship has {twice!r} twice, once by its first column: give one of them")
    check_groups(named, labels)
    return named


def _response(design: Design) -> NDArray[np.float64]:
    """The response without the part of the mean that is known."""
    return design.y if design.offset is None else design.y - design.offset


def _full_rank(design: Design) -> NDArray[np.intp]:
    """Columns of X that R's rank rule keeps, once it is clear that something is left to estimate."""
    n, p = design.X.shape
    y = _response(design)
    R = triangular_factor(np.column_stack([design.X, y]))
    kept = independent_columns(R[:, :p])
    check_rank(n, kept.size)
    left_over = np.linalg.norm(R[kept.size :, p]) if kept.size < p else abs(R[p, p])
    if not left_over > 1e-13 * np.linalg.norm(y):
        raise DataError(_exact_fit(design, y, kept.size))
    return kept


def _exact_fit(design: Design, y: NDArray[np.float64], rank: int) -> str:
    """Why a response that the fixed effects reproduce cannot be analysed."""
    response = design.spec.response
    if np.ptp(y) <= 1e-13 * np.abs(y).max():
        less = "" if design.offset is None else " less its offset"
        return (
            f"the response{less} is {y[0]:.6g} in all {y.size} rows, so that there is no variance to share "
            f"out; check the column '{response}' (is it constant?)"
        )
    return (
        f"the {rank} fixed effects alone fit the response '{response}' exactly in all {y.size} rows, so that "
        "no variance is left to share out: leave out the predictor that it was computed from"
    )


def _model(design: Design, kept: NDArray[np.intp], related: Mapping[str, Relationship]) -> MixedModel:
    X = design.X if kept.size == design.X.shape[1] else np.ascontiguousarray(design.X[:, kept])
    y = _response(design)
    terms = tuple(
        RandomTerm(
            r.group,
            r.codes,
            len(r.levels),
            r.z,
            covariance_of(r.structure, r.z.shape[1]),
            related.get(r.group, Identity()),
        )
        for r in design.random
    )
    return MixedModel(y, X, terms, design.weights, residual_of(design.residual))


def _start(start: Any) -> NDArray[np.float64]:
    if isinstance(start, Mapping) and "theta" not in start:
        raise DataError(
            f"start has {', '.join(map(repr, start)) or 'nothing'}, and 'theta' is what a search needs"
        )
    values = start["theta"] if isinstance(start, Mapping) else start
    try:
        return np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        raise DataError(f"start must be numbers, one per theta; it is {start!r}") from None


def _control(control: Control | None) -> Control | None:
    if control is None or isinstance(control, Control):
        return control
    raise DataError(
        f"control must be hd.Control(tolerance=..., max_iterations=...); it is a {type(control).__name__}"
    )


def _check_residual(design: Design, fitted: Fitted) -> None:
    """Refuse a response that the random effects reproduce.

    Where the levels are related, a residual variance of zero is an answer, and has a notice instead.
    """
    if any(not isinstance(term.relationship, Identity) for term in fitted.engine.shape.terms):
        return
    y = _response(design)
    w = np.ones_like(y) if design.weights is None else design.weights
    total = float(w @ (y - (w @ y) / w.sum()) ** 2)
    pwrss = fitted.criterion.pwrss if np.isfinite(fitted.optimum.objective) else 0.0
    check_residual(design.spec.response, [r.group for r in design.random], pwrss, total)
