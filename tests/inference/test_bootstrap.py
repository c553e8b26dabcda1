"""The parametric bootstrap against fits of simulated tables, R's bootMer and boot.ci, and itself."""

import logging
import multiprocessing
import pickle

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from henderson.inference.bootstrap import Bootstrap, bootstrap, workers
from henderson.inference.bootstrap.statistics import CHUNK_OF_FITS, make_statistic
from henderson.inference.parameters import parameters
from henderson.prediction.simulate import simulate

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def data():
    data = hd.example_data("sleepstudy")
    rng = np.random.default_rng(5)
    return data.assign(
        w=rng.uniform(0.5, 2.0, len(data)),
        off=rng.normal(size=len(data)),
        sex=np.where(data["Subject"].astype(str) < "340", "f", "m"),
    )


@pytest.fixture(scope="module")
def fit(data):
    return hd.lmer(FORMULA, data)


def slopes(fit):
    """A statistic of two numbers."""
    return {"slope": fit.fixef["Days"], "se": fit.se["Days"]}


CASES = [
    (FORMULA, {}),
    (FORMULA, {"weights": "w", "offset": "off", "REML": False}),
    ("Reaction ~ Days + (Days || Subject)", {"subset": "Days > 1"}),
    ("Reaction ~ Days + cs(Days | Subject)", {}),
    ("Reaction ~ Days + (1 | Subject) + (1 | sex)", {}),
    ("Reaction ~ Days + (1 | Subject)", {"residual": "diag(sex)"}),
]


@pytest.mark.parametrize("use_random", [False, True])
@pytest.mark.parametrize(("formula", "arguments"), CASES, ids=[f"{f} {a}" for f, a in CASES])
def test_replicates_are_fits_of_simulated_responses(data, formula, arguments, use_random):
    fit = hd.lmer(formula, data, **arguments)
    found = bootstrap(fit, n=4, seed=3, use_random=use_random)
    Y = simulate(fit, 4, seed=3, use_random=use_random)
    for j in range(4):
        again = fit.refit(Y[:, j])
        expected = {**parameters(again, again.estimates), "icc": again.icc}
        assert list(found.replicates) == list(expected)
        np.testing.assert_allclose(
            found.replicates.iloc[j], list(expected.values()), rtol=1e-6, atol=1e-6 * again.sigma
        )
        assert found.singular[j] == again.is_singular()
    own = {**parameters(fit, fit.estimates), "icc": fit.icc}
    np.testing.assert_allclose(found.estimate, list(own.values()), rtol=1e-12)
    assert found.seed == 3
    assert found.use_random == use_random


def test_spread_and_bias_as_boot_mer(fit):
    """R: bootMer(fit, function(f) c(as.data.frame(VarCorr(f))$sdcor, fixef(f)), nsim = 4000, seed = 1)."""
    found = bootstrap(fit, n=4000, seed=1)
    names = [
        "(Intercept)",
        "Days",
        "sd_(Intercept)|Subject",
        "sd_Days|Subject",
        "cor_Days.(Intercept)|Subject",
        "sigma",
    ]
    sd = np.array([6.722209, 1.554548, 6.103450, 1.261723, 0.350092, 1.483704])
    bias = np.array([-0.18922375, 0.03975855, -0.57260909, -0.10216531, 0.04848579, -0.07182437])
    # 4,000 on either side: relative standard errors of 1.6 %, and 0.022 standard deviations for the bias
    np.testing.assert_allclose(found.std_error[names], sd, rtol=0.07)
    np.testing.assert_allclose(found.bias[names] / sd, bias / sd, atol=0.09)


def test_spread_at_the_modes_as_boot_mer(fit):
    """R: the same with use.u = TRUE, 2,000 replicates."""
    found = bootstrap(
        fit, ["(Intercept)", "Days", "sd_Days|Subject", "sigma"], n=2000, seed=1, use_random=True
    )
    sd = np.array([3.604174, 0.663848, 0.738546, 1.488417])
    bias = np.array([0.024498565, -0.008951654, -0.489417996, -0.008001489])
    np.testing.assert_allclose(found.std_error, sd, rtol=0.1)
    np.testing.assert_allclose(found.bias / sd, bias / sd, atol=0.13)


