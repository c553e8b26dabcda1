"""What a user should hear about a fit, in plain words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Identity
from henderson.fit.solve import Fitted

Array = NDArray[np.float64]
#: lme4's tolerance for a diagonal element of T that counts as zero.
SINGULAR = 1e-4
#: Variances are not identified if doubling them moves the criterion by less than this.
FLAT = 1e-4
#: From this ratio of standard deviations on the residual variance counts as zero where the criterion is flat,
NO_RESIDUAL = 1e3
#: and from this one on anyhow.
ONLY_ROUNDING = 1e6


def singular_notices(group: str, names: tuple[str, ...], T: Array, scaled: Array) -> tuple[str, ...]:
    """What a singular covariance of one random term means; nothing for a regular one.

    Parameters
    ----------
    group, names : str and tuple of str
        Grouping factor and effects.
    T : ndarray, (q, q)
        Factor of the relative covariance.
    scaled : ndarray, (q, q)
        The same for designs of unit mean square, free of units: this is what decides.

    Examples
    --------
    >>> singular_notices("family", ("(Intercept)",), np.zeros((1, 1)), np.zeros((1, 1)))[0][:30]
    'boundary (singular) fit: the v'
    """
    if (np.abs(np.diag(scaled)) >= SINGULAR).all():
        small = [name for name, t in zip(names, np.diag(T), strict=True) if t < SINGULAR]
        if not small:
            return ()
        return (
            f"lme4 would call this fit singular, because a theta of {' and '.join(small)} by '{group}' "
            f"is below {SINGULAR}; that is only the unit or origin of a variable, and the variance is well "
            "determined",
        )
    size = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    zero = [name for name, s in zip(names, size, strict=True) if s < SINGULAR]
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
    return (f"boundary (singular) fit: {what}",)


def takes_all(fitted: Fitted, k: int) -> bool:
    """Whether term k has a relationship and leaves nothing for the residual: a heritability of one.

    The ratio of the variances then grows for as long as the search goes on, and the criterion with it ever
    less.
    """
    term, part = fitted.engine.model.terms[k], fitted.engine.model.theta_slices()[k]
    ratio = np.abs(term.covariance.factor(fitted.scaled[part])).max()
    if isinstance(term.relationship, Identity) or not ratio > NO_RESIDUAL:
        return False
    x = fitted.scaled[part]
    curvature = float(x @ fitted.optimum.hessian[part, part] @ x)
    return bool(ratio > ONLY_ROUNDING or curvature < FLAT)


def optimum_notices(fitted: Fitted) -> tuple[str, ...]:
    """A search that ended at its limit, or an optimum that is not the only one."""
    optimum = fitted.optimum
    if optimum.status == "iteration limit":
        return (
            f"the optimiser stopped at its limit after {optimum.evaluations} evaluations, an estimated "
            f"{optimum.decrement:.2g} from the best criterion; raise Control(max_iterations=...)",
        )
    terms = list(zip(fitted.engine.model.terms, fitted.engine.model.theta_slices(), strict=True))
    factors = [term.covariance.factor(fitted.scaled[part]) for term, part in terms]
    swallowed = [term.label for k, (term, _) in enumerate(terms) if takes_all(fitted, k)]
    if swallowed:
        return (
            "boundary fit: the residual variance is estimated as zero, because the relationship of "
            f"'{swallowed[0]}' accounts for all that the fixed effects leave of the response",
        )
    if any((np.abs(np.diag(T)) < SINGULAR).any() for T in factors):
        return ()  # directions along a boundary are flat by nature; a notice of its own says so
    unit = np.maximum(1.0, np.abs(optimum.x))
    w, V = np.linalg.eigh(optimum.hessian * np.outer(unit, unit))
    weight = np.abs(V[:, w < FLAT]).max(axis=1, initial=0.0)
    flat = list(dict.fromkeys(t.label for t, part in terms if weight[part].max() > 0.1))
    if not flat:
        return ()
    groups = " and ".join(f"'{label}'" for label in flat)
    return (
        f"these data do not tell the variances by {groups} apart, from each other or from the fixed effects: "
        "theta, and the standard errors that rest on it, are one of many equally good answers",
    )
