"""Estimates without some of the rows, by algebra at the theta of all rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit
from henderson.engine.blocked.residual import unit_blocks
from henderson.fit.engines import choose_engine
from henderson.fit.solve import Fitted
from henderson.inference.left_out import (
    Left,
    has_singular_residual,
    left_at,
    model_without,
    residual_at,
)

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
#: Rows that touch more effects than this have the equations set up anew without them.
MANY = 100


class HeldTheta:
    """Estimates without some rows at the theta of all rows.

    With W = [X Z], s = (beta, b) and K = C^-1 the inverse of Henderson's coefficient matrix, leaving out rows
    I, whose residual covariance is R_I, takes W_I'R_I^-1 W_I from C. So with D = W_I'R_I^-1 W_I,
    e = y_I - W_I s and g = W_I'R_I^-1 e

        K_(-I) = (I - K D)^-1 K,   s_(-I) = s - K_(-I) g,
        y'Py_(-I) = y'Py - e'R_I^-1 e - g'K_(-I) g.

    Only the effects that the rows touch take part, so that nothing is as large as the rows of the model.
    For G = I and independent residuals: Zewotir & Galpin (2005), J. Data Sci. 3:153.

    Parameters
    ----------
    fitted : Fitted
        The optimum from all rows.
    """

    def __init__(self, fitted: Fitted) -> None:
        self._fitted = fitted
        engine, model = fitted.engine, fitted.engine.model
        solution = engine.solution(fitted.theta, reml=fitted.reml)
        self._sigma2 = solution.sigma2
        # In a basis of the fixed effects that has no units, and is orthonormal without Z
        root = np.ones(model.n) if model.weights is None else np.sqrt(model.weights)
        Q, self._R = np.linalg.qr(model.X * root[:, None])
        self._leverage_basis = np.linalg.qr(model.X)[0]
        self._X = Q / root[:, None]
        self._gamma = self._R @ solution.beta
        self._b = [term.b for term in solution.terms]
        self._offsets = np.cumsum([model.p, *(t.n_levels * t.q for t in model.terms)])
        self._R0 = model.residual.matrix(fitted.theta[model.residual_slice])
        self._has_inverse = not has_singular_residual(fitted)
        self._unit_sizes: NDArray[np.int64] = np.ones(0, dtype=np.int64)
        if isinstance(model.residual, ByUnit):
            self._unit_sizes = np.bincount(model.residual.unit).astype(np.int64)

    def without(self, rows: Rows) -> Left | None:
        """Leave out some rows; None where the fixed effects cannot all be estimated from the others.

        Parameters
        ----------
        rows : ndarray of int
        """
        fitted, model = self._fitted, self._fitted.engine.model
        nu = model.n - rows.size - (model.p if fitted.reml else 0)
        basis = self._leverage_basis[rows]
        if nu < 1 or np.linalg.eigvalsh(basis.T @ basis).max(initial=0.0) > 1.0 - 1e-12:
            return None
        touched = [np.unique(term.codes[rows]) for term in model.terms]
        n_touched = model.p + sum(len(own) * t.q for own, t in zip(touched, model.terms, strict=True))
        if n_touched > MANY or not self._has_inverse or self._cuts_units(rows):
            return self._anew(rows)
        K = self._inverse(touched, n_touched)
        W, s = self._equations(rows, touched, n_touched)
        e = model.y[rows] - W @ s
        RW, Re = self._weighted(rows, W), self._weighted(rows, e[:, None])[:, 0]
        g = W.T @ Re
        K = np.asarray(np.linalg.solve(np.eye(n_touched) - K @ (W.T @ RW), K))
        sigma2 = (fitted.criterion.pwrss - float(e @ Re) - float(g @ K @ g)) / nu
        R_inverse = np.linalg.inv(self._R)
        gamma = self._gamma - (K @ g)[: model.p]
        cov = sigma2 * R_inverse @ K[: model.p, : model.p] @ R_inverse.T
        return Left(R_inverse @ gamma, 0.5 * (cov + cov.T), fitted.theta, sigma2, "held")

    def _anew(self, rows: Rows) -> Left | None:
        """The same from equations that are set up without the rows."""
        fitted, left = self._fitted, model_without(self._fitted.engine.model, rows)
        if left is None:
            return None
        return left_at(choose_engine(left), fitted.theta, reml=fitted.reml, status="held")

    def _inverse(self, touched: list[NDArray[np.int64]], n_touched: int) -> Array:
        """The part of C^-1 at the fixed effects and the touched random ones."""
        model, p = self._fitted.engine.model, self._fitted.engine.model.p
        A = np.zeros((int(self._offsets[-1]), n_touched))
        A[:p, :p] = self._R.T
        at = p
        for term, own, offset in zip(model.terms, touched, self._offsets[:-1], strict=True):
            places = (offset + own[:, None] * term.q + np.arange(term.q)).ravel()
            A[places, at + np.arange(places.size)] = 1.0
            at += places.size
        fitted = self._fitted
        return fitted.engine.posterior_cov(fitted.theta, A, reml=fitted.reml) / self._sigma2

    def _equations(self, rows: Rows, touched: list[NDArray[np.int64]], n_touched: int) -> tuple[Array, Array]:
        """W_I (m, k) and s (k,) at the touched effects."""
        model = self._fitted.engine.model
        W, s = np.zeros((rows.size, n_touched)), np.empty(n_touched)
        W[:, : model.p], s[: model.p] = self._X[rows], self._gamma
        at = model.p
        for term, own, b in zip(model.terms, touched, self._b, strict=True):
            first = np.searchsorted(own, term.codes[rows].reshape(rows.size, -1)) * term.q
            places = at + first + np.arange(term.q)
            W[np.arange(rows.size)[:, None], places] = term.z[rows]
            s[at : at + own.size * term.q] = b[own].ravel()
            at += own.size * term.q
        return W, s

    def _cuts_units(self, rows: Rows) -> bool:
        """Whether some rows of a unit of the residuals are left out, and others are not."""
        residual = self._fitted.engine.model.residual
        if not isinstance(residual, ByUnit):
            return False
        units, sizes = np.unique(residual.unit[rows], return_counts=True)
        return not np.array_equal(sizes, self._unit_sizes[units])

    def _weighted(self, rows: Rows, M: Array) -> Array:
        """R_I^-1 M, the weights included."""
        model = self._fitted.engine.model
        root = np.ones(rows.size) if model.weights is None else np.sqrt(model.weights[rows])
        units = unit_blocks(residual_at(model.residual, rows), rows.size)
        return units.times_inverse(units.inverses(self._R0), M * root[:, None]) * root[:, None]