class TestIntervals:
    """R: boot.ci(b, conf, type = c("norm", "basic", "perc")) with these 19 numbers around 3.2."""

    t = (3.1, 2.7, 4.4, 1.9, 2.2, 3.8, 5.0, 2.9, 3.3, 2.4, 4.1, 3.6, 2.0, 3.0, 2.8, 1.5, 4.7, 3.5, 2.6)

    def made(self, t=t):
        nothing = np.zeros(len(t), dtype=bool)
        problems = np.full(len(t), "", dtype=object)
        replicates = pd.DataFrame({"x": t, "y": 0.0})
        return Bootstrap(pd.Series({"x": 3.2, "y": 0.0}), replicates, nothing, problems, 1, False)

    @pytest.mark.parametrize(
        ("level", "method", "lower", "upper"),
        [
            (0.9, "normal", 1.677401119, 4.859440986),
            (0.9, "basic", 1.4, 4.9),
            (0.9, "percentile", 1.5, 5.0),
            (0.8, "normal", 2.028812827, 4.508029279),
            (0.8, "basic", 1.7, 4.5),
            (0.8, "percentile", 1.9, 4.7),
            (0.75, "basic", 1.860578282, 4.446473906),
            (0.75, "percentile", 1.953526094, 4.539421718),
        ],
    )
    def test_as_boot_ci(self, level, method, lower, upper):
        found = self.made().confint(level, which="x", method=method)
        np.testing.assert_allclose(found.loc["x"], [lower, upper], rtol=1e-8)

    def test_what_is_not_defined_is_left_out(self):
        holes = (*self.t, np.nan, np.nan)
        pd.testing.assert_frame_equal(self.made(holes).confint(0.9), self.made().confint(0.9))

    def test_too_few_replicates(self):
        with pytest.raises(
            hd.DataError, match=r"19 replicates are too few for the 0.95 interval, which takes 39"
        ):
            self.made().confint()
        assert self.made().confint(method="normal").shape == (2, 2)

    def test_mistakes(self):
        with pytest.raises(hd.DataError, match="'percentile', 'basic' or 'normal'; it is 'bca'"):
            self.made().confint(0.9, method="bca")
        with pytest.raises(hd.DataError, match="no parameter 'z'"):
            self.made().confint(0.9, which="z")
        with pytest.raises(hd.DataError, match=r"such as 0\.95; it is 95"):
            self.made().confint(95)


class TestStatistics:
    def test_any_function_of_a_fit(self, fit):
        found = bootstrap(fit, slopes, n=5, seed=1)
        assert list(found.replicates) == ["slope", "se"]
        np.testing.assert_allclose(
            found.replicates["slope"], bootstrap(fit, "Days", n=5, seed=1).replicates["Days"]
        )
        assert bootstrap(fit, lambda f: f.icc, n=2, seed=1).estimate.to_dict() == {"statistic": fit.icc}
        assert list(bootstrap(fit, lambda f: f.fixef, n=2, seed=1).replicates) == ["(Intercept)", "Days"]
        array = bootstrap(fit, lambda f: f.theta, n=2, seed=1)
        assert list(array.replicates) == [f"statistic[{i}]" for i in range(3)]
        # the fit that a function is given is what the user has in hands
        assert bootstrap(fit, lambda f: isinstance(f, type(fit)), n=2, seed=1).replicates["statistic"].all()

    def test_names(self, fit):
        found = bootstrap(fit, ["icc", "sd_Days|Subject"], n=3, seed=1)
        whole = bootstrap(fit, n=3, seed=1)
        pd.testing.assert_frame_equal(found.replicates, whole.replicates[["icc", "sd_Days|Subject"]])
        assert list(bootstrap(fit, "r2", n=2, seed=1).replicates) == ["r2_marginal", "r2_conditional"]
        with pytest.raises(
            hd.DataError, match=r"no parameter 'sd_days\|Subject'; did you mean 'sd_Days\|Subject'"
        ):
            bootstrap(fit, "sd_days|Subject")
        with pytest.raises(hd.DataError, match="no parameter 'h2'"):
            bootstrap(fit, "heritability")

    def test_heritability(self):
        rng = np.random.default_rng(5)
        names = [f"p{k}" for k in range(60)]
        A = rng.normal(size=(60, 80))
        G = {"iid": pd.DataFrame(A @ A.T / 80, index=names, columns=names)}
        fit = hd.lmer("y ~ 1 + (1 | iid)", {"iid": names, "y": rng.normal(size=60)}, relationship=G)
        found = bootstrap(fit, "heritability", n=3, seed=1)
        assert found.estimate["h2"] == pytest.approx(fit.heritability().h2, rel=1e-12)
        for h2, y in zip(found.replicates["h2"], simulate(fit, 3, seed=1).T, strict=True):
            assert h2 == pytest.approx(fit.refit(y).heritability().h2, rel=1e-6, abs=1e-9)

    @pytest.mark.parametrize("value", ["much", None, [], {}, ["a"]])
    def test_what_is_not_numbers_is_refused(self, fit, value):
        with pytest.raises(hd.DataError, match="statistic must return a number, an array, or a mapping"):
            bootstrap(fit, lambda _: value)

    def test_a_function_that_fails_now_and_then(self, fit, caplog):
        def brittle(again):
            if again.fixef["Days"] > 11.0:
                raise ZeroDivisionError("too steep")
            return again.sigma

        found = bootstrap(fit, brittle, n=20, seed=1)
        steep = bootstrap(fit, "Days", n=20, seed=1).replicates["Days"].to_numpy() > 11.0
        assert 0 < steep.sum() < 20
        np.testing.assert_array_equal(found.failed, steep)
        np.testing.assert_array_equal(found.replicates["brittle"].isna(), steep)
        assert (
            f"{steep.sum()} of 20 bootstrap replicates failed and are left out: ZeroDivisionError: too steep"
            in caplog.text
        )

    def test_one_that_fails_for_the_fit_itself_is_not_hidden(self, fit):
        with pytest.raises(ZeroDivisionError):
            bootstrap(fit, lambda _: 1 / 0)


