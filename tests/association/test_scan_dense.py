"""Genome scans against a direct computation, one variant at a time, from the eigenvectors of K itself.

The scan takes the fixed effects out first and decomposes what is left of K; nothing here does. The slopes of
the two likelihoods are the textbook's traces, their zeros are bracketed on a fine grid and found by Brent's
method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

import henderson as hd
from cohorts import FILESETS, cohort, reference_cohort
from gwas_reference import needs_gwas_reference
from henderson.covariance import RelationshipMatrix
from henderson.genotype import ArraySource

REML, ML = True, False


class Dense:
    """y = X b + x beta + g + e for one variant, at any log(lambda)."""

    def __init__(self, d, U, X, y, x):
        self.d, self.n = d, y.size
        self.n_ml = self.n - idle(d, U, X)
        self.fixed = X if x is None else np.column_stack([X, x])
        self.y = y
        rotated = U.T @ np.column_stack([self.fixed, y])
        self.c = rotated.shape[1]
        self.products = (rotated[:, :, None] * rotated[:, None, :]).reshape(self.n, -1)

    def _sums(self, t, power):
        """[X y]' V^-1 (K V^-1)^power [X y] for each t, shape (T, c, c)."""
        with np.errstate(over="ignore"):
            s = 1.0 / (1.0 + np.multiply.outer(np.exp(t), self.d))
        return ((s ** (power + 1) * self.d**power) @ self.products).reshape(-1, self.c, self.c)

    def _effects(self, t):
        M = self._sums(t, 0)
        A, b = M[:, :-1, :-1], M[:, :-1, -1]
        beta = np.linalg.solve(A, b[..., None])[..., 0]
        return A, beta, M[:, -1, -1] - np.einsum("ti,ti->t", b, beta)

    def minus_two_loglik(self, t, reml):
        t = np.atleast_1d(np.asarray(t, dtype=float))
        A, _, rss = self._effects(t)
        nu = self.n - self.c + 1 if reml else self.n_ml
        value = np.log1p(np.multiply.outer(np.exp(t), self.d)).sum(axis=1)
        value += nu * (1 + np.log(2 * np.pi * rss / nu))
        return value + np.linalg.slogdet(A)[1] if reml else value

    def slope(self, t, reml):
        """Of -2 log likelihood in lambda: tr(PK) or tr(V^-1 K), less nu y'PKPy / y'Py."""
        t = np.atleast_1d(np.asarray(t, dtype=float))
        A, beta, rss = self._effects(t)
        nu = self.n - self.c + 1 if reml else self.n_ml
        N = self._sums(t, 1)
        residual = np.column_stack([-beta, np.ones(t.size)])
        ykpy = np.einsum("ti,tij,tj->t", residual, N, residual)
        trace = (self.d / (1.0 + np.multiply.outer(np.exp(t), self.d))).sum(axis=1)
        if reml:
            trace -= np.einsum("tij,tji->t", np.linalg.inv(A), N[:, :-1, :-1])
        return trace - nu * ykpy / rss

    def best(self, low, high, reml):
        """Log lambda of the highest likelihood: zero (-inf) and the upper end only where they are maxima."""
        grid = np.linspace(low, high, 400)
        slope = self.slope(grid, reml)
        found = [-np.inf] if slope[0] >= 0 else []
        for j in np.flatnonzero((slope[:-1] < 0) & (slope[1:] >= 0)):
            found.append(brentq(lambda t: self.slope(t, reml)[0], grid[j], grid[j + 1], xtol=1e-13))
        if slope[-1] < 0:
            found.append(high)
        return min(found, key=lambda t: self.minus_two_loglik(t, reml)[0])

    def curvature(self, t, reml, h=1e-4):
        """Second derivative of the log likelihood in log lambda."""
        up, down = (self.slope(s, reml)[0] * np.exp(s) for s in (t + h, t - h))
        return -0.5 * (up - down) / (2 * h)

    def effect(self, t):
        """The last effect, its standard error and the residual variance, at one lambda."""
        A, beta, rss = self._effects(np.array([t]))
        sigma2 = rss[0] / (self.n - self.c + 1)
        return beta[0, -1], np.sqrt(sigma2 * np.linalg.inv(A[0])[-1, -1]), sigma2


def idle(d, U, X):
    """Fixed effects along which K is zero, if it is zero nowhere else: maximum likelihood leaves them out."""
    null = U[:, d < 1e-10 * d.max()]
    outside = null - X @ np.linalg.lstsq(X, null, rcond=None)[0]
    return null.shape[1] if np.abs(outside).max(initial=0.0) < 1e-6 else 0


@dataclass
class Problem:
    source: ArraySource
    table: object
    formula: str
    K: np.ndarray


