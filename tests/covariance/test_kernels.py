"""Spatial kernels against their formulas, number by number."""

from math import exp, sqrt

import numpy as np
import pytest
from scipy.special import gamma, kv

from henderson.covariance import SpatialKernel
from henderson.errors import DataError

PLACES = np.random.default_rng(0).uniform(0, 10, (12, 2))
NAMES = [f"plot{i}" for i in range(12)]


def matern(d, r, nu):
    """Rasmussen & Williams (2006), eq. (4.14), for any nu."""
    a = sqrt(2 * nu) * d / r
    return 1.0 if d == 0 else 2 ** (1 - nu) / gamma(nu) * a**nu * kv(nu, a)


FORMULAS = {
    "exponential": lambda d, r: matern(d, r, 0.5),
    "matern32": lambda d, r: matern(d, r, 1.5),
    "matern52": lambda d, r: matern(d, r, 2.5),
    "gaussian": lambda d, r: exp(-(d**2) / (2 * r**2)),
}


@pytest.mark.parametrize("kind", FORMULAS)
@pytest.mark.parametrize("r", [0.3, 2.0, 40.0])
def test_correlations(kind, r):
    G = SpatialKernel(NAMES, PLACES, kind=kind, range=1.0).at(r)
    expected = [[FORMULAS[kind](sqrt(((a - b) ** 2).sum()), r) for b in PLACES] for a in PLACES]
    np.testing.assert_allclose(G.matrix, expected, rtol=1e-10, atol=1e-14)
    np.testing.assert_array_equal(G.matrix, G.matrix.T)
    assert G.samples.iid.tolist() == NAMES
    assert np.linalg.eigvalsh(G.matrix)[0] > -1e-12


def test_places_on_a_line():
    line = SpatialKernel("abc", [0.0, 1.0, 3.0], range=[3.0, 1.0, 3.0])
    assert line.coordinates.shape == (3, 1)
    assert line.range == (1.0, 3.0)
    assert repr(line) == "<SpatialKernel of 3 levels: exponential, ranges 1, 3>"
    assert line.at(2.0).matrix[0, 2] == pytest.approx(exp(-1.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "cubic"}, "no kernel 'cubic'; there are 'exponential', 'matern32'"),
        ({"range": 0.0}, "range must be a positive number"),
        ({"range": []}, "range must be a positive number"),
        ({"range": [1.0, np.nan]}, "range must be a positive number"),
        ({"coordinates": PLACES[:3]}, "12 names, but the relationship has 3 rows"),
        ({"coordinates": np.where(np.arange(24).reshape(12, 2) == 5, np.nan, 1)}, "1 levels .* 'plot2'"),
        ({"coordinates": np.ones((12, 2, 1))}, "these have 3 dimensions"),
        ({"names": ["x"] * 12}, "more than once"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(DataError, match=message):
        SpatialKernel(**{"names": NAMES, "coordinates": PLACES, "range": 1.0} | options)


def test_several_ranges_are_not_one():
    with pytest.raises(DataError, match=r"2 ranges, from which only hd\.lmer chooses"):
        _ = SpatialKernel(NAMES, PLACES, range=[1.0, 2.0]).only_range


@pytest.mark.parametrize(("places", "range"), [(["a", "b"], 1.0), ([0.0, 1.0], "wide")])
def test_words_are_refused(places, range):
    with pytest.raises(DataError, match="must be numbers"):
        SpatialKernel(NAMES[:2], places, range=range)


def test_memory_that_will_not_do_is_said_before(monkeypatch):
    monkeypatch.setattr("henderson.covariance.matrix.installed_memory", lambda: 3000.0)
    with pytest.raises(DataError, match=r"12 levels take .* GB of memory .*: take fewer levels"):
        SpatialKernel(NAMES, PLACES, range=1.0).at(1.0)
    assert SpatialKernel(NAMES[:11], PLACES[:11], range=1.0).at(1.0).samples.n == 11
