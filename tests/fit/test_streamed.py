"""Fits to files read in batches beside fits to the same rows in memory."""

import logging
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow.dataset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

import henderson as hd
from henderson.errors import DataError, HendersonError, ModelNotSupportedError
from henderson.fit import streamed
from henderson.fit.streamed import fit_streamed as fit_numbers
from henderson.lmm.result import result_of


def fit_streamed(*call, **arguments):
    return result_of(fit_numbers(*call, **arguments))


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def records(seed=0, n=400):
    """Pupils in classes in schools, crossed with items; columns of every kind."""
    rng = np.random.default_rng(seed)
    school = rng.integers(0, 8, n)
    data = pd.DataFrame({"school": school, "class": school * 3 + rng.integers(0, 3, n)})
    data["item"] = rng.choice(list("qwertyuiop"), n)
    data["f"] = rng.choice(["lo", "mid", "hi"], n)
    data["grade"] = pd.Categorical(rng.choice(["c", "a", "b"], n), ["c", "a", "b", "never"], ordered=True)
    data["x"] = rng.normal(size=n).astype(np.float32).astype(np.float64)
    data["year"] = rng.integers(1990, 2020, n)
    data["w"] = rng.gamma(2.0, size=n)
    data["off"] = rng.normal(size=n)
    data["early"] = rng.random(n) < 0.4
    u, v, s = rng.normal(size=(24, 3)), rng.normal(size=10), rng.normal(size=8)
    item = data["item"].map("qwertyuiop".index).to_numpy()
    data["y"] = (
        3 + 0.5 * data["x"] + 0.7 * (data["f"] == "lo") + u[data["class"], 0] + s[school]
        + 0.5 * u[data["class"], 1] * data["x"] + 0.6 * v[item] + rng.normal(size=n)
        + 0.1 * u[data["class"], 2] * (data["year"] - 2005)
    )  # fmt: skip
    return data


def gappy(seed=0):
    """The same with missing values in columns of every kind, one school without a response, zero weights."""
    rng = np.random.default_rng(seed + 1)
    data = records(seed)
    data.loc[rng.random(len(data)) < 0.1, "x"] = np.nan
    data.loc[rng.random(len(data)) < 0.1, "f"] = None
    data["class"] = data["class"].astype("Int64").mask(rng.random(len(data)) < 0.1)
    data.loc[data["school"] == 3, "y"] = np.nan
    data.loc[rng.random(len(data)) < 0.1, "w"] = 0.0
    return data


def from_parts(formula, data, folder, *, cuts=(), row_group=64, order=None, **options):
    """Fit from files that hold the rows up to each cut, x in single precision."""
    if "x" in data:
        data = data.astype({"x": np.float32})
    ends = [0, *sorted(cuts), len(data)]
    for k, (a, b) in enumerate(pairwise(ends)):
        name = f"{k if order is None else order[k]:03d}.parquet"
        data.iloc[a:b].to_parquet(folder / name, row_group_size=row_group)
    return fit_streamed(formula, folder, **options)


def assert_same(fit, memory, *, rel=1e-9):
    assert fit.criterion == pytest.approx(memory.criterion, rel=rel)
    assert fit.theta_names == memory.theta_names
    assert list(fit.fixef.index) == list(memory.fixef.index)
    assert fit.ngroups == memory.ngroups
    assert fit.nobs == memory.nobs
    assert fit.dropped == memory.dropped
    assert fit.notices == memory.notices
    np.testing.assert_allclose(fit.theta, memory.theta, atol=1e-6)
    np.testing.assert_allclose((fit.fixef - memory.fixef) / memory.se, 0.0, atol=1e-8)
    np.testing.assert_allclose(fit.se, memory.se, rtol=1e-6)
    assert fit.icc == pytest.approx(memory.icc, rel=1e-6)
    for group, table in memory.ranef().items():
        ours = fit.ranef()[group]
        assert list(ours.index) == list(table.index)
        np.testing.assert_allclose(ours, table, atol=1e-6)


