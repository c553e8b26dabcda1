"""The tables of `henderson h2`: heritabilities, variance components as GCTA has them, breeding values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from henderson.cli.kin import Kin
from henderson.fit.variance_components import VarianceComponents, variance_components
from henderson.io.whole_files import whole_files

if TYPE_CHECKING:
    import pandas as pd

    from henderson.fit import Heritability
    from henderson.lmm import LmerResult

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Source:
    """A line of GCTA's ``.hsq``: a variance or a function of variances, with its standard error."""

    name: str
    estimate: float
    std_error: float

    def __str__(self) -> str:
        error = "" if isnan(self.std_error) else f" (SE {self.std_error:.3g})"
        return f"{self.name} {self.estimate:.4g}{error}"


def heritability_row(trait: str, h: Heritability) -> dict[str, object]:
    """A row of ``OUT.h2.tsv``."""
    return {
        "trait": trait,
        "n": h.n,
        "h2": h.h2,
        "h2_se": h.h2_se,
        "pve": h.pve,
        "pve_se": h.pve_se,
        "genetic_variance": h.genetic_variance,
        "genetic_variance_se": h.genetic_variance_se,
        "residual_variance": h.residual_variance,
        "residual_variance_se": h.residual_variance_se,
        "lrt": h.lrt,
        "p_value": h.p_value,
        "loglik": h.loglik,
    }


def component_sources(fit: LmerResult, kins: Sequence[Kin]) -> list[Source]:
    """Variances of a model with several relationships, and their shares: GCTA's ``--mgrm``."""
    components = variance_components(fit.source.fitted)
    groups = [term.group for term in fit.estimates.terms]
    genetic = {
        f"V(G{k})": components.unit(groups.index(kin.column), 0) for k, kin in enumerate(kins, start=1)
    }
    residual = components.unit(len(groups), 0)
    total, together = sum(genetic.values(), start=residual), sum(genetic.values())
    sums = {**genetic, "V(e)": residual, "Vp": total}
    shares = {**{f"{name}/Vp": own for name, own in genetic.items()}, "Sum of V(G)/Vp": together}
    return [
        *(Source(name, *components.total(weights)) for name, weights in sums.items()),
        *(Source(name, *components.share(np.asarray(own), total)) for name, own in shares.items()),
    ]


def bivariate_sources(fit: LmerResult) -> list[Source]:
    """Variances, covariances and correlations of two traits: GCTA's ``--reml-bivar``."""
    components = variance_components(fit.source.fitted)
    genetic, residual = ([components.unit(term, i) for i in range(2)] for term in range(2))
    total = [a + b for a, b in zip(genetic, residual, strict=True)]
    together = fit.varcorr.residual is not None and bool(fit.varcorr.residual.pairs)
    found = [*_of_two_traits(components, 0, "G", True), *_of_two_traits(components, 1, "e", together)]
    found += [Source(f"Vp_tr{i + 1}", *components.total(total[i])) for i in range(2)]
    found += [Source(f"V(G)/Vp_tr{i + 1}", *components.share(genetic[i], total[i])) for i in range(2)]
    found.append(Source("rG", *components.correlation(0, 0, 1)))
    if together:
        found.append(Source("rE", *components.correlation(1, 0, 1)))
    return found


def _of_two_traits(components: VarianceComponents, term: int, letter: str, together: bool) -> list[Source]:
    """Two variances, and the covariance where records of the two go together."""
    found = [Source(f"V({letter})_tr{i + 1}", *components.total(components.unit(term, i))) for i in range(2)]
    if together:
        weights = np.zeros(components.values.size)
        weights[components.place(term, 0, 1)] = 1.0
        found.append(Source(f"C({letter})_tr12", *components.total(weights)))
    return found


def source_rows(trait: str, fit: LmerResult, sources: Sequence[Source]) -> list[Row]:
    """Rows of ``OUT.hsq.tsv``: those of the table, then the log-likelihood and the number of records."""
    known = [*sources, Source("logL", fit.loglik, nan), Source("n", fit.nobs, nan)]
    return [
        {"trait": trait, "source": s.name, "estimate": s.estimate, "std_error": s.std_error} for s in known
    ]


def breeding_values(fit: LmerResult, kin: Kin, trait: str, component: str) -> pd.DataFrame:
    """Rows of ``OUT.blup.tsv``: everybody in a relationship. A model of two traits names them itself."""
    import pandas as pd

    found = fit.blup(kin.column)
    row = {label: k for k, label in enumerate(kin.labels.tolist())}
    people = kin.samples.take(np.array([row[level] for level in found["level"]], dtype=np.intp))
    names = np.where(found["effect"] == "(Intercept)", trait, found["effect"].str.removeprefix("trait"))
    return pd.DataFrame(
        {
            "FID": people.fid,
            "IID": people.iid,
            "trait": names,
            "component": component,
            **{name: found[name].to_numpy() for name in ("blup", "pev", "reliability")},
        }
    )


def write_rows(rows: Sequence[Row], path: str | Path) -> None:
    """Write a table with tabs; what is not known is NA."""
    lines = ["\t".join(rows[0]), *("\t".join(map(_shown, row.values())) for row in rows)]
    with whole_files(path) as [file]:
        file.write(("\n".join(lines) + "\n").encode())


def write_frame(parts: Sequence[pd.DataFrame], path: str | Path) -> None:
    """Write tables one below the other, with tabs; what is not known is NA."""
    import pandas as pd

    text = pd.concat(parts).to_csv(sep="\t", index=False, na_rep="NA", lineterminator="\n")
    with whole_files(path) as [file]:
        file.write(text.encode())


def _shown(value: object) -> str:
    """A value in a table; numbers that are not known are NA."""
    return "NA" if isinstance(value, float) and isnan(value) else str(value)
