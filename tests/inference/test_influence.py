"""Leaving out groups: against R, the same fit from the shorter table, and dense algebra."""

import logging

import numpy as np
import pytest

import henderson as hd
from engine.dense import at_theta
from henderson.errors import DataError, HendersonError
from henderson.inference import held_theta
from henderson.inference.influence import influence
from henderson.inference.parameters import variance_parameters
from henderson.model import MixedModel
from prediction.fits import KINDS, determined_traits, fit_of, related

SLEEP = "Reaction ~ Days + (Days | Subject)"


def sleep_fit(formula=SLEEP, **arguments):
    return hd.lmer(formula, hd.example_data("sleepstudy"), **arguments)


def without(found, level):
    """The numbers of one level."""
    k = found.levels.index(level)
    se = np.sqrt(np.diag(found.cov_beta_without[k]))
    components = dict(zip(found.component_names, found.components_without[k], strict=True))
    return found.beta_without[k], se, components


# lme4 1.1-31: fixed effects, their standard errors, VarCorr's sdcor (the two standard deviations, the
# correlation, sigma) of fits with optimizer "bobyqa", rhoend 1e-10; then dfbetas and cooks.distance of
# `influence`, which cannot be told to use that optimizer and has five digits at best
SLEEPERS = {
    "308": (
        [251.8293657754000, 9.8027320499104],
        [7.2245341290343, 1.4803074656012],
        [26.3462581400075, 5.5203575998561, 0.0559723090705, 23.6469624430575],
        [0.0587248529, -0.4489274575],
        0.08214847978,
    ),
    "309": (
        [254.131584812833, 10.949962459893],
        [6.635773417663, 1.557577791816],
        [22.596647891096, 5.735270137816, -0.118428845094, 26.245646054950],
        [0.4108763922, 0.3098897537],
        0.13202204184,
    ),
    "335": (
        [250.721011443852, 11.252481247772],
        [7.202076952288, 1.412284652354],
        [25.394149066911, 5.059064375595, 0.155133154144, 26.188500633470],
        [-0.09498626095, 0.55599395165],
        0.11509377787,
    ),
}


@pytest.mark.parametrize("level", SLEEPERS)
def test_lme4_leaves_out_a_subject(level):
    found = influence(sleep_fit(), "Subject")
    beta, se, sdcor, dfbetas, cook = SLEEPERS[level]
    own = without(found, level)
    np.testing.assert_allclose(own[0], beta, rtol=1e-9)
    np.testing.assert_allclose(own[1], se, rtol=1e-6)
    names = ["sd_(Intercept)|Subject", "sd_Days|Subject", "cor_Days.(Intercept)|Subject", "sigma"]
    np.testing.assert_allclose([own[2][name] for name in names], sdcor, rtol=2e-5)
    k = found.levels.index(level)
    np.testing.assert_allclose(found.dfbetas[k], dfbetas, rtol=1e-4)
    # lme4 multiplies by (levels - coefficients) / levels
    assert found.cooks_distance[k] * (18 - 2) / 18 == pytest.approx(cook, rel=1e-4)


def test_changes_are_those_of_the_numbers():
    fit = sleep_fit()
    found = influence(fit, "Subject")
    np.testing.assert_array_equal(found.dfbeta, found.beta_without - fit.fixef.to_numpy())
    k = found.levels.index("309")
    ratio = np.linalg.det(found.cov_beta_without[k]) / np.linalg.det(fit.vcov.to_numpy())
    assert found.covariance_ratio[k] == pytest.approx(ratio, rel=1e-10)
    change = dict(zip(found.component_names, found.component_change[k], strict=True))
    own = without(found, "309")[2]
    assert change["sigma"] == pytest.approx(own["sigma"] / fit.sigma - 1.0, rel=1e-9)
    assert change["cor_Days.(Intercept)|Subject"] == pytest.approx(
        own["cor_Days.(Intercept)|Subject"] - fit.varcorr["Subject"].correlation[1, 0], rel=1e-9
    )
    frame = found.to_frame()
    assert frame.index.name == "Subject"
    assert frame.loc["309", "cooks_distance"] == found.cooks_distance[k]
    assert frame.loc["309", "dfbetas(Days)"] == found.dfbetas[k, 1]
    assert frame["n_rows"].tolist() == [10] * 18
    assert frame["status"].tolist() == ["converged"] * 18


