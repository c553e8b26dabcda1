"""Model, engine and optimiser to a result."""

from henderson.fit.heritability import Heritability
from henderson.fit.lmer import fit_formula, lmer
from henderson.fit.optimize import Control
from henderson.fit.result import LmerResult

__all__ = ["Control", "Heritability", "LmerResult", "fit_formula", "lmer"]
