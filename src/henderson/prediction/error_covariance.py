"""Covariance of the errors of predictions, from the joint posterior covariance of (beta, b)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from henderson.engine import EffectCovariance
from henderson.fit import FittedModel
from henderson.prediction.rows import Rows

Array = NDArray[np.float64]
Index = NDArray[np.intp]
#: Numbers in the covariances of the effects of as many rows as are looked at together.
CHUNK = 4_000_000


def error_covariance(fit: FittedModel, rows: Rows, others: Rows) -> Array:
    """Covariance of the errors of x'beta + z'b, row i of one with row i of the other, which has its levels.

    Henderson (1975), Biometrics 31:423-447: (x - B'z)' cov_beta (x - B'z) + z'Cz, see `EffectCovariance`.

    Parameters
    ----------
    fit : FittedModel
        With its engine, unless no row has a random effect.
    rows, others : Rows
        The same ones for variances.

    Returns
    -------
    ndarray, shape (n,)
    """
    cov_beta = fit.estimates.cov_beta
    n, p = rows.X.shape
    Q = rows.z.shape[1]
    if not (rows.z.any() or others.z.any()):
        return inner(rows.X, cov_beta, others.X)
    out = np.empty(n)
    for part, levels, which in _combinations(rows.levels, max(1, CHUNK // (Q * (Q + p)))):
        effects = effect_covariance(fit, levels)
        B, z, w = effects.B[which], rows.z[part], others.z[part]
        d = rows.X[part] - np.einsum("nqp,nq->np", B, z)
        e = d if others is rows else others.X[part] - np.einsum("nqp,nq->np", B, w)
        out[part] = inner(d, cov_beta, e) + np.einsum("nab,na,nb->n", effects.C[which], z, w)
    return out


def effect_covariance(fit: FittedModel, levels: Index) -> EffectCovariance:
    """`Engine.effect_cov` at the estimates."""
    found: EffectCovariance = fit.engine.effect_cov(fit.estimates.theta, levels, reml=fit.estimates.reml)
    return found


def inner(x: Array, A: Array, y: Array) -> Array:
    """The number x'A y of each row."""
    return np.asarray(np.einsum("na,na->n", x @ A, y))


def _combinations(levels: NDArray[np.int64], size: int) -> Iterator[tuple[Index, Index, Index]]:
    """Rows with like levels together, in parts of a size: rows, distinct levels, which of these each has."""
    order = np.lexsort(levels.T)
    for start in range(0, len(levels), size):
        part = order[start : start + size]
        own = levels[part]
        first = np.append(True, (own[1:] != own[:-1]).any(axis=1))
        yield part, own[first].astype(np.intp, copy=False), np.cumsum(first) - 1
