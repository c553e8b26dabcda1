"""`lmer` with a relationship matrix: the same answers as from V itself, and refusals in one sentence."""

import logging
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import henderson as hd
from fit.relatives import FORMULA, fit, of, population, restricted
from henderson.covariance import DenseRelationship, RelationshipMatrix
from henderson.engine.blocked import BlockedEngine
from henderson.engine.spectral import SpectralEngine
from henderson.fit.relationships import relate
from henderson.formula import build_design
from henderson.genotype import Samples

PLAIN = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 10_000)


def named(G, fid=None):
    iid = np.array(G.index, dtype=str)
    return RelationshipMatrix(G.to_numpy(), Samples(iid if fid is None else fid, iid))


@pytest.mark.parametrize("seed", range(4))
def test_estimates_are_those_of_the_textbook(seed):
    data, G = population(seed)
    found = fit(data, G)
    assert isinstance(found.engine, SpectralEngine)
    y, X, K = of(data, G)
    vg, ve = found.varcorr["iid"].covariance[0, 0], found.sigma**2
    value, P, Vi, XVX = restricted(y, X, K, vg, ve)
    assert found.reml_criterion == pytest.approx(value, rel=1e-9)
    # no neighbour is better; where vg is zero, its neighbour above is not
    for a, b in [(1.02, 1.0), (0.98, 1.0), (1.0, 1.02), (1.0, 0.98)]:
        assert restricted(y, X, K, max(a * vg, 1e-3 * (a - 1)), b * ve)[0] >= value - 1e-9
    beta = np.linalg.solve(XVX, X.T @ Vi @ y)
    np.testing.assert_allclose(found.fixef, beta, rtol=1e-7)
    np.testing.assert_allclose(found.vcov, np.linalg.inv(XVX), rtol=1e-6)
    blup = pd.Series(vg * K @ P @ y, index=data["iid"])
    table = found.ranef()
    np.testing.assert_allclose(table["iid"]["(Intercept)"], blup.loc[table["iid"].index], atol=1e-8)
    spread = pd.Series(np.diag(vg * K - vg**2 * K @ Vi @ K), index=data["iid"])
    np.testing.assert_allclose(
        table.cond_var["iid"][0][:, 0, 0], spread.loc[table["iid"].index], rtol=1e-6, atol=1e-9
    )
    np.testing.assert_allclose(found.fitted, X @ beta + blup.to_numpy(), rtol=1e-8)
    share = vg * np.diag(K).mean()
    assert found.icc == pytest.approx(share / (share + ve), rel=1e-9)


def test_every_question_of_a_result_has_an_answer():
    data, G = population(1)
    found = fit(data, G)
    assert "iid      (Intercept)" in found.summary()
    assert found.ngroups == {"iid": len(data)}
    assert found.coef()["iid"].shape == (len(data), 2)
    np.testing.assert_allclose(
        found.coef()["iid"]["(Intercept)"] - found.fixef["(Intercept)"], found.ranef()["iid"]["(Intercept)"]
    )
    assert found.tidy()["term"].tolist()[-2:] == ["sd__(Intercept)", "sd__Observation"]
    assert found.augment().shape == (len(data), data.shape[1] + 4)
    assert found.glance()["icc"][0] == found.icc
    back = pickle.loads(pickle.dumps(found))
    assert back.summary() == found.summary()
    np.testing.assert_array_equal(back.ranef().cond_var["iid"][0], found.ranef().cond_var["iid"][0])
    with pytest.raises(hd.HendersonError, match="pickle"):
        back.heritability()


