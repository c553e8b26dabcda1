"""Random effects by grouping factor, as lme4's `ranef` and `coef` give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.fit.estimates import Estimates

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


class RandomEffects(Mapping[str, "pd.DataFrame"]):
    """Conditional modes by grouping factor: a mapping of names to data frames, levels by effects.

    Attributes
    ----------
    cond_var : dict of list of ndarray
        For each grouping factor, one (levels, q, q) array per random term on it; empty unless asked for.
    """

    def __init__(self, tables: dict[str, pd.DataFrame], cond_var: dict[str, list[Array]]) -> None:
        self._tables = tables
        self.cond_var = cond_var

    def __getitem__(self, group: str) -> pd.DataFrame:
        return self._tables[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __repr__(self) -> str:
        return "\n".join(f"${group}\n{table}" for group, table in self._tables.items())


def random_effects(estimates: Estimates, *, cond_var: bool) -> RandomEffects:
    """Tabulate the conditional modes."""
    import pandas as pd

    tables: dict[str, pd.DataFrame] = {}
    variances: dict[str, list[Array]] = {}
    for group in dict.fromkeys(t.group for t in estimates.terms):
        terms = [t for t in estimates.terms if t.group == group]
        columns = [name for t in terms for name in t.names]
        values = np.hstack([t.b for t in terms])
        tables[group] = pd.DataFrame(
            values, index=pd.Index(list(terms[0].levels), name=group), columns=columns
        )
        if cond_var:
            variances[group] = [t.cond_var for t in terms]
    return RandomEffects(tables, variances)


def level_coefficients(estimates: Estimates) -> dict[str, pd.DataFrame]:
    """Add the fixed effects to the random ones of each level."""
    import pandas as pd

    out = {}
    random = dict.fromkeys(name for t in estimates.terms for name in t.names)
    columns = [*(name for name in random if name not in estimates.x_names), *estimates.x_names]
    for group, table in random_effects(estimates, cond_var=False).items():
        full = pd.DataFrame(0.0, index=table.index, columns=columns)
        full[list(estimates.x_names)] = estimates.beta
        for column in dict.fromkeys(table.columns):
            full[column] += table[[column]].sum(axis=1)
        out[group] = full
    return out
