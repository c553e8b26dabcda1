"""Spline bases as R's package splines makes them: `bs` (B-splines) and `ns` (natural splines)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError

FloatArray = NDArray[np.float64]


def bs(
    x: FloatArray,
    df: float | None = None,
    knots: Any = None,
    degree: float = 3,
    intercept: bool = False,
    *,
    Boundary_knots: Any = None,
    state: dict[str, Any],
) -> FloatArray:
    """B-splines; beyond the boundary knots the outer polynomials go on.

    Parameters
    ----------
    x : ndarray, shape (n,)
    df : int, optional
        Number of columns; sets the number of inner knots, at quantiles of x.
    knots : array_like, optional
        Inner knots, in place of `df`.
    degree : int
        Of the polynomials.
    intercept : bool
        Whether the first column is kept, so that the columns sum to one.
    Boundary_knots : (float, float), optional
        By default the range of x.
    state : dict
        Knots, filled at the first call.

    Returns
    -------
    ndarray, shape (n, k)

    Raises
    ------
    DataError
        For knots or degrees of freedom that make no spline.

    Examples
    --------
    >>> bs(np.array([0.0, 1.0, 2.0]), degree=1, knots=[1.0], state={})
    array([[0., 0.],
           [1., 0.],
           [0., 1.]])
    """
    if degree < 1 or degree != int(degree):
        raise DataError(f"the degree must be a whole number from 1; it is {degree:g}")
    order = int(degree) + 1
    inner, ends = _knots(x, df, knots, Boundary_knots, fewest=order - (not intercept), state=state)
    basis = _basis(inner, ends, order)(x, 0)
    return basis if intercept else basis[:, 1:]


def ns(
    x: FloatArray,
    df: float | None = None,
    knots: Any = None,
    intercept: bool = False,
    *,
    Boundary_knots: Any = None,
    state: dict[str, Any],
) -> FloatArray:
    """Natural cubic splines, straight beyond the boundary knots; arguments as in `bs`.

    The columns are the B-splines turned by the Q of the two conditions that second derivatives vanish at the
    boundary knots.

    Examples
    --------
    >>> ns(np.array([0.0, 1.0, 2.0, 3.0]), df=2, state={}).shape
    (4, 2)
    """
    from scipy.linalg import qr

    inner, ends = _knots(x, df, knots, Boundary_knots, fewest=1 + intercept, state=state)
    spline = _basis(inner, ends, 4)
    nearest = np.clip(x, *ends)
    basis = spline(nearest, 0)
    outside = nearest != x
    basis[outside] += (x - nearest)[outside, None] * spline(nearest[outside], 1)
    bends = spline(np.asarray(ends), 2)
    if not intercept:
        basis, bends = basis[:, 1:], bends[:, 1:]
    Q = qr(bends.T)[0]
    return np.asarray(basis @ Q[:, 2:])


def _basis(inner: FloatArray, ends: FloatArray, order: int) -> Callable[[FloatArray, int], FloatArray]:
    """All B-splines on these knots, and their derivatives, as a function of x and of the derivative."""
    from scipy.interpolate import BSpline

    knots = np.concatenate([np.repeat(ends[0], order), inner, np.repeat(ends[1], order)])
    splines = BSpline(knots, np.eye(len(knots) - order), order - 1)
    return lambda x, derivative: np.asarray(splines(x, nu=derivative), dtype=np.float64)


def _knots(
    x: FloatArray, df: float | None, knots: Any, ends: Any, *, fewest: int, state: dict[str, Any]
) -> tuple[FloatArray, FloatArray]:
    """Inner knots and boundary knots: those of the training data where there are any in the state."""
    if not state:
        bounds = np.array([x.min(), x.max()]) if ends is None else np.sort(np.ravel(ends).astype(np.float64))
        if len(bounds) != 2 or not bounds[0] < bounds[1]:
            raise DataError(f"two different boundary knots are needed; they are {_listed(bounds)}")
        if knots is not None:
            inner = np.sort(np.ravel(knots).astype(np.float64))
        elif df is None:
            inner = np.empty(0)
        elif df != int(df) or df < fewest:
            raise DataError(f"df must be a whole number from {fewest}; it is {df:g}")
        else:
            within = x[(x >= bounds[0]) & (x <= bounds[1])]
            inner = np.quantile(within, np.linspace(0, 1, int(df) - fewest + 2)[1:-1])
        outside = inner[(inner < bounds[0]) | (inner > bounds[1])]
        if outside.size:
            raise DataError(f"knots at {_listed(outside)} are outside the boundary knots {_listed(bounds)}")
        state.update(knots=inner, boundary=bounds)
    return state["knots"], state["boundary"]


def _listed(values: FloatArray) -> str:
    return ", ".join(f"{value:g}" for value in values)
