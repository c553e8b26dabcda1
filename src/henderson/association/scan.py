"""`scan`: one mixed model for each variant of a genome."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path
from threading import Thread
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.association.null_models import NullModels, Traits
from henderson.association.relatedness import Genomic, Given, LeftOut, Related, has_chromosomes
from henderson.association.result import ScanResult, as_table
from henderson.association.rules import OK, ScanRules
from henderson.association.scanners import Columns, Scanner, Test, orthonormal
from henderson.association.stages import Components, Estimates, Method, Stage, stages
from henderson.covariance import RelationshipMatrix
from henderson.engine.ratio.variants import load_kernels
from henderson.errors import DataError
from henderson.formula import has_random_terms
from henderson.genotype import GenotypeSource
from henderson.genotype.blocks import VariantBlock, block_size, blocks, impute
from henderson.io.scan_ssf import MANDATORY

Array = NDArray[np.float64]
logger = logging.getLogger("henderson")
EXPLAINED = "follows from the covariates"
#: GWAS-SSF's columns in its order; what a scan knows besides comes after them.
FIRST = (*MANDATORY, "neg_log_10_p_value", "rsid", "n")


def scan(
    formula: str,
    data: Any,
    genotypes: str | Path | GenotypeSource,
    *,
    relationship: RelationshipMatrix | Genomic | Literal["loco", "grm"] | None = None,
    test: Test = "exact",
    loco_components: Components = "chromosome",
    rules: ScanRules | None = None,
    threads: int | None = None,
) -> ScanResult:
    """Test every variant of a genome in a linear mixed model.

    With a relationship matrix K of the people, the model of each variant x is

        y = X b + x beta + g + e,    g ~ N(0, lambda sigma^2 K),    e ~ N(0, sigma^2 I).

    K is made of the variants on the other chromosomes (LOCO), unless ``relationship`` says otherwise.
    ``test="exact"`` estimates lambda anew for each variant, by REML for the effect and its Wald test and by
    maximum likelihood for the likelihood-ratio test (Zhou & Stephens 2012, Nature Genetics 44:821);
    ``test="null"`` keeps the REML estimates of the model without a variant (EMMAX, GCTA's MLMA).

    Parameters
    ----------
    formula : str
        The model without a variant: ``"height ~ age + sex"``. Without a relationship it names its random
        effects: ``"height ~ age + (1 | family)"``.
    data : pandas, polars or pyarrow table, or dict of arrays
        One row per person; columns FID and IID, or IID alone, say who it is.
    genotypes : str, Path or GenotypeSource
        A PLINK 1 fileset, or genotypes that were opened before.
    relationship : "loco", "grm", RelationshipMatrix or square pandas DataFrame, optional
        Relationship of the people. ``"loco"``: each variant is tested with a matrix that leaves its chromosome
        out. ``"grm"``: with the same matrix, of all people genotyped, from all variants on autosomes that
        vary, standardised by 2p(1 - p). Or one that is at hand (`grm`, `read_grm`, a frame with IIDs as index
        and columns). By default ``"loco"``, or ``"grm"`` where there is one chromosome; and none where the
        formula names random effects.
    test : {"exact", "null"}
        Whether each variant has variance components of its own.
    loco_components : {"chromosome", "genome"}
        With ``test="null"`` and ``"loco"``: whether components are estimated with each of the matrices, or
        once with that of the whole genome.
    rules : ScanRules, optional
        Which variants are tested, and GEMMA's conventions; by default all variants that vary.
    threads : int, optional
        How many blocks of variants are worked on at a time, by default as many as there are processors.

    Returns
    -------
    ScanResult
        Its ``table`` has the columns of GWAS-SSF: ``chromosome``, ``base_pair_location``, ``effect_allele``,
        ``other_allele``, ``beta`` (per copy of the effect allele), ``standard_error``,
        ``effect_allele_frequency`` (among the analysed people with a call), ``p_value`` and
        ``neg_log_10_p_value`` (Wald: F with 1 and n - p - 1 degrees of freedom; chi-squared for
        ``test="null"``), ``rsid``, ``n`` (analysed people with a call; missing ones count at the mean). For
        ``test="exact"``: ``h2`` = lambda / (1 + lambda) with a relationship, and the variances of the random
        effects without one; with a single variance ratio ``lambda_reml`` and ``lambda_ml``;
        ``log_likelihood`` (ML); and the likelihood-ratio and score tests ``p_lrt``, ``p_score``, each with
        its ``neg_log_10_``. ``status`` says ``"ok"``, where a variance is at its bound, or why a variant was
        not tested.

    Raises
    ------
    DataError
        If files or table cannot be used, or nobody is in both; the message says how to mend it.
    FormulaError
        If the formula cannot be read.
    ModelNotSupportedError
        If the formula has random effects beside a relationship matrix.

    Examples
    --------
    >>> import numpy as np
    >>> import henderson as hd
    >>> from henderson.genotype import ArraySource
    >>> rng = np.random.default_rng(1)
    >>> genotypes = ArraySource.of(rng.integers(0, 3, size=(200, 60)))
    >>> people = {"IID": genotypes.samples.iid, "height": rng.normal(size=60) + genotypes.calls[7]}
    >>> result = hd.scan("height ~ 1", people, genotypes, relationship="grm")
    >>> int(result.table["neg_log_10_p_value"].argmax())
    7
    """
    if test not in get_args(Test):
        raise DataError(f"test must be 'exact' or 'null', not {test!r}")
    if not (rules is None or isinstance(rules, ScanRules)):
        raise DataError(f"rules must be hd.ScanRules(...), not a {type(rules).__name__}")
    if not (threads is None or (isinstance(threads, int | np.integer) and threads >= 1)):
        raise DataError(f"threads must be a whole number from 1 up; it is {threads!r}")
    source = open_source(genotypes)
    method = Method(test, loco_components, rules or ScanRules())
    related = _related(relationship, formula, source, method.rules)
    if related is not None and test == "exact":
        Thread(target=load_kernels).start()
    traits = Traits([formula], data, source.samples, related, added=1)
    nulls = next(traits.groups(), None)
    if nulls is None:
        raise traits.failed[0][1]
    estimates: list[Estimates] = []
    blocks: list[Columns] = []
    for stage in stages(nulls, related, method, source.variants.chromosome):
        scanner, found = stage.prepare()
        estimates += found
        tested = results(source, nulls, stage, scanner, rules=method.rules, threads=threads)
        blocks += (columns for (columns,) in tested)
    notices = tuple(dict.fromkeys((*nulls.notices, *nulls.fits[0].notices)))
    for notice in notices:
        logger.info(notice)
    return ScanResult(as_table(blocks), nulls.fits[0], tuple(estimates), notices)


def _related(relationship: Any, formula: str, source: GenotypeSource, rules: ScanRules) -> Related | None:
    """The relationship of the people from what the caller gave."""
    if relationship is None:
        if isinstance(formula, str) and has_random_terms(formula):
            return None
        return (LeftOut if has_chromosomes(source) else Genomic).by(source, rules)
    if isinstance(relationship, str) and relationship == "loco":
        return LeftOut.by(source, rules)
    if isinstance(relationship, str) and relationship == "grm":
        return Genomic.by(source, rules)
    if isinstance(relationship, Genomic):
        return relationship
    if type(relationship).__module__.startswith("pandas") and hasattr(relationship, "columns"):
        if list(relationship.index) != list(relationship.columns):
            raise DataError("the columns of the relationship matrix are not named as its rows")
        relationship = RelationshipMatrix.of(relationship.to_numpy(), list(relationship.index))
    if isinstance(relationship, RelationshipMatrix):
        return Given(relationship, centred=rules.gemma)
    raise DataError(
        "relationship must be a RelationshipMatrix (hd.grm, hd.read_grm), 'loco' or 'grm'; it is a "
        f"{type(relationship).__name__}"
    )


def results(
    source: GenotypeSource,
    nulls: NullModels,
    stage: Stage,
    scanner: Scanner,
    *,
    rules: ScanRules,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[list[Columns]]:
    """Scan a stage block by block: for each block of variants, the columns of each trait's table.

    Parameters
    ----------
    source : GenotypeSource
        The variants.
    nulls : NullModels
        Models of traits that share people and fixed effects.
    stage : Stage
        Which variants.
    scanner : Scanner
        What tests them, from the stage.
    rules, threads
        As for `scan`.
    progress : callable, optional
        Called after each block with its number of variants.
    """
    from threadpoolctl import threadpool_limits

    n = nulls.people.size
    m = source.variants.m if stage.variants is None else int(np.count_nonzero(stage.variants))
    threads = threads or os.cpu_count() or 1
    basis = orthonormal(nulls.fits[0].engine.model.X)

    def work(block: VariantBlock) -> list[Columns]:
        return _tested(source, block, scanner, rules, basis)

    # Whole blocks side by side, each on one thread: so that what is no matrix product is shared out too
    workers = threads if scanner.side_by_side else 1
    size = min(block_size(n), max(1, -(-m // workers)))
    waiting: deque[Future[list[Columns]]] = deque()
    with threadpool_limits(1 if workers > 1 else threads), ThreadPoolExecutor(workers) as pool:
        for block in chain(blocks(source, nulls.people, size, keep=stage.variants), repeat(None, workers)):
            if block is not None:
                waiting.append(pool.submit(work, block))
            if waiting and (block is None or len(waiting) > workers):
                found = waiting.popleft().result()
                yield found
                if progress is not None:
                    progress(found[0]["n"].size)


def _tested(
    source: GenotypeSource, block: VariantBlock, scanner: Scanner, rules: ScanRules, basis: Array
) -> list[Columns]:
    """Columns of each trait's table for one block of variants."""
    status = rules.judge(block.counts)
    X = impute(block.take(status == OK))
    least = rules.least_squares(X)
    X -= (X @ basis) @ basis.T
    explained = np.einsum("bn,bn->b", X, X) < least
    if explained.any():
        status[np.flatnonzero(status == OK)[explained]] = EXPLAINED
        X = X[~explained]
    described = _described(source, block)
    return [_table(described, columns, status) for columns in scanner.test(X)]


def _described(source: GenotypeSource, block: VariantBlock) -> Columns:
    """What is known of a block's variants before they are tested."""
    variants = source.variants.take(block.variants)
    return {
        "chromosome": variants.chromosome,
        "base_pair_location": variants.position,
        "effect_allele": variants.effect_allele,
        "other_allele": variants.other_allele,
        "effect_allele_frequency": block.frequency,
        "rsid": variants.identifier,
        "n": block.counts.n_people - block.n_missing,
    }


def _table(described: Columns, found: Columns, status: NDArray[np.object_]) -> Columns:
    """Rows of tested variants among those of all; numbers of the others are NaN."""
    tested = status == OK
    words = status.copy()
    words[tested] = found["status"]
    columns = dict(described)
    for name, values in found.items():
        if name != "status":
            columns[name] = np.full(status.size, np.nan)
            columns[name][tested] = values
    rest = [name for name in columns if name not in FIRST]
    return {**{name: columns[name] for name in (*FIRST, *rest)}, "status": words}


def open_source(genotypes: str | Path | GenotypeSource) -> GenotypeSource:
    """Genotypes from a path, or as they are."""
    from henderson.io.plink1 import open_plink1

    if isinstance(genotypes, str | Path):
        return open_plink1(genotypes)
    if not (hasattr(genotypes, "samples") and hasattr(genotypes, "variants") and hasattr(genotypes, "read")):
        given = "" if genotypes is None else f"; a {type(genotypes).__name__} is neither"
        raise DataError(
            f"genotypes must be the path of a PLINK 1 fileset, or what hd.open_plink1 gives{given}"
        )
    if not genotypes.variants.m:
        raise DataError("the genotypes have no variants, so that there is nothing to scan")
    return genotypes
