"""What a user should hear about a fit, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit, Identity
from henderson.engine import Engine
from henderson.fit.optimize import Optimum
from henderson.fit.solve import Fitted
from henderson.model import ModelShape, RandomTerm

Array = NDArray[np.float64]
#: lme4's tolerance for a diagonal element of T that counts as zero.
SINGULAR = 1e-4
#: Variances are not identified if doubling them moves the criterion by less than this.
FLAT = 1e-4
#: From this ratio of standard deviations on the residual variance counts as zero where the criterion is flat,
NO_RESIDUAL = 1e3
#: and from this one on anyhow.
ONLY_ROUNDING = 1e6
#: A search that rounding ended this far above the best criterion has not arrived.
STALLED = 1e-4
#: Terms whose part in a flat direction is above this take part in it.
INVOLVED = 0.01
#: Where T is singular, an effect that adds less than this many residual standard deviations counts as zero.
NEGLIGIBLE = 1e-3
#: Lengths that differ by less count as equal and the first is taken, so that equal fits are told alike.
ALIKE = 1e-6
#: Effects whose part in a combination is below this share of the largest are not spelled out.
MINOR = 0.1


def singular_notices(group: str, names: tuple[str, ...], T: Array, scale: Array) -> tuple[str, ...]:
    """What a singular covariance of one random term means; nothing for a regular one.

    Parameters
    ----------
    group, names : str and tuple of str
        Grouping factor and effects.
    T : ndarray, (q, q)
        Factor of the relative covariance S = T T', of any structure.
    scale : ndarray, (q, q)
        P with Z = Z~ P for orthogonal designs Z~ of unit mean square. P T is free of units: this is what
        decides, so that a predictor in small units is no cause for alarm.

    Returns
    -------
    tuple of str
        No notice or one: what has no variance, and what may be done about it.

    Examples
    --------
    >>> singular_notices("family", ("(Intercept)",), np.zeros((1, 1)), np.eye(1))[0][:30]
    'boundary (singular) fit: the v'
    >>> T = np.array([[2.0, 0.0], [0.5, 0.0]])
    >>> singular_notices("Subject", ("(Intercept)", "Days"), T, np.eye(2))[0][25:]  # doctest: +ELLIPSIS
    "(Intercept) and Days by 'Subject' are estimated as perfectly correlated (1): ...
    """
    lost = dimensions_lost(scale @ T)
    if not lost:
        return ()
    nothing = without_variance(T, scale)
    # Of the others: a row of zeros is a dimension lost
    tied = dimensions_lost(scale @ np.where(nothing[:, None], 0.0, T)) - int(nothing.sum())
    zero = [name for name, none in zip(names, nothing, strict=True) if none]
    if nothing.all():
        s = "s" if len(zero) > 1 else ""
        what = (
            f"the variance{s} of {_listed(zero)} by '{group}' {'are' if s else 'is'} estimated as zero: "
            "beyond the residual variation these data show no differences between its levels; leave the term "
            "out, or keep it, as all other estimates are the same with and without it"
        )
    elif zero and not tied:
        s, are, it = ("s", "are", "them") if len(zero) > 1 else ("", "is", "it")
        what = (
            f"the variance{s} of {_listed(zero)} by '{group}' {are} estimated as zero: its levels do not "
            f"differ in that; leave {it} out of the term, or keep {it}, as all other estimates are the same"
        )
    else:
        rest = [name for name in names if name not in zero]
        also = f", and the variance of {_listed(zero)} is estimated as zero" if zero else ""
        what = (
            f"{_dependence(group, rest, T[~nothing], tied)}{also}; predictions can rest on this "
            "fit, but to interpret the variances simplify the term: leave out an effect, or the correlations "
            f"({'diag(1 | ' + group + ')' if ' & ' in group else '||'})"
        )
    return (f"boundary (singular) fit: {what}",)


def scales(engine: Engine) -> tuple[Array, ...]:
    """P of each term, with Z = Z~ P for orthogonal designs Z~ of unit mean square; (q, q) each."""
    shape = engine.shape
    theta = np.ones(shape.n_theta)
    for term, part in zip(shape.terms, shape.theta_slices(), strict=True):
        theta[part] = term.covariance.nearest(np.eye(term.q))
    return engine.scaled_factors(theta)


def without_variance(T: Array, scale: Array) -> NDArray[np.bool_]:
    """Effects that add next to nothing to the others: one after the other, the least first.

    >>> without_variance(np.array([[0.0, 0.0], [3e-9, 0.0], [1e-4, 0.0]]), np.diag([1.0, 1.0, 1e4])).tolist()
    [True, True, False]
    """
    left = list(range(len(T)))
    if np.linalg.norm(scale @ T, 2) < SINGULAR:
        left = []
    while left:
        alone = 1.0 / np.linalg.norm(np.linalg.pinv(scale[:, left]), axis=1)
        size = alone * np.linalg.norm(T[left], axis=1)
        k = int(np.argmin(size))
        if size[k] >= NEGLIGIBLE:
            break
        del left[k]
    return ~np.isin(np.arange(len(T)), left)


def dimensions_lost(scaled: Array) -> int:
    """Number of directions without variance, of the factor (q, q) for designs of unit mean square.

    >>> dimensions_lost(np.array([[1.0, 0.0], [0.5, 0.0]]))
    1
    """
    return int((np.linalg.svd(scaled, compute_uv=False) < SINGULAR).sum())


def _dependence(group: str, names: Sequence[str], T: Array, lost: int) -> str:
    """The effects, none of zero variance, that move together, and the combinations that do not vary."""
    shown = [f"'{text}'" for text in still_combinations(names, T, lost)]
    still = f"its levels do not differ in {_listed(shown)}"
    if len(names) == 2:
        sign = "1" if float(T[0] @ T[1]) > 0.0 else "-1"
        return (
            f"{names[0]} and {names[1]} by '{group}' are estimated as perfectly correlated ({sign}): "
            f"{still}, so that these data do not carry two separate variances"
        )
    left = len(names) - lost
    return (
        f"the {len(names)} effects {_listed(names)} by '{group}' are estimated as linearly dependent: "
        f"{still}, so that these data carry {left} separate variance{'' if left == 1 else 's'}"
    )


def still_combinations(names: Sequence[str], T: Array, lost: int) -> list[str]:
    """The combinations of effects that have no variance, written out.

    Parameters
    ----------
    names : sequence of str, length q
    T : ndarray, (q, q') without zero rows
        Factor of S = T T'.
    lost : int
        How many there are, q less the rank of S.

    Returns
    -------
    list of str
        Each with the three effects that have most part in it at most. They are sums of the effects
        themselves, in the units of the table of `ranef`.

    Examples
    --------
    >>> still_combinations(["(Intercept)", "Days"], np.array([[2.0, 0.0], [0.5, 0.0]]), 1)
    ['(Intercept) - 4 Days']
    """
    sd = np.sqrt(np.einsum("ij,ij->i", T, T))
    unit = T / sd[:, None]
    # Effects that span the others, each the one least explained by those before it
    basis: list[int] = []
    left = unit.copy()
    for _ in range(len(names) - lost):
        size = np.einsum("ij,ij->i", left, left)
        k = int(np.flatnonzero(size >= (1.0 - ALIKE) * size.max())[0])
        basis.append(k)
        direction = left[k] / np.linalg.norm(left[k])
        left = left - np.outer(left @ direction, direction)
    found = []
    for k in sorted(set(range(len(names))) - set(basis)):
        part = np.zeros(len(names))
        part[k] = 1.0
        part[basis] = -np.linalg.lstsq(unit[basis].T, unit[k], rcond=None)[0]
        found.append(_combination(names, part, part / sd))
    return found


def _combination(names: Sequence[str], part: Array, coefficients: Array) -> str:
    """``a - 4 b``: the effects with most part, in their order; the first of weight counts once."""
    share = np.round(np.abs(part) / np.abs(part).max(), 6)
    shown = [int(k) for k in np.sort(np.argsort(-share, kind="stable")[:3]) if share[k] >= MINOR]
    unit = coefficients[next(k for k in shown if share[k] >= 0.5)]
    more = " + ..." if (share >= MINOR).sum() > len(shown) else ""
    return weighted_sum([names[k] for k in shown], coefficients[shown] / unit) + more


def weighted_sum(names: Sequence[str], weights: NDArray[np.floating[Any]]) -> str:
    """A linear combination as one would write it.

    >>> weighted_sum(["a", "b", "c"], np.array([1.0, -0.5, 2.0]))
    'a - 0.5 b + 2 c'
    """
    text = ""
    for name, weight in zip(names, weights, strict=True):
        number = f"{abs(weight):.3g}"
        text += f" {'-' if weight < 0.0 else '+'} {'' if number == '1' else number + ' '}{name}"
    return text.removeprefix(" + ").lstrip()


def takes_all(fitted: Fitted, k: int) -> bool:
    """Whether term k has a relationship and leaves nothing for the residual: a heritability of one.

    The ratio of the variances then grows for as long as the search goes on, and the criterion with it ever
    less; those of other terms grow with it.
    """
    shape = fitted.engine.shape
    term, parts = shape.terms[k], slice(shape.residual_slice.start)
    ratio = np.abs(fitted.factors[k]).max()
    if isinstance(term.relationship, Identity) or not ratio > NO_RESIDUAL:
        return False
    x = fitted.optimum.x[parts]
    curvature = float(x @ fitted.optimum.hessian[parts, parts] @ x)
    return bool(ratio > ONLY_ROUNDING or curvature < FLAT)


def search_notices(optimum: Optimum) -> tuple[str, ...]:
    """A search that did not arrive, and how far it may still be.

    >>> at = Optimum(np.ones(1), 3.0, np.ones(1), np.eye(1), 1.0, "iteration limit", 2, 2, ())
    >>> search_notices(at)[0]  # doctest: +ELLIPSIS
    'the optimiser stopped at its limit after 2 evaluations, an estimated 0.5 above the best criterion; ...
    """
    left = 0.5 * optimum.decrement
    far = f", an estimated {left:.2g} above the best criterion" if np.isfinite(left) else ""
    if optimum.status == "iteration limit":
        return (
            f"the optimiser stopped at its limit after {optimum.evaluations} evaluations{far}; raise "
            "Control(max_iterations=...)",
        )
    if optimum.status == "at rounding level" and not left < STALLED:
        return (
            f"the optimiser could get no further after {optimum.evaluations} evaluations{far}: rounding "
            "hides the way; try another start=, and look for predictors that are almost the same",
        )
    return ()


def residual_notices(fitted: Fitted) -> tuple[str, ...]:
    """A residual structure that is singular, where the likelihood may have no maximum."""
    residual = fitted.engine.shape.residual
    if not isinstance(residual, ByUnit):
        return ()
    theta = fitted.theta[fitted.engine.shape.residual_slice]
    vanished = [residual.positions[k] for k in residual.vanished(theta)]
    if vanished:
        return (
            f"boundary fit: residual='{residual.label}' is left with next to no variance at "
            f"{_listed(vanished)}, whose records the other terms reproduce; the likelihood may have no "
            "maximum there: give these positions a variance in common with others, or simplify the random "
            "terms",
        )
    if residual.is_dependent(theta):
        return (
            f"boundary fit: the correlations of residual='{residual.label}' ended at a bound, where the "
            "residuals of a unit determine each other, and the likelihood may have no maximum; a random term "
            "of the same units may account for the same correlation: leave one of the two out, or choose a "
            "structure with fewer parameters",
        )
    return ()


def optimum_notices(fitted: Fitted, texts: Sequence[str]) -> tuple[str, ...]:
    """A search that ended at its limit, or an optimum that is not the only one.

    Parameters
    ----------
    fitted : Fitted
    texts : sequence of str
        Each random term as the user would write it, in the order of the model.

    Returns
    -------
    tuple of str
        No notice or one.
    """
    stopped = residual_notices(fitted) or search_notices(fitted.optimum)
    if stopped:
        return stopped
    terms = fitted.engine.shape.terms
    swallowed = [term.label for k, term in enumerate(terms) if takes_all(fitted, k)]
    if swallowed:
        return (
            "boundary fit: the residual variance is estimated as zero, because the relationship of "
            f"'{swallowed[0]}' accounts{', with the other random terms,' if len(terms) > 1 else ''} for all "
            "that the fixed effects leave of the response",
        )
    flat = _flat(fitted)
    return (_flat_notice(fitted.engine.shape, texts, flat),) if flat else ()


def _flat(fitted: Fitted) -> list[int]:
    """Terms between which, or within which, variance can be moved without changing the criterion.

    The residual structure, if there is one, counts as one more term. The average information is what decides,
    because it vanishes where V does not change; the Hessian of the search holds secant corrections too.
    """
    shape = fitted.engine.shape
    # Along a boundary a search is flat by nature; a notice of its own says so.
    parts = {k: part for k, part in enumerate(shape.theta_slices()) if not dimensions_lost(fitted.factors[k])}
    parts[len(shape.terms)] = shape.residual_slice
    own = np.concatenate([np.full(part.stop - part.start, k) for k, part in parts.items()])
    index = np.concatenate([np.arange(part.start, part.stop) for part in parts.values()])
    if not index.size:
        return []
    x, H = fitted.optimum.x, fitted.optimum.average
    if H is None:
        coordinates = fitted.engine.coordinates()
        x = coordinates.phi(fitted.theta)
        J = coordinates.jacobian(x)
        H = J.T @ fitted.engine.profiled_hessian(fitted.theta, reml=fitted.reml, kind="average") @ J
    unit = np.maximum(1.0, np.abs(x[index]))
    w, V = np.linalg.eigh(H[np.ix_(index, index)] * np.outer(unit, unit))
    weight = np.abs(V[:, w < FLAT]).max(axis=1, initial=0.0)
    return [k for k in parts if weight[own == k].max(initial=0.0) > INVOLVED]


def _flat_notice(shape: ModelShape, texts: Sequence[str], flat: Sequence[int]) -> str:
    terms = [(texts[k], shape.terms[k]) for k in flat if k < len(shape.terms)]
    twins = [(a, b) for (a, one), (b, other) in combinations(terms, 2) if _same(one, other)]
    if twins:
        a, b = twins[0]
        why = f"{a} stands twice" if a == b else f"{a} and {b} are the same term under two names"
        return (
            f"{why}, so that these data cannot tell their variances apart, and theta is one of many "
            f"equally good answers; leave {'one' if a == b else b} out (their sum is well determined)"
        )
    named = [text for text, _ in terms]
    if len(terms) < len(flat) and isinstance(shape.residual, ByUnit):
        named.append(f"the residual {shape.residual.label}")
    alone = len(named) == 1
    others = ", from the residual" if alone and terms else ""
    return (
        f"these data do not tell the variances of {_listed(named)} apart, from each other{others} or from "
        "the fixed effects: theta, and the standard errors that rest on it, are one of many equally good "
        "answers; "
        + ("simplify the term, or the fixed effects of the same levels" if alone else "leave one of them out")
    )


def _same(a: RandomTerm, b: RandomTerm) -> bool:
    """Whether two terms give every row the same effects of the same levels, under whatever labels."""
    if a.n_levels != b.n_levels or a.codes.ndim != 1 or not a.codes.size or not np.array_equal(a.z, b.z):
        return False
    if not isinstance(a.relationship, Identity) or not isinstance(b.relationship, Identity):
        return False
    relabelled = np.full(a.n_levels, -1)
    relabelled[a.codes] = b.codes
    return bool((relabelled[a.codes] == b.codes).all())


def describe_optimum(optimum: Optimum) -> str:
    """How the search ended, in one line.

    The scaled gradient is sqrt(g'H^-1 g), the distance to the optimum in units in which the criterion rises
    by one; the curvature is the smallest eigenvalue of H in coordinates free of units.

    Parameters
    ----------
    optimum : Optimum

    Returns
    -------
    str

    Examples
    --------
    >>> at = Optimum(np.ones(1), 3.0, np.zeros(1), np.eye(1), 1e-18, "converged", 7, 7, ())
    >>> describe_optimum(at)
    'converged after 7 evaluations: scaled gradient 1e-09, smallest curvature 1'
    """
    unit = np.maximum(1.0, np.abs(optimum.x))
    curvature = float(np.linalg.eigvalsh(optimum.hessian * np.outer(unit, unit))[0])
    how = {
        "converged": "converged",
        "at rounding level": "ended where rounding hides further progress,",
        "iteration limit": "not converged: stopped at the limit of iterations",
    }[optimum.status]
    s = "" if optimum.evaluations == 1 else "s"
    flat = " (flat: a variance at its bound, or more than one answer)" if curvature < FLAT else ""
    return (
        f"{how} after {optimum.evaluations} evaluation{s}: scaled gradient {np.sqrt(optimum.decrement):.1g}, "
        f"smallest curvature {curvature:.2g}{flat}"
    )


def _listed(names: Sequence[str]) -> str:
    """``a, b and c``; only the first of many."""
    shown = [*names[:3], f"{len(names) - 3} more"] if len(names) > 5 else list(names)
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
