"""The `henderson` command."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter

from henderson import __version__
from henderson.cli.genotype_flags import NONE_GIVEN, GenotypeOptions
from henderson.errors import HendersonError

Names = Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")]
Genotypes = Annotated[GenotypeOptions, Parameter(name="*")]

app = App(
    name="henderson",
    help="Linear mixed models in statistical genetics.",
    version=__version__,
    help_format="plaintext",
    help_epilogue='Example: henderson fit "height ~ variant1 + (1 | family)" people.csv',
)


@app.command(help_epilogue='Example: henderson fit "height ~ variant1 + (1 | family)" people.csv')
def fit(
    formula: Annotated[str, Parameter(show_env_var=False)],
    table: str,
    /,
    *,
    ml: Annotated[bool, Parameter(negative="")] = False,
    weights: str | None = None,
    offset: str | None = None,
    subset: str | None = None,
    relationship: Names = None,
    residual: str | None = None,
    ddf: Literal["satterthwaite", "kenward-roger", "none"] = "satterthwaite",
    anova: Annotated[bool, Parameter(negative="")] = False,
    out: str | None = None,
) -> None:
    """Fit a linear mixed model to a table and print it, as R's lme4 and lmerTest would.

    Parameters
    ----------
    formula
        The model, for example "height ~ variant1 + (1 | family)".
    table
        The data: .csv, .tsv (each also .gz) or .parquet, with column names in the first line.
    ml
        Maximum likelihood instead of REML.
    weights
        Column of prior weights: a record of weight 2 has half the residual variance.
    offset
        Column added to the prediction with coefficient 1.
    subset
        Use only the rows for which this holds, for example "age >= 18 & sex == 'F'".
    relationship
        How the levels of grouping factors are related, GROUP=FILE: "iid=cohort.grm.bin" (GCTA's, dense or
        .grm.sp, or an .npz of henderson grm) or "animal=pedigree.csv" (the animal, its father, its mother).
    residual
        Structure of the residuals: "diag(sex)", a variance for each stratum; or within units,
        "us(trait | iid)", "cs(trait | iid)" or "ar1(time | iid)".
    ddf
        Degrees of freedom of the tests: Satterthwaite's, Kenward and Roger's (with their standard errors; not
        with --ml), or none, which shows t-values alone.
    anova
        Also print an F test of each term (type III).
    out
        Also write OUT.tidy.tsv, OUT.ranef.tsv and OUT.summary.txt, and OUT.anova.tsv with --anova.
    """
    import logging

    from henderson.cli.fit import fit_table

    # What the library logs about a fit stands in the printed summary already.
    logging.getLogger("henderson").addHandler(logging.NullHandler())
    by_column = {"weights": weights, "offset": offset, "subset": subset, "residual": residual}
    tests = None if ddf == "none" else ddf
    fit_table(
        formula,
        table,
        reml=not ml,
        by_column=by_column,
        relationship=relationship or (),
        ddf=tests,
        anova=anova,
        out=out,
    )


@app.command(
    help_epilogue="Example: henderson gwas --bfile cohort --pheno traits.txt --covar age_sex.txt --out scan"
)
def gwas(
    *,
    pheno: str,
    out: str,
    pheno_name: Names = None,
    covar: str | None = None,
    covar_name: Names = None,
    cat_covar: Names = None,
    apply_rint: Annotated[bool, Parameter(negative="")] = False,
    formula: Annotated[str | None, Parameter(show_env_var=False)] = None,
    grm: str | None = None,
    grm_bfile: str | None = None,
    loco: bool | None = None,
    loco_components: Literal["chromosome", "genome"] = "chromosome",
    test: Literal["exact", "null"] | None = None,
    interaction: Names = None,
    interaction_kernel: bool = True,
    condition: Names = None,
    gemma: Annotated[bool, Parameter(negative="")] = False,
    clump: Annotated[bool, Parameter(negative="")] = False,
    clump_p1: float = 1e-4,
    clump_p2: float = 1e-2,
    clump_r2: float = 0.5,
    clump_kb: float = 250.0,
    one_table: Annotated[bool, Parameter(negative="")] = False,
    pfilter: float | None = None,
    plots: bool = True,
    resume: bool | None = None,
    threads: int | None = None,
    genotypes: Genotypes = NONE_GIVEN,
) -> int:
    """Test every variant of a genome in a linear mixed model, exactly.

    While a scan runs, what is finished is kept in the folder OUT.parts, so that it can go on after it was
    stopped, killed, or ran out of room on the disk: run the same command with --resume.

    Parameters
    ----------
    pheno
        Phenotypes: columns FID and IID (or IID alone), then one column for each trait.
    out
        How the names of all files written begin: OUT.log, OUT.traits.tsv (a line for each trait), and for
        each trait OUT.TRAIT.parquet, OUT.TRAIT.tsv.gz (GWAS-SSF), OUT.TRAIT.manhattan.png and
        OUT.TRAIT.qq.png.
    pheno_name
        Traits to analyse; by default every column.
    covar
        Covariates: columns FID and IID (or IID alone), then one column for each; text becomes categories.
    covar_name
        Covariates to use; by default every column.
    cat_covar
        Covariates whose numbers are categories.
    apply_rint
        Replace each trait by normal scores of its ranks.
    formula
        The model instead, for example "height ~ age + (1 | family)": with a random effect and no --grm, there
        is no relationship matrix.
    grm
        Relationship matrix: GCTA's .grm.bin (or its prefix), GEMMA's .cXX.txt or .npz. By default it is
        computed from the genotypes of everybody who was genotyped.
    grm_bfile
        Genotypes of any format (a prefix or a file) that the relationship matrix is computed from, in the
        place of those tested.
    loco
        Test each variant with a relationship matrix that leaves its chromosome out; by default from two
        chromosomes up, unless --grm or --gemma is given.
    loco_components
        With --test null: variance components estimated with each of these matrices, or once for the genome.
    test
        exact: each variant has variance components of its own. null: those of the model without a variant, as
        always with --interaction.
    interaction
        Covariates that the effect of a variant may depend on; each must be among those used.
    interaction_kernel
        Give each of them a relationship matrix of its own, since effects in the rest of the genome may depend
        on it too; without, tests of interactions are inflated.
    condition
        Variants that are covariates: their names, or chrom:pos:effect:other where a name is not unique.
    gemma
        GEMMA's conventions: its filters (0.01, 0.05), its centred matrix, lambda in [1e-5, 1e5].
    clump
        Also gather each trait's associated variants as henderson clump does: OUT.TRAIT.clumps.tsv.
    clump_p1
        With --clump: largest p-value of a variant that starts a clump.
    clump_p2
        With --clump: the variants listed in a clump have a p-value below this.
    clump_r2
        With --clump: least squared correlation with the variant that starts it.
    clump_kb
        With --clump: largest distance from it, in thousands of base pairs.
    one_table
        Write one OUT.parquet with a column for the trait, and no text and pictures of each: for many traits.
    pfilter
        Keep only variants with a p-value up to this in the tables. Counts and lambda_GC in OUT.traits.tsv are
        over all variants.
    plots
        Draw the Manhattan and the QQ plot.
    resume
        Go on with the unfinished scan in OUT.parts, if there is one; --no-resume forgets it. By default
        an unfinished scan is neither continued nor replaced.
    threads
        Processors to use; by default all.
    """
    from henderson.cli.gwas import GwasOptions, run_gwas

    return run_gwas(
        GwasOptions(
            genotypes=genotypes,
            pheno=pheno,
            out=out,
            pheno_name=pheno_name,
            covar=covar,
            covar_name=covar_name,
            cat_covar=cat_covar,
            apply_rint=apply_rint,
            formula=formula,
            grm=grm,
            grm_bfile=grm_bfile,
            loco=loco,
            loco_components=loco_components,
            test=test,
            interaction=interaction,
            interaction_kernel=interaction_kernel,
            condition=condition,
            gemma=gemma,
            clump=clump,
            clump_p1=clump_p1,
            clump_p2=clump_p2,
            clump_r2=clump_r2,
            clump_kb=clump_kb,
            one_table=one_table,
            pfilter=pfilter,
            plots=plots,
            resume=resume,
            threads=threads,
        )
    )


@app.command(help_epilogue="Example: henderson grm --bfile cohort --out cohort")
def grm(
    *,
    out: str,
    scale: Literal["standardized", "centered"] = "standardized",
    missing: Literal["mean", "pairwise"] = "mean",
    variance: Literal["hwe", "sample"] = "hwe",
    format: Literal["gcta", "gemma", "npz"] = "npz",
    sparse: float | None = None,
    plots: Annotated[bool, Parameter(negative="")] = False,
    threads: int | None = None,
    genotypes: Genotypes = NONE_GIVEN,
) -> None:
    """Estimate from genotypes how closely people are related.

    Variants on sex chromosomes and in mitochondria are used only if --chr names them.

    Parameters
    ----------
    out
        How the names of the files written begin: OUT.grm.log and the matrix.
    scale
        standardized: variants divided by their variance (GCTA). centered: not divided (GEMMA -gk 1).
    missing
        mean: a missing call takes the mean (GEMMA). pairwise: pairs of people by the variants at which both
        were called (GCTA, PLINK).
    variance
        hwe: 2p(1 - p) (GCTA, PLINK). sample: the observed one (GEMMA -gk 2).
    format
        gcta: OUT.grm.bin, .grm.id, .grm.N.bin. gemma: OUT.cXX.txt or .sXX.txt. npz: OUT.npz.
    sparse
        Also write OUT.grm.sp and .grm.id: only relationships above this, such as 0.05 (GCTA's
        --make-bK-sparse).
    plots
        Also draw OUT.map.png, who is related to whom, and OUT.histogram.png, how many pairs of which degree.
    threads
        Processors to use; by default all.
    """
    from henderson.cli.relationship import run_grm

    run_grm(
        genotypes,
        out=out,
        scale=scale,
        missing=missing,
        variance=variance,
        format=format,
        sparse=sparse,
        plots=plots,
        threads=threads,
    )


@app.command(help_epilogue="Example: henderson h2 --pheno traits.txt --grm cohort.npz --out traits")
def h2(
    *,
    pheno: str,
    out: str,
    grm: Names = None,
    sparse_grm: str | None = None,
    pedigree: str | None = None,
    grm_cutoff: float | None = None,
    bend: Annotated[bool, Parameter(negative="")] = False,
    pheno_name: Names = None,
    covar: str | None = None,
    covar_name: Names = None,
    cat_covar: Names = None,
    apply_rint: Annotated[bool, Parameter(negative="")] = False,
    prevalence: float | None = None,
    bivariate: Annotated[bool, Parameter(negative="")] = False,
    blup: Annotated[bool, Parameter(negative="")] = False,
    snp_blup: Annotated[bool, Parameter(negative="")] = False,
    threads: int | None = None,
    genotypes: Genotypes = NONE_GIVEN,
) -> int:
    """Estimate the heritability of traits by REML.

    With several relationships, or with --bivariate, OUT.hsq.tsv has variances and their shares by the names
    of GCTA's .hsq.

    Parameters
    ----------
    pheno
        Phenotypes: columns FID and IID (or IID alone), then one column for each trait.
    out
        How the names of the files written begin: OUT.h2.log and OUT.h2.tsv (or OUT.hsq.tsv).
    grm
        Relationship matrices, GCTA's .grm.bin (or its prefix) or .npz, in the place of genotypes that make
        one. With several, each has a variance of its own, and people must be in all of them.
    sparse_grm
        GCTA's sparse relationship matrix: the prefix of its .grm.sp and .grm.id.
    pedigree
        Pedigree: columns of the animal, its father and its mother.
    grm_cutoff
        Leave out people until no two are more closely related than this, by the first matrix.
    bend
        Lift negative eigenvalues of the matrices, such as those of matrices by pairs of people (GCTA's, where
        calls are missing); what that changes is told.
    pheno_name
        Traits to analyse; by default every column.
    covar
        Covariates: columns FID and IID (or IID alone), then one column for each; text becomes categories.
    covar_name
        Covariates to use; by default every column.
    cat_covar
        Covariates whose numbers are categories.
    apply_rint
        Replace each trait by normal scores of its ranks.
    prevalence
        Share of cases in the population: adds the heritability of the liability of 0/1 traits (columns
        h2_liability and h2_liability_se).
    bivariate
        Analyse two traits together, for their genetic correlation.
    blup
        Also write OUT.blup.tsv: the breeding value of everybody in the relationship, its prediction error
        variance and its reliability.
    snp_blup
        Also write OUT.snp.blup.tsv, the effects of the variants that make up the breeding values, for
        henderson predict; needs genotypes.
    threads
        Processors to use; by default all.
    """
    from henderson.cli.h2 import H2Options, run_h2

    return run_h2(
        H2Options(
            genotypes=genotypes,
            pheno=pheno,
            out=out,
            grm=grm,
            sparse_grm=sparse_grm,
            pedigree=pedigree,
            grm_cutoff=grm_cutoff,
            bend=bend,
            pheno_name=pheno_name,
            covar=covar,
            covar_name=covar_name,
            cat_covar=cat_covar,
            apply_rint=apply_rint,
            prevalence=prevalence,
            bivariate=bivariate,
            blup=blup,
            snp_blup=snp_blup,
            threads=threads,
        )
    )


@app.command(help_epilogue="Example: henderson predict --effects traits.snp.blup.tsv --bfile new --out new")
def predict(
    *,
    effects: str,
    out: str,
    genotypes: Genotypes = NONE_GIVEN,
) -> None:
    """Predict breeding values from genotypes, by the effects of variants.

    Variants are matched by chromosome, position and alleles, whichever of the two is counted; those that are
    not there, and missing calls, count at the mean of the people that the effects were estimated in.

    Parameters
    ----------
    effects
        What henderson h2 --snp-blup wrote.
    out
        How the names of the files written begin: OUT.predict.log and OUT.predictions.tsv.
    """
    from henderson.cli.predict import run_predict

    run_predict(effects, genotypes, out=out)


@app.command(help_epilogue="Example: henderson pca --bfile cohort --maf 0.01 --out cohort")
def pca(
    *,
    out: str,
    n: int = 10,
    options: Annotated[GenotypeOptions, Parameter(name="*")] = NONE_GIVEN,
    plots: bool = True,
    threads: int | None = None,
) -> None:
    """Principal components of genotypes: where people come from, as covariates for a scan.

    Missing genotypes count at the mean; variants on autosomes are used. Variants that are hardly correlated
    (thinned, --extract) give the clearest picture. Up to 5,000 people the relationship matrix is formed; for
    more it is not, and the components are found by repeated passes over the genotypes.

    Parameters
    ----------
    out
        How the names of the files written begin: OUT.pca.log, OUT.eigenvec (FID, IID, PC1, ...: a file for
        --covar), OUT.eigenval and OUT.pca.png.
    n
        Number of components.
    plots
        Draw the first two components.
    threads
        Processors to use; by default all.
    """
    from henderson.cli.pca import run_pca

    run_pca(options, n=n, out=out, threads=threads, plots=plots)


@app.command(help_epilogue="Example: henderson clump scan.height.parquet --bfile cohort --out scan.height")
def clump(
    sumstats: str,
    /,
    *,
    out: str,
    options: Annotated[GenotypeOptions, Parameter(name="*")] = NONE_GIVEN,
    p1: float = 1e-4,
    p2: float = 1e-2,
    r2: float = 0.5,
    kb: float = 250.0,
) -> None:
    """Gather associated variants around those that stand for them, as PLINK 1.9's --clump does.

    Parameters
    ----------
    sumstats
        Summary statistics: what henderson gwas writes, or PLINK, REGENIE, BOLT-LMM, SAIGE, GEMMA, GCTA, LDAK.
    out
        How the names of the files written begin: OUT.clump.log and OUT.clumps.tsv.
    p1
        Largest p-value of a variant that starts a clump.
    p2
        The variants listed in a clump have a p-value below this.
    r2
        Least squared correlation with the variant that starts the clump.
    kb
        Largest distance from it, in thousands of base pairs.
    """
    from henderson.cli.clump import run_clump

    run_clump(sumstats, options, p1=p1, p2=p2, r2=r2, kb=kb, out=out)


@app.command(help_epilogue="Example: henderson convert scan.height.parquet --to cojo --out height.ma")
def convert(
    sumstats: str,
    /,
    *,
    to: Literal["plink2", "regenie", "bolt", "cojo", "gwas-ssf"],
    out: str,
) -> None:
    """Write summary statistics as another program does.

    Parameters
    ----------
    sumstats
        Summary statistics: what henderson gwas writes, or PLINK, REGENIE, BOLT-LMM, SAIGE, GEMMA, GCTA, LDAK.
        Columns tell the format.
    to
        The columns of plink2 (.glm.linear), regenie (step 2), bolt (BOLT-LMM), cojo (GCTA-COJO's .ma) or
        gwas-ssf (the GWAS Catalog).
    out
        The file to write; gzipped if its name ends in .gz.
    """
    from henderson.cli.convert import run_convert

    run_convert(sumstats, to=to, out=out)


@app.command
def demo() -> None:
    """Work through the primer (five people, two families), a published experiment and a small genome."""
    from rich.console import Console

    from henderson.report.primer import run_demo

    run_demo(Console(highlight=False, emoji=False))


def run(tokens: Sequence[str]) -> int:
    """Run one command line and give its exit status.

    Parameters
    ----------
    tokens : sequence of str
        What stands behind `henderson`.

    Returns
    -------
    int
        0; 1 if one of several traits could not be analysed; 2, after one sentence on standard error; or 130
        after Ctrl-C.
    """
    try:
        command, bound, _ = app.parse_args(list(tokens), print_error=False, exit_on_error=False)
        failed = command(*bound.args, **bound.kwargs)
    except CycloptsError as problem:
        return _refuse(_explained(problem))
    except HendersonError as problem:
        return _refuse(problem)
    except MemoryError:
        return _refuse("Not enough memory for this model and table.")
    except BrokenPipeError:
        raise
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        return _refuse(f"{where}{problem.strerror or problem}.")
    except KeyboardInterrupt:
        return 130
    return 1 if failed else 0


def _explained(problem: CycloptsError) -> str:
    """What is wrong with a command line, and where to read how it should be."""
    command = " ".join(("henderson", *(problem.command_chain or ())))
    said = str(problem)
    if isinstance(problem, MissingArgumentError) and problem.argument is not None:
        name = problem.argument.name
        if name not in (problem.root_input_tokens or ()):
            said = f"{command.removeprefix('henderson ')} needs {name}."
    return f"{said} See: {command} --help"


def _refuse(problem: Any) -> int:
    """Write what is wrong to standard error."""
    sys.stderr.write(f"henderson: {problem}\n")
    return 2


def _terminate(*_: Any) -> None:
    """End as after Ctrl-C, so that nothing half-written stays: batch systems end jobs in this way."""
    raise SystemExit(128 + signal.SIGTERM)


def main() -> None:
    """Entry point of the `henderson` command."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone (`henderson fit ... | head`): nothing is wrong. What is still
        # buffered goes nowhere, so that the interpreter does not complain when it closes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
