"""Simulation-based residuals: their places, their tests, and what these find."""

import numpy as np
import pytest

import henderson as hd
from henderson.errors import DataError, HendersonError
from henderson.inference import scaled_residuals as module
from henderson.inference.scaled_residuals import scaled_residuals
from henderson.prediction.simulate import simulate
from prediction.fits import KINDS, fit_of

SLEEP = "Reaction ~ Days + (Days | Subject)"


def sleep_fit(formula=SLEEP, **arguments):
    return hd.lmer(formula, hd.example_data("sleepstudy"), **arguments)


def residuals_by_solution(fit, y, residual):
    """Residuals of one response, from the solution of a model with this response at the theta of the fit."""
    model, offset = fit.engine.model, fit.offset
    solution = fit.engine.with_response(y - offset).solution(fit.theta, reml=fit.reml)
    effects = [t.b * (residual == "conditional") for t in solution.terms]
    return y - offset - model.mean(solution.beta, effects)


@pytest.mark.parametrize("residual", ["conditional", "marginal"])
@pytest.mark.parametrize("kind", [*KINDS, "related"])
def test_places_and_statistics_by_hand(kind, residual):
    fit, _ = fit_of(kind)
    n = 40
    found = scaled_residuals(fit, n=n, kind=residual, seed=4)
    responses = np.column_stack([fit.estimates.rows.y, simulate(fit, n, seed=4)])
    every = np.column_stack([residuals_by_solution(fit, y, residual) for y in responses.T])
    part = "all" if residual == "conditional" else "none"
    np.testing.assert_allclose(every[:, 0], responses[:, 0] - fit.predict(random=part), atol=1e-8)
    np.testing.assert_allclose(found.predicted, fit.predict(random=part), rtol=1e-12)

    # Every response ranked among all others, one after another
    ranks = np.array([[(np.delete(row, j) < row[j]).sum() for j in range(n + 1)] for row in every])
    np.testing.assert_array_equal(np.floor(found.values * (n + 1)), ranks[:, 0])
    np.testing.assert_array_equal(found.outside, (ranks[:, 0] == 0) | (ranks[:, 0] == n))
    assert found.n_simulated == n
    outliers = ((ranks == 0) | (ranks == n)).sum(axis=0)
    assert found.outliers.statistic == outliers[0]
    assert found.outliers.expected == pytest.approx(outliers[1:].mean())
    upper, lower = (outliers >= outliers[0]).mean(), (outliers <= outliers[0]).mean()
    assert found.outliers.p_value == pytest.approx(min(1.0, 2.0 * min(upper, lower)))
    reached = (ranks[:, :, None] <= np.arange(n + 1)).mean(axis=0)
    distance = np.abs(reached - np.arange(1, n + 2) / (n + 1)).max(axis=1)
    assert found.uniformity.statistic == pytest.approx(distance[0])
    assert found.uniformity.expected == pytest.approx(distance[1:].mean())
    assert found.uniformity.p_value == pytest.approx((distance >= distance[0] - 1e-12).mean())
    precision = fit.weights
    if fit.estimates.rows.relative_sd is not None:
        precision = precision / fit.estimates.rows.relative_sd**2
    spread = (precision[:, None] * every**2).sum(axis=0)
    assert found.dispersion.statistic == pytest.approx(spread[0] / np.mean(spread[1:]))
    shares = [np.mean(spread >= spread[0] * (1 - 1e-9)), np.mean(spread <= spread[0] * (1 + 1e-9))]
    assert found.dispersion.p_value == pytest.approx(min(1.0, 2.0 * min(shares)))


