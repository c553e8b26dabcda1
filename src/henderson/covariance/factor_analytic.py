"""Many effects moved by a few common factors, each with a variance of its own: S = L L' + diag(psi^2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.coordinates import Coordinates, Link, Loading, Straight

Array = NDArray[np.float64]
#: A start leaves every effect this share of its variance, because S is flat in a specific sd of zero.
OWN_SHARE = 0.05
#: Steps of principal axis factoring, and the change of a share of variance at which they end.
AXIS_STEPS, AXIS_CHANGE = 500, 1e-12
#: A diagonal element of T counts as zero below this part of its row.
ROUNDING = 1e-14


@dataclass(frozen=True, slots=True)
class FactorAnalytic:
    """q effects driven by k common factors: S = L L' + diag(psi_1^2, ..., psi_q^2).

    Smith, Cullis & Thompson (2001), Biometrics 57:1138-1147: genotypes in many environments. L (q, k) has
    zeros above its diagonal, which settles its rotation; its signs are free. Theta holds L column by column,
    from the diagonal down, and then psi, of which any may be zero. The first parameter is no standard
    deviation, as it has to be for residuals, so that this is a structure of random effects only.

    Parameters
    ----------
    q : int
        Number of effects within one level.
    k : int
        Number of common factors, from 1 to q - 1.

    Examples
    --------
    >>> S = FactorAnalytic(3, 1)
    >>> T = S.factor(np.array([1.0, 2.0, 0.5, 1.0, 0.0, 3.0]))
    >>> (T @ T.T).round(12)
    array([[2.  , 2.  , 0.5 ],
           [2.  , 4.  , 1.  ],
           [0.5 , 1.  , 9.25]])
    """

    q: int
    k: int

    @property
    def n_theta(self) -> int:
        """Number of loadings, q k - k (k - 1) / 2, and of specific standard deviations, q."""
        return self._n_loadings + self.q

    @property
    def _n_loadings(self) -> int:
        return n_loadings(self.q, self.k)

    def loadings(self, theta: Array) -> Array:
        """L, shape (q, k)."""
        L = np.zeros((self.q, self.k))
        L[_places(self.q, self.k)] = theta[: self._n_loadings]
        return L

    def specific(self, theta: Array) -> Array:
        """Standard deviations psi of what the common factors leave, shape (q,)."""
        return np.asarray(theta[self._n_loadings :])

    def factor(self, theta: Array) -> Array:
        """T, shape (q, q): from the QR decomposition of [L, diag psi]', which asks for no regular S."""
        roots = np.hstack([self.loadings(theta), np.diag(self.specific(theta))])
        T = np.linalg.qr(roots.T)[1].T
        diagonal = np.diag(T).copy()
        T = T * np.where(diagonal < 0.0, -1.0, 1.0)
        lost = np.abs(diagonal) <= ROUNDING * np.linalg.norm(roots, axis=1)
        T[lost, lost] = 0.0
        return np.asarray(T)

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """Derivatives of S: E L' + L E' with the unit matrices E of the loadings, and 2 psi_i at (i, i)."""
        m, n = self._n_loadings, self.n_theta
        units, products = _unit_derivatives(self.q, self.k)
        own = np.arange(self.q)
        half = units @ self.loadings(theta).T
        first = np.zeros((n, self.q, self.q))
        first[:m] = half + half.transpose(0, 2, 1)
        first[m + own, own, own] = 2.0 * self.specific(theta)
        second = np.zeros((n, n, self.q, self.q))
        second[:m, :m] = products
        second[m + own, m + own, own, own] = 2.0
        return first, second

    def nearest(self, T: Array) -> Array:
        """Principal axis factoring of the correlations of T T', which ends at T T' if that has k factors.

        Harman (1976), Modern Factor Analysis, section 8.2.
        """
        sd = np.sqrt(np.einsum("ij,ij->i", T, T))
        R = (T @ T.T) / np.outer(sd, sd)
        own = np.clip(1.0 / np.diag(np.linalg.inv(R)), OWN_SHARE, 1.0)
        for _ in range(AXIS_STEPS):
            values, vectors = np.linalg.eigh(R - np.diag(own))
            L = vectors[:, -self.k :] * np.sqrt(np.maximum(values[-self.k :], 0.0))
            before, own = own, np.maximum(1.0 - np.einsum("ij,ij->i", L, L), OWN_SHARE)
            if np.abs(own - before).max() < AXIS_CHANGE:
                break
        upright = np.linalg.qr(L.T)[1].T  # the same L L' with zeros above the diagonal
        theta = np.concatenate([(sd[:, None] * upright)[_places(self.q, self.k)], sd * np.sqrt(own)])
        return self.canonical(theta)

    def coordinates(self, scale: Array) -> Coordinates:
        """Loadings and specific standard deviations for designs of unit mean square."""
        rows, columns = _places(self.q, self.k)
        size = np.sqrt(np.einsum("ij,ij->j", scale, scale))
        # the first factor is sought in what all effects share, each further one in a contrast of them
        links: list[Link] = [
            Loading(lift=-1.0 if c and (r // c) % 2 else 1.0) for r, c in zip(rows, columns, strict=True)
        ]
        links += [Straight((0.0,))] * self.q
        return Coordinates(np.diag(1.0 / np.append(size[rows], size)), tuple(links))

    def canonical(self, theta: Array) -> Array:
        """The first loading of each factor that is not zero positive, and psi without signs."""
        L = self.loadings(theta)
        first = L[(L != 0.0).argmax(axis=0), np.arange(self.k)]
        L = L * np.where(first < 0.0, -1.0, 1.0) + 0.0
        return np.append(L[_places(self.q, self.k)], np.abs(self.specific(theta)))

    def theta_names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """``x.fa1`` for the loading of x on the first factor, ``x.psi`` for what is its own."""
        rows, columns = _places(self.q, self.k)
        loadings = (f"{names[r]}.fa{c + 1}" for r, c in zip(rows.tolist(), columns.tolist(), strict=True))
        return (*loadings, *(f"{name}.psi" for name in names))


def n_loadings(q: int, k: int) -> int:
    """Number of loadings of q effects on k factors that are not zero by convention.

    >>> n_loadings(4, 2)
    7
    """
    return q * k - k * (k - 1) // 2


@cache
def _places(q: int, k: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the loadings, column by column."""
    columns, rows = np.triu_indices(k, m=q)
    return rows, columns


@cache
def _unit_derivatives(q: int, k: int) -> tuple[Array, Array]:
    """Unit matrices E of the loadings, and E_i E_j' + E_j E_i'; read-only, because they are shared."""
    rows, columns = _places(q, k)
    units = np.zeros((rows.size, q, k))
    units[np.arange(rows.size), rows, columns] = 1.0
    half = units[:, None] @ units[None].transpose(0, 1, 3, 2)
    products = half + half.transpose(0, 1, 3, 2)
    units.flags.writeable = products.flags.writeable = False
    return units, products
