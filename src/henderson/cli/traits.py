"""Phenotypes and covariates from files, and the formula of each trait."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.association.interaction_formula import SNP
from henderson.errors import DataError
from henderson.formula import names_in
from henderson.io.alignment import join_tables
from henderson.io.frame import closest
from henderson.io.phenotypes import PhenotypeTable, read_phenotypes
from henderson.io.trait_coding import case_control, case_control_notice

if TYPE_CHECKING:
    from henderson.cli.common import Reporter

MINUS_NINE = -9.0


def check_names(
    *,
    pheno_name: Sequence[str] | None,
    covar: str | None,
    covar_name: Sequence[str] | None,
    cat_covar: Sequence[str] | None = None,
    apply_rint: bool = False,
    interaction: Sequence[str] | None = None,
    formula: str | None = None,
) -> None:
    """Refuse options that do not go together."""
    among_covariates = interaction if formula is None else None
    for flag, names in (
        ("--covar-name", covar_name), ("--cat-covar", cat_covar), ("--interaction", among_covariates)
    ):  # fmt: skip
        if names and covar is None:
            raise DataError(f"{flag} needs --covar, the file that has these columns.")
    if formula is None:
        return
    if pheno_name or covar_name:
        raise DataError(
            "--formula names the trait and the covariates: leave out --pheno-name and --covar-name."
        )
    if cat_covar:
        raise DataError(
            "--formula names the covariates: leave out --cat-covar and write factor() around its columns, "
            "as in height ~ factor(batch)."
        )
    if apply_rint:
        raise DataError("--formula names the trait: leave out --apply-rint and write rint(height) ~ ...")


def read_traits(
    pheno: str,
    report: "Reporter",
    *,
    pheno_name: Sequence[str] | None,
    covar: str | None,
    covar_name: Sequence[str] | None,
    cat_covar: Sequence[str] | None = None,
    apply_rint: bool = False,
    interaction: Sequence[str] | None = None,
    formula: str | None = None,
) -> tuple[PhenotypeTable, list[str]]:
    """The table of everybody, and one formula for each trait, with the interactions of the variant."""
    if covar is not None and pheno == covar and not (pheno_name and (covar_name or cat_covar)):
        raise DataError(
            f"--pheno and --covar are both {pheno}: add --pheno-name and --covar-name, the columns of each."
        )
    table = read_phenotypes(pheno)
    traits = _chosen(pheno_name, table, "--pheno-name")
    table = _only(table, traits)
    covariates: dict[str, str] = {}
    if covar is not None:
        own = read_phenotypes(covar, minus_nine_is_missing=False, name="covariate")
        covariates = _covariates(own, covar_name, cat_covar, report)
        own = _only(own, list(covariates))
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
        response = [name for name in traits if formula.split("~")[0].strip() in (name, f"`{name}`")]
        table, _ = _coded(table, response, report)
        products = [f" + {SNP}:{_quoted(name)}" for name in interaction or ()]
        return _with_identifiers(table, names_in(formula)), ["".join([formula, *products])]
    table, two_valued = _coded(table, traits, report)
    left = {trait: _quoted(trait) for trait in traits}
    if apply_rint:
        for trait in two_valued:
            report.line(f"{trait}: --apply-rint leaves a trait of two values as it is")
        left |= {trait: f"rint({_quoted(trait)})" for trait in traits if trait not in two_valued}
    right = " + ".join(["1", *covariates.values(), *_products(interaction or (), covariates)])
    return table, [f"{response} ~ {right}" for response in left.values()]


def trait_name(response: str) -> str:
    """The name of a trait without what ``--apply-rint`` writes around it, for files and tables.

    >>> trait_name("rint(`blood count`)"), trait_name("log(height)")
    ('blood count', 'log(height)')
    """
    if response.startswith("rint(") and response.endswith(")"):
        bare = response[len("rint(") : -1]
        if bare.isidentifier():
            return bare
        if bare.count("`") == 2 and bare[0] == bare[-1] == "`":
            return bare[1:-1]
    return response


def _covariates(
    own: PhenotypeTable,
    covar_name: Sequence[str] | None,
    cat_covar: Sequence[str] | None,
    report: "Reporter",
) -> dict[str, str]:
    """The covariates asked for, and how a formula has each."""
    from pandas.api.types import is_numeric_dtype

    categories = _chosen(cat_covar, own, "--cat-covar") if cat_covar else []
    names = _chosen(covar_name, own, "--covar-name")
    if covar_name:
        names = list(dict.fromkeys([*names, *categories]))
    found = {}
    for name in names:
        column = own.columns[name]
        found[name] = _quoted(name)
        count = int((column == MINUS_NINE).sum())
        if name in categories and is_numeric_dtype(column):
            found[name] = f"factor({_quoted(name)})"
            report.line(f"{name}: its numbers are {column.nunique():,} categories{_minus_nine_too(count)}")
        elif count:
            report.line(f"{name}: {count:,} values of -9 are used as numbers; write NA where it is missing")
    return found


def _products(names: Sequence[str], covariates: Mapping[str, str]) -> list[str]:
    """How a formula has the interactions with these covariates."""
    for name in names:
        if name not in covariates:
            hint = closest(name, list(covariates))
            end = "" if hint[-1:] == "?" else "."
            raise DataError(f"--interaction: the model has no covariate {name!r}{hint}{end}")
    return [f"{SNP}:{covariates[name]}" for name in names]


def _minus_nine_too(count: int) -> str:
    return f", -9 of {count:,} people among them; write NA where it is missing" if count else ""


def _coded(
    table: PhenotypeTable, traits: Sequence[str], report: "Reporter"
) -> tuple[PhenotypeTable, list[str]]:
    """Cases as 1 and controls as 0, which is said; also the names of these traits."""
    from pandas.api.types import is_numeric_dtype

    fam = Path(table.source.removesuffix(".gz")).suffix.lower() == ".fam"
    coded: dict[str, NDArray[np.float64]] = {}
    for trait in traits:
        column = table.columns[trait]
        if not is_numeric_dtype(column):
            continue
        found = case_control(column, fam=fam)
        if found is not None:
            coded[trait] = found.values
            report.line(case_control_notice(trait, found, table.source))
        elif set(column.dropna().unique()) == {0.0, 1.0, 2.0}:
            report.line(
                f"{trait}: its values 0, 1 and 2 are used as numbers; if they are PLINK's missing, control "
                "and case, write NA for 0"
            )
    return replace(table, columns=table.columns.assign(**coded)), list(coded)


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
