"""Tests of linear hypotheses about the fixed effects: what all kinds of denominator share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.linalg.f_tail import neg_log10_f

Array = NDArray[np.float64]
#: A row of a hypothesis whose part outside the rows before it is smaller than this, is a sum of these.
DEPENDENT = 1e-8


@dataclass(frozen=True, slots=True)
class FTest:
    """An F test.

    Attributes
    ----------
    statistic : float
        F, already times `scaling`.
    ndf, ddf : float
        Numerator and denominator degrees of freedom; the latter may be infinite.
    scaling : float
        Kenward and Roger's lambda; 1 for the other methods.
    """

    statistic: float
    ndf: int
    ddf: float
    scaling: float = 1.0

    @property
    def neg_log_10_p_value(self) -> float:
        """-log10 of the upper tail, which never underflows."""
        return float(neg_log10_f(self.statistic, self.ndf, self.ddf))

    @property
    def p_value(self) -> float:
        """The upper tail."""
        return float(10.0**-self.neg_log_10_p_value)


#: The test of a hypothesis that says nothing.
EMPTY = FTest(np.nan, 0, np.nan)


def rank(L: Array, cov_beta: Array) -> int:
    """Number of independent rows of L (q, p), judged where every coefficient has standard error one."""
    rows = L * np.sqrt(np.diag(cov_beta))
    size = np.sqrt((rows**2).sum(axis=1))
    rows = rows[size > 0.0] / size[size > 0.0, None]
    return int((np.linalg.svd(rows, compute_uv=False) > DEPENDENT).sum()) if len(rows) else 0


def quadratic_form(V: Array, difference: Array, q: int) -> float:
    """Length of a difference in V^-, squared, for V (k, k) of rank q.

    Raises
    ------
    DataError
        If the rows that depend on each other are to equal numbers that do not.
    """
    if q == len(V):
        return float(difference @ np.linalg.solve(V, difference))
    values, vectors = principal(V, q)
    along = vectors.T @ difference
    rest = difference - vectors @ along
    if np.abs(rest).max() > DEPENDENT**0.5 * np.sqrt(np.diag(V).max()):
        raise DataError(
            f"the {len(V)} rows of the hypothesis are not independent (their rank is {q}) and contradict "
            "each other: give numbers on the right-hand side that can hold together, or drop rows"
        )
    return float((along**2 / values).sum())


def principal(V: Array, q: int) -> tuple[Array, Array]:
    """The q largest eigenvalues of V, descending, and their vectors (k, q)."""
    values, vectors = np.linalg.eigh(V)
    return values[::-1][:q], vectors[:, ::-1][:, :q]


@dataclass(frozen=True, slots=True, eq=False)
class Asymptotic:
    """Normal and chi-squared tests, which take the variance parameters for known."""

    cov_beta: Array
    method: ClassVar[Literal["asymptotic"]] = "asymptotic"

    def df(self, L: Array) -> Array:
        """Infinite."""
        return np.full(len(L), np.inf)

    def f_test(self, L: Array, difference: Array) -> FTest:
        """Wald's chi-squared over its degrees of freedom."""
        q = rank(L, self.cov_beta)
        if q == 0:
            return EMPTY
        return FTest(quadratic_form(L @ self.cov_beta @ L.T, difference, q) / q, q, np.inf)
