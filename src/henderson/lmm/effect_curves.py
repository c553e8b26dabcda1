"""The mean over one predictor, the others held fixed, with the data beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError, HendersonError
from henderson.fit import FittedModel
from henderson.fit.arguments import check_level
from henderson.fit.estimates import Estimates
from henderson.formula import Design
from henderson.formula.evaluate import Evaluator
from henderson.inference.denominator import Ddf
from henderson.inference.means_estimates import FixedEffects
from henderson.io.columns import FactorColumn
from henderson.io.frame import closest, open_table

Array = NDArray[np.float64]
AT_MOST = 7
"""Values of a second predictor that have a curve each."""
_CATEGORIES = 12
_STEPS = 120


@dataclass(frozen=True, slots=True, eq=False)
class EffectCurve:
    """The fixed-effects mean over one predictor.

    Attributes
    ----------
    label : str or None
        Value of the second predictor; None without one.
    x : ndarray, (m,)
        Values of the predictor; positions 0 to m - 1 where it has categories.
    names : tuple of str, or None
        Its categories.
    mean, lower, upper : ndarray, (m,)
        In units of the response that was fitted; NaN where the records do not determine them.
    data_x, data_y : ndarray, (n,)
        The records: their values of the predictor, and partial residuals: the curve there plus the residual,
        NaN where the curve is.
    """

    label: str | None
    x: Array
    names: tuple[str, ...] | None
    mean: Array
    lower: Array
    upper: Array
    data_x: Array
    data_y: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Values:
    """The values that a column has: numbers, truth values or names of levels.

    Numbers may be drawn as such, and have none `between` them because they are codes of a factor.
    """

    every: NDArray[Any]
    distinct: NDArray[Any]
    names: tuple[str, ...]
    is_number: bool
    between: bool
    typical: Any


def effect_curves(
    fit: FittedModel,
    predictor: str,
    *,
    by: str | None = None,
    at: Mapping[str, Any] | None = None,
    level: float = 0.95,
    ddf: Ddf = "satterthwaite",
) -> tuple[EffectCurve, ...]:
    """Compute the mean x'beta over one predictor, with pointwise confidence limits from x'Cov(beta)x.

    Other predictors are at their mean, or at their first level; offsets at their mean.

    Parameters
    ----------
    fit : FittedModel
        With its data.
    predictor : str
        A column of the table in the fixed part of the formula.
    by : str, optional
        Another such column: one curve for each of its values, seven at most.
    at : dict, optional
        Values of other columns.
    level : float
        Of the confidence limits.
    ddf : {"satterthwaite", "kenward-roger", "asymptotic"}
        Degrees of freedom of their t quantiles.

    Returns
    -------
    tuple of EffectCurve

    Raises
    ------
    DataError
        If a column is not in the fixed part of the model, `by` has too many values, or `at` does not hold
        one value of a column that is not drawn, at which the mean can be computed.
    HendersonError
        If the fit has no data.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> [curve] = effect_curves(fit, "Days")
    >>> np.array([curve.x, curve.mean, curve.lower, curve.upper])[:, -1].round(1)
    array([  9. , 345.6, 314.7, 376.5])
    """
    check_level(level)
    frame = _Frame.of(fit)
    fixed = _held(at, drawn=(predictor, by))
    for name in (predictor, *fixed, *([] if by is None else [by])):
        if name not in frame.columns:
            raise DataError(
                f"{name!r} is no column of the fixed part of the model{closest(str(name), frame.columns)}"
            )
    if by == predictor:
        raise DataError(f"by={by!r} is the predictor itself: name another column")
    own = frame.columns[predictor]
    others = [(None, {})] if by is None else _values_of_by(frame.columns[by], by)
    curves = []
    for label, value in others:
        rows = np.ones(own.every.size, dtype=bool)
        for name, wanted in value.items():
            rows = frame.columns[name].every == wanted
        curves.append(
            _curve(frame, predictor, label, held={**fixed, **value}, rows=rows, level=level, ddf=ddf)
        )
    return tuple(curves)


def _held(at: Mapping[str, Any] | None, *, drawn: tuple[str, str | None]) -> dict[str, Any]:
    """The values of `at`, one for each column."""
    if not isinstance(at, Mapping | None):
        raise DataError(f"at is {at!r}; it is a dict of columns and the value of each")
    held = dict(at or {})
    for name, value in held.items():
        if name in drawn:
            raise DataError(f"at holds {name!r} at one value, and the picture is to show all of them")
        if np.ndim(value) != 0:
            raise DataError(
                f"at holds one value of each column, and {name!r} has {value!r}: draw by={name!r}"
            )
    return held


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """The columns of the fixed part in the rows used, and the fit."""

    fit: FittedModel
    estimates: Estimates
    design: Design
    columns: Mapping[str, _Values]

    @classmethod
    def of(cls, fit: FittedModel) -> _Frame:
        design = fit.source.with_rows()
        data = fit.source.data
        if data is None:
            raise HendersonError(
                "the response of this fit was given to refit(), and its data are in no table"
            )
        spec = fit.estimates.spec
        evaluator = Evaluator(open_table(data), {name: dict(calls) for name, calls in spec.state.items()})
        columns: dict[str, _Values] = {}
        for variable in spec.fixed.variables:
            for name in evaluator.inputs(variable.node):
                column = evaluator.table.column(name).take(design.rows)
                in_factor = any(v.is_factor for v in spec.fixed.variables if name in evaluator.inputs(v.node))
                columns[name] = _values(column, name, categorical=in_factor)
        return cls(fit, fit.estimates, design, columns)

    def matrix(self, n: int, values: Mapping[str, Any]) -> Array:
        """The fixed-effects design of n rows; columns that are not given have their typical values."""
        table = {
            name: np.broadcast_to(np.asarray(values.get(name, column.typical)), (n,))
            for name, column in self.columns.items()
        }
        return self.estimates.spec.fixed_matrix(table)[0]


def _values(column: Any, name: str, *, categorical: bool) -> _Values:
    """Sort the values of a column; `categorical` numbers are codes of categories."""
    if isinstance(column, FactorColumn):
        used = column.drop_unused()
        if column.logical:
            every = column.codes == 1
            distinct: NDArray[Any] = np.unique(every)
            names = tuple("TRUE" if value else "FALSE" for value in distinct.tolist())
            return _Values(every, distinct, names, False, False, distinct[0])
        levels = np.array(list(used.levels), dtype=object)
        return _Values(levels[used.codes], levels, tuple(used.levels), False, False, levels[0])
    if column.values.ndim != 1:
        raise DataError(
            f"{name!r} is a matrix of several columns, and a picture needs one number for each row"
        )
    distinct = np.unique(column.values)
    names = tuple(f"{value:g}" for value in distinct.tolist())
    typical = distinct[0] if categorical else float(column.values.mean())
    is_number = not (categorical and distinct.size <= _CATEGORIES)
    return _Values(column.values, distinct, names, is_number, not categorical, typical)


def _values_of_by(values: _Values, by: str) -> list[tuple[str | None, dict[str, Any]]]:
    if values.distinct.size > AT_MOST:
        raise DataError(
            f"{by!r} has {values.distinct.size:,} values, and a picture can show {AT_MOST} curves: hold it "
            f"fixed with at={{{by!r}: ...}}, and draw one picture for each value"
        )
    return [(f"{by} {name}", {by: value}) for name, value in zip(values.names, values.distinct, strict=True)]


def _curve(
    frame: _Frame,
    predictor: str,
    label: str | None,
    *,
    held: Mapping[str, Any],
    rows: NDArray[np.bool_],
    level: float,
    ddf: Ddf,
) -> EffectCurve:
    from scipy.special import stdtrit

    values, estimates = frame.columns[predictor], frame.estimates
    places: NDArray[Any] = values.distinct
    if values.between and places.size > _STEPS:
        places = np.linspace(float(places[0]), float(places[-1]), _STEPS)
    by_row = estimates.by_row("the rows")
    offset = 0.0 if by_row.offset is None else float(by_row.offset.mean())
    X = frame.matrix(places.size, {**held, predictor: places})
    if not np.isfinite(X).all():
        others = {name: held.get(name, c.typical) for name, c in frame.columns.items() if name != predictor}
        shown = ", ".join(f"{name} = {value}" for name, value in others.items())
        raise DataError(
            f"the mean over {predictor!r} cannot be computed at {shown}: hold other values with at={{...}}"
        )
    mean, se, df = FixedEffects.of(frame.fit, ddf).estimates(X)
    mean += offset
    half = stdtrit(df, 0.5 + 0.5 * level) * se
    own = values.every[rows]
    at_rows = FixedEffects.of(frame.fit, "asymptotic").estimates(
        frame.matrix(own.size, {**held, predictor: own})
    )[0]
    partial = at_rows + offset + (by_row.y - by_row.fitted)[rows]
    if values.is_number:
        x, data_x = places.astype(np.float64), own.astype(np.float64)
    else:
        x = np.arange(places.size, dtype=np.float64)
        position = {value: k for k, value in enumerate(places.tolist())}
        data_x = np.array([position[value] for value in own.tolist()], dtype=np.float64)
    names = None if values.is_number else values.names
    return EffectCurve(label, x, names, mean, mean - half, mean + half, data_x, partial)
