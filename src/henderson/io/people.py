"""Who is in a genotype file: names that tell people apart, and codes of sex."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.genotype.source import Samples
from henderson.io.fields import text_column

#: PLINK's codes of sex; everything else is "not known".
_SEXES = {b"1": 1, b"2": 2, b"M": 1, b"F": 2, b"m": 1, b"f": 2}


def people(
    fid: Sequence[bytes],
    iid: Sequence[bytes],
    sex: Sequence[bytes],
    *,
    path: Path,
    lines: Sequence[int] | NDArray[np.intp],
    what: str = "lines",
) -> Samples:
    """Give people as arrays, once it is sure that no two have the same name.

    Parameters
    ----------
    fid, iid : sequence of bytes, n long
        Family and individual identifiers.
    sex : sequence of bytes, n long or empty
        1 or M is male, 2 or F female, everything else not known.
    path : Path
        Where they come from, for messages.
    lines : sequence of int, n long
        Where in it each of them is.
    what : str
        What these numbers count.

    Raises
    ------
    DataError
        If two people share FID and IID; the message says which.
    """
    pairs = list(zip(fid, iid, strict=True))
    if len(set(pairs)) < len(pairs):
        first: dict[tuple[bytes, bytes], int] = {}
        for row, person in enumerate(pairs):
            if person in first:
                raise DataError(
                    f"{path}, {what} {lines[first[person]]} and {lines[row]}: two people are called "
                    f"{person[0].decode()} {person[1].decode()} (FID and IID); each needs a name of its own."
                )
            first[person] = row
    codes = np.array([_SEXES.get(text, 0) for text in sex], dtype=np.int8)
    return Samples(text_column(fid), text_column(iid), codes)
