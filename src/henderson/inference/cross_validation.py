"""How well a model predicts people whose records it has not seen, fold by fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import copysign, isnan, nan, sqrt
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from henderson.covariance import Identity
from henderson.errors import DataError
from henderson.fit.engines import choose_engine
from henderson.fit.fitted_model import FittedModel
from henderson.fit.fitting import fit_formula
from henderson.fit.relationships import check_told_apart
from henderson.fit.solve import Fitted, solve
from henderson.inference.left_out import model_without
from henderson.io.frame import closest, open_table, to_pandas
from henderson.model import MixedModel, RandomTerm

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Index = NDArray[np.intp]
#: Whether variance components are estimated without the records of a fold, or once from all records.
Components = Literal["refit", "held"]
#: What `CrossValidation.table` says of each fold.
MEASURES = ("accuracy", "correlation", "slope", "mse")
PURPOSE = 7
#: A fixed effect that only the records left out tell of leaves an eigenvalue of P below this.
LOST = 1e-10
_ROUNDING = 1e-20


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CrossValidation:
    """Predictions of records by models that have not seen them. Made by `henderson.cross_validate`.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per fold: fold (from 1), n_people and n (records), and of its records

        - accuracy: correlation of y - X beta with the predicted random effects;
        - correlation: of y with the whole prediction;
        - slope: of the regression of y - X beta on the predicted random effects; 1 where they are neither too
          spread out (less) nor too close together (more), which breeders call bias;
        - mse: mean squared error of the whole prediction, in units of the response squared;

        and status, how the search for the variance components ended, or "held". What is not defined, since
        all predictions are the same, is NaN.
    predictions : pandas.DataFrame
        One row per record used: row (its position in the table given, from 0), the person under the name of
        the grouping factor, fold, y, fixed (X beta and the offset), random, and prediction, their sum. Beta
        and the variance components are those without the fold.
    group : str
        Grouping factor whose levels are the people.
    formula : str
    components : {"refit", "held"}

    Examples
    --------
    >>> import henderson as hd
    >>> rng = np.random.default_rng(1)
    >>> cohort = hd.ArraySource.of(rng.integers(0, 3, size=(200, 60)))
    >>> people = {"iid": list(cohort.samples.iid), "y": rng.normal(size=60)}
    >>> found = hd.cross_validate("y ~ 1 + (1 | iid)", people, relationship={"iid": hd.grm(cohort)}, folds=3)
    >>> found.table["n_people"].tolist(), found.overall.index.tolist()
    ([20, 20, 20], ['accuracy', 'correlation', 'slope', 'mse'])
    """

    table: pd.DataFrame
    predictions: pd.DataFrame
    group: str
    formula: str
    components: Components

    @property
    def overall(self) -> pd.DataFrame:
        """Mean over the folds of each measure, its standard error, and the number of folds that have it."""
        import pandas as pd

        found = self.table[list(MEASURES)]
        count = found.notna().sum()
        error = found.std(ddof=1) / np.sqrt(count)
        return pd.DataFrame({"mean": found.mean(), "std_error": error, "folds": count})

    def __repr__(self) -> str:
        n_people = int(self.table["n_people"].sum())
        return f"<CrossValidation of {self.formula!r}: {len(self.table)} folds, {n_people:,} people>"

    def __str__(self) -> str:
        n, people = len(self.predictions), int(self.table["n_people"].sum())
        how = "estimated in each fold" if self.components == "refit" else "held at those of all records"
        lines = [
            f"{self.formula}: {n:,} records of {people:,} people ('{self.group}') in {len(self.table)} folds",
            f"variance components {how}",
            "",
            self.table.to_string(index=False, float_format="%.4g"),
            "",
            self.overall.to_string(float_format="%.4g"),
        ]
        return "\n".join(lines)


def cross_validate(
    formula: str,
    data: Any,
    *,
    relationship: Mapping[str, Any],
    folds: int = 10,
    seed: int = 1,
    group: str | None = None,
    by: str | None = None,
    components: Components = "refit",
    REML: bool = True,
) -> CrossValidation:
    """Predict the records of each fold of people from those of all others.

    People without records keep their place in the relationship, so that BLUP predicts them from their
    relatives. With components that are held the folds need one fit: with P the projection at its estimates,
    and i the records of a fold, their errors of prediction are (P_ii)^-1 (Py)_i (Haslett & Hayes 1998,
    J. R. Statist. Soc. B 60:201-215).

    Parameters
    ----------
    formula, data, relationship, REML
        As for `lmer`.
    folds : int
        Number of folds.
    seed : int
        People are shared out by their sorted names and this number, whatever the order of the rows.
    group : str, optional
        Grouping factor whose levels are the people, all records of whom are in one fold; needed where several
        have a relationship.
    by : str, optional
        Column of groups, such as families or populations, each of which is in one fold as a whole.
    components : {"refit", "held"}
        Variance components are estimated again without each fold; or once, from all records, which is
        faster and a little too optimistic.

    Returns
    -------
    CrossValidation

    Raises
    ------
    DataError
        If there are fewer people (or groups) than folds, a person is in several groups, or the records
        outside of a fold do not suffice.

    Examples
    --------
    >>> import henderson as hd
    >>> rng = np.random.default_rng(1)
    >>> cohort = hd.ArraySource.of(rng.integers(0, 3, size=(40, 100)))
    >>> u = (cohort.calls - 1.0).T @ rng.normal(size=40) * 0.3
    >>> people = {"iid": cohort.samples.iid, "height": u + rng.normal(size=100)}
    >>> G = hd.grm(cohort)
    >>> found = cross_validate("height ~ 1 + (1 | iid)", people, relationship={"iid": G}, folds=5)
    >>> found
    <CrossValidation of 'height ~ 1 + (1 | iid)': 5 folds, 100 people>
    >>> bool(found.overall.loc["accuracy", "mean"] > 0.3)
    True
    """
    if components not in get_args(Components):
        raise DataError(f"components={components!r} is neither 'refit' nor 'held'")
    for name, number in (("folds", folds), ("seed", seed)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
            raise DataError(f"{name} must be a whole number, 0 or more; it is {number!r}")
    open_table(data)  # refuses what is no table in memory
    frame = to_pandas(data)
    fit = fit_formula(formula, frame, REML=REML, relationship=relationship)
    k = _term(fit, group)
    label, levels = fit.estimates.terms[k].group, fit.estimates.terms[k].levels
    codes = fit.engine.model.terms[k].codes_of(0)
    people = np.array([levels[code] for code in codes], dtype=np.str_)
    units = people if by is None else _units(people, frame, by, fit.source.with_rows().rows)
    fold = _shared_out(units, folds, seed, by or label)
    predict = _refitted if components == "refit" else _held
    parts = [predict(fit.source.fitted, np.flatnonzero(fold == i), i) for i in range(1, folds + 1)]
    predictions = _predictions(fit, label, people, fold, parts)
    table = _table(predictions, label, [part.status for part in parts])
    return CrossValidation(table, predictions, label, formula, components)


@dataclass(frozen=True, slots=True, eq=False)
class _Predicted:
    """What is predicted of the records of a fold: X beta, random effects; and how theta was found."""

    rows: Index
    fixed: Array
    random: Array
    status: str


def _term(fit: FittedModel, group: str | None) -> int:
    """Which random term has the people."""
    terms = fit.engine.model.terms
    related = {t.label: k for k, t in enumerate(terms) if not isinstance(t.relationship, Identity)}
    if not related:
        raise DataError(
            "cross-validation over people needs relationship={'iid': G}, the matrix that relates them"
        )
    if group is None and len(related) > 1:
        raise DataError(f"say by group= whose levels are the people: {' or '.join(map(repr, related))}")
    if group is not None and group not in related:
        raise DataError(f"group={group!r} is no grouping factor with a relationship{closest(group, related)}")
    return related[group] if group is not None else next(iter(related.values()))


def _units(people: NDArray[np.str_], frame: pd.DataFrame, by: str, rows: Index) -> NDArray[np.str_]:
    """The group that each record's person is in."""
    if by not in frame:
        raise DataError(f"by={by!r} is no column of the table{closest(by, map(str, frame.columns))}")
    column = frame[by].iloc[rows]
    if column.isna().any():
        lost = people[np.asarray(column.isna())]
        raise DataError(f"{by!r} is missing for {str(lost[0])!r}: every person must be in one group")
    units = column.astype(str).to_numpy(dtype=np.str_)
    home: dict[str, str] = {}
    for person, unit in zip(people.tolist(), units.tolist(), strict=True):
        if home.setdefault(person, unit) != unit:
            raise DataError(
                f"{person!r} is in two groups of {by!r}, {home[person]!r} and {unit!r}, and all records of a "
                "person must be in one fold"
            )
    return units


