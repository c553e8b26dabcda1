"""The table of variances and covariances, with standard errors and shares."""

from __future__ import annotations

import logging
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from henderson.fit.fitted_model import FittedModel
from henderson.fit.record_kinds import RecordKind, record_kinds
from henderson.fit.varcorr import TermCovariance
from henderson.fit.variance_components import VarianceComponents, variance_components

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("henderson")
RESIDUAL = "Residual"


def variances(fit: FittedModel) -> pd.DataFrame:
    """All variances and covariances in absolute units, their standard errors, and shares of the total.

    Parameters
    ----------
    fit : FittedModel

    Returns
    -------
    DataFrame
        Columns group, effect_1, effect_2 (empty for a variance), estimate, std_error, share, share_se; the
        residual last. One row for each variance and covariance; of those that a structure makes equal the
        first. Standard errors are from the average information (Gilmour, Thompson & Cullis 1995,
        Biometrics 51:1440) and NaN for a variance of zero. A share is that of a variance in the phenotypic
        variance, which is the plain sum of all variances (GCTA's V(G)/Vp); it is NaN where there is no such
        sum: beside random slopes, and for a variance that several traits have in common.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff"))
    >>> variances(fit)[["group", "estimate", "std_error", "share"]].round(2)
          group  estimate  std_error  share
    0     Batch   1764.05    1432.75   0.42
    1  Residual   2451.25     707.61   0.58
    """
    import pandas as pd

    components = told(variance_components(fit.source.fitted))
    kinds = record_kinds(fit, components.elements)
    rows: list[tuple[str, str, str, float, float, float, float]] = []
    errors = components.std_errors
    for k, term in enumerate(terms_of(fit)):
        for i, j in [*((i, i) for i in range(term.n_variances)), *term.pairs]:
            at = components.place(k, i, j)
            second = term.names[j] if i != j else ""
            share = _share(components, kinds, k, i) if i == j else (nan, nan)
            found = float(components.values[at]), float(errors[at])
            rows.append((term.label, term.names[i], second, *found, *share))
    names = ["group", "effect_1", "effect_2", "estimate", "std_error", "share", "share_se"]
    return pd.DataFrame(rows, columns=names)


def terms_of(fit: FittedModel) -> list[TermCovariance]:
    """Labels and names of the covariances, the residual last: as `VarianceComponents` numbers them."""
    found = fit.varcorr
    if found.residual is not None:
        return [*found, found.residual]
    plain = TermCovariance(RESIDUAL, RESIDUAL, ("",), np.array([[fit.sigma**2]]))
    return [*found, plain]


def told(components: VarianceComponents) -> VarianceComponents:
    """The same, once its notices have been given as warnings."""
    for notice in components.notices:
        logger.warning(notice)
    return components


def _share(
    components: VarianceComponents, kinds: tuple[RecordKind, ...], term: int, i: int
) -> tuple[float, float]:
    """Share of a variance in that of the one kind of record that it enters by itself."""
    entered = [kind for kind in kinds if (term, i) in kind.present]
    if len(entered) != 1 or (term, i) not in entered[0].own:
        return nan, nan
    return components.share(components.unit(term, i), entered[0].weights)
