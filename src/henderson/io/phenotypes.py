"""Phenotypes and covariates by person, in the dialects of PLINK, REGENIE, GCTA and BOLT."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.source import Samples

if TYPE_CHECKING:
    import pandas as pd

_MISSING = ("", "NA", "na", "nan", "NaN", "NAN", ".")
_MOSTLY = 0.9  # of a column's values are numbers: then the others are slips
_FID, _IID = "fid", "iid"
_PARENTS_AND_SEX = 3  # columns of a .fam file between the identifiers and the phenotype
_FRACTION = re.compile(r"[-+]?\d*\.\d+([eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class MissingMarker:
    """How often a marker such as ``NA`` or ``-9`` made a value of a column missing.

    Attributes
    ----------
    column, marker : str
    count : int
    """

    column: str
    marker: str
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class PhenotypeTable:
    """Columns of values for people who are known by their identifiers, one row a person.

    Attributes
    ----------
    source : str
        Where it came from, for messages.
    samples : Samples
        The n people; every FID is "0" where the table has none.
    columns : pandas.DataFrame, n rows
        Numbers as float64 with NaN; other columns as text.
    missing : tuple of MissingMarker
        What was read as missing.
    """

    source: str
    samples: Samples
    columns: pd.DataFrame
    missing: tuple[MissingMarker, ...] = ()

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user must be told: values of -9 that were not taken for numbers."""
        return tuple(
            f"{each.count} {'value' if each.count == 1 else 'values'} of {each.column!r} written "
            f"{each.marker} {'was' if each.count == 1 else 'were'} read as missing."
            for each in self.missing
            if is_minus_nine(each.marker)
        )


def read_phenotypes(
    path: str | Path, *, minus_nine_is_missing: bool = True, name: str = "phenotype"
) -> PhenotypeTable:
    r"""Read a phenotype or covariate file.

    Parameters
    ----------
    path : str or Path
        A text file, plain or ``.gz``, its columns separated by white space, tabs or commas: with column names
        (``FID IID ..``, ``#FID IID ..``, ``IID ..``, ``#IID ..``), without (FID, IID, values, as GCTA has
        it), or a ``.fam`` file, whose columns from the sixth on are values.
    minus_nine_is_missing : bool, optional
        Whether the value ``-9`` (also ``-9.0``) is missing, as PLINK has it. Give False for covariates. An
        empty field, ``NA``, ``nan`` and ``.`` always are missing. Identifiers are never changed.
    name : str, optional
        What columns without a name are called: ``phenotype`` if there is one, or ``phenotype1``,
        ``phenotype2``, ... Give another for each covariate file without column names.

    Returns
    -------
    PhenotypeTable

    Raises
    ------
    DataError
        If the file is not such a table; the message names the file and, where there is one, the line.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "bmi.txt")
    ...     _ = path.write_text("FID IID bmi\n1 007 22.5\n2 nan8 -9\n")
    ...     table = read_phenotypes(path)
    >>> table.samples.iid.tolist(), table.columns["bmi"].tolist(), table.notices
    (['007', 'nan8'], [22.5, nan], ("1 value of 'bmi' written -9 was read as missing.",))
    """
    from henderson.io.paths import nearby
    from henderson.io.tables import check_names, readable, text_of

    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a table.")
    if not path.exists():
        raise DataError(f"There is no file {path}{nearby(path)}")
    zipped = path.suffix.lower() == ".gz"
    with readable(path):
        text = text_of(path, zipped)
    fields, lines = text_fields(path, text)
    if (path.with_suffix("") if zipped else path).suffix.lower() == ".fam":
        return _read_fam(path, fields, lines, minus_nine_is_missing, name)
    names = [str(field) for field in fields.iloc[0]]
    if not any(map(is_identifier, names)):
        _check_no_header(path, fields)
        names = ["FID", "IID", *_numbered(name, len(names) - 2)]
    else:
        fields, lines = fields.iloc[1:], lines[1:]
        check_names(path, names)
    fields.columns = names
    return _assembled(str(path), fields, lines, minus_nine_is_missing)


def phenotypes_of(data: Any, *, source: str = "the table") -> PhenotypeTable:
    """Phenotypes and covariates of a data frame, its values as they are.

    Parameters
    ----------
    data : pandas, polars or pyarrow table, or mapping of names to arrays
        With a column ``IID`` (``iid``, ``#IID``) and, optionally, ``FID``. Identifiers that are whole numbers
        count as their digits: 1 and 1.0 are "1".
    source : str, optional
        What messages call the table.

    Returns
    -------
    PhenotypeTable
        Its columns are those of the table, identifiers too.

    Raises
    ------
    DataError
        Without a column of identifiers, or with one that is not unique or has gaps.

    Examples
    --------
    >>> table = phenotypes_of({"IID": [1.0, 2.0], "bmi": [22.5, 19.0]})
    >>> table.samples.iid.tolist(), table.columns["bmi"].tolist()
    (['1', '2'], [22.5, 19.0])
    """
    from henderson.io.frame import open_table, to_pandas

    open_table(data)
    frame = to_pandas(data)
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1).reset_index(drop=True)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"{source} has more than one column called {twice[0]!r}; rename all but one.")
    return PhenotypeTable(source, _people(frame, _Where(source, None)), frame)


