"""Whether p-values, intervals and scaled residuals keep what they promise, by simulation with known truth.

    python benchmarks/calibration.py [--replicates 10000] [--data-sets 1000] [--workers 2] [--only tests ...]

Small designs, on which asymptotic tests fail. Every number stands beside its Monte-Carlo standard error;
those further than three of them from what is promised are marked `*`. The tables are Markdown.
"""

import argparse
import logging
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pandas as pd

import henderson as hd

LEVEL = 0.05
METHODS = ("satterthwaite", "kenward-roger", "asymptotic")
SEED = 20261122
CHUNK = 250
N_SIMULATED = 250
DRAWS = 400
DATA_SETS = 50
"""Data sets of a chunk, for intervals and residuals."""
PURPOSE = {"tests": 1, "intervals": 2, "residuals": 3}


def balanced() -> pd.DataFrame:
    """Eight groups of five."""
    return pd.DataFrame({"g": np.repeat(np.arange(8), 5).astype(str)})


def unbalanced() -> pd.DataFrame:
    """Ten groups of one to twelve."""
    sizes = [1, 2, 2, 3, 3, 4, 5, 7, 9, 12]
    return pd.DataFrame({"g": np.repeat(np.arange(10), sizes).astype(str)})


def with_predictors(data: pd.DataFrame) -> pd.DataFrame:
    """A treatment of whole groups and a covariate within them."""
    rng = np.random.default_rng(1)
    treated = data["g"].astype(int) % 2
    return data.assign(treatment=treated.astype(float), x=rng.normal(size=len(data)))


