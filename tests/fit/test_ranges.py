"""The range of a spatial kernel against a fine grid of fits."""

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from henderson.covariance import SpatialKernel
from henderson.fit.fitting import fit_formula
from henderson.fit.ranges import best_range

FORMULA = "y ~ x + (1 | plot)"


def field(seed, *, r=2.0, kind="exponential"):
    """A field of 12 x 8 plots, one record each."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(np.arange(12.0), np.arange(8.0)), axis=-1).reshape(-1, 2)
    names = [f"plot{i}" for i in range(len(places))]
    G = SpatialKernel(names, places, kind=kind, range=r).at(r).matrix
    x = rng.normal(size=len(names))
    y = x + rng.multivariate_normal(np.zeros(len(names)), G) + 0.5 * rng.normal(size=len(names))
    return pd.DataFrame({"y": y, "x": x, "plot": names}), places


def fitted(data, kernel, **options):
    return fit_formula(FORMULA, data, relationship={"plot": kernel}, **options)


@pytest.mark.parametrize(("seed", "kind", "REML"), [(0, "exponential", True), (1, "matern32", False)])
def test_against_a_fine_grid(seed, kind, REML):
    data, places = field(seed, kind=kind)
    kernel = SpatialKernel(data["plot"], places, kind=kind, range=[0.5, 1, 2, 4, 8])
    found = fitted(data, kernel, REML=REML)
    grid = np.exp(np.linspace(np.log(0.5), np.log(8), 60))
    values = [
        fit_formula(FORMULA, data, relationship={"plot": kernel.at(r)}, REML=REML).criterion for r in grid
    ]
    # the grid is coarse beside the refinement: a parabola through its best three points
    k = int(np.argmin(values))
    best = np.poly1d(np.polyfit(np.log(grid[k - 1 : k + 2]), values[k - 1 : k + 2], 2))
    at = -best[1] / (2 * best[2])
    assert found.criterion <= min(values) + 1e-9
    assert found.criterion == pytest.approx(best(at), abs=1e-3)
    notice = found.estimates.notices[-1]
    chosen = float(notice.split(" is ")[1].split()[0])
    assert np.log(chosen) == pytest.approx(at, abs=5e-3)
    again = fit_formula(FORMULA, data, relationship={"plot": kernel.at(chosen)}, REML=REML)
    assert again.criterion == pytest.approx(found.criterion, abs=1e-4)
    assert ("REML criterion" if REML else "deviance") in notice
    for r in (0.5, 1, 2, 4, 8):
        value = fit_formula(FORMULA, data, relationship={"plot": kernel.at(r)}, REML=REML).criterion
        assert f"{value:.2f} at {r:g}" in notice


def test_the_best_lies_at_the_end():
    data, places = field(2, r=3.0)
    found = fitted(data, SpatialKernel(data["plot"], places, range=[0.3, 0.5]))
    assert "may be better at larger ranges" in found.estimates.notices[-1]


def test_ranges_that_leave_plots_unrelated_are_no_fit():
    data, places = field(3)
    found = fitted(data, SpatialKernel(data["plot"], places, range=[1e-3, 1.0, 4.0]))
    assert "no fit at 0.001" in found.estimates.notices[-1]
    with pytest.raises(hd.DataError, match="equally related"):
        fitted(data, SpatialKernel(data["plot"], places, range=[1e-4, 1e-3]))


def test_one_range_is_one_fit():
    data, places = field(4)
    kernel = SpatialKernel(data["plot"], places, range=2.0)
    found = fitted(data, kernel)
    assert found.criterion == fit_formula(FORMULA, data, relationship={"plot": kernel.at(2.0)}).criterion
    assert not any("range of" in notice for notice in found.estimates.notices)


def test_two_kernels_at_once():
    data, places = field(5)
    kernel = SpatialKernel(data["plot"], places, range=[1.0, 2.0])
    with pytest.raises(hd.DataError, match="'row' and 'plot' have several ranges each"):
        best_range(lambda relationship: None, {"row": kernel, "plot": kernel})
