"""A model on more rows than fit in memory: `y ~ x1 + x2 + (x1 | g)` on Parquet files, read in batches.

    python benchmarks/streamed.py [--rows 1e8] [--groups 1e5] [--threads 2] [--folder DIR] [--keep]

The files are written first, a row group at a time (about 20 bytes a row), and removed at the end unless told
to keep them. The fit runs in a fresh process; its peak memory is what Linux reports for it (`VmHWM`):
interpreter, libraries and arrays. Afterwards each stage is run alone on some of the rows, to show where the
time goes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cells import Result, machine, markdown, number

FORMULA = "y ~ x1 + x2 + (x1 | g)"
TRUTH = {
    "(Intercept)": 1.0,
    "x1": 0.5,
    "x2": -0.2,
    "sd (Intercept)": 1.0,
    "sd x1": 0.3,
    "cor": 0.25,
    "sigma": 2.0,
}
"""Fixed effects; standard deviations and correlation by group; residual standard deviation."""

FILE_ROWS = 10_000_000
GROUP_ROWS = 1_000_000
ROW_BYTES = 24
STAGE_ROWS = 20_000_000
"""Rows on which the stages are timed alone."""

THREADS = ["OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMEXPR", "NUMBA"]


def main() -> None:
    """Write the files, fit in a fresh process, print what came out."""
    options = arguments()
    if options.fit:
        print(json.dumps(fit(options.fit)))
        return
    home = Path(tempfile.mkdtemp(prefix="henderson-streamed-", dir=options.folder))
    try:
        free = shutil.disk_usage(home).free
        if free < ROW_BYTES * options.rows:
            sys.exit(
                f"{home} has {free / 1e9:.1f} GB free, and {ROW_BYTES * options.rows / 1e9:.1f} GB are needed"
            )
        started = time.perf_counter()
        write(home, options.rows, options.groups, options.seed)
        size = sum(path.stat().st_size for path in home.iterdir())
        print(
            f"{home}: {size / 1e9:.2f} GB in {time.perf_counter() - started:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        result = {"machine": machine(), "rows": options.rows, "groups": options.groups, "bytes": size}
        result |= run(home, options.threads)
        if options.out:
            Path(options.out).write_text(json.dumps(result, indent=1))
        print(report(result))
    finally:
        if not options.keep:
            shutil.rmtree(home)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=100_000_000)
    parser.add_argument("--groups", type=lambda text: int(float(text)), default=100_000)
    parser.add_argument("--threads", type=int, default=2, help="of BLAS, OpenMP and Numba (default 2)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--folder", help="where the files are written (default: the system's temporary folder)"
    )
    parser.add_argument("--keep", action="store_true", help="leave the files where they are")
    parser.add_argument("--out", help="write the results to this JSON file")
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def write(folder: Path, rows: int, groups: int, seed: int) -> None:
    """Simulate the rows; every row group has a random stream of its own."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    sd = np.array([TRUTH["sd (Intercept)"], TRUTH["sd x1"]])
    C = np.outer(sd, sd) * np.array([[1.0, TRUTH["cor"]], [TRUTH["cor"], 1.0]])
    u = np.random.default_rng(seed).normal(size=(groups, 2)) @ np.linalg.cholesky(C).T
    for k, start in enumerate(range(0, rows, FILE_ROWS)):
        stop = min(start + FILE_ROWS, rows)
        schema = pa.schema({"g": pa.int32(), "x1": pa.float32(), "x2": pa.float32(), "y": pa.float64()})
        with parquet.ParquetWriter(folder / f"part-{k:03d}.parquet", schema) as writer:
            for first in range(start, stop, GROUP_ROWS):
                n = min(GROUP_ROWS, stop - first)
                rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(first,)))
                g = rng.integers(0, groups, n, dtype=np.int32)
                x1, x2 = rng.normal(size=(2, n)).astype(np.float32)
                y = TRUTH["(Intercept)"] + u[g, 0] + (TRUTH["x1"] + u[g, 1]) * x1 + TRUTH["x2"] * x2
                y += TRUTH["sigma"] * rng.normal(size=n)
                writer.write_table(pa.table([g, x1, x2, y], schema=schema), row_group_size=GROUP_ROWS)


