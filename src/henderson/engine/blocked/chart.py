"""Between theta, as lme4 has it, and S of each block in the orthonormal basis of its design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.engine.blocked.plan import Plan
from henderson.model import MixedModel

Array = NDArray[np.float64]
Direction = tuple[Array | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TermChart:
    """One term: T~ = P T(theta) and its derivatives.

    Attributes
    ----------
    block : int
        Block of the plan that the term belongs to.
    columns : slice
        The term's effects within the block.
    part : slice
        The term's part of theta.
    P : ndarray, (q, q)
        Lower-triangular basis of the design: Z = Z~ P.
    S : ndarray, (q, q)
        Relative covariance, in the units of the data.
    T, first, second : ndarray, (q, q), (k, q, q), (k, k, q, q)
        P T and its derivatives in theta.
    """

    block: int
    columns: slice
    part: slice
    P: Array
    S: Array
    T: Array
    first: Array
    second: Array


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """All terms at one theta."""

    terms: tuple[TermChart, ...]
    sizes: tuple[int, ...]

    @property
    def T(self) -> tuple[Array, ...]:
        """T~ of each block, block-diagonal by term."""
        out = tuple(np.zeros((q, q)) for q in self.sizes)
        for t in self.terms:
            out[t.block][t.columns, t.columns] = t.T
        return out

    def by_term(self, G: tuple[Array, ...]) -> tuple[Array, ...]:
        """Slopes in S~ of each block as slopes in S of each term, in the units of the data."""
        return tuple(t.P.T @ G[t.block][t.columns, t.columns] @ t.P for t in self.terms)

    def pull_back(self, *slopes: tuple[Array, ...]) -> Array:
        """Slopes in S~ of each block as gradients in theta, (number of slopes, n_theta)."""
        parts = []
        for t in self.terms:
            G = np.stack([slope[t.block][t.columns, t.columns] for slope in slopes])
            parts.append(2.0 * (G @ t.T).reshape(len(slopes), -1) @ t.first.reshape(len(t.first), -1).T)
        return np.concatenate(parts, axis=1)

    def bend(self, G: tuple[Array, ...]) -> Array:
        """The part of the Hessian in theta that comes from the curvature of S(theta)."""
        n = self.terms[-1].part.stop
        H = np.zeros((n, n))
        for t in self.terms:
            own = G[t.block][t.columns, t.columns]
            H[t.part, t.part] = 2.0 * np.einsum("iab,jab->ij", t.first, own @ t.first)
            H[t.part, t.part] += 2.0 * np.einsum("ijab,ab->ij", t.second, own @ t.T)
        return H

    def directions(self) -> list[Direction]:
        """dS~ / d theta, one per theta."""
        return [self._along(t, first @ t.T.T + t.T @ first.T) for t in self.terms for first in t.first]

    def linear_directions(self) -> list[Direction]:
        """dS~ for each element of the lower triangle of S, column by column, term by term."""
        out = []
        for t in self.terms:
            for i, j in _triangle(t.P.shape[0]):
                E = np.zeros_like(t.P)
                E[i, j] = E[j, i] = 1.0
                out.append(self._along(t, t.P @ E @ t.P.T))
        return out

    def linear_values(self) -> Array:
        """The elements of S that `linear_directions` move."""
        return np.array([t.S[i, j] for t in self.terms for i, j in _triangle(t.P.shape[0])])

    def _along(self, t: TermChart, dS: Array) -> Direction:
        q = self.sizes[t.block]
        full = np.zeros((q, q))
        full[t.columns, t.columns] = dS
        return tuple(full if k == t.block else None for k in range(len(self.sizes)))


def make_chart(model: MixedModel, plan: Plan, scales: tuple[Array, ...], theta: Array) -> Chart:
    """The chart at theta."""
    where = {
        i: (k, columns)
        for k, block in enumerate(plan.blocks)
        for i, columns in zip(block.terms, block.columns, strict=True)
    }
    terms = []
    for i, (term, P, part) in enumerate(zip(model.terms, scales, model.theta_slices(), strict=True)):
        T = term.covariance.factor(theta[part])
        first, second = term.covariance.factor_derivatives(theta[part])
        terms.append(TermChart(*where[i], part, P, T @ T.T, P @ T, P @ first, P @ second))
    return Chart(tuple(terms), tuple(block.q for block in plan.blocks))


def _triangle(q: int) -> list[tuple[int, int]]:
    return [(i, j) for j in range(q) for i in range(j, q)]
