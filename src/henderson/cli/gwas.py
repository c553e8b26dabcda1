"""`henderson gwas`: genotypes and phenotypes in, a table of associations for each trait out."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np

from henderson.association.null_models import NullModels, Traits
from henderson.association.relatedness import Genomic, Given, LeftOut, Related, has_chromosomes
from henderson.association.rules import ScanRules
from henderson.association.scan import results
from henderson.association.scanners import Test
from henderson.association.stages import Components, Method, stages
from henderson.cli.common import (
    Reporter,
    check_filters,
    check_folder,
    check_memory,
    give_back_memory,
    limited_threads,
)
from henderson.cli.findings import NEEDED, null_lines, scan_lines
from henderson.cli.runlog import RunLog
from henderson.cli.traits import check_names, read_traits
from henderson.engine.ratio.variants import load_kernels
from henderson.errors import DataError
from henderson.formula import has_random_terms
from henderson.io.plink1 import open_plink1
from henderson.io.relationship_files import read_grm
from henderson.io.scan_files import scan_writer
from henderson.io.scan_ssf import chromosome_codes

if TYPE_CHECKING:
    from henderson.genotype import GenotypeSource

#: Python with the libraries that a scan loads.
BASE = 3e8


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
    loco: bool | None
    loco_components: Components
    test: Test
    maf: float | None
    geno: float | None
    gemma: bool
    plots: bool
    threads: int | None

    @property
    def method(self) -> Method:
        """How variants are tested."""
        return Method(self.test, self.loco_components, self.rules)

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
    import pyarrow as pa

    _check(options)
    # Arrow's own allocator keeps some 50 MB that it never needs here
    pa.set_memory_pool(pa.system_memory_pool())
    with limited_threads(options.threads) as threads, RunLog(options.out, options=asdict(options)) as log:
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
            related = _related(options, formulas, source)
            if related is not None:
                report.line(check_memory(_memory(source)))
                Thread(target=load_kernels).start()
            traits = Traits(formulas, table, source.samples, related, added=1)
            taken: set[str] = set()
            for group in traits.groups():
                names = [_file_name(trait, taken) for trait in group.traits]
                _scan(group, related, source, options, names=names, threads=threads, report=report)
            report.failed(traits.failed, len(formulas))
    return len(traits.failed)


def _check(options: GwasOptions) -> None:
    """Refuse, before anything is read or written, what cannot work."""
    check_folder(options.out)
    check_filters(options.maf, options.geno)
    check_names(
        pheno_name=options.pheno_name,
        covar=options.covar,
        covar_name=options.covar_name,
        formula=options.formula,
    )
    if options.plots and find_spec("matplotlib") is None:
        raise DataError(
            'The plots need matplotlib: install it with  pip install "henderson[plot]", or add --no-plots.'
        )


def _related(options: GwasOptions, formulas: Sequence[str], source: "GenotypeSource") -> Related | None:
    """The relationship of the people: from a file, from the genotypes, or none where formulas name groups."""
    if options.grm is not None:
        G = read_grm(options.grm, samples=source.samples)
        return Given(G, centred=options.rules.gemma)
    if any(map(has_random_terms, formulas)):
        return None
    loco = has_chromosomes(source) and not options.gemma if options.loco is None else options.loco
    return (LeftOut if loco else Genomic).by(source, options.rules)


def _memory(source: "GenotypeSource") -> float:
    """Bytes at the peak: the relationship matrix, that of the people analysed, and its eigenvectors."""
    return BASE + 5 * 8.0 * source.samples.n**2


def _scan(
    group: NullModels,
    related: Related | None,
    source: "GenotypeSource",
    options: GwasOptions,
    *,
    names: Sequence[str],
    threads: int,
    report: Reporter,
) -> None:
    """Scan the traits that share people and covariates, block by block, each into files of its own."""
    for notice in group.notices:
        report.once(notice)
    traits = group.traits
    for trait, fit in zip(traits, group.fits, strict=True):
        for line in null_lines(fit):
            if line not in group.notices:
                report.line(f"{trait}: {line}")
    give_back_memory()
    n = int(group.people.size)
    prefixes = [f"{options.out}.{name}" for name in names]
    described = {**asdict(options), "people": n}
    codes = chromosome_codes(np.unique(source.variants.chromosome).tolist())
    with ExitStack() as files:
        writers = [
            files.enter_context(scan_writer(prefix, {**described, "trait": trait}, chromosomes=codes))
            for prefix, trait in zip(prefixes, traits, strict=True)
        ]
        progress = files.enter_context(report.bar("variants"))
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress(done, source.variants.m)

        for stage in stages(group, related, options.method, source.variants.chromosome):
            scanner, estimates = stage.prepare()
            for trait, found in zip(traits, estimates, strict=False):
                if stage.name:
                    report.line(f"{trait}: without chromosome {stage.name}: h2 {found.h2:.4f}")
            tested = results(
                source, group, stage, scanner, rules=options.rules, threads=threads, progress=advance
            )
            for block in tested:
                for writer, columns in zip(writers, block, strict=True):
                    writer.write(columns)
    for trait, prefix in zip(traits, prefixes, strict=True):
        _conclude(trait, prefix, n, plots=options.plots, report=report)


def _conclude(trait: str, prefix: str, n_people: int, *, plots: bool, report: Reporter) -> None:
    """Say what came out, and draw it."""
    from pyarrow.parquet import ParquetFile

    written = [f"{prefix}.parquet", f"{prefix}.tsv.gz"]
    # read again rather than kept, so that many traits need the memory of one
    with ParquetFile(written[0]) as file:
        table = file.read(columns=list(NEEDED)).to_pandas()
    for line in scan_lines(table, n_people):
        report.line(f"{trait}: {line}")
    if plots and table["neg_log_10_p_value"].notna().any():
        from henderson.plots.genome import save_plots

        written += map(str, save_plots(table, prefix, title=trait))
    report.line(f"{trait}: written: {', '.join(written)}")


def _file_name(trait: str, taken: set[str]) -> str:
    """The trait in the names of its files, unlike those taken, also where upper and lower case are alike."""
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in trait)
    unique, count = name, 1
    while unique.casefold() in taken:
        count += 1
        unique = f"{name}.{count}"
    taken.add(unique.casefold())
    return unique
