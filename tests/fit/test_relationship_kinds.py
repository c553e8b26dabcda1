"""Relationships of every kind in a formula: the same fit as from the dense matrix, by name, in any order."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag
from scipy.sparse import csc_array

import henderson as hd
from henderson.covariance import (
    DenseRelationship,
    FactorRelationship,
    NamedBlocks,
    NamedFactor,
    NamedPrecision,
    Precision,
    SparseFactorRelationship,
    SpatialKernel,
)
from henderson.fit import relationship_checks
from henderson.fit.relationships import relate

N = 48
NAMES = [f"p{i:02d}" for i in range(N)]
FORMULA = "y ~ x + (1 | iid)"


def pieces(seed=0, *, twins=False):
    """Families of four in any order, some members without records, others with several."""
    rng = np.random.default_rng(seed)
    families = []
    for k in range(N // 4):
        L = rng.normal(size=(4, 7)) / np.sqrt(7)
        if twins and k == 0:
            L[3] = L[1]
        families.append(L @ L.T)
    order = rng.permutation(N)
    G = block_diag(*families)[np.ix_(order, order)]
    u = rng.multivariate_normal(np.zeros(N), G, method="eigh")
    who = rng.integers(0, N - 6, 120)
    x = rng.normal(size=120)
    y = 1.0 + 0.5 * x + u[who] + 0.7 * rng.normal(size=120)
    return pd.DataFrame({"y": y, "x": x, "iid": np.array(NAMES)[who]}), G


class Family:
    """What a pedigree is to a fit: names, and the inverse of their relationship."""

    def __init__(self, names, G):
        self.ids, self._inverse = np.array(names), csc_array(np.linalg.inv(G))

    def relationship(self):
        return Precision(self._inverse)


def root(G):
    values, vectors = np.linalg.eigh(G)
    return vectors * np.sqrt(np.maximum(values, 0.0))


KINDS = {
    "blocks": lambda names, G: NamedBlocks(names, csc_array(G)),
    "factor": lambda names, G: NamedFactor(names, root(G)),
    "precision": lambda names, G: NamedPrecision(names, Precision(csc_array(np.linalg.inv(G)))),
    "pedigree": Family,
    "matrix": lambda names, G: hd.RelationshipMatrix.of(G, names),
    "frame": lambda names, G: pd.DataFrame(G, index=names, columns=names),
}
ANY = pytest.mark.parametrize("kind", KINDS)


@ANY
def test_levels_are_found_by_name(kind):
    _, G = pieces()
    order = np.random.default_rng(3).permutation(N)
    given = KINDS[kind]([NAMES[k] for k in order], G[np.ix_(order, order)])
    levels = ["p30", "p02", "p17"]
    found = relate(given, "iid", levels)
    assert list(found.levels) == [NAMES[k] for k in order]
    assert [found.levels[row] for row in found.rows] == levels
    np.testing.assert_allclose(
        found.relationship.block(found.rows, found.rows), G[np.ix_([30, 2, 17], [30, 2, 17])], atol=1e-10
    )


@pytest.fixture(scope="module")
def by_hand():
    """The dense fit of the same data; the engines are held to V itself elsewhere."""
    data, G = pieces()
    return data, G, hd.lmer(FORMULA, data, relationship={"iid": KINDS["matrix"](NAMES, G)})


@ANY
def test_fits_are_the_same(kind, by_hand):
    data, G, dense = by_hand
    order = np.random.default_rng(4).permutation(N)
    given = KINDS[kind]([NAMES[k] for k in order], G[np.ix_(order, order)])
    found = hd.lmer(FORMULA, data, relationship={"iid": given})
    assert found.criterion == pytest.approx(dense.criterion, abs=1e-8)
    assert found.theta == pytest.approx(dense.theta, rel=1e-6)
    np.testing.assert_allclose(found.fixef, dense.fixef, rtol=1e-7)
    a, b = found.ranef()["iid"], dense.ranef()["iid"]
    np.testing.assert_allclose(a.loc[NAMES], b.loc[NAMES], atol=1e-7)
    at_the_same = found.engine.criterion(dense.theta).profiled(True)
    assert at_the_same == pytest.approx(dense.criterion, abs=1e-8)
    without = N - data["iid"].nunique()
    assert any(
        f"{without} of the 48 in" in notice and "no row" in notice for notice in found.estimates.notices
    )


@ANY
def test_people_that_the_relationship_lacks(kind):
    _, G = pieces()
    given = KINDS[kind](NAMES, G)
    with pytest.raises(hd.DataError, match=r"2 of the 3 levels of 'iid' .* \('x1', 'x2'\).* like 'p00'"):
        relate(given, "iid", ["x1", "p03", "x2"])


def test_names_twice_in_a_pedigree():
    _, G = pieces()
    with pytest.raises(hd.DataError, match=r"relationship\['iid'\] has 1 name more than once \('p03'\)"):
        relate(Family(["p03", *NAMES[1:]], G), "iid", ["p04"])


def test_what_becomes_of_a_sparse_matrix(monkeypatch):
    _, G = pieces()
    by_family = relate(KINDS["blocks"](NAMES, G), "iid", NAMES).relationship
    assert isinstance(by_family, SparseFactorRelationship)
    assert by_family.factor.nnz <= 10 * N // 4
    whole = NamedBlocks(NAMES, csc_array(np.eye(N) + 0.1))
    assert isinstance(relate(whole, "iid", NAMES).relationship, DenseRelationship)
    monkeypatch.setattr(relationship_checks, "LARGEST_FAMILY", 3)
    assert isinstance(relate(KINDS["blocks"](NAMES, G), "iid", NAMES).relationship, DenseRelationship)
    monkeypatch.setattr(relationship_checks, "installed_memory", lambda: 1e4)
    with pytest.raises(hd.DataError, match=r"a group of 4 people who are all related .* its 48 people take"):
        relate(KINDS["blocks"](NAMES, G), "iid", NAMES)


def test_a_factor_stays_a_factor():
    _, G = pieces()
    factor = relate(KINDS["factor"](NAMES, G), "iid", NAMES).relationship
    assert isinstance(factor, FactorRelationship)


@pytest.mark.parametrize("kind", ["blocks", "matrix", "factor"])
def test_twins_are_counted(kind):
    _, G = pieces(twins=True)
    L = root(G)
    i, j = np.argwhere(np.triu(np.isclose(G, np.diag(G)) & np.isclose(G, np.diag(G)[:, None]), 1))[0]
    L[j] = L[i]  # to the last digit
    given = NamedFactor(NAMES, L) if kind == "factor" else KINDS[kind](NAMES, G)
    (notice,) = relate(given, "iid", NAMES).notices
    assert (
        f"2 of the 48 in relationship['iid'] have the same relationships as another ('p{i:02d}' and "
        in notice
    )
    assert f"'p{j:02d}')" in notice
    assert relate(KINDS[kind](NAMES, pieces()[1]), "iid", NAMES).notices == ()


def test_many_twins_are_not_listed():
    family = np.repeat(np.arange(N // 4), 4)
    (notice,) = relate(KINDS["matrix"](NAMES, (family[:, None] == family) * 1.0), "iid", NAMES).notices
    assert "48 of the 48" in notice
    assert "('p00' and 'p01', 'p00' and 'p02', 'p00' and 'p03', ...)" in notice


def test_people_without_genotypes_count_as_no_twins():
    G = pieces()[1]
    for k in (3, 7):
        G[k] = G[:, k] = 0.0
    assert relate(KINDS["matrix"](NAMES, G), "iid", NAMES).notices == ()


def test_twins_are_predicted_alike():
    data, G = pieces(2, twins=True)
    fit = hd.lmer(FORMULA, data, relationship={"iid": KINDS["blocks"](NAMES, G)})
    (notice,) = [n for n in fit.estimates.notices if "predicted alike" in n]
    first, second = (NAMES[k] for k in np.argwhere(np.triu(np.isclose(G, np.diag(G)) & (G > 0.1), 1))[0])
    assert f"{first!r} and {second!r}" in notice
    b = fit.ranef()["iid"]["(Intercept)"]
    assert b[first] == pytest.approx(b[second], rel=1e-9)


def test_a_kernel_is_its_matrix():
    rng = np.random.default_rng(5)
    places = rng.uniform(0, 5, (N, 2))
    data, _ = pieces()
    kernel = SpatialKernel(NAMES, places, range=1.5, kind="matern32")
    a = hd.lmer(FORMULA, data, relationship={"iid": kernel})
    b = hd.lmer(FORMULA, data, relationship={"iid": kernel.at(1.5)})
    assert a.criterion == b.criterion


class TestMissingNumbers:
    """Whoever is not known and not needed is left out; whoever is needed is named."""

    def setup_method(self):
        self.data, self.G = pieces()
        self.without = NAMES[-6:]  # nobody's record

    def spoilt(self, *people, pairs=()):
        G = pd.DataFrame(self.G, index=NAMES, columns=NAMES)
        for name in people:
            G.loc[name, :] = G.loc[:, name] = np.nan
        for a, b in pairs:
            G.loc[a, b] = G.loc[b, a] = np.inf
        return G

    def test_left_out_and_counted(self):
        G = self.spoilt(*self.without[:2])
        found = hd.lmer(FORMULA, self.data, relationship={"iid": G})
        people = [name for name in NAMES if name not in self.without[:2]]
        whole = pd.DataFrame(self.G, index=NAMES, columns=NAMES).loc[people, people]
        expected = hd.lmer(FORMULA, self.data, relationship={"iid": whole})
        assert found.criterion == expected.criterion
        pd.testing.assert_frame_equal(found.ranef()["iid"], expected.ranef()["iid"])
        assert "2 of the 48 in relationship['iid'] are left out ('p42', 'p43')" in found.estimates.notices[0]

    def test_the_one_without_a_record_goes(self):
        found = relate(self.spoilt(pairs=[("p03", "p45"), ("p10", "p45")]), "iid", NAMES[:-6])
        assert set(NAMES) - set(found.levels) == {"p45"}

    def test_of_two_without_records_the_worse_one_goes(self):
        G = self.spoilt(pairs=[("p44", "p45"), ("p46", "p45"), ("p47", "p45")])
        assert set(NAMES) - set(relate(G, "iid", NAMES[:-6]).levels) == {"p45"}

    @pytest.mark.parametrize("pairs", [(), [("p10", "p45")]])
    def test_one_with_a_record_is_refused(self, pairs):
        with pytest.raises(hd.DataError, match="missing or infinite number in the row of 'p07'"):
            relate(self.spoilt("p07", pairs=pairs), "iid", NAMES[:-6])


class TestNotSemidefinite:
    """How far below zero, and what helps."""

    def setup_method(self):
        self.data, _ = pieces()
        self.G = 0.8 * np.eye(N) + 0.05
        self.G[0, 1] = self.G[1, 0] = 1.35
        self.smallest = np.linalg.eigvalsh(self.G)[0]

    @pytest.mark.parametrize("kind", ["matrix", "blocks", "frame"])
    def test_refused_and_bent(self, kind):
        G = self.G if kind != "blocks" else np.where(self.G > 0.06, self.G, 0.0)
        given = KINDS[kind](NAMES, G)
        smallest = np.linalg.eigvalsh(G)[0]
        match = (
            rf"'iid'\] is not positive semi-definite: 1 of its 48 eigenvalues .* {smallest:.3g} .*bend\(G\)"
        )
        with pytest.raises(hd.DataError, match=match):
            hd.lmer(FORMULA, self.data, relationship={"iid": given})
        from henderson.fit.bending import bend

        assert hd.lmer(FORMULA, self.data, relationship={"iid": bend(given)}).nobs == 120


def test_negative_along_the_fixed_effects_alone():
    """REML beside an intercept does not see what is added to all relationships."""
    data, G = pieces()
    once = data.drop_duplicates("iid").reset_index(drop=True)
    shifted = G - 0.1
    assert np.linalg.eigvalsh(shifted)[0] < -0.1
    a, b = (hd.lmer(FORMULA, once, relationship={"iid": KINDS["matrix"](NAMES, K)}) for K in (G, shifted))
    assert b.criterion == pytest.approx(a.criterion, abs=1e-8)
    assert b.theta == pytest.approx(a.theta, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_identity_cannot_be_told_from_the_residual(kind):
    """One record each, whatever the engine; with a covariate, and with other relatives who have no record."""
    data, G = pieces()
    once = data.drop_duplicates("iid").reset_index(drop=True)
    for others in (0.0, 0.3):
        K = 2.0 * np.eye(N)
        K[-6:, -6:] += others
        with pytest.raises(hd.DataError, match="equally related beside the fixed effects"):
            hd.lmer(FORMULA, once, relationship={"iid": KINDS[kind](NAMES, K)})
    assert hd.lmer(FORMULA, once, relationship={"iid": KINDS[kind](NAMES, G)}).nobs == len(once)
    assert hd.lmer(FORMULA, data, relationship={"iid": KINDS[kind](NAMES, np.eye(N))}).nobs == 120
