"""Where to start the search: variance components by the method of moments.

The quadratic forms r'V_i r of the least-squares residual r, V_i = dV / d component, are set equal to their
expectations, which are linear in the components with coefficients tr(M V_i M V_j), M = I - QQ':
Haseman-Elston regression, or MINQUE(0) (Rao 1972, J. Am. Stat. Assoc. 67:112). The traces are means over
random signs (Hutchinson 1990; for variance components Wu & Sankararaman 2018, Bioinformatics 34:i187), so
that no G is formed: every product with one is a sparse solve.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from henderson.engine.sparse.equations import Equations

Array = NDArray[np.float64]
#: Random signs that traces are means over.
PROBES = 12
PURPOSE = 0x5B
#: Relative covariances are kept between these eigenvalues, in designs of unit size.
SMALLEST, LARGEST = 1e-2, 1e4
#: The residual takes at least this part of the mean square.
LEAST_RESIDUAL = 0.05


def moment_estimates(equations: Equations, columns: Array) -> tuple[Array, ...]:
    """S~ of each part relative to sigma^2, positive definite; ``columns`` are [Q r], (n, p + 1)."""
    Q, r = columns[:, :-1], columns[:, -1]
    n, p = Q.shape
    unknowns = [
        (k, i, j)
        for k, part in enumerate(equations.parts)
        for j in range(part.term.q)
        for i in range(j, part.term.q)
    ]
    rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(PURPOSE, 0)))
    total = np.zeros((len(unknowns) + 1, len(unknowns) + 1))
    for _ in range(PROBES):
        x = rng.choice([-1.0, 1.0], size=n)
        moved, _ = _moved(equations, unknowns, x - Q @ (Q.T @ x))
        moved -= Q @ (Q.T @ moved)
        total[:-1, :-1] += moved.T @ moved / PROBES
        total[-1, :-1] += x @ moved / PROBES
    total[:-1, -1] = total[-1, :-1]
    total[-1, -1] = n - p
    _, squares = _moved(equations, unknowns, r)
    right = np.append(squares, r @ r)
    scale = np.sqrt(np.diag(total))
    scale[scale == 0.0] = 1.0
    found = np.linalg.pinv(total / np.outer(scale, scale), rcond=1e-6) @ (right / scale) / scale
    sigma2 = max(float(found[-1]), LEAST_RESIDUAL * float(r @ r) / (n - p), np.finfo(float).tiny)
    out = [np.zeros((part.term.q, part.term.q)) for part in equations.parts]
    for value, (k, i, j) in zip(found[:-1], unknowns, strict=True):
        out[k][i, j] = out[k][j, i] = value / sigma2
    return tuple(_between(S) for S in out)


def _moved(equations: Equations, unknowns: list[tuple[int, int, int]], x: Array) -> tuple[Array, Array]:
    """V_i x of each unknown, (n, k), and x'V_i x."""
    Zx = np.asarray(equations.Z.T @ x)[:, None]
    GZx = equations.times_prior(Zx)
    effects = np.zeros((len(Zx), len(unknowns)))
    for column, (k, i, j) in enumerate(unknowns):
        part = equations.parts[k]
        own = GZx[part.effects, 0].reshape(part.r, -1)
        moved = np.zeros_like(own)
        moved[:, i] += own[:, j]
        if i != j:
            moved[:, j] += own[:, i]
        effects[part.effects, column] = moved.ravel()
    return np.asarray(equations.Z @ effects), effects.T @ Zx[:, 0]


def _between(S: Array) -> Array:
    w, V = np.linalg.eigh(S)
    return np.asarray((V * np.clip(w, SMALLEST, LARGEST)) @ V.T)
