"""Leverage, Cook's distance and residuals, against lme4 and the hat matrix itself."""

import pickle

import numpy as np
import pytest

import henderson as hd
from henderson.prediction.leverage import cooks_distance, leverage, residuals_of
from prediction.fits import KINDS, dense_of, determined_traits, fit_of
from reference import needs_lmer_reference

ALL = [*KINDS, "related"]
CORRELATED = ("units", "units and slopes", "autoregressive")


@pytest.fixture(scope="module")
def sleep():
    return hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))


def test_printed_by_r(sleep):
    """R: m <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy) at rhoend = 1e-10.

    hatvalues(m)[1:4], sum(hatvalues(m)), cooks.distance(m)[1:4], rstudent(m)[1:4].
    """
    hat = [0.229303013, 0.169729262, 0.126823226, 0.100584904]
    np.testing.assert_allclose(leverage(sleep)[:4], hat, rtol=2e-6)
    assert leverage(sleep).sum() == pytest.approx(29.0220678, rel=1e-6)
    cook = [0.00496312473, 0.0402059541, 0.226097781, 0.00731320430]
    np.testing.assert_allclose(cooks_distance(sleep)[:4], cook, rtol=1e-5)
    rstudent = [-0.18265414, -0.62717925, -1.76447224, 0.36164505]
    np.testing.assert_allclose(residuals_of(sleep, "standardised")[:4], rstudent, rtol=1e-5)


@needs_lmer_reference
def test_reference(reference_fit):
    stored, _, fit = reference_fit
    optimum = stored["optimum"]
    if stored["hat"] is None:
        pytest.skip("lme4's hatvalues() was not run on models as large as this")
    if not (optimum["converged"] and optimum["identified"]):
        pytest.skip("lme4 did not find the optimum")

    def same(found, wanted, **tolerance):
        expected = np.array([np.nan if v is None else v for v in wanted], dtype=float)
        np.testing.assert_allclose(found[: expected.size], expected, **tolerance)

    hat = leverage(fit)
    same(hat, stored["hat"]["head"], rtol=0, atol=2e-7)
    assert np.nansum(hat) == pytest.approx(stored["hat"]["sum"], rel=1e-6)
    same(cooks_distance(fit), stored["cooks_head"], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("kind", ALL)
def test_hat_matrix(kind):
    fit, _ = fit_of(kind)
    dense, model = dense_of(fit), fit.engine.model
    H = np.eye(model.n) - dense.R @ dense.P
    offset = 0.0 if fit.estimates.rows.offset is None else fit.estimates.rows.offset
    np.testing.assert_allclose(H @ model.y + offset, fit.fitted, rtol=1e-8)
    np.testing.assert_allclose(leverage(fit), np.diag(H), atol=1e-10)


def test_hat_matrix_of_residuals_that_determine_each_other():
    fit, _ = determined_traits()
    dense = dense_of(fit)
    H = np.eye(fit.nobs) - dense.R @ dense.P
    np.testing.assert_allclose(H @ fit.engine.model.y, fit.fitted, rtol=1e-8)
    np.testing.assert_allclose(leverage(fit), np.diag(H), atol=1e-9)


@pytest.mark.parametrize("kind", ALL)
def test_standardised_residuals_have_variance_one(kind):
    fit, _ = fit_of(kind)
    dense = dense_of(fit)
    covariance = fit.sigma**2 * dense.R @ dense.P @ dense.R
    wanted = fit.residuals / np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(residuals_of(fit, "standardised"), wanted, rtol=1e-7)


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind not in CORRELATED])
def test_leaving_rows_out(kind):
    """Cook's distance and studentised residuals, by solving the model again without a row."""
    fit, _ = fit_of(kind)
    dense, model, reml = dense_of(fit), fit.engine.model, fit.estimates.reml
    found, cook = residuals_of(fit, "studentised"), cooks_distance(fit)
    variance = np.diag(dense.R @ dense.P @ dense.R)
    for i in (0, 7, 31):
        kept = np.delete(np.arange(model.n), i)
        V, X, y = dense.V[np.ix_(kept, kept)], model.X[kept], model.y[kept]
        Vi = np.linalg.inv(V)
        Vix = Vi @ X
        P = Vi - Vix @ np.linalg.solve(X.T @ Vix, Vix.T)
        sigma2 = y @ P @ y / (kept.size - (model.p if reml else 0))
        assert found[i] == pytest.approx(fit.residuals[i] / np.sqrt(sigma2 * variance[i]), rel=1e-7)
    hat = 1.0 - np.diag(dense.R @ dense.P)
    pearson = fit.residuals / np.sqrt(np.diag(dense.R))
    np.testing.assert_allclose(
        cook, (pearson / (1 - hat)) ** 2 * hat / (fit.sigma**2 * model.p), rtol=1e-7, atol=1e-12
    )


