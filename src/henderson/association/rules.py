"""Which variants a scan tests, and where it looks for the variance components."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from henderson.engine.ratio.variants import Range
from henderson.errors import DataError
from henderson.genotype.counts import VariantCounts

Array = NDArray[np.float64]
OK = "ok"
#: The share of genetic variance is looked for between this and one minus this, and at zero.
NARROWEST = 1e-5


@dataclass(frozen=True, slots=True)
class ScanRules:
    """Which variants are tested, and where the variance ratio lambda is looked for.

    Attributes
    ----------
    min_maf : float
        Least frequency of the rarer allele among the analysed people with a call.
    max_missing : float
        Largest proportion of analysed people without a call.
    gemma : bool
        GEMMA's own choices: the relationship matrix is centred, lambda lies in [1e-5, 1e5] and may be at
        either end, and a variant is left out if the covariates explain more than 0.9999 of its squares.
        Otherwise lambda may be zero and reaches up to h2 = 1 - 1e-5 (for a matrix whose mean eigenvalue
        is one), maximum likelihood leaves out fixed effects along which alone the matrix is zero, and a
        variant is left out if the covariates leave less than 1e-8 of its variance.

    Examples
    --------
    >>> ScanRules(min_maf=0.01)
    ScanRules(min_maf=0.01, max_missing=1.0, gemma=False)
    >>> ScanRules.like_gemma()
    ScanRules(min_maf=0.01, max_missing=0.05, gemma=True)
    """

    min_maf: float = 0.0
    max_missing: float = 1.0
    gemma: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.min_maf <= 0.5:
            raise DataError(f"the least allele frequency must lie between 0 and 0.5; it is {self.min_maf}")
        if not 0.0 <= self.max_missing <= 1.0:
            raise DataError(f"the largest missing rate must lie between 0 and 1; it is {self.max_missing}")

    @classmethod
    def like_gemma(cls) -> ScanRules:
        """GEMMA's defaults: frequency from 0.01 to 0.99, at most 5 % missing."""
        return cls(min_maf=0.01, max_missing=0.05, gemma=True)

    def ratio_range(self, mean_relationship: float) -> Range:
        """Where lambda is looked for; ``mean_relationship`` is the mean eigenvalue of K."""
        if self.gemma:
            return Range(log(1e-5), log(1e5), zero=False, unbounded=True)
        scale = log(mean_relationship) if mean_relationship > 0.0 else 0.0
        return Range(log(NARROWEST) - scale, -log(NARROWEST) - scale)

    def judge(self, counts: VariantCounts) -> NDArray[np.object_]:
        """`OK`, or why a variant is not tested; shape (b,)."""
        p = counts.frequency
        with np.errstate(invalid="ignore"):
            conditions = {
                "no calls": counts.n_missing == counts.n_people,
                "monomorphic": ~counts.varies,
                f"missing rate above {self.max_missing:g}": (
                    counts.n_missing > self.max_missing * counts.n_people
                ),
                f"allele frequency below {self.min_maf:g}": ((p < self.min_maf) | (p > 1.0 - self.min_maf)),
            }
        return np.select(list(conditions.values()), list(conditions), default=OK).astype(object)

    def least_squares(self, X: Array) -> Array:
        """What the covariates must leave of each variant's squares at least, shape (b,)."""
        squares = np.einsum("bn,bn->b", X, X)
        if self.gemma:
            return np.asarray(1e-4 * squares)
        return np.asarray(1e-8 * (squares - X.shape[1] * X.mean(axis=1) ** 2))
