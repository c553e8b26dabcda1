"""Variants with several alternative alleles: one row for each of these."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger("henderson")


def rows_per_allele(n_alternative: NDArray[np.intp], path: Path) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number the rows that variants make: copies of each alternative allele, against all others.

    Parameters
    ----------
    n_alternative : ndarray of int, shape (m,)
        Alternative alleles of each variant.
    path : Path
        Where they come from; a notice says how many have several, and how many none.

    Returns
    -------
    variant, allele : ndarray of int, shape (rows,)
        The variant of each row, from zero, and which alternative allele is counted, from one.
    """
    m = len(n_alternative)
    several, none = int((n_alternative > 1).sum()), int((n_alternative == 0).sum())
    variant = np.repeat(np.arange(m), n_alternative)
    if several:
        logger.warning(
            "%s: %s of %s variants have several alternative alleles; each of these is a row of its own, "
            "copies of that allele against all others (%s rows in all).",
            path, f"{several:,}", f"{m:,}", f"{len(variant):,}",
        )  # fmt: skip
    if none:
        logger.warning("%s: %s of %s variants have one allele only; they are left out.", path, none, m)
    before = np.cumsum(n_alternative) - n_alternative
    return variant, np.arange(len(variant)) - before[variant] + 1
