"""Leaving out one group of rows after another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit
from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.notices import SINGULAR
from henderson.fit.varcorr import TermCovariance, VarCorr
from henderson.inference.held_theta import HeldTheta
from henderson.inference.left_out import Left, refit_without
from henderson.inference.parameters import variance_parameters
from henderson.io.columns import as_factor
from henderson.io.frame import closest, open_table

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Rows = NDArray[np.intp]
Covariances = Literal["refitted", "held"]
#: Levels that a warning names.
SHOWN = 3

logger = logging.getLogger("henderson")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Influence:
    """What a fit becomes without each of l groups of its rows.

    Attributes
    ----------
    group : str
        What the rows are grouped by.
    levels : tuple of str, length l
        The level that is left out.
    n_rows : ndarray of int, (l,)
        Its rows.
    names : tuple of str, length p
        Fixed effects.
    beta, cov_beta : ndarray, (p,) and (p, p)
        Estimates from all rows, and their covariance.
    beta_without, cov_beta_without : ndarray, (l, p) and (l, p, p)
        The same without the level.
    component_names : tuple of str, length k
        Standard deviations and correlations by lme4's names: ``sd_(Intercept)|Subject``, ``sigma``.
    components, components_without : ndarray, (k,) and (l, k)
        What they are from all rows, and without the level; standard deviations in units of the response per
        unit of the predictor.
    singular : ndarray of bool, (l,)
        Whether the fit without the level is singular.
    status : ndarray of str, (l,)
        How the search for the covariances ended: "converged", "at rounding level" or "iteration limit";
        "held" where there was none; "not estimable" where the other rows do not suffice: its numbers are NaN.
    """

    group: str
    levels: tuple[str, ...]
    n_rows: NDArray[np.int64]
    names: tuple[str, ...]
    beta: Array
    cov_beta: Array
    beta_without: Array
    cov_beta_without: Array
    component_names: tuple[str, ...]
    components: Array
    components_without: Array
    singular: NDArray[np.bool_]
    status: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.levels)

    def __repr__(self) -> str:
        words, counts = np.unique(self.status, return_counts=True)
        ended = ", ".join(f"{count} {word}" for word, count in zip(words, counts, strict=True))
        return f"<Influence of {len(self)} levels of {self.group!r}: {ended}>"

    @property
    def dfbeta(self) -> Array:
        """Change of the fixed effects: without the level less with it, as lme4 has it; (l, p)."""
        return self.beta_without - self.beta

    @property
    def dfbetas(self) -> Array:
        """`dfbeta` in standard errors of the fit without the level, as lme4 has it; (l, p)."""
        return np.asarray(self.dfbeta / np.sqrt(np.einsum("lpp->lp", self.cov_beta_without)))

    @property
    def cooks_distance(self) -> Array:
        """Change of all fixed effects together: d' V^-1 d / p with V from all rows, (l,).

        Demidenko & Stukel (2005), Stat. Med. 24:893. lme4's `cooks.distance` of an influence multiplies
        this by (l - p) / l, with l the number of levels. NaN in a model without fixed effects.
        """
        if not self.names:
            return np.full(len(self), np.nan)
        d = self.dfbeta
        return np.asarray(np.einsum("lp,pl->l", d, np.linalg.solve(self.cov_beta, d.T)) / len(self.names))

    @property
    def covariance_ratio(self) -> Array:
        """Determinant of the covariance of the fixed effects without the level over that with it, (l,)."""
        with np.errstate(invalid="ignore"):  # of a level that could not be left out
            return np.asarray(np.linalg.det(np.linalg.solve(self.cov_beta, self.cov_beta_without)))

    @property
    def component_change(self) -> Array:
        """Change of the variance components: without the level over with it, less 1, (l, k).

        Correlations change by their difference. NaN where a standard deviation of zero would divide.
        """
        is_sd = np.array([name.startswith("sd_") or name == "sigma" for name in self.component_names])
        scale = np.where(is_sd, self.components, 1.0)
        return np.asarray((self.components_without - self.components) / np.where(scale == 0.0, np.nan, scale))

    def to_frame(self) -> pd.DataFrame:
        """One row per level, by its name.

        Columns n_rows, cooks_distance, covariance_ratio, ``dfbetas(...)`` of each fixed effect, the variance
        components without the level, singular and status.
        """
        import pandas as pd

        columns: dict[str, NDArray[np.generic]] = {
            "n_rows": self.n_rows,
            "cooks_distance": self.cooks_distance,
            "covariance_ratio": self.covariance_ratio,
        }
        columns |= {
            f"dfbetas({name})": values for name, values in zip(self.names, self.dfbetas.T, strict=True)
        }
        columns |= dict(zip(self.component_names, self.components_without.T, strict=True))
        columns |= {"singular": self.singular, "status": self.status}
        return pd.DataFrame(columns, index=pd.Index(self.levels, name=self.group))


def influence(fit: FittedModel, group: str, *, covariances: Covariances = "refitted") -> Influence:
    """Leave out one group of rows after another, and see what becomes of the fit.

    Parameters
    ----------
    fit : FittedModel
        With its source.
    group : str
        A grouping factor of the model, or a column of the table.
    covariances : {"refitted", "held"}
        Fit the model again to the rows that are left, as lme4's `influence` does; or hold theta as it is and
        estimate fixed effects and sigma alone, which is quick algebra (the update of Henderson's equations
        for a block of rows; Zewotir & Galpin 2005, J. Data Sci. 3:153, for one row) and right where no group
        matters for the covariances.

    Returns
    -------
    Influence

    Raises
    ------
    DataError
        If there is no such factor or column, if it has one level only, or if no level can be left out.
    HendersonError
        If the data are not at hand, or were streamed.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> found = influence(fit, "Subject")
    >>> found.levels[found.cooks_distance.argmax()], round(float(found.cooks_distance.max()), 3)
    ('309', 0.149)
    >>> found.component_names
    ('sd_(Intercept)|Subject', 'cor_Days.(Intercept)|Subject', 'sd_Days|Subject', 'sigma')
    """
    if covariances not in get_args(Covariances):
        raise DataError(f"covariances is {covariances!r}; it can be 'refitted' or 'held'")
    codes, levels = _grouped(fit, group)
    n_rows = np.bincount(codes[codes >= 0], minlength=len(levels))
    order = np.argsort(codes, kind="stable")[int((codes < 0).sum()) :]
    without = _solver(fit, covariances)
    p, l = len(fit.estimates.x_names), len(levels)
    components = _components(fit, fit.estimates.theta, fit.estimates.sigma2)
    beta, cov = np.full((l, p), np.nan), np.full((l, p, p), np.nan)
    varying = np.full((l, len(components)), np.nan)
    singular, status = np.zeros(l, dtype=bool), np.full(l, "not estimable", dtype="U18")
    for k, rows in enumerate(np.split(order, np.cumsum(n_rows)[:-1])):
        found = without(rows)
        if found is None:
            continue
        beta[k], cov[k], status[k] = found.beta, found.cov_beta, found.status
        varying[k] = list(_components(fit, found.theta, found.sigma2).values())
        singular[k] = any((np.diag(T) < SINGULAR).any() for T in _factors(fit, found.theta))
    fit.engine.forget()
    _tell(group, levels, status)
    return Influence(
        group=group,
        levels=levels,
        n_rows=n_rows,
        names=fit.estimates.x_names,
        beta=fit.estimates.beta,
        cov_beta=fit.estimates.cov_beta,
        beta_without=beta,
        cov_beta_without=cov,
        component_names=tuple(components),
        components=np.array(list(components.values())),
        components_without=varying,
        singular=singular,
        status=status,
    )


def _solver(fit: FittedModel, covariances: Covariances) -> Callable[[Rows], Left | None]:
    fitted, control = fit.source.fitted, fit.control
    if covariances == "held":
        return HeldTheta(fitted).without
    return lambda rows: refit_without(fitted, rows, control=control)


def _grouped(fit: FittedModel, group: str) -> tuple[Codes, tuple[str, ...]]:
    """Level of each row used, -1 where it is missing, and the names of the levels."""
    design = fit.source.with_rows()
    labels = [r.group for r in design.random]
    if group in labels:
        own = design.random[labels.index(group)]
        if own.codes.ndim == 2:
            raise DataError(
                f"a row belongs to several levels of {group!r}: leave rows out by one of these columns"
            )
        codes, levels = own.codes, tuple(own.levels)
    elif fit.source.data is None:
        raise DataError(
            f"{group!r} is no grouping factor of the model, and the response of this fit is in no table "
            f"whose columns could be asked{closest(str(group), labels)}"
        )
    else:
        table = open_table(fit.source.data)
        if group not in table:
            raise DataError(
                f"{group!r} is neither a grouping factor of the model nor a column of the table"
                f"{closest(str(group), dict.fromkeys([*labels, *table.names]))}"
            )
        column = as_factor(table.column(group)).take(design.rows).drop_unused()
        codes, levels = column.codes, tuple(column.levels)
        missing = int((codes < 0).sum())
        if missing:
            logger.warning(
                f"{group!r} is missing in {missing} of the {codes.size} rows used: they are never left out"
            )
    if np.unique(codes[codes >= 0]).size < 2:
        raise DataError(f"{group!r} has fewer than two levels in the rows used, so that none can be left out")
    # a relationship has levels without a record, of which there is nothing to leave out
    found, places = np.unique(codes[codes >= 0], return_inverse=True)
    own_codes = np.full(codes.shape, -1)
    own_codes[codes >= 0] = places
    return own_codes, tuple(levels[i] for i in found)


def _factors(fit: FittedModel, theta: Array) -> list[Array]:
    shape = fit.engine.shape
    return [
        term.covariance.factor(theta[part])
        for term, part in zip(shape.terms, shape.theta_slices(), strict=True)
    ]


def _components(fit: FittedModel, theta: Array, sigma2: float) -> dict[str, float]:
    """Standard deviations and correlations at a theta."""
    estimates, shape = fit.estimates, fit.engine.shape
    terms = tuple(
        TermCovariance(t.group, t.group, t.names, sigma2 * T @ T.T, t.structure)
        for t, T in zip(estimates.terms, _factors(fit, theta), strict=True)
    )
    residual = None
    if estimates.residual is not None and isinstance(shape.residual, ByUnit):
        R0, own = shape.residual.matrix(theta[shape.residual_slice]), estimates.residual
        residual = TermCovariance("Residual", "Residual", own.names, sigma2 * R0, own.structure)
    return variance_parameters(VarCorr(terms, float(np.sqrt(sigma2)), residual))


def _tell(group: str, levels: tuple[str, ...], status: NDArray[np.str_]) -> None:
    lost = np.flatnonzero(status == "not estimable")
    if lost.size == len(levels):
        raise DataError(
            f"no level of {group!r} can be left out: the other rows never suffice to estimate the model"
        )
    stopped = np.flatnonzero(status == "iteration limit")
    for which, what in (
        (lost, "the model cannot be estimated, and their numbers are NaN"),
        (stopped, "the search for the covariances stopped at its limit of iterations"),
    ):
        if which.size:
            names = ", ".join(repr(levels[k]) for k in which[:SHOWN]) + (
                ", ..." if which.size > SHOWN else ""
            )
            logger.warning(f"without {which.size} of the {len(levels)} levels of {group!r} ({names}) {what}")
