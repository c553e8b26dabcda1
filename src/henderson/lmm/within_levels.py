"""What the records of each level say by themselves, before the model draws its effects towards their mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.errors import ModelNotSupportedError
from henderson.fit import FittedModel

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WithinLevels:
    """Least-squares estimates of the effects of each level of one grouping factor.

    Attributes
    ----------
    estimates : ndarray, (l, q)
        In the order of `ranef`'s columns; NaN for levels whose records do not determine them all.
    n_records : ndarray of int, (l,)
        Records of each level.
    """

    estimates: Array
    n_records: NDArray[np.intp]


def within_levels(fit: FittedModel, group: str) -> WithinLevels:
    """Regress, level by level, what the rest of the model leaves of the response on the level's own design.

    The rest are the fixed effects, the offset, and the random effects of all other grouping factors. Records
    count by their weights and the variances of a residual structure.

    Parameters
    ----------
    fit : FittedModel
        With its rows.
    group : str
        Grouping factor; all of its random terms together.

    Returns
    -------
    WithinLevels

    Raises
    ------
    HendersonError
        If the fit has no rows, or no engine.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff"))
    >>> within_levels(fit, "Batch").estimates.ravel().round(1)
    array([-22.5,   0.5,  36.5, -29.5,  72.5, -57.5])
    """
    rows = fit.estimates.by_row("the rows")
    model = fit.engine.model
    left = rows.y - rows.mean
    own = []
    for term, modes in zip(model.terms, fit.estimates.terms, strict=True):
        if modes.group == group:
            own.append(term)
        else:
            effects = modes.b[term.codes.reshape(model.n, -1), np.arange(term.q)]
            left = left - np.einsum("nq,nq->n", term.z, effects)
    codes, n_levels = own[0].codes, own[0].n_levels
    if codes.ndim == 2:
        raise ModelNotSupportedError(
            f"a record belongs to several levels of '{group}', so that none has records to itself"
        )
    root = np.ones(rows.y.size) if rows.weights is None else np.sqrt(rows.weights)
    if rows.relative_sd is not None:
        root = root / rows.relative_sd
    z = np.hstack([term.z for term in own]) * root[:, None]
    left = left * root
    q = z.shape[1]
    A, c = np.empty((n_levels, q, q)), np.empty((n_levels, q))
    for i in range(q):
        c[:, i] = np.bincount(codes, z[:, i] * left, n_levels)
        for j in range(i + 1):
            A[:, i, j] = A[:, j, i] = np.bincount(codes, z[:, i] * z[:, j], n_levels)
    size = np.sqrt(np.einsum("lii->li", A))
    size[size == 0.0] = 1.0
    A /= size[:, :, None] * size[:, None, :]
    determined = np.linalg.eigvalsh(A)[:, 0] > 1e-9
    estimates = np.full((n_levels, q), np.nan)
    scaled = (c / size)[determined, :, None]
    estimates[determined] = np.linalg.solve(A[determined], scaled)[:, :, 0] / size[determined]
    return WithinLevels(estimates, np.bincount(codes, minlength=n_levels))
