"""Who is who: people of a table matched to those who were genotyped, by identifiers and never by position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.source import Index, Samples
from henderson.io.phenotypes import MissingMarker, PhenotypeTable, is_identifier

Strings = NDArray[np.str_]
_SHOWN = 3
BY_PAIR, BY_IID = "FID and IID", "IID"


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """The people who are in a table and were genotyped, in the order of the genotypes.

    Attributes
    ----------
    rows_in_genotypes, rows_in_table : ndarray of int, shape (n,)
        Where each of them is; the first is increasing.
    rows_in_also : dict of str to ndarray of int, shape (n,)
        Where they are in each of the other lists of people.
    n_genotyped, n_in_table : int
        How many people each side has.
    n_only_genotyped, n_only_in_table : int
        How many of them are not on the other side.
    only_genotyped, only_in_table : tuple of str
        The first few of those, as "FID IID" or "IID".
    matched_by : str
        "FID and IID" or "IID".
    notices : tuple of str
        What a user must be told, in plain sentences.
    """

    rows_in_genotypes: Index
    rows_in_table: Index
    n_genotyped: int
    n_in_table: int
    n_only_genotyped: int
    n_only_in_table: int
    only_genotyped: tuple[str, ...]
    only_in_table: tuple[str, ...]
    matched_by: str
    rows_in_also: Mapping[str, Index] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of people who are everywhere."""
        return int(self.rows_in_genotypes.shape[0])


