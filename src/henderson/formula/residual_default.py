"""Which residuals traits of related individuals have when nobody says: read off who was measured for what."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from henderson.formula.bars import Bar
from henderson.formula.design import Structure
from henderson.formula.grouping_factors import Group, grouping_factors
from henderson.formula.groups import IntArray
from henderson.formula.modelframe import ModelFrame
from henderson.formula.residual import INDEPENDENT, Residual
from henderson.io.columns import FactorColumn


def default_residual(
    bars: Sequence[Bar], frame: ModelFrame, related: Collection[str]
) -> tuple[Residual | None, tuple[str, ...]]:
    """The residual structure of a model with several traits of related individuals, and what to say of it.

    Where a term such as ``(0 + trait | iid)`` has a relationship, residuals of one variance would put what
    the environment does to two traits of one individual, and the units of the traits, into the genetic
    covariance. So

    * records of one individual at different traits have correlated residuals, ``us(trait | iid)``;
    * where nobody has two traits, or where somebody has several records of one, each trait has a residual
      variance of its own, ``diag(trait)``; so too with ``fa()``, whose factors are environments: records of
      one genotype in two of them come from different plots.

    Parameters
    ----------
    bars : sequence of Bar
    frame : ModelFrame
    related : collection of str
        Grouping factors whose levels have a relationship.

    Returns
    -------
    Residual or None
        None for independent residuals of one variance, which all other models have.
    notices : tuple of str
    """
    for bar in bars:
        trait = _trait(bar, frame) if bar.group.label in related and not bar.group.pooled else None
        if trait is not None:
            return _chosen(bar, trait, frame)
    return None, ()


def _trait(bar: Bar, frame: ModelFrame) -> Group | None:
    """The factor whose levels are the effects of a term, if they are."""
    effects = bar.effects
    if effects.intercept or len(effects.terms) != 1 or len(effects.variables) != 1:
        return None
    node = effects.variables[0]
    return grouping_factors(node, bar.text)[0] if isinstance(frame.column(node), FactorColumn) else None


def _chosen(bar: Bar, trait: Group, frame: ModelFrame) -> tuple[Residual, tuple[str, ...]]:
    traits, at = frame.grouping(trait)
    units, unit = frame.grouping(bar.group)
    cells = np.unique(unit * len(traits.levels) + at)
    name, group = trait.label, bar.group.label
    unstructured = Residual(f"us({name} | {group})", Structure("us"), trait, bar.group)
    by_trait = Residual(f"diag({name})", Structure("diag"), trait, None)
    plain = f"residual='{INDEPENDENT}' gives all of them one"
    if cells.size < at.size:
        return by_trait, (
            f"residual='{by_trait.text}', as some {group} have several records at one {name}: residuals are "
            f"independent, with a variance for each {name}; if records were taken together, number the "
            f"occasions in a column and give residual='us({name} | occasion)', and {plain}",
        )
    if cells.size == len(units.levels):
        return by_trait, (
            f"residual='{by_trait.text}', as no {group} has records at two levels of {name}: residuals have "
            f"a variance for each {name}; {plain}",
        )
    if bar.structure.kind == "fa":
        return by_trait, (
            f"residual='{by_trait.text}', as with fa() records of one {group} count as taken apart: "
            f"residuals are independent, with a variance for each {name}; for records of one individual give "
            f"residual='{unstructured.text}', and {plain}",
        )
    return unstructured, (
        f"residual='{unstructured.text}', as {group} have records at several levels of {name}: their "
        f"residuals vary together{_never_together(cells, traits.levels)}; residual='{by_trait.text}' makes "
        f"them independent, and {plain}",
    )


def _never_together(cells: IntArray, traits: Sequence[str]) -> str:
    """The traits that no unit has both of, whose residual correlation the data say nothing about."""
    unit, at = np.divmod(cells, len(traits))
    present = np.zeros((int(unit.max()) + 1, len(traits)))
    present[unit, at] = 1.0
    apart = np.argwhere(np.triu(present.T @ present == 0.0, 1))
    if not apart.size:
        return ""
    pairs = ", ".join(f"{traits[i]} and {traits[j]}" for i, j in apart[:3].tolist())
    return (
        f" (but never {pairs}{', ...' if len(apart) > 3 else ''}, about whose residual correlation these "
        "data say nothing)"
    )
