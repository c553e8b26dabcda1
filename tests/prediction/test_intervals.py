"""Standard errors and intervals of predictions, against the error written out as linear in (b, e)."""

import logging
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

import henderson as hd
from engine.dense import relationship_matrix, stacked_z
from henderson.engine.blocked import joint
from henderson.prediction import error_covariance
from henderson.prediction.intervals import prediction_errors
from prediction.fits import KINDS, dense_of, fit_of, related, rows

ALL = [*KINDS, "related"]


class Dense:
    """Variance of x'beta^ + z'b^ - (x'beta + z'b) for any x and z, unseen levels at the end of b."""

    def __init__(self, fit):
        self.model, dense = fit.engine.model, dense_of(fit)
        self.dense, self.s2 = dense, fit.sigma**2
        mean_own = [np.diag(relationship_matrix(t)).mean() for t in self.model.terms]
        self.prior = [S * own for S, own in zip(dense.S[:-1], mean_own, strict=True)]
        extra = sum(len(S) for S in self.prior)
        n, seen = dense.Z.shape
        self.Z = np.hstack([dense.Z, np.zeros((n, extra))])
        self.G = np.zeros((seen + extra, seen + extra))
        self.G[:seen, :seen] = dense.G
        self.starts = np.cumsum([0, *(t.n_levels * t.q for t in self.model.terms)])
        at = seen
        for S in self.prior:
            self.G[at : at + len(S), at : at + len(S)] = S
            at += len(S)

    def z(self, levels, numbers):
        """Rows of Z for levels (n,) and numbers (n, q) of each term; the level -1 is the unseen one."""
        out = np.zeros((len(levels[0]), len(self.G)))
        unseen = self.starts[-1]
        for k, (term, level, z) in enumerate(zip(self.model.terms, levels, numbers, strict=True)):
            first = np.where(level < 0, unseen, self.starts[k] + level * term.q)
            for j in range(term.q):
                out[np.arange(len(level)), first + j] = z[:, j]
            unseen += term.q
        return out

    def variance(self, x, z):
        d, X = self.dense, self.model.X
        A = np.linalg.solve(d.XVX, X.T @ d.Vi)
        L = x @ A + z @ self.G @ self.Z.T @ d.P
        return self.s2 * np.diag(L @ d.V @ L.T - 2.0 * L @ self.Z @ self.G @ z.T + z @ self.G @ z.T)


def designs(fit, data):
    """X, and by term levels and numbers, for rows of a table, from the recipe of the fit."""
    spec = fit.estimates.spec
    X = spec.fixed_matrix(data)[0]
    terms = range(len(spec.random))
    return X, [spec.group_codes(data, k) for k in terms], [spec.random_matrix(data, k) for k in terms]


def mixed_up(data, seed=0):
    """Rows whose levels come in other combinations, some of them new ones."""
    rng = np.random.default_rng(seed)
    new = data.sample(n=30, random_state=seed)
    new["x"] = rng.normal(size=30)
    for name in ("pupil", "klass", "school", "rater", "iid"):
        if name in new:
            new[name] = np.where(rng.random(30) < 0.3, "somebody new", rng.choice(data[name], 30))
    return new


@pytest.mark.parametrize("kind", ALL)
def test_rows_of_the_fit(kind):
    fit, data = fit_of(kind)
    dense, m = Dense(fit), fit.engine.model
    z = np.hstack([stacked_z(m), np.zeros((m.n, len(dense.G) - dense.starts[-1]))])
    found = prediction_errors(fit)
    np.testing.assert_allclose(found["fit"], fit.fitted, rtol=1e-12)
    np.testing.assert_allclose(found["se"] ** 2, dense.variance(m.X, z), rtol=1e-8, atol=1e-10)
    residual = fit.sigma**2 * np.diag(dense.dense.R)
    record = prediction_errors(fit, interval="prediction", level=0.8)
    np.testing.assert_allclose(record["se"] ** 2, found["se"] ** 2 + residual, rtol=1e-10)
    np.testing.assert_allclose(record["upper"] - record["fit"], norm.ppf(0.9) * record["se"], rtol=1e-10)
    np.testing.assert_allclose(record["fit"] - record["lower"], norm.ppf(0.9) * record["se"], rtol=1e-10)
    pd.testing.assert_frame_equal(prediction_errors(fit, data), found)
    pd.testing.assert_frame_equal(prediction_errors(fit, data, interval="prediction", level=0.8), record)


