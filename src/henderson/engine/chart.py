"""Between theta and what V is linear in: S of each part, in the basis of its design, and R_0."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.engine.directions import Direction

Array = NDArray[np.float64]


class _Evaluated(Protocol):
    @property
    def pwrss(self) -> float:
        """Y'Py."""
        ...


class Slopes(Protocol):
    """Derivatives of log|V|, log|X'V^-1 X| and y'Py in S of each part, (q, q) each, and along R_0."""

    @property
    def point(self) -> _Evaluated:
        """Where they were taken."""
        ...

    @property
    def logdet_v(self) -> tuple[Array, ...]:
        """Of log|V|."""
        ...

    @property
    def logdet_x(self) -> tuple[Array, ...]:
        """Of log|X'V^-1 X|."""
        ...

    @property
    def pwrss(self) -> tuple[Array, ...]:
        """Of y'Py."""
        ...

    @property
    def in_residual(self) -> NDArray[Any]:
        """Of the three in R_0, (3, t, t)."""
        ...

    def profiled(self, nu: int, reml: bool) -> tuple[Array, ...]:
        """Derivative of the profiled criterion in S of each part."""
        ...

    def along(self, direction: Direction) -> NDArray[Any]:
        """Derivatives of the three along a direction."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TermChart:
    """One term: T~ = P T(theta), and S(theta) with its derivatives.

    Attributes
    ----------
    block : int
        Part of the model that the term belongs to: a block of a plan, or itself.
    columns : slice
        The term's effects within the block.
    part : slice
        The term's part of theta.
    P : ndarray, (q, q)
        Lower-triangular basis of the design: Z = Z~ P.
    T : ndarray, (q, q)
        P T(theta).
    S, first, second : ndarray, (q, q), (k, q, q), (k, k, q, q)
        Relative covariance in the units of the data, and its derivatives in theta.
    """

    block: int
    columns: slice
    part: slice
    P: Array
    T: Array
    S: Array
    first: Array
    second: Array


@dataclass(frozen=True, slots=True, eq=False)
class ResidualChart:
    """R_0(theta) and its derivatives: (t, t), (k, t, t), (k, k, t, t); one number without a structure."""

    part: slice
    R0: Array
    first: Array
    second: Array


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """All terms and the residual at one theta."""

    terms: tuple[TermChart, ...]
    residual: ResidualChart
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

    def pull_back(self, slopes: Slopes) -> Array:
        """Gradients in theta of log|V|, log|X'V^-1 X| and y'Py, (3, n_theta)."""
        in_blocks = (slopes.logdet_v, slopes.logdet_x, slopes.pwrss)
        parts = []
        for t in self.terms:
            G = np.stack([slope[t.block][t.columns, t.columns] for slope in in_blocks])
            own = t.P.T @ G @ t.P
            parts.append(own.reshape(3, -1) @ t.first.reshape(len(t.first), -1).T)
        if len(self.residual.first):
            parts.append(self._along_residual(slopes, self.residual.first).T)
        return np.concatenate(parts, axis=1)

    def bend(self, slopes: Slopes, nu: int, reml: bool) -> Array:
        """The part of the profiled criterion's Hessian that comes from the curvature of S and R_0."""
        part = self.residual.part
        H = np.zeros((part.stop, part.stop))
        for t, own in zip(self.terms, self.by_term(slopes.profiled(nu, reml)), strict=True):
            H[t.part, t.part] = t.second.reshape(*t.second.shape[:2], -1) @ own.ravel()
        i, j = np.nonzero(self.residual.second.any(axis=(2, 3)))
        if i.size:
            weights = np.array([1.0, float(reml), nu / slopes.point.pwrss])
            bends = self._along_residual(slopes, self.residual.second[i, j]) @ weights
            H[part.start + i, part.start + j] = bends
        return H

    def _along_residual(self, slopes: Slopes, E: Array) -> Array:
        """Slopes along moves E (k, t, t) of R_0, (k, 3); through all its elements if these are fewer."""
        t = E.shape[-1]
        if len(E) <= t * (t + 1) // 2:
            return np.array([slopes.along(d) for d in self._residual_directions(E)])
        return np.asarray(np.tensordot(E, slopes.in_residual, axes=([1, 2], [1, 2])))

    def directions(self) -> list[Direction]:
        """dS~ / d theta and dR_0 / d theta, one per theta."""
        in_terms = [self._along(t, t.P @ first @ t.P.T) for t in self.terms for first in t.first]
        return in_terms + self._residual_directions(self.residual.first)

    def linear_directions(self) -> list[Direction]:
        """Moves of each element of the lower triangle of S, term by term, and of R_0 but for its first.

        Column by column.
        """
        out = [
            self._along(t, t.P @ E @ t.P.T)
            for t in self.terms
            for E in (_unit(at, t.P.shape[0]) for at in _triangle(t.P.shape[0]))
        ]
        size = self.residual.R0.shape[0]
        return out + self._residual_directions([_unit(at, size) for at in _triangle(size)[1:]])

    def linear_values(self) -> Array:
        """The elements that `linear_directions` move."""
        values = [t.S[at] for t in self.terms for at in _triangle(t.P.shape[0])]
        return np.array(values + [self.residual.R0[at] for at in _triangle(self.residual.R0.shape[0])[1:]])

    def tangent_directions(self) -> list[Direction]:
        """Moves that span those of V that the model allows, those of S first and those of R last.

        For a covariance without structure these are the moves of its elements, also where it is singular.
        """
        size = self.residual.R0.shape[0]
        in_terms = [self._along(t, t.P @ E @ t.P.T) for t in self.terms for E in _tangent(t)]
        of_elements = [_unit(at, size) for at in _triangle(size)]
        if len(self.residual.first) == len(of_elements) - 1:
            return in_terms + self._residual_directions([*of_elements[1:], of_elements[0]])
        return in_terms + self._residual_directions([*self.residual.first, self.residual.R0])

    def _along(self, t: TermChart, dS: Array) -> Direction:
        q = self.sizes[t.block]
        full = np.zeros((q, q))
        full[t.columns, t.columns] = dS
        return Direction(tuple(full if k == t.block else None for k in range(len(self.sizes))))

    def _residual_directions(self, E: Iterable[Array]) -> list[Direction]:
        still = (None,) * len(self.sizes)
        return [Direction(still, e) for e in E]


def _tangent(t: TermChart) -> list[Array]:
    """Moves of S; where a standard deviation is zero, the one that leaves zero."""
    q = t.S.shape[0]
    if len(t.first) == q * (q + 1) // 2:
        return [_unit(at, q) for at in _triangle(q)]
    return [E if E.any() else t.second[i, i] for i, E in enumerate(t.first)]


def _unit(at: tuple[int, int], size: int) -> Array:
    E = np.zeros((size, size))
    E[at] = E[at[::-1]] = 1.0
    return E


def _triangle(q: int) -> list[tuple[int, int]]:
    return [(i, j) for j in range(q) for i in range(j, q)]
