"""Ctrl-C, a job that is ended, a crash and a full disk in the middle of a scan."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from command_runs import driven, henderson, log_lines, names

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and limits of POSIX")

GWAS = ("gwas", "--bfile", "small", "--pheno", "pheno.txt", "--pheno-name", "height", "--out", "out")
#: Small blocks of variants, with a pause after each: some ten seconds in all. The tenth is announced.
SLOW = """
import time
import henderson.association.passes as passes
read = passes.blocks
def blocks(source, people, *size, **keep):
    for k, block in enumerate(read(source, people, 10, **keep)):
        if k == 10:
            print("scanning", flush=True)
        yield block
        time.sleep(0.3 if k >= 10 else 0)
passes.blocks = blocks
"""


@pytest.fixture
def running(cohort):
    """A scan of which some blocks are done."""
    process = driven(SLOW, *GWAS)
    assert process.stdout.readline() == "scanning\n", process.communicate()
    yield process
    process.kill()
    process.communicate()


def rerun(capfd):
    status, _, err = henderson(capfd, *GWAS, "--no-plots")
    assert status == 0, err
    assert len(pd.read_parquet("out.height.parquet")) == 300


COMPLETE = [
    "out.height.parquet", "out.height.tsv.gz", "out.height.tsv.gz-meta.yaml", "out.log", "out.traits.tsv"
]  # fmt: skip


@pytest.mark.parametrize(("sent", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_scan_interrupted_before_its_first_part_leaves_its_log_only(running, cohort, capfd, sent, status):
    running.send_signal(getattr(signal, sent))
    out, err = running.communicate(timeout=30)

    assert running.returncode == status
    assert not out
    assert "Traceback" not in err
    assert names(cohort, "out") == ["out.log"]
    assert log_lines("out")[-1].startswith("interrupted (after ")
    rerun(capfd)
    assert names(cohort, "out") == COMPLETE


def test_a_killed_scan_leaves_nothing_that_looks_complete(running, cohort, capfd):
    running.kill()
    running.communicate(timeout=30)

    assert names(cohort, "out") == ["out.log", "out.parts"]
    assert [path.suffix for path in sorted((cohort / "out.parts").iterdir())] == [f".{running.pid}", ".json"]
    log = log_lines("out")
    assert f"running since {time.strftime('%Y')}" in log[0]
    assert not log[-1].startswith(("finished", "failed", "interrupted"))
    # what a dead process left goes with the next run
    rerun(capfd)
    assert names(cohort, "out") == COMPLETE


def test_an_older_result_survives_an_interruption(running, cohort):
    older = ["out.height.parquet", "out.height.tsv.gz"]
    for name in older:
        (cohort / name).write_text("older")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)

    assert running.returncode == 130
    assert names(cohort, "out") == [*older, "out.log"]
    assert all((cohort / name).read_text() == "older" for name in older)


@pytest.mark.parametrize("kind", ["gwas", "grm"])
def test_a_full_disk_is_one_sentence(cohort, kind):
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    tokens = (*GWAS, "--no-plots") if kind == "gwas" else ("grm", "--bfile", "small", "--out", "out")
    process = driven(limit, *tokens)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 2
    last = err.splitlines()[-1]
    assert last.startswith("henderson: out.")
    assert "cannot be written (File too large): make room" in last
    assert "Traceback" not in err
    log = "out" if kind == "gwas" else "out.grm"
    assert names(cohort, "out") == [f"{log}.log"]
    assert log_lines(log)[-1].startswith("failed: out.")


def test_help_is_complete_and_loads_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", HELP],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.stdout.splitlines()[-1] == "[]"
    options = "bfile pheno out pheno-name covar covar-name formula grm test maf geno gemma no-plots threads"
    for option in options.split():
        assert f"--{option}" in done.stdout
    assert "Example: henderson gwas --bfile" in done.stdout


HELP = """
import sys
from henderson.cli import run
run(["gwas", "--help"])
print([name for name in ("numba", "pandas", "scipy.stats", "pyarrow", "matplotlib") if name in sys.modules])
"""
