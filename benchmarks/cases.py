"""The models of the benchmark and the data they are fitted to.

Data come from `lme4` itself (exported by Rscript), or are simulated here from a fixed seed. Where a folder
of reference results is at hand (``lmer`` in ``HENDERSON_REFERENCE``, or in ``../shared/reference`` beside the
repository), its data files are taken instead, so that the numbers can be held against the stored fits.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from frames import write_frame

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Case:
    """One model on one data set; `reference` names its stored `lme4` fit, if there is one."""

    name: str
    data: str
    formula: str
    n_theta: int
    reference: str | None = None

    @property
    def fixed(self) -> str:
        """The formula without its random terms."""
        return re.sub(r"\s*\+\s*\([^)]*\|[^)]*\)", "", self.formula)

    @property
    def bars(self) -> list[tuple[str, tuple[str, ...]]]:
        """The random terms as (left-hand side, columns crossed to the grouping factor), ``a/b`` spelt out."""
        terms = []
        for left, right in re.findall(r"\(([^|)]*)\|([^)]*)\)", self.formula):
            columns = tuple(part.strip() for part in re.split(r"[/:]", right))
            depths = range(1, len(columns) + 1) if "/" in right else [len(columns)]
            terms += [(left.strip(), columns[:depth]) for depth in depths]
        return terms


CASES = [
    Case("sleepstudy", "sleepstudy", "Reaction ~ Days + (Days|Subject)", 3, "sleep_slope"),
    Case("dyestuff", "Dyestuff", "Yield ~ 1 + (1|Batch)", 1, "dye"),
    Case("pastes", "Pastes", "strength ~ 1 + (1|batch/cask)", 2, "pastes_nested"),
    Case("penicillin", "Penicillin", "diameter ~ 1 + (1|plate) + (1|sample)", 2, "pen"),
    Case("slope100k", "sim_slope100k", "y ~ x1 + x2 + (x1|g)", 3, "big_slope100k"),
    Case("nested100k", "sim_nested100k", "y ~ x + z + (1|region/school/class)", 3, "big_nested100k"),
    Case(
        "nested100k_slope",
        "sim_nested100k",
        "y ~ x + z + (x|school) + (1|class) + (1|region)",
        5,
        "big_nested100k_slope",
    ),
    Case("crossed200k", "sim_crossed200k", "y ~ x + f + (1|a) + (1|b)", 2, "big_crossed200k"),
    Case("insteval", "InstEval", "y ~ 1 + service + (1|s) + (1|d) + (1|dept:service)", 3, "inst_dept"),
    Case("insteval_slope", "InstEval", "y ~ service + (1|s) + (service|d)", 4, "inst_slope"),
    Case("slopes3_3k", "sim_slopes3", "y ~ x1 + x2 + x3 + (x1 + x2 + x3|g) + (1|h)", 11, "sim_slopes3"),
    Case("slopes3_50k", "sim_slopes3_50k", "y ~ x1 + x2 + x3 + (x1 + x2 + x3|g) + (1|h)", 11),
    Case("pairs200k", "sim_pairs200k", "y ~ x + (1|g)", 1),
]


def reference_folder() -> Path | None:
    """The folder of stored `lme4` results, or None."""
    root = Path(os.environ.get("HENDERSON_REFERENCE", HERE.parents[1] / "shared/reference"))
    folder = root / "lmer"
    return folder if folder.is_dir() else None


def stored_criterion(case: Case) -> float | None:
    """REML criterion at the stored optimum, where the stored fit is the case's own."""
    folder = reference_folder()
    if folder is None or case.reference is None:
        return None
    fit = json.loads((folder / "models" / f"{case.reference}.reml.json").read_text())
    same = fit["formula"].replace(" ", "") == case.formula.replace(" ", "")
    return float(fit["REMLcrit"]) if same and not fit["arguments"] else None


def prepare(name: str, folder: Path) -> str:
    """Write data set `name` into `folder` and say where it came from."""
    reference = reference_folder()
    if reference is not None and (reference / "data" / f"{name}.meta.json").exists():
        write_frame(_read_reference(reference / "data", name), folder)
        return "reference folder"
    if name in SIMULATORS:
        write_frame(SIMULATORS[name](), folder)
        return "simulated"
    subprocess.run(["Rscript", HERE / "lmer_lme4.R", "export", name, folder], check=True, capture_output=True)
    return "lme4"


def nested(frame: pd.DataFrame, bars: list[tuple[str, tuple[str, ...]]]) -> bool:
    """Whether the grouping factors, sorted from coarse to fine, each lie within the one before."""
    codes = sorted((crossing(frame, columns) for _, columns in bars), key=lambda c: c.max())
    joint = (fine * (coarse.max() + 1) + coarse for coarse, fine in pairwise(codes))
    return all(len(np.unique(pair)) == fine.max() + 1 for pair, fine in zip(joint, codes[1:], strict=True))