@pytest.mark.parametrize("kind", ALL)
def test_new_combinations_and_new_levels(kind):
    fit, data = fit_of(kind)
    dense, new = Dense(fit), mixed_up(data)
    X, levels, numbers = designs(fit, new)
    assert min(level.min() for level in levels) == -1
    wanted = dense.variance(X, dense.z(levels, numbers))
    found = prediction_errors(fit, new, new_levels="population")
    np.testing.assert_allclose(found["fit"], fit.predict(new, new_levels="population"), rtol=1e-12)
    np.testing.assert_allclose(found["se"] ** 2, wanted, rtol=1e-8, atol=1e-10)
    missing = prediction_errors(fit, new, new_levels="missing")
    unseen = np.min(levels, axis=0) < 0
    assert missing[unseen].isna().all(axis=None)
    pd.testing.assert_frame_equal(missing[~unseen], found[~unseen])
    with pytest.raises(hd.DataError, match="that the model has not seen"):
        prediction_errors(fit, new)


@pytest.mark.parametrize("kind", ALL)
def test_effects_left_out(kind):
    fit, data = fit_of(kind)
    dense, new = Dense(fit), mixed_up(data)
    X = designs(fit, new)[0]
    found = prediction_errors(fit, new, "none")
    np.testing.assert_allclose(found["se"] ** 2, np.einsum("na,ab,nb->n", X, fit.vcov, X), rtol=1e-10)
    # a new record of nobody in particular
    X, levels, numbers = designs(fit, data)
    record = prediction_errors(fit, data.assign(w=1.0), "none", interval="prediction")
    nobody = dense.variance(X, dense.z([np.full_like(level, -1) for level in levels], numbers))
    R0 = np.ones(3) if fit.estimates.residual is None else np.diag(fit.estimates.residual.R0)
    at = np.zeros(len(data), int) if "t" not in data else data["t"].map({"a": 0, "b": 1, "c": 2}).to_numpy()
    np.testing.assert_allclose(record["se"] ** 2, nobody + fit.sigma**2 * R0[at], rtol=1e-8)
    # the first grouping factor alone
    group = fit.estimates.terms[0].group
    own = [z * (t.group == group) for z, t in zip(numbers, fit.estimates.terms, strict=True)]
    part = prediction_errors(fit, data, [group])
    wanted = dense.variance(X, dense.z(levels, own))
    np.testing.assert_allclose(part["se"] ** 2, wanted, rtol=1e-8, atol=1e-10)


def test_a_part_of_a_term():
    fit, data = fit_of("slope")
    dense = Dense(fit)
    X, levels, numbers = designs(fit, data)
    own, rest = numbers[0] * [1.0, 0.0], numbers[0] * [0.0, 1.0]
    wanted = dense.variance(X, dense.z(levels, [own]))
    found = prediction_errors(fit, data, ["(1 | pupil)"])
    np.testing.assert_allclose(found["se"] ** 2, wanted, rtol=1e-8)
    record = prediction_errors(fit, data, ["(1 | pupil)"], interval="prediction")
    prior = fit.sigma**2 * np.einsum("na,ab,nb->n", rest, dense.prior[0], rest)
    np.testing.assert_allclose(record["se"] ** 2, wanted + prior + fit.sigma**2, rtol=1e-8)


def test_the_fixed_part_is_that_of_r():
    """R: sqrt(diag(X %*% vcov(m) %*% t(X))) for Days 0, 4, 9 of lmer(Reaction ~ Days + (Days | Subject))."""
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    found = prediction_errors(fit, {"Days": [0, 4, 9]}, "none")
    np.testing.assert_allclose(found["se"], SE, rtol=1e-6)


SE = [6.824555776, 8.555536880, 14.628785923]


def test_two_factors_that_fall_together_in_the_data_and_not_in_new_rows():
    data = rows(3)
    data["twin"] = "t" + data["klass"]
    fit = hd.lmer("y ~ x + (1 | pupil) + (1 | klass) + (0 + x | twin)", data)
    new = data.iloc[[0, 40, 60]].assign(twin=data["twin"].iloc[[70, 40, 1]].to_numpy())
    dense = Dense(fit)
    X, levels, numbers = designs(fit, new)
    found = prediction_errors(fit, new)
    np.testing.assert_allclose(found["se"] ** 2, dense.variance(X, dense.z(levels, numbers)), rtol=1e-8)


