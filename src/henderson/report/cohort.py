"""A small generated cohort for the demonstration: families, a genome, a height, and the truth about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.genotype import ArraySource, Samples, Variants

if TYPE_CHECKING:
    import pandas as pd

    from henderson.association.result import ScanResult
    from henderson.fit.heritability import Heritability

Array = NDArray[np.float64]
Calls = NDArray[np.int8]

FORMULA = "height ~ age + sex"
N_FAMILIES, N_CHILDREN = 80, 3
N_CHROMOSOMES, VARIANTS_EACH, SPACING = 3, 500, 200_000
CROSSOVERS = 1.0  # of a chromosome as it is handed down, on average
NEIGHBOUR_CORRELATION = 0.9
LARGE_EFFECTS = (3.5, 3.0, 2.5)  # centimetres per copy, one on each chromosome
N_SMALL_EFFECTS = 300
SMALL_SD = 4.1  # centimetres, of all small effects together
HERITABILITY = 0.6
LEVEL = 0.05
LINKED = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Generated people of whom everything is known.

    Attributes
    ----------
    genotypes : ArraySource
        1,500 variants on three chromosomes in 400 people: 80 couples, then their three children each.
    people : pandas.DataFrame, 400 rows
        Columns ``FID``, ``IID``, ``height`` in centimetres, ``age`` in years and ``sex`` ("F" or "M").
    causal : mapping of str to float
        Variants of large effect, by name, with what a copy of the effect allele adds in centimetres.
    heritability : float
        Genetic variance over genetic and residual variance, in these people.
    """

    genotypes: ArraySource
    people: pd.DataFrame
    causal: Mapping[str, float]
    heritability: float


@dataclass(frozen=True, slots=True, eq=False)
class CohortScan:
    """What a scan of a `Cohort` found, beside plain regression and beside the truth.

    Attributes
    ----------
    scan : ScanResult
        The mixed model of each variant.
    heritability : Heritability
        Of the model without a variant.
    table : pandas.DataFrame
        One row per variant, in the order of the genotypes: ``variant``, ``allele``, ``beta``,
        ``standard_error``, ``p_value``, ``neg_log10_p``, the same two of plain regression (``plain_``),
        ``true_effect`` (NaN unless causal), ``cause`` (the causal variant it is most correlated with) and
        ``r2`` (that squared correlation).
    threshold : float
        Largest p that is significant after Bonferroni's adjustment.
    lambda_gc, plain_lambda_gc : float
        Genomic control factors of the mixed model and of plain regression.
    """

    scan: ScanResult
    heritability: Heritability
    table: pd.DataFrame
    threshold: float
    lambda_gc: float
    plain_lambda_gc: float