FITS = [
    ("y ~ x + (x | class)", {}),
    ("y ~ x + f + (1 | school/class)", {}),
    ("y ~ x * f + (1 | class) + (1 | item)", {}),
    ("y ~ x + grade + (1 | school) + (0 + x | school) + (1 | item)", {}),
    ("y ~ year + I(year^2) + (year | class)", {}),
    ("y ~ x + f + (x | class)", {"weights": "w"}),
    ("y ~ x + (1 | class:item) + (1 | item)", {}),
    ("y ~ x + (1 | early) + (1 | item) + (1 | class) + (1 | grade)", {}),
    ("y ~ factor(school) + (1 | item)", {}),
    ("y ~ 0 + f + (f | item)", {"REML": False}),
    ("y ~ f + (1 | class)", {"contrasts": {"f": "sum"}}),
    ("y ~ f + (0 + f | class)", {"contrasts": {"f": "sum"}}),
    ("y ~ x + early + (1 | class)", {"subset": "x > -1 & f != 'mid'"}),
    ("y ~ f + (1 | class)", {"subset": "f != 'mid'"}),
    ("log(y + 20) ~ x + offset(off) + (1 | item)", {"offset": "off / 2"}),
    ("y ~ x + I(2 * x) + (x || class)", {}),
    ("y ~ cut(x, c(-9, 0, 1, 9)) + relevel(f, 'mid') + (1 | class)", {}),
    ("y ~ x + (1 | interaction(school, item)) + (1 | factor(school))", {}),
    ("y ~ relevel(factor(class), '23') + (1 | item)", {}),
    ("y ~ ifelse(is.na(x), 'unknown', as.character(f)) + (1 | item)", {}),
    ("y ~ x + cs(0 + f | class) + diag(x | item)", {}),
    ("y ~ x + ar1(0 + grade | class)", {}),
]  # fmt: skip


@pytest.mark.parametrize("make", [records, gappy])
@pytest.mark.parametrize(("formula", "options"), FITS)
def test_as_in_memory(make, formula, options, tmp_path):
    data = make()
    assert_same(from_parts(formula, data, tmp_path, **options), hd.lmer(formula, data, **options))


def test_dot_stands_for_the_other_columns(tmp_path):
    data = records()[["y", "x", "f", "class"]]
    formula = "y ~ . + (1 | class)"
    assert_same(from_parts(formula, data, tmp_path), hd.lmer(formula, data))


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    row_group=st.integers(5, 400),
    cuts=st.lists(st.integers(0, 400), max_size=4),
    shuffle=st.randoms(use_true_random=False),
)
def test_however_the_rows_are_cut(tmp_path_factory, seed, row_group, cuts, shuffle):
    """Files may come in any order, and row groups be of any size."""
    formula = "y ~ x + f + (x | class) + (1 | item)"
    data = gappy(seed)
    order = list(range(len(cuts) + 1))
    shuffle.shuffle(order)
    folder = tmp_path_factory.mktemp("parts")
    fit = from_parts(formula, data, folder, cuts=cuts, row_group=row_group, order=order, weights="w")
    assert_same(fit, hd.lmer(formula, data, weights="w"))


def test_levels_of_categories_keep_their_order_over_files(tmp_path):
    """As in a dataset read into memory, whose dictionaries are joined in the order of the files."""
    data = records()
    half = len(data) // 2
    data.iloc[:half].assign(kind=pd.Categorical(data["f"][:half], ["mid", "hi", "lo"])).to_parquet(
        tmp_path / "1"
    )
    data.iloc[half:].assign(kind=pd.Categorical(data["f"][half:], ["lo", "mid", "hi"])).to_parquet(
        tmp_path / "2"
    )
    dataset = pyarrow.dataset.dataset(tmp_path)
    formula = "y ~ kind + (1 | item)"
    fit = fit_streamed(formula, dataset)
    assert list(fit.fixef.index) == ["(Intercept)", "kindhi", "kindlo"]
    assert_same(fit, hd.lmer(formula, dataset.to_table()))


def readings(monkeypatch):
    """A list that grows by one each time that the files are read."""
    seen = []

    class Counted(streamed.RecordSums):
        def __init__(self, *arguments):
            seen.append(1)
            super().__init__(*arguments)

    monkeypatch.setattr(streamed, "RecordSums", Counted)
    return seen


def test_a_large_mean_costs_no_digits(tmp_path, monkeypatch):
    seen = readings(monkeypatch)
    data = records()
    formula = "y ~ x + f + (x | class)"
    fit = from_parts(formula, data, tmp_path)
    shifted = from_parts(formula, data.assign(y=data["y"] + 1e8), tmp_path)
    assert shifted.criterion == pytest.approx(fit.criterion, rel=1e-6)
    assert len(seen) == 2


