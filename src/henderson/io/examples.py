"""Small published tables, to try the package on."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from henderson.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

#: The factors of each table.
_TABLES = {
    "sleepstudy": ["Subject"],
    "dyestuff": ["Batch"],
    "dyestuff2": ["Batch"],
    "penicillin": ["plate", "sample"],
    "pastes": ["batch", "cask"],
}


def example_data(name: str) -> pd.DataFrame:
    """A small published table that the literature on mixed models uses.

    Parameters
    ----------
    name : {"sleepstudy", "dyestuff", "dyestuff2", "penicillin", "pastes"}
        ``sleepstudy``: reaction times (ms) of 18 people on days 0 to 9 of restricted sleep (Belenky et al.
        2003, J. Sleep Res. 12:1-12). ``dyestuff``: yield (g) of 6 batches (Davies & Goldsmith 1972,
        Statistical Methods in Research and Production, table 6.1). ``dyestuff2``: made-up yields without
        variation between batches (Box & Tiao 1973, Bayesian Inference in Statistical Analysis, 5.1.2).
        ``penicillin``: diameters (mm) of 6 samples on 24 plates, ``pastes``: strength of 60 assays from
        casks within batches (both Davies & Goldsmith 1972, tables 6.6 and 6.5).

    Returns
    -------
    pandas.DataFrame
        Grouping columns are categorical.

    Raises
    ------
    DataError
        If there is no table of that name.

    Examples
    --------
    >>> example_data("sleepstudy").shape
    (180, 3)
    """
    import pandas as pd

    if name not in _TABLES:
        raise DataError(f"there is no example table {name!r}; there are {', '.join(_TABLES)}")
    factors = _TABLES[name]
    with (files("henderson.io") / "data" / f"{name}.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file, dtype=dict.fromkeys(factors, str))
    return table.astype(dict.fromkeys(factors, "category"))