def _shared_out(units: NDArray[np.str_], folds: int, seed: int, what: str) -> Index:
    """The fold of each record, from 1: by the sorted names of units, so that rows may stand in any order."""
    names, place = np.unique(units, return_inverse=True)
    if not 2 <= folds <= names.size:
        raise DataError(
            f"folds={folds}, and the records are of {names.size} different {what!r}: it takes at least 2 "
            "folds, and no more than there are of these"
        )
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(PURPOSE, 0)))
    fold = np.empty(names.size, dtype=np.intp)
    fold[rng.permutation(names.size)] = 1 + np.arange(names.size) % folds
    return fold[place]


def _refitted(fitted: Fitted, rows: Index, number: int) -> _Predicted:
    """Predict rows by the model of the others, its variance components estimated from these."""
    model, reml = fitted.engine.model, fitted.reml
    left = model_without(model, rows)
    if left is None:
        raise _too_few(number)
    engine = choose_engine(left)
    check_told_apart(engine, reml=reml)
    again = solve(engine, reml=reml)
    solution = engine.solution(again.theta, reml=reml)
    effects = [
        _by_all_levels(term, np.delete(term.codes, rows, axis=0), found.b)
        for term, found in zip(model.terms, solution.terms, strict=True)
    ]
    return _predicted(model, rows, solution.beta, effects, again.optimum.status)


