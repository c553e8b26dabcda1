"""`henderson fit`: a table and a formula in, a printed model and three files out."""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from henderson.cli.common import check_folder
from henderson.errors import DataError
from henderson.io.whole_files import whole_files

if TYPE_CHECKING:
    import pandas as pd

    from henderson.inference.denominator import Ddf
    from henderson.lmm import LmerResult


_ON_LABELS = {"==", "!=", "%in%"}
_TO_LABELS = {
    *("factor", "as.factor", "ordered", "as.ordered", "as.character"),
    *("relevel", "droplevels", "interaction", "C"),
}


def fit_table(
    formula: str,
    table: str,
    *,
    reml: bool,
    by_column: Mapping[str, Any],
    relationship: Sequence[str] = (),
    ddf: "Ddf | None",
    anova: bool,
    out: str | None,
) -> None:
    """Fit `formula` to the table in a file, print the fit and, with `out`, write it to files.

    `by_column` are weights, offset, subset and residual; `relationship` says GROUP=FILE.
    """
    if anova and ddf is None:
        raise DataError("--anova needs degrees of freedom: leave --ddf none out")
    files = _files_by_group(relationship)
    if out is not None:
        check_folder(out)
    from henderson.io.tables import read_table
    from henderson.lmm import lmer

    numbers = filter(None, (by_column["weights"], by_column["offset"]))
    data = read_table(
        table,
        numbers={*_numbers(formula, by_column["subset"]), *numbers},
        labels=_names_of_related(formula, files),
    )
    related, notices = _read_relationships(files)
    fit = lmer(formula, data, REML=reml, relationship=related or None, **by_column)
    given = {"data": table, **by_column}
    used = "".join(f"{what.capitalize()}: {value}\n" for what, value in given.items() if value is not None)
    used += "".join(f"Relationship of {group}: {path}\n" for group, path in files.items())
    used += "".join(f"{notice}\n" for notice in notices)
    summary = f"{used}{fit.summary(ddf=ddf)}\n"
    tables = {"tidy": fit.tidy(ddf=ddf), "ranef": _predicted_effects(fit)}
    if anova and ddf is not None:
        tests = fit.anova(ddf=ddf)
        shown = tests.drop(columns="neg_log_10_p_value").to_string(float_format="%.5g")
        if tests.empty:
            shown = "none: no term beside the intercept"
        summary += f"\nF tests of the terms (type III):\n{shown}\n"
        tables["anova"] = tests.rename_axis("term").reset_index()
    sys.stdout.write(summary)
    if out is not None:
        _write(tables, summary, out)


def _files_by_group(given: Sequence[str]) -> dict[str, str]:
    """The file of each grouping factor, from GROUP=FILE."""
    files: dict[str, str] = {}
    for text in given:
        group, _, path = (part.strip() for part in text.partition("="))
        if not group or not path:
            raise DataError(
                f"--relationship: {text!r} is not a grouping factor and a file, as in iid=cohort.grm.bin"
            )
        if group in files:
            raise DataError(f"--relationship names the grouping factor {group!r} more than once")
        files[group] = path
    return files


def _read_relationships(files: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """What `lmer` takes as relationship, and what had to be mended in pedigrees."""
    from henderson.cli.kin import read_related

    related = {group: read_related(path) for group, path in files.items()}
    notices = [
        f"{files[group]}: {notice}"
        for group, found in related.items()
        for notice in getattr(found, "notices", ())
    ]
    return related, notices


def _names_of_related(formula: str, groups: Collection[str]) -> set[str]:
    """The columns whose values are looked up in a relationship, and so must stay as they are written."""
    from henderson.formula import names_in, parse_formula

    found = [bar.group for bar in parse_formula(formula).bars]
    related = [group.label for group in found if {group.label, *group.parts}.intersection(groups)]
    return set().union(*map(names_in, related))


def _numbers(formula: str, subset: str | None) -> set[str]:
    """The columns that may be meant as numbers: not the groups, nor what is used as labels."""
    from henderson.formula import parse_formula
    from henderson.formula.syntax import Binary, Call, Name, Paren, Unary, parse

    parsed = parse_formula(formula)
    terms = [parsed.fixed, *(bar.effects for bar in parsed.bars)]
    nodes = [parsed.response, *(node for term in terms for node in term.variables + term.offsets)]
    if subset is not None:
        nodes.append(parse(subset))
    found = set()
    while nodes:
        match nodes.pop():
            case Name(name):
                found.add(name)
            case Binary(op, left, right) if op not in _ON_LABELS:
                nodes += [left, right]
            case Unary(_, inner) | Paren(inner):
                nodes.append(inner)
            case Call(function, arguments) if function not in _TO_LABELS:
                nodes += [argument for _, argument in arguments]
    return found


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
                            "std_error": np.sqrt(np.maximum(variance[:, i, i], 0.0)),
                        }
                    )
                )
                column += 1
    return pd.concat(parts, ignore_index=True)


def _write(tables: "Mapping[str, pd.DataFrame]", summary: str, prefix: str) -> None:
    """Write the files; each appears under its name only once it is complete."""
    writers: dict[str, Callable[[BinaryIO], object]] = {
        f"{name}.tsv": partial(table.to_csv, sep="\t", index=False, na_rep="NA")
        for name, table in tables.items()
    }
    writers["summary.txt"] = lambda file: file.write(summary.encode())
    with whole_files(*(f"{prefix}.{ending}" for ending in writers)) as files:
        for write, file in zip(writers.values(), files, strict=True):
            write(file)
