"""Data that leave nothing to estimate, and fixed effects that are sums of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.fit.notices import weighted_sum

#: A residual sum of squares below this part of the total is mostly rounding.
LOST = 1e-12
#: A sum of more columns than this explains nothing.
FEW = 4


def check_rank(n: int, rank: int) -> None:
    """Refuse a model that has as many fixed effects as rows.

    Raises
    ------
    DataError
        With both numbers.
    """
    if rank >= n:
        raise DataError(
            f"there {'is 1 complete row' if n == 1 else f'are {n} complete rows'} for {rank} fixed "
            f"effect{'' if rank == 1 else 's'}, which leaves nothing to estimate variances from; use fewer "
            "fixed effects or more data"
        )


def check_residual(response: str, groups: Sequence[str], pwrss: float, total: float) -> None:
    """Refuse a response that the random effects reproduce: its residual variance is rounding error.

    Parameters
    ----------
    response : str
    groups : sequence of str
        Grouping factors.
    pwrss, total : float
        Penalised residual sum of squares at the optimum, and the sum of squares without random effects.

    Raises
    ------
    DataError
        Naming both.
    """
    if pwrss > LOST * total:
        return
    raise DataError(
        f"the response '{response}' hardly varies within the levels of "
        f"{' and '.join(map(repr, dict.fromkeys(groups)))} once the fixed effects are taken out, so that its "
        "residual variance is lost in rounding; is it a property of the level rather than of the row?"
    )


def rank_notice(names: Sequence[str], X: NDArray[np.float64], kept: NDArray[np.intp]) -> tuple[str, ...]:
    """What to say about columns that were left out because they depend on others.

    Parameters
    ----------
    names : sequence of str, length p
    X : ndarray, shape (m, p)
        The design, or any factor F with F'F = X'X.
    kept : ndarray of int
        Columns that stay.

    Returns
    -------
    tuple of str
        No notice or one.

    Examples
    --------
    >>> X = np.array([[1.0, 2.0], [3.0, 6.0]])
    >>> print(*rank_notice(["x", "twice"], X, np.array([0])))
    fixed-effect model matrix is rank deficient so dropping 1 column / coefficient: twice (= 2 x)
    """
    dropped = [k for k in range(len(names)) if k not in set(kept.tolist())]
    if not dropped:
        return ()
    s = "s" if len(dropped) > 1 else ""
    shown = ", ".join(names[k] + _as_sum([names[j] for j in kept], X[:, kept], X[:, k]) for k in dropped)
    return (
        f"fixed-effect model matrix is rank deficient so dropping {len(dropped)} column{s} / coefficient{s}: "
        f"{shown}",
    )


def _as_sum(names: Sequence[str], X: NDArray[np.float64], column: NDArray[np.float64]) -> str:
    """A column in terms of others, ``" (= 2 x)"``; nothing where that takes many of them."""
    weights = np.linalg.lstsq(X, column, rcond=None)[0]
    part = np.abs(weights) * np.linalg.norm(X, axis=0)
    used = np.flatnonzero(part > 1e-6 * part.max(initial=0.0)).tolist()
    if len(used) > FEW:
        return ""
    return f" (= {weighted_sum([names[k] for k in used], weights[used]) or 0})"
