"""What can be profiled: standard deviations, correlations, variances, shares, any smooth function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import asinh, cosh, nan, sinh, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import ByUnit, Covariance, Identity
from henderson.covariance.coordinates import Between, Coordinates, Link, Straight
from henderson.errors import DataError
from henderson.fit import FittedModel
from henderson.fit.heritability import related_terms, simple_term
from henderson.fit.mean_squares import mean_squares
from henderson.fit.varcorr import TermCovariance
from henderson.inference.profile.jets import Jet
from henderson.io.frame import closest
from henderson.model import ModelShape

Array = NDArray[np.float64]
#: Up to this part of its estimate a standard deviation is walked along as it is, and then by its logarithm.
LINEAR = 0.3
#: A standard deviation that moves a record by less than this part of sigma is walked along from zero,
SMALL = 0.5
#: one that moves it by less than this is zero,
ZERO = 1e-6
#: and one on the way to zero takes its correlations along below this.
VANISHING = 1e-3
STRAIGHT = Straight()


@dataclass(frozen=True, slots=True)
class Entry:
    """A standard deviation or correlation: elements i and j of the covariance of one term.

    The residuals stand after the last term.
    """

    kind: Literal["sd", "cor"]
    term: int
    i: int
    j: int
    bounds: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Layout:
    """The covariance parameters of a fit by the names of `variance_parameters`; ``sigma`` is the last.

    Attributes
    ----------
    shape : ModelShape
    entries : dict of Entry
    units : tuple of ndarray, (q,) per term, the residuals last
        Standard deviations, relative to sigma, that move a record by about sigma.
    """

    shape: ModelShape
    entries: Mapping[str, Entry]
    units: tuple[Array, ...]

    @classmethod
    def of(cls, fit: FittedModel) -> Layout:
        """Names and places of all parameters, column by column of each term's covariance."""
        entries: dict[str, Entry] = {}
        shape, found = fit.engine.shape, fit.varcorr
        for k, (term, family) in enumerate(zip(found, (t.covariance for t in shape.terms), strict=True)):
            entries.update(_of_term(term, family, k))
        if found.residual is not None and isinstance(shape.residual, ByUnit):
            own = list(_of_term(found.residual, shape.residual.covariance, len(shape.terms)))
            entries.update(own[1:])  # the first standard deviation is sigma
        families = [term.covariance for term in shape.terms]
        identity = [family.nearest(np.eye(family.q)) for family in families]
        residual = np.ones(shape.residual_slice.stop - shape.residual_slice.start)
        scales = fit.engine.scaled_factors(np.concatenate([*identity, residual]))
        units = [1.0 / np.sqrt((P**2).sum(axis=0)) for P in scales]
        return cls(shape, entries, (*units, np.ones(residual.size + 1)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all of them."""
        return (*self.entries, "sigma")

    def size(self, name: str, theta: Array, sigma: float) -> float:
        """A standard deviation, or a small part of what matters if it is zero or next to it."""
        value = float(self.values(theta, sigma)[self.names.index(name)])
        if name == "sigma":
            return value
        e = self.entries[name]
        return max(value, SMALL * sigma * float(self.units[e.term][e.i]))

    def is_defined(self, name: str, theta: Array, sigma: float) -> bool:
        """Whether a correlation has two variances beside it."""
        values = dict(zip(self.names, self.values(theta, sigma), strict=True))
        e = self.entries[name]
        beside = [values[n] / self.units[e.term][self.entries[n].i] for n in self.beside(name)]
        return bool(np.isfinite(values[name])) and all(sd > ZERO * sigma for sd in beside)

    def beside(self, name: str) -> tuple[str, ...]:
        """The two standard deviations of a correlation; none for other parameters and common correlations."""
        if not name.startswith("cor_"):
            return ()
        own = self.entries[name]
        return tuple(
            n
            for n, e in self.entries.items()
            if e.kind == "sd" and e.term == own.term and e.i in (own.i, own.j)
        )

    def derivatives(self, term: int, theta: Array) -> tuple[slice, Array, Array, Array]:
        """S of a term, or R_0, with its derivatives in the part of theta that it depends on."""
        shape = self.shape
        if term == len(shape.terms):
            assert isinstance(shape.residual, ByUnit)
            own = theta[shape.residual_slice]
            return shape.residual_slice, shape.residual.matrix(own), *shape.residual.derivatives(own)
        part, family = shape.theta_slices()[term], shape.terms[term].covariance
        T = family.factor(theta[part])
        return part, T @ T.T, *family.derivatives(theta[part])

    def values(self, theta: Array, sigma: float) -> Array:
        """Numbers of all parameters; a correlation beside a variance of zero is NaN."""
        S = {k: self.derivatives(k, theta)[1] for k in {e.term for e in self.entries.values()}}
        out = []
        for e in self.entries.values():
            s = S[e.term]
            if e.kind == "sd":
                out.append(sigma * np.sqrt(s[e.i, e.i]))
            else:
                size = np.sqrt(s[e.i, e.i] * s[e.j, e.j])
                out.append(np.clip(s[e.i, e.j] / size, *e.bounds) if size > 0.0 else np.nan)
        return np.array([*out, sigma])


def _of_term(term: TermCovariance, family: Covariance, k: int) -> Iterator[tuple[str, Entry]]:
    """In the order and by the names of `parameters.variance_parameters`."""
    positive = (0.0, np.inf)
    if term.pattern is not None:
        for i, name in enumerate(term.names[: term.n_variances]):
            yield f"sd_{name}|{term.group}", Entry("sd", k, i, i, positive)
        for i, j in term.pairs:
            yield f"rho|{term.group}", Entry("cor", k, j, i, getattr(family, "bounds", (-1.0, 1.0)))
        return
    for i, name in enumerate(term.names):
        yield f"sd_{name}|{term.group}", Entry("sd", k, i, i, positive)
        for j in range(i + 1, len(term.names)):
            yield f"cor_{term.names[j]}.{name}|{term.group}", Entry("cor", k, j, i, (-1.0, 1.0))


class Values(Mapping[str, Jet]):
    """All covariance parameters at one point by name, with derivatives in (theta, log sigma).

    This is what a function given to `profile` works with: standard deviations and correlations by their
    names, ``"sigma"``, and any variance as ``"var_..."`` in place of ``"sd_..."``.
    """

    def __init__(self, layout: Layout, theta: Array, log_sigma: float) -> None:
        self._layout = layout
        self._theta = theta
        self._k = theta.size + 1
        self._sigma = float(np.exp(log_sigma))
        self._parts: dict[int, tuple[slice, Array, Array, Array]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout.names)

    def __len__(self) -> int:
        return len(self._layout.names)

    def __getitem__(self, name: str) -> Jet:
        if name == "sigma":
            one = Jet.variable(0.0, self._k - 1, self._k)
            return one.through(self._sigma, self._sigma, self._sigma)
        if name.startswith("var_"):
            e = self._entry("sd_" + name[4:], name)
            return self.element(e.term, e.i, e.j) * self["sigma"] ** 2
        e = self._entry(name, name)
        own = self.element(e.term, e.i, e.j)
        if e.kind == "sd":
            return own**0.5 * self["sigma"]
        square = self.element(e.term, e.i, e.i) * self.element(e.term, e.j, e.j)
        units = self._layout.units[e.term]
        if square.value < (VANISHING * units[e.i] * units[e.j]) ** 2:
            return own.through(nan, nan, nan)
        return own * square**-0.5

    def _entry(self, name: str, asked: str) -> Entry:
        if name not in self._layout.entries:
            known = [*self._layout.names, *(n.replace("sd_", "var_", 1) for n in self if n[:3] == "sd_")]
            raise DataError(f"this fit has no parameter {asked!r}{closest(asked, known)}")
        return self._layout.entries[name]

    def element(self, term: int, i: int, j: int) -> Jet:
        """Element of S of a term, or of R_0, relative to sigma^2."""
        if term not in self._parts:
            self._parts[term] = self._layout.derivatives(term, self._theta)
        part, S, first, second = self._parts[term]
        gradient, hessian = np.zeros(self._k), np.zeros((self._k, self._k))
        gradient[part], hessian[part, part] = first[:, i, j], second[:, :, i, j]
        return Jet(float(S[i, j]), gradient, hessian)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A function of the covariance parameters, as it is profiled.

    Attributes
    ----------
    name : str
    function : callable of Values
    link : Link
        The path runs in u with value = link(u), in which the deviance is smooth up to the bounds.
    bounds : (float, float)
        Of u.
    """

    name: str
    function: Callable[[Values], Jet]
    link: Link = STRAIGHT
    bounds: tuple[float, float] = (-np.inf, np.inf)

    def jet(self, layout: Layout, coordinates: Coordinates, x: Array) -> Jet:
        """The coordinate u with derivatives in x = (phi, log sigma)."""
        phi, k = x[:-1], x.size - 1
        found = self.function(Values(layout, coordinates.theta(phi), float(x[-1])))
        if not isinstance(found, Jet):
            raise DataError(
                f"the function for {self.name!r} must return a number made from the parameters that it is "
                f"given by + - * / and **; it returned a {type(found).__name__}"
            )
        if not isinstance(self.link, Straight):
            found = _inverted(self.link, found)
        J = coordinates.jacobian(phi)
        gradient = np.append(J.T @ found.gradient[:k], found.gradient[k])
        hessian = np.empty((k + 1, k + 1))
        hessian[:k, :k] = coordinates.hessian(phi, found.gradient[:k], found.hessian[:k, :k])
        hessian[:k, k] = hessian[k, :k] = J.T @ found.hessian[:k, k]
        hessian[k, k] = found.hessian[k, k]
        return Jet(found.value, gradient, hessian)


@dataclass(frozen=True, slots=True)
class Sinh:
    """A standard deviation as scale sinh(u), or a variance as its square.

    Even about zero, as the deviance is, and a logarithm farther out, in which zeta is nearly straight.
    """

    scale: float
    squared: bool = False
    edges: tuple[float, ...] = (0.0,)

    def jet(self, x: float) -> tuple[float, float, float]:
        """Value and first two derivatives."""
        s, c = self.scale * sinh(x), self.scale * cosh(x)
        return (s * s, 2.0 * s * c, 2.0 * (s * s + c * c)) if self.squared else (s, c, s)

    def inverse(self, value: float) -> float:
        """The u that is not negative."""
        return asinh((sqrt(value) if self.squared else value) / self.scale)


def _inverted(link: Link, value: Jet) -> Jet:
    u = link.inverse(value.value)
    _, first, second = link.jet(u)
    with np.errstate(all="ignore"):  # at a bound the inverse has no slope
        slope = np.float64(1.0) / first
        return value.through(u, float(slope), float(-second * slope**3))


def standard_deviation(name: str, size: float, *, squared: bool = False) -> Parameter:
    """A standard deviation of about this size, or its square."""
    return Parameter(name, lambda p: p[name], Sinh(LINEAR * size, squared), (0.0, np.inf))


def named_parameter(fit: FittedModel, layout: Layout, name: str) -> Parameter:
    """The parameter of this name; ``"var_..."``, ``"icc"`` and ``"h2"`` beside those of the layout.

    Where several terms have a relationship, ``"h2|iid"`` is the share of that of ``iid``.

    Raises
    ------
    DataError
        For a name that is not known, or a correlation beside a variance of zero.
    """
    if name in ("icc", "h2") or name.startswith("h2|"):
        weights = _icc_weights(fit) if name == "icc" else _heritability_weights(fit, name)
        return Parameter(name, partial(_share, weights), Between(0.0, 1.0), (-np.pi / 2, np.pi / 2))
    squared = name.startswith("var_") and "sd_" + name[4:] in layout.entries
    key = "sd_" + name[4:] if squared else name
    if key not in layout.names:
        related = any(not isinstance(t.relationship, Identity) for t in fit.engine.shape.terms)
        known = [*layout.names, *fit.estimates.x_names, "icc", *(["h2"] if related else [])]
        raise DataError(f"this fit has no parameter {name!r} to profile{closest(name, known)}")
    if key == "sigma" or layout.entries[key].kind == "sd":
        return standard_deviation(name, layout.size(key, fit.theta, fit.sigma), squared=squared)
    if not layout.is_defined(key, fit.theta, fit.sigma):
        raise DataError(
            f"{name!r} is not defined at the estimates, because one of its two variances is estimated as "
            "zero: profile the standard deviations instead"
        )
    bounds = layout.entries[key].bounds
    return Parameter(name, lambda p: p[name], Between(*bounds), (-np.pi / 2, np.pi / 2))


@dataclass(frozen=True, slots=True)
class _Weights:
    """Shares are sum <O_k, S_k> over sum <A_k, S_k> + <B, R_0>; B is None for R = I."""

    own: tuple[Array, ...]
    terms: tuple[Array, ...]
    residual: Array | None


def _share(weights: _Weights, p: Values) -> Jet:
    rest: Jet | float = 1.0
    if weights.residual is not None:
        rest = _total([(len(weights.terms), weights.residual)], p)
    return _total(list(enumerate(weights.own)), p) / (_total(list(enumerate(weights.terms)), p) + rest)


def _total(parts: list[tuple[int, Array]], p: Values) -> Jet:
    return sum(
        (p.element(k, i, j) * float(A[i, j]) for k, A in parts for i, j in np.argwhere(A).tolist()),
        start=p["sigma"] * 0.0,
    )


def _icc_weights(fit: FittedModel) -> _Weights:
    """Means over the rows of z z', times the level's relationship to itself: those of `FittedModel.icc`."""
    fit.source.with_rows()
    model = fit.engine.model
    residual = None
    if isinstance(model.residual, ByUnit):
        t = model.residual.covariance.q
        residual = np.diag(np.bincount(model.residual.position, minlength=t) / model.n)
    squares = tuple(mean_squares(model))
    return _Weights(squares, squares, residual)


def _heritability_weights(fit: FittedModel, name: str) -> _Weights:
    """One for each variance: those of `fit.heritability`."""
    related = dict.fromkeys(fit.engine.shape.terms[k].label for k in related_terms(fit))
    if name == "h2" and len(related) > 1:
        known = " or ".join(repr(f"h2|{label}") for label in related)
        raise DataError(f"several random terms have a relationship, and 'h2' is that of one: say {known}")
    k = simple_term(fit, name.partition("|")[2] or None)
    own = [np.zeros((1, 1)) for _ in fit.engine.shape.terms]
    own[k][:] = 1.0
    return _Weights(tuple(own), tuple(np.ones((1, 1)) for _ in own), None)
