"""Residual structure R(theta): how the residuals of the records vary and go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.coordinates import Between, Coordinates, Link
from henderson.covariance.structure import Covariance

Array = NDArray[np.float64]
#: A correlation of residuals stays this part of its range off its bounds.
MARGIN = 1e-6
#: R_0 counts as singular if an eigenvalue of its correlations is below this times their number,
DEPENDENT = 3e-6
#: or a standard deviation is below this part of the largest.
VANISHED = 1e-3


@dataclass(frozen=True, slots=True)
class Homogeneous:
    """Independent residuals of one variance: R = I."""

    @property
    def n_theta(self) -> int:
        """No parameters."""
        return 0

    def matrix(self, theta: Array) -> Array:
        """R_0 of a record, relative to sigma^2: one, whatever the (empty) theta; shape (1, 1)."""
        return np.eye(1)


@dataclass(frozen=True, slots=True, eq=False)
class ByUnit:
    """Residuals correlated within a unit (a person's traits or times): R block-diagonal.

    The block of a unit is R_0[positions, positions] for the positions it has records at. R_0 is relative to
    sigma^2, the residual variance at the first position: R_0[0, 0] = 1.

    Attributes
    ----------
    label : str
        As the user wrote it, for messages: ``"us(trait | iid)"``.
    positions : tuple of str, length t
        Labels of the positions, for messages.
    unit, position : ndarray of int64, shape (n,)
        Row i belongs to ``unit[i]`` and stands at ``position[i]`` within it, where no other row stands.
    n_units : int
    covariance : Covariance
        Family of R_0 (t, t) for t positions. Its first parameter, the first standard deviation, is 1.

    Examples
    --------
    >>> from henderson.covariance import Diagonal
    >>> R = ByUnit.strata("diag(sex)", ("f", "m"), np.array([0, 1, 1]), Diagonal(2))
    >>> R.matrix(np.array([3.0]))
    array([[1., 0.],
           [0., 9.]])
    """

    label: str
    positions: tuple[str, ...]
    unit: NDArray[np.int64]
    position: NDArray[np.int64]
    n_units: int
    covariance: Covariance

    @classmethod
    def strata(
        cls, label: str, strata: tuple[str, ...], stratum: NDArray[np.int64], covariance: Covariance
    ) -> ByUnit:
        """Independent residuals whose variance depends on the stratum: every record is a unit of its own."""
        return cls(label, strata, np.arange(stratum.size), stratum, int(stratum.size), covariance)

    @property
    def n_theta(self) -> int:
        """Number of parameters of R_0 beside sigma."""
        return self.covariance.n_theta - 1

    def matrix(self, theta: Array) -> Array:
        """R_0, (t, t)."""
        T = self.covariance.factor(_with_first(theta))
        return np.asarray(T @ T.T)

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """First (k, t, t) and second (k, k, t, t) derivatives of R_0."""
        first, second = self.covariance.derivatives(_with_first(theta))
        return first[1:], second[1:, 1:]

    def start(self) -> Array:
        """Where R = I."""
        return self.covariance.nearest(np.eye(self.covariance.q))[1:]

    def coordinates(self) -> Coordinates:
        """Free coordinates; the residuals have no units of a design, and R_0 stays regular."""
        full = self.covariance.coordinates(np.eye(self.covariance.q))
        return Coordinates(full.M[1:, 1:], tuple(_inside(link) for link in full.links[1:]))

    def vanished(self, theta: Array) -> tuple[int, ...]:
        """Positions that are left with next to no residual variance."""
        sd = np.sqrt(np.diag(self.matrix(theta)))
        return tuple(np.flatnonzero(sd < VANISHED * sd.max()).tolist())

    def is_dependent(self, theta: Array) -> bool:
        """Whether the residuals of a unit nearly determine each other: a singular correlation matrix."""
        R0 = self.matrix(theta)
        sd = np.sqrt(np.diag(R0))
        if not (sd > 0.0).all():
            return False
        return bool(np.linalg.eigvalsh(R0 / np.outer(sd, sd))[0] < DEPENDENT * sd.size)

    def canonical(self, theta: Array) -> Array:
        """The theta with the same R_0 whose standard deviations are not negative."""
        return self.covariance.canonical(_with_first(theta))[1:]


Residual = Homogeneous | ByUnit


def _inside(link: Link) -> Link:
    """Keep a correlation off the bounds at which R_0 is singular."""
    if not isinstance(link, Between):
        return link
    margin = MARGIN * (link.high - link.low)
    return Between(link.low + margin, link.high - margin)


def _with_first(theta: Array) -> Array:
    return np.append(1.0, theta)