@pytest.mark.parametrize("kind", KINDS)
def test_refits_are_fits_of_the_shorter_table(kind):
    fit, data = fit_of(kind)
    found = influence(fit, "school")
    formula, arguments = KINDS[kind]
    for k, level in enumerate(found.levels):
        again = hd.lmer(formula, data[data["school"] != level].reset_index(drop=True), **arguments)
        # A residual variance that falls to zero has no optimum to agree on
        fades = any("boundary fit: residual" in n for n in again.notices)
        tol = 1e-4 if fades else 2e-6
        np.testing.assert_allclose(found.beta_without[k] - again.fixef, 0.0, atol=tol * again.se.min())
        np.testing.assert_allclose(found.cov_beta_without[k], again.vcov, rtol=1e-4, atol=1e-7)
        ours = without(found, level)[2]
        theirs = variance_parameters(again.varcorr)
        assert list(ours) == list(theirs)
        for name, value in theirs.items():
            if not again.is_singular() or name == "sigma":
                assert ours[name] == pytest.approx(value, rel=1e-4, abs=1e-3 if fades else 1e-4)
        assert found.singular[k] == again.is_singular()


def dense_without(fit, rows):
    """Fixed effects, their covariance and sigma^2 from V of the rows that are left, at the theta of all."""
    model = fit.engine.model
    left = np.delete(np.arange(model.n), rows)
    V = at_theta(model, fit.theta).V[np.ix_(left, left)]
    X, y = model.X[left], model.y[left]
    XV = np.linalg.solve(V, X).T
    cov = np.linalg.inv(XV @ X)
    beta = cov @ (XV @ y)
    e = y - X @ beta
    sigma2 = float(e @ np.linalg.solve(V, e)) / (left.size - (model.p if fit.reml else 0))
    return beta, sigma2 * cov, sigma2


