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
    size : ndarray, (all columns,)
        Lengths of the columns, which are the units that estimability is judged in.
    undefined : ndarray, (all columns, number dropped)
        Orthonormal basis of the coefficients of columns of length one that change no fitted value.
    tests : Denominator
    """

    beta: Array
    kept: NDArray[np.intp]
    size: Array
    undefined: Array
    tests: Denominator

    @classmethod
    def of(cls, fit: FittedModel, ddf: Ddf) -> FixedEffects:
        """The fixed effects of a fit that has its rows."""
        X, kept = fit.source.with_rows().X, fit.estimates.kept
        size = np.sqrt(np.einsum("ij,ij->j", X, X))
        size[size == 0.0] = 1.0
        undefined = undefined_directions(X, kept, size)
        return cls(fit.estimates.beta, kept, size, undefined, denominator(fit, ddf))

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
        scaled = L / self.size
        along = np.linalg.norm(scaled @ self.undefined, axis=1)
        known = np.flatnonzero(along <= TOLERANCE * np.linalg.norm(scaled, axis=1))  # never true of NaN
        own = L[np.ix_(known, self.kept)]
        out = np.full((3, len(L)), np.nan)
        out[0, known] = own @ self.beta
        variance = np.einsum("ki,ij,kj->k", own, self.tests.cov_beta, own)
        out[1, known] = np.sqrt(np.maximum(variance, 0.0))
        varies = variance > 0.0
        out[2, known[varies]] = self.tests.df(own[varies])
        return out[0], out[1], out[2]


def undefined_directions(X: Array, kept: NDArray[np.intp], size: Array) -> Array:
    """Coefficients b with (X / size) b = 0, (p, p - rank): each dropped column is a sum of those kept.

    >>> X = np.array([[1.0, 2.0], [2.0, 4.0]])
    >>> np.abs(undefined_directions(X, np.array([0]), np.ones(2))).round(3)
    array([[0.894],
           [0.447]])
    """
    dropped = np.setdiff1d(np.arange(X.shape[1]), kept)
    if not dropped.size:
        return np.empty((X.shape[1], 0))
    combination = np.linalg.lstsq(X[:, kept] / size[kept], X[:, dropped] / size[dropped], rcond=None)[0]
    directions = np.zeros((X.shape[1], dropped.size))
    directions[kept] = -combination
    directions[dropped, np.arange(dropped.size)] = 1.0
    return np.asarray(np.linalg.qr(directions)[0])
