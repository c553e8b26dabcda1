"""H^-1 against dense algebra, APY, and relationships of interactions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covariance.pedigrees import named, random_parents, tabular
from henderson.covariance import Precision, RelationshipMatrix
from henderson.covariance.epistasis import epistatic
from henderson.covariance.pedigree import Pedigree, single_step
from henderson.errors import DataError
from henderson.genotype import Samples


def cohort(seed=1, n=40, genotyped=12, variants=60):
    """A pedigree, the positions of those genotyped in any order, and a G of theirs that is not quite A22."""
    rng = np.random.default_rng(seed)
    sire, dam = random_parents(seed, n)
    names = [f"a{i}" for i in range(n)]
    pedigree = Pedigree.of(names, named(sire, names), named(dam, names))
    rows = rng.permutation(n)[:genotyped]
    root = np.linalg.cholesky(tabular(sire, dam))[rows]
    M = root @ rng.normal(size=(n, variants))
    G = RelationshipMatrix.of(0.9 * M @ M.T / variants + 0.2, [names[i] for i in rows])
    return pedigree, rows, G, tabular(sire, dam)


def dense_h(A, rows, blended):
    """H by the distribution of the others given the genotyped (Legarra, Aguilar and Misztal 2009)."""
    rest = np.setdiff1d(np.arange(len(A)), rows)
    back = A[np.ix_(rest, rows)] @ np.linalg.inv(A[np.ix_(rows, rows)])
    H = np.empty_like(A)
    H[np.ix_(rows, rows)] = blended
    H[np.ix_(rest, rows)] = back @ blended
    H[np.ix_(rows, rest)] = (back @ blended).T
    H[np.ix_(rest, rest)] = A[np.ix_(rest, rest)] + back @ (blended - A[np.ix_(rows, rows)]) @ back.T
    return H


def off_diagonal(M):
    return M[~np.eye(len(M), dtype=bool)].mean()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), alpha=st.floats(0.5, 1.0))
def test_inverse_of_dense_h(seed, alpha):
    pedigree, rows, G, A = cohort(seed)
    found = single_step(pedigree, G, alpha=alpha, beta=1.1 - alpha, tuned=False)
    assert isinstance(found.precision, Precision)
    assert found.names == tuple(pedigree.ids.tolist())
    place = np.argsort([int(name[1:]) for name in found.names])
    blended = alpha * G.matrix + (1.1 - alpha) * A[np.ix_(rows, rows)]
    inverse = found.precision.inverse.toarray()[np.ix_(place, place)]
    np.testing.assert_allclose(inverse @ dense_h(A, rows, blended), np.eye(len(A)), atol=1e-7)
    np.testing.assert_array_equal(inverse, inverse.T)
    assert found.precision.inverse.has_canonical_format


def test_tuned_g_has_the_means_of_a22():
    pedigree, rows, G, A = cohort(3)
    A22 = A[np.ix_(rows, rows)]
    found = single_step(pedigree, G, alpha=1.0, beta=0.0)
    H = np.linalg.inv(found.precision.inverse.toarray())
    H22 = H[np.ix_(*2 * (pedigree.positions(G.samples.iid),))]
    assert np.trace(H22) == pytest.approx(np.trace(A22), rel=1e-9)
    assert off_diagonal(H22) == pytest.approx(off_diagonal(A22), rel=1e-9)
    # a line of G, so that tuning does not see its scale
    assert np.corrcoef(H22.ravel(), G.matrix.ravel())[0, 1] == pytest.approx(1.0, abs=1e-10)
    other = RelationshipMatrix(3.0 * G.matrix - 0.7, G.samples)
    again = single_step(pedigree, other, alpha=1.0, beta=0.0)
    np.testing.assert_allclose(
        again.precision.inverse.toarray(), found.precision.inverse.toarray(), rtol=1e-7, atol=1e-7
    )


def test_genotypes_that_say_what_the_pedigree_says_change_nothing():
    pedigree, rows, G, A = cohort(4)
    same = RelationshipMatrix.of(A[np.ix_(rows, rows)], G.samples.iid)
    found = single_step(pedigree, same)
    expected = pedigree.relationship().inverse.toarray()
    np.testing.assert_allclose(found.precision.inverse.toarray(), expected, atol=1e-8)


def test_apy_with_everybody_in_the_core_is_the_inverse():
    pedigree, _, G, _ = cohort(5)
    whole = single_step(pedigree, G).precision.inverse.toarray()
    core = G.samples.iid[::-1]
    np.testing.assert_allclose(
        single_step(pedigree, G, core=core).precision.inverse.toarray(), whole, atol=1e-7
    )


def test_apy_makes_the_others_independent_given_the_core():
    pedigree, rows, G, A = cohort(6)
    n_core, A22 = 5, A[np.ix_(rows, rows)]
    core, rest = np.arange(n_core), np.arange(n_core, len(rows))
    blended = 0.95 * G.matrix + 0.05 * A22
    # what is given by the core stays, and of what is left the diagonal alone
    given_core = blended[:, core] @ np.linalg.solve(blended[np.ix_(core, core)], blended[core])
    apy = given_core + np.diag(np.diag(blended - given_core))
    found = single_step(pedigree, G, tuned=False, core=G.samples.iid[core])
    place = pedigree.positions(G.samples.iid)
    H22 = np.linalg.inv(found.precision.inverse.toarray())[np.ix_(place, place)]
    np.testing.assert_allclose(H22, apy, atol=1e-8)
    assert abs(H22 - blended)[np.ix_(rest, rest)].max() > 1e-3


def test_refusals_of_single_step():
    pedigree, _, G, _ = cohort(7, genotyped=4)
    names = G.samples.iid.tolist()
    with pytest.raises(DataError, match=r"genomic relationship matrix: 1 of 4 animals is not .* \('zz'\)"):
        single_step(pedigree, RelationshipMatrix.of(G.matrix, [*names[:3], "zz"]))
    with pytest.raises(DataError, match="more than once"):
        single_step(pedigree, RelationshipMatrix.of(G.matrix, [*names[:3], names[0]]))
    with pytest.raises(DataError, match=r"1 of the 2 core animals are not genotyped \('zz'\)"):
        single_step(pedigree, G, core=[names[0], "zz"])
    with pytest.raises(DataError, match="the core has no animals"):
        single_step(pedigree, G, core=[])
    with pytest.raises(DataError, match=r"alpha=-1 and beta=0\.05"):
        single_step(pedigree, G, alpha=-1)
    with pytest.raises(DataError, match="cannot be tuned to its pedigree"):
        single_step(pedigree, RelationshipMatrix.of(np.ones((4, 4)), names))
    with pytest.raises(DataError, match="tuned=False"):
        single_step(pedigree, RelationshipMatrix.of([[1.0]], names[:1]))
    twins = G.matrix.copy()
    twins[1], twins[:, 1] = twins[0], twins[:, 0]
    twins[1, 1] = twins[0, 0]
    pair = RelationshipMatrix.of(twins - np.diag([0, 1e-9, 0, 0]), names)
    with pytest.raises(DataError, match=r"the blended G has no inverse.*larger weight beta"):
        single_step(pedigree, pair, alpha=1.0, beta=0.0, tuned=False)
    with pytest.raises(DataError, match="the core determines other"):
        single_step(pedigree, pair, alpha=1.0, beta=0.0, tuned=False, core=[names[0], names[2]])


def test_epistatic_relationships_are_products():
    rng = np.random.default_rng(8)
    G, H = (RelationshipMatrix.of(M @ M.T, list("abcd")) for M in rng.normal(size=(2, 4, 6)))
    product = G.matrix * H.matrix
    found = epistatic(G, H)
    np.testing.assert_allclose(found.matrix, product / np.diag(product).mean(), rtol=1e-12)
    assert np.diag(found.matrix).mean() == pytest.approx(1.0)
    own = epistatic(G).matrix
    np.testing.assert_allclose(own, G.matrix**2 / np.mean(np.diag(G.matrix) ** 2), rtol=1e-12)
    order = [2, 0, 3, 1]
    mixed = RelationshipMatrix(H.matrix[np.ix_(order, order)], H.samples.take(np.array(order)))
    np.testing.assert_allclose(epistatic(G, mixed).matrix, found.matrix, rtol=1e-12)


def test_refusals_of_epistatic():
    G, H = RelationshipMatrix.of(np.eye(2), "ab"), RelationshipMatrix.of(np.eye(2), "ac")
    with pytest.raises(DataError, match="of different people"):
        epistatic(G, H)
    twice = RelationshipMatrix(np.eye(2), Samples(np.array(["0", "0"]), np.array(["a", "a"])))
    with pytest.raises(DataError, match="one of its people twice"):
        epistatic(twice, G)
    with pytest.raises(DataError, match="mean diagonal element"):
        epistatic(RelationshipMatrix.of(np.zeros((2, 2)), "ab"))


@pytest.mark.parametrize("tuned", [True, False])
def test_a_triangle_and_missing_numbers_are_refused(tuned):
    pedigree, _, G, _ = cohort()
    with pytest.raises(DataError, match=r"G is not symmetric: .* is it a triangle only"):
        single_step(pedigree, RelationshipMatrix(np.tril(G.matrix), G.samples), tuned=tuned)
    matrix = G.matrix.copy()
    matrix[2, 2] = np.nan
    with pytest.raises(DataError, match=f"a missing or infinite number in the row of '{G.samples.iid[2]}'"):
        single_step(pedigree, RelationshipMatrix(matrix, G.samples), tuned=tuned)


def test_a_matrix_without_names_is_refused():
    pedigree, _, G, _ = cohort()
    for refused in (lambda: single_step(pedigree, G.matrix), lambda: epistatic(G, G.matrix)):
        with pytest.raises(DataError, match="of type ndarray: give a RelationshipMatrix"):
            refused()


def test_interaction_of_a_genomic_matrix_and_one_of_a_pedigree():
    pedigree, rows, G, A = cohort()
    people = Samples(np.full(G.samples.n, "farm"), G.samples.iid)
    found = epistatic(RelationshipMatrix(G.matrix, people), pedigree.additive(G.samples.iid[::-1])).matrix
    expected = G.matrix * A[np.ix_(rows, rows)]
    np.testing.assert_allclose(found, expected / np.diag(expected).mean(), rtol=1e-12)


def test_memory_that_will_not_do_is_said_before(monkeypatch):
    pedigree, _, G, _ = cohort()
    monkeypatch.setattr("henderson.covariance.matrix.installed_memory", lambda: 5000.0)
    with pytest.raises(DataError, match=r"12 genotyped animals take .* GB of memory"):
        single_step(pedigree, G)
