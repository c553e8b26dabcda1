"""Residuals on the scale of probabilities, by simulation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.engine.blocked.residual import unit_blocks
from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.components import random_matrix
from henderson.model import RandomTerm
from henderson.prediction.simulate import simulate

Array = NDArray[np.float64]
Kind = Literal["conditional", "marginal"]
#: Sets the stream that settles places apart from those of other uses of one seed.
PURPOSE = 3
#: Numbers that are ranked at a time.
CHUNK = 4_000_000


@dataclass(frozen=True, slots=True)
class SimulationTest:
    """A statistic of the data among those of the simulated responses.

    Attributes
    ----------
    statistic : float
    expected : float
        Its mean over the simulated responses.
    p_value : float
        Valid whatever the dependence between rows; at least 1 / (n + 1) for n simulated responses, twice that
        for a two-sided test.
    """

    statistic: float
    expected: float
    p_value: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ScaledResiduals:
    """Where the residual of each row stands among those of responses that the fit simulates.

    Attributes
    ----------
    values : ndarray, (n,)
        Between 0 and 1, uniform if the model is right; of the rows used, in their order.
    predicted : ndarray, (n,)
        What the residuals were taken from.
    position : ndarray of int, (n,)
        Where the rows stand in the table.
    outside : ndarray of bool, (n,)
        Whether the residual lies below or above all of the simulated responses.
    n_simulated : int
        Number of simulated responses.
    uniformity : SimulationTest
        Largest distance between the distribution of the values and the uniform one (Kolmogorov-Smirnov);
        large ones count.
    dispersion : SimulationTest
        Weighted sum of squares of the residuals, as a ratio to its mean over the simulated responses;
        two-sided. It is near 1 for most wrong models too, since the variances are estimated.
    outliers : SimulationTest
        Number of rows that are `outside`; two-sided.
    """

    values: Array
    predicted: Array
    position: NDArray[np.int64]
    outside: NDArray[np.bool_]
    n_simulated: int
    uniformity: SimulationTest
    dispersion: SimulationTest
    outliers: SimulationTest

    def __repr__(self) -> str:
        tests = (
            f"{name} p = {test.p_value:.3g}"
            for name, test in (
                ("uniformity", self.uniformity),
                ("dispersion", self.dispersion),
                ("outliers", self.outliers),
            )
        )
        return (
            f"<ScaledResiduals of {self.values.size} rows, {self.n_simulated} simulated: {', '.join(tests)}>"
        )


def scaled_residuals(
    fit: FittedModel, *, n: int = 250, kind: Kind = "conditional", seed: int = 1
) -> ScaledResiduals:
    """Compare the residuals with those of simulated responses, as R's package DHARMa does.

    The value of a row is the place of its residual among those of n responses simulated from the fit, random
    effects and all: (number below + U) / (n + 1), with U uniform between 0 and 1, and a place drawn among
    ties. If the model is right, it is uniform between 0 and 1 whatever n is: a randomised quantile residual
    (Dunn & Smyth 1996, J. Comput. Graph. Stat. 5:236).

    Estimates follow the data that they come from, so that a response is nearer to its own than simulated ones
    are. Fixed effects, and modes for conditional residuals, are therefore estimated from each simulated
    response as they are from the data, at the same theta. And rows of one group depend on each other, which
    p-values for independent rows take for a bad fit: each simulated response is ranked among the others too,
    and the tests compare the data with them (Monte Carlo tests; Dufour 2006, J. Econom. 133:443). The
    estimation of the variances is left, which makes the tests cautious where there are few groups.

    Parameters
    ----------
    fit : FittedModel
        With its source.
    n : int
        Number of simulated responses, 2 or more.
    kind : {"conditional", "marginal"}
        Residuals from the fitted values; or from the fixed effects alone, which have the random effects in
        them and their faults too, but show those of the residuals less clearly.
    seed : int
        The same seed gives the same residuals.

    Returns
    -------
    ScaledResiduals

    Raises
    ------
    DataError
        If `n` is not a whole number from 2 on, or `kind` is another word.
    HendersonError
        If the data are not at hand, or were streamed.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> found = scaled_residuals(fit)
    >>> found.values.shape, bool(found.uniformity.p_value < 0.05)
    ((180,), True)
    """
    if not isinstance(n, int | np.integer) or n < 2:
        raise DataError(f"n must be a whole number of simulated responses, 2 or more; it is {n!r}")
    if kind not in get_args(Kind):
        raise DataError(f"kind is {kind!r}; it can be 'conditional' or 'marginal'")
    rows = fit.estimates.by_row("the rows")
    every = residuals_of_responses(fit, np.column_stack([rows.y, simulate(fit, n, seed=seed)]), kind)
    stream = np.random.SeedSequence(seed, spawn_key=(PURPOSE, 0))
    uniform = np.random.Generator(np.random.PCG64(stream)).random((2, rows.y.size))
    values, outside, counts = _ranked(every, uniform)
    precision = np.ones(rows.y.size) if rows.weights is None else rows.weights
    if rows.relative_sd is not None:
        precision = precision / rows.relative_sd**2
    spread = precision @ every**2
    return ScaledResiduals(
        values=values,
        predicted=rows.mean if kind == "marginal" else rows.fitted,
        position=rows.position,
        outside=outside,
        n_simulated=int(n),
        uniformity=_uniformity(counts),
        dispersion=_two_sided(spread / spread[1:].mean()),
        outliers=_two_sided((counts[:, 0] + counts[:, -1]).astype(np.float64)),
    )


def residuals_of_responses(fit: FittedModel, Y: Array, kind: Kind) -> Array:
    """Residuals of each of m responses (rows, m), its own estimates at the theta of the fit taken out.

    With P as in `Engine.project`: R P y are the conditional ones, and V P y the marginal ones.
    """
    model, theta = fit.engine.model, fit.estimates.theta
    projected = fit.engine.project(theta, Y - fit.estimates.by_row("the rows").mean[:, None])
    root = 1.0 if model.weights is None else np.sqrt(model.weights)[:, None]
    R0 = model.residual.matrix(theta[model.residual_slice])
    out = unit_blocks(model.residual, model.n).times(R0, projected / root) / root
    if kind == "marginal":
        ends = np.cumsum([0, *(term.n_levels * term.q for term in model.terms)])
        Z = random_matrix(fit.source)
        sums = Z.T @ projected
        effects = [
            _predicted(term, modes.T @ modes.T.T, sums[start:end])
            for term, modes, (start, end) in zip(
                model.terms, fit.estimates.terms, pairwise(ends), strict=True
            )
        ]
        out += Z @ np.concatenate(effects)
    return np.asarray(out)


def _predicted(term: RandomTerm, S: Array, sums: Array) -> Array:
    """(G (x) S) Z'P y of one term, (l q, m), for Z'P y."""
    by_level = np.einsum("ab,lbm->lam", S, sums.reshape(term.n_levels, term.q, -1))
    return np.asarray(term.relationship.times(by_level.reshape(term.n_levels, -1)).reshape(sums.shape))


def _ranked(every: Array, uniform: Array) -> tuple[Array, NDArray[np.bool_], NDArray[np.int64]]:
    """Values of the data, whether they are outside, and how often each response has each rank.

    Parameters
    ----------
    every : ndarray, (rows, n + 1)
        The data, then the simulated responses.
    uniform : ndarray, (2, rows)
        Numbers between 0 and 1 that settle the place among ties, and within the rank.

    Returns
    -------
    values, outside : ndarray, (rows,)
    counts : ndarray of int, (n + 1, n + 1)
        Row j for response j; column k for rank k among all n + 1.
    """
    y, simulated = every[:, :1], every[:, 1:]
    tied = (simulated == y).sum(axis=1)
    rank = (simulated < y).sum(axis=1) + np.floor(uniform[0] * (tied + 1)).astype(np.intp)
    n_rows, size = every.shape
    counts = np.zeros((size, size), dtype=np.int64)
    step = max(1, CHUNK // size)
    for start in range(0, n_rows, step):
        part = slice(start, start + step)
        # Ties get the order of their columns, but for the data
        ranks = np.argsort(np.argsort(every[part], axis=1, kind="stable"), axis=1)
        ranks[:, 0] = rank[part]
        for j, own in enumerate(ranks.T):
            counts[j] += np.bincount(own, minlength=size)
    return (rank + uniform[1]) / size, (rank == 0) | (rank == size - 1), counts


def _uniformity(counts: NDArray[np.int64]) -> SimulationTest:
    """Kolmogorov-Smirnov distance of the ranks of each response from those of a uniform number."""
    size = counts.shape[1]
    reached = np.cumsum(counts, axis=1) / counts[0].sum()
    distance = np.abs(reached - np.arange(1, size + 1) / size).max(axis=1)
    return SimulationTest(float(distance[0]), float(distance[1:].mean()), _share_as_large(distance))


def _two_sided(statistics: Array) -> SimulationTest:
    p = 2.0 * min(_share_as_large(statistics), _share_as_large(-statistics))
    return SimulationTest(float(statistics[0]), float(statistics[1:].mean()), min(1.0, p))


def _share_as_large(statistics: Array) -> float:
    """Share of all statistics that are at least as large as the first, itself included."""
    near = 1e-12 * np.abs(statistics[0])
    return float((statistics >= statistics[0] - near).mean())
