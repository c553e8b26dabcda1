"""Effects of variants behind the predicted breeding values of a fit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from henderson.association.chosen import chosen_positions
from henderson.association.effects_table import SnpEffects
from henderson.association.grm import autosomes_told
from henderson.association.null_models import person_labels
from henderson.association.sources import open_source
from henderson.covariance import Identity
from henderson.errors import DataError, ModelNotSupportedError
from henderson.genotype import GenotypeSource, Samples
from henderson.genotype.blocks import Scale, blocks, inverse_spread, standardise_block
from henderson.genotype.counts import VarianceKind
from henderson.model import RandomTerm

if TYPE_CHECKING:
    from henderson.fit import FittedModel

Array = NDArray[np.float64]
Index = NDArray[np.intp]
logger = logging.getLogger("henderson")
#: Breeding values of the fit and of the effects may differ by this part of the largest before it is told:
#: matrices in single precision differ by less.
ROUNDING = 1e-5
#: Below this correlation of the two the matrix was made from something else.
SAME = 0.9
#: and so it was if they differ by more than this part of the largest, as matrices on different scales do.
APART = 0.5


def snp_effects(
    fit: FittedModel,
    genotypes: str | Path | GenotypeSource,
    *,
    group: str | None = None,
    scale: Scale = "standardized",
    variance: VarianceKind = "hwe",
    variants: ArrayLike | None = None,
    samples: ArrayLike | None = None,
) -> SnpEffects:
    """Effects of the variants that a genomic relationship matrix was made from, by BLUP.

    With G = M M' / c from c variants, the model with breeding values u ~ N(0, sigma^2 S G) is the one with
    effects a ~ N(0, sigma^2 S / c) of the columns of M, u = M a (ridge regression). The predictions are
    u^ = G w with w = S Z'Py, P the projection of the fit, so that a^ = M'w / c (Stranden & Garrick 2009,
    J. Dairy Sci. 92:2971-2975; Wang et al. 2012, Genet. Res. 94:73-83): G is not inverted, and the genotypes
    are read once. GCTA's ``--blup-snp``.

    Parameters
    ----------
    fit : LmerResult
        A model with ``relationship={"iid": G}``, and one effect for each person.
    genotypes : str, Path or GenotypeSource
        What G was made from.
    group : str, optional
        The grouping factor whose levels are the people; needed where several have a relationship.
    scale, variance
        As G was made; see `grm`. Missing calls count at the mean of their variant. (A matrix by pairs,
        ``missing="pairwise"``, has no such M; effects then come close, and by how much is told.)
    variants : array_like of bool or int, optional
        The variants that G was made from; by default those on autosomes.
    samples : array_like of int or bool, optional
        The people whose frequencies G was made with; by default everybody.

    Returns
    -------
    SnpEffects

    Raises
    ------
    DataError
        If the fit has no relationship, its people are not among the genotyped, or these are not the genotypes
        that its matrix was made from.
    ModelNotSupportedError
        If each level has several effects.

    Notes
    -----
    ``agreement`` tells how closely the effects give back the breeding values of the fit; a larger difference
    than rounding is logged as a warning.

    Examples
    --------
    >>> import henderson as hd
    >>> rng = np.random.default_rng(1)
    >>> cohort = hd.ArraySource.of(rng.integers(0, 3, size=(200, 60)))
    >>> people = {"iid": cohort.samples.iid, "height": rng.normal(size=60) + cohort.calls[:9].sum(axis=0)}
    >>> fit = hd.lmer("height ~ 1 + (1 | iid)", people, relationship={"iid": hd.grm(cohort)})
    >>> effects = snp_effects(fit, cohort)
    >>> effects
    <SnpEffects of 200 variants, by 'iid'>
    >>> bool(np.allclose(effects.predict(cohort)["prediction"], fit.ranef()["iid"]["(Intercept)"]))
    True
    """
    for name, given, known in (
        ("scale", scale, get_args(Scale)), ("variance", variance, get_args(VarianceKind))
    ):  # fmt: skip
        if given not in known:
            raise DataError(f"{name}={given!r} is not one of {', '.join(map(repr, known))}.")
    k, term = _term(fit, group)
    source = open_source(genotypes)
    rows = np.arange(source.samples.n)
    if samples is not None:
        rows = chosen_positions("samples", samples, source.samples.n)
    if variants is None:
        keep = autosomes_told(source)
    else:
        keep = np.zeros(source.variants.m, dtype=bool)
        keep[chosen_positions("variants", variants, source.variants.m)] = True
    place = _places(fit.estimates.terms[k].levels, source.samples.take(rows), term.label)
    weights = np.zeros(rows.size)
    weights[place] = _weights(fit, k, term)
    again = np.zeros(rows.size)
    positions, effects, counted = [], [], []
    for block in blocks(source, None if samples is None else rows, keep=keep):
        varying = block.take(inverse_spread(block.counts, scale, variance) > 0)
        X = standardise_block(varying, scale=scale, variance=variance)
        own = X @ weights
        again += X.T @ own
        spread = inverse_spread(varying.counts, scale, variance)
        positions.append(varying.variants)
        effects.append(own * spread)
        counted.append(np.column_stack([varying.counts.frequency, varying.counts.mean, 1.0 / spread]))
    used = np.concatenate(positions) if positions else np.empty(0, dtype=np.intp)
    if not used.size:
        raise DataError("none of the variants asked for has more than one genotype among these people")
    frequency, mean, divisor = np.concatenate(counted).T
    return SnpEffects(
        variants=source.variants.take(used),
        frequency=frequency,
        mean_copies=mean,
        divisor=divisor,
        effect=np.concatenate(effects) / used.size,
        group=term.label,
        agreement=_agreement(fit.estimates.terms[k].b[:, 0], again[place] / used.size),
    )


def _term(fit: FittedModel, group: str | None) -> tuple[int, RandomTerm]:
    """Which random term has the people."""
    terms = fit.engine.model.terms
    related = {t.label: k for k, t in enumerate(terms) if not isinstance(t.relationship, Identity)}
    if not related:
        raise DataError(
            "effects of variants come from a random term with a relationship matrix, and this model has "
            "none: fit it with lmer(..., relationship={'iid': G})"
        )
    if group is None and len(related) > 1:
        raise DataError(f"say by group= which relationship is meant: {' or '.join(map(repr, related))}")
    if group is not None and group not in related:
        raise DataError(f"group={group!r} has no relationship in this model; {', '.join(related)} has one")
    k = related[group] if group is not None else next(iter(related.values()))
    if terms[k].q != 1:
        raise ModelNotSupportedError(
            f"the levels of {terms[k].label!r} have {terms[k].q} effects each, and effects of variants are "
            "supported where they have one: (1 | iid)"
        )
    return k, terms[k]


def _places(levels: Sequence[str], people: Samples, group: str) -> Index:
    """Where each level is among the people."""
    row = {str(name): i for i, name in enumerate(person_labels(people))}
    absent = [level for level in levels if level not in row]
    if absent:
        raise DataError(
            f"{len(absent)} of the {len(levels)} levels of {group!r} are not among the people genotyped, the "
            f"first of them {absent[0]!r}: give the genotypes that the relationship matrix was made from"
        )
    return np.array([row[level] for level in levels], dtype=np.intp)


def _weights(fit: FittedModel, k: int, term: RandomTerm) -> Array:
    """One number for each level, w = S Z'Py: the predictions are G w."""
    fitted = fit.source.fitted
    engine, theta = fitted.engine, fitted.theta
    ratio = float(term.covariance.factor(theta[engine.model.theta_slices()[k]])[0, 0]) ** 2
    projected = engine.project(theta, engine.model.y[:, None])[:, 0]
    sums = np.bincount(term.codes_of(0), term.z[:, 0] * projected, minlength=term.n_levels)
    return np.asarray(ratio * sums)


def _agreement(known: Array, found: Array) -> float:
    """Largest difference of two sets of breeding values by the largest of them; refuse what is not alike."""
    largest = float(np.abs(known).max())
    if largest == 0.0:
        logger.warning("the variance that goes with the relationship is zero, and so are all effects")
        return 0.0
    off = float(np.abs(known - found).max()) / largest
    if off > ROUNDING:
        r = float(known @ found / np.sqrt((known @ known) * (found @ found) or 1.0))
        if r < SAME or off > APART:
            raise DataError(
                "the relationship matrix of the fit was not made from these genotypes in this way (the "
                f"breeding values that they give differ from those of the fit by up to {100 * off:.2g} % of "
                f"the largest, with a correlation of {r:.2g}): give the genotypes, variants, scale and "
                "variance that it was made with"
            )
        logger.warning(
            f"the effects give breeding values that differ from those of the fit by up to {100 * off:.2g} % "
            f"of the largest (correlation {r:.6f}): the relationship matrix was made a little differently"
        )
    return off
