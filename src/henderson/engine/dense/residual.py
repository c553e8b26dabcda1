"""What the residuals give V: R(R_0), linear in R_0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit, Residual
from henderson.engine.dense.blocks import pairs

Array = NDArray[np.float64]
Index = NDArray[np.integer]


class ResidualKernel(Protocol):
    """R(R_0) over the coordinates, linear in R_0 (t, t)."""

    def add(self, V: Array, R0: Array) -> None:
        """V += R(R_0)."""
        ...

    def inner(self, W: Array) -> Array:
        """The G with <W, R(R_0)> = <G, R_0>, for a symmetric W."""
        ...

    def squares(self, M: Array) -> Array:
        """The G with sum over columns m of m'R(R_0) m = <G, R_0>."""
        ...

    def times(self, R0: Array, M: Array) -> Array:
        """R(R_0) M."""
        ...


@dataclass(frozen=True, slots=True)
class Independent:
    """R = R_0 I with a single number."""

    def add(self, V: Array, R0: Array) -> None:
        """Add to the diagonal."""
        V[np.diag_indices(len(V))] += R0[0, 0]

    def inner(self, W: Array) -> Array:
        """The trace."""
        return np.array([[np.trace(W)]])

    def squares(self, M: Array) -> Array:
        """The sum of squares."""
        return np.array([[np.vdot(M, M)]])

    def times(self, R0: Array, M: Array) -> Array:
        """R_0 M."""
        return np.asarray(R0[0, 0] * M)


@dataclass(frozen=True, slots=True, eq=False)
class WithinUnits:
    """Records i, j of the same unit, at positions a, b of it, have R_0[a, b]; records are the coordinates."""

    i: Index
    j: Index
    a: Index
    b: Index
    t: int

    def add(self, V: Array, R0: Array) -> None:
        """Add the blocks."""
        V[self.i, self.j] += R0[self.a, self.b]

    def inner(self, W: Array) -> Array:
        """Sums of W over the pairs of positions."""
        return self._by_position(W[self.i, self.j])

    def squares(self, M: Array) -> Array:
        """Sums of M M' over the pairs of positions."""
        return self._by_position(np.einsum("km,km->k", M[self.i], M[self.j]))

    def _by_position(self, weights: Array) -> Array:
        summed = np.bincount(self.a * self.t + self.b, weights, minlength=self.t**2)
        return np.asarray(summed.reshape(self.t, self.t))

    def times(self, R0: Array, M: Array) -> Array:
        """R(R_0) M."""
        from scipy.sparse import csr_array

        R = csr_array((R0[self.a, self.b], (self.i, self.j)), shape=(len(M), len(M)))
        return np.asarray(R @ M)


def residual_kernel(residual: Residual) -> ResidualKernel:
    """That of a model whose rows are weighted already."""
    if not isinstance(residual, ByUnit):
        return Independent()
    i, j = pairs(residual.unit, residual.unit)
    at = residual.position
    return WithinUnits(i, j, at[i], at[j], residual.covariance.q)
