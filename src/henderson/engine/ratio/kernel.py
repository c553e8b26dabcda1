"""Compiled search for the variance ratio of each of many variants.

Importing this module loads Numba; callers import it only for a genome scan.

The columns [W_1 .. W_p, x, y] of one variant's model, in the basis of the eigenvectors of K, give for each
eigenvalue d_k the products of every two of them. With s_k = 1 / (1 + lambda d_k) and u_k = 1 - s_k, each
element of M(lambda) = [W x y]'V^-1[W x y] is a weighted sum of its products, and in t = log lambda

    dM/dt = -sum s u (product),    d2M/dt2 = sum s u (2 u - 1) (product),
    d log|V| / dt = sum u,         d2 log|V| / dt2 = sum s u.

Eliminating W and x from M leaves y'Py; the pivots are the factors of |X'V^-1X|. So criterion and derivatives
are exact, and cost one pass over the eigenvalues. ``shared`` holds the products without x, (pairs, K): the
lower triangle of [W y], row by row; ``own`` those of one variant with each column, (p + 2, K).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
INTERIOR, AT_ZERO, AT_LOWER, AT_UPPER = 0, 1, 2, 3
#: After a Newton step shorter than this in log lambda, the distance to the optimum is about its square.
SHORT = 1e-5
#: Factors 1 + lambda d multiplied before a logarithm is taken, and how large they may be for that.
RUN = 16
LARGE = 1e18
#: Sums may be reordered, so that they use the whole width of the machine; so must a division never raise.
_compiled = njit(cache=True, nogil=True, error_model="numpy")
_fast = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})


@_fast
def _weights(ratio: float, d: Array, counts: Array, w: Array) -> tuple[float, float]:
    """Weights of M and its derivatives at each eigenvalue into w (3, K); derivatives of log|V|."""
    first = second = 0.0
    for k in range(d.size):
        s = 1.0 / (1.0 + ratio * d[k])
        u = ratio * d[k] * s
        su = s * u
        w[0, k] = s
        w[1, k] = -su
        w[2, k] = su * (2.0 * u - 1.0)
        first += counts[k] * u
        second += counts[k] * su
    return first, second


@_fast
def _logdet(ratio: float, d: Array, counts: Array, each_once: bool) -> float:
    """Sum of counts log(1 + ratio d); where each counts once, logarithms of products of several factors."""
    total = 0.0
    runs = d.size // RUN if each_once and ratio * d[-1] < LARGE else 0
    for i in range(runs):
        product = 1.0
        for j in range(RUN):
            product *= 1.0 + ratio * d[RUN * i + j]
        total += np.log(product)
    for k in range(RUN * runs, d.size):
        total += counts[k] * np.log1p(ratio * d[k])
    return total


@_fast
def _dot3(w: Array, g: Array, out: Array) -> None:
    a = b = c = 0.0
    for k in range(g.size):
        a += w[0, k] * g[k]
        b += w[1, k] * g[k]
        c += w[2, k] * g[k]
    out[0] = a
    out[1] = b
    out[2] = c


@_compiled
def _clenshaw(c: Array, x: float) -> float:
    """Chebyshev series at x."""
    b1 = b2 = 0.0
    for j in range(c.size - 1, 0, -1):
        b1, b2 = c[j] + 2.0 * x * b1 - b2, b1
    return float(c[0] + x * b1 - b2)


@_compiled
def _fill(w: Array, shared: Array, own: Array, M: Array) -> None:
    """M (q, q, 3), value and two derivatives; q counts x only if ``own`` has rows."""
    q = M.shape[0]
    has_x = own.shape[0] > 0
    x = q - 2 if has_x else q
    pair = 0
    for i in range(q):
        if i == x:
            continue
        for j in range(i + 1):
            if j != x:
                _dot3(w, shared[pair], M[i, j])
                pair += 1
    if has_x:
        for j in range(q):
            _dot3(w, own[j], M[max(j, x), min(j, x)])


@_compiled
def _eliminate(M: Array, j: int) -> None:
    """Take column j out of those after it, derivatives included."""
    c, c1, c2 = M[j, j, 0], M[j, j, 1], M[j, j, 2]
    for i in range(j + 1, M.shape[0]):
        a, a1, a2 = M[i, j, 0], M[i, j, 1], M[i, j, 2]
        for k in range(j + 1, i + 1):
            b, b1, b2 = M[k, j, 0], M[k, j, 1], M[k, j, 2]
            f = a * b / c
            f1 = (a1 * b + a * b1 - f * c1) / c
            f2 = (a2 * b + 2.0 * a1 * b1 + a * b2 - 2.0 * f1 * c1 - f * c2) / c
            M[i, k, 0] -= f
            M[i, k, 1] -= f1
            M[i, k, 2] -= f2


@_compiled
def _criterion(
    t: float,
    d: Array,
    counts: Array,
    shared: Array,
    own: Array,
    extra: Array,
    span: Array,
    nu: float,
    reml: bool,
    w: Array,
    M: Array,
    each_once: bool,
    value: bool,
) -> tuple[float, float, float]:
    """-2 log likelihood less constants at t = log lambda (-inf for lambda = 0), and its derivatives.

    Without ``value``, only the derivatives count: the logarithms of the eigenvalues are left out.
    """
    ratio = np.exp(t)
    f1, f2 = _weights(ratio, d, counts, w)
    f = _logdet(ratio, d, counts, each_once) if value else 0.0
    if extra.shape[1] > 0 and ratio > 0.0:
        x = (2.0 * t - span[0] - span[1]) / (span[1] - span[0])
        f += _clenshaw(extra[0], x)
        f1 += _clenshaw(extra[1], x)
        f2 += _clenshaw(extra[2], x)
    _fill(w, shared, own, M)
    last = M.shape[0] - 1
    for j in range(last):
        c, c1, c2 = M[j, j, 0], M[j, j, 1], M[j, j, 2]
        if c <= 0.0:
            return np.inf, 0.0, 0.0
        if reml:
            f += np.log(c)
            f1 += c1 / c
            f2 += c2 / c - (c1 / c) ** 2
        _eliminate(M, j)
    r, r1, r2 = M[last, last, 0], M[last, last, 1], M[last, last, 2]
    if r <= 0.0:
        return np.inf, 0.0, 0.0
    f += nu * np.log(r)
    f1 += nu * r1 / r
    f2 += nu * (r2 / r - (r1 / r) ** 2)
    return f, f1, f2


@_compiled
def search(
    values: Array,
    nodes: Array,
    d: Array,
    counts: Array,
    shared: Array,
    own: Array,
    extra: Array,
    nu: float,
    reml: bool,
    zero: bool,
    log_ratio: Array,
    minimum: Array,
    where: Array,
) -> None:
    """Global minimum of each variant's criterion over log lambda.

    ``values`` (b, T) at the ``nodes`` locate the local minima; each is refined by Newton's method inside the
    interval between its neighbours, and the best is kept, both ends among them. With ``zero``, lambda = 0
    stands in place of the lower end.
    """
    b, n_nodes = values.shape
    q = _order(shared.shape[0]) + (1 if own.shape[1] > 0 else 0)
    w = np.empty((3, d.size))
    M = np.zeros((q, q, 3))
    span = np.array([nodes[0], nodes[-1]])
    once = bool(np.all(counts == 1.0))
    for v in range(b):
        best, best_t, best_where = np.inf, -np.inf, AT_ZERO
        if zero:
            best, _, _ = _criterion(
                -np.inf, d, counts, shared, own[v], extra, span, nu, reml, w, M, once, True
            )
        for j in range(n_nodes):
            f = values[v, j]
            left = values[v, j - 1] if j > 0 else np.inf
            right = values[v, j + 1] if j + 1 < n_nodes else np.inf
            if f > left or f > right:
                continue
            lo, hi = nodes[max(j - 1, 0)], nodes[min(j + 1, n_nodes - 1)]
            t = nodes[j]
            place = INTERIOR
            if j in (0, n_nodes - 1):
                f, slope, _ = _criterion(
                    t, d, counts, shared, own[v], extra, span, nu, reml, w, M, once, True
                )
                if j == 0 and slope >= 0.0:
                    place = AT_LOWER
                elif j > 0 and slope <= 0.0:
                    place = AT_UPPER
                t = 0.5 * (lo + hi)
            elif left + right > 2.0 * f:
                t += 0.5 * (left - right) / (left - 2.0 * f + right) * (hi - lo) * 0.5
            if place == AT_LOWER and zero:
                continue
            if place == INTERIOR:
                for _ in range(60):
                    _, slope, bend = _criterion(
                        t, d, counts, shared, own[v], extra, span, nu, reml, w, M, once, False
                    )
                    if slope < 0.0:
                        lo = t
                    else:
                        hi = t
                    new = t - slope / bend if bend > 0.0 else hi
                    if not lo < new < hi:
                        new = 0.5 * (lo + hi)
                    short = abs(new - t) < SHORT
                    t = new
                    if short:
                        break
                f, _, _ = _criterion(t, d, counts, shared, own[v], extra, span, nu, reml, w, M, once, True)
            else:
                t = nodes[j]
            if f < best:
                best, best_t, best_where = f, t, place
        log_ratio[v], minimum[v], where[v] = best_t, best, best_where


@_compiled
def pieces(ratio: Array, d: Array, shared: Array, own: Array, out: Array) -> None:
    """x'Px, x'Py and y'Py with P made of W alone, at each variant's own ratio; out (b, 3)."""
    q = _order(shared.shape[0]) + 1
    counts = np.zeros(d.size)
    w = np.empty((3, d.size))
    M = np.zeros((q, q, 3))
    for v in range(ratio.size):
        _weights(ratio[v], d, counts, w)
        _fill(w, shared, own[v], M)
        for j in range(q - 2):
            _eliminate(M, j)
        out[v, 0], out[v, 1], out[v, 2] = M[q - 2, q - 2, 0], M[q - 1, q - 2, 0], M[q - 1, q - 1, 0]


@_compiled
def _order(pairs: int) -> int:
    """Number of columns whose lower triangle has so many pairs."""
    q = 0
    while pairs > 0:
        q += 1
        pairs -= q
    return q
