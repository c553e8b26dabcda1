"""REML with relationships: a pedigree of many animals, several dense kernels, and GEMMA's ``-vc`` as a peer.

    python benchmarks/relationships.py [--only animal random kernels gemma] [--animals 10000]

``animal``: 10 generations of 10,000 animals from 100 sires and 2,000 dams each, one record per animal,
two fixed effects. ``random``: the same with any animal of the last generation as a parent, in smaller
sizes, since the fill-in is what costs there. ``kernels``: two dense matrices of 2,000 people, and
households. ``gemma``: the REML estimates of two matrices by GEMMA's ``-vc 2``, both from the same files
of text. Everything is drawn from fixed seeds. Prints Markdown.
"""

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import henderson as hd
from cells import machine, markdown, number, ratio

H2, E2 = 0.3, 0.7


def main() -> None:
    """Run what was asked for, and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=["animal", "random", "kernels", "gemma"])
    parser.add_argument("--animals", type=int, default=10_000, help="animals in a generation")
    parser.add_argument("--generations", type=int, default=10)
    parser.add_argument("--random", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--people", type=int, default=2_000)
    parser.add_argument("--gemma", default="gemma")
    options = parser.parse_args()
    print(machine(), "\n")
    animal_model(100, 3, selected=True)  # compiles, once for all
    if "animal" in options.only:
        print(table_of([animal_model(options.animals, options.generations, selected=True)]), "\n")
    if "random" in options.only:
        rows = [animal_model(size, options.generations, selected=False) for size in options.random]
        print(table_of(rows), "\n")
    if "kernels" in options.only:
        print(table_of([kernels(options.people)]), "\n")
    if "gemma" in options.only and shutil.which(options.gemma):
        print(table_of([gemma(size, options.gemma) for size in (500, 1000, options.people)]), "\n")


def breeding(size: int, generations: int, *, selected: bool, seed: int = 1) -> pd.DataFrame:
    """A pedigree with breeding values: 1 % of each generation are sires and 20 % dams, or anybody."""
    rng = np.random.default_rng(seed)
    sire, dam = [np.full(size, -1)], [np.full(size, -1)]
    u = [rng.normal(size=size) * np.sqrt(H2)]
    for g in range(1, generations):
        last = np.arange(size) + (g - 1) * size
        order = rng.permutation(last)
        males = order[: size // 100] if selected else order[: size // 2]
        females = order[size // 100 : size // 100 + size // 5] if selected else order[size // 2 :]
        fathers, mothers = rng.choice(males, size), rng.choice(females, size)
        every = np.concatenate(u)
        u.append(0.5 * (every[fathers] + every[mothers]) + rng.normal(size=size) * np.sqrt(0.5 * H2))
        sire.append(fathers)
        dam.append(mothers)
    n = size * generations
    parents = {"sire": np.concatenate(sire), "dam": np.concatenate(dam)}
    herd = rng.integers(0, 2, n)
    return pd.DataFrame(
        {
            "id": [f"a{i}" for i in range(n)],
            **{k: [f"a{i}" if i >= 0 else "0" for i in v.tolist()] for k, v in parents.items()},
            "herd": np.where(herd == 1, "north", "south"),
            "age": rng.normal(size=n),
            "y": np.concatenate(u) + 0.5 * herd + rng.normal(size=n) * np.sqrt(E2),
        }
    )


def table_of(rows: list[dict[str, str]]) -> str:
    """Rows of the same columns."""
    return markdown(list(rows[0]), [list(row.values()) for row in rows])


def animal_model(size: int, generations: int, *, selected: bool) -> dict[str, str]:
    """One fit of the animal model, from a table to estimates."""
    table = breeding(size, generations, selected=selected)
    start = time.perf_counter()
    pedigree = hd.read_pedigree(table)
    read = time.perf_counter() - start
    fit = hd.lmer("y ~ herd + age + (1 | id)", table, relationship={"id": pedigree})
    total = time.perf_counter() - start
    vg = float(fit.varcorr["id"].sd[0] ** 2)
    return {
        "mating": "100 sires, 2,000 dams in 10,000" if selected else "random",
        "animals": f"{len(table):,}",
        "pedigree, s": number(read),
        "in all, s": number(total),
        "engine": fit.engine.explanation,
        "h2": f"{vg / (vg + fit.sigma**2):.4f}",
        "evaluations": str(fit.estimates.optimum.evaluations),
        "memory, GB": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f}",
    }


def related(n: int, m: int, seed: int) -> np.ndarray:
    """A genomic relationship matrix of n people in families of four."""
    rng = np.random.default_rng(seed)
    parents = rng.integers(0, 2, size=(n // 2, 2, m))
    family = np.arange(n) // 4
    a = np.where(rng.random((n, m)) < 0.5, parents[2 * family, 0], parents[2 * family, 1])
    b = np.where(rng.random((n, m)) < 0.5, parents[2 * family + 1, 0], parents[2 * family + 1, 1])
    x = (a + b).astype(float)
    x -= x.mean(axis=0)
    x /= np.maximum(x.std(axis=0), 1e-9)
    return x @ x.T / m


def kernel_data(n: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """People, and two matrices of them."""
    rng = np.random.default_rng(3)
    names = [f"p{i}" for i in range(n)]
    first, second = related(n, 1500, 1), related(n, 1500, 2)
    house = rng.integers(0, n // 3, n)
    ridge = 1e-8 * np.eye(n)
    u = np.linalg.cholesky(first + ridge) @ rng.normal(size=n) * 0.6
    v = np.linalg.cholesky(second + ridge) @ rng.normal(size=n) * 0.4
    y = u + v + rng.normal(size=n // 3)[house] * 0.4 + rng.normal(size=n) * 0.8
    table = pd.DataFrame({"y": y, "iid": names, "iid2": names, "household": house.astype(str)})
    frames = [pd.DataFrame(K, index=names, columns=names) for K in (first, second)]
    return table, frames[0], frames[1]


def kernels(n: int) -> dict[str, str]:
    """Two dense matrices and households."""
    table, first, second = kernel_data(n)
    start = time.perf_counter()
    fit = hd.lmer(
        "y ~ 1 + (1 | iid) + (1 | iid2) + (1 | household)", table, relationship={"iid": first, "iid2": second}
    )
    return {
        "people": f"{n:,}",
        "seconds": number(time.perf_counter() - start),
        "evaluations": str(fit.estimates.optimum.evaluations),
        "memory, GB": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f}",
        "engine": fit.engine.explanation,
    }


def gemma(n: int, program: str) -> dict[str, str]:
    """Two matrices by GEMMA and here, both from files of text."""
    table, first, second = kernel_data(n)
    with tempfile.TemporaryDirectory(prefix="henderson-vc-") as scratch:
        folder = Path(scratch)
        table["y"].to_csv(folder / "y.txt", header=False, index=False)
        for name, K in (("K1", first), ("K2", second)):
            np.savetxt(folder / f"{name}.txt", K.to_numpy(), fmt="%.10g", delimiter="\t")
        (folder / "both.txt").write_text(f"{folder}/K1.txt\n{folder}/K2.txt\n")
        command = [program, "-p", "y.txt", "-mk", "both.txt", "-vc", "2", "-outdir", ".", "-o", "vc"]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": str(os.cpu_count())}
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        theirs = time.perf_counter() - start
        found = (folder / "vc.log.txt").read_text()
        line = next(row for row in found.splitlines() if row.startswith("## sigma2 estimates"))
        expected = [float(x) for x in line.split("=")[1].split()]
        names = table["iid"].tolist()
        start = time.perf_counter()
        matrices = {}
        for group, file in (("iid", "K1.txt"), ("iid2", "K2.txt")):
            K = pd.read_csv(folder / file, sep="\t", header=None).to_numpy(copy=True)
            K -= K.mean(axis=0)  # as GEMMA does
            K -= K.mean(axis=1)[:, None]
            matrices[group] = pd.DataFrame(0.5 * (K + K.T), index=names, columns=names)
        fit = hd.lmer("y ~ 1 + (1 | iid) + (1 | iid2)", table, relationship=matrices)
        ours = time.perf_counter() - start
    own = [float(fit.varcorr[g].sd[0] ** 2) for g in ("iid", "iid2")] + [fit.sigma**2]
    return {
        "people": f"{n:,}",
        "GEMMA -vc 2, s": number(theirs),
        "henderson, s": number(ours),
        "ratio": ratio(theirs, ours),
        "GEMMA": " ".join(f"{x:.5g}" for x in expected),
        "henderson": " ".join(f"{x:.5g}" for x in own),
    }


if __name__ == "__main__":
    main()
