"""`fit.refit` and `fit.refits` against `lmer` on the table with the response replaced."""

import logging
import pickle

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from henderson.fit import together
from henderson.fit.components import ELSEWHERE
from henderson.fit.solve import solve

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def data():
    data = hd.example_data("sleepstudy")
    return data.assign(w=np.linspace(0.5, 2.0, len(data)), off=0.1 * np.arange(len(data)) % 7.0)


def responses(data, k, seed=2):
    """Responses with random intercepts and slopes of every size, so that some fits are singular."""
    rng = np.random.default_rng(seed)
    subject = pd.factorize(data["Subject"])[0]
    Y = rng.normal(0.0, 25.0, (len(data), k)) + 250.0
    size = rng.choice([0.0, 0.1, 1.0], (2, k))
    b = rng.normal(size=(18, 2, k)) * size * [[25.0], [6.0]]
    return Y + b[subject, 0] + b[subject, 1] * data["Days"].to_numpy()[:, None]


ARGUMENTS = [
    {},
    {"REML": False},
    {"weights": "w"},
    {"offset": "off"},
    {"weights": "w", "subset": "Days > 1", "REML": False},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_like_fresh_fits(data, arguments):
    fit = hd.lmer(FORMULA, data, **arguments)
    Y = responses(data, 12)
    found = fit.refits(Y)
    assert (found.status == "converged").all()
    for j in range(12):
        fresh = hd.lmer(FORMULA, data.assign(Reaction=Y[:, j]), **arguments)
        again = fit.refit(Y[:, j])
        for theta, beta, se, sigma, criterion in (
            (found.theta[j], found.beta[j], found.se[j], found.sigma[j], found.criterion[j]),
            (again.theta, again.fixef, again.se, again.sigma, again.criterion),
        ):
            np.testing.assert_allclose(theta, fresh.theta, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(beta, fresh.fixef, rtol=1e-6)
            np.testing.assert_allclose(se, fresh.se, rtol=1e-6)
            assert sigma == pytest.approx(fresh.sigma, rel=1e-6)
            assert criterion == pytest.approx(fresh.criterion, rel=1e-9)
        assert found.singular[j] == fresh.is_singular() == again.is_singular()
        np.testing.assert_allclose(again.fitted, fresh.fitted, rtol=1e-6)
        assert again.notices == fresh.notices
    assert 0 < found.singular.sum() < 12


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + (1 | g) + (1 | h)",
        "y ~ x + (x || g)",
        "y ~ x + twice + (1 | g/h)",
    ],
)
def test_other_structures(formula):
    rng = np.random.default_rng(11)
    data = pd.DataFrame(
        {"g": rng.integers(0, 12, 200), "h": rng.integers(0, 7, 200), "x": rng.normal(size=200)}
    )
    data["twice"] = 2.0 * data["x"]
    Y = rng.normal(size=(200, 5)) + rng.normal(size=(12, 5))[data["g"]]
    fit = hd.lmer(formula, data.assign(y=Y[:, 0]))
    found = fit.refits(Y)
    for j in range(5):
        fresh = hd.lmer(formula, data.assign(y=Y[:, j]))
        np.testing.assert_allclose(found.theta[j], fresh.theta, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found.beta[j], fresh.fixef, rtol=1e-6, atol=1e-9)
        assert fit.refit(Y[:, j]).dropped == fresh.dropped


