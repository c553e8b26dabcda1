"""What every engine answers, and the records it answers with."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, pi
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Coordinates
from henderson.model import MixedModel, ModelShape

Array = NDArray[np.float64]
InformationKind = Literal["observed", "expected", "average"]


@dataclass(frozen=True, slots=True, eq=False)
class Criterion:
    """The pieces of the (restricted) likelihood at one theta, and their derivatives.

    Bates et al. (2015), J. Stat. Softw. 67(1): `logdet_v` is log|L|^2 of eq. (18), `logdet_x` is
    log|R_X|^2 and `pwrss` is r^2(theta).

    Attributes
    ----------
    logdet_v : float
        log|V| with V = W^-1 + Z S Z' taken relative to the weights: log|T'Z'WZT + I|.
    logdet_x : float
        log|X'V^-1 X|.
    pwrss : float
        Penalised weighted residual sum of squares y'Py.
    n, p : int
        Number of records, of fixed effects.
    log_weights : float
        Sum of the logarithms of the prior weights.
    d_logdet_v, d_logdet_x, d_pwrss : ndarray, shape (n_theta,)
        Derivatives with respect to theta.
    """

    logdet_v: float
    logdet_x: float
    pwrss: float
    n: int
    p: int
    log_weights: float
    d_logdet_v: Array
    d_logdet_x: Array
    d_pwrss: Array

    def df(self, reml: bool) -> int:
        """Degrees of freedom that sigma^2 divides by."""
        return self.n - self.p if reml else self.n

    def sigma2(self, reml: bool) -> float:
        """The residual variance that maximises the criterion at this theta."""
        return self.pwrss / self.df(reml)

    def profiled(self, reml: bool) -> float:
        """-2 log (restricted) likelihood with sigma^2 profiled out; eqs. (34) and (41)."""
        if self.pwrss <= 0.0:
            return inf  # rounding has eaten the residual: not a point to stop at
        nu = self.df(reml)
        extra = self.logdet_x if reml else 0.0
        return self.logdet_v + extra + nu * (1.0 + log(2.0 * pi * self.pwrss / nu)) - self.log_weights

    def profiled_gradient(self, reml: bool) -> Array:
        """Derivative of `profiled` with respect to theta."""
        extra = self.d_logdet_x if reml else 0.0
        return self.d_logdet_v + extra + self.df(reml) / self.pwrss * self.d_pwrss

    def unprofiled(self, sigma2: float, reml: bool) -> float:
        """-2 log (restricted) likelihood at a given residual variance."""
        nu = self.df(reml)
        extra = self.logdet_x if reml else 0.0
        return self.logdet_v + extra + nu * log(2.0 * pi * sigma2) + self.pwrss / sigma2 - self.log_weights

    def unprofiled_gradient(self, sigma2: float, reml: bool) -> Array:
        """Derivative of `unprofiled` with respect to (theta, sigma2)."""
        extra = self.d_logdet_x if reml else 0.0
        by_theta = self.d_logdet_v + extra + self.d_pwrss / sigma2
        return np.append(by_theta, self.df(reml) / sigma2 - self.pwrss / sigma2**2)


@dataclass(frozen=True, slots=True, eq=False)
class TermSolution:
    """Predicted effects of one random term.

    Attributes
    ----------
    b : ndarray, shape (l, q)
        Conditional modes (BLUPs).
    cond_var : ndarray, shape (l, q, q)
        Conditional covariance of each level's effects given beta and theta, times sigma^2.
    """

    b: Array
    cond_var: Array


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Estimates at one theta.

    Attributes
    ----------
    beta : ndarray, shape (p,)
        BLUE of the fixed effects.
    cov_beta : ndarray, shape (p, p)
        sigma^2 (X'V^-1 X)^-1.
    sigma2 : float
        Residual variance.
    terms : tuple of TermSolution
        One per random term of the model, in the model's order.
    wrss, ussq : float
        Weighted residual sum of squares and squared length of the spherical effects u; they add up to
        pwrss.
    """

    beta: Array
    cov_beta: Array
    sigma2: float
    terms: tuple[TermSolution, ...]
    wrss: float
    ussq: float


@dataclass(frozen=True, slots=True, eq=False)
class EffectCovariance:
    """How uncertain the effects of K combinations of levels are, all terms together.

    With z the Q numbers that multiply a combination's effects in a row, and x those of the fixed effects,

        Var(x'beta^ + z'b^ - x'beta - z'b) = (x - B'z)' cov_beta (x - B'z) + z'C z.

    Henderson (1975), Biometrics 31:423-447; z'B is how much z'b^ falls as beta^ grows.

    Attributes
    ----------
    C : ndarray, shape (K, Q, Q)
        Conditional covariance of the effects given beta and theta, times sigma^2.
    B : ndarray, shape (K, Q, p)
        Effects that the columns of X predict, S Z'V^-1 X.
    """

    C: Array
    B: Array


