"""Genetic and environmental correlations: estimates, standard errors and intervals."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import henderson as hd
from fit.test_shares import family, two_traits


@pytest.fixture(scope="module")
def traits():
    data, G = two_traits()
    return hd.lmer("y ~ trait + (0 + trait | iid)", data, relationship={"iid": G}, residual="us(trait | iid)")


@pytest.fixture(scope="module")
def slopes():
    return hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))


def test_genetic_and_environmental(traits):
    table = traits.genetic_correlations()
    assert table["group"].tolist() == ["iid", "Residual"]
    assert table["effect_1"].tolist() == ["traita", "a"]
    assert table["effect_2"].tolist() == ["traitb", "b"]
    for row, term in zip(table.itertuples(), (traits.varcorr["iid"], traits.varcorr.residual), strict=True):
        assert row.estimate == pytest.approx(term.correlation[0, 1], rel=1e-12)
    genetic = traits.genetic_correlation("traitb", "traita", interval=None)
    assert (genetic.effect_1, genetic.effect_2) == ("traita", "traitb")
    assert (genetic.estimate, genetic.std_error) == tuple(table.iloc[0][["estimate", "std_error"]])
    assert np.isnan([genetic.lower, genetic.upper]).all()
    environmental = traits.genetic_correlation("a", "b", interval=None)
    assert environmental.group == "Residual"
    assert (environmental.estimate, environmental.std_error) == tuple(
        table.iloc[1][["estimate", "std_error"]]
    )


@pytest.mark.parametrize("names", [("traita", "traitb"), ("a", "b")])
def test_profile_interval(traits, names):
    """At each limit the deviance of the best model with that correlation has risen by the quantile."""
    found = traits.genetic_correlation(*names, level=0.8)
    assert (found.interval, found.level) == ("profile", 0.8)
    own = "cor_traitb.traita|iid" if names[0] == "traita" else "cor_b.a|Residual"
    limits = traits.profile(own, level=0.8).confint(0.8).loc[own]
    assert (found.lower, found.upper) == (limits["lower"], limits["upper"])
    # an interval by ML about an estimate by REML
    assert found.lower < found.estimate < found.upper
    assert str(found).endswith("(profile)")


def test_profile_interval_by_brute_force(slopes):
    from scipy.optimize import minimize

    fit = slopes.update(REML=False)
    found = fit.genetic_correlation("(Intercept)", "Days")
    engine = fit.engine
    for r in (found.lower, found.upper):

        def deviance(x, r=r):
            s0, s1 = np.exp(x)
            theta = np.array([s0, r * s1, s1 * np.sqrt(1 - r * r)])
            return engine.criterion(theta).profiled(reml=False)

        held = minimize(deviance, np.log([0.95, 0.23]), method="Nelder-Mead", options={"fatol": 1e-9}).fun
        assert held - fit.deviance == pytest.approx(chi2.isf(0.05, 1), rel=2e-3)


def test_wald_interval(traits):
    found = traits.genetic_correlation("traita", "traitb", interval="wald")
    z = np.arctanh([found.lower, found.estimate, found.upper])
    assert z[2] - z[1] == pytest.approx(z[1] - z[0], rel=1e-10)
    half = 1.959964 * found.std_error / (1 - found.estimate**2)
    assert z[2] - z[1] == pytest.approx(half, rel=1e-6)
    wider = traits.genetic_correlation("traita", "traitb", interval="wald", level=0.99)
    assert wider.lower < found.lower
    assert wider.upper > found.upper


def test_units_do_not_matter(slopes):
    data = pd.DataFrame(hd.example_data("sleepstudy"))
    other = hd.lmer("Reaction ~ Days + (Days | Subject)", data.assign(Days=data["Days"] * 86400))
    a, b = (f.genetic_correlation("Days", "(Intercept)", interval=None) for f in (slopes, other))
    assert b.estimate == pytest.approx(a.estimate, rel=1e-5)
    assert b.std_error == pytest.approx(a.std_error, rel=1e-5)


def test_structures_that_have_correlations_in_common():
    data = pd.DataFrame(hd.example_data("sleepstudy"))
    data["early"], data["late"] = (data["Days"] < 5) * 1.0, (data["Days"] >= 5) * 1.0
    same = hd.lmer("Reaction ~ Days + cs(0 + early + late | Subject)", data)
    found = same.genetic_correlation("early", "late")
    assert found.lower < found.estimate < found.upper
    assert len(same.genetic_correlations()) == 1
    apart = hd.lmer("Reaction ~ Days + (Days || Subject)", data)
    assert apart.genetic_correlations().empty


def test_mistakes(slopes, traits):
    with pytest.raises(hd.DataError, match=r"both the effects 'traita' and 'b'.*'traita', 'traitb' \(iid\)"):
        traits.genetic_correlation("traita", "b")
    with pytest.raises(hd.DataError, match="two effects, and both are 'Days'"):
        slopes.genetic_correlation("Days", "Days")
    with pytest.raises(hd.DataError, match="no random term on 'Subjec'; did you mean 'Subject'"):
        slopes.genetic_correlation("Days", "(Intercept)", "Subjec")
    with pytest.raises(hd.DataError, match="'profile', 'wald' or None"):
        slopes.genetic_correlation("Days", "(Intercept)", interval="delta")
    plain = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff"))
    with pytest.raises(hd.DataError, match="needs a random term of several effects"):
        plain.genetic_correlation("a", "b")


def test_the_term_with_a_relationship_is_meant():
    data, G, _ = family()
    fit = hd.lmer("y ~ x + (x | iid) + (x | house)", data, relationship={"iid": G})
    assert fit.genetic_correlation("(Intercept)", "x", interval=None).group == "iid"
    assert fit.genetic_correlation("(Intercept)", "x", "house", interval=None).group == "house"
    data["street"] = data["house"].to_numpy()[::-1]
    plain = hd.lmer("y ~ x + (x | street) + (x | house)", data)
    with pytest.raises(hd.DataError, match="say group='street' or group='house'"):
        plain.genetic_correlation("(Intercept)", "x")


def test_beside_a_variance_of_zero():
    data = pd.DataFrame(hd.example_data("sleepstudy"))
    e = data["Reaction"] - data.groupby("Subject")["Reaction"].transform("mean")
    fit = hd.lmer("y ~ Days + (Days | Subject)", data.assign(y=e - e.mean(), Days=data["Days"] - 4.5))
    assert fit.varcorr["Subject"].sd[0] == 0.0
    found = fit.genetic_correlation("(Intercept)", "Days", interval="wald")
    assert np.isnan([found.estimate, found.std_error, found.lower, found.upper]).all()
    with pytest.raises(hd.DataError, match="one of its two variances is estimated as zero"):
        fit.genetic_correlation("(Intercept)", "Days")
