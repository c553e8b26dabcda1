"""What is computed from each bootstrap replicate: the parameters of the model, or any function of a fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit, Identity
from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.mean_squares import mean_squares
from henderson.fit.refit import refit_all
from henderson.fit.update import fit_response
from henderson.fit.varcorr import VarCorr
from henderson.inference.parameters import chosen, variance_parameters
from henderson.inference.variance_explained import r2

Array = NDArray[np.float64]
#: Replicates that are fitted, and written to a file, at a time.
CHUNK = 500
#: The same where each of them is a complete fit.
CHUNK_OF_FITS = 25
NOT_CONVERGED = "the search did not converge"
#: Names by which shares of variance are asked for beside those of the parameters.
ALIASES = {"heritability": "h2"}


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A statistic of k replicates.

    Attributes
    ----------
    values : ndarray, (k, m)
        NaN where a replicate failed.
    singular : ndarray of bool, (k,)
        Whether some random-effects covariance is singular.
    problems : tuple of str, length k
        Why a replicate failed; empty for those that did not.
    """

    values: Array
    singular: NDArray[np.bool_]
    problems: tuple[str, ...]


class Statistic(Protocol):
    """m numbers made from a fit."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers."""
        ...

    @property
    def chunk(self) -> int:
        """How many replicates are worked on at a time."""
        ...

    def estimate(self, fit: FittedModel) -> Array:
        """The numbers of the fit itself, (m,)."""
        ...

    def of_responses(self, fit: FittedModel, Y: Array) -> Drawn:
        """The numbers of the model fitted to each column of Y (rows, k)."""
        ...


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of the model, whose refits are made side by side where the engine can.

    Attributes
    ----------
    names : tuple of str
        Of the standard deviations, correlations, sigma, fixed effects, ``icc`` and ``h2``.
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, fit: FittedModel, which: str | Sequence[str] | None) -> Parameters:
        """Those asked for, or all."""
        if which is not None:
            names = [which] if isinstance(which, str) else list(which)
            which = [ALIASES.get(name, name) for name in names]
        return cls(tuple(chosen(_Reader.of(fit).read(fit.theta, fit.sigma, fit.estimates.beta), which)))

    @property
    def chunk(self) -> int:
        """How many replicates are worked on at a time."""
        return CHUNK

    def estimate(self, fit: FittedModel) -> Array:
        """The numbers of the fit itself, (m,)."""
        found = _Reader.of(fit).read(fit.theta, fit.sigma, fit.estimates.beta)
        return np.array([found[name] for name in self.names])

    def of_responses(self, fit: FittedModel, Y: Array) -> Drawn:
        """The numbers of the model fitted to each column of Y (rows, k)."""
        estimates = fit.estimates
        refits = refit_all(
            fit.source, Y, x_names=estimates.x_names, theta_names=fit.theta_names, control=fit.control
        )
        reader = _Reader.of(fit)
        values = np.full((len(refits), len(self.names)), np.nan)
        problems = []
        for j, status in enumerate(refits.status.tolist()):
            problem = {"no variance": "no variance was left", "iteration limit": NOT_CONVERGED}.get(
                status, ""
            )
            problems.append(problem)
            if not problem:
                found = reader.read(refits.theta[j], float(refits.sigma[j]), refits.beta[j])
                values[j] = [found[name] for name in self.names]
        return Drawn(values, refits.singular, tuple(problems))


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """Makes named parameters of plain numbers.

    Attributes
    ----------
    fit : FittedModel
    squares : list of ndarray, (q, q) per term
        Mean squares of the random-effects designs: their product with S is the variance of the effects.
    position : ndarray, (t,), or None
        Shares of the rows at each position of a residual structure.
    """

    fit: FittedModel
    squares: list[Array]
    position: Array | None

    @classmethod
    def of(cls, fit: FittedModel) -> _Reader:
        fit.source.with_rows()
        model = fit.engine.model
        position = None
        if isinstance(model.residual, ByUnit):
            counts = np.bincount(model.residual.position, minlength=model.residual.covariance.q)
            position = counts / model.n
        return cls(fit, mean_squares(model), position)

    def read(self, theta: Array, sigma: float, beta: Array) -> dict[str, float]:
        model, like = self.fit.engine.model, self.fit.varcorr
        S = [
            T @ T.T
            for term, part in zip(model.terms, model.theta_slices(), strict=True)
            for T in [term.covariance.factor(theta[part])]
        ]
        terms = tuple(replace(t, covariance=sigma**2 * s) for t, s in zip(like, S, strict=True))
        residual, of_residual = None, 1.0
        if like.residual is not None and self.position is not None:
            R0 = model.residual.matrix(theta[model.residual_slice])
            residual = replace(like.residual, covariance=sigma**2 * R0)
            of_residual = float(self.position @ np.diag(R0))
        found = variance_parameters(VarCorr(terms, sigma, residual))
        found.update(zip(self.fit.estimates.x_names, beta.tolist(), strict=True))
        of_effects = float(sum((s * zz).sum() for s, zz in zip(S, self.squares, strict=True)))
        found["icc"] = of_effects / (of_effects + of_residual)
        if len(S) == 1 and S[0].shape == (1, 1) and not isinstance(model.terms[0].relationship, Identity):
            found["h2"] = float(S[0][0, 0] / (S[0][0, 0] + 1.0))
        return found


