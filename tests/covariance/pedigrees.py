"""Slow and readable twins of what pedigrees are asked for, and random pedigrees."""

import numpy as np


def tabular(sire, dam):
    """A by the tabular method: row by row, each half of the rows of the parents."""
    n = len(sire)
    A = np.zeros((n, n))
    for i in range(n):
        for parent in (sire[i], dam[i]):
            if parent >= 0:
                A[i, :i] += 0.5 * A[parent, :i]
        A[:i, i] = A[i, :i]
        A[i, i] = 1.0 + (0.5 * A[sire[i], dam[i]] if sire[i] >= 0 and dam[i] >= 0 else 0.0)
    return A


def random_parents(seed, n, *, selfing=False, founders=3):
    """Parents of n animals, who stand behind theirs; even animals are male unless all are of both sexes."""
    rng = np.random.default_rng(seed)
    sire, dam = np.full(n, -1), np.full(n, -1)
    for i in range(founders, n):
        males = np.arange(i) if selfing else np.arange(0, i, 2)
        females = np.arange(i) if selfing else np.arange(1, i, 2)
        recent = -max(3, i // 2)
        if rng.random() < 0.85:
            sire[i] = rng.choice(males[recent:])
        if rng.random() < 0.85:
            dam[i] = rng.choice(females[recent:])
    return sire, dam


def named(positions, names):
    """Positions as names, None for -1."""
    return [None if p < 0 else names[p] for p in positions]
