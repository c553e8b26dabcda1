"""`lmer` on files that need not fit in memory: the records are read in batches, summed and forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from henderson.engine.blocked.streamed import StreamedEngine
from henderson.engine.blocked.streamed_sums import FixedPart, Preliminary, RandomPart, RecordSums
from henderson.errors import DataError, ModelNotSupportedError
from henderson.fit.call import Call
from henderson.fit.estimates import Estimates, gather
from henderson.fit.fitted_model import FittedModel
from henderson.fit.notices import optimum_notices
from henderson.fit.optimize import Control
from henderson.fit.rank import check_rank, check_residual, rank_notice
from henderson.fit.solve import Fitted, solve
from henderson.fit.source import Source
from henderson.fit.structures import covariance_of
from henderson.formula.streamed import StreamedDesign, StreamedFrame
from henderson.formula.streamed_learn import stream_frame
from henderson.io.batches import open_rows
from henderson.linalg.pivoting import triangular_factor
from henderson.model import RandomTerm

Array = NDArray[np.float64]
T = TypeVar("T")
#: Readings of the files: each brings the basis eight digits nearer, and one is the rule.
MOST_READINGS = 4


def fit_streamed(
    formula: str,
    source: Any,
    *,
    REML: bool = True,
    start: Array | None = None,
    control: Control | None = None,
    weights: str | None = None,
    offset: str | None = None,
    subset: str | None = None,
    na_action: Literal["omit", "exclude", "fail"] = "omit",
    contrasts: Mapping[str, Any] | None = None,
    relationship: Mapping[str, Any] | None = None,
    residual: str | None = None,
) -> FittedModel:
    """Fit a linear mixed model to Parquet files, in memory that does not depend on the number of rows.

    The estimates are those of `lmer` on the same rows in memory. What is kept grows with the number of levels
    of the grouping factors, or for several factors with the number of combinations of levels that occur.

    Parameters
    ----------
    formula : str
    source : str, Path or pyarrow.dataset.Dataset
        A Parquet file, a folder of them, or a dataset of them.
    REML, start, control, na_action, contrasts
        As in `lmer`; ``na_action="exclude"`` has nothing to pad.
    weights, offset, subset : str, optional
        A column, or an expression of columns.
    relationship, residual
        Refused: they need the rows at once.

    Returns
    -------
    FittedModel
        Without values by row: fitted values come from ``predict(chunk)``.

    Raises
    ------
    FormulaError
        If the formula cannot be read.
    DataError
        If the files do not fit the formula; the message names file, row, column or level.
    ModelNotSupportedError
        For levels with a relationship, or residuals with a structure.

    Examples
    --------
    >>> import tempfile, henderson as hd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     hd.example_data("sleepstudy").to_parquet(folder + "/sleep.parquet")
    ...     fit = fit_streamed("Reaction ~ Days + (Days | Subject)", folder)
    >>> fit.fixef.round(3).to_dict()
    {'(Intercept)': 251.405, 'Days': 10.467}
    """
    for name, given in {"relationship": relationship, "residual": residual}.items():
        if given:
            raise ModelNotSupportedError(
                f"{name}= needs all rows at once, and streamed data are read in batches: give a table that "
                "fits in memory"
            )
    columns: dict[str, Any] = {"weights": weights, "offset": offset, "subset": subset, "na_action": na_action}
    frame = stream_frame(formula, open_rows(source), contrasts=contrasts, **columns)
    reading = _read(frame)
    design = reading.design
    n, response = reading.sums.n, design.spec.response
    check_rank(n, reading.fixed.kept.size)
    if reading.fixed.is_exact:
        raise DataError(
            f"the fixed effects alone fit the response '{response}' exactly in all {n} rows, so that no "
            "variance is left to share out: is it constant, or computed from a predictor?"
        )
    terms = tuple(
        RandomTerm(r.group, r.codes, len(r.levels), r.z, covariance_of(r.structure, r.z.shape[1]))
        for r in design.random
    )
    engine = StreamedEngine(terms, reading.sums, reading.fixed, reading.random)
    fitted = solve(engine, reml=REML, start=start, control=control)
    rss = float(reading.fixed.gram[-1, -1])
    check_residual(response, [r.group for r in design.random], fitted.criterion.pwrss, rss)
    estimates = _gather(reading, fitted)
    engine.forget()
    arguments = {"REML": None if REML else False, "start": start, "control": control, "contrasts": contrasts}
    arguments |= columns
    call = Call(formula, {name: value for name, value in arguments.items() if value is not None})
    return FittedModel(estimates, call, Source(fitted, None, source))


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """What the files hold for the model."""

    sums: RecordSums
    design: StreamedDesign
    fixed: FixedPart
    random: RandomPart


def _read(frame: StreamedFrame) -> _Reading:
    """Read the files until all levels are known and the sums have their digits: nearly always once."""
    from threadpoolctl import threadpool_limits

    basis: Preliminary | None = None
    # Products of tall and narrow arrays: threads wait for each other, and would add in another order.
    with threadpool_limits(1, "blas"):
        for _ in range(MOST_READINGS):
            columns = frame.columns
            sums = RecordSums(basis or sampled_basis(frame), columns.width, columns.random)
            book, tally = frame.cell_book(), frame.tally()
            for records in _ahead(frame.records(tally)):
                sums.add(book.cells(records.atoms), records.columns, records.y, records.weights)
            fewer = frame.without_unused(tally)
            if fewer is not None:
                frame, basis = fewer, None
                continue
            design = frame.design(book, tally)
            reading = _Reading(sums, design, sums.fixed(), RandomPart.of(sums, design.places))
            if reading.fixed.straight and reading.random.straight:
                break
            basis = Preliminary.learn(reading.fixed.factor, sums.z_factor())
    return reading


def sampled_basis(frame: StreamedFrame) -> Preliminary:
    """The basis of a sample of the rows, a block of rows at a time."""
    columns = frame.columns
    p = len(columns.fixed.names)
    Xy, Z = np.zeros((1, p + 1)), np.zeros((1, columns.random.size))
    for records in frame.sample():
        rows = np.column_stack([records.columns[:, :p], records.y])
        if records.weights is not None:
            rows *= np.sqrt(records.weights)[:, None]
        Xy = triangular_factor(np.vstack([Xy, rows]))
        Z = triangular_factor(np.vstack([Z, records.columns[:, columns.random]]))
    return Preliminary.learn(Xy, Z)


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """The same, with the next one made in another thread while one is used."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, items, end)
            yield item  # type: ignore[misc]


def _gather(reading: _Reading, fitted: Fitted) -> Estimates:
    """The estimates at the optimum, without values by row."""
    design, kept = reading.design, reading.fixed.kept
    solution = fitted.engine.solution(fitted.theta, reml=fitted.reml)
    F = reading.sums.z_factor() / np.sqrt(reading.sums.u)
    places = [np.searchsorted(reading.sums.random, own) for own in design.places]
    notices = (
        *design.notices,
        *rank_notice(design.x_names, reading.fixed.factor[:, :-1], kept),
        *optimum_notices(fitted, [r.text for r in design.spec.random]),
    )
    return gather(
        design, kept, fitted, solution, squares=[F[:, k].T @ F[:, k] for k in places], notices=notices
    )
