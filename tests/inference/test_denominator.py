"""Degrees of freedom and F tests: against R, against V itself, and what must hold of any."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import henderson as hd
from fit.relatives import fit as fit_related
from fit.relatives import population
from henderson.errors import DataError, HendersonError, ModelNotSupportedError
from henderson.inference.contrasts import contrast
from henderson.inference.denominator import denominator
from inference.dense_tests import DenseKenwardRoger, satterthwaite_df
from reference import needs_lmer_reference

#: Rows of `sleepstudy`, counted from 1, that `unbalanced` leaves out.
LEFT_OUT = [2, 5, 9, 11, 12, 13, 14, 20, 27, 30, 31, 32, 33, 50, 61, 70, 71, 72, 73, 74, 75, 76, 99, 101, 120]
LEFT_OUT += [141, 150, 151, 152, 153, 154, 155, 170]
SLOPES = "Reaction ~ Days * grp + (Days | Subject)"


def sleep(**columns):
    data = hd.example_data("sleepstudy")
    number = data["Subject"].cat.codes.to_numpy()
    data["grp"] = np.array(["a", "b", "c"])[number % 3]
    data["w"] = 0.5 + (number * 7 + data["Days"].to_numpy(int) * 3) % 5
    return data.assign(**columns)


def unbalanced():
    return sleep().drop(index=np.array(LEFT_OUT) - 1)


def sample(n=144, seed=5):
    rng = np.random.default_rng(seed)
    g, h, block, t = rng.integers(0, 12, n), rng.integers(0, 8, n), np.arange(n) // 9, np.arange(n) % 3
    x = rng.normal(size=n)
    y = 1 + 0.4 * x + rng.normal(size=12)[g] + rng.normal(size=8)[h] + rng.normal(size=12)[g] * x
    y += (1 + 0.5 * t) * (rng.normal(size=n) + rng.normal(size=n // 3)[np.arange(n) // 3])
    y += rng.normal(size=(12, 3))[g, t] + 2 * rng.normal(size=(n // 9, 3)).cumsum(axis=1)[block, t]
    labels = {"g": np.char.add("g", g.astype(str)), "h": np.char.add("h", h.astype(str))}
    unit = np.char.add("u", (np.arange(n) // 3).astype(str))
    # units lie within levels of `block`
    block = np.char.add("b", block.astype(str))
    return {
        "y": y,
        "x": x,
        "t": np.char.add("t", t.astype(str)),
        "unit": unit,
        "block": block,
        "w": rng.uniform(0.4, 3.0, n),
        **labels,
    }


# -- R -----------------------------------------------------------------------------------------------------


def check_table(found, table, *, rel):
    np.testing.assert_allclose(found["df"], np.array(table["df"], float), rtol=rel)
    p = np.array(table["Pr(>|t|)"], float)
    there = p > 1e-300
    np.testing.assert_allclose(
        found["neg_log_10_p_value"][there], -np.log10(p[there]), rtol=1e-5, atol=1e-6 * rel
    )


@needs_lmer_reference
class TestReferences:
    """lmerTest and pbkrtest on every reference model."""

    def test_satterthwaite(self, reference_fit):
        stored, _, fit = reference_fit
        table = ((stored.get("lmerTest") or {}).get("satterthwaite") or {}).get("coefficients")
        if not table or stored["isSingular"] or not stored["optimum"]["identified"]:
            pytest.skip("R has no degrees of freedom that are determined here")
        check_table(contrast(fit, np.eye(len(fit.fixef))), table, rel=1e-5)

    def test_kenward_roger(self, reference_fit):
        stored, _, fit = reference_fit
        block = (stored.get("lmerTest") or {}).get("kenward_roger") or {}
        if not block.get("vcov_adjusted"):
            pytest.skip("R has no adjusted covariance here")
        if "weights" in stored["arguments"]:
            pytest.skip("pbkrtest takes V for that of a model without weights; see TestAgainstV")
        tests = denominator(fit, "kenward-roger")
        expected = np.array(block["vcov_adjusted"])
        sd = np.sqrt(np.diag(expected))
        np.testing.assert_allclose(tests.cov_beta / np.outer(sd, sd), expected / np.outer(sd, sd), atol=1e-6)
        check_table(contrast(fit, np.eye(sd.size), ddf="kenward-roger"), block["coefficients"], rel=1e-6)


@pytest.fixture(scope="module")
def slopes():
    return hd.lmer(SLOPES, unbalanced())


class TestJointTests:
    """`contestMD` of lmerTest 3.1-3, which takes pbkrtest's `KRmodcomp`; on unbalanced data with slopes."""

    rows = np.eye(6)
    hypotheses = {  # noqa: RUF012
        "groups": (rows[2:4], 0.0),
        "interaction, one row too many": (np.vstack([rows[4:], rows[4] + rows[5]]), 0.0),
        "slopes and more": (rows[[1, 2, 4, 5]], 0.0),
        "not zero": (rows[2:4], np.array([10.0, -5.0])),
    }
    satterthwaite = {  # noqa: RUF012
        "groups": (0.52082197248105033, 2, 12.604479480531614),
        "interaction, one row too many": (0.63469362812324825, 2, 15.132374957556646),
        "slopes and more": (9.5302453683229178, 4, 14.892508600430133),
        "not zero": (0.606488320684195, 2, 12.604479480531614),
    }
    kenward_roger = {  # noqa: RUF012
        "groups": (0.50872031930414641, 2, 12.981151419242007, 0.99985048462281489),
        "interaction, one row too many": (0.62328003848688496, 2, 14.536244871929489, 0.99991019964541428),
        "slopes and more": (8.9137063659605094, 4, 15.832524301325597, 0.94775268615987818),
        "not zero": (0.58149591857558514, 2, 12.981151419242007, 0.99985048462281489),
    }

    def found(self, fit, name, ddf):
        L, rhs = self.hypotheses[name]
        return denominator(fit, ddf).f_test(L, L @ fit.estimates.beta - rhs)

    @pytest.mark.parametrize("name", hypotheses)
    def test_satterthwaite(self, slopes, name):
        test = self.found(slopes, name, "satterthwaite")
        assert (test.statistic, test.ndf, test.ddf) == pytest.approx(self.satterthwaite[name], rel=1e-5)
        assert test.scaling == 1.0

    @pytest.mark.parametrize("name", hypotheses)
    def test_kenward_roger(self, slopes, name):
        test = self.found(slopes, name, "kenward-roger")
        values = test.statistic, test.ndf, test.ddf, test.scaling
        assert values == pytest.approx(self.kenward_roger[name], rel=1e-6)

    def test_p_values(self, slopes):
        test = self.found(slopes, "slopes and more", "satterthwaite")
        assert test.p_value == pytest.approx(0.0004978240613678842, rel=1e-4)
        assert test.neg_log_10_p_value == pytest.approx(-np.log10(0.0004978240613678842), rel=1e-5)
        test = self.found(slopes, "slopes and more", "kenward-roger")
        assert test.p_value == pytest.approx(0.00057199401313986955, rel=1e-5)

    @pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", "asymptotic"])
    def test_one_row_is_the_square_of_a_t_test(self, slopes, ddf):
        tests, L = denominator(slopes, ddf), np.array([[1.0, 3.0, 0.0, 0.5, 0.0, 0.0]])
        estimate = L @ slopes.estimates.beta
        test = tests.f_test(L, estimate)
        assert test.statistic == pytest.approx(estimate[0] ** 2 / (L @ tests.cov_beta @ L.T)[0, 0])
        assert (test.ndf, test.scaling) == (1, 1.0)
        assert test.ddf == pytest.approx(tests.df(L)[0])

    def test_rows_in_other_words(self, slopes):
        """Kenward and Roger's test is of the hypothesis; Satterthwaite's only in its statistic."""
        L, _ = self.hypotheses["slopes and more"]
        mixed = np.array([[1, 2, 0, 1], [0, 1, 1, -1], [3, 0, 1, 0], [0, 0, 0, 2.0]]) @ L
        for ddf in ("satterthwaite", "kenward-roger", "asymptotic"):
            one, two = (denominator(slopes, ddf).f_test(M, M @ slopes.estimates.beta) for M in (L, mixed))
            assert two.statistic == pytest.approx(one.statistic, rel=1e-8)
            if ddf == "kenward-roger":
                assert (two.ddf, two.scaling) == pytest.approx((one.ddf, one.scaling), rel=1e-8)


