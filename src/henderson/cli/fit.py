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
    fit = lmer(formula, data, REML=reml, weights=weights, offset=offset, subset=subset)
    sys.stdout.write(f"{fit}\n")
    if out is not None:
        _write(fit, out)


def _check_folder(prefix: str) -> None:
    """Refuse, before the work starts, a place that cannot be written to."""
    folder = Path(prefix).parent
    if not folder.is_dir():
        raise DataError(f"--out: there is no folder {folder}; make it first.")
    if not os.access(folder, os.W_OK):
        raise DataError(f"--out: the folder {folder} cannot be written to.")


def _predicted_effects(fit: "LmerResult") -> "pd.DataFrame":
    """One row per random effect: group, level, term, estimate and its (conditional) standard deviation."""
    import numpy as np
    import pandas as pd

    effects = fit.ranef()
    parts = []
    for group, table in effects.items():
        column = 0
        for variance in effects.cond_var[group]:
            for i in range(variance.shape[1]):
                name = table.columns[column]
                parts.append(
                    pd.DataFrame(
                        {
                            "group": group,
                            "level": table.index,
                            "term": name,
                            "estimate": table.iloc[:, column].to_numpy(),
                            "std_error": np.sqrt(variance[:, i, i]),
                        }
                    )
                )
                column += 1
    return pd.concat(parts, ignore_index=True)


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
