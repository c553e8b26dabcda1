"""One line for each trait of a scan: its variances, and what all of its tests say together."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from math import isnan, nan
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.io.whole_files import whole_files
from henderson.linalg.inflation import lambda_gc

if TYPE_CHECKING:
    from henderson.genotype import Variants
    from henderson.lmm import LmerResult

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitSummary:
    """A row of ``OUT.traits.tsv``.

    Attributes
    ----------
    trait : str
    n : int
        People analysed.
    h2, genetic_variance, residual_variance : float
        By REML without a variant, with the relationship of the whole genome; the first two are NaN without
        one.
    lambda_gc : float
        Genomic inflation over all variants tested.
    tested : int
        How many these are.
    rsid, chromosome : str
        The variant with the smallest p-value; empty where none was tested.
    base_pair_location : int or None
        Where it is.
    p_value, neg_log_10_p_value : float
        Its p-value.
    status : str
        ``"ok"``, or what could not be done.
    """

    trait: str
    n: int = 0
    h2: float = nan
    genetic_variance: float = nan
    residual_variance: float = nan
    lambda_gc: float = nan
    tested: int = 0
    rsid: str = ""
    chromosome: str = ""
    base_pair_location: int | None = None
    p_value: float = nan
    neg_log_10_p_value: float = nan
    status: str = "ok"


@dataclass(frozen=True, slots=True)
class Variances:
    """Estimates without a variant; see `TraitSummary`."""

    h2: float
    genetic_variance: float
    residual_variance: float


def variances_of(fit: "LmerResult") -> Variances:
    """Variances of a model, and its heritability where it has one relationship."""
    sigma2 = float(fit.sigma**2)
    terms = list(fit.varcorr)
    if [term.group for term in terms] != ["iid"]:
        return Variances(nan, nan, sigma2)
    genetic = float(terms[0].covariance[0, 0])
    return Variances(genetic / (genetic + sigma2), genetic, sigma2)


def summary_of(
    trait: str,
    n: int,
    variances: Variances,
    *,
    tails: Array,
    positions: NDArray[np.intp],
    variants: "Variants",
    status: str = "ok",
) -> TraitSummary:
    """Summarise a trait.

    Parameters
    ----------
    trait : str
    n : int
        People analysed.
    variances : Variances
    tails : ndarray, shape (k,)
        -log10 p, NaN where there was no test.
    positions : ndarray of int, shape (k,)
        Which variants these are.
    variants : Variants
        All variants.
    status : str
        What could not be done.
    """
    known = TraitSummary(
        trait=trait,
        n=n,
        h2=variances.h2,
        genetic_variance=variances.genetic_variance,
        residual_variance=variances.residual_variance,
        status=status,
    )
    tested = int(np.count_nonzero(~np.isnan(tails)))
    if not tested:
        return known
    at = int(np.nanargmax(tails))
    best, tail = int(positions[at]), float(tails[at])
    found = {
        "lambda_gc": lambda_gc(tails),
        "tested": tested,
        "rsid": str(variants.identifier[best]),
        "chromosome": str(variants.chromosome[best]),
        "base_pair_location": int(variants.position[best]),
        "p_value": float(10.0**-tail),
        "neg_log_10_p_value": tail,
    }
    return TraitSummary(**{**asdict(known), **found})


def write_summaries(summaries: Sequence[TraitSummary], path: str) -> None:
    """Write a tab-separated table; what is not known is NA."""
    lines = ["\t".join(field.name for field in fields(TraitSummary))]
    lines += ["\t".join(map(_shown, asdict(each).values())) for each in summaries]
    with whole_files(path) as [file]:
        file.write(("\n".join(lines) + "\n").encode())


def _shown(value: object) -> str:
    if value is None or value == "" or (isinstance(value, float) and isnan(value)):
        return "NA"
    return " ".join(str(value).split())
