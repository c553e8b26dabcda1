"""Which effects are eliminated in which order: read off the grouping codes alone.

Terms on one grouping factor form a *block*: per level one small dense matrix. The blocks are split in two.

* The **chain**: a sequence of blocks, each nested in the next (pupils in classes in schools). Eliminating
  them in this order leaves every later block of the chain block-diagonal, so nothing is ever larger than
  (q, q) per level.
* The **core**: all other blocks. They are crossed with the chain, fill in, and end in one dense matrix.

With one grouping factor the core is empty; with two crossed ones the larger is the chain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import ModelNotSupportedError
from henderson.model import RandomTerm

Index = NDArray[np.intp]
#: Most effects that the dense core may hold: 20,000 take 3.2 GB for each of its three matrices.
MAX_CORE = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One grouping factor with the effects of all its terms side by side.

    Attributes
    ----------
    terms : tuple of int
        Positions of its terms in the model.
    columns : tuple of slice
        Which of the q effects belong to each of these terms.
    codes : ndarray, shape (n,)
        Level of each row.
    l, q : int
        Number of levels, and of effects within a level.
    """

    terms: tuple[int, ...]
    columns: tuple[slice, ...]
    codes: Index
    l: int
    q: int


@dataclass(frozen=True, slots=True, eq=False)
class CorePlaces:
    """Where the levels of a chain block meet the effects of the core.

    Attributes
    ----------
    indptr : ndarray, shape (l + 1,)
        Places ``indptr[i] : indptr[i + 1]`` belong to level i.
    row, column : ndarray, shape (nnz,)
        Level and core effect of each place, sorted by level, then effect.
    by_column : ndarray, shape (nnz,)
        The places in order of their core effect.
    first_of_column : ndarray, shape (N,)
        Where each core effect's places begin in that order. Every level and every effect has a place.
    of_record : tuple of ndarray, shape (n,)
        For each core block, the place in ``group`` order of each record: see `group`.
    group : tuple of ndarray, shape (q_u, n_pairs)
        For each core block, the place of each effect of each pair of levels.
    """

    indptr: Index
    row: Index
    column: Index
    by_column: Index
    first_of_column: Index
    of_record: tuple[Index, ...]
    group: tuple[Index, ...]

    def sum_by_level(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum over the places of each level, (..., nnz) to (..., l)."""
        return np.asarray(np.add.reduceat(values, self.indptr[:-1], axis=-1))

    def sum_by_effect(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum over the places of each core effect, (..., nnz) to (..., N)."""
        return np.asarray(np.add.reduceat(values[..., self.by_column], self.first_of_column, axis=-1))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Chain, core, and the places where they meet.

    Attributes
    ----------
    chain, core : tuple of Block
        Blocks in the order of elimination.
    parent : dict
        ``parent[k, t]``: for each level of chain block k, the level of chain block t that it lies in.
    places : tuple of CorePlaces, one per chain block (empty when there is no core)
        Where chain block k meets the core.
    lifted : dict
        ``lifted[k, t]``: for each place of chain block k, the place of chain block t at which the parent
        level meets the same core effect.
    offsets : tuple of int
        First core effect of each core block, and after them the size of the core. Within a core block
        all levels of the first effect come first, then all levels of the second.
    """

    chain: tuple[Block, ...]
    core: tuple[Block, ...]
    parent: dict[tuple[int, int], Index]
    places: tuple[CorePlaces, ...]
    lifted: dict[tuple[int, int], Index]
    offsets: tuple[int, ...]

    @property
    def n_core(self) -> int:
        """Number of effects in the core."""
        return self.offsets[-1]

    def core_effects(self, u: int) -> Index:
        """Core effect of each (effect, level) of core block u, shape (q, l)."""
        block = self.core[u]
        return self.offsets[u] + np.arange(block.q * block.l, dtype=np.intp).reshape(block.q, block.l)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Chain, then core."""
        return self.chain + self.core

    def at(self, rows: Index) -> Plan:
        """The same levels, for some of the records, or for others that stand where these do."""
        chain, core = (
            tuple(replace(b, codes=b.codes[rows]) for b in part) for part in (self.chain, self.core)
        )
        places = tuple(replace(p, of_record=tuple(r[rows] for r in p.of_record)) for p in self.places)
        return replace(self, chain=chain, core=core, places=places)


def make_plan(terms: tuple[RandomTerm, ...]) -> Plan:
    """Choose the chain with the most effects and lay out what is left.

    Raises
    ------
    ModelNotSupportedError
        If the core would hold more than ``MAX_CORE`` effects.
    """
    blocks = _merge(terms)
    nested = {
        (i, j): _parents(a, b)
        for i, a in enumerate(blocks)
        for j, b in enumerate(blocks)
        if i != j and (a.l > b.l or (a.l == b.l and i < j))
    }
    order = _heaviest_chain(blocks, {pair for pair, parent in nested.items() if parent is not None})
    chain = tuple(blocks[i] for i in order)
    core = tuple(b for i, b in enumerate(blocks) if i not in order)
    offsets = tuple(int(v) for v in np.cumsum([0, *(b.l * b.q for b in core)]))
    if offsets[-1] > MAX_CORE:
        names = ", ".join(terms[b.terms[0]].label for b in core)
        raise ModelNotSupportedError(
            f"the crossed grouping factors besides the largest ({names}) have {offsets[-1]} effects; "
            f"the blocked engine holds them in one dense matrix and takes at most {MAX_CORE}"
        )
    parent: dict[tuple[int, int], Index] = {}
    for a in range(len(order)):
        for b in range(a + 1, len(order)):
            found = nested[order[a], order[b]]
            assert found is not None
            parent[a, b] = found
    places = tuple(_core_places(b, core, offsets) for b in chain) if core else ()
    lifted = {
        (k, t): _find(places[t], up[places[k].row], places[k].column, offsets[-1])
        for (k, t), up in (parent.items() if core else ())
    }
    return Plan(chain, core, parent, places, lifted, offsets)


def _merge(terms: tuple[RandomTerm, ...]) -> list[Block]:
    groups: list[list[int]] = []
    for i, term in enumerate(terms):
        for group in groups:
            first = terms[group[0]]
            if first.n_levels == term.n_levels and (
                first.codes is term.codes or np.array_equal(first.codes, term.codes)
            ):
                group.append(i)
                break
        else:
            groups.append([i])
    blocks = []
    for group in groups:
        ends = [0, *accumulate(terms[i].q for i in group)]
        columns = tuple(slice(a, b) for a, b in pairwise(ends))
        first = terms[group[0]]
        codes = first.codes.astype(np.intp, copy=False)
        blocks.append(Block(tuple(group), columns, codes, first.n_levels, ends[-1]))
    return blocks


def _parents(a: Block, b: Block) -> Index | None:
    """For each level of a the one level of b that it lies in, or None if some level lies in several."""
    parent = np.zeros(a.l, dtype=np.intp)
    parent[a.codes] = b.codes
    return parent if np.array_equal(parent[a.codes], b.codes) else None


def _heaviest_chain(blocks: list[Block], nested: set[tuple[int, int]]) -> list[int]:
    # Longest path in the nesting order, each block weighing its number of effects.
    best: dict[int, tuple[int, list[int]]] = {}
    for i in sorted(range(len(blocks)), key=lambda k: (blocks[k].l, -k)):
        weight, path = max(
            (best[j] for j in best if (i, j) in nested), default=(0, []), key=lambda item: item[0]
        )
        best[i] = (weight + blocks[i].l * blocks[i].q, [i, *path])
    return max(best.values(), key=lambda item: item[0])[1]


def _core_places(block: Block, core: tuple[Block, ...], offsets: tuple[int, ...]) -> CorePlaces:
    rows, columns, of_record, shapes = [], [], [], []
    for other, offset in zip(core, offsets[:-1], strict=True):
        pairs, record = np.unique(block.codes * other.l + other.codes, return_inverse=True)
        level, partner = np.divmod(pairs, other.l)
        effect = np.arange(other.q)[:, None]
        rows.append(np.broadcast_to(level, (other.q, level.size)).ravel())
        columns.append((offset + effect * other.l + partner).ravel())
        of_record.append(record.astype(np.intp, copy=False).ravel())
        shapes.append((other.q, level.size))
    row, column = np.concatenate(rows), np.concatenate(columns)
    order = np.argsort(row * offsets[-1] + column, kind="stable")
    rank = np.empty(order.size, dtype=np.intp)
    rank[order] = np.arange(order.size)
    ends = np.cumsum([0, *(a * b for a, b in shapes)])
    group = tuple(rank[s:e].reshape(shape) for s, e, shape in zip(ends[:-1], ends[1:], shapes, strict=True))
    row, column = row[order], column[order]
    indptr = np.searchsorted(row, np.arange(block.l + 1)).astype(np.intp)
    by_column = np.argsort(column, kind="stable").astype(np.intp, copy=False)
    first = np.searchsorted(column[by_column], np.arange(offsets[-1])).astype(np.intp)
    return CorePlaces(indptr, row, column, by_column, first, tuple(of_record), group)


def _find(places: CorePlaces, row: Index, column: Index, n_core: int) -> Index:
    return np.searchsorted(places.row * n_core + places.column, row * n_core + column).astype(np.intp)
