"""Tests of leaving out one term at a time, fixed or random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit
from henderson.errors import HendersonError, ModelNotSupportedError
from henderson.fit import FittedModel
from henderson.fit.call import Call
from henderson.fit.files import column_names
from henderson.fit.relationships import as_mapping
from henderson.fit.update import fit_again
from henderson.formula.bars import parse_formula
from henderson.inference.anova import f_tests
from henderson.inference.denominator import Ddf
from henderson.inference.hypotheses import deletions
from henderson.inference.likelihoods import (
    Maximum,
    by_likelihood,
    check_same_rows,
    deletion_table,
    tell_unfinished,
)
from henderson.inference.random_terms import Reduction, reductions
from henderson.linalg.tails import neg_log10_chi2

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
#: A likelihood ratio that is smaller than this share of the log-likelihood is zero.
ROUNDING = 1e-10


def drop1(fit: FittedModel, *, ddf: Ddf = "satterthwaite") -> pd.DataFrame:
    """F tests of leaving out each fixed term whose variables are not all part of another one.

    Parameters
    ----------
    fit : FittedModel
    ddf : {"satterthwaite", "kenward-roger", "asymptotic"}
        How denominator degrees of freedom are counted.

    Returns
    -------
    DataFrame
        As `anova_table` has it. A term that the others make up for has ``num_df`` 0 and NaN.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + I(Days^2) + (1 | Subject)", hd.example_data("sleepstudy"))
    >>> drop1(fit)[["num_df", "den_df", "f"]].round(3)
               num_df  den_df      f
    Days            1   160.0  6.262
    I(Days^2)       1   160.0  1.125
    """
    return f_tests(fit, deletions(fit), ddf)


def drop1_lrt(fit: FittedModel) -> pd.DataFrame:
    """Likelihood-ratio tests of leaving out each fixed term, by maximum likelihood also for a REML fit.

    The smaller models are fitted to the rows of the fit, whatever is missing in other rows.

    Parameters
    ----------
    fit : FittedModel

    Returns
    -------
    DataFrame
        The full model as ``<none>``, then a row for each term that `drop1` tests: ``npar`` (number of
        parameters), ``loglik``, ``aic``, and against the full model ``lrt``, ``df``, ``p_value`` and
        ``neg_log_10_p_value``, NaN for a term that the others make up for.

    Raises
    ------
    HendersonError
        If the rows are not at hand.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"), REML=False)
    >>> drop1_lrt(fit)[["npar", "lrt", "df"]].round(3)
            npar     lrt    df
    <none>     6     NaN  <NA>
    Days       5  23.537     1
    """
    X = fit.source.with_rows().X[:, fit.estimates.kept]
    engine = fit.engine
    full = by_likelihood(engine, "the full model", fit.control) if fit.reml else Maximum.of(fit)
    reduced = {
        term: by_likelihood(engine.with_fixed(X @ _allowed(L)), f"the model without {term}", fit.control)
        if len(L)
        else full
        for term, L in deletions(fit).items()
    }
    return deletion_table(full, reduced)


def _allowed(L: Array) -> Array:
    """The coefficients that L beta = 0 leaves, as columns: an orthonormal basis (p, p - q)."""
    return np.asarray(np.linalg.svd(L)[2][len(L) :].T)


def ranova(fit: FittedModel, *, reduce_terms: bool = True) -> pd.DataFrame:
    """Likelihood-ratio tests of the random terms, by REML if the fit is.

    Each term is reduced by one of its effects at a time, with the covariances of this effect: ``Days in
    (Days | Subject)``. A term of one effect, or with a covariance structure other than ``diag()``, is left
    out as a whole. The smaller models are fitted to the data of the fit with the arguments of its call; where
    no random term is left, the (restricted) likelihood is that of the linear model.

    The test is at the bound of a variance, where the usual p-value is too large. For one effect with its
    k - 1 covariances, the null distribution is an equal mixture of chi-squared with k - 1 and with k degrees
    of freedom (Self & Liang 1987, J. Am. Stat. Assoc. 82:605, case 6; Stram & Lee 1994, Biometrics 50:1171),
    as long as what remains is not at a bound as well.

    Parameters
    ----------
    fit : FittedModel
    reduce_terms : bool
        If False, every term is left out as a whole.

    Returns
    -------
    DataFrame
        The full model as ``<none>``, then a row for each test: ``npar`` (number of parameters), ``loglik``,
        ``aic``, ``lrt``, ``df``, ``p_value`` and ``neg_log_10_p_value`` (the usual ones), and
        ``p_value_boundary`` and ``neg_log_10_p_value_boundary`` (of the mixture; NaN where several variances
        are tested at once, or the smaller model is singular, so that no mixture is known).

    Raises
    ------
    HendersonError
        If the data are not at hand.
    DataError
        If the smaller model has other rows, because the term left out had missing values.
    ModelNotSupportedError
        If no random term would be left beside a residual structure.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> ranova(fit)[["npar", "lrt", "df"]].round(3)
                              npar     lrt    df
    <none>                       6     NaN  <NA>
    Days in (Days | Subject)     4  42.837     2
    """
    call = _repeatable_call(fit)
    parsed = parse_formula(call.formula, column_names(fit.source.data))
    smaller = {
        reduction.name: _linear_model(fit)
        if reduction.formula is None
        else _fit_smaller(fit, call, reduction, reduction.formula)
        for reduction in reductions(fit, parsed, reduce_terms=reduce_terms)
    }
    table = deletion_table(Maximum.of(fit), {name: each.maximum for name, each in smaller.items()})
    return _with_mixture(table, np.array([False, *(each.one_variance for each in smaller.values())]))


@dataclass(frozen=True, slots=True)
class _Smaller:
    """A model that lacks something of the random part.

    Attributes
    ----------
    maximum : Maximum
    one_variance : bool
        Whether it lacks one effect and is regular, so that the mixture of the test is known.
    """

    maximum: Maximum
    one_variance: bool


def _repeatable_call(fit: FittedModel) -> Call:
    if fit.call is None:
        raise HendersonError(
            "this fit was not made by lmer(), so that there is no call for ranova to repeat with fewer terms"
        )
    if fit.source.data is None:
        raise HendersonError(
            "the response of this fit was given to refit(), and is in no table: fit a table that has it with "
            "lmer to test the random terms"
        )
    return fit.call


def _fit_smaller(fit: FittedModel, call: Call, reduction: Reduction, formula: str) -> _Smaller:
    changes: dict[str, Any] = {}
    related = as_mapping(call.arguments.get("relationship"))
    if related:
        left = {group: matrix for group, matrix in related.items() if group in reduction.groups}
        changes["relationship"] = left or None
    found = fit_again(fit, formula, changes=changes)
    name = f"the model without {reduction.name}"
    check_same_rows(fit, found, ("the full model", name))
    tell_unfinished(found.optimum, name)
    one_less = _n_effects(fit) - _n_effects(found) == 1
    return _Smaller(Maximum.of(found), one_less and not found.is_singular())


def _linear_model(fit: FittedModel) -> _Smaller:
    """The model without any random effect: what the criterion is where theta is zero."""
    engine = fit.engine
    if isinstance(engine.shape.residual, ByUnit):
        raise ModelNotSupportedError(
            "the only random term cannot be tested beside a residual structure, because a model without "
            "random terms is none that lmer fits"
        )
    criterion = engine.criterion(np.zeros(engine.shape.n_theta))
    maximum = Maximum(engine.shape.p + 1, -0.5 * criterion.profiled(fit.reml))
    return _Smaller(maximum, _n_effects(fit) == 1)


def _n_effects(fit: FittedModel) -> int:
    return sum(len(term.names) for term in fit.estimates.terms)


def _with_mixture(table: pd.DataFrame, known: NDArray[np.bool_]) -> pd.DataFrame:
    """The table with the tail of 1/2 chi2(df - 1) + 1/2 chi2(df), where that is known to be the null."""
    lrt = table["lrt"].to_numpy()[known]
    df = table["df"].to_numpy(dtype=np.float64, na_value=np.nan)[known]
    upper = neg_log10_chi2(lrt, df)
    lower = neg_log10_chi2(lrt, np.maximum(df - 1.0, 1.0))
    # No degrees of freedom: all mass is at zero, which two searches reach up to their rounding
    at_zero = lrt < ROUNDING * np.abs(table["loglik"].iloc[0])
    lower = np.where(df > 1.0, lower, np.where(at_zero, 0.0, np.inf))
    upper = np.where(at_zero, 0.0, upper)
    mixture = np.full(known.size, np.nan)
    mixture[known] = upper - np.log10(0.5 + 0.5 * 10.0 ** (upper - lower))
    table["p_value_boundary"] = 10.0**-mixture
    table["neg_log_10_p_value_boundary"] = mixture
    return table