# -- V itself ----------------------------------------------------------------------------------------------

MODELS = {
    "weights": ("y ~ x + (x | g) + (1 | h)", {"weights": "w"}),
    "crossed": ("y ~ x + t + (1 | g) + (1 | h)", {}),
    "diagonal": ("y ~ x + diag(1 + x | g)", {}),
    "compound symmetry": ("y ~ x + cs(0 + t | g)", {}),
    "autoregression": ("y ~ x + ar1(0 + t | block)", {}),
    "residual by stratum": ("y ~ x + t + (1 | block)", {"residual": "diag(t)"}),
    "residual by unit": ("y ~ x + (1 | block)", {"residual": "us(t | unit)"}),
    "autoregressive residual": ("y ~ x + (1 | block)", {"residual": "ar1(t | unit)", "weights": "w"}),
}


@pytest.mark.parametrize("name", MODELS)
class TestAgainstV:
    """Dense matrices where pbkrtest is silent (structures) or takes another V (prior weights)."""

    L = np.array([[1.0, 0.5], [0.0, 1.0]])

    def case(self, name):
        formula, options = MODELS[name]
        fit = hd.lmer(formula, sample(), **options)
        p = len(fit.fixef)
        return fit, np.pad(self.L, ((0, 0), (0, p - 2)))

    def test_kenward_roger(self, name):
        fit, L = self.case(name)
        tests, dense = denominator(fit, "kenward-roger"), DenseKenwardRoger(fit.engine.model, fit.theta)
        np.testing.assert_allclose(tests.cov_beta, dense.adjusted, rtol=1e-7, atol=1e-9)
        for row, df in zip(L, tests.df(L), strict=True):
            assert df == pytest.approx(dense.f_test(row[None], np.zeros(1))[1], rel=1e-6)
        difference = L @ fit.estimates.beta
        test = tests.f_test(L, difference)
        values = test.statistic, test.ddf, test.scaling
        assert values == pytest.approx(dense.f_test(L, difference), rel=1e-6)

    @pytest.mark.parametrize("reml", [True, False], ids=["reml", "ml"])
    def test_satterthwaite(self, name, reml):
        formula, options = MODELS[name]
        fit = hd.lmer(formula, sample(), REML=reml, **options)
        assert not fit.is_singular()  # the twin inverts the information as it is
        L = np.pad(self.L, ((0, 0), (0, len(fit.fixef) - 2)))
        expected = satterthwaite_df(fit.engine.model, fit.theta, reml, L)
        np.testing.assert_allclose(denominator(fit).df(L), expected, rtol=1e-6)


