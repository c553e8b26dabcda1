"""The models behind a scan, stage by stage: the whole genome at once, or a chromosome at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.association.factor_scanner import FactorScanner, FactorTrait
from henderson.association.interaction import environments, interaction_scanner
from henderson.association.null_models import NullModels
from henderson.association.relatedness import Part, Related
from henderson.association.rules import ScanRules
from henderson.association.scanners import Scanner, Test, make_scanner
from henderson.covariance import DenseRelationship
from henderson.engine.dense import factor, reml
from henderson.errors import DataError, ModelNotSupportedError
from henderson.genotype.blocks import Mask
from henderson.genotype.source import Strings
from henderson.lmm import LmerResult

Array = NDArray[np.float64]
logger = logging.getLogger("henderson")
#: Whether the variance components of ``test="null"`` are those of each chromosome's model, or the genome's.
Components = Literal["chromosome", "genome"]
#: So many traits at most have Cholesky factors of their own; with more, eigenvectors serve all of them.
_FACTORS = {"chromosome": 2, "genome": 16}


@dataclass(frozen=True, slots=True)
class Method:
    """How variants are tested.

    Attributes
    ----------
    test : {"exact", "null"}
        Whether each variant has variance components of its own.
    components : {"chromosome", "genome"}
        With ``test="null"`` and a chromosome left out: whose components.
    rules : ScanRules
        Which variants are tested.
    interactions : tuple of str
        Covariates that a variant's effect may depend on: `interaction_scanner`.
    interaction_kernel : bool
        Whether they have relationship matrices of their own.
    """

    test: Test
    components: Components
    rules: ScanRules
    interactions: tuple[str, ...] = ()
    interaction_kernel: bool = True

    def __post_init__(self) -> None:
        if self.test not in get_args(Test):
            raise DataError(f"test must be 'exact' or 'null', not {self.test!r}")
        if self.components not in get_args(Components):
            raise DataError(f"loco_components must be 'chromosome' or 'genome', not {self.components!r}")
        if self.interactions and self.test == "exact":
            raise DataError(
                "interactions are tested with the variance components of the model without a variant: use "
                "test='null'"
            )
        if self.interactions and self.components == "genome":
            raise DataError("interactions are tested with the components of each chromosome's model only")
        if self.components == "genome" and self.test == "exact":
            raise DataError(
                "test='exact' estimates the components for each variant anew, so that "
                "loco_components='genome' has no meaning there: use it with test='null'"
            )


@dataclass(frozen=True, slots=True)
class Estimates:
    """Variance components of the model without a variant, behind the tests of some variants.

    Attributes
    ----------
    chromosome : str
        Whose variants; empty for the whole genome.
    genetic_variance, residual_variance : float
        Of g (per unit of the relationship's diagonal) and of e.
    log_likelihood : float
        The restricted one, with all its constants.
    interaction_variance : float
        Of effects that depend on covariates, in a person of average covariates; all together.
    """

    chromosome: str
    genetic_variance: float
    residual_variance: float
    log_likelihood: float
    interaction_variance: float = 0.0

    @property
    def h2(self) -> float:
        """The part of the variance that g has."""
        total = self.genetic_variance + self.interaction_variance + self.residual_variance
        return self.genetic_variance / total


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Variants that are tested by the same models.

    Attributes
    ----------
    name : str
        The chromosome; empty for the whole genome.
    variants : ndarray of bool, shape (m,), or None
        Which; by default all.
    prepare : callable
        Fits the models: gives what tests blocks of variants, and each trait's estimates (none where the
        formula names the random effects). Dear, and to be called once.
    """

    name: str
    variants: Mask | None
    prepare: Callable[[], tuple[Scanner, list[Estimates]]]


def stages(
    nulls: NullModels, related: Related | None, method: Method, chromosome: Strings
) -> Iterator[Stage]:
    """The stages of a scan of variants on these chromosomes, in their order."""
    if method.interactions and related is None:
        raise ModelNotSupportedError(
            "interactions of variants are tested with a relationship matrix: give one (relationship='loco' "
            "or 'grm') and leave out the random effects of the formula"
        )
    if related is None:
        yield Stage("", None, lambda: (make_scanner(nulls.fits, method.test, method.rules), []))
        return
    for part in related.parts(nulls.people, chromosome):
        yield Stage(part.name, part.variants, partial(_prepared, nulls, part, method))


def _prepared(nulls: NullModels, part: Part, method: Method) -> tuple[Scanner, list[Estimates]]:
    """Models with the relationship of a part, and what they estimate."""
    if method.interactions:
        return _interacting(nulls, part, method)
    if part.without is None:
        scanner = make_scanner(nulls.fits, method.test, method.rules)
        return scanner, [_estimates(part.name, fit) for fit in nulls.fits]
    K = nulls.cut(part.without())
    if method.test == "null" and len(nulls.fits) <= _FACTORS[method.components]:
        models = [_factored(part, K.matrix, fit, method.components) for fit in nulls.fits]
        return FactorScanner([trait for trait, _ in models]), [found for _, found in models]
    fits = nulls.refit(K)
    found = [_estimates(part.name, fit) for fit in fits]
    if method.components == "genome":
        return make_scanner(fits, method.test, method.rules, components=nulls.fits), found
    return make_scanner(fits, method.test, method.rules), found


def _interacting(nulls: NullModels, part: Part, method: Method) -> tuple[Scanner, list[Estimates]]:
    """Models of variants whose effects may depend on covariates."""
    first = nulls.fits[0].engine.model
    if part.without is None:
        relationship = first.terms[0].relationship
        assert isinstance(relationship, DenseRelationship)
        K = relationship.matrix
    else:
        K = nulls.cut(part.without()).matrix
    scanner, fits = interaction_scanner(
        K,
        first.X,
        [fit.engine.model.y for fit in nulls.fits],
        environments(nulls.design, method.interactions),
        kernel=method.interaction_kernel,
    )
    found = []
    for fit in fits:
        variances = fit.ratios * fit.sigma2
        others = float(variances[1:].sum())
        found.append(Estimates(part.name, float(variances[0]), fit.sigma2, fit.loglik, others))
    return scanner, found


def _factored(
    part: Part, K: Array, whole: LmerResult, components: Components
) -> tuple[FactorTrait, Estimates]:
    """The model of one trait by Cholesky factors of V alone, without eigenvectors."""
    ratio, X, y = float(whole.theta[0] ** 2), whole.engine.model.X, whole.engine.model.y
    if components == "chromosome":
        # as if every variant had its share of the variance, and that of those left out went to the residual
        fit = reml([K], X, y, start=[ratio * (1.0 - part.share) / (1.0 + ratio * part.share)])
        if fit.at_zero[0]:  # the likelihood may have another peak, which no search from there finds
            fit = max(fit, reml([K], X, y, start=[1.0]), key=lambda each: each.loglik)
        if not fit.converged:
            logger.warning(
                f"without chromosome {part.name}, the search for the variances ended after "
                f"{fit.evaluations} steps short of the maximum"
            )
        V, ratio, sigma2, loglik = fit.factor, float(fit.ratios[0]), fit.sigma2, fit.loglik
    else:
        V = factor([K], [ratio], X)
        sigma2, loglik = whole.sigma**2, V.response(y).loglik
    return FactorTrait(V, y, sqrt(sigma2)), Estimates(part.name, ratio * sigma2, sigma2, loglik)


def _estimates(chromosome: str, fit: LmerResult) -> Estimates:
    """Estimates of a model with one relationship."""
    sigma2 = fit.sigma**2
    return Estimates(chromosome, float(fit.theta[0] ** 2) * sigma2, sigma2, fit.loglik)
