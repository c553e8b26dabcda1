"""Exact blocked Cholesky for grouping factors."""

from henderson.engine.blocked.engine import BlockedEngine, obstacle

__all__ = ["BlockedEngine", "obstacle"]