def test_relationship_matrix():
    fit = fit_related(*population(3))
    L = np.eye(len(fit.fixef))
    dense = DenseKenwardRoger(fit.engine.model, fit.theta)
    np.testing.assert_allclose(denominator(fit, "kenward-roger").cov_beta, dense.adjusted, rtol=1e-7)
    expected = satterthwaite_df(fit.engine.model, fit.theta, True, L)
    np.testing.assert_allclose(denominator(fit).df(L), expected, rtol=1e-6)


# -- what must hold ----------------------------------------------------------------------------------------


def test_balanced_designs_have_the_degrees_of_freedom_of_analysis_of_variance():
    fit = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff"))
    for ddf in ("satterthwaite", "kenward-roger"):
        assert denominator(fit, ddf).df(np.eye(1))[0] == pytest.approx(5.0, rel=1e-6)
    fit = hd.lmer("Reaction ~ Days + (1 | Subject)", sleep())
    for ddf in ("satterthwaite", "kenward-roger"):
        assert denominator(fit, ddf).df(np.eye(2))[1] == pytest.approx(161.0, rel=1e-6)


def test_diagonal_terms_are_split_terms():
    """One `diag` term and a term for each effect are the same model, also where a variance is zero."""
    data = sleep(x=np.random.default_rng(1).normal(size=180))
    for formula in ("Reaction ~ Days + diag(1 + Days | Subject)", "Reaction ~ Days + diag(1 + x | Subject)"):
        one, two = hd.lmer(formula, data), hd.lmer(formula.replace("diag(", "(").replace("|", "||"), data)
        for ddf in ("satterthwaite", "kenward-roger"):
            a, b = denominator(one, ddf), denominator(two, ddf)
            np.testing.assert_allclose(a.cov_beta, b.cov_beta, rtol=1e-6)
            np.testing.assert_allclose(a.df(np.eye(2)), b.df(np.eye(2)), rtol=1e-6)


