"""Phenotypes and covariates from files, and the formula of each trait."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from henderson.errors import DataError
from henderson.io.alignment import join_tables
from henderson.io.frame import closest
from henderson.io.phenotypes import PhenotypeTable, read_phenotypes

if TYPE_CHECKING:
    from henderson.cli.common import Reporter


def read_traits(
    pheno: str,
    report: "Reporter",
    *,
    pheno_name: Sequence[str] | None,
    covar: str | None,
    covar_name: Sequence[str] | None,
    formula: str | None = None,
) -> tuple[PhenotypeTable, list[str]]:
    """The table of everybody, and one formula for each trait."""
    table = read_phenotypes(pheno)
    traits = _chosen(pheno_name, table, "--pheno-name")
    covariates: list[str] = []
    if covar is not None:
        own = read_phenotypes(covar, minus_nine_is_missing=False, name="covariate")
        covariates = _chosen(covar_name, own, "--covar-name")
        joined = join_tables(table, own)
        table = joined.table
        for notice in joined.notices:
            report.line(notice)
    elif covar_name:
        raise DataError("--covar-name needs --covar, the file that has these columns.")
    for each in table.missing:
        if each.column in (*traits, *covariates):
            shown = f"written {each.marker}" if each.marker else "left empty"
            report.line(f"{each.count:,} values of {each.column}, {shown}, are missing")
    if formula is not None:
        if pheno_name or covar_name:
            raise DataError(
                "--formula names the trait and the covariates: leave --pheno-name and --covar-name."
            )
        return table, [formula]
    right = " + ".join(["1", *map(_quoted, covariates)])
    return table, [f"{_quoted(trait)} ~ {right}" for trait in traits]


def _chosen(names: Sequence[str] | None, table: PhenotypeTable, flag: str) -> list[str]:
    """The columns that were asked for; by default all."""
    columns = [str(name) for name in table.columns.columns]
    wanted = [name for each in names or () for name in each.split(",")]
    for name in wanted:
        if name not in columns:
            raise DataError(f"{flag}: {table.source} has no column {name!r}{closest(name, columns)}.")
    return wanted or columns


def _quoted(name: str) -> str:
    """A column's name as a formula has it."""
    if name.isidentifier():
        return name
    if "`" in name:
        raise DataError(f"the column {name!r} has a backtick in its name; rename it.")
    return f"`{name}`"
