"""`henderson gwas`: genotypes and phenotypes in, a table of associations for each trait out."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from henderson.association.null_models import NullModels, Related, Traits
from henderson.association.rules import ScanRules
from henderson.association.scan import results
from henderson.association.scanners import Columns, Test
from henderson.cli.common import Reporter, check_folder, check_memory, limited_threads
from henderson.cli.runlog import RunLog
from henderson.cli.traits import read_traits
from henderson.formula import has_random_terms
from henderson.io.plink1 import open_plink1
from henderson.io.relationship_files import read_grm
from henderson.io.scan_files import scan_writer
from henderson.linalg.inflation import lambda_gc

if TYPE_CHECKING:
    import pandas as pd

    from henderson.genotype import GenotypeSource

#: Python with the libraries that a scan loads.
BASE = 3e8
PLOTTED = ("chromosome", "base_pair_location", "neg_log_10_p_value", "rsid")
SHOWN = ("rsid", "chromosome", "base_pair_location", "effect_allele", "effect_allele_frequency", "beta")


@dataclass(frozen=True, slots=True, kw_only=True)
class GwasOptions:
    """The command's options, as `henderson gwas --help` explains them."""

    bfile: str
    pheno: str
    out: str
    pheno_name: Sequence[str] | None
    covar: str | None
    covar_name: Sequence[str] | None
    formula: str | None
    grm: str | None
    test: Test
    maf: float | None
    geno: float | None
    gemma: bool
    plots: bool
    threads: int | None

    @property
    def rules(self) -> ScanRules:
        """Which variants are tested."""
        base = ScanRules.like_gemma() if self.gemma else ScanRules()
        return ScanRules(
            min_maf=base.min_maf if self.maf is None else self.maf,
            max_missing=base.max_missing if self.geno is None else self.geno,
            gemma=self.gemma,
        )


def run_gwas(options: GwasOptions) -> int:
    """Scan every trait; a trait that fails does not stop the others. Gives the number that failed."""
    check_folder(options.out)
    rules = options.rules
    with RunLog(options.out, options=asdict(options)) as log, limited_threads(options.threads) as threads:
        report = Reporter(log)
        with report.listening():
            source = open_plink1(options.bfile)
            report.line(f"{options.bfile}: {source.samples.n:,} people, {source.variants.m:,} variants")
            table, formulas = read_traits(
                options.pheno,
                report,
                pheno_name=options.pheno_name,
                covar=options.covar,
                covar_name=options.covar_name,
                formula=options.formula,
            )
            related = None
            if options.grm is not None:
                G = read_grm(options.grm, samples=source.samples)
                related = Related.given(G, centred=rules.gemma)
            elif not any(map(has_random_terms, formulas)):
                related = Related.genomic(source, rules)
            if related is not None:
                report.line(check_memory(_memory(source)))
            traits = Traits(formulas, table, source.samples, related)
            for group in traits.groups():
                _scan(group, source, options, threads, report)
            report.failed(traits.failed, len(formulas))
    return len(traits.failed)


def _memory(source: "GenotypeSource") -> float:
    """Bytes at the peak: the relationship matrix, that of the people analysed, and its eigenvectors."""
    return BASE + 5 * 8.0 * source.samples.n**2


def _scan(
    group: NullModels, source: "GenotypeSource", options: GwasOptions, threads: int, report: Reporter
) -> None:
    """Scan the traits that share people and covariates, block by block, each into files of its own."""
    for notice in group.notices:
        report.line(notice)
    for trait, fit in zip(group.traits, group.fits, strict=True):
        for line in _about(trait, fit):
            report.line(line)
    prefixes = [f"{options.out}.{_file_name(trait)}" for trait in group.traits]
    kept: list[list[Columns]] = [[] for _ in group.traits]
    described = {**asdict(options), "people": int(group.people.size)}
    with ExitStack() as files:
        writers = [
            files.enter_context(scan_writer(prefix, {**described, "trait": trait}))
            for prefix, trait in zip(prefixes, group.traits, strict=True)
        ]
        progress = files.enter_context(report.bar("variants"))
        found = results(
            source, group, test=options.test, rules=options.rules, threads=threads, progress=progress
        )
        for block in found:
            for writer, columns, own in zip(writers, block, kept, strict=True):
                writer.write(columns)
                own.append({name: columns[name] for name in {*PLOTTED, *SHOWN, "status", "p_value"}})
    for trait, prefix, own in zip(group.traits, prefixes, kept, strict=True):
        _conclude(trait, prefix, own, plots=options.plots, report=report)


def _about(trait: str, fit: Any) -> list[str]:
    """The model without a variant in a few lines."""
    lines = [f"{trait}: {fit.nobs:,} people; fixed effects: {', '.join(fit.fixef.index)}"]
    if any(t.group == "iid" for t in fit.varcorr) and len(fit.varcorr) == 1:
        h = fit.heritability()
        lines.append(f"{trait}: vg {h.genetic_variance:.6g}, ve {h.residual_variance:.6g}")
        lines.append(
            f"{trait}: h2 = vg / (vg + ve) {h.h2:.4f} (SE {h.h2_se:.4f}); share of sample variance "
            f"{h.pve:.4f} (SE {h.pve_se:.4f})"
        )
    else:
        parts = [f"{t.label} {v:.6g}" for t in fit.varcorr for v in np.diag(t.covariance)]
        lines.append(f"{trait}: variances: {', '.join([*parts, f'residual {fit.sigma**2:.6g}'])}")
    return [*lines, *(f"{trait}: {notice}" for notice in fit.notices)]


def _conclude(trait: str, prefix: str, own: list[Columns], *, plots: bool, report: Reporter) -> None:
    """Say what came out, and draw it."""
    from henderson.association.result import as_table

    table = as_table(own)
    tested = int(table["p_value"].notna().sum())
    report.line(f"{trait}: {tested:,} of {len(table):,} variants tested")
    for status, count in table["status"].value_counts().items():
        report.line(f"{trait}: {count:,} {status}")
    if tested:
        report.line(f"{trait}: lambda_GC {lambda_gc(table['neg_log_10_p_value'].to_numpy()):.4f}")
        report.line(_top(table))
    if plots and tested:
        from henderson.plots.genome import save_plots

        for path in save_plots(table, prefix, title=trait):
            report.line(f"{trait}: {path}")
    report.line(f"{trait}: {prefix}.parquet, {prefix}.tsv.gz")


def _top(table: "pd.DataFrame") -> str:
    """The variants with the smallest p-values."""
    best = table.nlargest(5, "neg_log_10_p_value")
    return best[[*SHOWN, "neg_log_10_p_value"]].to_string(index=False, float_format="{:.4g}".format)


def _file_name(trait: str) -> str:
    """The trait in the name of a file."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in Path(trait).name)
