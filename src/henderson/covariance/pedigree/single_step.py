"""H^-1: the relationships of all animals where some of them are genotyped (single-step GBLUP)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.matrix import RelationshipMatrix, check_is_matrix, check_room
from henderson.covariance.named import ASYMMETRY, NamedPrecision, as_name
from henderson.covariance.pedigree.checks import some
from henderson.covariance.pedigree.pedigree import Pedigree
from henderson.covariance.relationship import Precision
from henderson.errors import DataError

Array = NDArray[np.float64]
#: Dense matrices of the genotyped animals that there are at once, with the places of their elements.
_MATRICES = 12
logger = logging.getLogger("henderson")


def single_step(
    pedigree: Pedigree,
    G: RelationshipMatrix,
    *,
    alpha: float = 0.95,
    beta: float = 0.05,
    tuned: bool = True,
    core: Iterable[str] | None = None,
) -> NamedPrecision:
    """Inverse of the relationships of all animals, where those of the genotyped ones are known better.

    H^-1 = A^-1 + [0, 0; 0, (alpha G* + beta A22)^-1 - A22^-1] (Aguilar et al. 2010, Journal of Dairy Science
    93:743-752; Christensen and Lund 2010, Genetics Selection Evolution 42:2; Legarra, Aguilar and Misztal
    2009, Journal of Dairy Science 92:4656-4663).

    Parameters
    ----------
    pedigree : Pedigree
    G : RelationshipMatrix
        Genomic relationships of g animals, all of which have to be in the pedigree, by IID.
    alpha, beta : float
        Weights of G and of the pedigree's A22 for the genotyped animals. With beta = 0 and twins, or more
        animals than variants, G has no inverse.
    tuned : bool
        Whether G* = a + b G has the mean diagonal and the mean off-diagonal element of A22 (Chen et al. 2011,
        Journal of Animal Science 89:2673-2679; Vitezica et al. 2011, Genetics Research 93:357-366), so that
        both refer to one base population; otherwise G* = G.
    core : iterable of str, optional
        Genotyped animals given whom the others count as independent: the inverse of G then takes that of
        their own block alone (APY; Misztal, Legarra and Aguilar 2014, Journal of Dairy Science 97:3943-3952).

    Returns
    -------
    NamedPrecision
        Of all animals of the pedigree.

    Raises
    ------
    DataError
        If G is not symmetric and finite, memory will not do, a genotyped animal is not in the pedigree or
        there twice, one of the core is not genotyped, weights are negative, or the blended matrix has no
        inverse.

    Examples
    --------
    >>> pedigree = Pedigree.of(["a", "b", "c"], [None, None, "a"], [None, None, "b"])
    >>> G = RelationshipMatrix.of([[1.0, 0.7], [0.7, 1.0]], ["a", "c"])
    >>> H = single_step(pedigree, G, tuned=False)
    >>> H
    <NamedPrecision of 3 levels, 9 nonzeros>
    >>> np.linalg.inv(H.precision.inverse.toarray()).round(3)
    array([[1.   , 0.127, 0.69 ],
           [0.127, 0.916, 0.437],
           [0.69 , 0.437, 1.   ]])
    """
    check_is_matrix(G)
    names = [str(name) for name in G.samples.iid]
    place = _genotyped(pedigree, names)
    if not (alpha > 0 and beta >= 0):
        raise DataError(
            f"alpha={alpha:g} and beta={beta:g} weigh the genomic and the pedigree relationships: alpha has "
            "to be above zero, and beta not below it"
        )
    instead = "take fewer of them, those with records and their parents"
    check_room(len(names), matrices=_MATRICES, what="genotyped animals", instead=instead)
    A22 = pedigree.additive(names).matrix
    own = _symmetric(np.asarray(G.matrix, dtype=np.float64), names)
    blended = alpha * (_tuned(own, A22) if tuned else own) + beta * A22
    inverse = _inverse(blended, "the blended G") if core is None else _apy(blended, _core(names, core))
    correction = inverse - _inverse(A22, "the A22 of the pedigree")
    precision = _added(pedigree, 0.5 * (correction + correction.T), place)
    return NamedPrecision(tuple(pedigree.ids.tolist()), precision)


def _genotyped(pedigree: Pedigree, names: list[str]) -> NDArray[np.intp]:
    """Where the genotyped animals stand in the pedigree."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"G names {len(twice):,} of its animals more than once ({some(twice)}): make the identifiers "
            "unique"
        )
    try:
        return pedigree.positions(names)
    except DataError as problem:
        raise DataError(f"the genomic relationship matrix: {problem}") from None


