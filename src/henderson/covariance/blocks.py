"""A sparse relationship matrix as the families that it falls into, and its root by families."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.psd import ROUNDING, NegativePart

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Array = NDArray[np.float64]
Index = NDArray[np.intp]
#: Families of one size are taken together, so many numbers at a time.
_TOGETHER = 4_000_000


class NotSemidefiniteError(ValueError):
    """A family's block has negative eigenvalues; says how far the whole matrix is below zero."""

    def __init__(self, part: NegativePart) -> None:
        super().__init__(str(part))
        self.part = part


def families(G: csc_array) -> list[Index]:
    """The connected components of a symmetric sparse matrix, by size.

    Parameters
    ----------
    G : csc_array, shape (l, l)

    Returns
    -------
    list of ndarray of int, shape (families, size)
        One array for each size that occurs, from small to large; a row has the members of a family.
    """
    from scipy.sparse.csgraph import connected_components

    _, label = connected_components(G, directed=False)
    sizes = np.bincount(label)
    own = sizes[label]
    order = np.lexsort((label, own))
    ends = np.cumsum(np.bincount(own))
    return [
        order[end - count : end].reshape(-1, size)
        for size, (end, count) in enumerate(zip(ends, np.bincount(own), strict=True))
        if count
    ]


def family_blocks(G: csc_array) -> Iterator[tuple[Index, Array]]:
    """Families of one size at a time: who they are, (k, size), and their blocks, (k, size, size).

    Parameters
    ----------
    G : csc_array, shape (l, l)
        Symmetric, both triangles.
    """
    place = np.zeros(G.shape[0], dtype=np.intp)
    for by_size in families(G):
        size = by_size.shape[1]
        step = max(1, _TOGETHER // size**2)
        for start in range(0, len(by_size), step):
            members = by_size[start : start + step]
            place[members] = np.arange(size)
            part = G[:, members.ravel()].tocoo()
            out = np.zeros((len(members), size, size))
            out[part.col // size, place[part.row], part.col % size] = part.data
            yield members, out


def of_blocks(stacks: Iterable[tuple[Index, Array]], n: int) -> csc_array:
    """The sparse (n, n) matrix of blocks by family; indices sorted."""
    from scipy.sparse import csc_array

    rows, columns, data = [], [], []
    for members, stack in stacks:
        family, i, j = np.nonzero(stack)
        rows.append(members[family, i])
        columns.append(members[family, j])
        data.append(stack[family, i, j])
    place = (np.concatenate(rows), np.concatenate(columns))
    out = csc_array((np.concatenate(data), place), shape=(n, n))
    out.sort_indices()
    return out


def sparse_root(G: csc_array) -> csc_array:
    """A sparse L with G = L L', the rows in the order of G: a Cholesky factor family by family.

    Families whose block is singular, as one with twins, have their root by eigenvalues.

    Parameters
    ----------
    G : csc_array, shape (l, l)
        Symmetric, both triangles.

    Returns
    -------
    csc_array, shape (l, l)

    Raises
    ------
    NotSemidefiniteError
        If a block has a negative eigenvalue.
    """
    scale = abs(float(G.diagonal().mean()))
    bad = list[NegativePart]()

    def roots() -> Iterator[tuple[Index, Array]]:
        for members, stack in family_blocks(G):
            root, below = _roots(stack, scale)
            bad.extend(below)
            yield members, root

    L = of_blocks(roots(), G.shape[0])
    if bad:
        raise NotSemidefiniteError(
            NegativePart(
                min(part.smallest for part in bad),
                max(part.largest for part in bad),
                sum(part.n_below for part in bad),
                G.shape[0],
            )
        )
    return L


def _roots(stack: Array, scale: float) -> tuple[Array, list[NegativePart]]:
    """Roots of matrices (k, s, s), and what those that have none have below zero."""
    try:
        return np.asarray(np.linalg.cholesky(stack), dtype=np.float64), []
    except np.linalg.LinAlgError:
        if len(stack) > 1:
            each = [_roots(block[None], scale) for block in stack]
            return np.concatenate([root for root, _ in each]), [part for _, bad in each for part in bad]
    values, vectors = np.linalg.eigh(stack[0])
    floor = -ROUNDING * max(float(values[-1]), scale)
    below = int((values < floor).sum())
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    root[np.abs(root) < np.finfo(float).eps * np.abs(root).max()] = 0.0
    bad = [NegativePart(float(values[0]), float(values[-1]), below, len(values))] if below else []
    return root[None], bad
