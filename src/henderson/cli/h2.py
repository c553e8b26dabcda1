"""`henderson h2`: how much of a trait goes with the relationship of people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from henderson.association.grm import grm
from henderson.association.snp_effects import snp_effects
from henderson.cli.common import Reporter, check_folder, check_memory, limited_threads
from henderson.cli.findings import heritability_line
from henderson.cli.genotype_flags import GenotypeOptions, check_genotypes, flag
from henderson.cli.genotype_options import open_selected
from henderson.cli.h2_models import BASE, each_trait, together, two_traits
from henderson.cli.kin import Kin, people_of, read_kin, unrelated_only
from henderson.cli.liability import check_prevalence, liability_columns, liability_line
from henderson.cli.relationship import related_by
from henderson.cli.runlog import RunLog
from henderson.cli.traits import check_names, read_traits
from henderson.cli.variance_tables import (
    Row,
    bivariate_sources,
    breeding_values,
    component_sources,
    heritability_row,
    source_rows,
    write_frame,
    write_rows,
)
from henderson.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from henderson.genotype import GenotypeSource
    from henderson.io.phenotypes import PhenotypeTable
    from henderson.lmm import LmerResult


@dataclass(frozen=True, slots=True, kw_only=True)
class H2Options:
    """The command's options, as `henderson h2 --help` explains them."""

    genotypes: GenotypeOptions
    pheno: str
    out: str
    grm: Sequence[str] | None
    sparse_grm: str | None
    pedigree: str | None
    grm_cutoff: float | None
    bend: bool
    pheno_name: Sequence[str] | None
    covar: str | None
    covar_name: Sequence[str] | None
    cat_covar: Sequence[str] | None
    apply_rint: bool
    prevalence: float | None
    bivariate: bool
    blup: bool
    snp_blup: bool
    threads: int | None

    @property
    def n_relationships(self) -> int:
        """How many relationships come from files."""
        return len(self.grm or ()) + (self.sparse_grm is not None) + (self.pedigree is not None)

    @property
    def flat(self) -> dict[str, Any]:
        """All options by their names on the command line; of those about genotypes, the ones given."""
        own = asdict(self)
        del own["genotypes"]
        return {**self.genotypes.given, **own}


def run_h2(options: H2Options) -> int:
    """Estimate the variances of each trait; gives the number of traits that failed."""
    _check(options)
    with limited_threads(options.threads), RunLog(f"{options.out}.h2", options=options.flat) as log:
        report = Reporter(log)
        with report.listening():
            table, formulas = read_traits(
                options.pheno,
                report,
                pheno_name=options.pheno_name,
                covar=options.covar,
                covar_name=options.covar_name,
                cat_covar=options.cat_covar,
                apply_rint=options.apply_rint,
            )
            _check_count(options, len(formulas))
            return _run(options, table, formulas, report)


def _check(options: H2Options) -> None:
    """Refuse, before anything is read or written, what cannot work."""
    check_folder(options.out)
    check_prevalence(options.prevalence)
    check_names(
        pheno_name=options.pheno_name,
        covar=options.covar,
        covar_name=options.covar_name,
        cat_covar=options.cat_covar,
        apply_rint=options.apply_rint,
    )
    if options.n_relationships:
        if options.genotypes.given:
            names = ", ".join(map(flag, options.genotypes.given))
            raise DataError(f"Give either --grm or genotypes that make such a matrix: leave out {names}.")
    elif not options.genotypes.formats:
        raise DataError("Give either --grm or genotypes that make such a matrix, such as --bfile.")
    else:
        check_genotypes(options.genotypes)
    paths = options.grm or ()
    for path in paths:
        if path.endswith(".txt"):
            raise DataError(
                f"--grm: {path} does not say who its rows are; give GCTA's .grm.bin, or an .npz "
                "of henderson grm."
            )
        if list(paths).count(path) > 1:
            raise DataError(f"--grm names {path} more than once, and one matrix has one variance.")
    _check_together(options)


def _check_together(options: H2Options) -> None:
    """Refuse options that do not go with others."""
    several = options.n_relationships > 1
    if options.bivariate and several:
        raise DataError("--bivariate takes one relationship, and there are several.")
    if options.prevalence is not None and (several or options.bivariate):
        raise DataError("--prevalence takes one relationship, and one trait at a time.")
    if options.snp_blup and options.n_relationships:
        raise DataError(
            "--snp-blup needs the genotypes that the matrix is made of: give these, such as --bfile, in the "
            "place of files."
        )
    if options.snp_blup and options.bivariate:
        raise DataError("--snp-blup gives the effects for one trait: leave out --bivariate.")
    if options.grm_cutoff is not None and options.pedigree and not (options.grm or options.sparse_grm):
        raise DataError("--grm-cutoff chooses people by a matrix, and a pedigree is none: leave it out.")


