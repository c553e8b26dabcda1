import os
import subprocess
import sys
from pathlib import Path

import pytest

from henderson.io.whole_files import PartialFile, whole_files

pytestmark = pytest.mark.skipif(os.name != "posix", reason="whether a process lives is asked on POSIX only")


def left_by(process: int, tmp_path: Path) -> Path:
    """What a process of this machine would leave of the file a.txt."""
    mine = PartialFile(tmp_path / "a.txt")
    mine.discard()
    path = mine.partial.with_name(mine.partial.name.replace(str(os.getpid()), str(process)))
    path.write_text("half")
    return path


@pytest.fixture
def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_dead_process_left_is_removed_by_the_next(tmp_path, dead):
    orphan = left_by(dead, tmp_path)
    others = [tmp_path / f"b.txt{orphan.name.removeprefix('a.txt')}", tmp_path / "a.txt.old.partial"]
    for path in others:
        path.write_text("half")
    with whole_files(tmp_path / "a.txt") as [file]:
        file.write(b"whole")

    assert not orphan.exists()
    assert all(path.exists() for path in others)
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_what_a_living_process_or_another_machine_writes_stays(tmp_path, dead):
    alive = left_by(os.getppid(), tmp_path)
    elsewhere = tmp_path / f"a.txt.some-other-machine.{dead}.partial"
    elsewhere.write_text("half")
    with whole_files(tmp_path / "a.txt") as [file]:
        file.write(b"whole")

    assert alive.exists()
    assert elsewhere.exists()


def test_the_machine_does_not_spoil_the_name(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "node/7.cluster é\n")
    with whole_files(tmp_path / "a.txt"):
        [partial] = tmp_path.iterdir()
        assert partial.name == f"a.txt.node-7-cluster-é-.{os.getpid()}.partial"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
