"""Coefficients of the usual families of contrasts among means, with their names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.inference.adjust import Adjustment
from henderson.io.frame import closest

Array = NDArray[np.float64]
Family = tuple[tuple[str, ...], Array]

#: The named families, each with the adjustment of p-values that belongs to it.
FAMILIES: dict[str, Adjustment] = {"pairwise": "tukey", "trt.vs.ctrl": "dunnettx", "poly": "none"}
HIGHEST_DEGREE = 6
_DEGREES = ("linear", "quadratic", "cubic", "quartic", "degree 5", "degree 6")


def family(method: Any, labels: Sequence[str], *, control: str | None = None) -> Family:
    """The contrasts of a family among some means.

    Parameters
    ----------
    method : str, mapping or array_like
        "pairwise", every mean less each later one; "trt.vs.ctrl", every other mean less the control; "poly",
        orthogonal polynomials over equally spaced means, in whole numbers; or the coefficients themselves: a
        mapping of names to one number for each mean, or an array with one row for each contrast.
    labels : sequence of str, length m
        Names of the means.
    control : str, optional
        For "trt.vs.ctrl": the mean that the others are compared with, by default the first.

    Returns
    -------
    names : tuple of str, length k
    coefficients : ndarray, (k, m)

    Raises
    ------
    DataError
        For an unknown family or coefficients that do not fit the means.

    Examples
    --------
    >>> family("pairwise", ["a", "b", "c"])[0]
    ('a - b', 'a - c', 'b - c')
    >>> family("poly", ["1", "2", "3", "4"])[1]
    array([[-3., -1.,  1.,  3.],
           [ 1., -1., -1.,  1.],
           [-1.,  3., -3.,  1.]])
    """
    m = len(labels)
    if not isinstance(method, str):
        return _given(method, m)
    identity = np.eye(m)
    if method == "pairwise":
        first, second = np.triu_indices(m, 1)
        names = [_difference(labels, i, j) for i, j in zip(first.tolist(), second.tolist(), strict=True)]
        return tuple(names), identity[first] - identity[second]
    if method == "trt.vs.ctrl":
        if control is not None and control not in labels:
            raise DataError(f"there is no mean {control!r} to compare with{closest(str(control), labels)}")
        c = 0 if control is None else list(labels).index(control)
        others = [i for i in range(m) if i != c]
        return tuple(_difference(labels, i, c) for i in others), identity[others] - identity[c]
    if method == "poly":
        degree = min(HIGHEST_DEGREE, m - 1)
        return _DEGREES[:degree], whole_polynomials(m, degree)
    raise DataError(
        f"method is {method!r}; it can be {', '.join(map(repr, FAMILIES))}, or coefficients, such as "
        "{'first against the rest': [1, -0.5, -0.5]}"
    )


def whole_polynomials(m: int, degree: int) -> Array:
    """Orthogonal polynomials of degree 1 to `degree` over m equally spaced points, in whole numbers.

    Each row has the smallest whole numbers that are proportional to the polynomial (Fisher & Yates,
    Statistical Tables, XXIII), and ends in a positive one.

    >>> whole_polynomials(5, 4)[3]
    array([ 1., -4.,  6., -4.,  1.])
    """
    points = [Fraction(2 * i - m + 1) for i in range(m)]
    found: list[list[Fraction]] = [[Fraction(1)] * m]
    for _ in range(degree):
        row = [x * last for x, last in zip(points, found[-1], strict=True)]
        for other in found:
            share = sum(map(_times, row, other), Fraction()) / sum(map(_times, other, other), Fraction())
            row = [a - share * b for a, b in zip(row, other, strict=True)]
        found.append(row)
    whole = []
    for row in found[1:]:
        shared = math.lcm(*(x.denominator for x in row))
        numbers = [int(x * shared) for x in row]
        whole.append([n / math.gcd(*numbers) for n in numbers])
    return np.array(whole).reshape(degree, m)


def _times(a: Fraction, b: Fraction) -> Fraction:
    return a * b


def _given(method: Any, m: int) -> Family:
    names: tuple[str, ...] | None = None
    if isinstance(method, Mapping):
        names = tuple(map(str, method))
        method = list(method.values())
    try:
        C = np.atleast_2d(np.asarray(method, dtype=np.float64))
    except (TypeError, ValueError):
        C = np.empty((0, 0))
    if C.ndim != 2 or C.shape[1] != m or not np.isfinite(C).all():
        raise DataError(
            f"the coefficients of a contrast must be {m} numbers, one for each mean, and several contrasts a "
            "mapping of their names to such numbers, or the rows of an array"
        )
    return tuple(f"c{i + 1}" for i in range(len(C))) if names is None else names, C


def _difference(labels: Sequence[str], i: int, j: int) -> str:
    return f"{_enclosed(labels[i])} - {_enclosed(labels[j])}"


def _enclosed(label: str) -> str:
    """A label in parentheses if it looks like arithmetic, as R's emmeans prints it."""
    return f"({label})" if re.search(r"[-+/*]", label) else label
