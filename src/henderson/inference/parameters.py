"""The parameters of a fit, as lme4's `confint` names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from henderson.errors import DataError
from henderson.fit.estimates import Estimates
from henderson.fit.numbers import FitNumbers
from henderson.fit.varcorr import TermCovariance, VarCorr
from henderson.io.frame import closest


def variance_parameters(varcorr: VarCorr) -> dict[str, float]:
    """Standard deviations and correlations of all terms, and of the residual, in the order of theta.

    ``sd_Days|Subject``, ``cor_Days.(Intercept)|Subject``, ``rho|Subject`` (the one correlation of a
    structure), ``sigma``; the positions of a residual structure are ``sd_b|Residual``, and sigma is the first
    of them.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> for name, value in variance_parameters(fit.varcorr).items():
    ...     print(name, round(value, 3))
    sd_(Intercept)|Subject 24.74
    cor_Days.(Intercept)|Subject 0.066
    sd_Days|Subject 5.922
    sigma 25.592
    """
    found: dict[str, float] = {}
    for term in varcorr:
        found.update(_of_term(term))
    residual = varcorr.residual
    if residual is not None:
        own = list(_of_term(residual))
        found.update(own[1:])  # the first standard deviation is sigma
    found["sigma"] = varcorr.sigma
    return found


def parameters(fit: FitNumbers, estimates: Estimates) -> dict[str, float]:
    """`variance_parameters` and the fixed effects."""
    fixed = zip(estimates.x_names, estimates.beta.tolist(), strict=True)
    return {**variance_parameters(fit.varcorr), **dict(fixed)}


def chosen(known: Mapping[str, object], which: str | Sequence[str] | None) -> list[str]:
    """The names that are asked for; all without a choice.

    Raises
    ------
    DataError
        For a name that is not known.
    """
    if which is None:
        return list(known)
    names = [which] if isinstance(which, str) else list(which)
    for name in names:
        if name not in known:
            raise DataError(
                f"the model has no parameter {name!r}{closest(str(name), known)}; it has "
                f"{', '.join(map(repr, known))}"
            )
    return names


def _of_term(term: TermCovariance) -> Iterator[tuple[str, float]]:
    """Column by column of the lower triangle, as theta has them."""
    sd, correlation = term.sd, term.correlation
    if term.pattern is not None:
        for name, value in zip(term.names[: term.n_variances], sd, strict=False):
            yield f"sd_{name}|{term.group}", float(value)
        for i, j in term.pairs:
            yield f"rho|{term.group}", float(correlation[i, j])
        return
    for i, name in enumerate(term.names):
        yield f"sd_{name}|{term.group}", float(sd[i])
        for j in range(i + 1, len(term.names)):
            yield f"cor_{term.names[j]}.{name}|{term.group}", float(correlation[j, i])
