"""Which models the `spectral` engine takes, and the products with G that it needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import DenseRelationship, FactorRelationship, Homogeneous, Identity
from henderson.errors import ModelNotSupportedError
from henderson.model import MixedModel, RandomTerm

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def refuse(model: MixedModel) -> None:
    """Say in one sentence why a model has another structure than one dense G with one record per level.

    Raises
    ------
    ModelNotSupportedError
        For the first part of the model that does not fit.
    """
    if len(model.terms) != 1:
        labels = " and ".join(repr(term.label) for term in model.terms)
        raise ModelNotSupportedError(
            f"random terms by {labels} together are more than the spectral engine takes, which is one term "
            "with a relationship matrix: other random terms beside it are not supported yet"
        )
    term = model.terms[0]
    if isinstance(term.relationship, Identity):
        raise ModelNotSupportedError(
            f"the levels of '{term.label}' are unrelated; the spectral engine takes a relationship matrix, "
            "and the blocked engine unrelated levels"
        )
    if not isinstance(term.relationship, DenseRelationship | FactorRelationship):
        raise ModelNotSupportedError(
            f"the relationship of '{term.label}' is of the kind {type(term.relationship).__name__}, which is "
            "not supported yet; the spectral engine takes a dense matrix or its factor"
        )
    if term.q != 1 or term.codes.ndim != 1:
        raise ModelNotSupportedError(
            f"the term by '{term.label}' has {term.q} effects for each level; random slopes with a "
            f"relationship matrix are not supported yet: write (1 | {term.label})"
        )
    records = np.bincount(term.codes, minlength=term.n_levels)
    several = int((records > 1).sum())
    if several:
        raise ModelNotSupportedError(
            f"{several} levels of '{term.label}' have more than one row, and with a relationship matrix "
            "repeated records are not supported yet: keep one row, or the mean, of each level"
        )
    if model.weights is not None:
        raise ModelNotSupportedError(
            f"prior weights beside the relationship matrix of '{term.label}' are not supported yet: "
            "leave the weights out"
        )
    if not isinstance(model.residual, Homogeneous):
        raise ModelNotSupportedError(
            f"residual='{model.residual.label}' beside the relationship matrix of '{term.label}' is not "
            "supported yet: leave one of the two out"
        )


def kernel(term: RandomTerm) -> Array:
    """K = Z G Z' of the records, (n, n), C-contiguous and free to be overwritten."""
    codes, z = term.codes, term.z[:, 0]
    if isinstance(term.relationship, FactorRelationship):
        rows = term.relationship.factor[codes] * z[:, None]
        return np.ascontiguousarray(rows @ rows.T)
    assert isinstance(term.relationship, DenseRelationship)
    # fancy indexing copies, so that the user's matrix stays as it is
    K = term.relationship.matrix[np.ix_(codes, codes)].astype(np.float64, order="C", copy=False)
    K *= z
    K *= z[:, None]
    return K


def times(term: RandomTerm, M: Array) -> Array:
    """G M for M (l, m)."""
    if isinstance(term.relationship, FactorRelationship):
        L = term.relationship.factor
        return np.asarray(L @ (L.T @ M))
    assert isinstance(term.relationship, DenseRelationship)
    return np.asarray(term.relationship.matrix @ M)


def mean_diagonal(term: RandomTerm) -> float:
    """Mean relationship of the levels to themselves."""
    if isinstance(term.relationship, FactorRelationship):
        return float((term.relationship.factor**2).sum()) / term.n_levels
    assert isinstance(term.relationship, DenseRelationship)
    return float(np.trace(term.relationship.matrix)) / term.n_levels


def to_records(term: RandomTerm, levels: Index) -> tuple[Array, Array]:
    """G[levels, :] Z', shape (k, n), and the diagonal of G there, shape (k,)."""
    codes, z = term.codes, term.z[:, 0]
    if isinstance(term.relationship, FactorRelationship):
        own = term.relationship.factor[levels]
        return own @ (term.relationship.factor[codes] * z[:, None]).T, np.einsum("ij,ij->i", own, own)
    assert isinstance(term.relationship, DenseRelationship)
    G = term.relationship.matrix
    return G[np.ix_(levels, codes)] * z, G[levels, levels]
