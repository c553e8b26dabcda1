"""Directions in which V is linear, and second derivatives along them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """A direction in (S, R_0), in which V is linear.

    Attributes
    ----------
    S : tuple of ndarray (q, q), or None, per part of the model
    R : ndarray, (t, t), or None
    """

    S: tuple[Array | None, ...]
    R: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Curvature:
    """Second derivatives along given directions in S and R_0, with V linear in them.

    Attributes
    ----------
    logdet : ndarray, (k, k)
        Of log|V| (ML) or log|V| + log|X'V^-1 X| (REML): -tr(P V_i P V_j).
    pwrss : ndarray, (k, k)
        Of y'Py: 2 y'P V_i P V_j P y.
    """

    logdet: Array
    pwrss: Array

    def unprofiled(self, slope: Array, pwrss: float, nu: int) -> Array:
        """Second derivatives of the criterion in the directions and sigma^2, at sigma^2 = pwrss / nu.

        ``slope`` is the derivative of y'Py along the directions.
        """
        k = self.logdet.shape[0]
        sigma2 = pwrss / nu
        H = np.empty((k + 1, k + 1))
        H[:k, :k] = self.logdet + self.pwrss / sigma2
        H[:k, k] = H[k, :k] = -slope / sigma2**2
        H[k, k] = nu / sigma2**2
        return H


def to_absolute(H: Array, x: Array, slope: Array, sigma2: float) -> Array:
    """Second derivatives in (sigma^2 x, sigma^2) from those in (x, sigma^2), x relative (co)variances.

    ``slope`` is the derivative of the criterion in x, zero where an expectation is taken.
    """
    k = x.size
    J = np.eye(k + 1)
    J[:k, :k] /= sigma2
    J[:k, k] = -x / sigma2
    out = J.T @ H @ J
    out[:k, k] -= slope / sigma2**2
    out[k, :k] -= slope / sigma2**2
    out[k, k] += 2.0 * (slope @ x) / sigma2**2
    return np.asarray(out)


def by_direction(products: Array, k: int) -> Array:
    """Sort the products of all columns of all directions: (k p, k p) to (k, k, p, p)."""
    p = len(products) // k
    return np.ascontiguousarray(products.reshape(k, p, k, p).swapaxes(1, 2))
