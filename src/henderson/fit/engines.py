"""Which engine solves a model: read off its structure."""

from __future__ import annotations

from henderson.engine import Engine
from henderson.model import MixedModel


def choose_engine(model: MixedModel) -> Engine:
    """The engine for the structure of a model.

    Unrelated levels go to ``blocked``, one dense relationship with one record per level to ``spectral``,
    models without a dense relationship to ``sparse``, and what is left to ``dense``: several relationships of
    which one is dense, repeated records of a dense one, residual structures beside a relationship.

    Raises
    ------
    ModelNotSupportedError
        If no engine takes it; the sentence names the part that is in the way.
    DataError
        If the engine that takes it needs more memory than there is.
    """
    from henderson.engine import blocked

    if not blocked.obstacle(model):
        return blocked.BlockedEngine(model)

    from henderson.engine import spectral

    if not spectral.obstacle(model):
        return spectral.SpectralEngine(model)

    from henderson.engine import sparse

    if not sparse.obstacle(model):
        return sparse.SparseEngine(model)

    from henderson.engine import dense

    return dense.DenseEngine(model)
