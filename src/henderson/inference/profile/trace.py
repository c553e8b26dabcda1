"""Along a profile from the estimate to both sides, until the deviance has risen far enough."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf, isnan, nan, sqrt
from typing import Literal

import numpy as np

from henderson.inference.profile.paths import Knot, Path, Start

#: Knots are aimed at multiples of this zeta, so that one is next to each limit of 95 %; and at the end,
SPACING = 0.98
#: at most this many on one side.
MOST = 40
#: A step is made shorter this often where the search fails,
ATTEMPTS = 5
#: or where zeta changes by more than this.
LONGEST = 2.0
#: A deviance lower than that of the estimates by more than this is another optimum.
LOWER = 1e-6
#: The last knot is to be this part beyond the end, so that the end is interpolated.
BEYOND = 1.01
#: Steps towards a bound go at most this part of the way, and all of it where little is left.
TOWARDS = 0.6
#: How near to a bound (in the coordinate of the path, relative to the way there) a path goes.
SHORT_OF_BOUND = 1e-4

Ended = Literal["reached", "bound", "failed", "turned", "flat"]


class LowerOptimum(Exception):
    """A point that is better than the estimates."""

    def __init__(self, knot: Knot) -> None:
        super().__init__(knot)
        self.knot = knot


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A knot with its signed root of the rise in deviance, and d zeta / d u."""

    knot: Knot
    zeta: float
    slope: float


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """All points of a profile, ascending in u, and how each side ended."""

    points: tuple[Point, ...]
    low: Ended
    high: Ended

    @property
    def ends(self) -> tuple[float, float]:
        """How large |zeta| can be on either side: infinite where the cutoff was reached, NaN if unknown."""
        return _end(self.low, self.points[0]), _end(self.high, self.points[-1])


def _end(ended: Ended, last: Point) -> float:
    if ended == "bound":
        return abs(last.zeta)
    return inf if ended == "reached" else nan


def trace(path: Path, cutoff: float) -> Trace:
    """Walk to both sides until |zeta| passes the cutoff.

    Raises
    ------
    LowerOptimum
        If a point is lower than the estimates.
    """
    start = path.start()
    low, high = (_Side(path, start, side, cutoff) for side in (-1, 1))
    if isnan(start.root_bend):
        return _from_bound(path, start, low, high)
    centre = Point(start.knot, 0.0, start.root_bend)
    below, low_end = low.walk(centre, None)
    above, high_end = high.walk(centre, below[0] if below else None)
    return Trace((*reversed(below), centre, *above), low_end, high_end)


def _from_bound(path: Path, start: Start, low: _Side, high: _Side) -> Trace:
    """The profile of an estimate at its bound: the deviance is even about it."""
    u = start.knot.u
    upwards = abs(u - start.bounds[0]) <= abs(u - start.bounds[1])
    knot = path.off_bound(start.knot)
    if knot is None:
        alone = (Point(start.knot, 0.0, nan),)
        return Trace(alone, *(("bound", "failed") if upwards else ("failed", "bound")))
    side = high if upwards else low
    first = side.point(knot)
    # D = a d^2 + b d^4 at a distance d, with its slope, gives a
    d = knot.u - u
    rise = knot.deviance - start.knot.deviance
    centre = Point(start.knot, 0.0, sqrt(max(2.0 * rise - 0.5 * knot.slope * d, 0.0)) / abs(d))
    rest, ended = side.walk(first, None)
    points = (centre, first, *rest)
    return Trace(points, "bound", ended) if upwards else Trace(points[::-1], ended, "bound")


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """One side of a profile: below the estimate (-1) or above it (1)."""

    path: Path
    start: Start
    side: int
    cutoff: float

    @property
    def bound(self) -> float:
        return self.start.bounds[self.side > 0]

    def point(self, knot: Knot) -> Point:
        """A knot with its zeta."""
        zeta = sqrt(max(knot.deviance - self.start.knot.deviance, 0.0))
        slope = self.side * knot.slope / (2.0 * zeta) if zeta > 0.0 else inf
        return Point(knot, self.side * zeta, slope)

    def walk(self, first: Point, before: Point | None) -> tuple[list[Point], Ended]:
        """All points from one on."""
        way = abs(self.bound - first.knot.u)
        short = SHORT_OF_BOUND * min(way, 1.0)
        points: list[Point] = []
        at = first
        for _ in range(MOST):
            left = abs(self.bound - at.knot.u)
            if abs(at.zeta) >= self.cutoff:
                return points, "reached"
            if left < 2.0 * short:
                return points, "bound"
            if not at.slope > 0.0:
                return points, "turned"
            delta = min(_limited(self._distance(at, before), left, way), left - short)
            new = self._shortened(at, before, delta)
            if new is None:
                return points, "failed"
            points.append(new)
            before, at = at, new
        return points, "flat"

    def _distance(self, at: Point, before: Point | None) -> float:
        """How far in u to the next zeta, by the slope and how it has changed from the point before."""
        rise = _next_zeta(abs(at.zeta), self.cutoff) - abs(at.zeta)
        if before is None or not np.isfinite(before.slope):
            return rise / at.slope
        bend = self.side * (at.slope - before.slope) / (at.knot.u - before.knot.u)
        square = at.slope**2 + 2.0 * bend * rise
        return 2.0 * rise / (at.slope + sqrt(max(square, 0.1 * at.slope**2)))

    def _shortened(self, at: Point, before: Point | None, delta: float) -> Point | None:
        """The point a step ahead, or less far where the search fails."""
        for _ in range(ATTEMPTS):
            u = at.knot.u + self.side * delta
            knot = self.path.move(at.knot, u, None if before is None else before.knot)
            if knot is not None and self.side * (knot.u - at.knot.u) > 0.0:
                if knot.deviance < self.start.knot.deviance - LOWER:
                    raise LowerOptimum(knot)
                new = self.point(knot)
                if abs(new.zeta - at.zeta) < LONGEST:
                    return new
            delta *= 0.35
        return None


def _next_zeta(zeta: float, cutoff: float) -> float:
    """Where the next knot is aimed at: not near to the last one, nor a little short of the end."""
    end = max(cutoff * BEYOND, zeta + 0.05 * SPACING)
    following = (floor(zeta / SPACING + 0.3) + 1) * SPACING
    return end if following > end - 0.2 * SPACING else following


def _limited(delta: float, left: float, way: float) -> float:
    """A step that comes to a bound gradually."""
    if delta < TOWARDS * left:
        return delta
    return left if left < 0.35 * way else TOWARDS * left
