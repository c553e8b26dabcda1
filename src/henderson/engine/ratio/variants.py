"""One model with a variant more, for one variant after another: each with its own variance ratio."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi
from typing import Self

import numpy as np
from numpy.typing import NDArray

from henderson.engine.ratio.rotation import CHEBYSHEV, Rotation

Array = NDArray[np.float64]
Places = NDArray[np.int8]
#: Where an optimum lies: these are the codes of `kernel.search`.
INTERIOR, AT_ZERO, AT_LOWER, AT_UPPER = range(4)
#: A likelihood that varies less than this over the whole range of lambda does not vary.
FLAT = 1e-7


@dataclass(frozen=True, slots=True)
class Range:
    """Where the ratio lambda of the variance components is looked for.

    Attributes
    ----------
    low, high : float
        Ends of log lambda.
    zero : bool
        Whether lambda = 0 is a candidate, in place of the lower end.
    unbounded : bool
        Whether maximum likelihood counts every record, as GEMMA has it, also where K is zero along fixed
        effects: the likelihood then grows without bound as lambda does. Otherwise it is that of the contrasts
        in which K is not zero, which has a maximum.
    n_nodes : int
        Nodes at which each likelihood is evaluated to locate its maxima. A sum of 1 / (1 + lambda d) is
        analytic in a strip of half-width pi around the real log lambda: it has no narrower features.
    """

    low: float
    high: float
    zero: bool = True
    unbounded: bool = False
    n_nodes: int = 85


@dataclass(frozen=True, slots=True, eq=False)
class RatioOptima:
    """Optimal variance ratios, one for each variant.

    Attributes
    ----------
    ratio : ndarray, shape (b,)
        lambda = sigma_g^2 / sigma^2.
    minimum : ndarray, shape (b,)
        -2 log likelihood there, less constants.
    where : ndarray of int8, shape (b,)
        `INTERIOR`, `AT_ZERO`, `AT_LOWER` or `AT_UPPER`.
    flat : ndarray of bool, shape (b,)
        Whether the likelihood is the same for every lambda, which then is no estimate of anything.
    """

    ratio: Array
    minimum: Array
    where: Places
    flat: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class VariantFits:
    """Each variant's own fit; every array has shape (b,).

    Attributes
    ----------
    reml, ml : RatioOptima
        Variance ratios by REML and by maximum likelihood.
    beta, standard_error : ndarray
        Effect of one copy of the allele, at the REML ratio.
    sigma2 : ndarray
        Residual variance, at the REML ratio.
    loglik : ndarray
        Maximum of the log-likelihood (ML).
    """

    reml: RatioOptima
    ml: RatioOptima
    beta: Array
    standard_error: Array
    sigma2: Array
    loglik: Array


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """What the models of all responses share: a basis, and what does not depend on y at some ratios.

    Attributes
    ----------
    rotation : Rotation
        Basis in which V = I + lambda K is diagonal.
    within : Range
        Where lambda is looked for.
    nodes : ndarray, shape (t,)
        log lambda of the nodes.
    s : ndarray, shape (K, t)
        1 / (1 + lambda values) there.
    extra : ndarray, shape (3, terms)
        Chebyshev series of `Rotation.extra_logdet` and its two derivatives.
    logdet : dict of bool to ndarray, shape (t,)
        log-determinants at the nodes, of REML (True) and of maximum likelihood (False).
    """

    rotation: Rotation
    within: Range
    nodes: Array
    s: Array
    extra: Array
    logdet: dict[bool, Array]

    @classmethod
    def of(cls, rotation: Rotation, within: Range) -> Self:
        """Evaluate all of it."""
        nodes = np.linspace(within.low, within.high, within.n_nodes)
        ratio = np.exp(nodes)
        s = 1.0 / (1.0 + np.multiply.outer(rotation.values, ratio))
        extra = _chebyshev(rotation, within)
        at_nodes = np.polynomial.chebyshev.chebval(np.linspace(-1.0, 1.0, within.n_nodes), extra[0])
        logdet = rotation.counts @ np.log1p(np.multiply.outer(rotation.values, ratio))
        return cls(rotation, within, nodes, s, extra, {True: logdet, False: logdet + at_nodes})

    @property
    def idle(self) -> int:
        """Fixed effects along which K is zero, where it is zero along nothing else.

        log|V| does not grow with lambda along these, while y'Py falls in all directions: counting them among
        the records, maximum likelihood has no maximum.
        """
        rotation = self.rotation
        lost = rotation.n - rotation.counts.sum()
        if self.within.unbounded or lost == 0 or rotation.values[0] == 0.0:
            return 0
        growth = np.polynomial.chebyshev.chebval(1.0, self.extra[1])
        return round(float(lost - growth))


class VariantModel:
    """One response and its fixed effects, to which variants are added one at a time.

    Everything depends on K and the data through sums over the eigenvalues of K; see `kernel`. The evaluations
    at the nodes are matrix products; they only locate what the compiled search then finds exactly.

    Parameters
    ----------
    grid : Grid
        Basis, and where lambda is looked for.
    y : ndarray, shape (n,)
        The response.
    """

    def __init__(self, grid: Grid, y: Array) -> None:
        self._grid = grid
        self._rotation = grid.rotation
        self._response = grid.rotation.response(y)
        self._shared = self._response.shared @ grid.s
        self.idle = grid.idle
        self.null_reml, self.null_ml = self._optima(np.empty((1, 0, grid.rotation.values.size)))

    # -- the model without a variant -------------------------------------------------------------------

    @property
    def n_ml(self) -> int:
        """Records that maximum likelihood counts; see `Range`."""
        return self._nu(False, False)

    @property
    def squares(self) -> float:
        """Squares that the null model's fixed effects leave of the response."""
        return float(self._response.shared[-1].sum())

    @property
    def null_loglik(self) -> float:
        """Maximum of the log-likelihood (ML) without a variant."""
        return float(self._loglik(self.null_ml.minimum)[0])

    def _loglik(self, minimum: Array) -> Array:
        nu = self.n_ml
        return np.asarray(-0.5 * (minimum + nu * (1.0 + log(2.0 * pi / nu))))

    # -- with variants ---------------------------------------------------------------------------------

    def products(self, rotated: Array) -> Array:
        """Products of rotated variants with the model's columns; what `refit` and `score` take."""
        return self._rotation.products(rotated, self._response)

    def refit(self, products: Array) -> VariantFits:
        """Each variant's own variance ratio and effect.

        Zhou & Stephens (2012), Nature Genetics 44:821, eqs. (3)-(6).
        """
        reml, ml = self._optima(products)
        xpx, xpy, ypy = self._pieces(products, reml.ratio)
        beta = xpy / xpx
        nu = self._rotation.n - self._rotation.n_fixed - 1
        sigma2 = (ypy - xpy * beta) / nu
        standard_error = np.sqrt(np.maximum(sigma2, 0.0) / xpx)
        return VariantFits(reml, ml, beta, standard_error, sigma2, self._loglik(ml.minimum))

    def score(self, products: Array, ratio: float) -> tuple[Array, Array, float]:
        """Give x'Py and x'Px of each variant, and y'Py, at one ratio; P belongs to the null model."""
        xpx, xpy, ypy = self._pieces(products, np.full(products.shape[0], ratio))
        return xpy, xpx, float(ypy[0]) if ypy.size else np.nan

    def _pieces(self, products: Array, ratio: Array) -> tuple[Array, Array, Array]:
        from henderson.engine.ratio.kernel import pieces

        out = np.empty((ratio.size, 3))
        pieces(ratio, self._rotation.values, self._response.shared, products, out)
        return out[:, 0], out[:, 1], out[:, 2]

    def _optima(self, products: Array) -> tuple[RatioOptima, RatioOptima]:
        """Optimal ratios by REML and by maximum likelihood."""
        reml, ml = self._at_nodes(products)
        return self._search(products, reml, reml=True), self._search(products, ml, reml=False)

    def _search(self, products: Array, at_nodes: Array, *, reml: bool) -> RatioOptima:
        from henderson.engine.ratio.kernel import search

        b, width, _ = products.shape
        log_ratio, minimum, where = np.empty(b), np.empty(b), np.empty(b, dtype=np.int8)
        search(
            at_nodes,
            self._grid.nodes,
            self._rotation.values,
            self._rotation.counts,
            self._response.shared,
            products,
            self._grid.extra[:, :0] if reml else self._grid.extra,
            float(self._nu(reml, width > 0)),
            reml,
            self._grid.within.zero,
            log_ratio,
            minimum,
            where,
        )
        with np.errstate(invalid="ignore"):
            flat = np.ptp(at_nodes, axis=1) < FLAT
        return RatioOptima(np.exp(log_ratio), minimum, where, flat)

    def _nu(self, reml: bool, has_x: bool) -> int:
        return self._rotation.n - (self._rotation.n_fixed + has_x if reml else self.idle)

    def _at_nodes(self, products: Array) -> tuple[Array, Array]:
        """-2 log likelihood less constants (REML, ML) of each variant at each node, each (b, n_nodes)."""
        b, width, K = products.shape
        p = self._response.columns.shape[0] - 1
        own = (products.reshape(b * width, K) @ self._grid.s).reshape(b, width, self._grid.nodes.size)
        without = [*range(p), "y"]
        names = [*range(p), "x", "y"] if width else without
        pairs = iter(self._shared)
        M = {(row, column): next(pairs) for i, row in enumerate(without) for column in without[: i + 1]}
        for j, column in enumerate(names[:width]):
            M["x", column] = M[column, "x"] = own[:, j]
        logdet_x: Array | float = 0.0
        for j, pivot in enumerate(names[:-1]):
            logdet_x = logdet_x + np.log(M[pivot, pivot])
            for i in range(j + 1, len(names)):
                for k in range(j + 1, i + 1):
                    row, column = names[i], names[k]
                    update = M[row, pivot] * M[column, pivot] / M[pivot, pivot]
                    M[row, column] = M[row, column] - update
        with np.errstate(invalid="ignore", divide="ignore"):
            log_r = np.log(np.maximum(M["y", "y"], 0.0))
        log_r[log_r == -np.inf] = np.inf  # the fixed effects fit y to the last digit: nothing to look for
        reml = self._grid.logdet[True] + logdet_x + self._nu(True, width > 0) * log_r
        ml = self._grid.logdet[False] + self._nu(False, width > 0) * log_r
        shape = (b, self._grid.nodes.size)
        return np.broadcast_to(reml, shape).copy(), np.broadcast_to(ml, shape).copy()


