"""The scan of traits that share people and covariates, into parts that outlive the process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.association.columns import Columns
from henderson.association.null_models import NullModels
from henderson.association.relatedness import Related
from henderson.association.scan import results
from henderson.association.scanners import Scanner
from henderson.association.stages import Estimates, Method, Stage, stages
from henderson.cli.common import Reporter, give_back_memory
from henderson.cli.trait_summaries import Variances, variances_of
from henderson.cli.traits import trait_name
from henderson.errors import HendersonError
from henderson.genotype import GenotypeSource
from henderson.genotype.blocks import block_size
from henderson.io.scan_long import with_trait
from henderson.io.scan_parts import ScanParts
from henderson.io.scan_rows import filtered, rows_of

if TYPE_CHECKING:
    import pyarrow as pa

Index = NDArray[np.intp]
Array = NDArray[np.float64]
#: Variants of a part, and rows over all traits: a few minutes of work, and some 150 MB.
MOST_VARIANTS, MOST_ROWS = 1 << 15, 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What all traits of a run share.

    Attributes
    ----------
    source : GenotypeSource
        The variants.
    related : Related or None
        The relationship of the people.
    method : Method
        How variants are tested.
    threads : int
        Processors to use.
    parts : ScanParts
        Where finished stretches are kept.
    report : Reporter
    one_table : bool
        Whether parts have the rows of all traits in one table, rather than a table each.
    threshold : float
        Largest p-value of rows that are kept in parts with one table.
    """

    source: GenotypeSource
    related: Related | None
    method: Method
    threads: int
    parts: ScanParts
    report: Reporter
    one_table: bool
    threshold: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Scanned:
    """A group of traits whose parts are all there.

    Attributes
    ----------
    key : str
        How the names of its parts begin.
    traits : tuple of str
        As files and tables call them.
    n : int
        People analysed.
    variances : tuple of Variances
        Of each trait, without a variant.
    parts : list of str
        Their names.
    positions : list of ndarray of int
        The variants of each.
    problems : list of str
        Stages whose models could not be fitted, and why: their variants have no tests.
    """

    key: str
    traits: tuple[str, ...]
    n: int
    variances: tuple[Variances, ...]
    parts: list[str]
    positions: list[Index]
    problems: list[str]


class NoModels(HendersonError):
    """No model of some traits could be fitted."""


class Untested:
    """Stands for the scanner of a stage whose models could not be fitted: no variant has a test."""

    side_by_side, as_they_are = True, False

    def __init__(self, reason: str, n_traits: int) -> None:
        self._reason, self._n_traits = reason, n_traits

    def test(self, X: Array) -> list[Columns]:
        """No numbers, and the reason as status."""
        none = np.full(len(X), np.nan)
        names = ("beta", "standard_error", "p_value", "neg_log_10_p_value")
        status = np.full(len(X), self._reason, dtype=object)
        return [{**dict.fromkeys(names, none), "status": status}] * self._n_traits


