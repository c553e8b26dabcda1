"""Random terms without one of their effects, or left out: which smaller models there are, as formulas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from henderson.fit import FittedModel
from henderson.formula.bars import Bar, ParsedFormula
from henderson.formula.deparse import deparse
from henderson.formula.terms import TermSet
from henderson.inference.estimable import marginal_terms


@dataclass(frozen=True, slots=True)
class Reduction:
    """A model that lacks something of the random part.

    Attributes
    ----------
    name : str
        What it lacks, as lmerTest puts it: ``"Days in (Days | Subject)"`` or ``"(1 | Subject)"``.
    formula : str or None
        None where no random term is left.
    groups : frozenset of str
        The grouping factors that are left.
    """

    name: str
    formula: str | None
    groups: frozenset[str]


def reductions(fit: FittedModel, parsed: ParsedFormula, *, reduce_terms: bool) -> list[Reduction]:
    """The smaller models, by term in the order of the formula.

    Parameters
    ----------
    fit : FittedModel
    parsed : ParsedFormula
        The formula of the fit.
    reduce_terms : bool
        Take single effects out of terms, rather than whole terms.
    """
    found = []
    for name, bars in _smaller_models(fit, parsed.bars, reduce_terms=reduce_terms):
        written = " + ".join([_fixed_text(parsed.fixed), *dict.fromkeys(map(_bar_text, bars))])
        formula = f"{deparse(parsed.response)} ~ {written}" if bars else None
        found.append(Reduction(name, formula, frozenset(bar.group.label for bar in bars)))
    return found


def _smaller_models(
    fit: FittedModel, bars: Sequence[Bar], *, reduce_terms: bool
) -> Iterator[tuple[str, list[Bar]]]:
    """The name of what is left out, and the random terms that stay; terms in the order of the formula."""
    for k, bar in enumerate(bars):
        others = [*bars[:k], *bars[k + 1 :]]
        reduced = dict(_reduced(fit, bar)) if reduce_terms else {}
        if not reduced:
            yield bar.text, others
        for effect, rest in reduced.items():
            yield f"{effect} in {bar.text}", [*bars[:k], *([] if rest is None else [rest]), *bars[k + 1 :]]


def _reduced(fit: FittedModel, bar: Bar) -> Iterator[tuple[str, Bar | None]]:
    """The term without one of its effects, for each that is not part of another; None if nothing is left.

    What is left must be part of what there was. So the levels of a factor alone are reduced to an effect
    that all of them share; but a slope alone to nothing, and not to an intercept as by lmerTest.
    """
    effects = bar.effects
    if bar.structure.kind != "us" and not (bar.structure.kind == "diag" and effects.intercept):
        return
    for t in marginal_terms(effects.terms):
        rest = replace(effects, terms=effects.terms[:t] + effects.terms[t + 1 :])
        if not rest.terms and not rest.intercept:
            rest = replace(rest, intercept=_spans_constant(fit, bar))
        is_something = rest.terms or rest.intercept
        yield effects.labels[t], replace(bar, effects=rest) if is_something else None


def _spans_constant(fit: FittedModel, bar: Bar) -> bool:
    """Whether a term without intercept is of factors alone, whose indicators add up to one."""
    spec = next(r for r in fit.estimates.spec.random if r.text == bar.text)
    return all(variable.is_factor for variable in spec.effects.variables)


def _bar_text(bar: Bar) -> str:
    group = deparse(bar.group.atoms[0]) if len(bar.group.atoms) == 1 else bar.group.label
    return bar.structure.around(_terms_text(bar.effects), group)


def _fixed_text(terms: TermSet) -> str:
    return " + ".join([_terms_text(terms), *(f"offset({deparse(node)})" for node in terms.offsets)])


def _terms_text(terms: TermSet) -> str:
    return " + ".join(["1" if terms.intercept else "0", *terms.labels])
