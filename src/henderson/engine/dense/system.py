"""V in its coordinates, and what it is linear in: S of each term, and R_0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.engine.dense.kernels import TermKernel
from henderson.engine.dense.residual import ResidualKernel
from henderson.engine.directions import Direction

Array = NDArray[np.float64]
#: In S of each term, and in R_0 last.
Slopes = tuple[Array, ...]


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """V = R(R_0) + sum_k K_k(S_k) over N coordinates.

    Coordinates after the first N are independent of all random effects, with residuals of variance one.

    Attributes
    ----------
    terms : tuple of TermKernel
    residual : ResidualKernel
    size : int
        N.
    """

    terms: tuple[TermKernel, ...]
    residual: ResidualKernel
    size: int

    def covariance(self, S: tuple[Array, ...], R0: Array) -> Array:
        """V, (N, N)."""
        V = self.matrix(S)
        self.residual.add(V, R0)
        return V

    def matrix(self, S: tuple[Array | None, ...]) -> Array:
        """What the random effects give V, (N, N); None for a term that is left out."""
        K = np.zeros((self.size, self.size))
        for kernel, own in zip(self.terms, S, strict=True):
            if own is not None:
                kernel.add(K, own)
        return K

    def inner(self, W: Array) -> Slopes:
        """Slopes of <W, V> for a symmetric W over the coordinates, N or more."""
        first = W[: self.size, : self.size]
        return (*(kernel.inner(first) for kernel in self.terms), self.residual.inner(W))

    def squares(self, M: Array) -> Slopes:
        """Slopes of the sum over the columns m of M of m'V m."""
        own = M[: self.size]
        return (*(kernel.squares(own) for kernel in self.terms), self.residual.squares(M))

    def moved(self, direction: Direction, M: Array) -> Array:
        """V_i M along a direction, for M over the coordinates."""
        out = np.zeros_like(M)
        if direction.R is not None:
            out += self.residual.times(direction.R, M)
        for kernel, dS in zip(self.terms, direction.S, strict=True):
            if dS is not None:
                out[: self.size] += kernel.times(dS, M[: self.size])
        return out
