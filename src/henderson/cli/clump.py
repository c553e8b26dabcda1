"""`henderson clump`: the variants of a scan gathered around those that stand for them."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from henderson.association.clump import clump
from henderson.cli.common import Reporter, check_folder
from henderson.cli.genotype_flags import GenotypeOptions, check_genotypes, flag
from henderson.cli.genotype_options import open_selected, passing
from henderson.cli.runlog import RunLog
from henderson.errors import DataError
from henderson.io.sumstats import read_sumstats
from henderson.io.whole_files import whole_files

if TYPE_CHECKING:
    import pandas as pd

    from henderson.genotype import GenotypeSource

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClumpOptions:
    """The thresholds, as `henderson clump --help` explains them."""

    p1: float = 1e-4
    p2: float = 1e-2
    r2: float = 0.5
    kb: float = 250.0

    def check(self, before: str = "") -> None:
        """Refuse, before the work starts, numbers out of range; ``before`` begins the options' names."""
        allowed = {
            "p1": (0.0 < self.p1 <= 1.0, "above 0 and at most 1, as a p-value"),
            "p2": (0.0 < self.p2 <= 1.0, "above 0 and at most 1, as a p-value"),
            "r2": (0.0 <= self.r2 <= 1.0, "between 0 and 1, as a squared correlation"),
            "kb": (self.kb > 0.0, "above 0, as a distance"),
        }
        for name, (possible, words) in allowed.items():
            if not possible:
                option, value = flag(f"{before}{name}"), getattr(self, name)
                raise DataError(f"{option} must be {words}; it is {value:g}.")


def run_clump(
    sumstats: str, options: GenotypeOptions, *, p1: float, p2: float, r2: float, kb: float, out: str
) -> None:
    """Clump the variants of a file of summary statistics."""
    check_folder(out)
    check_genotypes(options)
    thresholds = ClumpOptions(p1=p1, p2=p2, r2=r2, kb=kb)
    thresholds.check()
    said = {"sumstats": sumstats, **asdict(options), **asdict(thresholds), "out": out}
    with RunLog(f"{out}.clump", options=said) as log:
        report = Reporter(log)
        with report.listening():
            table = read_sumstats(sumstats)
            report.line(f"{sumstats}: {len(table):,} variants")
            source = open_selected(options, report)
            if options.filters:
                source = passing(source, options, report)
            report.line(f"written: {write_clumps(table, source, thresholds, out=out, report=report)}")


def write_clumps(
    table: "pd.DataFrame",
    source: "GenotypeSource",
    thresholds: ClumpOptions,
    *,
    out: str,
    report: Reporter,
) -> str:
    """Clump a table, say what came out and write ``OUT.clumps.tsv``; gives its name."""
    found = clump(table, source, p1=thresholds.p1, p2=thresholds.p2, r2=thresholds.r2, kb=thresholds.kb)
    about = f"p <= {thresholds.p1:g}, r2 >= {thresholds.r2:g} within {thresholds.kb:g} kb"
    report.line(f"{len(found):,} clump{'' if len(found) == 1 else 's'} ({about})")
    for row in found.head(_SHOWN).itertuples(index=False):
        report.line(
            f"  {row.rsid} at {row.chromosome}:{row.base_pair_location:,}: -log10 p "
            f"{row.neg_log_10_p_value:.2f}, {row.total} other{'' if row.total == 1 else 's'}"
        )
    path = f"{out}.clumps.tsv"
    text = found.to_csv(sep="\t", index=False, na_rep="NA", lineterminator="\n")
    with whole_files(path) as [file]:
        file.write(text.encode())
    return path
