"""Relationships of effects that alleles have together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.matrix import RelationshipMatrix, check_is_matrix
from henderson.errors import DataError


def epistatic(G: RelationshipMatrix, H: RelationshipMatrix | None = None) -> RelationshipMatrix:
    """Relationships of the interactions between two kinds of genetic effects.

    The Hadamard (element by element) product of the relationships of both, divided by its mean diagonal
    (Henderson 1985, Journal of Animal Science 60:111-117; Vitezica et al. 2017, Genetics 206:1297-1307).

    Parameters
    ----------
    G : RelationshipMatrix
        The first kind: additive or dominance relationships.
    H : RelationshipMatrix, optional
        The second kind, of the same people in any order, matched by IID, and by FID where an IID occurs
        twice; by default G, which gives additive-by-additive
        relationships if G is additive.

    Returns
    -------
    RelationshipMatrix
        In the order of G, its mean diagonal 1.

    Raises
    ------
    DataError
        If the two are not of the same people, or name one of them twice.

    Examples
    --------
    >>> G = RelationshipMatrix.of([[1.0, 0.5], [0.5, 1.0]], ["ann", "bob"])
    >>> epistatic(G).matrix
    array([[1.  , 0.25],
           [0.25, 1.  ]])
    """
    for given in (G,) if H is None else (G, H):
        check_is_matrix(given)
    own = np.asarray(G.matrix, dtype=np.float64)
    other = own if H is None else np.asarray(H.matrix, dtype=np.float64)[np.ix_(*2 * (_rows(G, H),))]
    product = own * other
    mean = float(np.diag(product).mean())
    if not mean > 0:
        raise DataError(
            f"the mean diagonal element of the product of these relationships is {mean:.3g} and has to be "
            "above zero: see that the matrices are relationship matrices"
        )
    product /= mean
    return RelationshipMatrix(product, G.samples)


def _rows(G: RelationshipMatrix, H: RelationshipMatrix) -> NDArray[np.intp]:
    """Where the people of G are in H."""
    unique = np.unique(G.samples.iid).size == G.samples.n
    people, others = (
        list(zip(M.samples.iid.tolist(), *(() if unique else (M.samples.fid.tolist(),)), strict=True))
        for M in (G, H)
    )
    place = {person: i for i, person in enumerate(others)}
    for listed in (people, others):
        if len(set(listed)) < len(listed):
            raise DataError(
                "a relationship matrix names one of its people twice: make the identifiers unique"
            )
    if place.keys() != set(people):
        odd = next(iter(set(people) ^ place.keys()))
        raise DataError(
            f"the two relationship matrices are of different people, such as {' '.join(odd)}, who is in one "
            "of them only: make both of the same people"
        )
    return np.array([place[person] for person in people], dtype=np.intp)
