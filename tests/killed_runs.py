"""Scans of the `henderson` command that are killed, each in a process forked from one that is warm.

Run as ``python killed_runs.py`` in a folder with a cohort; what it did goes to standard output, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Loaded here, so that the forked processes need not do it
import pandas as pd  # noqa: F401
import pyarrow.parquet  # noqa: F401
import rich.progress  # noqa: F401

import henderson.cli.gwas
import henderson.io.bgen
import henderson.io.pgen
import henderson.io.vcf
import henderson.io.vcf_zarr  # noqa: F401
from henderson.cli import gwas_run, main
from henderson.engine.ratio.variants import load_kernels
from henderson.io import whole_files

#: Files, by their number, that are the last thing a scan does, or the last but for their name.
CHOSEN = ((2, False), (9, True), (19, False), (20, False), (24, True), (41, True), (43, True), (44, False))
TOKENS = ("gwas", "--bfile", "three", "--pheno", "pheno.txt", "--no-plots", "--threads", "1", "--out")


def start(out: str, *more: str, before: Callable[[], None] | None = None) -> int:
    """Fork a process that runs the command; gives its number."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(os.open(f"{out}.err", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        if before is not None:
            before()
        sys.argv = ["henderson", *TOKENS, out, *more]
        main()
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        os._exit(status)


def wait(child: int) -> int:
    """The exit status of a process; negative where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def state(out: str) -> dict[str, object]:
    """What a killed run left behind."""
    left = [path.name for path in Path.cwd().iterdir() if path.name.startswith(f"{out}.")]
    folder = Path(f"{out}.parts")
    inside = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return {
        "parts": sum(name.endswith(".parquet") for name in inside),
        "partial": any(name.endswith(".partial") for name in (*left, *inside)),
        "tables": sum(name.endswith(".parquet") for name in left),
    }


def dying_at(step: int, *, after: bool) -> Callable[[], None]:
    """Die at the step-th file that gets its name, just before or just after."""

    def prepare() -> None:
        publish, count = whole_files.PartialFile.publish, 0

        def counted(self: whole_files.PartialFile) -> None:
            nonlocal count
            count += 1
            if after:
                publish(self)
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            if not after:
                publish(self)

        whole_files.PartialFile.publish = counted  # type: ignore[method-assign]

    return prepare


def run_all(seed: int) -> list[dict[str, object]]:
    """Kill scans at random moments and at chosen ones, and let each come to its end."""
    began = time.monotonic()
    assert wait(start("whole")) == 0
    duration = time.monotonic() - began
    rng, done, k = random.Random(seed), [], 0
    while len(done) < 20:
        out, kills, k = f"timed{k}", [], k + 1
        for _ in range(2 if len(done) % 5 == 0 else 1):
            child, began = start(out, "--resume"), time.monotonic()
            time.sleep(duration * rng.uniform(0.05, 0.98))
            os.kill(child, signal.SIGKILL)
            kills.append({"status": wait(child), **state(out)})
        if kills[-1]["status"] == 0:  # it was done before: others are to die earlier
            duration = min(duration, time.monotonic() - began)
            continue
        done.append({"out": out, "kills": kills, "status": wait(start(out, "--resume"))})
    # the manifest, 15 parts, 3 files and a note for each of 2 traits; 15 parts, 3 files and a note; a summary
    for step, after in CHOSEN:
        out = f"chosen{step}"
        killed = wait(start(out, before=dying_at(step, after=after)))
        kills = [{"status": killed, **state(out)}]
        done.append({"out": out, "kills": kills, "status": wait(start(out, "--resume"))})
    return done


if __name__ == "__main__":
    load_kernels()
    gwas_run.MOST_VARIANTS = 20
    print(json.dumps(run_all(seed=5)))
