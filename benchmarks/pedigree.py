"""Inbreeding and A^-1 of a million animals: time, peak memory and nonzeros.

    python benchmarks/pedigree.py [--animals 1000000] [--generations 10 20] [--random]

Each generation has as many animals. One in a hundred is a sire and one in five a dam: ``herds`` mates each
dam with one sire, ``crossed`` any dam with any sire for each offspring. ``random`` (with ``--random``) has
any animal as a parent, half of them as sires; it is the dearest, since every animal has a thousand ancestors
of its own. Everything is drawn from a fixed seed. Each row is worked out in a process of its own, whose
compiled functions were loaded before, so that its peak memory (resident set) is its own. One thread: the time
of the processor is that on the clock, unless the machine has other work. Prints Markdown.
"""

import argparse
import multiprocessing
import resource
import sys
import time

import numpy as np

from cells import machine, markdown, number
from henderson.covariance.pedigree.inbreeding import inbreeding_coefficients, mendelian_variances
from henderson.covariance.pedigree.precision import henderson_inverse

HEAD = ["mating", "generations", "animals", "mean F", "inbreeding s", "A^-1 s", "processor s", "peak GB"]
KILOBYTE = 1 if sys.platform == "darwin" else 1 << 10


def main() -> None:
    """Time every mating with every number of generations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--animals", type=int, default=1_000_000)
    parser.add_argument("--generations", type=int, nargs="+", default=[10, 20])
    parser.add_argument(
        "--random", action="store_true", help="mate at random too, over the fewest generations"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(machine(), "\n")
    cases = [(mating, g) for g in options.generations for mating in ("herds", "crossed")]
    if options.random:
        cases.append(("random", min(options.generations)))
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        rows = [
            pool.apply(row, (mating, options.animals, generations, options.seed))
            for mating, generations in cases
        ]
    print(markdown([*HEAD, "nonzeros"], rows))


def row(mating: str, animals: int, generations: int, seed: int) -> list[str]:
    """One line of the table."""
    build(*parents("herds", 300, 3, seed))
    sire, dam = parents(mating, animals, generations, seed)
    start, used = time.perf_counter(), time.process_time()
    F = inbreeding_coefficients(sire, dam)
    middle = time.perf_counter()
    inverse = henderson_inverse([sire, dam], mendelian_variances(sire, dam, F), sire.size)
    end, used = time.perf_counter(), time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE / 1e9
    return [
        mating,
        str(generations),
        f"{sire.size:,}",
        f"{F.mean():.3g}",
        number(middle - start),
        number(end - middle),
        number(used),
        number(peak),
        f"{inverse.nnz:,}",
    ]


def build(sire: np.ndarray, dam: np.ndarray) -> None:
    """Load the compiled functions."""
    F = inbreeding_coefficients(sire, dam)
    henderson_inverse([sire, dam], mendelian_variances(sire, dam, F), sire.size)


def parents(mating: str, animals: int, generations: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of sires and dams, which are chosen from the last generation alone."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    size = animals // generations
    n_sires, n_dams = (size // 2, size // 2) if mating == "random" else (size // 100, size // 5)
    sires, dams = [np.full(size, -1)], [np.full(size, -1)]
    for g in range(1, generations):
        last = (g - 1) * size + rng.permutation(size)
        dam = rng.integers(n_dams, size=size)
        sire = dam * n_sires // n_dams if mating == "herds" else rng.integers(n_sires, size=size)
        sires.append(last[sire])
        dams.append(last[n_sires + dam])
    return np.concatenate(sires), np.concatenate(dams)


if __name__ == "__main__":
    main()
