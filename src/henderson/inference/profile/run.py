"""Profile likelihood: how the deviance rises as one parameter is moved and all others follow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from henderson.covariance.coordinates import Coordinates, Link, Straight
from henderson.engine import Engine
from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.arguments import check_level
from henderson.fit.relationships import check_told_apart
from henderson.fit.solve import Fitted, solve
from henderson.inference.profile.curve import Curve, Profile
from henderson.inference.profile.jets import Jet
from henderson.inference.profile.parameters import (
    Layout,
    Parameter,
    Values,
    named_parameter,
    standard_deviation,
)
from henderson.inference.profile.paths import Estimate, path_of
from henderson.inference.profile.trace import Ended, LowerOptimum, Trace, trace

Array = NDArray[np.float64]
Function = Callable[[Values], Jet]
Which = str | Sequence[str] | Mapping[str, Function] | None
#: Why a side of a profile is not complete.
WHY: Mapping[Ended, str] = {
    "failed": "the search failed there",
    "turned": "the likelihood rises again there",
    "flat": "the likelihood hardly falls on that side",
}
log = logging.getLogger("henderson")
REFITTED = "the fit is by REML; profiles are those of the maximum-likelihood fit of the same model"


def profile(fit: FittedModel, which: Which = None, *, level: float = 0.99, workers: int = 1) -> Profile:
    """Profile the likelihood of standard deviations, correlations, fixed effects, or any function of them.

    Each parameter is held at a series of values and the likelihood maximised over all others: zeta, the
    signed root of the rise in -2 log-likelihood, is about standard normal at the true value. A fit by REML is
    fitted again by maximum likelihood, as in lme4, since restricted likelihoods do not compare fixed effects.
    Bates & Watts (1988), Nonlinear Regression Analysis, section 6.1; Venzon & Moolgavkar (1988), Appl. Stat.
    37:87.

    Parameters
    ----------
    fit : FittedModel
    which : str, list of str, or dict of functions, optional
        Names of `variance_parameters` and of fixed effects, all of them by default; ``"var_..."`` for a
        variance in place of ``"sd_..."``, ``"icc"`` for the share of the random effects and ``"h2"`` for that
        of a relationship matrix. Or functions by name: each is given all parameters by name and returns a
        number made of them by ``+ - * /`` and ``**``.
    level : float
        Intervals can be had up to this coverage.
    workers : int
        Parameters that are profiled side by side; results do not depend on it.

    Returns
    -------
    Profile

    Notes
    -----
    A point takes some three evaluations of the likelihood, and a parameter six points. With a relationship
    matrix each fixed effect takes an eigendecomposition of its own. Limits are interpolated, to about 1e-4 of
    their distance; 95 % and the level of the profile are the nearest to exact.

    Raises
    ------
    DataError
        For a parameter that the model does not have, or that is not defined at the estimates.
    HendersonError
        If the fit was read back from a file, which leaves out the data.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> profile(fit, ["sd_Days|Subject", "Days"]).confint().round(2)
                     lower  upper
    sd_Days|Subject   3.80   8.75
    Days              7.36  13.58

    The share of variance between subjects on day 0:

    >>> def share(p):
    ...     between = p["var_(Intercept)|Subject"]
    ...     return between / (between + p["sigma"] ** 2)
    >>> profile(fit, {"share": share}).confint().round(2)
           lower  upper
    share   0.23   0.69
    """
    check_level(level)
    if workers < 1:
        raise DataError(f"workers is how many parameters are profiled side by side; it is {workers!r}")
    notices = [REFITTED] if fit.reml else []
    layout = Layout.of(fit)
    parameters = _chosen(fit, layout, which, notices)
    fitted = _by_maximum_likelihood(fit)
    for _ in range(3):
        estimate = Estimate.of(fitted)
        try:
            followed = _all(estimate, layout, parameters, level, workers)
            break
        except LowerOptimum as found:
            fitted, notice = _lower(fitted, found)
            notices.append(notice)
    else:
        raise DataError(
            "the likelihood has so many maxima that its profile leads from each to a higher one: the model "
            "is too rich for these data"
        )
    curves = []
    for asked, one in zip(parameters, followed, strict=True):
        curves.append(_curve(asked, one, layout, estimate.deviance.coordinates))
        notices += _missing_ends(asked.name, one)
    for notice in notices:
        log.log(logging.INFO if notice is REFITTED else logging.WARNING, notice)
    fitted.engine.forget()
    return Profile(tuple(curves), (*layout.names, *fit.estimates.x_names), level, tuple(notices))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A parameter, or the number of a fixed effect."""

    name: str
    what: Parameter | int


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
    """A trace, and how large |zeta| can be on either side."""

    trace: Trace
    ends: tuple[float, float]


