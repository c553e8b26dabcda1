"""Summary statistics written as other programs write theirs, for whoever reads those."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.io.scan_files import write_gwas_ssf
from henderson.io.scan_ssf import without_underflow
from henderson.io.sumstats_formats import COLUMNS, refuse_several_traits
from henderson.io.whole_files import whole_files

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Format = Literal["plink2", "regenie", "bolt", "cojo", "gwas-ssf"]
Floats = NDArray[np.float64]

logger = logging.getLogger("henderson")

_ROWS = 1 << 17  # formatted in one go
_LEVEL = 1  # of gzip: digits hardly compress


@dataclass(frozen=True, slots=True)
class _Target:
    """A program's columns: what each is called, and one of ours, or a number, or text between equal signs."""

    columns: Mapping[str, str]
    separator: str
    needs: tuple[str, ...]
    first: str = ""


_ALWAYS = ("chromosome", "base_pair_location", "effect_allele", "other_allele", "beta", "standard_error",
           "neg_log_10_p_value", "rsid")  # fmt: skip

_TARGETS: Mapping[str, _Target] = {
    "plink2": _Target(
        {
            "CHROM": "chromosome", "POS": "base_pair_location", "ID": "rsid", "REF": "other_allele",
            "ALT": "effect_allele", "A1": "effect_allele", "A1_FREQ": "effect_allele_frequency",
            "TEST": "=ADD", "OBS_CT": "n", "BETA": "beta", "SE": "standard_error", "T_STAT": "z",
            "P": "p_value", "ERRCODE": "=.",
        },
        "\t", _ALWAYS, "#",
    ),
    "regenie": _Target(
        {
            "CHROM": "chromosome", "GENPOS": "base_pair_location", "ID": "rsid", "ALLELE0": "other_allele",
            "ALLELE1": "effect_allele", "A1FREQ": "effect_allele_frequency", "INFO": "info", "N": "n",
            "TEST": "=ADD", "BETA": "beta", "SE": "standard_error", "CHISQ": "chi_squared",
            "LOG10P": "neg_log_10_p_value", "EXTRA": "=NA",
        },
        " ", _ALWAYS,
    ),
    "bolt": _Target(
        {
            "SNP": "rsid", "CHR": "chromosome", "BP": "base_pair_location", "GENPOS": "=0",
            "ALLELE1": "effect_allele", "ALLELE0": "other_allele", "A1FREQ": "effect_allele_frequency",
            "INFO": "info", "F_MISS": "missing", "BETA": "beta", "SE": "standard_error",
            "P_BOLT_LMM_INF": "p_value",
        },
        "\t", _ALWAYS,
    ),
    "cojo": _Target(
        {
            "SNP": "rsid", "A1": "effect_allele", "A2": "other_allele", "freq": "effect_allele_frequency",
            "b": "beta", "se": "standard_error", "p": "p_value", "N": "n",
        },
        " ",
        (
            "rsid", "effect_allele", "other_allele", "effect_allele_frequency", "beta", "standard_error",
            "neg_log_10_p_value", "n",
        ),
    ),
}  # fmt: skip
_TEXT = {name for name, kind in COLUMNS.items() if kind == "text"}
_MADE: Mapping[str, Callable[[pd.DataFrame], Any]] = {
    "z": lambda t: t["beta"] / t["standard_error"],
    "chi_squared": lambda t: (t["beta"] / t["standard_error"]) ** 2,
    "missing": lambda t: 1 - t["n"] / t["n"].max(),
}


def write_sumstats(table: pd.DataFrame, path: str | Path, *, format: Format) -> int:
    """Write the table of a genome scan as another program writes its own.

    Parameters
    ----------
    table : pandas.DataFrame
        What `read_sumstats` gives, or a scan's table.
    path : str or Path
        Where to; gzipped if the name ends in ``.gz``. It appears once complete.
    format : {"plink2", "regenie", "bolt", "cojo", "gwas-ssf"}
        ``"plink2"``: the ``.glm.linear`` of PLINK 2 (ALT and A1 are the effect allele, T_STAT is beta / se).
        ``"regenie"``: REGENIE's step 2 (CHISQ is (beta / se)^2). ``"bolt"``: BOLT-LMM's statistics (GENPOS is
        0; F_MISS counts from the largest n, and INFO is in its place where it is known). ``"cojo"``: the
        ``.ma`` of GCTA-COJO. ``"gwas-ssf"``: the GWAS Catalog's; the only one that says why a variant was
        not tested.

    Returns
    -------
    int
        Number of rows left out, because the format cannot say what they lack: an effect, its standard error,
        a p-value, an allele, a name, and for COJO a frequency and n. It is also logged.

    Raises
    ------
    DataError
        If a column that the format needs is absent or empty, the rows are those of several traits, an allele
        or name has a space, or the file cannot be written.

    Notes
    -----
    P-values too small for a double are written from their logarithm, as 3.2e-401.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> table = pd.DataFrame({
    ...     "rsid": ["rs1"], "effect_allele": ["A"], "other_allele": ["G"], "n": [90], "beta": [4.0],
    ...     "effect_allele_frequency": [0.2], "standard_error": [0.1], "neg_log_10_p_value": [400.0],
    ... })
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "height.ma"
    ...     _ = write_sumstats(table, path, format="cojo")
    ...     print(path.read_text(), end="")
    SNP A1 A2 freq b se p N
    rs1 A G 0.2 4 0.1 1e-400 90
    """
    path = Path(path)
    if format not in get_args(Format):
        raise DataError(f"format={format!r} is not one of {', '.join(get_args(Format))}.")
    if format == "gwas-ssf":
        write_gwas_ssf(table, path)
        return 0
    if "trait" in table:
        refuse_several_traits(table["trait"].unique().tolist(), "the table")
    target = _TARGETS[format]
    complete = _complete(table, target, format)
    left_out = len(table) - len(complete)
    if left_out:
        logger.warning(
            f"{path}: {left_out:,} of {len(table):,} variants are left out, since they lack what a "
            f"{format} file must say of each ({', '.join(target.needs)})"
        )
    columns = _columns(complete, target)
    _check_words(path, complete, target)
    with whole_files(path) as [file], _maybe_zipped(file, path) as out:
        out.write((target.first + target.separator.join(columns) + "\n").encode())
        for start in range(0, len(complete), _ROWS):
            out.write(_lines({name: _slice(values, start) for name, values in columns.items()}, target))
    return left_out


