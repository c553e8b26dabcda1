"""Numbers that carry their gradient and Hessian along through plain arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Jet:
    """A smooth function of k parameters at one point: value, gradient (k,) and Hessian (k, k).

    Examples
    --------
    >>> x = Jet.variable(3.0, 0, 2)
    >>> y = Jet.variable(4.0, 1, 2)
    >>> r = (x * x + y**2) ** 0.5
    >>> r.value, r.gradient
    (5.0, array([0.6, 0.8]))
    """

    value: float
    gradient: Array
    hessian: Array

    @classmethod
    def variable(cls, value: float, index: int, k: int) -> Jet:
        """Parameter number `index` of k itself."""
        gradient = np.zeros(k)
        gradient[index] = 1.0
        return cls(value, gradient, np.zeros((k, k)))

    def through(self, value: float, first: float, second: float) -> Jet:
        """A function of this, given its value and first two derivatives here."""
        bend = second * self.gradient[:, None] * self.gradient
        return Jet(value, first * self.gradient, first * self.hessian + bend)

    def __add__(self, other: Jet | float) -> Jet:
        if not isinstance(other, Jet):
            return Jet(self.value + other, self.gradient, self.hessian)
        return Jet(self.value + other.value, self.gradient + other.gradient, self.hessian + other.hessian)

    def __mul__(self, other: Jet | float) -> Jet:
        if not isinstance(other, Jet):
            return Jet(self.value * other, self.gradient * other, self.hessian * other)
        crossed = self.gradient[:, None] * other.gradient
        hessian = self.hessian * other.value + self.value * other.hessian + crossed + crossed.T
        gradient = self.gradient * other.value + self.value * other.gradient
        return Jet(self.value * other.value, gradient, hessian)

    def __pow__(self, power: float) -> Jet:
        v = self.value
        if v < 0.0 and power != round(power):
            return self.through(nan, nan, nan)
        if v == 0.0 and power < 2.0 and power != 1.0:
            return self.through(0.0 if power > 0.0 else nan, nan, nan)  # a root of zero has no slope
        return self.through(v**power, power * v ** (power - 1), power * (power - 1) * v ** (power - 2))

    def __neg__(self) -> Jet:
        return self * -1.0

    def __sub__(self, other: Jet | float) -> Jet:
        return self + -other

    def __truediv__(self, other: Jet | float) -> Jet:
        return self * other**-1.0

    def __rsub__(self, other: float) -> Jet:
        return -self + other

    def __rtruediv__(self, other: float) -> Jet:
        return self**-1.0 * other

    __radd__ = __add__
    __rmul__ = __mul__
