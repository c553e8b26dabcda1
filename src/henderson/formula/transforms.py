"""Functions of a formula that remember the training data, so that new data get the basis of the old."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.formula.factors import cut, relevel
from henderson.formula.splines import bs, ns
from henderson.io import trait_coding
from henderson.io.columns import FactorColumn

FloatArray = NDArray[np.float64]

MAX_DEGREE = 15
"""Of poly()."""


def poly(x: FloatArray, degree: float = 1, raw: bool = False, *, state: dict[str, Any]) -> FloatArray:
    """R's ``poly(x, degree)``: orthonormal polynomials without the constant, by their three-term recurrence.

    Parameters
    ----------
    x : ndarray, shape (n,)
    degree : int
    raw : bool
        Plain powers of x instead.
    state : dict
        The coefficients of the recurrence, filled at the first call.

    Returns
    -------
    ndarray, shape (n, degree)

    Raises
    ------
    DataError
        For a degree that is no whole number, or too high.

    Examples
    --------
    >>> poly(np.array([1.0, 2.0, 3.0]), 2, state={}).round(3) + 0.0
    array([[-0.707,  0.408],
           [ 0.   , -0.816],
           [ 0.707,  0.408]])
    """
    _check_single(degree)
    if degree not in range(1, MAX_DEGREE + 1):
        raise DataError(
            f"the degree must be a whole number from 1 to {MAX_DEGREE}, beyond which rounding spoils "
            "the columns"
        )
    k = int(degree)
    if raw:
        state["raw"] = True
        return x[:, None] ** np.arange(1, k + 1)
    if not state:
        distinct = len(np.unique(x))
        if k >= distinct:
            raise DataError(f"the degree must be less than the {distinct} distinct values")
        state.update(_recurrence(x, k))
    return _polynomials(x, state["centres"], state["norms"])


def _check_single(*values: Any) -> None:
    if any(np.ndim(value) or isinstance(value, FactorColumn | str) for value in values):
        raise DataError("one column is taken, and what follows it are single numbers")


def _recurrence(x: FloatArray, degree: int) -> dict[str, FloatArray]:
    """Forsythe's coefficients: p[j+1] = (x - centres[j]) p[j] - norms[j] / norms[j-1] p[j-1]."""
    centres, norms = np.empty(degree), np.empty(degree + 1)
    before, now = np.zeros_like(x), np.ones_like(x)
    norms[0] = len(x)
    for j in range(degree):
        centres[j] = x @ now**2 / norms[j]
        step = norms[j] / norms[j - 1] if j else 0.0
        before, now = now, (x - centres[j]) * now - step * before
        norms[j + 1] = now @ now
    return {"centres": centres, "norms": norms}


def _polynomials(x: FloatArray, centres: FloatArray, norms: FloatArray) -> FloatArray:
    found = np.empty((len(x), len(centres)))
    before, now = np.zeros_like(x), np.ones_like(x)
    for j, centre in enumerate(centres):
        step = norms[j] / norms[j - 1] if j else 0.0
        before, now = now, (x - centre) * now - step * before
        found[:, j] = now / np.sqrt(norms[j + 1])
    return found


def scale(x: FloatArray, center: float = True, scale: float = True, *, state: dict[str, Any]) -> FloatArray:
    """R's ``scale(x)``: subtract the mean and divide by the standard deviation, or by the numbers given.

    >>> scale(np.array([1.0, 3.0]), scale=False, state={})
    array([-1.,  1.])
    """
    _check_single(center, scale)
    if not state:
        centre = x.mean(axis=0) if center is True else center
        spread = np.sqrt(np.sum((x - centre) ** 2, axis=0) / (len(x) - 1)) if scale is True else scale or 1.0
        state.update(center=centre, scale=spread)
    return np.asarray((x - state["center"]) / state["scale"])


def center(x: FloatArray, *, state: dict[str, Any]) -> FloatArray:
    """Subtract the mean.

    >>> center(np.array([1.0, 3.0]), state={})
    array([-1.,  1.])
    """
    return scale(x, scale=False, state=state)


def mean(x: FloatArray, *, na_rm: bool = False, state: dict[str, Any]) -> Any:
    """The mean of the training data; missing rows are gone already, whatever `na_rm` says.

    >>> mean(np.array([1.0, 3.0]), state={})
    2.0
    """
    return state.setdefault("mean", float(np.sum(x) / np.size(x)))


def rint(x: FloatArray, *, state: dict[str, Any]) -> FloatArray:
    """Normal scores of the ranks, see `henderson.io.trait_coding.rint`; new data lie between the old.

    >>> rint(np.array([10.0, 3.0, 1000.0]), state={}).round(3) + 0.0
    array([ 0.   , -0.869,  0.869])
    """
    if np.ndim(x) != 1:
        raise DataError("one column of numbers is needed")
    if state:
        return np.asarray(np.interp(x, state["values"], state["scores"]))
    scores = trait_coding.rint(x)
    values, first = np.unique(x, return_index=True)
    state.update(values=values, scores=scores[first])
    return scores


STATEFUL: dict[str, Callable[..., Any]] = {
    "bs": bs,
    "center": center,
    "cut": cut,
    "mean": mean,
    "ns": ns,
    "poly": poly,
    "relevel": relevel,
    "rint": rint,
    "scale": scale,
}

OF_ROWS_USED = frozenset({"rint"})
"""Those that learn from the rows that a model uses; the others, as in R, from all that have a value."""

OF_FACTORS = frozenset({"relevel"})
"""Those that take categories; the others take a column of numbers."""
