"""`lmer` and `LmerResult`: what a person holds."""

from henderson.lmm.lmer import lmer
from henderson.lmm.result import LmerResult

__all__ = ["LmerResult", "lmer"]
