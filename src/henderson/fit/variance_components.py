"""Variances and covariances in absolute units, with the covariance of their estimates."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit
from henderson.engine import InformationKind
from henderson.fit.notices import takes_all
from henderson.fit.solve import Fitted

Array = NDArray[np.float64]
Element = tuple[int, int, int]
#: A move of the covariances is none below this part of the largest, or of what other moves already span.
NO_MOVE = 1e-8
#: and the data say nothing along a move whose information is below this part of the largest.
UNKNOWN = 1e-12
#: A correlation this close to 1 or -1 is held there.
SINGULAR = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class VarianceComponents:
    """Elements of sigma^2 S_k of all terms and of sigma^2 R_0, and functions of them by the delta method.

    Attributes
    ----------
    elements : tuple of (int, int, int), length m
        Term, row and column of each, i >= j; the residual stands after the last term. They have the order of
        `henderson.engine.protocol.Information`: the residual variance (of the first position) is the last.
    values : ndarray, shape (m,)
        In the units of the response squared.
    cov : ndarray, shape (m, m)
        Covariance of the estimates: zero for those that are held, NaN where the data do not tell.
    free : ndarray of bool, shape (m,)
        False for a variance that is estimated as zero, and the covariances beside it.
    notices : tuple of str
        What the user should know.
    """

    elements: tuple[Element, ...]
    values: Array
    cov: Array
    free: NDArray[np.bool_]
    notices: tuple[str, ...]

    def place(self, term: int, i: int, j: int) -> int:
        """Where an element stands; either triangle."""
        return self.elements.index((term, max(i, j), min(i, j)))

    def unit(self, term: int, i: int) -> Array:
        """Weights (m,) that pick the variance of one effect."""
        out = np.zeros(self.values.size)
        out[self.place(term, i, i)] = 1.0
        return out

    @property
    def std_errors(self) -> Array:
        """Standard errors, shape (m,); NaN for a variance of zero and its covariances."""
        return np.where(self.free, np.sqrt(np.diag(self.cov)), nan)

    def total(self, weights: Array) -> tuple[float, float]:
        """Sum of weights (m,) times the elements, and its standard error; NaN if all of them are zero."""
        free = bool((self.free & (weights != 0.0)).any())
        return float(weights @ self.values), self._se(weights) if free else nan

    def share(self, own: Array, total: Array) -> tuple[float, float]:
        """Ratio of two such sums, and its standard error.

        The standard error is NaN where the share is zero or one because one of its two parts is.
        """
        part, whole = float(own @ self.values), float(total @ self.values)
        inside = all(bool((self.free & (w != 0.0)).any()) for w in (own, total - own))
        slope = (own - part / whole * total) / whole
        return part / whole, self._se(slope) if inside else nan

    def correlation(self, term: int, i: int, j: int) -> tuple[float, float]:
        """Correlation of two effects of a term, and its standard error; NaN beside a variance of zero.

        The standard error is NaN also where the correlation is 1 or -1, and so does not move.
        """
        at = [self.place(term, a, b) for a, b in ((i, i), (j, j), (i, j))]
        if not self.free[at].all():
            return nan, nan
        vi, vj, c = self.values[at]
        r = float(c / np.sqrt(vi * vj))
        slope = np.zeros(self.values.size)
        slope[at] = -0.5 * r / vi, -0.5 * r / vj, 1.0 / np.sqrt(vi * vj)
        return r, nan if abs(r) > 1.0 - SINGULAR else self._se(slope)

    def _se(self, slope: Array) -> float:
        variance = float(slope @ self.cov @ slope)
        return nan if isnan(variance) else sqrt(max(0.0, variance))


def variance_components(fitted: Fitted, *, kind: InformationKind = "average") -> VarianceComponents:
    """All variances and covariances at the estimates.

    With D the moves of the elements that the structures allow (one for each free parameter; for an
    unstructured covariance they span all moves), and I the information in the elements, the estimates have
    the covariance D (D' I D)^-1 D'. What is at its bound does not move: the rest has the standard errors of
    the model in which it is held there.

    Gilmour, Thompson & Cullis (1995), Biometrics 51:1440-1450 (average information); Lynch & Walsh (1998),
    Genetics and Analysis of Quantitative Traits, appendix 1 (the delta method).

    Parameters
    ----------
    fitted : Fitted
    kind : {"average", "expected", "observed"}
        Which information.

    Returns
    -------
    VarianceComponents
    """
    elements, relative, slopes = _relative(fitted)
    sigma2 = fitted.criterion.sigma2(fitted.reml)
    values = sigma2 * relative
    free, notices = _free(fitted, elements, relative)
    diagonal = {(k, i): v for (k, i, j), v in zip(elements, values.tolist(), strict=True) if i == j}
    scale = np.array([sqrt(diagonal[k, i] * diagonal[k, j]) for k, i, j in elements])[free]
    coordinates = fitted.engine.coordinates()
    J = coordinates.jacobian(coordinates.phi(fitted.theta))
    moves = np.column_stack([sigma2 * slopes @ J, values])[free] / scale[:, None]
    information = fitted.engine.information(fitted.theta, reml=fitted.reml, kind=kind).linear
    Q = _span(moves)
    inner = Q.T @ (scale[:, None] * information[np.ix_(free, free)] * scale) @ Q
    cov = np.zeros((values.size, values.size))
    known = np.linalg.eigvalsh(inner)
    if known[0] > UNKNOWN * known[-1]:
        half = scale[:, None] * Q
        cov[np.ix_(free, free)] = half @ np.linalg.solve(inner, half.T)
    else:
        cov[:] = nan
        notices = (
            *notices,
            "the likelihood has no peak at the estimates, so that there are no standard errors",
        )
    return VarianceComponents(elements, values, cov, free, notices)


def _relative(fitted: Fitted) -> tuple[tuple[Element, ...], Array, Array]:
    """The elements, their values over sigma^2, and the derivatives of these in theta, (m, n_theta)."""
    shape, theta = fitted.engine.shape, fitted.theta
    found: list[tuple[Element, float, slice, Array]] = []
    for k, (term, part) in enumerate(zip(shape.terms, shape.theta_slices(), strict=True)):
        T, first = term.covariance.factor(theta[part]), term.covariance.derivatives(theta[part])[0]
        S = T @ T.T
        found += [((k, i, j), S[i, j], part, first[:, i, j]) for i, j in triangle(term.covariance.q)]
    last, own = len(shape.terms), shape.residual_slice
    R0 = shape.residual.matrix(theta[own])
    first = np.zeros((0, 1, 1))
    if isinstance(shape.residual, ByUnit):
        first = shape.residual.derivatives(theta[own])[0]
    of_residual = [((last, i, j), R0[i, j], own, first[:, i, j]) for i, j in triangle(len(R0))]
    found += [*of_residual[1:], of_residual[0]]
    slopes = np.zeros((len(found), theta.size))
    for row, (_, _, part, values) in zip(slopes, found, strict=True):
        row[part] = values
    return tuple(e for e, *_ in found), np.array([float(value) for _, value, *_ in found]), slopes


def triangle(q: int) -> list[tuple[int, int]]:
    """Elements of a lower triangle, column by column."""
    return [(i, j) for j in range(q) for i in range(j, q)]


def _free(
    fitted: Fitted, elements: tuple[Element, ...], relative: Array
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Which elements are not held at zero, with sentences about those that are."""
    terms = fitted.engine.shape.terms
    zero = {(k, i) for (k, i, j), value in zip(elements, relative, strict=True) if i == j and value == 0.0}
    if any(takes_all(fitted, k) for k in range(len(terms))):
        zero |= {(k, i) for k, i, j in elements if k == len(terms) and i == j}
    free = np.array([(k, i) not in zero and (k, j) not in zero for k, i, j in elements])
    notices = []
    for k in dict.fromkeys(k for k, _ in sorted(zero)):
        what = "the residual variance" if k == len(terms) else f"a variance of '{terms[k].label}'"
        notices.append(
            f"{what} is estimated as zero, where a standard error has no meaning: those of the others hold "
            "it there"
        )
    return free, tuple(notices)


def _span(moves: Array) -> Array:
    """Orthonormal columns that span the moves."""
    size = np.linalg.norm(moves, axis=0)
    kept = size > NO_MOVE * size.max(initial=0.0)
    U, s, _ = np.linalg.svd(moves[:, kept] / size[kept], full_matrices=False)
    return np.asarray(U[:, s > NO_MOVE * s.max(initial=0.0)])