def demo_cohort(seed: int = 1953) -> Cohort:
    """Generate 400 people in families, their genotypes and their height.

    Founders' chromosomes have linkage disequilibrium that fades with distance; children inherit them with
    crossovers. Height has three variants of large effect, 300 of small ones, a difference of the sexes, a
    trend with age, and a residual.

    Parameters
    ----------
    seed : int
        Of the random numbers; the same seed gives the same cohort.

    Returns
    -------
    Cohort
        Genotypes, people, and the truth.

    Examples
    --------
    >>> cohort = demo_cohort()
    >>> cohort.genotypes.calls.shape, len(cohort.people), sorted(cohort.causal.values())
    ((1500, 400), 400, [2.5, 3.0, 3.5])
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    parents = _founders(rng, 2 * N_FAMILIES)
    mothers = np.repeat(np.arange(0, 2 * N_FAMILIES, 2), N_CHILDREN)
    children = np.stack([_gametes(rng, parents[mothers]), _gametes(rng, parents[mothers + 1])], axis=1)
    people = np.concatenate([parents, children])
    calls = np.ascontiguousarray(people.sum(axis=1, dtype=np.int8).T)
    variants = _variants()

    causal = _choose_causal(rng, calls)
    genetic = np.array(LARGE_EFFECTS) @ calls[causal]
    genetic += _small_effects(rng, calls, causal)
    residual_variance = genetic.var() * (1.0 - HERITABILITY) / HERITABILITY
    residual = rng.normal(size=genetic.size)
    residual *= np.sqrt(residual_variance / residual.var())

    n_children = mothers.size
    sex = np.concatenate([np.tile(["F", "M"], N_FAMILIES), rng.choice(["F", "M"], n_children)])
    age = np.concatenate([rng.integers(45, 65, 2 * N_FAMILIES), rng.integers(18, 40, n_children)])
    height = 168.0 + 13.0 * (sex == "M") - 0.06 * (age - 40) + genetic - genetic.mean() + residual
    family = np.concatenate([np.arange(2 * N_FAMILIES) // 2, mothers // 2]) + 1
    frame = pd.DataFrame(
        {
            "FID": [f"family{k}" for k in family],
            "IID": [f"person{k}" for k in range(1, family.size + 1)],
            "height": height.round(1),
            "age": age,
            "sex": sex,
        }
    )
    samples = Samples(frame["FID"].to_numpy(dtype=str), frame["IID"].to_numpy(dtype=str))
    truth = dict(zip(variants.identifier[causal].tolist(), LARGE_EFFECTS, strict=True))
    return Cohort(ArraySource(calls, samples, variants), frame, truth, HERITABILITY)


def scan_cohort(cohort: Cohort) -> CohortScan:
    """Scan the genome of a cohort with and without its relationships, and set the truth beside it.

    Parameters
    ----------
    cohort : Cohort
        As `demo_cohort` gives it.

    Returns
    -------
    CohortScan
        The scan, plain regression, genomic control of both, and the heritability.
    """
    import pandas as pd

    from henderson.association.scan import scan
    from henderson.linalg.inflation import lambda_gc

    found = scan(FORMULA, cohort.people, cohort.genotypes, relationship="grm")
    tail = found.table["neg_log_10_p_value"].to_numpy()
    plain_tail = plain_regression(cohort)
    cause, r2 = _nearest_cause(cohort)
    table = pd.DataFrame(
        {
            "variant": found.table["rsid"],
            "allele": found.table["effect_allele"],
            "beta": found.table["beta"],
            "standard_error": found.table["standard_error"],
            "p_value": found.table["p_value"],
            "neg_log10_p": tail,
            "plain_p_value": 10.0**-plain_tail,
            "plain_neg_log10_p": plain_tail,
            "true_effect": found.table["rsid"].map(cohort.causal),
            "cause": cause,
            "r2": r2,
        }
    )
    n_tests = int(np.isfinite(tail).sum())
    return CohortScan(
        scan=found,
        heritability=found.null.heritability(),
        table=table,
        threshold=LEVEL / n_tests,
        lambda_gc=lambda_gc(tail),
        plain_lambda_gc=lambda_gc(plain_tail),
    )


def plain_regression(cohort: Cohort) -> Array:
    """Test each variant by least squares, as if nobody were related.

    Parameters
    ----------
    cohort : Cohort
        Without missing calls.

    Returns
    -------
    ndarray of float64, shape (m,)
        -log10 p of the t-test of the variant beside age and sex; NaN for a variant that does not vary.
    """
    from henderson.linalg.tails import neg_log10_f1

    people = cohort.people
    ones = np.ones(len(people))
    Q, _ = np.linalg.qr(np.column_stack([ones, people["age"], people["sex"] == "M"]).astype(np.float64))
    y = people["height"].to_numpy(dtype=np.float64)
    X = cohort.genotypes.calls.astype(np.float64)
    y = y - Q @ (Q.T @ y)
    X -= (X @ Q) @ Q.T
    xx = np.einsum("mn,mn->m", X, X)
    xx[np.ptp(cohort.genotypes.calls, axis=1) == 0] = np.nan
    explained = (X @ y) ** 2 / xx
    df = len(people) - Q.shape[1] - 1
    return neg_log10_f1(explained * df / (y @ y - explained), df)


def _founders(rng: np.random.Generator, n: int) -> Calls:
    """Two chromosomes of each kind for n unrelated people, shape (n, 2, m): zeros and ones."""
    from scipy.special import ndtri

    noise = rng.normal(size=(n, 2, N_CHROMOSOMES, VARIANTS_EACH))
    noise[..., 1:] *= np.sqrt(1.0 - NEIGHBOUR_CORRELATION**2)
    for k in range(1, VARIANTS_EACH):
        noise[..., k] += NEIGHBOUR_CORRELATION * noise[..., k - 1]
    frequency = rng.uniform(0.1, 0.5, size=(N_CHROMOSOMES, VARIANTS_EACH))
    carries: NDArray[np.bool_] = noise < ndtri(frequency)
    return carries.reshape(n, 2, -1).astype(np.int8)


def _gametes(rng: np.random.Generator, parents: Calls) -> Calls:
    """What each of these parents, shape (n, 2, m), hands down to one child: shape (n, m)."""
    rate = np.full((N_CHROMOSOMES, VARIANTS_EACH), CROSSOVERS / (VARIANTS_EACH - 1))
    rate[:, 0] = 0.5
    n, _, m = parents.shape
    strand = np.cumsum(rng.random((n, m)) < rate.ravel(), axis=1) % 2
    return np.where(strand == 0, parents[:, 0], parents[:, 1])


def _variants() -> Variants:
    """Chromosomes, positions and names; the alleles are of no matter."""
    chromosome = np.repeat(np.arange(1, N_CHROMOSOMES + 1), VARIANTS_EACH)
    rank = np.tile(np.arange(1, VARIANTS_EACH + 1), N_CHROMOSOMES)
    names = np.array([f"chr{c}_{k}" for c, k in zip(chromosome, rank, strict=True)])
    first, second = (np.full(chromosome.size, allele) for allele in ("T", "C"))
    return Variants(chromosome.astype(np.str_), (rank * SPACING).astype(np.int64), names, first, second)


def _choose_causal(rng: np.random.Generator, calls: Calls) -> NDArray[np.intp]:
    """One common variant of each chromosome, at random."""
    common = (calls.mean(axis=1) / 2 > 0.3).reshape(N_CHROMOSOMES, VARIANTS_EACH)
    chosen = [rng.choice(np.flatnonzero(row)) + k * VARIANTS_EACH for k, row in enumerate(common)]
    return np.array(chosen)


def _small_effects(rng: np.random.Generator, calls: Calls, large: NDArray[np.intp]) -> Array:
    """What many variants of small effect add to each person, shape (n,)."""
    others = np.setdiff1d(np.arange(calls.shape[0]), large)
    chosen = rng.choice(others, N_SMALL_EFFECTS, replace=False)
    effects = rng.normal(size=N_SMALL_EFFECTS)
    total = effects @ calls[chosen]
    return np.asarray(SMALL_SD * total / total.std())


def _nearest_cause(cohort: Cohort) -> tuple[NDArray[np.str_], Array]:
    """For each variant the causal one it is most correlated with, and the square of that correlation."""
    calls = cohort.genotypes.calls.astype(np.float64)
    calls -= calls.mean(axis=1, keepdims=True)
    calls /= np.sqrt(np.einsum("mn,mn->m", calls, calls))[:, None]
    names = np.array(list(cohort.causal))
    at = [int(np.flatnonzero(cohort.genotypes.variants.identifier == name)[0]) for name in names]
    r2 = (calls @ calls[at].T) ** 2
    nearest = r2.argmax(axis=1)
    return names[nearest], np.asarray(r2[np.arange(r2.shape[0]), nearest])
