"""Which variants a scan tests, and where it looks for the variance components."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from henderson.engine.ratio.variants import Range
from henderson.errors import DataError
from henderson.genotype.counts import VariantCounts
from henderson.genotype.hwe import hwe_p_values
from henderson.genotype.source import GenotypeSource

Array = NDArray[np.float64]
OK = "ok"
#: The share of genetic variance is looked for between this and one minus this, and at zero.
NARROWEST = 1e-5
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class ScanRules:
    """Which variants are tested, and where the variance ratio lambda is looked for.

    Attributes
    ----------
    min_maf : float
        Least frequency of the rarer allele among the analysed people with a call.
    max_missing : float
        Largest proportion of analysed people without a call.
    min_mac : float
        Least number of the rarer allele among the analysed people; whoever has one copy of a chromosome has
        one allele of it.
    min_hwe : float
        Least p-value of the exact test of Hardy-Weinberg equilibrium among the analysed people who have two
        copies of the chromosome.
    min_info : float
        Least ratio of the variance of imputed dosages to that of known genotypes (MaCH's r-squared).
    gemma : bool
        GEMMA's own choices: the relationship matrix is centred, lambda lies in [1e-5, 1e5] and may be at
        either end, and a variant is left out if the covariates explain more than 0.9999 of its squares.
        Otherwise lambda may be zero and reaches up to h2 = 1 - 1e-5 (for a matrix whose mean eigenvalue
        is one), maximum likelihood leaves out fixed effects along which alone the matrix is zero, and a
        variant is left out if the covariates leave less than 1e-8 of its variance.

    Examples
    --------
    >>> ScanRules(min_maf=0.01)
    ScanRules(min_maf=0.01, max_missing=1.0, min_mac=0.0, min_hwe=0.0, min_info=0.0, gemma=False)
    >>> ScanRules.like_gemma().max_missing
    0.05
    """

    min_maf: float = 0.0
    max_missing: float = 1.0
    min_mac: float = 0.0
    min_hwe: float = 0.0
    min_info: float = 0.0
    gemma: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.min_maf <= 0.5:
            raise DataError(f"the least allele frequency must lie between 0 and 0.5; it is {self.min_maf}")
        if not 0.0 <= self.max_missing <= 1.0:
            raise DataError(f"the largest missing rate must lie between 0 and 1; it is {self.max_missing}")
        if not self.min_mac >= 0.0:
            raise DataError(f"the least allele count must be 0 or more; it is {self.min_mac}")
        if not 0.0 <= self.min_hwe < 1.0:
            raise DataError(
                f"the least p-value of Hardy-Weinberg equilibrium must be 0 or more and below 1; "
                f"it is {self.min_hwe}"
            )
        if not self.min_info >= 0.0:
            raise DataError(f"the least info must be 0 or more; it is {self.min_info}")

    @classmethod
    def like_gemma(cls) -> ScanRules:
        """GEMMA's defaults: frequency from 0.01 to 0.99, at most 5 % missing."""
        return cls(min_maf=0.01, max_missing=0.05, gemma=True)

    def check(self, source: GenotypeSource) -> None:
        """Refuse rules that genotypes like these cannot be judged by.

        Raises
        ------
        DataError
            If there is a least info, and these are hard calls.
        """
        if self.min_info > 0.0 and not source.has_dosages:
            raise DataError(
                "info (min_info, --info) tells how well dosages are imputed, and these genotypes are hard "
                "calls: leave it out"
            )

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
                    counts.n_missing > (self.max_missing + _ROUNDING) * counts.n_people
                ),
                f"allele frequency below {self.min_maf:g}": np.minimum(p, 1.0 - p) < self.min_maf - _ROUNDING,
            }
            if self.min_mac > 0.0:
                few = counts.minor_alleles < self.min_mac - _ROUNDING * counts.n_alleles
                conditions[f"allele count below {self.min_mac:g}"] = few
            if self.min_info > 0.0:
                conditions[f"info below {self.min_info:g}"] = counts.info < self.min_info
            if self.min_hwe > 0.0:
                unlikely = hwe_p_values(counts.diploid) < self.min_hwe
                conditions[f"Hardy-Weinberg p below {self.min_hwe:g}"] = unlikely
        return np.select(list(conditions.values()), list(conditions), default=OK).astype(object)

    def least_squares(self, X: Array) -> Array:
        """What the covariates must leave of each variant's squares at least, shape (b,)."""
        squares = np.einsum("bn,bn->b", X, X)
        if self.gemma:
            return np.asarray(1e-4 * squares)
        return np.asarray(1e-8 * (squares - X.shape[1] * X.mean(axis=1) ** 2))
