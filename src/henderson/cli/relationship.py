"""`henderson grm` and `henderson h2`: who is related to whom, and how much of a trait goes with it."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from henderson.association.grm import grm
from henderson.association.null_models import Traits
from henderson.association.relatedness import Genomic, Given, Related
from henderson.association.rules import ScanRules
from henderson.cli.common import Reporter, check_filters, check_folder, check_memory, limited_threads
from henderson.cli.findings import heritability_line
from henderson.cli.runlog import RunLog
from henderson.cli.traits import check_names, read_traits
from henderson.errors import DataError
from henderson.genotype.blocks import variant_filter
from henderson.io.plink1 import open_plink1
from henderson.io.relationship_files import read_grm, write_grm
from henderson.io.whole_files import whole_files

if TYPE_CHECKING:
    from henderson.fit import Heritability

Scale = Literal["standardized", "centered"]


def run_grm(
    bfile: str,
    *,
    out: str,
    scale: Scale,
    missing: Literal["mean", "pairwise"],
    variance: Literal["hwe", "sample"],
    maf: float,
    geno: float,
    format: Literal["gcta", "gemma", "npz"],
    threads: int | None,
) -> None:
    """Compute a relationship matrix from genotypes and write it."""
    check_folder(out)
    check_filters(maf, geno)
    options = {
        "bfile": bfile, "out": out, "scale": scale, "missing": missing, "variance": variance, "maf": maf,
        "geno": geno, "format": format, "threads": threads,
    }  # fmt: skip
    with limited_threads(threads), RunLog(f"{out}.grm", options=options) as log:
        report = Reporter(log)
        with report.listening(), report.bar("variants") as progress:
            source = open_plink1(bfile)
            report.line(f"{bfile}: {source.samples.n:,} people, {source.variants.m:,} variants")
            report.line(check_memory(2e8 + (3 if missing == "pairwise" else 2) * 8.0 * source.samples.n**2))
            used = variant_filter(source, min_maf=maf, max_missing=geno)
            count = f"{used.sum():,} of {used.size:,}"
            report.line(f"{count} variants used; the others have one genotype, or are filtered out")
            if not used.any():
                raise DataError(
                    f"No variant of {bfile} has more than one genotype and passes --maf {maf:g} and "
                    f"--geno {geno:g}; a relationship matrix needs some."
                )
            G = grm(source, scale=scale, missing=missing, variance=variance, variants=used, progress=progress)
            endings = {"gcta": ".grm.bin", "gemma": ".cXX.txt" if scale == "centered" else ".sXX.txt"}
            path = f"{out}{endings.get(format, '.npz')}"
            write_grm(G, path, format=format)
            report.line(f"relationship matrix: {path}")


def run_h2(
    *,
    bfile: str | None,
    grm_path: str | None,
    pheno: str,
    pheno_name: Sequence[str] | None,
    covar: str | None,
    covar_name: Sequence[str] | None,
    out: str,
    threads: int | None,
) -> int:
    """Estimate the heritability of each trait; gives the number of traits that failed."""
    check_folder(out)
    check_names(pheno_name=pheno_name, covar=covar, covar_name=covar_name)
    if (bfile is None) == (grm_path is None):
        raise DataError("Give either --bfile, whose genotypes make the relationship matrix, or --grm.")
    if grm_path is not None and grm_path.endswith(".txt"):
        raise DataError(
            f"--grm: {grm_path} does not say who its rows are; give GCTA's .grm.bin, or an .npz "
            "of henderson grm."
        )
    options = {
        "bfile": bfile, "grm": grm_path, "pheno": pheno, "pheno_name": pheno_name, "covar": covar,
        "covar_name": covar_name, "out": out, "threads": threads,
    }  # fmt: skip
    with limited_threads(threads), RunLog(f"{out}.h2", options=options) as log:
        report = Reporter(log)
        with report.listening():
            table, formulas = read_traits(
                pheno, report, pheno_name=pheno_name, covar=covar, covar_name=covar_name
            )
            if bfile is not None:
                source = open_plink1(bfile)
                samples = source.samples
                related: Related = Genomic(source)
                report.line(check_memory(3e8 + 5 * 8.0 * samples.n**2))
            else:
                G = read_grm(str(grm_path))
                samples, related = G.samples, Given(G)
            traits = Traits(formulas, table, samples, related)
            rows = []
            for group in traits.groups():
                for notice in group.notices:
                    report.once(notice)
                for trait, fit in zip(group.traits, group.fits, strict=True):
                    found = fit.heritability()
                    rows.append(_row(trait, found))
                    report.line(f"{trait}: {heritability_line(found)}; {found.n:,} people")
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
