"""How X'V^-1 X moves with the two variances, in closed form.

In the basis [F, A] (F the orthonormal fixed effects, A the eigenvectors) V^-1 F = [schur^-1; -lambda s C
schur^-1] with C = A'KF and s = 1 / (1 + lambda values), and K V^-1 F = [(F'KF - lambda C'sC) schur^-1;
s C schur^-1]. P is diag(s) on A and nothing on F.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from henderson.engine.spectral.point import Point
from henderson.engine.spectral.spectrum import Spectrum

Array = NDArray[np.float64]


def gram_slopes(spectrum: Spectrum, point: Point) -> Array:
    """-F'V^-1 V_i V^-1 F for V_i = K and I, shape (2, c, c)."""
    s, C, inverse = point.shrink[:, None], spectrum.cross, point.schur_inverse
    in_ratio = spectrum.gram - C.T @ (point.ratio * s * (1.0 + s) * C)
    in_residual = np.eye(len(inverse)) + C.T @ ((point.ratio * s) ** 2 * C)
    return np.stack([-inverse @ G @ inverse for G in (in_ratio, in_residual)])


def moved_products(spectrum: Spectrum, point: Point) -> Array:
    """F'V^-1 V_i P V_j V^-1 F for V_i and V_j each K or I, shape (2, 2, c, c)."""
    s, C, inverse = point.shrink[:, None], spectrum.cross, point.schur_inverse
    inner = inverse @ (C.T @ (s**3 * C)) @ inverse
    sizes = np.array([1.0, -point.ratio])
    return np.asarray(np.einsum("i,j,ab->ijab", sizes, sizes, inner))


def projected_traces(spectrum: Spectrum, point: Point) -> Array:
    """tr(P V_i P V_j) for V_i and V_j each K or I, shape (2, 2)."""
    s, d = point.shrink, spectrum.values
    rows = np.stack([d * s, s])
    return np.asarray(rows @ rows.T)
