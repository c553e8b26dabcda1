"""Satterthwaite's degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from henderson.fit.satterthwaite import SatterthwaitePieces
from henderson.inference.wald import EMPTY, FTest, principal, quadratic_form, rank

Array = NDArray[np.float64]
#: Degrees of freedom that differ by less than this are the same.
SAME = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Satterthwaite:
    """Degrees of freedom 2 v^2 / var(v) for the estimated variance v of a contrast.

    Satterthwaite (1946), Biometrics Bulletin 2:110; for mixed models Giesbrecht & Burns (1985), Biometrics
    41:477. Several rows at once: Fai & Cornelius (1996), J. Stat. Comput. Simul. 54:363, by the eigenvectors
    of L cov_beta L', as lmerTest does (Kuznetsova, Brockhoff & Christensen 2017, J. Stat. Softw. 82(13)).

    Attributes
    ----------
    cov_beta : ndarray, (p, p)
    pieces : SatterthwaitePieces
    """

    cov_beta: Array
    pieces: SatterthwaitePieces
    method: ClassVar[Literal["satterthwaite"]] = "satterthwaite"

    def df(self, L: Array) -> Array:
        """Degrees of freedom of each row of L (k, p), shape (k,); NaN for a row of zeros."""
        v = np.einsum("ki,ij,kj->k", L, self.cov_beta, L)
        slopes = np.einsum("ki,mij,kj->km", L, self.pieces.slopes, L)
        variance = np.einsum("km,mn,kn->k", slopes, self.pieces.A, slopes)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(2.0 * v**2 / variance)

    def f_test(self, L: Array, difference: Array) -> FTest:
        """F test of L beta = rhs, for L (k, p) of any rank and difference = L beta - rhs (k,)."""
        V = L @ self.cov_beta @ L.T
        q = rank(L, self.cov_beta)
        if q == 0:
            return EMPTY
        statistic = quadratic_form(V, difference, q) / q
        return FTest(statistic, q, _pooled(self.df(principal(V, q)[1].T @ L)))


def _pooled(nu: Array) -> float:
    """Degrees of freedom of an F whose mean is that of the average of independent squares of t's."""
    if np.ptp(nu) < SAME:
        return float(nu.mean())
    if (nu <= 2.0).any():
        return 2.0
    # E(t^2) = nu / (nu - 2), written so that infinite nu are allowed
    excess = float((2.0 / (nu - 2.0)).sum())
    return 2.0 * (nu.size + excess) / excess if excess else np.inf
