"""Exact blocked Cholesky for grouping factors."""

from henderson.engine.blocked.engine import BlockedEngine

__all__ = ["BlockedEngine"]
