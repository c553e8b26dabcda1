"""An import may only point downwards in the diagram of docs/explanation/architecture.md."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "henderson"

# From the top down; within a line, a package may import those to its right.
LAYERS = [
    ["cli", "report"],
    ["association"],
    ["lmm"],
    ["inference", "prediction"],
    ["fit"],
    ["plots", "formula", "io"],
    ["engine"],
    ["model"],
    ["covariance", "genotype"],
    ["linalg"],
]
ORDER = [package for line in LAYERS for package in line]
ANYWHERE = {"errors"}
FRAMES = {"pandas", "narwhals", "polars", "pyarrow"}
BELOW_FRAMES = set(ORDER[ORDER.index("engine") :])


def layer(path):
    """The package a module belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """Every module that a file imports, in whatever scope, with the line."""
    inside = list(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = inside[: -node.level] if node.level else []
            module = ".".join([*start, *(node.module.split(".") if node.module else [])])
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno


def shown(path):
    """A module's name in the list of tests."""
    return str(path.relative_to(PACKAGE))


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_imports_point_downwards(path):
    here = layer(path)
    assert here in ORDER or here in ANYWHERE, f"{here} has no place in the diagram"
    for name, line in imported(path):
        parts = name.split(".")
        if parts[0] != "henderson":
            continue
        there = parts[1] if len(parts) > 1 else "henderson"
        if there in {here, "__version__"} or there in ANYWHERE:
            continue
        assert there in ORDER, f"{path}:{line}: import {name} from its own package, not through henderson"
        assert here not in ANYWHERE, f"{path}:{line}: {here} must not import the rest of the package"
        assert ORDER.index(there) > ORDER.index(here), f"{path}:{line}: {here} must not import {there}"


@pytest.mark.parametrize("path", [path for path in MODULES if layer(path) in BELOW_FRAMES], ids=shown)
def test_no_data_frames_below_formula_and_io(path):
    for name, line in imported(path):
        assert name.split(".")[0] not in FRAMES, f"{path}:{line}: {name}: arrays only below formula and io"


def test_the_test_sees_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "henderson")
    path = tmp_path / "henderson" / "engine" / "bad.py"
    path.parent.mkdir(parents=True)
    inside = "def f():\n    import henderson.fit.solve"
    for source in ["from henderson.fit import solve", "from ..fit import solve", inside]:
        path.write_text(source)
        with pytest.raises(AssertionError, match="engine must not import fit"):
            test_imports_point_downwards(path)
    path.write_text("import pandas as pd")
    with pytest.raises(AssertionError, match="arrays only"):
        test_no_data_frames_below_formula_and_io(path)
