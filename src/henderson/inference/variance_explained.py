"""How much of the variance a model explains, and in how many directions its random effects vary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from henderson.errors import HendersonError
from henderson.fit import FittedModel

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class R2:
    """Shares of the variance of the response.

    Attributes
    ----------
    marginal : float
        Of the fixed effects.
    conditional : float
        Of the fixed and the random effects together.
    """

    marginal: float
    conditional: float


def r2(fit: FittedModel) -> R2:
    """Marginal and conditional R-squared.

    Of the variance of the fixed part over the rows, the variance of the random effects averaged over the rows
    and the residual variance, the first is the marginal share, and the first two are the conditional one:
    Nakagawa & Schielzeth (2013), Methods Ecol. Evol. 4:133, and for random slopes Johnson (2014), Methods
    Ecol. Evol. 5:944, eq. 10. An offset is known beforehand and is nothing that the
    model explains: it counts on neither side. The residual variance is that of a record of weight 1.

    Parameters
    ----------
    fit : FittedModel

    Returns
    -------
    R2

    Raises
    ------
    HendersonError
        If the data were streamed.

    Notes
    -----
    All random effects count, as in `FitNumbers.icc`, which is the share of the random effects in what the
    fixed effects leave. R's package performance (0.10.2) leaves out effects whose name is not that of a fixed
    effect, and of terms that share a grouping factor (``||``) all but the first; there its numbers differ.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> found = r2(fit)
    >>> round(found.marginal, 4), round(found.conditional, 4)
    (0.2787, 0.7992)
    """
    estimates = fit.estimates
    rows = estimates.rows
    if rows is None:
        raise HendersonError(
            "R-squared needs the fixed part of every row, which was not kept because the data were streamed; "
            "fit a table that fits in memory"
        )
    fixed = rows.mean if rows.offset is None else rows.mean - rows.offset
    # Less the first row, so that a model with an intercept alone explains zero and no rounding error
    explained = float(np.var(fixed - fixed[0], ddof=1))
    random = estimates.mean_random_variance
    total = explained + random + estimates.mean_residual_variance
    return R2(explained / total, (explained + random) / total)


@dataclass(frozen=True, slots=True, eq=False)
class PrincipalComponents:
    """Directions in which the random effects of one grouping factor vary.

    Attributes
    ----------
    group : str
        Grouping factor; all its terms together.
    names : tuple of str, length q
        Effects.
    sd : ndarray, (q,)
        Standard deviation along each direction relative to sigma, largest first; zero for a direction that a
        singular fit has lost.
    rotation : ndarray, (q, q)
        A direction in each column, of length one. Its sign has no meaning.
    share : ndarray, (q,)
        Share of each in the sum of the variances; NaN where all of them are zero.
    """

    group: str
    names: tuple[str, ...]
    sd: Array
    rotation: Array
    share: Array

    def to_frame(self) -> pd.DataFrame:
        """One row per direction: sd, share, cumulative share and its components along the effects."""
        import pandas as pd

        frame = pd.DataFrame({"sd": self.sd, "share": self.share, "cumulative": np.cumsum(self.share)})
        frame[list(self.names)] = self.rotation.T
        return frame.set_axis(pd.Index([f"PC{k + 1}" for k in range(self.sd.size)], name=self.group))


def re_pca(fit: FittedModel) -> dict[str, PrincipalComponents]:
    """Principal components of the random effects by grouping factor: lme4's `rePCA`.

    They tell how many dimensions the data support (Bates, Kliegl, Vasishth & Baayen 2015, arXiv:1506.04967).
    Like the covariances themselves they depend on the units of the predictors.

    Parameters
    ----------
    fit : FittedModel

    Returns
    -------
    dict of PrincipalComponents

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> re_pca(fit)["Subject"].sd.round(4)
    array([0.9669, 0.2309])
    """
    terms = fit.estimates.terms
    found = {}
    for group in dict.fromkeys(term.group for term in terms):
        own = [term for term in terms if term.group == group]
        names = tuple(name for term in own for name in term.names)
        joint = np.zeros((len(names), len(names)))
        at = 0
        for term in own:
            q = len(term.names)
            joint[at : at + q, at : at + q] = term.T
            at += q
        rotation, sd, _ = np.linalg.svd(joint)
        total = float((sd**2).sum())
        share = sd**2 / total if total > 0.0 else np.full(sd.size, np.nan)
        found[group] = PrincipalComponents(group, names, sd, rotation, share)
    return found
