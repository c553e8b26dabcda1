"""New responses from a fitted model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.engine.blocked.residual import unit_blocks
from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.model import RandomTerm

Array = NDArray[np.float64]
Index = NDArray[np.intp]
#: Sets the streams of simulated responses apart from those of other uses of one seed.
PURPOSE = 1
#: Numbers that are drawn before they are made into responses.
CHUNK = 4_000_000


def simulate(
    fit: FittedModel, n: int, *, use_random: bool = False, seed: int | None = None, first: int = 0
) -> Array:
    """Draw responses from a fit, on the scale that was fitted.

    Parameters
    ----------
    fit : FittedModel
        With its source.
    n : int
        Number of responses.
    use_random : bool
        Keep the random effects at their conditional modes, and draw residuals only; by default both are
        drawn.
    seed : int, optional
        Response i depends on the seed and i alone. None draws other ones at each call.
    first : int
        Number of the first response: ``simulate(fit, 2, seed=1, first=3)`` are columns 3 and 4 of
        ``simulate(fit, 5, seed=1)``.

    Returns
    -------
    ndarray, shape (rows used, n)

    Raises
    ------
    DataError
        If `n`, `first` or `seed` is not a whole number from 0 on.
    HendersonError
        If the fit has no rows, or no engine.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> simulate(fit, 1000, seed=1).shape
    (180, 1000)
    """
    _check_whole(n=n, first=first)
    if seed is not None:
        _check_whole(seed=seed)
    return Simulator.of(fit, use_random=use_random).draw(n, seed=seed, first=first)


@dataclass(frozen=True, slots=True, eq=False)
class Simulator:
    """A fit made ready to draw from.

    Attributes
    ----------
    mean : ndarray, (n,)
        What every response has.
    terms : tuple of RandomTerm
        Whose effects are drawn.
    factors : tuple of ndarray, (q, q) per term
        Factor of the covariance of a level's effects.
    blocks : tuple of (ndarray (units, m), ndarray (m, m))
        Records of units alike, and the factor of the covariance of their residuals.
    root_weights : ndarray, (n,), or None
    """

    mean: Array
    terms: tuple[RandomTerm, ...]
    factors: tuple[Array, ...]
    blocks: tuple[tuple[Index, Array], ...]
    root_weights: Array | None

    @classmethod
    def of(cls, fit: FittedModel, *, use_random: bool) -> Simulator:
        """What is needed of a fit; a dense relationship is decomposed, which costs O(l^3)."""
        estimates = fit.estimates
        rows = estimates.by_row("the rows")
        model = fit.engine.model
        sigma = float(np.sqrt(estimates.sigma2))
        R0 = model.residual.matrix(estimates.theta[model.residual_slice])
        patterns = unit_blocks(model.residual, model.n).patterns
        terms = () if use_random else model.terms
        return cls(
            mean=rows.fitted if use_random else rows.mean,
            terms=terms,
            factors=tuple(sigma * modes.T for modes in estimates.terms[: len(terms)]),
            blocks=tuple((p.rows, sigma * _root(R0[p.block])) for p in patterns),
            root_weights=None if model.weights is None else np.sqrt(model.weights),
        )

    def draw(self, n: int, *, seed: int | None, first: int = 0) -> Array:
        """Responses `first` to ``first + n - 1`` of a seed, shape (rows, n)."""
        entropy = np.random.SeedSequence(seed).entropy
        widths = [self._places(k) * term.q for k, term in enumerate(self.terms)]
        ends = np.cumsum([self.mean.size, *widths])
        out = np.empty((n, self.mean.size))
        step = max(1, CHUNK // int(ends[-1]))
        for start in range(0, n, step):
            part = out[start : start + step]
            numbers = np.empty((len(part), ends[-1]))
            for i, row in enumerate(numbers, start=first + start):
                stream = np.random.SeedSequence(entropy, spawn_key=(PURPOSE, i))
                np.random.Generator(np.random.PCG64(stream)).standard_normal(out=row)
            residuals, *effects = np.split(numbers, ends[:-1], axis=1)
            self._residuals(residuals, part)
            part += self.mean
            for k, normal in enumerate(effects):
                self._add_effects(k, normal.reshape(len(part), -1, self.terms[k].q), part)
        return out.T

    def _places(self, k: int) -> int:
        term = self.terms[k]
        return term.relationship.n_roots(term.n_levels)

    def _residuals(self, normal: Array, out: Array) -> None:
        for rows, factor in self.blocks:
            out[:, rows] = normal[:, rows] @ factor.T
        if self.root_weights is not None:
            out /= self.root_weights

    def _add_effects(self, k: int, normal: Array, out: Array) -> None:
        term = self.terms[k]
        # one response at a time, so that it does not depend on those beside it
        for i, effects in enumerate(normal @ self.factors[k].T):
            levels = term.relationship.root_times(effects)
            for j, z in enumerate(term.z.T):
                out[i] += z * levels[term.codes_of(j), j]


def _root(C: Array) -> Array:
    """L with C = L L', also of a singular C."""
    try:
        return np.asarray(np.linalg.cholesky(C))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(C)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _check_whole(**counts: int) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise DataError(f"{name} must be a whole number, 0 or more; it is {value!r}")
