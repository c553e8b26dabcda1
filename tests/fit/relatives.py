"""Small related populations for tests, and their likelihood from V itself."""

import numpy as np
import pandas as pd

import henderson as hd

FORMULA = "y ~ x + (1 | iid)"


def grm(n, m, rng):
    """A relationship matrix of n people from m standardised variants, and their standardised genotypes."""
    frequency = rng.uniform(0.2, 0.8, m)
    x = rng.binomial(2, frequency, size=(n, m)).astype(float)
    x[1::7] = x[0 : x[1::7].shape[0]]  # relatives: some people share the genotypes of another
    # by the frequency in a larger population: neither centred nor of unit mean diagonal here
    z = (x - 2 * frequency) / np.sqrt(1.5 * frequency * (1 - frequency))
    return z @ z.T / m, z


def population(seed, *, n=60, m=150, h2=0.5):
    """People with a covariate, a relationship frame and a phenotype; the rows in another order."""
    rng = np.random.default_rng(seed)
    K, z = grm(n, m, rng)
    names = [f"p{i:03d}" for i in range(n)]
    x = rng.normal(size=n)
    g = z @ rng.normal(size=m) / np.sqrt(m)
    y = 3.0 + 0.5 * x + np.sqrt(h2) * g + np.sqrt(1.0 - h2) * rng.normal(size=n)
    data = pd.DataFrame({"y": y, "x": x, "iid": names}).sample(frac=1.0, random_state=seed)
    return data.reset_index(drop=True), pd.DataFrame(K, index=names, columns=names)


def fit(data, G, formula=FORMULA, **options):
    return hd.lmer(formula, data, relationship={"iid": G}, **options)


def restricted(y, X, K, vg, ve):
    """-2 log restricted likelihood and its parts, from V itself."""
    V = vg * K + ve * np.eye(len(y))
    Vi = np.linalg.inv(V)
    XVX = X.T @ Vi @ X
    P = Vi - Vi @ X @ np.linalg.solve(XVX, X.T @ Vi)
    value = np.linalg.slogdet(V)[1] + np.linalg.slogdet(XVX)[1] + y @ P @ y
    return value + (len(y) - X.shape[1]) * np.log(2 * np.pi), P, Vi, XVX


def of(data, G):
    order = data["iid"].to_numpy()
    K = G.loc[order, order].to_numpy()
    return data["y"].to_numpy(), np.column_stack([np.ones(len(data)), data["x"]]), K
