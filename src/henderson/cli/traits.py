"""Phenotypes and covariates from files, and the formula of each trait."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from henderson.errors import DataError
from henderson.formula import names_in
from henderson.io.alignment import join_tables
from henderson.io.frame import closest
from henderson.io.phenotypes import PhenotypeTable, read_phenotypes

if TYPE_CHECKING:
    from henderson.cli.common import Reporter

MINUS_NINE = -9.0


def check_names(
    *,
    pheno_name: Sequence[str] | None,
    covar: str | None,
    covar_name: Sequence[str] | None,
    formula: str | None = None,
) -> None:
    """Refuse options that do not go together."""
    if covar_name and covar is None:
        raise DataError("--covar-name needs --covar, the file that has these columns.")
    if formula is not None and (pheno_name or covar_name):
        raise DataError(
            "--formula names the trait and the covariates: leave out --pheno-name and --covar-name."
        )


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
    if covar is not None and pheno == covar and not (pheno_name and covar_name):
        raise DataError(
            f"--pheno and --covar are both {pheno}: add --pheno-name and --covar-name, the columns of each."
        )
    table = read_phenotypes(pheno)
    traits = _chosen(pheno_name, table, "--pheno-name")
    table = _only(table, traits)
    covariates: list[str] = []
    if covar is not None:
        own = read_phenotypes(covar, minus_nine_is_missing=False, name="covariate")
        covariates = _chosen(covar_name, own, "--covar-name")
        own = _only(own, covariates)
        for name in covariates:
            count = int((own.columns[name] == MINUS_NINE).sum())
            if count:
                report.line(
                    f"{name}: {count:,} values of -9 are used as numbers; write NA where it is missing"
                )
        joined = join_tables(table, own)
        table = joined.table
        for notice in joined.notices:
            report.line(notice)
    for each in table.missing:
        if each.column in (*traits, *covariates):
            shown = f"written {each.marker}" if each.marker else "left empty"
            values = "1 value" if each.count == 1 else f"{each.count:,} values"
            report.line(f"{each.column}: {values}, {shown}, read as missing")
    report.known(table.notices)
    if formula is not None:
        return _with_identifiers(table, names_in(formula)), [formula]
    right = " + ".join(["1", *map(_quoted, covariates)])
    return table, [f"{_quoted(trait)} ~ {right}" for trait in traits]


def _chosen(names: Sequence[str] | None, table: PhenotypeTable, flag: str) -> list[str]:
    """The columns that were asked for; by default all."""
    columns = [str(name) for name in table.columns.columns]
    wanted = [name for each in names or () for name in ([each] if each in columns else each.split(","))]
    for name in wanted:
        if name not in columns:
            hint = closest(name, columns)
            raise DataError(
                f"{flag}: {table.source} has no column {name!r}{hint}{'' if hint[-1:] == '?' else '.'}"
            )
    return list(dict.fromkeys(wanted)) or columns


def _only(table: PhenotypeTable, names: list[str]) -> PhenotypeTable:
    """Those columns alone, and what was missing in them."""
    missing = tuple(each for each in table.missing if each.column in names)
    return PhenotypeTable(table.source, table.samples, table.columns[names], missing)


def _with_identifiers(table: PhenotypeTable, names: set[str]) -> PhenotypeTable:
    """The identifiers as columns too, where a formula names them: families may be a grouping factor."""
    own = {"FID": table.samples.fid, "IID": table.samples.iid}
    columns = table.columns.assign(**{name: own[name] for name in own if name in names})
    return PhenotypeTable(table.source, table.samples, columns, table.missing)


def _quoted(name: str) -> str:
    """A column's name as a formula has it."""
    if name.isidentifier():
        return name
    if "`" in name:
        raise DataError(f"the column {name!r} has a backtick in its name; rename it.")
    return f"`{name}`"
