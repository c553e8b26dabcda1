"""Profile likelihood of all parameters, beside lme4's ``profile()``: CPU seconds, and how far limits differ.

    python benchmarks/profiles.py [--repeats 5]

Both sides start from a fit by maximum likelihood and take one thread. R with lme4 has to be on the path.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

import henderson as hd
from henderson.inference.profile import profile

CASES = {
    "random slope": "Reaction ~ Days + (Days | Subject)",
    "uncorrelated": "Reaction ~ Days + (Days || Subject)",
    "random intercept": "Reaction ~ Days + (1 | Subject)",
}


def ours(formula: str, data: pd.DataFrame, repeats: int) -> tuple[float, pd.DataFrame]:
    """Median CPU seconds, and the limits."""
    fit = hd.lmer(formula, data, REML=False)
    profile(fit)
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        found = profile(fit)
        seconds.append(time.process_time() - began)
    return float(np.median(seconds)), found.confint()


def theirs(formula: str, csv: Path, repeats: int) -> tuple[float, pd.DataFrame]:
    """The same by lme4."""
    script = Path(__file__).with_suffix(".R")
    command = ["Rscript", str(script), str(csv), formula, str(repeats)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [[cell.strip() for cell in line.split("\t")] for line in lines]
    limits = {row[0]: [float(row[1]), float(row[2])] for row in rows[1:]}
    return float(rows[0][1]), pd.DataFrame.from_dict(limits, orient="index", columns=["lower", "upper"])


def main() -> None:
    """Print one line per model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    data = hd.example_data("sleepstudy")
    print(f"{'model':18}{'henderson':>12}{'lme4':>10}{'ratio':>8}{'largest difference / width':>30}")
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "data.csv"
        data.to_csv(csv, index=False)
        for name, formula in CASES.items():
            own, limits = ours(formula, data, repeats)
            other, expected = theirs(formula, csv, repeats)
            width = (expected["upper"] - expected["lower"]).to_numpy()[:, None]
            apart = np.abs((limits.to_numpy() - expected.to_numpy()) / width).max()
            print(f"{name:18}{own:>10.3f} s{other:>8.2f} s{other / own:>7.1f}x{apart:>30.1e}")


if __name__ == "__main__":
    main()
