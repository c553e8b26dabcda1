"""Point predictions for new rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError, HendersonError
from henderson.fit.estimates import Estimates
from henderson.formula.bars import Bar, Group, parse_formula
from henderson.formula.evaluate import Evaluator
from henderson.formula.spec import ModelSpec, RandomSpec
from henderson.formula.terms import full_coding
from henderson.io.columns import as_factor
from henderson.io.frame import Table, closest, open_table
from henderson.model import MixedModel

Array = NDArray[np.float64]
Effects = NDArray[np.intp]
RandomChoice = Literal["all", "none"] | Sequence[str]
NewLevels = Literal["error", "population", "missing"]
SHOWN = 3
"""Levels that an error names."""

logger = logging.getLogger("henderson")


def predict_rows(estimates: Estimates, newdata: Any, random: RandomChoice, new_levels: NewLevels) -> Array:
    """Predict the rows of a table: X beta + offset, and the random effects that are asked for.

    Parameters
    ----------
    estimates : Estimates
    newdata : table or mapping
    random, new_levels
        As in `LmerResult.predict`.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    DataError
        If a column or term is missing, or a level is new and `new_levels` is "error".
    """
    if new_levels not in get_args(NewLevels):
        raise DataError(
            f"new_levels is {new_levels!r}; it can be {', '.join(map(repr, get_args(NewLevels)))}"
        )
    chosen = chosen_effects(estimates, random)
    spec = estimates.spec
    table = open_table(newdata)
    X = spec.fixed_matrix(table)[0]
    if estimates.kept.size < X.shape[1]:
        X = X[:, estimates.kept]
    out = X @ estimates.beta + spec.offset(table)
    codes: dict[Group, NDArray[np.int64]] = {}
    absent = np.zeros(table.n_rows, dtype=bool)
    for k, effects in chosen.items():
        group = spec.random[k].grouping.group
        if group not in codes:
            codes[group] = spec.group_codes(table, k)
            unseen = codes[group] < 0
            if unseen.any():
                if new_levels == "error":
                    raise _new_levels(table, spec, spec.random[k], unseen)
                absent |= unseen
        b = estimates.terms[k].b
        z = spec.random_matrix(table, k)
        # The level -1, which nobody has seen, is the last row: its effects are zero.
        b = np.vstack([b, np.zeros(b.shape[1])])
        out += np.einsum("nq,nq->n", z[:, effects], b[codes[group]][:, effects])
    incomplete = int(np.isnan(out).sum())
    if incomplete:
        logger.warning(
            f"{incomplete} of {table.n_rows} rows miss a value of a predictor: their predictions are NaN"
        )
    if new_levels == "missing":
        out[absent] = np.nan
    return out


def predict_used(estimates: Estimates, model: MixedModel | None, random: RandomChoice) -> Array:
    """Predict the rows of the fit itself; `model` is needed for some of the random effects only.

    Raises
    ------
    HendersonError
        If the rows, or the model, are not at hand.
    """
    rows = estimates.by_row("fitted values")
    chosen = chosen_effects(estimates, random)
    if isinstance(random, str):
        return rows.pad(rows.fitted if random == "all" else rows.mean)
    if model is None:
        raise HendersonError(
            "predictions from some of the random effects need the data, which a file or pickle leaves out: "
            "give newdata"
        )
    out = rows.mean.copy()
    for k, effects in chosen.items():
        term = model.terms[k]
        out += np.einsum("nq,nq->n", term.z[:, effects], estimates.terms[k].b[term.codes][:, effects])
    return rows.pad(out)


def chosen_effects(estimates: Estimates, random: RandomChoice) -> dict[int, Effects]:
    """For each random term that `random` asks for, which of its effects.

    Raises
    ------
    DataError
        If the model lacks one of them.
    """
    specs = estimates.spec.random
    every = {k: np.arange(len(spec.effects.names)) for k, spec in enumerate(specs)}
    if isinstance(random, str) and random in ("all", "none"):
        return every if random == "all" else {}
    if isinstance(random, str) or not isinstance(random, Sequence):
        raise DataError(
            f"random is {random!r}; it can be 'all', 'none', or a list of grouping factors or of terms such "
            f"as {specs[0].text!r}"
        )
    chosen: dict[int, set[int]] = {}
    for wanted in random:
        for k, effects in _matching(specs, wanted):
            chosen.setdefault(k, set()).update(effects)
    return {k: np.array(sorted(chosen[k]), dtype=np.intp) for k in sorted(chosen)}


def _matching(specs: tuple[RandomSpec, ...], wanted: Any) -> list[tuple[int, list[int]]]:
    """Random terms, with their effects, that one grouping factor or one term's text stands for."""
    labels = [spec.grouping.group.label for spec in specs]
    if wanted in labels:
        return [(k, list(range(len(s.effects.names)))) for k, s in enumerate(specs) if labels[k] == wanted]
    if not isinstance(wanted, str) or "|" not in wanted:
        raise DataError(f"the model has no random effects of {wanted!r}{closest(str(wanted), labels)}")
    text = wanted.strip().removeprefix("~").strip()
    bars = parse_formula(f"y ~ {text}").bars
    found = [match for bar in bars for match in _terms_of(bar, specs)]
    if any(not effects for _, effects in found):
        raise DataError(
            f"the model has no random term {wanted}; it has {', '.join(spec.text for spec in specs)}"
        )
    return found


