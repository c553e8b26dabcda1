"""Linear functions of the fixed effects, where a rank-deficient design may leave some of them undefined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.fit import FittedModel
from henderson.inference.denominator import Ddf, Denominator, denominator

Array = NDArray[np.float64]
#: A function is estimable if its part along the undefined directions is smaller than this, relatively.
TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class FixedEffects:
    """The fixed effects as linear functions of all columns of the design see them.

    Attributes
    ----------
    beta : ndarray, (p,)
        Estimates of the columns that are kept.
    kept : ndarray of int, (p,)
        Their places among all columns.
    undefined : ndarray, (all columns, number dropped)
        Orthonormal basis of the coefficients that change no fitted value.
    tests : Denominator
    """

    beta: Array
    kept: NDArray[np.intp]
    undefined: Array
    tests: Denominator

    @classmethod
    def of(cls, fit: FittedModel, ddf: Ddf) -> FixedEffects:
        """The fixed effects of a fit that has its rows."""
        X, kept = fit.source.with_rows().X, fit.estimates.kept
        return cls(fit.estimates.beta, kept, undefined_directions(X, kept), denominator(fit, ddf))

    def estimates(self, L: Array) -> tuple[Array, Array, Array]:
        """Estimates, standard errors and degrees of freedom of the rows of L.

        Parameters
        ----------
        L : ndarray, (k, all columns)

        Returns
        -------
        estimate, std_error, df : ndarray, (k,)
            NaN for rows that are not estimable, or NaN themselves.
        """
        size = np.sqrt((L**2).sum(axis=1))
        along = np.sqrt(((L @ self.undefined) ** 2).sum(axis=1))
        known = np.flatnonzero(along <= TOLERANCE * size)  # never true of NaN
        own = L[np.ix_(known, self.kept)]
        out = np.full((3, len(L)), np.nan)
        out[0, known] = own @ self.beta
        variance = np.einsum("ki,ij,kj->k", own, self.tests.cov_beta, own)
        out[1, known] = np.sqrt(np.maximum(variance, 0.0))
        varies = variance > 0.0
        out[2, known[varies]] = self.tests.df(own[varies])
        return out[0], out[1], out[2]


def undefined_directions(X: Array, kept: NDArray[np.intp]) -> Array:
    """Coefficients b with X b = 0, (p, p - rank): each dropped column is a combination of those kept.

    >>> np.abs(undefined_directions(np.array([[1.0, 2.0], [2.0, 4.0]]), np.array([0]))).round(3)
    array([[0.894],
           [0.447]])
    """
    dropped = np.setdiff1d(np.arange(X.shape[1]), kept)
    if not dropped.size:
        return np.empty((X.shape[1], 0))
    scale = np.sqrt((X[:, kept] ** 2).sum(axis=0))
    combination = np.linalg.lstsq(X[:, kept] / scale, X[:, dropped], rcond=None)[0] / scale[:, None]
    directions = np.zeros((X.shape[1], dropped.size))
    directions[kept] = -combination
    directions[dropped, np.arange(dropped.size)] = 1.0
    return np.asarray(np.linalg.qr(directions)[0])
