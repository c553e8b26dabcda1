"""The spectral engine against the dense twin, and what is its own: digits, boundaries, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csc_array

from engine.contract import EngineContract, close
from engine.dense import at_theta, random_model, related_model, relationship_matrix
from henderson.covariance import (
    ByUnit,
    DenseRelationship,
    Diagonal,
    FactorRelationship,
    Identity,
    Precision,
    Unstructured,
)
from henderson.engine.spectral import SpectralEngine
from henderson.errors import DataError, ModelNotSupportedError

THETAS = [0.0, 1e-4, -0.3, 1.0, 5.0]


class TestContract(EngineContract):
    models = tuple(range(16))
    takes_weights = False

    def model(self, seed):
        return related_model(seed)

    def make(self, model):
        return SpectralEngine(model)

    def test_the_models_are_of_every_kind(self):
        terms = [related_model(seed).terms[0] for seed in self.models]
        kinds = {type(t.relationship) for t in terms}
        assert kinds == {DenseRelationship, FactorRelationship}
        ranks = [np.linalg.matrix_rank(relationship_matrix(t)) for t in terms]
        assert {r == t.n_levels for r, t in zip(ranks, terms, strict=True)} == {True, False}
        assert {(t.z == 1.0).all() for t in terms} == {True, False}
        assert any((t.z == 0.0).any() for t in terms)
        assert any(t.n_levels > t.codes.size for t in terms)
        assert {related_model(seed).p for seed in self.models} == {1, 2, 3, 4}


@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize("seed", range(200, 230))
def test_thirty_random_models(seed, theta):
    model = related_model(seed)
    dense, found = at_theta(model, [theta]), SpectralEngine(model).criterion(np.array([theta]))
    for reml in (False, True):
        assert found.profiled(reml) == pytest.approx(dense.profiled(reml), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("theta", THETAS[1:])
def test_conditional_variances_keep_their_digits(theta):
    """Relative to themselves, however small: the textbook formula in extended precision."""
    mp = pytest.importorskip("mpmath")
    model = related_model(1, n=8)
    found = SpectralEngine(model).solution(np.array([theta]), reml=True)
    term = model.terms[0]
    with mp.workdps(40):
        S, n = mp.mpf(theta) ** 2, model.n
        G = mp.matrix(relationship_matrix(term).tolist())
        Z = mp.zeros(n, term.n_levels)
        for i, level in enumerate(term.codes.tolist()):
            Z[i, level] = mp.mpf(term.z[i, 0])
        V = mp.eye(n) + S * Z * G * Z.T
        C = S * G - S**2 * G * Z.T * mp.inverse(V) * Z * G
        expected = np.array([float(C[i, i]) for i in range(term.n_levels)])
    np.testing.assert_allclose(found.terms[0].cond_var[:, 0, 0], found.sigma2 * expected, rtol=1e-8)


@pytest.mark.parametrize("shift", [1e6, -1e8])
def test_a_response_far_from_zero_keeps_its_digits(shift):
    model = related_model(2, n=50)
    # numbers that a shift of 1e8 leaves exact
    model = replace(model, y=np.round(model.y * 2**10) / 2**10)
    moved = replace(model, y=model.y + shift)
    theta = np.array([0.8])
    a, b = SpectralEngine(model), SpectralEngine(moved)
    assert b.criterion(theta).pwrss == pytest.approx(a.criterion(theta).pwrss, rel=3e-16 * abs(shift))
    assert b.solution(theta, reml=True).beta[0] == pytest.approx(
        a.solution(theta, reml=True).beta[0] + shift, rel=1e-9
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_user_keeps_the_matrix(seed):
    model = related_model(seed)
    term = replace(model.terms[0], relationship=DenseRelationship(relationship_matrix(model.terms[0])))
    model = replace(model, terms=(term,))
    before = term.relationship.matrix.copy()
    term.relationship.matrix.setflags(write=False)
    engine = SpectralEngine(model)
    engine.solution(engine.start(reml=True), reml=True)
    np.testing.assert_array_equal(term.relationship.matrix, before)


@pytest.mark.parametrize("theta", [1e3, 1e5, 1e7])
@pytest.mark.parametrize("seed", [0, 1, 2, 5])
def test_pieces_are_finite_and_ordered_near_a_heritability_of_one(seed, theta):
    engine = SpectralEngine(related_model(seed))
    near, far = (engine.criterion(np.array([t])) for t in (theta, 2 * theta))
    assert far.logdet_v > near.logdet_v
    # fixed' V^-1 fixed falls, but for rounding in K that lambda enlarges
    assert far.logdet_x <= near.logdet_x + 1e-6 + 1e-14 * theta**2
    assert 0.0 < far.pwrss < near.pwrss


def test_single_precision_relationship_is_as_good_as_its_rounding():
    """A matrix read from a file of 32-bit numbers is not quite positive semi-definite."""
    model = related_model(1, n=60)
    term = model.terms[0]
    G = relationship_matrix(term).astype(np.float32).astype(np.float64)
    rounded = replace(model, terms=(replace(term, relationship=DenseRelationship(G)),))
    a, b = SpectralEngine(model), SpectralEngine(rounded)
    for theta in (0.3, 3.0, 300.0):
        for reml in (False, True):
            found = b.criterion(np.array([theta])).profiled(reml)
            assert np.isfinite(found)
            if theta < 10:
                assert found == pytest.approx(a.criterion(np.array([theta])).profiled(reml), abs=1e-3)


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_rounding_of_a_singular_relationship_does_not_take_over_the_fixed_effects(seed):
    """Where G has nothing, its rounded covariance with the fixed effects would be multiplied by lambda."""
    model = related_model(seed, n=60)
    term = model.terms[0]
    G = relationship_matrix(term).astype(np.float32).astype(np.float64)
    assert np.linalg.matrix_rank(relationship_matrix(term)) < model.n
    rounded = replace(model, terms=(replace(term, relationship=DenseRelationship(G)),))
    theta = np.array([3e4])
    a, b = (SpectralEngine(m).solution(theta, reml=True).beta for m in (model, rounded))
    assert np.abs(b / a - 1.0).max() < 5.0


@pytest.mark.parametrize("reml", [True, False])
def test_the_start_is_the_best_of_a_dense_grid(reml):
    engine = SpectralEngine(related_model(0, n=40))
    best = engine.criterion(engine.start(reml=reml)).profiled(reml=reml)
    for theta in np.logspace(-2.4, 2.4, 50):
        # within what the coarser grid can miss
        assert best < engine.criterion(np.array([theta])).profiled(reml=reml) + 0.5


@pytest.mark.parametrize("unit", [1e-6, 40.0])
def test_the_start_knows_the_unit_of_the_relationship(unit):
    model = related_model(0, n=40)
    G = unit * relationship_matrix(model.terms[0])
    scaled = replace(model, terms=(replace(model.terms[0], relationship=DenseRelationship(G)),))
    a, b = SpectralEngine(model), SpectralEngine(scaled)
    assert np.sqrt(unit) * b.start(reml=True) == pytest.approx(a.start(reml=True))
    assert np.sqrt(unit) * b.coordinates().M == pytest.approx(a.coordinates().M)


def test_a_new_response_shares_the_spectrum():
    engine = SpectralEngine(related_model(3))
    other = engine.with_response(np.arange(float(engine.model.n)))
    assert other.spectrum is engine.spectrum
    assert engine.with_weights(None).spectrum is engine.spectrum
    close(other.eta, engine.spectrum.vectors.T @ other.model.y)


class TestRefusals:
    def setup_method(self):
        self.model = related_model(0)
        self.term = self.model.terms[0]

    def refused(self, match, **changes):
        of_term = {k: changes.pop(k) for k in list(changes) if hasattr(self.term, k)}
        terms = changes.pop("terms", (replace(self.term, **of_term),))
        with pytest.raises(ModelNotSupportedError, match=match) as error:
            SpectralEngine(replace(self.model, terms=terms, **changes))
        assert "\n" not in str(error.value)

    def test_unrelated_levels(self):
        self.refused("unrelated", relationship=Identity())

    def test_a_sparse_precision(self):
        G = Precision(csc_array(np.eye(self.term.n_levels)))
        self.refused("Precision", relationship=G)

    def test_other_terms_beside_it(self):
        self.refused("together are more", terms=(self.term, random_model(0).terms[0]))

    def test_slopes(self):
        z = np.ones((self.model.n, 2))
        self.refused("2 effects", z=z, covariance=Unstructured(2))

    def test_repeated_records(self):
        codes = self.term.codes.copy()
        codes[:2] = codes[2]
        self.refused("1 levels of 'iid' have more than one row", codes=codes)

    def test_weights(self):
        self.refused("weights", weights=np.ones(self.model.n))
        with pytest.raises(ModelNotSupportedError, match="weights"):
            SpectralEngine(self.model).with_weights(np.ones(self.model.n))

    def test_residual_structure(self):
        halves = np.arange(self.model.n) % 2
        words = r"takes no residual='diag\(h\)'$"
        self.refused(words, residual=ByUnit.strata("diag(h)", ("0", "1"), halves, Diagonal(2)))

    def test_a_matrix_that_is_no_covariance(self):
        G = relationship_matrix(self.term) - 2.0 * np.eye(self.term.n_levels)
        with pytest.raises(DataError, match="positive semi-definite"):
            SpectralEngine(
                replace(self.model, terms=(replace(self.term, relationship=DenseRelationship(G)),))
            )
