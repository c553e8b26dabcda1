"""What the moments of the data answer: criterion, derivatives, estimates; nothing here depends on n."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit, Coordinates
from henderson.engine.blocked.chart import make_chart
from henderson.engine.blocked.curvature import Scores, curvature, score_curvature
from henderson.engine.blocked.factor import Spread, spread
from henderson.engine.blocked.joint import effect_covariance
from henderson.engine.blocked.kenward_roger import gram_slopes, moved_products
from henderson.engine.blocked.moments import Moments, by_blocks
from henderson.engine.blocked.plan import Plan
from henderson.engine.blocked.start import MomentEquations, last_column
from henderson.engine.blocked.system import Point, Slopes, System
from henderson.engine.chart import Chart
from henderson.engine.directions import Direction
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
from henderson.model import ModelShape

Array = NDArray[np.float64]
#: Up to these sizes of core, chain and residual structure, exact second derivatives cost a few milliseconds.
CHEAP_CORE = 200
CHEAP_CHAIN = 20_000
CHEAP_RESIDUAL = 6


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """The orthonormal bases that the moments are in.

    Attributes
    ----------
    scales : tuple of ndarray, (q, q) per term
        Lower-triangular P with Z = Z~ P.
    R : ndarray, (p, p)
        Upper-triangular, W^1/2 X = Q R.
    Qy : ndarray, (p,)
        Q'W^1/2 y: what the last of the columns [Q y] leaves out.
    log_weights : float
        Sum of the logarithms of the prior weights.
    """

    scales: tuple[Array, ...]
    R: Array
    Qy: Array
    log_weights: float


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Everything that is known at one theta."""

    theta: Array
    chart: Chart
    point: Point
    within: Spread
    slopes: Slopes
    criterion: Criterion


