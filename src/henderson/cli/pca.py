"""`henderson pca`: where people stand in the directions in which their genotypes differ most."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from henderson.association.pca import PcaResult, pca
from henderson.cli.common import Reporter, check_folder, check_plots, limited_threads
from henderson.cli.genotype_options import GenotypeOptions, check_genotypes, open_selected
from henderson.cli.relationship import related_by
from henderson.cli.runlog import RunLog
from henderson.errors import DataError

_SHOWN = 5


def run_pca(options: GenotypeOptions, *, n: int, out: str, threads: int | None, plots: bool) -> None:
    """Compute principal components and write them as PLINK 2 does."""
    check_folder(out)
    check_genotypes(options)
    if n < 1:
        raise DataError(f"--n is the number of components, at least 1; it is {n}.")
    check_plots(plots)
    said = {**asdict(options), "n": n, "out": out, "threads": threads, "plots": plots}
    with limited_threads(threads), RunLog(f"{out}.pca", options=said) as log:
        report = Reporter(log)
        with report.listening(), report.bar("variants") as progress:
            source = related_by(open_selected(options, report), options, report)
            every = np.ones(source.variants.m, dtype=bool)
            found = pca(source, n, variants=every, progress=progress)
            shares = ", ".join(f"{100 * share:.3g} %" for share in found.share[:_SHOWN])
            report.line(f"share of the variance: {shares}{', ...' if n > _SHOWN else ''}")
            found.write(out)
            written = [f"{out}.eigenvec", f"{out}.eigenval"]
            if plots and n > 1:
                written.append(_draw(found, f"{out}.pca.png"))
            report.line(f"written: {', '.join(written)}")


def _draw(found: PcaResult, path: str) -> str:
    """Draw the first two components."""
    from henderson.plots.style import own_figure, save_png

    figure = own_figure((5.0, 4.4))
    found.plot(ax=figure.add_subplot())
    save_png(figure, Path(path))
    return path
