"""Predictions of many rows with their standard errors, and simulated responses.

    python benchmarks/prediction.py [--rows 2e6] [--threads 1]

Each model is fitted to 100,000 records; the rows to be predicted have combinations of levels of their own,
and one in twenty of their levels is new. Standard errors come from the joint posterior covariance of fixed
and random effects, and are checked on some rows against `Engine.posterior_cov`.
"""

import argparse
import logging
import os
import time
from typing import Any

from cells import machine, markdown, number

TRAINING = 100_000
CHECKED = 200
MODELS = {
    "slopes": "y ~ x + f + (x | pupil)",
    "nested": "y ~ x + f + (x | school / pupil)",
    "crossed": "y ~ x + f + (x | pupil) + (1 | item)",
    "closely crossed": "y ~ x + f + (1 | school) + (1 | item)",
}


def main() -> None:
    """Fit, predict, print a table."""
    options = arguments()
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(options.threads)
    import numpy as np

    import henderson as hd
    from henderson.prediction.intervals import prediction_errors

    logging.getLogger("henderson").setLevel(logging.ERROR)
    rng = np.random.default_rng(options.seed)
    data, new = frame(rng, TRAINING, new_levels=False), frame(rng, int(options.rows), new_levels=True)
    table = []
    for name, formula in MODELS.items():
        fit = hd.lmer(formula, data)
        seconds = [
            timed(lambda fit=fit: fit.predict(new, new_levels="population")),
            timed(lambda fit=fit: prediction_errors(fit, new, new_levels="population")),
            timed(
                lambda fit=fit: prediction_errors(fit, new, new_levels="population", interval="prediction")
            ),
        ]
        table.append([name, formula.replace("|", r"\|"), *map(number, seconds), f"{checked(fit, data):.1e}"])
    print(machine())
    print(f"\nSeconds for {int(options.rows):,} rows, {options.threads} thread(s)\n")
    head = ["model", "formula", "predict", "with se", "prediction interval", "largest relative error of se"]
    print(markdown(head, table))
    small = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    from henderson.prediction.simulate import simulate

    simulate(small, 10, seed=1)
    print(
        f"\n1,000 simulated responses of sleepstudy: {number(timed(lambda: simulate(small, 1000, seed=1)))} s"
    )


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, default=2e6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def frame(rng: Any, n: int, *, new_levels: bool) -> Any:
    """Pupils in schools, and items that all of them meet."""
    import numpy as np
    import pandas as pd

    more = 1.05 if new_levels else 1.0
    effects = np.random.default_rng(0)
    pupil = rng.integers(0, int(10_000 * more), n)
    data = pd.DataFrame({"pupil": pupil, "school": pupil // 20, "item": rng.integers(0, int(500 * more), n)})
    data["x"], data["f"] = rng.normal(size=n), rng.choice(list("abcd"), n)
    u, v, w = (effects.normal(0.0, sd, size) for sd, size in ((0.5, 10_500), (0.3, 10_500), (0.4, 525)))
    data["y"] = data["x"] * (1.0 + v[pupil]) + u[pupil] + w[data["item"]] + rng.normal(size=n)
    return data


def checked(fit: Any, data: Any) -> float:
    """Largest relative difference of standard errors from those by `posterior_cov`, on some of the rows."""
    import numpy as np

    from henderson.prediction.intervals import prediction_errors

    rows = np.linspace(0, len(data) - 1, CHECKED).astype(int)
    found = prediction_errors(fit, data.iloc[rows])["se"].to_numpy()
    model = fit.engine.model
    parts = [model.X[rows].T]
    for term in model.terms:
        Z = np.zeros((term.n_levels, term.q, rows.size))
        Z[term.codes[rows], :, np.arange(rows.size)] = term.z[rows]
        parts.append(Z.reshape(-1, rows.size))
    covariance = fit.engine.posterior_cov(fit.theta, np.vstack(parts), reml=fit.reml)
    wanted = np.sqrt(np.diag(covariance))
    return float(np.abs(found / wanted - 1.0).max())


def timed(work: Any) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
