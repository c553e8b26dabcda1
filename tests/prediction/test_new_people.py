"""Predictions for people who are in the relationship matrix and have no record."""

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from henderson.errors import DataError

N, KNOWN = 60, 45


def people():
    rng = np.random.default_rng(3)
    M = rng.normal(size=(N, 40))
    names = [f"p{i}" for i in range(N)]
    G = pd.DataFrame(M @ M.T / 40, index=names, columns=names)
    table = pd.DataFrame({"iid": names, "age": rng.normal(size=N)})
    table["y"] = 2.0 + 0.5 * table["age"] + M @ rng.normal(size=40) * 0.2 + rng.normal(size=N)
    return G, table


def test_predictions_and_their_errors_are_those_of_the_joint_normal_distribution():
    G, table = people()
    known, new = table.iloc[:KNOWN], table.iloc[KNOWN:].drop(columns="y")
    fit = hd.lmer("y ~ age + (1 | iid)", known, relationship={"iid": G})
    vg, ve = fit.varcorr["iid"].covariance[0, 0], fit.sigma**2
    assert vg > 0.1
    K = G.to_numpy()
    X = np.column_stack([np.ones(N), table["age"]])
    a, b = slice(None, KNOWN), slice(KNOWN, None)
    Vi = np.linalg.inv(vg * K[a, a] + ve * np.eye(KNOWN))
    cov_beta = np.linalg.inv(X[a].T @ Vi @ X[a])
    beta = cov_beta @ X[a].T @ Vi @ known["y"].to_numpy()
    C = vg * K[b, a] @ Vi
    expected = X[b] @ beta + C @ (known["y"].to_numpy() - X[a] @ beta)
    np.testing.assert_allclose(fit.predict(new), expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(fit.predict(new, random="none"), X[b] @ beta, rtol=0, atol=1e-8)

    D = X[b] - C @ X[a]
    variance = np.diag(vg * K[b, b] - vg * C @ K[a, b] + D @ cov_beta @ D.T)
    np.testing.assert_allclose(fit.predict(new, se=True)["se"], np.sqrt(variance), rtol=1e-7)


def test_people_outside_of_the_matrix_are_refused_by_name():
    G, table = people()
    fit = hd.lmer("y ~ age + (1 | iid)", table.iloc[:KNOWN], relationship={"iid": G})
    stranger = pd.DataFrame({"iid": ["p50", "stranger"], "age": [0.0, 0.0]})
    with pytest.raises(DataError, match="'stranger'"):
        fit.predict(stranger)
    assert np.isfinite(fit.predict(stranger, new_levels="population")).all()
