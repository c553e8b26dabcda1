"""Roots of S = T T' that keep the slopes in S where S is singular."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: What stands for a standard deviation of zero: its square is below rounding, and it is not.
LIFTED = 1e-10
#: Singular values below this part of the largest are zero.
ROUNDING = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """S = U diag(sizes^2) U' of one term, in an orthonormal design.

    The slope of log|V| in S is G = trace over levels of Z'V^-1 Z, and what the selected inverse gives is G T.
    Where T is singular this says nothing of G in the null space. But all that is computed is a rational
    function of the standard deviations with no term of their first power, whose rounding is relative to each
    of them: at ``LIFTED`` instead of zero values change by 1e-20, and G T / LIFTED is G to full precision.

    Attributes
    ----------
    U : ndarray, (q, q)
        Orthogonal.
    sizes : ndarray, (q,)
        Standard deviations along the columns of U.
    """

    U: Array
    sizes: Array

    @classmethod
    def of(cls, T: Array) -> Root:
        """The root of T T' for any T of q rows and at least as many columns."""
        U, sizes, _ = np.linalg.svd(T, full_matrices=False)
        return cls(U, np.where(sizes > ROUNDING * sizes[0], sizes, 0.0))

    @property
    def exact(self) -> Array:
        """T with columns of zeros in the null space."""
        return self.U * self.sizes

    @property
    def S(self) -> Array:
        """T T'."""
        return self.exact @ self.exact.T

    @property
    def lifted(self) -> Array:
        """T without a null space."""
        return self.U * self._lifted_sizes

    @property
    def _lifted_sizes(self) -> Array:
        return np.maximum(self.sizes, LIFTED)

    def slope(self, GT: Array) -> Array:
        """G from G T at the lifted T: each element from the larger of its two columns."""
        size = self._lifted_sizes
        Y = (self.U.T @ GT) * size
        G = (Y + Y.T) / (size[:, None] ** 2 + size**2)
        return np.asarray(self.U @ G @ self.U.T)
