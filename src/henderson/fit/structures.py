"""Covariance tags of a formula to the structures that the engines know."""

from __future__ import annotations

from henderson.covariance import (
    Autoregressive,
    ByUnit,
    CompoundSymmetric,
    Covariance,
    Diagonal,
    Homogeneous,
    Residual,
    Unstructured,
)
from henderson.formula import ResidualDesign, Structure


def covariance_of(structure: Structure, q: int) -> Covariance:
    """The family of S for q effects; with a single effect all tags mean the same.

    Examples
    --------
    >>> covariance_of(Structure("cs"), 3)
    CompoundSymmetric(q=3, homogeneous=False)
    >>> covariance_of(Structure("cs"), 1)
    Unstructured(q=1)
    """
    if q == 1:
        return Unstructured(q)
    match structure.kind:
        case "us":
            return Unstructured(q)
        case "diag":
            return Diagonal(q, structure.homogeneous)
        case "cs":
            return CompoundSymmetric(q, structure.homogeneous)
        case "ar1":
            return Autoregressive(q, structure.homogeneous)


def residual_of(design: ResidualDesign | None) -> Residual:
    """The residual structure of a design; independent residuals of one variance for None."""
    if design is None:
        return Homogeneous()
    covariance = covariance_of(design.structure, len(design.positions))
    if design.unit is None:
        return ByUnit.strata(design.text, tuple(design.positions), design.position, covariance)
    return ByUnit(
        design.text, tuple(design.positions), design.unit, design.position, design.n_units, covariance
    )
