"""`henderson grm` and `henderson h2`: who is related to whom, and how much of a trait goes with it."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from henderson.association.grm import grm
from henderson.association.null_models import Traits
from henderson.association.relatedness import Genomic, Given, Related
from henderson.cli.common import Reporter, check_folder, check_memory, check_plots, limited_threads
from henderson.cli.findings import heritability_line
from henderson.cli.genotype_flags import GenotypeOptions, check_genotypes, flag
from henderson.cli.genotype_options import open_selected, passing
from henderson.cli.liability import check_prevalence, liability_columns, liability_line
from henderson.cli.runlog import RunLog
from henderson.cli.traits import check_names, read_traits, trait_name
from henderson.errors import DataError
from henderson.genotype import GenotypeSource
from henderson.genotype.chromosomes import autosomal
from henderson.genotype.selection import select
from henderson.io.relationship_files import read_grm, write_grm
from henderson.io.whole_files import whole_files

if TYPE_CHECKING:
    from henderson.fit import Heritability

Scale = Literal["standardized", "centered"]


def run_grm(
    genotypes: GenotypeOptions,
    *,
    out: str,
    scale: Scale,
    missing: Literal["mean", "pairwise"],
    variance: Literal["hwe", "sample"],
    format: Literal["gcta", "gemma", "npz"],
    plots: bool,
    threads: int | None,
) -> None:
    """Compute a relationship matrix from genotypes and write it."""
    check_folder(out)
    check_genotypes(genotypes)
    check_plots(plots)
    options = {
        **genotypes.given, "out": out, "scale": scale, "missing": missing, "variance": variance,
        "format": format, "plots": plots, "threads": threads,
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


def run_h2(
    *,
    genotypes: GenotypeOptions,
    grm_path: str | None,
    pheno: str,
    pheno_name: Sequence[str] | None,
    covar: str | None,
    covar_name: Sequence[str] | None,
    cat_covar: Sequence[str] | None,
    apply_rint: bool,
    prevalence: float | None,
    out: str,
    threads: int | None,
) -> int:
    """Estimate the heritability of each trait; gives the number of traits that failed."""
    check_folder(out)
    check_prevalence(prevalence)
    check_names(
        pheno_name=pheno_name, covar=covar, covar_name=covar_name, cat_covar=cat_covar, apply_rint=apply_rint
    )
    if grm_path is None:
        if not genotypes.formats:
            raise DataError("Give either --grm or genotypes that make such a matrix, such as --bfile.")
        check_genotypes(genotypes)
    elif genotypes.given:
        names = ", ".join(map(flag, genotypes.given))
        raise DataError(f"Give either --grm or genotypes that make such a matrix: leave out {names}.")
    if grm_path is not None and grm_path.endswith(".txt"):
        raise DataError(
            f"--grm: {grm_path} does not say who its rows are; give GCTA's .grm.bin, or an .npz "
            "of henderson grm."
        )
    options = {
        **genotypes.given, "grm": grm_path, "pheno": pheno, "pheno_name": pheno_name, "covar": covar,
        "covar_name": covar_name, "cat_covar": cat_covar, "apply_rint": apply_rint, "prevalence": prevalence,
        "out": out, "threads": threads,
    }  # fmt: skip
    with limited_threads(threads), RunLog(f"{out}.h2", options=options) as log:
        report = Reporter(log)
        with report.listening():
            table, formulas = read_traits(
                pheno,
                report,
                pheno_name=pheno_name,
                covar=covar,
                covar_name=covar_name,
                cat_covar=cat_covar,
                apply_rint=apply_rint,
            )
            if grm_path is None:
                source = related_by(open_selected(genotypes, report), genotypes, report)
                samples = source.samples
                related: Related = Genomic(source, variants=np.ones(source.variants.m, dtype=bool))
                report.line(check_memory(3e8 + 5 * 8.0 * samples.n**2))
            else:
                G = read_grm(grm_path)
                samples, related = G.samples, Given(G)
            traits = Traits(formulas, table, samples, related)
            rows = []
            for group in traits.groups():
                for notice in group.notices:
                    report.once(notice)
                for response, fit in zip(group.traits, group.fits, strict=True):
                    trait, found = trait_name(response), fit.heritability()
                    rows.append(_row(trait, found) | liability_columns(found, prevalence))
                    report.line(f"{trait}: {heritability_line(found)}; {found.n:,} people")
                    if prevalence is not None:
                        report.line(f"{trait}: {liability_line(found, prevalence)}")
                    for notice in fit.notices:
                        if notice not in group.notices:
                            report.line(f"{trait}: {notice}")
                    report.detail(f"{trait}, in full\n{fit}\n\n{found}")
            report.failed(traits.failed, len(formulas))
            path = Path(f"{out}.h2.tsv")
            with whole_files(path) as [file]:
                lines = ["\t".join(rows[0]), *("\t".join(map(_shown, row.values())) for row in rows)]
                file.write(("\n".join(lines) + "\n").encode())
            report.line(f"table: {path}")
    return len(traits.failed)


def _shown(value: object) -> str:
    """A value in the table; numbers that are not known are NA."""
    return "NA" if isinstance(value, float) and isnan(value) else str(value)


def _row(trait: str, h: "Heritability") -> dict[str, object]:
    """One line of the table."""
    return {
        "trait": trait,
        "n": h.n,
        "h2": h.h2,
        "h2_se": h.h2_se,
        "pve": h.pve,
        "pve_se": h.pve_se,
        "genetic_variance": h.genetic_variance,
        "genetic_variance_se": h.genetic_variance_se,
        "residual_variance": h.residual_variance,
        "residual_variance_se": h.residual_variance_se,
        "lrt": h.lrt,
        "p_value": h.p_value,
        "loglik": h.loglik,
    }
