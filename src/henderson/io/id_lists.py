"""Lists of people, of variants and of stretches of the genome, as PLINK's --keep and --extract take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.chromosomes import count_autosomes, plain_names
from henderson.genotype.source import Index, Samples, Strings, Variants
from henderson.io.alignment import BY_IID, match, matched_by_iid
from henderson.io.paths import nearby

Mask = NDArray[np.bool_]
_SHOWN = 3
_RANGE_COLUMNS = 3
_FAMILY, _PERSON = ("#FID", "FID"), ("#IID", "IID")
_CHROMOSOME = {"chr", "chrom", "chromosome", "#chr", "#chrom"}


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Stretches of the genome, both ends included; every array has shape (k,)."""

    chromosome: Strings
    first: NDArray[np.int64]
    last: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """Where what a list names is.

    Attributes
    ----------
    positions : ndarray of int, shape (k,)
        Of people or variants, ascending.
    notice : str
        What of the list was not found, and how people were, where FIDs did not help; empty where all is well.
    """

    positions: Index
    notice: str


def read_people_list(path: str | Path) -> Samples:
    """Read a list of people: FID and IID, or IID alone, one person per line.

    Parameters
    ----------
    path : str or Path
        Text; columns are separated by tabs or spaces. A first line that names the columns may be there
        (``FID IID``, ``#FID IID``, ``#IID``). Without it, one column is IID, and of more the first two are
        FID and IID; further columns are passed over, so that a .fam or phenotype file is such a list too.

    Returns
    -------
    Samples
        Nobody twice; FID is 0 where there is none.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or lacks an identifier; the message names the line.
    """
    path = Path(path)
    rows = _rows(path, "people")
    first = rows[0][1]
    columns = _people_columns(first)
    if columns is not None:
        rows = rows[1:]
    else:
        columns = (None, 0) if len(first) == 1 else (0, 1)
    family, person = columns
    needed = max(place for place in columns if place is not None) + 1
    width = len(first)
    pairs: dict[tuple[str, str], None] = {}
    for line, fields in rows:
        if len(fields) < needed or len(fields) > width == 1:
            raise DataError(
                f"{path}, line {line}: {_columns(len(fields))}, but the first line has {width}; a list of "
                "people has FID and IID in every line, or IID alone."
            )
        pairs["0" if family is None else fields[family], fields[person]] = None
    if not pairs:
        raise DataError(f"{path} lists nobody below its header.")
    fid, iid = zip(*pairs, strict=True)
    return Samples(np.array(fid, dtype=np.str_), np.array(iid, dtype=np.str_))


def _people_columns(fields: Sequence[str]) -> tuple[int | None, int] | None:
    """Where FID and IID are, if this is a header."""
    places = [
        next((place for place, name in enumerate(fields) if name in names), None)
        for names in (_FAMILY, _PERSON)
    ]
    return None if places[1] is None else (places[0], places[1])


def find_people(samples: Samples, path: str | Path) -> Found:
    """Find the people of a list among those genotyped, by FID and IID, or by IID where a side has no FID.

    Raises
    ------
    DataError
        If nobody is found, with the likely cause, or identifiers do not tell people apart.
    """
    listed = read_people_list(path)
    rows, by = match(samples, listed, names=("the genotypes", str(path)))
    absent = np.setdiff1d(np.arange(listed.n), rows)
    shown = [_name(listed, row, by) for row in absent[:_SHOWN].tolist()]
    counted = "1 person" if absent.size == 1 else f"{absent.size:,} people"
    notices = (*matched_by_iid(samples, listed, by, str(path)), _absent(counted, path, shown, absent.size))
    return Found(np.flatnonzero(rows >= 0), " ".join(filter(None, notices)))


def _name(samples: Samples, row: int, by: str) -> str:
    """How a person was looked for."""
    iid = str(samples.iid[row])
    return iid if by == BY_IID else f"{samples.fid[row]} {iid}"


def read_variant_list(path: str | Path) -> tuple[str, ...] | Ranges:
    """Read a list of variants: one identifier per line, or stretches ``chromosome first last``.

    Parameters
    ----------
    path : str or Path
        Text; columns are separated by tabs or spaces. The ends of stretches are included and counted from
        one, as in PLINK's ``--extract range``; a header and further columns may be there.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or has other lines; the message names the line.
    """
    path = Path(path)
    rows = _rows(path, "variants")
    if all(len(fields) == 1 for _, fields in rows):
        return tuple(dict.fromkeys(fields[0] for _, fields in rows))
    if rows[0][1][0].lower() in _CHROMOSOME:
        rows = rows[1:]
    for line, fields in rows:
        if len(fields) < _RANGE_COLUMNS or not all(map(_is_position, fields[1:_RANGE_COLUMNS])):
            raise DataError(
                f"{path}, line {line}: {_columns(len(fields))}, but a list of variants has one identifier "
                "per line, or chromosome, first and last position."
            )
    if not rows:
        raise DataError(f"{path} lists no stretches below its header.")
    first, last = (np.array([int(fields[k]) for _, fields in rows], dtype=np.int64) for k in (1, 2))
    wrong = np.flatnonzero(first > last)
    if wrong.size:
        line, fields = rows[wrong[0]]
        raise DataError(
            f"{path}, line {line}: the stretch from {fields[1]} to {fields[2]} ends before it begins."
        )
    return Ranges(np.array([fields[0] for _, fields in rows], dtype=np.str_), first, last)


