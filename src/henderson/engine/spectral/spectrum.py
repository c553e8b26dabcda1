"""Eigenvalues and eigenvectors of a relationship matrix once the fixed effects are taken out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.psd import ROUNDING, NegativePart
from henderson.errors import DataError

Array = NDArray[np.float64]
#: Up to here LAPACK's divide-and-conquer driver can address its work space.
DIVIDE_AND_CONQUER = 30_000


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Q'KQ = U diag(values) U', where the columns of Q span the complement of the fixed effects X (n, c).

    With A = Q U and r = n - c, everything that REML asks of V = I + lambda K is a weighted sum:
    P = A diag(1 / (1 + lambda values)) A' (Patterson & Thompson 1971; Kang et al. 2008, Genetics 178:1709).
    What maximum likelihood needs besides is the (c, c) Schur complement of V in the basis [fixed, A], made of
    ``gram`` and ``cross``: log|V| = sum log(1 + lambda values) + log|I + lambda gram
    - lambda^2 cross' diag(1 / (1 + lambda values)) cross|.

    Attributes
    ----------
    values : ndarray, shape (r,)
        Eigenvalues, ascending, none negative.
    vectors : ndarray, shape (n, r)
        A: orthonormal columns, orthogonal to X.
    fixed : ndarray, shape (n, c)
        Orthonormal basis of X.
    gram : ndarray, shape (c, c)
        fixed' K fixed.
    cross : ndarray, shape (r, c)
        A' K fixed.
    """

    values: Array
    vectors: Array
    fixed: Array
    gram: Array
    cross: Array


def decompose(K: Array, fixed: Array) -> Spectrum:
    """Take the fixed effects out of K and diagonalise what is left; K is overwritten.

    Parameters
    ----------
    K : ndarray, shape (n, n)
        Symmetric, positive semi-definite, C-contiguous; used as work space.
    fixed : ndarray, shape (n, c)
        Orthonormal basis of the fixed effects.

    Raises
    ------
    DataError
        If K has an eigenvalue clearly below zero in the complement of the fixed effects.
    """
    from scipy.linalg import eigh

    n, c = fixed.shape
    Kx = K @ fixed
    gram = fixed.T @ Kx
    gram = 0.5 * (gram + gram.T)
    # M K M with M = I - fixed fixed', and the fixed effects set apart at an eigenvalue of -apart
    apart = float(np.trace(K)) / n or 1.0
    half = Kx - 0.5 * fixed @ gram
    K -= half @ fixed.T
    K -= fixed @ (half.T + apart * fixed.T)
    driver = "evd" if n <= DIVIDE_AND_CONQUER else "evr"
    values, vectors = eigh(K.T, driver=driver, overwrite_a=True, check_finite=False)
    _check(values, c, apart)
    values, vectors = values[c:], vectors[:, c:]
    values[values < n * np.finfo(float).eps * max(values[-1], apart)] = 0.0
    return Spectrum(values, vectors, fixed, gram, vectors.T @ Kx)


def _check(values: Array, c: int, apart: float) -> None:
    """Refuse a matrix that is not positive semi-definite, and say by how much."""
    own = np.delete(values, np.argsort(np.abs(values + apart), kind="stable")[:c])
    floor = -ROUNDING * max(own[-1], apart)
    if own[0] < floor:
        found = NegativePart(float(own[0]), float(own[-1]), int((own < floor).sum()), own.size)
        raise DataError(
            f"the relationship matrix is not positive semi-definite beside the fixed effects: {found}; is it "
            "one of distances? if not, mean-impute genotypes (missing='mean'), or take hd.bend(G), --bend"
        )
