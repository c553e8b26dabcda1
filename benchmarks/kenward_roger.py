"""Kenward and Roger's degrees of freedom with two crossed factors, beside R's pbkrtest.

    python benchmarks/kenward_roger.py [--rows 500 1000 2000 20000] [--limit 600] [--memory 8]

The model is `y ~ x1 + x2 + (1 | a) + (1 | b)`, a level of a for every 20 rows and one of b for every 50. Both
sides read the same file and fit it by REML first; what is timed is the adjusted covariance and the degrees of
freedom of all coefficients, from the fit (henderson: `denominator(fit, "kenward-roger")` and its `df`; R:
`lmerTest`'s `summary(fit, ddf = "Kenward-Roger")`, and `pbkrtest::vcovAdj(fit)` alone). R is stopped at a
limit of seconds and of memory.
"""

import argparse
import json
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from cells import Result, machine, markdown, number, ratio

HERE = Path(__file__).resolve().parent
FORMULA = "y ~ x1 + x2 + (1 | a) + (1 | b)"


def main() -> None:
    """Run all sizes and print the table."""
    options = arguments()
    about = machine()
    print(f"{about['date']}, {about['cpu']}, {about['cores']} cores, load {about['load_before'][0]:.1f}\n")
    rows = []
    with tempfile.TemporaryDirectory(prefix="henderson-bench-") as scratch:
        for n in options.rows:
            data = draw(n)
            path = Path(scratch) / "data.csv"
            data.to_csv(path, index=False)
            rows.append(row(n, ours(data), theirs(path, options.limit, options.memory)))
    head = ["rows", "henderson (s)", "vcovAdj (s)", "summary (s)", "faster", "df differ by"]
    print(markdown(head, rows))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 1000, 2000, 20_000])
    parser.add_argument("--limit", type=float, default=600, help="seconds for R at each size (default 600)")
    parser.add_argument("--memory", type=float, default=8, help="GB of address space for R (default 8)")
    return parser.parse_args()


def draw(n: int) -> pd.DataFrame:
    """Two crossed factors and two covariates, the second of them the same within a level of a."""
    rng = np.random.default_rng(np.random.SeedSequence(2024, spawn_key=(n,)))
    a, b = rng.integers(0, n // 20, n), rng.integers(0, n // 50, n)
    x1, x2 = rng.normal(size=n), rng.normal(size=n // 20)[a]
    effects = rng.normal(size=n // 20)[a] + 0.5 * rng.normal(size=n // 50)[b]
    y = 1.0 + 0.3 * x1 - 0.2 * x2 + effects + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x1": x1, "x2": x2, "a": a, "b": b})


def ours(data: pd.DataFrame) -> Result:
    """Seconds and degrees of freedom of henderson, the median of five fresh fits."""
    import henderson as hd
    from henderson.inference.denominator import denominator

    data = data.assign(a=data["a"].astype("category"), b=data["b"].astype("category"))
    seconds = []
    for _ in range(6):
        fit = hd.lmer(FORMULA, data)
        started = time.perf_counter()
        tests = denominator(fit, "kenward-roger")
        df = tests.df(np.eye(len(fit.fixef)))
        seconds.append(time.perf_counter() - started)
    return {"seconds": float(np.median(seconds[1:])), "df": df.tolist()}


def theirs(path: Path, limit: float, memory: float) -> Result:
    """Seconds and degrees of freedom of R, as far as it came."""
    out = path.with_name("out.json")
    out.unlink(missing_ok=True)
    command = ["Rscript", str(HERE / "kenward_roger.R"), str(path), FORMULA, str(out)]
    size = int(memory * 2**30)
    failed = ""
    try:
        done = subprocess.run(
            command,
            timeout=limit,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
        )
    except FileNotFoundError:
        return {"failed": "absent"}
    except subprocess.TimeoutExpired:
        failed = f"over {limit:.0f} s"
    else:
        if done.returncode:
            short = "cannot allocate" in done.stderr or "memory" in done.stderr
            failed = f"over {memory:g} GB" if short else done.stderr.strip().splitlines()[-1]
    found = json.loads(out.read_text()) if out.exists() else {}
    return {**found, "failed": failed}


def row(n: int, own: Result, other: Result) -> list[str]:
    """One line of the table."""
    cells = [f"{n:,}", number(own["seconds"])]
    for key in ("vcov_adj", "summary"):
        cells.append(number(other[key]) if other.get(key) else other["failed"])
    differ = ""
    if other.get("df"):
        differ = f"{np.abs(np.array(own['df']) / np.array(other['df']) - 1.0).max():.0e}"
    return [*cells, ratio(other.get("vcov_adj"), own["seconds"]), differ]


if __name__ == "__main__":
    main()
