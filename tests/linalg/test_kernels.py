"""Kernels against NumPy's own linear algebra, and R's rank rule on designs whose answer R gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from henderson.linalg import levelwise
from henderson.linalg.pivoting import independent_columns, triangular_factor


@pytest.mark.parametrize("q", [1, 2, 3, 5])
def test_levelwise_against_numpy(q):
    rng = np.random.default_rng(q)
    half = rng.normal(size=(7, q, q))
    A = half @ half.transpose(0, 2, 1) + np.eye(q)
    B = rng.normal(size=(7, q, 4))
    L = levelwise.cholesky(A.transpose(1, 2, 0))
    np.testing.assert_allclose(L.transpose(2, 0, 1), np.linalg.cholesky(A), atol=1e-12)
    X = levelwise.solve_lower(L, B.transpose(1, 2, 0))
    np.testing.assert_allclose(X.transpose(2, 0, 1), np.linalg.solve(np.linalg.cholesky(A), B), atol=1e-11)
    product = levelwise.multiply(A.transpose(1, 2, 0), B.transpose(1, 2, 0))
    np.testing.assert_allclose(product.transpose(2, 0, 1), A @ B, atol=1e-12)


@given(st.integers(0, 1000), st.booleans())
def test_segment_sum(seed, is_complex):
    rng = np.random.default_rng(seed)
    n, size = rng.integers(1, 40), rng.integers(1, 9)
    values = rng.normal(size=(2, 3, n)) + (1j * rng.normal(size=(2, 3, n)) if is_complex else 0.0)
    index = rng.integers(0, size, n)
    expected = np.zeros((2, 3, size), dtype=values.dtype)
    np.add.at(expected, (slice(None), slice(None), index), values)
    np.testing.assert_allclose(levelwise.segment_sum(values, index, int(size)), expected, atol=1e-12)


def design(*columns):
    return triangular_factor(np.column_stack(columns))


def test_first_of_dependent_columns_stays():
    x = np.arange(6.0)
    one = np.ones(6)
    assert independent_columns(design(one, x, 2 * x + 3)).tolist() == [0, 1]
    assert independent_columns(design(2 * x + 3, x, one)).tolist() == [0, 1]
    assert independent_columns(design(one, 0 * x, x)).tolist() == [0, 2]
    assert independent_columns(design(0 * x)).tolist() == []


def test_full_set_of_dummies_loses_the_last():
    level = np.repeat(np.arange(3), 4)
    dummies = [(level == k).astype(float) for k in range(3)]
    assert independent_columns(design(np.ones(12), *dummies)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("size", "kept"), [(1e-6, [0, 1]), (1e-8, [0])])
def test_tolerance_is_relative_to_the_column(size, kept):
    x = np.arange(1.0, 9.0)
    other = x + size * np.array([1, -1, 1, -1, -1, 1, -1, 1]) * np.linalg.norm(x) / np.sqrt(8)
    assert independent_columns(design(x, other)).tolist() == kept
    assert independent_columns(design(1e9 * x, 1e-9 * other)).tolist() == kept


def test_more_columns_than_rows():
    X = np.random.default_rng(0).normal(size=(3, 5))
    assert independent_columns(triangular_factor(X)).tolist() == [0, 1, 2]
