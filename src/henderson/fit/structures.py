"""Covariance tags of a formula to the structures that the engines know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import (
    Autoregressive,
    ByUnit,
    CompoundSymmetric,
    Covariance,
    Diagonal,
    FactorAnalytic,
    Homogeneous,
    Residual,
    Unstructured,
)
from henderson.formula import ResidualDesign, Structure

Array = NDArray[np.float64]
#: A specific standard deviation counts as zero below this part of the effect's own.
HEYWOOD = 1e-4


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
        case "fa":
            return FactorAnalytic(q, structure.k)


def heywood_notices(text: str, names: Sequence[str], covariance: Covariance, theta: Array) -> tuple[str, ...]:
    """What to say of effects that common factors take up whole: a specific variance of zero.

    Parameters
    ----------
    text : str
        The random term, as in the formula.
    names : sequence of str, length q
        Its effects.
    covariance : Covariance
        Nothing is said of any but `FactorAnalytic`.
    theta : ndarray
        Its parameters.

    Examples
    --------
    >>> theta = np.array([1.0, 1.0, 1.0, 0.5, 0.0, 0.5])
    >>> heywood_notices("fa(0 + e | g, k = 1)", "abc", FactorAnalytic(3, 1), theta)[0][:66]
    'fa(0 + e | g, k = 1): the specific variance of b is estimated as z'
    """
    if not isinstance(covariance, FactorAnalytic):
        return ()
    psi, T = covariance.specific(theta), covariance.factor(theta)
    sd = np.linalg.norm(T, axis=1)
    zero = [name for name, own, all_of_it in zip(names, psi, sd, strict=True) if own <= HEYWOOD * all_of_it]
    if not zero or len(zero) == len(names):
        return ()
    s, are = ("s", "are") if len(zero) > 1 else ("", "is")
    return (
        f"{text}: the specific variance{s} of {', '.join(zero)} {are} estimated as zero (a Heywood case): "
        "the common factors say all there is to say, which with few levels may be chance",
    )


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
