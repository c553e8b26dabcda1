"""What is asked of a genotype file: which variants, which people."""

from __future__ import annotations

import numpy as np

from henderson.genotype.source import Index


def row_range(variants: slice, m: int) -> tuple[int, int]:
    """First row of a slice of m, and the one behind its last; only a step of one is allowed."""
    if variants.step not in {None, 1}:
        raise ValueError("genotypes are read by contiguous slices of variants")
    start, stop, _ = variants.indices(m)
    return start, max(start, stop)


def people_positions(samples: Index) -> Index:
    """The positions of people, once it is sure that they are positions."""
    positions = np.asarray(samples)
    if positions.dtype == bool:
        raise TypeError("people are chosen by their positions, not by a mask")
    return positions.astype(np.intp, copy=False)
