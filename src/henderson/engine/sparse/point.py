"""The random effects absorbed: everything but slopes at one value of the covariance parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.engine.basis import FixedBasis
from henderson.engine.sparse.equations import Equations, transposed
from henderson.engine.sparse.roots import Root
from henderson.linalg.sparse_cholesky import SparseCholesky

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """The equations of a model with their right-hand sides.

    Attributes
    ----------
    equations : Equations
    fixed : FixedBasis
        Columns [Q y]: an orthonormal basis of the fixed effects, and the least-squares residual of y.
    ZM : ndarray, (n_effects, p + 1)
        Z'[Q y].
    """

    equations: Equations
    fixed: FixedBasis
    ZM: Array

    @classmethod
    def of(cls, equations: Equations, fixed: FixedBasis) -> Data:
        """Form the right-hand sides."""
        return cls(equations, fixed, np.asarray(equations.Z.T @ fixed.columns))


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Everything that is known at one S, but for its slopes.

    With M = blockdiag(K (x) I) + T'Z'Z T = C C', V^-1 = I - Z T M^-1 T'Z' (Henderson et al. 1959,
    Biometrics 15:192).

    Attributes
    ----------
    data : Data
    roots : tuple of Root
        Of S of each part.
    T : tuple of ndarray, (q, q)
        Their lifted T, which M is made with.
    factor : SparseCholesky
        C.
    reduced : ndarray, (n_effects, p + 1)
        C^-1 T'Z'[Q y].
    XVX, XVX_inverse : ndarray, (p, p)
        Q'V^-1 Q and its inverse.
    beta : ndarray, (p,)
        Coefficients of Q for the least-squares residual of y.
    pwrss : float
        y'Py.
    v : ndarray, (n_effects, p + 1)
        M^-1 T'Z'[Q y].
    ZV : ndarray, (n_effects, p + 1)
        Z'V^-1 [Q y].
    """

    data: Data
    roots: tuple[Root, ...]
    T: tuple[Array, ...]
    factor: SparseCholesky
    reduced: Array
    XVX: Array
    XVX_inverse: Array
    beta: Array
    pwrss: float
    v: Array
    ZV: Array

    @classmethod
    def at(cls, data: Data, roots: Sequence[Root]) -> Point:
        """Factor the equations and solve them."""
        equations = data.equations
        T = tuple(root.lifted for root in roots)
        factor = equations.factor(T)
        reduced = factor.solve_lower(equations.times(transposed(T), data.ZM))
        corner = data.fixed.gram - reduced.T @ reduced
        XVX, XVy = corner[:-1, :-1], corner[:-1, -1]
        inverse = np.asarray(np.linalg.inv(XVX))
        beta = inverse @ XVy
        pwrss = float(corner[-1, -1] - XVy @ beta)
        v = factor.solve_upper(reduced)
        ZV = data.ZM - equations.A @ equations.times(T, v)
        return cls(data, tuple(roots), T, factor, reduced, XVX, inverse, beta, pwrss, v, ZV)

    @property
    def logdet_v(self) -> float:
        """log|V|."""
        return self.factor.logdet + self.data.equations.layout.logdet_prior

    @property
    def logdet_x(self) -> float:
        """log|Q'V^-1 Q|."""
        return float(np.linalg.slogdet(self.XVX)[1])

    def contrast(self, values: Array) -> Array:
        """Of values for the columns [Q y], those of y - Q beta: (n_effects, p + 1) to (n_effects,)."""
        return np.asarray(values[:, -1] - values[:, :-1] @ self.beta)

    def effects(self, V: Array) -> Array:
        """Effects T V of roots, (n_effects, m), zero where a standard deviation is."""
        return self.data.equations.times([root.exact for root in self.roots], V)

    def projected(self, ZM: Array, QM: Array) -> tuple[Array, Array, Array]:
        """Of P M for columns M of the model of W^1/2 y, given Z'M and Q'M.

        Returns
        -------
        b : ndarray, (n_effects, m)
            Effects that predict M beside the fixed effects: P M = M - Q beta - Z b.
        beta : ndarray, (p, m)
        ZPM : ndarray, (n_effects, m)
            Z'P M.
        """
        equations = self.data.equations
        reduced = self.factor.solve_lower(equations.times(transposed(self.T), ZM))
        beta = self.XVX_inverse @ (QM - self.reduced[:, :-1].T @ reduced)
        v = self.factor.solve_upper(reduced)
        ZPM = ZM - equations.A @ equations.times(self.T, v) - self.ZV[:, :-1] @ beta
        return self.effects(v - self.v[:, :-1] @ beta), beta, ZPM
