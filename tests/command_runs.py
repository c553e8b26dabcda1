"""A small cohort on disk, and runs of the `henderson` command on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from henderson.cli import run
from plink_files import random_genotypes, write_plink

N, M = 120, 300
#: Rows of the genotypes with one genotype only, and without any call.
MONOMORPHIC, EMPTY = 5, 9
HIT = 40


def write_cohort(folder: Path) -> None:
    """Write ``small`` (a fileset), ``pheno.txt`` and ``covar.txt`` (without the last ten people)."""
    rng = np.random.default_rng(3)
    calls = random_genotypes(M, N, seed=1, missing=0.02)
    calls[MONOMORPHIC], calls[EMPTY] = 0, -1
    write_plink(folder / "small", calls)
    x = np.where(calls < 0, 0, calls).astype(float)
    x -= x.mean(axis=1, keepdims=True)
    people = pd.DataFrame(
        {"FID": [f"f{i}" for i in range(1, N + 1)], "IID": [f"i{i}" for i in range(1, N + 1)]}
    )
    table = people.assign(
        height=x[HIT] + x.T @ rng.normal(size=M) * 0.08 + rng.normal(size=N),
        weight=x.T @ rng.normal(size=M) * 0.08 + rng.normal(size=N),
        bmi=x.T @ rng.normal(size=M) * 0.05 + rng.normal(size=N),
    )
    table.loc[3:6, "bmi"] = np.nan
    # in another order than the genotypes: people are matched by name
    write_table(table.sample(frac=1.0, random_state=1), folder / "pheno.txt")
    covariates = people.assign(
        age=rng.integers(20, 70, N), sex=rng.choice(["F", "M"], N), family=[f"fam{i // 4}" for i in range(N)]
    )
    write_table(covariates.iloc[: N - 10], folder / "covar.txt")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Tab-separated, missing values NA."""
    table.to_csv(path, sep="\t", index=False, na_rep="NA")


def henderson(capfd, *tokens):
    """Run a command in this process; give status, standard output and standard error."""
    status = run([str(token) for token in tokens])
    out, err = capfd.readouterr()
    return status, out, err


def refused(capfd, *tokens):
    """Run a command that must be refused, in one sentence; give the sentence."""
    status, out, err = henderson(capfd, *tokens)
    assert status == 2, err
    assert not out
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("henderson: ")
    assert err.count("henderson: ") == 1
    return last


def driven(script: str, *arguments: object, **options):
    """Start `script`, with ``main`` of the command imported, in a process of its own."""
    code = f"import sys\nfrom henderson.cli import main\n{script}\nsys.argv[0] = 'henderson'\nmain()\n"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def names(folder: Path, beginning: str) -> list[str]:
    """Names of the files that begin so."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(beginning))


def log_lines(prefix: str | Path) -> list[str]:
    return Path(f"{prefix}.log").read_text().splitlines()
