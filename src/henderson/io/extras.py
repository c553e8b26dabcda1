"""Libraries that not everybody needs: loaded where they are used, or asked for in one sentence."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from henderson.errors import DataError


def load_extra(module: str, extra: str, purpose: str) -> Any:
    """Import a library that belongs to an extra.

    Parameters
    ----------
    module : str
        What is imported, such as ``"pgenlib"``.
    extra : str
        The extra that installs it, such as ``"plink2"``.
    purpose : str
        What it is needed for, as the subject of the sentence: ``"Reading PLINK 2 files"``.

    Returns
    -------
    module

    Raises
    ------
    DataError
        If it is not installed; the message gives the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError:
        raise DataError(
            f'{purpose} needs {module}: install it with  pip install "henderson[{extra}]"'
        ) from None
