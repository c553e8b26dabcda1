"""The `blocked` engine: grouping factors, nested or crossed, with vector-valued effects."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Homogeneous, Identity
from henderson.engine.blocked.basis import FixedBasis, column_scale, fixed_basis, with_response
from henderson.engine.blocked.chart import Chart, make_chart
from henderson.engine.blocked.curvature import along, curvature, to_absolute
from henderson.engine.blocked.factor import Spread, spread
from henderson.engine.blocked.moments import RandomMoments, by_blocks, column_moments, random_moments
from henderson.engine.blocked.plan import Plan, make_plan
from henderson.engine.blocked.start import moment_start
from henderson.engine.blocked.system import Point, Slopes, System, gradients
from henderson.engine.protocol import Criterion, Information, InformationKind, Solution, TermSolution
from henderson.errors import ModelNotSupportedError
from henderson.model import MixedModel

Array = NDArray[np.float64]
#: Up to these sizes of the core and the chain, exact second derivatives cost a few milliseconds.
CHEAP_CORE = 200
CHEAP_CHAIN = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class _Designs:
    """Everything that does not depend on y or X: reused by `with_response` and `with_fixed`."""

    plan: Plan
    scales: tuple[Array, ...]
    root_weights: Array | None
    Z: tuple[Array, ...]
    moments: RandomMoments

    @property
    def log_weights(self) -> float:
        return 0.0 if self.root_weights is None else 2.0 * float(np.log(self.root_weights).sum())


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Everything that is known at one theta."""

    theta: Array
    chart: Chart
    point: Point
    within: Spread
    slopes: Slopes
    criterion: Criterion


