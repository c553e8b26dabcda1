"""The `sparse` engine: pedigrees and block-diagonal relationships, beside grouping factors."""

from henderson.engine.sparse.engine import SparseEngine
from henderson.engine.sparse.structure import obstacle

__all__ = ["SparseEngine", "obstacle"]
