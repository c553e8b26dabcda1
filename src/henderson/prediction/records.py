"""Rows to be predicted: those of a new table, or those of the fit."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.fit.call import Call
from henderson.fit.estimates import Estimates
from henderson.formula.evaluate import Evaluator
from henderson.formula.grouping_factors import Group
from henderson.formula.groups import Grouping
from henderson.formula.residual import parse_residual
from henderson.formula.spec import RandomSpec
from henderson.formula.syntax import parse
from henderson.io.columns import as_factor, as_numbers
from henderson.io.frame import Table, open_table
from henderson.model import MixedModel

Array = NDArray[np.float64]
Index = NDArray[np.int64]
NewLevels = Literal["error", "population", "missing"]
SHOWN = 3
"""Levels that an error names."""

logger = logging.getLogger("henderson")


def check_new_levels(new_levels: NewLevels) -> None:
    """Refuse anything but the three words."""
    if new_levels not in get_args(NewLevels):
        raise DataError(
            f"new_levels is {new_levels!r}; it can be {', '.join(map(repr, get_args(NewLevels)))}"
        )


class Records(Protocol):
    """What a prediction needs to know of its rows; NaN where a value is missing or infinite."""

    @property
    def n(self) -> int:
        """Number of rows."""
        ...

    def fixed(self) -> Array:
        """Columns of the fixed effects that were estimated, (n, p)."""
        ...

    def offset(self) -> Array:
        """The known part of the mean, (n,)."""
        ...

    def effects(self, k: int) -> Array:
        """Numbers that multiply the effects of random term k, (n, q)."""
        ...

    def levels(self, k: int) -> Index:
        """Level of random term k, -1 where nobody has seen it: (n,), or (n, q) for each effect its own."""
        ...

    def relative_variance(self) -> Array:
        """Residual variance over sigma^2, (n,): R_ii over the prior weight."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class UsedRecords:
    """The rows of the fit, from its estimates and its model."""

    estimates: Estimates
    model: MixedModel

    @property
    def n(self) -> int:
        """Number of rows used."""
        return self.model.n

    def fixed(self) -> Array:
        """X."""
        return self.model.X

    def offset(self) -> Array:
        """The offset, or zeros."""
        offset = self.estimates.by_row("the rows").offset
        return np.zeros(self.n) if offset is None else offset

    def effects(self, k: int) -> Array:
        """The numbers of term k."""
        return self.model.terms[k].z

    def levels(self, k: int) -> Index:
        """Codes of term k."""
        return self.model.terms[k].codes

    def relative_variance(self) -> Array:
        """R_ii / w_i."""
        rows = self.estimates.by_row("the rows")
        variance = np.ones(self.n) if rows.relative_sd is None else rows.relative_sd**2
        return variance if rows.weights is None else variance / rows.weights


