"""Several effects of related levels in fits: two traits, direct and maternal effects, random regression."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import henderson as hd
from henderson import DataError, ModelNotSupportedError
from henderson.covariance import DenseRelationship, FactorRelationship, Precision
from henderson.fit.mean_squares import elements

FOUNDERS, ANIMALS = 12, 60


@pytest.fixture(scope="module")
def herd():
    """A pedigree's A as a frame, and the dam of each animal that has one."""
    rng = np.random.default_rng(3)
    A, dam = np.eye(ANIMALS), np.full(ANIMALS, -1)
    for i in range(FOUNDERS, ANIMALS):
        s, d = rng.choice(i, 2, replace=False)
        dam[i] = d
        A[i, :i] = A[:i, i] = 0.5 * (A[s, :i] + A[d, :i])
        A[i, i] = 1.0 + 0.5 * A[s, d]
    names = [f"a{i:02d}" for i in range(ANIMALS)]
    return pd.DataFrame(A, index=names, columns=names), np.array(names), dam


@pytest.fixture(scope="module")
def weaned(herd):
    """Two weights of each animal that has a dam, the rows in any order."""
    A, names, dam = herd
    rng = np.random.default_rng(4)
    S = np.array([[1.0, -0.3], [-0.3, 0.8]])
    u = np.linalg.cholesky(A) @ rng.normal(size=(ANIMALS, 2)) @ np.linalg.cholesky(S).T
    own = np.repeat(np.arange(FOUNDERS, ANIMALS), 2)
    x = rng.normal(size=own.size)
    y = 10.0 + x + u[own, 0] + u[dam[own], 1] + 0.7 * rng.normal(size=own.size)
    data = pd.DataFrame({"y": y, "x": x, "animal": names[own], "dam": names[dam[own]]})
    return data.sample(frac=1.0, random_state=1, ignore_index=True)


@pytest.fixture(scope="module")
def maternal(herd, weaned):
    return hd.lmer("y ~ x + (1 | animal & dam)", weaned, relationship={"animal": herd[0]})


def indicator(column, levels):
    return (column.to_numpy()[:, None] == np.asarray(levels)[None]).astype(float)


def restricted(y, X, V):
    """-2 log restricted likelihood from V itself."""
    Vi = np.linalg.inv(V)
    XVX = X.T @ Vi @ X
    left = y - X @ np.linalg.solve(XVX, X.T @ Vi @ y)
    value = np.linalg.slogdet(V)[1] + np.linalg.slogdet(XVX)[1] + left @ Vi @ left
    return value + (len(y) - X.shape[1]) * np.log(2 * np.pi)


def lower(values, q):
    T = np.zeros((q, q))
    T[np.tril_indices(q)] = values
    return T @ T.T


def searched(objective, start):
    found = minimize(objective, start, method="BFGS", options={"gtol": 1e-6})
    return found.fun, found.x