def _chebyshev(rotation: Rotation, within: Range) -> Array:
    """Series of `extra_logdet` and its two derivatives in log lambda, shape (3, terms)."""
    from numpy.polynomial import chebyshev

    half = 0.5 * (within.high - within.low)
    x = np.cos(np.pi * (np.arange(CHEBYSHEV) + 0.5) / CHEBYSHEV)
    values = rotation.extra_logdet(within.low + half * (x + 1.0))
    if not np.abs(values).max() > 1e-12:
        return np.zeros((3, 1))
    k = np.arange(CHEBYSHEV)
    c = 2.0 / CHEBYSHEV * np.cos(np.multiply.outer(k, np.arccos(x))) @ values
    c[0] *= 0.5
    out = np.zeros((3, CHEBYSHEV))
    out[0] = c
    out[1, :-1] = chebyshev.chebder(c) / half
    out[2, :-2] = chebyshev.chebder(c, 2) / half**2
    used = np.flatnonzero(np.abs(c) > 1e-14 * np.abs(c).max())[-1] + 1
    return np.ascontiguousarray(out[:, :used])


def load_kernels() -> None:
    """Load the compiled search, which takes a second: best called while BLAS is at work on something else."""
    from henderson.engine.ratio.kernel import pieces, search

    one, none = np.ones(1), np.zeros((3, 0))
    products, out = np.ones((0, 2, 1)), np.empty((0, 3))
    places = np.empty(0, dtype=np.int8)
    nodes = np.array([0.0, 1.0])
    empty = np.empty(0)
    search(
        np.empty((0, 2)),
        nodes,
        one,
        one,
        np.ones((1, 1)),
        products,
        none,
        1.0,
        True,
        True,
        empty,
        empty,
        places,
    )
    pieces(empty, one, np.ones((1, 1)), products, out)
