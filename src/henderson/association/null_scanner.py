"""Variants at the null models' variances, in the basis of the eigenvectors of one relationship matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from henderson.association.columns import Columns, wald
from henderson.association.rules import OK
from henderson.engine.ratio.rotation import SpectralRotation

Array = NDArray[np.float64]


class NullScanner:
    """Tests at the components of each trait's null model (EMMAX, GCTA's MLMA), of any number of traits.

    In the basis of the eigenvectors, the fixed effects gone, P is diag(s) with s = 1 / (1 + lambda d): with
    the traits' s the columns of one matrix, x'Px and x'Py of all variants of a block and all traits are two
    matrix products.

    Parameters
    ----------
    rotation : SpectralRotation
        The basis.
    ys : sequence of ndarray, shape (n,)
        A response for each trait.
    ratios : ndarray, shape (T,)
        lambda of each trait's null model.
    sigmas : ndarray, shape (T,)
        Its residual standard deviation.
    """

    side_by_side = True
    as_they_are = False

    def __init__(self, rotation: SpectralRotation, ys: Sequence[Array], ratios: Array, sigmas: Array) -> None:
        self._rotation, self._sigmas = rotation, sigmas
        self._s = 1.0 / (1.0 + np.multiply.outer(ratios, rotation.values))
        self._weighted = np.concatenate([rotation.response(y).columns for y in ys])
        self._weighted *= self._s

    def effects(self, X: Array) -> tuple[Array, Array]:
        """Effects and standard errors (T, b) of variants X (b, n) whose covariates are taken out."""
        rotated = self._rotation.rotate(X)
        beta = self._weighted @ rotated.T
        np.multiply(rotated, rotated, out=rotated)
        xpx = self._s @ rotated.T
        beta /= xpx
        np.sqrt(xpx, out=xpx)
        return beta, np.divide(self._sigmas[:, None], xpx, out=xpx)

    def test(self, X: Array) -> list[Columns]:
        """Effect, standard error and p-value for each trait."""
        status = np.full(X.shape[0], OK)
        return [{**wald(beta, se, None), "status": status} for beta, se in zip(*self.effects(X), strict=True)]