def _symmetric(G: Array, names: list[str]) -> Array:
    """The mean of the two triangles, which differ by rounding alone."""
    wrong = np.flatnonzero(~np.isfinite(G).all(axis=1))
    if wrong.size:
        raise DataError(
            f"G has a missing or infinite number in the row of {names[int(wrong[0])]!r}: make it again "
            "without whoever has no genotypes"
        )
    gap = np.abs(G - G.T)
    i, j = np.unravel_index(int(gap.argmax()), gap.shape)
    if gap[i, j] > ASYMMETRY * np.abs(np.diag(G)).max():
        raise DataError(
            f"G is not symmetric: it has {G[i, j]:.8g} in row {names[i]!r}, column {names[j]!r} and "
            f"{G[j, i]:.8g} the other way round; is it a triangle only?"
        )
    return np.asarray(0.5 * (G + G.T))


def _tuned(G: Array, A22: Array) -> Array:
    """A line a + b G whose mean diagonal and mean off-diagonal elements are those of A22."""
    n = len(G)
    if n == 1:
        raise DataError("a G of one animal cannot be tuned to its pedigree: say tuned=False")
    means = [(np.trace(M) / n, (M.sum() - np.trace(M)) / (n * (n - 1))) for M in (G, A22)]
    (own, other), (own_A, other_A) = means
    b = float((own_A - other_A) / (own - other)) if own > other else 0.0
    if not b > 0:
        raise DataError(
            f"G cannot be tuned to its pedigree: its mean diagonal is {own:.4g} and its mean off-diagonal "
            f"element {other:.4g}, against {own_A:.4g} and {other_A:.4g} of A22; see that G and the pedigree "
            "are of the same animals, or say tuned=False"
        )
    a = float(own_A - b * own)
    logger.info(f"G* = {a:.6g} + {b:.6g} G has the mean diagonal and off-diagonal elements of A22")
    return a + b * G


def _core(names: list[str], core: Iterable[str]) -> NDArray[np.intp]:
    wanted = dict.fromkeys(as_name(name) for name in core)
    place = {name: i for i, name in enumerate(names)}
    if not wanted:
        raise DataError("the core has no animals: name some of those that are genotyped, or leave core out")
    absent = [name for name in wanted if name not in place]
    if absent:
        raise DataError(
            f"{len(absent):,} of the {len(wanted):,} core animals are not genotyped ({some(absent)}): choose "
            "the core among the animals of G"
        )
    return np.array([place[name] for name in wanted], dtype=np.intp)


def _inverse(M: Array, what: str) -> Array:
    """Inverse of a symmetric positive definite matrix."""
    from scipy.linalg import lapack

    factor, failed = lapack.dpotrf(M, lower=1)
    if failed:
        smallest = float(np.linalg.eigvalsh(M)[0])
        raise DataError(
            f"{what} has no inverse, since its smallest eigenvalue is {smallest:.3g}: give the pedigree a "
            "larger weight beta, or leave out one of each pair of identical animals"
        )
    inverse, _ = lapack.dpotri(factor, lower=1)
    return np.asarray(np.tril(inverse) + np.tril(inverse, -1).T)


def _apy(G: Array, core: NDArray[np.intp]) -> Array:
    """Inverse of G with the animals outside of the core independent given those in it."""
    rest = np.setdiff1d(np.arange(len(G)), core)
    inverse = np.zeros_like(G)
    of_core = _inverse(G[np.ix_(core, core)], "the core of the blended G")
    inverse[np.ix_(core, core)] = of_core
    if not rest.size:
        return inverse
    P = G[np.ix_(rest, core)] @ of_core
    left = np.diag(G)[rest] - np.einsum("ij,ij->i", P, G[np.ix_(rest, core)])
    if left.min() <= 0:
        raise DataError(
            "the core determines other genotyped animals to the last digit, as a twin does: give the "
            "pedigree a larger weight beta, or take fewer animals into the core"
        )
    weighted = P / left[:, None]
    inverse[np.ix_(core, core)] += P.T @ weighted
    inverse[np.ix_(rest, core)] = -weighted
    inverse[np.ix_(core, rest)] = -weighted.T
    inverse[rest, rest] = 1.0 / left
    return inverse


def _added(pedigree: Pedigree, correction: Array, place: NDArray[np.intp]) -> Precision:
    """A^-1 with a dense block added at these places."""
    from scipy.sparse import coo_array

    rows, columns = np.repeat(place, place.size), np.tile(place, place.size)
    block = coo_array((correction.ravel(), (rows, columns)), shape=(pedigree.n, pedigree.n))
    inverse = (pedigree.relationship().inverse + block.tocsc()).tocsc()
    inverse.sort_indices()
    return Precision(inverse)
