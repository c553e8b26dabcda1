"""Whether a file is still what it was."""

import os

import pytest

from henderson.io.fingerprints import files_of, fingerprint


def test_a_changed_file_has_another_fingerprint(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1 2")
    before = fingerprint(path)
    os.utime(path, (1, 1))
    assert fingerprint(path) == before
    path.write_text("1 3")
    assert fingerprint(path) != before


def test_a_folder_has_that_of_all_that_is_in_it(tmp_path):
    store = tmp_path / "a.vcz"
    (store / "call_genotype").mkdir(parents=True)
    (store / "call_genotype" / "0.0").write_text("1")
    before = fingerprint(store)
    (store / "call_genotype" / "0.1").write_text("1")
    assert fingerprint(store).startswith("2 files, ")
    assert fingerprint(store) != before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX")
def test_a_pipe_is_left_to_its_reader(tmp_path):
    """To open it would wait for ever here, and take its content away elsewhere (``--pheno <(zcat ...)``)."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert fingerprint(path) != fingerprint(path)


def test_the_files_behind_a_prefix_and_behind_one_of_its_files(tmp_path):
    for name in ("a.bed", "a.bim", "a.fam", "b.bed"):
        (tmp_path / name).touch()
    expected = {tmp_path / f"a.{ending}" for ending in ("bed", "bim", "fam")}
    assert set(files_of([str(tmp_path / "a"), None])) == expected
    assert set(files_of([str(tmp_path / "a.bim")])) == expected
