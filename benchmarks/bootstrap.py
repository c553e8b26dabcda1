"""Time of the parametric bootstrap, here and by lme4's bootMer on the same data.

python benchmarks/bootstrap.py [--replicates 1000] [--of-lme4 200] [--rscript Rscript]

bootMer draws fewer replicates where it is slow, and its time is scaled up. One thread each.
"""

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import logging
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import henderson as hd
from henderson.inference.bootstrap import bootstrap

REPEATS = 5


def grouped(n, groups, seed):
    """Records in groups of unequal size, with an intercept and a slope of their own."""
    rng = np.random.default_rng(seed)
    g = rng.integers(0, groups, n)
    x, z = rng.normal(size=(2, n))
    b = rng.normal(size=(groups, 2)) * [1.0, 0.5]
    y = 1.0 + 0.3 * x + b[g, 0] + b[g, 1] * x + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": g})


def cases():
    """Name, formula and data."""
    sleep = hd.example_data("sleepstudy")
    sleep = pd.DataFrame({"y": sleep["Reaction"], "x": sleep["Days"], "g": sleep["Subject"]})
    yield "sleepstudy", "y ~ x + (x | g)", sleep
    yield "sleepstudy_intercept", "y ~ x + (1 | g)", sleep
    yield "unequal", "y ~ x + z + (x | g)", grouped(500, 60, seed=1)
    yield "many_groups", "y ~ x + z + (x | g)", grouped(10_000, 1_000, seed=2)


def seconds_here(formula, data, n):
    """Median wall time, and how many of the replicates are singular."""
    fit = hd.lmer(formula, data.assign(g=data["g"].astype(str)))
    bootstrap(fit, n=10, seed=1)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        found = bootstrap(fit, n=n, seed=1)
        times.append(time.perf_counter() - start)
    return float(np.median(times)), int(found.singular.sum())


def main():
    """Run both, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--of-lme4", type=int, default=200)
    parser.add_argument("--rscript", default="Rscript")
    options = parser.parse_args()
    logging.getLogger("henderson").setLevel(logging.ERROR)
    n, listed = options.replicates, []
    with tempfile.TemporaryDirectory() as folder:
        for name, formula, data in cases():
            data.to_csv(Path(folder) / f"{name}.csv", index=False)
            listed.append((name, formula, options.of_lme4 if len(data) < 5000 else 20, data))
        table = pd.DataFrame([row[:3] for row in listed], columns=["name", "formula", "replicates"])
        table.to_csv(Path(folder) / "cases.tsv", sep="\t", index=False)
        script = Path(__file__).with_name("bootstrap.R")
        output = subprocess.run(
            [options.rscript, script, folder], check=True, capture_output=True, text=True
        ).stdout
    lme4 = {}
    for line in output.splitlines():
        name, replicates, seconds = line.split("\t")
        lme4[name] = float(seconds) * n / int(replicates)
    print(f"| case | rows | henderson, {n} replicates (s) | bootMer (s) | times faster | singular |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, formula, _, data in listed:
        own, singular = seconds_here(formula, data, n)
        row = f"{own:.2f} | {lme4[name]:.1f} | {lme4[name] / own:.0f} | {singular}"
        print(f"| `{name}`: `{formula.replace('|', chr(92) + '|')}` | {len(data)} | {row} |")


if __name__ == "__main__":
    main()
