"""What a fit was made from, which a file or pickle of it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import DataError
from henderson.fit.solve import Fitted
from henderson.formula import Design
from henderson.io.columns import as_numbers
from henderson.io.frame import column_of, open_table

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The engine and the data of a fit.

    Attributes
    ----------
    fitted : Fitted
        The engine at its optimum.
    design : Design or None
        The arrays of the rows used; None where the data were streamed.
    data : table or None
        The caller's table; None where the response was not taken from one (`LmerResult.refit`).
    """

    fitted: Fitted
    design: Design | None
    data: Any

    @classmethod
    def of(cls, fitted: Fitted, design: Design | None, data: Any) -> Source:
        """Note the table as it is now: later changes in place do not reach it, and nothing is copied."""
        return cls(fitted, design, _snapshot(data))

    def with_rows(self) -> Design:
        """The arrays of the rows used.

        Raises
        ------
        DataError
            If the data were streamed.
        """
        if self.design is None:
            raise DataError(
                "the rows were not kept because the data were streamed: fit a table that fits in memory to "
                "ask questions that need them"
            )
        return self.design

    def responses(self, values: ArrayLike) -> Array:
        """Numbers for the rows used, one column or several, from as many rows or from all of the table.

        Parameters
        ----------
        values : array_like, shape (n,) or (n, k)
            A pandas Series is matched with the table by its index.

        Returns
        -------
        ndarray, in the shape of `values` with the rows used

        Raises
        ------
        DataError
            For another number of rows, or values that are missing or infinite.
        """
        design = self.with_rows()
        n_rows = design.y.size
        if self.data is not None:
            table = open_table(self.data)
            n_rows = table.n_rows
            values = table.aligned(values, "the response")
        if np.ndim(values) == 2:
            Y = np.asarray(values)
            if Y.dtype.kind not in "biuf":
                raise DataError(f"the responses must be numbers; they are {Y.dtype}")
            Y = Y.astype(np.float64)
        else:
            Y = as_numbers(column_of(values, "response"), "response")
        if Y.shape[0] == n_rows and n_rows != design.y.size:
            Y = Y[design.rows]
        elif Y.shape[0] != design.y.size:
            raise DataError(
                f"the response has {Y.shape[0]} values; give one for each of the {design.y.size} rows used"
                + (f", or of the {n_rows} rows of the table" if n_rows != design.y.size else "")
            )
        bad = ~np.isfinite(Y)
        if bad.any():
            row = int(np.argmax(bad.reshape(len(Y), -1).any(axis=1)))
            raise DataError(
                f"the response is missing or infinite in row {design.rows[row]} of the table (counted from "
                "0), and a refit uses the same rows as the fit; fit it with lmer to leave rows out"
            )
        return Y


def _snapshot(data: Any) -> Any:
    if isinstance(data, Mapping):
        return dict(data)
    return data.copy(deep=False) if type(data).__module__.startswith("pandas") else data
