"""The dense engine against the dense twin and the other engines, and what is its own: how V is made small."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import EngineContract, close
from engine.dense import (
    Dense,
    at_theta,
    mixed_model,
    random_model,
    random_theta,
    related_model,
    relationship_matrix,
    structured_model,
)
from henderson.covariance import (
    ByUnit,
    DenseRelationship,
    Diagonal,
    FactorRelationship,
    Homogeneous,
    Identity,
    Precision,
    SparseFactorRelationship,
    Unstructured,
)
from henderson.engine.blocked import BlockedEngine, obstacle
from henderson.engine.dense import DenseEngine, memory_needed
from henderson.engine.dense import blocks as blocks_module
from henderson.engine.dense import curvature as curvature_module
from henderson.engine.dense import designs as designs_module
from henderson.engine.dense import memory as memory_module
from henderson.engine.dense import point as point_module
from henderson.engine.dense.reml import reml as reml_of_kernels
from henderson.engine.spectral import SpectralEngine
from henderson.errors import DataError
from henderson.fit.solve import solve
from henderson.model import MixedModel, RandomTerm

KINDS = ("identity", "precision", "dense", "factor", "families")


def repeated_model(seed):
    """Records that are alike in all random terms, in any order; every second model has many more of them than
    random effects, and designs that differ from record to record."""
    model = mixed_model(seed, KINDS)
    rng = np.random.default_rng([seed, 1])
    if seed % 2:
        levels = [int(rng.integers(3, 6)) for _ in model.terms]
        rows = rng.integers(0, model.n, 6 * sum(k * t.q for k, t in zip(levels, model.terms, strict=True)))
        terms = [
            replace(
                term,
                codes=term.codes[rows] % k,
                n_levels=k,
                z=term.z[rows] + rng.normal(size=(rows.size, term.q)),
                relationship=DenseRelationship(relationship_matrix(term)[:k, :k]),
            )
            for k, term in zip(levels, model.terms, strict=True)
        ]
    else:
        rows = rng.permutation(np.repeat(np.arange(model.n // 2), 3))
        terms = [replace(term, codes=term.codes[rows], z=term.z[rows]) for term in model.terms]
    X = np.column_stack([np.ones(rows.size), rng.normal(size=rows.size)])
    weights = rng.uniform(0.3, 2.0, rows.size) if seed % 3 else None
    return MixedModel(rng.normal(size=rows.size) + 3.0, X, tuple(terms), weights)


def one_term(codes, relationship=None, n_levels=None, z=None, label="iid"):
    n_levels = int(np.max(codes)) + 1 if n_levels is None else n_levels
    z = np.ones((len(codes), 1)) if z is None else z
    covariance = Unstructured(z.shape[1])
    return RandomTerm(label, np.asarray(codes), n_levels, z, covariance, relationship or Identity())


def with_term(term, n, **changes):
    rng = np.random.default_rng(0)
    return MixedModel(rng.normal(size=n), np.ones((n, 1)), (term,), **changes)


class TestAnyModel(EngineContract):
    # In models 9 and 13 the residuals of a unit all but determine each other, and the twin loses the digits
    models = tuple(seed for seed in range(20) if seed not in {9, 13})

    def model(self, seed):
        return mixed_model(seed, KINDS, maternal=True, residuals=True)

    def make(self, model):
        return DenseEngine(model)

    def test_the_models_are_of_every_kind(self):
        models = [self.model(seed) for seed in self.models]
        terms = [term for model in models for term in model.terms]
        kinds = {Identity, Precision, DenseRelationship, FactorRelationship, SparseFactorRelationship}
        assert {type(t.relationship) for t in terms} == kinds
        assert {t.codes.ndim for t in terms} == {1, 2}
        assert {len(m.terms) for m in models} == {1, 2, 3}
        assert {type(m.residual) for m in models} == {Homogeneous, ByUnit}
        assert {m.weights is None for m in models} == {True, False}


class TestRepeatedRecords(EngineContract):
    models = tuple(range(12))

    def model(self, seed):
        return repeated_model(seed)

    def make(self, model):
        return DenseEngine(model)

    def test_the_models_are_made_small_in_both_ways(self):
        for seed in self.models:
            model = self.model(seed)
            engine = DenseEngine(model)
            if seed % 2:
                effects = sum(np.unique(term.codes).size * term.q for term in model.terms)
                assert engine.size == effects < model.n / 4
            else:
                assert engine.size <= model.n / 3


class TestResidualsByStratum(EngineContract):
    models = (0, 1, 3, 4, 6, 7)

    def model(self, seed):
        return structured_model(seed)

    def make(self, model):
        return DenseEngine(model)


def same_answers(engine, other, theta):
    a, b = engine.criterion(theta), other.criterion(theta)
    for reml, kind in ((True, "average"), (False, "observed")):
        close(a.profiled(reml), b.profiled(reml), rel=1e-9)
        close(a.profiled_gradient(reml), b.profiled_gradient(reml))
        x, y = (e.information(theta, reml=reml, kind=kind) for e in (engine, other))
        close(x.linear, y.linear)
        close(x.theta_sigma2, y.theta_sigma2)
        x, y = (e.solution(theta, reml=reml) for e in (engine, other))
        close(x.beta, y.beta)
        for left, right in zip(x.terms, y.terms, strict=True):
            close(left.b, right.b)
            close(left.cond_var, right.cond_var)


@pytest.mark.parametrize("seed", range(8))
def test_at_equal_theta_as_the_spectral_engine(seed):
    model = related_model(seed)
    same_answers(DenseEngine(model), SpectralEngine(model), np.array([0.7]))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("make", [random_model, structured_model])
def test_at_equal_theta_as_the_blocked_engine(make, seed):
    model = make(seed)
    assert obstacle(model) is None
    theta = random_theta(model, np.random.default_rng(seed))
    same_answers(DenseEngine(model), BlockedEngine(model), theta)


# In model 3 maximum likelihood leaves no residual variance: theta is on its way to infinity
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("seed", [0, 1, 2, 4, 5, 6])
def test_the_search_ends_where_the_spectral_engine_s_does(seed, reml):
    model = related_model(seed, n=60)
    same_optimum(solve(DenseEngine(model), reml=reml), solve(SpectralEngine(model), reml=reml))


# Terms of random model 0 are on one grouping factor, and the criterion is flat along a curve
@pytest.mark.parametrize("make", [random_model, structured_model])
@pytest.mark.parametrize("seed", range(1, 6))
def test_the_search_ends_where_the_blocked_engine_s_does(make, seed):
    model = make(seed)
    same_optimum(solve(DenseEngine(model), reml=True), solve(BlockedEngine(model), reml=True))


@pytest.mark.parametrize("seed", range(4))
def test_the_search_ends_where_that_of_kernels_does(seed):
    rng = np.random.default_rng(seed)
    n = 80
    factors = [rng.normal(size=(n, 160)) / np.sqrt(160) for _ in range(2)]
    kernels = [W @ W.T for W in factors]
    y = rng.normal(size=n) + sum(W @ rng.normal(size=160) for W in factors[: 1 + seed % 2])
    terms = tuple(one_term(np.arange(n), DenseRelationship(K), label=f"g{i}") for i, K in enumerate(kernels))
    mine = solve(DenseEngine(replace(with_term(terms[0], n), y=y, terms=terms)), reml=True)
    other = reml_of_kernels(kernels, np.ones((n, 1)), y)
    assert mine.criterion.profiled(True) == pytest.approx(-2.0 * other.loglik, abs=1e-8)
    close(mine.theta**2, other.ratios, rel=1e-6)


def same_optimum(mine, other):
    values = [fitted.criterion.profiled(fitted.reml) for fitted in (mine, other)]
    assert values[0] == pytest.approx(values[1], abs=1e-9)
    for a, b in zip(mine.factors, other.factors, strict=True):
        close(a @ a.T, b @ b.T, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_response_far_from_zero_keeps_its_digits(seed):
    model = repeated_model(seed)
    model = replace(model, y=np.round(model.y * 2**10) / 2**10)
    moved = replace(model, y=model.y + 1e6)
    theta = random_theta(model, np.random.default_rng(seed))
    a, b = DenseEngine(model), DenseEngine(moved)
    assert b.criterion(theta).profiled(True) == pytest.approx(a.criterion(theta).profiled(True), abs=1e-7)
    assert b.criterion(theta).pwrss == pytest.approx(a.criterion(theta).pwrss, rel=1e-9)
    close(b.solution(theta, reml=True).terms[0].b, a.solution(theta, reml=True).terms[0].b, rel=1e-8)


class TestFewerCoordinates:
    def test_one_record_each_stays_as_it_is(self):
        model = related_model(1)
        assert DenseEngine(model).size == model.n

    def test_records_of_one_level_are_one(self):
        term = one_term(np.repeat(np.arange(10), 5), DenseRelationship(np.eye(12)), 12)
        assert DenseEngine(with_term(term, 50)).size == 10

    def test_records_that_differ_in_a_slope_are_a_coordinate_per_effect(self):
        age = np.random.default_rng(0).normal(size=50)
        term = one_term(np.repeat(np.arange(10), 5), z=np.column_stack([np.ones(50), age]))
        assert DenseEngine(with_term(term, 50)).size == 20

    def test_a_factor_of_low_rank_needs_no_more_than_its_columns(self):
        L = np.random.default_rng(0).normal(size=(40, 3))
        term = one_term(np.arange(40), FactorRelationship(L))
        assert DenseEngine(with_term(term, 40)).size == 3

    def test_a_second_factor_divides_the_cells(self):
        first = one_term(np.repeat(np.arange(10), 4), DenseRelationship(np.eye(10)))
        second = one_term(np.tile([0, 0, 1, 1], 10))
        model = with_term(first, 40)
        # 20 cells, but 12 effects
        assert DenseEngine(replace(model, terms=(first, second))).size == 12

    def test_a_residual_structure_keeps_every_record(self):
        term = one_term(np.repeat(np.arange(10), 5))
        residual = ByUnit.strata("diag(h)", ("a", "b"), np.arange(50) % 2, Diagonal(2))
        assert DenseEngine(with_term(term, 50, residual=residual)).size == 50

    def test_the_rows_are_orthonormal_and_hold_the_random_effects(self):
        for seed in range(6):
            model = repeated_model(seed)
            designs = designs_module.make_designs(model)
            reduction = designs.reduction
            B = reduction.down(np.eye(model.n))
            close(B @ B.T, np.eye(reduction.size), rel=1e-13)
            w = np.ones(model.n) if model.weights is None else model.weights
            one = [np.eye(t.q) for t in model.terms]
            dense = Dense(model, [*one, None])
            ZGZ = (dense.V - dense.R) * np.sqrt(np.outer(w, w))
            close(reduction.rest(ZGZ), np.zeros_like(ZGZ), rel=1e-12)
            close(reduction.up(reduction.up(designs.system.matrix(tuple(one))).T), ZGZ, rel=1e-12)
            close(reduction.up(np.eye(reduction.size)), B.T, rel=1e-14)


def test_a_record_split_into_two_halves_changes_nothing_but_the_weights():
    model = repeated_model(2)
    theta = random_theta(model, np.random.default_rng(0))
    twice = np.repeat(np.arange(model.n), 2)
    weights = (np.ones(model.n) if model.weights is None else model.weights)[twice] / 2.0
    terms = tuple(replace(t, codes=t.codes[twice], z=t.z[twice]) for t in model.terms)
    split = MixedModel(model.y[twice], model.X[twice], terms, weights)
    engine, other = DenseEngine(model), DenseEngine(split)
    assert other.size == engine.size
    a, b = engine.criterion(theta), other.criterion(theta)
    for name in ("logdet_v", "logdet_x", "pwrss"):
        assert getattr(b, name) == pytest.approx(getattr(a, name), rel=1e-11)
        close(getattr(b, f"d_{name}"), getattr(a, f"d_{name}"), rel=1e-10)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_neither_the_order_of_the_records_nor_the_names_of_the_levels_matter(seed):
    rng = np.random.default_rng(seed)
    model = (repeated_model if seed % 2 else lambda s: mixed_model(s, KINDS, residuals=True))(seed % 40)
    theta = random_theta(model, rng)
    rows, terms = rng.permutation(model.n), []
    for term in model.terms:
        name = rng.permutation(term.n_levels)
        back = np.argsort(name)
        G = DenseRelationship(relationship_matrix(term)[np.ix_(back, back)])
        terms.append(replace(term, codes=name[term.codes][rows], z=term.z[rows], relationship=G))
    residual = model.residual
    if isinstance(residual, ByUnit):
        residual = replace(residual, unit=residual.unit[rows], position=residual.position[rows])
    weights = None if model.weights is None else model.weights[rows]
    other = MixedModel(model.y[rows], model.X[rows], tuple(terms), weights, residual)
    for reml in (True, False):
        a, b = (DenseEngine(m).criterion(theta) for m in (model, other))
        assert b.profiled(reml) == pytest.approx(a.profiled(reml), rel=1e-8, abs=1e-8)
        close(b.profiled_gradient(reml), a.profiled_gradient(reml), rel=1e-7)


class TestTheStart:
    @pytest.mark.parametrize("seed", range(0, 24, 2))
    def test_is_inside_and_no_worse_than_none(self, seed):
        model = mixed_model(seed, KINDS, residuals=True)
        engine = DenseEngine(model)
        for reml in (True, False):
            theta = engine.start(reml=reml)
            assert np.isfinite(theta).all()
            for T in engine.scaled_factors(theta):
                values = np.linalg.eigvalsh(T @ T.T)
                assert values.min() > 0.0
            assert np.isfinite(engine.criterion(theta).profiled(reml))

    @pytest.mark.parametrize("unit", [1e-4, 30.0])
    def test_knows_the_units_of_relationships_and_slopes(self, unit):
        model = related_model(6, n=50)
        (term,) = model.terms
        scaled = replace(
            term, z=unit * term.z, relationship=DenseRelationship(unit * relationship_matrix(term))
        )
        a, b = DenseEngine(model), DenseEngine(replace(model, terms=(scaled,)))
        assert unit**1.5 * b.start(reml=True) == pytest.approx(a.start(reml=True))
        assert unit**1.5 * b.coordinates().M == pytest.approx(a.coordinates().M)

    def test_is_the_answer_itself_in_a_balanced_design(self):
        rng = np.random.default_rng(4)
        codes = np.repeat(np.arange(12), 4)
        y = rng.normal(size=12)[codes] + rng.normal(size=48)
        model = MixedModel(y, np.ones((48, 1)), (one_term(codes),))
        between = 4.0 * np.var(y.reshape(12, 4).mean(axis=1), ddof=1)
        within = y.reshape(12, 4).var(axis=1, ddof=1).mean()
        expected = np.sqrt((between / within - 1.0) / 4.0)
        assert DenseEngine(model).start(reml=True) == pytest.approx([expected])

    def test_serves_another_response_with_the_same_equations(self):
        engine = DenseEngine(related_model(6, n=50))
        engine.start(reml=True)
        y = np.random.default_rng(3).normal(size=50)
        fresh = DenseEngine(replace(engine.model, y=y))
        assert engine.with_response(y).start(reml=True) == pytest.approx(fresh.start(reml=True))


class TestSharing:
    def count(self, monkeypatch):
        calls = []
        plain = point_module.factorise

        def counted(V, X):
            calls.append(len(V))
            return plain(V, X)

        monkeypatch.setattr(point_module, "factorise", counted)
        return calls

    def test_one_factor_serves_all_questions_at_a_theta(self, monkeypatch):
        engine = DenseEngine(repeated_model(2))
        theta = random_theta(engine.model, np.random.default_rng(0))
        calls = self.count(monkeypatch)
        engine.criterion(theta)
        engine.solution(theta, reml=True)
        engine.information(theta, reml=True, kind="average")
        engine.project(theta, np.ones((engine.model.n, 1)))
        assert calls == [engine.size]
        engine.forget()
        engine.criterion(theta)
        assert len(calls) == 2

    def test_the_average_information_takes_no_product_of_matrices(self, monkeypatch):
        """Neither an inverse nor K times anything but the columns that are asked about."""
        engine = DenseEngine(related_model(0, n=40))
        theta = np.array([0.7])
        engine.criterion(theta)
        widths, plain = [], blocks_module.DenseBlock.times

        def counted(block, M):
            widths.append(M.shape[1])
            return plain(block, M)

        monkeypatch.setattr(blocks_module.DenseBlock, "times", counted)
        monkeypatch.setattr(curvature_module, "inverse", lambda _: pytest.fail("an inverse"))
        engine.information(theta, reml=True, kind="average")
        engine.profiled_hessian(theta, reml=True, kind="average")
        assert widths == [1, 1]

    def test_another_response_shares_all_that_is_not_y(self):
        engine = DenseEngine(repeated_model(2))
        other = engine.with_response(np.arange(float(engine.model.n)))
        assert other._designs is engine._designs
        assert engine.with_fixed(np.ones((engine.model.n, 1)))._designs is engine._designs

    def test_terms_on_one_relationship_share_its_matrix_which_is_the_user_s_own(self):
        G = DenseRelationship(relationship_matrix(related_model(0, n=30).terms[0]))
        n = len(G.matrix)
        before = G.matrix.copy()
        G.matrix.setflags(write=False)
        slope = np.random.default_rng(0).normal(size=(n, 1))
        terms = (one_term(np.arange(n), G), one_term(np.arange(n), G, z=slope))
        engine = DenseEngine(replace(with_term(terms[0], n), terms=terms))
        blocks = [kernel.parts[0].block for kernel in engine._designs.system.terms]
        assert blocks[0] is blocks[1]
        assert blocks[0].K is G.matrix
        solve(engine, reml=True)
        np.testing.assert_array_equal(G.matrix, before)


class TestRefusals:
    def test_too_little_memory_before_anything_large_is_made(self, monkeypatch):
        model = related_model(0, n=40)
        terms = (
            *model.terms,
            replace(model.terms[0], label="site", relationship=DenseRelationship(np.eye(60))),
        )
        model = replace(model, terms=terms)
        needed = memory_needed(model)
        monkeypatch.setattr(memory_module, "installed_memory", lambda: needed * 1.01)
        DenseEngine(model)
        monkeypatch.setattr(memory_module, "installed_memory", lambda: needed * 0.99)
        monkeypatch.setattr(designs_module, "reduce", lambda *_: pytest.fail("too late"))
        with pytest.raises(DataError, match=r"40 x 40 numbers.*'iid' and 'site' a pedigree") as error:
            DenseEngine(model)
        assert "\n" not in str(error.value)

    def test_memory_grows_with_the_square_of_the_coordinates(self):
        small, large = (memory_needed(with_term(one_term(np.arange(n)), n)) for n in (1000, 2000))
        assert large == pytest.approx(4.0 * small)
        assert large >= 3 * 8 * 2000**2
        repeated = memory_needed(with_term(one_term(np.arange(2000) % 100), 2000))
        assert repeated < 0.01 * large

    def test_memory_is_not_asked_for_where_the_system_does_not_tell(self, monkeypatch):
        monkeypatch.setattr("os.sysconf", lambda _: (_ for _ in ()).throw(ValueError))
        assert memory_module.installed_memory() == np.inf
        DenseEngine(related_model(0))

    def test_a_matrix_that_is_no_covariance_is_named(self):
        model = related_model(0)
        bad = relationship_matrix(model.terms[0]) - 2.0 * np.eye(model.terms[0].n_levels)
        term = replace(model.terms[0], label="bad", relationship=DenseRelationship(bad))
        engine = DenseEngine(replace(model, terms=(replace(model.terms[0], label="good"), term)))
        with pytest.raises(DataError, match="'bad' is not positive semi-definite"):
            engine.criterion(np.array([1.0, 2.0]))

    def test_a_step_too_far_is_no_fault_of_the_matrix(self):
        """The search takes such steps back."""
        engine = DenseEngine(related_model(1))
        for theta in (1e200, np.nan):
            with pytest.raises(FloatingPointError), np.errstate(all="ignore"):
                engine.criterion(np.array([theta]))


class TestExplanation:
    def test_names_the_relationships_and_the_size(self):
        G = DenseRelationship(np.eye(10))
        codes = np.repeat(np.arange(10), 3)
        terms = (
            one_term(codes, G),
            one_term(codes, G, label="site"),
            one_term(codes // 2, label="household"),
        )
        model = replace(with_term(terms[0], 30), terms=terms)
        assert DenseEngine(model).explanation == (
            "dense: two relationship matrices (iid, site), one grouping factor (household) and repeated "
            "records, solved in 10 coordinates instead of 30 records"
        )

    def test_names_weights_and_the_residual(self):
        residual = ByUnit.strata("diag(h)", ("a", "b"), np.arange(6) % 2, Diagonal(2))
        model = with_term(one_term(np.arange(6) // 2), 6, residual=residual, weights=np.full(6, 2.0))
        assert DenseEngine(model).explanation == (
            "dense: one grouping factor (iid), residual='diag(h)' and weights, solved by the covariance "
            "matrix of 6 records"
        )


def test_the_example_of_the_docstring_is_right():
    G = DenseRelationship(np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    term = one_term([0, 1, 2, 2], G)
    model = MixedModel(np.array([1.0, 2.0, 4.0, 5.0]), np.ones((4, 1)), (term,))
    assert at_theta(model, [1.0]).profiled(True) == pytest.approx(12.258547, abs=1e-6)