class TestDirectAndMaternal:
    def test_the_fit_is_that_of_a_general_search_on_the_dense_likelihood(self, herd, weaned, maternal):
        A = herd[0]
        direct, dams = (indicator(weaned[column], A.index) for column in ("animal", "dam"))
        X = np.column_stack([np.ones(len(weaned)), weaned["x"]])
        blocks = [[a @ A.to_numpy() @ b.T for b in (direct, dams)] for a in (direct, dams)]

        def objective(t):
            S = lower(t[:3], 2)
            V = t[3] ** 2 * np.eye(len(weaned)) + sum(S[i, j] * blocks[i][j] for i in (0, 1) for j in (0, 1))
            return restricted(weaned["y"].to_numpy(), X, V)

        value, t = searched(objective, np.array([0.8, 0.1, 0.8, 0.7]))
        assert maternal.criterion == pytest.approx(value, abs=1e-7)
        term = maternal.varcorr["animal & dam"]
        np.testing.assert_allclose(term.covariance, lower(t[:3], 2), atol=2e-4)
        assert maternal.sigma == pytest.approx(abs(t[3]), abs=2e-4)
        assert term.names == ("animal", "dam")

    def test_its_designs_are_those_made_by_hand(self, herd, weaned, maternal):
        levels = herd[0].index
        Z = maternal.get_me("Z").toarray()
        np.testing.assert_array_equal(Z[:, 0::2], indicator(weaned["animal"], levels))
        np.testing.assert_array_equal(Z[:, 1::2], indicator(weaned["dam"], levels))
        factors = maternal.get_me("flist")
        np.testing.assert_array_equal(factors["animal"].astype(str), weaned["animal"])
        np.testing.assert_array_equal(factors["dam"].astype(str), weaned["dam"])

    def test_effects_are_those_of_hendersons_formula(self, herd, weaned, maternal):
        A, term = herd[0].to_numpy(), maternal.varcorr["animal & dam"]
        G = np.kron(A, term.covariance)
        Z = maternal.get_me("Z").toarray()
        V = Z @ G @ Z.T + maternal.sigma**2 * np.eye(len(Z))
        X = np.column_stack([np.ones(len(weaned)), weaned["x"]])
        left = weaned["y"].to_numpy() - X @ maternal.fixef.to_numpy()
        modes = (G @ Z.T @ np.linalg.solve(V, left)).reshape(-1, 2)
        found = maternal.ranef()["animal & dam"]
        assert list(found.columns) == ["animal", "dam"]
        np.testing.assert_allclose(found.to_numpy(), modes, atol=1e-8)
        np.testing.assert_allclose(
            maternal.fitted, X @ maternal.fixef.to_numpy() + Z @ modes.ravel(), atol=1e-8
        )
        leverage = np.linalg.inv(V)
        P = leverage - leverage @ X @ np.linalg.solve(X.T @ leverage @ X, X.T @ leverage)
        np.testing.assert_allclose(maternal.hatvalues(), 1.0 - maternal.sigma**2 * np.diag(P), atol=1e-8)
        # the mean variance of a row holds the covariance of an animal with its dam
        share = np.trace(Z @ G @ Z.T) / len(Z)
        assert maternal.estimates.mean_random_variance == pytest.approx(share, rel=1e-10)

    def test_new_rows_have_the_effects_of_both_columns(self, herd, weaned, maternal):
        effects = maternal.ranef()["animal & dam"]
        new = pd.DataFrame(
            {"x": [0.0, 0.0, 0.0], "animal": ["a00", "a59", "new"], "dam": ["a59", "b", "a01"]}
        )
        with pytest.raises(DataError, match=re.escape("2 levels that the model has not seen ('new', 'b')")):
            maternal.predict(new)
        found = np.asarray(maternal.predict(new, new_levels="population"))
        direct = [effects.loc["a00", "animal"], effects.loc["a59", "animal"], 0.0]
        from_dam = [effects.loc["a59", "dam"], 0.0, effects.loc["a01", "dam"]]
        np.testing.assert_allclose(found, maternal.fixef.iloc[0] + np.add(direct, from_dam), atol=1e-10)
        missing = np.asarray(maternal.predict(new, new_levels="missing"))
        assert np.isnan(missing).tolist() == [False, True, True]
        for random in (["animal & dam"], ["(1 | animal & dam)"]):
            chosen = np.asarray(maternal.predict(new, random=random, new_levels="population"))
            np.testing.assert_array_equal(chosen, found)
        no_effects = np.asarray(maternal.predict(new, random="none"))
        np.testing.assert_allclose(no_effects, maternal.fixef.iloc[0], atol=1e-12)

    def test_errors_of_predictions_are_those_of_the_joint_covariance(self, herd, weaned, maternal):
        A, S = herd[0].to_numpy(), maternal.varcorr["animal & dam"].covariance
        Z, X = maternal.get_me("Z").toarray(), np.column_stack([np.ones(len(weaned)), weaned["x"]])
        Ve = maternal.sigma**2
        C = np.linalg.inv(
            np.block(
                [[X.T @ X / Ve, X.T @ Z / Ve], [Z.T @ X / Ve, Z.T @ Z / Ve + np.linalg.inv(np.kron(A, S))]]
            )
        )
        z = np.zeros(Z.shape[1])
        z[[2 * 7, 2 * 30 + 1]] = 1.0
        a = np.concatenate([[1.0, 0.5], z])
        new = pd.DataFrame({"x": [0.5], "animal": ["a07"], "dam": ["a30"]})
        se = maternal.predict(new, interval="confidence")["se"].to_numpy()
        np.testing.assert_allclose(se, np.sqrt(a @ C @ a), rtol=1e-8)

    def test_it_is_saved_and_read(self, herd, weaned, maternal, tmp_path):
        maternal.save(tmp_path / "fit")
        again = hd.load(tmp_path / "fit")
        pd.testing.assert_frame_equal(again.ranef()["animal & dam"], maternal.ranef()["animal & dam"])
        np.testing.assert_array_equal(again.predict(weaned[:9]), maternal.predict(weaned[:9]))
        whole = hd.load(tmp_path / "fit", weaned, relationship={"animal": herd[0]})
        np.testing.assert_allclose(whole.hatvalues(), maternal.hatvalues(), rtol=1e-8)

    @pytest.mark.parametrize("kind", ["mothers", "unrelated parents", "aunts", "the same"])
    def test_their_covariance_counts_by_their_relationship(self, kind):
        """The mean of u[a] + m[b] squared, from G itself; a dam counts as if nobody were inbred."""
        rng = np.random.default_rng(6)
        between = {"mothers": 0.55, "unrelated parents": 0.0, "aunts": 0.25, "the same": 1.0}[kind]
        n = 40
        G = np.eye(2 * n)
        G[np.arange(n), n + np.arange(n)] = G[n + np.arange(n), np.arange(n)] = min(between, 0.9)
        names = np.array([f"a{i:02d}" for i in range(2 * n)])
        rows = np.repeat(np.arange(n), 3)
        other = rows if kind == "the same" else n + rows
        data = pd.DataFrame({"one": names[rows], "two": names[other], "x": rng.normal(size=rows.size)})
        u = (np.linalg.cholesky(G) @ rng.normal(size=(2 * n, 2))) @ np.array([[1.0, 0.3], [0.0, 0.8]])
        data["y"] = data["x"] + u[rows, 0] + u[other, 1] + rng.normal(size=rows.size)
        frame = pd.DataFrame(G, index=names, columns=names)
        fit = hd.lmer("y ~ x + (1 | one & two)", data, relationship={"one": frame})
        S, ve = fit.varcorr["one & two"].covariance, fit.sigma**2
        times = {"mothers": 1.0}.get(kind, 2.0 * between)
        whole = S[0, 0] + S[1, 1] + times * S[0, 1] + ve
        assert abs(S[0, 1]) > 1e-3
        assert fit.heritabilities()["phenotypic_variance"].tolist() == pytest.approx([whole] * 2, rel=1e-10)

    def test_independent_effects_are_two_terms(self, herd, weaned):
        A = herd[0]
        one = hd.lmer("y ~ x + diag(1 | animal & dam)", weaned, relationship={"animal & dam": A})
        two = hd.lmer("y ~ x + (1 | animal) + (1 | dam)", weaned, relationship={"animal": A, "dam": A})
        assert one.criterion == pytest.approx(two.criterion, abs=1e-7)
        variances = [float(two.varcorr[group].covariance[0, 0]) for group in ("animal", "dam")]
        np.testing.assert_allclose(np.diag(one.varcorr["animal & dam"].covariance), variances, rtol=1e-4)

    def test_without_a_relationship_labels_alone_make_the_levels(self):
        rng = np.random.default_rng(5)
        players = np.array([f"p{i}" for i in range(12)])
        one, two = (rng.integers(0, 12, 200) for _ in range(2))
        u = rng.normal(size=12)
        data = pd.DataFrame(
            {"y": u[one] + u[two] + 0.5 * rng.normal(size=200), "one": players[one], "two": players[two]}
        )
        fit = hd.lmer("y ~ 1 + (1 | one & two)", data)
        assert fit.ngroups == {"one & two": 12}
        Z = [indicator(data[column], fit.ranef()["one & two"].index) for column in ("one", "two")]

        def objective(t):
            S = lower(t[:3], 2)
            V = t[3] ** 2 * np.eye(200) + sum(S[i, j] * Z[i] @ Z[j].T for i in (0, 1) for j in (0, 1))
            return restricted(data["y"].to_numpy(), np.ones((200, 1)), V)

        at = np.append(fit.theta * fit.sigma, fit.sigma)
        assert fit.criterion == pytest.approx(objective(at), abs=1e-7)
        slopes = [(objective(at + h) - objective(at - h)) / 2e-4 for h in 1e-4 * np.eye(4)]
        np.testing.assert_allclose(slopes, 0.0, atol=1e-3)

    def test_a_relationship_goes_by_either_name_and_by_one_only(self, herd, weaned, maternal):
        A = herd[0]
        with pytest.raises(DataError, match="'animal & dam' twice"):
            hd.lmer("y ~ (1 | animal & dam)", weaned, relationship={"animal": A, "animal & dam": A})
        with pytest.raises(DataError, match="'dam', which is no grouping factor"):
            hd.lmer("y ~ (1 | animal & dam)", weaned, relationship={"dam": A})
        with pytest.raises(DataError, match="'z9'"):
            hd.lmer(
                "y ~ (1 | animal & dam)", weaned.replace({"dam": {"a00": "z9"}}), relationship={"animal": A}
            )

    def test_what_needs_records_of_one_level_says_so(self, maternal):
        with pytest.raises(DataError, match="several levels"):
            maternal.influence("animal & dam")
        dropped = maternal.influence("dam", covariances="held")
        assert len(dropped.levels) > 5

    def test_rows_left_out_at_held_parameters_are_the_other_rows_alone(self, herd, weaned, maternal):
        held = maternal.influence("dam", covariances="held")
        first = held.levels[0]
        rest = weaned[weaned["dam"] != first]
        Z = [indicator(rest[column], herd[0].index) for column in ("animal", "dam")]
        S = maternal.varcorr["animal & dam"].covariance / maternal.sigma**2
        A = herd[0].to_numpy()
        V = np.eye(len(rest)) + sum(S[i, j] * Z[i] @ A @ Z[j].T for i in (0, 1) for j in (0, 1))
        X = np.column_stack([np.ones(len(rest)), rest["x"]])
        beta = np.linalg.solve(X.T @ np.linalg.solve(V, X), X.T @ np.linalg.solve(V, rest["y"].to_numpy()))
        np.testing.assert_allclose(held.beta_without[0], beta, rtol=1e-8)


