"""The functions that a formula may call: R's names, NumPy's arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.io.columns import FactorColumn, as_factor
from henderson.io.frame import column_of


def _log(x: Any, base: float | None = None) -> Any:
    return np.log(x) if base is None else np.log(x) / np.log(base)


def _round(x: Any, digits: float = 0) -> Any:
    return np.round(x, int(digits))


def _as_numeric(x: Any) -> Any:
    if isinstance(x, FactorColumn):
        raise DataError(
            "as.numeric() of a factor gives level numbers in R, rarely what is meant: "
            "write as.numeric(as.character(...)) for the labels as numbers"
        )
    try:
        return np.asarray(x, dtype=np.float64)
    except ValueError as error:
        raise DataError(f"as.numeric() meets a label that is no number: {error}") from None


def _as_character(x: Any) -> NDArray[np.object_]:
    return factor(x).labels()


def _c(*values: Any) -> NDArray[Any]:
    return np.array(values)


def _pmin(*values: Any) -> Any:
    return np.minimum.reduce(np.broadcast_arrays(*values))


def _pmax(*values: Any) -> Any:
    return np.maximum.reduce(np.broadcast_arrays(*values))


def factor(x: Any, levels: Any = None, *, ordered: bool = False) -> FactorColumn:
    """R's ``factor(x)``: categories from anything, in sorted order or in the order given.

    >>> factor(np.array([3, 1, 3])).levels
    ('1', '3')
    """
    found = x if isinstance(x, FactorColumn) else as_factor(column_of(np.asarray(x), "factor()"))
    if levels is None:
        return FactorColumn(found.codes, found.levels, found.ordered or bool(ordered)).drop_unused()
    wanted = as_factor(column_of(np.asarray(levels), "levels"))
    given = tuple(wanted.levels[k] for k in wanted.codes)
    return FactorColumn(found.recode(given), given, bool(ordered))


def _ordered(x: Any, levels: Any = None) -> FactorColumn:
    return factor(x, levels, ordered=True)


PLAIN: dict[str, Callable[..., Any]] = {
    "I": lambda x: x,
    "identity": lambda x: x,
    "log": _log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "exp": np.exp,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceiling": np.ceil,
    "round": _round,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "pmin": _pmin,
    "pmax": _pmax,
    "ifelse": np.where,
    "c": _c,
    "as.numeric": _as_numeric,
    "as.integer": lambda x: np.trunc(_as_numeric(x)),
    "as.character": _as_character,
    "factor": factor,
    "as.factor": factor,
    "ordered": _ordered,
    "as.ordered": _ordered,
}
"""Functions of the values alone."""

STATEFUL: dict[str, dict[str, str]] = {
    "poly": {},
    "scale": {},
    "center": {},
    "bs": {"intercept": "include_intercept"},
    "mean": {"na.rm": "na_rm"},
}
"""Functions that remember the training data, with R's names of their arguments."""


def _mean(x: NDArray[np.float64], *, na_rm: bool = False, _state: dict[str, Any]) -> Any:
    # Missing rows are gone already, whatever na.rm says.
    return _state.setdefault("mean", np.sum(x) / np.size(x))


def stateful_transform(name: str) -> Callable[..., Any]:
    """The implementation of one of `STATEFUL`; formulaic's, but for the mean."""
    if name == "mean":
        return _mean
    from formulaic.transforms import TRANSFORMS

    return TRANSFORMS[name]  # type: ignore[no-any-return]
