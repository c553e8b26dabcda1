"""`LmerResult`: what a fitted linear mixed model answers."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import HendersonError
from henderson.fit import components
from henderson.fit.fitted_model import FittedModel
from henderson.fit.refit import Refits, refit_all
from henderson.fit.summary import format_summary
from henderson.inference.denominator import Ddf
from henderson.lmm import tables
from henderson.lmm.diagnosing import Diagnosing
from henderson.lmm.genetics import Genetics
from henderson.lmm.intervals import Intervals
from henderson.lmm.predicting import Predicting
from henderson.lmm.testing import Testing

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
logger = logging.getLogger("henderson")


class LmerResult(Testing, Intervals, Predicting, Diagnosing, Genetics):
    """A fitted linear mixed model. Made by `lmer`; the names are lme4's.

    ``print(fit)`` shows the summary. Numbers come as pandas objects with names. A file (`save`) and a pickle
    keep the estimates and fitted values and leave out the data and the engine.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> fit
    <LmerResult 'Reaction ~ Days + (Days | Subject)' by REML: 180 rows; Subject 18>
    >>> fit.fixef.round(3).to_dict()
    {'(Intercept)': 251.405, 'Days': 10.467}
    >>> fit.varcorr["Subject"].sd.round(3), round(fit.sigma, 3)
    (array([24.74 ,  5.922]), 25.592)
    >>> fit.ranef()["Subject"].loc["308"].round(2).to_dict()
    {'(Intercept)': 2.26, 'Days': 9.2}
    >>> fit.tidy()["term"].tolist()[2:]
    ['sd__(Intercept)', 'sd__Days', 'cor__(Intercept).Days', 'sd__Observation']
    """

    def __str__(self) -> str:
        return self.summary()

    # -- questions -------------------------------------------------------------------------------------

    def summary(self, *, ddf: Ddf | None = "satterthwaite", width: int = 80) -> str:
        """The summary as text, laid out like lmerTest's.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "asymptotic"} or None
            Denominator degrees of freedom of the t-tests; None shows t-values alone, as lme4.
        width : int
            Columns of the page; wider tables continue below.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
        >>> for line in fit.summary().splitlines()[17:20]:
        ...     print(line.rstrip())
                    Estimate Std. Error      df t value Pr(>|t|)
        (Intercept)  251.405      6.825  17.000  36.838  < 2e-16 ***
        Days          10.467      1.546  17.000   6.771 3.26e-06 ***
        """
        return format_summary(tables.summary_view(self, ddf), width=width)

    def tidy(self, *, ddf: Ddf | None = "satterthwaite") -> pd.DataFrame:
        """One row per parameter, as broom.mixed's `tidy`.

        Columns effect ("fixed" or "ran_pars"), group, term, estimate, std_error, statistic, df, p_value.
        Standard deviations and correlations of the random effects stand in the rows "ran_pars". `ddf` is as
        in `summary`.
        """
        return tables.tidy(self, ddf)

    def glance(self) -> pd.DataFrame:
        """One row about the fit as a whole."""
        return tables.glance(self)

    def augment(self) -> pd.DataFrame:
        """The rows used, with columns .fitted, .fixed, .resid and .scaled_resid beside the data."""
        self._e.by_row("the rows")
        data = self.source.data
        if data is None:
            raise HendersonError("the response of this fit was given to refit(), and is in no table")
        return tables.augment(self._e, data)

    # -- the model and its data ------------------------------------------------------------------------

    def get_me(self, name: str) -> Any:
        """One part of the model by the name that lme4's ``getME`` has for it.

        ========== ==============================================================================
        X, y       fixed-effects design (n, p) and response (n,) of the rows used
        Z, Zt      random-effects design (n, q), sparse: term by term, a level's effects together
        Lambda     relative factor (q, q), sparse: b ~ N(0, sigma^2 Lambda Lambda'); and Lambdat
        theta      relative covariance parameters
        beta, b, u fixed effects; random effects b = Lambda u, in the order of Z's columns
        mu         fitted values of the rows used
        flist      grouping factors of the rows used, as a data frame
        cnms       names of the effects, by term
        Gp         where each term's effects begin in b, and where the last ones end
        devcomp    pieces of the criterion
        n, p, q    numbers of rows, fixed effects and random effects
        ========== ==============================================================================

        Raises
        ------
        DataError
            For another name.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
        >>> fit.get_me("Z").shape, fit.get_me("cnms")
        ((180, 36), {'Subject': ('(Intercept)', 'Days')})
        """
        return components.component(name, self._e, lambda: self.source)

    def model_matrix(self) -> pd.DataFrame:
        """The fixed-effects design X of the rows used, indexed by their positions in the table."""
        return components.design_matrix(self._e, self.source)

    # -- the model again -------------------------------------------------------------------------------

    def update(self, formula: str | None = None, data: Any = None, **changes: Any) -> LmerResult:
        """Fit the model again with changes, as R's `update`.

        Parameters
        ----------
        formula : str, optional
            A dot stands for what this fit has on the same side: ``". ~ . + x"``, ``". ~ . - (1 | g)"``,
            ``"log(.) ~ ."``.
        data : table, optional
            By default that of this fit.
        **changes
            Other arguments of `lmer`; None removes one.

        Returns
        -------
        LmerResult

        Raises
        ------
        HendersonError
            If this result was read back from a pickle or file, and `data` is not given.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
        >>> fit.update(". ~ . - (Days | Subject) + (1 | Subject)", REML=False)
        <LmerResult 'Reaction ~ Days + (1 | Subject)' by ML: 180 rows; Subject 18>
        """
        from henderson.fit.update import fit_again

        return spoken(fit_again(self, formula, data, changes))

    def refit(self, y: ArrayLike) -> LmerResult:
        """Fit the same model to another response.

        Parameters
        ----------
        y : array_like, shape (n,)
            One number for each row used, or for each row of the table; before any offset is subtracted, and
            on the scale that was fitted (the logarithm, for ``log(y) ~ ...``).

        Returns
        -------
        LmerResult

        Raises
        ------
        DataError
            For another number of values, or missing ones.
        """
        from henderson.fit.update import fit_response

        return result_of(fit_response(self, y))

    def refits(self, Y: ArrayLike) -> Refits:
        """Fit the same model to many responses, and keep the main numbers of each.

        Parameters
        ----------
        Y : array_like, shape (n, k)
            One response in each column, as in `refit`.

        Returns
        -------
        Refits

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
        >>> rng = np.random.default_rng(1)
        >>> fit.refits(fit.fitted[:, None] + rng.normal(0.0, fit.sigma, (180, 3)))
        <Refits of 3 responses: 3 converged; 0 singular>
        """
        return refit_all(
            self.source,
            self.source.responses(Y),
            x_names=self._e.x_names,
            theta_names=self.theta_names,
            control=self.control,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit to a file that `henderson.load` reads; the file appears when it is complete.

        Estimates, fitted values and the recipe for new data are kept; the data, the engine and relationship
        matrices are not.

        Raises
        ------
        DataError
            If the file cannot be written.
        """
        from henderson.fit.saved import save

        save(path, self)


def result_of(fit: FittedModel) -> LmerResult:
    """The result that answers questions about a fit."""
    result = LmerResult(fit._e, fit._call, fit._source)
    if not fit.has_source:
        result.satterthwaite = fit.satterthwaite
    return result


def spoken(fit: FittedModel) -> LmerResult:
    """The same, once the notices of the fit have been given as warnings."""
    for notice in fit.notices:
        logger.warning(notice)
    return result_of(fit)
