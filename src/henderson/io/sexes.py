"""Who is a man and who a woman, where the genotype file does not say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from henderson.errors import DataError
from henderson.genotype.source import Samples
from henderson.io.alignment import match, matched_by_iid
from henderson.io.phenotypes import read_phenotypes
from henderson.io.plink1 import read_fam

_CODES = {"1": 1, "M": 1, "MALE": 1, "2": 2, "F": 2, "FEMALE": 2}
_UNKNOWN = {"0", "NAN", "U", "UNKNOWN"}


def with_sexes(samples: Samples, path: str | Path) -> tuple[Samples, str]:
    """People with the sexes that a file gives them.

    Parameters
    ----------
    samples : Samples
        Those genotyped.
    path : str or Path
        A table with FID and IID, or IID alone, and a column SEX, or one column besides: 1 or M for men, 2 or
        F for women, 0 or NA where it is not known. Or a .fam file.

    Returns
    -------
    samples : Samples
        The same people; who is not in the file keeps the sex that the genotype file gave.
    notice : str
        How many are men and women now, and whether FIDs did not help to find them.

    Raises
    ------
    DataError
        If the file cannot be read, has no such column, or other values; or none of the people is in it.
    """
    path = Path(path)
    known = read_fam(path) if path.suffix.lower() == ".fam" else _read_table(path)
    rows, by = match(samples, known, names=("the genotypes", str(path)))
    sex = np.where(rows >= 0, known.sex[rows], samples.sex).astype(np.int8)
    men, women = int((sex == 1).sum()), int((sex == 2).sum())
    counts = f"{men:,} men, {women:,} women, {sex.size - men - women:,} not known"
    return replace(samples, sex=sex), " ".join((*matched_by_iid(samples, known, by, str(path)), counts))


def _read_table(path: Path) -> Samples:
    """The people of a table, with their sexes."""
    table = read_phenotypes(path, minus_nine_is_missing=True)
    names = [str(name) for name in table.columns.columns]
    wanted = [name for name in names if name.upper() == "SEX"] or names
    if len(wanted) != 1:
        raise DataError(f"{path} has the columns {', '.join(names)}; call the one with the sexes SEX.")
    values = [_code(value) for value in table.columns[wanted[0]].tolist()]
    for row, value in enumerate(values):
        if value not in _CODES and value not in _UNKNOWN:
            raise DataError(
                f"{path}: the sex of {table.samples.fid[row]} {table.samples.iid[row]} is {value!r}; write 1 "
                "or M for men, 2 or F for women, 0 where it is not known."
            )
    return replace(table.samples, sex=np.array([_CODES.get(value, 0) for value in values], dtype=np.int8))


def _code(value: object) -> str:
    """A sex as it is written; columns of numbers are read as floating-point numbers."""
    return f"{value:g}".upper() if isinstance(value, float) else str(value).strip().upper()
