"""What Satterthwaite's degrees of freedom are made of, small enough to be kept with the estimates."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.coordinates import Coordinates, Straight
from henderson.fit.solve import Fitted

Array = NDArray[np.float64]
logger = logging.getLogger("henderson")
#: Directions with less information than this, in units in which every parameter has one, have none.
FLAT = 1e-10
#: A curvature below minus this part of the largest is no rounding.
FALLING = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class SatterthwaitePieces:
    """How well the variance parameters are known, and how the covariance of the fixed effects hangs on them.

    Attributes
    ----------
    A : ndarray, (k + 1, k + 1)
        Asymptotic covariance of (theta, sigma^2): the inverse of the observed information.
    slopes : ndarray, (k + 1, p, p)
        Derivatives of the covariance of the fixed effects in (theta, sigma^2).
    """

    A: Array
    slopes: Array


def satterthwaite_pieces(fitted: Fitted) -> SatterthwaitePieces:
    """Exact derivatives at an optimum; nothing here is a finite difference.

    Notes
    -----
    The information is inverted in the free coordinates of the search. At a bound (a variance of zero, a
    correlation of one) the covariance of the fixed effects has no slope in them, so that a parameter there
    counts as known: the degrees of freedom are those of the model without it. Directions without
    information, such as rotations of the null space of a singular covariance, have no slope either and are
    left out.
    """
    engine, theta, reml = fitted.engine, fitted.theta, fitted.reml
    sigma2 = fitted.criterion.sigma2(reml)
    residual = Coordinates(np.array([[sigma2]]), (Straight(),))
    coordinates = Coordinates.joined([engine.coordinates(), residual])
    at = np.append(theta, sigma2)
    phi = coordinates.phi(at)
    observed = _information(fitted, sigma2)
    gradient = 0.5 * fitted.criterion.unprofiled_gradient(sigma2, reml)
    J = coordinates.jacobian(phi)
    A = J @ _inverse(coordinates.hessian(phi, gradient, observed)) @ J.T
    return SatterthwaitePieces(A=A, slopes=engine.fixed_slopes(theta, reml=reml))


def _information(fitted: Fitted, sigma2: float) -> Array:
    """Observed information on (theta, sigma^2), from the second derivatives of the profiled criterion."""
    engine, criterion, reml = fitted.engine, fitted.criterion, fitted.reml
    nu, slope = criterion.df(reml), criterion.d_pwrss
    k = slope.size
    H = np.empty((k + 1, k + 1))
    H[:k, :k] = engine.profiled_hessian(fitted.theta, reml=reml, kind="observed")
    H[:k, :k] += np.outer(slope, slope) / (nu * sigma2**2)
    H[:k, k] = H[k, :k] = -slope / sigma2**2
    H[k, k] = nu / sigma2**2
    return 0.5 * H


def _inverse(H: Array) -> Array:
    """Pseudo-inverse on the directions in which the criterion rises."""
    size = np.abs(np.diag(H))
    if np.linalg.eigvalsh(H)[0] < -FALLING * size.max():
        logger.warning(
            "the criterion falls in some direction from these estimates, so that they are no optimum: "
            "Satterthwaite's degrees of freedom leave that direction out"
        )
    scale = 1.0 / np.sqrt(np.maximum(size, np.finfo(float).eps * size.max()))
    values, vectors = np.linalg.eigh(H * np.outer(scale, scale))
    rising = values > FLAT
    root = scale[:, None] * vectors[:, rising] / np.sqrt(values[rising])
    return np.asarray(root @ root.T)
