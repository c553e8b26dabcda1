"""Tables in memory, and files that are streamed: which of them data are."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from henderson.io.frame import open_table


def is_streamed(data: Any) -> bool:
    """Whether data are the path of Parquet files, or a pyarrow dataset of them, and not a table.

    Examples
    --------
    >>> is_streamed("records.parquet"), is_streamed({"x": [1, 2]})
    (True, False)
    """
    return isinstance(data, str | PathLike) or type(data).__module__ == "pyarrow._dataset"


def column_names(data: Any) -> Sequence[str]:
    """The columns of a table or of files."""
    if is_streamed(data):
        from henderson.io.batches import open_rows

        return open_rows(data).names
    return open_table(data).names