def plots() -> pd.DataFrame:
    """Six blocks of three plots, one treatment each, four records a plot; a fifth of the records lost."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame(
        [(b, t, w) for b in range(6) for t in "abc" for w in range(4)], columns=["block", "treatment", "week"]
    )
    data["block"] = data["block"].astype(str)
    data["plot"] = data["block"] + data["treatment"]
    return data[rng.random(len(data)) > 0.2].reset_index(drop=True)


TESTS: dict[str, tuple[str, pd.DataFrame]] = {
    "8 groups of 5": ("y ~ treatment + x + (1 | g)", with_predictors(balanced())),
    "10 groups of 1 to 12": ("y ~ treatment + x + (1 | g)", with_predictors(unbalanced())),
    "8 groups of 5, slopes": ("y ~ x + (x | g)", with_predictors(balanced())),
    "6 blocks, 18 plots, unbalanced": ("y ~ treatment + (1 | block) + (1 | plot)", plots()),
}
"""The truth has no fixed effects, standard deviations of 1 for every random effect, and sigma = 1."""

INTERVALS: dict[str, tuple[str, pd.DataFrame]] = {
    "40 groups of 5": (
        "y ~ x + (1 | g)",
        with_predictors(pd.DataFrame({"g": np.repeat(np.arange(40), 5).astype(str)})),
    ),
    "30 groups of 6, slopes": (
        "y ~ x + (x | g)",
        with_predictors(pd.DataFrame({"g": np.repeat(np.arange(30), 6).astype(str)})),
    ),
}


def responses(fit: hd.LmerResult, n: int, stream: list[int]) -> np.ndarray:
    """Responses of the truth, (rows, n): all effects of all terms independent with variance 1."""
    rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=stream))
    Z = fit.get_me("Z")
    return Z @ rng.normal(size=(Z.shape[1], n)) + rng.normal(size=(fit.nobs, n))


def any_fit(formula: str, data: pd.DataFrame) -> hd.LmerResult:
    """Some fit of the model, to be refitted."""
    return hd.lmer(formula, data.assign(y=np.random.default_rng(0).normal(size=len(data))))


def p_values(name: str, chunk: int) -> list[tuple[str, str, float]]:
    """(term, method, p-value) of one chunk of replicates."""
    formula, data = TESTS[name]
    fit, found = any_fit(formula, data), []
    for y in responses(fit, CHUNK, [PURPOSE["tests"], list(TESTS).index(name), chunk]).T:
        again = fit.refit(y)
        for method in METHODS:
            table = again.anova(ddf=method)
            found += [(term, method, p) for term, p in table["p_value"].items()]
    return found


def coverage(name: str, chunk: int) -> list[tuple[str, str, bool]]:
    """(parameter, method, whether the interval holds the truth) of one chunk of data sets."""
    formula, data = INTERVALS[name]
    fit, found = any_fit(formula, data), []
    Y = responses(fit, DATA_SETS, [PURPOSE["intervals"], list(INTERVALS).index(name), chunk])
    for k, y in enumerate(Y.T):
        again = fit.refit(y)
        for method in ("profile", "bootstrap"):
            table = again.confint(method=method, n=DRAWS, seed=1000 * chunk + k)
            for parameter, (low, high) in table.iterrows():
                truth = 1.0 if parameter.startswith(("sd_", "sigma")) else 0.0
                found.append((parameter, method, bool(low <= truth <= high)))
    return found


def uniformity(name: str, chunk: int) -> np.ndarray:
    """Deciles of the scaled residuals of fits to data from the model itself, (data sets, 10) shares."""
    formula, data = INTERVALS[name]
    fit = any_fit(formula, data)
    Y = responses(fit, DATA_SETS, [PURPOSE["residuals"], list(INTERVALS).index(name), chunk])
    shares = []
    for k, y in enumerate(Y.T):
        values = fit.refit(y).scaled_residuals(N_SIMULATED, seed=1000 * chunk + k).values
        shares.append(np.histogram(values, 10, (0.0, 1.0))[0] / values.size)
    return np.array(shares)


def tests_table(pool: ProcessPoolExecutor, replicates: int) -> list[list[str]]:
    """Rejections at 5 %: design, model, term, one column per method."""
    rows = [["design", "model", "term", *METHODS]]
    for name, (formula, _) in TESTS.items():
        chunks = pool.map(partial(p_values, name), range(-(-replicates // CHUNK)))
        found = pd.DataFrame([row for part in chunks for row in part], columns=["term", "method", "p"])
        for term, own in found.groupby("term", sort=False):
            rejected = [(own.loc[own["method"] == m, "p"] < LEVEL).to_numpy() for m in METHODS]
            rows.append(
                [name, f"`{formula}`".replace("|", "\\|"), f"`{term}`", *(rate(r, LEVEL) for r in rejected)]
            )
    return rows


def intervals_table(pool: ProcessPoolExecutor, data_sets: int) -> list[list[str]]:
    """Coverage of 95 % intervals: design, parameter, one column per method."""
    rows = [["design", "parameter", "profile", f"bootstrap ({DRAWS} replicates)"]]
    for name in INTERVALS:
        chunks = pool.map(partial(coverage, name), range(-(-data_sets // DATA_SETS)))
        found = pd.DataFrame([row for part in chunks for row in part], columns=["parameter", "method", "hit"])
        for parameter, own in found.groupby("parameter", sort=False):
            hits = [own.loc[own["method"] == m, "hit"].to_numpy() for m in ("profile", "bootstrap")]
            rows.append([name, f"`{parameter}`".replace("|", "\\|"), *(rate(h, 1.0 - LEVEL) for h in hits)])
    return rows


def residuals_table(pool: ProcessPoolExecutor, data_sets: int) -> list[list[str]]:
    """Shares of the scaled residuals in each tenth between 0 and 1, with the standard error of one."""
    rows = [["design", *(f"to {k / 10:.1f}" for k in range(1, 11)), "SE"]]
    for name in INTERVALS:
        chunks = pool.map(partial(uniformity, name), range(-(-data_sets // DATA_SETS)))
        shares = np.concatenate(list(chunks))
        mean, se = shares.mean(axis=0), shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
        stars = np.where(np.abs(mean - 0.1) > 3.0 * se, "*", "")
        cells = [f"{100 * share:.2f}{star}" for share, star in zip(mean, stars, strict=True)]
        rows.append([name, *cells, f"{100 * se.mean():.2f}"])
    return rows


def rate(hits: np.ndarray, promised: float) -> str:
    """A share in percent, with the standard error it has if the promise is kept."""
    share, se = hits.mean(), np.sqrt(promised * (1.0 - promised) / hits.size)
    star = "*" if abs(share - promised) > 3.0 * se else ""
    return f"{100 * share:.2f} ± {100 * se:.2f}{star}"


def main() -> None:
    """Run what is asked for and print the tables."""
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--replicates", type=int, default=10_000, help="data sets for the tests")
    parser.add_argument("--data-sets", type=int, default=1_000, help="data sets for intervals and residuals")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=["tests", "intervals", "residuals"])
    options = parser.parse_args()
    titles = {
        "tests": ("Rejections at 5 %, in percent", tests_table, options.replicates),
        "intervals": ("Coverage of 95 % intervals, in percent", intervals_table, options.data_sets),
        "residuals": ("Scaled residuals in each tenth, in percent", residuals_table, options.data_sets),
    }
    with ProcessPoolExecutor(options.workers) as pool:
        for what in options.only or titles:
            title, make, n = titles[what]
            began = time.perf_counter()
            head, *rows = make(pool, n)
            print(f"\n{title}; {n} data sets each ({time.perf_counter() - began:.0f} s)\n")
            for row in [head, ["---"] * len(head), *rows]:
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
