"""Predicted effects level by level, with their prediction error variances and reliabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Identity
from henderson.errors import DataError
from henderson.fit.fitted_model import FittedModel
from henderson.io.frame import closest
from henderson.model import RandomTerm

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
#: Numbers that are asked of the engine at a time: 256 MB of them.
AT_ONCE = 1 << 25


def blup(fit: FittedModel, group: str | None = None) -> pd.DataFrame:
    """Best linear unbiased predictions of the random effects of one grouping factor.

    The prediction error variance is Var(u^ - u) = C + B Var(beta^) B', in which C is that for known fixed
    effects and B the effects that the columns of X predict: the block C^22 sigma^2 of the inverse of
    Henderson's equations (Henderson 1975, Biometrics 31:423-447). The variances are taken as known.

    Parameters
    ----------
    fit : FittedModel
    group : str, optional
        Grouping factor; without it the one with a relationship, or the only one.

    Returns
    -------
    DataFrame
        Columns level, effect, blup, std_error (root of pev), pev, reliability (1 - pev / the variance of the
        effect, which counts the relationship of the level to itself; NaN for a variance of zero), n_records
        (records that the effect enters). One row for each level and effect, also for levels without records.

    Raises
    ------
    DataError
        If the group is not there or not clear, or the data were streamed.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff"))
    >>> blup(fit).drop(columns="pev").round(2).head(2)
      level       effect   blup  std_error  reliability  n_records
    0     A  (Intercept) -17.61      24.77         0.65          5
    1     B  (Intercept)   0.39      24.77         0.65          5
    """
    import pandas as pd

    fit.source.with_rows()
    group = _group(fit, group)
    tables = []
    for k, (modes, term) in enumerate(zip(fit.estimates.terms, fit.engine.model.terms, strict=True)):
        if modes.group != group:
            continue
        pev = _error_variances(fit, k)
        prior = fit.estimates.sigma2 * np.outer(
            term.relationship.diagonal(term.n_levels), np.einsum("ij,ij->i", modes.T, modes.T)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            reliability = np.where(prior > 0.0, 1.0 - pev / prior, np.nan)
        tables.append(
            pd.DataFrame(
                {
                    "level": np.repeat(np.asarray(list(modes.levels), dtype=object), term.q),
                    "effect": list(modes.names) * term.n_levels,
                    "blup": modes.b.ravel(),
                    "std_error": np.sqrt(pev).ravel(),
                    "pev": pev.ravel(),
                    "reliability": reliability.ravel(),
                    "n_records": _counts(term).ravel(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def _error_variances(fit: FittedModel, k: int) -> Array:
    """Var(u^ - u) of each level and effect of term k, (l, q)."""
    model, estimates = fit.engine.model, fit.estimates
    starts = np.cumsum([0, *(_n_columns(term) for term in model.terms)])
    effects = np.cumsum([0, *(term.q for term in model.terms)])
    own = slice(int(effects[k]), int(effects[k + 1]))
    L = model.terms[k].n_levels
    out = np.empty((L, model.terms[k].q))
    each = int(effects[-1]) * (int(effects[-1]) + model.p)
    step = max(1, AT_ONCE // max(1, each))
    for first in range(0, L, step):
        rows = np.arange(first, min(L, first + step))
        # levels of other terms that nobody has seen have nothing to do with these
        levels = np.full((rows.size, int(starts[-1])), -1, dtype=np.intp)
        levels[:, starts[k] : starts[k + 1]] = rows[:, None]
        found = fit.engine.effect_cov(fit.theta, levels, reml=fit.reml)
        B = found.B[:, own]
        of_fixed = np.einsum("kqi,ij,kqj->kq", B, estimates.cov_beta, B, optimize=True)
        out[rows] = np.einsum("kqq->kq", found.C[:, own, own]) + of_fixed
    return np.maximum(out, 0.0)


def _n_columns(term: RandomTerm) -> int:
    return 1 if term.codes.ndim == 1 else term.q


def _counts(term: RandomTerm) -> NDArray[np.int64]:
    """Records that each effect of each level enters, (l, q)."""
    return np.column_stack(
        [np.bincount(term.codes_of(j)[term.z[:, j] != 0.0], minlength=term.n_levels) for j in range(term.q)]
    )


def _group(fit: FittedModel, group: str | None) -> str:
    known = list(dict.fromkeys(t.group for t in fit.estimates.terms))
    if group is not None:
        if group not in known:
            raise DataError(f"the model has no grouping factor {group!r}{closest(group, known)}")
        return group
    related = [
        modes.group
        for modes, term in zip(fit.estimates.terms, fit.engine.shape.terms, strict=True)
        if not isinstance(term.relationship, Identity)
    ]
    candidates = list(dict.fromkeys(related)) or known
    if len(candidates) > 1:
        raise DataError(f"say which grouping factor: group= can be {', '.join(map(repr, candidates))}")
    return candidates[0]
