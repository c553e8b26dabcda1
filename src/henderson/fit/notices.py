"""What a user should hear about a fit, in plain words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def singular_notices(terms: Iterable[tuple[str, tuple[str, ...], NDArray[np.float64]]]) -> tuple[str, ...]:
    """One sentence per random term whose covariance is singular.

    Parameters
    ----------
    terms : iterable of (group, effect names, T)
        With T the (q, q) factor of the relative covariance.

    Examples
    --------
    >>> singular_notices([("family", ("(Intercept)",), np.zeros((1, 1)))])[0][:30]
    'boundary (singular) fit: the v'
    """
    out = []
    for group, names, T in terms:
        if (np.diag(T) >= 1e-4).all():
            continue
        size = np.sqrt(np.einsum("ij,ij->i", T, T))
        zero = [name for name, s in zip(names, size, strict=True) if s < 1e-4]
        if len(zero) == len(names):
            what = (
                f"the variance of {' and '.join(zero)} by '{group}' is estimated as zero: "
                "beyond the residual variation these data show no differences between its levels"
            )
        elif zero:
            what = f"the variance of {' and '.join(zero)} by '{group}' is estimated as zero"
        elif len(names) == 2:
            what = (
                f"{names[0]} and {names[1]} by '{group}' are estimated as perfectly correlated: "
                "these data do not carry two separate variances"
            )
        else:
            what = (
                f"the {len(names)} effects by '{group}' are estimated as linearly dependent: "
                "these data do not carry so many separate variances"
            )
        out.append(f"boundary (singular) fit: {what}")
    return tuple(out)
