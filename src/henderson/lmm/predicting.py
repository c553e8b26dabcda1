"""What a fit answers about rows, those it has seen and new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from henderson.fit import FittedModel
from henderson.prediction.choice import RandomChoice
from henderson.prediction.intervals import Interval
from henderson.prediction.records import NewLevels

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


class Predicting(FittedModel):
    """Predictions and simulated responses."""

    @overload
    def predict(
        self, newdata: Any = ..., *, random: RandomChoice = ..., new_levels: NewLevels = ...
    ) -> Array: ...

    @overload
    def predict(
        self,
        newdata: Any = ...,
        *,
        random: RandomChoice = ...,
        new_levels: NewLevels = ...,
        se: Literal[True],
        interval: Interval | None = ...,
        level: float = ...,
    ) -> pd.DataFrame: ...

    @overload
    def predict(
        self,
        newdata: Any = ...,
        *,
        random: RandomChoice = ...,
        new_levels: NewLevels = ...,
        se: bool = ...,
        interval: Interval,
        level: float = ...,
    ) -> pd.DataFrame: ...

    def predict(
        self,
        newdata: Any = None,
        *,
        random: RandomChoice = "all",
        new_levels: NewLevels = "error",
        se: bool = False,
        interval: Interval | None = None,
        level: float = 0.95,
    ) -> Array | pd.DataFrame:
        """Predict the mean response, at the levels' own random effects or without them.

        An offset, by argument or in the formula, is added from the columns of `newdata`.

        Parameters
        ----------
        newdata : table or mapping, optional
            Rows to predict; without it those of the fit, padded as `fitted` is.
        random : "all", "none" or list of str
            Random effects to add: lme4's ``re.form``. A list names grouping factors (``"Subject"``) or terms
            (``"(1 | Subject)"``, which may be a part of a term of the model).
        new_levels : {"error", "population", "missing"}
            What to do where a level is new or missing: refuse; predict without its effects (lme4's
            ``allow.new.levels``); or give NaN.
        se : bool
            Give standard errors too.
        interval : {"confidence", "prediction"}, optional
            Give the interval of the mean x'beta + z'b; or of a new record, with its residual and with effects
            that `random` leaves out.
        level : float
            Coverage of the interval.

        Returns
        -------
        ndarray, shape (n,), or DataFrame
            In units of the response; NaN in rows that miss a predictor or have an infinite one, which is
            logged. With `se` or `interval` a table: fit, se, lower, upper, with the index of `newdata` if
            that is of pandas. Errors have the covariance of (beta, b) together, for known variance
            components; limits are those of the normal distribution.

        Raises
        ------
        DataError
            If `newdata` lacks a column or has new levels, or the model lacks a random term.

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
        >>> new = {"Days": [0, 10, 10], "Subject": ["308", "308", "somebody"]}
        >>> fit.predict(new, new_levels="population").round(1)
        array([253.7, 450.3, 356.1])
        >>> fit.predict(new, new_levels="population", interval="prediction").round(0)
             fit    se  lower  upper
        0  254.0  28.0  198.0  309.0
        1  450.0  30.0  391.0  509.0
        2  356.0  72.0  214.0  498.0
        """
        from henderson.prediction.intervals import prediction_errors
        from henderson.prediction.predict import predict_rows, predict_used
        from henderson.prediction.records import check_new_levels

        if se or interval is not None:
            return prediction_errors(
                self, newdata, random, new_levels, interval=interval or "confidence", level=level
            )
        if newdata is None:
            check_new_levels(new_levels)
            self._e.by_row("fitted values")
            return predict_used(self._e, self.engine.model if self.has_source else None, random)
        return predict_rows(self._e, newdata, random, new_levels)

    def simulate(self, n: int = 1, *, use_random: bool = False, seed: int | None = None) -> Array:
        """Draw responses from the fitted model, on the scale that was fitted.

        Parameters
        ----------
        n : int
            Number of responses.
        use_random : bool
            Keep the random effects at their conditional modes, and draw residuals only; by default both are
            drawn.
        seed : int, optional
            Response i depends on the seed and i alone. None draws other ones at each call.

        Returns
        -------
        ndarray, shape (rows used, n)

        Examples
        --------
        >>> import henderson as hd
        >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
        >>> fit.refits(fit.simulate(3, seed=1))
        <Refits of 3 responses: 3 converged; 1 singular>
        """
        from henderson.prediction.simulate import simulate

        return simulate(self, n, use_random=use_random, seed=seed)
