"""Engines: each solves the mixed model for one kind of structure, with the same answers."""

from henderson.engine.protocol import (
    Criterion,
    EffectCovariance,
    Engine,
    Information,
    InformationKind,
    KenwardRogerPieces,
    Solution,
    TermSolution,
)

__all__ = [
    "Criterion",
    "EffectCovariance",
    "Engine",
    "Information",
    "InformationKind",
    "KenwardRogerPieces",
    "Solution",
    "TermSolution",
]
