"""Correlations of effects of one term: genetic ones of traits, environmental ones of the residual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atanh, isnan, nan, tanh
from typing import TYPE_CHECKING, Literal

from henderson.covariance import Identity
from henderson.errors import DataError
from henderson.fit.arguments import check_level
from henderson.fit.fitted_model import FittedModel
from henderson.fit.varcorr import TermCovariance
from henderson.fit.variance_components import variance_components
from henderson.fit.variances import terms_of, told
from henderson.io.frame import closest

if TYPE_CHECKING:
    import pandas as pd

IntervalKind = Literal["profile", "wald"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Correlation of two effects within one level.

    Attributes
    ----------
    group : str
        Grouping factor, or ``"Residual"``.
    effect_1, effect_2 : str
        The two effects.
    estimate, std_error : float
        The standard error is from the delta method with the average information; NaN beside a variance of
        zero and where the correlation is 1 or -1, and not to be trusted next to these.
    lower, upper : float
        Limits of the interval; NaN without one.
    interval : {"profile", "wald"} or None
        Where they come from.
    level : float
        Their coverage.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> print(fit.genetic_correlation("(Intercept)", "Days", interval=None))
    correlation of '(Intercept)' and 'Days' (Subject): 0.06555, standard error 0.325
    """

    group: str
    effect_1: str
    effect_2: str
    estimate: float
    std_error: float
    lower: float = nan
    upper: float = nan
    interval: IntervalKind | None = None
    level: float = 0.95

    def __str__(self) -> str:
        text = (
            f"correlation of {self.effect_1!r} and {self.effect_2!r} ({self.group}): {self.estimate:.4g}, "
            f"standard error {'NA' if isnan(self.std_error) else f'{self.std_error:.3g}'}"
        )
        if self.interval is None:
            return text
        return f"{text}, {100 * self.level:g} % from {self.lower:.4g} to {self.upper:.4g} ({self.interval})"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two effects of a term: numbers of the term (the residual's is the last) and of the effects, i < j."""

    term: int
    i: int
    j: int


def find_pair(fit: FittedModel, effect_a: str, effect_b: str, group: str | None) -> Pair:
    """The term that has both effects: of this group, or else the one with a relationship.

    Raises
    ------
    DataError
        If there is none, or several.
    """
    terms = terms_of(fit)
    if group is not None and group not in [t.label for t in terms]:
        known = [t.label for t in terms]
        raise DataError(f"the model has no random term on {group!r}{closest(group, known)}")
    named = [k for k, t in enumerate(terms) if group in (None, t.label)]
    having = [k for k in named if {effect_a, effect_b} <= set(terms[k].names)]
    if not having or effect_a == effect_b:
        raise DataError(_no_pair(effect_a, effect_b, [terms[k] for k in named]))
    if group is None and len(having) > 1:
        shape = fit.engine.shape
        related = [
            k
            for k in having
            if k < len(shape.terms) and not isinstance(shape.terms[k].relationship, Identity)
        ]
        if len(related) != 1:
            groups = " or ".join(f"group={terms[k].label!r}" for k in having)
            raise DataError(f"several terms have the effects {effect_a!r} and {effect_b!r}: say {groups}")
        having = related
    names = terms[having[0]].names
    i, j = sorted((names.index(effect_a), names.index(effect_b)))
    return Pair(having[0], i, j)


def correlation(fit: FittedModel, pair: Pair) -> Correlation:
    """Estimate and standard error."""
    term = terms_of(fit)[pair.term]
    found = told(variance_components(fit.source.fitted)).correlation(pair.term, pair.j, pair.i)
    return Correlation(
        group=term.label,
        effect_1=term.names[pair.i],
        effect_2=term.names[pair.j],
        estimate=found[0],
        std_error=found[1],
    )


def wald_limits(estimate: float, std_error: float, level: float) -> tuple[float, float]:
    """Normal limits of atanh r, taken back: they stay between -1 and 1.

    Fisher (1921), Metron 1:3-32.
    """
    from scipy.special import ndtri

    check_level(level)
    if isnan(std_error) or not abs(estimate) < 1.0:
        return nan, nan
    half = float(ndtri(0.5 + 0.5 * level)) * std_error / (1.0 - estimate**2)
    return tanh(atanh(estimate) - half), tanh(atanh(estimate) + half)


def correlations(fit: FittedModel) -> pd.DataFrame:
    """Correlations of all pairs of effects in all terms, the residual's (environmental ones) last.

    Of those that a structure makes equal the first stands for all.

    Returns
    -------
    DataFrame
        Columns group, effect_1, effect_2, estimate, std_error, as in `Correlation`.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> correlations(fit).round(2)
         group     effect_1 effect_2  estimate  std_error
    0  Subject  (Intercept)     Days      0.07       0.33
    """
    import pandas as pd

    components = told(variance_components(fit.source.fitted))
    rows = [
        (term.label, term.names[i], term.names[j], *components.correlation(k, j, i))
        for k, term in enumerate(terms_of(fit))
        for i, j in term.pairs
    ]
    return pd.DataFrame(rows, columns=["group", "effect_1", "effect_2", "estimate", "std_error"])


def _no_pair(effect_a: str, effect_b: str, terms: Sequence[TermCovariance]) -> str:
    several = [t for t in terms if len(t.names) > 1]
    if not several:
        return (
            "a correlation needs a random term of several effects, such as (0 + trait | iid), and "
            f"{'this model has none' if len(terms) > 1 else f'{terms[0].label!r} has one'}"
        )
    known = "; ".join(f"{', '.join(map(repr, t.names))} ({t.label})" for t in several)
    if effect_a == effect_b:
        return f"a correlation needs two effects, and both are {effect_a!r}; there are {known}"
    return f"no random term has both the effects {effect_a!r} and {effect_b!r}; there are {known}"
