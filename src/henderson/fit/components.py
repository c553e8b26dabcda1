"""The parts of a fitted model by lme4's names, as its `getME` gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Identity
from henderson.errors import DataError, ModelNotSupportedError
from henderson.fit.varcorr import unique_labels
from henderson.io.frame import closest

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

    from henderson.fit.estimates import Estimates
    from henderson.fit.source import Source

Array = NDArray[np.float64]


def component(name: str, estimates: Estimates, source: Callable[[], Source]) -> Any:
    """One part of the model; `source` is asked for the data only by the parts that need them.

    Raises
    ------
    DataError
        For another name, with where the answer is if it is one of lme4's.
    """
    if name in PARTS:
        return PARTS[name](estimates, source)
    if name in ELSEWHERE:
        raise DataError(f"{name!r} is no part that get_me gives: it is {ELSEWHERE[name]}")
    if name in LME4_ALONE:
        raise DataError(f"{name!r} is a part of lme4's own algorithm, which does not exist here")
    raise DataError(f"there is no part {name!r} of a fit{closest(name, PARTS)}")


def design_matrix(estimates: Estimates, source: Source) -> pd.DataFrame:
    """X with the names of its columns and the positions of its rows in the table."""
    import pandas as pd

    rows = source.with_rows().rows
    return pd.DataFrame(_fixed(source).copy(), index=rows, columns=list(estimates.x_names))


def random_matrix(source: Source) -> sparse.csr_array[Any]:
    """Z (n, q): term by term, the effects of a level side by side."""
    from scipy import sparse

    source.with_rows()
    blocks = []
    for term in source.fitted.engine.model.terms:
        n, q = term.z.shape
        columns = term.codes.reshape(n, -1) * q + np.arange(q)
        shape = (n, q * term.n_levels)
        blocks.append(sparse.csr_array((term.z.ravel(), columns.ravel(), np.arange(n + 1) * q), shape=shape))
    Z = sparse.hstack(blocks, format="csr")
    Z.sort_indices()
    return Z


def factor_matrix(estimates: Estimates) -> sparse.csr_array[Any]:
    """Lambda (q, q), block-diagonal: the covariance of b relative to sigma^2 is Lambda Lambda'."""
    from scipy import sparse

    blocks = [sparse.kron(sparse.eye_array(len(t.levels)), t.T) for t in estimates.terms]
    found = sparse.csr_array(sparse.block_diag(blocks, format="csr"))
    found.eliminate_zeros()
    return found


def spherical_modes(estimates: Estimates, source: Source) -> Array:
    """U with b = Lambda u: Lambda' Z' V^-1 (y - X beta), which is unique where Lambda is singular."""
    engine = source.fitted.engine
    if any(not isinstance(term.relationship, Identity) for term in engine.model.terms):
        raise ModelNotSupportedError(
            "u is not defined where the levels have a relationship matrix; ask for b"
        )
    residual = engine.project(source.fitted.theta, engine.model.y[:, None])[:, 0]
    return np.asarray(factor_matrix(estimates).T @ (random_matrix(source).T @ residual))


def factors(estimates: Estimates, source: Source) -> pd.DataFrame:
    """The grouping factors of the rows used."""
    import pandas as pd

    design = source.with_rows()
    found: dict[str, Any] = {}
    for r in design.random:
        # a column for each effect where they point to levels of different columns of the table
        named = [(r.group, r.codes)] if r.codes.ndim == 1 else zip(r.names, r.codes.T, strict=True)
        found |= {name: pd.Categorical.from_codes(codes, pd.Index(r.levels)) for name, codes in named}
    return pd.DataFrame(found, index=design.rows)


def _fixed(source: Source) -> Array:
    source.with_rows()
    return source.fitted.engine.model.X


def _modes(e: Estimates) -> Array:
    return np.concatenate([t.b.ravel() for t in e.terms])


def _names(e: Estimates) -> dict[str, tuple[str, ...]]:
    labels = unique_labels(tuple(t.group for t in e.terms))
    return {label: t.names for label, t in zip(labels, e.terms, strict=True)}


def _offsets(e: Estimates) -> NDArray[np.int64]:
    return np.cumsum([0, *(t.b.size for t in e.terms)])


PARTS: dict[str, Callable[[Estimates, Callable[[], Source]], Any]] = {
    "X": lambda e, source: _fixed(source()).copy(),
    "y": lambda e, source: e.by_row("the responses").y.copy(),
    "Z": lambda e, source: random_matrix(source()),
    "Zt": lambda e, source: random_matrix(source()).T.tocsr(),
    "Lambda": lambda e, source: factor_matrix(e),
    "Lambdat": lambda e, source: factor_matrix(e).T.tocsr(),
    "theta": lambda e, source: e.theta,
    "beta": lambda e, source: e.beta.copy(),
    "b": lambda e, source: _modes(e),
    "u": lambda e, source: spherical_modes(e, source()),
    "mu": lambda e, source: e.by_row("fitted values").fitted.copy(),
    "flist": lambda e, source: factors(e, source()),
    "cnms": lambda e, source: _names(e),
    "Gp": lambda e, source: _offsets(e),
    # ldL2 is log|L|^2, and log|R| with it where the residuals have a structure
    "devcomp": lambda e, source: dict(e.pieces),
    "n": lambda e, source: e.nobs,
    "p": lambda e, source: len(e.x_names),
    "q": lambda e, source: int(_offsets(e)[-1]),
}
"""lme4's names, where they mean the same here."""

ELSEWHERE = {
    "sigma": "fit.sigma",
    "fixef": "fit.fixef",
    "offset": "fit.offset",
    "weights": "fit.weights",
    "is_REML": "fit.reml",
    "N": "fit.nobs",
    "l_i": "fit.ngroups",
    "n_rtrms": "len(fit.varcorr)",
    "n_rfacs": "len(fit.ngroups)",
    "devfun": "fit.engine.criterion(theta).profiled(reml=fit.reml)",
}
"""Other names that users of lme4 ask for, and where the answer is."""

LME4_ALONE = ("L", "RX", "RZX", "A", "Lind", "Ztlist", "mmList", "Tp", "Tlist", "ST", "lower", "k", "m")
"""What else lme4's `getME` has."""
