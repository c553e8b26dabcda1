"""The `spectral` engine: one dense relationship matrix, one record per level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Coordinates
from henderson.engine.basis import FixedBasis, fixed_basis, with_response
from henderson.engine.directions import Curvature, to_absolute
from henderson.engine.protocol import (
    Criterion,
    EffectCovariance,
    Information,
    InformationKind,
    KenwardRogerPieces,
    Solution,
    TermSolution,
)
from henderson.engine.spectral.fixed_slopes import gram_slopes, moved_products, projected_traces
from henderson.engine.spectral.point import Point, evaluate
from henderson.engine.spectral.spectrum import Spectrum, decompose
from henderson.engine.spectral.starts import Grid
from henderson.engine.spectral.structure import kernel, obstacle, to_records
from henderson.errors import ModelNotSupportedError
from henderson.model import MixedModel

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Everything that is known at one theta.

    ``slope`` (k,) and ``bend`` (k, k) are the derivatives of lambda = S(theta) in theta.
    """

    theta: Array
    point: Point
    slope: Array
    bend: Array


class SpectralEngine:
    """One eigendecomposition, then weighted sums over its eigenvalues.

    With lambda = S(theta), K = Z G Z' and A the eigenvectors of K in the complement of the fixed effects,
    V = I + lambda K gives P = A diag(s) A' with s = 1 / (1 + lambda values), and
    V^-1 = P + H schur^-1 H' with H = fixed - lambda A diag(s) cross (see `Spectrum` and `Point`).
    Patterson & Thompson (1971), Biometrika 58:545; Lippert et al. (2011), Nat. Methods 8:833.

    Setting up costs O(n^3) once and three n x n matrices of float64 at its peak, besides the model's own G;
    one of them, the eigenvectors, is kept. An evaluation costs O(n c^2) for c fixed effects.

    Parameters
    ----------
    model : MixedModel
        One random term with one effect for each level, a dense relationship (or its factor) and at most one
        record for each level; unit weights, homogeneous residuals. G is not changed.

    Raises
    ------
    ModelNotSupportedError
        For any other structure.
    DataError
        If G is not positive semi-definite.

    Examples
    --------
    >>> from henderson.covariance import DenseRelationship, Unstructured
    >>> from henderson.model import RandomTerm
    >>> G = DenseRelationship(np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    >>> term = RandomTerm("iid", np.arange(3), 3, np.ones((3, 1)), Unstructured(1), G)
    >>> engine = SpectralEngine(MixedModel(np.array([1.0, 2.0, 4.0]), np.ones((3, 1)), (term,)))
    >>> round(engine.criterion(np.array([1.0])).profiled(reml=True), 6)
    8.194277
    """

    def __init__(self, model: MixedModel) -> None:
        _refuse(model)
        fixed = fixed_basis(model.X, model.y, None)
        self._setup(model, fixed, _spectrum(model, fixed), [])

    def _setup(self, model: MixedModel, fixed: FixedBasis, spectrum: Spectrum, grid: list[Grid]) -> None:
        self.model = model
        self._term = model.terms[0]
        self._fixed = fixed
        self._spectrum = spectrum
        self._grid = grid  # filled once, by whichever of the engines that share it is asked first
        self._eta: Array = spectrum.vectors.T @ fixed.columns[:, -1]
        self._logdet_basis = 2.0 * float(np.log(np.abs(np.diag(fixed.R))).sum())
        mean_diagonal = (float(spectrum.values.sum()) + float(np.trace(spectrum.gram))) / model.n
        self._scale = np.sqrt(mean_diagonal) if mean_diagonal > 0.0 else 1.0
        self._last: _State | None = None

    @property
    def spectrum(self) -> Spectrum:
        """Eigenvalues and eigenvectors of K = Z G Z' in the complement of the fixed effects."""
        return self._spectrum

    @property
    def eta(self) -> Array:
        """A'y: the response in the basis of the eigenvectors, shape (r,)."""
        return self._eta

    def forget(self) -> None:
        """Let go of what is kept of the last theta."""
        self._last = None

    def with_response(self, y: Array) -> SpectralEngine:
        """The same model for another response; the decomposition is shared."""
        fixed = with_response(self._fixed.columns[:, :-1], self._fixed.R, y)
        return self._derived(replace(self.model, y=y), fixed)

    def with_fixed(self, X: Array) -> SpectralEngine:
        """The same model with other fixed effects, which takes a new decomposition."""
        return SpectralEngine(replace(self.model, X=X))

    def with_weights(self, weights: Array | None) -> SpectralEngine:
        """The same model; prior weights are refused."""
        model = replace(self.model, weights=weights)
        _refuse(model)
        return self._derived(model, self._fixed)

    def _derived(self, model: MixedModel, fixed: FixedBasis) -> SpectralEngine:
        engine = type(self).__new__(type(self))
        engine._setup(model, fixed, self._spectrum, self._grid)
        return engine

    @property
    def shape(self) -> MixedModel:
        """The model."""
        return self.model

    def __repr__(self) -> str:
        return f"<{self.explanation}>"

    @property
    def explanation(self) -> str:
        """Why this engine: one dense relationship and one record per level."""
        return (
            f"spectral: one dense relationship ('{self._term.label}') and one record for each of "
            f"{self.model.n:,} levels; its eigenvectors are computed once"
        )

    # -- the search ------------------------------------------------------------------------------------

    @property
    def curvature_is_cheap(self) -> bool:
        """Second derivatives are sums over the eigenvalues, as the criterion is."""
        return True

    def coordinates(self) -> Coordinates:
        """Free coordinates phi of theta, without the units of z and G."""
        return self._term.covariance.coordinates(np.array([[self._scale]]))

    def scaled_factors(self, theta: Array) -> tuple[Array, ...]:
        """T for z and G of unit mean square, a (1, 1) matrix."""
        return (self._scale * self._term.covariance.factor(theta),)

    def start(self, *, reml: bool) -> Array:
        """The theta of the best criterion on a grid.

        The likelihood may have several peaks in lambda, of which a search from anywhere finds the nearest.
        """
        if not self._grid:
            self._grid.append(Grid.of(self._spectrum, np.logspace(-5.0, 5.0, 41) / self._scale**2))
        ratio = self._grid[0].best(self._eta, self._nu(reml), reml=reml)
        return self._term.covariance.nearest(np.array([[np.sqrt(ratio)]]))

    # -- one theta -------------------------------------------------------------------------------------

    def _at(self, theta: Array) -> _State:
        theta = np.asarray(theta, dtype=np.float64)
        if self._last is None or not np.array_equal(self._last.theta, theta):
            t = float(self._term.covariance.factor(theta)[0, 0])
            slope, bend = (d[..., 0, 0] for d in self._term.covariance.derivatives(theta))
            point = evaluate(self._spectrum, self._eta, t * t)
            self._last = _State(theta.copy(), point, slope, bend)
        return self._last

    def _nu(self, reml: bool) -> int:
        return self.model.n - self.model.p if reml else self.model.n

    def criterion(self, theta: Array) -> Criterion:
        """Log-determinants and penalised residual sum of squares, with their gradients."""
        at = self._at(theta)
        logdet_v, fixed, pwrss = at.point.logdet(reml=False), at.point.logdet_fixed, at.point.pwrss
        return Criterion(
            logdet_v=logdet_v.value,
            logdet_x=self._logdet_basis - fixed.value,
            pwrss=pwrss.value,
            n=self.model.n,
            p=self.model.p,
            log_weights=0.0,
            d_logdet_v=logdet_v.first * at.slope,
            d_logdet_x=-fixed.first * at.slope,
            d_pwrss=pwrss.first * at.slope,
        )

    def profiled_hessian(self, theta: Array, *, reml: bool, kind: InformationKind) -> Array:
        """Second derivatives of `Criterion.profiled` in theta, shape (n_theta, n_theta)."""
        at, nu = self._at(theta), self._nu(reml)
        pwrss = at.point.pwrss
        logdet, squares = _second(at.point, kind, nu, reml)
        in_ratio = logdet + nu * (squares / pwrss.value - (pwrss.first / pwrss.value) ** 2)
        return in_ratio * np.outer(at.slope, at.slope) + at.point.profiled_slope(nu, reml) * at.bend

    def covariance_gradient(self, theta: Array, *, reml: bool) -> tuple[Array, ...]:
        """Derivative of `Criterion.profiled` in S, a (1, 1) matrix."""
        return (np.array([[self._at(theta).point.profiled_slope(self._nu(reml), reml)]]),)

    def information(self, theta: Array, *, reml: bool, kind: InformationKind) -> Information:
        """Information on (theta, sigma^2) and on (sigma^2 S, sigma^2), at the profiled sigma^2."""
        at, nu = self._at(theta), self._nu(reml)
        point = at.point
        pwrss = point.pwrss.value
        sigma2 = pwrss / nu
        # As in the blocked engine: expectations of the slope of y'Py and of the criterion's own slope
        d_pwrss = -sigma2 * point.logdet(reml).first if kind == "expected" else point.pwrss.first
        score = point.profiled_slope(nu, reml) if kind == "observed" else 0.0
        logdet, squares = _second(point, kind, nu, reml)
        outer = np.outer(at.slope, at.slope)
        in_theta = Curvature(logdet * outer, squares * outer).unprofiled(d_pwrss * at.slope, pwrss, nu)
        in_theta[:-1, :-1] += score * at.bend
        one = np.ones((1, 1))
        in_S = Curvature(logdet * one, squares * one).unprofiled(np.array([d_pwrss]), pwrss, nu)
        in_linear = to_absolute(in_S, np.array([point.ratio]), np.array([score]), sigma2)
        return Information(theta_sigma2=0.5 * in_theta, linear=0.5 * in_linear)

    # -- estimates -------------------------------------------------------------------------------------

    def solution(self, theta: Array, *, reml: bool) -> Solution:
        """Estimates of the fixed effects and predictions of the random ones.

        Takes O(n^2) and no n x n matrix, unless there are levels without a record: each of these adds O(n^2)
        and two rows of length n.
        """
        point, spectrum, term = self._at(theta).point, self._spectrum, self._term
        sigma2 = point.pwrss.value / self._nu(reml)
        shrunk = point.shrink * self._eta
        residual = spectrum.vectors @ shrunk
        R_inverse = np.linalg.inv(self._fixed.R)
        beta = R_inverse @ (self._fixed.Qy - point.ratio * (spectrum.cross.T @ shrunk))
        weights: Array = np.bincount(term.codes, term.z[:, 0] * residual, minlength=term.n_levels).astype(
            float
        )
        b = point.ratio * term.relationship.times(weights[:, None])
        return Solution(
            beta=beta,
            cov_beta=sigma2 * R_inverse @ point.schur @ R_inverse.T,
            sigma2=sigma2,
            terms=(TermSolution(b, sigma2 * self._conditional(point)[:, None, None]),),
            wrss=float(shrunk @ shrunk),
            ussq=point.ratio * float(shrunk @ (spectrum.values * shrunk)),
        )

    def fixed_slopes(self, theta: Array, *, reml: bool) -> Array:
        """Derivatives of the covariance of the fixed effects in (theta, sigma^2), (n_theta + 1, p, p)."""
        at = self._at(theta)
        sigma2 = at.point.pwrss.value / self._nu(reml)
        half = np.linalg.solve(self._fixed.R, at.point.schur)
        by_ratio = -sigma2 * half @ gram_slopes(self._spectrum, at.point)[0] @ half.T
        by_sigma2 = half @ np.linalg.inv(self._fixed.R).T
        return np.concatenate([at.slope[:, None, None] * by_ratio, by_sigma2[None]])

    def kr_pieces(self, theta: Array) -> KenwardRogerPieces:
        """What Kenward and Roger's method needs, at the sigma^2 of REML."""
        point, spectrum, R = self._at(theta).point, self._spectrum, self._fixed.R
        sigma2 = point.pwrss.value / self._nu(True)
        P = R.T @ gram_slopes(spectrum, point) @ R / sigma2**2
        Q = R.T @ moved_products(spectrum, point) @ R / sigma2**3
        return KenwardRogerPieces(P, Q, projected_traces(spectrum, point) / sigma2**2)

    def _conditional(self, point: Point) -> Array:
        """Diagonal of S G - S^2 G Z'V^-1 Z G, shape (l,).

        For a level with a record this is that of lambda K - lambda^2 K V^-1 K = lambda K V^-1 over z^2,
        written so that lambda stands before all of it and nothing cancels.
        """
        term, spectrum, s = self._term, self._spectrum, point.shrink
        A, F, C, inverse = spectrum.vectors, spectrum.fixed, spectrum.cross, point.schur_inverse
        out = np.empty(term.n_levels)
        z = term.z[:, 0]
        E = A @ (s[:, None] * C)
        inner = inverse @ (spectrum.gram - C.T @ ((point.ratio * s)[:, None] * C))
        own = np.einsum("ij,j,ij->i", A, spectrum.values * s, A) + _rows(F @ inner, F)
        own += 2.0 * _rows(F @ inverse, E) - point.ratio * _rows(E @ inverse, E)
        informed = z != 0.0
        out[term.codes[informed]] = point.ratio * own[informed] / z[informed] ** 2
        others = np.setdiff1d(np.arange(term.n_levels), term.codes[informed])
        if others.size:
            W, diagonal = to_records(term, others)
            rotated = W @ A
            explained = np.einsum("ij,j,ij->i", rotated, s, rotated)
            H = W @ F - point.ratio * (rotated @ (s[:, None] * C))
            explained += _rows(H @ inverse, H)
            out[others] = point.ratio * (diagonal - point.ratio * explained)
        return np.maximum(out, 0.0)

    def posterior_cov(self, theta: Array, A: Array, *, reml: bool) -> Array:
        """A' C^-1 A sigma^2 for contrasts A of (beta, b), shape (p + l, k).

        C is the coefficient matrix of Henderson's equations, so that contrasts of b give prediction error
        variances; valid also where G or S is singular.
        """
        point, spectrum, term, p = self._at(theta).point, self._spectrum, self._term, self.model.p
        Ga = term.relationship.times(A[p:])
        g = point.ratio * term.z * Ga[term.codes]
        rotated = spectrum.vectors.T @ g
        shrunk = point.shrink[:, None] * rotated
        t = np.linalg.solve(self._fixed.R.T, A[:p])
        th = t.T @ (spectrum.fixed.T @ g - point.ratio * (spectrum.cross.T @ shrunk))
        total = point.ratio * (A[p:].T @ Ga) - rotated.T @ shrunk + t.T @ point.schur @ t - th - th.T
        return np.asarray(point.pwrss.value / self._nu(reml) * total)

    def effect_cov(self, theta: Array, levels: NDArray[np.intp], *, reml: bool) -> EffectCovariance:
        """Covariance of the effects of levels, (K, 1), and their link to beta; -1 is an unseen level."""
        point, spectrum, term = self._at(theta).point, self._spectrum, self._term
        # V^-1 X = H schur^-1 R
        H = spectrum.fixed - point.ratio * (spectrum.vectors @ (point.shrink[:, None] * spectrum.cross))
        weights = np.zeros((term.n_levels, self.model.p))
        weights[term.codes] = term.z * (H @ (point.schur_inverse @ self._fixed.R))
        # An unseen level is the last row
        link = np.vstack([point.ratio * term.relationship.times(weights), np.zeros(self.model.p)])
        own = np.append(
            self._conditional(point), point.ratio * term.relationship.diagonal(term.n_levels).mean()
        )
        level = levels[:, 0]
        sigma2 = point.pwrss.value / self._nu(reml)
        return EffectCovariance(sigma2 * own[level, None, None], link[level, None])

    def project(self, theta: Array, M: Array) -> Array:
        """P M for M (n, m), with V relative to sigma^2."""
        A = self._spectrum.vectors
        return np.asarray(A @ (self._at(theta).point.shrink[:, None] * (A.T @ M)))


def _refuse(model: MixedModel) -> None:
    reason = obstacle(model)
    if reason is not None:
        raise ModelNotSupportedError(reason)


def _spectrum(model: MixedModel, fixed: FixedBasis) -> Spectrum:
    found = decompose(kernel(model.terms[0]), np.ascontiguousarray(fixed.columns[:, :-1]))
    # Where K has nothing in a direction it has no covariance with the fixed effects either, but for rounding
    return replace(found, cross=np.where(found.values[:, None] > 0.0, found.cross, 0.0))


def _second(point: Point, kind: InformationKind, nu: int, reml: bool) -> tuple[float, float]:
    """Second derivatives in lambda of the log-determinants and of y'Py, exact or one made from the other."""
    logdet, pwrss = point.logdet(reml).second, point.pwrss.second
    sigma2 = point.pwrss.value / nu
    if kind == "average":
        return -0.5 * pwrss / sigma2, pwrss
    return logdet, -2.0 * sigma2 * logdet if kind == "expected" else pwrss


def _rows(A: Array, B: Array) -> Array:
    """Inner products of the rows of two matrices."""
    return np.asarray(np.einsum("ij,ij->i", A, B))
