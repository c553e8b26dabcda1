"""The `henderson` command."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter

from henderson import __version__
from henderson.errors import HendersonError

Names = Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")]

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
    fit_table(formula, table, reml=not ml, by_column=by_column, ddf=tests, anova=anova, out=out)


@app.command(
    help_epilogue="Example: henderson gwas --bfile cohort --pheno traits.txt --covar age_sex.txt --out scan"
)
def gwas(
    *,
    bfile: str,
    pheno: str,
    out: str,
    pheno_name: Names = None,
    covar: str | None = None,
    covar_name: Names = None,
    formula: Annotated[str | None, Parameter(show_env_var=False)] = None,
    grm: str | None = None,
    loco: bool | None = None,
    loco_components: Literal["chromosome", "genome"] = "chromosome",
    test: Literal["exact", "null"] = "exact",
    maf: float | None = None,
    geno: float | None = None,
    gemma: Annotated[bool, Parameter(negative="")] = False,
    plots: bool = True,
    threads: int | None = None,
) -> int:
    """Test every variant of a genome in a linear mixed model, exactly.

    Parameters
    ----------
    bfile
        PLINK 1 fileset: the prefix of its .bed, .bim and .fam files. The effect allele is A1, column 5 of the
        .bim file.
    pheno
        Phenotypes: columns FID and IID (or IID alone), then one column for each trait.
    out
        How the names of all files written begin: OUT.log, and for each trait OUT.TRAIT.parquet,
        OUT.TRAIT.tsv.gz (GWAS-SSF), OUT.TRAIT.manhattan.png and OUT.TRAIT.qq.png.
    pheno_name
        Traits to analyse; by default every column.
    covar
        Covariates: columns FID and IID (or IID alone), then one column for each; text becomes categories.
    covar_name
        Covariates to use; by default every column.
    formula
        The model instead, for example "height ~ age + (1 | family)": with a random effect and no --grm, there
        is no relationship matrix.
    grm
        Relationship matrix: GCTA's .grm.bin (or its prefix), GEMMA's .cXX.txt or .npz. By default it is
        computed from the genotypes of everybody in the fileset.
    loco
        Test each variant with a relationship matrix that leaves its chromosome out; by default from two
        chromosomes up, unless --grm or --gemma is given.
    loco_components
        With --test null: variance components estimated with each of these matrices, or once for the genome.
    test
        exact: each variant has variance components of its own. null: those of the model without a variant.
    maf
        Leave out variants whose rarer allele is rarer than this among the people analysed; by default only
        those with one genotype.
    geno
        Leave out variants missing in a larger proportion of the people analysed than this; by default none.
    gemma
        GEMMA's conventions: its filters (0.01, 0.05), its centred matrix, lambda in [1e-5, 1e5].
    plots
        Draw the Manhattan and the QQ plot.
    threads
        Processors to use; by default all.
    """
    from henderson.cli.gwas import GwasOptions, run_gwas

    return run_gwas(
        GwasOptions(
            bfile=bfile,
            pheno=pheno,
            out=out,
            pheno_name=pheno_name,
            covar=covar,
            covar_name=covar_name,
            formula=formula,
            grm=grm,
            loco=loco,
            loco_components=loco_components,
            test=test,
            maf=maf,
            geno=geno,
            gemma=gemma,
            plots=plots,
            threads=threads,
        )
    )


@app.command(help_epilogue="Example: henderson grm --bfile cohort --out cohort")
def grm(
    *,
    bfile: str,
    out: str,
    scale: Literal["standardized", "centered"] = "standardized",
    missing: Literal["mean", "pairwise"] = "mean",
    variance: Literal["hwe", "sample"] = "hwe",
    maf: float = 0.0,
    geno: float = 1.0,
    format: Literal["gcta", "gemma", "npz"] = "npz",
    threads: int | None = None,
) -> None:
    """Estimate from genotypes how closely people are related.

    Parameters
    ----------
    bfile
        PLINK 1 fileset: the prefix of its .bed, .bim and .fam files.
    out
        How the names of the files written begin: OUT.grm.log and the matrix.
    scale
        standardized: variants divided by their variance (GCTA). centered: not divided (GEMMA -gk 1).
    missing
        mean: a missing call takes the mean (GEMMA). pairwise: pairs of people by the variants at which both
        were called (GCTA, PLINK).
    variance
        hwe: 2p(1 - p) (GCTA, PLINK). sample: the observed one (GEMMA -gk 2).
    maf
        Leave out variants whose rarer allele is rarer than this.
    geno
        Leave out variants missing in a larger proportion of the people than this.
    format
        gcta: OUT.grm.bin, .grm.id, .grm.N.bin. gemma: OUT.cXX.txt or .sXX.txt. npz: OUT.npz.
    threads
        Processors to use; by default all.
    """
    from henderson.cli.relationship import run_grm

    run_grm(
        bfile,
        out=out,
        scale=scale,
        missing=missing,
        variance=variance,
        maf=maf,
        geno=geno,
        format=format,
        threads=threads,
    )


@app.command(help_epilogue="Example: henderson h2 --pheno traits.txt --grm cohort.npz --out traits")
def h2(
    *,
    pheno: str,
    out: str,
    bfile: str | None = None,
    grm: str | None = None,
    pheno_name: Names = None,
    covar: str | None = None,
    covar_name: Names = None,
    threads: int | None = None,
) -> int:
    """Estimate the heritability of traits by REML.

    Parameters
    ----------
    pheno
        Phenotypes: columns FID and IID (or IID alone), then one column for each trait.
    out
        How the names of the files written begin: OUT.h2.log and OUT.h2.tsv.
    bfile
        PLINK 1 fileset whose genotypes make the relationship matrix.
    grm
        Relationship matrix instead: GCTA's .grm.bin (or its prefix), or .npz.
    pheno_name
        Traits to analyse; by default every column.
    covar
        Covariates: columns FID and IID (or IID alone), then one column for each; text becomes categories.
    covar_name
        Covariates to use; by default every column.
    threads
        Processors to use; by default all.
    """
    from henderson.cli.relationship import run_h2

    return run_h2(
        bfile=bfile,
        grm_path=grm,
        pheno=pheno,
        pheno_name=pheno_name,
        covar=covar,
        covar_name=covar_name,
        out=out,
        threads=threads,
    )


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
