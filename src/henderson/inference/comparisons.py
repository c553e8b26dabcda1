"""Likelihood-ratio tests between fits."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.inference.likelihoods import Maximum, by_likelihood, check_same_rows
from henderson.linalg.tails import neg_log10_chi2

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("henderson")


def compare(*fits: FittedModel, names: Sequence[str] | None = None, refit: bool = True) -> pd.DataFrame:
    """Compare fits of the same rows by likelihood, each with the next smaller one.

    The chi-squared approximation is for nested models, which is not checked; where a variance is tested
    against zero its p-values are too large (`ranova` has the mixture).

    Parameters
    ----------
    *fits : FittedModel
        Two or more.
    names : sequence of str, optional
        Their names in the table; m1, m2, ... by default.
    refit : bool
        Compare maximum likelihoods: REML fits are fitted again, and a notice says so. If False, the
        likelihoods are taken as they are.

    Returns
    -------
    DataFrame, one row per fit, by number of parameters
        ``npar``, ``aic``, ``bic``, ``loglik``, ``deviance`` (-2 log-likelihood), ``chisq`` and ``df`` against
        the row above, ``p_value``, ``neg_log_10_p_value`` (missing for models of one size), ``formula``.

    Raises
    ------
    DataError
        For fits of different rows, naming how many differ; of different responses; with ``refit=False`` for
        REML fits of different fixed effects, or REML beside ML.
    HendersonError
        If a REML fit that was read back from a file would have to be fitted again.

    Examples
    --------
    >>> import henderson as hd
    >>> data = hd.example_data("sleepstudy")
    >>> small = hd.lmer("Reaction ~ Days + (1 | Subject)", data, REML=False)
    >>> large = hd.lmer("Reaction ~ Days + (Days | Subject)", data, REML=False)
    >>> compare(large, small, names=["slopes", "intercepts"])[["npar", "chisq", "df"]].round(3)
                npar   chisq    df
    intercepts     4     NaN  <NA>
    slopes         6  42.139     2
    """
    import pandas as pd

    labels = _labels(fits, names)
    for fit, label in zip(fits[1:], labels[1:], strict=True):
        check_same_rows(fits[0], fit, (labels[0], label))
    found = _by_ml(fits, labels) if refit else _as_they_are(fits, labels)
    order = sorted(range(len(fits)), key=lambda k: found[k].npar)
    models = [found[k] for k in order]
    steps = list(pairwise(models))
    chisq = np.array([np.nan, *(max(0.0, a.deviance - b.deviance) for a, b in steps)])
    df = [b.npar - a.npar for a, b in steps]
    neg_log_10 = neg_log10_chi2(chisq, [np.nan, *df])
    log_n = float(np.log(fits[0].nobs))
    return pd.DataFrame(
        {
            "npar": [m.npar for m in models],
            "aic": [m.aic for m in models],
            "bic": [m.deviance + log_n * m.npar for m in models],
            "loglik": [m.loglik for m in models],
            "deviance": [m.deviance for m in models],
            "chisq": chisq,
            "df": pd.array([pd.NA, *df], dtype="Int64"),
            "p_value": 10.0**-neg_log_10,
            "neg_log_10_p_value": neg_log_10,
            "formula": [fits[k].formula for k in order],
        },
        index=pd.Index([labels[k] for k in order], dtype=object),
    )


def _labels(fits: Sequence[FittedModel], names: Sequence[str] | None) -> list[str]:
    for k, fit in enumerate(fits):
        if not isinstance(fit, FittedModel):
            raise DataError(
                f"argument {k + 1} of anova is a {type(fit).__name__}; it compares fits of hd.lmer, as in "
                "hd.anova(fit1, fit2), and fit.ranova() compares with models without the random effects"
            )
    if len(fits) < 2:
        raise DataError("anova compares two fits or more; the tests of the terms of one fit are fit.anova()")
    if names is None:
        return [f"m{k + 1}" for k in range(len(fits))]
    labels = [str(name) for name in names] if isinstance(names, Iterable) else [str(names)]
    if len(labels) != len(fits) or len(set(labels)) < len(labels):
        raise DataError(f"names must be {len(fits)} different names, one for each fit; they are {labels}")
    return labels


def _by_ml(fits: Sequence[FittedModel], labels: Sequence[str]) -> list[Maximum]:
    found = [
        by_likelihood(fit.engine, label, fit.control) if fit.reml else Maximum.of(fit)
        for fit, label in zip(fits, labels, strict=True)
    ]
    again = [label for fit, label in zip(fits, labels, strict=True) if fit.reml]
    if again:
        log.warning("compared by maximum likelihood: %s, fitted by REML, fitted again", ", ".join(again))
    return found


def _as_they_are(fits: Sequence[FittedModel], labels: Sequence[str]) -> list[Maximum]:
    for fit, label in zip(fits[1:], labels[1:], strict=True):
        if fit.reml != fits[0].reml:
            raise DataError(
                f"of {labels[0]} and {label} one was fitted by REML and the other by maximum likelihood, "
                "which cannot be compared: leave refit=False out"
            )
        if fit.reml and not _same_fixed(fits[0], fit):
            raise DataError(
                f"{labels[0]} and {label} are REML fits of different fixed effects, whose restricted "
                "likelihoods are of different data and cannot be compared: leave refit=False out"
            )
    return [Maximum.of(fit) for fit in fits]


def _same_fixed(a: FittedModel, b: FittedModel) -> bool:
    """Whether the fixed effects are the same columns, which the restricted likelihood takes the scale of."""
    if a.estimates.x_names != b.estimates.x_names:
        return False
    designs = [fit.source.design if fit.has_source else None for fit in (a, b)]
    if designs[0] is None or designs[1] is None:
        return True
    X, Z = (d.X[:, fit.estimates.kept] for d, fit in zip(designs, (a, b), strict=True) if d is not None)
    return bool(np.array_equal(X, Z))
