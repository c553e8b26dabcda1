"""Covariance structures: derivatives, free coordinates, canonical signs, lme4's names."""

import numpy as np
import pytest

from engine.dense import covariance_matrix
from henderson.covariance import (
    Autoregressive,
    ByUnit,
    CompoundSymmetric,
    Coordinates,
    Diagonal,
    Unstructured,
)
from henderson.covariance.coordinates import Between, Squared, Straight

STEP = 1e-30
STRUCTURES = [
    Unstructured(1),
    Unstructured(2),
    Unstructured(4),
    *(
        kind(q, homogeneous=homogeneous)
        for kind in (Diagonal, CompoundSymmetric, Autoregressive)
        for q in (2, 3, 5)
        for homogeneous in (False, True)
    ),
]


def theta_of(S, seed=0):
    rng = np.random.default_rng(seed)
    if isinstance(S, Unstructured):
        return rng.normal(size=S.n_theta)
    theta = rng.uniform(0.3, 2.0, S.n_theta)
    if not isinstance(S, Diagonal):
        low, high = S.bounds
        theta[-1] = rng.uniform(0.9 * low, 0.9 * high)
    return theta


@pytest.mark.parametrize("S", STRUCTURES, ids=str)
class TestEveryStructure:
    def test_factor_is_lower_triangular_with_product_s(self, S):
        for seed in range(5):
            theta = theta_of(S, seed)
            T = S.factor(theta)
            assert not np.triu(T, 1).any()
            np.testing.assert_allclose(T @ T.T, covariance_matrix(S, theta), atol=1e-12)

    def test_derivatives_against_complex_step(self, S):
        theta = theta_of(S)
        first, second = S.derivatives(theta)
        for k, e in enumerate(np.eye(theta.size)):
            expected = covariance_matrix(S, theta + 1j * STEP * e).imag / STEP
            np.testing.assert_allclose(first[k], expected, atol=1e-12)
            h = 1e-6
            change = (S.derivatives(theta + h * e)[0] - S.derivatives(theta - h * e)[0]) / (2 * h)
            np.testing.assert_allclose(second[k], change, atol=1e-7)

    def test_nearest_is_the_inverse_of_factor(self, S):
        theta = S.canonical(theta_of(S))
        if not isinstance(S, Unstructured | Diagonal):
            low, high = S.bounds
            theta[-1] = 0.5 * low if theta[-1] < 0 else 0.5 * high
        np.testing.assert_allclose(S.nearest(S.factor(theta)), theta, atol=1e-12)

    def test_canonical_keeps_the_covariance(self, S):
        theta = theta_of(S)
        T, same = S.factor(theta), S.factor(S.canonical(theta))
        np.testing.assert_allclose(same @ same.T, T @ T.T, atol=1e-12)
        assert (np.diag(same) >= 0).all()

    def test_coordinates_lead_there_and_back(self, S):
        P = np.tril(np.random.default_rng(9).normal(size=(S.q, S.q))) + 3 * np.eye(S.q)
        coordinates, theta = S.coordinates(P), theta_of(S)
        np.testing.assert_allclose(coordinates.theta(coordinates.phi(theta)), theta, atol=1e-12)

    def test_the_edges_are_where_s_is_singular(self, S):
        coordinates = S.coordinates(np.eye(S.q))
        phi = coordinates.phi(theta_of(S))
        for i, link in enumerate(coordinates.links):
            for edge in link.edges:
                at_edge = phi.copy()
                at_edge[i] = edge
                T = S.factor(coordinates.theta(at_edge))
                assert np.abs(np.diag(T)).min() == pytest.approx(0.0, abs=1e-7)
                assert np.linalg.eigvalsh(T @ T.T)[0] == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("S", [s for s in STRUCTURES if not isinstance(s, Unstructured | Diagonal)], ids=str)
def test_the_bounds_of_a_correlation_are_reached(S):
    theta = theta_of(S)
    for bound in S.bounds:
        theta[-1] = bound
        T = S.factor(theta)
        np.testing.assert_allclose(T @ T.T, covariance_matrix(S, theta), atol=1e-7)
        assert np.linalg.eigvalsh(T @ T.T)[0] == pytest.approx(0.0, abs=1e-10)


def test_unstructured_coordinates_undo_the_scale():
    S, phi = Unstructured(3), np.random.default_rng(1).normal(size=6)
    P = np.tril(np.random.default_rng(9).normal(size=(3, 3))) + 3 * np.eye(3)
    np.testing.assert_allclose(P @ S.factor(S.coordinates(P).theta(phi)), S.factor(phi), atol=1e-12)


