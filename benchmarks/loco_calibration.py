"""Whether genome scans keep their level: null variants under polygenic traits, in cohorts of three kinds.

    python benchmarks/loco_calibration.py [--people 500] [--tests 500000] [--kinds homogeneous ...]

Every replicate has people, genotypes and a trait of its own. Half of the chromosomes have all causal
variants (500, which make up half of the trait's variance), the others none, and only variants on these are
looked at; all are unlinked, so that tests of a replicate are independent but for the trait. Chi-squared is
that of the p-value, F-tests included. Standard errors are those between replicates, and numbers further than
three of them from one are marked `*`. A matrix of the whole genome holds the variant tested, and plain
regression knows nothing of relatives: these stand beside for comparison. Prints Markdown.
"""

import argparse
import logging
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from math import ceil

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from scipy.special import ndtri

import henderson as hd
from cells import markdown

KINDS = {
    "homogeneous": "one population, unrelated",
    "populations": "three populations, Fst 0.05",
    "families": "two parents and two children",
}
METHODS = {
    "LOCO, exact": {"relationship": "loco", "test": "exact"},
    "LOCO, null": {"relationship": "loco", "test": "null"},
    "whole genome, exact": {"relationship": "grm", "test": "exact"},
}
CHROMOSOMES = 8
NULL_VARIANTS, OTHERS, CAUSAL = 8000, 4000, 500
FST, H2 = 0.05, 0.5
MEDIAN = ndtri(0.75) ** 2
SEED = 20261122


def main() -> None:
    """Simulate, scan, and print a row for each kind of cohort and method."""
    options = arguments()
    replicates = ceil(options.tests / NULL_VARIANTS)
    rows = []
    for kind in options.kinds:
        start = time.perf_counter()
        with ProcessPoolExecutor(options.workers) as pool:
            found = list(pool.map(partial(replicate, kind, options.people), range(replicates)))
        seconds = time.perf_counter() - start
        for method in (*METHODS, "plain regression"):
            values = np.array([each[method] for each in found])
            cells = [in_se(column) for column in values.T]
            rows.append([KINDS[kind], method, *cells])
        print(f"{KINDS[kind]}: {replicates} replicates in {seconds:.0f} s", flush=True)
    tests = replicates * NULL_VARIANTS
    print(f"\n{options.people} people, {tests:,} null tests in each row; heritability {H2}\n")
    print(markdown(["cohort", "method", "lambda GC", "mean chi-squared", "rate at p < 0.001 / 0.001"], rows))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--tests", type=int, default=500_000, help="null tests for each kind of cohort")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    return parser.parse_args()


def in_se(values: np.ndarray) -> str:
    """Mean and standard error over replicates, and whether that is far from one."""
    mean, se = values.mean(), values.std(ddof=1) / np.sqrt(values.size)
    far = abs(mean - 1.0) > 3.0 * se
    return f"{mean:.4f} ({se:.4f}){' *' if far else ''}"


def replicate(kind: str, n: int, index: int) -> dict[str, tuple[float, float, float]]:
    """Inflation of each method among the null variants of one cohort."""
    logging.getLogger("henderson").setLevel(logging.ERROR)
    rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(list(KINDS).index(kind), index)))
    m = NULL_VARIANTS + OTHERS
    calls = genotypes(kind, n, m, rng)
    source = hd.ArraySource.of(calls)
    is_null = np.arange(m) < NULL_VARIANTS
    half = CHROMOSOMES // 2
    source.variants.chromosome[:] = (np.arange(m) % half + np.where(is_null, 1, half + 1)).astype(str)
    x = calls[NULL_VARIANTS : NULL_VARIANTS + CAUSAL].astype(float)
    x -= x.mean(axis=1, keepdims=True)
    x /= np.maximum(x.std(axis=1, keepdims=True), 1e-9)
    g = rng.normal(size=CAUSAL) @ x
    y = np.sqrt(H2) * g / g.std() + np.sqrt(1.0 - H2) * rng.normal(size=n)
    table = pd.DataFrame({"IID": source.samples.iid, "y": y})
    found = {}
    for method, how in METHODS.items():
        result = hd.scan("y ~ 1", table, source, threads=1, **how).table
        found[method] = inflation(result["p_value"].to_numpy()[is_null])
    found["plain regression"] = inflation(result["p_ols"].to_numpy()[is_null])
    return found


def genotypes(kind: str, n: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """Copies of an allele (m, n), unlinked."""
    p = rng.uniform(0.05, 0.95, size=(m, 1))
    if kind == "populations":
        scale = (1.0 - FST) / FST
        own = rng.beta(p * scale, (1.0 - p) * scale, size=(m, 3))
        p = own[:, np.arange(n) % 3]
    if kind != "families":
        return rng.binomial(2, p, size=(m, n)).astype(np.int8)
    families = n // 4
    parents = rng.random((2, 2, m, families)) < p  # parent, haplotype
    people = [parents[0].sum(axis=0), parents[1].sum(axis=0)]
    for _ in range(2):
        chosen = rng.random((2, m, families)) < 0.5
        people.append(
            sum(np.where(c, *parent).astype(np.int8) for c, parent in zip(chosen, parents, strict=True))
        )
    return np.concatenate(people, axis=1).astype(np.int8)


def inflation(p: np.ndarray) -> tuple[float, float, float]:
    """Lambda GC, mean chi-squared, and the rate of small p-values, all one if p is uniform."""
    p = p[~np.isnan(p)]
    chi2 = ndtri(0.5 * p) ** 2
    return float(np.median(chi2) / MEDIAN), float(chi2.mean()), float((p < 1e-3).mean() / 1e-3)


if __name__ == "__main__":
    main()
