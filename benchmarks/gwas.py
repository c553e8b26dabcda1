"""Whole-genome scans timed side by side: henderson and GEMMA on the same PLINK files.

    python benchmarks/gwas.py [--only CASE ...] [--repeats 5] [--limit 3600] [--out results.json]

Every command is a fresh process on two threads; the programs take turns, and which goes first alternates.
What is measured is the whole command, reading and writing included. Answers are compared, so that no one is
fast by testing less. See README.md.

This file and what it imports need nothing but the standard library: the peak memory that Linux reports for
a child is never below what its parent held when it was started.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from cells import machine
from gwas_tables import STEPS, failure, outcome, tables

HERE = Path(__file__).resolve().parent
CASES = ["mouse_hs1940", "sim5000", "sim1000"]
POOLS = ["OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "NUMBA"]
LOG_LINE = re.compile(r"^ *([0-9.]+) s  (.*)$")

Result = dict[str, Any]


def main() -> None:
    """Run the cases asked for, print the tables, write everything to `--out`."""
    options = arguments()
    report: Result = {
        "machine": machine(),
        "options": vars(options),
        "versions": versions(options),
        "cases": {},
    }
    with tempfile.TemporaryDirectory(prefix="henderson-bench-") as scratch:
        for case in options.only or CASES:
            report["cases"][case] = run_case(case, options, Path(scratch) / case)
            save(report, options.out)
    report["machine"]["load_after"] = os.getloadavg()
    save(report, options.out)
    print(tables(report))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=CASES, help=", ".join(CASES))
    parser.add_argument("--repeats", type=int, default=5, help="timed runs after the warm-up (default 5)")
    parser.add_argument("--limit", type=float, default=3600, help="seconds for one command (default 3600)")
    parser.add_argument("--threads", type=int, default=2, help="threads of each program (default 2)")
    parser.add_argument("--henderson", default=beside_python("henderson"), help="the henderson command")
    parser.add_argument("--gemma", default="gemma", help="the GEMMA command")
    parser.add_argument("--out", help="write all results to this JSON file")
    return parser.parse_args()


def beside_python(name: str) -> str:
    """The command of this environment, else whatever is on the path."""
    path = Path(sys.executable).parent / name
    return str(path) if path.exists() else name


def save(report: Result, out: str | None) -> None:
    """Write what there is so far."""
    if out:
        Path(out).write_text(json.dumps(report, indent=1))


def run_case(case: str, options: argparse.Namespace, folder: Path) -> Result:
    """Prepare a case, warm both programs up, then let them take turns."""
    folder.mkdir(parents=True)
    files = helper("genomes.py", case, folder)
    if "bfile" not in files:
        why = files.get("absent") or files["error"]
        print(f"{case:14s} left out: {why}", file=sys.stderr)
        return {"files": {"absent": why}}
    programs = {"gemma": gemma_commands(options, files, folder)}
    programs["henderson"] = henderson_commands(options, files, folder)
    environment = {f"{pool}_NUM_THREADS": str(options.threads) for pool in POOLS}
    environment["NUMBA_CACHE_DIR"] = str(folder / "numba")

    def once(program: str, step: str) -> Result:
        result = measure(programs[program][step], environment, options.limit)
        print(f"{case:14s} {program:10s} {step:6s} {outcome(result)}", file=sys.stderr, flush=True)
        return result

    first_ever = once("henderson", "whole")
    runs: Result = {program: {step: [] for step in commands} for program, commands in programs.items()}
    for program, steps in runs.items():
        for step in steps:
            warmed = once(program, step)
            if failure(warmed):
                # Shown as it ended, and not tried again.
                steps[step] = [warmed]
    for repeat in range(options.repeats):
        order = list(programs) if repeat % 2 == 0 else list(reversed(programs))
        for step in STEPS:
            for program in order:
                earlier = runs[program].get(step)
                if earlier is not None and not any(map(failure, earlier)):
                    earlier.append(once(program, step))
    found = {
        "files": files,
        "commands": {
            program: {step: shlex.join(c) for step, c in cs.items()} for program, cs in programs.items()
        },
        "first_ever": first_ever,
        "runs": runs,
        "answers": compare(folder),
        "phases": phases(folder),
    }
    shutil.rmtree(folder, ignore_errors=True)
    return found


def gemma_commands(options: argparse.Namespace, files: Result, folder: Path) -> dict[str, list[str]]:
    """GEMMA's two commands; its third, the whole, is their sum."""
    common = [options.gemma, "-bfile", files["bfile"], "-p", files["gemma_pheno"], "-n", "1"]
    common += ["-outdir", str(folder)]
    return {
        "grm": [*common, "-gk", "1", "-o", "k"],
        "scan": [*common, "-k", str(folder / "k.cXX.txt"), "-lmm", "4", "-o", "g"],
    }