@pytest.mark.parametrize("many", [0, 1000], ids=["equations set up anew", "algebra"])
@pytest.mark.parametrize("group", ["klass", "school", "rater", "t"])
@pytest.mark.parametrize("kind", KINDS)
def test_held_theta_is_dense_algebra(kind, group, many, monkeypatch):
    monkeypatch.setattr(held_theta, "MANY", many)
    fit, data = fit_of(kind)
    found = influence(fit, group, covariances="held")
    for k, level in enumerate(found.levels):
        rows = np.flatnonzero(data[group] == level)
        assert found.n_rows[k] == rows.size
        if found.status[k] == "not estimable":
            X = np.delete(fit.engine.model.X, rows, axis=0)
            assert np.linalg.matrix_rank(X) < fit.engine.model.p
            continue
        beta, cov, sigma2 = dense_without(fit, rows)
        np.testing.assert_allclose(found.beta_without[k], beta, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(found.cov_beta_without[k], cov, rtol=1e-8, atol=1e-12)
        own = without(found, level)[2]
        assert own["sigma"] == pytest.approx(np.sqrt(sigma2), rel=1e-9)
        assert found.status[k] == "held"


@pytest.mark.filterwarnings("error")
def test_a_model_without_fixed_effects():
    fit = hd.lmer("Yield ~ 0 + (1 | Batch)", hd.example_data("dyestuff"), REML=False)
    data = hd.example_data("dyestuff")
    for covariances in ("refitted", "held"):
        found = influence(fit, "Batch", covariances=covariances)
        assert found.beta_without.shape == (6, 0)
        assert np.isnan(found.to_frame()["cooks_distance"]).all()
    again = hd.lmer("Yield ~ 0 + (1 | Batch)", data[data["Batch"] != "A"], REML=False)
    first = influence(fit, "Batch").components_without[0]
    np.testing.assert_allclose(
        first, [np.sqrt(again.varcorr.terms[0].covariance[0, 0]), again.sigma], rtol=1e-5
    )


def test_a_nested_factor_of_the_model():
    fit, data = fit_of("nested")
    group = "pupil:(klass:school)"
    found = influence(fit, group, covariances="held")
    assert len(found) == fit.ngroups[group]
    for k in (0, 7):
        pupil = found.levels[k].split(":")[0]
        rows = np.flatnonzero(data["pupil"] == pupil)
        assert found.n_rows[k] == rows.size
        np.testing.assert_allclose(found.beta_without[k], dense_without(fit, rows)[0], rtol=1e-9)


def test_related_people():
    data, G = related()
    data["clinic"] = np.array(list("abcde"))[np.arange(len(data)) % 5]
    fit = hd.lmer("y ~ x + (1 | iid)", data, relationship={"iid": G})
    held, refitted = influence(fit, "clinic", covariances="held"), influence(fit, "clinic")
    for k, level in enumerate(held.levels):
        left = data["clinic"] != level
        beta, cov, _ = dense_without(fit, np.flatnonzero(~left))
        np.testing.assert_allclose(held.beta_without[k], beta, rtol=1e-8)
        np.testing.assert_allclose(held.cov_beta_without[k], cov, rtol=1e-8)
        again = hd.lmer("y ~ x + (1 | iid)", data[left].reset_index(drop=True), relationship={"iid": G})
        np.testing.assert_allclose(refitted.beta_without[k], again.fixef, rtol=1e-7)
        assert without(refitted, level)[2]["sigma"] == pytest.approx(again.sigma, rel=1e-5)


def test_people_without_a_record_are_not_left_out():
    data, G = related()
    fewer = data[~data["iid"].isin(["p03", "p40"])].reset_index(drop=True)
    fit = hd.lmer("y ~ x + (1 | iid)", fewer, relationship={"iid": G})
    for covariances in ("held", "refitted"):
        found = influence(fit, "iid", covariances=covariances)
        assert set(found.levels) == set(fewer["iid"])
        assert (found.n_rows == 1).all()
    k = found.levels.index("p07")
    again = hd.lmer(
        "y ~ x + (1 | iid)", fewer[fewer["iid"] != "p07"].reset_index(drop=True), relationship={"iid": G}
    )
    np.testing.assert_allclose(found.beta_without[k], again.fixef, rtol=1e-6)


def test_residuals_that_determine_each_other():
    fit, data = determined_traits()
    held, refitted = influence(fit, "iid", covariances="held"), influence(fit, "iid")
    for k in (0, 3, 11):
        rows = np.flatnonzero(data["iid"] == held.levels[k])
        beta, cov, _ = dense_without(fit, rows)
        np.testing.assert_allclose(held.beta_without[k], beta, rtol=1e-8)
        np.testing.assert_allclose(held.cov_beta_without[k], cov, rtol=1e-8)
        again = fit.update(data=data.drop(index=rows).reset_index(drop=True))
        np.testing.assert_allclose(refitted.beta_without[k], again.fixef, rtol=1e-5)


def test_a_group_without_influence():
    """A group that lies exactly on the fit, with no random effect, changes nothing but the spread."""
    rng = np.random.default_rng(3)
    data = {"x": rng.normal(size=60), "g": np.repeat(np.arange(12), 5).astype(str)}
    data["y"] = 2.0 * data["x"] + rng.normal(size=12).repeat(5) + rng.normal(size=60)
    fit = hd.lmer("y ~ x + (1 | g)", data)
    more = {name: np.concatenate([values, values[:5]]) for name, values in data.items()}
    more["g"][-5:] = "on the line"
    more["y"][-5:] = fit.fixef["(Intercept)"] + fit.fixef["x"] * more["x"][-5:]
    first = hd.lmer("y ~ x + (1 | g)", more)
    found = influence(first, "g")
    beta, _, components = without(found, "on the line")
    np.testing.assert_allclose(beta, fit.fixef, rtol=1e-6)
    assert components["sigma"] == pytest.approx(fit.sigma, rel=1e-6)


def test_relabelled_and_shuffled():
    data = hd.example_data("sleepstudy")
    shuffled = data.sample(frac=1.0, random_state=2).reset_index(drop=True)
    shuffled["Subject"] = "s" + shuffled["Subject"].astype(str)
    shuffled["Reaction"] = 5.0 - 2.0 * shuffled["Reaction"]
    found, again = influence(hd.lmer(SLEEP, data), "Subject"), influence(hd.lmer(SLEEP, shuffled), "Subject")
    assert again.levels == tuple("s" + level for level in found.levels)
    np.testing.assert_allclose(again.cooks_distance, found.cooks_distance, rtol=1e-5)
    np.testing.assert_allclose(again.dfbetas, -found.dfbetas, rtol=1e-4, atol=1e-7)


def test_a_level_that_the_model_cannot_do_without(caplog):
    data = hd.example_data("sleepstudy")
    data["only"] = np.where(data["Subject"].astype(str) == "308", data["Days"] ** 2, 0.0)
    fit = hd.lmer("Reaction ~ Days + only + (1 | Subject)", data)
    for covariances in ("refitted", "held"):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="henderson"):
            found = influence(fit, "Subject", covariances=covariances)
        assert [r.message for r in caplog.records] == [
            "without 1 of the 18 levels of 'Subject' ('308') the model cannot be estimated, and their "
            "numbers are NaN"
        ]
        k = found.levels.index("308")
        assert found.status[k] == "not estimable"
        assert np.isnan(found.cooks_distance[k])
        assert np.isnan(found.covariance_ratio[k])
        assert np.isnan(found.components_without[k]).all()
        assert np.isfinite(np.delete(found.cooks_distance, k)).all()
        assert "1 not estimable" in repr(found)


