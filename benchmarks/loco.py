"""A genome scan that leaves one chromosome out, beside GEMMA and FaST-LMM on the same PLINK files.

    python benchmarks/loco.py [--people 1000] [--variants 20000] [--chromosomes 22] [--fastlmm PYTHON]

GEMMA leaves chromosomes out only with BIMBAM files, so that here it does it as its users do: for each
chromosome a relationship matrix of the others (``-gk 2``), and a scan of the chromosome with it (``-lmm 4``);
the files for that are made beforehand and not counted. FaST-LMM, which does it by default, is timed where
``--fastlmm`` names a Python that has it. Every program is a fresh process with the same number of threads.
The answers are compared, so that no one is fast by doing something else. Prints Markdown.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from cells import machine, markdown, number, ratio

POOLS = ["OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA"]
CODE = np.array([0b11, 0b10, 0b00], dtype=np.uint8)
FASTLMM = """
import sys
from fastlmm.association import single_snp
prefix, pheno, out = sys.argv[1:]
single_snp(prefix, pheno, count_A1=True, show_snp_fract_var_exp=False).to_csv(out, sep="\\t", index=False)
"""


def main() -> None:
    """Make the files, let each program run once warm, print the table."""
    options = arguments()
    environment = os.environ | {f"{pool}_NUM_THREADS": str(options.threads) for pool in POOLS}
    with tempfile.TemporaryDirectory(prefix="henderson-loco-") as scratch:
        folder = Path(scratch)
        environment["NUMBA_CACHE_DIR"] = str(folder / "numba")
        simulate(folder, options)
        henderson_scan(folder, options, environment, "exact")  # compiles, once for all
        seconds = {
            "henderson, exact": henderson_scan(folder, options, environment, "exact"),
            "henderson, null": henderson_scan(folder, options, environment, "null"),
        }
        if shutil.which(options.gemma):
            seconds["GEMMA, exact"] = gemma_scans(folder, options, environment)
        if options.fastlmm:
            command = [
                options.fastlmm,
                "-c",
                FASTLMM,
                folder / "all",
                folder / "all.pheno",
                folder / "fastlmm.tsv",
            ]
            seconds["FaST-LMM, null"] = timed(command, environment, folder)
        report(folder, options, seconds)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--variants", type=int, default=20_000)
    parser.add_argument("--chromosomes", type=int, default=22)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--henderson", default=str(Path(sys.executable).parent / "henderson"))
    parser.add_argument("--gemma", default="gemma")
    parser.add_argument("--fastlmm", help="a Python that has FaST-LMM")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def simulate(folder: Path, options: argparse.Namespace) -> None:
    """A cohort as ``all``, and for GEMMA each chromosome alone and all others."""
    n, m = options.people, options.variants
    rng = np.random.default_rng(np.random.SeedSequence(options.seed))
    calls = rng.binomial(2, rng.uniform(0.05, 0.5, size=(m, 1)), size=(m, n)).astype(np.int8)
    chromosome = np.sort(np.arange(m) % options.chromosomes) + 1
    x = calls[rng.choice(m, size=m // 10, replace=False)].astype(float)
    g = rng.normal(size=len(x)) @ ((x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True))
    y = np.sqrt(0.5) * g / g.std() + np.sqrt(0.5) * rng.normal(size=n)
    write(folder / "all", calls, chromosome, y)
    for c in range(1, options.chromosomes + 1):
        write(folder / f"on{c}", calls[chromosome == c], chromosome[chromosome == c], y)
        write(folder / f"off{c}", calls[chromosome != c], chromosome[chromosome != c], y)


def write(prefix: Path, calls: np.ndarray, chromosome: np.ndarray, y: np.ndarray) -> None:
    """A PLINK 1 fileset with the trait in .fam, and the trait in a file of its own."""
    m, n = calls.shape
    codes = np.zeros((m, -(-n // 4) * 4), dtype=np.uint8)
    codes[:, :n] = CODE[calls]
    packed = sum(codes[:, k::4] << 2 * k for k in range(4)).astype(np.uint8)
    prefix.with_suffix(".bed").write_bytes(b"\x6c\x1b\x01" + packed.tobytes())
    people = [f"i{i} i{i}" for i in range(n)]
    fam = "".join(f"{who} 0 0 0 {value:.10g}\n" for who, value in zip(people, y, strict=True))
    prefix.with_suffix(".fam").write_text(fam)
    bim = "".join(f"{c}\tc{c}_{k}\t0\t{k + 1}\tA\tG\n" for k, c in enumerate(chromosome))
    prefix.with_suffix(".bim").write_text(bim)
    lines = "".join(f"{who} {value:.10g}\n" for who, value in zip(people, y, strict=True))
    prefix.with_suffix(".pheno").write_text("FID IID y\n" + lines)


def timed(command: list[object], environment: dict[str, str], folder: Path) -> float:
    """Seconds of a command; its words where it fails."""
    start = time.perf_counter()
    done = subprocess.run(
        list(map(str, command)), check=False, cwd=folder, env=environment, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    return seconds


def henderson_scan(
    folder: Path, options: argparse.Namespace, environment: dict[str, str], test: str
) -> float:
    """The command, from PLINK files to the tables."""
    command = [
        options.henderson,
        "gwas",
        "--bfile",
        "all",
        "--pheno",
        "all.pheno",
        "--out",
        f"henderson_{test}",
    ]
    command += ["--test", test, "--loco", "--no-plots", "--threads", str(options.threads)]
    return timed(command, environment, folder)


def gemma_scans(folder: Path, options: argparse.Namespace, environment: dict[str, str]) -> float:
    """Matrix and scan of each chromosome, one after the other."""
    total = 0.0
    for c in range(1, options.chromosomes + 1):
        total += timed([options.gemma, "-bfile", f"off{c}", "-gk", "2", "-o", f"k{c}"], environment, folder)
        matrix = f"output/k{c}.sXX.txt"
        command = [options.gemma, "-bfile", f"on{c}", "-k", matrix, "-lmm", "4", "-o", f"scan{c}"]
        total += timed(command, environment, folder)
    return total


def report(folder: Path, options: argparse.Namespace, seconds: dict[str, float]) -> None:
    """The table, and how far the answers are from each other."""
    about = machine()
    print(
        f"{options.people:,} people, {options.variants:,} variants on {options.chromosomes} chromosomes, "
        f"{options.threads} threads; {about['cpu']}, {about['date']}\n"
    )
    ours = seconds["henderson, exact"]
    rows = [[program, number(value), ratio(value, ours)] for program, value in seconds.items()]
    print(markdown(["program", "s", "times henderson's exact scan"], rows))
    exact = pd.read_parquet(next(folder.glob("henderson_exact*.parquet"))).set_index("rsid")
    scans = sorted((folder / "output").glob("scan*.assoc.txt")) if (folder / "output").exists() else []
    if scans:
        theirs = pd.concat(pd.read_csv(scan, sep="\t") for scan in scans)
        theirs["rs"] = theirs["chr"].astype(str) + "/" + theirs["ps"].astype(str)
        key = exact["chromosome"].astype(str) + "/" + number_on(exact)
        p = pd.Series(exact["neg_log_10_p_value"].to_numpy(), index=key).loc[theirs["rs"]]
        compare("GEMMA", p.to_numpy(), -np.log10(theirs["p_wald"].to_numpy()))
    if (folder / "fastlmm.tsv").exists():
        theirs = pd.read_csv(folder / "fastlmm.tsv", sep="\t").set_index("SNP")
        null = pd.read_parquet(next(folder.glob("henderson_null*.parquet"))).set_index("rsid")
        p = null["neg_log_10_p_value"].loc[theirs.index].to_numpy()
        compare("FaST-LMM", p, -np.log10(theirs["PValue"].to_numpy()))


def number_on(table: pd.DataFrame) -> pd.Series:
    """Number of each variant on its chromosome, as the files of one chromosome have it."""
    return (table.groupby("chromosome", observed=True).cumcount() + 1).astype(str)


def compare(peer: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Correlation and largest difference of -log10 p."""
    r = np.corrcoef(ours, theirs)[0, 1]
    print(
        f"\n{peer}: -log10 p of {len(ours):,} variants, correlation {r:.6f}, "
        f"largest difference {np.abs(ours - theirs).max():.3g}"
    )


if __name__ == "__main__":
    main()
