"""Pedigrees: order, inbreeding, A and its inverse, dominance, against the tabular method and textbooks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covariance.pedigrees import named, random_parents, tabular
from henderson.covariance import Precision
from henderson.covariance.pedigree import Pedigree
from henderson.errors import DataError

seeds = st.integers(0, 2**32 - 1)


def made(sire, dam, **options):
    names = [f"a{i}" for i in range(len(sire))]
    return Pedigree.of(names, named(sire, names), named(dam, names), **options)


def of_rows(*rows, **options):
    """A pedigree of rows 'animal sire dam', with 0 for unknown parents."""
    columns = zip(*(row.split() for row in rows), strict=True)
    ids, sire, dam = ([None if name == "0" else name for name in column] for column in columns)
    return Pedigree.of(ids, sire, dam, **options)


MRODE_2_1 = ("3 1 2", "4 1 0", "5 4 3", "6 5 2")


def test_mrode_table_2_1():
    pedigree = of_rows("1 0 0", "2 0 0", *MRODE_2_1)
    assert pedigree.ids.tolist() == list("123456")
    expected = np.array(
        [
            [1.0, 0.0, 0.5, 0.5, 0.5, 0.25],
            [0.0, 1.0, 0.5, 0.0, 0.25, 0.625],
            [0.5, 0.5, 1.0, 0.25, 0.625, 0.5625],
            [0.5, 0.0, 0.25, 1.0, 0.625, 0.3125],
            [0.5, 0.25, 0.625, 0.625, 1.125, 0.6875],
            [0.25, 0.625, 0.5625, 0.3125, 0.6875, 1.125],
        ]
    )
    np.testing.assert_allclose(pedigree.additive().matrix, expected, atol=1e-14)
    assert pedigree.inbreeding.tolist() == [0, 0, 0, 0, 0.125, 0.125]


def test_mrode_inverse_with_inbreeding():
    # Mrode (2014), example 2.3 (section 2.4.2)
    inverse = of_rows("1 0 0", "2 0 0", *MRODE_2_1).relationship().inverse
    expected = np.array(
        [
            [1.833, 0.500, -1.0, -0.667, 0.0, 0.0],
            [0.500, 2.033, -1.0, 0.0, 0.533, -1.067],
            [-1.0, -1.0, 2.5, 0.5, -1.0, 0.0],
            [-0.667, 0.0, 0.5, 1.833, -1.0, 0.0],
            [0.0, 0.533, -1.0, -1.0, 2.533, -1.067],
            [0.0, -1.067, 0.0, 0.0, -1.067, 2.133],
        ]
    )
    np.testing.assert_allclose(inverse.toarray(), expected, atol=5e-4)


def test_mrode_example_3_1():
    pedigree = of_rows("1 0 0", "2 0 0", "3 0 0", "4 1 0", "5 3 2", "6 1 2", "7 4 5", "8 3 6")
    calves = pedigree.positions("45678")
    y, X = np.array([4.5, 2.9, 3.9, 3.5, 5.0]), np.array([[1, 0], [0, 1], [0, 1], [1, 0], [1, 0.0]])
    Z = np.eye(8)[calves]
    C = np.block([[X.T @ X, X.T @ Z], [Z.T @ X, Z.T @ Z + 2 * pedigree.relationship().inverse.toarray()]])
    solution = np.linalg.solve(C, np.concatenate([X.T @ y, Z.T @ y]))
    printed = [4.358, 3.404, 0.098, -0.019, -0.041, -0.009, -0.186, 0.177, -0.249, 0.183]
    np.testing.assert_allclose(solution, printed, atol=5.1e-4)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, n=st.integers(1, 40), selfing=st.booleans())
def test_equals_the_tabular_method(seed, n, selfing):
    sire, dam = random_parents(seed, n, selfing=selfing)
    pedigree = made(sire, dam, hermaphrodite=selfing)
    A = tabular(sire, dam)
    order = [int(name[1:]) for name in pedigree.ids]
    assert order == list(range(n))
    np.testing.assert_allclose(pedigree.inbreeding, np.diag(A) - 1.0, atol=1e-12)
    np.testing.assert_allclose(pedigree.additive().matrix, A, atol=1e-12)
    inverse = pedigree.relationship().inverse
    np.testing.assert_allclose(inverse @ A, np.eye(n), atol=1e-9)
    assert inverse.has_sorted_indices
    assert inverse.has_canonical_format
    assert (inverse != inverse.T).nnz == 0


@settings(max_examples=30, deadline=None)
@given(seed=seeds, n=st.integers(2, 40), selfing=st.booleans())
def test_neither_the_order_of_rows_nor_names_matter(seed, n, selfing):
    rng = np.random.default_rng(seed)
    sire, dam = random_parents(seed, n, selfing=selfing)
    names = [f"x{k}" for k in rng.permutation(n)]
    rows = rng.permutation(n)
    sires, dams = named(sire, names), named(dam, names)
    pedigree = Pedigree.of(
        [names[i] for i in rows], [sires[i] for i in rows], [dams[i] for i in rows], hermaphrodite=selfing
    )
    place = np.arange(n)
    for parent in (pedigree.sire, pedigree.dam):
        assert (parent < place).all()
    A = tabular(sire, dam)
    np.testing.assert_allclose(pedigree.additive(names).matrix, A, atol=1e-12)
    np.testing.assert_allclose(pedigree.inbreeding[pedigree.positions(names)], np.diag(A) - 1, atol=1e-12)
    some = rng.permutation(n)[: n // 2 + 1]
    chosen = [names[i] for i in some]
    np.testing.assert_allclose(pedigree.additive(chosen).matrix, A[np.ix_(some, some)], atol=1e-12)
    alone = pedigree.ancestors(chosen)
    np.testing.assert_allclose(alone.additive(chosen).matrix, A[np.ix_(some, some)], atol=1e-12)
    np.testing.assert_allclose(
        np.linalg.inv(alone.relationship().inverse.toarray()), alone.additive().matrix, atol=1e-9
    )
    D, own = pedigree.dominance(names).matrix, np.eye(n)
    for i in range(n):
        for j in range(n):
            (s, d), (t, e) = (sire[i], dam[i]), (sire[j], dam[j])
            if i != j and min(s, d, t, e) >= 0:
                own[i, j] = (A[s, t] * A[d, e] + A[s, e] * A[d, t]) / 4
    np.testing.assert_allclose(D, own, atol=1e-12)


@pytest.mark.parametrize("both", [False, True])
def test_products_need_no_factor(both):
    sire, dam = random_parents(5, 60, selfing=both)
    precision = made(sire, dam, hermaphrodite=both).relationship()
    assert isinstance(precision, Precision)
    plain = Precision(precision.inverse)
    rng = np.random.default_rng(0)
    M, rows, columns = rng.normal(size=(60, 4)), np.array([3, 50, 7]), np.array([59, 2, 59, 0])
    kept = M.copy()
    np.testing.assert_allclose(precision.times(M), plain.times(M), atol=1e-9)
    np.testing.assert_allclose(precision.times(M[:, 0]), plain.times(M)[:, 0], atol=1e-9)
    np.testing.assert_array_equal(M, kept)
    np.testing.assert_allclose(precision.block(rows, columns), plain.block(rows, columns), atol=1e-10)
    np.testing.assert_allclose(precision.diagonal(60), plain.diagonal(60), atol=1e-10)
    assert precision.logdet == pytest.approx(plain.logdet, abs=1e-9)
    L = precision.root_times(np.eye(60))
    np.testing.assert_allclose(L @ L.T, tabular(sire, dam), atol=1e-12)
    np.testing.assert_allclose(precision.root_times(M[:, 1]), L @ M[:, 1], atol=1e-12)


def test_a_generation_of_many_relatives():
    # few parents, so that columns of A are worked out by passing over all of them
    rng = np.random.default_rng(3)
    size = 60
    sire, dam = [np.full(size, -1)], [np.full(size, -1)]
    for g in range(1, 6):
        last = (g - 1) * size
        sire.append(last + rng.choice(4, size))
        dam.append(last + 4 + rng.choice(20, size))
    sire, dam = np.concatenate(sire), np.concatenate(dam)
    np.testing.assert_allclose(made(sire, dam).inbreeding, np.diag(tabular(sire, dam)) - 1, atol=1e-12)
    np.testing.assert_allclose(made(dam, sire).inbreeding, np.diag(tabular(sire, dam)) - 1, atol=1e-12)


def test_generations_overlap():
    # brother and sister matings, each with the offspring of the last
    n = 30
    sire = np.array([-1, -1, *(2 * (i // 2) - 2 for i in range(2, n))])
    dam = np.where(sire >= 0, sire + 1, -1)
    sire[11], dam[17], sire[20] = 0, 3, 4
    np.testing.assert_allclose(made(sire, dam).inbreeding, np.diag(tabular(sire, dam)) - 1, atol=1e-12)


def identity_states(sire, dam, i, j):
    """Probability that i and j have the same two alleles by descent, over all ways for genes to pass."""
    n, draws = len(sire), [(k, side) for k in range(len(sire)) for side in (0, 1)]
    passing = [(k, side) for k, side in draws if (sire, dam)[side][k] >= 0]
    both = 0
    for way in range(2 ** len(passing)):
        alleles = np.zeros((n, 2), dtype=int)
        chosen = {each: way >> bit & 1 for bit, each in enumerate(passing)}
        for k, side in draws:
            parent = (sire, dam)[side][k]
            alleles[k, side] = 2 * k + side if parent < 0 else alleles[parent, chosen[k, side]]
        both += sorted(alleles[i]) == sorted(alleles[j])
    return both / 2 ** len(passing)


def test_dominance_by_all_ways_in_which_genes_can_pass():
    # full sibs, double first cousins, half sibs and unrelated animals, none of them inbred
    rows = ("a 0 0", "b 0 0", "c 0 0", "d 0 0", "e a b", "f a b", "g c d", "h c d", "i e g", "j f h")
    pedigree = of_rows(*rows)
    D = pedigree.dominance()
    assert D.samples.iid.tolist() == list("abcdefghij")
    place = dict(zip("abcdefghij", range(10), strict=True))
    for i, j in ("ef", "ij", "ae", "ei", "gh", "eg"):
        expected = identity_states(pedigree.sire, pedigree.dam, place[i], place[j])
        assert D.matrix[place[i], place[j]] == pytest.approx(expected, abs=1e-14)
    assert D.matrix[4, 5] == 0.25
    assert D.matrix[8, 9] == 0.0625
    np.testing.assert_array_equal(pedigree.dominance("jfa").matrix, np.eye(3))
    np.testing.assert_array_equal(pedigree.dominance("ab").matrix, np.eye(2))


def test_inbred_animals_are_told_of(caplog):
    of_rows("a 0 0", "b 0 0", "c a b", "d a c").dominance("dca")
    assert "1 of the 3 animals are inbred" in caplog.text
    caplog.clear()
    of_rows("a 0 0", "b 0 0", "c a b", "d a c").dominance("ca")
    assert not caplog.text


GROUPS = ("1 G1 G2", "2 G1 G2", "3 G1 G2", "4 1 G2", "5 3 2", "6 1 2", "7 4 5", "8 3 6")


def test_genetic_groups():
    # the pedigree of Mrode (2014), example 3.1, unknown sires in one group and unknown dams in another
    pedigree = of_rows(*GROUPS, genetic_groups=["G1", "G2"])
    Q = pedigree.group_contributions()
    half = [0.5, 0.5]
    expected = [half, half, half, [0.25, 0.75], half, half, [0.375, 0.625], half]
    np.testing.assert_allclose(Q, expected, atol=1e-15)
    np.testing.assert_allclose(pedigree.ancestors("74").group_contributions()[-1], [0.375, 0.625])
    plain = pedigree.relationship().inverse.toarray()
    # A*^-1 is A^-1 bordered by Q (Quaas 1988)
    bordered = np.block([[plain, -plain @ Q], [-Q.T @ plain, Q.T @ plain @ Q]])
    found = pedigree.group_inverse()
    np.testing.assert_allclose(found.toarray(), bordered, atol=1e-12)
    assert found.has_sorted_indices


def test_what_groups_leave_out_is_told(caplog):
    pedigree = of_rows("1 G1 G2", "2 0 G2", "3 1 2", genetic_groups=["G1", "G2"])
    assert pedigree.notices == ("1 unknown parents have no genetic group: theirs is one of mean zero",)
    np.testing.assert_allclose(pedigree.group_contributions(), [[0.5, 0.5], [0, 0.5], [0.25, 0.5]])
    pedigree.relationship()
    assert "group_contributions()" in caplog.text


def test_equations_with_groups_give_breeding_values_with_their_means():
    pedigree = of_rows(*GROUPS, genetic_groups=["G1", "G2"])
    calves = pedigree.positions("45678")
    y, X, alpha = np.array([4.5, 2.9, 3.9, 3.5, 5.0]), np.ones((5, 1)), 2.0
    Z, Q = np.eye(8)[calves], pedigree.group_contributions()
    extended = np.zeros((11, 11))
    extended[1:, 1:] = alpha * pedigree.group_inverse().toarray()
    W = np.hstack([X, Z, np.zeros((5, 2))])
    one = np.linalg.lstsq(W.T @ W + extended, W.T @ y, rcond=None)[0]
    # the same model with g among the fixed effects, by generalised least squares
    A = pedigree.additive().matrix
    V = Z @ A @ Z.T / alpha + np.eye(5)
    fixed = np.hstack([X, Z @ Q])
    b = np.linalg.lstsq(fixed.T @ np.linalg.solve(V, fixed), fixed.T @ np.linalg.solve(V, y), rcond=None)[0]
    u = A @ Z.T @ np.linalg.solve(V, y - fixed @ b) / alpha
    # the mean and the groups are not told apart: their sums are
    np.testing.assert_allclose(one[0] + one[1:9], b[0] + Q @ b[1:] + u, atol=1e-8)


def test_founders_are_added_and_repeated_rows_counted():
    pedigree = of_rows("3 1 2", "4 1 0", "3 1 2", "5 4 3", "6 5 2")
    assert set(pedigree.ids.tolist()) == set("123456")
    assert pedigree.notices == (
        "1 row repeats an animal with the same parents and counts once",
        "2 founders added for parents without a row: '1', '2'",
    )
    assert repr(pedigree) == "<Pedigree of 6 animals: 2 founders, 2 inbred with a mean F of 0.125>"


def test_names_that_are_numbers():
    assert Pedigree.of([3, 4], [1, 3], [2, None]).ids.tolist() == ["1", "2", "3", "4"]


def test_long_names():
    long = "x" * 300
    pedigree = Pedigree.of(["a", "b"], [long, "a"], [None, None])
    assert pedigree.positions([long, "b"]).tolist() == [0, 2]
    assert pedigree.additive([long, "b"]).matrix[0, 1] == 0.25


BAD = [
    (
        (["a b c", "a b d"], {}),
        "'a' in rows 1 and 2 with different parents ('b' and 'c' and then 'b' and 'd')",
    ),
    ((["a a b"], {}), "'a' as a parent of itself"),
    (
        (["a b 0", "b c 0", "c a 0"], {}),
        "'a' is its own ancestor (offspring of parent: 'a' of 'b', 'b' of 'c', 'c' of 'a')",
    ),
    ((["a b c", "d e b"], {}), "'b' is the sire of 'a' and the dam of 'd'"),
    ((["a b b"], {}), "'b' is the sire and the dam of 'a'"),
    ((["a b b"], {}), "hermaphrodite=True"),
    ((["a b c", "d c b"], {}), "'b' is the sire of 'a' and the dam of 'd' (1 more animal: both)"),
    ((["a b c", "b 0 0"], {"sex": [0, 2]}), "'b' is the sire of 'a', but its sex is female"),
    ((["a b c", "c 0 0"], {"sex": [0, 1]}), "'c' is the dam of 'a', but its sex is male"),
    ((["a b c", "b 0 0"], {"birth": [2001, 2002.5]}), "'a' is older than its sire 'b'"),
    ((["a b c", "d b c", "c 0 0"], {"birth": [1, 2, 3]}), "its dam 'c' (1 more animal: older than its dam)"),
    ((["a b c", "0 b c"], {}), "row 2 of the pedigree"),
    ((["a b c", "a b c"], {"sex": [1, 2]}), "'a' in rows 1 and 2 with another sex"),
    ((["a G b", "G 0 0"], {"genetic_groups": ["G"]}), "'G' is a genetic group and also an animal"),
    ((["a b c"], {"genetic_groups": ["G"]}), "'G' is no animal's unknown parent"),
    ((["a G c"], {"genetic_groups": "G"}), "give a list of different names"),
    ((["a b c"], {"sex": [1, 2]}), "1 animals and 2 values of sex"),
]


@pytest.mark.parametrize(("given", "said"), BAD, ids=range(len(BAD)))
def test_what_cannot_be_is_refused_by_name(given, said):
    rows, options = given
    with pytest.raises(DataError) as refused:
        of_rows(*rows, **options)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_more_refusals():
    pedigree = of_rows("a b c")
    with pytest.raises(DataError, match=r"2 of 3 animals are not in the pedigree \('x', 'y'\)"):
        pedigree.additive("axy")
    with pytest.raises(DataError, match="the pedigree has no animals"):
        Pedigree.of([], [], [])
    for call in (pedigree.group_contributions, pedigree.group_inverse):
        with pytest.raises(DataError, match="no genetic groups"):
            call()


def test_memory_that_will_not_do_is_said_before(monkeypatch):
    monkeypatch.setattr("henderson.covariance.matrix.installed_memory", lambda: 150.0)
    pedigree = of_rows("a b c")
    assert pedigree.additive().matrix.shape == (3, 3)
    for call in (pedigree.dominance, lambda: pedigree.additive("abca")):
        with pytest.raises(DataError, match="GB of memory"):
            call()


def test_what_is_possible_is_not_refused():
    selfed = of_rows("a b b", "c a a", hermaphrodite=True)
    assert selfed.inbreeding.tolist() == [0.0, 0.5, 0.75]
    assert of_rows("a b c", "b 0 0", "c 0 0", sex=[0, 1, 2], birth=[2, 2, np.nan]).n == 3
    assert of_rows("a b c", "a b c", birth=[np.nan, np.nan]).n == 3


def test_a_long_line_of_descent():
    n = 50_000
    names = [str(i) for i in range(n)]
    parents = [*names[1:], None]
    pedigree = Pedigree.of(names, parents, [None] * n)
    assert pedigree.ids[0] == str(n - 1)
    assert pedigree.inbreeding.max() == 0.0
    with pytest.raises(DataError, match=r"'19' of '20' and 49,980 more\)"):
        Pedigree.of(names, [*names[1:], names[0]], [None] * n)


@pytest.mark.parametrize("unknown", [None, float("nan"), np.float64("nan"), pd.NA, pd.NaT])
def test_identifiers_that_are_numbers_and_unknown_parents(unknown):
    pedigree = Pedigree.of([3, 2.0, 1], [1.0, unknown, unknown], [unknown, unknown, unknown])
    assert dict(zip(pedigree.ids.tolist(), pedigree.sire.tolist(), strict=True)) == {"1": -1, "2": -1, "3": 0}
    np.testing.assert_array_equal(pedigree.additive([3.0, 1]).matrix, [[1.0, 0.5], [0.5, 1.0]])
    with pytest.raises(DataError, match=r"row 2 of the pedigree .* does not say which animal"):
        Pedigree.of(["a", unknown], [None, None], [None, None])
