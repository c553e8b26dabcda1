"""REML estimates of the variances of one or several dense kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.engine.dense.factor import Factor, Response, factor
from henderson.errors import DataError

Array = NDArray[np.float64]
#: The residual variance is at least this part of what the kernels give a record on average.
SMALLEST = 1e-5
#: With less than this part of V from a single kernel, tr(V^-1 K) = (n - tr V^-1) / lambda loses digits.
CANCELS = 1e-4
#: With less than this part of y'y left, the fixed effects fit the response to the last digit.
NOTHING_LEFT = 1e-26


@dataclass(frozen=True, slots=True, eq=False)
class KernelFit:
    """REML estimates of y = X b + sum_k g_k + e, g_k ~ N(0, lambda_k sigma^2 K_k), e ~ N(0, sigma^2 I).

    Attributes
    ----------
    ratios : ndarray, shape (K,)
        lambda_k, the variance of each kernel over that of the residual.
    sigma2 : float
        Residual variance.
    factor : Factor
        V at the estimates.
    response : Response
        Fixed effects and what they leave of y.
    at_zero : ndarray of bool, shape (K,)
        Where a ratio is 0: the likelihood falls from there.
    at_upper : bool
        Whether the residual variance is at its lower end, 1e-5 of what the kernels give a record on average.
    evaluations : int
        Cholesky factors that were computed.
    converged : bool
        Whether the search ended where the likelihood is flat, and not after too many steps.
    """

    ratios: Array
    sigma2: float
    factor: Factor
    response: Response
    at_zero: NDArray[np.bool_]
    at_upper: bool
    evaluations: int
    converged: bool

    @property
    def loglik(self) -> float:
        """Restricted log-likelihood, with every constant."""
        return self.response.loglik


def reml(
    kernels: Sequence[Array],
    X: Array,
    y: Array,
    *,
    start: Sequence[float] | Array | None = None,
    tolerance: float = 1e-14,
    max_evaluations: int = 100,
) -> KernelFit:
    """Estimate the variances of dense kernels by restricted maximum likelihood, without eigenvectors.

    Newton steps with the average information (Gilmour, Thompson & Cullis 1995, Biometrics 51:1440) and a
    secant correction, within lambda_k >= 0. A step costs n^3 operations, a third less with one kernel; in
    memory there is one n x n matrix besides the kernels. The likelihood may have several peaks: this finds
    the one that the start leads to.

    Parameters
    ----------
    kernels : sequence of ndarray, shape (n, n)
        K_k: symmetric and positive semi-definite; they are not changed.
    X : ndarray, shape (n, p)
        Fixed effects, of full rank.
    y : ndarray, shape (n,)
        The response.
    start : sequence of float, optional
        Ratios lambda_k to start from, such as the estimates for a similar kernel; by default moment
        estimates.
    tolerance : float
        The search ends with a step that would lower -2 log likelihood by less than this.
    max_evaluations : int
        Cholesky factors after which the search gives up; the fit then says that it has not converged.

    Returns
    -------
    KernelFit

    Raises
    ------
    DataError
        If a kernel has a negative eigenvalue, or the fixed effects fit the response exactly.

    Examples
    --------
    >>> families = np.kron(np.eye(3), np.ones((2, 2)))
    >>> y = np.array([1.0, 2.0, 4.0, 4.5, 7.0, 8.0])
    >>> fit = reml([families], np.ones((6, 1)), y)
    >>> (fit.ratios * fit.sigma2).round(6), round(fit.sigma2, 6)
    (array([8.833333]), 0.375)
    """
    ratios: Array = np.array(_moments(kernels, X, y) if start is None else start, dtype=np.float64)
    # The residual variance is what `free` says and, at the least, this part of what the kernels give
    least = SMALLEST * np.array([np.trace(K) / y.size for K in kernels])
    M = np.eye(ratios.size + 1)
    M[-1, :-1] = least
    free = np.append(ratios, max(1.0 - float(least @ ratios), 0.0))
    ratios = _ratios(M @ free)
    V = factor(kernels, ratios, X)
    found = V.response(y)
    if not found.ypy > NOTHING_LEFT * float(y @ y):
        raise DataError("the fixed effects fit the trait exactly, which leaves no variance to be told apart")
    evaluations, converged = 1, False
    before: tuple[Array, Array] | None = None
    while not converged and evaluations < max_evaluations:
        free = free * (found.sigma2 / float(M[-1] @ free))
        gradient, H = _slopes(kernels, ratios, V, found)
        gradient, H = M.T @ gradient, M.T @ H @ M
        if before is not None:
            H = _secant(H, free - before[0], gradient - before[1])
        before = free, gradient
        step = _newton(gradient, H, -free)
        # The residual variance falls no more than tenfold at a time
        slope, size = float(gradient @ step), min(1.0, 0.9 * found.sigma2 / max(-float(M[-1] @ step), 1e-300))
        converged = -slope < tolerance
        noise = 1e-12 * (abs(found.loglik) + y.size)
        while True:
            free = before[0] + size * step
            ratios = _ratios(M @ free)
            V = factor(kernels, ratios, X, work=V.lower)
            new = V.response(y)
            evaluations += 1
            if 2.0 * (found.loglik - new.loglik) <= 1e-4 * size * slope + noise or size < 1e-8:
                break
            size *= 0.25
        found = new
    at_zero, at_upper = ratios == 0.0, bool(free[-1] == 0.0)
    return KernelFit(ratios, found.sigma2, V, found, at_zero, at_upper, evaluations, converged)


def _ratios(variances: Array) -> Array:
    """Variances of the kernels over the last, the residual's."""
    return np.asarray(variances[:-1] / variances[-1])


