"""Where a search may begin, beside the moment estimates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: By how much other starts differ from the moment estimates.
SCALES = (0.1, 10.0)


def candidates(T: tuple[Array, ...]) -> Iterator[tuple[Array, ...]]:
    """The moment estimates, and others: all terms larger or smaller, and each of several the largest."""
    yield T
    for scale in SCALES:
        yield tuple(np.sqrt(scale) * own for own in T)
    if len(T) > 1:
        for k in range(len(T)):
            yield tuple(own if i == k else np.sqrt(SCALES[0]) * own for i, own in enumerate(T))
