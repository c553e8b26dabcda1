"""How much memory a model takes, told before it is taken."""

from __future__ import annotations

from henderson.covariance import DenseRelationship, FactorRelationship, Homogeneous, Precision
from henderson.engine.dense.reduction import Cells, TermDesign, coordinates_needed, find_cells, term_designs
from henderson.errors import DataError
from henderson.linalg.memory import installed_memory
from henderson.model import MixedModel

#: N x N matrices at the peak besides the relationships: L, P, and four while P V_i P is made.
WORKING = 6


def memory_needed(model: MixedModel) -> float:
    """Bytes that the dense engine takes at its peak, besides the model itself.

    Parameters
    ----------
    model : MixedModel

    Examples
    --------
    >>> import numpy as np
    >>> from henderson.covariance import Unstructured
    >>> from henderson.model import RandomTerm
    >>> term = RandomTerm("g", np.arange(1000), 1000, np.ones((1000, 1)), Unstructured(1))
    >>> memory_needed(MixedModel(np.zeros(1000), np.ones((1000, 1)), (term,))) / 1e6
    48.0
    """
    cells = find_cells(model)
    return _needed(model, cells, term_designs(model, cells))


def check_memory(model: MixedModel, cells: Cells, designs: tuple[TermDesign, ...]) -> None:
    """Refuse a model that takes more memory than the machine has.

    Raises
    ------
    DataError
        With how much it takes, and which structure would take less.
    """
    needed, there = _needed(model, cells, designs), installed_memory()
    if needed > there:
        N = coordinates_needed(cells, designs, reducible=isinstance(model.residual, Homogeneous))
        raise DataError(
            f"this model takes matrices of {N:,} x {N:,} numbers, about {needed / 1e9:.3g} GB of memory, and "
            f"the machine has {there / 1e9:.3g} GB: {_instead(model)}"
        )


def _needed(model: MixedModel, cells: Cells, designs: tuple[TermDesign, ...]) -> float:
    N = coordinates_needed(cells, designs, reducible=isinstance(model.residual, Homogeneous))
    matrices, other = 0, 0.0
    known: set[int] = set()
    for design in designs:
        term, G = design.term, design.term.relationship
        if cells.size > N:
            matrices += term.q * (term.q + 1) // 2
            other += 4.0 * cells.size * term.q * design.width
        elif isinstance(G, DenseRelationship | FactorRelationship | Precision) and id(G) not in known:
            known.add(id(G))  # terms on one relationship share its matrix
            matrices += 1 if term.codes.ndim == 1 else term.q**2
        if isinstance(G, Precision):
            other += 2.0 * term.n_levels * min(N, design.used.size)
    return 8.0 * ((WORKING + matrices) * float(N) ** 2 + other)


def _instead(model: MixedModel) -> str:
    """What would take less, by the structure that is in the way."""
    dense = [t for t in model.terms if isinstance(t.relationship, DenseRelationship | FactorRelationship)]
    if not isinstance(model.residual, Homogeneous):
        return (
            f"residual='{model.residual.label}' keeps every record; without it, repeated records of a level "
            "are worked on together"
        )
    if not dense:
        return "the sparse engine takes relationships by their sparse inverse, without such matrices"
    labels = " and ".join(f"'{t.label}'" for t in dense)
    return (
        f"give {labels} a pedigree instead of a matrix, whose sparse inverse the sparse engine takes, or "
        "leave one matrix alone with one record per level, which the spectral engine takes; or analyse fewer "
        "levels"
    )