def test_residual_parameters_that_leave_with_a_level():
    """Without a stratum its variance cannot be estimated, but a common correlation can."""
    data = hd.example_data("sleepstudy")
    data["half"] = np.where(np.arange(180) % 2, "odd", "even")
    strata = hd.lmer("Reaction ~ Days + (1 | Subject)", data, residual="diag(half)")
    with pytest.raises(DataError, match="no level of 'half' can be left out: the other rows never suffice"):
        influence(strata, "half")
    held = influence(strata, "half", covariances="held")
    for k in range(2):
        beta, cov, _ = dense_without(strata, np.flatnonzero(data["half"] == held.levels[k]))
        np.testing.assert_allclose(held.beta_without[k], beta, rtol=1e-9)
        np.testing.assert_allclose(held.cov_beta_without[k], cov, rtol=1e-9)
    serial = hd.lmer("Reaction ~ Days + (1 | Subject)", data, residual="ar1(factor(Days) | Subject)")
    assert set(influence(serial, "Days").status) == {"converged"}


def test_rows_without_a_level_are_never_left_out(caplog):
    data = hd.example_data("sleepstudy")
    data["site"] = np.array(["a", "b", None], dtype=object)[np.arange(180) % 3]
    with caplog.at_level(logging.WARNING, logger="henderson"):
        found = influence(hd.lmer(SLEEP, data), "site")
    assert found.n_rows.tolist() == [60, 60]
    assert "'site' is missing in 60 of the 180 rows used: they are never left out" in caplog.text
    again = hd.lmer(SLEEP, data[data["site"] != "a"].reset_index(drop=True))
    np.testing.assert_allclose(found.beta_without[0], again.fixef, rtol=1e-8)


def test_rows_that_the_fit_left_out_stay_out():
    """Excluded rows and a subset move the rows used against those of the table."""
    data = hd.example_data("sleepstudy")
    data.loc[[3, 40, 99], "Reaction"] = np.nan
    data["site"] = np.array(["a", "b", "c"])[np.arange(180) % 3]
    fit = hd.lmer(SLEEP, data, na_action="exclude", subset="Days > 0")
    found = influence(fit, "site", covariances="held")
    assert found.n_rows.sum() == fit.nobs
    used = data[data["Days"] > 0].dropna()
    for k, level in enumerate(found.levels):
        beta, _, _ = dense_without(fit, np.flatnonzero(used["site"] == level))
        np.testing.assert_allclose(found.beta_without[k], beta, rtol=1e-10)


def test_a_search_cut_short_is_told(caplog):
    fit = sleep_fit(
        "Reaction ~ Days + (Days || Subject)",
        start=[0.1, 3.0],
        control=hd.Control(max_iterations=1),
    )
    with caplog.at_level(logging.WARNING, logger="henderson"):
        found = influence(fit, "Subject")
    stopped = int((found.status == "iteration limit").sum())
    assert stopped > 0
    assert f"without {stopped} of the 18 levels" in caplog.text
    assert "stopped at its limit of iterations" in caplog.text


@pytest.mark.parametrize(
    ("group", "said"),
    [
        (
            "Subjekt",
            "neither a grouping factor of the model nor a column of the table; did you mean 'Subject'",
        ),
        ("one", "'one' has fewer than two levels in the rows used, so that none can be left out"),
        (["Subject"], r"\['Subject'\] is neither a grouping factor .* did you mean 'Subject'"),
        (3, "3 is neither a grouping factor of the model nor a column of the table"),
    ],
)
def test_groups_that_cannot_be(group, said):
    data = hd.example_data("sleepstudy").assign(one="only")
    with pytest.raises(DataError, match=said):
        influence(hd.lmer(SLEEP, data), group)


def test_other_mistakes(tmp_path):
    fit = sleep_fit()
    with pytest.raises(DataError, match="covariances is 'kept'; it can be 'refitted' or 'held'"):
        influence(fit, "Subject", covariances="kept")
    fit.save(tmp_path / "fit.zip")
    with pytest.raises(HendersonError, match="leaves out the data"):
        influence(hd.load(tmp_path / "fit.zip"), "Subject")
    with pytest.raises(DataError, match="'Days' is no grouping factor of the model, and the response"):
        influence(fit.refit(fit.fitted + np.sin(np.arange(180.0) ** 2)), "Days")
    hd.example_data("sleepstudy").to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="because the data were streamed"):
        influence(hd.lmer(SLEEP, tmp_path / "rows.parquet"), "Subject")


def test_the_fit_itself_is_left_as_it_was():
    fit = sleep_fit()
    before = fit.engine.criterion(fit.theta).profiled(reml=True)
    influence(fit, "Subject")
    influence(fit, "Subject", covariances="held")
    assert isinstance(fit.engine.model, MixedModel)
    assert fit.engine.model.n == 180
    assert fit.engine.criterion(fit.theta).profiled(reml=True) == before
