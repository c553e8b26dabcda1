"""`henderson grm`: who is related to whom."""

from math import inf
from typing import Literal

import numpy as np

from henderson.association.grm import grm
from henderson.cli.common import Reporter, check_folder, check_memory, check_plots, limited_threads
from henderson.cli.genotype_flags import GenotypeOptions, check_genotypes
from henderson.cli.genotype_options import open_selected, passing
from henderson.cli.runlog import RunLog
from henderson.errors import DataError
from henderson.fit.cutoffs import make_sparse
from henderson.genotype import GenotypeSource
from henderson.genotype.chromosomes import autosomal
from henderson.genotype.selection import select
from henderson.io.relationship_files import write_grm
from henderson.io.sparse_grm_files import write_sparse_grm

Scale = Literal["standardized", "centered"]


def run_grm(
    genotypes: GenotypeOptions,
    *,
    out: str,
    scale: Scale,
    missing: Literal["mean", "pairwise"],
    variance: Literal["hwe", "sample"],
    format: Literal["gcta", "gemma", "npz"],
    sparse: float | None,
    plots: bool,
    threads: int | None,
) -> None:
    """Compute a relationship matrix from genotypes and write it."""
    check_folder(out)
    check_genotypes(genotypes)
    check_plots(plots)
    if sparse is not None and not 0.0 <= sparse < inf:
        raise DataError(f"--sparse must be 0 or more, the largest relationship left out; it is {sparse:g}.")
    options = {
        **genotypes.given, "out": out, "scale": scale, "missing": missing, "variance": variance,
        "format": format, "sparse": sparse, "plots": plots, "threads": threads,
    }  # fmt: skip
    with limited_threads(threads), RunLog(f"{out}.grm", options=options) as log:
        report = Reporter(log)
        with report.listening(), report.bar("variants") as progress:
            source = open_selected(genotypes, report)
            report.line(check_memory(2e8 + (3 if missing == "pairwise" else 2) * 8.0 * source.samples.n**2))
            source = related_by(source, genotypes, report)
            every = np.ones(source.variants.m, dtype=bool)
            G = grm(
                source, scale=scale, missing=missing, variance=variance, variants=every, progress=progress
            )
            endings = {"gcta": ".grm.bin", "gemma": ".cXX.txt" if scale == "centered" else ".sXX.txt"}
            path = f"{out}{endings.get(format, '.npz')}"
            write_grm(G, path, format=format)
            report.line(f"relationship matrix: {path}")
            if sparse is not None:
                kept = make_sparse(G, sparse)
                write_sparse_grm(kept, out, samples=G.samples)
                pairs = (kept.matrix.nnz - G.samples.n) // 2
                report.line(f"sparse relationship matrix: {out}.grm.sp, {pairs:,} pairs above {sparse:g}")
            if plots:
                from henderson.plots.relationship import save_plots

                report.line(f"pictures: {', '.join(map(str, save_plots(G, out)))}")


def related_by(source: GenotypeSource, genotypes: GenotypeOptions, report: Reporter) -> GenotypeSource:
    """The variants that relationships and components are made of: on autosomes, unless --chr says others."""
    if genotypes.chr is None:
        wanted = autosomal(source)
        elsewhere = int(np.count_nonzero(~wanted))
        if elsewhere == wanted.size:
            raise DataError(
                f"All variants of {genotypes.path} that were chosen are on sex chromosomes or in "
                "mitochondria; name these chromosomes (--chr) if they are to be used."
            )
        if elsewhere:
            report.line(f"{elsewhere:,} variants on sex chromosomes or in mitochondria are not used")
        source = select(source, variants=wanted)
    return passing(source, genotypes, report)
