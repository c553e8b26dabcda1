"""The people of a BGEN file: .sample files, as Oxford's programs, PLINK and the UK Biobank write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from henderson.errors import DataError
from henderson.genotype.source import Samples
from henderson.io.fields import locate_fields, read_text
from henderson.io.people import people


def read_sample(path: Path, inside: Sequence[str] = ()) -> Samples:
    """Read who was genotyped.

    Parameters
    ----------
    path : Path
        A .sample file: a line of names, ID_1 ID_2 missing [sex ...], a line of the columns' kinds, 0 0 0
        [D ...], and a line per person. ID_1 is the FID, ID_2 the IID; with a single column of identifiers
        (ID, or ID_1 alone) everybody's FID is "0".
    inside : sequence of str, optional
        The identifiers that the genotype file itself has. Those that are also in the .sample file have to be
        at the same place.

    Raises
    ------
    DataError
        If it is malformed, two people share FID and IID, or the genotype file has them in another order; the
        message names the line.
    """
    content = read_text(path)
    header, _, rest = content.partition(b"\n")
    given = header.decode().split()
    names = [name.lower() for name in given]
    if not names or names[0] not in {"id", "id_1"}:
        raise DataError(
            f"{path}, line 1: a .sample file begins with the names of its columns, ID_1 ID_2 missing, and "
            f"not with {' '.join(given[:3]) or 'an empty line'}."
        )
    rule = f"line 1 names {len(names)}"
    starts, ends, lines = locate_fields(rest, path, columns=len(names), rule=rule, first_line=2)

    def column(place: int) -> list[bytes]:
        each = zip(starts[place :: len(names)].tolist(), ends[place :: len(names)].tolist(), strict=True)
        return [rest[start:end] for start, end in each]

    first = column(0)
    if not first or first[0] != b"0":
        raise DataError(
            f"{path}, line {lines[0] if first else 2}: the second line of a .sample file gives the kinds of "
            "its columns, 0 0 0 for the first three; put that line in."
        )
    if len(first) == 1:
        raise DataError(
            f"{path} lists nobody: after the first two lines there should be one for each person."
        )
    if names[1:2] == ["id_2"]:
        fid, iid = first[1:], column(1)[1:]
    else:
        fid, iid = [b"0"] * (len(first) - 1), first[1:]
    sex = column(names.index("sex"))[1:] if "sex" in names else []
    rows = lines[1:]
    samples = people(fid, iid, sex, path=path, lines=rows)
    place = {name: position for position, name in enumerate(inside)}
    for row, (family, person) in enumerate(zip(fid, iid, strict=True)):
        either = (f"{family.decode()}_{person.decode()}", person.decode())
        name = next((name for name in either if name in place), None)
        if name is not None and place[name] != row:
            raise DataError(
                f"{path}, line {rows[row]}: {name} is person {row + 1} here, but person {place[name] + 1} of "
                "the genotype file; give the .sample file that belongs to it."
            )
    return samples