def standardised(calls, among=None):
    """Mean-imputed, centred and divided by the root of 2p(1 - p); variants with one genotype are left out."""
    x = calls.astype(float)
    x[calls < 0] = np.nan
    mean = np.nanmean(x, axis=1, keepdims=True)
    varies = np.nanmin(x, axis=1) < np.nanmax(x, axis=1)
    p = mean / 2
    z = (x - mean)[varies] / np.sqrt(2 * p * (1 - p))[varies]
    return np.nan_to_num(z)


def relationship(source, size=2000):
    """The mean of the products of standardised copies, read a stretch of variants at a time."""
    n, m = source.samples.n, source.variants.m
    total, used = np.zeros((n, n)), 0
    for start in range(0, m, size):
        z = standardised(source.read(slice(start, min(start + size, m))))
        total += z.T @ z
        used += len(z)
    return total / used


def answers(problem, result):
    """The columns of the scan, from the textbook, for the variants that were tested."""
    null = result.null.engine.model
    samples = problem.source.samples
    rows = analysed(problem, samples)
    K = problem.K[np.ix_(rows, rows)]
    X, y = null.X, null.y
    d, U = np.linalg.eigh(K)
    d = np.maximum(d, 0.0)
    scale = np.log(np.trace(K - X @ np.linalg.pinv(X) @ K) / (y.size - X.shape[1]))
    low, high = np.log(1e-5) - scale, -np.log(1e-5) - scale
    without = Dense(d, U, X, y, None)
    t0 = without.best(low, high, ML)
    null_loglik = -0.5 * without.minus_two_loglik(t0, ML)[0]
    tested = result.table["p_value"].notna().to_numpy()
    out = {name: [] for name in ("beta", "standard_error", "value", "lrt", "score", "log_likelihood")}
    out |= {name: [] for name in ("reml", "ml", "reml_curvature", "ml_curvature")}
    df = y.size - X.shape[1] - 1
    for v in np.flatnonzero(tested):
        calls = problem.source.calls[v, rows].astype(float)
        x = np.where(calls < 0, calls[calls >= 0].mean(), calls)
        with_x = Dense(d, U, X, y, x)
        t, t_ml = (with_x.best(low, high, reml) for reml in (REML, ML))
        beta, se, _ = with_x.effect(t)
        loglik = -0.5 * with_x.minus_two_loglik(t_ml, ML)[0]
        score_beta, score_se, sigma2 = with_x.effect(t0)
        explained = (score_beta / score_se) ** 2 * sigma2  # x'Py squared over x'Px at the null model's lambda
        score = without.n_ml * explained / (explained + df * sigma2)
        lrt = max(0.0, 2 * (loglik - null_loglik))
        out["beta"].append(beta)
        out["standard_error"].append(se)
        out["value"].append(-stats.f.logsf((beta / se) ** 2, 1, df) / np.log(10))
        out["lrt"].append(-stats.chi2.logsf(lrt, 1) / np.log(10))
        out["score"].append(-stats.f.logsf(score, 1, df) / np.log(10))
        out["log_likelihood"].append(loglik)
        for name, at, reml in (("reml", t, REML), ("ml", t_ml, ML)):
            out[name].append(at)
            out[f"{name}_curvature"].append(with_x.curvature(at, reml) if np.isfinite(at) else np.nan)
    return {name: np.array(values) for name, values in out.items()}


def analysed(problem, samples):
    """Positions of the people whose trait and covariates are known."""
    names = [problem.formula.split(" ~ ")[0], *_covariates(problem.formula)]
    known = problem.table.loc[problem.table[names].notna().all(axis=1), "IID"]
    return np.flatnonzero(np.isin(samples.iid, known.to_numpy().astype(str)))


def _covariates(formula):
    right = formula.split(" ~ ")[1]
    return [] if right == "1" else right.split(" + ")


