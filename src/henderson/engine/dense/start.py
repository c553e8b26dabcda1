"""Where the search begins: variance components by the method of moments, and the best of some like them.

The sums of squares y'M K_i M y and y'My, M = I - X (X'X)^-1 X', are set equal to what they are expected to
be, which is linear in the elements of S of each term and the residual variance. This is MINQUE (Rao 1972, J.
Am. Stat. Assoc. 67:112) with every prior variance but that of the residual zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from henderson.engine.chart import Chart
from henderson.engine.dense.point import along
from henderson.engine.dense.system import System
from henderson.engine.directions import Direction

Array = NDArray[np.float64]
#: Relative covariances are kept between these eigenvalues, for designs and relationships of unit mean square.
SMALLEST, LARGEST = 1e-2, 1e4
#: The residual takes at least this part of the mean square.
LEAST_RESIDUAL = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class MomentEquations:
    """The equations for the components of one design; they serve any response.

    Attributes
    ----------
    directions : tuple of Direction
        Of each component; the residual variance comes after them.
    scale : ndarray, (k + 1,)
        Root of the diagonal of the matrix of the equations.
    solver : ndarray, (k + 1, k + 1)
        Pseudoinverse of that matrix, scaled to a unit diagonal.
    """

    directions: tuple[Direction, ...]
    scale: Array
    solver: Array

    @classmethod
    def of(cls, system: System, chart: Chart, Q: Array, df: int) -> Self:
        """Set the equations up, for fixed effects Q (N or more, p) in the coordinates; ``df`` is n - p."""
        directions = [way for way in chart.linear_directions() if way.R is None]
        first = Q[: system.size]
        k = len(directions)
        M = np.empty((k + 1, k + 1))
        M[-1, -1] = df
        for i, way in enumerate(directions):
            K = system.matrix(way.S)
            KQ = K @ first
            inner = first.T @ KQ
            M[i, -1] = M[-1, i] = np.trace(K) - np.trace(inner)
            K -= KQ @ first.T
            K -= first @ (KQ - first @ inner).T
            M[i, :-1] = along(system.inner(K), directions)
        scale = np.sqrt(np.abs(np.diag(M)))
        scale[scale == 0.0] = 1.0
        return cls(tuple(directions), scale, np.linalg.pinv(M / np.outer(scale, scale), rcond=1e-8))

    def solve(self, system: System, y: Array, rss: float) -> Array:
        """Components relative to the residual variance, from what least squares leave of y; (k,)."""
        squares = along(system.squares(y[:, None]), list(self.directions))
        v = self.solver @ (np.append(squares, rss) / self.scale) / self.scale
        sigma2 = max(v[-1], LEAST_RESIDUAL * rss / self.scale[-1] ** 2)
        return np.asarray(v[:-1] / sigma2)


def inside(components: Array, scales: tuple[Array, ...]) -> tuple[Array, ...]:
    """T~ of each term from the lower triangles of S, for designs of unit mean square; positive definite."""
    out, start = [], 0
    for P in scales:
        rows, columns = np.tril_indices(len(P))
        order = np.lexsort((rows, columns))
        S = np.empty_like(P)
        own = components[start : start + order.size]
        S[rows[order], columns[order]] = S[columns[order], rows[order]] = own
        values, vectors = np.linalg.eigh(P @ S @ P.T)
        out.append(np.linalg.cholesky((vectors * np.clip(values, SMALLEST, LARGEST)) @ vectors.T))
        start += order.size
    return tuple(out)