def test_maximum_likelihood():
    data, G = population(2)
    found = fit(data, G, REML=False)
    y, X, K = of(data, G)
    V = found.varcorr["iid"].covariance[0, 0] * K + found.sigma**2 * np.eye(len(y))
    r = y - X @ found.fixef.to_numpy()
    expected = len(y) * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r)
    assert found.deviance == pytest.approx(expected, rel=1e-9)
    assert found.deviance <= fit(data, G).deviance + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_families_as_a_relationship_are_families(seed):
    rng = np.random.default_rng(seed)
    n = 80
    family = rng.integers(0, 15, n)
    x = rng.normal(size=n)
    y = 1 + x + rng.normal(size=15)[family] + rng.normal(size=n)
    data = pd.DataFrame({"y": y, "x": x, "iid": np.arange(n), "family": family})
    G = pd.DataFrame((family[:, None] == family) * 1.0, index=range(n), columns=range(n))
    a, b = hd.lmer("y ~ x + (1 | family)", data), fit(data, G)
    assert isinstance(a.engine, BlockedEngine)
    assert b.criterion == pytest.approx(a.criterion, abs=1e-8)
    assert b.deviance == pytest.approx(a.deviance, abs=1e-7)
    assert b.theta == pytest.approx(a.theta, rel=1e-6, abs=1e-7)
    np.testing.assert_allclose(b.vcov, a.vcov, rtol=1e-6)
    np.testing.assert_allclose(b.fitted, a.fitted, rtol=1e-6, atol=1e-6)
    assert b.icc == pytest.approx(a.icc, rel=1e-6, abs=1e-12)
    level = data.set_index(data["iid"].astype(str))["family"].astype(str)
    mean, spread = a.ranef()["family"]["(Intercept)"], a.ranef().cond_var["family"][0][:, 0, 0]
    spread = pd.Series(spread, index=mean.index)
    people = b.ranef()["iid"].index
    np.testing.assert_allclose(b.ranef()["iid"]["(Intercept)"], mean.loc[level.loc[people]], atol=1e-6)
    np.testing.assert_allclose(
        b.ranef().cond_var["iid"][0][:, 0, 0], spread.loc[level.loc[people]], rtol=1e-5, atol=1e-9
    )