def find_variants(variants: Variants, path: str | Path, *, autosome_num: int | None = None) -> Found:
    """Find the variants of a list, by identifier or within its stretches.

    Raises
    ------
    DataError
        If none is found, with the likely cause.
    """
    listed = read_variant_list(path)
    if isinstance(listed, Ranges):
        inside = within(variants, listed, autosome_num=autosome_num)
        if not inside.any():
            raise DataError(f"No variant lies in the stretches of {path}{_cause_ranges(variants, listed)}")
        return Found(np.flatnonzero(inside), "")
    wanted = set(listed)
    names = variants.identifier.tolist()
    positions = np.fromiter((name in wanted for name in names), dtype=bool, count=len(names)).nonzero()[0]
    absent = wanted.difference(names)
    if not positions.size:
        raise DataError(
            f"No variant of {path} is in the genotypes (such as {listed[0]} there and {names[0]} here)"
            f"{_cause_names(wanted, names)}"
        )
    shown = [name for name in listed if name in absent][:_SHOWN]
    counted = "1 variant" if len(absent) == 1 else f"{len(absent):,} variants"
    return Found(positions, _absent(counted, path, shown, len(absent)))


def within(variants: Variants, ranges: Ranges, *, autosome_num: int | None = None) -> Mask:
    """Which variants lie in one of the stretches.

    Examples
    --------
    >>> from henderson.genotype import ArraySource
    >>> variants = ArraySource.of([[0], [1], [2], [1]]).variants
    >>> within(variants, Ranges(np.array(["chr1"]), np.array([2]), np.array([3])))
    array([False,  True,  True, False])
    """
    n_autosomes = count_autosomes(variants.chromosome, autosome_num)
    ours, theirs = (plain_names(each.chromosome, n_autosomes) for each in (variants, ranges))
    inside = np.zeros(variants.m, dtype=bool)
    for name in np.unique(theirs):
        rows, stretches = np.flatnonzero(ours == name), np.flatnonzero(theirs == name)
        stretches = stretches[np.argsort(ranges.first[stretches], kind="stable")]
        reached = np.maximum.accumulate(ranges.last[stretches])
        before = np.searchsorted(ranges.first[stretches], variants.position[rows], side="right")
        inside[rows] = (before > 0) & (reached[before - 1] >= variants.position[rows])
    return inside


def _rows(path: Path, what: str) -> list[tuple[int, list[str]]]:
    """The fields of every line that is not blank, with its number from one."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"There is no file {path}{nearby(path)}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is no UTF-8 text; a list of {what} has one per line.") from None
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}.") from None
    rows = [(number, line.split()) for number, line in enumerate(text.split("\n"), 1)]
    rows = [(number, fields) for number, fields in rows if fields]
    if not rows:
        raise DataError(f"{path} is empty: it should list the {what}, one per line.")
    return rows


def _is_position(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19  # 64 bits hold 18 digits


def _columns(count: int) -> str:
    return f"{count} column{'s' * (count != 1)}"


def _absent(counted: str, path: str | Path, names: Sequence[str], count: int) -> str:
    """What of a list was not found; empty where all was."""
    if not count:
        return ""
    verb, others = "is" if count == 1 else "are", " and others" if count > len(names) else ""
    return f"{counted} of {path} {verb} not in the genotypes: {', '.join(names)}{others}"


def _cause_names(wanted: set[str], names: Iterable[str]) -> str:
    """Why no identifier of a list was found."""
    if any("," in name for name in wanted):
        return ": it has commas; write one identifier per line."
    ours = set(names)
    if not {name.lower() for name in wanted}.isdisjoint(name.lower() for name in ours):
        return ": they differ in upper and lower case; write them alike."
    if not {name.removeprefix("chr") for name in wanted}.isdisjoint(n.removeprefix("chr") for n in ours):
        return ": they differ in 'chr' at the beginning; write them alike."
    if ours == {"."}:
        return ": the variants have no names; list stretches instead (chromosome, first, last position)."
    return "; check that both are named in the same way, as rs numbers or as positions."


def _cause_ranges(variants: Variants, ranges: Ranges) -> str:
    """Why no variant lies in the stretches."""
    n_autosomes = count_autosomes(variants.chromosome)
    ours, theirs = (
        np.unique(plain_names(each.chromosome, n_autosomes)).tolist() for each in (variants, ranges)
    )
    if set(ours).isdisjoint(theirs):
        asked, there = (", ".join(names[:_SHOWN]) for names in (theirs, ours))
        return f": they are on chromosome {asked}, the genotypes on {there}."
    return "; check that both have positions of the same build."
