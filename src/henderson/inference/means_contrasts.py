"""Contrasts among the cells of a table of means, with adjusted p-values and simultaneous intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.inference.adjust import Adjustment, adjusted, check_adjustment, critical
from henderson.inference.means_cells import Cells, Label
from henderson.inference.means_estimates import FixedEffects
from henderson.inference.means_families import FAMILIES, family

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Named = dict[str, list[str]]


def compare_cells(
    cells: Cells,
    by: Sequence[str],
    fixed: FixedEffects,
    *,
    offset: float,
    method: Any,
    adjust: Adjustment | None,
    control: str | None,
    level: float,
) -> pd.DataFrame:
    """Make the contrasts of `MarginalMeans.contrast`, each combination of `by` a family of its own."""
    import pandas as pd

    name = method if isinstance(method, str) else ""
    adjust = adjust or FAMILIES.get(name, "none")
    check_adjustment(adjust)
    if adjust == "tukey" and name != "pairwise":
        raise DataError(
            "adjust='tukey' is for method='pairwise', all differences of the means: use 'holm' here"
        )
    if control is not None and name != "trt.vs.ctrl":
        raise DataError(
            "control names the mean of method='trt.vs.ctrl' by itself, and the method is another one"
        )
    texts = _texts(cells, [name for name in cells.names if name not in by])
    key = cells.key(by)
    labels: list[dict[str, str]] = []
    groups: list[dict[str, Label]] = []
    functions, offsets, families = [], [], []
    for group in np.unique(key).tolist():
        inside = np.flatnonzero(key == group)
        names, C = _coefficients(cells, inside, texts, method=method, control=control)
        labels += names
        groups += [{name: cells.column(name)[inside[0]] for name in by}] * len(names)
        functions.append(_combined(C, cells.L[inside]))
        offsets.append(offset * C.sum(axis=1))
        families.append((len(C), len(inside)))
    if not labels:
        raise DataError("there is only one mean, and nothing to compare it with: give more levels")
    estimate, se, df = fixed.estimates(np.vstack(functions))
    estimate = estimate + np.concatenate(offsets)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = estimate / se
    p, half = np.empty(len(t)), np.empty(len(t))
    start = 0
    for k, means in families:
        rows = slice(start, start + k)
        p[rows] = adjusted(t[rows], df[rows], adjust, means=means)
        half[rows] = critical(level, df[rows], adjust, means=means) * se[rows]
        start += k
    numbers = {
        "estimate": estimate,
        "std_error": se,
        "df": df,
        "t": t,
        "p_value": p,
        "lower": estimate - half,
        "upper": estimate + half,
    }
    return pd.concat([pd.DataFrame(each) for each in (labels, groups, numbers)], axis=1)


def _coefficients(
    cells: Cells,
    inside: NDArray[np.intp],
    texts: Mapping[str, Sequence[str]],
    *,
    method: Any,
    control: str | None,
) -> tuple[list[dict[str, str]], Array]:
    """Names of the contrasts and their coefficients (k, m) for the m cells of one family."""
    own = list(texts)
    if not (own and isinstance(method, Mapping) and set(method) == set(own)):
        rows = [[texts[name][i] for name in own] for i in inside.tolist()]
        names, C = family(method, [" ".join(row) for row in rows], control=control)
        return [{"contrast": name} for name in names], C
    labelled: list[dict[str, str]] = [{}]
    C = np.ones((1, 1))
    for name in own:
        levels = list(dict.fromkeys(texts[name][i] for i in inside.tolist()))
        names, factor = family(method[name], levels)
        labelled = [{**row, name: each} for each in names for row in labelled]
        C = np.asarray(np.kron(factor, C), dtype=np.float64)
    if C.shape[1] != len(inside):
        raise DataError(
            f"contrasts of {' and '.join(own)} that multiply each other need all combinations of their "
            "levels, and some do not occur: give one method for all means"
        )
    return labelled, C


def _combined(C: Array, L: Array) -> Array:
    """C @ L, NaN where a row of NaN in L has a part in it."""
    absent = np.asarray(np.isnan(L).any(axis=1))
    unknown = np.abs(C) @ absent > 0.0
    return np.where(unknown[:, None], np.nan, C @ np.where(absent[:, None], 0.0, L))


def _texts(cells: Cells, own: Sequence[str]) -> dict[str, list[str]]:
    """What each cell's levels are called within names of contrasts; a number says of what it is."""
    found = {}
    for name in own:
        texts = [_text(label) for label in cells.column(name)]
        found[name] = [name + text for text in texts] if all(map(_is_number, texts)) else texts
    return found


def _text(label: Label) -> str:
    if isinstance(label, bool):
        return str(label).upper()
    return f"{label:.15g}" if isinstance(label, float) else str(label)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