class MomentEngine:
    """Penalised least squares by blocked Cholesky, from moments.

    Bates et al. (2015), J. Stat. Softw. 67(1), sections 3.2-3.4.

    Parameters
    ----------
    shape : ModelShape
        Terms, residual and sizes of the model.
    basis : Basis
        Bases of the designs.
    system : System
        The moments in these bases.
    """

    def __init__(self, shape: ModelShape, basis: Basis, system: System) -> None:
        self._shape = shape
        self._basis = basis
        self._system = system
        self._logdet_basis = 2.0 * float(np.log(np.abs(np.diag(basis.R))).sum())
        self._last: State | None = None
        self._equations: MomentEquations | None = None
        self._coordinates: Coordinates | None = None

    @property
    def shape(self) -> ModelShape:
        """Terms, residual and sizes of the model."""
        return self._shape

    @property
    def _plan(self) -> Plan:
        return self._system.plan

    def forget(self) -> None:
        """Let go of the factor at the last theta, whose dense matrices may be large."""
        self._last = None

    def __repr__(self) -> str:
        return f"<{self.explanation}>"

    @property
    def explanation(self) -> str:
        """Why this engine: all levels are unrelated."""
        groups = " and ".join(f"'{name}'" for name in dict.fromkeys(t.label for t in self._shape.terms))
        one_by_one = sum(b.l * b.q for b in self._plan.chain)
        return (
            f"blocked: the levels of {groups} are unrelated; {one_by_one:,} effects are eliminated level by "
            f"level and {self._plan.n_core:,} in one dense matrix"
        )

    # -- the search ------------------------------------------------------------------------------------

    @property
    def curvature_is_cheap(self) -> bool:
        """Whether the model is so small that exact second derivatives cost little."""
        plan = self._plan
        if self._shape.residual.n_theta > CHEAP_RESIDUAL:
            return False
        return plan.n_core <= CHEAP_CORE and sum(b.l * b.q**2 for b in plan.chain) <= CHEAP_CHAIN

    def coordinates(self) -> Coordinates:
        """Free coordinates phi of theta, without the units of Z."""
        if self._coordinates is None:
            self._coordinates = self._free_coordinates()
        return self._coordinates

    def _free_coordinates(self) -> Coordinates:
        parts = [
            t.covariance.coordinates(P) for t, P in zip(self._shape.terms, self._basis.scales, strict=True)
        ]
        if isinstance(self._shape.residual, ByUnit):
            parts.append(self._shape.residual.coordinates())
        return Coordinates.joined(parts)

    def scaled_factors(self, theta: Array) -> tuple[Array, ...]:
        """T~ of each term, with Z T = Z~ T~; (q, q) each."""
        triples = zip(self._shape.terms, self._shape.theta_slices(), self._basis.scales, strict=True)
        return tuple(P @ term.covariance.factor(theta[part]) for term, part, P in triples)

    def start(self, *, reml: bool) -> Array:
        """Theta of the variance components by the method of moments; R = I."""
        plan, system, residual = self._plan, self._system, self._shape.residual
        theta = np.empty(self._shape.n_theta)
        R0 = np.eye(1)
        if isinstance(residual, ByUnit):
            theta[self._shape.residual_slice] = residual.start()
            R0 = np.eye(residual.covariance.q)
        moments = system.moments(system.units.inverses(R0))
        S = self._moment_equations(moments).solve(last_column(plan, moments.columns), moments.gram[-1:, -1])
        parts = self._shape.theta_slices()
        for block, relative in zip(plan.blocks, S, strict=True):
            for i, columns in zip(block.terms, block.columns, strict=True):
                T = np.linalg.solve(self._basis.scales[i], np.linalg.cholesky(relative[0, columns, columns]))
                theta[parts[i]] = self._shape.terms[i].covariance.nearest(T)
        return theta

    def _moment_equations(self, moments: Moments) -> MomentEquations:
        if self._equations is None:
            df = self._system.n - self._system.p
            self._equations = MomentEquations.of(self._plan, moments.random, moments.columns, df)
        return self._equations

    # -- one theta -------------------------------------------------------------------------------------

    def _at(self, theta: Array) -> State:
        theta = np.asarray(theta, dtype=np.float64)
        if self._last is None or not np.array_equal(self._last.theta, theta):
            self._last = None  # its dense matrices make room for the next ones
            chart = make_chart(self._shape, self._plan, self._basis.scales, theta)
            point = self._system.at(chart.T, chart.residual.R0)
            within = spread(point.factor)
            slopes = self._system.slopes(point, within)
            self._last = State(theta.copy(), chart, point, within, slopes, self._criterion(chart, slopes))
        return self._last

    def criterion(self, theta: Array) -> Criterion:
        """Log-determinants and penalised residual sum of squares, with their gradients."""
        return self._at(theta).criterion

    def _criterion(self, chart: Chart, slopes: Slopes) -> Criterion:
        point = slopes.point
        by_theta = chart.pull_back(slopes)
        return Criterion(
            logdet_v=float(point.factor.logdet.real) + self._system.units.logdet(chart.residual.R0),
            logdet_x=point.logdet_x + self._logdet_basis,
            pwrss=point.pwrss,
            n=self._shape.n,
            p=self._shape.p,
            log_weights=self._basis.log_weights,
            d_logdet_v=by_theta[0],
            d_logdet_x=by_theta[1],
            d_pwrss=by_theta[2],
        )

    def profiled_hessian(self, theta: Array, *, reml: bool, kind: InformationKind) -> Array:
        """Second derivatives of `Criterion.profiled` in theta, shape (n_theta, n_theta)."""
        at, nu = self._at(theta), self._nu(reml)
        moved = self._moved_along(at, at.chart.directions(), _by_theta(at), kind, reml)
        return moved.profiled_hessian(at.point.pwrss, nu) + at.chart.bend(at.slopes, nu, reml)

    def _moved_along(
        self, at: State, directions: list[Direction], slopes: Array, kind: InformationKind, reml: bool
    ) -> Moved:
        point, T, scores = at.point, at.chart.T, self._scores(at)
        second = curvature(self._system, T, point, directions, kind, reml=reml, scores=scores)
        return Moved(slopes, second)

    def covariance_gradient(self, theta: Array, *, reml: bool) -> tuple[Array, ...]:
        """Derivative of `Criterion.profiled` in each term's S, valid where S is singular; (q, q) each."""
        at = self._at(theta)
        return at.chart.by_term(at.slopes.profiled(self._nu(reml), reml))

    def information(self, theta: Array, *, reml: bool, kind: InformationKind) -> Information:
        """Information on (theta, sigma^2) and on the linear parameters, at the profiled sigma^2."""
        at, nu = self._at(theta), self._nu(reml)
        chart, linear = at.chart, at.chart.linear_directions()
        slopes = np.array([at.slopes.along(d) for d in linear]).reshape(-1, 3)
        return information(
            self._moved_along(at, chart.directions(), _by_theta(at), kind, reml),
            self._moved_along(at, linear, slopes, kind, reml),
            bend=chart.bend(at.slopes, nu, reml),
            values=chart.linear_values(),
            pwrss=at.point.pwrss,
            nu=nu,
            reml=reml,
            kind=kind,
        )

    def _scores(self, at: State) -> Scores:
        return lambda directions: score_curvature(self._plan, at.point, directions)

    def _nu(self, reml: bool) -> int:
        return self._shape.n - self._shape.p if reml else self._shape.n

    # -- estimates -------------------------------------------------------------------------------------

    def solution(self, theta: Array, *, reml: bool) -> Solution:
        """Estimates of the fixed effects and predictions of the random ones."""
        at, plan = self._at(theta), self._plan
        point = at.point
        sigma2 = point.pwrss / self._nu(reml)
        R_inverse = np.linalg.inv(self._basis.R)
        beta = R_inverse @ (self._basis.Qy + point.beta)
        cov_beta = sigma2 * R_inverse @ point.XVX_inverse @ R_inverse.T
        ussq = 0.0
        terms: list[TermSolution] = [TermSolution(np.empty(0), np.empty(0))] * len(self._shape.terms)
        for k, block in enumerate(plan.blocks):
            b = point.contrast(point.solved.b[k])
            ussq += float((b * point.contrast(point.solved.ZVM[k])).sum())
            for i, columns in zip(block.terms, block.columns, strict=True):
                back = np.linalg.inv(self._basis.scales[i])
                effects = np.ascontiguousarray((back @ b[columns]).T)
                spread_i = np.einsum("ab,bcl,dc->lad", back, at.within.C[k][columns, columns], back)
                terms[i] = TermSolution(effects, sigma2 * spread_i)
        return Solution(beta, cov_beta, sigma2, tuple(terms), point.pwrss - ussq, ussq)

    def fixed_slopes(self, theta: Array, *, reml: bool) -> Array:
        """Derivatives of the covariance of the fixed effects in (theta, sigma^2), (n_theta + 1, p, p)."""
        at = self._at(theta)
        sigma2 = at.point.pwrss / self._nu(reml)
        half = np.linalg.solve(self._basis.R, at.point.XVX_inverse)
        by_theta = -sigma2 * half @ gram_slopes(at.slopes, at.chart.directions()) @ half.T
        R_inverse = np.linalg.inv(self._basis.R)
        return np.concatenate([by_theta, (half @ R_inverse.T)[None]])

    def kr_pieces(self, theta: Array) -> KenwardRogerPieces:
        """What Kenward and Roger's method needs, at the sigma^2 of REML."""
        at, R = self._at(theta), self._basis.R
        directions = at.chart.tangent_directions()
        second = curvature(
            self._system, at.chart.T, at.point, directions, "expected", reml=True, scores=self._scores(at)
        )
        sigma2 = at.point.pwrss / self._nu(True)
        P = R.T @ gram_slopes(at.slopes, directions) @ R / sigma2**2
        Q = R.T @ self._moved_products(at, directions) @ R / sigma2**3
        return KenwardRogerPieces(P, Q, -second.logdet / sigma2**2)

    def _moved_products(self, at: State, directions: list[Direction]) -> Array:
        """Q'V^-1 V_i P V_j V^-1 Q, (k, k, p, p)."""
        return moved_products(self._plan, at.point, directions)

    def posterior_cov(self, theta: Array, A: Array, *, reml: bool) -> Array:
        """A' C^-1 A sigma^2 for contrasts A of (beta, b), shape (p + sum l q, k).

        The effects of a term stand level by level. C is the coefficient matrix of Henderson's equations,
        so that contrasts of b give prediction error variances.
        """
        point, shape, plan = self._at(theta).point, self._shape, self._plan
        k = A.shape[1]
        rows = np.cumsum([shape.p, *(t.n_levels * t.q for t in shape.terms)])
        by_block = []
        for block in plan.blocks:
            values = np.zeros((k, block.q, block.l))
            for i, columns in zip(block.terms, block.columns, strict=True):
                part = A[rows[i] : rows[i + 1]].reshape(block.l, -1, k)
                values[:, columns] = np.einsum("ba,lbk->kal", np.linalg.inv(self._basis.scales[i]), part)
            by_block.append(values)
        reduced = point.factor.reduce(by_blocks(plan, by_block))
        rest = np.linalg.solve(self._basis.R.T, A[: shape.p])
        rest = rest - point.factor.gram(point.reduced, reduced)[:-1]
        total = point.factor.gram(reduced, reduced) + rest.T @ point.XVX_inverse @ rest
        sigma2 = point.pwrss / self._nu(reml)
        return np.asarray(sigma2 * total)

    def effect_cov(self, theta: Array, levels: NDArray[np.intp], *, reml: bool) -> EffectCovariance:
        """Joint covariance of the effects of combinations of levels, (K, n_terms); -1 is an unseen one."""
        at = self._at(theta)
        C, B = effect_covariance(at.point, at.within, at.chart, self._basis.R, levels)
        return EffectCovariance(at.point.pwrss / self._nu(reml) * C, B)


def _by_theta(at: State) -> Array:
    """Slopes of log|V|, log|X'V^-1 X| and y'Py in theta, (n_theta, 3)."""
    criterion = at.criterion
    return np.column_stack([criterion.d_logdet_v, criterion.d_logdet_x, criterion.d_pwrss])
