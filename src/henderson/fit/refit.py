"""The same model for other responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.errors import DataError
from henderson.fit.notices import SINGULAR
from henderson.fit.optimize import Control
from henderson.fit.source import Source
from henderson.fit.together import fit_each
from henderson.model import ModelShape

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Refits:
    """One model fitted to k responses.

    Attributes
    ----------
    x_names, theta_names : tuple of str, lengths p and n_theta
    beta, se : ndarray, shape (k, p)
        Fixed effects and their standard errors.
    theta : ndarray, shape (k, n_theta)
        Relative covariance parameters.
    sigma : ndarray, shape (k,)
        Residual standard deviation.
    criterion : ndarray, shape (k,)
        REML criterion, or deviance.
    singular : ndarray of bool, shape (k,)
        Whether some random-effects covariance is singular, as `LmerResult.is_singular` has it.
    status : ndarray of str, shape (k,)
        How the search ended: "converged", "at rounding level", "iteration limit"; or "no variance" for a
        response that the fixed effects reproduce, whose numbers are NaN.
    """

    x_names: tuple[str, ...]
    theta_names: tuple[str, ...]
    beta: Array
    se: Array
    theta: Array
    sigma: Array
    criterion: Array
    singular: NDArray[np.bool_]
    status: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.sigma)

    def __repr__(self) -> str:
        words, counts = np.unique(self.status, return_counts=True)
        ended = ", ".join(f"{count} {word}" for word, count in zip(words, counts, strict=True))
        return f"<Refits of {len(self)} responses: {ended}; {int(self.singular.sum())} singular>"

    def to_frame(self) -> pd.DataFrame:
        """One row per response: fixed effects, their standard errors as ``se(...)``, theta and the rest."""
        import pandas as pd

        names = [*self.x_names, *(f"se({name})" for name in self.x_names), *self.theta_names]
        frame = pd.DataFrame(np.hstack([self.beta, self.se, self.theta]), columns=names)
        for name in ("sigma", "criterion", "singular", "status"):
            frame[name] = getattr(self, name)
        return frame


def refit_all(
    source: Source,
    Y: Array,
    *,
    x_names: tuple[str, ...],
    theta_names: tuple[str, ...],
    control: Control | None,
) -> Refits:
    """Fit every column of Y (n, k); the responses before any offset is subtracted."""
    if Y.ndim != 2:
        raise DataError(f"refits takes responses by column, (n, k); it has shape {Y.shape}")
    design, engine, reml = source.with_rows(), source.fitted.engine, source.fitted.reml
    if design.offset is not None:
        Y = Y - design.offset[:, None]
    k, p, n_theta = Y.shape[1], len(x_names), len(theta_names)
    refits = Refits(
        x_names,
        theta_names,
        beta=np.full((k, p), np.nan),
        se=np.full((k, p), np.nan),
        theta=np.full((k, n_theta), np.nan),
        sigma=np.full(k, np.nan),
        criterion=np.full(k, np.nan),
        singular=np.zeros(k, dtype=bool),
        status=np.full(k, "no variance", dtype="U18"),
    )
    columns = np.flatnonzero(_leaves_variance(engine.model.X, Y))
    for found in fit_each(engine, Y, columns, reml=reml, control=control or Control()):
        at = found.columns
        refits.beta[at], refits.se[at], refits.theta[at] = found.beta, found.se, found.theta
        refits.sigma[at], refits.criterion[at] = np.sqrt(found.sigma2), found.criterion
        refits.singular[at] = [_is_singular(engine.shape, theta) for theta in found.theta]
        refits.status[at] = found.status
    return refits


def _is_singular(shape: ModelShape, theta: Array) -> bool:
    parts = zip(shape.terms, shape.theta_slices(), strict=True)
    return any(bool((np.diag(t.covariance.factor(theta[part])) < SINGULAR).any()) for t, part in parts)


def _leaves_variance(X: Array, Y: Array) -> NDArray[np.bool_]:
    """Which columns of Y the columns of X do not reproduce."""
    Q = np.linalg.qr(X)[0]
    left = Y - Q @ (Q.T @ Y)
    left -= Q @ (Q.T @ left)
    found: NDArray[np.bool_] = np.linalg.norm(left, axis=0) > 1e-13 * np.linalg.norm(Y, axis=0)
    return found
