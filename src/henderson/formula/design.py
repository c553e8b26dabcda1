"""What the formula layer hands to `fit`: plain arrays with their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from henderson.formula.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class RandomDesign:
    """One random term `(effects | group)`, after `||`, `/` and `*` are expanded.

    Attributes
    ----------
    group : str
        Label of the grouping factor as lme4 prints it, such as ``"Subject"`` or ``"cask:batch"``.
    names : tuple of str, length q
        Names of the effects, such as ``("(Intercept)", "Days")``.
    codes : ndarray of int64, shape (n,)
        Level of each row, 0 to ``len(levels) - 1``; only levels that occur.
    levels : sequence of str, length l
        Labels of the levels, in the factor's own order.
    z : ndarray of float64, shape (n, q)
        The numbers that multiply the level's effects in each row.
    """

    group: str
    names: tuple[str, ...]
    codes: NDArray[np.int64]
    levels: Sequence[str]
    z: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Design:
    """The arrays of a model, for the rows that are used.

    Attributes
    ----------
    y : ndarray, shape (n,)
        The response, before any offset is subtracted.
    X : ndarray, shape (n, p)
        Fixed-effects design, with every column that the formula asks for (rank is judged in `fit`).
    x_names : tuple of str, length p
        R's names of the columns: ``(Intercept)``, ``grplow``, ``Days:grplow``.
    x_assign : tuple of int, length p
        The formula term each column comes from, 0 for the intercept.
    random : tuple of RandomDesign
        In lme4's order: by number of levels, most first.
    weights, offset : ndarray, shape (n,), or None
        Prior weights and the known part of the mean (argument and formula terms added up).
    rows : ndarray of int64, shape (n,)
        Position in the caller's table of each row that is used.
    excluded : ndarray of int64
        Positions (within the subset) that were dropped for missing values, or for zero weight.
    n_rows : int
        Number of rows of the caller's table (after ``subset``).
    notices : tuple of str
        What the user should hear about the data: rows dropped and why.
    spec : ModelSpec
        The stateful recipe that builds X and z for new data.
    """

    y: NDArray[np.float64]
    X: NDArray[np.float64]
    x_names: tuple[str, ...]
    x_assign: tuple[int, ...]
    random: tuple[RandomDesign, ...]
    weights: NDArray[np.float64] | None
    offset: NDArray[np.float64] | None
    rows: NDArray[np.int64]
    excluded: NDArray[np.int64]
    n_rows: int
    notices: tuple[str, ...]
    spec: ModelSpec