class BlockedEngine:
    """Penalised least squares by blocked Cholesky; nothing depends on n after set-up.

    Bates et al. (2015), J. Stat. Softw. 67(1), sections 3.2-3.4.

    Parameters
    ----------
    model : MixedModel
        A model with independent levels (G = I) and homogeneous residuals.

    Raises
    ------
    ModelNotSupportedError
        For a relationship between levels, a residual structure, effects of one term that point to
        different levels, or crossed factors too large for a dense matrix.

    Examples
    --------
    >>> from henderson.covariance import Unstructured
    >>> from henderson.model import RandomTerm
    >>> y = np.array([1.0, 2.0, 4.0, 5.0])
    >>> codes = np.array([0, 0, 1, 1])
    >>> term = RandomTerm("g", codes, 2, np.ones((4, 1)), Unstructured(1))
    >>> engine = BlockedEngine(MixedModel(y, np.ones((4, 1)), (term,)))
    >>> round(engine.criterion(np.array([1.0])).profiled(reml=True), 6)
    11.861584
    """

    def __init__(self, model: MixedModel) -> None:
        _refuse(model)
        plan = make_plan(model.terms)
        scales = tuple(column_scale(term.z) for term in model.terms)
        self._setup(model, _designs(model, plan, scales), None)

    def _setup(self, model: MixedModel, designs: _Designs, fixed: FixedBasis | None) -> None:
        self.model = model
        self._designs = designs
        self._fixed = fixed or fixed_basis(model.X, model.y, designs.root_weights)
        columns = column_moments(designs.plan, designs.Z, self._fixed.columns)
        self._system = System(designs.plan, designs.moments, columns, self._fixed.gram, model.n)
        self._logdet_basis = 2.0 * float(np.log(np.abs(np.diag(self._fixed.R))).sum())
        self._last: _State | None = None

    @classmethod
    def _derived(cls, model: MixedModel, designs: _Designs, fixed: FixedBasis | None) -> BlockedEngine:
        engine = cls.__new__(cls)
        engine._setup(model, designs, fixed)
        return engine

    def forget(self) -> None:
        """Let go of the factor at the last theta, whose dense matrices may be large."""
        self._last = None

    def with_response(self, y: Array) -> BlockedEngine:
        """The same model for another response; all of Z'Z and the basis of X are shared."""
        root = self._designs.root_weights
        Q = self._fixed.columns[:, :-1]
        fixed = with_response(Q, self._fixed.R, y if root is None else y * root)
        return self._derived(replace(self.model, y=y), self._designs, fixed)

    def with_fixed(self, X: Array) -> BlockedEngine:
        """The same model with other fixed effects; all of Z'Z is shared."""
        return self._derived(replace(self.model, X=X), self._designs, None)

    def with_weights(self, weights: Array | None) -> BlockedEngine:
        """The same model with other prior weights; the plan of elimination is shared."""
        model = replace(self.model, weights=weights)
        return self._derived(model, _designs(model, self._designs.plan, self._designs.scales), None)

    @property
    def curvature_is_cheap(self) -> bool:
        """Whether the model is so small that exact second derivatives cost little."""
        plan = self._designs.plan
        return plan.n_core <= CHEAP_CORE and sum(b.l * b.q**2 for b in plan.chain) <= CHEAP_CHAIN

    def preconditioner(self) -> Array:
        """Matrix M with theta = M phi, phi free of the units of Z; shape (n_theta, n_theta)."""
        M = np.zeros((self.model.n_theta, self.model.n_theta))
        for term, scale, part in zip(
            self.model.terms, self._designs.scales, self.model.theta_slices(), strict=True
        ):
            M[part, part] = term.covariance.preconditioner(scale)
        return M

    def start(self, *, reml: bool) -> Array:
        """Theta of the variance components by the method of moments."""
        plan, system = self._designs.plan, self._system
        S = moment_start(plan, system.random, system.columns, system.gram[-1, -1], system.n - system.p)
        theta = np.empty(self.model.n_theta)
        parts = self.model.theta_slices()
        for block, relative in zip(plan.blocks, S, strict=True):
            for i, columns in zip(block.terms, block.columns, strict=True):
                T = np.linalg.solve(self._designs.scales[i], np.linalg.cholesky(relative[columns, columns]))
                theta[parts[i]] = self.model.terms[i].covariance.nearest(T)
        return theta

    # -- one theta -------------------------------------------------------------------------------------

    def _at(self, theta: Array) -> _State:
        theta = np.asarray(theta, dtype=np.float64)
        if self._last is None or not np.array_equal(self._last.theta, theta):
            self._last = None  # its dense matrices make room for the next ones
            chart = make_chart(self.model, self._designs.plan, self._designs.scales, theta)
            point = self._system.at(chart.T)
            within = spread(point.factor)
            slopes = gradients(point, within)
            self._last = _State(
                theta.copy(), chart, point, within, slopes, self._criterion(chart, point, slopes)
            )
        return self._last

    def criterion(self, theta: Array) -> Criterion:
        """Log-determinants and penalised residual sum of squares, with their gradients."""
        return self._at(theta).criterion

    def _criterion(self, chart: Chart, point: Point, slopes: Slopes) -> Criterion:
        by_theta = chart.pull_back(slopes.logdet_v, slopes.logdet_x, slopes.pwrss)
        return Criterion(
            logdet_v=float(point.factor.logdet.real),
            logdet_x=point.logdet_x + self._logdet_basis,
            pwrss=point.pwrss,
            n=self.model.n,
            p=self.model.p,
            log_weights=self._designs.log_weights,
            d_logdet_v=by_theta[0],
            d_logdet_x=by_theta[1],
            d_pwrss=by_theta[2],
        )

    def profiled_hessian(self, theta: Array, *, reml: bool, kind: InformationKind) -> Array:
        """Second derivatives of `Criterion.profiled` in theta, shape (n_theta, n_theta)."""
        at, nu = self._at(theta), self._nu(reml)
        chart, point, slope = at.chart, at.point, at.slopes
        second = curvature(self._system, chart.T, point, chart.directions(), kind, reml=reml)
        d_c = at.criterion.d_pwrss / point.pwrss
        bend = chart.bend(slope.profiled(nu, point.pwrss, reml))
        return second.logdet + nu * (second.pwrss / point.pwrss - np.outer(d_c, d_c)) + bend

    def covariance_gradient(self, theta: Array, *, reml: bool) -> tuple[Array, ...]:
        """Derivative of `Criterion.profiled` in each term's S, valid where S is singular; (q, q) each."""
        at = self._at(theta)
        return at.chart.by_term(at.slopes.profiled(self._nu(reml), at.point.pwrss, reml))

    def information(self, theta: Array, *, reml: bool, kind: InformationKind) -> Information:
        """Information on (theta, sigma^2) and on the linear parameters, at the profiled sigma^2."""
        at, nu = self._at(theta), self._nu(reml)
        chart, point, system = at.chart, at.point, self._system
        sigma2 = point.pwrss / nu
        # Slope of y'Py; its expectation is -sigma^2 times that of the log-determinants.
        d_pwrss = at.slopes.pwrss
        if kind == "expected":
            d_pwrss = tuple(-sigma2 * G for G in at.slopes.logdet(reml))
        # The slope of the criterion itself has expectation zero.
        score = at.slopes.profiled(nu, point.pwrss, reml)
        if kind != "observed":
            score = tuple(0.0 * G for G in score)
        by_theta = curvature(system, chart.T, point, chart.directions(), kind, reml=reml)
        in_theta = by_theta.unprofiled(chart.pull_back(d_pwrss)[0], point.pwrss, nu)
        in_theta[:-1, :-1] += chart.bend(score)
        linear = chart.linear_directions()
        by_element = curvature(system, chart.T, point, linear, kind, reml=reml)
        in_S = by_element.unprofiled(np.array([along(d_pwrss, d) for d in linear]), point.pwrss, nu)
        slope_S = np.array([along(score, d) for d in linear])
        in_linear = to_absolute(in_S, chart.linear_values(), slope_S, sigma2)
        return Information(theta_sigma2=0.5 * in_theta, linear=0.5 * in_linear)

    def _nu(self, reml: bool) -> int:
        return self.model.n - self.model.p if reml else self.model.n

    # -- estimates -------------------------------------------------------------------------------------

    def solution(self, theta: Array, *, reml: bool) -> Solution:
        """Estimates of the fixed effects and predictions of the random ones."""
        at, model, plan = self._at(theta), self.model, self._designs.plan
        point = at.point
        sigma2 = point.pwrss / self._nu(reml)
        R_inverse = np.linalg.inv(self._fixed.R)
        beta = R_inverse @ (self._fixed.Qy + point.beta)
        cov_beta = sigma2 * R_inverse @ point.XVX_inverse @ R_inverse.T
        fitted = model.X @ beta
        ussq = 0.0
        terms: list[TermSolution] = [TermSolution(np.empty(0), np.empty(0))] * len(model.terms)
        for k, block in enumerate(plan.blocks):
            b = point.contrast(point.solved.b[k])
            ussq += float((b * point.contrast(point.solved.ZVM[k])).sum())
            for i, columns in zip(block.terms, block.columns, strict=True):
                back = np.linalg.inv(self._designs.scales[i])
                effects = np.ascontiguousarray((back @ b[columns]).T)
                spread_i = np.einsum("ab,bcl,dc->lad", back, at.within.C[k][columns, columns], back)
                terms[i] = TermSolution(effects, sigma2 * spread_i)
                fitted = fitted + np.einsum("nq,nq->n", model.terms[i].z, effects[block.codes])
        return Solution(beta, cov_beta, sigma2, tuple(terms), fitted, point.pwrss - ussq, ussq)

    def posterior_cov(self, theta: Array, A: Array, *, reml: bool) -> Array:
        """A' C^-1 A sigma^2 for contrasts A of (beta, b), shape (p + sum l q, k).

        The effects of a term stand level by level. C is the coefficient matrix of Henderson's equations,
        so that contrasts of b give prediction error variances.
        """
        point, model, plan = self._at(theta).point, self.model, self._designs.plan
        k = A.shape[1]
        rows = np.cumsum([model.p, *(t.n_levels * t.q for t in model.terms)])
        by_block = []
        for block in plan.blocks:
            values = np.zeros((k, block.q, block.l))
            for i, columns in zip(block.terms, block.columns, strict=True):
                part = A[rows[i] : rows[i + 1]].reshape(block.l, -1, k)
                values[:, columns] = np.einsum("ba,lbk->kal", np.linalg.inv(self._designs.scales[i]), part)
            by_block.append(values)
        reduced = point.factor.reduce(by_blocks(plan, by_block))
        rest = np.linalg.solve(self._fixed.R.T, A[: model.p])
        rest = rest - point.factor.gram(point.reduced, reduced)[:-1]
        total = point.factor.gram(reduced, reduced) + rest.T @ point.XVX_inverse @ rest
        sigma2 = point.pwrss / self._nu(reml)
        return np.asarray(sigma2 * total)

    def project(self, theta: Array, M: Array) -> Array:
        """P M for M (n, m), with V relative to sigma^2."""
        point, plan = self._at(theta).point, self._designs.plan
        root = self._designs.root_weights
        columns = M if root is None else M * root[:, None]
        reduced = point.factor.reduce(column_moments(plan, self._designs.Z, columns))
        Q = self._fixed.columns[:, :-1]
        XVM = Q.T @ columns - point.factor.gram(point.reduced, reduced)[:-1]
        beta = point.XVX_inverse @ XVM
        b = point.factor.solve(reduced).b
        out = columns - Q @ beta
        for z, block, own, x in zip(self._designs.Z, plan.blocks, b, point.solved.b, strict=True):
            effects = own - np.tensordot(beta.T, x[:-1], axes=1)
            out -= np.einsum("nq,mqn->nm", z, effects[:, :, block.codes])
        return out if root is None else out * root[:, None]


