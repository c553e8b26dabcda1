"""Dense relationship matrices: Cholesky factors, REML with them, and the engine that takes any model."""

from henderson.engine.dense.engine import DenseEngine
from henderson.engine.dense.factor import Factor, Response, factor
from henderson.engine.dense.memory import memory_needed
from henderson.engine.dense.reml import KernelFit, reml

__all__ = ["DenseEngine", "Factor", "KernelFit", "Response", "factor", "memory_needed", "reml"]
