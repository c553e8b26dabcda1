"""Is a relationship matrix positive semi-definite, by how much not, and the one nearby that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: Eigenvalues above minus this part of the largest are zero: rounding in a file of 32-bit numbers.
ROUNDING = 1e-5


@dataclass(frozen=True, slots=True)
class NegativePart:
    """How far a matrix is from positive semi-definite.

    Attributes
    ----------
    smallest, largest : float
        Its extreme eigenvalues.
    n_below, n : int
        Number of eigenvalues that are below zero by more than rounding, of eigenvalues.
    """

    smallest: float
    largest: float
    n_below: int
    n: int

    def __str__(self) -> str:
        return (
            f"{self.n_below} of its {self.n} eigenvalues lie{'s' * (self.n_below == 1)} below zero, the "
            f"smallest at {self.smallest:.3g} (the largest is {self.largest:.3g})"
        )


def negative_part(G: Array) -> NegativePart | None:
    """What a symmetric matrix has below zero, or None where it is positive semi-definite.

    A Cholesky factor of the matrix with a little added to its diagonal, l^3 / 3 operations, settles most
    cases; only where there is none are the eigenvalues found.

    Parameters
    ----------
    G : ndarray of float64, shape (l, l)
        Symmetric and finite; not changed.

    Returns
    -------
    NegativePart or None

    Examples
    --------
    >>> import numpy as np
    >>> negative_part(np.array([[1.0, 1.0], [1.0, 1.0]])) is None
    True
    >>> print(negative_part(np.array([[1.0, 2.0], [2.0, 1.0]])))
    1 of its 2 eigenvalues lies below zero, the smallest at -1 (the largest is 3)
    """
    from scipy.linalg import eigvalsh
    from scipy.linalg.lapack import dpotrf

    n = G.shape[0]
    work = np.array(G, dtype=np.float64, order="C")
    scale = abs(float(np.trace(G))) / n
    work.flat[:: n + 1] += ROUNDING * scale
    if dpotrf(work.T, lower=1, clean=0, overwrite_a=1)[1] == 0:
        return None
    values = eigvalsh(np.array(G, dtype=np.float64).T, overwrite_a=True, check_finite=False)
    floor = -ROUNDING * max(float(values[-1]), scale)
    if values[0] >= floor:
        return None
    return NegativePart(float(values[0]), float(values[-1]), int((values < floor).sum()), n)


def lifted(G: Array, floor: float) -> tuple[Array, int]:
    """Lift the eigenvalues of symmetric matrices to a floor, and scale those of each so that its trace stays.

    Parameters
    ----------
    G : ndarray, shape (..., l, l)
        Symmetric, with positive diagonals; not changed.
    floor : float
        Positive. As the scaling comes after it, the smallest eigenvalue ends a little below.

    Returns
    -------
    ndarray, shape (..., l, l)
        A matrix without eigenvalues below the floor is as it was.
    int
        Number of eigenvalues that were lifted.
    """
    values, vectors = np.linalg.eigh(G)
    low = values < floor
    up = np.maximum(values, floor)
    up *= values.sum(axis=-1, keepdims=True) / up.sum(axis=-1, keepdims=True)
    half = vectors * np.sqrt(up)[..., None, :]
    bent = np.any(low, axis=-1, keepdims=True)[..., None]
    return np.where(bent, half @ np.swapaxes(half, -1, -2), G), int(low.sum())
