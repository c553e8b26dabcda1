"""`lmer`: formula and table to a fitted linear mixed model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

from numpy.typing import ArrayLike

from henderson.fit import Control
from henderson.fit.fitting import fit_formula
from henderson.lmm.result import LmerResult, spoken

logger = logging.getLogger("henderson")


def lmer(
    formula: str,
    data: Any,
    *,
    REML: bool = True,
    weights: str | ArrayLike | None = None,
    offset: str | ArrayLike | None = None,
    subset: str | ArrayLike | None = None,
    na_action: Literal["omit", "exclude", "fail"] = "omit",
    contrasts: Mapping[str, Any] | None = None,
    relationship: Mapping[str, Any] | None = None,
    residual: str | None = None,
    start: ArrayLike | Mapping[str, ArrayLike] | None = None,
    control: Control | None = None,
) -> LmerResult:
    """Fit a linear mixed model, with the meaning and the numbers of R's `lme4::lmer`.

    The (restricted) likelihood of y = X beta + Z b + e, b ~ N(0, sigma^2 T T'), e ~ N(0, sigma^2 W^-1) is
    maximised over T: Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), eqs. (34), (41).

    Parameters
    ----------
    formula : str
        ``"Reaction ~ Days + (Days | Subject)"``: fixed effects, and in parentheses the random ones.
        ``(1 | animal & dam)`` has direct and maternal effects: each record is that of one animal and its dam,
        and the two effects of a level have a covariance.
    data : pandas, polars or pyarrow table, dict of arrays, or Parquet files
        One row per record. Categorical columns keep the order of their levels. The path of a Parquet file or
        of a folder of them, or a `pyarrow.dataset.Dataset`, is read in batches, so that the records need not
        fit in memory; fitted values then come from ``predict(chunk)``.
    REML : bool
        Restricted maximum likelihood (the default), or maximum likelihood.
    weights : str or array of shape (n,), optional
        Prior weights: the residual variance of row i is sigma^2 / weights[i].
    offset : str or array of shape (n,), optional
        A known part of the mean, in the units of the response.
    subset : str or boolean array of shape (n,), optional
        Rows to use, such as ``"Days > 1"``.
    na_action : {"omit", "exclude", "fail"}
        What to do with rows that have missing values: leave them out; leave them out but pad fitted values
        and residuals with NaN in their places; or refuse.
    contrasts : dict, optional
        Coding of factors in the fixed part: ``{"grp": "sum"}``, or a (levels, k) matrix.
    relationship : dict, optional
        Relationship of the levels of a grouping factor, ``{"iid": G}``, for any number of factors: a
        `RelationshipMatrix`, whose people are matched by their individual identifier (IID); a square pandas
        DataFrame with their names as index and columns; a `Pedigree`; the inverse of a relationship
        (`single_step`), a low-rank factor or a sparse matrix by families, with names; or a `SpatialKernel`.
        It may hold more people than the data, in any order: those without a record stay in the model, and
        have predicted effects.
    residual : str, optional
        Structure of the residuals: ``"diag(sex)"``, a variance for each stratum; or within units, of which
        each lies within one level of every grouping factor: ``"us(trait | iid)"``, ``"cs(trait | iid)"``,
        ``"ar1(time | iid)"``. By default independent and of one variance, which ``"identity"`` asks for; but
        for traits of related individuals, ``(0 + trait | iid)``, a variance for each trait, and covariances
        where records share an individual: ``"us(trait | iid)"``.
    start : array of shape (n_theta,), optional
        Theta to start from; lme4's ``{"theta": ...}`` is taken too.
    control : Control, optional
        Tolerance and limits of the optimiser.

    Returns
    -------
    LmerResult

    Raises
    ------
    FormulaError
        If the formula cannot be read; the message underlines the spot.
    DataError
        If a column or a relationship matrix is missing or unsuitable; the message names it.
    ModelNotSupportedError
        If no engine solves the model yet; the message says which part is in the way.

    Examples
    --------
    Five people in two families, the genetic variant standardised (see the primer):

    >>> import henderson as hd
    >>> people = {
    ...     "height": [0.6528, -0.5561, -0.6770, -0.8583, 1.4386],
    ...     "variant": [0.4472, -0.6708, -0.6708, -0.6708, 1.5652],
    ...     "family": ["1", "1", "1", "2", "2"],
    ... }
    >>> fit = hd.lmer("height ~ variant + (1 | family)", people)
    >>> print(f"{fit.fixef['variant']:.3f} {fit.icc:.3f}")
    1.049 0.852
    """
    fit = fit_formula(
        formula,
        data,
        REML=REML,
        weights=weights,
        offset=offset,
        subset=subset,
        na_action=na_action,
        contrasts=contrasts,
        relationship=relationship,
        residual=residual,
        start=start,
        control=control,
    )
    return spoken(fit)
