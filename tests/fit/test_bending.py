"""Bending: positive definite, the trace kept, of the same kind, and told."""

import logging

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag
from scipy.sparse import csc_array

import henderson as hd
from henderson.covariance import NamedBlocks
from henderson.fit.bending import bend

NAMES = list("abcdefg")


def indefinite():
    bad = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.1]])
    return block_diag(bad, np.array([[1.0, 0.2], [0.2, 1.0]]), np.array([[1.0, 0.5], [0.5, 1.0]]))


MAKE = {
    "matrix": lambda G: hd.RelationshipMatrix.of(G, NAMES),
    "frame": lambda G: pd.DataFrame(G, index=NAMES, columns=NAMES),
    "blocks": lambda G: NamedBlocks(NAMES, csc_array(G)),
}
ANY = pytest.mark.parametrize("kind", MAKE)


def numbers(made):
    return made.matrix.toarray() if isinstance(made, NamedBlocks) else np.asarray(made)


@ANY
@pytest.mark.parametrize("smallest", [1e-6, 0.05])
def test_positive_definite_and_the_trace_kept(kind, smallest, caplog):
    given = MAKE[kind](indefinite())
    with caplog.at_level(logging.WARNING, logger="henderson"):
        bent = bend(given, smallest=smallest)
    assert type(bent) is type(given)
    new, old = numbers(bent), indefinite()
    np.testing.assert_array_equal(numbers(given), old)
    assert np.trace(new) == pytest.approx(np.trace(old), rel=1e-13)
    assert np.linalg.eigvalsh(new)[0] >= 0.8 * smallest * np.trace(old) / 7
    np.testing.assert_allclose(new, new.T, atol=0)
    change = new - old
    part = np.linalg.norm(change) / np.linalg.norm(old)
    assert f"1 of 7 eigenvalues lifted; it changes by {part:.3g} of" in caplog.text
    assert f"most, by {change.flat[np.abs(change).argmax()]:+.3g}, for 'a' and 'b'" in caplog.text


def test_names_stay():
    assert bend(MAKE["matrix"](indefinite())).samples.iid.tolist() == NAMES
    assert bend(MAKE["frame"](indefinite())).index.tolist() == NAMES
    assert bend(MAKE["blocks"](indefinite())).names == tuple(NAMES)


def test_families_that_are_well_stay_as_they_are():
    bent = numbers(bend(MAKE["blocks"](indefinite())))
    np.testing.assert_array_equal(bent[3:, 3:], indefinite()[3:, 3:])
    assert not bent[:3, 3:].any()


@ANY
def test_what_needs_no_bending_is_given_back(kind, caplog):
    given = MAKE[kind](np.eye(7) + 0.1)
    with caplog.at_level(logging.WARNING, logger="henderson"):
        assert bend(given) is given
    assert not caplog.text


@ANY
def test_unit_of_the_matrix(kind):
    a, b = (numbers(bend(MAKE[kind](unit * indefinite()), smallest=0.01)) for unit in (1.0, 1e5))
    np.testing.assert_allclose(b, 1e5 * a, rtol=1e-9, atol=1e-7)


@ANY
def test_refusals(kind):
    with pytest.raises(hd.DataError, match="smallest must be between 0 and 1"):
        bend(MAKE[kind](indefinite()), smallest=-1.0)
    G = indefinite()
    G[2, 2] = -0.5
    with pytest.raises(hd.DataError, match=r"relationship of 'c' to itself is -0\.5"):
        bend(MAKE[kind](G))


def test_missing_numbers_and_bare_arrays():
    G = indefinite()
    G[3, 4] = G[4, 3] = np.nan
    with pytest.raises(hd.DataError, match="missing or infinite number in the row of 'd'"):
        bend(MAKE["frame"](G))
    with pytest.raises(hd.DataError, match="the matrix is of type ndarray, which does not name its people"):
        bend(G)