def crossing(frame: pd.DataFrame, columns: tuple[str, ...]) -> np.ndarray:
    """Codes (n,) from 0 of the observed combinations of some factors."""
    return frame.groupby(list(columns), observed=True).ngroup().to_numpy(np.int64)


def _read_reference(folder: Path, name: str) -> pd.DataFrame:
    meta = json.loads((folder / f"{name}.meta.json").read_text())
    factors = {}
    columns = [column for column, info in meta["columns"].items() if info["type"] != "character"]
    for column in columns:
        info = meta["columns"][column]
        if info["type"] in ("factor", "ordered"):
            first, last = info.get("levels_seq", (1, 0))
            levels = info.get("levels") or [str(level) for level in range(first, last + 1)]
            factors[column] = pd.CategoricalDtype(levels, ordered=info["type"] == "ordered")
    text = pd.read_csv(folder / meta["file"], dtype=dict.fromkeys(factors, str), usecols=columns)
    return text.astype(factors)


# ---- simulators: sizes and variances of the reference data, drawn anew from a seed ----


def _levels(rng: np.random.Generator, n: int, n_levels: int) -> np.ndarray:
    """Codes (n,): every level once, then at random."""
    return np.concatenate([np.arange(n_levels), rng.integers(0, n_levels, n - n_levels)])


def _factor(codes: np.ndarray) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, [str(level) for level in range(1, codes.max() + 2)])


def _slope100k() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 100_000
    g = _levels(rng, n, 10_000)
    b = rng.multivariate_normal([0, 0], [[1, 0.3], [0.3, 0.25]], 10_000)
    x1, x2 = rng.standard_normal(n), rng.random(n)
    y = 2 + 0.5 * x1 - x2 + b[g, 0] + b[g, 1] * x1 + 1.5 * rng.standard_normal(n)
    return pd.DataFrame({"y": y, "x1": x1, "x2": x2, "g": _factor(g)})


def _nested100k() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    n = 100_000
    region_of, school_of = _levels(rng, 400, 20), _levels(rng, 5_000, 400)
    class_ = _levels(rng, n, 5_000)
    school = school_of[class_]
    region = region_of[school]
    x, z = rng.standard_normal(n), rng.standard_normal(400)[school]
    groups = [(region, 0.5), (school, 0.7), (class_, 0.4)]
    y = 10 + x + 0.4 * z + 2 * rng.standard_normal(n)
    for codes, sd in groups:
        y += sd * rng.standard_normal(codes.max() + 1)[codes]
    factors = {"region": _factor(region), "school": _factor(school), "class": _factor(class_)}
    return pd.DataFrame({"y": y, "x": x, "z": z, **factors})


def _crossed200k() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 200_000
    a, b, f = _levels(rng, n, 5_000), rng.permutation(_levels(rng, n, 2_000)), rng.integers(0, 3, n)
    x = rng.standard_normal(n)
    y = 1 + 0.3 * x + np.array([0, 0.2, -0.1])[f] + rng.standard_normal(n)
    y += 0.8 * rng.standard_normal(5_000)[a] + 1.2 * rng.standard_normal(2_000)[b]
    fs = pd.Categorical.from_codes(f, ["u", "v", "w"])
    return pd.DataFrame({"y": y, "x": x, "f": fs, "a": _factor(a), "b": _factor(b)})


def _slopes3(n: int, n_g: int, n_h: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    t = np.array([[1.08, 0, 0, 0], [0.2, 0.63, 0, 0], [0.14, 0, 0.55, 0], [-0.16, 0.11, 0.24, 0.41]])
    g, h = rng.permutation(_levels(rng, n, n_g)), _levels(rng, n, n_h)
    x = rng.standard_normal((n, 3))
    design = np.column_stack([np.ones(n), x])
    b = rng.standard_normal((n_g, 4)) @ t.T
    y = design @ [1, 0.5, -0.5, 0.2] + (design * b[g]).sum(1) + 0.7 * rng.standard_normal(n_h)[h]
    y += rng.standard_normal(n)
    columns = {"y": y, "x1": x[:, 0], "x2": x[:, 1], "x3": x[:, 2]}
    return pd.DataFrame({**columns, "g": _factor(g), "h": _factor(h)})


def _slopes3_3k() -> pd.DataFrame:
    return _slopes3(3_000, 100, 40, seed=4)


def _slopes3_50k() -> pd.DataFrame:
    return _slopes3(50_000, 1_600, 640, seed=5)


def _pairs200k() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(100_000), 2)
    x = rng.standard_normal(g.size)
    y = 1 + 0.5 * x + rng.standard_normal(100_000)[g] + rng.standard_normal(g.size)
    return pd.DataFrame({"y": y, "x": x, "g": _factor(g)})


SIMULATORS: dict[str, Callable[[], pd.DataFrame]] = {
    "sim_slope100k": _slope100k,
    "sim_nested100k": _nested100k,
    "sim_crossed200k": _crossed200k,
    "sim_slopes3": _slopes3_3k,
    "sim_slopes3_50k": _slopes3_50k,
    "sim_pairs200k": _pairs200k,
}
