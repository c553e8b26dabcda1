"""The genotypes and traits of `gwas.py`: generated from a fixed seed, or stored reference data.

    python benchmarks/genomes.py CASE FOLDER

makes the files of one case and prints where they are as JSON. It runs in a process of its own, because a
child's peak memory as Linux reports it is never below what its parent held when it was started.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
N_CHROMOSOMES = 20
FAMILY_SHARE = 0.4
"""Of the people, in families of two parents and two children; the others are unrelated."""
NEIGHBOUR_CORRELATION = 0.9
BLOCK = 50
"""Variants in a block of linkage disequilibrium; between blocks there is none among founders."""
CAUSAL_SHARE = 0.02
HERITABILITY = 0.5
MISSING_SHARE = 0.002
SEED = 20261122

Calls = NDArray[np.int8]
CODE = np.array([0b11, 0b10, 0b00, 0b01], dtype=np.uint8)
"""Two bits of a .bed file for 0, 1, 2 copies of the first allele; the last (at -1) is a missing call."""


@dataclass(frozen=True, slots=True)
class Files:
    """One case on disk: PLINK fileset, trait as values for GEMMA (column 1) and as FID, IID, trait."""

    bfile: str
    gemma_pheno: str
    pheno: str
    trait: str
    n: int
    m: int
    about: str


def reference_folder() -> Path | None:
    """The data of genome scans among the stored reference results, or None."""
    root = Path(os.environ.get("HENDERSON_REFERENCE", HERE.parents[1] / "shared" / "reference"))
    folder = root / "gwas" / "data"
    return folder if folder.is_dir() else None


def stored(name: str, trait: str) -> Files | None:
    """A data set of the reference folder."""
    folder = reference_folder()
    if folder is None:
        return None
    prefix = folder / name / name
    return Files(
        bfile=str(prefix),
        gemma_pheno=f"{prefix}.pheno.gemma.txt",
        pheno=f"{prefix}.pheno.txt",
        trait=trait,
        n=count_lines(f"{prefix}.fam"),
        m=count_lines(f"{prefix}.bim"),
        about=f"{name}, stored reference data",
    )


def count_lines(path: str) -> int:
    """Lines of a text file."""
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def simulate(folder: Path, *, n: int, m: int, seed: int = SEED) -> Files:
    """Write n people, m variants and one trait; n is a multiple of 10 and m of 1,000.

    The first 60 % are unrelated; families of two parents and two children follow. Founders have linkage
    disequilibrium within blocks, children inherit with one crossover per chromosome on average. 2 % of the
    variants add to the trait, which has a heritability of one half and nothing missing.
    """
    if n % 10 or m % (N_CHROMOSOMES * BLOCK):
        raise ValueError("n must be a multiple of 10 and m of 1,000")
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, n, m])
    n_families = round(FAMILY_SHARE * n) // 4
    genetic = np.zeros(n)
    prefix = folder / f"sim{n}"
    with open(f"{prefix}.bed", "wb") as bed, open(f"{prefix}.bim", "w") as bim:
        bed.write(b"\x6c\x1b\x01")
        for chromosome in range(1, N_CHROMOSOMES + 1):
            calls = one_chromosome(rng, n, n_families, m // N_CHROMOSOMES)
            causal = rng.choice(calls.shape[0], round(CAUSAL_SHARE * calls.shape[0]), replace=False)
            x = calls[causal] - calls[causal].mean(axis=1, keepdims=True)
            genetic += rng.normal(size=causal.size) @ (x / x.std(axis=1, keepdims=True))
            calls[rng.random(calls.shape) < MISSING_SHARE] = -1
            bed.write(packed(calls).tobytes())
            bim.writelines(
                f"{chromosome}\tv{chromosome}_{k}\t0\t{k * 5000}\tA\tG\n"
                for k in range(1, calls.shape[0] + 1)
            )
    trait = genetic / genetic.std() * np.sqrt(HERITABILITY)
    trait += rng.normal(scale=np.sqrt(1.0 - HERITABILITY), size=n)
    people = [f"f{k}\ti{k}" for k in range(1, n + 1)]
    Path(f"{prefix}.fam").write_text("".join(f"{person}\t0\t0\t1\t-9\n" for person in people))
    Path(f"{prefix}.pheno.gemma.txt").write_text("".join(f"{value:.10g}\n" for value in trait))
    rows = (f"{person}\t{value:.10g}\n" for person, value in zip(people, trait, strict=True))
    Path(f"{prefix}.pheno.txt").write_text("FID\tIID\tt1\n" + "".join(rows))
    return Files(
        bfile=str(prefix),
        gemma_pheno=f"{prefix}.pheno.gemma.txt",
        pheno=f"{prefix}.pheno.txt",
        trait="t1",
        n=n,
        m=m,
        about=f"generated, seed {seed}, {4 * n_families} people in families, h2 = {HERITABILITY}",
    )


def one_chromosome(rng: np.random.Generator, n: int, n_families: int, m: int) -> Calls:
    """Copies of the first allele, shape (m, n): unrelated people, parents, then children."""
    n_founders = n - 2 * n_families
    noise = rng.standard_normal((m, n_founders, 2), dtype=np.float32)
    kept = np.float32(np.sqrt(1.0 - NEIGHBOUR_CORRELATION**2))
    for k in range(m):
        if k % BLOCK:
            noise[k] *= kept
            noise[k] += np.float32(NEIGHBOUR_CORRELATION) * noise[k - 1]
    frequency = rng.uniform(0.02, 0.5, size=m // BLOCK).repeat(BLOCK) * rng.uniform(0.5, 1.0, size=m)
    # A normal quantile, as empirical as the founders: no need of SciPy.
    cut = np.quantile(rng.standard_normal(1_000_000, dtype=np.float32), frequency)
    founders = (noise < cut[:, None, None]).astype(np.int8)
    parents = founders[:, n_founders - 2 * n_families :]
    mothers, fathers = parents[:, 0::2].repeat(2, axis=1), parents[:, 1::2].repeat(2, axis=1)
    children = handed_down(rng, mothers) + handed_down(rng, fathers)
    return np.concatenate([founders.sum(axis=2, dtype=np.int8), children], axis=1)


def handed_down(rng: np.random.Generator, parents: Calls) -> Calls:
    """One chromosome of each parent's two, shape (m, people, 2) to (m, people), with crossovers."""
    m, n, _ = parents.shape
    switch = rng.random((m, n), dtype=np.float32) < 1.0 / m
    switch[0] = rng.random(n) < 0.5
    strand = np.bitwise_xor.accumulate(switch, axis=0)
    return np.where(strand, parents[..., 0], parents[..., 1])


def packed(calls: Calls) -> NDArray[np.uint8]:
    """Four calls to a byte, lowest bits first, as in a .bed file; shape (m, ceil(n / 4))."""
    m, n = calls.shape
    codes = np.zeros((m, -(-n // 4) * 4), dtype=np.uint8)
    codes[:, :n] = CODE[calls]
    quads = codes.reshape(m, -1, 4)
    return quads[..., 0] | quads[..., 1] << 2 | quads[..., 2] << 4 | quads[..., 3] << 6


def prepare(case: str, folder: Path) -> dict[str, Any]:
    """Files of a case, or why there are none."""
    sizes = {"sim1000": (1_000, 5_000), "sim5000": (5_000, 20_000)}
    if case in sizes:
        n, m = sizes[case]
        return asdict(simulate(folder, n=n, m=m))
    files = stored(case, "t1")
    return asdict(files) if files else {"absent": "no folder of reference data (HENDERSON_REFERENCE)"}


if __name__ == "__main__":
    print(json.dumps(prepare(sys.argv[1], Path(sys.argv[2]))))
