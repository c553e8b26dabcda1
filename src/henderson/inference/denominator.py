"""Denominator degrees of freedom of tests about the fixed effects: one face for all methods."""

from __future__ import annotations

from typing import Literal, Protocol, get_args
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError, ModelNotSupportedError
from henderson.fit import FittedModel
from henderson.inference.satterthwaite import Satterthwaite
from henderson.inference.wald import Asymptotic, FTest

__all__ = ["Ddf", "Denominator", "FTest", "denominator"]

Array = NDArray[np.float64]
Ddf = Literal["satterthwaite", "kenward-roger", "asymptotic"]


class Denominator(Protocol):
    """Covariance of the fixed effects and degrees of freedom, by one method."""

    @property
    def method(self) -> Ddf:
        """Which method it is."""
        ...

    @property
    def cov_beta(self) -> Array:
        """Covariance of the fixed effects, (p, p); adjusted for small samples by Kenward and Roger."""
        ...

    def df(self, L: Array) -> Array:
        """Degrees of freedom of each row of L (k, p) as a contrast of its own, shape (k,)."""
        ...

    def f_test(self, L: Array, difference: Array) -> FTest:
        """F test of all rows of L (k, p) together; `difference` (k,) is L beta minus the right-hand side.

        Rows that are sums of others do not count.
        """
        ...


def denominator(fit: FittedModel, ddf: Ddf = "satterthwaite") -> Denominator:
    """The tests of a fit's fixed effects by one method.

    Parameters
    ----------
    fit : FittedModel
        REML or ML.
    ddf : {"satterthwaite", "kenward-roger", "asymptotic"}
        Satterthwaite's degrees of freedom; Kenward and Roger's, with their adjusted covariance, for REML
        fits; or infinitely many.

    Returns
    -------
    Denominator
        Kept with the fit, so that asking again costs nothing.

    Raises
    ------
    DataError
        For another method.
    ModelNotSupportedError
        For Kenward-Roger with a fit by maximum likelihood.
    HendersonError
        Where the data are needed and the fit was read back from a file.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> denominator(fit).df(np.eye(2)).round(6)
    array([17., 17.])
    """
    check_ddf(ddf)
    kept = _KEPT.setdefault(fit, {})
    if ddf not in kept:
        kept[ddf] = _make(fit, ddf)
    return kept[ddf]


def check_ddf(ddf: object) -> None:
    """Refuse what is no method.

    Raises
    ------
    DataError
        With the names of those that are.
    """
    if ddf not in get_args(Ddf):
        known = ", ".join(repr(name) for name in get_args(Ddf))
        raise DataError(f"ddf={ddf!r} is no way to count degrees of freedom; there are {known}")


_KEPT: WeakKeyDictionary[FittedModel, dict[Ddf, Denominator]] = WeakKeyDictionary()


def _make(fit: FittedModel, ddf: Ddf) -> Denominator:
    cov_beta = fit.estimates.cov_beta
    if ddf == "asymptotic":
        return Asymptotic(cov_beta)
    if ddf == "satterthwaite":
        return Satterthwaite(cov_beta, fit.satterthwaite)
    if not fit.estimates.reml:
        raise ModelNotSupportedError(
            "Kenward and Roger's method is made for REML, and this fit is by maximum likelihood: fit with "
            "REML=True, or ask for ddf='satterthwaite'"
        )
    from henderson.inference.kenward_roger import KenwardRoger

    fitted = fit.source.fitted
    return KenwardRoger.of(cov_beta, fitted.engine.kr_pieces(fitted.theta))
