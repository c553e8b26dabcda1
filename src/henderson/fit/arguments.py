"""Checks of arguments that several questions share."""

from __future__ import annotations

from typing import Any

import numpy as np

from henderson.errors import DataError


def check_level(level: Any) -> None:
    """Refuse a coverage that is none.

    Raises
    ------
    DataError
        Unless it is a number between 0 and 1.
    """
    is_number = isinstance(level, int | float | np.number) and not isinstance(level, bool)
    if not (is_number and 0.0 < level < 1.0):
        raise DataError(
            f"level is the coverage of an interval, between 0 and 1, such as 0.95; it is {level!r}"
        )
