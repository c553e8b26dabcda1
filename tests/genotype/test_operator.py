"""The genotype operator against the matrix that it never forms."""

from __future__ import annotations

import numpy as np
import pytest

import henderson.genotype.blocks
from henderson.errors import DataError
from henderson.genotype import ArraySource, GenotypeOperator
from henderson.genotype.gram import gram, mirror_lower
from plink_files import random_genotypes


def dense(calls, scale, variance):
    """X (n, m) by a loop over the variants, those with one genotype left out; and which were used."""
    columns, used = [], []
    for j, row in enumerate(calls):
        called = row[row >= 0].astype(float)
        if len(set(called)) < 2:
            continue
        x = np.where(row >= 0, row, called.mean()) - called.mean()
        p = called.mean() / 2
        if scale == "standardized":
            x = x / np.sqrt(2 * p * (1 - p) if variance == "hwe" else np.mean(x**2))
        columns.append(x)
        used.append(j)
    return np.column_stack(columns), used


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks even for small data."""
    monkeypatch.setattr(henderson.genotype.blocks, "block_size", lambda n: 16)


@pytest.mark.parametrize("variance", ["hwe", "sample"])
@pytest.mark.parametrize("scale", ["standardized", "centered"])
def test_products(scale, variance):
    calls = random_genotypes(100, 23, missing=0.1, low=0.0)
    calls[[3, 50]] = 1
    people = np.arange(22, 0, -1)
    mask = np.ones(100, dtype=bool)
    mask[16:48] = False
    mask[70] = False
    X, used = dense(calls[:, people][mask], scale, variance)
    operator = GenotypeOperator(ArraySource.of(calls), people, scale=scale, variance=variance, mask=mask)
    assert operator.shape == X.shape
    assert operator.variants.tolist() == np.flatnonzero(mask)[used].tolist()
    rng = np.random.default_rng(1)
    for shape in [(), (4,)]:
        u, v = rng.normal(size=(X.shape[1], *shape)), rng.normal(size=(X.shape[0], *shape))
        assert np.allclose(operator.matvec(u), X @ u, rtol=0, atol=1e-12)
        assert np.allclose(operator.rmatvec(v), X.T @ v, rtol=0, atol=1e-12)
        assert np.allclose(operator.apply(v), X @ (X.T @ v) / X.shape[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("variance", ["hwe", "sample"])
@pytest.mark.parametrize("scale", ["standardized", "centered"])
def test_gram_is_the_same_loop(scale, variance):
    source = ArraySource.of(random_genotypes(90, 17, missing=0.05))
    operator = GenotypeOperator(source, scale=scale, variance=variance)
    result = gram(source, scale=scale, variance=variance)
    assert np.allclose(operator.apply(np.eye(17)), result.matrix, rtol=0, atol=1e-13)
    assert result.n_variants == operator.shape[1]


def test_no_variant_that_varies():
    with pytest.raises(
        DataError, match="none of the variants asked for has more than one genotype among these 3"
    ):
        GenotypeOperator(ArraySource.of([[1, 1, 1], [0, 1, 2]]), mask=np.array([True, False]))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n", [0, 1, 5, 512, 1025])
def test_mirror_lower(n, order):
    full = np.random.default_rng(0).normal(size=(n, n))
    full += full.T
    lower = np.array(np.tril(full), order=order)
    assert mirror_lower(lower) is lower
    assert np.array_equal(lower, full)
