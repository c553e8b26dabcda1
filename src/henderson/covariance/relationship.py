"""Relationship G of the levels of a grouping factor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array


@dataclass(frozen=True, slots=True)
class Identity:
    """Unrelated levels, G = I: families, schools, batches."""


@dataclass(frozen=True, slots=True, eq=False)
class Precision:
    """A sparse inverse of G, (l, l), with log|G|: a pedigree's A^-1 or the single-step H^-1."""

    inverse: csc_array
    logdet: float


@dataclass(frozen=True, slots=True, eq=False)
class DenseRelationship:
    """A dense symmetric G (l, l), positive semi-definite: a genomic relationship matrix."""

    matrix: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FactorRelationship:
    """G = L L' with L (l, r), dense or low rank; G may be singular (twins, centred GRMs)."""

    factor: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class OperatorRelationship:
    """A G too large to form: ``apply`` takes (l, m) to G times it."""

    apply: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    n_levels: int


Relationship = Identity | Precision | DenseRelationship | FactorRelationship | OperatorRelationship
