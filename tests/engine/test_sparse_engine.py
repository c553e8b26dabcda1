"""The sparse engine against the dense twin, a textbook, and what is its own: boundaries, levels, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import block_diag, csc_array

from engine.contract import EngineContract, close, close_sized, complex_gradient, differences
from engine.dense import (
    at_theta,
    mixed_model,
    pedigree_precision,
    random_model,
    random_theta,
    relationship_matrix,
    stacked_z,
)
from henderson.covariance import (
    ByUnit,
    DenseRelationship,
    Diagonal,
    Identity,
    Precision,
    SparseFactorRelationship,
    Unstructured,
)
from henderson.covariance.blocks import sparse_root
from henderson.engine.blocked import BlockedEngine
from henderson.engine.sparse import SparseEngine, equations, joint, obstacle, second
from henderson.errors import DataError, ModelNotSupportedError
from henderson.fit.solve import solve
from henderson.model import MixedModel, RandomTerm

KINDS = ("identity", "precision", "families")


def sparse_model(seed):
    return mixed_model(seed, KINDS, maternal=True)


def animal_model(seed, *, animals=60, records=90, household=True):
    """A pedigree of which a third has no record, repeated records and households."""
    rng = np.random.default_rng(seed)
    relationship = pedigree_precision(rng, animals)
    codes = rng.integers(animals // 3, animals, records)
    u = relationship.root_times(rng.normal(size=animals))
    X = np.column_stack([np.ones(records), rng.normal(size=records)])
    y = X @ [2.0, 1.0] + 1.3 * u[codes] + rng.normal(size=records)
    terms = [RandomTerm("animal", codes, animals, np.ones((records, 1)), Unstructured(1), relationship)]
    if household:
        house = rng.integers(0, 12, records)
        y = y + rng.normal(size=12)[house]
        terms.append(RandomTerm("house", house, 12, np.ones((records, 1)), Unstructured(1)))
    return MixedModel(y, X, tuple(terms))


@pytest.mark.parametrize("weighted", [False, True])
def test_designs_whose_products_cancel(weighted):
    """Times -1, 0, 1: intercept and slope are orthogonal within an animal, but for weights and rounding."""
    rng = np.random.default_rng(4)
    animals, x = 40, np.tile([-1.0, 0.0, 1.0], 40)
    codes = np.repeat(np.arange(animals), 3)
    z = np.column_stack([np.ones(x.size), x])
    weights = rng.uniform(0.5, 2.0, x.size) if weighted else None
    term = RandomTerm("id", codes, animals, z, Unstructured(2), pedigree_precision(rng, animals))
    model = MixedModel(rng.normal(size=x.size), z, (term,), weights)
    for engine in (SparseEngine(model), SparseEngine(model).with_weights(rng.uniform(0.5, 2.0, x.size))):
        theta = np.array([0.8, 0.3, 0.5])
        close(engine.criterion(theta).profiled(True), at_theta(engine.model, theta).profiled(True))


def test_identical_twins_among_families():
    """A root of a singular block has products that cancel, whatever the pattern says."""
    rng = np.random.default_rng(5)
    block = np.array([[1.0, 1.0, 0.5], [1.0, 1.0, 0.5], [0.5, 0.5, 1.0]])
    root = sparse_root(csc_array(block_diag([block] * 12)))
    codes = rng.permutation(np.repeat(np.arange(36), 2))
    z = np.column_stack([np.ones(72), np.tile([-1.0, 1.0], 36)])
    term = RandomTerm("iid", codes, 36, z, Unstructured(2), SparseFactorRelationship(root))
    model = MixedModel(rng.normal(size=72), np.ones((72, 1)), (term,), rng.uniform(0.5, 2.0, 72))
    theta = np.array([0.8, -0.3, 0.5])
    found, dense = SparseEngine(model), at_theta(model, theta)
    close(found.criterion(theta).profiled(True), dense.profiled(True))
    b = dense.G @ dense.Z.T @ dense.P @ model.y
    close(found.solution(theta, reml=True).terms[0].b.ravel(), b)


class TestContract(EngineContract):
    models = tuple(range(24))

    def model(self, seed):
        return sparse_model(seed)

    def make(self, model):
        return SparseEngine(model)

    def test_the_models_are_of_every_kind(self):
        models = [sparse_model(seed) for seed in self.models]
        terms = [term for model in models for term in model.terms]
        assert {type(t.relationship) for t in terms} == {Identity, Precision, SparseFactorRelationship}
        assert {t.codes.ndim for t in terms} == {1, 2}
        assert {t.q for t in terms} == {1, 2, 3}
        assert any(np.unique(t.codes).size < t.n_levels for t in terms)
        assert {model.weights is None for model in models} == {True, False}
        assert {len(model.terms) for model in models} == {1, 2, 3}


@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize("seed", range(100, 130))
def test_thirty_random_models(seed, singular):
    model = sparse_model(seed)
    theta = random_theta(model, np.random.default_rng(seed), singular=singular)
    dense, found = at_theta(model, theta), SparseEngine(model).criterion(theta)
    for reml in (False, True):
        assert found.profiled(reml) == pytest.approx(dense.profiled(reml), rel=1e-8, abs=1e-8)
        expected = complex_gradient(lambda t, r=reml: at_theta(model, t).profiled(r), theta)
        close(found.profiled_gradient(reml), expected)


@pytest.mark.parametrize("seed", range(12))
def test_grouping_factors_as_the_blocked_engine(seed):
    model = random_model(seed)
    sparse, blocked = SparseEngine(model), BlockedEngine(model)
    for singular in (False, True):
        theta = random_theta(model, np.random.default_rng(seed), singular=singular)
        a, b = sparse.criterion(theta), blocked.criterion(theta)
        for reml in (False, True):
            close(a.profiled(reml), b.profiled(reml), rel=1e-11)
            close(a.profiled_gradient(reml), b.profiled_gradient(reml))
            for kind in ("observed", "average", "expected"):
                options = {"reml": reml, "kind": kind}
                close(sparse.profiled_hessian(theta, **options), blocked.profiled_hessian(theta, **options))
                close(
                    sparse.information(theta, **options).linear, blocked.information(theta, **options).linear
                )
    for own, other in zip(sparse.scaled_factors(theta), blocked.scaled_factors(theta), strict=True):
        close(own, other)


def test_mrode_example_4_1():
    """Mrode (2014), Linear Models for the Prediction of Animal Breeding Values, example 4.1."""
    sire, dam = [None, None, None, 1, 3, 1, 4, 3], [None, None, None, None, 2, 2, 5, 6]
    T, d = np.eye(8), np.ones(8)
    for i, parents in enumerate(zip(sire, dam, strict=True)):
        known = [p - 1 for p in parents if p]
        T[i, known], d[i] = -0.5, 1.0 - 0.25 * len(known)
    male = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    y = np.array([4.5, 2.9, 3.9, 3.5, 5.0])
    inverse = Precision(csc_array(T.T @ (T / d[:, None])))
    term = RandomTerm("calf", np.arange(3, 8), 8, np.ones((5, 1)), Unstructured(1), inverse)
    engine = SparseEngine(MixedModel(y, np.column_stack([male, 1.0 - male]), (term,)))
    theta = np.array([np.sqrt(20.0 / 40.0)])
    found = engine.solution(theta, reml=True)
    np.testing.assert_allclose(found.beta, [4.358, 3.404], atol=6e-4)  # the first is 4.3585, cut off
    expected = [0.098, -0.019, -0.041, -0.009, -0.186, 0.177, -0.249, 0.183]
    np.testing.assert_allclose(found.terms[0].b[:, 0], expected, atol=5e-4)
    pev = np.diag(engine.posterior_cov(theta, np.eye(10), reml=True))[2:] / found.sigma2
    np.testing.assert_allclose(pev, [0.471, 0.492, 0.456, 0.428, 0.428, 0.442, 0.442, 0.422], atol=5e-4)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_the_optimum_is_the_dense_twins(seed, reml):
    model = animal_model(seed)
    fitted = solve(SparseEngine(model), reml=reml)
    assert fitted.optimum.status == "converged"
    slope = lambda t: complex_gradient(lambda x: at_theta(model, x).profiled(reml), t)  # noqa: E731
    H = differences(slope, fitted.theta, np.ones(2))
    inside = fitted.theta > 0.0
    assert inside[0]
    newton = np.linalg.solve(H[np.ix_(inside, inside)], slope(fitted.theta)[inside])
    assert np.abs(newton).max() < 1e-6
    grid = [
        at_theta(model, np.array([a, b])).profiled(reml) for a in (0.2, 1.0, 3.0) for b in (0.0, 0.5, 2.0)
    ]
    assert fitted.criterion.profiled(reml) <= min(grid)


def test_a_household_without_variance_is_exactly_zero():
    model = animal_model(3)
    # records of one household differ by more than chance
    house = np.argsort(np.argsort(model.y - model.X @ [2.0, 1.0])) % 12
    model = replace(model, terms=(model.terms[0], replace(model.terms[1], codes=house)))
    engine = SparseEngine(model)
    fitted = solve(engine, reml=True)
    assert fitted.theta[1] == 0.0
    assert engine.covariance_gradient(fitted.theta, reml=True)[1][0, 0] > 0.0
    found = engine.solution(fitted.theta, reml=True)
    assert not found.terms[1].b.any()
    assert not found.terms[1].cond_var.any()


@pytest.mark.parametrize("theta", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("seed", range(3))
def test_slopes_keep_their_digits_near_zero(seed, theta):
    """d log|V| / d theta is of the size of theta, and is right to nine digits of that size."""
    model = animal_model(seed)
    at = np.array([theta, 0.7])
    engine = SparseEngine(model)
    found = engine.criterion(at)
    Z = stacked_z(model)[:, :60]
    K = Z @ relationship_matrix(model.terms[0]) @ Z.T
    dense = at_theta(model, at)
    assert found.d_logdet_v[0] == pytest.approx(2.0 * theta * np.sum(dense.Vi * K), rel=1e-9)
    Py = dense.P @ model.y
    assert found.d_pwrss[0] == pytest.approx(-2.0 * theta * Py @ K @ Py, rel=1e-9)
    at_zero = engine.covariance_gradient(np.array([0.0, 0.7]), reml=True)[0]
    dense = at_theta(model, np.array([0.0, 0.7]))
    Py = dense.P @ model.y
    expected = np.sum(dense.P * K) - (model.n - model.p) / dense.pwrss * Py @ K @ Py
    assert at_zero[0, 0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("small", [1e-3, 1e-6, 1e-9])
def test_slopes_keep_their_digits_near_a_correlation_of_one(small):
    model = mixed_model(0, ("precision",), maternal=False)
    rng = np.random.default_rng(1)
    z = np.column_stack([np.ones(model.n), rng.normal(size=model.n)])
    levels = 20
    codes = rng.integers(0, levels, model.n)
    term = RandomTerm("g", codes, levels, z, Unstructured(2), pedigree_precision(rng, levels))
    model = replace(model, terms=(term,))
    theta = np.array([1.0, 0.6, small])
    found = SparseEngine(model).criterion(theta)
    for name in ("logdet_v", "logdet_x", "pwrss"):
        expected = complex_gradient(lambda t, n=name: getattr(at_theta(model, t), n), theta)
        close_sized(getattr(found, f"d_{name}")[2], expected[2], rel=1e-7)
        close(getattr(found, f"d_{name}"), expected)


@pytest.mark.parametrize("shift", [1e6, -1e7])
def test_a_response_far_from_zero_keeps_its_digits(shift):
    model = animal_model(1)
    # numbers that the shift leaves exact
    model = replace(model, y=np.round(model.y * 2**10) / 2**10)
    theta = np.array([0.8, 0.4])
    engine = SparseEngine(model)
    expected = engine.criterion(theta)
    for moved in (SparseEngine(replace(model, y=model.y + shift)), engine.with_response(model.y + shift)):
        found = moved.criterion(theta)
        assert found.pwrss == pytest.approx(expected.pwrss, rel=1e-9)
        close(found.profiled_gradient(True), expected.profiled_gradient(True))


@pytest.mark.parametrize("seed", range(4))
def test_order_of_records_and_levels_does_not_matter(seed):
    model, rng = sparse_model(seed), np.random.default_rng(seed)
    rows = rng.permutation(model.n)
    orders = [rng.permutation(t.n_levels) for t in model.terms]
    terms = []
    for term, order in zip(model.terms, orders, strict=True):
        match term.relationship:
            case Precision(inverse=inverse):
                G = Precision(csc_array(inverse.toarray()[np.ix_(order, order)]))
            case SparseFactorRelationship(factor=factor):
                G = SparseFactorRelationship(csc_array(factor.toarray()[order]))
            case Identity():
                G = Identity()
        codes = np.argsort(order)[term.codes[rows]]
        terms.append(replace(term, codes=codes, z=term.z[rows], relationship=G))
    weights = None if model.weights is None else model.weights[rows]
    moved = MixedModel(model.y[rows], model.X[rows], tuple(terms), weights)
    theta = random_theta(model, rng)
    a, b = SparseEngine(model), SparseEngine(moved)
    close(b.criterion(theta).profiled(True), a.criterion(theta).profiled(True), rel=1e-11)
    close(b.criterion(theta).profiled_gradient(True), a.criterion(theta).profiled_gradient(True), rel=1e-9)
    for own, other, order in zip(
        b.solution(theta, reml=True).terms, a.solution(theta, reml=True).terms, orders, strict=True
    ):
        close(own.b, other.b[order], rel=1e-9)
        close(own.cond_var, other.cond_var[order], rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_two_records_of_half_weight_are_one(seed):
    model = sparse_model(seed)
    twice = np.repeat(np.arange(model.n), 2)
    weights = np.ones(model.n) if model.weights is None else model.weights
    terms = tuple(replace(t, codes=t.codes[twice], z=t.z[twice]) for t in model.terms)
    doubled = MixedModel(model.y[twice], model.X[twice], terms, 0.5 * weights[twice])
    theta = random_theta(model, np.random.default_rng(seed))
    found, expected = SparseEngine(doubled).criterion(theta), SparseEngine(model).criterion(theta)
    for name in ("logdet_v", "logdet_x", "pwrss", "d_logdet_v", "d_pwrss"):
        close(getattr(found, name), getattr(expected, name), rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_traces_of_large_models_by_differences(seed, monkeypatch):
    """Beyond a size the dense matrices give way to differences of exact slopes."""
    model = sparse_model(seed)
    for singular in (False, True):
        theta = random_theta(model, np.random.default_rng(seed), singular=singular)
        exact = SparseEngine(model)
        kinds = ("observed", "expected")
        expected = {
            (r, k): exact.profiled_hessian(theta, reml=r, kind=k) for r in (True, False) for k in kinds
        }
        with monkeypatch.context() as patch:
            patch.setattr(second, "DENSE", 0)
            engine = SparseEngine(model)
            for (reml, kind), H in expected.items():
                close(engine.profiled_hessian(theta, reml=reml, kind=kind), H, rel=1e-7)
            information = engine.information(theta, reml=True, kind="observed").linear
            trace = engine.kr_pieces(theta).trace
        close(information, exact.information(theta, reml=True, kind="observed").linear, rel=1e-7)
        expected_trace = exact.kr_pieces(theta).trace
        root = np.sqrt(np.diag(expected_trace))
        close(trace / np.outer(root, root), expected_trace / np.outer(root, root), rel=1e-7)


def test_few_pairs_of_roots_at_a_time(monkeypatch):
    """The chunks that bound the memory of joint covariances do not show."""
    for seed in range(6):
        model = sparse_model(seed)
        rng = np.random.default_rng(seed)
        theta = random_theta(model, rng)
        columns = [np.reshape(t.codes, (model.n, -1)).shape[1] for t in model.terms]
        levels = np.hstack(
            [rng.integers(-1, t.n_levels, (50, k)) for t, k in zip(model.terms, columns, strict=True)]
        )
        expected = SparseEngine(model).effect_cov(theta, levels, reml=True)
        with monkeypatch.context() as patch:
            patch.setattr(joint, "CHUNK", 7)
            found = SparseEngine(model).effect_cov(theta, levels, reml=True)
        close(found.C, expected.C, rel=1e-12)
        close(found.B, expected.B, rel=1e-12)


def test_the_start_is_inside_and_near_the_truth():
    ratios = []
    for seed in range(8):
        model = animal_model(seed, animals=200, records=500, household=False)
        theta = SparseEngine(model).start(reml=True)
        assert np.isfinite(theta).all()
        ratios.append(theta[0])
    assert 0.6 < np.median(ratios) < 2.5
    for seed in range(20):
        engine = SparseEngine(sparse_model(seed))
        theta = engine.start(reml=True)
        assert all(np.abs(np.linalg.det(T)) > 0.0 for T in engine.scaled_factors(theta))
        assert np.isfinite(engine.criterion(theta).profiled_gradient(True)).all()


def test_what_is_shared_is_shared():
    engine = SparseEngine(sparse_model(0))
    layout = engine._equations.layout
    assert engine.with_weights(None)._equations.layout is layout
    assert engine.with_response(engine.model.y)._equations is engine._equations
    assert engine.with_fixed(engine.model.X)._equations is engine._equations


def test_a_step_out_of_the_numbers_is_one_that_a_search_rejects():
    model = animal_model(0)
    engine = SparseEngine(replace(model, terms=(model.terms[1], model.terms[1])))
    for theta in ([1e10, 1e10], [np.inf, 1.0], [np.nan, 1.0]):
        with pytest.raises(FloatingPointError, match="not positive definite at theta"):
            engine.criterion(np.array(theta))


def test_dense_relationships_and_structured_residuals_are_refused():
    model = animal_model(0)
    dense = replace(model.terms[0], relationship=DenseRelationship(np.eye(60)))
    with pytest.raises(ModelNotSupportedError, match="'animal' is of the kind DenseRelationship"):
        SparseEngine(replace(model, terms=(dense,)))
    strata = ByUnit.strata("diag(h)", ("a", "b"), np.arange(model.n) % 2, Diagonal(2))
    with pytest.raises(ModelNotSupportedError, match=r"no residual='diag\(h\)'"):
        SparseEngine(replace(model, residual=strata))
    assert obstacle(model) is None


def test_memory_that_will_not_suffice_is_said_before_factoring(monkeypatch):
    monkeypatch.setattr(equations, "installed_memory", lambda: 1e4)
    with pytest.raises(DataError, match=r"GB of memory, and this machine has 1e-05 GB: fit fewer levels"):
        SparseEngine(animal_model(0))


def test_the_explanation_names_structure_and_fill():
    text = SparseEngine(animal_model(0)).explanation
    assert text.startswith("sparse: 'animal' has a sparse precision")
    assert "nonzeros" in text
    families = SparseFactorRelationship(csc_array(block_diag([np.eye(2)] * 30)))
    term = replace(animal_model(0).terms[0], relationship=families)
    assert (
        "'animal' has a sparse relationship"
        in SparseEngine(replace(animal_model(0), terms=(term,))).explanation
    )
