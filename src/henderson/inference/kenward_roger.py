"""Kenward and Roger's adjusted covariance and degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from henderson.engine import KenwardRogerPieces
from henderson.inference.wald import EMPTY, FTest, principal, quadratic_form, rank

Array = NDArray[np.float64]
#: Directions with less information than this, in units in which every parameter has one, have none.
FLAT = 1e-10
#: Below this numbers are zero, and a ratio of two such is one.
ZERO = 1e-10
#: So near to two degrees of freedom the scaling is 0 / 0; it is left out, as in pbkrtest.
NEAR_TWO = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class KenwardRoger:
    """Kenward & Roger (1997), Biometrics 53:983; the numbers of pbkrtest.

    Halekoh & Hojsgaard (2014), J. Stat. Softw. 59(9). The parameters are those that V is linear in. Where the
    covariance of a term or of the residuals has a structure that is linear in nothing (``ar1``), the tangent
    at the estimates is taken and second derivatives are left out, so that the answer does not depend on how
    the parameters are chosen.

    Attributes
    ----------
    cov_beta : ndarray, (p, p)
        Adjusted covariance.
    unadjusted : ndarray, (p, p)
        sigma^2 (X'V^-1 X)^-1.
    P : ndarray, (r, p, p)
        Derivatives of X'V^-1 X in the covariance parameters.
    W : ndarray, (r, r)
        Covariance of their estimates: the inverse of the expected information.
    """

    cov_beta: Array
    unadjusted: Array
    P: Array
    W: Array
    method: ClassVar[Literal["kenward-roger"]] = "kenward-roger"

    @classmethod
    def of(cls, cov_beta: Array, pieces: KenwardRogerPieces) -> Self:
        """Adjust the covariance of the fixed effects; their eq. (3), with R_ij = 0."""
        W = 2.0 * _inverse(pieces.trace)
        moved = np.tensordot(W, pieces.Q, axes=2)
        adjusted = cov_beta + cov_beta @ (moved + moved.T) @ cov_beta
        return cls(adjusted, cov_beta, pieces.P, W)

    def df(self, L: Array) -> Array:
        """Degrees of freedom of each row of L (k, p), shape (k,); NaN for a row of zeros."""
        along = L @ self.unadjusted
        v = np.einsum("ki,ki->k", along, L)
        slopes = np.einsum("ki,mij,kj->km", along, self.P, along)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(2.0 * v**2 / np.einsum("km,mn,kn->k", slopes, self.W, slopes))

    def f_test(self, L: Array, difference: Array) -> FTest:
        """F test of L beta = rhs, for L (k, p) of any rank and difference = L beta - rhs (k,)."""
        q = rank(L, self.unadjusted)
        if q == 0:
            return EMPTY
        wald = quadratic_form(L @ self.cov_beta @ L.T, difference, q) / q
        values, vectors = principal(L @ self.unadjusted @ L.T, q)
        # rows with unit covariance: Theta is then H'H
        H = (vectors / np.sqrt(values)).T @ L @ self.unadjusted
        slopes = H @ self.P @ H.T
        traces = np.einsum("mii->m", slopes)
        A1 = float(traces @ self.W @ traces)
        A2 = float(np.einsum("mn,mij,nji->", self.W, slopes, slopes, optimize=True))
        ddf, scaling = _matched(A1, A2, q)
        return FTest(scaling * wald, q, ddf, scaling)


def _matched(A1: float, A2: float, q: int) -> tuple[float, float]:
    """Denominator degrees of freedom and scaling that match two moments; their section 2.4."""
    if q == 1:
        return 2.0 / A2, 1.0
    B = (A1 + 6.0 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    common = 3 * q + 2.0 * (1.0 - g)
    V0 = 1.0 + g / common * B
    V1 = 1.0 - (q - g) / common * B
    V2 = 1.0 - (q + 2 - g) / common * B
    V0 = 0.0 if abs(V0) < ZERO else V0
    mean = 1.0 - A2 / q
    ratio = 1.0 if abs(mean) < ZERO and abs(V1) < ZERO else mean / V1
    rho = ratio**2 * V0 / V2 / q
    ddf = 4.0 + (q + 2) / (q * rho - 1.0)
    return ddf, 1.0 if abs(ddf - 2.0) < NEAR_TWO else ddf * mean / (ddf - 2.0)


def _inverse(trace: Array) -> Array:
    """Pseudo-inverse, by eigenvalues where every parameter has information one."""
    size = np.diag(trace)
    scale = np.where(size > 0.0, 1.0 / np.sqrt(np.where(size > 0.0, size, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(trace * np.outer(scale, scale))
    known = values > FLAT
    root = scale[:, None] * vectors[:, known] / np.sqrt(values[known])
    return np.asarray(root @ root.T)
