"""`henderson gwas`: genotypes and phenotypes in, a table of associations for each trait out."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from henderson.association.conditional import variant_columns
from henderson.association.interaction import split_interactions
from henderson.association.null_models import NullModels, Traits, plain
from henderson.association.relatedness import Genomic, Given, LeftOut, Related, has_chromosomes
from henderson.association.rules import ScanRules
from henderson.association.scanners import Test
from henderson.association.sources import open_genotypes
from henderson.association.stages import Components, Method
from henderson.cli.clump import ClumpOptions
from henderson.cli.common import Reporter, check_folder, check_memory, check_plots, limited_threads
from henderson.cli.findings import null_lines
from henderson.cli.genotype_options import GenotypeOptions, check_genotypes, open_selected, rules_of
from henderson.cli.gwas_run import NoModels, Scan, scan_group
from henderson.cli.gwas_tables import Output, finished, note_together, write_each, write_together
from henderson.cli.runlog import RunLog
from henderson.cli.trait_summaries import TraitSummary, write_summaries
from henderson.cli.traits import check_names, read_traits, trait_name
from henderson.engine.ratio.variants import load_kernels
from henderson.errors import DataError, FormulaError, HendersonError
from henderson.formula import has_random_terms
from henderson.formula.deparse import deparse
from henderson.formula.syntax import parse
from henderson.io.relationship_files import read_grm
from henderson.io.scan_parts import Manifest, ScanParts, scan_parts

if TYPE_CHECKING:
    from henderson.genotype import GenotypeSource

#: Python with the libraries that a scan loads, and blocks of variants.
BASE = 4.5e8
#: So many traits at most get files of their own.
MOST_FILES = 200
#: Options on which no number depends.
_NO_MATTER = ("out", "plots", "resume", "threads")


@dataclass(frozen=True, slots=True, kw_only=True)
class GwasOptions:
    """The command's options, as `henderson gwas --help` explains them."""

    genotypes: GenotypeOptions
    pheno: str
    out: str
    pheno_name: Sequence[str] | None
    covar: str | None
    covar_name: Sequence[str] | None
    cat_covar: Sequence[str] | None
    apply_rint: bool
    formula: str | None
    grm: str | None
    grm_bfile: str | None
    loco: bool | None
    loco_components: Components
    test: Test | None
    interaction: Sequence[str] | None
    interaction_kernel: bool
    condition: Sequence[str] | None
    gemma: bool
    clump: bool
    clump_p1: float
    clump_p2: float
    clump_r2: float
    clump_kb: float
    one_table: bool
    pfilter: float | None
    plots: bool
    resume: bool | None
    threads: int | None

    @property
    def rules(self) -> ScanRules:
        """Which variants are tested."""
        return rules_of(self.genotypes, ScanRules.like_gemma() if self.gemma else ScanRules())

    @property
    def clumping(self) -> ClumpOptions | None:
        """How variants are clumped; none where they are not."""
        if not self.clump:
            return None
        return ClumpOptions(p1=self.clump_p1, p2=self.clump_p2, r2=self.clump_r2, kb=self.clump_kb)

    @property
    def flat(self) -> dict[str, Any]:
        """All options by their names on the command line; of those about genotypes, the ones given."""
        own = asdict(self)
        del own["genotypes"]
        return {**self.genotypes.given, **own}

    @property
    def numbers(self) -> dict[str, Any]:
        """The options on which numbers depend."""
        return {name: value for name, value in self.flat.items() if name not in _NO_MATTER}

    @property
    def inputs(self) -> list[str | None]:
        """What is read, by the names given."""
        chosen = self.genotypes
        lists = (chosen.keep, chosen.remove, chosen.extract, chosen.exclude)
        tables = (self.pheno, self.covar, self.grm, self.grm_bfile)
        beside = (chosen.sample, chosen.update_sex)
        return [*(getattr(chosen, name) for name in chosen.formats), *beside, *lists, *tables]


def run_gwas(options: GwasOptions) -> int:
    """Scan every trait; a trait that fails does not stop the others. Gives the number that failed."""
    import pyarrow as pa

    _check(options)
    # Arrow's own allocator keeps some 50 MB that it never needs here
    pa.set_memory_pool(pa.system_memory_pool())
    manifest = Manifest.of(options.numbers, options.inputs)
    with (
        limited_threads(options.threads) as threads,
        scan_parts(Path(f"{options.out}.parts"), manifest, resume=options.resume) as parts,
        RunLog(options.out, options=options.flat, resumed=parts.resumed) as log,
    ):
        report = Reporter(log)
        with report.listening(), _told_what_is_kept(parts, report):
            return _run(options, parts, report, threads)


