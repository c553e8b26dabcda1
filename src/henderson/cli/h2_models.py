"""The models of `henderson h2`: traits that share one matrix, each by itself, or two together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from henderson.association.null_models import Traits, plain
from henderson.association.relatedness import Given
from henderson.cli.common import Reporter, check_memory
from henderson.cli.kin import Kin
from henderson.cli.traits import trait_name
from henderson.errors import DataError, HendersonError
from henderson.fit.fitting import fit_formula
from henderson.formula import Design, build_design, names_in
from henderson.lmm.result import LmerResult, result_of

if TYPE_CHECKING:
    import pandas as pd

    from henderson.io.phenotypes import PhenotypeTable

#: Python with the libraries that a fit loads.
BASE = 3e8
#: Matrices that the dense engine has at its peak beside one for each relationship.
WORKING = 4
#: Columns of the table of two traits.
VALUE, TRAIT = "value", "trait"


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """Models that are fitted one after the other.

    Attributes
    ----------
    analysed : callable
        Gives each trait and its model; those that fail are left out, and said in `failed` afterwards.
    failed : list of (str, HendersonError)
        Formulas that could not be fitted, and why.
    """

    analysed: Callable[[], Iterator[tuple[str, LmerResult]]]
    failed: list[tuple[str, HendersonError]] = field(default_factory=list)


def together(table: PhenotypeTable, formulas: Sequence[str], kin: Kin, report: Reporter) -> Fits:
    """Models with one dense matrix; traits of the same people share a decomposition."""
    traits = Traits(formulas, table, kin.samples, Given(kin.matrix))

    def analysed() -> Iterator[tuple[str, LmerResult]]:
        for group in traits.groups():
            for notice in group.notices:
                report.once(notice)
            for response, fit in zip(group.traits, group.fits, strict=True):
                trait = trait_name(plain(response))
                yield trait, fit
                for notice in fit.notices:
                    if notice not in group.notices:
                        report.line(f"{trait}: {notice}")

    return Fits(analysed, traits.failed)


def each_trait(frame: pd.DataFrame, formulas: Sequence[str], kins: Sequence[Kin], report: Reporter) -> Fits:
    """Models with any relationships, each a random term of its own, with everybody who is in them."""
    _tell_memory(kins, len(frame), report)
    random = " + ".join(f"(1 | {kin.column})" for kin in kins)
    relationship = {kin.column: kin.relationship for kin in kins}
    failed: list[tuple[str, HendersonError]] = []

    def analysed() -> Iterator[tuple[str, LmerResult]]:
        for formula in formulas:
            try:
                fit = result_of(fit_formula(f"{formula} + {random}", frame, relationship=relationship))
            except HendersonError as problem:
                failed.append((formula, problem))
                continue
            trait = _trait_of(formula)
            yield trait, fit
            for notice in fit.notices:
                report.line(f"{trait}: {notice}")

    return Fits(analysed, failed)


def two_traits(frame: pd.DataFrame, formulas: Sequence[str], kin: Kin, report: Reporter) -> Fits:
    """Two traits in one model, each with fixed effects and variances of its own, and covariances."""
    stacked, traits = _stacked(frame, formulas, kin.column)
    _tell_memory([kin], len(stacked), report)
    both = int(stacked[kin.column].duplicated().sum())
    report.line(
        f"tr1 is {traits[0]} ({(stacked[TRAIT] == traits[0]).sum():,} people), tr2 is {traits[1]} "
        f"({(stacked[TRAIT] == traits[1]).sum():,}); {both:,} have both"
    )
    residual = f"us({TRAIT} | {kin.column})" if both else f"diag({TRAIT})"
    terms = formulas[0].rsplit(" ~ 1", 1)[1].removeprefix(" + ")
    covariates = f" + {TRAIT}:({terms})" if terms else ""
    formula = f"{VALUE} ~ 0 + {TRAIT}{covariates} + (0 + {TRAIT} | {kin.column})"

    def analysed() -> Iterator[tuple[str, LmerResult]]:
        fit = result_of(
            fit_formula(formula, stacked, residual=residual, relationship={kin.column: kin.relationship})
        )
        name = " and ".join(traits)
        yield name, fit
        for notice in fit.notices:
            report.line(f"{name}: {notice}")

    return Fits(analysed)


def _trait_of(formula: str) -> str:
    """The name of a formula's trait, as the table of phenotypes has it."""
    return trait_name(plain(formula.split(" ~ ", maxsplit=1)[0]))


def _stacked(
    frame: pd.DataFrame, formulas: Sequence[str], column: str
) -> tuple[pd.DataFrame, tuple[str, str]]:
    """One row for each person and trait, of those whose covariates are known."""
    import pandas as pd

    covariates = names_in(formulas[0].rsplit(" ~ ", 1)[1])
    taken = {VALUE, TRAIT} & covariates
    if taken:
        raise DataError(f"--bivariate has a column {min(taken)!r} of its own: rename the covariate.")
    first, second = map(_trait_of, formulas)
    parts = []
    for formula, name in zip(formulas, (first, second), strict=True):
        design = build_design(f"{formula} + (1 | {column})", frame, related=(column,))
        known = frame.iloc[design.rows][[*covariates, column]].copy()
        _check_varies(design, name)
        known[VALUE], known[TRAIT] = design.y, name
        parts.append(known)
    stacked = pd.concat(parts, ignore_index=True)
    stacked[TRAIT] = pd.Categorical(stacked[TRAIT], categories=[first, second])
    return stacked, (first, second)


def _check_varies(design: Design, trait: str) -> None:
    """Refuse a trait that its fixed effects fit exactly: beside another it would have a variance of zero."""
    coefficients, *_ = np.linalg.lstsq(design.X, design.y)
    left_over = np.linalg.norm(design.y - design.X @ coefficients)
    if not left_over > 1e-10 * np.linalg.norm(design.y):
        raise DataError(
            f"the fixed effects alone fit {trait} exactly in all {design.y.size:,} people, so that no "
            "variance is left to share out (is it constant, or made of a covariate?)"
        )


def _tell_memory(kins: Sequence[Kin], n_records: int, report: Reporter) -> None:
    """Say before the work what the dense engine takes; refuse what this machine does not have."""
    dense = [kin.samples.n for kin in kins if kin.is_dense]
    if dense:
        matrices = sum(8.0 * n**2 for n in dense)
        report.line(check_memory(BASE + matrices + 8.0 * (WORKING + len(dense)) * n_records**2))
