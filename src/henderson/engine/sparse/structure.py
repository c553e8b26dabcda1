"""Which models the `sparse` engine takes."""

from __future__ import annotations

from henderson.covariance import Homogeneous, Identity, Precision, SparseFactorRelationship
from henderson.model import MixedModel


def obstacle(model: MixedModel) -> str | None:
    """Why this engine does not take the structure of a model; None for one that it takes."""
    for term in model.terms:
        if not isinstance(term.relationship, Identity | Precision | SparseFactorRelationship):
            return (
                f"the relationship of '{term.label}' is of the kind {type(term.relationship).__name__}; the "
                "sparse engine takes unrelated levels, sparse precisions and sparse factors, and the dense "
                "engine the others"
            )
    if not isinstance(model.residual, Homogeneous):
        return f"the sparse engine takes no residual='{model.residual.label}'; the dense engine does"
    return None


def explanation(model: MixedModel, fill: int) -> str:
    """The engine, and the part of the model's structure that it was chosen by."""
    related = []
    for term in model.terms:
        if isinstance(term.relationship, Precision):
            related.append(f"'{term.label}' has a sparse precision")
        elif isinstance(term.relationship, SparseFactorRelationship):
            related.append(f"'{term.label}' has a sparse relationship")
    why = ", ".join(related) or "no relationship is dense"
    return (
        f"sparse: {why}, so that Henderson's mixed-model equations are factored by sparse Cholesky "
        f"({fill:,} nonzeros in the factor)"
    )