class TestTwoTraits:
    @pytest.fixture
    def traits(self, herd):
        A, names, _ = herd
        rng = np.random.default_rng(6)
        u = np.linalg.cholesky(A) @ rng.normal(size=(ANIMALS, 2)) @ np.array([[1.0, 0.0], [0.6, 0.8]]).T
        e = rng.normal(size=(ANIMALS, 2)) @ np.array([[0.8, 0.0], [-0.4, 0.6]]).T
        data = pd.DataFrame({"milk": u[:, 0] + e[:, 0], "fat": u[:, 1] + e[:, 1] + 3.0, "iid": names})
        long = data.melt(id_vars="iid", var_name="trait", value_name="y")
        return long.sample(frac=0.9, random_state=2, ignore_index=True)

    def test_the_default_fit_is_that_of_a_general_search_on_the_dense_likelihood(self, herd, traits):
        fit = hd.lmer("y ~ 0 + trait + (0 + trait | iid)", traits, relationship={"iid": herd[0]})
        assert any("residual='us(trait | iid)'" in notice for notice in fit.notices)
        G = herd[0].loc[traits["iid"], traits["iid"]].to_numpy()
        same = (traits["iid"].to_numpy()[:, None] == traits["iid"].to_numpy()).astype(float)
        at = traits["trait"].eq("milk").to_numpy().astype(int)  # after fat
        X = np.eye(2)[at]

        def objective(t):
            S, R = lower(t[:3], 2), lower(t[3:], 2)
            return restricted(traits["y"].to_numpy(), X, S[at[:, None], at] * G + R[at[:, None], at] * same)

        value, t = searched(objective, np.array([1.0, 0.5, 0.8, 0.8, -0.3, 0.6]))
        assert fit.criterion == pytest.approx(value, abs=1e-6)
        np.testing.assert_allclose(fit.varcorr["iid"].covariance, lower(t[:3], 2), atol=2e-3)
        np.testing.assert_allclose(fit.varcorr.residual.covariance, lower(t[3:], 2), atol=2e-3)

    def test_identity_asks_for_one_residual_variance(self, herd, traits, tmp_path):
        formula = "y ~ 0 + trait + (0 + trait | iid)"
        fit = hd.lmer(formula, traits, relationship={"iid": herd[0]}, residual="identity")
        assert fit.varcorr.residual is None
        again = fit.update(REML=False)
        assert again.varcorr.residual is None
        fit.save(tmp_path / "fit")
        assert hd.load(tmp_path / "fit", traits, relationship={"iid": herd[0]}).varcorr.residual is None


