"""Heritability beside other random terms, of several relationships and traits; repeatability."""

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from engine.dense import stacked_z
from fit.relatives import grm

NUMBERS = ["variance", "variance_se", "phenotypic_variance", "phenotypic_variance_se", "share", "share_se"]


def family(seed=0, n=60, traits=1):
    """Two records of each person and trait; genetic, dominance-like, permanent and household effects."""
    rng = np.random.default_rng(seed)
    K, z = grm(n, 200, rng)
    D = K * K
    names = [f"p{i:02d}" for i in range(n)]
    who = np.tile(np.arange(n), 2)
    data = pd.DataFrame({"iid": np.array(names)[who], "x": rng.normal(size=2 * n)})
    data["pe"] = data["dom"] = data["iid"]
    data["house"] = rng.integers(0, 12, 2 * n)
    u = z @ rng.normal(size=200) / np.sqrt(200)
    pe, house = rng.normal(size=n) * 0.6, rng.normal(size=12) * 0.7
    data["y"] = 1 + data["x"] + u[who] + pe[who] + house[data["house"]] + rng.normal(size=2 * n)
    G = pd.DataFrame(K, index=names, columns=names)
    return data, G, pd.DataFrame(D, index=names, columns=names)


@pytest.fixture(scope="module")
def beside_others():
    data, G, _ = family()
    formula = "y ~ x + (1 | iid) + (1 | pe) + (1 | house)"
    return hd.lmer(formula, data, relationship={"iid": G}), data


def test_other_terms_count_in_the_total(beside_others):
    fit, _ = beside_others
    h = fit.heritability()
    table = fit.variances().set_index("group")
    assert h.genetic_variance == table.loc["iid", "estimate"]
    assert h.phenotypic_variance == pytest.approx(table["estimate"].sum(), rel=1e-12)
    assert h.h2 == pytest.approx(table.loc["iid", "share"], rel=1e-12)
    assert h.h2_se == pytest.approx(table.loc["iid", "share_se"], rel=1e-12)
    assert [group for group, _, _ in h.others] == ["pe", "house"]
    assert [se for _, _, se in h.others] == table.loc[["pe", "house"], "std_error"].tolist()
    assert h.information == "average"
    text = str(h)
    assert "REML, 120 records" in text
    assert "variance of 'house'" in text
    assert "h2 = vg / (sum of all)" in text


def test_the_share_of_sample_variance(beside_others):
    """The expected sample variance of Z u, term by term, from Z G Z' itself."""
    fit, _ = beside_others
    model = fit.engine.model
    Z, at, parts = stacked_z(model), 0, []
    for term, own in zip(model.terms, fit.variances()["estimate"], strict=False):
        own_Z = Z[:, at : at + term.n_levels]
        at += term.n_levels
        K = own_Z @ term.relationship.times(own_Z.T)
        K = K - K.mean(axis=0)
        parts.append(own * np.trace(K - K.mean(axis=1)[:, None]) / model.n)
    assert fit.heritability().pve == pytest.approx(parts[0] / (sum(parts) + fit.sigma**2), rel=1e-10)


def test_the_test_estimates_the_others_again(beside_others):
    fit, data = beside_others
    h = fit.heritability()
    null = hd.lmer("y ~ x + (1 | pe) + (1 | house)", data)
    assert h.loglik == pytest.approx(fit.loglik, rel=1e-12)
    assert h.loglik_null == pytest.approx(null.loglik, rel=1e-9)
    assert h.lrt == pytest.approx(2 * (fit.loglik - null.loglik), rel=1e-6)


def test_repeatability(beside_others):
    fit, _ = beside_others
    table = fit.variances().set_index("group")
    found = fit.repeatability()
    assert found.groups == ("iid", "pe")
    assert found.estimate == pytest.approx(table.loc[["iid", "pe"], "share"].sum(), rel=1e-12)
    # 1 - the shares of the household and the residual has the same standard error
    rest = fit.repeatability(["house"])
    assert rest.estimate == pytest.approx(table.loc["house", "share"], rel=1e-12)
    assert rest.std_error == pytest.approx(table.loc["house", "share_se"], rel=1e-12)
    assert fit.repeatability("pe").groups == ("pe",)
    all_but_residual = fit.repeatability(["iid", "pe", "house"])
    assert all_but_residual.std_error == pytest.approx(table.loc["Residual", "share_se"], rel=1e-8)
    assert found.phenotypic_variance == pytest.approx(table["estimate"].sum(), rel=1e-12)
    with pytest.raises(hd.DataError, match="no random term on 'home'"):
        fit.repeatability("home")


def test_repeatability_is_the_correlation_of_two_records():
    data, G, _ = family(2)
    fit = hd.lmer("y ~ x + (1 | iid) + (1 | pe)", data, relationship={"iid": G})
    slopes = hd.lmer("Reaction ~ Days + (Days | Subject)", hd.example_data("sleepstudy"))
    with pytest.raises(hd.DataError, match="random slopes"):
        slopes.repeatability("Subject")
    plain = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff"))
    assert plain.repeatability("Batch").estimate == pytest.approx(plain.icc, rel=1e-12)
    with pytest.raises(hd.DataError, match="relationship"):
        plain.repeatability()
    assert fit.repeatability().groups == ("iid", "pe")


