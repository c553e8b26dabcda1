"""The `sparse` engine: pedigrees and block-diagonal relationships, beside grouping factors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Coordinates
from henderson.engine.basis import FixedBasis, fixed_basis, with_response
from henderson.engine.candidates import candidates
from henderson.engine.chart import Chart, ResidualChart, TermChart
from henderson.engine.directions import Curvature
from henderson.engine.information import Moved, information
from henderson.engine.protocol import (
    Criterion,
    EffectCovariance,
    Information,
    InformationKind,
    KenwardRogerPieces,
    Solution,
    TermSolution,
)
from henderson.engine.sparse.equations import Equations, Layout
from henderson.engine.sparse.joint import Joint, contrasts
from henderson.engine.sparse.point import Data, Point
from henderson.engine.sparse.roots import Root
from henderson.engine.sparse.second import curvature, moved_products, traces_with_residual
from henderson.engine.sparse.slopes import Slopes, gram_along
from henderson.engine.sparse.start import moment_estimates
from henderson.engine.sparse.structure import explanation, obstacle
from henderson.errors import ModelNotSupportedError
from henderson.model import MixedModel

Array = NDArray[np.float64]
#: Up to so many effects, exact second derivatives cost a few milliseconds.
CHEAP = 200


@dataclass(frozen=True, eq=False)
class _State:
    """Everything that is known at one theta; slopes when they are asked for."""

    theta: Array
    chart: Chart
    point: Point

    @cached_property
    def slopes(self) -> Slopes:
        return Slopes.at(self.point)


class SparseEngine:
    """Henderson's mixed-model equations by sparse Cholesky.

    With G_k^-1 or a root of G_k sparse and S_k = T_k T_k', log|V| is that of
    M = blockdiag(G_k^-1 (x) I) + T'Z'Z T less that of blockdiag(G_k^-1 (x) I), so that S_k may be singular.
    Its order of elimination is chosen once; an evaluation factors M and takes the elements of M^-1 where M
    has its own (Takahashi, Fagan & Chen 1973), from which all slopes follow. Graser, Smith & Tier (1987),
    J. Anim. Sci. 64:1362; Johnson & Thompson (1995), J. Dairy Sci. 78:449.

    Parameters
    ----------
    model : MixedModel
        Any number of terms whose levels are unrelated or have a sparse precision or a sparse factor,
        residuals of one variance, prior weights. Levels need no record, and the effects of a term may point
        to different levels.

    Raises
    ------
    ModelNotSupportedError
        For dense relationships and residual structures.
    DataError
        If the factor does not fit into memory.

    Examples
    --------
    Three animals, the third by the first two, one record each:

    >>> from scipy.sparse import csc_array
    >>> from henderson.covariance import Precision, Unstructured
    >>> from henderson.model import RandomTerm
    >>> inverse = csc_array(np.array([[1.5, 0.5, -1.0], [0.5, 1.5, -1.0], [-1.0, -1.0, 2.0]]))
    >>> term = RandomTerm("animal", np.arange(3), 3, np.ones((3, 1)), Unstructured(1), Precision(inverse))
    >>> engine = SparseEngine(MixedModel(np.array([1.0, 2.0, 4.0]), np.ones((3, 1)), (term,)))
    >>> round(engine.criterion(np.array([1.0])).profiled(reml=True), 6)
    8.801692
    """

    def __init__(self, model: MixedModel) -> None:
        reason = obstacle(model)
        if reason is not None:
            raise ModelNotSupportedError(reason)
        self._setup(model, Equations.of(Layout.of(model), model.weights), None)

    def _setup(self, model: MixedModel, equations: Equations, fixed: FixedBasis | None) -> None:
        self.model = model
        self._equations = equations
        self._fixed = fixed or fixed_basis(model.X, model.y, equations.root_weights)
        self._data = Data.of(equations, self._fixed)
        self._logdet_basis = 2.0 * float(np.log(np.abs(np.diag(self._fixed.R))).sum())
        self._last: _State | None = None

    def _derived(self, model: MixedModel, equations: Equations, fixed: FixedBasis | None) -> SparseEngine:
        engine = type(self).__new__(type(self))
        engine._setup(model, equations, fixed)
        return engine

    def with_response(self, y: Array) -> SparseEngine:
        """The same model for another response; all but the right-hand sides is shared."""
        root = self._equations.root_weights
        columns = self._fixed.columns[:, :-1]
        fixed = with_response(columns, self._fixed.R, y if root is None else y * root)
        return self._derived(replace(self.model, y=y), self._equations, fixed)

    def with_fixed(self, X: Array) -> SparseEngine:
        """The same model with other fixed effects; all of Z'Z and the order of elimination are shared."""
        return self._derived(replace(self.model, X=X), self._equations, None)

    def with_weights(self, weights: Array | None) -> SparseEngine:
        """The same model with other prior weights; the order of elimination is shared."""
        equations = Equations.of(self._equations.layout, weights)
        return self._derived(replace(self.model, weights=weights), equations, None)

    @property
    def shape(self) -> MixedModel:
        """The model."""
        return self.model

    def __repr__(self) -> str:
        return f"<{self.explanation}>"

    @property
    def explanation(self) -> str:
        """In a sentence: the engine, and the part of the model's structure that it was chosen by."""
        return explanation(self.model, self._equations.layout.analysis.fill)

    def forget(self) -> None:
        """Let go of the factor at the last theta."""
        self._last = None

    # -- the search ------------------------------------------------------------------------------------

    @property
    def curvature_is_cheap(self) -> bool:
        """Whether there are so few effects that their matrices may be dense."""
        return self._equations.n_effects <= CHEAP

    def coordinates(self) -> Coordinates:
        """Free coordinates phi of theta, without the units of Z and G."""
        return Coordinates.joined([p.term.covariance.coordinates(p.P) for p in self._equations.parts])

    def scaled_factors(self, theta: Array) -> tuple[Array, ...]:
        """T of each term for Z and G of unit size; (q, q) each."""
        pairs = zip(self._equations.parts, self.model.theta_slices(), strict=True)
        return tuple(part.P @ part.term.covariance.factor(theta[own]) for part, own in pairs)

    def start(self, *, reml: bool) -> Array:
        """Theta by the method of moments, or the best of some values around it.

        The likelihood may have several peaks, of which a search finds one nearby.
        """
        S = moment_estimates(self._equations, self._fixed.columns)
        T = tuple(np.asarray(np.linalg.cholesky(own), dtype=np.float64) for own in S)
        return min((self._theta(each) for each in candidates(T)), key=lambda theta: self._value(theta, reml))

    def _theta(self, T: tuple[Array, ...]) -> Array:
        """Theta for the T of Z and G of unit size."""
        pairs = zip(self._equations.parts, T, strict=True)
        return np.concatenate(
            [
                part.term.covariance.nearest(np.asarray(np.linalg.solve(part.P, own), np.float64))
                for part, own in pairs
            ]
        )

    def _value(self, theta: Array, reml: bool) -> float:
        """The profiled criterion up to a constant, without slopes."""
        point, nu = self._at(theta).point, self._nu(reml)
        if not point.pwrss > 0.0:
            return np.inf
        return point.logdet_v + (point.logdet_x if reml else 0.0) + nu * float(np.log(point.pwrss))

    # -- one theta -------------------------------------------------------------------------------------

    def _at(self, theta: Array) -> _State:
        theta = np.asarray(theta, dtype=np.float64)
        if self._last is None or not np.array_equal(self._last.theta, theta):
            self._last = None  # its factor makes room for the next one
            self._last = _State(theta.copy(), self._chart(theta), self._point(theta))
        return self._last

    def _point(self, theta: Array) -> Point:
        try:
            if np.isfinite(theta).all():
                return Point.at(self._data, [Root.of(T) for T in self.scaled_factors(theta)])
        except np.linalg.LinAlgError:
            pass
        raise FloatingPointError(f"the mixed-model equations are not positive definite at theta = {theta}")

    def _chart(self, theta: Array) -> Chart:
        terms = []
        for k, (part, own) in enumerate(zip(self._equations.parts, self.model.theta_slices(), strict=True)):
            covariance, q = part.term.covariance, part.term.q
            T, derivatives = covariance.factor(theta[own]), covariance.derivatives(theta[own])
            terms.append(TermChart(k, slice(0, q), own, part.P, part.P @ T, T @ T.T, *derivatives))
        residual = ResidualChart(
            self.model.residual_slice, np.ones((1, 1)), np.empty((0, 1, 1)), np.empty((0, 0, 1, 1))
        )
        return Chart(tuple(terms), residual, tuple(term.q for term in self.model.terms))

    def _nu(self, reml: bool) -> int:
        return self.model.n - self.model.p if reml else self.model.n

    def criterion(self, theta: Array) -> Criterion:
        """Log-determinants and penalised residual sum of squares, with their gradients."""
        at = self._at(theta)
        by_theta = at.slopes.along(at.chart.directions())
        return Criterion(
            logdet_v=at.point.logdet_v,
            logdet_x=at.point.logdet_x + self._logdet_basis,
            pwrss=at.point.pwrss,
            n=self.model.n,
            p=self.model.p,
            log_weights=self._equations.log_weights,
            d_logdet_v=by_theta[:, 0],
            d_logdet_x=by_theta[:, 1],
            d_pwrss=by_theta[:, 2],
        )

    def profiled_hessian(self, theta: Array, *, reml: bool, kind: InformationKind) -> Array:
        """Second derivatives of `Criterion.profiled` in theta, shape (n_theta, n_theta)."""
        at, nu = self._at(theta), self._nu(reml)
        directions = at.chart.directions()
        moved = Moved(at.slopes.along(directions), curvature(at.slopes, directions, kind, nu, reml=reml))
        return moved.profiled_hessian(at.point.pwrss, nu) + self._bend(at, reml)

    def _bend(self, at: _State, reml: bool) -> Array:
        """The part of the profiled criterion's Hessian that comes from the curvature of S."""
        H = np.zeros((self.model.n_theta, self.model.n_theta))
        slopes = at.chart.by_term(at.slopes.profiled(self._nu(reml), reml))
        for t, own in zip(at.chart.terms, slopes, strict=True):
            H[t.part, t.part] = np.tensordot(t.second, own, axes=2)
        return H

    def covariance_gradient(self, theta: Array, *, reml: bool) -> tuple[Array, ...]:
        """Derivative of `Criterion.profiled` in each term's S, valid where S is singular; (q, q) each."""
        at = self._at(theta)
        return at.chart.by_term(at.slopes.profiled(self._nu(reml), reml))

    def information(self, theta: Array, *, reml: bool, kind: InformationKind) -> Information:
        """Information on (theta, sigma^2) and on the linear parameters, at the profiled sigma^2."""
        at, nu = self._at(theta), self._nu(reml)
        directions, k = at.chart.directions(), self.model.n_theta
        directions += at.chart.linear_directions()
        slopes, both = at.slopes.along(directions), curvature(at.slopes, directions, kind, nu, reml=reml)
        return information(
            Moved(slopes[:k], Curvature(both.logdet[:k, :k], both.pwrss[:k, :k])),
            Moved(slopes[k:], Curvature(both.logdet[k:, k:], both.pwrss[k:, k:])),
            bend=self._bend(at, reml),
            values=at.chart.linear_values(),
            pwrss=at.point.pwrss,
            nu=nu,
            reml=reml,
            kind=kind,
        )

    # -- estimates -------------------------------------------------------------------------------------

    def solution(self, theta: Array, *, reml: bool) -> Solution:
        """Estimates of the fixed effects and predictions of the random ones."""
        at = self._at(theta)
        point, joint = at.point, Joint(at.point)
        sigma2 = point.pwrss / self._nu(reml)
        R_inverse = np.linalg.inv(self._fixed.R)
        effects = point.effects(point.contrast(point.v)[:, None])
        terms = []
        for k, part in enumerate(self._equations.parts):
            b = part.to_levels(effects[part.effects])[:, :, 0] @ np.linalg.inv(part.P).T
            terms.append(TermSolution(b, sigma2 * joint.own(k)))
        ussq = float(effects[:, 0] @ point.contrast(point.ZV))
        return Solution(
            beta=R_inverse @ (self._fixed.Qy + point.beta),
            cov_beta=sigma2 * R_inverse @ point.XVX_inverse @ R_inverse.T,
            sigma2=sigma2,
            terms=tuple(terms),
            wrss=point.pwrss - ussq,
            ussq=ussq,
        )

    def fixed_slopes(self, theta: Array, *, reml: bool) -> Array:
        """Derivatives of the covariance of the fixed effects in (theta, sigma^2), (n_theta + 1, p, p)."""
        at = self._at(theta)
        sigma2 = at.point.pwrss / self._nu(reml)
        half = np.linalg.solve(self._fixed.R, at.point.XVX_inverse)
        by_theta = -sigma2 * half @ gram_along(at.slopes, at.chart.directions()) @ half.T
        by_sigma2 = half @ np.linalg.inv(self._fixed.R).T
        return np.concatenate([by_theta, by_sigma2[None]])

    def kr_pieces(self, theta: Array) -> KenwardRogerPieces:
        """What Kenward and Roger's method needs, at the sigma^2 of REML."""
        at, R = self._at(theta), self._fixed.R
        directions = at.chart.tangent_directions()
        sigma2 = at.point.pwrss / self._nu(True)
        P = R.T @ gram_along(at.slopes, directions) @ R / sigma2**2
        Q = R.T @ moved_products(at.slopes, directions) @ R / sigma2**3
        return KenwardRogerPieces(P, Q, traces_with_residual(at.slopes, directions[:-1]) / sigma2**2)

    def posterior_cov(self, theta: Array, A: Array, *, reml: bool) -> Array:
        """A' C^-1 A sigma^2 for contrasts A of (beta, b), shape (p + sum l q, k).

        The effects of a term stand level by level. C is the coefficient matrix of Henderson's equations, so
        that contrasts of b give prediction error variances; valid also where G or S is singular.
        """
        at, p = self._at(theta), self.model.p
        point = at.point
        reduced = point.factor.solve_lower(contrasts(at.point, A[p:]))
        rest = np.linalg.solve(self._fixed.R.T, A[:p]) - point.reduced[:, :-1].T @ reduced
        total = reduced.T @ reduced + rest.T @ point.XVX_inverse @ rest
        return np.asarray(point.pwrss / self._nu(reml) * total)

    def effect_cov(self, theta: Array, levels: NDArray[np.intp], *, reml: bool) -> EffectCovariance:
        """Joint covariance of the effects of combinations of levels, (K, columns); -1 is an unseen one."""
        at = self._at(theta)
        C, B = Joint(at.point).effects(levels, self._fixed.R)
        return EffectCovariance(at.point.pwrss / self._nu(reml) * C, B)

    def project(self, theta: Array, M: Array) -> Array:
        """P M for M (n, m), with V relative to sigma^2."""
        point, equations = self._at(theta).point, self._equations
        columns, Q = equations.weighted(M), self._fixed.columns[:, :-1]
        b, beta, _ = point.projected(np.asarray(equations.Z.T @ columns), Q.T @ columns)
        return equations.weighted(columns - Q @ beta - equations.Z @ b)
