"""Residual structures: a variance for each stratum, or residuals that vary together within a unit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from henderson.errors import DataError
from henderson.formula.design import ResidualDesign, Structure
from henderson.formula.grouping_factors import Group, grouping_factors
from henderson.formula.groups import AnyGrouping, IntArray
from henderson.formula.modelframe import ModelFrame
from henderson.formula.positions import spacing_notices
from henderson.formula.syntax import Binary, Call, Node, Number, formula_error, parse
from henderson.formula.tags import KINDS, read_tag


@dataclass(frozen=True, slots=True)
class Residual:
    """A residual structure without data.

    Attributes
    ----------
    text : str
        As given.
    structure : Structure
    position : Group
        The factor whose levels are the rows of the covariance matrix.
    unit : Group or None
        Records of one unit share a covariance matrix; None for "diag", where they share nothing.
    """

    text: str
    structure: Structure
    position: Group
    unit: Group | None

    @property
    def variables(self) -> list[Node]:
        """The expressions that a record needs values of."""
        return [*self.position.atoms, *(self.unit.atoms if self.unit is not None else ())]


FORMS = "diag(group), us(trait | unit), cs(trait | unit) or ar1(time | unit)"
#: What asks for independent residuals of one variance where they are not the default.
INDEPENDENT = "identity"


@lru_cache(maxsize=64)
def parse_residual(text: str) -> Residual:
    """Parse a residual structure.

    Parameters
    ----------
    text : str
        ``"diag(group)"``, ``"us(trait | unit)"``, ``"cs(trait | unit)"`` or ``"ar1(time | unit)"``.

    Returns
    -------
    Residual

    Raises
    ------
    FormulaError
        With the spot underlined.

    Examples
    --------
    >>> parse_residual("ar1(time | person)").unit.label
    'person'
    """
    call = parse(text)
    if not isinstance(call, Call):
        raise formula_error(f"a residual structure is written {FORMS}", text, call.span)
    if call.function not in KINDS or call.function == "fa":
        message = f"{call.function}() is no residual structure; there are us(), diag(), cs() and ar1()"
        raise formula_error(message, text, call.span)
    structure, inner = read_tag(call, text)
    kind = structure.kind
    if structure.homogeneous and kind == "diag":
        message = "diag() with one variance for all is the plain model: leave the residual structure out"
        raise formula_error(message, text, call.span)
    match inner:
        case Binary("|", left, right):
            return Residual(text, structure, _factor(_without_zero(left), text), _factor(right, text))
        case _ if kind == "diag":
            return Residual(text, structure, _factor(_without_zero(inner), text), None)
        case _:
            message = f"{kind}() needs the unit within which records vary together: {kind}(time | person)"
            raise formula_error(message, text, inner.span)


def _without_zero(node: Node) -> Node:
    """The factor in ``0 + time``, which is how the left side of a random term says "no intercept"."""
    match node:
        case Binary("+", Number(0.0), factor):
            return factor
        case _:
            return node


def _factor(node: Node, text: str) -> Group:
    factors = grouping_factors(node, text)
    if len(factors) > 1:
        raise formula_error("one factor is needed here, or an interaction such as a:b", text, node.span)
    if factors[0].pooled:
        raise formula_error("residuals have one unit each: name one of these columns", text, node.span)
    return factors[0]


def residual_design(residual: Residual, frame: ModelFrame) -> tuple[ResidualDesign, tuple[str, ...]]:
    """Code the records by unit and position.

    Parameters
    ----------
    residual : Residual
    frame : ModelFrame

    Returns
    -------
    ResidualDesign
    notices : tuple of str
        About positions that are not equally spaced.

    Raises
    ------
    DataError
        For fewer than two positions, a position whose variance has one record only, or several records for
        one position and unit.
    """
    structure = residual.structure
    positions, position = frame.grouping(residual.position)
    if len(positions.levels) < 2:
        raise DataError(
            f"residual={residual.text!r}: {positions.group.label} has only the level "
            f"{positions.levels[0]!r} in the rows used, and two or more are needed: leave the structure out"
        )
    if not structure.homogeneous:
        _check_replicated(residual, positions, position)
    group, unit, n_units = None, None, len(position)
    if residual.unit is not None and structure.kind != "diag":
        units, unit = frame.grouping(residual.unit)
        group, n_units = units.group.label, len(units.levels)
        _check_distinct(residual, (units, unit), (positions, position))
    notices: tuple[str, ...] = ()
    if structure.kind == "ar1":
        notices = spacing_notices(residual.text, positions.group.label, positions.levels)
    design = ResidualDesign(
        structure, group, positions.group.label, unit, position, positions.levels, n_units
    )
    return design, notices


def _check_replicated(residual: Residual, positions: AnyGrouping, position: IntArray) -> None:
    single = np.flatnonzero(np.bincount(position) < 2)
    if single.size:
        shown = ", ".join(positions.levels[k] for k in single[:4].tolist())
        raise DataError(
            f"residual={residual.text!r}: {single.size} of {len(positions.levels)} levels of "
            f"{positions.group.label} ({shown}{', ...' if single.size > 4 else ''}) have one row only, which "
            "says nothing about a variance of their own: join levels, or leave these rows out"
        )


def _check_distinct(
    residual: Residual, units: tuple[AnyGrouping, IntArray], positions: tuple[AnyGrouping, IntArray]
) -> None:
    n_positions = len(positions[0].levels)
    cells, counts = np.unique(units[1] * n_positions + positions[1], return_counts=True)
    worst = int(np.argmax(counts))
    if counts[worst] == 1:
        return
    u, p = divmod(int(cells[worst]), n_positions)
    unit = f"{units[0].group.label} {units[0].levels[u]!r}"
    position = f"{positions[0].group.label} {positions[0].levels[p]!r}"
    raise DataError(
        f"residual={residual.text!r}: {unit} has {counts[worst]} rows at {position}, and one at most is "
        "allowed: average them, or make the unit or the position tell them apart"
    )
