"""Summary statistics of genome scans, read from the files of any of the usual programs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.io.paths import nearby
from henderson.io.sumstats_formats import (
    COLUMNS,
    LAYOUTS,
    OTHERS,
    Kind,
    Layout,
    recognised,
    refuse_several_traits,
)
from henderson.io.sumstats_text import first_outside, open_text, rule
from henderson.linalg.tails import neg_log10_normal

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Floats = NDArray[np.float64]

logger = logging.getLogger("henderson")

_ADDITIVE = "ADD"
_LARGEST_WHOLE = 2.0**53
_SSF = LAYOUTS[0]


def read_sumstats(path: str | Path, *, format: str | None = None) -> pd.DataFrame:
    """Read the table of a genome scan, whichever program wrote it.

    Parameters
    ----------
    path : str or Path
        GWAS-SSF, or Parquet of henderson; PLINK 1.9 (``.assoc``, ``.qassoc``, ``.assoc.linear``,
        ``.assoc.logistic``), PLINK 2 (``.glm.*``), REGENIE (step 2), BOLT-LMM, SAIGE, GEMMA (``.assoc.txt``),
        GCTA (``.mlma``, ``.fastGWA``, COJO's ``.ma``), LDAK, FaST-LMM or LDSC. The format is recognised by
        the names of the columns; gzipped or not.
    format : str, optional
        Insist on one of these, by the name it has here; case does not count.

    Returns
    -------
    pandas.DataFrame
        One row per variant, in the order of the file, with the columns of a scan's table: ``chromosome``,
        ``base_pair_location``, ``effect_allele``, ``other_allele``, ``beta`` (per copy of the effect allele;
        the logarithm of an odds ratio), ``standard_error``, ``effect_allele_frequency``, ``p_value``,
        ``neg_log_10_p_value``, ``rsid`` and ``n``; what the file does not say is missing. ``info`` and
        ``status`` only if the file has them: ``"ok"``, or the program's word for what went wrong.

    Raises
    ------
    DataError
        If the columns are of no known format, the rows are those of several traits, a line has cells too few
        or too many, or a cell is not what it should be; the message names the line and the column.

    Notes
    -----
    ``neg_log_10_p_value`` is read from a column of logarithms where there is one; otherwise from the text of
    p, so that 1e-400, whose ``p_value`` is 0, is 400. A row that has only one of the two, or an odds ratio
    but no effect, gives the other. Where even the text is 0, it is computed from beta and
    its standard error (two-sided normal tail), and counted in a warning. Of tests of several kinds in one
    file, the additive ones (``TEST`` is ``ADD``) are read. Where there is no standard error but a test
    statistic beta / se, it is the quotient. FaST-LMM's weights and LDSC's files have no effect per allele.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "height.ma"
    ...     _ = path.write_text("SNP A1 A2 freq b se p N" + chr(10) + "rs1 A G 0.2 4 0.1 1e-400 1000")
    ...     table = read_sumstats(path)
    >>> table[["effect_allele", "beta", "neg_log_10_p_value", "n"]]
      effect_allele  beta  neg_log_10_p_value     n
    0             A   4.0               400.0  1000
    """
    import pyarrow.compute as pc

    path = Path(path)
    if path.suffix == ".parquet":
        layout, columns = _SSF, _of_parquet(path)
    else:
        text = open_text(path)
        layout = _layout(path, text.names, format)
        found = layout.found(text.names)
        kinds = {name: _kind(ours) for ours, name in found.items()}
        rows = text.read(kinds)
        columns = {ours: rows[name] for ours, name in found.items()}
        if "p_value" in found:
            of_p = rows[f"-log10 {found['p_value']}"]
            columns["neg_log_10_p_value"] = pc.coalesce(columns.get("neg_log_10_p_value", of_p), of_p)
        if "status" in columns:
            columns["status"] = columns["status"].fill_null("ok")
    if format is not None and layout.name.casefold() != format.casefold():
        raise DataError(f"{path} is of the format {layout.name}, not {format}.")
    if "test" in columns:
        columns = _additive(path, columns)
    return _frame(path, columns)


def _layout(path: Path, names: list[str], format: str | None) -> Layout:
    """Recognise a file by its columns."""
    known = ", ".join(layout.name for layout in LAYOUTS)
    if format is not None and format.casefold() not in {layout.name.casefold() for layout in LAYOUTS}:
        raise DataError(f"format={format!r} is not one of {known}.")
    layout = recognised(names)
    if layout is None:
        if all(name[:1] == name[-1:] == '"' for name in names):
            raise DataError(
                f"{path}: the names of its columns stand in quotation marks; write the file without them "
                "(in R: quote=FALSE)."
            )
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise DataError(
            f"{path}: these columns are of no format that henderson knows: {shown}. It reads {known}; rename "
            "the columns to those of GWAS-SSF (chromosome, base_pair_location, effect_allele, other_allele, "
            "beta, standard_error, effect_allele_frequency, p_value)."
        )
    return layout


def _kind(ours: str) -> Kind:
    return COLUMNS[ours] if ours in COLUMNS else OTHERS[ours]


def _of_parquet(path: Path) -> dict[str, pa.ChunkedArray]:
    """The columns of a scan's Parquet file."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(f"There is no file {path}{nearby(path)}")
    try:
        names = pq.read_schema(path).names
        absent = sorted(_SSF.needs - set(names))
        if absent:
            raise DataError(f"{path} is no table of a genome scan: it has no column {', '.join(absent)}.")
        if "trait" in names:
            traits = pq.read_table(path, columns=["trait"])["trait"]
            refuse_several_traits(pc.unique(traits).to_pylist(), str(path))
        found = _SSF.found(names)
        rows = pq.read_table(path, columns=list(found.values()))
        kinds = {ours: pa.string() if _kind(ours) == "text" else pa.float64() for ours in found}
        columns = {ours: rows[name].cast(kinds[ours]) for ours, name in found.items()}
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as problem:
        raise DataError(f"{path} cannot be read: {str(problem).splitlines()[0].rstrip('.')}.") from None
    for ours, values in columns.items():
        row = first_outside(values, _kind(ours))
        if row is not None:
            raise DataError(
                f"{path}, row {row + 1}, column {ours}: {values[row]} cannot be; {rule(_kind(ours))}."
            )
    return columns


def _additive(path: Path, columns: Mapping[str, pa.ChunkedArray]) -> dict[str, pa.ChunkedArray]:
    """Rows of additive tests only."""
    import pyarrow.compute as pc

    test = columns["test"]
    wanted = pc.fill_null(pc.equal(test, _ADDITIVE), False)
    count = pc.sum(wanted).as_py() or 0
    if not count:
        kinds = ", ".join(map(str, pc.unique(test).to_pylist()[:5]))
        raise DataError(f"{path} has no additive tests (ADD in the column TEST), but {kinds}.")
    if count == len(test):
        return dict(columns)
    logger.info(f"{path}: {len(test) - count:,} rows of other tests than ADD are left out")
    return {name: values.filter(wanted) for name, values in columns.items()}


def _frame(path: Path, columns: Mapping[str, pa.ChunkedArray]) -> pd.DataFrame:
    """Everything that can be had from the columns of a file."""
    import pandas as pd

    text = {name: values.to_pandas() for name, values in columns.items() if _kind(name) == "text"}
    given = {name: _numbers(values) for name, values in columns.items() if _kind(name) != "text"}
    m = len(next(iter(columns.values())))
    nothing = np.full(m, np.nan)
    _fill_effects(path, given)
    beta, se = given.get("beta", nothing), given.get("standard_error", nothing)
    with np.errstate(divide="ignore", invalid="ignore"):
        if "standard_error" not in given and "statistic" in given:
            se = np.where(given["statistic"] != 0, beta / given["statistic"], np.nan)
            given["standard_error"] = se
    _fill_logs(path, given, beta, se)
    if "n" not in given and {"n_cases", "n_controls"} <= given.keys():
        given["n"] = given["n_cases"] + given["n_controls"]
    if "other_allele" not in text and {"ref", "alt"} <= text.keys():
        text["other_allele"] = _the_other(text["effect_allele"], text["ref"], text["alt"])
    table: dict[str, Any] = {}
    for name, kind in COLUMNS.items():
        if kind == "text":
            table[name] = text.get(name, np.full(m, None, dtype=object))
        else:
            table[name] = given.get(name, nothing)
            if kind in {"position", "count"}:
                table[name] = _whole(table[name])
    table.update({name: (text | given)[name] for name in ("info", "status") if name in text | given})
    return pd.DataFrame(table)


def _fill_effects(path: Path, given: dict[str, Floats]) -> None:
    """Effects of odds ratios; what is not finite is missing."""
    if "odds_ratio" in given:
        with np.errstate(divide="ignore"):
            of_ratio = np.log(given["odds_ratio"])
        given["beta"] = _either(given.get("beta", of_ratio), of_ratio)
    for name in ("beta", "standard_error", "statistic"):
        if name in given and np.isinf(given[name]).any():
            endless = np.isinf(given[name])
            logger.warning(
                f"{path}: {name} is infinite in {np.count_nonzero(endless):,} rows; it counts as missing"
            )
            given[name] = np.where(endless, np.nan, given[name])


def _fill_logs(path: Path, given: dict[str, Floats], beta: Floats, se: Floats) -> None:
    """P-values and their logarithms, each from the other, or from the effect where p is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if "neg_log_10_p_value" not in given and "z" in given:
            given["neg_log_10_p_value"] = neg_log10_normal(given["z"])
        if "p_value" in given:
            of_p = -np.log10(given["p_value"])
            given["neg_log_10_p_value"] = _either(given.get("neg_log_10_p_value", of_p), of_p)
        logs = given.get("neg_log_10_p_value")
        if logs is None:
            return
        lost = np.isposinf(logs)
        if lost.any():
            from_effect = neg_log10_normal(beta / se)
            mended = lost & np.isfinite(from_effect) & (se > 0)
            logs = np.where(mended, from_effect, logs)
            left = np.count_nonzero(lost & ~mended)
            logger.warning(
                f"{path}: p is 0 in {np.count_nonzero(lost):,} rows, which a test cannot give"
                + (
                    f"; {np.count_nonzero(mended):,} are computed from beta and its standard error"
                    if mended.any()
                    else ""
                )
                + (f"; {left:,} stay infinite on the scale of -log10" if left else "")
            )
        given["neg_log_10_p_value"] = np.maximum(logs, 0.0)  # -0.0 is 0, NaN stays
        of_logs = 10.0**-logs
        given["p_value"] = _either(given.get("p_value", of_logs), of_logs)


def _either(first: Floats, second: Floats) -> Floats:
    """The first, or where it is missing the second: a file may have both columns, and either in a row."""
    return np.where(np.isnan(first), second, first)


def _the_other(effect: pd.Series, ref: pd.Series, alt: pd.Series) -> pd.Series:
    """The allele that a copy of the effect allele takes the place of: REF, or of the effect of REF, ALT."""
    several = alt.str.contains(",", regex=False, na=False)
    return ref.where(effect != ref, alt.mask(several))


def _numbers(values: pa.ChunkedArray) -> Floats:
    numbers: Floats = np.asarray(values.to_numpy(), dtype=np.float64)
    return numbers


def _whole(values: Floats) -> Any:
    """Whole numbers as such, unless some are missing or not whole."""
    with np.errstate(invalid="ignore"):
        whole = bool((values == np.rint(values)).all() and (np.abs(values) < _LARGEST_WHOLE).all())
    return values.astype(np.int64) if whole else values
