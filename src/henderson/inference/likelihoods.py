"""Maximised likelihoods of fits, and when they may be compared."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from henderson.engine import Engine
from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.optimize import Control, Optimum
from henderson.fit.solve import solve
from henderson.linalg.tails import neg_log10_chi2

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("henderson")
#: A smaller model whose -2 log-likelihood is lower by more than this shows that a search missed its optimum.
MISSED = 1e-3


@dataclass(frozen=True, slots=True)
class Maximum:
    """A maximised (restricted) likelihood.

    Attributes
    ----------
    npar : int
        Number of parameters: fixed effects, theta and sigma.
    loglik : float
    """

    npar: int
    loglik: float

    @classmethod
    def of(cls, fit: FittedModel) -> Maximum:
        """What the fit itself maximised."""
        return cls(fit.df, fit.loglik)

    @property
    def deviance(self) -> float:
        """-2 log-likelihood."""
        return -2.0 * self.loglik

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return self.deviance + 2.0 * self.npar


def by_likelihood(engine: Engine, name: str, control: Control | None) -> Maximum:
    """The maximum likelihood of a model; `name` is what a search that fails is told by."""
    fitted = solve(engine, reml=False, control=control)
    tell_unfinished(fitted.optimum, name)
    shape = engine.shape
    return Maximum(shape.p + shape.n_theta + 1, -0.5 * fitted.criterion.profiled(reml=False))


def tell_unfinished(optimum: Optimum, name: str) -> None:
    """Warn of a search that ended at its limit of iterations."""
    if optimum.status == "iteration limit":
        log.warning(
            "the search for the best fit of %s stopped at its limit after %d evaluations, so that its "
            "likelihood may be too low: fit with a larger Control(max_iterations=...)",
            name,
            optimum.evaluations,
        )


def check_same_rows(first: FittedModel, second: FittedModel, names: tuple[str, str]) -> None:
    """Refuse two fits that do not explain the same numbers.

    Streamed fits, of which no rows were kept, are judged by the number of rows.

    Raises
    ------
    DataError
        With how many rows differ.
    """
    a, b = first.estimates, second.estimates
    if a.spec.response != b.spec.response:
        raise DataError(
            f"{names[0]} explains {a.spec.response} and {names[1]} {b.spec.response}: likelihoods of "
            "different responses cannot be compared"
        )
    differ = abs(a.nobs - b.nobs)
    if a.rows is not None and b.rows is not None:
        differ = max(differ, np.setxor1d(a.rows.position, b.rows.position).size)
        if not differ:
            differ = int((a.rows.y != b.rows.y).sum())
            if differ:
                raise DataError(
                    f"{names[0]} and {names[1]} were fitted to different values of {a.spec.response}: "
                    f"{differ} of {a.nobs} rows differ; fit both to the same table"
                )
    if differ:
        s = "" if differ == 1 else "s"
        raise DataError(
            f"{names[0]} was fitted to {a.nobs} rows and {names[1]} to {b.nobs}, {differ} row{s} being used "
            "by only one of them, and likelihoods are comparable on the same rows alone: before fitting, "
            "leave out the rows in which a variable of any of the models is missing"
        )


def deletion_table(full: Maximum, reduced: Mapping[str, Maximum]) -> pd.DataFrame:
    """Likelihood-ratio tests of models that each lack a term of the full one."""
    import pandas as pd

    for name, less in reduced.items():
        if less.loglik > full.loglik + 0.5 * MISSED:
            log.warning(
                "the model reduced by %s has a higher likelihood than the full one, by %.3g, so that the "
                "search of the full model missed its optimum: fit it again with another start=",
                name,
                less.loglik - full.loglik,
            )
    models = [full, *reduced.values()]
    lrt = np.array([np.nan, *(max(0.0, m.deviance - full.deviance) for m in reduced.values())])
    df = np.array([np.nan, *(full.npar - m.npar for m in reduced.values())])
    neg_log_10 = neg_log10_chi2(lrt, df)
    return pd.DataFrame(
        {
            "npar": [m.npar for m in models],
            "loglik": [m.loglik for m in models],
            "aic": [m.aic for m in models],
            "lrt": lrt,
            "df": pd.array([pd.NA, *(full.npar - m.npar for m in reduced.values())], dtype="Int64"),
            "p_value": 10.0**-neg_log_10,
            "neg_log_10_p_value": neg_log_10,
        },
        index=pd.Index(["<none>", *reduced], dtype=object),
    )
