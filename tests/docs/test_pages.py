"""The Python code of README and pages runs as it stands, block after block, in one namespace a page."""

import ast
import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from plink_files import random_genotypes, write_plink

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
    if BLOCK.search(page.read_text("utf-8"))
]


def python_blocks(page):
    """The page's code blocks, each compiled so that an error names the page and its line."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        tree = ast.parse(found[1])
        ast.increment_lineno(tree, text.count("\n", 0, found.start(1)))
        yield compile(tree, str(page), "exec")


@pytest.fixture
def somebodys_data(tmp_path, monkeypatch):
    """A folder with the files that pages take for granted; the tables `data`, `people` and `animals`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    rng = np.random.default_rng(5)
    n = 60
    genotypes = random_genotypes(40, n, seed=5)
    sites = [(str(1 + j // 20), f"v{j + 1}", 1000 * (j % 20 + 1), "A", "G") for j in range(40)]
    write_plink(tmp_path / "cohort", genotypes, variants=sites)
    people = pd.DataFrame({"FID": [f"f{i + 1}" for i in range(n)], "IID": [f"i{i + 1}" for i in range(n)]})
    people["age"], people["sex"] = rng.integers(20, 70, n), rng.choice(["F", "M"], n)
    people["height"] = 170.0 + genotypes[:5].sum(axis=0) + rng.normal(0.0, 3.0, n)
    people.to_csv(tmp_path / "traits.txt", sep="\t", index=False)
    data = pd.DataFrame({"height": people["height"], "family": [f"family {i // 4}" for i in range(n)]})
    for k, counts in enumerate(genotypes[:3]):
        data[f"variant{k + 1}"] = np.array(["CC", "CT", "TT"])[counts]
    records = pd.DataFrame(
        {"g": rng.integers(0, 20, 300), "x1": rng.normal(size=300), "x2": rng.normal(size=300)}
    )
    records["y"] = records["x1"] * rng.normal(size=20)[records["g"]] + rng.normal(size=300)
    records.to_parquet(tmp_path / "records.parquet")
    calves = pd.DataFrame({"calf": [f"c{i}" for i in range(n)]})
    calves["sire"] = [f"s{i % 6}" for i in range(n)]
    calves["dam"] = [f"d{i % 20}" if i < 40 else f"c{i - 40}" for i in range(n)]
    calves.to_csv(tmp_path / "animals.csv", index=False)
    bull, cow = rng.normal(size=6), rng.normal(size=20)
    animals = calves.assign(
        sex=rng.choice(["f", "m"], n), gain=[bull[i % 6] + cow[i % 20] for i in range(n)] + rng.normal(size=n)
    )
    return {"data": data, "people": people, "animals": animals}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_runs(page, somebodys_data, capsys):
    pytest.importorskip("matplotlib")
    namespace = {"__name__": page.stem, **somebodys_data}
    for block in python_blocks(page):
        exec(block, namespace)

    assert capsys.readouterr().err == ""


def test_the_pages_are_found():
    assert {"README", "primer", "from-lme4", "genome-scan", "genotypes", "after-the-scan"} <= {
        page.stem for page in PAGES
    }


LINK = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)")


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.stem
)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            named = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor[1:] in named, anchor


def test_the_primers_drawing_can_be_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    script = runpy.run_path(str(DOCS / "tutorials" / "primer_model.py"))
    script["draw"](tmp_path / "model.svg")

    assert "<svg" in (tmp_path / "model.svg").read_text(encoding="utf-8")
