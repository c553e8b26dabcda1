"""Relationship G of the levels of a grouping factor, and residual structure R(theta)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Identity:
    """Unrelated levels: families, schools, batches."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseRelationship:
    """A dense (l, l) relationship matrix of the levels, such as a GRM."""

    matrix: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Homogeneous:
    """Independent residuals of one variance: R = I."""


@dataclass(frozen=True, slots=True, eq=False)
class Stratified:
    """Independent residuals whose variance depends on the stratum: R diagonal."""

    codes: NDArray[np.int64]
    n_strata: int


@dataclass(frozen=True, slots=True, eq=False)
class ByUnit:
    """Residuals correlated within a unit (a person's traits or times): R block-diagonal."""

    unit: NDArray[np.int64]
    position: NDArray[np.int64]
    n_units: int
    n_positions: int


Relationship = Identity | DenseRelationship
Residual = Homogeneous | Stratified | ByUnit
