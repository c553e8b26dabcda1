"""Which engine solves a model: read off its structure."""

from __future__ import annotations

from henderson.covariance import DenseRelationship, FactorRelationship, Homogeneous, Identity
from henderson.engine import Engine
from henderson.model import MixedModel


def choose_engine(model: MixedModel) -> Engine:
    """The engine for the structure of a model.

    Raises
    ------
    ModelNotSupportedError
        If no engine takes it; the sentence names the part that is in the way.
    DataError
        If the engine that takes it needs more memory than there is.
    """
    kinds = [type(term.relationship) for term in model.terms]
    if all(kind is Identity for kind in kinds):
        from henderson.engine.blocked import BlockedEngine, obstacle

        if obstacle(model) is None:
            return BlockedEngine(model)
    if len(kinds) == 1 and kinds[0] in (DenseRelationship, FactorRelationship):
        from henderson.engine.spectral import SpectralEngine, obstacle

        if obstacle(model) is None:
            return SpectralEngine(model)
    if not {DenseRelationship, FactorRelationship} & set(kinds) and isinstance(model.residual, Homogeneous):
        from henderson.engine.sparse import SparseEngine

        return SparseEngine(model)
    from henderson.engine.dense import DenseEngine

    return DenseEngine(model)
