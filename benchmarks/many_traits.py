"""Thousands of traits of the same people: tests per second, beside the bare matrix products they consist of.

    python benchmarks/many_traits.py [--traits 2000] [--variants 10000] [--people 500] [--exact-variants 200]

With ``test="null"`` a test is three products of length n: x'Px, x'Py and plain regression's x'y. With
``test="exact"`` it is x'y at each of 85 variance ratios, and the search between them. The floor is the time
of these products alone, by the same BLAS on as many threads. Models without a variant are fitted before, and
timed apart. Prints Markdown.
"""

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import henderson as hd
from cells import machine
from henderson.association import scan_traits as many
from henderson.association.null_models import Traits
from henderson.engine.ratio.variants import Range, load_kernels
from henderson.genotype.blocks import block_size

NODES = Range(0.0, 1.0).n_nodes
P_BELOW = 1e-4


def main() -> None:
    """Time both tests and their floors."""
    options = arguments()
    n, T, m = options.people, options.traits, options.variants
    source, table, traits = cohort(n, m, T, options.seed)
    G = hd.grm(source)
    load_kernels()
    warm = source.variants.m // 100
    run(source, table, traits[:2], G, test="exact", variants=warm, threads=options.threads)
    print(f"{T:,} traits of {n:,} people, {m:,} variants, {options.threads} threads; {machine()['cpu']}\n")
    print("| | tests | models | tests alone | tests/s | floor | times the floor |")
    print("|---|---|---|---|---|---|---|")
    for test, variants in (("null", m), ("exact", options.exact_variants)):
        models, seconds = run(source, table, traits, G, test=test, variants=variants, threads=options.threads)
        floor = products(test, n, T, variants, options.threads)
        print(
            f"| {test} | {T * variants:,} | {models:.1f} s | {seconds:.2f} s | {T * variants / seconds:,.0f} "
            f"| {floor:.2f} s | {seconds / floor:.1f} |"
        )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--traits", type=int, default=2000)
    parser.add_argument("--variants", type=int, default=10_000)
    parser.add_argument("--exact-variants", type=int, default=200, help="variants of the exact test")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def cohort(n: int, m: int, T: int, seed: int) -> tuple[hd.ArraySource, pd.DataFrame, list[str]]:
    """Unlinked variants without missing calls, and traits of which they explain 0 to 80 %."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    calls = rng.binomial(2, rng.uniform(0.1, 0.9, size=(m, 1)), size=(m, n)).astype(np.int8)
    source = hd.ArraySource.of(calls)
    causal = calls[rng.choice(m, size=min(m, 1000), replace=False)].astype(float)
    causal = (causal - causal.mean(axis=1, keepdims=True)) / causal.std(axis=1, keepdims=True)
    h2 = rng.uniform(0.0, 0.8, size=T)
    g = causal.T @ rng.normal(size=(len(causal), T)) / np.sqrt(len(causal))
    traits = [f"t{k}" for k in range(T)]
    table = pd.DataFrame(np.sqrt(h2) * g + np.sqrt(1 - h2) * rng.normal(size=(n, T)), columns=traits)
    table.insert(0, "age", rng.normal(50, 10, size=n))
    table.insert(0, "IID", source.samples.iid)
    return source, table, traits


@contextmanager
def stopwatch(times: list[float]) -> Iterator[None]:
    """Add the seconds within."""
    start = time.perf_counter()
    yield
    times.append(time.perf_counter() - start)


def run(
    source: hd.ArraySource,
    table: pd.DataFrame,
    traits: list[str],
    G: hd.RelationshipMatrix,
    *,
    test: str,
    variants: int,
    threads: int,
) -> tuple[float, float]:
    """Seconds for the models without a variant, and for the tests."""
    models: list[float] = []
    whole: list[float] = []

    class Timed(Traits):
        """Traits, and how long their models take."""

        def __init__(self, *arguments: object, **options: object) -> None:
            with stopwatch(models):
                super().__init__(*arguments, **options)

        def groups(self) -> Iterator[object]:
            with stopwatch(models):
                found = list(super().groups())
            yield from found

    few = hd.ArraySource(source.calls[:variants], source.samples, source.variants.take(np.arange(variants)))
    plain, many.Traits = many.Traits, Timed
    try:
        with stopwatch(whole):
            many.scan_traits(
                "~ age",
                table,
                few,
                traits=traits,
                relationship=G,
                test=test,
                p_below=P_BELOW,
                threads=threads,
            )
    finally:
        many.Traits = plain
    return sum(models), whole[0] - sum(models)


def products(test: str, n: int, T: int, variants: int, threads: int) -> float:
    """Seconds for the matrix products alone, in blocks of as many variants as a scan has."""
    rng = np.random.default_rng(0)
    size = min(block_size(n), variants)
    X, S = rng.normal(size=(size, n)), rng.normal(size=(n, T))
    columns = 3 if test == "null" else NODES

    def block(_: int) -> None:
        for _ in range(columns):
            X @ S

    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        X @ S
        n_blocks = -(-variants // size)
        times: list[float] = []
        with stopwatch(times):
            list(pool.map(block, range(max(n_blocks, threads))))
    return times[0] * (variants / size) / max(n_blocks, threads)


if __name__ == "__main__":
    main()
