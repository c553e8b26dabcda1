"""Estimated variances and correlations, by random term."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.fit.summary import VarCorrTerm, format_varcorr, plain_residual
from henderson.formula.design import UNSTRUCTURED, Structure

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TermCovariance:
    """Covariance of the effects of one random term.

    Attributes
    ----------
    group : str
        Grouping factor.
    label : str
        The same, made unique as lme4 does: ``Subject``, ``Subject.1``.
    names : tuple of str, length q
        Effects.
    covariance : ndarray, shape (q, q)
        In the units of the response, squared.
    structure : Structure
        The covariance tag: ``us``, ``diag``, ``cs``, ``ar1`` or ``fa``.
    """

    group: str
    label: str
    names: tuple[str, ...]
    covariance: Array
    structure: Structure = UNSTRUCTURED

    @property
    def sd(self) -> Array:
        """Standard deviations, shape (q,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> Array:
        """Correlations, shape (q, q); NaN beside a variance of zero."""
        with np.errstate(invalid="ignore", divide="ignore"):
            out = self.covariance / np.outer(self.sd, self.sd)
        np.fill_diagonal(out, 1.0)
        return np.where(np.isfinite(out), np.clip(out, -1.0, 1.0), np.nan)

    @property
    def pattern(self) -> str | None:
        """The covariance tag where it gives variances or correlations in common."""
        return None if self.structure.kind in ("us", "fa") or len(self.names) == 1 else self.structure.kind

    @property
    def n_variances(self) -> int:
        """Number of variances that were estimated: one, for the first name, if they are homogeneous."""
        return 1 if self.pattern is not None and self.structure.homogeneous else len(self.names)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of effects whose correlation was estimated; one pair stands for a common rho."""
        q = len(self.names)
        if self.pattern is None:
            return [(i, j) for i in range(q) for j in range(i + 1, q)]
        return [] if self.pattern == "diag" else [(0, 1)]

    def view(self) -> VarCorrTerm:
        """Plain numbers for printing; of effects with one variance the first stands for all."""
        shown = self.n_variances
        return VarCorrTerm(
            group=self.label,
            names=self.names[:shown],
            variance=tuple(np.diag(self.covariance)[:shown].tolist()),
            sd=tuple(self.sd[:shown].tolist()),
            correlation=tuple(tuple(row) for row in self.correlation.tolist()),
            pattern=self.pattern,
        )


@dataclass(frozen=True, eq=False, repr=False)
class VarCorr:
    """Variances, standard deviations and correlations, as lme4's `VarCorr`.

    Attributes
    ----------
    terms : tuple of TermCovariance
        One per random term.
    sigma : float
        Residual standard deviation; that at the first position of a residual structure.
    residual : TermCovariance or None
        Residual covariance within a unit, or by stratum; None for independent residuals of one variance.
    """

    terms: tuple[TermCovariance, ...]
    sigma: float
    residual: TermCovariance | None = None

    def __iter__(self) -> Iterator[TermCovariance]:
        return iter(self.terms)

    def __len__(self) -> int:
        return len(self.terms)

    def __getitem__(self, label: str) -> TermCovariance:
        for term in self.terms:
            if term.label == label:
                return term
        raise KeyError(f"no random term {label!r}; there are {', '.join(t.label for t in self.terms)}")

    def __repr__(self) -> str:
        return "\n".join(format_varcorr([*(t.view() for t in self.terms), self.residual_view()]))

    def residual_view(self) -> VarCorrTerm:
        """The residuals for printing; a variance of all positions stands without the name of one."""
        if self.residual is None:
            return plain_residual(self.sigma**2, self.sigma)
        view = self.residual.view()
        return replace(view, names=("",)) if self.residual.n_variances == 1 else view

    @cached_property
    def table(self) -> pd.DataFrame:
        """Columns grp, var1, var2, vcov, sdcor, as ``as.data.frame(VarCorr(m))`` has them.

        One row per parameter: a common variance or correlation stands with the first effects that have it.
        """
        import pandas as pd

        rows: list[tuple[str, str | None, str | None, float, float]] = []
        for t in (*self.terms, *([] if self.residual is None else [self.residual])):
            for i, name in enumerate(t.names[: t.n_variances]):
                rows.append((t.label, name, None, t.covariance[i, i], t.sd[i]))
            for i, j in t.pairs:
                rows.append((t.label, t.names[i], t.names[j], t.covariance[i, j], t.correlation[i, j]))
        if self.residual is None:
            rows.append(("Residual", None, None, self.sigma**2, self.sigma))
        return pd.DataFrame(rows, columns=["grp", "var1", "var2", "vcov", "sdcor"])


def unique_labels(groups: tuple[str, ...]) -> tuple[str, ...]:
    """Labels as lme4 makes them unique: R's ``make.names(unique = TRUE)`` where names repeat."""
    if len(set(groups)) == len(groups):
        return groups
    plain = ["".join(c if c.isalnum() or c in "._" else "." for c in g) for g in groups]
    seen: dict[str, int] = {}
    out: list[str] = []
    for name in plain:
        count = seen.get(name, 0)
        seen[name] = count + 1
        out.append(name if count == 0 else f"{name}.{count}")
    return tuple(out)