@pytest.mark.parametrize("REML", [True, False])
@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + (x | g)",
        "y ~ x + (1 | g)",
        "y ~ x + (x || g)",
        "y ~ 0 + (z | g)",
        "y ~ x + z + diag(z | g)",
        "y ~ x + z + (x + z | g)",
    ],
)
def test_many_at_once_as_each_alone(formula, REML):
    """Levels of one record among others, weights, and responses of which most have a singular fit."""
    rng = np.random.default_rng(3)
    g = np.concatenate([np.arange(25), rng.integers(0, 15, 55)])
    data = pd.DataFrame(
        {"g": g, "x": rng.normal(size=80), "z": rng.normal(5.0, 2.0, 80), "y": rng.normal(size=80)}
    )
    sizes = rng.choice([0.0, 0.3, 2.0], (2, 40))
    b = rng.normal(size=(25, 2, 40)) * sizes
    Y = rng.normal(size=(80, 40)) + b[g, 0] + b[g, 1] * data["x"].to_numpy()[:, None]
    fit = hd.lmer(formula, data, REML=REML, weights=rng.uniform(0.5, 2.0, 80))
    assert fit.engine.takes_replicates
    found = fit.refits(Y)
    assert (found.status == "converged").all()
    assert 0 < found.singular.sum() < 40
    for j in range(40):
        alone = solve(fit.engine.with_response(Y[:, j].copy()), reml=REML)
        solution = alone.engine.solution(alone.theta, reml=REML)
        if alone.optimum.status != "converged":  # it gives up on a valley that is all but flat
            assert found.criterion[j] < alone.criterion.profiled(REML)
            continue
        assert found.criterion[j] == pytest.approx(alone.criterion.profiled(REML), rel=1e-11)
        np.testing.assert_allclose(found.theta[j], alone.theta, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(found.beta[j], solution.beta, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(found.se[j], np.sqrt(np.diag(solution.cov_beta)), rtol=1e-7)
        assert found.sigma[j] == pytest.approx(np.sqrt(solution.sigma2), rel=1e-7)


@pytest.mark.parametrize("noise", [1e-3, 1e-7, 0.0])
def test_responses_with_next_to_no_residual(data, noise):
    """One among others does them no harm; its own numbers have digits as long as 1 - ICC has."""
    fit, Y = hd.lmer(FORMULA, data), responses(data, 5)
    others = fit.refits(np.delete(Y, 2, axis=1))
    rng = np.random.default_rng(3)
    subject = pd.factorize(data["Subject"])[0]
    b = rng.normal(size=(18, 2))
    Y[:, 2] = 5.0 + b[subject, 0] + b[subject, 1] * data["Days"] + noise * rng.normal(size=180)
    found = fit.refits(Y)
    np.testing.assert_allclose(np.delete(found.theta, 2, axis=0), others.theta, rtol=1e-9, atol=1e-12)
    if noise == 1e-3:
        alone = solve(fit.engine.with_response(Y[:, 2].copy()), reml=True)
        np.testing.assert_allclose(found.theta[2], alone.theta, rtol=1e-5)
        assert found.criterion[2] == pytest.approx(alone.criterion.profiled(True), abs=1e-4)
        assert found.sigma[2] == pytest.approx(1e-3, rel=0.2)


def test_batches_of_any_size_agree(data, monkeypatch):
    fit, Y = hd.lmer(FORMULA, data), responses(data, 12)
    whole = fit.refits(Y)
    monkeypatch.setattr(together, "TOGETHER", 5 * 18)
    parts = fit.refits(Y)
    np.testing.assert_allclose(parts.theta, whole.theta, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(parts.beta, whole.beta, rtol=1e-12)


def test_a_search_that_does_not_end_is_done_alone(data):
    """With no steps allowed, the status is that of a single search."""
    fit = hd.lmer(FORMULA, data, control=hd.Control(max_iterations=0))
    found = fit.refits(responses(data, 3))
    assert found.status.tolist() == ["iteration limit"] * 3
    assert np.isfinite(found.theta).all()


def test_a_relationship_matrix_is_decomposed_once():
    rng = np.random.default_rng(5)
    names = [f"p{k}" for k in range(60)]
    A = rng.normal(size=(60, 80))
    G = {"iid": pd.DataFrame(A @ A.T / 80, index=names, columns=names)}
    data = pd.DataFrame({"iid": names, "y": rng.normal(size=60)})
    fit = hd.lmer("y ~ 1 + (1 | iid)", data, relationship=G)
    Y = np.linalg.cholesky(A @ A.T / 80) @ rng.normal(size=(60, 4)) + rng.normal(size=(60, 4))
    found = fit.refits(Y)
    for j in range(4):
        fresh = hd.lmer("y ~ 1 + (1 | iid)", data.assign(y=Y[:, j]), relationship=G)
        np.testing.assert_allclose(found.theta[j], fresh.theta, rtol=1e-6, atol=1e-6)
        assert found.criterion[j] == pytest.approx(fresh.criterion, rel=1e-9)
        assert fit.refit(Y[:, j]).heritability().h2 == pytest.approx(fresh.heritability().h2, rel=1e-6)


def test_rows_that_were_dropped_stay_dropped(data):
    holes = data.copy()
    holes.loc[[3, 70], "Reaction"] = np.nan
    holes.loc[9, "Days"] = np.nan
    fit = hd.lmer(FORMULA, holes, na_action="exclude")
    y = responses(data, 1)[:, 0]
    whole, short = fit.refit(y), fit.refit(np.delete(y, [3, 9, 70]))
    wanted = y.copy()
    wanted[[3, 70]] = np.nan
    fresh = hd.lmer(FORMULA, holes.assign(Reaction=wanted), na_action="exclude")
    for again in (whole, short):
        np.testing.assert_allclose(again.theta, fresh.theta, rtol=1e-6)
        np.testing.assert_array_equal(np.isnan(again.fitted), np.isnan(fresh.fitted))
        assert again.fitted.shape == (180,)
        assert again.notices == fresh.notices
    np.testing.assert_allclose(fit.refits(y[:, None]).theta[0], fresh.theta, rtol=1e-6)
    # what stands in the places of dropped rows does not matter
    y[[3, 9, 70]] = np.nan
    np.testing.assert_array_equal(fit.refit(y).theta, whole.theta)


def test_a_series_is_matched_by_its_index(data):
    fit = hd.lmer(FORMULA, data)
    y = pd.Series(responses(data, 1)[:, 0])
    np.testing.assert_array_equal(fit.refit(y.sample(frac=1.0, random_state=1)).theta, fit.refit(y).theta)
    np.testing.assert_array_equal(fit.refit(y.tolist()).theta, fit.refit(y).theta)


def test_mistakes_are_named(data):
    fit = hd.lmer(FORMULA, data)
    y = responses(data, 1)[:, 0]
    bad = y.copy()
    bad[17] = np.inf
    for answer, given, message in (
        (fit.refit, y[:-1], "the response has 179 values; give one for each of the 180 rows used"),
        (fit.refit, bad, "missing or infinite in row 17 of the table"),
        (fit.refit, np.zeros(180), "0 in all 180 rows"),
        (fit.refit, y[:, None], r"for the columns of an array \(180, 1\) there is refits"),
        (fit.refit, ["a"] * 180, "the response holds categories"),
        (fit.refits, y, r"takes responses by column, \(n, k\); it has shape \(180,\)"),
        (fit.refits, np.full((180, 2), "a"), "responses must be numbers"),
    ):
        with pytest.raises(hd.DataError, match=message):
            answer(given)
    with pytest.raises(hd.HendersonError, match="read back from a pickle or file"):
        pickle.loads(pickle.dumps(fit)).refit(y)


def test_a_response_without_variance_does_not_stop_the_others(data):
    fit = hd.lmer(FORMULA, data)
    Y = responses(data, 3)
    Y[:, 1] = 4.0 + 2.0 * data["Days"]
    found = fit.refits(Y)
    assert found.status.tolist() == ["converged", "no variance", "converged"]
    np.testing.assert_array_equal(np.isnan(found.sigma), [False, True, False])
    assert repr(found).startswith("<Refits of 3 responses: 2 converged, 1 no variance; ")
    assert len(found) == 3
    frame = found.to_frame()
    assert frame.shape == (3, 11)
    np.testing.assert_array_equal(frame["se(Days)"], found.se[:, 1])


def test_a_refit_has_no_table(data):
    again = hd.lmer(FORMULA, data).refit(responses(data, 1)[:, 0])
    with pytest.raises(hd.HendersonError, match=r"given to refit\(\), and is in no table"):
        again.update(REML=False)
    with pytest.raises(hd.HendersonError, match=r"given to refit\(\)"):
        again.augment()
    assert again.refit(data["Reaction"].to_numpy()).theta == pytest.approx(hd.lmer(FORMULA, data).theta)


def test_nothing_is_logged(data, caplog):
    fit = hd.lmer(FORMULA, data)
    with caplog.at_level(logging.WARNING, "henderson"):
        fit.refits(responses(data, 5))
    assert not caplog.records


class TestParts:
    """`get_me`: the parts make up the model."""

    @pytest.mark.parametrize("formula", [FORMULA, "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)"])
    def test_identities(self, data, formula):
        fit = hd.lmer(formula, data, weights="w")
        X, Z, L, b, u = (fit.get_me(name) for name in ("X", "Z", "Lambda", "b", "u"))
        np.testing.assert_allclose(X @ fit.get_me("beta") + Z @ b, fit.get_me("mu"), rtol=1e-10)
        np.testing.assert_allclose(L @ u, b, atol=1e-8 * np.abs(b).max())
        np.testing.assert_allclose((u**2).sum(), fit.get_me("devcomp")["ussq"], rtol=1e-8)
        assert (fit.get_me("Zt") != Z.T).nnz == 0
        assert (fit.get_me("Lambdat") != L.T).nnz == 0
        assert fit.get_me("flist")["Subject"].astype(str).tolist() == data["Subject"].astype(str).tolist()
        assert (fit.get_me("n"), fit.get_me("p"), fit.get_me("q")) == (180, 2, 36)
        np.testing.assert_array_equal(fit.model_matrix()["Days"], data["Days"])
        np.testing.assert_array_equal(fit.weights, data["w"])
        np.testing.assert_array_equal(fit.offset, 0.0)
        y = fit.get_me("y")
        np.testing.assert_array_equal(y, data["Reaction"])

    def test_as_lme4(self, data):
        """R: getME(lmer(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), sleepstudy), ...)."""
        fit = hd.lmer("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", data)
        assert fit.get_me("Gp").tolist() == [0, 18, 36]
        assert fit.get_me("cnms") == {"Subject": ("(Intercept)",), "Subject.1": ("Days",)}
        np.testing.assert_allclose(
            fit.get_me("u")[[0, 1, 18, 35]], [1.5436985, -41.2021797, 39.8046718, 5.3724847], rtol=1e-4
        )

    def test_a_name_that_is_not_known(self, data):
        with pytest.raises(hd.DataError, match="no part 'lambda' of a fit; did you mean 'Lambda'"):
            hd.lmer(FORMULA, data).get_me("lambda")

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("sigma", "it is fit.sigma$"),
            ("is_REML", "it is fit.reml$"),
            ("weights", "it is fit.weights$"),
            ("n_rtrms", r"it is len\(fit.varcorr\)$"),
            ("RX", "'RX' is a part of lme4's own algorithm, which does not exist here$"),
            ("Lind", "does not exist here$"),
            ("12345", "^there is no part '12345' of a fit; it has 'X', 'y', .*, ...$"),
        ],
    )
    def test_other_names_are_refused_with_where_the_answer_is(self, data, name, words):
        with pytest.raises(hd.DataError, match=words) as caught:
            hd.lmer(FORMULA, data).get_me(name)
        assert str(caught.value).count("'Lambdat'") <= 1

    def test_where_the_answer_is_there_is_one(self, data):
        """R: unlist(getME(lmer(Reaction ~ Days + (Days | Subject), sleepstudy), ...))."""
        fit = hd.lmer("Reaction ~ Days + (Days | Subject)", data)
        theta = fit.theta
        found = {name: eval(code, {"fit": fit, "theta": theta}) for name, code in ELSEWHERE.items()}
        assert (found["n_rtrms"], found["n_rfacs"], found["N"], found["is_REML"]) == (1, 1, 180, True)
        assert found["l_i"] == {"Subject": 18}
        assert found["devfun"] == pytest.approx(fit.criterion, rel=1e-12)
