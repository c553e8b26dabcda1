"""The tutorials' Python code runs as it stands, block after block, in one namespace."""

import ast
import re
import runpy
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def python_blocks(page):
    """The page's code blocks, each compiled so that an error names the page and its line."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        tree = ast.parse(found[1])
        ast.increment_lineno(tree, text.count("\n", 0, found.start(1)))
        yield compile(tree, str(page), "exec")


@pytest.mark.parametrize("page", sorted(TUTORIALS.glob("*.md")), ids=lambda page: page.stem)
def test_code_runs(page, capsys):
    namespace = {"__name__": page.stem}
    blocks = list(python_blocks(page))
    for block in blocks:
        exec(block, namespace)

    assert blocks
    assert capsys.readouterr().err == ""


def test_the_primers_drawing_can_be_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    script = runpy.run_path(str(TUTORIALS / "primer_model.py"))
    script["draw"](tmp_path / "model.svg")

    assert "<svg" in (tmp_path / "model.svg").read_text(encoding="utf-8")


def test_the_drawing_in_the_primer_is_there():
    assert (TUTORIALS / "primer-model.svg").exists()
