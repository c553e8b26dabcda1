"""A relationship matrix whose rows have names: what files hold and users hand over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.genotype.source import Samples


@dataclass(frozen=True, slots=True, eq=False)
class RelationshipMatrix:
    """A symmetric (n, n) relationship matrix of named people.

    Attributes
    ----------
    matrix : ndarray of float64, shape (n, n)
        Relationships.
    samples : Samples
        Who the rows and columns are.
    n_variants : ndarray of float64, shape (n, n), float or None
        Number of variants that each element rests on, one number where it is the same for all, or None where
        it is not known.
    """

    matrix: NDArray[np.float64]
    samples: Samples
    n_variants: NDArray[np.float64] | float | None = None