def _terms_of(bar: Bar, specs: tuple[RandomSpec, ...]) -> Iterator[tuple[int, list[int]]]:
    """The effects that a bar stands for, in whichever terms of its grouping factor they are.

    An effect that none of them has gives an empty list.
    """
    wanted = set(bar.effects.labels) | ({"(Intercept)"} if bar.effects.intercept else set())
    for k, spec in enumerate(specs):
        matrix = spec.effects
        if spec.grouping.group.label != bar.group.label:
            continue
        labels = ("(Intercept)", *matrix.terms.labels)
        coded = dict(zip(matrix.terms.labels, matrix.full, strict=True))
        is_factor = {v.name: v.is_factor for v in matrix.variables}
        own = full_coding(bar.effects, [is_factor.get(name, False) for name in bar.effects.names])
        as_coded = dict(zip(bar.effects.labels, own, strict=True))
        same = {
            label
            for label in wanted & set(labels)
            if label == "(Intercept)" or as_coded[label] == coded[label]
        }
        effects = [j for j, term in enumerate(matrix.assign) if labels[term] in same]
        if effects:
            wanted -= same
            yield k, effects
    if wanted:
        yield -1, []


def _new_levels(table: Table, model: ModelSpec, spec: RandomSpec, unseen: NDArray[np.bool_]) -> DataError:
    """Say which levels are new; `unseen` marks their rows and those that miss the grouping factor."""
    group = spec.grouping.group
    evaluator = Evaluator(table, {name: dict(calls) for name, calls in model.state.items()})
    columns = [as_factor(evaluator.column(atom)) for atom in group.atoms]
    missing = np.logical_or.reduce([column.codes < 0 for column in columns])
    allow = "new_levels='population' predicts them without its effects, 'missing' gives NaN"
    if missing.any():
        return DataError(
            f"the grouping factor {group.label!r} is missing in {int(missing.sum())} of {table.n_rows} rows, "
            f"the first of them row {int(np.argmax(missing))} (counted from 0): {allow}"
        )
    rows = np.flatnonzero(unseen)
    parts = [column.labels()[rows].tolist() for column in columns]
    levels = list(dict.fromkeys(":".join(level) for level in zip(*parts, strict=True)))
    shown = ", ".join(map(repr, levels[:SHOWN])) + (", ..." if len(levels) > SHOWN else "")
    s = "" if len(levels) == 1 else "s"
    return DataError(
        f"the grouping factor {group.label!r} has {len(levels)} level{s} that the model has not seen "
        f"({shown}), in {rows.size} of {table.n_rows} rows: {allow}"
    )