@pytest.mark.parametrize("kind", CORRELATED)
def test_correlated_residuals_are_not_left_out_one_by_one(kind):
    fit, _ = fit_of(kind)
    for ask in (lambda: cooks_distance(fit), lambda: residuals_of(fit, "studentised")):
        with pytest.raises(
            hd.HendersonError, match=r"(is|are) for independent residuals, and residual='.*\(t \| pupil\)'"
        ):
            ask()


def test_no_fixed_effects_have_no_cooks_distance():
    fit = hd.lmer("Yield ~ 0 + (1 | Batch)", hd.example_data("dyestuff"))
    with pytest.raises(hd.HendersonError, match="change of the fixed effects, and the model has none"):
        cooks_distance(fit)
    dense = dense_of(fit)
    np.testing.assert_allclose(leverage(fit), np.diag(np.eye(30) - dense.R @ dense.P), rtol=1e-9)


def test_simple_kinds(sleep):
    fit, data = fit_of("strata")
    sd = np.sqrt(np.diag(fit.estimates.residual.R0))[data["t"].map({"a": 0, "b": 1, "c": 2})]
    np.testing.assert_array_equal(residuals_of(fit), fit.residuals)
    np.testing.assert_allclose(
        residuals_of(fit, "pearson"), fit.residuals * np.sqrt(data["w"]) / sd, rtol=1e-12
    )
    np.testing.assert_allclose(
        residuals_of(fit, "scaled"), residuals_of(fit, "pearson") / fit.sigma, rtol=1e-12
    )
    np.testing.assert_allclose(
        residuals_of(fit, "marginal"), data["y"] - fit.predict(random="none"), rtol=1e-10
    )
    with pytest.raises(hd.DataError, match="kind is 'deviance'; it can be 'response', 'pearson'"):
        residuals_of(fit, "deviance")


def test_excluded_rows_are_padded():
    data = hd.example_data("sleepstudy")
    data.loc[[3, 9], "Reaction"] = np.nan
    short = hd.lmer("Reaction ~ Days + (Days | Subject)", data)
    padded = hd.lmer("Reaction ~ Days + (Days | Subject)", data, na_action="exclude")
    kinds = [leverage, cooks_distance]
    kinds += [lambda f, k=k: residuals_of(f, k) for k in ("response", "pearson", "studentised", "marginal")]
    for of in kinds:
        assert np.flatnonzero(np.isnan(of(padded))).tolist() == [3, 9]
        np.testing.assert_allclose(np.delete(of(padded), [3, 9]), of(short), rtol=1e-12)


def test_a_row_that_nothing_else_speaks_for():
    data = hd.example_data("sleepstudy").assign(first=lambda d: 1.0 * (d.index == 0))
    fit = hd.lmer("Reaction ~ Days + first + (1 | Subject)", data)
    assert leverage(fit)[0] == pytest.approx(1.0)
    assert abs(fit.residuals[0]) < 1e-9
    for found in (cooks_distance(fit), residuals_of(fit, "standardised"), residuals_of(fit, "studentised")):
        assert np.flatnonzero(np.isnan(found)).tolist() == [0]


def test_what_a_fit_without_its_data_knows(sleep):
    again = pickle.loads(pickle.dumps(sleep))
    for kind in ("response", "pearson", "scaled", "marginal"):
        np.testing.assert_array_equal(residuals_of(again, kind), residuals_of(sleep, kind))
    for ask in (leverage, cooks_distance, lambda f: residuals_of(f, "standardised")):
        with pytest.raises(hd.HendersonError, match="leaves out the data"):
            ask(again)
