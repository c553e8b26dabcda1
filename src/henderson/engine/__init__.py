"""Engines: each solves the mixed model for one kind of structure, with the same answers."""

from henderson.engine.protocol import (
    Criterion,
    Engine,
    Information,
    InformationKind,
    Solution,
    TermSolution,
)

__all__ = ["Criterion", "Engine", "Information", "InformationKind", "Solution", "TermSolution"]
