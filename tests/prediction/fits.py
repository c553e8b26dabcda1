"""Small fits of every structure, and the same models with V formed."""

import numpy as np
import pandas as pd

import henderson as hd
from engine.dense import at_theta


def rows(seed, n=90):
    """Pupils in classes in schools, crossed with raters; three records a pupil at most."""
    rng = np.random.default_rng(seed)
    pupil = rng.permutation(np.repeat(np.arange(n // 3), 3))[: n - 7]
    data = pd.DataFrame({"pupil": pupil, "klass": pupil // 5, "school": pupil // 10})
    data["time"] = data.groupby("pupil").cumcount()
    data["t"] = data["time"].map({0: "a", 1: "b", 2: "c"})
    data["rater"] = rng.integers(0, 4, len(data))
    data["x"] = rng.normal(size=len(data))
    data["w"] = rng.uniform(0.5, 2.0, len(data))
    data["off"] = 10.0 + data["time"]
    own = {name: rng.normal(size=data[name].max() + 1) for name in ("pupil", "klass", "school", "rater")}
    slope = rng.normal(size=n)
    data["y"] = (
        data["off"]
        + 0.5 * data["x"]
        + sum(own[name][data[name]] for name in own)
        + slope[data["pupil"]] * data["time"]
        + rng.normal(size=len(data)) / np.sqrt(data["w"])
    )
    for name in own:
        data[name] = name[0] + data[name].astype(str)
    return data


#: Formula and arguments of each kind of model.
KINDS = {
    "slope": ("y ~ x + (time | pupil)", {}),
    "weighted": ("y ~ x + offset(off) + (time || pupil)", {"weights": "w"}),
    "nested": ("y ~ x + (1 | school/klass/pupil)", {"weights": "w"}),
    "crossed": (
        "y ~ x + time + (1 | pupil) + (x | klass) + (time | rater)",
        {"offset": "off", "REML": False},
    ),
    "tagged": ("y ~ x + time + cs(1 + time + x | klass) + diag(1 + x | rater)", {}),
    "units": ("y ~ x + time + (1 | klass)", {"residual": "us(t | pupil)", "weights": "w"}),
    "units and slopes": ("y ~ x + (0 + time | klass)", {"residual": "us(t | pupil)"}),
    "autoregressive": ("y ~ x + time + (x | klass)", {"residual": "ar1(t | pupil)"}),
    "strata": ("y ~ x + time + (1 | pupil) + (1 | rater)", {"residual": "diag(t)", "weights": "w"}),
    "singular": ("y ~ x + (time + x | rater)", {}),
}


def fit_of(kind):
    """The fit of a kind of model, and its data."""
    if kind == "related":
        data, G = related()
        return hd.lmer("y ~ x + (1 | iid)", data, relationship={"iid": G}), data
    formula, arguments = KINDS[kind]
    data = rows(len(kind))
    return hd.lmer(formula, data, **arguments), data


def related(n=50, m=30):
    """One record per person; the relationship is singular."""
    rng = np.random.default_rng(5)
    L = rng.normal(size=(n, m)) / np.sqrt(m)
    names = [f"p{i:02d}" for i in range(n)]
    data = pd.DataFrame({"iid": names, "x": rng.normal(size=n)})
    data["y"] = 3.0 + data["x"] + 1.5 * L @ rng.normal(size=m) + rng.normal(size=n)
    order = rng.permutation(n)
    return data.iloc[order].reset_index(drop=True), pd.DataFrame(L @ L.T, index=names, columns=names)


def dense_of(fit):
    """The dense twin of a fit."""
    return at_theta(fit.engine.model, fit.theta)


def determined_traits(seed=5, n=30):
    """Two traits of related people whose residuals determine each other, so that R_0 is singular."""
    rng = np.random.default_rng(seed)
    names = [f"i{k}" for k in range(n)]
    G = np.exp(-np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / 5.0)
    u, e = np.linalg.cholesky(G) @ rng.normal(size=(n, 2)), rng.normal(size=n)
    traits = [
        pd.DataFrame({"iid": names, "trait": t, "y": k + u[:, k] + size * e})
        for k, (t, size) in enumerate((("a", 1.0), ("b", 1.5)))
    ]
    data = pd.concat(traits, ignore_index=True).drop(index=[3, n + 7]).reset_index(drop=True)
    relationship = {"iid": pd.DataFrame(G, index=names, columns=names)}
    return hd.lmer("y ~ 0 + trait + (0 + trait | iid)", data, relationship=relationship), data
