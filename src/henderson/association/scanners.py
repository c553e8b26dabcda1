"""Variants tested block by block, each way of testing behind one method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.association.columns import Columns, p_columns, wald
from henderson.association.null_scanner import NullScanner
from henderson.association.rules import OK, ScanRules
from henderson.covariance import Identity
from henderson.engine import Engine
from henderson.engine.ratio.rotation import GroupRotation, Rotation, SpectralRotation
from henderson.engine.ratio.variants import (
    AT_LOWER,
    AT_UPPER,
    AT_ZERO,
    INTERIOR,
    Grid,
    RatioOptima,
    VariantModel,
)
from henderson.engine.spectral import SpectralEngine
from henderson.errors import HendersonError
from henderson.fit.notices import SINGULAR
from henderson.fit.solve import Fitted, solve
from henderson.linalg.tails import neg_log10_chi2, neg_log10_f1
from henderson.lmm import LmerResult
from henderson.model import RandomTerm

Array = NDArray[np.float64]
Test = Literal["exact", "null"]
RESIDUAL = "residual_variance"
EXACT = "fits the trait exactly"
FLAT = "variances cannot be told apart"
#: With less than this part of y'Py left, the variant and the other fixed effects fit the trait exactly.
NOTHING_LEFT = 1e-13


class Scanner(Protocol):
    """Tests variants against one or more responses of the same people and covariates.

    ``side_by_side`` says whether several threads may test at the same time; ``as_they_are`` whether it wants
    variants from which the covariates are not taken out.
    """

    side_by_side: bool
    as_they_are: bool

    def test(self, X: Array) -> list[Columns]:
        """Columns of the results of each response, for variants X (b, n) whose covariates are taken out."""
        ...


def make_scanner(
    fits: Sequence[LmerResult],
    test: Test,
    rules: ScanRules,
    *,
    components: Sequence[LmerResult] | None = None,
) -> Scanner:
    """The scanner for the structure of the null models; they share people and fixed effects.

    ``components`` are the models whose variances ``test="null"`` takes; by default the same.
    """
    engine = fits[0].engine
    rotation = _rotation(engine)
    if isinstance(rotation, SpectralRotation) and test == "null":
        known = components or fits
        ratios = np.array([null.theta[0] ** 2 for null in known])
        sigmas = np.array([null.sigma for null in known])
        return NullScanner(rotation, [fit.engine.model.y for fit in fits], ratios, sigmas)
    if rotation is not None:
        return RatioScanner(rotation, fits, components or fits, test, rules)
    return GeneralScanner(fits, test)


def orthonormal(X: Array) -> Array:
    """An orthonormal basis of the fixed effects."""
    return np.asarray(np.linalg.qr(X)[0])


def _rotation(engine: Engine) -> Rotation | None:
    """The basis in which a model with one variance ratio is diagonal; none for any other model."""
    if isinstance(engine, SpectralEngine):
        return SpectralRotation(engine.spectrum)
    model = engine.model
    if len(model.terms) == 1 and model.weights is None and _is_grouping(model.terms[0]):
        return GroupRotation(model.terms[0].codes, orthonormal(model.X))
    return None


def _is_grouping(term: RandomTerm) -> bool:
    return isinstance(term.relationship, Identity) and term.q == 1 and bool((term.z == 1.0).all())


def variance_names(null: LmerResult) -> list[str]:
    """A column for the variance of each random effect, then one for the residual."""
    names: list[str] = []
    for term in null.varcorr:
        for effect in term.names:
            name = f"{term.label}_variance" if effect == "(Intercept)" else f"{term.label}_{effect}_variance"
            while name in (*names, RESIDUAL):  # a group may be called residual
                name = f"{name}_"
            names.append(name)
    return [*names, RESIDUAL]


@dataclass(frozen=True, slots=True, eq=False)
class _RatioTrait:
    """One response of a `RatioScanner`."""

    model: VariantModel
    null: LmerResult


class RatioScanner:
    """Models with one variance ratio: rotation of a block, then every variant's own search."""

    side_by_side = True
    as_they_are = False

    def __init__(
        self,
        rotation: Rotation,
        fits: Sequence[LmerResult],
        components: Sequence[LmerResult],
        test: Test,
        rules: ScanRules,
    ) -> None:
        self._rotation = rotation
        self._test = test
        within = rules.ratio_range(float(rotation.counts @ rotation.values / rotation.counts.sum()))
        self._df = rotation.n - rotation.n_fixed - 1
        self._genomic = isinstance(rotation, SpectralRotation)
        grid = Grid.of(rotation, within)
        self._traits = [
            _RatioTrait(VariantModel(grid, fit.engine.model.y), null)
            for fit, null in zip(fits, components, strict=True)
        ]

    def test(self, X: Array) -> list[Columns]:
        """One rotation for all responses."""
        rotated = self._rotation.rotate(X)
        test = self._exact if self._test == "exact" else self._null
        return [test(trait, trait.model.products(rotated)) for trait in self._traits]

    def _null(self, trait: _RatioTrait, products: Array) -> Columns:
        xpy, xpx, _ = trait.model.score(products, float(trait.null.theta[0] ** 2))
        found = wald(xpy / xpx, trait.null.sigma / np.sqrt(xpx), None)
        return {**found, "status": np.full(xpy.size, OK)}

    def _exact(self, trait: _RatioTrait, products: Array) -> Columns:
        model = trait.model
        fits = model.refit(products)
        xpy, xpx, ypy = model.score(products, float(model.null_ml.ratio[0]))
        ratio = fits.reml.ratio
        components: Columns = {"h2": ratio / (1.0 + ratio)}
        if not self._genomic:
            names = variance_names(trait.null)
            components = dict(zip(names, (ratio * fits.sigma2, fits.sigma2), strict=True))
        columns: Columns = {
            **wald(fits.beta, fits.standard_error, self._df),
            **components,
            "lambda_reml": ratio,
            "lambda_ml": fits.ml.ratio,
            "log_likelihood": fits.loglik,
            **p_columns("_lrt", neg_log10_chi2(np.maximum(2.0 * (fits.loglik - model.null_loglik), 0.0))),
            **p_columns("_score", neg_log10_f1(model.n_ml * xpy**2 / (ypy * xpx), self._df)),
        }
        exact = ~(fits.sigma2 * self._df > NOTHING_LEFT * model.squares)
        unknown = exact | fits.reml.flat
        for name, values in columns.items():
            values[unknown & (name != "beta")] = np.nan
        status = np.select([exact, fits.reml.flat], [EXACT, FLAT], self._status(fits.reml, fits.ml))
        return {**columns, "status": status}

    def _status(self, reml: RatioOptima, ml: RatioOptima) -> NDArray[np.str_]:
        """What is at a bound, by REML and, where that is another one, by maximum likelihood."""
        what = "h2" if self._genomic else "variance"
        named = {
            AT_ZERO: f"{what} at 0",
            AT_LOWER: "lambda at its lower bound",
            AT_UPPER: f"{what if self._genomic else 'lambda'} at its upper bound",
        }
        out = np.full(reml.where.size, OK, dtype="U64")
        for by_reml in (INTERIOR, *named):
            for by_ml, words in named.items():
                both = (reml.where == by_reml) & (ml.where == by_ml)
                first = "" if by_reml == INTERIOR else f"{named[by_reml]}; "
                out[both] = named[by_reml] if by_ml == by_reml else f"{first}{words} (ML only)"
            if by_reml != INTERIOR:
                out[(reml.where == by_reml) & (ml.where == INTERIOR)] = named[by_reml]
        return out


