"""The `henderson` command."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from henderson import __version__
from henderson.errors import HendersonError

app = App(
    name="henderson",
    help="Linear mixed models in statistical genetics.",
    version=__version__,
    help_format="plaintext",
    help_epilogue='Example: henderson fit "height ~ variant1 + (1 | family)" people.csv',
)


@app.command
def fit(
    formula: Annotated[str, Parameter(show_env_var=False)],
    table: str,
    /,
    *,
    ml: Annotated[bool, Parameter(negative="")] = False,
    weights: str | None = None,
    offset: str | None = None,
    subset: str | None = None,
    out: str | None = None,
) -> None:
    """Fit a linear mixed model to a table and print it, as R's lme4 would.

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
    out
        Also write OUT.tidy.tsv, OUT.ranef.tsv and OUT.summary.txt.
    """
    import logging

    from henderson.cli.fit import fit_table

    # What the library logs about a fit stands in the printed summary already.
    logging.getLogger("henderson").addHandler(logging.NullHandler())
    fit_table(formula, table, reml=not ml, weights=weights, offset=offset, subset=subset, out=out)


@app.command
def demo() -> None:
    """Work through the primer (five people, three variants, two families) and a published experiment."""
    from rich.console import Console

    from henderson.report.primer import run_demo

    run_demo(Console(highlight=False))


def run(tokens: Sequence[str]) -> int:
    """Run one command line and give its exit status.

    Parameters
    ----------
    tokens : sequence of str
        What stands behind `henderson`.

    Returns
    -------
    int
        0; or 2, after one sentence on standard error.
    """
    try:
        command, bound, _ = app.parse_args(list(tokens), print_error=False, exit_on_error=False)
        command(*bound.args, **bound.kwargs)
    except CycloptsError as problem:
        return _refuse(f"{problem} See: henderson --help")
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
    return 0


def _refuse(problem: Any) -> int:
    """Write what is wrong to standard error."""
    sys.stderr.write(f"henderson: {problem}\n")
    return 2


def main() -> None:
    """Entry point of the `henderson` command."""
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone (`henderson fit ... | head`): nothing is wrong. What is still
        # buffered goes nowhere, so that the interpreter does not complain when it closes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