def _check(options: GwasOptions) -> None:
    """Refuse, before anything is read or written, what cannot work."""
    check_folder(options.out)
    check_genotypes(options.genotypes)
    check_names(
        pheno_name=options.pheno_name,
        covar=options.covar,
        covar_name=options.covar_name,
        cat_covar=options.cat_covar,
        apply_rint=options.apply_rint,
        interaction=options.interaction,
        formula=options.formula,
    )
    if options.pfilter is not None and not 0.0 < options.pfilter <= 1.0:
        raise DataError(f"--pfilter must be above 0 and at most 1, as a p-value; it is {options.pfilter:g}.")
    if options.loco and options.grm is not None:
        raise DataError(
            "--loco makes relationship matrices of genotypes, and --grm gives one for all chromosomes: leave "
            "out one of them (--grm-bfile names the genotypes to make them of)."
        )
    if options.grm is not None and options.grm_bfile is not None:
        raise DataError("--grm and --grm-bfile both say what the relationship is: leave out one of them.")
    if options.gemma and options.grm_bfile is not None:
        raise DataError(
            "--gemma makes the relationship matrix of the variants that it tests: leave out --grm-bfile, or "
            "make the matrix before (henderson grm --scale centered) and give it as --grm."
        )
    if options.clump and options.one_table:
        raise DataError(
            "--clump goes by each trait's own table, and --one-table writes none: leave one of them out, or "
            "choose the traits to clump with --pheno-name."
        )
    if options.clumping is not None:
        options.clumping.check("clump_")
    if options.interaction and options.test == "exact":
        raise DataError(
            "--interaction tests with the variance components of the model without a variant: leave out "
            "--test exact."
        )
    check_plots(options.plots and not options.one_table)


def _run(options: GwasOptions, parts: ScanParts, report: Reporter, threads: int) -> int:
    """Read, scan group by group, and write; gives the number of traits that failed."""
    # the tables first: a VCF takes long to read, only to learn of a mistake in a name
    table, formulas = read_traits(
        options.pheno,
        report,
        pheno_name=options.pheno_name,
        covar=options.covar,
        covar_name=options.covar_name,
        cat_covar=options.cat_covar,
        apply_rint=options.apply_rint,
        interaction=options.interaction,
        formula=options.formula,
    )
    formulas, method = _method(options, formulas, list(map(str, table.columns.columns)))
    report.detail(f"test: {method.test}")
    names = {_trait(formula): formula for formula in formulas}
    if len(names) > MOST_FILES and not options.one_table:
        raise DataError(
            f"{options.pheno} has {len(names):,} traits, and each would get files of its own: add "
            "--one-table, which writes one table of all of them, or choose traits with --pheno-name."
        )
    source = open_selected(options.genotypes, report)
    output = Output(
        prefix=options.out,
        options=options.numbers,
        threshold=1.0 if options.pfilter is None else options.pfilter,
        plots=options.plots,
        clump=options.clumping,
    )
    before = finished(parts)
    if before:
        report.line(f"finished before: {', '.join(before)}")
    left = [formula for name, formula in names.items() if name not in before]
    failed: list[tuple[str, HendersonError]] = []
    if left:
        related = _related(options, left, source)
        if related is not None:
            report.line(check_memory(_memory(source, related)))
            if options.loco is None and options.grm is None and not options.gemma:
                _tell_without_loco(related, report)
            if method.test == "exact":
                Thread(target=load_kernels).start()
        scan = Scan(
            source=source,
            related=related,
            method=method,
            threads=threads,
            parts=parts,
            report=report,
            one_table=options.one_table,
            threshold=output.threshold,
        )
        covariates = variant_columns(source, options.condition) if options.condition else None
        traits = Traits(left, table, source.samples, related, added=1, covariates=covariates)
        failed += _every_group(traits, scan, output, names)
        if len(failed) == len(formulas):
            parts.clear()
        report.failed(failed, len(formulas))
    summaries = finished(parts)
    if options.one_table:
        report.line(f"written: {write_together(parts, output, list(names))}")
    reasons = {_trait(formula): " ".join(str(problem).split()) for formula, problem in failed}
    rows = [summaries.get(name) or TraitSummary(trait=name, status=reasons[name]) for name in names]
    write_summaries(rows, f"{options.out}.traits.tsv")
    report.line(f"summary of the traits: {options.out}.traits.tsv")
    parts.clear()
    return sum(row.status != "ok" for row in rows)


