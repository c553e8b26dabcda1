"""The largest eigenvalues of a symmetric matrix that is formed, or of one that can only be multiplied by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Purpose of the random numbers, in the seed sequences of the package.
_START = 7101
_SPARE = 10  # vectors beside those wanted: the last ones converge sooner
_KEPT, _MOST = 3, 12  # blocks that a restart keeps, and those at which it happens
_NEGLIGIBLE = 1e-10  # of a new direction: what is left of one that was there already


@dataclass(frozen=True, slots=True, eq=False)
class Leading:
    """Leading eigenvalues and eigenvectors.

    Attributes
    ----------
    values : ndarray of float64, shape (k,)
        Eigenvalues, largest first.
    vectors : ndarray of float64, shape (n, k)
        Eigenvectors of length one, in their order.
    residual : float
        The largest |A v - lambda v| / lambda.
    passes : int
        Products of the matrix with a block of vectors.
    """

    values: Floats
    vectors: Floats
    residual: float
    passes: int


def leading_of_matrix(A: Floats, k: int) -> Leading:
    """The k leading eigenvectors of a symmetric matrix (n, n), by LAPACK."""
    from scipy.linalg import eigh

    n = len(A)
    values, vectors = eigh(A, subset_by_index=[n - k, n - 1])
    values, vectors = values[::-1].copy(), np.ascontiguousarray(vectors[:, ::-1])
    return Leading(values, vectors, _relative(A @ vectors - vectors * values, values), 1)


def leading_krylov(
    multiply: Callable[[Floats], Floats],
    n: int,
    k: int,
    *,
    tolerance: float,
    seed: int,
    most_passes: int = 100,
) -> Leading:
    """The k leading eigenvectors of a positive semi-definite matrix, by a block Krylov subspace.

    A basis Q grows by one block at a time. By Rayleigh and Ritz, the eigenvectors Y of Q'AQ give the best
    vectors V = QY in it; what they lack, AV - V diag(lambda), is the next block (which spans the same space
    as the next power of A times the random start). When Q is large, it shrinks to the best of V and goes on.

    Parameters
    ----------
    multiply : callable
        A times the columns of an array (n, b).
    n, k : int
        Size of the matrix, and how many eigenvectors.
    tolerance : float
        The largest |A v - lambda v| / lambda to stop at.
    seed : int
        Of the random start.
    most_passes : int
        Products after which to stop in any case.

    Returns
    -------
    Leading
        Its ``residual`` says whether the tolerance was met.

    Notes
    -----
    Musco & Musco 2015, "Randomized block Krylov methods for stronger and faster approximate singular value
    decomposition", NeurIPS 28, Algorithm 2; restarts as Wu & Simon 2000, SIAM Journal on Matrix Analysis
    22:602-616.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_START, 0)))
    b = min(k + _SPARE, n)
    Q = np.linalg.qr(rng.standard_normal((n, b)))[0]
    AQ = multiply(Q)
    passes = 1
    while True:
        inner = Q.T @ AQ
        values, Y = np.linalg.eigh((inner + inner.T) / 2)
        values, Y = values[::-1], Y[:, ::-1]
        V, AV = Q @ Y[:, :b], AQ @ Y[:, :b]
        lacking = AV - V * values[:b]
        residual = _relative(lacking[:, :k], values[:k])
        if residual <= tolerance or passes >= most_passes or Q.shape[1] >= n:
            return Leading(values[:k].copy(), V[:, :k], residual, passes)
        if Q.shape[1] >= _MOST * b:
            Y = Y[:, : _KEPT * b]
            Q, AQ = Q @ Y, AQ @ Y
        new = _new_directions(lacking, Q)
        if not new.shape[1]:
            return Leading(values[:k].copy(), V[:, :k], residual, passes)
        Q, AQ = np.hstack([Q, new]), np.hstack([AQ, multiply(new)])
        passes += 1


def _new_directions(block: Floats, Q: Floats) -> Floats:
    """An orthonormal basis of what the columns of a block have outside those of Q."""
    length = np.linalg.norm(block, axis=0)
    block = block[:, length > 0] / length[length > 0]
    for _ in range(2):  # once more, since rounding in the first round leaves a little of Q
        block = block - Q @ (Q.T @ block)
    U, size, _ = np.linalg.svd(block, full_matrices=False)
    new: Floats = U[:, size > _NEGLIGIBLE][:, : Q.shape[0] - Q.shape[1]]
    return new - Q @ (Q.T @ new)


def _relative(lacking: Floats, values: Floats) -> float:
    """The largest residual, each relative to its eigenvalue."""
    size = np.linalg.norm(lacking, axis=0)
    return float((size / np.maximum(values, np.finfo(float).tiny)).max())