def test_a_sample_that_shows_nothing(tmp_path, monkeypatch):
    """The first rows are unlike all others: the files are read twice, and nothing is lost."""
    seen = readings(monkeypatch)
    n = 50_000
    rng = np.random.default_rng(0)
    late = np.arange(n) >= 40_000
    data = pd.DataFrame({"g": rng.integers(0, 200, n), "late": late.astype(float)})
    data["year"] = np.where(late, rng.integers(1990, 2020, n), 2000)
    data["rare"] = np.where(late, rng.choice(["b", "c"], n), "a")
    data["y"] = rng.normal(size=(200, 2))[data["g"], 0] + 1e6 * late + 0.1 * data["year"] + rng.normal(size=n)
    formula = "y ~ late + year + rare + (year | g)"
    fit = from_parts(formula, data, tmp_path, row_group=n)
    assert len(seen) == 2
    memory = hd.lmer(formula, data)
    assert fit.criterion == pytest.approx(memory.criterion, rel=1e-9)
    assert fit.dropped == memory.dropped == ("rarec",)
    np.testing.assert_allclose(fit.theta, memory.theta, rtol=1e-5, atol=1e-7)


def test_the_number_of_threads_changes_nothing(tmp_path):
    fits = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            fits.append(from_parts("y ~ x + f + (x | class)", records(), tmp_path))
    assert fits[0].criterion == fits[1].criterion
    assert (fits[0].theta == fits[1].theta).all()


def test_published_estimates(tmp_path):
    """Bates et al. (2015), section 1.2: sleepstudy."""
    fit = from_parts(
        "Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"), tmp_path, row_group=50
    )
    assert fit.criterion == pytest.approx(1743.6283, abs=1e-4)
    assert fit.fixef.round(3).tolist() == [251.405, 10.467]
    assert fit.varcorr["Subject"].sd.round(2).tolist() == [24.74, 5.92]


# -- what a fit without its rows answers ------------------------------------------------------------------


@pytest.fixture
def both(tmp_path):
    formula = "y ~ x + f + (x | class) + (1 | item)"
    return from_parts(formula, records(), tmp_path), hd.lmer(formula, records())


def test_predictions_for_a_chunk(both):
    fit, memory = both
    chunk = records(7).head(30)
    np.testing.assert_allclose(fit.predict(chunk), memory.predict(chunk), rtol=1e-8)


def test_summary_leaves_the_residuals_out(both):
    fit, memory = both
    ours, theirs = fit.summary(), memory.summary()
    assert "Scaled residuals" in theirs
    start = theirs.index("Scaled residuals")
    assert ours == theirs[:start] + theirs[theirs.index("Random effects:") :]


@pytest.mark.parametrize(
    "question",
    [
        lambda fit: fit.fitted,
        lambda fit: fit.residuals,
        lambda fit: fit.predict(),
        lambda fit: fit.augment(),
        lambda fit: fit.refit(np.ones(400)),
    ],
)
def test_values_by_row_are_refused(both, question):
    with pytest.raises(HendersonError, match="because the data were streamed"):
        question(both[0])


# -- what is refused --------------------------------------------------------------------------------------


def test_rows_that_leave_nothing(tmp_path):
    data = records()
    with pytest.raises(
        DataError, match="no rows are left to fit: 400 of 400 rows dropped for missing values"
    ):
        from_parts("y ~ x + (1 | class)", data.assign(x=np.nan), tmp_path)
    with pytest.raises(DataError, match="no rows are left to fit"):
        from_parts("y ~ x + (1 | class)", data, tmp_path, subset="x > 99")
    with pytest.raises(DataError, match="no rows are left to fit: the files have none"):
        from_parts("y ~ x + (1 | class)", data.head(0), tmp_path)
    with pytest.raises(DataError, match="4 complete rows for 4 fixed effects"):
        from_parts("y ~ x + w + off + (1 | early)", data.head(4), tmp_path)


def test_responses_without_variance(tmp_path, monkeypatch):
    seen = readings(monkeypatch)
    data = records()
    with pytest.raises(DataError, match="fit the response 'y' exactly in all 400 rows"):
        from_parts("y ~ x + (1 | class)", data.assign(y=3.7), tmp_path)
    assert len(seen) == 1
    with pytest.raises(DataError, match="hardly varies within the levels of 'class'"):
        from_parts("y ~ x + (1 | class)", data.assign(y=np.sin(data["class"])), tmp_path)


def test_grouping_factors_that_cannot_be_told_from_the_residual(tmp_path):
    data = records().assign(row=np.arange(400), one=1)
    with pytest.raises(DataError, match=r"must be < number of observations, which is 400 \(problems: row\)"):
        from_parts("y ~ x + (1 | row)", data, tmp_path)
    with pytest.raises(DataError, match=r"more than one level in the rows used \(problems: one\)"):
        from_parts("y ~ x + (1 | one)", data, tmp_path)


def test_structures_that_need_the_rows(tmp_path):
    for option in ({"relationship": {"class": np.eye(24)}}, {"residual": "diag(early)"}):
        with pytest.raises(ModelNotSupportedError, match="needs all rows at once"):
            from_parts("y ~ x + (1 | class)", records(), tmp_path, **option)
