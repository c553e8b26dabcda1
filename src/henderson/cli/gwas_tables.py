"""From the parts of a scan to its tables, pictures and the line of each trait."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.cli.clump import ClumpOptions, write_clumps
from henderson.cli.findings import NEEDED, scan_lines
from henderson.cli.gwas_run import Scan, Scanned
from henderson.cli.trait_summaries import TraitSummary, summary_of
from henderson.io.scan_files import scan_writer
from henderson.io.scan_long import long_writer
from henderson.io.scan_parts import ScanParts
from henderson.io.scan_rows import filled, filtered
from henderson.io.scan_ssf import chromosome_codes

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Array = NDArray[np.float64]
#: -log10 p held in memory at a time while many traits are summarised.
_TAILS = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What is written about a scan.

    Attributes
    ----------
    prefix : str
        How the names of all files begin.
    options : mapping
        Written into the tables.
    threshold : float
        Largest p-value of the rows in the tables.
    plots : bool
        Whether to draw each trait.
    clump : ClumpOptions or None
        Whether to clump each trait's variants.
    """

    prefix: str
    options: Mapping[str, Any]
    threshold: float
    plots: bool
    clump: ClumpOptions | None


def write_each(scan: Scan, scanned: Scanned, output: Output, files: Mapping[str, str]) -> None:
    """Write the tables of each trait of a group, draw them, note what came out, and forget the parts.

    Parameters
    ----------
    scan : Scan
    scanned : Scanned
        The group.
    output : Output
    files : mapping of str to str
        What each trait is called in the names of its files.
    """
    parts = scan.parts
    for t, trait in enumerate(scanned.traits):
        name, prefix = f"{scanned.key}-{t:05d}", f"{output.prefix}.{files[trait]}"
        noted = parts.noted(name)
        if noted is None or not _there(noted):
            summary, written = _write_one(scan, scanned, t, output, prefix)
            entry = {"group": scanned.traits, "summaries": [asdict(summary)], "files": written}
            parts.note(name, entry)
    parts.drop(scanned.parts)


def _write_one(
    scan: Scan, scanned: Scanned, t: int, output: Output, prefix: str
) -> tuple[TraitSummary, list[str]]:
    """Write the table of one trait, say what came out, and draw it."""
    trait, report = scanned.traits[t], scan.report
    variants = scan.source.variants
    described = {**output.options, "trait": trait, "people": scanned.n}
    codes = chromosome_codes(np.unique(variants.chromosome).tolist())
    with scan_writer(prefix, described, chromosomes=codes) as writer:
        for rows in _in_order(scan.parts, scanned, t):
            writer.write_rows(filtered(rows, output.threshold))
    written = [f"{prefix}.parquet", f"{prefix}.tsv.gz"]
    # read again rather than kept, so that a table of all columns is never in memory
    table = _table(scan.parts, scanned, t)
    for line in scan_lines(table, scanned.n):
        report.line(f"{trait}: {line}")
    for problem in scanned.problems:
        report.line(f"{trait}: not tested: {problem}")
    tails = table["neg_log_10_p_value"].to_numpy(dtype=np.float64, na_value=np.nan)
    summary = summary_of(
        trait,
        scanned.n,
        scanned.variances[t],
        tails=tails,
        positions=np.sort(np.concatenate(scanned.positions)),
        variants=variants,
        status=_status(scanned),
    )
    if output.plots and summary.tested:
        from henderson.plots.genome import save_plots

        written += map(str, save_plots(table, prefix, title=trait))
    if output.clump is not None and summary.tested:
        written.append(write_clumps(table, scan.source, output.clump, out=prefix, report=report))
    report.line(f"{trait}: written: {', '.join(written)}")
    return summary, written


def _in_order(
    parts: ScanParts, scanned: Scanned, t: int, columns: Sequence[str] | None = None
) -> "Iterator[pa.Table]":
    """The rows of a trait in the order of the genotypes, a part at a time."""
    import pyarrow as pa

    schema = parts.schema(scanned.parts)
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    tables = (filled(parts.read(name, t, columns), schema) for name in scanned.parts)
    every = np.concatenate(scanned.positions)
    if (np.diff(every) > 0).all():
        yield from tables
    else:  # chromosomes take turns in the genotypes
        yield pa.concat_tables(tables).take(np.argsort(every))


def _table(parts: ScanParts, scanned: Scanned, t: int) -> "pd.DataFrame":
    """The columns that findings and pictures need, of all variants."""
    import pyarrow as pa

    table: pd.DataFrame = pa.concat_tables(_in_order(parts, scanned, t, NEEDED)).to_pandas()
    return table


def _status(scanned: Scanned) -> str:
    return "; ".join(scanned.problems) or "ok"


def note_together(scan: Scan, scanned: Scanned) -> None:
    """Note what came out for the traits of a group whose rows are kept for one table of all."""
    parts, count = scan.parts, len(scanned.traits)
    positions = np.concatenate(scanned.positions)
    step = max(1, _TAILS // max(positions.size, 1))
    summaries = []
    for start in range(0, count, step):
        some = slice(start, min(start + step, count))
        tails = np.concatenate([parts.tails(name)[some] for name in scanned.parts], axis=1)
        for t, own in zip(range(count)[some], tails, strict=True):
            summaries.append(
                summary_of(
                    scanned.traits[t],
                    scanned.n,
                    scanned.variances[t],
                    tails=own,
                    positions=positions,
                    variants=scan.source.variants,
                    status=_status(scanned),
                )
            )
    for problem in scanned.problems:
        scan.report.line(f"{count:,} traits: not tested: {problem}")
    entry = {
        "group": scanned.traits,
        "summaries": [asdict(each) for each in summaries],
        "parts": scanned.parts,
    }
    parts.note(f"{scanned.key}-all", entry)


def write_together(parts: ScanParts, output: Output, traits: Sequence[str]) -> str:
    """Join the rows of all traits in ``OUT.parquet``, groups by their first trait; gives its name."""
    place = {trait: k for k, trait in enumerate(traits)}
    notes = sorted((n for n in parts.notes() if "parts" in n), key=lambda n: place[n["group"][0]])
    names = [name for note in notes for name in note["parts"]]
    path = f"{output.prefix}.parquet"
    with long_writer(Path(path), parts.schema(names), output.options) as writer:
        for name in names:
            writer.write(parts.read(name, 0))
    return path


def finished(parts: ScanParts) -> dict[str, TraitSummary]:
    """The traits of the groups that were finished before, with what came out."""
    notes = [note for note in parts.notes() if "summaries" in note and _there(note)]
    known = {each["trait"]: TraitSummary(**each) for note in notes for each in note["summaries"]}
    whole = {trait for note in notes if known.keys() >= set(note["group"]) for trait in note["group"]}
    return {trait: summary for trait, summary in known.items() if trait in whole}


def _there(note: Mapping[str, Any]) -> bool:
    """Whether the files that a note is about have not been removed since."""
    return all(Path(path).exists() for path in note.get("files", ()))
