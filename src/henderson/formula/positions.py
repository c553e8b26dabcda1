"""Factors whose levels are places in a covariance matrix: repeated traits, or steps in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from henderson.errors import DataError
from henderson.formula.bars import Bar
from henderson.formula.matrix import Matrix


def check_steps(bar: Bar, effects: Matrix) -> None:
    """Refuse an `ar1` term whose effects are not the indicators of one factor, which has an order.

    Raises
    ------
    DataError
        With the term as it should be written.
    """
    if bar.group.pooled:
        raise DataError(
            f"{bar.text}: ar1() runs along the levels of one factor, and {bar.group.label} are columns; "
            f"write (1 | {bar.group.label})"
        )
    names = bar.effects.names
    if len(names) == 1 and len(bar.effects.terms) == 1 and not bar.effects.intercept:
        if effects.variables[0].is_factor:
            return
        mended, problem = f"factor({names[0]})", f"{names[0]} holds numbers"
    else:
        is_factor = len(names) == 1 and effects.variables[0].is_factor
        mended = names[0] if is_factor else f"factor({names[0] if len(names) == 1 else 'time'})"
        problem = "ar1() runs along the levels of one factor, without an intercept"
    wanted = bar.structure.around(f"0 + {mended}", bar.group.label)
    raise DataError(f"{bar.text}: {problem}; write {wanted}")


def spacing_notices(text: str, factor: str, levels: Sequence[str]) -> tuple[str, ...]:
    """What to say about an `ar1` along levels that are numbers, but out of order or not at equal steps.

    Examples
    --------
    >>> spacing_notices("ar1(0 + day | g)", "day", ("1", "2", "3"))
    ()
    >>> print(*spacing_notices("ar1(day | g)", "day", ("1", "2", "4")))
    ar1(day | g): the levels of day, in the order 1, 2, 4, are equally spaced in the model but not as numbers
    >>> spacing_notices("ar1(day | g)", "day", ("1", "10", "2"))[0][:57]
    'ar1(day | g): the levels of day are numbers out of order,'
    """
    try:
        steps = np.diff([float(level) for level in levels])
    except ValueError:
        return ()
    if np.allclose(steps, steps[:1], rtol=1e-6, atol=0.0):
        return ()
    shown = ", ".join(levels[:8]) + (", ..." if len(levels) > 8 else "")
    if (steps > 0.0).any() and (steps < 0.0).any():
        return (
            f"{text}: the levels of {factor} are numbers out of order, and neighbours in the model are those "
            f"of this order: {shown}; make the column numeric, or a categorical with its levels in order",
        )
    return (
        f"{text}: the levels of {factor}, in the order {shown}, are equally spaced in the model "
        "but not as numbers",
    )
