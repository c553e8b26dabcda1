"""`simulate` against the covariance V of the model, formed."""

import numpy as np
import pytest

import henderson as hd
from henderson.prediction.simulate import simulate
from prediction.fits import KINDS, dense_of, determined_traits, fit_of

DRAWS = 4000


def assert_standard_normal(W):
    """Rows are independent, columns too: means, covariances and the overall scale."""
    n, draws = W.shape
    bound = 3.0 + np.sqrt(2.0 * np.log(n * n))  # of the largest of so many
    assert np.abs(W.mean(axis=1)).max() * np.sqrt(draws) < bound
    excess = W @ W.T / draws - np.eye(n)
    size = np.sqrt((1.0 + np.eye(n)) / draws)
    assert np.abs(excess / size).max() < bound
    assert abs((W**2).mean() - 1.0) < 4.0 * np.sqrt(2.0 / W.size)
    assert abs((W**4).mean() - 3.0) < 5.0 * np.sqrt(96.0 / W.size)


@pytest.mark.parametrize("kind", [*KINDS, "related"])
def test_covariance_of_new_responses(kind):
    fit, _ = fit_of(kind)
    dense = dense_of(fit)
    mean = fit.predict(random="none")
    L = np.linalg.cholesky(fit.sigma**2 * dense.V)
    assert_standard_normal(np.linalg.solve(L, simulate(fit, DRAWS, seed=3) - mean[:, None]))


def test_residuals_that_determine_each_other():
    fit, _ = determined_traits()
    dense, mean = dense_of(fit), fit.predict(random="none")
    assert np.linalg.eigvalsh(dense.R)[0] < 1e-12
    L = np.linalg.cholesky(fit.sigma**2 * dense.V)
    assert_standard_normal(np.linalg.solve(L, simulate(fit, DRAWS, seed=3) - mean[:, None]))


@pytest.mark.parametrize("kind", ["crossed", "units", "strata", "related"])
def test_residuals_around_the_modes(kind):
    fit, _ = fit_of(kind)
    L = np.linalg.cholesky(fit.sigma**2 * dense_of(fit).R)
    draws = simulate(fit, DRAWS, use_random=True, seed=3)
    assert_standard_normal(np.linalg.solve(L, draws - fit.fitted[:, None]))


@pytest.mark.parametrize("kind", ["slope", "related", "units"])
def test_a_column_depends_on_the_seed_and_its_number_alone(kind, monkeypatch):
    fit, _ = fit_of(kind)
    whole = simulate(fit, 7, seed=11)
    np.testing.assert_array_equal(simulate(fit, 2, seed=11, first=4), whole[:, 4:6])
    monkeypatch.setattr("henderson.prediction.simulate.CHUNK", 1)
    np.testing.assert_array_equal(simulate(fit, 7, seed=11), whole)
    assert not np.isclose(simulate(fit, 7, seed=12), whole).any()
    assert not np.isclose(simulate(fit, 7), simulate(fit, 7)).any()
    assert len(np.unique(whole[0])) == 7
    assert simulate(fit, 0).shape == (fit.nobs, 0)


def test_offsets_are_part_of_the_response():
    fit, data = fit_of("crossed")
    mean = simulate(fit, 3000, seed=1).mean(axis=1)
    assert np.corrcoef(mean, data["off"])[0, 1] > 0.9
    np.testing.assert_allclose(
        mean, fit.predict(random="none"), atol=6 * simulate(fit, 99).std() / np.sqrt(3000)
    )


def test_only_the_rows_used_are_drawn():
    data = hd.example_data("sleepstudy")
    data.loc[[3, 9], "Reaction"] = np.nan
    for na_action in ("omit", "exclude"):
        fit = hd.lmer("Reaction ~ Days + (Days | Subject)", data, na_action=na_action)
        assert simulate(fit, 2, seed=1).shape == (178, 2)


def test_mistakes_are_named(tmp_path):
    fit, _ = fit_of("slope")
    for arguments, message in (
        ({"n": -1}, "n must be a whole number"),
        ({"n": 1, "first": 0.5}, "first must be"),
        ({"n": True}, "n must be a whole number"),
        ({"n": 1, "seed": -1}, "seed must be a whole number, 0 or more; it is -1"),
        ({"n": 1, "seed": "today"}, "seed must be a whole number, 0 or more; it is 'today'"),
    ):
        with pytest.raises(hd.DataError, match=message):
            simulate(fit, **arguments)
    fit.save(tmp_path / "fit.henderson")
    with pytest.raises(hd.HendersonError, match="leaves out the data"):
        simulate(hd.load(tmp_path / "fit.henderson"), 1)
