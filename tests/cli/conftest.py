import shutil

import pytest

from command_runs import write_cohort


@pytest.fixture(scope="session")
def _made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder)
    return folder


@pytest.fixture
def cohort(_made, tmp_path, monkeypatch):
    """A folder of its own with the files of a small cohort; the test runs in it."""
    shutil.copytree(_made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path