def test_the_seed_settles_everything():
    fit = sleep_fit()
    first, again, other = (scaled_residuals(fit, n=50, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.values, again.values)
    assert first.uniformity == again.uniformity
    assert (first.values != other.values).all()


def test_rows_left_out_and_chunks(monkeypatch):
    data = hd.example_data("sleepstudy")
    data.loc[[0, 50], "Reaction"] = np.nan
    fit = hd.lmer(SLEEP, data, na_action="exclude")
    found = scaled_residuals(fit, n=40)
    assert found.values.shape == (178,)
    assert not {0, 50} & set(found.position.tolist())
    monkeypatch.setattr(module, "CHUNK", 100)
    small = scaled_residuals(fit, n=40)
    np.testing.assert_array_equal(small.values, found.values)
    assert (small.uniformity, small.outliers) == (found.uniformity, found.outliers)


def test_tests_keep_their_level_with_dependent_rows():
    """Data and simulated responses from one distribution, in groups of ten that hang together."""
    rng = np.random.default_rng(8)
    n, reps = 39, 1500
    p = np.empty((reps, 2))
    uniform = rng.random((reps, 2, 30))
    for i in range(reps):
        every = np.repeat(rng.normal(size=(3, n + 1)), 10, axis=0) + 0.5 * rng.normal(size=(30, n + 1))
        _, _, counts = module._ranked(every, uniform[i])
        p[i] = (
            module._uniformity(counts).p_value,
            module._two_sided(counts[:, 0] + counts[:, -1] * 1.0).p_value,
        )
    assert abs((p[:, 0] <= 0.05).mean() - 0.05) < 3.0 * np.sqrt(0.05 * 0.95 / reps)
    # Counts have ties, of which the p-value takes the larger side
    assert (p[:, 1] <= 0.05).mean() < 0.05 + 3.0 * np.sqrt(0.05 * 0.95 / reps)


def test_values_are_uniform_under_the_model():
    """Fits of responses that the model itself made; all rows of a response hang together."""
    fit = sleep_fit()
    values = np.array(
        [
            scaled_residuals(fit.refit(y), n=19, seed=i).values
            for i, y in enumerate(simulate(fit, 150, seed=77).T)
        ]
    )
    for cut in (0.03, 0.2, 0.5, 0.8, 0.97):
        shares = (values < cut).mean(axis=1)
        assert abs(shares.mean() - cut) < 3.0 * shares.std() / np.sqrt(len(shares))


def test_ties_are_settled_by_chance():
    """Responses that equal all that are simulated are spread over all places."""
    uniform = np.random.default_rng(2).random((2, 4000))
    values, _, _ = module._ranked(np.zeros((4000, 10)), uniform)
    share = np.histogram(values, bins=10, range=(0.0, 1.0))[0] / 4000
    np.testing.assert_allclose(share, 0.1, atol=4.0 * np.sqrt(0.09 / 4000))


def grouped(rng, noise):
    g = np.repeat(np.arange(30), 10)
    return {"x": rng.normal(size=300), "g": g.astype(str), "y": rng.normal(size=30)[g] + noise}


def test_a_right_model_passes_and_wrong_ones_are_found():
    rng = np.random.default_rng(12)
    right = scaled_residuals(hd.lmer("y ~ x + (1 | g)", grouped(rng, rng.normal(size=300))))
    assert min(right.uniformity.p_value, right.outliers.p_value, right.dispersion.p_value) > 0.05
    tails = hd.lmer("y ~ x + (1 | g)", grouped(rng, rng.standard_t(1.5, size=300)))
    heavy = scaled_residuals(tails)
    assert heavy.uniformity.p_value < 0.01
    assert heavy.outliers.statistic > heavy.outliers.expected
    assert heavy.outliers.p_value < 0.05
    skewed = grouped(rng, 3.0 * rng.exponential(size=300) ** 2)
    assert scaled_residuals(hd.lmer("y ~ x + (1 | g)", skewed)).uniformity.p_value < 0.01


def test_repr_names_the_tests():
    text = repr(scaled_residuals(sleep_fit(), n=20))
    assert text.startswith("<ScaledResiduals of 180 rows, 20 simulated: uniformity p = ")
    assert "dispersion p = " in text
    assert "outliers p = " in text


def test_mistakes(tmp_path):
    fit = sleep_fit()
    for n in (1, 2.5, "many"):
        with pytest.raises(DataError, match="n must be a whole number of simulated responses, 2 or more"):
            scaled_residuals(fit, n=n)
    with pytest.raises(DataError, match="kind is 'pearson'; it can be 'conditional' or 'marginal'"):
        scaled_residuals(fit, kind="pearson")
    fit.save(tmp_path / "fit.zip")
    with pytest.raises(HendersonError, match="leaves out the data"):
        scaled_residuals(hd.load(tmp_path / "fit.zip"))
    hd.example_data("sleepstudy").to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(HendersonError, match="because the data were streamed"):
        scaled_residuals(hd.lmer(SLEEP, tmp_path / "rows.parquet"))