def _chosen(fit: FittedModel, layout: Layout, which: Which, notices: list[str]) -> list[_Asked]:
    fixed = {name: j for j, name in enumerate(fit.estimates.x_names)}
    if isinstance(which, Mapping):
        return [_Asked(name, Parameter(name, function)) for name, function in which.items()]
    if which is not None:
        names = [which] if isinstance(which, str) else list(which)
        if any(name in fixed for name in names):
            fit.source.with_rows()
        return [_Asked(n, fixed[n] if n in fixed else named_parameter(fit, layout, n)) for n in names]
    out = []
    for name in layout.names:
        try:
            out.append(_Asked(name, named_parameter(fit, layout, name)))
        except DataError as refusal:
            notices.append(str(refusal))
    if fit.source.design is None:
        notices.append("fixed effects were not profiled, because the rows of streamed data were not kept")
        return out
    return out + [_Asked(name, j) for name, j in fixed.items()]


def _by_maximum_likelihood(fit: FittedModel) -> Fitted:
    fitted = fit.source.fitted
    if not fitted.reml:
        return fitted
    check_told_apart(fitted.engine, reml=False)
    return solve(fitted.engine, reml=False, control=fit.control)


def _follow(estimate: Estimate, layout: Layout, asked: _Asked, cutoff: float) -> _Followed:
    found = trace(path_of(estimate, layout, asked.what), cutoff)
    ends = found.ends
    if np.isnan(ends).any():
        level = min(
            (_at_zero(estimate, layout, name, cutoff) for name in layout.beside(asked.name)), default=np.nan
        )
        ends = (level if np.isnan(ends[0]) else ends[0], level if np.isnan(ends[1]) else ends[1])
    return _Followed(found, ends)


def _at_zero(estimate: Estimate, layout: Layout, name: str, cutoff: float) -> float:
    """|zeta| where a standard deviation is zero, at which the profile of its correlations levels off."""
    theta = estimate.deviance.coordinates.theta(estimate.spot.x[:-1])
    sigma = float(np.exp(estimate.spot.x[-1]))
    parameter = standard_deviation(name, layout.size(name, theta, sigma))
    end = trace(path_of(estimate, layout, parameter), cutoff).ends[0]
    return np.inf if np.isnan(end) else end


def _all(
    estimate: Estimate, layout: Layout, parameters: list[_Asked], level: float, workers: int
) -> list[_Followed]:
    from scipy.special import ndtri

    cutoff = float(ndtri(0.5 + 0.5 * level))
    if workers == 1 or len(parameters) == 1:
        return [_follow(estimate, layout, p, cutoff) for p in parameters]

    def one(p: _Asked) -> _Followed:
        # An engine remembers the last theta: each thread has one of its own, with the same data
        own: Engine = copy(estimate.deviance.engine)
        return _follow(estimate.with_engine(own), layout, p, cutoff)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, parameters))


def _lower(fitted: Fitted, found: LowerOptimum) -> tuple[Fitted, str]:
    """The optimum that a profile led to."""
    theta = fitted.engine.coordinates().theta(found.knot.spot.x[:-1])
    better = solve(fitted.engine, reml=False, start=theta)
    before, after = fitted.criterion.profiled(reml=False), better.criterion.profiled(reml=False)
    return better, (
        f"the profile led to a higher likelihood (deviance {after:.6g}) than the one that the fit had "
        f"stopped at ({before:.6g}), and is that of the higher one: fit again with "
        f"start={np.round(better.theta, 4).tolist()}"
    )


def _curve(asked: _Asked, found: _Followed, layout: Layout, coordinates: Coordinates) -> Curve:
    link: Link = Straight()
    bounds = (-np.inf, np.inf)
    if isinstance(asked.what, Parameter):
        link, bounds = asked.what.link, asked.what.bounds
    points = found.trace.points
    others = []
    for p in points:
        x = p.knot.spot.x
        others.append(np.append(layout.values(coordinates.theta(x[:-1]), float(np.exp(x[-1]))), p.knot.beta))
    low, high = (link.jet(bound)[0] if np.isfinite(bound) else bound for bound in bounds)
    if np.isinf(low) and found.trace.low == "bound":
        low = points[0].knot.u  # of a function that is not said to have a bound, and has it at the estimates
    return Curve(
        name=asked.name,
        estimate=link.jet(next(p.knot.u for p in points if p.zeta == 0.0))[0],
        u=np.array([p.knot.u for p in points]),
        zeta=np.array([p.zeta for p in points]),
        slope=np.array([p.slope for p in points]),
        link=link,
        bounds=(low, high),
        ends=found.ends,
        others=np.array(others),
    )


def _missing_ends(name: str, found: _Followed) -> Iterator[str]:
    sides = (("lower", found.trace.low, 0), ("upper", found.trace.high, 1))
    for side, ended, i in sides:
        if ended in WHY:
            level = found.ends[i]
            levels_off = f"; it levels off at |zeta| = {level:.2f}" if np.isfinite(level) else ""
            yield f"the profile of {name!r} could not be followed to its {side} end: {WHY[ended]}{levels_off}"
