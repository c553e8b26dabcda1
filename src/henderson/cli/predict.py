"""`henderson predict`: breeding values of genotyped people, from the effects of variants."""

from henderson.association.effects_table import read_snp_effects
from henderson.association.pca_loadings import write_tabbed
from henderson.cli.common import Reporter, check_folder
from henderson.cli.genotype_flags import GenotypeOptions, check_genotypes
from henderson.cli.genotype_options import open_selected
from henderson.cli.runlog import RunLog


def run_predict(effects: str, genotypes: GenotypeOptions, *, out: str) -> None:
    """Add up the effects of variants in everybody, and write what comes of it."""
    check_folder(out)
    check_genotypes(genotypes)
    said = {**genotypes.given, "effects": effects, "out": out}
    with RunLog(f"{out}.predict", options=said) as log:
        report = Reporter(log)
        with report.listening():
            known = read_snp_effects(effects)
            report.line(f"{effects}: effects of {known.variants.m:,} variants")
            source = open_selected(genotypes, report)
            found = known.predict(source)
            used = found["n_variants_used"]
            report.line(f"{len(found):,} people, with calls at {used.min():,} to {used.max():,} of them")
            path = f"{out}.predictions.tsv"
            write_tabbed(found, path)
            report.line(f"predictions: {path}")
