"""Covariances with fewer parameters: standard deviations and at most one correlation, S = D R(rho) D.

The tags ``diag()``, ``cs()`` and ``ar1()`` of lme4 2.0. Theta holds the standard deviations relative to
sigma (one if they are homogeneous) and then rho.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.coordinates import Between, Coordinates, Link, Squared, Straight

Array = NDArray[np.float64]
#: A search starts at most this far from a correlation of zero to its bounds.
INSIDE = 0.9


@dataclass(frozen=True, slots=True)
class Diagonal:
    """Independent effects: S = diag(s_1^2, ..., s_q^2), or s^2 I if homogeneous.

    Parameters
    ----------
    q : int
    homogeneous : bool
        One variance for all effects.

    Examples
    --------
    >>> Diagonal(2).factor(np.array([1.0, 3.0]))
    array([[1., 0.],
           [0., 3.]])
    """

    q: int
    homogeneous: bool = False

    @property
    def n_theta(self) -> int:
        """Number of standard deviations."""
        return 1 if self.homogeneous else self.q

    def factor(self, theta: Array) -> Array:
        """T, shape (q, q)."""
        return np.diag(_each(theta, self.q))

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """Derivatives of S."""
        slope = _indicators(self.q, self.homogeneous)  # of s in theta, (k, q)
        diagonal = np.eye(self.q)
        first = 2.0 * (slope * _each(theta, self.q))[:, :, None] * diagonal
        second = 2.0 * (slope[:, None] * slope[None])[..., None] * diagonal
        return first, second

    def nearest(self, T: Array) -> Array:
        """Root mean squares of the rows of T."""
        return _sizes(T, self.homogeneous)

    def coordinates(self, scale: Array) -> Coordinates:
        """Standard deviations for designs of unit mean square."""
        return Coordinates(
            np.diag(1.0 / _column_sizes(scale, self.homogeneous)), (Straight((0.0,)),) * self.n_theta
        )

    def canonical(self, theta: Array) -> Array:
        """Without signs."""
        return np.abs(theta)

    def theta_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The names of the effects; that of the first stands for all if they are homogeneous."""
        return names[: self.n_theta]


@dataclass(frozen=True, slots=True)
class _OneCorrelation(ABC):
    """S = D R(rho) D with D = diag(s_1, ..., s_q), or s I if homogeneous."""

    q: int
    homogeneous: bool

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float]:
        """The values of rho at which R is singular."""

    @abstractmethod
    def correlation_factor(self, rho: float) -> Array:
        """Lower-triangular Cholesky factor of R, (q, q); up to the bounds."""

    @abstractmethod
    def correlation(self, rho: float) -> tuple[Array, Array, Array]:
        """R and its first two derivatives in rho, (q, q) each."""

    @abstractmethod
    def nearest_correlation(self, R: Array) -> float:
        """The rho that comes near a given correlation matrix."""

    @property
    def n_theta(self) -> int:
        """Number of standard deviations, and rho."""
        return 2 if self.homogeneous else self.q + 1

    def factor(self, theta: Array) -> Array:
        """T, shape (q, q)."""
        return np.asarray(_each(theta[:-1], self.q)[:, None] * self.correlation_factor(float(theta[-1])))

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """Derivatives of S."""
        s = _each(theta[:-1], self.q)
        slope = _indicators(self.q, self.homogeneous)
        R, R1, R2 = self.correlation(float(theta[-1]))
        k = self.n_theta
        # of s s' in the standard deviations
        outer = slope[:, :, None] * s + s[:, None] * slope[:, None, :]
        cross = slope[:, None, :, None] * slope[None, :, None, :]
        first = np.empty((k, self.q, self.q))
        first[:-1], first[-1] = outer * R, np.outer(s, s) * R1
        second = np.empty((k, k, self.q, self.q))
        second[:-1, :-1] = (cross + cross.transpose(0, 1, 3, 2)) * R
        second[:-1, -1] = second[-1, :-1] = outer * R1
        second[-1, -1] = np.outer(s, s) * R2
        return first, second

    def nearest(self, T: Array) -> Array:
        """Standard deviations of T T' and a correlation well inside the bounds."""
        s = _sizes(T, False)
        R = (T @ T.T) / np.outer(s, s)
        low, high = self.bounds
        rho = float(np.clip(self.nearest_correlation(R), INSIDE * low, INSIDE * high))
        return np.append(_sizes(T, self.homogeneous), rho)

    def coordinates(self, scale: Array) -> Coordinates:
        """Standard deviations for designs of unit mean square, and an angle for rho."""
        sizes = 1.0 / _column_sizes(scale, self.homogeneous)
        # A negative standard deviation would turn the sign of some correlations, unless they all have one
        link: Link = Straight((0.0,)) if self.homogeneous else Squared()
        M = np.diag(np.append(sizes if self.homogeneous else np.sqrt(sizes), 1.0))
        return Coordinates(M, (*([link] * sizes.size), Between(*self.bounds)))

    def canonical(self, theta: Array) -> Array:
        """Without signs, and rho within its bounds."""
        return np.append(np.abs(theta[:-1]), np.clip(theta[-1], *self.bounds))

    def theta_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The names of the effects (the first for all if they are homogeneous), and ``rho``."""
        return (*names[: self.n_theta - 1], "rho")


@dataclass(frozen=True, slots=True)
class CompoundSymmetric(_OneCorrelation):
    """All effects correlated alike: rho from -1 / (q - 1) to 1.

    Examples
    --------
    >>> T = CompoundSymmetric(3, homogeneous=True).factor(np.array([2.0, 0.5]))
    >>> T @ T.T
    array([[4., 2., 2.],
           [2., 4., 2.],
           [2., 2., 4.]])
    """

    homogeneous: bool = False

    @property
    def bounds(self) -> tuple[float, float]:
        """-1 / (q - 1) and 1."""
        return -1.0 / (self.q - 1), 1.0

    def correlation_factor(self, rho: float) -> Array:
        """Closed form: the j-th pivot of R is (1 - rho) (1 + j rho) / (1 + (j - 1) rho)."""
        L = np.zeros((self.q, self.q))
        L[:, 0] = rho
        L[0, 0] = 1.0
        for j in range(1, self.q):
            before, here, rest = 1.0 + (j - 1) * rho, max(1.0 + j * rho, 0.0), max(1.0 - rho, 0.0)
            L[j, j] = np.sqrt(rest * here / before)
            if j + 1 < self.q:
                L[j + 1 :, j] = rho * np.sqrt(rest / (here * before))
        return L

    def correlation(self, rho: float) -> tuple[Array, Array, Array]:
        """(1 - rho) I + rho 11'."""
        off = 1.0 - np.eye(self.q)
        return np.eye(self.q) + rho * off, off, np.zeros_like(off)

    def nearest_correlation(self, R: Array) -> float:
        """The mean correlation."""
        return float((R.sum() - self.q) / (self.q * (self.q - 1)))