def test_singular_fits_are_counted_and_told(data, caplog):
    noise = data.assign(Reaction=np.random.default_rng(1).normal(size=len(data)))
    fit = hd.lmer(FORMULA, noise)
    caplog.clear()
    found = bootstrap(fit, n=50, seed=1)
    zero = (found.replicates[["sd_(Intercept)|Subject", "sd_Days|Subject"]] == 0.0).any(axis=1)
    correlation = found.replicates["cor_Days.(Intercept)|Subject"]
    assert found.singular.sum() > 25
    np.testing.assert_array_equal(correlation.isna(), zero)
    np.testing.assert_array_equal(found.singular, zero | (correlation.abs() > 1.0 - 1e-6))
    assert f"{found.singular.sum()} of 50 bootstrap replicates are singular fits" in caplog.text
    assert f"'cor_Days.(Intercept)|Subject' is not defined in {zero.sum()} of 50" in caplog.text
    assert (
        repr(found) == f"<Bootstrap of 7 numbers: 50 replicates; {found.singular.sum()} singular, 0 failed>"
    )


def test_searches_that_do_not_end_fail(data):
    fit = hd.lmer(FORMULA, data, control=hd.Control(max_iterations=0))
    for statistic in (None, slopes):
        found = bootstrap(fit, statistic, n=2, seed=1)
        assert set(found.problems) == {"the search did not converge"}
        assert found.replicates.isna().all(axis=None)


class TestWorkers:
    @pytest.mark.parametrize("statistic", [slopes, "icc"])
    def test_the_same_numbers(self, fit, statistic, monkeypatch):
        monkeypatch.setattr("henderson.inference.bootstrap.statistics.CHUNK", 20)
        one = bootstrap(fit, statistic, n=2 * CHUNK_OF_FITS + 3, seed=8)
        two = bootstrap(fit, statistic, n=2 * CHUNK_OF_FITS + 3, seed=8, workers=2)
        pd.testing.assert_frame_equal(one.replicates, two.replicates, check_exact=True)
        np.testing.assert_array_equal(one.singular, two.singular)

    def test_a_fresh_process_can_do_the_work(self, fit):
        """Where processes are not forked, the job is all that a worker has."""
        job = workers.Job.of(fit, make_statistic(fit, None), seed=2, use_random=False)
        start = workers._prepare, (pickle.dumps(job),)
        with multiprocessing.get_context("spawn").Pool(1, *start) as pool:
            away = pool.apply(workers._batch, (0, 3))
        np.testing.assert_array_equal(away.values, workers.Bench(job).batch(0, 3).values)

    def test_a_function_without_a_name_stays_here(self, fit):
        with pytest.raises(hd.DataError, match=r"cannot be sent to worker processes .* or take workers=1"):
            bootstrap(fit, lambda f: f.sigma, n=60, workers=2)


