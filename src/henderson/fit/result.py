"""`LmerResult`: what a fitted linear mixed model answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from henderson.errors import HendersonError
from henderson.fit.estimates import Estimates
from henderson.fit.heritability import Heritability, heritability
from henderson.fit.optimize import Optimum
from henderson.fit.solve import Fitted
from henderson.fit.summary import SummaryView, format_summary, t_table
from henderson.fit.varcorr import TermCovariance, VarCorr, unique_labels

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


class LmerResult:
    """A fitted linear mixed model. Made by `lmer`; the names are lme4's.

    ``print(fit)`` shows the summary. Numbers come as pandas objects with names. A pickle keeps the
    estimates and fitted values and leaves out the data and the engine.

    Examples
    --------
    >>> import henderson as hd
    >>> fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    >>> fit
    <LmerResult 'Reaction ~ Days + (Days | Subject)' by REML: 180 rows; Subject 18>
    >>> fit.fixef.round(3).to_dict()
    {'(Intercept)': 251.405, 'Days': 10.467}
    >>> fit.varcorr["Subject"].sd.round(3), round(fit.sigma, 3)
    (array([24.74 ,  5.922]), 25.592)
    >>> fit.ranef()["Subject"].loc["308"].round(2).to_dict()
    {'(Intercept)': 2.26, 'Days': 9.2}
    >>> fit.tidy()["term"].tolist()[2:]
    ['sd__(Intercept)', 'sd__Days', 'cor__(Intercept).Days', 'sd__Observation']
    """

    def __init__(self, estimates: Estimates, fitted: Fitted | None, data: Any) -> None:
        self._e = estimates
        self._fitted = fitted
        self._data = _snapshot(data)

    def __getstate__(self) -> dict[str, Any]:
        return {"_e": self._e, "_fitted": None, "_data": None}

    def __repr__(self) -> str:
        kind = "REML" if self._e.reml else "ML"
        groups = ", ".join(f"{g} {n}" for g, n in self.ngroups.items())
        return f"<LmerResult {self._e.formula!r} by {kind}: {self.nobs} rows; {groups}>"

    def __str__(self) -> str:
        return self.summary()

    # -- fixed effects ---------------------------------------------------------------------------------

    @property
    def fixef(self) -> pd.Series[float]:
        """Estimates of the fixed effects (BLUE), in units of the response per unit of the predictor."""
        return self._named(self._e.beta)

    @property
    def se(self) -> pd.Series[float]:
        """Standard errors of the fixed effects."""
        return self._named(np.sqrt(np.diag(self._e.cov_beta)))

    @property
    def vcov(self) -> pd.DataFrame:
        """Covariance matrix of the fixed effects, (p, p)."""
        import pandas as pd

        return pd.DataFrame(
            self._e.cov_beta.copy(), index=list(self._e.x_names), columns=list(self._e.x_names)
        )

    @property
    def dropped(self) -> tuple[str, ...]:
        """Fixed effects left out because the design is rank deficient."""
        return self._e.dropped

    def _named(self, values: Array) -> pd.Series[float]:
        import pandas as pd

        return pd.Series(values.copy(), index=list(self._e.x_names))

    # -- covariance ------------------------------------------------------------------------------------

    @property
    def theta(self) -> Array:
        """Relative covariance parameters: the lower triangles of T, term by term, column by column."""
        return np.concatenate([t.theta for t in self._e.terms])

    @property
    def theta_names(self) -> tuple[str, ...]:
        """Names of theta, such as ``Subject.Days.(Intercept)``."""
        return tuple(f"{t.group}.{name}" for t in self._e.terms for name in t.theta_names)

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return float(np.sqrt(self._e.sigma2))

    @cached_property
    def varcorr(self) -> VarCorr:
        """Variances, standard deviations and correlations of the random effects."""
        labels = unique_labels(tuple(t.group for t in self._e.terms))
        terms = (
            TermCovariance(t.group, label, t.names, self._e.sigma2 * t.T @ t.T.T)
            for t, label in zip(self._e.terms, labels, strict=True)
        )
        return VarCorr(tuple(terms), self.sigma)

    def is_singular(self, tol: float = 1e-4) -> bool:
        """Whether some random-effects covariance is singular: a diagonal of T below ``tol``."""
        return any(bool((np.diag(t.T) < tol).any()) for t in self._e.terms)

    @property
    def icc(self) -> float:
        """Intraclass correlation: the share of the random effects in the variance that fixed effects leave.

        With random slopes the variance of the random effects is averaged over the rows (Johnson 2014,
        Methods Ecol. Evol. 5:944, eq. 10): the adjusted ICC of Nakagawa, Johnson & Schielzeth (2017).
        """
        random = self._e.mean_random_variance
        return float(random / (random + self._e.sigma2))

    def heritability(self) -> Heritability:
        """Share of the genetic variance, with its standard error and test, for one term with a relationship.

        See `Heritability` for what each number is.

        Raises
        ------
        DataError
            If the model has no relationship matrix, or other random terms beside it.
        """
        return heritability(self._with_data)

    # -- random effects --------------------------------------------------------------------------------

    def ranef(self, *, cond_var: bool = True) -> RandomEffects:
        """Conditional modes (BLUPs) of the random effects, by grouping factor.

        Parameters
        ----------
        cond_var : bool
            Also give their conditional variances, in ``.cond_var``.
        """
        import pandas as pd

        tables: dict[str, pd.DataFrame] = {}
        variances: dict[str, list[Array]] = {}
        for group in self.ngroups:
            terms = [t for t in self._e.terms if t.group == group]
            columns = [name for t in terms for name in t.names]
            values = np.hstack([t.b for t in terms])
            tables[group] = pd.DataFrame(
                values, index=pd.Index(list(terms[0].levels), name=group), columns=columns
            )
            if cond_var:
                variances[group] = [t.cond_var for t in terms]
        return RandomEffects(tables, variances)

    def coef(self) -> dict[str, pd.DataFrame]:
        """Coefficients of each level: fixed effects plus that level's random effects.

        As in lme4, a random effect without a fixed one has a column in every group's table: zero where it
        belongs to another group.
        """
        import pandas as pd

        out = {}
        beta = self.fixef
        random = dict.fromkeys(name for t in self._e.terms for name in t.names)
        columns = [*(name for name in random if name not in beta.index), *beta.index]
        for group, table in self.ranef(cond_var=False).items():
            full = pd.DataFrame(0.0, index=table.index, columns=columns)
            full[list(beta.index)] = beta.to_numpy()
            for column in dict.fromkeys(table.columns):
                full[column] += table[[column]].sum(axis=1)
            out[group] = full
        return out

    # -- rows ------------------------------------------------------------------------------------------

    @property
    def fitted(self) -> Array:
        """Fitted values X beta + Z b + offset; NaN in places of excluded rows (``na_action="exclude"``)."""
        return self._pad(self._e.fitted)

    @property
    def residuals(self) -> Array:
        """Response less fitted values; NaN in places of excluded rows (``na_action="exclude"``)."""
        return self._pad(self._e.y - self._e.fitted)

    @cached_property
    def _scaled_residuals(self) -> Array:
        root = 1.0 if self._e.weights is None else np.sqrt(self._e.weights)
        return np.asarray((self._e.y - self._e.fitted) * root / self.sigma)

    def _pad(self, values: Array) -> Array:
        if self._e.padded is None:
            return values
        out = np.full(self._e.n_padded, np.nan)
        out[self._e.padded] = values
        return out

    # -- the fit as a whole ----------------------------------------------------------------------------

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return int(self._e.y.size)

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return {t.group: len(t.levels) for t in self._e.terms}

    @property
    def reml_criterion(self) -> float:
        """-2 log restricted likelihood at the estimates."""
        return self._e.reml_criterion

    @property
    def deviance(self) -> float:
        """-2 log-likelihood at the estimates, also for REML fits (R's ``deviance(fit, REML = FALSE)``)."""
        return self._e.deviance

    @property
    def criterion(self) -> float:
        """What was minimised: `reml_criterion` or `deviance`."""
        return self._e.reml_criterion if self._e.reml else self._e.deviance

    @property
    def loglik(self) -> float:
        """Log (restricted) likelihood."""
        return -0.5 * self.criterion

    @property
    def df(self) -> int:
        """Number of parameters: fixed effects, theta and sigma."""
        return self._e.beta.size + self.theta.size + 1

    @property
    def df_residual(self) -> int:
        """Rows less parameters."""
        return self.nobs - self.df

    @property
    def aic(self) -> float:
        """Akaike's information criterion, from `loglik`."""
        return self.criterion + 2.0 * self.df

    @property
    def bic(self) -> float:
        """Schwarz's information criterion, from `loglik`."""
        return self.criterion + float(np.log(self.nobs)) * self.df

    @property
    def devcomp(self) -> dict[str, float]:
        """lme4's components: ldL2, ldRX2, wrss, ussq, pwrss."""
        return dict(self._e.pieces)

    @property
    def optimum(self) -> Optimum:
        """How the optimum was found: criterion, derivatives, evaluations and the log of the search."""
        return self._e.optimum

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know: rows dropped, columns dropped, a singular fit."""
        return self._e.notices

    @property
    def engine(self) -> Any:
        """The engine at the data of this fit; a result read back from a pickle has none."""
        return self._with_data.engine

    @property
    def _with_data(self) -> Fitted:
        if self._fitted is None:
            raise HendersonError(
                "this result was read back from a pickle, which leaves out the data; fit the model again to "
                "ask questions that need them"
            )
        return self._fitted

    # -- tables ----------------------------------------------------------------------------------------

    def summary(self, *, width: int = 80) -> str:
        """The summary as text, laid out like lme4's."""
        with np.errstate(invalid="ignore", divide="ignore"):
            sd = np.sqrt(np.diag(self._e.cov_beta))
            correlation = self._e.cov_beta / np.outer(sd, sd)
        view = SummaryView(
            formula=self._e.formula,
            reml=self._e.reml,
            criterion=self.criterion,
            aic=self.aic,
            bic=self.bic,
            log_likelihood=self.loglik,
            df_residual=self.df_residual,
            scaled_residual_quantiles=tuple(
                np.quantile(self._scaled_residuals, [0, 0.25, 0.5, 0.75, 1]).tolist()
            ),
            terms=tuple(t.view() for t in self.varcorr),
            residual_variance=self._e.sigma2,
            residual_sd=self.sigma,
            n_obs=self.nobs,
            n_groups=tuple(self.ngroups.items()),
            fixef_names=self._e.x_names,
            fixef_columns=t_table(self._e.beta.tolist(), sd.tolist()),
            fixef_correlation=tuple(tuple(row) for row in correlation.tolist()),
            notices=self._e.notices,
        )
        return format_summary(view, width=width)

    def tidy(self) -> pd.DataFrame:
        """One row per parameter, as broom.mixed's `tidy`.

        Columns effect ("fixed" or "ran_pars"), group, term, estimate, std_error, statistic. Standard
        deviations and correlations of the random effects stand in the rows "ran_pars".
        """
        import pandas as pd

        sd = np.sqrt(np.diag(self._e.cov_beta))
        rows: list[tuple[str, str | None, str, float, float, float]] = [
            ("fixed", None, name, float(b), float(s), float(b / s) if s else np.nan)
            for name, b, s in zip(self._e.x_names, self._e.beta, sd, strict=True)
        ]
        for t in self.varcorr:
            pairs = [(i, j) for i in range(len(t.names)) for j in range(i + 1, len(t.names))]
            found = [(f"sd__{name}", sd) for name, sd in zip(t.names, t.sd, strict=True)]
            found += [(f"cor__{t.names[i]}.{t.names[j]}", t.correlation[i, j]) for i, j in pairs]
            rows += [("ran_pars", t.label, name, float(value), np.nan, np.nan) for name, value in found]
        rows.append(("ran_pars", "Residual", "sd__Observation", self.sigma, np.nan, np.nan))
        return pd.DataFrame(rows, columns=["effect", "group", "term", "estimate", "std_error", "statistic"])

    def glance(self) -> pd.DataFrame:
        """One row about the fit as a whole."""
        import pandas as pd

        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "sigma": [self.sigma],
                "loglik": [self.loglik],
                "aic": [self.aic],
                "bic": [self.bic],
                "criterion": [self.criterion],
                "reml": [self._e.reml],
                "df_residual": [self.df_residual],
                "icc": [self.icc],
                "singular": [self.is_singular()],
            }
        )

    def augment(self) -> pd.DataFrame:
        """The rows used, with columns .fitted, .fixed, .resid and .scaled_resid beside the data."""
        import pandas as pd

        from henderson.io.frame import to_pandas

        if self._data is None:
            raise HendersonError("this result was read back from a pickle, which leaves out the data")
        out = to_pandas(self._data).iloc[self._e.rows].copy()
        extra = pd.DataFrame(
            {
                ".fitted": self._e.fitted,
                ".fixed": self._e.mean,
                ".resid": self._e.y - self._e.fitted,
                ".scaled_resid": self._scaled_residuals,
            },
            index=out.index,
        )
        return pd.concat([out, extra], axis=1)


def _snapshot(data: Any) -> Any:
    """The table as it is now: later changes in place do not reach it, and nothing is copied."""
    if isinstance(data, Mapping):
        return dict(data)
    return data.copy(deep=False) if type(data).__module__.startswith("pandas") else data
