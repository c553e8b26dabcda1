"""What `henderson h2 --prevalence` adds to its table."""

from math import isnan, nan
from typing import TYPE_CHECKING

from henderson.errors import DataError

if TYPE_CHECKING:
    from henderson.fit.heritability import Heritability


def check_prevalence(prevalence: float | None) -> None:
    """Refuse, before the work starts, what is no share of a population."""
    if prevalence is not None and not 0.0 < prevalence < 1.0:
        raise DataError(
            f"--prevalence is the share of cases in the population, between 0 and 1; it is {prevalence:g}."
        )


def liability_columns(found: "Heritability", prevalence: float | None) -> dict[str, float]:
    """The columns ``h2_liability`` and ``h2_liability_se``, NaN for a trait that is not 0/1.

    None without a prevalence.
    """
    if prevalence is None:
        return {}
    if isnan(found.share_of_cases):
        return {"h2_liability": nan, "h2_liability_se": nan}
    liability = found.liability(prevalence)
    return {"h2_liability": liability.h2, "h2_liability_se": liability.h2_se}


def liability_line(found: "Heritability", prevalence: float) -> str:
    """One line about a trait: its heritability as a liability, or why there is none."""
    try:
        return str(found.liability(prevalence))
    except DataError as problem:
        return f"no heritability of the liability: {problem}"
