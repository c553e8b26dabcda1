"""One mixed model per variant, in one tidy table: for a handful of variants."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from henderson.errors import DataError, HendersonError
from henderson.fit.fitted_model import FittedModel
from henderson.fit.fitting import fit_formula
from henderson.formula import build_design
from henderson.io.columns import FactorColumn
from henderson.io.frame import Table, closest, open_table

if TYPE_CHECKING:
    import pandas as pd

_INTERCEPT = "(Intercept)"
_ALIASED = "not estimated: the variant does not vary, or follows from the other columns"


def lmer_variants(formula: str, data: Any, variants: Iterable[str], *, REML: bool = True) -> "pd.DataFrame":
    """Fit one linear mixed model per variant.

    Each variant in turn is added to the formula as a fixed effect; rows in which it is missing are left out
    of its own model only.

    Parameters
    ----------
    formula : str
        The model without a variant, such as ``"height ~ age + (1 | family)"``.
    data : pandas, polars or pyarrow table, or dict of arrays
        One row per record. The variants are numbers; see `genotype_coding` for letters.
    variants : iterable of str
        Names of the columns that hold the variants.
    REML : bool
        Restricted maximum likelihood (the default), or maximum likelihood.

    Returns
    -------
    pandas.DataFrame
        One row per variant, in the order given:

        ``variant``
            The column.
        ``estimate``, ``std_error``, ``statistic``
            The variant's effect (BLUE), its standard error and their ratio.
        ``group_variance``
            The variance of the groups' shifts. With more than one random effect there is instead a column
            for each: ``<group>_variance``, and ``<group>_<effect>_variance`` for a slope.
        ``residual_variance``, ``proportion``
            The variance left within groups, and the groups' part of the whole (with random slopes,
            averaged over the records).
        ``singular``
            Whether a variance was estimated as zero or a correlation as one. That is an answer, not an
            error.
        ``ols_estimate``, ``ols_std_error``
            The same effect by plain least squares, which ignores the groups.
        ``status``
            ``"ok"``, or why there are no numbers in this row; one bad variant does not stop the others.

    Raises
    ------
    FormulaError
        If the formula cannot be read.
    DataError
        If a column is missing, or a variant does not hold numbers.

    Examples
    --------
    >>> import henderson as hd
    >>> data = {
    ...     "height": hd.standardise([180, 160, 158, 155, 193]),
    ...     "variant3": hd.standardise(hd.genotype_coding(["AT", "AA", "AA", "AA", "TT"], "T")),
    ...     "family": [1, 1, 1, 2, 2],
    ... }
    >>> table = hd.lmer_variants("height ~ (1 | family)", data, ["variant3"])
    >>> table[["variant", "estimate", "proportion", "ols_estimate"]].round(4)
        variant  estimate  proportion  ols_estimate
    0  variant3    1.0488      0.8519        0.9867
    """
    import pandas as pd

    if isinstance(variants, str):
        variants = [variants]
    table = open_table(data)
    names = [_checked(name, table) for name in variants]
    if not names:
        raise DataError("variants is empty: name at least one column")
    build_design(formula, data)  # what is wrong without any variant is not the variants' fault
    rows = pd.DataFrame([_row(formula, data, name, REML) for name in names])
    rows["singular"] = rows["singular"].astype("boolean")
    last = ["residual_variance", "proportion", "singular", "ols_estimate", "ols_std_error", "status"]
    first = ["variant", "estimate", "std_error", "statistic"]
    between = [name for name in rows.columns if name not in {*first, *last}]
    return rows.reindex(columns=[*first, *between, *last])


def _checked(name: str, table: Table) -> str:
    """Refuse a variant that is no column of numbers."""
    if name not in table:
        raise DataError(f"the table has no column {name!r}{closest(name, table.names)}")
    if "`" in name:
        raise DataError(
            f"the column {name!r} has a backtick in its name, which a formula cannot hold; rename it"
        )
    column = table.column(name)
    if isinstance(column, FactorColumn) and column.levels:
        raise DataError(
            f"the variant {name!r} holds categories such as {column.levels[0]!r}; "
            "turn it into numbers first: letters with genotype_coding"
        )
    return name


def _row(formula: str, data: Any, variant: str, reml: bool) -> dict[str, Any]:
    """Fit one variant's model, or say why it cannot be fitted."""
    extended = f"{formula} + `{variant}`"
    try:
        fit = fit_formula(extended, data, REML=reml)
    except HendersonError as problem:
        return {"variant": variant, "singular": None, "status": f"not fitted: {problem}"}
    row = {"variant": variant, **_variances(fit), "singular": fit.is_singular(), "status": _ALIASED}
    coefficient = next((name for name in fit.fixef.index if name.strip("`") == variant), None)
    if coefficient is None:
        return row
    estimate, std_error = float(fit.fixef[coefficient]), float(fit.se[coefficient])
    ols_estimate, ols_std_error = _least_squares(fit, coefficient)
    return row | {
        "estimate": estimate,
        "std_error": std_error,
        "statistic": estimate / std_error,
        "ols_estimate": ols_estimate,
        "ols_std_error": ols_std_error,
        "status": "ok",
    }


def _variances(fit: FittedModel) -> dict[str, float]:
    """The variance of each random effect and of the residual, and the groups' part of the whole."""
    named = [
        (
            f"{term.group}_variance" if effect == _INTERCEPT else f"{term.group}_{effect}_variance",
            float(variance),
        )
        for term in fit.varcorr
        for effect, variance in zip(term.names, np.diag(term.covariance), strict=True)
    ]
    if len(named) == 1:
        named = [("group_variance", named[0][1])]
    return {**dict(named), "residual_variance": fit.sigma**2, "proportion": fit.icc}


def _least_squares(fit: FittedModel, coefficient: str) -> tuple[float, float]:
    """One fixed effect and its standard error by plain least squares: all random variances zero."""
    at_zero = fit.engine.solution(np.zeros_like(fit.theta), reml=True)
    j = fit.fixef.index.get_loc(coefficient)
    return float(at_zero.beta[j]), float(np.sqrt(at_zero.cov_beta[j, j]))