def align(
    genotyped: Samples,
    table: PhenotypeTable,
    *,
    also: Mapping[str, Samples] | None = None,
    called: str | None = None,
) -> Alignment:
    """Match the people of a table to those who were genotyped.

    They are matched by the pair (FID, IID); by IID alone where one side has no family identifiers (all "0"),
    or where no pair is the same but IIDs are.

    Parameters
    ----------
    genotyped : Samples
    table : PhenotypeTable
    also : mapping of str to Samples, optional
        Other lists that people must be in, such as those of a relationship matrix, by the name that
        messages call them.
    called : str, optional
        What messages call the first list, where it is none of genotypes: the file of a pedigree.

    Returns
    -------
    Alignment

    Raises
    ------
    DataError
        If nobody matches (with examples of identifiers and the likely cause), or identifiers do not tell
        people apart.

    Examples
    --------
    >>> from henderson.io.phenotypes import phenotypes_of
    >>> genotyped = Samples(np.array(["f", "f", "g"]), np.array(["1", "2", "1"]))
    >>> table = phenotypes_of({"FID": ["g", "f", "h"], "IID": [1, 1, 1], "bmi": [21.5, 30.0, 25.0]})
    >>> found = align(genotyped, table)
    >>> found.rows_in_genotypes, found.rows_in_table, found.only_in_table
    (array([0, 2]), array([1, 0]), ('h 1',))
    """
    first, there = ("the genotypes", "genotyped") if called is None else (called, f"in {called}")
    rows, by = match(genotyped, table.samples, names=(first, table.source))
    notices = matched_by_iid(genotyped, table.samples, by, table.source)
    in_table = rows >= 0
    keep = in_table.copy()
    others: dict[str, Index] = {}
    for name, samples in (also or {}).items():
        others[name], other_by = match(genotyped, samples, names=(first, name))
        notices += matched_by_iid(genotyped, samples, other_by, name)
        lost = keep & (others[name] < 0)
        if lost.any():
            shown = _names(genotyped, np.flatnonzero(lost), by)
            notices += (f"{_people(int(lost.sum()))} not in {name} and left out: {_listed(shown, lost)}.",)
        keep &= others[name] >= 0
    if not keep.any():
        raise DataError(
            f"Nobody is in {first}, {table.source} and {' and '.join(others)} at once; "
            "check that the files belong together."
        )
    unused = np.ones(table.samples.n, dtype=bool)
    unused[rows[in_table]] = False
    only_genotyped = _names(genotyped, np.flatnonzero(~in_table), by)
    only_in_table = _names(table.samples, np.flatnonzero(unused), by)
    if not in_table.all():
        notices += (
            f"{_people(int((~in_table).sum()))} {there} but not in {table.source}: "
            f"{_listed(only_genotyped, ~in_table)}.",
        )
    if unused.any():
        notices += (
            f"{_people(int(unused.sum()))} in {table.source} but not {there}: "
            f"{_listed(only_in_table, unused)}.",
        )
    return Alignment(
        rows_in_genotypes=np.flatnonzero(keep),
        rows_in_table=rows[keep],
        n_genotyped=genotyped.n,
        n_in_table=table.samples.n,
        n_only_genotyped=int((~in_table).sum()),
        n_only_in_table=int(unused.sum()),
        only_genotyped=only_genotyped,
        only_in_table=only_in_table,
        matched_by=by,
        rows_in_also={name: found[keep] for name, found in others.items()},
        notices=notices,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """A table of phenotypes with the columns of covariates.

    Attributes
    ----------
    table : PhenotypeTable
        The people of the phenotypes, in their order; covariates that are not known are missing.
    n_without_covariates : int
        People without a row in at least one of the covariate tables.
    notices : tuple of str
    """

    table: PhenotypeTable
    n_without_covariates: int
    notices: tuple[str, ...] = ()


def join_tables(phenotypes: PhenotypeTable, covariates: PhenotypeTable | Iterable[PhenotypeTable]) -> Joined:
    """Add the columns of covariate tables to a table of phenotypes, matched as `align` does.

    Parameters
    ----------
    phenotypes : PhenotypeTable
    covariates : PhenotypeTable or several

    Returns
    -------
    Joined

    Raises
    ------
    DataError
        If two tables have a column of the same name, or share nobody.

    Examples
    --------
    >>> from henderson.io.phenotypes import phenotypes_of
    >>> bmi = phenotypes_of({"IID": ["a", "b"], "bmi": [21.5, 30.0]})
    >>> age = phenotypes_of({"IID": ["c", "b"], "age": [50, 61]})
    >>> joined = join_tables(bmi, age)
    >>> joined.table.columns["age"].tolist(), joined.n_without_covariates
    ([nan, 61.0], 1)
    """
    import pandas as pd

    tables = [covariates] if isinstance(covariates, PhenotypeTable) else list(covariates)
    columns = phenotypes.columns
    owner = dict.fromkeys(columns.columns, phenotypes.source)
    without = np.zeros(phenotypes.samples.n, dtype=bool)
    notices: tuple[str, ...] = ()
    markers: tuple[MissingMarker, ...] = phenotypes.missing
    for table in tables:
        names = [str(name) for name in table.columns.columns if not is_identifier(str(name))]
        values = table.columns[names]
        clash = next((name for name in names if name in owner), None)
        if clash is not None:
            raise DataError(
                f"Both {owner[clash]} and {table.source} have a column {clash!r}; rename one of them."
            )
        owner.update(dict.fromkeys(names, table.source))
        rows, by = match(phenotypes.samples, table.samples, names=(phenotypes.source, table.source))
        notices += matched_by_iid(phenotypes.samples, table.samples, by, table.source)
        absent = rows < 0
        if absent.any():
            shown = _names(phenotypes.samples, np.flatnonzero(absent), by)
            notices += (
                f"{_people(int(absent.sum()))} in {phenotypes.source} but not in {table.source}: "
                f"{_listed(shown, absent)}.",
            )
        without |= absent
        labels = np.where(absent, -1, rows)  # -1 is no label of a row: reindex gives missing values
        found = values.reset_index(drop=True).reindex(labels).reset_index(drop=True)
        columns = pd.concat([columns, found], axis=1)
        markers += table.missing
    joined = PhenotypeTable(phenotypes.source, phenotypes.samples, columns, markers)
    return Joined(joined, int(without.sum()), notices)


def match(left: Samples, right: Samples, *, names: tuple[str, str]) -> tuple[Index, str]:
    """For each of the people on the left the row on the right, -1 where there is none.

    Parameters
    ----------
    left, right : Samples
    names : pair of str
        What messages call the two sides.

    Returns
    -------
    rows : ndarray of int, shape (left.n,)
    matched_by : str
        "FID and IID" or "IID".

    Raises
    ------
    DataError
        As `align`.

    Examples
    --------
    >>> def people(*iid):
    ...     return Samples(np.full(len(iid), "0"), np.array(iid))
    >>> match(people("a", "b"), people("c", "b"), names=("one file", "the other"))
    (array([-1,  1]), 'IID')
    """
    sides = (left, right)
    if _has_families(left) and _has_families(right):
        pairs = _places(_pairs(left)), _places(_pairs(right))
        for places, samples, name in zip(pairs, sides, names, strict=True):
            _check_unique(places, samples, name, BY_PAIR)
        rows = _rows(*pairs)
        if (rows >= 0).any():
            return rows, BY_PAIR
    iids = _places(left.iid.tolist()), _places(right.iid.tolist())
    if iids[0].keys().isdisjoint(iids[1].keys()):
        raise DataError(_nobody(left, right, names))
    for places, samples, name in zip(iids, sides, names, strict=True):
        _check_unique(places, samples, name, BY_IID)
    return _rows(*iids), BY_IID


def _has_families(samples: Samples) -> bool:
    return bool((samples.fid != "0").any())


def _pairs(samples: Samples) -> list[str]:
    """One key per person; identifiers hold no tabs."""
    return [f"{fid}\t{iid}" for fid, iid in zip(samples.fid.tolist(), samples.iid.tolist(), strict=True)]


def _places(keys: list[str]) -> dict[str, int]:
    """The row of every key; the last one, where it occurs twice."""
    return {key: row for row, key in enumerate(keys)}


def _rows(left: dict[str, int], right: dict[str, int]) -> Index:
    """Where each of `left`, in its order, is in `right`, or -1."""
    return np.fromiter((right.get(key, -1) for key in left), dtype=np.intp, count=len(left))


def _check_unique(places: dict[str, int], samples: Samples, name: str, by: str) -> None:
    """Refuse people that their keys do not tell apart."""
    if len(places) == samples.n:
        return
    row = next(iter(set(range(samples.n)) - set(places.values())))
    if by == BY_PAIR:
        raise DataError(
            f"The person FID {samples.fid[row]}, IID {samples.iid[row]} is in {name} more than once; "
            "keep one."
        )
    raise DataError(
        f"IID {samples.iid[row]} is in {name} more than once, and without the same FIDs on both sides people "
        "are known by their IID alone; give the same FIDs in both, or unique IIDs."
    )


def matched_by_iid(left: Samples, right: Samples, by: str, name: str) -> tuple[str, ...]:
    """A notice where both sides have families and yet only IIDs match."""
    if by == BY_IID and _has_families(left) and _has_families(right):
        return (f"No FID of {name} fits with its IID, so that people were matched by IID alone.",)
    return ()


def _names(samples: Samples, rows: Index, by: str) -> tuple[str, ...]:
    first = rows[:_SHOWN].tolist()
    if by == BY_IID:
        return tuple(str(samples.iid[row]) for row in first)
    return tuple(f"{samples.fid[row]} {samples.iid[row]}" for row in first)


def _people(count: int) -> str:
    return "1 person is" if count == 1 else f"{count:,} people are"


def _listed(shown: tuple[str, ...], chosen: NDArray[np.bool_]) -> str:
    return ", ".join(shown) + (" and others" if int(chosen.sum()) > len(shown) else "")


def _nobody(left: Samples, right: Samples, names: tuple[str, str]) -> str:
    """Say that nobody matches, with examples from both sides and the likely cause."""
    sides = [
        f"{' and '.join(f'{s.fid[k]} {s.iid[k]}' for k in range(min(2, s.n)))} in {name}"
        for s, name in zip((left, right), names, strict=True)
    ]
    return f"Nobody in {names[1]} is in {names[0]} (FID IID: {'; '.join(sides)}){_cause(left, right, names)}"


def _cause(left: Samples, right: Samples, names: tuple[str, str]) -> str:
    """The first likely cause that would make people match."""

    def joined(samples: Samples) -> set[str]:
        pairs = zip(samples.fid.tolist(), samples.iid.tolist(), strict=True)
        return {f"{fid}_{iid}" for fid, iid in pairs}

    ours, theirs = set(left.iid.tolist()), set(right.iid.tolist())
    if _has_families(left) and _has_families(right):
        swapped = set(zip(left.fid.tolist(), left.iid.tolist(), strict=True)) & set(
            zip(right.iid.tolist(), right.fid.tolist(), strict=True)
        )
        if swapped:
            return f": FID and IID seem to be swapped in {names[1]}."
    if joined(left) & theirs:
        return f": the IID of {names[1]} seems to be FID and IID joined by '_'; split it."
    if ours & joined(right):
        return f": the IID of {names[0]} seems to be FID and IID joined by '_'; join them in {names[1]} too."
    if {i.lstrip("0") for i in ours} & {i.lstrip("0") for i in theirs}:
        return ": leading zeros seem to be lost on one side; keep identifiers as text."
    if {i.lower() for i in ours} & {i.lower() for i in theirs}:
        return ": they differ in upper and lower case; write them alike."
    if _has_families(left) and ((set(left.fid.tolist()) & theirs) or (ours & set(right.fid.tolist()))):
        return ": the FID of one side is the IID of the other; put the same identifier in IID."
    return "; check that the files belong together."