@dataclass(frozen=True, slots=True, eq=False)
class Information:
    """Information matrices of the -log (restricted) likelihood.

    Attributes
    ----------
    theta_sigma2 : ndarray, shape (n_theta + 1, n_theta + 1)
        In (theta, sigma^2).
    linear : ndarray, shape (n_linear + 1, n_linear + 1)
        In the linear parameters: the lower triangle (column by column) of sigma^2 S_k, term by term, then
        sigma^2. Here every dV / d parameter is constant, as Kenward-Roger wants.
    """

    theta_sigma2: Array
    linear: Array


@dataclass(frozen=True, slots=True, eq=False)
class KenwardRogerPieces:
    """What Kenward & Roger (1997), Biometrics 53:983 make their covariance and degrees of freedom of.

    All in absolute parameters, of which V_i are the derivatives of V (sigma^2 included) along r directions:
    the elements of sigma^2 S_k, term by term, then those of sigma^2 R_0, the first of them last. These are
    `Information.linear`'s, but that a covariance with structure moves in its own parameters only.

    Attributes
    ----------
    P : ndarray, (r, p, p)
        -X'V^-1 V_i V^-1 X, the derivatives of X'V^-1 X.
    Q : ndarray, (r, r, p, p)
        X'V^-1 V_i P V_j V^-1 X, P the projection: their Q_ij - P_i Phi P_j.
    trace : ndarray, (r, r)
        tr(P V_i P V_j): twice the expected information.
    """

    P: Array
    Q: Array
    trace: Array


class Engine(Protocol):
    """Solves a model at any theta.

    What needs the records themselves (`model`, `project`, `with_response` and its like) is refused in one
    sentence by an engine whose data were streamed.
    """

    @property
    def shape(self) -> ModelShape:
        """Terms, residual and sizes of the model."""
        ...

    @property
    def curvature_is_cheap(self) -> bool:
        """Whether exact second derivatives cost about as much as a few gradients."""
        ...

    def coordinates(self) -> Coordinates:
        """Free coordinates phi of theta, without the units of the random-effect designs."""
        ...

    def scaled_factors(self, theta: Array) -> tuple[Array, ...]:
        """T of each term for orthonormal random-effect designs, lower-triangular (q, q): free of units."""
        ...

    def start(self, *, reml: bool) -> Array:
        """A theta to start from."""
        ...

    def criterion(self, theta: Array) -> Criterion:
        """Pieces of the criterion with their gradients."""
        ...

    def profiled_hessian(self, theta: Array, *, reml: bool, kind: InformationKind) -> Array:
        """Second derivatives of `Criterion.profiled`, exact or with the average information in them."""
        ...

    def covariance_gradient(self, theta: Array, *, reml: bool) -> tuple[Array, ...]:
        """Derivative of `Criterion.profiled` with respect to each term's S, a symmetric (q, q) each."""
        ...

    def solution(self, theta: Array, *, reml: bool) -> Solution:
        """Estimates of the fixed effects and predictions of the random ones."""
        ...

    def information(self, theta: Array, *, reml: bool, kind: InformationKind) -> Information:
        """Observed, expected or average information at the profiled sigma^2."""
        ...

    def fixed_slopes(self, theta: Array, *, reml: bool) -> Array:
        """Derivatives of the covariance of the fixed effects in (theta, sigma^2), (n_theta + 1, p, p)."""
        ...

    def kr_pieces(self, theta: Array) -> KenwardRogerPieces:
        """What Kenward and Roger's method needs, at the sigma^2 of REML."""
        ...

    def posterior_cov(self, theta: Array, A: Array, *, reml: bool) -> Array:
        """A' C^-1 A sigma^2, C the coefficient matrix of Henderson's mixed-model equations."""
        ...

    def effect_cov(self, theta: Array, levels: NDArray[np.intp], *, reml: bool) -> EffectCovariance:
        """Joint covariance of the effects of combinations of levels, (K, columns).

        There is a column for each term, and one for each effect of a term whose effects point to different
        levels: the columns of ``codes`` side by side. A level of -1 is one that nobody has seen: its effects
        have their prior covariance sigma^2 S, times the mean relationship of a level to itself, and are
        independent of all others, also of those of another unseen level that the same row points to.
        """
        ...

    def forget(self) -> None:
        """Let go of what is kept of the last theta; it is worked out again when asked for."""
        ...

    @property
    def explanation(self) -> str:
        """In a sentence or two: the engine, and the part of the model's structure that it was chosen by."""
        ...

    @property
    def model(self) -> MixedModel:
        """The model that is solved."""
        ...

    def project(self, theta: Array, M: Array) -> Array:
        """P M with P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1, V relative to sigma^2."""
        ...

    def with_response(self, y: Array) -> Engine:
        """The same model for another response."""
        ...

    def with_weights(self, weights: Array | None) -> Engine:
        """The same model with other prior weights."""
        ...

    def with_fixed(self, X: Array) -> Engine:
        """The same model with other fixed effects."""
        ...