@PLAIN
@given(seeds, st.randoms(use_true_random=False))
def test_order_of_rows_and_of_the_matrix(seed, shuffle):
    data, G = population(seed, n=40)
    rows, people = list(range(len(data))), list(G.index)
    shuffle.shuffle(rows)
    shuffle.shuffle(people)
    a, b = fit(data, G), fit(data.iloc[rows], G.loc[people, people])
    assert b.criterion == pytest.approx(a.criterion, abs=1e-8)
    np.testing.assert_allclose(b.fixef, a.fixef, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(b.ranef()["iid"], a.ranef()["iid"].loc[b.ranef()["iid"].index], atol=1e-5)
    np.testing.assert_allclose(b.fitted, a.fitted[rows], atol=1e-5)


@PLAIN
@given(seeds, st.sampled_from([-1e6, -3.0, 1e6]), st.sampled_from([1e-5, 0.5, 2e4]))
def test_shift_and_scale_of_y(seed, shift, scale):
    data, G = population(seed, n=40)
    a, b = fit(data, G), fit(data.assign(y=scale * (shift + data["y"])), G)
    assert b.criterion == pytest.approx(a.criterion + (a.nobs - 2) * np.log(scale**2), abs=1e-5)
    assert b.heritability().h2 == pytest.approx(a.heritability().h2, rel=1e-4, abs=1e-6)
    assert b.fixef["x"] == pytest.approx(scale * a.fixef["x"], rel=1e-5, abs=1e-6 * scale)


@PLAIN
@given(seeds, st.sampled_from([1e-4, 7.0, 1e5]))
def test_unit_of_the_relationship(seed, unit):
    data, G = population(seed, n=40)
    a, b = fit(data, G), fit(data, unit * G)
    assert b.criterion == pytest.approx(a.criterion, abs=1e-7)
    before, after = a.heritability(), b.heritability()
    assert unit * after.genetic_variance == pytest.approx(before.genetic_variance, rel=1e-5, abs=1e-9)
    assert after.pve == pytest.approx(before.pve, rel=1e-5, abs=1e-9)


class TestMatching:
    """Levels find their rows by name."""

    def setup_method(self):
        self.data, self.G = population(5, n=30)

    def test_frame_and_relationship_matrix_are_alike(self):
        a, b = fit(self.data, self.G), fit(self.data, named(self.G))
        assert a.criterion == b.criterion

    def test_more_people_than_rows(self):
        some = self.data.iloc[:20]
        people = list(some["iid"])
        a, b = fit(some, self.G), fit(some, self.G.loc[people, people])
        assert a.criterion == pytest.approx(b.criterion, rel=1e-12)
        assert (a.ngroups, b.ngroups) == ({"iid": 30}, {"iid": 20})
        assert any("10 of the 30 in relationship['iid'] have no row" in notice for notice in a.notices)

    def test_rows_with_missing_values_are_counted(self, caplog):
        data = self.data.copy()
        data.loc[3, "y"] = np.nan
        with caplog.at_level(logging.WARNING, logger="henderson"):
            found = fit(data, self.G)
        assert found.nobs == 29
        assert "1 of 30 rows dropped" in caplog.text

    def test_the_matrix_is_not_changed_and_not_copied_without_need(self):
        people = sorted(self.G.index)
        G = np.ascontiguousarray(self.G.loc[people, people].to_numpy())
        G = 0.5 * (G + G.T)
        G.setflags(write=False)
        iid = np.array(people)
        own = RelationshipMatrix(G, Samples(iid, iid))
        random = build_design(FORMULA, self.data, related=["iid"]).random[0]
        matched = relate(own, "iid", random.levels).relationship
        assert isinstance(matched, DenseRelationship)
        assert matched.matrix is G
        before = G.copy()
        fit(self.data, own)
        np.testing.assert_array_equal(G, before)

    @pytest.mark.parametrize("kind", [int, float])
    def test_numbers_as_names(self, kind):
        numbers = {name: kind(i + 100) for i, name in enumerate(self.G.index)}
        data = self.data.assign(iid=[int(numbers[name]) for name in self.data["iid"]])
        G = self.G.rename(index=numbers, columns=numbers)
        assert fit(data, G).criterion == pytest.approx(fit(self.data, self.G).criterion, rel=1e-12)

    def test_rounding_of_the_triangles_is_averaged(self):
        G = self.G.to_numpy().copy()
        G += 1e-9 * np.triu(np.ones_like(G), 1)
        lopsided = pd.DataFrame(G, index=self.G.index, columns=self.G.columns)
        assert fit(self.data, lopsided).criterion == pytest.approx(
            fit(self.data, lopsided.T).criterion, rel=1e-13
        )


class TestRefusals:
    def setup_method(self):
        self.data, self.G = population(6, n=30)

    def refused(self, match, G=None, *, data=None, formula=FORMULA, error=hd.DataError, **options):
        relationship = options.pop("relationship", {"iid": self.G if G is None else G})
        with pytest.raises(error, match=match) as caught:
            hd.lmer(formula, self.data if data is None else data, relationship=relationship, **options)
        assert "\n" not in str(caught.value)

    def test_not_a_mapping(self):
        self.refused(r"dict .* such as relationship=\{'iid': G\}", relationship=self.G)

    def test_unknown_grouping_factor(self):
        self.refused("did you mean 'iid'", relationship={"idd": self.G})

    def test_a_bare_array(self):
        self.refused("ndarray, which does not name its people", self.G.to_numpy())

    def test_levels_that_the_matrix_lacks(self):
        people = sorted(self.G.index)
        self.refused(
            r"4 of the 30 levels of 'iid' are not in .* \('p000', 'p001', 'p002', \.\.\.\)",
            self.G.loc[people[4:], people[4:]],
        )

    def test_a_name_twice(self):
        names = list(self.G.index)
        names[4] = names[9]
        self.refused(
            r"1 name more than once \('p009'\)", self.G.set_axis(names).set_axis(names, axis="columns")
        )
        twice = RelationshipMatrix(self.G.to_numpy(), Samples(np.array(self.G.index), np.array(names)))
        self.refused("more than once", twice)

    def test_not_square(self):
        self.refused("30 x 29, and a relationship matrix is square", self.G.iloc[:, :-1])

    def test_too_few_names(self):
        iid = np.array(self.G.index)[:-1]
        with pytest.raises(hd.DataError, match="names 29 people, but its shape is"):
            RelationshipMatrix(self.G.to_numpy(), Samples(iid, iid))

    def test_columns_in_another_order(self):
        names = list(self.G.columns)
        names[2], names[3] = names[3], names[2]
        self.refused("in place 2 .* 'p002' and the column 'p003'", self.G.set_axis(names, axis="columns"))

    def test_one_triangle_only(self):
        G = self.G * np.tril(np.ones(self.G.shape))
        self.refused("not symmetric: it has .* triangle", G)

    def test_a_missing_number(self):
        G = self.G.copy()
        G.loc["p007", :] = G.loc[:, "p007"] = np.nan
        self.refused("row of 'p007'", G)
        others = self.data[self.data["iid"] != "p007"]
        assert fit(others, G).nobs == 29

    def test_words_in_the_matrix(self):
        self.refused("column 'p003' holds something else", self.G.astype(object).assign(p003="a"))

    def test_a_distance_matrix(self):
        self.refused("not positive semi-definite", 2.0 - self.G)

    def test_one_row_per_person_without_a_relationship(self):
        self.refused("one row per level", relationship=None)
