"""Every lme4 reference fit: the same numbers from the same formula and table."""

import numpy as np
import pytest

import henderson as hd
from henderson.fit import Control
from reference import design_arguments, lmer_models, load_dataset, load_model, needs_lmer_reference

pytestmark = needs_lmer_reference


def fit_reference(model):
    stored = load_model(model)
    data = load_dataset(stored["dataset"])
    arguments = design_arguments(stored["arguments"])
    return stored, hd.lmer(stored["formula"], data, REML=stored["REML"], **arguments)


def closest_order(stored_names, names):
    return [names.index(name) for name in stored_names]


@pytest.mark.parametrize("model", lmer_models())
def test_reference(model):
    stored, fit = fit_reference(model)
    optimum = stored["optimum"]

    # criterion: never above the best known optimum; where it is below, the value itself is checked by
    # test_criterion_at_lme4s_theta
    assert fit.criterion <= optimum["objective"] + 1e-6
    assert fit.criterion == pytest.approx(optimum["objective"], abs=1e-6)
    assert fit.nobs == stored["n"]["nobs"]
    assert fit.ngroups == stored["n"]["ngrps"]
    assert fit.df == stored["n"]["logLik_df"]
    assert fit.aic == pytest.approx(stored["AIC"], abs=1e-6)
    assert fit.bic == pytest.approx(stored["BIC"], abs=1e-6)
    assert list(fit.fixef.index) == stored["fixef"]["names"]
    assert list(fit.theta_names) == stored["theta_names"]
    assert [(t.label, list(t.names)) for t in fit.varcorr] == [
        (t["label"], t["names"]) for t in stored["varcorr"]["terms"]
    ]

    se = np.array(stored["fixef"]["se"])
    assert np.abs(fit.fixef.to_numpy() - stored["fixef"]["estimate"]) / se == pytest.approx(0.0, abs=1e-5)
    head = np.array([np.nan if v is None else v for v in stored["fitted_head"]], dtype=float)
    np.testing.assert_allclose(fit.fitted[: head.size], head, rtol=0, atol=1e-4 * fit.sigma)
    if not optimum["converged"]:
        return
    assert fit.sigma == pytest.approx(stored["sigma"], rel=1e-5)
    if not optimum["identified"]:
        return
    if stored["isSingular"]:
        # theta may differ by a rotation of its null space, so the covariances are compared
        assert fit.is_singular()
        for term, expected in zip(fit.varcorr, stored["varcorr"]["terms"], strict=True):
            sd = np.sqrt(np.array(expected["variance"]) + 1e-6 * fit.sigma**2)
            miss = (term.covariance - expected["covariance"]) / np.outer(sd, sd)
            np.testing.assert_allclose(miss, 0.0, rtol=0, atol=1e-4)
        return
    assert not fit.is_singular()
    np.testing.assert_allclose(fit.se, se, rtol=1e-5)
    np.testing.assert_allclose(fit.theta, stored["theta"], rtol=1e-5, atol=1e-5)
    if fit.criterion > optimum["objective"] - 1e-8:
        check_modes(fit, stored)
    else:
        # The stored fit stops short of the optimum by more than its modes are compared to
        again = hd.lmer(
            stored["formula"],
            load_dataset(stored["dataset"]),
            REML=stored["REML"],
            start=stored["theta"],
            control=Control(max_iterations=0),
        )
        check_modes(again, stored)


def check_modes(fit, stored):
    modes = fit.ranef(cond_var=True)
    for group, expected in stored["ranef"].items():
        table = modes[group]
        k = expected["stored_levels"]
        assert list(table.columns) == expected["names"]
        levels = [str(level) for level in expected["levels"][:k]]
        values = np.array(expected["values"], dtype=float)[:k]
        sd = np.sqrt(np.concatenate([t.covariance.diagonal() for t in fit.varcorr if t.group == group]))
        np.testing.assert_allclose(table.loc[levels].to_numpy() / sd, values / sd, rtol=0, atol=1e-4)
        where = table.index.get_indexer(levels)
        for found, wanted in zip(modes.cond_var[group], expected["condvar"], strict=True):
            V = np.array(wanted["values"], dtype=float).reshape(-1, *found.shape[1:])
            size = np.sqrt(np.einsum("laa,lbb->lab", V, V))
            np.testing.assert_allclose(found[where[: len(V)]] / size, V / size, rtol=0, atol=1e-4)


@pytest.mark.parametrize("model", [m for m in lmer_models() if not m.startswith(("big_", "inst_"))])
def test_criterion_at_lme4s_theta(model):
    """The pieces of the criterion at lme4's own theta: no optimiser in between."""
    stored, fit = fit_reference(model)
    criterion = fit.engine.criterion(np.array(stored["theta"]))
    assert criterion.profiled(stored["REML"]) == pytest.approx(
        stored["optimum"]["objective"], rel=1e-9, abs=1e-8
    )
    pieces = stored["devcomp"]
    assert criterion.logdet_v == pytest.approx(pieces["ldL2"], rel=1e-9, abs=1e-8)
    assert criterion.pwrss == pytest.approx(pieces["pwrss"], rel=1e-8)
    if stored["REML"]:
        assert criterion.logdet_x == pytest.approx(pieces["ldRX2"], rel=1e-9, abs=1e-8)
        assert criterion.profiled(reml=False) == pytest.approx(stored["deviance_ml_at_reml_theta"], rel=1e-9)
    solution = fit.engine.solution(np.array(stored["theta"]), reml=stored["REML"])
    assert solution.wrss == pytest.approx(pieces["wrss"], rel=1e-8)
    assert solution.ussq == pytest.approx(pieces["ussq"], rel=1e-6, abs=1e-8 * pieces["wrss"])
