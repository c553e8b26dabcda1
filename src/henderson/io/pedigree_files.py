"""Pedigrees from tables and files: one row per animal, with its sire and dam."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.pedigree import Pedigree
from henderson.errors import DataError
from henderson.io.columns import Column, FactorColumn, Labels
from henderson.io.frame import Table, closest, open_table
from henderson.io.paths import nearby

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("henderson")

_FAM = ("FID", "IID", "PAT", "MAT", "SEX", "PHENO")
#: Usual names of the columns, in lower case, letters and digits alone. FID is a family in PLINK's files: it
#: is a father only where nothing else is.
_NAMES = {
    "id": ("id", "animal", "animalid", "iid", "individual", "indiv", "ind", "calf", "self"),
    "sire": ("sire", "sireid", "father", "fatherid", "pat", "pid", "dad", "dadid", "fid"),
    "dam": ("dam", "damid", "mother", "motherid", "mat", "mid", "mom", "momid"),
    "sex": ("sex", "gender"),
    "birth": ("birth", "birthdate", "birthyear", "dateofbirth", "yearofbirth", "dob", "yob", "born"),
}
_SEXES = {"1": 1, "m": 1, "male": 1, "2": 2, "f": 2, "female": 2}
_NO_BIRTH = {"nan", "NaN", "NaT", "None", "<NA>"}
_NO_SEX = {"0", "-9", "u", "unknown", "nan"}


def read_pedigree(
    pedigree: Any,
    *,
    id: str | None = None,
    sire: str | None = None,
    dam: str | None = None,
    sex: str | None = None,
    birth: str | None = None,
    missing: str | Sequence[str] = ("0", "NA", "", "."),
    genetic_groups: Sequence[str] = (),
    hermaphrodite: bool = False,
) -> Pedigree:
    r"""Read who descends from whom.

    Parameters
    ----------
    pedigree : str, Path or table
        A ``.parquet`` file; a text file with column names, separated by commas, tabs or blanks, plain or
        ``.gz``; a PLINK ``.fam`` or ``.psam`` file; or a pandas, polars or pyarrow table. One row per animal,
        in any order.
    id, sire, dam : str, optional
        Columns of the animals, their fathers and their mothers; by default the ones with usual names (id,
        animal, IID, calf; sire, father, PAT; dam, mother, MAT).
    sex, birth : str, optional
        Columns that the parents are checked with, by default those called sex and birth (birth date, birth
        year), if there are any: 1, M or male, 2, F or female, otherwise 0; numbers, or dates as 2024-12-31.
    missing : str or sequence of str
        How an unknown parent, sex or birth is written.
    genetic_groups : sequence of str
        Names in place of unknown parents that stand for the population these come from.
    hermaphrodite : bool
        Whether one individual may be a sire here and a dam there, as plants are.

    Returns
    -------
    Pedigree
        Founders are added for parents without a row, and repeated rows count once; both are told in a warning
        of the logger ``henderson``.

    Raises
    ------
    DataError
        If the file cannot be read, a column is not found, or the pedigree cannot be true (see `Pedigree.of`).

    Examples
    --------
    >>> rows = {"calf": ["a", "b", "c", "d"], "sire": ["0", "0", "a", "a"], "dam": ["0", "0", "b", "c"]}
    >>> pedigree = read_pedigree(rows)
    >>> pedigree
    <Pedigree of 4 animals: 2 founders, 1 inbred with a mean F of 0.25>
    >>> pedigree.relationship().inverse.toarray()
    array([[ 2. ,  0.5, -0.5, -1. ],
           [ 0.5,  1.5, -1. ,  0. ],
           [-0.5, -1. ,  2.5, -1. ],
           [-1. ,  0. , -1. ,  2. ]])
    """
    from_file = isinstance(pedigree, str | Path)
    table = open_table(_read(Path(pedigree)) if from_file else pedigree)
    where = str(pedigree) if from_file else "the table"
    given = {"id": id, "sire": sire, "dam": dam, "sex": sex, "birth": birth}
    columns = {role: _find(table, role, name, where) for role, name in given.items()}
    unknown: set[str | None] = {*map(str, [missing] if isinstance(missing, str) else missing), None}
    ids, sires, dams = (
        [None if name in unknown else name for name in _texts(table.column(str(columns[role])))]
        for role in ("id", "sire", "dam")
    )
    found = Pedigree.of(
        ids,
        sires,
        dams,
        sex=None if columns["sex"] is None else _sexes(table, columns["sex"], unknown),
        birth=None if columns["birth"] is None else _births(table, columns["birth"], unknown),
        genetic_groups=genetic_groups,
        hermaphrodite=hermaphrodite,
    )
    for notice in found.notices:
        logger.warning(f"pedigree: {notice}")
    return found


def _read(path: Path) -> pd.DataFrame:
    """The table of a file, with every field of a text as it is written."""
    from henderson.io.phenotypes import text_fields
    from henderson.io.tables import check_names, read_table, readable, text_of

    if path.suffix.lower() == ".parquet":
        return read_table(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a table.")
    if not path.exists():
        raise DataError(f"There is no file {path}{nearby(path)}")
    zipped = path.suffix.lower() == ".gz"
    with readable(path):
        text = text_of(path, zipped)
    text = "\n".join(line for line in text.split("\n") if not line.startswith("##"))
    frame, _ = text_fields(path, text)
    first = [str(name) for name in frame.iloc[0]]
    ending = (path.with_suffix("") if zipped else path).suffix.lower()
    if ending == ".fam" or (ending == ".psam" and not first[0].startswith("#")):
        if len(first) not in {5, 6}:
            raise DataError(f"{path}: {len(first)} columns, but a {ending} file has six: {', '.join(_FAM)}.")
        names = list(_FAM[: len(first)])
    else:
        names = [name.removeprefix("#") for name in first]
        check_names(path, names)
        frame = frame.iloc[1:]
    frame.columns = names
    if not len(frame):
        raise DataError(f"{path} has column names but no rows.")
    return frame.reset_index(drop=True)


def _find(table: Table, role: str, given: str | None, where: str) -> str | None:
    """The column of a role: the one that was said, or one with a usual name."""
    if given is not None:
        if given not in table:
            raise DataError(f"{where} has no column {given!r}{closest(given, table.names)}")
        return given
    plain = {name: "".join(c for c in str(name).lower() if c.isalnum()) for name in table.names}
    usual = _NAMES[role]
    fits = [name for name in table.names if plain[name] in usual]
    if role == "sire":
        fits = [name for name in fits if plain[name] != "fid"] or fits
    if len(fits) > 1:
        raise DataError(
            f"{where} has the columns {' and '.join(map(repr, fits))}, each of which could be the {role}: "
            f"say which, {role}={fits[0]!r}"
        )
    if not fits and role in {"id", "sire", "dam"}:
        raise DataError(
            f"{where} has no column with a usual name of the {role}, such as {', '.join(usual[:3])}, but "
            f"{', '.join(map(repr, table.names))}: say which it is, {role}=...; a file needs column names in "
            "its first line"
        )
    return fits[0] if fits else None


def _texts(column: Column) -> list[str | None]:
    """Every value as text, None where missing."""
    if isinstance(column, FactorColumn):
        levels: list[str | None] = [*(level.strip() for level in column.levels), None]
        return [levels[code] for code in column.codes.tolist()]
    texts = list(Labels(column.values))
    if column.missing is None:
        return list(texts)
    return [None if gone else text for text, gone in zip(texts, column.missing.tolist(), strict=True)]


def _sexes(table: Table, name: str, unknown: set[str | None]) -> NDArray[np.int64]:
    """1 male, 2 female, 0 not known."""
    values = _texts(table.column(name))
    codes = {value: _sex(value, name, unknown) for value in set(values)}
    return np.array([codes[value] for value in values], dtype=np.int64)


def _sex(value: str | None, name: str, unknown: set[str | None]) -> int:
    if value in unknown or str(value).lower() in _NO_SEX:
        return 0
    try:
        return _SEXES[str(value).lower()]
    except KeyError:
        raise DataError(
            f"column {name!r} of the pedigree has the sex {value!r}: write 1, M or male, 2, F or female, and "
            "0 where it is not known"
        ) from None


def _births(table: Table, name: str, unknown: set[str | None]) -> NDArray[np.float64]:
    """Births as numbers, dates as days; NaN where not known."""
    values = np.asarray(table.fetch(name))
    if values.dtype.kind == "M":
        values = values.astype("datetime64[D]").astype(np.str_)
    elif values.dtype.kind in "iuf":
        values = np.array(Labels(values), dtype=object)
    texts = [str(value).strip() for value in values.tolist()]
    known = set(texts) - unknown - _NO_BIRTH
    as_dates = any("-" in text[1:] for text in known)
    numbers = {text: _birth(text, name, as_dates=as_dates) for text in known}
    return np.array([numbers.get(text, np.nan) for text in texts], dtype=np.float64)


def _birth(text: str, name: str, *, as_dates: bool) -> float:
    """A year or other number, or a date as days since 1970."""
    try:
        return float(np.datetime64(text[:10], "D").astype(np.int64)) if as_dates else float(text)
    except ValueError:
        raise DataError(
            f"column {name!r} of the pedigree has the birth {text!r}: write numbers, such as the year, or "
            "dates as 2024-12-31"
        ) from None
