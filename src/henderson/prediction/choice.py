"""Which random effects a prediction takes: lme4's ``re.form``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.fit.estimates import Estimates
from henderson.formula.bars import Bar, parse_formula
from henderson.formula.spec import RandomSpec
from henderson.formula.terms import full_coding
from henderson.io.frame import closest

Effects = NDArray[np.intp]
RandomChoice = Literal["all", "none"] | Sequence[str]


def chosen_effects(estimates: Estimates, random: RandomChoice) -> dict[int, Effects]:
    """For each random term that `random` asks for, which of its effects.

    Raises
    ------
    DataError
        If the model lacks one of them.
    """
    specs = estimates.spec.random
    every = {k: np.arange(len(spec.names)) for k, spec in enumerate(specs)}
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
        return [(k, list(range(len(s.names)))) for k, s in enumerate(specs) if labels[k] == wanted]
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
        # the columns of a pooled factor have an effect each, all of them of the intercept
        assign = matrix.assign * len(spec.names) if spec.grouping.group.pooled else matrix.assign
        effects = [j for j, term in enumerate(assign) if labels[term] in same]
        if effects:
            wanted -= same
            yield k, effects
    if wanted:
        yield -1, []
