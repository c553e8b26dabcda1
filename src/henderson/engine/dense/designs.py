"""Everything about a model that does not depend on y or X."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.psd import negative_part
from henderson.engine.basis import column_scale
from henderson.engine.dense.effects import Effects
from henderson.engine.dense.kernels import coded_kernels, turned_kernels
from henderson.engine.dense.memory import check_memory
from henderson.engine.dense.reduction import Reduction, find_cells, reduce, term_designs
from henderson.engine.dense.residual import residual_kernel
from henderson.engine.dense.system import System
from henderson.model import MixedModel, RandomTerm

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Designs:
    """What serves any response and any fixed effects.

    Attributes
    ----------
    reduction : Reduction
        From the records to the coordinates.
    system : System
        V over the coordinates.
    effects : Effects
        The random effects, seen from there.
    root_weights : ndarray, shape (n,), or None
    scales : tuple of ndarray, (q, q) per term
        Lower-triangular P with Z = Z~ P, so that Z~ and the relationship have a unit mean square.
    """

    reduction: Reduction
    system: System
    effects: Effects
    root_weights: Array | None
    scales: tuple[Array, ...]

    @property
    def log_weights(self) -> float:
        """Sum of the logarithms of the prior weights."""
        return 0.0 if self.root_weights is None else 2.0 * float(np.log(self.root_weights).sum())

    @cached_property
    def culprit(self) -> str | None:
        """Label of a term whose relationship has an eigenvalue that is negative by more than rounding."""
        terms = self.effects.model.terms
        for k, term in enumerate(terms):
            alone = tuple(np.eye(term.q) if i == k else None for i in range(len(terms)))
            if negative_part(self.system.matrix(alone)) is not None:
                return term.label
        return None


def make_designs(model: MixedModel) -> Designs:
    """Reduce the records and set V up.

    Raises
    ------
    DataError
        If that takes more memory than the machine has.
    """
    cells = find_cells(model)
    over_cells = term_designs(model, cells)
    check_memory(model, cells, over_cells)
    reduction, turned = reduce(model, cells, over_cells)
    kernels = coded_kernels(over_cells) if turned is None else turned_kernels(over_cells, turned)
    return Designs(
        reduction,
        System(kernels, residual_kernel(model.residual), reduction.size),
        Effects(model, reduction, over_cells),
        None if model.weights is None else np.sqrt(model.weights),
        tuple(_scale(term) for term in model.terms),
    )


def _scale(term: RandomTerm) -> Array:
    """Lower-triangular P with Z = Z~ P, (q, q); diagonal where the effects point to different levels."""
    G = term.relationship.diagonal(term.n_levels)
    rooted = term.z * np.sqrt(np.maximum(G, 0.0))[term.codes.reshape(len(term.z), -1)]
    if term.codes.ndim == 1:
        return column_scale(rooted)
    return np.diag([column_scale(own[:, None])[0, 0] for own in rooted.T])