def _check_count(options: H2Options, n_traits: int) -> None:
    """Refuse more or fewer traits than an option takes."""
    if options.bivariate and n_traits != 2:
        raise DataError(
            f"--bivariate takes two traits, and there {'is 1' if n_traits == 1 else f'are {n_traits}'}: name "
            "them, as in --pheno-name height weight."
        )
    if options.snp_blup and n_traits != 1:
        raise DataError(
            f"--snp-blup gives the effects for one trait, and there are {n_traits}: name one by --pheno-name."
        )


def _run(options: H2Options, table: PhenotypeTable, formulas: Sequence[str], report: Reporter) -> int:
    kins, source = _relationships(options, report)
    if options.bend:
        kins = tuple(kin.bent() for kin in kins)
    everybody = options.blup or options.snp_blup or options.bivariate
    if len(kins) == 1 and kins[0].is_dense and options.grm_cutoff is None and not everybody:
        fits = together(table, formulas, kins[0], report)
    else:
        people = people_of(table, kins, report)
        if options.grm_cutoff is not None:
            by = next(kin for kin in kins if kin.is_matrix)
            people = unrelated_only(people, by, options.grm_cutoff, report)
        if options.bivariate:
            fits = two_traits(people, formulas, kins[0], report)
        else:
            fits = each_trait(people, formulas, kins, report)
    rows: list[Row] = []
    values: list[pd.DataFrame] = []
    for trait, fit in fits.analysed():
        rows += _rows(trait, fit, options, kins, report)
        if options.blup:
            names = ["G"] if len(kins) == 1 else [f"G{k}" for k in range(1, len(kins) + 1)]
            values += [breeding_values(fit, kin, trait, name) for kin, name in zip(kins, names, strict=True)]
        if source is not None and options.snp_blup:
            every = np.ones(source.variants.m, dtype=bool)
            effects = snp_effects(fit, source, variants=every)
            effects.save(f"{options.out}.snp.blup.tsv")
            report.line(f"effects of {effects.variants.m:,} variants: {options.out}.snp.blup.tsv")
    report.failed(fits.failed, len(formulas))
    path = f"{options.out}.{'hsq' if options.bivariate or len(kins) > 1 else 'h2'}.tsv"
    write_rows(rows, path)
    report.line(f"table: {path}")
    if options.blup:
        write_frame(values, f"{options.out}.blup.tsv")
        report.line(f"breeding values: {options.out}.blup.tsv")
    return len(fits.failed)


def _relationships(options: H2Options, report: Reporter) -> tuple[tuple[Kin, ...], GenotypeSource | None]:
    """Who is related to whom; and the genotypes, where that is known by them."""
    if options.n_relationships:
        grms = options.grm or ()
        return read_kin(grm=grms, sparse_grm=options.sparse_grm, pedigree=options.pedigree), None
    source = related_by(open_selected(options.genotypes, report), options.genotypes, report)
    report.line(check_memory(BASE + 5 * 8.0 * source.samples.n**2))
    report.line(f"computing the relationship matrix of {source.samples.n:,} people")
    G = grm(source, variants=np.ones(source.variants.m, dtype=bool))
    return (Kin.of(G, options.genotypes.path),), source


def _rows(
    trait: str, fit: LmerResult, options: H2Options, kins: Sequence[Kin], report: Reporter
) -> list[Row]:
    """What the table says of a trait; the main of it is also said on the screen."""
    if options.bivariate or len(kins) > 1:
        sources = bivariate_sources(fit) if options.bivariate else component_sources(fit, kins)
        report.line(f"{trait}: {'; '.join(map(str, sources))}; {fit.nobs:,} records")
        report.detail(f"{trait}, in full\n{fit}")
        return source_rows(trait, fit, sources)
    found = fit.heritability()
    report.line(f"{trait}: {heritability_line(found)}; {found.n:,} people")
    if options.prevalence is not None:
        report.line(f"{trait}: {liability_line(found, options.prevalence)}")
    report.detail(f"{trait}, in full\n{fit}\n\n{found}")
    return [heritability_row(trait, found) | liability_columns(found, options.prevalence)]