def test_random_regression_on_a_relationship_is_that_of_a_general_search(herd):
    A, names, _ = herd
    rng = np.random.default_rng(8)
    own, age = np.repeat(np.arange(20, ANIMALS), 4), np.tile([0.0, 1.0, 2.0, 4.0], ANIMALS - 20)
    u = np.linalg.cholesky(A) @ rng.normal(size=(ANIMALS, 2)) @ np.array([[1.0, 0.0], [0.2, 0.4]]).T
    y = u[own, 0] + age * u[own, 1] + age + 0.8 * rng.normal(size=own.size)
    data = pd.DataFrame({"y": y, "age": age, "iid": names[own]})
    fit = hd.lmer("y ~ age + (1 + age | iid)", data, relationship={"iid": A})
    assert fit.ngroups == {"iid": ANIMALS}
    assert any("20 of the 60" in notice for notice in fit.notices)
    G = A.to_numpy()[np.ix_(own, own)]
    X = np.column_stack([np.ones(age.size), age])

    def objective(t):
        return restricted(y, X, X @ lower(t[:3], 2) @ X.T * G + t[3] ** 2 * np.eye(y.size))

    value, t = searched(objective, np.array([1.0, 0.0, 0.4, 0.8]))
    assert fit.criterion == pytest.approx(value, abs=1e-6)
    np.testing.assert_allclose(fit.varcorr["iid"].covariance, lower(t[:3], 2), atol=2e-3)


@pytest.mark.parametrize("kind", ["dense", "factor", "precision"])
def test_elements_of_a_relationship_are_those_of_its_matrix(herd, kind):
    from scipy.sparse import csc_array

    A = herd[0].to_numpy()
    inverse = np.linalg.inv(A)
    inverse[np.abs(inverse) < 1e-10] = 0.0
    relationship = {
        "dense": DenseRelationship(A),
        "factor": FactorRelationship(np.linalg.cholesky(A)),
        "precision": Precision(csc_array(inverse)),
    }[kind]
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, ANIMALS, (2, 900))
    np.testing.assert_allclose(elements(relationship, rows, columns), A[rows, columns], atol=1e-10)


def test_levels_of_several_columns_have_no_records_to_themselves(maternal):
    from henderson.lmm.within_levels import within_levels

    with pytest.raises(ModelNotSupportedError, match="several levels"):
        within_levels(maternal, "animal & dam")