@dataclass(frozen=True, eq=False)
class NewRecords:
    """The rows of a table, by the recipe of the fit; `new_levels` as in `LmerResult.predict`."""

    estimates: Estimates
    table: Table
    new_levels: NewLevels
    call: Call | None = None
    _codes: dict[Group, Index] = field(default_factory=dict)

    @classmethod
    def of(
        cls, estimates: Estimates, newdata: Any, new_levels: NewLevels, call: Call | None = None
    ) -> NewRecords:
        """Open a table.

        Raises
        ------
        DataError
            If it is none, or `new_levels` is not one of the three words.
        """
        check_new_levels(new_levels)
        return cls(estimates, open_table(newdata), new_levels, call)

    @property
    def n(self) -> int:
        """Number of rows of the table."""
        return self.table.n_rows

    def fixed(self) -> Array:
        """X, without the columns that rank deficiency dropped."""
        X = self.estimates.spec.fixed_matrix(self.table)[0]
        kept = self.estimates.kept
        return finite(X[:, kept] if kept.size < X.shape[1] else X)

    def offset(self) -> Array:
        """The offset from its columns."""
        return finite(self.estimates.spec.offset(self.table))

    def effects(self, k: int) -> Array:
        """The numbers of term k."""
        return finite(self.estimates.spec.random_matrix(self.table, k))

    def levels(self, k: int) -> Index:
        """Codes of term k.

        Raises
        ------
        DataError
            For levels that are new or missing, if `new_levels` is "error".
        """
        spec = self.estimates.spec.random[k]
        group = spec.grouping.group
        if group not in self._codes:
            codes = self.estimates.spec.group_codes(self.table, k)
            unseen = codes < 0
            if self.new_levels == "error" and unseen.any():
                raise self._unseen(spec, unseen.reshape(self.n, -1))
            self._codes[group] = codes
        return self._codes[group]

    def relative_variance(self) -> Array:
        """R_ii / w_i; weights that were given as an array say nothing of new rows, which get 1.

        Raises
        ------
        DataError
            If weights are negative or infinite, or a position of the residual structure was never seen.
        """
        variance = self._structure()
        given = None if self.call is None else self.call.arguments.get("weights")
        if isinstance(given, str):
            weights = as_numbers(self._evaluator.column(parse(given)), "weights column")
            wrong = (weights < 0.0) | np.isinf(weights)
            if wrong.any():
                row = int(np.argmax(wrong))
                raise DataError(
                    f"the weight {given!r} of row {row} (counted from 0) is {weights[row]:g}: weights must "
                    "be finite and not negative"
                )
            with np.errstate(divide="ignore"):
                return variance / weights
        rows = self.estimates.rows
        if given is not None or (rows is not None and rows.weights is not None):
            logger.warning(
                "the weights of the fit were given as an array, which says nothing about new rows: their "
                "residual variance is that of weight 1; fit with the name of a column instead"
            )
        return variance

    def _structure(self) -> Array:
        residual = self.estimates.residual
        if residual is None:
            return np.ones(self.n)
        position = parse_residual(residual.text).position
        columns = [as_factor(self._evaluator.column(atom)) for atom in position.atoms]
        complete = np.logical_and.reduce([column.codes >= 0 for column in columns])
        rows = np.flatnonzero(complete)
        grouping, codes = Grouping.learn(position, [column.take(rows).drop_unused() for column in columns])
        places = {name: i for i, name in enumerate(residual.names)}
        for level in grouping.levels:
            if level not in places:
                raise DataError(
                    f"residual={residual.text!r}: {position.label} is {level!r} in the new data, and the "
                    f"model has a residual variance for {', '.join(map(repr, residual.names))} only"
                )
        own = np.diag(residual.R0)[[places[level] for level in grouping.levels]]
        out = np.full(self.n, np.nan)
        out[rows] = own[codes]
        return out

    @cached_property
    def _evaluator(self) -> Evaluator:
        state: Mapping[str, Any] = self.estimates.spec.state
        return Evaluator(self.table, {name: dict(calls) for name, calls in state.items()})

    def _unseen(self, spec: RandomSpec, unseen: NDArray[np.bool_]) -> DataError:
        """Say which levels are new; `unseen` marks them, and rows that miss the grouping factor.

        It has a column, or one for each part of a factor whose columns have levels of their own.
        """
        group, n_rows = spec.grouping.group, self.n
        columns = [as_factor(self._evaluator.column(atom)) for atom in group.atoms]
        missing = np.logical_or.reduce([column.codes < 0 for column in columns])
        allow = "new_levels='population' predicts them without its effects, 'missing' gives NaN"
        if missing.any():
            return DataError(
                f"the grouping factor {group.label!r} is missing in {int(missing.sum())} of {n_rows} rows, "
                f"the first of them row {int(np.argmax(missing))} (counted from 0): {allow}"
            )
        rows = np.flatnonzero(unseen.any(axis=1))
        if group.pooled:
            labels = [c.labels()[new].tolist() for c, new in zip(columns, unseen.T, strict=True)]
            levels = list(dict.fromkeys(label for of_column in labels for label in of_column))
        else:
            parts = [column.labels()[rows].tolist() for column in columns]
            levels = list(dict.fromkeys(":".join(level) for level in zip(*parts, strict=True)))
        shown = ", ".join(map(repr, levels[:SHOWN])) + (", ..." if len(levels) > SHOWN else "")
        s = "" if len(levels) == 1 else "s"
        return DataError(
            f"the grouping factor {group.label!r} has {len(levels)} level{s} that the model has not seen "
            f"({shown}), in {rows.size} of {n_rows} rows: {allow}"
        )


def finite(values: Array) -> Array:
    """NaN in the place of infinite values."""
    return values if np.isfinite(values).all() else np.where(np.isfinite(values), values, np.nan)
