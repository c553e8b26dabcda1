"""The criterion as a function of one variance ratio, with its first two derivatives in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.engine.spectral.spectrum import Spectrum

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Jet:
    """A function of lambda with its first and second derivative."""

    value: float
    first: float
    second: float


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Everything that is known at one lambda, V = I + lambda K.

    Attributes
    ----------
    ratio : float
        lambda, the variance ratio S.
    shrink : ndarray, shape (r,)
        1 / (1 + lambda values): P = A diag(shrink) A'.
    schur : ndarray, shape (c, c)
        Inverse of fixed' V^-1 fixed: the Schur complement of V in the basis [fixed, A].
    schur_inverse : ndarray, shape (c, c)
        fixed' V^-1 fixed.
    logdet_rest : Jet
        log|A' V A|, which is log|V| + log|X'V^-1 X| up to a constant.
    logdet_fixed : Jet
        log|schur|, which is -log|X'V^-1 X| up to a constant.
    pwrss : Jet
        y'Py.
    """

    ratio: float
    shrink: Array
    schur: Array
    schur_inverse: Array
    logdet_rest: Jet
    logdet_fixed: Jet
    pwrss: Jet

    def logdet(self, reml: bool) -> Jet:
        """log|V| (ML), or with log|X'V^-1 X| added (REML, up to a constant)."""
        rest, fixed = self.logdet_rest, self.logdet_fixed
        if reml:
            return rest
        return Jet(rest.value + fixed.value, rest.first + fixed.first, rest.second + fixed.second)

    def profiled_slope(self, nu: int, reml: bool) -> float:
        """Derivative of the profiled criterion in lambda."""
        return self.logdet(reml).first + nu * self.pwrss.first / self.pwrss.value


def evaluate(spectrum: Spectrum, eta: Array, ratio: float) -> Point:
    """Evaluate all pieces at one lambda, in O(r c^2).

    Parameters
    ----------
    spectrum : Spectrum
        Of K, the fixed effects taken out.
    eta : ndarray, shape (r,)
        A'y.
    ratio : float
        lambda, not negative.

    Examples
    --------
    >>> K = np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> whole = Spectrum(*np.linalg.eigh(K), np.empty((2, 0)), np.empty((0, 0)), np.empty((2, 0)))
    >>> at = evaluate(whole, whole.vectors.T @ np.array([1.0, 2.0]), 2.0)
    >>> bool(np.isclose(at.logdet(reml=False).value, np.linalg.slogdet(np.eye(2) + 2.0 * K)[1]))
    True
    """
    d, C = spectrum.values, spectrum.cross
    s = 1.0 / (1.0 + ratio * d)
    ds = d * s
    weighted = s * eta**2
    # Schur complement of K itself, positive semi-definite: rounding must not make it anything else
    w, U = np.linalg.eigh(spectrum.gram - C.T @ ((ratio * s)[:, None] * C))
    w = np.maximum(w, 0.0)
    inverse = (U / (1.0 + ratio * w)) @ U.T
    # (lambda^2 s)' = lambda s (1 + s) and (lambda^2 s)'' = 2 s^3
    first = inverse @ (spectrum.gram - C.T @ ((ratio * s * (1.0 + s))[:, None] * C))
    second = -2.0 * inverse @ (C.T @ ((s**3)[:, None] * C))
    return Point(
        ratio=ratio,
        shrink=s,
        schur=(U * (1.0 + ratio * w)) @ U.T,
        schur_inverse=inverse,
        logdet_rest=Jet(float(np.log1p(ratio * d).sum()), float(ds.sum()), -float(ds @ ds)),
        logdet_fixed=Jet(
            float(np.log1p(ratio * w).sum()),
            float(np.trace(first)),
            float(np.trace(second) - np.einsum("ab,ba->", first, first)),
        ),
        pwrss=Jet(float(weighted.sum()), -float(weighted @ ds), 2.0 * float(weighted @ ds**2)),
    )
