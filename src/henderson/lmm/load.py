"""`load`: a fit from a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from henderson.fit import saved
from henderson.lmm.result import LmerResult, result_of


def load(
    path: str | os.PathLike[str], data: Any = None, *, relationship: Mapping[str, Any] | None = None
) -> LmerResult:
    """Read a fit that `LmerResult.save` wrote.

    Without `data` it answers all that estimates and fitted values can: summaries, effects, `predict` for new
    rows. With the data of the fit its engine is built again, and `update`, `refit` and `heritability` work.

    Parameters
    ----------
    path : str or Path
    data : table, optional
        The data that were fitted; refused if the criterion at the stored estimates differs with them.
    relationship : dict, optional
        With `data`, the relationship matrices of the fit, which the file leaves out.

    Returns
    -------
    LmerResult

    Raises
    ------
    DataError
        If the file is not a saved fit, is damaged or from a newer version, or `data` are not its data.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> path = Path(tempfile.mkdtemp()) / "sleep.fit"
    >>> fit.save(path)
    >>> hd.load(path)
    <LmerResult 'Reaction ~ Days + (Days | Subject)' by REML: 180 rows; Subject 18>
    >>> hd.load(path, hd.example_data("sleepstudy")).update(REML=False)
    <LmerResult 'Reaction ~ Days + (Days | Subject)' by ML: 180 rows; Subject 18>
    """
    return result_of(saved.load(path, data, relationship=relationship))