def test_chain_rule_of_the_coordinates():
    c = Coordinates(
        np.array([[2.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 3.0]]),
        (Straight(), Squared(), Between(-0.5, 1)),
    )
    phi, g, H = np.array([0.3, -0.7, 0.2]), np.array([1.0, -2.0, 0.5]), np.diag([1.0, 2.0, 3.0])
    at = c.theta(phi)

    def f(x):
        move = c.theta(x) - at
        return g @ move + 0.5 * move @ H @ move

    h = 1e-4
    steps = h * np.eye(3)
    slope = [(f(phi + e) - f(phi - e)) / (2 * h) for e in steps]
    np.testing.assert_allclose(c.jacobian(phi).T @ g, slope, atol=1e-6)
    bend = [
        [(f(phi + a + b) - f(phi + a - b) - f(phi - a + b) + f(phi - a - b)) / (4 * h * h) for b in steps]
        for a in steps
    ]
    np.testing.assert_allclose(c.hessian(phi, g, H), bend, atol=1e-5)


def test_names_as_lme4_writes_them():
    names = Unstructured(3).theta_names(("(Intercept)", "x", "z"))
    assert names == ("(Intercept)", "x.(Intercept)", "z.(Intercept)", "x", "z.x", "z")
    assert CompoundSymmetric(2).theta_names(("a", "b")) == ("a", "b", "rho")
    assert Autoregressive(3).theta_names(("t1", "t2", "t3")) == ("t1", "rho")
    assert Diagonal(2).theta_names(("a", "b")) == ("a", "b")


@pytest.mark.parametrize(
    "S", [Unstructured(3), Diagonal(3), CompoundSymmetric(3), Autoregressive(3)], ids=str
)
def test_a_residual_starts_at_the_identity_and_is_relative_to_its_first_position(S):
    R = ByUnit("us(t | g)", ("a", "b", "c"), np.array([0, 0, 1]), np.array([0, 1, 2]), 2, S)
    np.testing.assert_allclose(R.matrix(R.start()), np.eye(3))
    theta = R.coordinates().theta(np.full(R.n_theta, 0.4))
    assert R.matrix(theta)[0, 0] == 1.0
    assert R.n_theta == S.n_theta - 1


def test_a_residual_correlation_stays_off_its_bounds_and_tells_when_it_ends_there():
    cs = CompoundSymmetric(3, homogeneous=True)
    R = ByUnit("cs(t | g)", ("a", "b", "c"), np.arange(3), np.arange(3), 3, cs)
    for angle, dependent in ((np.pi / 2, True), (-np.pi / 2, True), (0.4, False)):
        theta = R.coordinates().theta(np.array([angle]))
        assert np.linalg.eigvalsh(R.matrix(theta))[0] > 1e-7
        assert R.is_dependent(theta) == dependent
        assert not R.vanished(theta)


def test_a_residual_without_variance_at_a_position():
    R = ByUnit.strata("diag(s)", ("a", "b", "c"), np.arange(3), Diagonal(3))
    assert R.vanished(np.array([1e-5, 2.0])) == (1,)
    assert R.vanished(np.array([3e2, 3e2])) == ()
    assert R.vanished(np.array([1.0, 3e3])) == (0, 1)


def test_further_starts_where_there_are_several_minima():
    S = CompoundSymmetric(3)
    coordinates = S.coordinates(np.eye(3))
    phi = coordinates.phi(np.array([1.0, 2.0, 0.5, 0.1]))
    first, high, low = (coordinates.theta(x) for x in coordinates.starts(phi, 4))
    np.testing.assert_allclose(first, [1.0, 2.0, 0.5, 0.1])
    np.testing.assert_allclose(high[:3], first[:3])
    assert S.bounds[0] < low[3] < -0.3
    assert 0.8 < high[3] < S.bounds[1]
    lifted = coordinates.theta(coordinates.starts(np.zeros(4), 4)[0])
    assert (lifted[:3] > 0).all()
    assert len(Unstructured(3).coordinates(np.eye(3)).starts(np.zeros(6), 6)) == 1
    assert len(coordinates.starts(phi, 0)) == 1
    turned = phi + np.array([0.0, 0.0, 0.0, 2 * np.pi])
    np.testing.assert_allclose(coordinates.folded(turned), phi, atol=1e-12)
