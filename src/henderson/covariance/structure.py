"""Covariance S(theta) = T T' of the q effects within one level, relative to sigma^2."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.coordinates import Coordinates, Straight

Array = NDArray[np.float64]


class Covariance(Protocol):
    """How theta becomes the (q, q) relative covariance S = T T' of the effects within a level."""

    @property
    def q(self) -> int:
        """Number of effects within one level."""
        ...

    @property
    def n_theta(self) -> int:
        """Number of parameters; of a structure of residuals the first is the first standard deviation."""
        ...

    def factor(self, theta: Array) -> Array:
        """T, lower-triangular, shape (q, q); a zero on its diagonal if and only if S is singular."""
        ...

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """First (n_theta, q, q) and second (n_theta, n_theta, q, q) derivatives of S."""
        ...

    def nearest(self, T: Array) -> Array:
        """The theta whose S is, or comes near, T T' for a nonsingular lower-triangular T."""
        ...

    def coordinates(self, scale: Array) -> Coordinates:
        """Free coordinates for designs Z = Z~ scale with orthonormal Z~."""
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

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """E T' + T E' with the unit matrices E of theta; the second ones are constant."""
        units, second = _unit_derivatives(self.q)
        half = units @ self.factor(theta).T
        return half + half.transpose(0, 2, 1), second

    def nearest(self, T: Array) -> Array:
        """The lower triangle of T."""
        return np.asarray(T[_lower_triangle(self.q)])

    def coordinates(self, scale: Array) -> Coordinates:
        """The theta that belongs to orthonormal columns, T~ = scale T."""
        rows, cols = _lower_triangle(self.q)
        inverse = np.linalg.inv(scale)
        M = np.where(cols[:, None] == cols[None, :], inverse[rows[:, None], rows[None, :]], 0.0)
        return Coordinates(M, _straight_links(self.q))

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
def _straight_links(q: int) -> tuple[Straight, ...]:
    rows, cols = _lower_triangle(q)
    return tuple(Straight((0.0,) if r == c else ()) for r, c in zip(rows, cols, strict=True))


@cache
def _unit_derivatives(q: int) -> tuple[Array, Array]:
    """Unit matrices E of the lower triangle, and E_i E_j' + E_j E_i'; read-only, because they are shared."""
    rows, cols = _lower_triangle(q)
    k = rows.size
    units = np.zeros((k, q, q))
    units[np.arange(k), rows, cols] = 1.0
    half = units[:, None] @ units[None].transpose(0, 1, 3, 2)
    second = half + half.transpose(0, 1, 3, 2)
    units.flags.writeable = second.flags.writeable = False
    return units, second
