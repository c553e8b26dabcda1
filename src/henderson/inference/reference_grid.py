"""The reference grid: all combinations of the levels of a model's predictors, numbers held at their mean."""

from __future__ import annotations

import math
from collections.abc import Container, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.formula.spec import ModelSpec
from henderson.formula.syntax import Name, Node, walk
from henderson.formula.terms import full_coding
from henderson.inference.means_cells import Cells, Label
from henderson.io.columns import LOGICAL_LEVELS, Column, FactorColumn, NumericColumn
from henderson.io.frame import Table, closest, open_table

Array = NDArray[np.float64]
#: Predictors with no more distinct numbers than this are taken for categories.
FEW = 2
#: Step of numerical derivatives, relative to the number or the range of the predictor.
STEP = 1e-3
#: Grids with more numbers than this are refused.
LARGEST = 2 * 10**7


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """One predictor in the grid.

    Attributes
    ----------
    name : str
        Column of the table.
    labels : tuple
        What its levels are called: strings, numbers or booleans.
    values : ndarray, (l,) or (l, k)
        What the model reads at each level.
    codes : ndarray of int64, (n,), or None
        Level of each row of the fit, -1 for none of these; None for numbers, which rows do not belong to.
    span : float
        Range of the numbers of the rows; 0 for categories.
    """

    name: str
    labels: tuple[Label, ...]
    values: NDArray[Any]
    codes: NDArray[np.int64] | None
    span: float = 0.0

    @property
    def occurs(self) -> bool:
        """Whether rows of the fit have each of its levels."""
        return self.codes is None or set(range(len(self.labels))) <= set(np.unique(self.codes).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceGrid:
    """The grid of a model.

    Attributes
    ----------
    axes : tuple of Axis
        In the order in which the formula names them.
    at : ndarray of int64, (m, number of axes)
        Level of each axis in each cell; those of the first axis vary fastest.
    count : ndarray of int64, (m,)
        Rows of the fit in each cell, as far as categories tell.
    spec : ModelSpec
    """

    axes: tuple[Axis, ...]
    at: NDArray[np.int64]
    count: NDArray[np.int64]
    spec: ModelSpec

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the axes."""
        return tuple(axis.name for axis in self.axes)

    def axis(self, name: str) -> Axis:
        """The axis of a column.

        Raises
        ------
        DataError
            If the fixed effects have no such column.
        """
        for axis in self.axes:
            if axis.name == name:
                return axis
        raise DataError(f"the fixed effects do not depend on {name!r}{closest(str(name), self.names)}")

    def design(self) -> Array:
        """Fixed-effects design of the cells, (m, p), with the columns that rank deficiency drops.

        NaN in an empty cell that the model has no columns for, such as a combination that `interaction` of
        the formula has not seen.
        """
        try:
            return self._design(np.arange(len(self.at)))
        except DataError:
            occupied = np.flatnonzero(self.count)
            if len(occupied) == len(self.at) or not all(axis.occurs for axis in self.axes):
                raise
            some = self._design(occupied)
            X = np.full((len(self.at), some.shape[1]), np.nan)
            X[occupied] = some
            return X

    def _design(self, cells: NDArray[np.int64]) -> Array:
        columns = {a.name: a.values[self.at[cells, j]] for j, a in enumerate(self.axes)}
        X, complete = self.spec.fixed_matrix(Table(list(columns), len(cells), columns.__getitem__))
        known = complete & np.isfinite(X).all(axis=1)
        if not known.all():
            row = int(np.argmin(known))
            shown = ", ".join(f"{name} = {values[row]}" for name, values in columns.items())
            raise DataError(f"the model has no mean at {shown}: give other numbers in at={{...}}")
        return X

    def terms(self) -> list[tuple[frozenset[str], dict[str, bool]]]:
        """Of each term its columns, and of each of these whether the model lacks the term without it."""
        terms = replace(self.spec.fixed.terms, intercept=True)
        columns = [columns_of(node, self.names) for node in terms.variables]
        found = []
        for term, full in zip(terms.terms, full_coding(terms, [True] * len(columns)), strict=True):
            in_full = dict.fromkeys((name for v in term for name in columns[v]), False)
            for v, fully in zip(term, full, strict=True):
                in_full |= dict.fromkeys(columns[v], True) if fully else {}
            found.append((frozenset(in_full), in_full))
        return found

    def derivative(self, axis: Axis) -> Array:
        """The derivative of `design` by the numbers of one axis: five-point differences, (m, p).

        Steps follow the numbers towards zero, where logarithms bend.
        """
        h = STEP * np.clip(np.abs(axis.values), STEP * axis.span, axis.span)
        near, far = (self._shifted(axis, k * h) - self._shifted(axis, -k * h) for k in (1, 2))
        return np.asarray((8.0 * near - far) / (12.0 * h[self.at[:, self.axes.index(axis)], None]))

    def _shifted(self, axis: Axis, steps: Array) -> Array:
        moved = replace(axis, values=axis.values + steps)
        return replace(self, axes=tuple(moved if a is axis else a for a in self.axes)).design()

    def cells(self, L: Array) -> Cells:
        """The cells, each with its linear function of the coefficients."""
        return Cells(self.names, tuple(a.labels for a in self.axes), self.at, L, self.count)


def reference_grid(fit: FittedModel, at: Mapping[str, Any] | None = None) -> ReferenceGrid:
    """Make the grid of a fit, as R's emmeans does.

    Parameters
    ----------
    fit : FittedModel
        With its data.
    at : mapping of str to value or sequence of values, optional
        Levels or numbers to use instead of all levels, or the mean.

    Returns
    -------
    ReferenceGrid
        Categories, booleans, numbers within ``factor()`` and their like, and numbers of which there are two
        at most stand at all levels that occur; other numbers at their mean over the rows of the fit.

    Raises
    ------
    DataError
        For an unknown column or level in `at`, a grid that no memory holds, or a fit without its table.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> reference_grid(fit, {"Days": [0, 9]}).design()
    array([[1., 0.],
           [1., 9.]])
    """
    rows = fit.source.with_rows().rows
    if fit.source.data is None:
        raise DataError(
            "the response of this fit was given to refit(), and its table is not at hand: fit a table that "
            "has this response with lmer() to get its marginal means"
        )
    table = open_table(fit.source.data)
    spec = fit.estimates.spec
    factors = [v for v in spec.fixed.variables if v.levels is not None and v.levels != LOGICAL_LEVELS]
    coded = [name for v in factors for name in columns_of(v.node, table.names)]
    names = dict.fromkeys(name for v in spec.fixed.variables for name in columns_of(v.node, table.names))
    given = {} if at is None else at
    if not isinstance(given, Mapping):
        raise DataError(
            f"at is {at!r}; it is a mapping of predictors to their values, such as {{'x': [0, 1]}}"
        )
    for name in given:
        if name not in names:
            raise DataError(f"at has {name!r}, which the fixed effects lack{closest(str(name), names)}")
    axes = tuple(
        _axis(name, table.column(name).take(rows), given.get(name), categorical=name in coded)
        for name in names
    )
    sizes = tuple(len(axis.labels) for axis in axes)
    n_cells = math.prod(sizes)
    if n_cells * len(spec.fixed.names) > LARGEST:
        shown = ", ".join(f"{axis.name} {size}" for axis, size in zip(axes, sizes, strict=True) if size > 1)
        raise DataError(
            f"the reference grid would have {n_cells:,} combinations of levels ({shown}): hold some of these "
            "columns at fewer levels with at={...}"
        )
    levels = np.zeros((n_cells, len(axes)), dtype=np.int64)
    for j, size in enumerate(sizes):
        levels[:, j] = np.arange(n_cells) // math.prod(sizes[:j]) % size
    return ReferenceGrid(axes, levels, _counts(axes, levels, rows.size), spec)


def columns_of(node: Node, names: Container[str]) -> list[str]:
    """Which of the columns an expression is made from."""
    return [leaf.name for leaf in walk(node) if isinstance(leaf, Name) and leaf.name in names]


def _axis(name: str, column: Column, given: Any, *, categorical: bool) -> Axis:
    wanted = None if given is None else _listed(name, given)
    if isinstance(column, FactorColumn):
        return _categories(name, column, wanted)
    numbers = column.values if column.missing is None else column.values[~column.missing]
    if numbers.ndim == 2:
        if wanted is not None:
            raise DataError(
                f"at has {name!r}, which holds several numbers for each row: they stay at their mean"
            )
        return Axis(name, ("mean",), numbers.mean(axis=0, keepdims=True), None)
    values = np.unique(numbers) if wanted is None else _finite(name, wanted)
    few = categorical or (wanted is None and values.size <= FEW)
    span = float(numbers.max() - numbers.min())
    if wanted is None and not few:
        values = np.array([numbers.mean()])
    codes = _positions(column, values) if few else None
    return Axis(name, tuple(values.tolist()), values, codes, span)


def _categories(name: str, column: FactorColumn, wanted: list[Any] | None) -> Axis:
    occurring = np.flatnonzero(np.bincount(column.codes[column.codes >= 0], minlength=len(column.levels)))
    levels = [column.levels[k] for k in occurring.tolist()]
    if wanted is not None:
        texts = [_truth(v) if column.logical else _text(v) for v in wanted]
        unseen = [text for text in texts if text not in levels]
        if unseen:
            raise DataError(
                f"at has the level {unseen[0]!r} of {name!r}, which no row of the fit has"
                f"{closest(unseen[0], levels)}"
            )
        levels = texts
    codes = column.recode(levels)
    if column.logical:
        truth = np.array([level == "TRUE" for level in levels])
        return Axis(name, tuple(truth.tolist()), truth, codes)
    return Axis(name, tuple(levels), np.array(levels, dtype=object), codes)


def _listed(name: str, given: Any) -> list[Any]:
    """Levels as a list without repetitions, from one or several."""
    if isinstance(given, np.ndarray):
        given = given.tolist()
    single = isinstance(given, str | bytes) or not isinstance(given, Iterable)
    listed = [given] if single else list(given)
    if any(np.ndim(value) > 0 or not isinstance(value, Hashable) for value in listed):
        raise DataError(f"at has lists within a list for {name!r}: give its values in one list")
    listed = list(dict.fromkeys(listed))
    if not listed:
        raise DataError(f"at has no level for {name!r}: give one or more")
    return listed


def _text(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _truth(value: Any) -> str:
    return str(bool(value) if value in (0, 1) else value).upper()


def _finite(name: str, wanted: list[Any]) -> Array:
    try:
        values = np.array(wanted, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        raise DataError(f"at has {wanted} for {name!r}, which holds numbers: give finite numbers")
    return values


def _positions(column: NumericColumn, values: NDArray[Any]) -> NDArray[np.int64]:
    """Where each row is among the values, -1 for nowhere."""
    order = np.argsort(values)
    place = np.minimum(np.searchsorted(values[order], column.values), len(values) - 1)
    codes = order[place]
    absent = values[codes] != column.values
    if column.missing is not None:
        absent |= column.missing
    return np.where(absent, -1, codes).astype(np.int64)


def _counts(axes: tuple[Axis, ...], at: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    """Rows of the fit in each cell; cells that differ in numbers alone share theirs."""
    key, cell = np.zeros(n_rows, dtype=np.int64), np.zeros(len(at), dtype=np.int64)
    known, size = np.ones(n_rows, dtype=bool), 1
    for j, axis in enumerate(axes):
        if axis.codes is not None:
            known &= axis.codes >= 0
            key += size * axis.codes
            cell += size * at[:, j]
            size *= len(axis.labels)
    return np.asarray(np.bincount(key[known], minlength=size)[cell], dtype=np.int64)