def check(problem, *, min_tested):
    people = problem.source.samples
    K = RelationshipMatrix(problem.K, people)
    result = hd.scan(problem.formula, problem.table, problem.source, relationship=K, threads=2)
    table = result.table[result.table["p_value"].notna()]
    assert len(table) >= min_tested
    expected = answers(problem, result)
    se = expected["standard_error"]
    assert np.abs((table["beta"] - expected["beta"]) / se).max() < 1e-6
    assert np.allclose(table["standard_error"], se, rtol=1e-6, atol=0)
    assert np.allclose(table["log_likelihood"], expected["log_likelihood"], rtol=1e-10, atol=1e-8)
    for test in ("value", "lrt", "score"):
        assert np.allclose(table[f"neg_log_10_p_{test}"], expected[test], rtol=1e-6, atol=1e-6), test
    for name in ("reml", "ml"):
        ours, theirs = table[f"lambda_{name}"].to_numpy(), expected[name]
        at_zero = theirs == -np.inf
        assert np.array_equal(ours == 0.0, at_zero), name
        flatness = 1.0 / np.minimum(1.0, np.abs(expected[f"{name}_curvature"][~at_zero]) + 1e-12)
        off = np.abs(np.log(ours[~at_zero]) - theirs[~at_zero])
        assert (off < 1e-6 * flatness).all(), (name, off.max())
    h2 = table["lambda_reml"] / (1 + table["lambda_reml"])
    assert np.allclose(table["h2"], h2, rtol=1e-14, atol=0)
    said = table["status"].str.fullmatch("h2 at 0").to_numpy()
    assert np.array_equal(said, expected["reml"] == -np.inf)
    return table


@pytest.mark.parametrize("reml", [REML, ML])
def test_the_direct_computation_is_the_textbook(reml):
    """With V formed and inverted, and slopes by differences."""
    rng = np.random.default_rng(3)
    K = np.cov(rng.normal(size=(12, 20)))
    X, y, x = np.column_stack([np.ones(12), rng.normal(size=12)]), rng.normal(size=12), rng.normal(size=12)
    dense = Dense(*np.linalg.eigh(K), X, y, x)
    A = np.column_stack([X, x])
    nu = 9 if reml else 12

    def by_hand(t):
        V = np.eye(12) + np.exp(t) * K
        Vi = np.linalg.inv(V)
        b = np.linalg.solve(A.T @ Vi @ A, A.T @ Vi @ y)
        r = y - A @ b
        value = np.linalg.slogdet(V)[1] + nu * (1 + np.log(2 * np.pi * (r @ Vi @ r) / nu))
        return value + (np.linalg.slogdet(A.T @ Vi @ A)[1] if reml else 0.0)

    for t in (-3.0, 0.0, 2.5):
        assert dense.minus_two_loglik(t, reml)[0] == pytest.approx(by_hand(t), rel=1e-11)
        slope = (by_hand(t + 1e-5) - by_hand(t - 1e-5)) / 2e-5
        assert dense.slope(t, reml)[0] * np.exp(t) == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("m", "covariates", "missing", "h2", "seed"),
    [
        (400, False, 0.0, 0.5, 1),
        (400, True, 0.1, 0.5, 2),
        (50, True, 0.05, 0.5, 3),  # K has no more than this rank
        (60, False, 0.0, 0.0, 4),
        (30, True, 0.0, 0.98, 5),  # and hardly any residual variance
    ],
)
def test_generated(m, covariates, missing, h2, seed):
    source, table = cohort(80, m, seed=seed, missing=missing, h2=h2)
    formula = f"y ~ {'age + x2' if covariates else '1'}"
    table["x2"] = np.random.default_rng(seed).normal(size=80)
    table.loc[[3, 17], "y"] = np.nan
    if covariates:
        table.loc[5, "age"] = np.nan
    check(Problem(source, table, formula, relationship(source)), min_tested=m - 2)


def test_generated_where_the_trait_is_noise():
    """Then h2 is zero for some variants and not for others."""
    source, table = cohort(80, 60, seed=11, h2=0.0)
    seen = set()
    for seed in range(4):
        table["y"] = np.random.default_rng(seed).normal(size=80)
        tested = check(Problem(source, table, "y ~ 1", relationship(source)), min_tested=60)
        seen |= set(tested["status"])
    assert {"ok", "h2 at 0"} <= seen


def test_generated_where_everybody_genotyped_is_analysed():
    """K then is zero along the intercept, and full of rank beside it."""
    source, table = cohort(50, 300, seed=21, h2=0.0)
    K = relationship(source)
    assert np.abs(K.sum(axis=0)).max() < 1e-10
    check(Problem(source, table, "y ~ 1", K), min_tested=300)


@needs_gwas_reference
@pytest.mark.parametrize("name", list(FILESETS))
def test_two_hundred_variants(name):
    """Chosen at random; K is that of all variants."""
    found = reference_cohort(name)
    source = found.genotypes
    chosen = np.sort(np.random.default_rng(len(name)).choice(source.variants.m, 200, replace=False))
    calls = np.concatenate([source.read(slice(v, v + 1)) for v in chosen])
    trait = {"salmon": "amoebic_load"}.get(name, found.traits[0])
    few = ArraySource(calls, source.samples, source.variants.take(chosen))
    formula = found.formula(trait, covariates=bool(found.covariates))
    check(Problem(few, found.table, formula, relationship(source)), min_tested=120)
