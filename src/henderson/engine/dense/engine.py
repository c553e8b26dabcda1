"""The `dense` engine: V is formed and factored, whatever the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit, Coordinates
from henderson.engine.basis import FixedBasis, fixed_basis, with_response
from henderson.engine.candidates import candidates
from henderson.engine.dense.curvature import curvature, gram_slopes, moved_products, traces
from henderson.engine.dense.designs import Designs, make_designs
from henderson.engine.dense.explanation import explain
from henderson.engine.dense.point import Point, along, chart_at, evaluate, in_elements
from henderson.engine.dense.start import MomentEquations, inside
from henderson.engine.directions import Curvature, Direction
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
from henderson.errors import DataError
from henderson.model import MixedModel

Array = NDArray[np.float64]
#: Up to this number of coordinates exact second derivatives take some milliseconds,
CHEAP_CURVATURE = 300
#: and several starts of the search are tried.
CHEAP_STARTS = 1000


class DenseEngine:
    """One Cholesky factor of V per evaluation, and its inverse for the gradient.

    Records that are alike in all that the random effects see are worked on as one, and where there are more
    of these than random effects, V is formed over an orthonormal basis of their design instead
    (`dense.reduction`): N coordinates, of which an evaluation takes N^3 operations. The average information
    takes solves alone (Gilmour, Thompson & Cullis 1995, Biometrics 51:1440); the observed and the expected
    one take 4 N^3 for each covariance parameter.

    Parameters
    ----------
    model : MixedModel
        Any model. Its relationships are not changed.

    Raises
    ------
    DataError
        If the matrices need more memory than the machine has, or, when V is first factored, a relationship
        has a negative eigenvalue.

    Examples
    --------
    >>> from henderson.covariance import DenseRelationship, Unstructured
    >>> from henderson.model import RandomTerm
    >>> G = DenseRelationship(np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    >>> term = RandomTerm("iid", np.array([0, 1, 2, 2]), 3, np.ones((4, 1)), Unstructured(1), G)
    >>> engine = DenseEngine(MixedModel(np.array([1.0, 2.0, 4.0, 5.0]), np.ones((4, 1)), (term,)))
    >>> round(engine.criterion(np.array([1.0])).profiled(reml=True), 6)
    12.258547
    >>> print(engine.explanation)
    dense: one relationship matrix (iid) and repeated records, solved in 3 coordinates instead of 4 records
    """

    def __init__(self, model: MixedModel) -> None:
        self._setup(model, make_designs(model), None)

    def _setup(self, model: MixedModel, designs: Designs, fixed: FixedBasis | None) -> None:
        self.model = model
        self._designs = designs
        self._fixed = fixed or fixed_basis(model.X, model.y, designs.root_weights)
        self._columns = designs.reduction.coordinates(self._fixed.columns)
        self._logdet_basis = 2.0 * float(np.log(np.abs(np.diag(self._fixed.R))).sum())
        self._equations: MomentEquations | None = None
        self._last: Point | None = None

    @classmethod
    def _derived(cls, model: MixedModel, designs: Designs, fixed: FixedBasis | None) -> DenseEngine:
        engine = cls.__new__(cls)
        engine._setup(model, designs, fixed)
        return engine

    def with_response(self, y: Array) -> DenseEngine:
        """The same model for another response; all but y's own coordinates are shared."""
        root = self._designs.root_weights
        fixed = with_response(self._Q, self._fixed.R, y if root is None else y * root)
        engine = self._derived(replace(self.model, y=y), self._designs, fixed)
        engine._equations = self._equations
        return engine

    def with_fixed(self, X: Array) -> DenseEngine:
        """The same model with other fixed effects; the reduction and the relationships are shared."""
        return self._derived(replace(self.model, X=X), self._designs, None)

    def with_weights(self, weights: Array | None) -> DenseEngine:
        """The same model with other prior weights, set up afresh."""
        return DenseEngine(replace(self.model, weights=weights))

    @property
    def shape(self) -> MixedModel:
        """The model."""
        return self.model

    @property
    def size(self) -> int:
        """Number of coordinates N that V is formed over."""
        return self._designs.system.size

    def __repr__(self) -> str:
        return f"<{self.explanation}>"

    @property
    def explanation(self) -> str:
        """Why this engine: what of the model's structure the others do not take, and the size of V."""
        return explain(self.model, self.size)

    def forget(self) -> None:
        """Let go of the factor at the last theta."""
        self._last = None

    @property
    def _Q(self) -> Array:
        return self._fixed.columns[:, :-1]

    # -- the search ------------------------------------------------------------------------------------

    @property
    def curvature_is_cheap(self) -> bool:
        """Whether there are so few coordinates that exact second derivatives cost little."""
        return self.size <= CHEAP_CURVATURE

    def coordinates(self) -> Coordinates:
        """Free coordinates phi of theta, without the units of Z and G."""
        pairs = zip(self.model.terms, self._designs.scales, strict=True)
        parts = [term.covariance.coordinates(P) for term, P in pairs]
        if isinstance(self.model.residual, ByUnit):
            parts.append(self.model.residual.coordinates())
        return Coordinates.joined(parts)

    def scaled_factors(self, theta: Array) -> tuple[Array, ...]:
        """T of each term for designs and relationships of unit mean square, (q, q) each."""
        triples = zip(self.model.terms, self.model.theta_slices(), self._designs.scales, strict=True)
        return tuple(P @ term.covariance.factor(theta[part]) for term, part, P in triples)

    def start(self, *, reml: bool) -> Array:
        """Theta by the method of moments, R = I; in a small model the best of some values around it.

        The likelihood may have several peaks, of which a search finds one nearby.
        """
        system, columns = self._designs.system, self._columns
        one = tuple(np.eye(term.q) for term in self.model.terms)
        if self._equations is None:
            chart = chart_at(self.model, self._theta(one))
            self._equations = MomentEquations.of(system, chart, columns[:, :-1], self._nu(True))
        y = columns[:, -1]
        components = self._equations.solve(system, y, float(y @ y))
        T = inside(components, self._designs.scales)
        if self.size > CHEAP_STARTS:
            return self._theta(T)
        return min((self._theta(each) for each in candidates(T)), key=lambda theta: self._value(theta, reml))

    def _theta(self, T: tuple[Array, ...]) -> Array:
        """Theta for the T of designs and relationships of unit mean square; R = I."""
        triples = zip(self.model.terms, T, self._designs.scales, strict=True)
        parts = [term.covariance.nearest(np.asarray(np.linalg.solve(P, own))) for term, own, P in triples]
        if isinstance(self.model.residual, ByUnit):
            parts.append(self.model.residual.start())
        return np.concatenate([np.empty(0), *parts])

    def _value(self, theta: Array, reml: bool) -> float:
        """The profiled criterion up to a constant, without the inverse that its gradient takes."""
        try:
            point = self._evaluate(theta)
        except FloatingPointError:
            return np.inf
        logdet = point.factor.logdet_v + (point.factor.logdet_x if reml else 0.0)
        return logdet + self._nu(reml) * float(np.log(point.pwrss)) if point.pwrss > 0.0 else np.inf

    # -- one theta -------------------------------------------------------------------------------------

    def _at(self, theta: Array) -> Point:
        theta = np.asarray(theta, dtype=np.float64)
        if self._last is None or not np.array_equal(self._last.theta, theta):
            self._last = None  # its matrices make room for the next ones
            self._last = self._evaluate(theta)
        return self._last

    def _evaluate(self, theta: Array) -> Point:
        try:
            return evaluate(self.model, self._designs.system, self._columns, theta)
        except FloatingPointError:
            if np.isfinite(theta).all() and self._designs.culprit is not None:
                raise DataError(
                    f"the relationship matrix of '{self._designs.culprit}' is not positive semi-definite: it "
                    "has a negative eigenvalue, and is no matrix of covariances; compute it again from the "
                    "genotypes, all people over the same variants"
                ) from None
            raise

    def _nu(self, reml: bool) -> int:
        return self.model.n - self.model.p if reml else self.model.n

    def criterion(self, theta: Array) -> Criterion:
        """Log-determinants and penalised residual sum of squares, with their gradients."""
        point = self._at(theta)
        by_theta = point.along(point.chart.directions())
        return Criterion(
            logdet_v=point.factor.logdet_v,
            logdet_x=point.factor.logdet_x + self._logdet_basis,
            pwrss=point.pwrss,
            n=self.model.n,
            p=self.model.p,
            log_weights=self._designs.log_weights,
            d_logdet_v=by_theta[:, 0],
            d_logdet_x=by_theta[:, 1],
            d_pwrss=by_theta[:, 2],
        )

    def profiled_hessian(self, theta: Array, *, reml: bool, kind: InformationKind) -> Array:
        """Second derivatives of `Criterion.profiled` in theta, shape (n_theta, n_theta)."""
        point, nu = self._at(theta), self._nu(reml)
        directions = point.chart.directions()
        moved = Moved(point.along(directions), curvature(point, directions, kind, nu=nu, reml=reml))
        return moved.profiled_hessian(point.pwrss, nu) + point.bend(nu, reml)

    def covariance_gradient(self, theta: Array, *, reml: bool) -> tuple[Array, ...]:
        """Derivative of `Criterion.profiled` in each term's S, valid where S is singular; (q, q) each."""
        return self._at(theta).profiled(self._nu(reml), reml)[:-1]

    def information(self, theta: Array, *, reml: bool, kind: InformationKind) -> Information:
        """Information on (theta, sigma^2) and on the linear parameters, at the profiled sigma^2."""
        point, nu = self._at(theta), self._nu(reml)
        chart, directions = point.chart, point.chart.linear_directions()
        linear = Moved(point.along(directions), curvature(point, directions, kind, nu=nu, reml=reml))
        J = in_elements(chart, chart.directions())
        second = Curvature(J @ linear.second.logdet @ J.T, J @ linear.second.pwrss @ J.T)
        return information(
            Moved(J @ linear.slopes, second),
            linear,
            bend=point.bend(nu, reml),
            values=chart.linear_values(),
            pwrss=point.pwrss,
            nu=nu,
            reml=reml,
            kind=kind,
        )

    # -- estimates -------------------------------------------------------------------------------------

    def solution(self, theta: Array, *, reml: bool) -> Solution:
        """Estimates of the fixed effects and predictions of the random ones."""
        point, effects = self._at(theta), self._designs.effects
        sigma2 = point.pwrss / self._nu(reml)
        R_inverse = np.linalg.inv(self._fixed.R)
        half = np.linalg.inv(point.factor.R @ self._fixed.R)
        b = effects.times_prior(point, effects.of_coordinates(point.Py))
        terms = [
            TermSolution(own[:, :, 0], sigma2 * effects.conditional(point, k)) for k, own in enumerate(b)
        ]
        chart, squares = point.chart, self._designs.system.squares(point.Py)
        in_terms = Direction(tuple(t.S for t in chart.terms))
        in_residual = Direction((None,) * len(chart.terms), chart.residual.R0)
        ussq, wrss = along(squares, [in_terms, in_residual])
        beta = R_inverse @ (self._fixed.Qy + point.beta)
        return Solution(beta, sigma2 * half @ half.T, sigma2, tuple(terms), float(wrss), float(ussq))

    def fixed_slopes(self, theta: Array, *, reml: bool) -> Array:
        """Derivatives of the covariance of the fixed effects in (theta, sigma^2), (n_theta + 1, p, p)."""
        point = self._at(theta)
        sigma2 = point.pwrss / self._nu(reml)
        half = np.linalg.inv(point.factor.R @ self._fixed.R)
        whole = half @ np.linalg.inv(point.factor.R).T
        by_theta = -sigma2 * whole @ gram_slopes(point, point.chart.directions()) @ whole.T
        return np.concatenate([by_theta, (half @ half.T)[None]])

    def kr_pieces(self, theta: Array) -> KenwardRogerPieces:
        """What Kenward and Roger's method needs, at the sigma^2 of REML."""
        point, R = self._at(theta), self._fixed.R
        directions = point.chart.tangent_directions()
        sigma2 = point.pwrss / self._nu(True)
        P = R.T @ gram_slopes(point, directions) @ R / sigma2**2
        Q = R.T @ moved_products(point, directions) @ R / sigma2**3
        trace = traces(point, directions, reml=True)
        trace[-1, -1] += self.model.n - len(self._columns)  # the coordinates that nothing is said about
        return KenwardRogerPieces(P, Q, trace / sigma2**2)

    def posterior_cov(self, theta: Array, A: Array, *, reml: bool) -> Array:
        """A' C^-1 A sigma^2 for contrasts A of (beta, b), shape (p + sum l q, k).

        The effects of a term stand level by level. C is the coefficient matrix of Henderson's equations,
        so that contrasts of b give prediction error variances; valid also where G or S is singular.
        """
        point, effects, p = self._at(theta), self._designs.effects, self.model.p
        own = effects.split(A[p:])
        moved = effects.times_prior(point, own)
        g = np.zeros((len(self._columns), A.shape[1]))
        g[: self.size] = effects.to_coordinates(moved)
        g = point.factor.solve_lower(g)
        rest = np.linalg.solve((point.factor.R @ self._fixed.R).T, A[:p]) - point.factor.Q.T @ g
        total = rest.T @ rest - g.T @ g
        for a, b in zip(own, moved, strict=True):
            total += np.einsum("lai,laj->ij", a, b)
        return np.asarray(point.pwrss / self._nu(reml) * total)

    def effect_cov(self, theta: Array, levels: NDArray[np.intp], *, reml: bool) -> EffectCovariance:
        """Joint covariance of the effects of combinations of levels, (K, columns); -1 is an unseen one."""
        point, effects = self._at(theta), self._designs.effects
        C = point.pwrss / self._nu(reml) * effects.joint(point, levels)
        return EffectCovariance(C, effects.link(point, self._fixed.R, levels))

    def project(self, theta: Array, M: Array) -> Array:
        """P M for M (n, m), with V relative to sigma^2."""
        point, root = self._at(theta), self._designs.root_weights
        columns = M if root is None else M * root[:, None]
        VM, VQ = self._solve(point, columns), self._solve(point, self._Q)
        half = np.linalg.solve(point.factor.R.T, VQ.T @ columns)
        out = VM - VQ @ np.linalg.solve(point.factor.R, half)
        return out if root is None else out * root[:, None]

    def _solve(self, point: Point, M: Array) -> Array:
        """V^-1 M of the records, for the model of W^1/2 y."""
        reduction, factor = self._designs.reduction, point.factor
        inner = factor.solve_lower(factor.solve_lower(reduction.down(M)), transposed=True)
        return reduction.up(inner) + reduction.rest(M)
