"""Orthonormal bases for the designs, so that cross-products keep their digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.linalg.pivoting import triangular_factor

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FixedBasis:
    """W^1/2 X = Q R, and the weighted residual of y on it.

    Attributes
    ----------
    columns : ndarray, shape (n, p + 1)
        Q, then the weighted least-squares residual of y.
    R : ndarray, shape (p, p)
        Upper-triangular factor.
    Qy : ndarray, shape (p,)
        Q'W^1/2 y: what the residual leaves out.
    """

    columns: Array
    R: Array
    Qy: Array

    @property
    def gram(self) -> Array:
        """Cross-products of the columns, (p + 1, p + 1)."""
        return self.columns.T @ self.columns


def fixed_basis(X: Array, y: Array, root_weights: Array | None) -> FixedBasis:
    """Orthonormalise the weighted fixed effects and take them out of the response."""
    Q, R = np.linalg.qr(X if root_weights is None else X * root_weights[:, None])
    return with_response(Q, R, y if root_weights is None else y * root_weights)


def with_response(Q: Array, R: Array, y: Array) -> FixedBasis:
    """The basis of a design that is already orthonormalised, for a weighted response."""
    Qy = Q.T @ y
    residual = y - Q @ Qy
    # Once more: rounding of a response far from zero (a mean of 1e6) is left in the first residual.
    again = Q.T @ residual
    return FixedBasis(np.column_stack([Q, residual - Q @ again]), R, Qy + again)


def column_scale(Z: Array) -> Array:
    """Lower-triangular P with Z = Z~ P and Z~'Z~ = n I, shape (q, q).

    Then S~ = P S P' and T~ = P T stays lower triangular. A design whose columns are dependent gets
    the diagonal matrix of their root mean squares.
    """
    n, q = Z.shape
    size = np.sqrt(np.einsum("nq,nq->q", Z, Z) / n)
    size[size == 0.0] = 1.0
    if q == 1:
        return np.asarray(size[:, None])
    reverse = triangular_factor((Z / size)[:, ::-1])
    if reverse.shape[0] < q or np.abs(np.diag(reverse)).min() < 1e-10 * np.sqrt(n):
        return np.diag(size)
    P = reverse[::-1, ::-1] / np.sqrt(n)
    return np.asarray(P * np.where(np.diag(P) < 0.0, -1.0, 1.0)[:, None] * size)
