"""`henderson fit`: a table and a formula in, a printed model and three files out."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from henderson.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from henderson.fit import LmerResult


def fit_table(
    formula: str,
    table: str,
    *,
    reml: bool,
    weights: str | None,
    offset: str | None,
    subset: str | None,
    out: str | None,
) -> None:
    """Fit `formula` to the table in a file, print the fit and, with `out`, write it to files."""
    if out is not None:
        _check_folder(out)
    from henderson.fit import lmer
    from henderson.io.tables import read_table

    data = read_table(table)
    keep = None if subset is None else _rows(data, subset)
    fit = lmer(
        formula,
        data,
        REML=reml,
        weights=_column(data, weights, "--weights"),
        offset=_column(data, offset, "--offset"),
        subset=keep,
    )
    sys.stdout.write(f"{fit}\n")
    for notice in fit.notices:
        sys.stderr.write(f"henderson: {notice}\n")
    if out is not None:
        _write(fit, out)


def _column(data: "pd.DataFrame", name: str | None, option: str) -> str | None:
    """Check that a column named on the command line is there."""
    if name is None or name in data.columns:
        return name
    from difflib import get_close_matches

    close = get_close_matches(name, [str(column) for column in data.columns], n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the columns are {', '.join(map(str, data.columns))}."
    raise DataError(f"{option}: the table has no column {name!r}; {hint}")


def _rows(data: "pd.DataFrame", expression: str) -> "pd.Series[bool]":
    """Say for each row whether the expression holds."""
    import pandas as pd

    try:
        keep = data.eval(expression, engine="python")
    except Exception as problem:  # whatever the user's expression raises
        reason = str(problem).splitlines()[0].rstrip(".") if str(problem) else type(problem).__name__
        raise DataError(f"--subset {expression!r} cannot be evaluated: {reason}.") from None
    if not isinstance(keep, pd.Series) or not pd.api.types.is_bool_dtype(keep):
        raise DataError(
            f"--subset {expression!r} does not say yes or no for each row; "
            "compare something, as in 'age >= 18'."
        )
    if not keep.any():
        raise DataError(f"--subset {expression!r} leaves no rows.")
    return keep


def _check_folder(prefix: str) -> None:
    """Refuse, before the work starts, a place that cannot be written to."""
    folder = Path(prefix).parent
    if not folder.is_dir():
        raise DataError(f"--out: there is no folder {folder}; make it first.")
    if not os.access(folder, os.W_OK):
        raise DataError(f"--out: the folder {folder} cannot be written to.")


def _write(fit: "LmerResult", prefix: str) -> None:
    """Write the three files; each appears under its name only once it is complete."""
    writers: dict[str, Callable[[Path], object]] = {
        "tidy.tsv": lambda path: fit.tidy().to_csv(path, sep="\t", index=False, na_rep="NA"),
        "ranef.tsv": lambda path: _predicted_effects(fit).to_csv(path, sep="\t", index=False, na_rep="NA"),
        "summary.txt": lambda path: path.write_text(f"{fit}\n", encoding="utf-8"),
    }
    for ending, write in writers.items():
        final = Path(f"{prefix}.{ending}")
        partial = Path(f"{prefix}.{ending}.{os.getpid()}.partial")
        try:
            write(partial)
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)
