"""Point predictions for rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import HendersonError
from henderson.fit.estimates import Estimates
from henderson.model import MixedModel
from henderson.prediction.choice import RandomChoice, chosen_effects
from henderson.prediction.records import NewLevels, NewRecords, UsedRecords
from henderson.prediction.rows import Rows, tell_incomplete

Array = NDArray[np.float64]


def predict_rows(estimates: Estimates, newdata: Any, random: RandomChoice, new_levels: NewLevels) -> Array:
    """Predict the rows of a table: X beta + offset, and the random effects that are asked for.

    Parameters
    ----------
    estimates : Estimates
    newdata : table or mapping
    random, new_levels
        As in `LmerResult.predict`.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    DataError
        If a column or term is missing, or a level is new and `new_levels` is "error".
    """
    chosen = chosen_effects(estimates, random)
    rows = Rows.of(NewRecords.of(estimates, newdata, new_levels), estimates, chosen)
    out = rows.mean(estimates)
    tell_incomplete(out)
    if new_levels == "missing":
        out[rows.absent] = np.nan
    return out


def predict_used(estimates: Estimates, model: MixedModel | None, random: RandomChoice) -> Array:
    """Predict the rows of the fit itself; `model` is needed for some of the random effects only.

    Raises
    ------
    HendersonError
        If the rows, or the model, are not at hand.
    """
    rows = estimates.by_row("fitted values")
    chosen = chosen_effects(estimates, random)
    if isinstance(random, str):
        return rows.pad(rows.fitted if random == "all" else rows.mean)
    if model is None:
        raise HendersonError(
            "predictions from some of the random effects need the data, which a file or pickle leaves out: "
            "give newdata"
        )
    return rows.pad(Rows.of(UsedRecords(estimates, model), estimates, chosen).mean(estimates))
