"""Covariance S(theta) = T T' of the q effects within one level, relative to sigma^2."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Covariance(Protocol):
    """How theta becomes the (q, q) lower-triangular factor T of the relative covariance S = T T'.

    ``second[a, b]`` of `factor_derivatives` is d2 T / d theta_a d theta_b; structures that are linear in
    theta return zeros there.
    """

    @property
    def q(self) -> int:
        """Number of effects within one level."""
        ...

    @property
    def n_theta(self) -> int:
        """Number of parameters."""
        ...

    def factor(self, theta: Array) -> Array:
        """T, shape (q, q)."""
        ...

    def factor_derivatives(self, theta: Array) -> tuple[Array, Array]:
        """First (n_theta, q, q) and second (n_theta, n_theta, q, q) derivatives of T."""
        ...

    def nearest(self, T: Array) -> Array:
        """The theta whose factor is, or comes near, a given nonsingular lower-triangular T."""
        ...

    def preconditioner(self, scale: Array) -> Array:
        """Matrix M, shape (n_theta, n_theta), such that theta = M phi and phi is free of Z's units."""
        ...

    def canonical(self, theta: Array) -> Array:
        """The theta with the same S that lme4 would report (diagonal of T not negative)."""
        ...

    def theta_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Name of each theta from the names of the effects, as lme4 writes them."""
        ...


@dataclass(frozen=True, slots=True)
class Unstructured:
    """Any positive semi-definite S; theta is the lower triangle of T, column by column.

    Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 2.2 and eq. (4).

    Parameters
    ----------
    q : int
        Number of effects within one level.

    Examples
    --------
    >>> Unstructured(2).factor(np.array([1.0, 0.5, 2.0]))
    array([[1. , 0. ],
           [0.5, 2. ]])
    """

    q: int

    @property
    def n_theta(self) -> int:
        """Number of parameters, q (q + 1) / 2."""
        return self.q * (self.q + 1) // 2

    def factor(self, theta: Array) -> Array:
        """T, shape (q, q)."""
        t = np.zeros((self.q, self.q))
        t[_lower_triangle(self.q)] = theta
        return t

    def factor_derivatives(self, theta: Array) -> tuple[Array, Array]:
        """First derivatives are unit matrices; the second vanish."""
        return _unit_derivatives(self.q)

    def nearest(self, T: Array) -> Array:
        """The lower triangle of T."""
        return np.asarray(T[_lower_triangle(self.q)])

    def preconditioner(self, scale: Array) -> Array:
        """T = inv(scale) T~ for the T~ that belongs to orthonormal columns."""
        rows, cols = _lower_triangle(self.q)
        inverse = np.linalg.inv(scale)
        return np.where(cols[:, None] == cols[None, :], inverse[rows[:, None], rows[None, :]], 0.0)

    def canonical(self, theta: Array) -> Array:
        """Flip the sign of each column of T whose diagonal is negative."""
        t = self.factor(theta)
        sign = np.where(np.diag(t) < 0.0, -1.0, 1.0)
        return np.asarray((t * sign)[_lower_triangle(self.q)] + 0.0)

    def theta_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """``x`` on the diagonal, ``x2.x1`` below it."""
        rows, cols = _lower_triangle(self.q)
        return tuple(
            names[r] if r == c else f"{names[r]}.{names[c]}" for r, c in zip(rows, cols, strict=True)
        )


@cache
def _lower_triangle(q: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the lower triangle, column by column."""
    cols, rows = np.triu_indices(q)
    return rows, cols


@cache
def _unit_derivatives(q: int) -> tuple[Array, Array]:
    """Derivatives of a lower triangle in its own elements; read-only, because they are shared."""
    rows, cols = _lower_triangle(q)
    k = rows.size
    first = np.zeros((k, q, q))
    first[np.arange(k), rows, cols] = 1.0
    second = np.zeros((k, k, q, q))
    first.flags.writeable = second.flags.writeable = False
    return first, second
