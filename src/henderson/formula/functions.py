"""The functions that a formula may call: R's names, NumPy's arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.formula.factors import droplevels, factor, interaction, ordered
from henderson.io.columns import FactorColumn


def _log(x: Any, base: float | None = None) -> Any:
    return np.log(x) if base is None else np.log(x) / np.log(base)


def _round(x: Any, digits: float = 0) -> Any:
    return np.round(x, int(digits))


def _as_numeric(x: Any) -> Any:
    if isinstance(x, FactorColumn):
        raise DataError(
            "of a factor this gives level numbers in R, rarely what is meant: "
            "write as.numeric(as.character(...)) for the labels as numbers"
        )
    try:
        return np.asarray(x, dtype=np.float64)
    except ValueError as error:
        raise DataError(f"a label is no number ({error})") from None


def _as_character(x: Any) -> NDArray[np.object_]:
    return factor(x).labels()


def _c(*values: Any) -> NDArray[Any]:
    return np.array(values)


def _pmin(*values: Any) -> Any:
    return np.minimum.reduce(np.broadcast_arrays(*values))


def _pmax(*values: Any) -> Any:
    return np.maximum.reduce(np.broadcast_arrays(*values))


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
    "ordered": ordered,
    "as.ordered": ordered,
    "droplevels": droplevels,
    "interaction": interaction,
    "C": factor,
}
"""Functions of the values alone."""
