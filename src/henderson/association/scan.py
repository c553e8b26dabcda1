"""`scan`: one mixed model for each variant of a genome."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from henderson.association.columns import Columns
from henderson.association.conditional import variant_columns
from henderson.association.interaction import split_interactions
from henderson.association.null_models import NullModels, Traits
from henderson.association.passes import admit, described, in_order, most_variants, over_blocks
from henderson.association.plain import PlainRegression
from henderson.association.relatedness import Genomic, related_of
from henderson.association.result import ScanResult, as_table
from henderson.association.rules import OK, ScanRules
from henderson.association.scanners import Scanner, Test, orthonormal
from henderson.association.sources import open_source
from henderson.association.stages import Components, Estimates, Method, Stage, stages
from henderson.covariance import RelationshipMatrix
from henderson.engine.ratio.variants import load_kernels
from henderson.errors import DataError
from henderson.genotype import GenotypeSource
from henderson.genotype.blocks import VariantBlock
from henderson.io.phenotypes import PhenotypeTable, phenotypes_of

Array = NDArray[np.float64]
logger = logging.getLogger("henderson")


def scan(
    formula: str,
    data: Any,
    genotypes: str | Path | GenotypeSource,
    *,
    relationship: RelationshipMatrix | Genomic | Literal["loco", "grm"] | None = None,
    test: Test | None = None,
    loco_components: Components = "chromosome",
    interaction_kernel: bool = True,
    condition: Sequence[str] = (),
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
        effects: ``"height ~ age + (1 | family)"``. ``snp`` stands for the variant where its effect may depend
        on a covariate: ``"height ~ age + sex + snp:age"``.
    data : pandas, polars or pyarrow table, or dict of arrays
        One row per person; columns FID and IID, or IID alone, say who it is.
    genotypes : str, Path or GenotypeSource
        The path of genotypes of any format (`open_genotypes`), or genotypes that were opened before.
    relationship : "loco", "grm", RelationshipMatrix or square pandas DataFrame, optional
        Relationship of the people. ``"loco"``: each variant is tested with a matrix that leaves its
        chromosome out (`loco`, with other conventions). ``"grm"``: with the same matrix, of all people
        genotyped, from all variants on autosomes that vary, standardised by 2p(1 - p). Or one that is at hand
        (`grm`, `read_grm`, a frame with IIDs as index and columns). By default ``"loco"``, or ``"grm"`` where
        there is one chromosome; and none where the formula names random effects.
    test : {"exact", "null"}, optional
        Whether each variant has variance components of its own, as by default, or those of the model without
        a variant, as always with interactions.
    loco_components : {"chromosome", "genome"}
        With ``test="null"`` and ``"loco"``: whether components are estimated with each of the matrices, or
        once with that of the whole genome.
    interaction_kernel : bool
        With interactions: whether effects in the rest of the genome may depend on the covariate too, which
        has a relationship matrix of its own for that. Without it, tests of interactions are inflated.
    condition : sequence of str
        Variants that are covariates: their names, or chrom:pos:effect:other where a name is not unique.
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
    if not (rules is None or isinstance(rules, ScanRules)):
        raise DataError(f"rules must be hd.ScanRules(...), not a {type(rules).__name__}")
    if not (threads is None or (isinstance(threads, int | np.integer) and threads >= 1)):
        raise DataError(f"threads must be a whole number from 1 up; it is {threads!r}")
    source = open_source(genotypes)
    table = data if isinstance(data, PhenotypeTable) else phenotypes_of(data)
    interactions: tuple[str, ...] = ()
    if isinstance(formula, str):  # what else it may be, is refused below
        formula, interactions = split_interactions(formula, list(table.columns.columns))
    test = test or ("null" if interactions else "exact")
    method = Method(test, loco_components, rules or ScanRules(), interactions, interaction_kernel)
    method.rules.check(source)
    related = related_of(relationship, formula, source, method.rules)
    if related is not None and test == "exact":
        Thread(target=load_kernels).start()
    covariates = variant_columns(source, [condition] if isinstance(condition, str) else condition)
    traits = Traits([formula], table, source.samples, related, added=1, covariates=covariates)
    nulls = next(traits.groups(), None)
    if nulls is None:
        raise traits.failed[0][1]
    estimates: list[Estimates] = []
    blocks: list[Columns] = []
    for stage in stages(nulls, related, method, source.variants.chromosome):
        scanner, components = stage.prepare()
        estimates += components
        tested = results(source, nulls, stage, scanner, rules=method.rules, threads=threads)
        blocks += (columns for (columns,) in tested)
    notices = tuple(dict.fromkeys((*nulls.notices, *nulls.fits[0].notices)))
    for notice in notices:
        logger.info(notice)
    return ScanResult(
        nulls.traits[0], as_table(blocks), nulls.fits[0], tuple(estimates), source, nulls.people, notices
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
    basis = orthonormal(nulls.fits[0].engine.model.X)
    plain = PlainRegression(basis, np.column_stack([fit.engine.model.y for fit in nulls.fits]))

    def work(block: VariantBlock) -> list[Columns]:
        given = admit(block, rules, basis)
        known = described(source, block)
        beside = plain.test(given.X, given.missing)
        tables = scanner.test(given.copies if scanner.as_they_are else given.X)
        return [
            _table(known, {**found, **beside.columns(k, slice(None))}, given.status)
            for k, found in enumerate(tables)
        ]

    for tables in over_blocks(
        source,
        nulls.people,
        stage.variants,
        work,
        side_by_side=scanner.side_by_side,
        threads=threads,
        most=most_variants(len(nulls.fits)),
    ):
        yield tables
        if progress is not None:
            progress(tables[0]["n"].size)


def _table(described: Columns, found: Columns, status: NDArray[np.object_]) -> Columns:
    """Rows of tested variants among those of all; numbers of the others are NaN."""
    tested = status == OK
    words = status.copy()
    words[tested] = found["status"]
    columns: Columns = {**described, "status": words}
    for name, values in found.items():
        if name != "status":
            columns[name] = np.full(status.size, np.nan)
            columns[name][tested] = values
    return in_order(columns)
