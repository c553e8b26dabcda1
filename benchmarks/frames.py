"""A data frame as a folder of raw columns, which Python and R read to the last bit.

``columns.tsv`` lists name and kind (``double``, ``factor`` or ``ordered``). Column ``k`` lies in ``k.bin``,
as little-endian float64, or as int32 codes from 1 whose levels stand one per line in ``k.levels``. Text files
would round the numbers, and parsing them would blur the memory that a fit is charged for.
"""

from pathlib import Path

import numpy as np
import pandas as pd


def write_frame(frame: pd.DataFrame, folder: Path) -> None:
    """Write a frame without missing values; categorical columns become factors, all others doubles."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for k, name in enumerate(frame.columns):
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            kind = "ordered" if column.cat.ordered else "factor"
            (column.cat.codes.to_numpy(np.int32) + np.int32(1)).astype("<i4").tofile(folder / f"{k}.bin")
            (folder / f"{k}.levels").write_text("".join(f"{level}\n" for level in column.cat.categories))
        else:
            kind = "double"
            column.to_numpy(np.float64).astype("<f8").tofile(folder / f"{k}.bin")
        lines.append(f"{name}\t{kind}\n")
    (folder / "columns.tsv").write_text("".join(lines))


def read_frame(folder: Path) -> pd.DataFrame:
    """Read what `write_frame`, or its twin in `lmer_lme4.R`, has written."""
    columns: dict[str, object] = {}
    for k, line in enumerate((folder / "columns.tsv").read_text().splitlines()):
        name, kind = line.split("\t")
        if kind == "double":
            columns[name] = np.fromfile(folder / f"{k}.bin", "<f8")
        else:
            codes = np.fromfile(folder / f"{k}.bin", "<i4") - 1
            levels = (folder / f"{k}.levels").read_text().splitlines()
            columns[name] = pd.Categorical.from_codes(codes, levels, ordered=kind == "ordered")
    return pd.DataFrame(columns)
