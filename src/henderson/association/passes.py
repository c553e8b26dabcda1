"""A pass over the variants of a stage: blocks read one after the other, and worked on side by side."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from henderson.association.columns import Columns
from henderson.association.rules import OK, ScanRules
from henderson.genotype import GenotypeSource
from henderson.genotype.blocks import Mask, VariantBlock, block_size, blocks, impute
from henderson.genotype.counts import is_missing
from henderson.io.scan_ssf import MANDATORY

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Found = TypeVar("Found")
EXPLAINED = "follows from the covariates"
#: GWAS-SSF's columns in its order; what a scan knows besides comes after them.
FIRST = (*MANDATORY, "neg_log_10_p_value", "rsid", "n")
#: Tests of a block at most, in 4 MB for each of their numbers.
_TESTS_PER_BLOCK = 1 << 19


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """What is to be tested of a block of b variants in n people.

    Attributes
    ----------
    status : ndarray of str, shape (b,)
        `OK` for the k variants that are tested; why not for all others.
    copies : ndarray, shape (k, n)
        Copies of the effect allele, missing ones at the mean.
    X : ndarray, shape (k, n)
        The same, the covariates taken out.
    missing : ndarray of bool, shape (k, n)
        Where there is no call.
    """

    status: NDArray[np.object_]
    copies: Array
    X: Array
    missing: Mask


def admit(block: VariantBlock, rules: ScanRules, basis: Array) -> Admitted:
    """Judge the variants of a block, and take the covariates (orthonormal, (n, p)) out of those tested."""
    status = rules.judge(block.counts)
    block = block.take(status == OK)
    copies = impute(block)
    X = copies - (copies @ basis) @ basis.T
    missing = is_missing(block.calls)
    explained = np.einsum("bn,bn->b", X, X) < rules.least_squares(copies)
    if explained.any():
        status[np.flatnonzero(status == OK)[explained]] = EXPLAINED
        X, copies, missing = X[~explained], copies[~explained], missing[~explained]
    return Admitted(status, copies, X, missing)


def described(source: GenotypeSource, block: VariantBlock) -> Columns:
    """What is known of a block's variants before they are tested."""
    variants = source.variants.take(block.variants)
    info = {"info": block.counts.info} if source.has_dosages else {}
    return {
        "chromosome": variants.chromosome,
        "base_pair_location": variants.position,
        "effect_allele": variants.effect_allele,
        "other_allele": variants.other_allele,
        "effect_allele_frequency": block.frequency,
        "rsid": variants.identifier,
        "n": block.counts.n_people - block.n_missing,
        **info,
    }


def in_order(columns: Columns) -> Columns:
    """The columns in the order of a scan's table."""
    rest = [name for name in columns if name not in (*FIRST, "status")]
    return {name: columns[name] for name in (*FIRST, *rest, "status")}


def most_variants(n_traits: int) -> int:
    """The largest block of variants for so many traits."""
    return max(16, _TESTS_PER_BLOCK // n_traits)


def over_blocks(
    source: GenotypeSource,
    people: Index,
    keep: Mask | None,
    work: Callable[[VariantBlock], Found],
    *,
    side_by_side: bool,
    threads: int | None = None,
    most: int | None = None,
) -> Iterator[Found]:
    """What ``work`` finds in each block of variants, in their order.

    Parameters
    ----------
    source : GenotypeSource
        The variants.
    people : ndarray of int, shape (n,)
        Positions of the people analysed.
    keep : ndarray of bool, shape (m,), or None
        Which variants; by default all.
    work : callable
        Works on a block.
    side_by_side : bool
        Whether whole blocks are worked on at the same time, each on one thread, so that what is no matrix
        product is shared out too; otherwise matrix products have all threads.
    threads : int, optional
        By default as many as there are processors.
    most : int, optional
        The largest block wanted.
    """
    from threadpoolctl import threadpool_limits

    m = source.variants.m if keep is None else int(np.count_nonzero(keep))
    threads = threads or os.cpu_count() or 1
    workers = threads if side_by_side else 1
    size = min(block_size(people.size), max(1, -(-m // workers)), most or m)
    waiting: deque[Future[Found]] = deque()
    with threadpool_limits(1 if workers > 1 else threads), ThreadPoolExecutor(workers) as pool:
        for block in chain(blocks(source, people, size, keep=keep), repeat(None, workers)):
            if block is not None:
                waiting.append(pool.submit(work, block))
            if waiting and (block is None or len(waiting) > workers):
                yield waiting.popleft().result()