def is_minus_nine(field: str) -> bool:
    """Whether a value is PLINK's mark of a missing phenotype, however many zeros it is written with."""
    return field.rstrip("0").rstrip(".") == "-9" and not field.startswith("-90")


def is_identifier(name: str) -> bool:
    """Whether a column of this name says who a row is."""
    return name.removeprefix("#").lower() in (_FID, _IID)


def _numbered(name: str, count: int) -> list[str]:
    """Names of columns that have none."""
    return [name] if count == 1 else [f"{name}{k}" for k in range(1, count + 1)]


def text_fields(path: Path, text: str) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """Every field as text, and the number of the line of every row."""
    import pandas as pd

    rows = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    lines = np.array([number for number, _ in rows], dtype=np.intp)
    separator, counts = _separator([line for _, line in rows])
    ragged = np.flatnonzero(counts != counts[0])
    if ragged.size:
        found = int(counts[ragged[0]])
        number = "1 field" if found == 1 else f"{found} fields"
        raise DataError(
            f"{path}, line {lines[ragged[0]]}: {number}, but there are {counts[0]} in line {lines[0]}."
        )
    fields = pd.read_csv(
        io.StringIO("\n".join(line for _, line in rows)),
        sep=separator,
        header=None,
        dtype=object,
        keep_default_na=False,
        quoting=csv.QUOTE_MINIMAL if separator == "," else csv.QUOTE_NONE,
    )
    if separator != r"\s+":
        fields = fields.apply(lambda column: column.str.strip())
    return fields, lines


def _separator(rows: list[str]) -> tuple[str, NDArray[np.intp]]:
    """What stands between columns, and the number of fields of every row.

    Tabs count as such if every row has as many, so that a field may be empty and a name may have blanks; else
    they are white space, since programs write files with tabs in the first line and blanks below.
    """
    if "," in rows[0]:
        if any('"' in row for row in rows):
            return ",", np.array([len(fields) for fields in csv.reader(rows)], dtype=np.intp)
        return ",", np.array([row.count(",") + 1 for row in rows], dtype=np.intp)
    tabs = np.array([row.count("\t") + 1 for row in rows], dtype=np.intp)
    blanks = np.array([len(row.split()) for row in rows], dtype=np.intp)
    if (
        tabs[0] > 1
        and (tabs == tabs[0]).all()
        and (" " not in rows[0].strip() or (blanks != blanks[0]).any())
    ):
        return "\t", tabs
    # a ragged file of tabs is best described by its tabs
    return ("\t", tabs) if tabs[0] > 1 and tabs[0] == blanks[0] and (tabs > 1).all() else (r"\s+", blanks)


def _check_no_header(path: Path, fields: pd.DataFrame) -> None:
    """Refuse a file without FID and IID in its first line, unless it is FID, IID and values."""
    first = [str(field) for field in fields.iloc[0]]
    looks_named = len(fields) > 1 and not any(map(_is_value, first))
    if looks_named and any(_is_value(str(field)) for field in fields.iloc[1, min(2, len(first) - 1) :]):
        raise DataError(
            f"{path}: the first line names columns but none of them is IID; "
            "name the columns of identifiers FID and IID."
        )
    ids = fields.iloc[:, :2]
    fractions = ids.apply(lambda column: column.map(lambda v: bool(_FRACTION.fullmatch(v)) or v in _MISSING))
    if len(first) == 1 or bool((fractions.mean() > 0.5).any() and ids.map(_is_value).to_numpy().all()):
        raise DataError(
            f"{path} holds values but no identifiers, and henderson never matches people by position; "
            "add columns FID and IID."
        )
    if len(first) == 2:
        raise DataError(f"{path} has only identifiers; add a column of values.")


def _is_value(field: str) -> bool:
    """Whether it is a number or marks a missing one."""
    try:
        float(field)
    except ValueError:
        return field in _MISSING
    return True


