"""Linear contrasts of the fixed effects: estimates, tests and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.arguments import check_level
from henderson.inference.denominator import Ddf, denominator
from henderson.io.frame import to_pandas
from henderson.linalg.tails import neg_log10_normal, neg_log10_t

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
NO_WEIGHTS = "the contrast has no weights; name at least one coefficient, such as {'x': 1}"


def contrast(
    fit: FittedModel,
    L: Any,
    *,
    rhs: ArrayLike = 0.0,
    ddf: Ddf = "satterthwaite",
    level: float = 0.95,
) -> pd.DataFrame:
    """Estimate, test and interval of each of some sums of fixed effects.

    Parameters
    ----------
    fit : FittedModel
    L : array (p,) or (k, p), mapping or data frame
        Weights of the fixed effects: an array in their order; ``{"Days": 1}``, in which those not named are
        zero; ``{"day 3": {"(Intercept)": 1, "Days": 3}, ...}`` for several rows with names; ``["x", "z"]``
        for these coefficients, one by one; or a pandas, polars or pyarrow table with a column for each
        coefficient that matters.
    rhs : float or array (k,)
        What each sum is under its null hypothesis.
    ddf : {"satterthwaite", "kenward-roger", "asymptotic"}
        How degrees of freedom are counted; see `denominator`.
    level : float
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        One row per contrast: estimate, std_error, df, t, p_value (two-sided), neg_log_10_p_value, lower and
        upper, the last two of the sum itself. The index has the names of the rows, or says what they are.

    Raises
    ------
    DataError
        For another number of weights, names that are no coefficients, weights that are not finite or all
        zero, a right-hand side of another length, and levels outside (0, 1).

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> contrast(fit, {"(Intercept)": 1, "Days": 3})[["estimate", "std_error", "df"]].round(3)
                          estimate  std_error    df
    (Intercept) + 3 Days   282.807      7.705  17.0
    """
    check_level(level)
    rows, names = read_contrasts(L, fit)
    for row, name in zip(rows, names, strict=True):
        if not row.any():
            raise DataError(
                f"the weights of the contrast '{name}' are all zero, which leaves nothing to test"
            )
    null = _right_hand_side(rhs, len(rows))
    tests = denominator(fit, ddf)
    estimate = rows @ fit.estimates.beta
    se = np.sqrt(np.einsum("ki,ij,kj->k", rows, tests.cov_beta, rows))
    return _table(estimate, se, tests.df(rows), null=null, level=level, index=names)


def joint_test(fit: FittedModel, L: Any, *, rhs: ArrayLike = 0.0, ddf: Ddf = "satterthwaite") -> pd.DataFrame:
    """F test that all sums of fixed effects are what they are said to be.

    Parameters
    ----------
    fit, L, rhs, ddf
        As for `contrast`. Rows that are sums of others do not count.

    Returns
    -------
    DataFrame
        One row: num_df, den_df, f, p_value and neg_log_10_p_value. With Kenward-Roger, f is already scaled.

    Raises
    ------
    DataError
        As `contrast`; also if rows that depend on each other contradict each other, or all are zero.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> joint_test(fit, np.eye(2), rhs=[250, 10], ddf="kenward-roger").round(4)
       num_df  den_df       f  p_value  neg_log_10_p_value
    0       2    16.0  0.0724   0.9305              0.0313
    """
    import pandas as pd

    rows, _ = read_contrasts(L, fit)
    if not rows.any():
        raise DataError("the weights of the hypothesis are all zero, which leaves nothing to test")
    difference = rows @ fit.estimates.beta - _right_hand_side(rhs, len(rows))
    test = denominator(fit, ddf).f_test(rows, difference)
    return pd.DataFrame(
        {
            "num_df": [test.ndf],
            "den_df": [test.ddf],
            "f": [test.statistic],
            "p_value": [test.p_value],
            "neg_log_10_p_value": [test.neg_log_10_p_value],
        }
    )


def _table(
    estimate: Array, se: Array, df: Array, *, null: Array, level: float, index: Sequence[str]
) -> pd.DataFrame:
    """Tests and intervals of estimates with their degrees of freedom, as `contrast` returns them."""
    import pandas as pd

    with np.errstate(divide="ignore", invalid="ignore"):
        t = (estimate - null) / se
    tail = np.where(df == np.inf, neg_log10_normal(t), neg_log10_t(t, df))
    reach = se * special.stdtrit(df, 0.5 + 0.5 * level)
    return pd.DataFrame(
        {
            "estimate": estimate,
            "std_error": se,
            "df": df,
            "t": t,
            "p_value": 10.0**-tail,
            "neg_log_10_p_value": tail,
            "lower": estimate - reach,
            "upper": estimate + reach,
        },
        index=list(index),
    )


def read_contrasts(L: Any, fit: FittedModel) -> tuple[Array, list[str]]:
    """Weights (k, p) of the coefficients of a fit, and a name for each row; see `contrast`."""
    import pandas as pd

    coefficients = fit.estimates.x_names
    if isinstance(L, list | tuple) and L and all(isinstance(name, str) for name in L):
        L = {name: {name: 1.0} for name in L}
    if isinstance(L, pd.DataFrame):
        return _frame_rows(L, fit), [str(name) for name in L.index]
    if not isinstance(L, Mapping):
        if isinstance(L, pd.Series):
            rows = _frame_rows(L.to_frame().T, fit)
        elif hasattr(L, "columns") and hasattr(L, "to_pandas"):  # a table of polars or pyarrow
            rows = _frame_rows(to_pandas(L), fit)
        else:
            rows = _numbers(L, coefficients)
        return rows, [describe(row, coefficients) for row in rows]
    nested = [isinstance(value, Mapping) for value in L.values()]
    if not nested:
        raise DataError(NO_WEIGHTS)
    if all(nested):
        return np.array([_row(row, fit) for row in L.values()]), [str(name) for name in L]
    if any(nested):
        raise DataError(
            "some rows of the contrast are mappings and some are numbers; give either {coefficient: weight} "
            "or {name: {coefficient: weight}, ...}"
        )
    row = _row(L, fit)
    return row[None], [describe(row, coefficients)]


def _frame_rows(frame: pd.DataFrame, fit: FittedModel) -> Array:
    """Weights (k, p) from a data frame, whose columns are named like coefficients."""
    if not frame.size:
        raise DataError(NO_WEIGHTS)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"the contrast weighs '{twice[0]}' more than once: give each coefficient one weight")
    return np.array([_row(row, fit) for row in frame.to_dict("records")])


def describe(row: Array, coefficients: Sequence[str]) -> str:
    """A sum of coefficients in words.

    Examples
    --------
    >>> describe(np.array([1.0, 0.0, -0.5]), ["a", "b", "c"])
    'a - 0.5 c'
    """
    out = ""
    for weight, name in zip(row, coefficients, strict=True):
        if weight:
            sign = ("-" if weight < 0 else "") if not out else (" - " if weight < 0 else " + ")
            out += sign + ("" if abs(weight) == 1.0 else f"{abs(weight):.6g} ") + name
    return out or "0"


def _numbers(L: Any, coefficients: Sequence[str]) -> Array:
    p = len(coefficients)
    rows = _real(L)
    if rows is None:
        raise DataError(
            "the weights of a contrast must be numbers: an array, {coefficient: weight}, or a data frame"
        )
    rows = np.atleast_2d(rows)
    if rows.ndim != 2 or rows.shape[1] != p or not len(rows):
        raise DataError(
            f"the contrast has shape {np.shape(L)}, and the model has {p} fixed effect{'s' * (p != 1)} "
            f"({_listed(coefficients)}): give one weight for each, or {{name: weight}}"
        )
    if not np.isfinite(rows).all():
        at = int(np.argmin(np.isfinite(rows).all(axis=0)))
        raise DataError(f"the weight of '{coefficients[at]}' in the contrast is missing or infinite")
    return rows


def _row(weights: Mapping[Any, Any], fit: FittedModel) -> Array:
    coefficients = list(fit.estimates.x_names)
    row = np.zeros(len(coefficients))
    for name, weight in weights.items():
        if name in fit.estimates.dropped:
            raise DataError(
                f"the coefficient '{name}' was not estimated, because its column is a sum of others in these "
                "data; a contrast can only weigh those that were"
            )
        if name not in coefficients and f"`{name}`" in coefficients:
            name = f"`{name}`"  # noqa: PLW2901  as a formula has it
        if name not in coefficients:
            raise DataError(
                f"'{name}' is no fixed effect of this model; there are {_listed(coefficients) or 'none'}"
            )
        if np.ndim(weight):
            raise DataError(f"the weight of '{name}' in the contrast is {weight!r}: give one number")
        row[coefficients.index(name)] = _numbers([weight], [str(name)])[0, 0]
    return row


def _right_hand_side(rhs: ArrayLike, k: int) -> Array:
    values = _real(rhs)
    if values is None:
        raise DataError("rhs must be a number, or an array of one for each row of the contrast")
    if values.ndim and values.shape != (k,):
        raise DataError(
            f"rhs has shape {values.shape} and the contrast {k} row{'s' * (k != 1)}: give one number, or one "
            "for each row"
        )
    if not np.isfinite(values).all():
        raise DataError("rhs must be finite: it is what the contrast is under the null hypothesis")
    return np.broadcast_to(values, (k,))


def _real(values: Any) -> Array | None:
    """An array of floating-point numbers, or None if these values are none."""
    try:
        found = np.asarray(values)
        return found.astype(np.float64) if found.dtype.kind in "biufO" else None
    except (TypeError, ValueError):
        return None


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"'{name}'" for name in names[:most]) + more
