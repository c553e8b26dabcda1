"""Read the lme4 reference results that live beside the repository, in ``../shared/reference``.

The environment variable ``HENDERSON_REFERENCE`` points elsewhere. A fresh clone has no reference files: tests
that need them carry ``@needs_lmer_reference`` and are skipped with the reason.

>>> [m for m in lmer_models() if m.startswith("sleep_slope.")]  # doctest: +SKIP
['sleep_slope.ml', 'sleep_slope.reml']
"""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

ROOT = Path(
    os.environ.get("HENDERSON_REFERENCE", Path(__file__).resolve().parents[2] / "shared" / "reference")
)
LMER = ROOT / "lmer"

needs_lmer_reference = pytest.mark.skipif(
    not (LMER / "models").is_dir(),
    reason=f"no lme4 reference results at {LMER} (set HENDERSON_REFERENCE to their folder)",
)


def lmer_models() -> list[str]:
    """Ids with suffix of all `lmer` fits, such as ``sleep_slope.reml``; empty without reference files."""
    return sorted(p.stem for p in LMER.glob("models/*.json") if not p.name.startswith("glmer_"))


@lru_cache(maxsize=32)
def load_model(model: str) -> dict[str, Any]:
    """The stored fit with this id and suffix: ``load_model("sleep_slope.reml")``. Do not modify it."""
    with open(LMER / "models" / f"{model}.json", encoding="utf-8") as file:
        stored: dict[str, Any] = json.load(file)
    return stored


@lru_cache(maxsize=64)
def _load_dataset(name: str) -> pd.DataFrame:
    meta = json.loads((LMER / "data" / f"{name}.meta.json").read_text(encoding="utf-8"))
    columns = meta["columns"]
    text = {c: str for c, m in columns.items() if m["type"] in ("factor", "ordered", "character")}
    frame = pd.read_csv(
        LMER / "data" / meta["file"],
        dtype=text,
        keep_default_na=False,
        na_values=[meta["na_string"]],
    )
    for column, m in columns.items():
        if m["type"] in ("factor", "ordered"):
            levels = m.get("levels")
            if levels is None:
                first, last = m["levels_seq"]
                levels = [str(k) for k in range(first, last + 1)]
            frame[column] = pd.Categorical(frame[column], categories=levels, ordered=m["type"] == "ordered")
        elif m["type"] == "numeric":
            frame[column] = frame[column].astype(float)
    return frame[list(columns)]


def load_dataset(name: str) -> pd.DataFrame:
    """A data set with R's types: factors as (ordered) Categorical with R's level order, logicals as bool."""
    return _load_dataset(name).copy()


def design_arguments(arguments: dict[str, Any] | list[Any]) -> dict[str, Any]:
    """The keyword arguments of `build_design` for the R text in a model's ``arguments``.

    >>> design_arguments({"weights": "w", "na.action": "na.exclude"})
    {'weights': 'w', 'na_action': 'exclude'}
    >>> design_arguments({"contrasts": 'list(f = "contr.sum")'})
    {'contrasts': {'f': 'contr.sum'}}
    """
    wanted: dict[str, Any] = {}
    for name, value in dict(arguments).items():
        if name == "na.action":
            wanted["na_action"] = value.removeprefix("na.")
        elif name == "contrasts":
            wanted["contrasts"] = _contrasts(value)
        else:
            wanted[name] = value
    return wanted


def _contrasts(text: str) -> dict[str, Any]:
    named: dict[str, Any] = dict(re.findall(r'(\w+) = "(contr\.\w+)"', text))
    for factor, numbers, rows in re.findall(r"(\w+) = matrix\(c\(([^)]*)\), (\d+)\)", text):
        values = [np.divide(*map(float, v.split("/"))) if "/" in v else float(v) for v in numbers.split(",")]
        named[factor] = np.reshape(values, (int(rows), -1), order="F")
    return named