def _slopes(kernels: Sequence[Array], ratios: Array, V: Factor, found: Response) -> tuple[Array, Array]:
    """Gradient of -2 log restricted likelihood in the variances, and its average information.

    With P of the variances themselves, and I the last K: tr(P K_k) - y'P K_k P y, and y'P K_i P K_j P y.
    Spoils ``V.lower``.
    """
    both = V.solve_lower(np.column_stack([V.Q, found.residual]), transposed=True)  # V^-1 X R^-1 and Py
    times = [*(K @ both for K in kernels), both]
    moved = V.whiten(np.column_stack([Kb[:, -1] for Kb in times]))
    squares = np.array([both[:, -1] @ Kb[:, -1] for Kb in times])
    of_fixed = np.array([np.vdot(both[:, :-1], Kb[:, :-1]) for Kb in times])
    sigma2 = found.sigma2
    gradient = (_traces(kernels, ratios, V) - of_fixed - squares / sigma2) / sigma2
    return gradient, moved.T @ moved / sigma2**3


def _traces(kernels: Sequence[Array], ratios: Array, V: Factor) -> Array:
    """tr(V^-1 K_k), and tr(V^-1) last; overwrites the factor by the inverse."""
    from scipy.linalg import lapack

    n = V.n
    if len(kernels) == 1 and ratios[0] * np.trace(kernels[0]) > CANCELS * n:
        inverse, _ = lapack.dtrtri(V.lower, lower=1, overwrite_c=1)
        trace = float(np.vdot(inverse.T, inverse.T))
        return np.array([(n - trace) / ratios[0], trace])
    inverse, _ = lapack.dpotri(V.lower, lower=1, overwrite_c=1)  # leaves the zeros above the diagonal
    diagonal = np.diag(inverse)
    own = [2.0 * np.vdot(inverse.T, K) - diagonal @ np.diag(K) for K in kernels]
    return np.array([*own, diagonal.sum()])


def _secant(H: Array, moved: Array, change: Array) -> Array:
    """H with a correction of rank one by which it explains how the gradient changed with the last step.

    Nocedal & Wright (2006), Numerical Optimization, eq. (6.24); left out where it would change H much.
    """
    rest = change - H @ moved
    along = float(rest @ moved)
    if along == 0.0:
        return H
    stretch = 1.0 + float(rest @ np.linalg.lstsq(H, rest)[0]) / along
    return H + np.outer(rest, rest) / along if 0.2 < stretch < 5.0 else H


def _newton(g: Array, H: Array, low: Array) -> Array:
    """The step s >= ``low``, which is not positive, at which g's + s'Hs / 2 is least."""
    s = np.zeros_like(g)
    for _ in range(100):
        last = s.copy()
        for k in np.flatnonzero(np.diag(H) > 0.0):
            # each sweep lowers the parabola, so that s points downhill from the first
            s[k] = max(s[k] - (g[k] + H[k] @ s) / H[k, k], low[k])
        if np.array_equal(s, last):
            break
    free = s > low
    best = s.copy()
    best[free] -= np.linalg.lstsq(H[np.ix_(free, free)], (g + H @ s)[free])[0]
    return best if (best >= low).all() else s


def _moments(kernels: Sequence[Array], X: Array, y: Array) -> Array:
    """Ratios from y'M K_k M y and y'My set to what they are expected to be, M = I - X (X'X)^-1 X'.

    Rao (1971), J. Multivariate Anal. 1:257, with every prior variance but that of the residual zero.
    """
    Q = np.linalg.qr(X)[0]
    e = y - Q @ (Q.T @ y)
    e -= Q @ (Q.T @ e)
    KQ = [K @ Q for K in kernels]
    inner = [Q.T @ each for each in KQ]
    K1 = len(kernels) + 1
    A, b = np.empty((K1, K1)), np.empty(K1)
    A[-1, -1], b[-1] = y.size - Q.shape[1], e @ e
    for i, K in enumerate(kernels):
        b[i] = e @ (K @ e)
        A[i, -1] = A[-1, i] = np.trace(K) - np.trace(inner[i])
        for j in range(i + 1):
            both = 2.0 * np.vdot(KQ[i], KQ[j]) - np.vdot(inner[i], inner[j])
            A[i, j] = A[j, i] = np.vdot(K, kernels[j]) - both
    scale, whole = A[:-1, -1] / A[-1, -1], b[-1] / A[-1, -1]
    # Not at a bound, and none of them out of sight: nothing is known yet
    parts = np.maximum(np.linalg.lstsq(A, b)[0][:-1] * scale, 0.05 * whole / len(kernels))
    residual = max(whole - parts.sum(), 0.1 * whole)
    ratios = np.zeros(len(kernels))
    np.divide(parts, residual * scale, where=(scale > 0.0) & (residual > 0.0), out=ratios)
    return ratios