class GeneralScanner:
    """Any random part: the engine itself, once more for each variant, starting at the null model's theta."""

    side_by_side = False  # the engine keeps its last state
    as_they_are = False

    def __init__(self, fits: Sequence[LmerResult], test: Test) -> None:
        self._nulls = fits
        self._test = test
        self._ml = [solve(fit.engine, reml=False) for fit in fits] if test == "exact" else []

    def test(self, X: Array) -> list[Columns]:
        """One response after the other."""
        if self._test == "null":
            return [self._null(null, X) for null in self._nulls]
        return [self._exact(k, X) for k in range(len(self._nulls))]

    def _null(self, null: LmerResult, X: Array) -> Columns:
        xpy, xpx = _score(null.engine, null.theta, X)
        found = wald(xpy / xpx, null.sigma / np.sqrt(xpx), None)
        return {**found, "status": np.full(xpy.size, OK)}

    def _exact(self, k: int, X: Array) -> Columns:
        null, ml = self._nulls[k], self._ml[k]
        engine, b = null.engine, X.shape[0]
        # From a variance of zero the search would see no slope: there it starts afresh
        start, start_ml = (None if (theta == 0.0).any() else theta for theta in (null.theta, ml.theta))
        df = engine.model.n - engine.model.p - 1
        names = variance_names(null)
        beta, se, loglik = (np.full(b, np.nan) for _ in range(3))
        variances = np.full((len(names), b), np.nan)
        status = np.full(b, OK, dtype=object)
        for v, x in enumerate(X):
            try:
                own = engine.with_fixed(np.column_stack([engine.model.X, x]))
                fitted = solve(own, reml=True, start=start)
                by_ml = solve(own, reml=False, start=start_ml)
            except HendersonError as problem:
                status[v] = f"not fitted: {problem}"
                continue
            solution = own.solution(fitted.theta, reml=True)
            beta[v], se[v] = solution.beta[-1], np.sqrt(solution.cov_beta[-1, -1])
            variances[:, v] = self._variances(engine, fitted.theta, solution.sigma2)
            loglik[v] = -0.5 * by_ml.criterion.profiled(reml=False)
            places = [
                words
                for fit, words in ((fitted, "singular"), (by_ml, "singular (ML only)"))
                if _singular(fit)
            ]
            status[v] = places[0] if places else OK
        null_loglik = -0.5 * ml.criterion.profiled(reml=False)
        xpy, xpx = _score(engine, ml.theta, X)
        score = engine.model.n * xpy**2 / (ml.criterion.pwrss * xpx)
        return {
            **wald(beta, se, df),
            **dict(zip(names, variances, strict=True)),
            "log_likelihood": loglik,
            **p_columns("_lrt", neg_log10_chi2(np.maximum(2.0 * (loglik - null_loglik), 0.0))),
            **p_columns("_score", neg_log10_f1(score, df)),
            "status": status.astype(str),
        }

    @staticmethod
    def _variances(engine: Engine, theta: Array, sigma2: float) -> list[float]:
        out: list[float] = []
        for term, part in zip(engine.model.terms, engine.model.theta_slices(), strict=True):
            T = term.covariance.factor(theta[part])
            out += (sigma2 * np.einsum("ij,ij->i", T, T)).tolist()
        return [*out, sigma2]


def _singular(fitted: Fitted) -> bool:
    """Whether a covariance of random effects is singular: a variance of zero, or a correlation of one."""
    return any(bool((np.abs(np.diag(T)) < SINGULAR).any()) for T in fitted.factors)


def _score(engine: Engine, theta: Array, X: Array) -> tuple[Array, Array]:
    """Give x'Py and x'Px of each variant (b, n)."""
    if not X.shape[0]:
        return np.empty(0), np.empty(0)
    projected = engine.project(theta, X.T)
    return np.asarray(engine.model.y @ projected), np.einsum("bn,nb->b", X, projected)
