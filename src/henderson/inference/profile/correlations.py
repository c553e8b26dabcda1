"""The profile-likelihood interval of one correlation of random effects or residuals."""

from __future__ import annotations

from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.correlations import Pair
from henderson.inference.profile.parameters import Layout
from henderson.inference.profile.run import profile


def correlation_limits(fit: FittedModel, pair: Pair, level: float) -> tuple[float, float]:
    """Limits of a correlation, at which the deviance has risen by the quantile of chi-squared.

    Parameters
    ----------
    fit : FittedModel
        One by REML is fitted again by maximum likelihood.
    pair : Pair
    level : float
        Coverage.

    Raises
    ------
    DataError
        If the structure of the term has no parameter for this correlation, or it is not defined.
    """
    layout = Layout.of(fit)
    at = {(e.term, *sorted((e.i, e.j))): name for name, e in layout.entries.items() if e.kind == "cor"}
    name = at.get((pair.term, pair.i, pair.j))
    if name is None:
        raise DataError(
            "this correlation is no parameter of its covariance structure, so that it has no profile: ask "
            "for interval='wald' or None"
        )
    lower, upper = profile(fit, name, level=level).confint(level).to_numpy()[0]
    return float(lower), float(upper)
