"""Model, engine and optimiser to the numbers of a fit."""

from henderson.fit.fitted_model import FittedModel
from henderson.fit.heritability import Heritability
from henderson.fit.optimize import Control

__all__ = ["Control", "FittedModel", "Heritability"]
