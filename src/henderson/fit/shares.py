"""Shares of the phenotypic variance: heritabilities of all effects and traits, and repeatability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from henderson.errors import DataError
from henderson.fit.fitted_model import FittedModel
from henderson.fit.heritability import related_terms
from henderson.fit.record_kinds import record_kinds
from henderson.fit.varcorr import unique_labels
from henderson.fit.variance_components import variance_components
from henderson.fit.variances import told
from henderson.io.frame import closest
from henderson.model import RandomTerm

if TYPE_CHECKING:
    import pandas as pd

#: The group of the row for all terms with a relationship together.
TOGETHER = "all relationships"
COLUMNS = [
    "group",
    "effect",
    "record",
    "variance",
    "variance_se",
    "phenotypic_variance",
    "phenotypic_variance_se",
    "share",
    "share_se",
]


def heritabilities(fit: FittedModel) -> pd.DataFrame:
    """Share of each variance that goes with a relationship in the variance of the records that it enters.

    Parameters
    ----------
    fit : FittedModel
        With a relationship for at least one of its random terms.

    Returns
    -------
    DataFrame
        Columns group, effect, record (the trait, where there are several), variance, variance_se,
        phenotypic_variance, phenotypic_variance_se, share, share_se. One row for each effect and trait: the
        direct h2 and the maternal m2, the h2 of each trait. Where several terms have a relationship, a last
        row (group "all relationships") for each trait has them together. The phenotypic variance is the plain
        sum of variances, with the covariance of direct and maternal effects once (Willham 1972, J. Anim. Sci.
        35:1288), and that of others by twice the mean relationship of their levels. Standard errors are from
        the average information by the delta method, and NaN for a variance of zero.

    Raises
    ------
    DataError
        If no term has a relationship, or random slopes make the variance depend on their predictor.
    """
    import pandas as pd

    related = related_terms(fit)
    components = told(variance_components(fit.source.fitted))
    kinds = record_kinds(fit, components.elements)
    if not kinds:
        raise DataError(
            "random slopes make the variance of a record depend on their predictor, so that no share of it "
            "is a heritability: see variances() for the variances themselves"
        )
    labels = unique_labels(tuple(t.group for t in fit.estimates.terms))
    rows: list[tuple[object, ...]] = []
    for k in related:
        for i, effect in enumerate(fit.estimates.terms[k].names):
            own = components.unit(k, i)
            for kind in kinds:
                if (k, i) in kind.own:
                    numbers = (*components.total(own), *components.total(kind.weights))
                    share = components.share(own, kind.weights)
                    rows.append((labels[k], effect, kind.label, *numbers, *share))
    for kind in kinds if len(related) > 1 else ():
        own = kind.part(components.elements, set(related))
        numbers = (*components.total(own), *components.total(kind.weights))
        rows.append((TOGETHER, "", kind.label, *numbers, *components.share(own, kind.weights)))
    return pd.DataFrame(rows, columns=COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatability:
    """Share of the variance that the records of one unit have in common.

    Attributes
    ----------
    groups : tuple of str
        Grouping factors whose variances are in it.
    estimate, std_error : float
        The share, and its standard error from the average information by the delta method.
    variance, variance_se : float
        The variances of these groups together.
    phenotypic_variance, phenotypic_variance_se : float
        The sum of all variances.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff"))
    >>> print(fit.repeatability("Batch"))
    repeatability of 'Batch': 0.4185, standard error 0.216
    """

    groups: tuple[str, ...]
    estimate: float
    std_error: float
    variance: float
    variance_se: float
    phenotypic_variance: float
    phenotypic_variance_se: float

    def __str__(self) -> str:
        se = "NA" if isnan(self.std_error) else f"{self.std_error:.3g}"
        groups = " + ".join(map(repr, self.groups))
        return f"repeatability of {groups}: {self.estimate:.4g}, standard error {se}"


def repeatability(fit: FittedModel, groups: str | Sequence[str] | None = None) -> Repeatability:
    """Correlation of two records of the same unit: (genetic + permanent environment) / phenotypic variance.

    Parameters
    ----------
    fit : FittedModel
    groups : str or list of str, optional
        Grouping factors of the unit: ``["animal", "pe"]``. By default the one with a relationship, and all
        others that put the same records together (the same people under another name).

    Returns
    -------
    Repeatability

    Raises
    ------
    DataError
        If a group is not there, if there is none with a relationship to begin with, or if the records have
        not one variance (several traits, random slopes).

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff"))
    >>> print(repeatability(fit, "Batch"))
    repeatability of 'Batch': 0.4185, standard error 0.216
    """
    fit.source.with_rows()
    terms = fit.engine.model.terms
    components = told(variance_components(fit.source.fitted))
    kinds = record_kinds(fit, components.elements)
    if len(kinds) != 1:
        raise DataError(
            "repeatability is that of one trait whose variance is the same in all records, and this model "
            f"has {'random slopes' if not kinds else 'several kinds of records'}: see variances()"
        )
    chosen = _same_units(fit) if groups is None else _named(terms, groups)
    own = kinds[0].part(components.elements, set(chosen))
    share = components.share(own, kinds[0].weights)
    variance, total = components.total(own), components.total(kinds[0].weights)
    return Repeatability(
        groups=tuple(dict.fromkeys(terms[k].label for k in chosen)),
        estimate=share[0],
        std_error=share[1],
        variance=variance[0],
        variance_se=variance[1],
        phenotypic_variance=total[0],
        phenotypic_variance_se=total[1],
    )


def _named(terms: Sequence[RandomTerm], groups: str | Sequence[str]) -> list[int]:
    labels = [term.label for term in terms]
    asked = [groups] if isinstance(groups, str) else list(groups)
    for group in asked:
        if group not in labels:
            raise DataError(f"the model has no random term on {group!r}{closest(group, labels)}")
    return [k for k, label in enumerate(labels) if label in asked]


def _same_units(fit: FittedModel) -> list[int]:
    """Terms with a relationship, and those whose levels have the same records as theirs."""
    terms = fit.engine.model.terms
    related = [terms[k] for k in related_terms(fit)]
    return [k for k, term in enumerate(terms) if any(_same_partition(term, other) for other in related)]


def _same_partition(a: RandomTerm, b: RandomTerm) -> bool:
    if a.codes.ndim != 1 or b.codes.ndim != 1:
        return a is b
    together = np.unique(a.codes * np.int64(b.n_levels) + b.codes).size
    return together == np.unique(a.codes).size == np.unique(b.codes).size
