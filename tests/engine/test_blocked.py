"""The blocked engine against the dense twin, and what is its own: plan, kernels, moments, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from engine.contract import EngineContract, close
from engine.dense import at_theta, random_model, random_theta, structured_model
from henderson.covariance import ByUnit, FactorRelationship, Unstructured
from henderson.engine.blocked import BlockedEngine, core, plan, residual
from henderson.engine.blocked.moments import Moments, MomentStack, column_moments, random_moments
from henderson.errors import ModelNotSupportedError
from henderson.linalg import scatter
from henderson.model import MixedModel, RandomTerm


class TestContract(EngineContract):
    models = tuple(range(12))

    def make(self, model):
        return BlockedEngine(model)


class TestStructures(EngineContract):
    """The same contract for covariances and residuals with structure."""

    models = tuple(range(15))

    def model(self, seed):
        return structured_model(seed)

    def make(self, model):
        return BlockedEngine(model)


@pytest.mark.parametrize("seed", range(100, 200))
def test_hundred_random_models(seed):
    model = random_model(seed)
    theta = random_theta(model, np.random.default_rng(seed), singular=seed % 4 == 0)
    dense, found = at_theta(model, theta), BlockedEngine(model).criterion(theta)
    for reml in (False, True):
        close(found.profiled(reml), dense.profiled(reml))


class TestCompiledKernels(EngineContract):
    """The same contract with every product of the core done pair by pair in compiled code."""

    models = (0, 2, 4, 6, 7)

    @pytest.fixture(autouse=True)
    def _compiled(self, monkeypatch):
        monkeypatch.setattr(core, "DENSE_FILL", -1)
        monkeypatch.setattr(core, "DENSE_MIRROR", -1)

    def test_every_model_here_has_a_core(self):
        assert all(plan.make_plan(random_model(seed).terms).n_core > 0 for seed in self.models)

    def make(self, model):
        return BlockedEngine(model)


class TestCompiledStructures(TestCompiledKernels):
    """Residuals by unit, whose moments carry the derivatives, through the compiled kernels."""

    models = (4, 7, 12)

    def model(self, seed):
        return structured_model(seed)

    def test_every_model_here_has_a_core(self):
        assert all(plan.make_plan(structured_model(seed).terms).n_core > 0 for seed in self.models)


def places_of(rng, levels, n_core, q):
    rows = [np.sort(rng.choice(n_core, size=rng.integers(0, n_core), replace=False)) for _ in range(levels)]
    indptr = np.cumsum([0, *(r.size for r in rows)]).astype(np.intp)
    columns = np.concatenate(rows).astype(np.intp)
    row = np.repeat(np.arange(levels), np.diff(indptr))
    return (indptr, columns, row, np.argsort(columns, kind="stable")), rng.normal(size=(q, indptr[-1]))


@pytest.mark.parametrize("q", [1, 2, 3])
def test_kernels_against_numpy(q):
    rng = np.random.default_rng(q)
    index, R = places_of(rng, 6, 9, q)
    indptr, columns = index[:2]
    W = rng.normal(size=R.shape)
    C = rng.normal(size=(9, 9))
    C = C + C.T
    filled = np.zeros((9, 9))
    scatter.subtract_products(filled, *index, W, R)
    gathered = scatter.gather_products(C, *index, R)
    half = scatter.quadratic_forms(np.tril(C), *index, R)
    expected = np.zeros((9, 9))
    for i in range(6):
        own = slice(indptr[i], indptr[i + 1])
        at = columns[own]
        expected[np.ix_(at, at)] -= W[:, own].T @ R[:, own]
        close(gathered[:, own], R[:, own] @ C[np.ix_(at, at)])
        close(half[:, :, i] + half[:, :, i].T, R[:, own] @ C[np.ix_(at, at)] @ R[:, own].T)
    close(filled, np.tril(expected))
    mirrored = np.tril(C)
    scatter.mirror_lower(mirrored)
    close(mirrored, C)


def term(label, codes, q=1):
    codes = np.asarray(codes)
    return RandomTerm(label, codes, int(codes.max()) + 1, np.ones((codes.size, q)), Unstructured(q))


def test_nested_factors_form_a_chain():
    classes = np.repeat(np.arange(24), 4)
    made = plan.make_plan(
        (term("region", classes // 12), term("class", classes), term("school", classes // 3))
    )
    assert [b.l for b in made.chain] == [24, 8, 2]
    assert made.n_core == 0


def test_the_largest_crossed_factor_is_eliminated_first():
    a, b = np.divmod(np.arange(60), 6)
    made = plan.make_plan((term("b", b), term("a", a)))
    assert [x.l for x in made.chain] == [10]
    assert [x.l for x in made.core] == [6]


def test_terms_on_one_factor_share_a_block():
    g = np.repeat(np.arange(5), 4)
    made = plan.make_plan((term("g", g), term("g", g.copy(), 2)))
    assert [(x.l, x.q) for x in made.chain] == [(5, 3)]


def test_relabelled_copy_of_a_factor_is_nested_both_ways():
    g = np.repeat(np.arange(5), 4)
    made = plan.make_plan((term("g", g), term("h", (g * 2) % 5)))
    assert len(made.chain) == 2
    assert made.n_core == 0


def test_moments_of_row_chunks_add_up():
    model = random_model(7, n=120)
    engine = BlockedEngine(model)
    designs = engine._designs
    rng = np.random.default_rng(0)
    M = rng.normal(size=(model.n, 2))
    whole = random_moments(designs.plan, designs.Z), column_moments(designs.plan, designs.Z, M)
    first = rng.random(model.n) < 0.4
    parts = []
    for rows in (first, ~first):
        made = designs.plan.at(np.flatnonzero(rows))
        Z = tuple(z[rows] for z in designs.Z)
        own = M[rows]
        parts.append(Moments(random_moments(made, Z), column_moments(made, Z, own), own.T @ own))
    added = MomentStack(parts).combine(np.ones(2))
    total = added.random, added.columns
    for a, b in zip(total[0].diagonal + total[0].places, whole[0].diagonal + whole[0].places, strict=True):
        close(a, b, rel=1e-12)
    close(total[0].core, whole[0].core, rel=1e-12)
    for key, value in whole[0].cross.items():
        close(total[0].cross[key], value, rel=1e-12)
    for a, b in zip((*total[1].chain, total[1].core), (*whole[1].chain, whole[1].core), strict=True):
        close(a, b, rel=1e-12)


class TestRefusals:
    def setup_method(self):
        self.model = random_model(1)

    def test_relationship(self):
        first = self.model.terms[0]
        G = FactorRelationship(np.eye(first.n_levels))
        with pytest.raises(ModelNotSupportedError, match="relationship"):
            BlockedEngine(replace(self.model, terms=(replace(first, relationship=G),)))

    def test_units_that_cross_the_levels(self):
        rows = np.arange(self.model.n)
        R = ByUnit("us(h | u)", ("0", "1"), rows // 2, rows % 2, -(-rows.size // 2), Unstructured(2))
        with pytest.raises(ModelNotSupportedError, match=r"us\(h \| u\).*lie in different levels of 'g0'"):
            BlockedEngine(replace(self.model, residual=R))

    def test_too_many_sets_of_positions(self, monkeypatch):
        model = structured_model(1)
        monkeypatch.setattr(residual, "MAX_PARTS", 3)
        with pytest.raises(ModelNotSupportedError, match=r"sets of them, for which \d+ sums"):
            BlockedEngine(model)

    def test_several_levels_in_one_row(self):
        first = self.model.terms[0]
        codes = np.column_stack([first.codes, first.codes])
        with pytest.raises(ModelNotSupportedError, match="different levels"):
            BlockedEngine(replace(self.model, terms=(replace(first, codes=codes),)))

    def test_core_too_large(self, monkeypatch):
        monkeypatch.setattr(plan, "MAX_CORE", 5)
        a, b = np.divmod(np.arange(60), 6)
        model = MixedModel(np.arange(60.0), np.ones((60, 1)), (term("a", a), term("b", b)))
        with pytest.raises(ModelNotSupportedError, match=r"\(b\) have 6 effects"):
            BlockedEngine(model)
