"""Model, engine and optimiser to a result."""

from henderson.fit.lmer import lmer
from henderson.fit.optimize import Control
from henderson.fit.result import LmerResult

__all__ = ["Control", "LmerResult", "lmer"]