def _by_all_levels(term: RandomTerm, codes: NDArray[np.int64], b: Array) -> Array:
    """Effects of all levels; of unrelated ones, those without a record are not in ``b`` and are zero."""
    if not isinstance(term.relationship, Identity):
        return b
    effects = np.zeros((term.n_levels, term.q))
    effects[np.unique(codes)] = b
    return effects


def _held(fitted: Fitted, rows: Index, number: int) -> _Predicted:
    """Predict rows by the model of the others, its variance components those of all."""
    engine, theta, reml = fitted.engine, fitted.theta, fitted.reml
    model = engine.model
    units = np.zeros((model.n, rows.size))
    units[rows, np.arange(rows.size)] = 1.0
    projected = engine.project(theta, np.column_stack([units, model.y]))[rows]
    values, vectors = np.linalg.eigh(projected[:, :-1])
    if values[0] <= LOST * values[-1]:
        raise _too_few(number)
    # Records replaced by what the others predict of them leave the estimates as they are without them
    y = model.y.copy()
    y[rows] -= vectors @ ((vectors.T @ projected[:, -1]) / values)
    solution = engine.with_response(y).solution(theta, reml=reml)
    return _predicted(model, rows, solution.beta, [term.b for term in solution.terms], "held")


def _predicted(
    model: MixedModel, rows: Index, beta: Array, effects: Sequence[Array], status: str
) -> _Predicted:
    mean = model.mean(beta, effects)[rows]
    fixed = model.X[rows] @ beta
    return _Predicted(rows, fixed, mean - fixed, status)


def _too_few(number: int) -> DataError:
    return DataError(
        f"without the records of fold {number} the fixed effects cannot all be estimated: use more folds, or "
        "leave out covariates and categories that few people have"
    )


def _predictions(
    fit: FittedModel, label: str, people: NDArray[np.str_], fold: Index, parts: Sequence[_Predicted]
) -> pd.DataFrame:
    """One row per record, in the order of the table."""
    import pandas as pd

    design = fit.source.with_rows()
    fixed, random = np.zeros(people.size), np.zeros(people.size)
    for part in parts:
        fixed[part.rows], random[part.rows] = part.fixed, part.random
    if design.offset is not None:
        fixed += design.offset
    about = {"row": design.rows, label: people.astype(object), "fold": fold, "y": design.y}
    return pd.DataFrame({**about, "fixed": fixed, "random": random, "prediction": fixed + random})


def _table(predictions: pd.DataFrame, label: str, status: Sequence[str]) -> pd.DataFrame:
    """One row per fold."""
    import pandas as pd

    rows = []
    for (number, part), how in zip(predictions.groupby("fold"), status, strict=True):
        y, fixed, random = (part[name].to_numpy() for name in ("y", "fixed", "random"))
        measures = (
            _correlation(random, y - fixed),
            _correlation(fixed + random, y),
            _slope(random, y - fixed),
            float(np.mean((y - fixed - random) ** 2)),
        )
        found = dict(zip(MEASURES, measures, strict=True))
        rows.append(
            {"fold": number, "n_people": part[label].nunique(), "n": len(part), **found, "status": how}
        )
    return pd.DataFrame(rows)


def _slope(x: Array, y: Array) -> float:
    """Slope of y on x; NaN where x does not vary."""
    d = x - x.mean()
    squares = float(d @ d)
    return float(d @ y) / squares if squares > _ROUNDING * float(x @ x) else nan


def _correlation(x: Array, y: Array) -> float:
    """Correlation; NaN where one of the two does not vary."""
    there, back = _slope(x, y), _slope(y, x)
    return nan if isnan(there) or isnan(back) else copysign(sqrt(max(there * back, 0.0)), there)