def test_a_variance_of_zero_counts_as_known_for_satterthwaite():
    data = hd.example_data("dyestuff2")
    fit = hd.lmer("Yield ~ 1 + (1 | Batch)", data)
    assert fit.is_singular()
    assert denominator(fit).df(np.eye(1))[0] == pytest.approx(len(data) - 1)


@settings(max_examples=15, deadline=None)
@given(st.floats(-3.0, 3.0), st.floats(-4.0, 4.0), st.integers(0, 1000))
def test_units_and_order_of_rows_do_not_matter(log_y, log_x, seed):
    data = unbalanced()
    plain = hd.lmer(SLOPES, data)
    order = np.random.default_rng(seed).permutation(len(data))
    moved = data.assign(Reaction=data["Reaction"] * 10.0**log_y, Days=data["Days"] * 10.0**log_x).iloc[order]
    other = hd.lmer(SLOPES, moved)
    size = np.where([("Days" in name) for name in plain.fixef.index], 10.0**log_x, 1.0)
    L = np.eye(6)
    for ddf in ("satterthwaite", "kenward-roger"):
        a, b = denominator(plain, ddf), denominator(other, ddf)
        np.testing.assert_allclose(b.df(L), a.df(L), rtol=1e-6)
        scaled = b.cov_beta * np.outer(size, size) / 10.0 ** (2 * log_y)
        np.testing.assert_allclose(scaled, a.cov_beta, rtol=1e-6, atol=1e-7 * np.abs(a.cov_beta).max())


def test_streamed_records(tmp_path):
    data = sleep()
    data.to_parquet(tmp_path / "sleep.parquet", row_group_size=50)
    fit, memory = (
        hd.lmer("Reaction ~ Days + (Days | Subject)", d) for d in (tmp_path / "sleep.parquet", data)
    )
    for ddf in ("satterthwaite", "kenward-roger"):
        a, b = denominator(fit, ddf), denominator(memory, ddf)
        np.testing.assert_allclose(a.df(np.eye(2)), b.df(np.eye(2)), rtol=1e-6)
        np.testing.assert_allclose(a.cov_beta, b.cov_beta, rtol=1e-6)


def test_without_the_data():
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", sleep())
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(denominator(again).df(np.eye(2)), denominator(fit).df(np.eye(2)))
    with pytest.raises(HendersonError, match="read back from a pickle"):
        denominator(again, "kenward-roger")


def test_what_is_refused():
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", sleep(), REML=False)
    with pytest.raises(ModelNotSupportedError, match="REML=True"):
        denominator(fit, "kenward-roger")
    with pytest.raises(DataError, match=r"'Kenward-Roger' is no way .* 'kenward-roger'"):
        denominator(fit, "Kenward-Roger")


def test_hypotheses_that_say_nothing_or_contradict_themselves():
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", sleep())
    twice = np.array([[0.0, 1.0], [0.0, 2.0]])
    for ddf in ("satterthwaite", "kenward-roger", "asymptotic"):
        tests = denominator(fit, ddf)
        nothing = tests.f_test(np.zeros((2, 2)), np.zeros(2))
        assert nothing.ndf == 0
        assert np.isnan([nothing.statistic, nothing.ddf, nothing.p_value]).all()
        once = tests.f_test(twice[:1], np.array([3.0]))
        again = tests.f_test(twice, np.array([3.0, 6.0]))
        assert (again.statistic, again.ddf) == pytest.approx((once.statistic, once.ddf))
        with pytest.raises(DataError, match="contradict each other"):
            tests.f_test(twice, np.array([3.0, 5.0]))


def test_a_fit_is_asked_once():
    fit = hd.lmer("Reaction ~ Days + (Days | Subject)", sleep())
    assert denominator(fit, "kenward-roger") is denominator(fit, "kenward-roger")
