"""A `MixedModel` to its optimum: the one place where engine and optimiser meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Identity
from henderson.engine import Criterion, Engine
from henderson.errors import DataError
from henderson.fit.optimize import NOISE, Control, Optimum, minimise
from henderson.model import MixedModel

Array = NDArray[np.float64]
#: A diagonal element of T~ (relative to sigma, per unit of its design) below this may be an exact zero.
NEAR_ZERO = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The optimum of a model.

    Attributes
    ----------
    engine : Engine
        The engine, which answers further questions.
    theta : ndarray
        Relative covariance parameters, as lme4 reports them.
    scaled : ndarray
        The same in the scale-free coordinates of the search: the random-effect designs have unit mean
        square there.
    criterion : Criterion
        Pieces of the criterion there.
    optimum : Optimum
        How it was found, in the scale-free coordinates of the search.
    reml : bool
        Which criterion was minimised.
    """

    engine: Engine
    theta: Array
    scaled: Array
    criterion: Criterion
    optimum: Optimum
    reml: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Profiled:
    """The profiled criterion in coordinates phi with theta = M phi."""

    engine: Engine
    M: Array
    reml: bool

    @property
    def exact_is_cheap(self) -> bool:
        return self.engine.curvature_is_cheap

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        criterion = self.engine.criterion(self.M @ x)
        return criterion.profiled(self.reml), self.M.T @ criterion.profiled_gradient(self.reml)

    def average_hessian(self, x: Array) -> Array:
        return self.M.T @ self.engine.profiled_hessian(self.M @ x, reml=self.reml, kind="average") @ self.M

    def exact_hessian(self, x: Array) -> Array:
        return self.M.T @ self.engine.profiled_hessian(self.M @ x, reml=self.reml, kind="observed") @ self.M


def choose_engine(model: MixedModel) -> Engine:
    """The engine for the structure of a model.

    Raises
    ------
    ModelNotSupportedError
        If no engine takes it; the sentence names the part that is in the way.
    """
    if all(isinstance(term.relationship, Identity) for term in model.terms):
        from henderson.engine.blocked import BlockedEngine

        return BlockedEngine(model)
    from henderson.engine.spectral import SpectralEngine

    return SpectralEngine(model)


def solve(
    engine: Engine, *, reml: bool, start: Array | None = None, control: Control | None = None
) -> Fitted:
    """Minimise the profiled criterion.

    Parameters
    ----------
    engine : Engine
        The model.
    reml : bool
        REML or maximum likelihood.
    start : ndarray, shape (n_theta,), optional
        Where to start; by default effects as large as the residual.
    control : Control, optional
        Tolerance and limits.

    Raises
    ------
    DataError
        If `start` has the wrong length or is not finite.
    """
    theta = engine.start(reml=reml) if start is None else _checked_start(engine, start)
    M = engine.preconditioner()
    objective = _Profiled(engine, M, reml)
    phi: Array = np.asarray(np.linalg.solve(M, theta))
    optimum = minimise(objective, phi, control or Control())
    theta = _snap(engine, M, optimum, reml)
    parts = zip(engine.model.terms, engine.model.theta_slices(), strict=True)
    theta = np.concatenate([term.covariance.canonical(theta[part]) for term, part in parts])
    scaled: Array = np.asarray(np.linalg.solve(M, theta))
    return Fitted(engine, theta, scaled, engine.criterion(theta), optimum, reml)


def _checked_start(engine: Engine, start: Array) -> Array:
    n_theta = engine.model.n_theta
    if start.shape != (n_theta,):
        raise DataError(f"start must hold {n_theta} numbers, one per theta; it has shape {start.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        usable = np.isfinite((start**4).sum())
    if not usable:
        raise DataError(f"start must hold finite numbers of a usable size; it is {start.tolist()}")
    return start


def _snap(engine: Engine, M: Array, optimum: Optimum, reml: bool) -> Array:
    """Set standard deviations that the search drove towards zero to zero, where the criterion allows it.

    A variance at its bound is then exactly 0, and a correlation at its bound exactly 1 or -1.
    """
    x = optimum.x
    for i in np.flatnonzero(np.abs(x) < NEAR_ZERO):
        if not _is_scale(engine, int(i)):
            continue
        trial = x.copy()
        trial[i] = 0.0
        value = engine.criterion(M @ trial).profiled(reml)
        if value <= optimum.objective + NOISE * max(1.0, abs(optimum.objective)):
            x = trial
    return M @ x


def _is_scale(engine: Engine, i: int) -> bool:
    """Whether theta_i is a diagonal element of T."""
    for term, part in zip(engine.model.terms, engine.model.theta_slices(), strict=True):
        if part.start <= i < part.stop:
            first, _ = term.covariance.factor_derivatives(np.zeros(term.covariance.n_theta))
            return bool(np.diag(first[i - part.start]).any())
    return False
