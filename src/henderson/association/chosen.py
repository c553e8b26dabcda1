"""Positions of people or variants, out of what a caller chose them by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.errors import DataError


def chosen_positions(name: str, given: ArrayLike, size: int) -> NDArray[np.intp]:
    """Positions out of positions or truth values.

    Parameters
    ----------
    name : str
        What is chosen, for the message: ``"samples"`` or ``"variants"``.
    given : array_like of int or bool
        Positions, or one truth value for each.
    size : int
        How many there are.

    Raises
    ------
    DataError
        If these are neither, or there are not as many.

    Examples
    --------
    >>> chosen_positions("samples", [True, False, True], 3)
    array([0, 2])
    """
    chosen: NDArray[Any] = np.asarray(given)
    if chosen.dtype == bool:
        if chosen.shape != (size,):
            raise DataError(f"{name} has shape {chosen.shape}, but the genotypes have {size} {name}.")
        return np.flatnonzero(chosen)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
        raise DataError(
            f"{name} takes truth values or whole numbers, not {chosen.dtype} of shape {chosen.shape}."
        )
    if chosen.size and not (chosen.min() >= 0 and chosen.max() < size):
        raise DataError(
            f"{name} reaches from {chosen.min()} to {chosen.max()}, but there are only 0 to {size - 1}."
        )
    return chosen.astype(np.intp)