def test_several_relationships():
    data, G, D = family(1)
    fit = hd.lmer("y ~ x + (1 | iid) + (1 | dom)", data, relationship={"iid": G, "dom": D})
    table = fit.heritabilities()
    assert table["group"].tolist() == ["iid", "dom", "all relationships"]
    shares = fit.variances()
    np.testing.assert_allclose(table["share"][:2], shares["share"][:2], rtol=1e-12)
    assert table["share"][2] == pytest.approx(1 - shares["share"][2], rel=1e-12)
    assert table["share_se"][2] == pytest.approx(shares["share_se"][2], rel=1e-8)
    for group, share in zip(["iid", "dom"], table["share"], strict=False):
        assert fit.heritability(group).h2 == pytest.approx(share, rel=1e-12)
    null = hd.lmer("y ~ x + (1 | dom)", data, relationship={"dom": D})
    assert fit.heritability("iid").loglik_null == pytest.approx(null.loglik, rel=1e-8)
    with pytest.raises(hd.DataError, match="say group=, which can be 'iid', 'dom'"):
        fit.heritability()
    with pytest.raises(hd.DataError, match="no random term on 'idd' has a relationship; did you mean 'iid'"):
        fit.heritability("idd")
    with pytest.raises(hd.DataError, match=r"say 'h2\|iid' or 'h2\|dom'"):
        fit.profile("h2")


def test_a_share_of_zero_has_no_standard_error():
    """Neither has its variance; the others have those of the model without the term."""
    data, G, _ = family(4)
    noise = np.random.default_rng(0).normal(size=len(data))
    data["y"] = noise - pd.Series(noise).groupby(data["iid"]).transform("mean")  # people do not differ
    fit = hd.lmer("y ~ 1 + (1 | iid) + (1 | house)", data, relationship={"iid": G})
    table = fit.heritabilities()
    assert table["variance"][0] == 0.0
    assert np.isnan(table["variance_se"][0])
    assert np.isnan(table["share_se"][0])
    assert table["phenotypic_variance_se"][0] > 0.0


def two_traits(seed=3, n=70):
    rng = np.random.default_rng(seed)
    K, z = grm(n, 200, rng)
    names = [f"p{i:02d}" for i in range(n)]
    u = z @ rng.multivariate_normal([0, 0], [[1.0, 0.6], [0.6, 1.0]], size=200) / np.sqrt(200)
    y = u + rng.multivariate_normal([0, 0], [[1.0, -0.2], [-0.2, 1.0]], size=n)
    data = pd.DataFrame({"iid": np.repeat(names, 2), "trait": ["a", "b"] * n, "y": y.ravel() * 10})
    return data, pd.DataFrame(K, index=names, columns=names)


def test_several_traits():
    data, G = two_traits()
    fit = hd.lmer("y ~ trait + (0 + trait | iid)", data, relationship={"iid": G}, residual="us(trait | iid)")
    table = fit.heritabilities()
    assert table["effect"].tolist() == table["record"].tolist() == ["traita", "traitb"]
    genetic = np.diag(fit.varcorr["iid"].covariance)
    total = genetic + np.diag(fit.varcorr.residual.covariance)
    np.testing.assert_allclose(table["phenotypic_variance"], total, rtol=1e-12)
    np.testing.assert_allclose(table["share"], genetic / total, rtol=1e-12)
    assert (table["share_se"] > 0.0).all()
    with pytest.raises(hd.DataError, match="see heritabilities"):
        fit.heritability()
    with pytest.raises(hd.DataError, match="see heritabilities"):
        fit.profile("h2")
    with pytest.raises(hd.DataError, match="several kinds of records"):
        fit.repeatability()
    # the same traits in other units, the rows in another order
    moved = data.assign(y=data["y"] * np.where(data["trait"] == "a", 5.0, 0.2)).sample(
        frac=1.0, random_state=1
    )
    other = hd.lmer(
        "y ~ trait + (0 + trait | iid)", moved, relationship={"iid": G}, residual="us(trait | iid)"
    )
    np.testing.assert_allclose(
        other.heritabilities()[["share", "share_se"]], table[["share", "share_se"]], rtol=1e-4
    )


def test_no_relationship_and_random_slopes():
    plain = hd.lmer("Yield ~ 1 + (1 | Batch)", hd.example_data("dyestuff"))
    with pytest.raises(hd.DataError, match=r"relationship=\{'iid': G\}"):
        plain.heritabilities()
    data, G, _ = family()
    slopes = hd.lmer("y ~ x + (1 | iid) + (0 + x | house)", data, relationship={"iid": G})
    with pytest.raises(hd.DataError, match="random slopes"):
        slopes.heritabilities()
    with pytest.raises(hd.DataError, match="not one number"):
        slopes.heritability()
    once = data.drop_duplicates("iid")
    alone = hd.lmer("y ~ x + (0 + x | iid)", once, relationship={"iid": G})
    with pytest.raises(hd.DataError, match="not one number"):
        alone.heritability()


def test_an_invariance(beside_others):
    fit, data = beside_others
    G = family()[1]
    moved = data.assign(y=-7 * data["y"] + 100).sample(frac=1.0, random_state=3)
    other = hd.lmer(fit.formula, moved, relationship={"iid": G})
    a, b = fit.heritabilities()[NUMBERS].iloc[0], other.heritabilities()[NUMBERS].iloc[0]
    np.testing.assert_allclose(b, a * [49, 49, 49, 49, 1, 1], rtol=1e-4)
    assert other.heritability().lrt == pytest.approx(fit.heritability().lrt, rel=1e-5)
