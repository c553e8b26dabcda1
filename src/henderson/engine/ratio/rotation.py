"""Variants in the basis of the eigenvectors of K: by one matrix product, or by sums over groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.engine.spectral.spectrum import Spectrum

Array = NDArray[np.float64]
Index = NDArray[np.intp]
#: Chebyshev nodes for what maximum likelihood needs of the fixed effects: a function of log lambda alone
#: that is analytic in a strip of half-width pi, so that its coefficients fall below rounding.
CHEBYSHEV = 192


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """One response in the basis of a rotation.

    Attributes
    ----------
    columns : ndarray, shape (p + 1, width)
        The fixed effects that the rotation leaves in the model, and y.
    shared : ndarray, shape ((p + 1) (p + 2) / 2, K)
        Their products at each eigenvalue: the lower triangle, row by row.
    """

    columns: Array
    shared: Array


class Rotation(Protocol):
    """The basis in which V = I + lambda K is diagonal.

    ``values`` (K,) are the different eigenvalues, ascending, and ``counts`` (K,) says how often log|V| has
    each of them; ``n`` is the number of records and ``n_fixed`` that of all fixed effects.
    """

    values: Array
    counts: Array
    n: int
    n_fixed: int

    def response(self, y: Array) -> Response:
        """Rotate a response (n,)."""
        ...

    def rotate(self, X: Array) -> Array:
        """Rotate variants (b, n), one a row; shape (b, width). X is work space."""
        ...

    def products(self, rotated: Array, response: Response) -> Array:
        """Products of each variant with [W, x, y] at each eigenvalue, shape (b, p + 2, K)."""
        ...

    def extra_logdet(self, log_ratio: Array) -> Array:
        """What log|V| has beside the eigenvalues, at each log lambda."""
        ...


class SpectralRotation:
    """One dense K: the fixed effects are gone from the basis, and each eigenvalue has one vector."""

    def __init__(self, spectrum: Spectrum) -> None:
        self.spectrum = spectrum
        self.values = spectrum.values
        self.counts = np.ones_like(spectrum.values)
        self.n, self.n_fixed = spectrum.fixed.shape

    def response(self, y: Array) -> Response:
        """A'y, of the least-squares residual of y."""
        fixed = self.spectrum.fixed
        for _ in range(2):  # twice: a mean of 1e6 leaves rounding in the first residual
            y = y - fixed @ (fixed.T @ y)
        eta = y @ self.spectrum.vectors
        return Response(eta[None], (eta * eta)[None])

    def rotate(self, X: Array) -> Array:
        """X A: one matrix product for the whole block."""
        return np.asarray(X @ self.spectrum.vectors)

    def products(self, rotated: Array, response: Response) -> Array:
        """Squares of x, and products of x and y."""
        out = np.empty((rotated.shape[0], 2, rotated.shape[1]))
        np.multiply(rotated, rotated, out=out[:, 0])
        np.multiply(rotated, response.columns[0], out=out[:, 1])
        return out

    def extra_logdet(self, log_ratio: Array) -> Array:
        """log|I + lambda gram - lambda^2 cross' diag(1 / (1 + lambda values)) cross|; see `Spectrum`."""
        s, out = self.spectrum, np.empty(log_ratio.size)
        identity = np.eye(self.n_fixed)
        for i, ratio in enumerate(np.exp(log_ratio)):
            weighted = s.cross * (ratio / (1.0 + ratio * s.values))[:, None]
            out[i] = np.linalg.slogdet(identity + ratio * (s.gram - s.cross.T @ weighted))[1]
        return out


class GroupRotation:
    """K = ZZ' of one grouping factor: group sums are the rotation; groups of one size share an eigenvalue.

    The mean of a group of size m, times sqrt(m), belongs to the eigenvalue m; what varies within groups to
    the eigenvalue 0. Nothing of n x n is made.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Group of each record.
    fixed : ndarray, shape (n, p)
        Orthonormal basis of the fixed effects.
    """

    def __init__(self, codes: Index, fixed: Array) -> None:
        self.n, self.n_fixed = fixed.shape
        sizes = np.bincount(codes)
        by_size = np.argsort(sizes, kind="stable")
        by_size = by_size[sizes[by_size] > 0]
        rank = np.empty(sizes.size, dtype=np.intp)
        rank[by_size] = np.arange(by_size.size)
        self._order = np.argsort(rank[codes], kind="stable")
        ordered = sizes[by_size]
        self._starts = np.concatenate([[0], np.cumsum(ordered)[:-1]])
        self._root = np.sqrt(ordered)
        different, self._classes, n_groups = np.unique(ordered, return_index=True, return_counts=True)
        self.values = np.concatenate([[0.0], different])
        self.counts = np.concatenate([[float(self.n - ordered.size)], n_groups])
        self._fixed = fixed
        self._fixed_rotated = self._sums(fixed.T)

    def _sums(self, X: Array) -> Array:
        """[what is within groups and between them: (b, n + groups)]: residuals, then scaled sums."""
        ordered = X[:, self._order]
        sums = np.add.reduceat(ordered, self._starts, axis=1) / self._root
        ordered -= np.repeat(sums / self._root, np.diff(self._starts, append=self.n), axis=1)
        return np.hstack([ordered, sums])

    def response(self, y: Array) -> Response:
        """The rotated fixed effects, and the rotated least-squares residual of y."""
        for _ in range(2):
            y = y - self._fixed @ (self._fixed.T @ y)
        columns = np.vstack([self._fixed_rotated, self._sums(y[None])])
        pairs = [self._by_class(columns[i], columns[j]) for i in range(len(columns)) for j in range(i + 1)]
        return Response(columns, np.array(pairs))

    def rotate(self, X: Array) -> Array:
        """Residual of each variant on the fixed effects, within groups and summed over them."""
        return self._sums(X - (X @ self._fixed) @ self._fixed.T)

    def _by_class(self, a: Array, b: Array) -> Array:
        """Products summed over what shares an eigenvalue, shape (..., K)."""
        product = a * b
        starts = np.concatenate([[0], self.n + self._classes])
        return np.asarray(np.add.reduceat(product, starts, axis=-1))

    def products(self, rotated: Array, response: Response) -> Array:
        """Products with the fixed effects, with itself and with y."""
        columns = response.columns
        with_fixed = [self._by_class(rotated, column) for column in columns[:-1]]
        both = [*with_fixed, self._by_class(rotated, rotated), self._by_class(rotated, columns[-1])]
        return np.ascontiguousarray(np.stack(both, axis=1))

    def extra_logdet(self, log_ratio: Array) -> Array:
        """Nothing: the fixed effects are still in the basis."""
        return np.zeros(log_ratio.size)
