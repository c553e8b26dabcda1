"""The one model that every engine solves, as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Covariance, Homogeneous, Identity, Relationship, Residual

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RandomTerm:
    """One random term Z_k u_k with u_k ~ N(0, sigma^2 G_k (x) S_k(theta)).

    Attributes
    ----------
    label : str
        Name of the grouping factor, for messages.
    codes : ndarray of int64, shape (n,) or (n, q)
        Level that each row's effects point to; (n, q) when the q effects point to different levels
        (direct and maternal effects, multi-membership).
    n_levels : int
        Number of levels l.
    z : ndarray of float64, shape (n, q)
        The numbers that multiply the effects.
    covariance : Covariance
        S_k(theta), the covariance of the q effects within one level.
    relationship : Relationship
        G_k, the relationship of the levels.
    """

    label: str
    codes: NDArray[np.int64]
    n_levels: int
    z: Array
    covariance: Covariance
    relationship: Relationship = field(default_factory=Identity)

    @property
    def q(self) -> int:
        """Number of effects within one level."""
        return int(self.z.shape[1])

    def codes_of(self, j: int) -> NDArray[np.int64]:
        """Level that effect j of each row points to, shape (n,)."""
        return self.codes if self.codes.ndim == 1 else self.codes[:, j]


class _HasTerms(Protocol):
    @property
    def terms(self) -> tuple[RandomTerm, ...]: ...

    @property
    def residual(self) -> Residual: ...


class ModelShape(_HasTerms, Protocol):
    """What is known of a model without its records: sizes, terms, and how theta is shared out among them."""

    @property
    def n(self) -> int:
        """Number of records."""
        ...

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        ...

    @property
    def n_theta(self) -> int:
        """Number of relative covariance parameters, all terms and the residual together."""
        ...

    @property
    def residual_slice(self) -> slice:
        """Which part of theta belongs to the residual."""
        ...

    def theta_slices(self) -> tuple[slice, ...]:
        """Which part of theta belongs to each term."""
        ...


class SharesTheta:
    """How theta is shared out: the terms in their order, then the residual."""

    __slots__ = ()

    @property
    def n_theta(self: _HasTerms) -> int:
        """Number of relative covariance parameters, all terms and the residual together."""
        return sum(term.covariance.n_theta for term in self.terms) + self.residual.n_theta

    @property
    def residual_slice(self: _HasTerms) -> slice:
        """Which part of theta belongs to the residual."""
        start = sum(term.covariance.n_theta for term in self.terms)
        return slice(start, start + self.residual.n_theta)

    def theta_slices(self: _HasTerms) -> tuple[slice, ...]:
        """Which part of theta belongs to each term."""
        ends = accumulate((term.covariance.n_theta for term in self.terms), initial=0)
        return tuple(slice(a, b) for a, b in pairwise(ends))


@dataclass(frozen=True, slots=True, eq=False)
class MixedModel(SharesTheta):
    """y = X b + sum_k Z_k u_k + e, with e ~ N(0, sigma^2 W^-1/2 R W^-1/2).

    Henderson (1975), Biometrics 31:423-447; Bates et al. (2015), eqs. (1)-(4).

    Attributes
    ----------
    y : ndarray, shape (n,)
        Response, any known offset subtracted.
    X : ndarray, shape (n, p)
        Fixed-effects design of full column rank.
    terms : tuple of RandomTerm
        Random terms.
    weights : ndarray, shape (n,), or None
        Prior (precision) weights W, positive.
    residual : Residual
        R(theta).
    """

    y: Array
    X: Array
    terms: tuple[RandomTerm, ...]
    weights: Array | None = None
    residual: Residual = field(default_factory=Homogeneous)

    @property
    def n(self) -> int:
        """Number of records."""
        return int(self.y.shape[0])

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return int(self.X.shape[1])

    def mean(self, beta: Array, effects: Sequence[Array]) -> Array:
        """X beta + sum_k Z_k u_k for effects (l, q), one array per term; shape (n,)."""
        out = self.X @ beta
        for term, u in zip(self.terms, effects, strict=True):
            for j, z in enumerate(term.z.T):
                out = out + z * u[term.codes_of(j), j]
        return np.asarray(out)
