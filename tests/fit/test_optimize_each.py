"""Many Newton searches at once, on functions whose minima are known."""

import numpy as np
import pytest

from henderson.fit.optimize import Control
from henderson.fit.optimize_each import minimise_each


class Wells:
    """(x^2 - a)^2 + (y - x)^2 for each a: minima at x = y = +-sqrt(a), or at zero if a is negative."""

    def __init__(self, a):
        self.a = np.asarray(a, dtype=float)

    def value(self, x, which):
        return (x[:, 0] ** 2 - self.a[which]) ** 2 + (x[:, 1] - x[:, 0]) ** 2

    def derivatives(self, x, which):
        u, v, a = x[:, 0], x[:, 1], self.a[which]
        g = np.stack([4 * u * (u**2 - a) - 2 * (v - u), 2 * (v - u)], axis=1)
        H = np.empty((len(x), 2, 2))
        H[:, 0, 0], H[:, 1, 1] = 12 * u**2 - 4 * a + 2, 2
        H[:, 0, 1] = H[:, 1, 0] = -2
        return self.value(x, which), g, H


def test_every_search_finds_a_minimum_of_its_own():
    a = np.array([0.01, 1.0, 4.0, 100.0, -1.0, 2.0])
    start = np.array([[3.0, -8.0], [0.1, 0.0], [-1.0, 5.0], [0.01, 0.0], [2.0, 2.0], [-300.0, 40.0]])
    found = minimise_each(Wells(a), start, Control())
    assert found.clean.all()
    np.testing.assert_allclose(np.abs(found.x), np.sqrt(np.maximum(a, 0.0))[:, None] * [1, 1], atol=1e-9)
    np.testing.assert_array_equal(start[0], [3.0, -8.0])  # as it was


def test_a_search_does_not_depend_on_its_company():
    a = np.linspace(0.5, 5.0, 7)
    start = np.random.default_rng(1).normal(size=(7, 2))
    together = minimise_each(Wells(a), start, Control())
    for j in range(7):
        alone = minimise_each(Wells(a[[j]]), start[[j]], Control())
        np.testing.assert_allclose(alone.x[0], together.x[j], rtol=1e-12)


def test_what_is_no_minimum_is_not_called_one():
    """A saddle without a slope, a function that is infinite at the start, and one that only ever falls."""

    class Odd(Wells):
        def derivatives(self, x, which):
            f, g, H = super().derivatives(x, which)
            f[which == 1] = np.inf
            f[which == 2] = -x[which == 2, 0]
            g[which == 2], H[which == 2] = [-1.0, 0.0], 0.0
            return f, g, H

    start = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    found = minimise_each(Odd([3.0, 3.0, 3.0, 3.0]), start, Control())
    assert found.clean.tolist() == [False, False, False, True]
    assert found.x[3] == pytest.approx(np.sqrt(3.0))


def test_a_limit_of_steps():
    found = minimise_each(Wells([4.0]), np.array([[30.0, 3.0]]), Control(max_iterations=2))
    assert not found.clean.any()
