"""Where a search moves: free coordinates phi, and the covariance parameters theta that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: Standard deviations, as roots, are lifted to this if all of a search's start are below it.
OFF_ZERO = 0.1
#: and loadings to this.
LIFTED = 0.3
#: Further starts have correlations this far to either bound.
OUTER = 0.9


class Link(Protocol):
    """A smooth map of one unconstrained number x to one parameter."""

    @property
    def edges(self) -> tuple[float, ...]:
        """Where, in x, the parameter is at a bound at which the covariance is singular."""
        ...

    def jet(self, x: float) -> tuple[float, float, float]:
        """Value and first two derivatives."""
        ...

    def inverse(self, value: float) -> float:
        """An x with this value."""
        ...


@dataclass(frozen=True, slots=True)
class Straight:
    """The parameter itself: an element of T, or a standard deviation whose sign does not matter."""

    edges: tuple[float, ...] = ()

    def jet(self, x: float) -> tuple[float, float, float]:
        """x, 1, 0."""
        return x, 1.0, 0.0

    def inverse(self, value: float) -> float:
        """The value."""
        return value


@dataclass(frozen=True, slots=True)
class Loading(Straight):
    """The parameter itself: a loading on a common factor.

    Attributes
    ----------
    lift : float
        Sign of the loading where a search is to leave the point at which all are zero: S is flat there.
    """

    lift: float = 1.0


@dataclass(frozen=True, slots=True)
class Squared:
    """x^2: a standard deviation whose sign does matter; the search can reach zero."""

    edges: tuple[float, ...] = (0.0,)

    def jet(self, x: float) -> tuple[float, float, float]:
        """x^2, 2 x, 2."""
        return x * x, 2.0 * x, 2.0

    def inverse(self, value: float) -> float:
        """The positive root."""
        return float(np.sqrt(abs(value)))


@dataclass(frozen=True, slots=True)
class Between:
    """A number between two bounds, along a sine: the bounds are reached, with slope zero."""

    low: float
    high: float
    edges: tuple[float, ...] = (-np.pi / 2, np.pi / 2)

    def jet(self, x: float) -> tuple[float, float, float]:
        """Value and derivatives of centre + radius sin x."""
        centre, radius = (self.high + self.low) / 2, (self.high - self.low) / 2
        s, c = float(np.sin(x)), float(np.cos(x))
        return centre + radius * s, radius * c, -radius * s

    def inverse(self, value: float) -> float:
        """The angle from -pi/2 to pi/2."""
        centre, radius = (self.high + self.low) / 2, (self.high - self.low) / 2
        return float(np.arcsin(np.clip((value - centre) / radius, -1.0, 1.0)))


@dataclass(frozen=True, eq=False)
class Coordinates:
    """theta = link(M phi), element by element; phi is unconstrained and free of units.

    Attributes
    ----------
    M : ndarray, shape (k, k)
        Takes the units of the designs out.
    links : tuple of Link, length k

    Examples
    --------
    >>> c = Coordinates(np.eye(2), (Straight(), Between(-1.0, 1.0)))
    >>> c.theta(np.array([2.0, np.pi / 2]))
    array([2., 1.])
    """

    M: Array
    links: tuple[Link, ...]

    @classmethod
    def joined(cls, parts: Sequence[Coordinates]) -> Coordinates:
        """Those of several terms, one after the other."""
        if len(parts) == 1:
            return parts[0]
        ends = list(accumulate((len(c.links) for c in parts), initial=0))
        M = np.zeros((ends[-1], ends[-1]))
        for c, (start, end) in zip(parts, pairwise(ends), strict=True):
            M[start:end, start:end] = c.M
        return cls(M, tuple(link for c in parts for link in c.links))

    @cached_property
    def _bent(self) -> tuple[int, ...]:
        return tuple(i for i, link in enumerate(self.links) if not isinstance(link, Straight))

    def theta(self, phi: Array) -> Array:
        """Parameters at phi."""
        out = self.M @ phi
        for i in self._bent:
            out[i] = self.links[i].jet(out[i])[0]
        return np.asarray(out)

    def phi(self, theta: Array) -> Array:
        """Coordinates of theta."""
        x = np.array(theta, dtype=np.float64)
        for i in self._bent:
            x[i] = self.links[i].inverse(x[i])
        return np.asarray(np.linalg.solve(self.M, x))

    def starts(self, phi: Array, end: int) -> tuple[Array, ...]:
        """Where to search from, given a first guess of which the first `end` may be moved.

        With standard deviations of their own and one correlation the criterion often has several minima. The
        lower ones are found from correlations near either bound; and the search is not to begin where all
        standard deviations, or all loadings, are zero, because S is flat there.
        """
        first = phi.copy()
        loadings = [i for i, link in enumerate(self.links[:end]) if isinstance(link, Loading)]
        if loadings and np.abs(phi[loadings]).max() < OFF_ZERO:
            lifts = [link.lift for link in self.links[:end] if isinstance(link, Loading)]
            first[loadings] = LIFTED * np.array(lifts)
        squared = [i for i in self._bent if i < end and isinstance(self.links[i], Squared)]
        if not squared:
            return (first,)
        if np.abs(phi[squared]).max() < OFF_ZERO:
            first[squared] = OFF_ZERO
        rho = [i for i in self._bent if isinstance(self.links[i], Between) and i - 1 in squared]
        out = [first]
        for part in (OUTER, -OUTER):
            moved = first.copy()
            moved[rho] = np.arcsin(part)
            out.append(moved)
        return tuple(out)

    def folded(self, phi: Array) -> Array:
        """The coordinates of the same theta whose angles lie between -pi/2 and pi/2."""
        return self.phi(self.theta(phi)) if self._bent else phi

    def jacobian(self, phi: Array) -> Array:
        """Derivative of theta in phi, (k, k)."""
        if not self._bent:
            return self.M
        x = self.M @ phi
        slope = np.ones(x.size)
        for i in self._bent:
            slope[i] = self.links[i].jet(x[i])[1]
        return np.asarray(slope[:, None] * self.M)

    def hessian(self, phi: Array, gradient: Array, hessian: Array) -> Array:
        """Second derivatives in phi from those in theta."""
        J = self.jacobian(phi)
        out = J.T @ hessian @ J
        if not self._bent:
            return np.asarray(out)
        x = self.M @ phi
        bend = np.zeros(x.size)
        for i in self._bent:
            bend[i] = gradient[i] * self.links[i].jet(x[i])[2]
        return np.asarray(out + (self.M.T * bend) @ self.M)
