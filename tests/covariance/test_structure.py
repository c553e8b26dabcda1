"""Covariance structures: derivatives, coordinates free of units, canonical signs, lme4's names."""

import numpy as np
import pytest

from henderson.covariance import Unstructured


@pytest.mark.parametrize("q", [1, 2, 4])
class TestUnstructured:
    def theta(self, q):
        return np.random.default_rng(q).normal(size=q * (q + 1) // 2)

    def test_derivatives(self, q):
        S, theta = Unstructured(q), self.theta(q)
        first, second = S.factor_derivatives(theta)
        for k, e in enumerate(np.eye(theta.size)):
            np.testing.assert_allclose(first[k], S.factor(theta + e) - S.factor(theta), atol=1e-12)
        assert not second.any()

    def test_preconditioner_undoes_the_scale(self, q):
        S, phi = Unstructured(q), self.theta(q)
        P = np.tril(np.random.default_rng(9).normal(size=(q, q))) + 3 * np.eye(q)
        np.testing.assert_allclose(P @ S.factor(S.preconditioner(P) @ phi), S.factor(phi), atol=1e-12)

    def test_nearest_is_the_inverse_of_factor(self, q):
        S, theta = Unstructured(q), self.theta(q)
        np.testing.assert_array_equal(S.nearest(S.factor(theta)), theta)

    def test_canonical_keeps_the_covariance(self, q):
        S, theta = Unstructured(q), self.theta(q)
        T, flipped = S.factor(theta), S.factor(S.canonical(theta))
        np.testing.assert_allclose(flipped @ flipped.T, T @ T.T, atol=1e-12)
        assert (np.diag(flipped) >= 0).all()


def test_names_as_lme4_writes_them():
    names = Unstructured(3).theta_names(("(Intercept)", "x", "z"))
    assert names == ("(Intercept)", "x.(Intercept)", "z.(Intercept)", "x", "z.x", "z")