def henderson_commands(options: argparse.Namespace, files: Result, folder: Path) -> dict[str, list[str]]:
    """The same two steps, and the one command that does both."""
    genotypes = ["--bfile", files["bfile"], "--threads", str(options.threads)]
    scan = [options.henderson, "gwas", *genotypes, "--pheno", files["pheno"], "--pheno-name", files["trait"]]
    scan += ["--gemma", "--no-plots"]
    return {
        "grm": [
            options.henderson,
            "grm",
            *genotypes,
            "--scale",
            "centered",
            "--format",
            "npz",
            "--out",
            str(folder / "k"),
        ],
        "scan": [*scan, "--grm", str(folder / "k.npz"), "--out", str(folder / "s")],
        "whole": [*scan, "--out", str(folder / "h")],
    }


def measure(command: list[str], environment: dict[str, str], limit: float) -> Result:
    """Run one command to its end: wall and processor seconds, peak memory, load average before."""
    if shutil.which(command[0]) is None:
        return {"not_installed": command[0]}
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        stopped = threading.Event()
        alarm = threading.Timer(limit, stop, [process, stopped])
        alarm.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        alarm.cancel()
        # Reaped here and not by subprocess, which has to know.
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        words = said.read().decode(errors="replace").strip()
    if stopped.is_set():
        return {"timed_out": limit, "load_before": load}
    if process.returncode:
        return {"error": f"exit status {process.returncode}: {words[-500:]}", "load_before": load}
    return {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2),
        "load_before": load,
    }


def stop(process: subprocess.Popen[bytes], stopped: threading.Event) -> None:
    """End a command that takes too long, and whatever it started."""
    stopped.set()
    os.killpg(process.pid, signal.SIGKILL)


def compare(folder: Path) -> Result:
    """Hold the answers of the whole commands against each other."""
    theirs = folder / "g.assoc.txt"
    ours = [path for ending in (".parquet", ".tsv.gz") for path in sorted(folder.glob(f"h*{ending}"))]
    if not (theirs.exists() and ours):
        return {}
    return helper("gwas_answers.py", theirs, ours[0])


def helper(script: str, *words: object) -> Result:
    """What a script beside this one prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, HERE / script, *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"error": " ".join(done.stderr.strip().splitlines()[-1:]) or "failed"}
    return json.loads(done.stdout)


def phases(folder: Path) -> list[Result]:
    """Lines of the log of henderson's whole command, with the seconds since its start."""
    log = folder / "h.log"
    if not log.exists():
        return []
    text = log.read_text(encoding="utf-8").replace(f"{folder}/", "")
    found = (LOG_LINE.match(line) for line in text.splitlines())
    return [{"seconds": float(line[1]), "text": line[2]} for line in found if line]


def versions(options: argparse.Namespace) -> Result:
    """What the two programs call themselves."""
    found = {}
    for name, command in {
        "henderson": [options.henderson, "--version"],
        "gemma": [options.gemma, "-h"],
    }.items():
        if shutil.which(command[0]) is None:
            found[name] = "absent"
            continue
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found[name] = next(iter((done.stdout + done.stderr).strip().splitlines()), "not known")
    return found


if __name__ == "__main__":
    main()