def _complete(table: pd.DataFrame, target: _Target, format: str) -> pd.DataFrame:
    """Rows that have all that the format needs."""
    if "neg_log_10_p_value" not in table and "p_value" in table:
        with np.errstate(divide="ignore"):
            table = table.assign(neg_log_10_p_value=-np.log10(table["p_value"].to_numpy(dtype=np.float64)))
    for name in target.needs:
        if name not in table or (len(table) and table[name].isna().all()):
            raise DataError(
                f"A {format} file needs {name} of each variant, which this table lacks; add the column."
            )
    whole = table[list(target.needs)].notna().all(axis=1).to_numpy(copy=True)
    for name in ("beta", "standard_error", "neg_log_10_p_value"):
        whole &= np.isfinite(table[name].to_numpy(dtype=np.float64, na_value=np.nan))
    whole &= table["standard_error"].to_numpy(dtype=np.float64, na_value=np.nan) > 0
    return table[whole]


def _columns(table: pd.DataFrame, target: _Target) -> dict[str, Any]:
    """What goes into each column: arrays, or one text for all rows."""
    known = "info" in table and bool(table["info"].notna().any())
    columns: dict[str, Any] = {}
    for theirs, ours in target.columns.items():
        if ours.startswith("="):
            columns[theirs] = ours[1:]
        elif ours == "p_value":
            logs = table["neg_log_10_p_value"].to_numpy(dtype=np.float64)
            p = table["p_value"].to_numpy(dtype=np.float64) if "p_value" in table else 10.0**-logs
            columns[theirs] = (p, logs)
        elif ours == "missing":
            if not known:
                columns[theirs] = _made(table, ours) if "n" in table and len(table) else "NA"
        elif ours == "info":
            if known:
                columns[theirs] = table["info"].to_numpy()
        elif ours in _MADE:
            columns[theirs] = _made(table, ours)
        else:
            columns[theirs] = table[ours].to_numpy() if ours in table else "NA"
    return columns


def _made(table: pd.DataFrame, name: str) -> Floats:
    """A column that is computed from ours."""
    made: Floats = _MADE[name](table).to_numpy(dtype=np.float64)
    return made


def _check_words(path: Path, table: pd.DataFrame, target: _Target) -> None:
    """Refuse text that would be taken for several cells."""
    for name in _TEXT & set(target.columns.values()):
        words = table[name].astype(str)
        wrong = words.str.contains(r"\s", regex=True) | (words == "")
        if wrong.any():
            raise DataError(
                f"{path} cannot say {words[wrong].iloc[0]!r} in the column {name}: names and alleles must "
                "not be empty nor hold spaces in this format."
            )


def _slice(values: Any, start: int) -> Any:
    if isinstance(values, str):
        return values
    if isinstance(values, tuple):
        return tuple(part[start : start + _ROWS] for part in values)
    return values[start : start + _ROWS]


def _lines(columns: Mapping[str, Any], target: _Target) -> bytes:
    """Rows as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = [pa.scalar(values) if isinstance(values, str) else _cells(values) for values in columns.values()]
    options = {"null_handling": "replace", "null_replacement": "NA"}
    lines = pc.binary_join_element_wise(*cells, target.separator, **options)
    return ("\n".join(lines.to_pylist()) + "\n").encode()


def _cells(values: Any) -> pa.Array:
    """A column as text, with as many digits as identify each number; missing is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(values, tuple):
        p, logs = (pa.array(part, from_pandas=True) for part in values)
        return without_underflow(pc.cast(p, pa.string()), p, logs)
    if values.dtype.kind == "f":
        values = np.where(np.isfinite(values), values, np.nan)
    return pc.cast(pa.array(values, from_pandas=True), pa.string())


@contextmanager
def _maybe_zipped(file: IO[bytes], path: Path) -> Iterator[Any]:
    """The file, or what compresses into it; the same rows give the same bytes."""
    if path.suffix != ".gz":
        yield file
        return
    with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0) as zipped:
        yield zipped
