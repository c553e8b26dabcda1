"""V = I + sum_k lambda_k K_k by one Cholesky factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, pi

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError

Array = NDArray[np.float64]
#: Rows of V that are filled at a time.
_ROWS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """What one response has in a model whose V is known up to sigma^2.

    Attributes
    ----------
    beta : ndarray, shape (p,)
        BLUE of the fixed effects.
    residual : ndarray, shape (n,)
        L^-1 (y - X beta): in these coordinates the residuals are independent.
    ypy : float
        y'Py.
    sigma2 : float
        REML estimate of the residual variance, y'Py / (n - p).
    loglik : float
        Restricted log-likelihood at that sigma^2, with every constant (as R's ``logLik``).
    """

    beta: Array
    residual: Array
    ypy: float
    sigma2: float
    loglik: float


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """V = L L', and the fixed effects in its coordinates, L^-1 X = Q R.

    Attributes
    ----------
    lower : ndarray, shape (m, m)
        L of the first m = n of the coordinates, in Fortran order, zero above the diagonal; any after them
        are independent of all others and have a variance of one.
    Q, R : ndarray, shape (n, p), (p, p)
        The decomposition of L^-1 X.
    logdet_v, logdet_x : float
        log|V| and log|X'V^-1 X|.
    """

    lower: Array
    Q: Array
    R: Array
    logdet_v: float
    logdet_x: float

    @property
    def n(self) -> int:
        """Number of coordinates, which are records unless said otherwise."""
        return int(self.Q.shape[0])

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return int(self.Q.shape[1])

    def solve_lower(self, M: Array, *, transposed: bool = False) -> Array:
        """L^-1 M, or L'^-1 M, for M (n,) or (n, k); n^2 k operations."""
        return _solve(self.lower, M, transposed)

    def whiten(self, M: Array) -> Array:
        """L^-1 M less its part along the fixed effects: x'Py is the product of two such columns."""
        Z = self.solve_lower(M)
        for _ in range(2):  # once more, for columns that are almost fixed effects
            Z -= self.Q @ (self.Q.T @ Z)
        return Z

    def project(self, M: Array) -> Array:
        """P M with P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1."""
        return self.solve_lower(self.whiten(M), transposed=True)

    def response(self, y: Array) -> Response:
        """Estimates for a response (n,)."""
        residual = self.whiten(y)
        beta = np.asarray(np.linalg.solve(self.R, self.Q.T @ self.solve_lower(y)), dtype=np.float64)
        ypy, nu = float(residual @ residual), self.n - self.p
        squares = nu * (1.0 + log(2.0 * pi * ypy / nu)) if ypy > 0.0 else -np.inf
        loglik = -0.5 * (self.logdet_v + self.logdet_x + squares)
        return Response(beta, residual, ypy, ypy / nu, loglik)


def factor(
    kernels: Sequence[Array], ratios: Sequence[float] | Array, X: Array, *, work: Array | None = None
) -> Factor:
    """Factor V = I + sum_k lambda_k K_k.

    Takes n^3 / 3 operations and one n x n matrix of float64, besides the kernels.

    Parameters
    ----------
    kernels : sequence of ndarray, shape (n, n)
        Symmetric and positive semi-definite; they are not changed.
    ratios : sequence of float
        lambda_k >= 0, the variance of each kernel over sigma^2.
    X : ndarray, shape (n, p)
        Fixed effects, of full rank.
    work : ndarray, shape (n, n), optional
        Memory for the factor, in Fortran order: ``lower`` of a factor that is no longer needed.

    Returns
    -------
    Factor

    Raises
    ------
    DataError
        If V is not positive definite, so that a kernel has a negative eigenvalue.

    Examples
    --------
    >>> V = factor([np.ones((2, 2))], [0.5], np.ones((2, 1)))
    >>> round(V.logdet_v, 6), V.response(np.array([1.0, 3.0])).beta.round(6)
    (0.693147, array([2.]))
    """
    V = np.empty((X.shape[0], X.shape[0]), order="F") if work is None else work
    _fill(V.T, kernels, ratios)
    try:
        return factorise(V, X)
    except FloatingPointError:
        raise DataError(
            "a relationship matrix is not positive semi-definite: it has a negative eigenvalue, and is no "
            "matrix of covariances; compute it again from the genotypes, all people over the same variants"
        ) from None


def factorise(V: Array, X: Array) -> Factor:
    """Factor a V that is formed already.

    Parameters
    ----------
    V : ndarray, shape (m, m)
        The lower triangle, in Fortran order; it is overwritten by L.
    X : ndarray, shape (n, p)
        Fixed effects, of full rank; n > m if there are coordinates beside those of V.

    Raises
    ------
    FloatingPointError
        If V is not positive definite.
    """
    from scipy.linalg import lapack

    lower, wrong = lapack.dpotrf(V, lower=1, clean=1, overwrite_a=1)
    if wrong:
        raise FloatingPointError(f"V is not positive definite: its leading block of {wrong} is not")
    Q, R = np.linalg.qr(_solve(lower, X, False))
    logdet_x = 2.0 * float(np.log(np.abs(np.diag(R))).sum())
    return Factor(lower, Q, R, 2.0 * float(np.log(np.diag(lower)).sum()), logdet_x)


def inverse(lower: Array) -> Array:
    """(L L')^-1, all of it, for a lower-triangular L in Fortran order; shape (m, m)."""
    from scipy.linalg import lapack

    out = lapack.dpotri(lower, lower=1)[0]
    for start in range(0, len(out), _ROWS):
        rows = slice(start, start + _ROWS)
        out[rows, rows] = np.tril(out[rows, rows]) + np.tril(out[rows, rows], -1).T
        out[rows, start + _ROWS :] = out[start + _ROWS :, rows].T
    return np.asarray(out.T)


def _fill(V: Array, kernels: Sequence[Array], ratios: Sequence[float] | Array) -> None:
    """V on and above the diagonal; a few rows at a time, so that products stay in the processor's cache."""
    n = V.shape[0]
    for start in range(0, n, _ROWS):
        block = (slice(start, start + _ROWS), slice(start, None))
        V[block] = 0.0
        for K, ratio in zip(kernels, ratios, strict=True):
            if ratio != 0.0:
                V[block] += ratio * K[block]
    V[np.diag_indices(n)] += 1.0


def _solve(lower: Array, M: Array, transposed: bool) -> Array:
    from scipy.linalg import blas

    columns, m = M[:, None] if M.ndim == 1 else M, len(lower)
    solved = blas.dtrsm(1.0, lower, columns[:m], lower=1, trans_a=int(transposed))
    if len(columns) > m:
        solved = np.concatenate([solved, columns[m:]])
    return np.asarray(solved[:, 0] if M.ndim == 1 else solved)