def _read_fam(
    path: Path, fields: pd.DataFrame, lines: NDArray[np.intp], minus_nine: bool, name: str
) -> PhenotypeTable:
    values = fields.shape[1] - 2 - _PARENTS_AND_SEX
    if values < 1:
        raise DataError(
            f"{path}: {fields.shape[1]} columns, but a .fam file has six: "
            "FID, IID, father, mother, sex and phenotype."
        )
    fields = fields.drop(columns=[2, 3, 4])
    fields.columns = ["FID", "IID", *_numbered(name, values)]
    return _assembled(str(path), fields, lines, minus_nine)


def _assembled(source: str, frame: pd.DataFrame, lines: NDArray[np.intp], minus_nine: bool) -> PhenotypeTable:
    """Split a frame into identifiers and values, both checked."""
    import pandas as pd

    where = _Where(source, lines)
    samples = _people(frame, where)
    rest = [name for name in frame.columns if not is_identifier(name)]
    if not rest:
        raise DataError(f"{source} has only identifiers; add a column of values.")
    markers: list[MissingMarker] = []
    columns = {name: _values(name, frame[name], minus_nine, markers, where) for name in rest}
    return PhenotypeTable(source, samples, pd.DataFrame(columns), tuple(markers))


def _people(frame: pd.DataFrame, where: _Where) -> Samples:
    """The identifiers of a frame, checked."""
    places = {name.removeprefix("#").lower(): name for name in frame.columns if is_identifier(name)}
    if _IID not in places:
        raise DataError(f"{where.source} has no column IID; add one with the identifiers of the people.")
    if not len(frame):
        raise DataError(f"{where.source} has column names but no rows.")
    iid = _identifiers(frame[places[_IID]], where)
    fid = _identifiers(frame[places[_FID]], where) if _FID in places else np.full(len(iid), "0")
    _check_unique(fid, iid, where)
    return Samples(fid, iid)


@dataclass(frozen=True, slots=True)
class _Where:
    """Names a row in messages."""

    source: str
    lines: NDArray[np.intp] | None

    def __call__(self, row: int) -> str:
        return f"{self.source}, {self.name(row)}"

    def name(self, row: int) -> str:
        return f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"


def _identifiers(column: pd.Series[Any], where: _Where) -> NDArray[np.str_]:
    """Identifiers as text; whole numbers as their digits."""
    gaps = np.asarray(column.isna() | (column.astype(object) == ""), dtype=bool)
    if gaps.any():
        raise DataError(f"{where(int(gaps.argmax()))}: the identifier {column.name} is missing; fill it in.")
    held = column.tolist()
    if all(type(v) is str for v in held):
        return np.array(held, dtype=np.str_)
    for row, v in enumerate(held):
        if isinstance(v, float) and not v.is_integer():
            raise DataError(f"{where(row)}: the identifier {column.name} is {v}; give identifiers as text.")
    return np.array([str(int(v)) if isinstance(v, float) else str(v) for v in held], dtype=np.str_)


def _check_unique(fid: NDArray[np.str_], iid: NDArray[np.str_], where: _Where) -> None:
    import pandas as pd

    twice = np.asarray(pd.DataFrame({"f": fid, "i": iid}).duplicated())
    if twice.any():
        second = int(twice.argmax())
        first = int(np.argmax((fid == fid[second]) & (iid == iid[second])))
        raise DataError(
            f"{where.source}: the person FID {fid[second]}, IID {iid[second]} is in {where.name(first)} "
            f"and again in {where.name(second)}; keep one row for each person."
        )


def _values(
    name: str, column: pd.Series[Any], minus_nine: bool, markers: list[MissingMarker], where: _Where
) -> NDArray[Any]:
    """One column as float64 with NaN, or as text; what was missing is added to `markers`."""
    import pandas as pd

    empty = np.asarray(column.isna(), dtype=bool)
    held = np.where(empty, "", column.astype(object).to_numpy()).tolist()
    text = np.array([str(value).strip() for value in held], dtype=object)
    codes, found = pd.factorize(text)
    marked = [v for v in found.tolist() if v in _MISSING or (minus_nine and is_minus_nine(v))]
    counts = np.bincount(codes, minlength=len(found))
    position = {v: k for k, v in enumerate(found.tolist())}
    markers.extend(MissingMarker(name, v, int(counts[position[v]])) for v in sorted(marked))
    missing = np.isin(codes, [position[v] for v in marked])
    distinct = np.asarray(pd.to_numeric(pd.Series(found, dtype=object), errors="coerce"), dtype=np.float64)
    numbers = distinct[codes]
    numbers[missing] = np.nan
    stray = ~missing & ~np.isfinite(numbers)
    if not stray.any():
        return numbers
    if (~stray & ~missing).sum() >= _MOSTLY * (~missing).sum():
        row = int(stray.argmax())
        raise DataError(
            f"{where(row)}, column {name}: {text[row]!r} is no number, and almost all others are; "
            "write a number with a decimal point, or NA."
        )
    text[missing] = None
    return text