def _method(
    options: GwasOptions, formulas: Sequence[str], columns: Sequence[str]
) -> tuple[list[str], Method]:
    """The formulas without the variant, and how it is tested; its interactions are the same in all."""
    split = [split_interactions(formula, columns) for formula in formulas]
    interactions = split[0][1]
    test = options.test or ("null" if interactions else "exact")
    method = Method(test, options.loco_components, options.rules, interactions, options.interaction_kernel)
    return [formula for formula, _ in split], method


def _related(options: GwasOptions, formulas: Sequence[str], source: "GenotypeSource") -> Related | None:
    """The relationship of the people: from a file, from genotypes, or none where formulas name groups."""
    if options.grm is not None:
        G = read_grm(options.grm, samples=source.samples)
        return Given(G, centred=options.rules.gemma)
    if options.grm_bfile is not None:
        chosen = options.genotypes
        source = open_genotypes(options.grm_bfile, build=chosen.build, autosome_num=chosen.autosome_num)
    elif any(map(has_random_terms, formulas)):
        return None
    loco = has_chromosomes(source) and not options.gemma if options.loco is None else options.loco
    return (LeftOut if loco else Genomic).by(source, options.rules)


def _tell_without_loco(related: Related, report: Reporter) -> None:
    """Say that variants are tested with a matrix that they are part of, where nobody asked for it."""
    if not isinstance(related, LeftOut):
        report.line(
            "all variants of the relationship matrix are on one chromosome, which is not left out (LOCO), "
            "and effects come out a little small: --grm-bfile takes the matrix from the whole genome"
        )


def _memory(source: "GenotypeSource", related: Related) -> float:
    """Bytes at the peak, as measured: while a matrix is decomposed beside those that are kept."""
    n = source.samples.n if related.members is None else max(source.samples.n, related.members.n)
    return BASE + (7 if isinstance(related, LeftOut) else 6) * 8.0 * n**2


def _every_group(
    traits: Traits, scan: Scan, output: Output, formulas: Mapping[str, str]
) -> list[tuple[str, HendersonError]]:
    """Scan all traits (formulas by their names), a group at a time; gives those that failed."""
    files = _file_names(list(formulas))
    failed: list[tuple[str, HendersonError]] = []
    for group in traits.groups():
        _tell_models(group, scan)
        try:
            scanned = scan_group(scan, group)
        except NoModels as problem:
            failed += [(formulas[trait_name(trait)], problem) for trait in group.traits]
            continue
        if scan.one_table:
            note_together(scan, scanned)
        else:
            write_each(scan, scanned, output, files)
    return [*failed, *traits.failed]


def _tell_models(group: NullModels, scan: Scan) -> None:
    """Say what there is to say about models without a variant; in the log only, where there are many."""
    for notice in group.notices:
        scan.report.once(notice)
    say = scan.report.detail if scan.one_table else scan.report.line
    for trait, fit in zip(group.traits, group.fits, strict=True):
        for line in null_lines(fit):
            if line not in group.notices:
                say(f"{trait_name(trait)}: {line}")


@contextmanager
def _told_what_is_kept(parts: ScanParts, report: Reporter) -> Iterator[None]:
    """Say, when a run ends before its time, how to go on with it."""
    try:
        yield
    except BaseException:
        if parts.begun:
            with contextlib.suppress(DataError):  # the disk may be full
                report.line(f"what is finished is in {parts.folder}: add --resume to go on from there")
        raise


def _trait(formula: str) -> str:
    """What files and tables call the trait of a formula."""
    response = formula.split("~", maxsplit=1)[0].strip()
    with contextlib.suppress(FormulaError):  # said better where the model is built
        response = deparse(parse(response))
    return trait_name(plain(response))


def _file_names(traits: Sequence[str]) -> dict[str, str]:
    """Traits in the names of their files, all unlike, also where upper and lower case are alike."""
    taken: set[str] = set()
    found = {}
    for trait in traits:
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in trait)
        unique, count = name, 1
        while unique.casefold() in taken:
            count += 1
            unique = f"{name}.{count}"
        taken.add(unique.casefold())
        found[trait] = unique
    return found
