"""Which models the `spectral` engine takes, and the products with G that it needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import DenseRelationship, FactorRelationship, Homogeneous, Identity
from henderson.model import MixedModel, RandomTerm

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def obstacle(model: MixedModel) -> str | None:
    """Why a model is not one dense G with one record per level; None for one that is."""
    if len(model.terms) != 1:
        labels = " and ".join(repr(term.label) for term in model.terms)
        return (
            f"random terms by {labels} together are more than the spectral engine takes, which is one term "
            "with a relationship matrix"
        )
    term = model.terms[0]
    if isinstance(term.relationship, Identity):
        return (
            f"the levels of '{term.label}' are unrelated; the spectral engine takes a relationship matrix, "
            "and the blocked engine unrelated levels"
        )
    if not isinstance(term.relationship, DenseRelationship | FactorRelationship):
        return (
            f"the relationship of '{term.label}' is of the kind {type(term.relationship).__name__}; the "
            "spectral engine takes a dense matrix or its factor"
        )
    if term.q != 1 or term.codes.ndim != 1:
        return (
            f"the term by '{term.label}' has {term.q} effects for each level; the spectral engine takes one"
        )
    records = np.bincount(term.codes, minlength=term.n_levels)
    several = int((records > 1).sum())
    if several:
        return (
            f"{several} levels of '{term.label}' have more than one row; the spectral engine takes one row "
            "for each level"
        )
    if model.weights is not None:
        return "the spectral engine takes no prior weights"
    if not isinstance(model.residual, Homogeneous):
        return f"the spectral engine takes no residual='{model.residual.label}'"
    return None


def kernel(term: RandomTerm) -> Array:
    """K = Z G Z' of the records, (n, n), C-contiguous and free to be overwritten."""
    codes, z = term.codes, term.z[:, 0]
    # a copy, so that the user's matrix stays as it is
    K = np.ascontiguousarray(term.relationship.block(codes, codes), dtype=np.float64)
    K *= z
    K *= z[:, None]
    return K


def to_records(term: RandomTerm, levels: Index) -> tuple[Array, Array]:
    """G[levels, :] Z', shape (k, n), and the diagonal of G there, shape (k,)."""
    G = term.relationship
    return G.block(levels, term.codes) * term.z[:, 0], G.diagonal(term.n_levels)[levels]