@dataclass(frozen=True, slots=True)
class OfFit:
    """Any function of a fit; each replicate is a complete one.

    Attributes
    ----------
    function : callable
        Takes a fit and returns a number, a mapping or Series of numbers, or an array of them.
    names : tuple of str
        Of the numbers; those of an array are ``name[0]``, ``name[1]`` and so on.
    """

    function: Callable[[Any], Any]
    names: tuple[str, ...]

    @classmethod
    def of(cls, fit: FittedModel, function: Callable[[Any], Any]) -> OfFit:
        """The names are those that the fit itself gets."""
        return cls(function, tuple(_named(function(fit), function)))

    @property
    def chunk(self) -> int:
        """How many replicates are worked on at a time."""
        return CHUNK_OF_FITS

    def estimate(self, fit: FittedModel) -> Array:
        """The numbers of the fit itself, (m,)."""
        return self._numbers(fit)

    def of_responses(self, fit: FittedModel, Y: Array) -> Drawn:
        """The numbers of the model fitted to each column of Y (rows, k)."""
        k = Y.shape[1]
        values = np.full((k, len(self.names)), np.nan)
        singular = np.zeros(k, dtype=bool)
        problems = [""] * k
        for j in range(k):
            try:
                plain = fit_response(fit, Y[:, j])
                # what the user's own fit is, with all its methods
                again = type(fit)(plain.estimates, plain.call, plain.source)
                singular[j] = again.is_singular()
                if again.optimum.status == "iteration limit":
                    problems[j] = NOT_CONVERGED
                else:
                    values[j] = self._numbers(again)
            except Exception as problem:  # a replicate out of a thousand must not lose the others
                problems[j] = f"{type(problem).__name__}: {problem}"
        return Drawn(values, singular, tuple(problems))

    def _numbers(self, fit: FittedModel) -> Array:
        found = _named(self.function(fit), self.function)
        if tuple(found) != self.names:
            raise DataError(f"it gave {', '.join(found)} where the fit itself has {', '.join(self.names)}")
        return np.array(list(found.values()))


def make_statistic(
    fit: FittedModel, statistic: Callable[[Any], Any] | str | Sequence[str] | None
) -> Statistic:
    """The statistic that a user means.

    Raises
    ------
    DataError
        For a name that is not known, or a function that does not return numbers.
    """
    if callable(statistic):
        return OfFit.of(fit, statistic)
    if statistic == "r2":
        return OfFit.of(fit, r2_shares)
    return Parameters.of(fit, statistic)


def r2_shares(fit: FittedModel) -> dict[str, float]:
    """Marginal and conditional R-squared by name."""
    found = r2(fit)
    return {"r2_marginal": found.marginal, "r2_conditional": found.conditional}


def _named(value: Any, function: Callable[[Any], Any]) -> dict[str, float]:
    """Numbers by name from what a user's function returned."""
    name = getattr(function, "__name__", "statistic").replace("<lambda>", "statistic")
    try:
        if isinstance(value, Mapping) or hasattr(value, "to_dict"):
            found = {str(key): float(number) for key, number in dict(value).items()}
        elif np.ndim(value) == 0:
            found = {name: float(value)}
        else:
            numbers = np.asarray(value, dtype=np.float64).ravel().tolist()
            found = {f"{name}[{i}]": number for i, number in enumerate(numbers)}
    except (TypeError, ValueError):
        found = {}
    if not found:
        raise DataError(
            "the statistic must return a number, an array, or a mapping or Series of numbers by name; "
            f"{name} returned a {type(value).__name__}"
        )
    return found
