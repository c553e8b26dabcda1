"""Hessians and information matrices from second derivatives along directions; the same for every engine.

Slopes along k directions are (k, 3): of log|V|, of log|X'V^-1 X| and of y'Py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.engine.directions import Curvature, to_absolute
from henderson.engine.protocol import Information, InformationKind

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """How the pieces of the criterion move along some directions.

    Attributes
    ----------
    slopes : ndarray, (k, 3)
    second : Curvature
        Along the same directions, (k, k), of the kind that is wanted.
    """

    slopes: Array
    second: Curvature

    def profiled_hessian(self, pwrss: float, nu: int) -> Array:
        """Second derivatives of the profiled criterion, but for what the curvature of S and R_0 adds."""
        d_c = self.slopes[:, 2] / pwrss
        return self.second.logdet + nu * (self.second.pwrss / pwrss - np.outer(d_c, d_c))


def information(
    theta: Moved,
    linear: Moved,
    *,
    bend: Array,
    values: Array,
    pwrss: float,
    nu: int,
    reml: bool,
    kind: InformationKind,
) -> Information:
    """Information on (theta, sigma^2) and on the linear parameters, at the profiled sigma^2.

    Parameters
    ----------
    theta, linear : Moved
        Along theta, and along the elements of S and R_0.
    bend : ndarray, (n_theta, n_theta)
        What the curvature of S(theta) and R_0(theta) adds to the Hessian of the profiled criterion.
    values : ndarray, (n_linear,)
        The elements of S and R_0.
    pwrss : float
        y'Py.
    nu : int
        Degrees of freedom of sigma^2.
    reml, kind
        As asked for.
    """
    sigma2 = pwrss / nu
    weights = np.array([1.0, float(reml), nu / pwrss])

    def d_pwrss(moved: Moved) -> Array:
        # The slope of the criterion has expectation zero: that of y'Py is then -sigma^2 times the others'
        if kind == "expected":
            return np.asarray(-sigma2 * moved.slopes[:, :2] @ weights[:2])
        return np.asarray(moved.slopes[:, 2])

    H_theta = theta.second.unprofiled(d_pwrss(theta), pwrss, nu)
    score = np.zeros(values.size)
    if kind == "observed":
        H_theta[:-1, :-1] += bend
        score = linear.slopes @ weights
    H = to_absolute(linear.second.unprofiled(d_pwrss(linear), pwrss, nu), values, score, sigma2)
    return Information(theta_sigma2=0.5 * H_theta, linear=0.5 * H)
