import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from henderson.cli.runlog import RunLog
from henderson.errors import DataError


def lines(tmp_path):
    return (tmp_path / "a.log").read_text().splitlines()


def test_the_log_says_what_ran_and_how_it_ended(tmp_path):
    with RunLog(tmp_path / "a", command=["henderson", "gwas", "my file.bed"], options={"maf": 0.01}) as log:
        log.add("957 people\n12 left out")
    text = "\n".join(lines(tmp_path))

    assert "running since" in lines(tmp_path)[0]
    assert "command: henderson gwas 'my file.bed'" in text
    assert "option maf: 0.01" in text
    assert f"NumPy {np.__version__}" in text
    assert lines(tmp_path)[-3].endswith(" s  957 people")
    assert lines(tmp_path)[-2].strip() == "12 left out"
    assert lines(tmp_path)[-1].startswith("finished in ")


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (DataError("no\nfile x"), "failed: no file x (after"),
        (KeyboardInterrupt(), "interrupted (after"),
    ],
)
def test_the_log_says_what_went_wrong(tmp_path, problem, said):
    def failing():
        with RunLog(tmp_path / "a"):
            raise problem

    with pytest.raises(type(problem)):
        failing()
    assert lines(tmp_path)[-1].startswith(said)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_after_a_crash_the_log_shows_how_far_it_came(tmp_path):
    script = (
        "import os, signal, sys; from henderson.cli.runlog import RunLog;"
        "log = RunLog(sys.argv[1] + '/a'); log.add('chromosome 7'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path], check=False)

    assert "running since" in lines(tmp_path)[0]
    assert lines(tmp_path)[-1].endswith("chromosome 7")


def test_each_line_is_there_at_once(tmp_path):
    log = RunLog(tmp_path / "a")
    log.add("one")
    assert lines(tmp_path)[-1].endswith("one")
    log.fail("out of luck")
    assert lines(tmp_path)[-1].startswith("failed: out of luck")


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        RunLog(tmp_path / "nowhere" / "a")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_sentence(tmp_path):
    (tmp_path / "a.log").symlink_to("/dev/full")
    with pytest.raises(DataError, match="No space left"):
        RunLog(tmp_path / "a")