@dataclass(frozen=True, slots=True)
class Autoregressive(_OneCorrelation):
    """Equally spaced times, correlation rho^|i - j|: autoregressive of order 1, rho from -1 to 1.

    Examples
    --------
    >>> T = Autoregressive(3).factor(np.array([1.0, 0.5]))
    >>> T @ T.T
    array([[1.  , 0.5 , 0.25],
           [0.5 , 1.  , 0.5 ],
           [0.25, 0.5 , 1.  ]])
    """

    homogeneous: bool = True

    @property
    def bounds(self) -> tuple[float, float]:
        """-1 and 1."""
        return -1.0, 1.0

    def correlation_factor(self, rho: float) -> Array:
        """Each time follows from the one before: rho^(i - j) times sqrt(1 - rho^2) but for the first."""
        L = np.tril(np.power(rho, _lags(self.q)))
        L[:, 1:] *= np.sqrt(max(1.0 - rho * rho, 0.0))
        return L

    def correlation(self, rho: float) -> tuple[Array, Array, Array]:
        """rho^d, d rho^(d - 1), d (d - 1) rho^(d - 2) at lag d."""
        d = _lags(self.q)
        first = d * np.power(rho, np.maximum(d - 1, 0))
        return np.power(rho, d), first, d * (d - 1) * np.power(rho, np.maximum(d - 2, 0))

    def nearest_correlation(self, R: Array) -> float:
        """The mean correlation of neighbours."""
        return float(np.diag(R, 1).mean())


def _lags(q: int) -> Array:
    at = np.arange(float(q))
    return np.asarray(np.abs(at[:, None] - at[None, :]))


def _each(sd: Array, q: int) -> Array:
    """One standard deviation per effect."""
    return np.repeat(sd, q) if sd.size == 1 else np.asarray(sd)


def _indicators(q: int, homogeneous: bool) -> Array:
    """Derivative of the q standard deviations in their parameters, (k, q)."""
    return np.ones((1, q)) if homogeneous else np.eye(q)


def _sizes(T: Array, homogeneous: bool) -> Array:
    """Root mean square of each row of T, or of all together."""
    return _roots(np.einsum("ij,ij->i", T, T), homogeneous)


def _column_sizes(scale: Array, homogeneous: bool) -> Array:
    """Root mean square of each column of Z = Z~ scale, or of all together."""
    return _roots(np.einsum("ij,ij->j", scale, scale), homogeneous)


def _roots(squares: Array, homogeneous: bool) -> Array:
    return np.asarray(np.sqrt(np.atleast_1d(squares.mean()) if homogeneous else squares))
