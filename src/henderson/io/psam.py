"""The people of a PLINK 2 fileset: .psam."""

from __future__ import annotations

from pathlib import Path

from henderson.errors import DataError
from henderson.genotype.source import Samples
from henderson.io.fields import read_text
from henderson.io.headed_text import headed_text
from henderson.io.people import people

_FAM = ("FID", "IID", "PAT", "MAT", "SEX")


def read_psam(path: Path) -> Samples:
    """Read who was genotyped.

    Parameters
    ----------
    path : Path
        A .psam file, whose header begins with #FID or #IID, or one without a header, which has the columns of
        a .fam file. Without FID everybody's is "0", as PLINK 2 has it; without SEX nobody's is known.

    Raises
    ------
    DataError
        If it is malformed, or two people share FID and IID; the message names the line.
    """
    content = read_text(path)
    headless = {6: (*_FAM, "PHENO1"), 5: _FAM}
    text = headed_text(content, path, what="people", first="#FID or #IID", headless=headless)
    if "IID" not in text.names[:2]:
        raise DataError(
            f"{path}: the header has to begin with #IID, or with #FID and IID, but begins with "
            f"#{' and '.join(text.names[:2])}."
        )
    iid = text.column("IID")
    fid = text.column("FID") if "FID" in text.names else [b"0"] * len(iid)
    sex = text.column("SEX") if "SEX" in text.names else []
    return people(fid, iid, sex, path=path, lines=text.lines)
