"""Ordinary least squares of the trait on covariates and a variant: what a scan's table has for comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.association.columns import Columns, p_columns
from henderson.linalg.tails import neg_log10_t

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
#: A variant of which the covariates leave less than this part, among people with a call, follows from them.
FOLLOWS = 1e-10
#: Covariates are collinear among people with a call who have less than this part of them in some direction.
COLLINEAR = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class PlainTests:
    """Effects of b variants on T traits by ordinary least squares.

    Attributes
    ----------
    beta, standard_error : ndarray, shape (T, b)
        Per copy of the effect allele; NaN where people with a call do not tell variant and covariates apart.
    df : ndarray of int, shape (b,)
        Degrees of freedom: people with a call, less the fixed effects.
    """

    beta: Array
    standard_error: Array
    df: NDArray[np.int64]

    def columns(self, traits: int | Index, variants: slice | Index) -> Columns:
        """Columns of a scan's table, with the t-test, for some of the tests."""
        beta, standard_error = self.beta[traits, variants], self.standard_error[traits, variants]
        with np.errstate(divide="ignore", invalid="ignore"):  # a trait that is fitted exactly
            tail = neg_log10_t(beta / standard_error, self.df[variants])
        return {"beta_ols": beta, "standard_error_ols": standard_error, **p_columns("_ols", tail)}


class PlainRegression:
    """Traits regressed on covariates and one variant after another; people without a call are left out.

    The covariates are taken out of traits and variants once, with everybody; then what the people without a
    call have in the sums is taken away again. With Q the basis of the covariates, x and r what they leave of
    variant and trait, S the people without a call and C all others,

        Q_C'x_C = -Q_S'x_S,    Q_C'Q_C = I - Q_S'Q_S,    x_C'r_C = x'r - x_S'r_S,

    and so on, from which the covariates are eliminated for C (Frisch & Waugh 1933; Lovell 1963). A variant
    costs n operations a trait, and p^2 + p for each missing call of it.

    Parameters
    ----------
    basis : ndarray, shape (n, p)
        Orthonormal basis of the covariates.
    Y : ndarray, shape (n, T)
        Traits.

    Examples
    --------
    >>> y, x = np.array([[1.0], [2.0], [4.0], [9.0]]), np.array([[0.0, 1.0, 2.0, 1.0]])
    >>> plain = PlainRegression(np.full((4, 1), 0.5), y)
    >>> found = plain.test(x - x.mean(), np.array([[False, False, False, True]]))
    >>> found.beta.round(6).tolist(), found.df.tolist()
    ([[1.5]], [1])
    """

    def __init__(self, basis: Array, Y: Array) -> None:
        for _ in range(2):  # twice: a mean of 1e6 leaves rounding in the first residual
            Y = Y - basis @ (basis.T @ Y)
        self._basis, self._residuals = basis, Y
        self._squares = np.einsum("nt,nt->t", Y, Y)

    def test(self, X: Array, missing: Mask) -> PlainTests:
        """Test variants.

        Parameters
        ----------
        X : ndarray, shape (b, n)
            Variants whose covariates are taken out, calls that are missing set to anything before that.
        missing : ndarray of bool, shape (b, n)
            Where there is no call.
        """
        n, p = self._basis.shape
        xx = np.einsum("bn,bn->b", X, X)
        xy = self._residuals.T @ X.T
        yy = np.broadcast_to(self._squares[:, None], xy.shape)
        n_missing = np.count_nonzero(missing, axis=1)
        rows = np.flatnonzero(n_missing)
        if rows.size:
            yy = yy.copy()
            xx[rows], xy[:, rows], yy[:, rows] = self._called(X[rows], missing[rows], xx[rows], xy[:, rows])
        df = n - n_missing - p - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            beta = xy / xx
            residual = np.maximum(yy - beta * xy, 0.0) / np.where(df > 0, df, np.nan)
            standard_error = np.sqrt(residual / xx)
        return PlainTests(beta, standard_error, df)

    def _called(self, X: Array, missing: Mask, xx: Array, xy: Array) -> tuple[Array, Array, Array]:
        """x'x, x'y and y'y among people with a call; NaN where these do not tell x from the covariates."""
        from scipy.sparse import csr_array

        Q, R = self._basis, self._residuals
        p = Q.shape[1]
        variants, people = np.nonzero(missing)
        starts = np.searchsorted(variants, np.arange(len(X) + 1))
        at_missing = X[variants, people]
        M = csr_array((np.ones_like(at_missing), people, starts), shape=X.shape)
        Z = csr_array((at_missing, people, starts), shape=X.shape)
        xx = xx - Z.power(2).sum(axis=1)
        pairs = (Q[:, :, None] * Q[:, None, :]).reshape(len(Q), p * p)
        inverse = _inverse((M @ pairs).reshape(len(X), p, p))
        with_x = -(Z @ Q)
        with_y = [-(M @ (Q[:, j, None] * R)) for j in range(p)]  # each (b, T)
        left = xx - np.einsum("bi,bij,bj->b", with_x, inverse, with_x)
        left[~(left > FOLLOWS * xx)] = np.nan
        weights = np.einsum("bij,bj->bi", inverse, with_x)
        xy = xy - (Z @ R).T
        yy = self._squares[:, None] - (M @ (R * R)).T
        for i in range(p):
            xy -= (weights[:, i, None] * with_y[i]).T
            for j in range(p):
                yy -= (inverse[:, i, j, None] * with_y[i] * with_y[j]).T
        return left, xy, yy


def _inverse(lost: Array) -> Array:
    """Inverse of I - lost for each of (b, p, p); NaN where it is singular.

    With a trace below one, ``lost`` has no eigenvalue near one, and nothing need be looked for.
    """
    gram = np.eye(lost.shape[-1]) - lost
    singular = np.trace(lost, axis1=1, axis2=2) > 0.5
    singular[singular] = np.linalg.eigvalsh(gram[singular]).min(axis=1, initial=1.0) < COLLINEAR
    gram[singular] = np.eye(lost.shape[-1])
    inverse = np.linalg.inv(gram)
    inverse[singular] = np.nan
    return np.asarray(inverse)