def run(folder: Path, threads: int) -> Result:
    """The fit, in a process of its own."""
    limits = {f"{name}_NUM_THREADS": str(threads) for name in THREADS}
    command = [sys.executable, __file__, "--fit", str(folder)]
    done = subprocess.run(
        command, env={**os.environ, **limits}, stdout=subprocess.PIPE, text=True, check=True
    )
    return {"threads": threads, **json.loads(done.stdout.splitlines()[-1])}


# ---- in the process that fits ----


def fit(folder: Path) -> Result:
    """Fit, then time the stages."""
    loaded = time.perf_counter()
    import henderson as hd
    from henderson.fit.streamed import fit_streamed

    started, cpu = time.perf_counter(), time.process_time()
    found = fit_streamed(FORMULA, folder)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = peak_mb()
    term = found.varcorr["g"]
    estimates = [*found.fixef, *term.sd, term.correlation[1, 0], found.sigma]
    return {
        "import_s": started - loaded,
        "wall": wall,
        "cpu": cpu,
        "peak_mb": peak,
        "version": hd.__version__,
        "n": found.nobs,
        "criterion": found.criterion,
        "evaluations": found.optimum.evaluations,
        "estimates": dict(zip(TRUTH, map(float, estimates), strict=True)),
        "se": dict(zip(TRUTH, map(float, found.se), strict=False)),
        "stages": stages(folder),
    }


def peak_mb() -> float:
    """High-water mark of this process's resident memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def stages(folder: Path) -> Result:
    """Processor nanoseconds per row of each stage alone, on one thread."""
    from threadpoolctl import threadpool_limits

    from henderson.engine.blocked.streamed_sums import RecordSums
    from henderson.fit.streamed import sampled_basis
    from henderson.formula.streamed_learn import stream_frame
    from henderson.io.batches import open_rows

    frame = stream_frame(FORMULA, open_rows(folder))
    tally, book = frame.tally(), frame.cell_book()
    sums = RecordSums(sampled_basis(frame), frame.columns.width, frame.columns.random)
    spent = dict.fromkeys(
        ["read and decode", "evaluate the formula", "number the groups", "sum the products"], 0.0
    )
    read = frame.rows.batches(frame.names, frame.batch_rows)

    def timed(stage: str, call: Callable[[], Any]) -> Any:
        before = time.thread_time()
        value = call()
        spent[stage] += time.thread_time() - before
        return value

    def batches() -> Iterator[Any]:
        while (
            batch := timed("read and decode", lambda: next(read, None))
        ) is not None and tally.n < STAGE_ROWS:
            yield batch

    with threadpool_limits(1):
        for batch in batches():
            records = timed("evaluate the formula", lambda batch=batch: frame.of_batch(batch, tally))
            cell = timed("number the groups", lambda records=records: book.cells(records.atoms))
            timed("sum the products", lambda r=records, c=cell: sums.add(c, r.columns, r.y, r.weights))
    return {stage: 1e9 * seconds / tally.n for stage, seconds in spent.items()}


# ---- reading the results ----


def report(result: Result) -> str:
    """Three tables in Markdown."""
    about = ", ".join(f"{key}: {value}" for key, value in result["machine"].items())
    head = ["rows", "groups", "GB of Parquet", "threads", "seconds", "million rows / s", "cpu s", "peak MB"]
    row = [
        f"{result['rows']:,}",
        f"{result['groups']:,}",
        number(result["bytes"] / 1e9),
        str(result["threads"]),
    ]
    row += [number(result["wall"]), number(result["rows"] / 1e6 / result["wall"]), number(result["cpu"])]
    row += [f"{result['peak_mb']:.0f}"]
    se = {name: f"{value:.5f}" for name, value in result["se"].items()}
    answers = [
        [name, f"{truth:g}", f"{result['estimates'][name]:.5f}", se.get(name, "")]
        for name, truth in TRUTH.items()
    ]
    spent = [[stage, number(ns)] for stage, ns in result["stages"].items()]
    return "\n".join(
        [
            f"\n{about}; henderson {result['version']}; {FORMULA}, {result['evaluations']} evaluations\n",
            markdown(head, [row]),
            "",
            markdown(["parameter", "truth", "estimate", "standard error"], answers),
            "",
            markdown(["stage (each alone, one thread)", "ns / row"], spent),
        ]
    )


if __name__ == "__main__":
    main()
