"""`henderson convert`: summary statistics of one program as those of another."""

import logging
from pathlib import Path

from henderson.errors import DataError
from henderson.io.sumstats import read_sumstats
from henderson.io.sumstats_write import Format, write_sumstats


def run_convert(path: str, *, to: Format, out: str) -> None:
    """Read a file of summary statistics and write it in another format."""
    if Path(out).exists() and Path(out).samefile(path):
        raise DataError(f"--out: {out} is the file that is to be read; choose another name.")
    logger = logging.getLogger("henderson")
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    try:
        write_sumstats(read_sumstats(path), out, format=to)
    finally:
        logger.removeHandler(handler)