def scan_group(scan: Scan, group: NullModels) -> Scanned:
    """Scan a group stage by stage, part by part; what is there already is left alone.

    Raises
    ------
    NoModels
        If no stage's models could be fitted.
    """
    give_back_memory()
    names = tuple(map(trait_name, group.traits))
    n, variants = int(group.people.size), scan.source.variants
    size = int(np.clip(MOST_ROWS // len(names), block_size(n), MOST_VARIANTS))
    key = _key(group, size)
    done: list[tuple[str, Index]] = []
    problems: list[str] = []
    count = 0
    with scan.report.bar("variants") as progress:

        def advance(more: int) -> None:
            nonlocal count
            count += more
            progress(count, variants.m)

        for number, stage in enumerate(stages(group, scan.related, scan.method, variants.chromosome)):
            prefix = f"{key}-{number:03d}"
            cut = _cut(stage, variants.m, size, prefix)
            done += cut
            problem = _scan_stage(scan, group, stage, cut, prefix=prefix, advance=advance)
            if problem:
                problems.append(problem)
    if len(problems) == number + 1:
        raise NoModels(problems[0])
    return Scanned(
        key=key,
        traits=names,
        n=n,
        variances=tuple(map(variances_of, group.fits)),
        parts=[name for name, _ in done],
        positions=[positions for _, positions in done],
        problems=problems,
    )


def _scan_stage(
    scan: Scan,
    group: NullModels,
    stage: Stage,
    cut: Sequence[tuple[str, Index]],
    *,
    prefix: str,
    advance: Callable[[int], None],
) -> str:
    """Test what is missing of a stage; gives what went wrong with its models."""
    missing = []
    for name, positions in cut:
        if name in scan.parts:
            advance(positions.size)
        else:
            missing.append((name, positions))
    noted = scan.parts.noted(prefix) or {}
    problem: str = noted.get("problem", "")
    if not missing:
        return problem
    scanner: Scanner
    try:
        scanner, estimates = stage.prepare()
    except (HendersonError, np.linalg.LinAlgError) as error:
        problem = f"chromosome {stage.name}: {error}" if stage.name else str(error)
        scan.parts.note(prefix, {"problem": problem})
        scanner, estimates = Untested(f"no model: {' '.join(str(error).split())}", len(group.traits)), []
    _tell(scan, group, stage, estimates)
    for name, positions in missing:
        mask = np.zeros(scan.source.variants.m, dtype=bool)
        mask[positions] = True
        blocks = results(
            scan.source,
            group,
            replace(stage, variants=mask),
            scanner,
            rules=scan.method.rules,
            threads=scan.threads,
            progress=advance,
        )
        kept = _Kept(scan, tuple(map(trait_name, group.traits)))
        for block in blocks:
            kept.add(block)
        kept.write(name)
    return problem


def _tell(scan: Scan, group: NullModels, stage: Stage, estimates: Sequence[Estimates]) -> None:
    """Say what the models of a chromosome estimate; in the log only, where there are many."""
    say = scan.report.detail if scan.one_table else scan.report.line
    for trait, found in zip(group.traits, estimates, strict=False):
        if stage.name:
            say(f"{trait_name(trait)}: without chromosome {stage.name}: h2 {found.h2:.4f}")


class _Kept:
    """The rows of a part while it grows: a table for each trait, or those that are kept of all in one."""

    def __init__(self, scan: Scan, traits: tuple[str, ...]) -> None:
        self._scan, self._traits = scan, traits
        self._rows: list[list[pa.Table]] = [[] for _ in traits]
        self._tails: list[Array] = []

    def add(self, block: list[Columns]) -> None:
        """Take the tests of some variants, for each trait."""
        tables = rows_of(block)
        if self._scan.one_table:
            kept = [filtered(rows, self._scan.threshold) for rows in tables]
            tables = [with_trait(rows, trait) for rows, trait in zip(kept, self._traits, strict=True)]
            self._tails.append(np.stack([columns["neg_log_10_p_value"] for columns in block]))
        for known, rows in zip(self._rows, tables, strict=True):
            known.append(rows)

    def write(self, name: str) -> None:
        """Write the part."""
        import pyarrow as pa

        tables = [pa.concat_tables(each).combine_chunks() for each in self._rows]
        if self._scan.one_table:
            together = pa.concat_tables(tables).unify_dictionaries()
            self._scan.parts.write(name, [together], tails=np.concatenate(self._tails, axis=1))
        else:
            self._scan.parts.write(name, tables)


def _cut(stage: Stage, m: int, size: int, prefix: str) -> list[tuple[str, Index]]:
    """The parts of a stage: names and positions of their variants."""
    positions = np.arange(m) if stage.variants is None else np.flatnonzero(stage.variants)
    pieces = [positions[start : start + size] for start in range(0, positions.size, size)]
    return [(f"{prefix}-{piece[0]:09d}", piece) for piece in pieces]


def _key(group: NullModels, size: int) -> str:
    """A name for the people and traits of a group, cut into parts of this size."""
    digest = blake2b(group.people.astype("<i8").tobytes(), digest_size=8)
    digest.update("\n".join((str(size), *group.traits)).encode())
    return digest.hexdigest()