def _refuse(model: MixedModel) -> None:
    if not isinstance(model.residual, Homogeneous):
        raise ModelNotSupportedError(
            "the blocked engine takes independent residuals of one variance; "
            f"a residual structure ({type(model.residual).__name__}) needs another engine"
        )
    for term in model.terms:
        if not isinstance(term.relationship, Identity):
            raise ModelNotSupportedError(
                f"the levels of '{term.label}' have a relationship matrix; "
                "the blocked engine takes unrelated levels"
            )
        if term.codes.ndim != 1:
            raise ModelNotSupportedError(
                f"the effects of '{term.label}' point to different levels within one row; "
                "the blocked engine takes one level per row and term"
            )


def _designs(model: MixedModel, plan: Plan, scales: tuple[Array, ...]) -> _Designs:
    root = None if model.weights is None else np.sqrt(model.weights)
    Z = []
    for block in plan.blocks:
        parts = [_orthonormal(model.terms[i].z, scales[i], root) for i in block.terms]
        Z.append(parts[0] if len(parts) == 1 else np.hstack(parts))
    return _Designs(plan, scales, root, tuple(Z), random_moments(plan, tuple(Z)))


def _orthonormal(z: Array, scale: Array, root_weights: Array | None) -> Array:
    out = z / scale[0, 0] if z.shape[1] == 1 else z @ np.linalg.inv(scale)
    return out if root_weights is None else out * root_weights[:, None]
