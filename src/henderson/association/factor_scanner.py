"""Variants at the null model's variances by a Cholesky factor of V: no eigenvectors are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.association.columns import Columns, wald
from henderson.association.rules import OK
from henderson.engine.dense import Factor

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FactorTrait:
    """One response of a `FactorScanner`.

    Attributes
    ----------
    factor : Factor
        V relative to the residual variance, at the components of the model without a variant; traits may
        share one.
    y : ndarray, shape (n,)
        The response.
    sigma : float
        Residual standard deviation of the model without a variant.
    """

    factor: Factor
    y: Array
    sigma: float


class FactorScanner:
    """The same numbers as a scan at null components by eigenvectors (EMMAX, GCTA's MLMA).

    With V = L L', and L^-1 X = Q R the covariates in its coordinates, z = (I - QQ') L^-1 x gives x'Px = z'z
    and x'Py = z'(I - QQ') L^-1 y. A variant costs n^2 operations for each factor.

    Parameters
    ----------
    traits : sequence of FactorTrait
        Responses of the same people and covariates.
    """

    side_by_side = False  # a triangular solve keeps other threads waiting, and takes all processors itself
    as_they_are = False

    def __init__(self, traits: Sequence[FactorTrait]) -> None:
        self._groups: list[tuple[Factor, list[int], Array]] = []
        self._sigmas = [trait.sigma for trait in traits]
        for factor in {id(trait.factor): trait.factor for trait in traits}.values():
            own = [k for k, trait in enumerate(traits) if trait.factor is factor]
            residuals = factor.whiten(np.column_stack([traits[k].y for k in own]))
            self._groups.append((factor, own, residuals))

    def test(self, X: Array) -> list[Columns]:
        """One triangular solve for all responses that share a factor."""
        found: dict[int, Columns] = {}
        for factor, own, residuals in self._groups:
            Z = factor.whiten(X.T)
            xpx = np.einsum("nb,nb->b", Z, Z)
            for k, xpy in zip(own, residuals.T @ Z, strict=True):
                status = np.full(xpx.size, OK)
                found[k] = {**wald(xpy / xpx, self._sigmas[k] / np.sqrt(xpx), None), "status": status}
        return [found[k] for k in range(len(self._sigmas))]
