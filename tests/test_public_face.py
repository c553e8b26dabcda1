import subprocess
import sys

import pytest

import henderson as hd

HEAVY = [
    "pandas",
    "scipy.stats",
    "scipy.optimize",
    "numba",
    "matplotlib",
    "polars",
    "pyarrow",
    "narwhals",
]


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    "statement",
    [
        "import henderson",
        "import henderson; henderson.genotype_coding, henderson.standardise",
        "import henderson.cli",
        "from henderson.cli import run; run(['--help'])",
    ],
)
def test_heavy_packages_wait_until_they_are_needed(statement):
    code = f"{statement}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"

    assert run_python(code).stdout.splitlines()[-1] == "[]"


def test_importing_prints_nothing():
    done = run_python("import henderson")

    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("name", hd.__all__)
def test_every_public_name_is_there(name):
    assert getattr(hd, name) is not None
    assert name in dir(hd)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'glmer'"):
        hd.glmer  # noqa: B018


def test_errors_are_value_errors():
    for error in (hd.DataError, hd.FormulaError, hd.ModelNotSupportedError):
        assert issubclass(error, hd.HendersonError)
    assert issubclass(hd.HendersonError, ValueError)
