"""Whether the effect of a variant depends on a covariate, in people who are related."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from henderson.association.columns import Columns, p_columns, wald
from henderson.association.factor_scanner import FactorTrait
from henderson.association.interaction_formula import (
    SNP,
    Environment,
    environments,
    split_interactions,
)
from henderson.association.rules import OK
from henderson.engine.dense import KernelFit, reml
from henderson.errors import DataError
from henderson.linalg.tails import neg_log10_chi2

__all__ = [
    "Environment",
    "InteractionScanner",
    "environment_kernel",
    "environments",
    "interaction_scanner",
    "split_interactions",
]

Array = NDArray[np.float64]
logger = logging.getLogger("henderson")
#: An interaction of which the covariates and the variant leave less than this part follows from them.
FOLLOWS = 1e-8
INFLATES = (
    "the interaction is tested without a relationship matrix of its own: where effects elsewhere in the "
    "genome depend on the environment too, its p-values come out too small"
)
UNCONVERGED = (
    "the search for the variances of the model without a variant has not converged: its tests are approximate"
)


class InteractionScanner:
    """Tests of variants and their interactions with covariates at the components of the null model.

    The model of a variant x with covariates e_1 ... e_q is

        y = X b + x beta + sum_j (x e_j) gamma_j + u,    u ~ N(0, sigma^2 V),

    e_j as it is in X, so that beta is the effect of x where all e_j are 0. With V = L L' all columns are
    multiplied by L^-1, and what is left is least squares. A variant costs (1 + q) n^2 operations for each
    factor. Tests are chi-squared: of beta, of each gamma_j, of all gamma together if q > 1, and of beta and
    all gamma (Kraft et al. 2007, Hum. Hered. 63:111). An interaction that follows from the covariates and x,
    as where x is constant among those with e_j other than 0, is left out, and the status says which.

    `test` takes variants as they are, missing copies at the mean: what is left of them by the covariates
    cannot be multiplied by e.

    Parameters
    ----------
    traits : sequence of FactorTrait
        Responses of the same people and covariates.
    X : ndarray, shape (n, p)
        The covariates, the e_j and an intercept in their span.
    environments : sequence of Environment
        The e_j.
    """

    side_by_side = False  # as `FactorScanner`
    as_they_are = True

    def __init__(self, traits: Sequence[FactorTrait], X: Array, environments: Sequence[Environment]) -> None:
        self._traits = traits
        self._basis = np.asarray(np.linalg.qr(X)[0])
        self._words = [word for each in environments for word in each.names]
        values = np.column_stack([each.values for each in environments])
        # Centred and in units of their spread, or x e would hardly differ from x where e is a year
        self._mean = values.mean(axis=0)
        self._spread = values.std(axis=0)
        constant = self._spread <= 1e-12 * np.abs(self._mean)
        if constant.any():
            raise DataError(
                f"{self._words[int(constant.argmax())]} has one value in all people analysed, so that no "
                "effect can depend on it"
            )
        self._e = np.vstack([np.ones(len(values)), ((values - self._mean) / self._spread).T])

    def test(self, X: Array) -> list[Columns]:
        """Columns of the results of each response, for variants X (b, n) as they are."""
        shape = (X.shape[0], *self._e.shape)  # (b, 1 + q, n)
        columns = (X[:, None, :] * self._e).reshape(-1, shape[-1])
        estimable = self._estimable(columns)
        found: dict[int, Columns] = {}
        for factor in {id(trait.factor): trait.factor for trait in self._traits}.values():
            own = [k for k, trait in enumerate(self._traits) if trait.factor is factor]
            Z = factor.whiten(columns.T).T.reshape(shape)
            for k in own:
                trait = self._traits[k]
                products = Z @ factor.whiten(trait.y)
                found[k] = self._columns(Z @ Z.transpose(0, 2, 1), products, estimable, trait.sigma)
        return [found[k] for k in range(len(self._traits))]

    def _estimable(self, columns: Array) -> NDArray[np.bool_]:
        """Which columns of each variant do not follow from the covariates and those before, (b, 1 + q)."""
        k = len(self._e)
        least = FOLLOWS * columns.var(axis=1).reshape(-1, k) * columns.shape[1]
        left = columns - (columns @ self._basis) @ self._basis.T
        left = left.reshape(-1, k, columns.shape[1])
        gram = left @ left.transpose(0, 2, 1)
        kept = np.ones(least.shape, dtype=bool)
        for j in range(k):
            kept[:, j] = gram[:, j, j] > least[:, j]
            _sweep(gram, j, kept[:, j])
        return kept

    def _columns(self, gram: Array, products: Array, kept: NDArray[np.bool_], sigma: float) -> Columns:
        """Effects and tests from Z'Z (b, k, k) and Z'y (b, k)."""
        b, k = products.shape
        both = np.zeros((b, k + 1, k + 1))
        both[:, :k, :k], both[:, :k, k], both[:, k, :k] = gram, products, products
        _sweep(both, 0, kept[:, 0])
        of_variant = -both[:, k, k]
        for j in range(1, k):
            _sweep(both, j, kept[:, j])
        of_all = -both[:, k, k]
        effects = np.where(kept, both[:, :k, k], 0.0)
        cov = sigma**2 * np.where(kept[:, :, None] & kept[:, None, :], -both[:, :k, :k], 0.0)
        # From e centred and in units of its spread to e as it is
        T = np.eye(k)
        T[1:, 1:] = np.diag(1.0 / self._spread)
        T[0, 1:] = -self._mean / self._spread
        effects = effects @ T.T
        variance = np.einsum("ij,bjk,ik->bi", T, cov, T)
        with np.errstate(invalid="ignore"):
            error = np.sqrt(np.where(kept, variance, np.nan))
        effects[~kept] = np.nan
        found = wald(effects[:, 0], error[:, 0], None)
        for j, word in enumerate(self._words, start=1):
            found |= wald(effects[:, j], error[:, j], None, f"_gxe_{word}")
        df = kept[:, 1:].sum(axis=1)
        if k > 2:
            more = (of_all - of_variant) / sigma**2
            found |= p_columns("_gxe", neg_log10_chi2(more, np.where(df > 0, df, np.nan)))
        every = kept.sum(axis=1)
        found |= p_columns("_joint", neg_log10_chi2(of_all / sigma**2, np.where(every > 0, every, np.nan)))
        return {**found, "status": self._status(kept)}

    def _status(self, kept: NDArray[np.bool_]) -> NDArray[np.str_]:
        """`OK`, or which interactions are left out."""
        names = np.array([SNP, *(f"{SNP}:{word}" for word in self._words)])
        status = np.full(len(kept), OK, dtype=object)
        for v in np.flatnonzero(~kept.all(axis=1)):
            lost = names[~kept[v]].tolist()
            status[v] = f"{', '.join(lost)} {'follow' if len(lost) > 1 else 'follows'} from the covariates"
        return status.astype(np.str_)


def _sweep(M: Array, j: int, where: NDArray[np.bool_]) -> None:
    """Sweep pivot j of the symmetric matrices (b, k, k) in place, ``where`` it is wanted.

    Once all pivots are swept, the block of these is -A^-1 and their column in another row is A^-1 c.
    Goodnight (1979), Am. Stat. 33:149.
    """
    A = M[where]
    pivot = A[:, j, j].copy()
    row = A[:, j, :] / pivot[:, None]
    A -= A[:, :, j, None] * row[:, None, :]
    A[:, j, :] = A[:, :, j] = row
    A[:, j, j] = -1.0 / pivot
    M[where] = A


def environment_kernel(K: Array, E: Array) -> Array:
    """Covariance of effects that depend on an environment: K o (E E').

    Sul et al. (2016), PLoS Genet. 12:e1005849. The columns of E are centred over the people, made orthogonal
    and scaled so that a person has a mean square of one over all: units, contrasts and where zero is do not
    matter, and variances are comparable with K's.

    Parameters
    ----------
    K : ndarray, shape (n, n)
        Relationship of the people.
    E : ndarray, shape (n, q)
        A number, or the contrasts of a factor.

    Returns
    -------
    ndarray, shape (n, n)
        A new matrix.

    Examples
    --------
    >>> environment_kernel(np.ones((2, 2)), np.array([[20.0], [30.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    U, values, _ = np.linalg.svd(E - E.mean(axis=0), full_matrices=False)
    U = U[:, values > 1e-10 * values.max(initial=0.0)]
    scaled = U * sqrt(len(E) / max(U.shape[1], 1))
    kernel = scaled @ scaled.T
    kernel *= K
    return np.asarray(kernel)


def interaction_scanner(
    K: Array,
    X: Array,
    ys: Sequence[Array],
    environments: Sequence[Environment],
    *,
    kernel: bool,
    starts: Sequence[Sequence[float] | Array] | None = None,
) -> tuple[InteractionScanner, tuple[KernelFit, ...]]:
    """Fit the models without a variant, and give what tests variants and their interactions in them.

    The model without a variant is y = X b + g + sum_j h_j + e with g ~ N(0, s_g K), and with ``kernel`` for
    each environment h_j ~ N(0, s_j K o (e_j e_j')): effects of the whole genome that depend on it. Without
    these the tests of interactions take them for chance between unrelated people, and are too small (Sul et
    al. 2016, PLoS Genet. 12:e1005849; Moore et al. 2019, Nat. Genet. 51:180). A residual variance that
    depends on the environment is not in the model.

    Parameters
    ----------
    K : ndarray, shape (n, n)
        Relationship of the people analysed.
    X : ndarray, shape (n, p)
        Fixed effects, the environments among them.
    ys : sequence of ndarray, shape (n,)
        Responses.
    environments : sequence of Environment
        What the variant is multiplied by.
    kernel : bool
        Whether environments have kernels of their own.
    starts : sequence of sequence of float, optional
        For each response the ratios of the variances to the residual's to start from: K's, then each
        environment's.

    Returns
    -------
    scanner : InteractionScanner
    fits : tuple of KernelFit
        The model without a variant of each response; the ratios as in ``starts``.
    """
    kernels = [K]
    if kernel:
        kernels += [environment_kernel(K, each.values) for each in environments]
    else:
        logger.warning(INFLATES)
    fits = tuple(reml(kernels, X, y, start=None if starts is None else starts[k]) for k, y in enumerate(ys))
    if not all(fit.converged for fit in fits):
        logger.warning(UNCONVERGED)
    traits = [FactorTrait(fit.factor, y, sqrt(fit.sigma2)) for fit, y in zip(fits, ys, strict=True)]
    return InteractionScanner(traits, X, environments), fits
