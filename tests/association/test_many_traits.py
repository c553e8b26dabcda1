"""Traits that share a rotation: the matrix products of all of them are the sums of each of them."""

import logging

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import henderson as hd
from henderson.association.null_models import Traits
from henderson.association.null_scanner import NullScanner
from henderson.association.passes import most_variants
from henderson.association.relatedness import Given
from henderson.association.rules import ScanRules
from henderson.association.scanners import make_scanner
from henderson.engine.spectral.starts import Grid
from henderson.genotype import ArraySource
from plink_files import random_genotypes


def models(n=60, n_traits=25, seed=3):
    rng = np.random.default_rng(seed)
    source = ArraySource.of(random_genotypes(150, n, seed=seed))
    names = [f"t{k}" for k in range(n_traits)]
    g = rng.normal(size=(n_traits, 150)) @ source.calls / 10
    table = pd.DataFrame(
        (rng.uniform(0, 1, (n_traits, 1)) * g + rng.normal(size=(n_traits, n))).T, columns=names
    )
    table["age"] = rng.normal(size=n)
    table["IID"] = source.samples.iid
    G = hd.grm(source)
    (nulls,) = Traits([f"{t} ~ age" for t in names], table, source.samples, Given(G), added=1).groups()
    return source, table, G, nulls


@pytest.fixture(scope="module")
def many():
    return models()


def test_the_null_test_is_generalised_least_squares(many):
    source, table, G, nulls = many
    X = source.calls[:7].astype(float)
    W = np.column_stack([np.ones(60), table["age"]])
    Q = np.linalg.qr(W)[0]
    scanner = make_scanner(nulls.fits, "null", ScanRules())
    assert isinstance(scanner, NullScanner)
    beta, se = scanner.effects(X - (X @ Q) @ Q.T)
    for k, fit in enumerate(nulls.fits):
        V = fit.theta[0] ** 2 * G.matrix + np.eye(60)
        for v in range(7):
            D = np.column_stack([W, X[v]])
            A = np.linalg.inv(D.T @ np.linalg.solve(V, D))
            expected = (
                (A @ D.T @ np.linalg.solve(V, table[nulls.traits[k]]))[-1],
                fit.sigma * A[-1, -1] ** 0.5,
            )
            assert_allclose([beta[k, v], se[k, v]], expected, rtol=1e-8)


def test_each_model_is_its_own_fit(many):
    """They share the decomposition, and the grid on which the search starts."""
    _, table, G, nulls = many
    for name, fit in zip(nulls.traits, nulls.fits, strict=True):
        alone = hd.lmer(
            f"{name} ~ age + (1 | iid)", table.rename(columns={"IID": "iid"}), relationship={"iid": G}
        )
        assert fit.loglik == pytest.approx(alone.loglik, abs=1e-9)
        assert fit.theta == pytest.approx(alone.theta, abs=1e-5)


@pytest.mark.parametrize("reml", [True, False])
def test_the_grid_knows_the_best_of_its_ratios(many, reml):
    """For each response, by the criterion of its own engine."""
    ratios = np.logspace(-4, 4, 17)
    for fit in many[-1].fits:
        engine = fit.engine
        nu = engine.model.n - engine.model.p if reml else engine.model.n
        best = Grid.of(engine.spectrum, ratios).best(engine.eta, nu, reml=reml)
        values = [engine.criterion(np.array([ratio**0.5])).profiled(reml) for ratio in ratios]
        assert best == ratios[np.argmin(values)]


def test_the_exact_test_of_many_is_that_of_each(many):
    source, table, _, nulls = many
    X = source.calls[:9].astype(float)
    Q = np.linalg.qr(np.column_stack([np.ones(60), table["age"]]))[0]
    X -= (X @ Q) @ Q.T
    together = make_scanner(nulls.fits, "exact", ScanRules()).test(X.copy())
    for k in (0, 11, 24):
        (alone,) = make_scanner([nulls.fits[k]], "exact", ScanRules()).test(X.copy())
        for name, values in alone.items():
            assert together[k][name].tolist() == values.tolist(), name


def test_blocks_are_smaller_for_more_traits():
    assert most_variants(1) > 10_000
    assert 16 <= most_variants(2000) < 500
    assert most_variants(10**9) == 16


def test_the_log_names_a_few_of_very_many_traits(caplog):
    with caplog.at_level(logging.INFO, logger="henderson"):
        models(n=40)
    assert "40 people analysed for t0, t1, " in caplog.text
    assert "t18 and 6 more" in caplog.text