def test_chunks_make_no_difference(monkeypatch):
    fit, data = fit_of("crossed")
    new = mixed_up(data)
    whole = prediction_errors(fit, new, new_levels="population")
    monkeypatch.setattr(error_covariance, "CHUNK", 1)
    monkeypatch.setattr(joint, "CHUNK", 5)
    pd.testing.assert_frame_equal(prediction_errors(fit, new, new_levels="population"), whole, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(which=st.lists(st.integers(0, 82), max_size=20), seed=st.integers(0, 5))
def test_rows_are_predicted_one_by_one(which, seed):
    fit, _ = FITTED
    new = rows(seed)
    whole = prediction_errors(fit, new, new_levels="population").iloc[which].reset_index(drop=True)
    found = prediction_errors(fit, new.iloc[which], new_levels="population")
    np.testing.assert_allclose(found, whole, rtol=1e-9)


FITTED = fit_of("crossed")


def test_weights_and_positions_come_from_the_new_data(caplog):
    fit, data = fit_of("units")
    new = data.iloc[:4].assign(w=[1.0, 2.0, 4.0, np.nan], t=["a", "b", "c", "a"])
    mean = prediction_errors(fit, new)["se"] ** 2
    record = prediction_errors(fit, new, interval="prediction")["se"] ** 2
    own = fit.sigma**2 * np.diag(fit.estimates.residual.R0)
    np.testing.assert_allclose((record - mean)[:3], own / [1.0, 2.0, 4.0], rtol=1e-9)
    assert np.isnan(record[3])
    with pytest.raises(hd.DataError, match=r"t is 'd' in the new data, .* for 'a', 'b', 'c' only"):
        prediction_errors(fit, new.assign(t="d"), interval="prediction")
    with pytest.raises(hd.DataError, match=r"the weight 'w' of row 1 .* is -2"):
        prediction_errors(fit, new.assign(w=[1.0, -2.0, 1.0, 1.0]), interval="prediction")
    with pytest.raises(hd.DataError, match=r"the weight 'w' of row 0 .* is inf: weights must be finite"):
        prediction_errors(fit, new.assign(w=[np.inf, 2.0, 1.0, 1.0]), interval="prediction")
    with pytest.raises(hd.DataError, match="no column 'w'"):
        prediction_errors(fit, new.drop(columns="w"), interval="prediction")

    array = hd.lmer("y ~ x + (1 | pupil)", data, weights=data["w"].to_numpy())
    with caplog.at_level(logging.WARNING, "henderson"):
        record = prediction_errors(array, data, interval="prediction")["se"] ** 2
    assert "weights of the fit were given as an array" in caplog.text
    np.testing.assert_allclose(record - prediction_errors(array, data)["se"] ** 2, array.sigma**2, rtol=1e-9)


def test_missing_predictors_give_nan(caplog):
    fit, data = fit_of("strata")
    new = data.iloc[:3].assign(x=[1.0, np.nan, 0.0])
    with caplog.at_level(logging.WARNING, "henderson"):
        found = prediction_errors(fit, new, interval="prediction")
    assert found.isna().all(axis=1).tolist() == [False, True, False]
    assert "1 of 3 rows miss a value of a predictor" in caplog.text


@pytest.mark.filterwarnings("error")
def test_infinite_predictors_count_as_missing(caplog):
    fit, data = fit_of("slope")
    new = data.iloc[:3].assign(x=[1.0, -np.inf, 0.0], time=[0.0, np.inf, 1.0])
    with caplog.at_level(logging.WARNING, "henderson"):
        found = prediction_errors(fit, new, interval="prediction")
        point = fit.predict(new)
    assert found.isna().all(axis=1).tolist() == [False, True, False]
    np.testing.assert_array_equal(point, found["fit"])
    assert caplog.text.count("1 of 3 rows miss a value of a predictor, or have an infinite one") == 2


@pytest.mark.parametrize(
    ("kind", "lacking", "random"),
    [("slope", "time", "none"), ("nested", "w", "all"), ("strata", "w", "all"), ("strata", "t", "none")],
)
def test_intervals_that_miss_what_the_mean_does_not_need_are_told(kind, lacking, random, caplog):
    fit, data = fit_of(kind)
    new = data.iloc[:3].assign(**{lacking: [data[lacking][0], None, data[lacking][2]]})
    with caplog.at_level(logging.WARNING, "henderson"):
        found = prediction_errors(fit, new, random, interval="prediction")
    assert found["se"].isna().tolist() == [False, True, False]
    assert found["fit"].notna().all()
    assert "1 of 3 rows miss their weight, their place in the residual structure or" in caplog.text


def test_rows_keep_the_labels_of_a_pandas_table():
    fit, data = fit_of("slope")
    new = data.sample(n=20, random_state=1)
    found = new.join(prediction_errors(fit, new))
    np.testing.assert_array_equal(found["fit"], fit.predict(new))
    assert prediction_errors(fit, {"x": [0.0], "time": [0.0], "pupil": ["p1"]}).index.tolist() == [0]


def test_excluded_rows_are_padded():
    data = hd.example_data("sleepstudy")
    data.loc[[3, 9], "Reaction"] = np.nan
    short = prediction_errors(hd.lmer("Reaction ~ Days + (Days | Subject)", data))
    padded = prediction_errors(hd.lmer("Reaction ~ Days + (Days | Subject)", data, na_action="exclude"))
    assert padded.iloc[[3, 9]].isna().all(axis=None)
    np.testing.assert_allclose(padded.drop(index=[3, 9]), short, rtol=1e-12)


def test_dropped_columns_are_left_out():
    data = rows(2).assign(twice=lambda d: 2 * d["x"])
    plain, both = hd.lmer("y ~ x + (1 | pupil)", data), hd.lmer("y ~ x + twice + (1 | pupil)", data)
    np.testing.assert_allclose(prediction_errors(both, data), prediction_errors(plain, data), rtol=1e-8)


def test_a_fit_without_its_data():
    fit, data = fit_of("slope")
    again = pickle.loads(pickle.dumps(fit))
    pd.testing.assert_frame_equal(
        prediction_errors(again, data, "none"), prediction_errors(fit, data, "none")
    )
    for newdata in (None, data):
        with pytest.raises(hd.HendersonError, match="leaves out the data"):
            prediction_errors(again, newdata)


def test_a_streamed_fit_predicts_chunks(tmp_path):
    data = hd.example_data("sleepstudy").assign(w=2.0)
    data.to_parquet(tmp_path / "sleep.parquet")
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", data, weights="w")
    streamed = hd.lmer("Reaction ~ Days + (Days | Subject)", tmp_path / "sleep.parquet", weights="w")
    for interval in ("confidence", "prediction"):
        found, wanted = (prediction_errors(f, data, interval=interval) for f in (streamed, fit))
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    with pytest.raises(hd.HendersonError, match="not kept because the data were streamed"):
        prediction_errors(streamed)


def test_relabelling_and_shifting():
    fit, data = fit_of("crossed")
    other = data.assign(pupil="z" + data["pupil"].str[::-1], y=100.0 + 2.0 * data["y"], off=2.0 * data["off"])
    again = hd.lmer(
        "y ~ x + time + (1 | pupil) + (x | klass) + (time | rater)", other, offset="off", REML=False
    )
    np.testing.assert_allclose(prediction_errors(again)["se"], 2.0 * prediction_errors(fit)["se"], rtol=1e-5)


def test_relatives_of_unit_mean_are_a_matter_of_scale():
    data, G = related()
    new = data.iloc[:2].assign(iid=["somebody", "else"])
    found = [
        prediction_errors(
            hd.lmer("y ~ x + (1 | iid)", data, relationship={"iid": scale * G}), new, new_levels="population"
        )["se"]
        for scale in (1.0, 0.5)
    ]
    np.testing.assert_allclose(*found, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interval": "credible"}, "interval is 'credible'; it can be 'confidence' or 'prediction'"),
        ({"level": 95}, "level is the coverage of an interval, between 0 and 1, such as 0.95; it is 95"),
        ({"level": "high"}, "level is the coverage"),
        ({"random": ["school"]}, "no random effects of 'school'"),
        ({"newdata": {"x": [1.0]}}, "no column"),
        (
            {"newdata": {"x": np.ones((1, 2)), "time": [1], "pupil": ["p1"]}},
            r"'x' had 1 number\(s\) a row when the model was fitted, and has 2 now",
        ),
        ({"newdata": {"x": ["much"], "time": [1], "pupil": ["p1"]}}, "'x' held numbers when the model"),
        ({"new_levels": "allow", "newdata": {"x": [1.0]}}, "new_levels is 'allow'"),
        ({"new_levels": "allow"}, "new_levels is 'allow'"),
    ],
)
def test_mistakes_are_named(arguments, message):
    fit, _ = fit_of("slope")
    with pytest.raises(hd.DataError, match=message):
        prediction_errors(fit, **arguments)
