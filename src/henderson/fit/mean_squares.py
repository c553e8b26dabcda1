"""How much the random effects vary in a row, on average over the rows."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Precision, Relationship
from henderson.model import MixedModel, RandomTerm

Array = NDArray[np.float64]
Index = NDArray[np.int64]
#: Distinct columns of a relationship that are looked at together.
COLUMNS = 256


def mean_squares(model: MixedModel) -> list[Array]:
    """Mean over the rows of z z', times the relationship of the levels that the effects point to.

    With S the covariance of a term's effects relative to sigma^2, the sum of S times this, element by
    element, is the mean variance that the term gives a row. Where effects point to one level this holds its
    relationship to itself; the product of a direct and a maternal effect holds that of animal and dam
    (Willham 1972, J. Anim. Sci. 35:1288-1293).

    Returns
    -------
    list of ndarray, (q, q) per term
    """
    return [_mean_square(term, model.n) for term in model.terms]


def _mean_square(term: RandomTerm, n: int) -> Array:
    own = term.relationship.diagonal(term.n_levels)[term.codes]
    if term.codes.ndim == 1:
        return np.asarray((term.z * own[:, None]).T @ term.z / n)
    out = np.diag(np.einsum("nq,nq->q", term.z**2, own) / n)
    for a, b in combinations(range(term.q), 2):
        between = elements(term.relationship, term.codes[:, a], term.codes[:, b])
        out[a, b] = out[b, a] = (term.z[:, a] * term.z[:, b]) @ between / n
    return out


def elements(relationship: Relationship, rows: Index, columns: Index) -> Array:
    """G[rows[i], columns[i]], shape (n,).

    Parents and offspring are in the pattern of a pedigree's A^-1, where elements of A cost no solve.

    Examples
    --------
    >>> from henderson.covariance import DenseRelationship
    >>> G = DenseRelationship(np.array([[1.0, 0.5], [0.5, 1.2]]))
    >>> elements(G, np.array([0, 1, 1]), np.array([1, 1, 0]))
    array([0.5, 1.2, 0.5])
    """
    out = np.empty(rows.size)
    left = np.arange(rows.size)
    if isinstance(relationship, Precision):
        inverse = relationship.inverse
        size = inverse.shape[0]
        keys = np.repeat(np.arange(size), np.diff(inverse.indptr)) * size + inverse.indices
        wanted = columns * size + rows
        place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
        found = keys[place] == wanted
        out[found] = relationship.factor.inverse_on_pattern()[place[found]]
        left = left[~found]
    left = left[np.argsort(columns[left], kind="stable")]
    distinct, first = np.unique(columns[left], return_index=True)
    starts = np.append(first[::COLUMNS], left.size)
    for k in range(0, distinct.size, COLUMNS):
        part = left[starts[k // COLUMNS] : starts[k // COLUMNS + 1]]
        block = relationship.block(np.unique(rows[part]), distinct[k : k + COLUMNS])
        out[part] = block[
            np.searchsorted(np.unique(rows[part]), rows[part]), np.searchsorted(distinct, columns[part]) - k
        ]
    return out