class TestResume:
    def test_goes_on_where_it_stopped(self, fit, tmp_path):
        whole = bootstrap(fit, slopes, n=3 * CHUNK_OF_FITS, seed=1)
        calls = 0

        def interrupted(again):
            nonlocal calls
            calls += 1
            if calls == CHUNK_OF_FITS + 10:
                raise KeyboardInterrupt
            return slopes(again)

        path = tmp_path / "boot.npz"
        with pytest.raises(KeyboardInterrupt):
            bootstrap(fit, interrupted, n=3 * CHUNK_OF_FITS, seed=1, resume=path)
        assert [p.name for p in tmp_path.iterdir()] == ["boot.npz"]
        calls = 10_000
        rest = bootstrap(fit, interrupted, n=3 * CHUNK_OF_FITS, seed=1, resume=path)
        pd.testing.assert_frame_equal(rest.replicates, whole.replicates, check_exact=True)
        # the names, the estimate, and the two batches that were not there
        assert calls == 10_000 + 2 + 2 * CHUNK_OF_FITS

    def test_more_and_fewer_replicates_and_the_seed_of_the_file(self, fit, tmp_path):
        path = tmp_path / "boot.npz"
        first = bootstrap(fit, n=4, resume=path)
        more = bootstrap(fit, n=7, resume=path)
        assert more.seed == first.seed
        np.testing.assert_allclose(more.replicates[:4], first.replicates, rtol=1e-9)
        fewer = bootstrap(fit, n=5, resume=path)
        pd.testing.assert_frame_equal(fewer.replicates, more.replicates[:5])
        assert len(bootstrap(fit, n=7, resume=path).replicates) == 7

    def test_failures_are_kept(self, fit, tmp_path):
        def brittle(again):
            return {"x": again.fixef["Days"] if again.fixef["Days"] < 11.0 else 1 / 0}

        path = tmp_path / "boot.npz"
        first = bootstrap(fit, brittle, n=20, seed=1, resume=path)
        again = bootstrap(fit, brittle, n=20, seed=1, resume=path)
        assert 0 < first.failed.sum() < 20
        assert first.problems.tolist() == again.problems.tolist()
        np.testing.assert_array_equal(first.singular, again.singular)

    def test_another_run_is_refused(self, fit, data, tmp_path):
        path = tmp_path / "boot.npz"
        bootstrap(fit, n=2, seed=1, resume=path)
        shifted = hd.lmer(FORMULA, data.assign(Days=data["Days"] + 1.0))
        for other, statistic, arguments, words in (
            (hd.lmer(FORMULA, data, REML=False), None, {}, "another fit .'Reaction ~ Days .* by REML'"),
            (shifted, None, {}, "another fit"),
            (fit, "icc", {}, "another statistic"),
            (fit, None, {"seed": 2}, "made with seed=1"),
            (fit, None, {"use_random": True}, "made with use_random=False"),
        ):
            with pytest.raises(hd.DataError, match=words):
                bootstrap(other, statistic, n=2, resume=path, **arguments)

    def test_another_file_is_refused(self, fit, tmp_path):
        path = tmp_path / "boot.npz"
        np.savez(path, x=np.arange(3))
        with pytest.raises(hd.DataError, match=r"boot.npz is no file of bootstrap replicates"):
            bootstrap(fit, n=2, resume=path)
        path.write_bytes(b"words")
        with pytest.raises(hd.DataError, match="is no file of bootstrap replicates"):
            bootstrap(fit, n=2, resume=path)
        with pytest.raises(hd.DataError, match="there is no folder"):
            bootstrap(fit, n=2, resume=tmp_path / "no" / "boot.npz")


def test_mistakes(fit):
    for arguments, words in (
        ({"n": 0}, "n must be a whole number, 1 or more; it is 0"),
        ({"n": 10.5}, "n must be a whole number"),
        ({"workers": 0}, "workers must be a whole number, 1 or more"),
        ({"seed": -1}, "seed must be a whole number, 0 or more; it is -1"),
    ):
        with pytest.raises(hd.DataError, match=words):
            bootstrap(fit, **arguments)
    with pytest.raises(hd.HendersonError, match="read back from a pickle or file"):
        bootstrap(pickle.loads(pickle.dumps(fit)), n=2)


def test_progress_goes_to_standard_error(fit, capfd):
    bootstrap(fit, n=3, seed=1, progress=True)
    out, err = capfd.readouterr()
    assert "3/3" in err
    assert not out


def test_a_seed_of_its_own(fit, caplog):
    with caplog.at_level(logging.ERROR):
        first, other = bootstrap(fit, "icc", n=3), bootstrap(fit, "icc", n=3)
    assert (first.replicates != other.replicates).all(axis=None)
    again = bootstrap(fit, "icc", n=3, seed=first.seed)
    pd.testing.assert_frame_equal(first.replicates, again.replicates, check_exact=True)
