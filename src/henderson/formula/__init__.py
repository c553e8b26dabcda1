"""Text and table to the arrays of a model: lme4's formulas, R's coding of factors."""

from henderson.formula.bars import has_random_terms, names_in, parse_formula
from henderson.formula.build import build_design
from henderson.formula.design import Design, RandomDesign, ResidualDesign, Structure
from henderson.formula.spec import ModelSpec, RandomSpec

__all__ = [
    "Design",
    "ModelSpec",
    "RandomDesign",
    "RandomSpec",
    "ResidualDesign",
    "Structure",
    "build_design",
    "has_random_terms",
    "names_in",
    "parse_formula",
]
